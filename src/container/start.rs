//! Starting a created container: its init waits for one byte from a fifo.

#![forbid(unsafe_code)]

use super::Context;
use super::state::{EXEC_FIFO, Lock, StateDir, Status};
use crate::error::{Context as _, Error, Result};
use crate::sys::file::{self, Mode, OFlags};
use crate::sys::{AsFd, Errno, process};

/// Lets init execute the container's process. Of two that try, the one that removes the fifo's name wins.
///
/// # Errors
/// If there is no such container, or it is not in the state `created`.
pub fn start(context: &Context, id: &'static str) -> Result<()> {
    const SIGPIPE: u32 = 13;

    let dir = StateDir::open(context, id, Lock::Shared)?;
    // Without O_NONBLOCK we would wait for a reader, with it ENXIO says that there is none.
    let fifo = match file::openat(dir.fd(), EXEC_FIFO, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty()) {
        Ok(fifo) => fifo,
        Err(Errno::NXIO) => return Err(not_running(id)),
        Err(Errno::NOENT) => return Err(not_created(&dir, id)?),
        Err(errno) => return Err(errno).context("open", "exec.fifo"),
    };
    match file::unlinkat(dir.fd(), EXEC_FIFO) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Err(not_created(&dir, id)?),
        Err(errno) => return Err(errno).context("remove", "exec.fifo"),
    }
    // If init dies right now, we want to hear EPIPE, not to die as well.
    process::set_signal_mask(process::signal_set(SIGPIPE));
    match file::write(fifo.as_fd(), b"0") {
        Ok(_) => Ok(()),
        Err(Errno::PIPE) => Err(not_running(id)),
        Err(errno) => Err(errno).context("write", "exec.fifo"),
    }
}

#[cold]
fn not_running(id: &str) -> Error {
    Error::says(format_args!("container `{id}` is not running"))
}

/// Why there is no fifo.
#[cold]
fn not_created(dir: &StateDir, id: &str) -> Result<Error> {
    let why = match dir.status(dir.read()?.as_ref())? {
        Status::Stopped => "cannot start a container that has stopped",
        Status::Creating => "it is still being created",
        Status::Created | Status::Running | Status::Paused => "cannot start an already running container",
    };
    Ok(Error::says(format_args!("start container `{id}`: {why}")))
}
