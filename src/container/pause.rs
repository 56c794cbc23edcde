//! Stopping all processes of a container, and letting them go on.

#![forbid(unsafe_code)]

use super::Context;
use super::process::Stat;
use super::state::State;
use super::state_dir::{Lock, StateDir};
use crate::cgroup::Cgroup;
use crate::error::{Error, Result};

/// Freezes the container.
///
/// # Errors
/// If there is no such container, it does not run, it is paused already, or there is nothing to pause it with.
pub fn pause(context: &Context, id: &'static str) -> Result<()> {
    let (_dir, state) = open(context, id)?;
    let cgroup = cgroup("pause", state)?;
    if !runs(state)? {
        return Err(refused("pause", id, "container not running"));
    }
    if cgroup.is_frozen() {
        return Err(refused("pause", id, "container already paused"));
    }
    cgroup.freeze()
}

/// Thaws the container.
///
/// # Errors
/// If there is no such container, or it is not paused.
pub fn resume(context: &Context, id: &'static str) -> Result<()> {
    let (_dir, state) = open(context, id)?;
    let cgroup = cgroup("resume", state)?;
    if !cgroup.is_frozen() || !runs(state)? {
        return Err(refused("resume", id, "container not paused"));
    }
    cgroup.thaw()
}

/// The lock keeps it from being removed meanwhile: a frozen process of version 1 does not even die.
fn open(context: &Context, id: &'static str) -> Result<(StateDir, &'static State<'static>)> {
    let dir = StateDir::open(context, id, Lock::Shared)?;
    let state = dir.read_or_empty()?;
    Ok((dir, state))
}

fn cgroup<'a>(doing: &str, state: &State<'a>) -> Result<Cgroup<'a>> {
    if state.pid > 0 && state.cgroup_path.is_empty() {
        return Err(refused(doing, state.id, super::NO_CGROUPS));
    }
    super::cgroup_of(state)
}

/// Whether init lives. For a look a descriptor of it is not needed: nothing is sent to it.
fn runs(state: &State<'_>) -> Result<bool> {
    if state.pid <= 0 {
        return Ok(false);
    }
    Ok(Stat::of(state.pid)?.is_some_and(|stat| stat.is_of(state.start_time)))
}

#[cold]
fn refused(doing: &str, id: &str, why: &str) -> Error {
    Error::says(format_args!("{doing} container `{id}`: {why}"))
}
