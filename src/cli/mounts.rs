//! `isopod mounts add|remove ID FILE`: mounts for a container that exists, from a list like `mounts` of a config.

#![forbid(unsafe_code)]

use super::options::Given;
use super::{Outcome, document, misuse, report};
use crate::container::mounts::{self, Change};
use crate::container::{Context, id};
use crate::error::{Error, Escaped};
use crate::json::{self, List};
use crate::spec::Mount;

/// Adds or removes them.
pub fn run(context: &Context, given: &Given) -> Outcome {
    let change = match given.words[0].to_bytes() {
        b"add" => Change::Add,
        b"remove" => Change::Remove,
        other => {
            return Err(misuse(
                Error::says(format_args!("unknown command `mounts {}`", Escaped(other))).hint("add or remove"),
            ));
        }
    };
    let id = id::check(given.words[1])?;
    report::about(id);
    mounts::begin(context)?;
    let (name, text) = document::read(given.words[2])?;
    let list: List<'_, Mount<'_>> = json::from_document(name, text)?;
    mounts::change(context, id, change, name, list)?;
    Ok(0)
}
