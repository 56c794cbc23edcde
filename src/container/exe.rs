//! The runtime's own program is kept out of a container's reach (CVE-2019-5736). Only who makes a process that others
//! in the container can see needs that: `create`, `run`,
//! `exec` and `mounts`.

#![forbid(unsafe_code)]

use super::Context;
use crate::debug;
use crate::error::{Context as _, Errno, Result};
use crate::sys::errno::describe;
use crate::sys::{OwnedFd, exe, fd};

/// Keeps the mount that we run from, as long as it is open. Once it is closed nobody can make the mount writable again, so
/// that comes before anybody in a container can look at a process of ours. The kernel waits for a grace period then: a
/// tenth of a millisecond, or more on a busy machine.
pub(super) struct Protected(Option<OwnedFd>);

impl Protected {
    /// Closes it now, and with it whatever else was dropped.
    pub(super) fn close(self) {
        drop(self.0);
        fd::close_dropped();
    }
}

/// From here on no process that we make leads to our program in a way that it could be written to.
///
/// # Errors
/// If neither can the program be mounted read-only nor a copy of it be executed.
pub(super) fn protect(context: &Context) -> Result<Protected> {
    if exe::is_out_of_reach(context.start.euid) {
        return Ok(Protected(None));
    }
    match exe::mount_read_only(&context.start) {
        Ok(mount) => return Ok(Protected(Some(mount))),
        Err(errno) => debug!("mount our own program read-only: {}", describe(errno)),
    }
    match exe::execute_sealed_copy(&context.start).context("execute", "a sealed copy of isopod") {
        Err(error) if error.is(Errno::ACCESS) => {
            Err(error.hint("vm.memfd_noexec=2 forbids it; a program that belongs to somebody else needs none"))
        }
        executed => executed.map(|_| Protected(None)),
    }
}
