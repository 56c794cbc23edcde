//! `isopod spec`: a config.json to start from.

#![forbid(unsafe_code)]

use super::options::Given;
use super::{Outcome, verbs};
use crate::container::Context;
use crate::error::{Context as _, Error, Escaped};
use crate::host::{self, Cgroups};
use crate::spec::template;
use crate::sys::file::{self, Mode, OFlags};
use crate::sys::{AsFd, CWD, Errno, process};

/// Writes the template. An existing file is only replaced if it was named.
pub fn run(_: &Context, given: &Given) -> Outcome {
    let rootless = given.has(&verbs::SPEC_ROOTLESS).then(|| (process::geteuid(), process::getegid()));
    let text = template::template(rootless, matches!(host::cgroups()?, Cgroups::V2(_)));
    let bundle = match given.value(&verbs::SPEC_BUNDLE) {
        None => None,
        Some(path) => {
            Some(file::open_dir(CWD, path).context_with("open bundle", format_args!("{}", Escaped(path.to_bytes())))?)
        }
    };
    let dir = bundle.as_ref().map_or(CWD, AsFd::as_fd);
    let named = given.value(&verbs::SPEC_FILE);
    let name = named.unwrap_or(c"config.json");
    let unless_there = if named.is_some() { OFlags::TRUNC } else { OFlags::EXCL };
    let flags = OFlags::WRONLY | OFlags::CREATE | unless_there;
    match file::openat(dir, name, flags, Mode::from_raw_mode(0o666)) {
        Err(Errno::EXIST) => {
            Err(Error::says(format_args!("`config.json` already exists")).hint("--file overwrites").into())
        }
        opened => {
            opened
                .and_then(|config| file::write_all(config.as_fd(), text.as_bytes()))
                .context_with("write", format_args!("{}", Escaped(name.to_bytes())))?;
            Ok(0)
        }
    }
}
