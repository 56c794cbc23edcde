//! `isopod kill ID [SIGNAL]`.

#![forbid(unsafe_code)]

use super::options::Given;
use super::{Outcome, regex, verbs};
use crate::container::{Context, id, kill};
use crate::error::{Error, Escaped};
use crate::sys::process::SIGTERM;

/// Signals a container's init, or all of its processes; with a pattern, of several containers.
pub fn run(context: &Context, given: &Given) -> Outcome {
    let signal = match given.words.get(1) {
        None => SIGTERM,
        Some(word) => kill::signal_number(word.to_bytes())
            .ok_or_else(|| Error::says(format_args!("unknown signal `{}`", Escaped(word.to_bytes()))))?,
    };
    let all = given.has(&verbs::ALL);
    if given.has(&verbs::REGEX) {
        regex::each(context, given.words[0], |id| kill::kill(context, id, signal, all))?;
    } else {
        kill::kill(context, id::check(given.words[0])?, signal, all)?;
    }
    Ok(0)
}
