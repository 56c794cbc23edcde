//! `isopod create ID`, and what `run` shares with it.

#![forbid(unsafe_code)]

use super::options::{Given, invalid};
use super::{Failure, Outcome, misuse, verbs};
use crate::container::{Context, CreateRequest, create, id};
use crate::error::Result;
use crate::sys::{self, utf8};

/// Makes the container, ready to be started.
pub fn run(context: &Context, given: &Given) -> Outcome {
    create::create(context, &request(id(given)?, given)?)?;
    Ok(0)
}

/// What the command line asks for; the options that only `run` has are just never given here.
pub(super) fn request(id: &'static str, given: &Given) -> Result<CreateRequest, Failure> {
    Ok(CreateRequest {
        id,
        bundle: given.value(&verbs::BUNDLE).unwrap_or(c"."),
        config: given.value(&verbs::CONFIG),
        console_socket: given.value(&verbs::CONSOLE_SOCKET),
        pid_file: given.value(&verbs::PID_FILE),
        pidfd_socket: given.value(&verbs::PIDFD_SOCKET),
        preserve_fds: preserve_fds(given)?,
        detach: given.has(&verbs::DETACH),
        keep: given.has(&verbs::KEEP),
        no_pivot: given.has(&verbs::NO_PIVOT),
        no_new_keyring: given.has(&verbs::NO_NEW_KEYRING),
    })
}

/// The container's name.
pub(super) fn id(given: &Given) -> Result<&'static str> {
    id::check(given.words[0])
}

pub(super) fn preserve_fds(given: &Given) -> Result<u32, Failure> {
    let Some(word) = given.value(&verbs::PRESERVE_FDS) else { return Ok(0) };
    let number = utf8(word.to_bytes()).and_then(sys::natural);
    number.ok_or_else(|| misuse(invalid(&verbs::PRESERVE_FDS, word, "it is a number of descriptors")))
}
