//! How the kernel treats a process while it runs: scheduling, input and output, processors, memory nodes, personality.

use linux_raw_sys::general::{
    __NR_ioprio_set, __NR_personality, __NR_sched_setaffinity, __NR_sched_setattr, __NR_set_mempolicy,
};

use super::{Result, raw};

/// `struct sched_attr` of sched_setattr(2), with the two words of Linux 5.3.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct SchedAttr {
    /// Set by `sched_setattr`.
    pub size: u32,
    /// SCHED_*.
    pub policy: u32,
    /// SCHED_FLAG_*.
    pub flags: u64,
    /// For SCHED_OTHER and SCHED_BATCH.
    pub nice: i32,
    /// For SCHED_FIFO and SCHED_RR.
    pub priority: u32,
    /// Nanoseconds, as the next two, for SCHED_DEADLINE.
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
    /// For SCHED_FLAG_UTIL_CLAMP_*.
    pub util_min: u32,
    pub util_max: u32,
}

const _: () = assert!(size_of::<SchedAttr>() == 56);

/// sched_setattr(2) of a process; 0 is the caller.
///
/// # Errors
/// EPERM without CAP_SYS_NICE, EINVAL for values that do not fit together, EBUSY without bandwidth for a deadline.
pub fn sched_setattr(pid: i32, attr: SchedAttr) -> Result<()> {
    let attr = SchedAttr { size: size_of::<SchedAttr>() as u32, ..attr };
    // SAFETY: the kernel reads a struct of the size that it says.
    unsafe { raw("sched_setattr", __NR_sched_setattr, [pid as usize, &raw const attr as usize, 0, 0, 0, 0]) }.map(drop)
}

/// sched_setaffinity(2) of a process; 0 is the caller. A bit each for the processors.
///
/// # Errors
/// EINVAL if none of them is there for the process.
pub fn sched_setaffinity(pid: i32, processors: &[u64]) -> Result<()> {
    let args = [pid as usize, size_of_val(processors), processors.as_ptr() as usize, 0, 0, 0];
    // SAFETY: the kernel reads that many bytes.
    unsafe { raw("sched_setaffinity", __NR_sched_setaffinity, args) }.map(drop)
}

/// Lets the process run on every processor that its cpuset allows.
///
/// # Errors
/// EINVAL if it may run on none.
pub fn reset_affinity(pid: i32) -> Result<()> {
    // The kernel takes as many bits as it has processors, and ignores the rest.
    sched_setaffinity(pid, &[u64::MAX; 128])
}

/// ioprio_set(2) of a process; 0 is the caller. The class is in the bits from 13 on.
///
/// # Errors
/// EPERM for the real-time class without CAP_SYS_ADMIN or CAP_SYS_NICE.
pub fn ioprio_set(pid: i32, priority: u32) -> Result<()> {
    const IOPRIO_WHO_PROCESS: usize = 1;
    let args = [IOPRIO_WHO_PROCESS, pid as usize, priority as usize, 0, 0, 0];
    // SAFETY: takes numbers.
    unsafe { raw("ioprio_set", __NR_ioprio_set, args) }.map(drop)
}

/// set_mempolicy(2): MPOL_* with MPOL_F_*, and a bit each for the nodes.
///
/// # Errors
/// EINVAL for a mode that does not go with its nodes or flags, or nodes that are not there.
pub fn set_mempolicy(mode: u32, nodes: &[u64]) -> Result<()> {
    // The kernel takes one bit less than it is told.
    let bits = nodes.len() * 64 + 1;
    // SAFETY: the kernel reads that many bits.
    unsafe { raw("set_mempolicy", __NR_set_mempolicy, [mode as usize, nodes.as_ptr() as usize, bits, 0, 0, 0]) }
        .map(drop)
}

/// personality(2).
///
/// # Errors
/// None in practice.
pub fn personality(domain: u32) -> Result<()> {
    // SAFETY: takes a number.
    unsafe { raw("personality", __NR_personality, [domain as usize, 0, 0, 0, 0, 0]) }.map(drop)
}
