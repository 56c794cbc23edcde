//! `isopod kill ID [SIGNAL]`.

#![forbid(unsafe_code)]

use super::options::{Given, Lossy};
use super::{Outcome, misuse, verbs};
use crate::container::{Context, id, kill};
use crate::error::Error;

/// What is sent if nothing else is asked for.
const SIGTERM: u32 = 15;

/// Signals a container's init, or all of its processes.
pub fn run(context: &Context, given: &Given) -> Outcome {
    if given.has(&verbs::REGEX) {
        return Err(misuse(Error::because("kill --regex", "", "names by pattern are not supported yet")));
    }
    let signal = match given.words.get(1) {
        None => SIGTERM,
        Some(word) => kill::signal_number(word.to_bytes())
            .ok_or_else(|| Error::says(format_args!("unknown signal `{}`", Lossy(word.to_bytes()))))?,
    };
    kill::kill(context, id::check(given.words[0])?, signal, given.has(&verbs::ALL))?;
    Ok(0)
}
