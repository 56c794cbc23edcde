//! The container's cgroup, as far as more than the cgroup itself has to be known for it.

#![forbid(unsafe_code)]

use core::ffi::CStr;

use super::Context;
use super::state::State;
use crate::cgroup::{Cgroup, systemd};
use crate::error::{Errno, Error, Result};
use crate::host::{self, Cgroups};
use crate::plan::resources;
use crate::rootfs::Hierarchy;
use crate::sys::memory::{self, Growing};
use crate::sys::process::SIGKILL;
use crate::sys::shown;
use crate::warn;

/// The container's cgroup, as its state has it: where it is on this machine.
pub(super) fn cgroup_of<'a>(state: &State<'a>) -> Result<Cgroup<'a>> {
    let cgroups = if state.cgroup_path.is_empty() { Cgroups::None } else { host::cgroups_of_both()? };
    Cgroup::new(cgroups, state.cgroup_path)
}

/// Removes the container's cgroup, and its unit if systemd has made it. Whoever is still in there is killed first:
/// systemd would ask politely, and wait.
pub(super) fn remove_cgroup(context: &Context, cgroup: &Cgroup<'_>, unit: &str) -> Result<()> {
    if unit.is_empty() {
        return cgroup.remove();
    }
    let cgroup = cgroup.of_unit(unit)?;
    let killed = cgroup.kill_all(SIGKILL);
    let stopped = systemd::stop(&context.start, context.systemd_owner(), unit);
    cgroup.remove()?;
    warn_of(killed.and(stopped));
    Ok(())
}

/// Of what has not come to its end and yet is no more: systemd stops an empty unit by itself.
pub(super) fn warn_of(ended: Result<()>) {
    if let Err(error) = ended {
        warn!("{error}");
    }
}

/// Root of a user namespace may find that no cgroup is his. What nobody has asked for need not be there.
pub(super) fn can_do_without(plan: &resources::Cgroup<'_>, refusal: &Error) -> bool {
    let refused = [Errno::ACCESS, Errno::PERM, Errno::ROFS].into_iter().any(|errno| refusal.is(errno));
    if !refused || !host::in_user_namespace() {
        return false;
    }
    if !plan.limits.writes.is_empty() {
        warn!("{refusal}: linux.resources is ignored");
    }
    true
}

/// Where the container's cgroups are, for its `/sys/fs/cgroup`.
pub(super) fn hierarchies<'a>(cgroup: &Cgroup<'a>, plan: &resources::Cgroup<'_>) -> &'a [Hierarchy<'a>] {
    let mut list: Growing<'a, Hierarchy<'a>> = Growing::new();
    for place in cgroup.places() {
        let name = place.hierarchy.directory;
        let mut links: Growing<'a, &'a CStr> = Growing::new();
        let controllers = shown(name);
        // `cpu,cpuacct`: both words are links to it.
        for word in controllers.split(',').filter(|word| *word != controllers) {
            if let Some(link) = memory::cstr(word) {
                links.push(link);
            }
        }
        let path = match &plan.delegation {
            Some(delegation) if place.hierarchy.unified => place.below(delegation.below),
            _ => place.directory,
        };
        list.push(Hierarchy { name, path, links: links.finish() });
    }
    list.finish()
}
