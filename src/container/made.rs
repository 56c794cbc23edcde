//! What exists of a container while it is made, and of one that is complete as long as its runtime stays: so that all of
//! it can be taken away again, in the right order, when something fails.

#![forbid(unsafe_code)]

use core::ffi::CStr;

use super::foreground::Init;
use super::notify::Notify;
use super::process::SIGKILL;
use super::state_dir::{Lock, StateDir};
use super::{Context, remove_cgroup};
use crate::cgroup::Cgroup;
use crate::cgroup::systemd::Scope;
use crate::error::{Errno, Error, Result};
use crate::hook::Runner;
use crate::plan::hooks::Stage;
use crate::resctrl;
use crate::sys::{AsFd, CWD, OwnedFd, file, process};
use crate::warn;

/// What there is before there is an init: at first only the directory.
pub(super) struct Begun<'a> {
    pub context: Context,
    pub dir: StateDir,
    pub cgroup: Option<Cgroup<'a>>,
    /// The unit of systemd's that the cgroup is in; empty if there is none.
    pub unit: &'a str,
    /// As long as the container is not complete.
    pub scope: Option<Scope<'a>>,
    /// Its groups of the resctrl file system.
    pub rdt: resctrl::Made<'a>,
    pub hooks: Option<Runner<'a>>,
    pub notify: Option<Notify>,
}

impl<'a> Begun<'a> {
    pub(super) fn new(context: Context, dir: StateDir, unit: &'a str) -> Begun<'a> {
        let rdt = resctrl::Made::default();
        Begun { context, dir, cgroup: None, unit, scope: None, rdt, hooks: None, notify: None }
    }

    /// Takes it away, for this reason. Whoever calls has the lock.
    #[cold]
    pub(super) fn undo(self, why: Error) -> Error {
        self.take_away(why, None)
    }

    /// `hooks` are those of a container that had an init, and so a life.
    fn take_away(self, why: Error, hooks: Option<Runner<'_>>) -> Error {
        // Dropped, it is stopped. One that was complete has lost its connection.
        let is_stopped = self.scope.map(drop).is_some() || self.unit.is_empty();
        let cgroup = self.cgroup.map_or(Ok(()), |cgroup| match is_stopped {
            true => cgroup.of_unit(self.unit)?.remove(),
            false => remove_cgroup(&self.context, &cgroup, self.unit),
        });
        if let Some(hooks) = hooks {
            hooks.run_poststop();
        }
        // What is left of them is found by its state.
        let rdt = resctrl::remove(self.rdt.all);
        if let Err(error) = cgroup.and(rdt).and_then(|()| self.dir.remove()) {
            warn!("{error}; `delete` removes what is left");
        }
        why
    }
}

/// A container with an init.
pub(super) struct Made<'a> {
    pub begun: Begun<'a>,
    pub init: Init,
    pub pid_file: Option<&'static CStr>,
    /// The other side of its terminal, if we relay it.
    pub master: Option<OwnedFd>,
}

impl<'a> Made<'a> {
    /// It is complete: others may work on it now, and what it was made of is its own.
    pub(super) fn complete(mut self) -> Made<'a> {
        if let Some(scope) = self.begun.scope.take() {
            scope.release();
        }
        self.begun.dir.unlock();
        self.begun.rdt.all = self.begun.rdt.own;
        self
    }

    /// Runs what is to be run once the container runs; if that fails, nothing is left of it.
    pub(super) fn poststart(self) -> Result<Made<'a>> {
        let Some(hooks) = &self.begun.hooks else { return Ok(self) };
        match hooks.run(Stage::Poststart, self.init.pid, &|| Ok(())) {
            Ok(()) => Ok(self),
            Err(error) => Err(self.undo(error)),
        }
    }

    /// Ends what lives of it and takes all of it away, for this reason.
    #[cold]
    pub(super) fn undo(self, why: Error) -> Error {
        let _ = process::pidfd_send_signal(self.init.pidfd.as_fd(), SIGKILL);
        let _ = process::wait(self.init.pid, true);
        // Whoever has deleted it meanwhile has done all the rest.
        if self.begun.dir.lock(Lock::Exclusive).is_err_and(|error| error.is(Errno::NOENT)) {
            return why;
        }
        if let Some(path) = self.pid_file {
            let _ = file::unlinkat(CWD, path);
        }
        let hooks = self.begun.hooks;
        self.begun.take_away(why, hooks)
    }

    /// Removes what is left of a complete one whose init has ended.
    pub(super) fn remove(self) -> Result<()> {
        let Begun { context, dir, cgroup, unit, rdt, hooks, .. } = self.begun;
        match dir.lock(Lock::Exclusive) {
            // Somebody has killed and deleted it.
            Err(error) if error.is(Errno::NOENT) => return Ok(()),
            locked => locked?,
        }
        cgroup.map_or(Ok(()), |cgroup| remove_cgroup(&context, &cgroup, unit))?;
        resctrl::remove(rdt.own)?;
        if let Some(hooks) = hooks {
            hooks.run_poststop();
        }
        dir.remove()
    }
}
