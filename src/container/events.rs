//! What a container uses, once or again and again, and when the kernel kills in it for want of memory.

#![forbid(unsafe_code)]

use super::Context;
use super::process::Process;
use super::state_dir::{Lock, StateDir};
use crate::cgroup::{Cgroup, OomEvents};
use crate::error::{Context as _, Error, Result};
use crate::json::{self, Style, Writer};
use crate::sys::{AsFd, memory, process, time};
use crate::warn;

/// How often to look for killed processes where nobody tells us of them, on version 1: in milliseconds.
const OFTEN: u32 = 250;

/// A container whose use is looked at.
pub struct Watched {
    id: &'static str,
    init: Process,
    cgroup: Cgroup<'static>,
}

impl Watched {
    /// # Errors
    /// If there is no such container, it does not run, or it has no cgroup of its own.
    pub fn new(context: &Context, id: &'static str) -> Result<Watched> {
        let refused = |why| Error::says(format_args!("events of container `{id}`: {why}"));
        let state = StateDir::open(context, id, Lock::None)?.read_or_empty()?;
        let Some(init) = state.init()? else { return Err(refused("container not running")) };
        if state.cgroup_path.is_empty() {
            return Err(refused(super::NO_CGROUPS));
        }
        Ok(Watched { id, init, cgroup: super::cgroup_of(state)? })
    }

    /// A line with all numbers.
    #[must_use]
    pub fn stats(&self) -> &'static str {
        self.line("stats", |w| w.name("data").object(|w| self.cgroup.stats(w)))
    }

    fn line(&self, kind: &str, data: impl FnOnce(&mut Writer<'_>)) -> &'static str {
        let line = json::text(Style::Compact, |w| {
            w.object(|w| {
                w.member("type", kind);
                w.member("id", self.id);
                data(w);
            });
        });
        memory::format(format_args!("{line}\n"))
    }

    /// Gives `print` a line every so many milliseconds, and one whenever the kernel has killed a process for memory,
    /// until the container ends.
    ///
    /// # Errors
    /// The kernel's; if a line could not be printed.
    pub fn follow(&self, interval: u32, print: fn(&str) -> Result<()>) -> Result<()> {
        let interval = u64::from(interval) * 1_000_000;
        let oom = self.cgroup.oom_events();
        let mut kills = oom.as_ref().map_or(0, OomEvents::kills);
        let mut next = time::monotonic_raw() + interval;
        loop {
            let left = (next.saturating_sub(time::monotonic_raw()).div_ceil(1_000_000)) as u32;
            let pause = if oom.as_ref().is_some_and(OomEvents::is_told) { left } else { left.min(OFTEN) };
            let killed = oom.as_ref().map(AsFd::as_fd);
            if self.init.wait_or(killed, pause).context_with("wait for", format_args!("container `{}`", self.id))? {
                return Ok(());
            }
            let more = oom.as_ref().map_or(0, OomEvents::kills);
            if more > kills {
                self.print(print, || self.line("oom", |_| {}))?;
            }
            kills = more;
            if time::monotonic_raw() >= next {
                self.print(print, || self.stats())?;
                next += interval;
            }
        }
    }

    /// What is read and formatted stays in our memory as long as we live, which here can be months. So a child does
    /// it, and its memory goes with it.
    fn print(&self, print: fn(&str) -> Result<()>, line: impl FnOnce() -> &'static str) -> Result<()> {
        match process::clone3(0, None).context("clone3", "")? {
            process::Clone::Child => match print(line()) {
                Ok(()) => process::exit(0),
                Err(error) => {
                    warn!("{error}");
                    process::exit(1)
                }
            },
            process::Clone::Parent { pid, .. } => match process::wait(pid, true).context("wait for", "child")? {
                Some((_, 0)) => Ok(()),
                _ => Err(Error::says(format_args!("events of container `{}`: nobody takes them", self.id))),
            },
        }
    }
}
