//! Removing what is left of a container: its processes, its cgroup, its state directory, in this order, so that
//! whoever is killed in between leaves something that can be deleted again.

#![forbid(unsafe_code)]

use super::Context;
use super::state::{Lock, State, StateDir, Status};
use crate::error::{Errno, Error, Result};
use crate::warn;

/// Removes a container. One that runs only by `force`, which also takes the absence of one for success.
///
/// # Errors
/// If there is no such container, it runs, or something of it cannot be removed.
pub fn delete(context: &Context, id: &str, force: bool) -> Result<()> {
    match remove(context, id, force) {
        // Not there, or gone while we looked.
        Err(error) if force && error.is(Errno::NOENT) => Ok(()),
        result => result,
    }
}

fn remove(context: &Context, id: &str, force: bool) -> Result<()> {
    let mut dir = StateDir::open(context, id, Lock::None)?;
    let mut state = read(&dir, force)?;
    let status = dir.status(state.as_ref())?;
    if !force && !matches!(status, Status::Created | Status::Stopped) {
        let message = format_args!("the container `{id}` is not in `created` or `stopped` state");
        return Err(Error::says(message).hint("--force kills it"));
    }
    kill(state.as_ref())?;
    // If a runtime is still creating it, its init has just been taken away and it will give up.
    dir.lock(Lock::Exclusive)?;
    if status == Status::Creating {
        state = read(&dir, force)?;
        kill(state.as_ref())?;
    }
    if let Some(state) = &state
        && let Err(error) = super::remove_cgroup(state)
    {
        warn!("{error}");
    }
    dir.remove()
}

/// The state; by force also of a container whose state nobody can read.
fn read(dir: &StateDir<'_>, force: bool) -> Result<Option<State<'static>>> {
    match dir.read() {
        Err(error) if force => {
            warn!("{error}");
            Ok(None)
        }
        state => state,
    }
}

/// Kills init, if there is one, and waits for its end.
fn kill(state: Option<&State<'_>>) -> Result<()> {
    match state.map(State::init).transpose()?.flatten() {
        Some(init) => init.kill(),
        None => Ok(()),
    }
}
