//! The caller's descriptors that the container gets.

#![forbid(unsafe_code)]

use super::Context;
use crate::error::{Error, Result};
use crate::sys::{fd, memory, natural, shown};

/// LISTEN_FDS of the caller: sd_listen_fds(3).
pub(super) fn listen_fds(context: &Context) -> Result<u32> {
    let Some(value) = context.start.var("LISTEN_FDS") else { return Ok(0) };
    let value = shown(value);
    if value.is_empty() {
        return Ok(0);
    }
    natural(value).ok_or_else(|| Error::because("LISTEN_FDS", value, "is no number"))
}

/// How many descriptors from 3 on the container gets, all of which have to be there.
pub(super) fn check(preserve_fds: u32, listen_fds: u32) -> Result<u32> {
    // No process has as many.
    const MANY: u32 = 1 << 30;
    let count = preserve_fds.saturating_add(listen_fds).min(MANY);
    for number in (3..).take(count as usize) {
        // One that is close-on-exec is not the caller's but ours, as the log's.
        if !fd::is_inherited(number) {
            let subject = memory::format(format_args!("{number}"));
            return Err(Error::because("preserve the descriptor", subject, "is not open"));
        }
    }
    Ok(count)
}
