//! New limits for a container that exists. Only what is given is written; the kernel keeps the rest.

#![forbid(unsafe_code)]

use super::Context;
use super::process::Stat;
use super::state_dir::{Lock, StateDir};
use crate::cgroup::{Cgroup, systemd};
use crate::error::{Error, Result};
use crate::host::{self, Cgroups};
use crate::plan::resources::limits;
use crate::plan::systemd::properties;
use crate::resctrl;
use crate::spec::{Cpu, Memory, Resources};
use crate::sys::{self, memory};
use crate::warn;

/// Sets limits; `schemata` are lines for its class of service. Device rules are left alone on version 1: taking all away,
/// to give back what the rules name, would take it for good from the cgroups below.
///
/// # Errors
/// If there is no such container, it does not run, or a limit makes no sense or is refused.
pub fn update(context: &Context, id: &'static str, resources: &Resources<'_>, schemata: &str) -> Result<()> {
    let dir = StateDir::open(context, id, Lock::Shared)?;
    let state = dir.read_or_empty()?;
    let refused = |why| Error::says(format_args!("update container `{id}`: {why}"));
    let alive = state.pid > 0 && Stat::of(state.pid)?.is_some_and(|stat| stat.is_of(state.start_time));
    if !alive {
        return Err(refused("container not running"));
    }
    let group = match state.rdt.first() {
        None if !schemata.is_empty() => return Err(refused("its config has no linux.intelRdt")),
        group => group.filter(|_| !schemata.is_empty()),
    };
    // A class of service needs no cgroup.
    if state.cgroup_path.is_empty() && (group.is_none() || *resources != Resources::default()) {
        return Err(refused(super::NO_CGROUPS));
    }
    let cgroups = host::cgroups_of_both()?;
    let cgroup = Cgroup::new(cgroups, state.cgroup_path)?;
    let is_of_systemd = !state.systemd_scope.is_empty();
    let resources = Resources {
        devices: if matches!(cgroups, Cgroups::V2(_)) { resources.devices } else { Default::default() },
        memory: resources.memory.map(|memory| with_known_limit(*memory, &cgroups, &cgroup)).transpose()?,
        cpu: resources.cpu.map(|cpu| with_known_quota(*cpu, &cgroups, &cgroup, is_of_systemd)),
        ..*resources
    };
    let limits = limits(&resources, &cgroups).map_err(|error| error.doing("update"))?;
    let set_limits = || {
        if is_of_systemd {
            systemd::update(&context.start, context.systemd_owner(), state.systemd_scope, properties(limits.writes))?;
        }
        cgroup.update(&limits)
    };
    let Some(group) = group else { return set_limits() };
    // All or nothing.
    let before = resctrl::schemata(group)?;
    resctrl::write(group, schemata)?;
    set_limits().inspect_err(|_| {
        let _ = resctrl::write(group, before);
    })
}

/// Version 2 counts swap apart from memory, so it takes both to say what the container may use of them together.
fn with_known_limit<'a>(mut given: Memory, cgroups: &Cgroups<'_>, cgroup: &Cgroup<'_>) -> Result<&'a Memory> {
    if given.kernel.take().is_some() | given.kernel_tcp.take().is_some() {
        warn!("update: limits of kernel memory are gone from Linux, ignored");
    }
    if matches!(cgroups, Cgroups::V2(_)) {
        if given.check_before_update == Some(true)
            && let Some(limit) = given.limit.filter(|limit| *limit > 0)
            && let Some(used) = first_number(cgroup, "memory.current").filter(|used| limit < *used)
        {
            // Version 1 refuses by itself; version 2 would kill.
            return Err(Error::says(format_args!(
                "update linux.resources.memory.limit: {limit} is less than what is used, {used}"
            )));
        }
        let swap_alone = given.swap.is_some_and(|swap| swap > 0) && given.limit.is_none_or(|limit| limit == 0);
        if swap_alone {
            given.limit = first_number(cgroup, "memory.max");
        }
    }
    Ok(memory::keep(given))
}

/// Version 2 has period and quota in one file, and takes a quota without a period, but not the other way round.
fn with_known_quota<'a>(
    mut given: Cpu<'a>,
    cgroups: &Cgroups<'_>,
    cgroup: &Cgroup<'_>,
    is_of_systemd: bool,
) -> &'a Cpu<'a> {
    if matches!(cgroups, Cgroups::V2(_)) {
        if given.period.is_some() && given.quota.is_none() {
            given.quota = first_number(cgroup, "cpu.max");
        }
        // The kernel keeps it by itself, but systemd is told both.
        if is_of_systemd && given.quota.is_some() && given.period.is_none() {
            given.period = number(cgroup, "cpu.max", 1).and_then(|period| period.try_into().ok());
        }
    }
    memory::keep(given)
}

/// The first word of a file of version 2, if it is a number.
fn first_number(cgroup: &Cgroup<'_>, file: &str) -> Option<i64> {
    number(cgroup, file, 0)
}

fn number(cgroup: &Cgroup<'_>, file: &str, word: usize) -> Option<i64> {
    let mut buffer = [0; 64];
    sys::natural(cgroup.read(file, &mut buffer).ok()?.split_ascii_whitespace().nth(word)?)
}
