//! `--regex`: a verb for every container whose name matches.

#![forbid(unsafe_code)]

use core::ffi::CStr;

use super::{Failure, misuse};
use crate::container::{Context, list};
use crate::error::{Errno, Result};
use crate::{regex, warn};

/// Does it to each of them. One that fails is worth a warning, as crun has it: the others are not to suffer from it.
pub(super) fn each(
    context: &Context,
    pattern: &CStr,
    mut act: impl FnMut(&'static str) -> Result<()>,
) -> Result<(), Failure> {
    let pattern = pattern.to_bytes();
    regex::is_match(pattern, "").map_err(misuse)?;
    for id in list::names(context)? {
        if regex::is_match(pattern, id)? {
            match act(id) {
                // Deleted since we saw the name.
                Err(error) if error.is(Errno::NOENT) => {}
                Err(error) => warn!("{error}"),
                Ok(()) => {}
            }
        }
    }
    Ok(())
}
