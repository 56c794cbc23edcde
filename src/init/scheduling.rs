//! How the kernel is to treat the process while it runs.

use crate::error::{Context, Errno, Result};
use crate::plan::scheduling::{Affinity, Scheduling};
use crate::sys::sched;

/// What takes the host's privileges, even in a user namespace: its place among the others that want to run, or read and
/// write. 0 is the caller.
///
/// # Errors
/// The kernel's.
pub fn set_priorities(pid: i32, scheduling: &Scheduling<'_>) -> Result<()> {
    if let Some(attr) = scheduling.scheduler {
        sched::sched_setattr(pid, attr).context("sched_setattr", "process.scheduler").map_err(|error| {
            if error.is(Errno::PERM) {
                error.hint(
                    "it takes CAP_SYS_NICE, and real-time a cgroup with realtimeRuntime where the kernel has that",
                )
            } else {
                error
            }
        })?;
    }
    if let Some(priority) = scheduling.io_priority {
        sched::ioprio_set(pid, priority).context("ioprio_set", "process.ioPriority")?;
    }
    Ok(())
}

/// What a process can only say of itself.
pub(super) fn set_own(scheduling: &Scheduling<'_>) -> Result<()> {
    if let Some(policy) = scheduling.memory {
        sched::set_mempolicy(policy.mode, policy.nodes).context("set_mempolicy", "linux.memoryPolicy")?;
    }
    if let Some(domain) = scheduling.personality {
        sched::personality(domain).context("personality", "linux.personality")?;
    }
    Ok(())
}

/// Where a process of `exec` runs, now that it is in the container's cgroup. Where the caller may run says nothing
/// about the container, unless the config wants it to begin where it is told.
pub(super) fn set_affinity(affinity: &Affinity<'_>) -> Result<()> {
    match (affinity.initial, affinity.last) {
        (_, Some(last)) => {
            sched::sched_setaffinity(0, last).context("sched_setaffinity", "process.execCPUAffinity.final")
        }
        (Some(_), None) => Ok(()),
        (None, None) => sched::reset_affinity(0).context("sched_setaffinity", ""),
    }
}
