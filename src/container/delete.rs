//! Removing what is left of a container: its processes, its cgroup, its state directory, in this order, so that
//! whoever is killed in between leaves something that can be deleted again.

#![forbid(unsafe_code)]

use super::process::{Freezer, Process, SIGKILL};
use super::state::{State, Status};
use super::state_dir::{Lock, StateDir};
use super::{Context, hooks};
use crate::cgroup::systemd;
use crate::error::{Errno, Error, Result};
use crate::host;
use crate::resctrl;
use crate::warn;

/// Removes a container. One that runs only by `force`, which also takes the absence of one for success.
///
/// # Errors
/// If there is no such container, it runs, or something of it cannot be removed.
pub fn delete(context: &Context, id: &'static str, force: bool) -> Result<()> {
    match remove(context, id, force) {
        // Not there, or gone while we looked.
        Err(error) if force && error.is(Errno::NOENT) && StateDir::find(context, id)?.is_none() => Ok(()),
        result => result,
    }
}

fn remove(context: &Context, id: &'static str, force: bool) -> Result<()> {
    let dir = StateDir::open(context, id, Lock::None)?;
    let mut state = read(&dir, force)?;
    let init = init(state)?;
    if !force {
        match dir.status_with(state, init.as_ref().map(|init| init.stat))? {
            Status::Created | Status::Stopped => {}
            Status::Creating | Status::Running | Status::Paused => return Err(in_use(id)),
        }
    }
    end(state, init)?;
    // If a runtime is still creating it, it misses its init now, gives up, and lets us go on.
    dir.lock(Lock::Exclusive)?;
    if state.is_none_or(|state| state.pid == 0) {
        // It may have made an init since we looked, and been killed itself.
        state = read(&dir, force)?;
        end(state, self::init(state)?)?;
    }
    // As long as they are there, so is the state, by which they are found the next time.
    if let Some(state) = state {
        remove_cgroup(context, state)?;
        resctrl::remove(state.rdt_own)?;
    }
    if let Some(state) = state
        && let Err(error) = hooks::run_poststop(state)
    {
        warn!("{error}");
    }
    dir.remove()
}

/// Removes the cgroup. Without an init the path is only what a config asked for: who is in there may be anybody, but for
/// a moment also an init that is about to see that its runtime has been killed.
fn remove_cgroup(context: &Context, state: &State<'_>) -> Result<()> {
    let cgroup = super::cgroup_of(state)?;
    if state.pid == 0 && !cgroup.wait_until_left()? {
        warn!("remove cgroup {}: the processes in it are not this container's", cgroup.path());
        return Ok(());
    }
    let unit = state.systemd_scope;
    if state.pid != 0 || unit.is_empty() {
        return super::remove_cgroup(context, &cgroup, unit);
    }
    // Nor need the unit be. Ours has ended with its keeper, which has ended with the runtime; but see there.
    cgroup.remove()?;
    let stopped = systemd::stop_empty(&context.start, context.systemd_owner(), unit, host::cgroups()?);
    // What was made of it beside systemd's own hierarchy, systemd does not remove.
    let whole = cgroup.of_unit(unit)?;
    if whole.pids()?.is_empty() {
        whole.remove()?;
    }
    super::cgroup::warn_of(stopped);
    Ok(())
}

/// podman looks for these words and then tries force.
#[cold]
fn in_use(id: &str) -> Error {
    let message = format_args!("the container `{id}` is not in `created` or `stopped` state");
    Error::says(message).hint("--force kills it")
}

/// The state; by force also of a container whose state nobody can read.
fn read(dir: &StateDir, force: bool) -> Result<Option<&'static State<'static>>> {
    match dir.read() {
        Err(error) if force => {
            warn!("{error}");
            Ok(None)
        }
        Err(error) => Err(error.hint("--force removes it anyway")),
        state => state,
    }
}

/// Init, if it lives.
fn init(state: Option<&State<'_>>) -> Result<Option<Process>> {
    state.map_or(Ok(None), State::init)
}

/// Kills init, if it lives, and waits for its end.
fn end(state: Option<&State<'_>>, init: Option<Process>) -> Result<()> {
    let (Some(state), Some(init)) = (state, init) else { return Ok(()) };
    match init.signal(SIGKILL) {
        Err(error) if !error.is(Errno::SRCH) => return Err(error),
        _ => {}
    }
    if init.stat.freezer() == Freezer::Any {
        super::cgroup_of(state)?.thaw()?;
    }
    init.wait()
}
