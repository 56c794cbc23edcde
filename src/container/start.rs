//! Starting a created container: its init waits for one byte from a fifo. If there are hooks to be run just before or
//! just after that, it answers.

#![forbid(unsafe_code)]

use super::notify::{self, Notify};
use super::state::Status;
use super::state_dir::{ANSWER_FIFO, EXEC_FIFO, Lock, StateDir};
use super::{Context, delete, hooks};
use crate::error::{Context as _, Error, Result};
use crate::link;
use crate::plan::hooks::Stage;
use crate::sys::file::{self, Mode, OFlags};
use crate::sys::{AsFd, Errno, OwnedFd, process};
use crate::warn;

/// Lets init execute the container's process, and waits for what it was asked to wait for. Of two that try, the one
/// that removes the fifo's name wins.
///
/// # Errors
/// If there is no such container, or it is not in the state `created`. If a hook fails, which ends the container.
pub fn start(context: &Context, id: &'static str) -> Result<()> {
    let dir = StateDir::open(context, id, Lock::Shared)?;
    let notify = match notify::wanted(context) {
        Some(supervisor) => Notify::listen(&dir, supervisor)?,
        None => None,
    };
    // Who it is that we wait for. Once the fifo is open, init goes on, whatever becomes of us.
    let find = || match dir.read()? {
        Some(state) => state.init().map(|init| (state, init)),
        // What `create` writes before the fifo is there.
        None => Err(Error::says(format_args!("start container `{id}`: its state.json is not there"))),
    };
    let mut waited = if notify.is_some() { Some(find()?) } else { None };
    // Without O_NONBLOCK we would wait for a reader, with it ENXIO says that there is none.
    let mut answer = None;
    let fifo = match open(&dir, EXEC_FIFO, OFlags::WRONLY | OFlags::NOFOLLOW) {
        Err(Errno::LOOP) => {
            // Only a link to the fifo: init answers.
            answer = Some(open(&dir, ANSWER_FIFO, OFlags::RDONLY).context("open", "answer.fifo")?);
            waited = Some(find()?);
            open(&dir, EXEC_FIFO, OFlags::WRONLY)
        }
        fifo => fifo,
    };
    release(&dir, id, fifo)?;
    let Some((state, init)) = waited else { return Ok(()) };
    // Nobody has to wait for what we wait for, least of all who deletes the container.
    dir.unlock();
    let finish = || {
        answer.map_or(Ok(()), |answer| link::hear_answer(answer.as_fd()))?;
        if let (Some(notify), Some(init)) = (&notify, &init) {
            notify.wait(init.pidfd(), state.pid)?;
        }
        hooks::remembered(state)?.map_or(Ok(()), |runner| runner.run(Stage::Poststart, state.pid, &|| Ok(())))
    };
    finish().inspect_err(|_| {
        if let Err(error) = delete::delete(context, id, true) {
            warn!("{error}");
        }
    })
}

fn open(dir: &StateDir, name: &core::ffi::CStr, how: OFlags) -> Result<OwnedFd, Errno> {
    file::openat(dir.fd(), name, how | OFlags::NONBLOCK, Mode::empty())
}

/// Writes the byte, if the fifo can be opened and nobody else does.
fn release(dir: &StateDir, id: &str, fifo: Result<OwnedFd, Errno>) -> Result<()> {
    const SIGPIPE: u32 = 13;

    let fifo = match fifo {
        Ok(fifo) => fifo,
        Err(Errno::NXIO) => return Err(not_running(id)),
        Err(Errno::NOENT) => return Err(not_created(dir, id)?),
        Err(errno) => return Err(errno).context("open", "exec.fifo"),
    };
    match file::unlinkat(dir.fd(), EXEC_FIFO) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Err(not_created(dir, id)?),
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
    let why = match dir.status(dir.read()?)? {
        Status::Stopped => "cannot start a container that has stopped",
        Status::Creating => "it is still being created",
        Status::Created | Status::Running | Status::Paused => "cannot start an already running container",
    };
    Ok(Error::says(format_args!("start container `{id}`: {why}")))
}
