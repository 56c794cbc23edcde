//! `--pid-file`.

#![forbid(unsafe_code)]

use core::ffi::CStr;

use crate::error::{Context as _, Result};
use crate::sys::file::{self, Mode, OFlags};
use crate::sys::{AsFd, CWD, memory, shown};

/// The decimal pid, without a newline, in place: conmon waits until it can read a number. Never through a link, which
/// could be that of somebody who may write to the directory.
pub(super) fn write(path: &CStr, pid: i32) -> Result<()> {
    let write = || {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW;
        let file = file::openat(CWD, path, flags, Mode::from_raw_mode(0o644))?;
        file::write_all(file.as_fd(), memory::format(format_args!("{pid}")).as_bytes())
    };
    write().context("write the pid file", shown(path))
}
