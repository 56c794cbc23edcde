//! Processes: making one, becoming another program, waiting, signals, limits.

use core::ffi::{CStr, c_char};

use linux_raw_sys::general::{
    __NR_clone3, __NR_execve, __NR_exit_group, __NR_getpid, __NR_kill, __NR_pidfd_open, __NR_pidfd_send_signal,
    __NR_prlimit64, __NR_rt_sigaction, __NR_rt_sigprocmask, __NR_rt_sigtimedwait, __NR_setsid, __NR_wait4,
    CLONE_PARENT, CLONE_PIDFD, SIG_SETMASK, WNOHANG,
};
pub use linux_raw_sys::general::{SIGCHLD, SIGKILL, SIGTERM};
use linux_raw_sys::prctl::PR_SET_CHILD_SUBREAPER;

use super::fd::{AsRawFd, RawFd};
use super::{BorrowedFd, Errno, OwnedFd, Result, arch, call, raw, retry};

/// exit_group(2).
pub fn exit(code: i32) -> ! {
    loop {
        // SAFETY: does not return.
        unsafe { arch::syscall6(__NR_exit_group as usize, code as usize, 0, 0, 0, 0, 0) };
    }
}

/// `struct clone_args` of clone3(2), up to `cgroup`.
#[derive(Default)]
#[repr(C)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const _: () = assert!(size_of::<CloneArgs>() == linux_raw_sys::general::CLONE_ARGS_SIZE_VER2 as usize);

impl CloneArgs {
    fn into_cgroup(mut self, cgroup: Option<BorrowedFd<'_>>) -> CloneArgs {
        if let Some(cgroup) = cgroup {
            self.flags |= linux_raw_sys::general::CLONE_INTO_CGROUP;
            self.cgroup = cgroup.as_raw_fd() as u64;
        }
        self
    }
}

/// The two sides of a clone.
pub enum Clone {
    /// We are the child.
    Child,
    /// We are the parent of this process.
    Parent { pid: i32, pidfd: OwnedFd },
}

/// clone3(2): a copy of this process with a descriptor of its own for the parent, in new namespaces (CLONE_NEW*),
/// born in a cgroup of v2 if one is given.
///
/// # Errors
/// The kernel's.
pub fn clone3(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Clone> {
    let mut pidfd: i32 = -1;
    let args = CloneArgs {
        flags: flags | u64::from(CLONE_PIDFD),
        pidfd: core::ptr::from_mut(&mut pidfd) as u64,
        exit_signal: u64::from(SIGCHLD),
        ..CloneArgs::default()
    }
    .into_cgroup(cgroup);
    let args = [core::ptr::from_ref(&args) as usize, size_of::<CloneArgs>(), 0, 0, 0, 0];
    // SAFETY: without CLONE_VM the child has a copy of all memory, this stack included; the kernel writes `pidfd`
    // before it returns. The program has one thread, so the copy is consistent.
    match unsafe { raw("clone3", __NR_clone3, args) }? {
        0 => Ok(Clone::Child),
        pid => Ok(Clone::Parent {
            pid: pid as i32,
            // SAFETY: the kernel just made it for us.
            pidfd: unsafe { OwnedFd::from_raw(core::ptr::read_volatile(&raw const pidfd)) },
        }),
    }
}

/// clone3(2) with CLONE_PARENT: the child is our parent's. Returns its pid, or 0 in the child.
///
/// # Errors
/// The kernel's.
pub fn clone3_sibling(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<i32> {
    let args = CloneArgs { flags: flags | u64::from(CLONE_PARENT), ..CloneArgs::default() }.into_cgroup(cgroup);
    let args = [core::ptr::from_ref(&args) as usize, size_of::<CloneArgs>(), 0, 0, 0, 0];
    // SAFETY: as in `clone3`, but the kernel writes nothing.
    unsafe { raw("clone3", __NR_clone3, args) }.map(|pid| pid as i32)
}

/// fork(2): a copy of this process with a descriptor of its own for the parent. By the old clone(2), for a seccomp filter
/// of the container may be in force already, and profiles refuse clone3(2), which they cannot look into.
///
/// # Errors
/// The kernel's.
pub fn fork() -> Result<Clone> {
    let mut pidfd: i32 = -1;
    let flags = (CLONE_PIDFD | SIGCHLD) as usize;
    let args = [flags, 0, core::ptr::from_mut(&mut pidfd) as usize, 0, 0, 0];
    // SAFETY: as in `clone3`; for this call the descriptor goes where the parent's thread id would.
    match unsafe { raw("clone", linux_raw_sys::general::__NR_clone, args) }? {
        0 => Ok(Clone::Child),
        pid => Ok(Clone::Parent {
            pid: pid as i32,
            // SAFETY: the kernel just made it for us.
            pidfd: unsafe { OwnedFd::from_raw(core::ptr::read_volatile(&raw const pidfd)) },
        }),
    }
}

/// What execve(2) takes: pointers to C strings with a null at the end, made before the clone.
pub struct Vector(&'static [*const c_char]);

impl Vector {
    /// Of strings that live as long as the process.
    #[must_use]
    pub fn new(strings: &[&'static CStr]) -> Vector {
        let pointers = super::memory::slice(strings.len() + 1, core::ptr::null());
        for (pointer, string) in pointers.iter_mut().zip(strings) {
            *pointer = string.as_ptr();
        }
        Vector(pointers)
    }
}

/// execve(2): returns only if it fails.
pub fn execve(path: &CStr, args: &Vector, env: &Vector) -> Errno {
    let args = [path.as_ptr() as usize, args.0.as_ptr() as usize, env.0.as_ptr() as usize, 0, 0, 0];
    // SAFETY: a string and two null-terminated vectors of strings.
    match unsafe { raw("execve", __NR_execve, args) } {
        Ok(_) => Errno::NOSYS,
        Err(errno) => errno,
    }
}

/// getpid(2).
#[must_use]
pub fn getpid() -> i32 {
    // SAFETY: takes nothing, cannot fail.
    unsafe { arch::syscall6(__NR_getpid as usize, 0, 0, 0, 0, 0, 0) as i32 }
}

/// geteuid(2).
#[must_use]
pub fn geteuid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// getegid(2).
#[must_use]
pub fn getegid() -> u32 {
    rustix::process::getegid().as_raw()
}

/// pidfd_open(2).
///
/// # Errors
/// ESRCH.
pub fn pidfd_open(pid: i32) -> Result<OwnedFd> {
    // SAFETY: takes numbers; the descriptor that it returns is ours.
    unsafe {
        raw("pidfd_open", __NR_pidfd_open, [pid as usize, 0, 0, 0, 0, 0]).map(|fd| OwnedFd::from_raw(fd as RawFd))
    }
}

/// pidfd_send_signal(2), any signal; 0 only asks whether the process is there.
///
/// # Errors
/// ESRCH, EPERM, EINVAL.
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: u32) -> Result<()> {
    let args = [pidfd.as_raw_fd() as usize, signal as usize, 0, 0, 0, 0];
    // SAFETY: a null siginfo means that of kill(2).
    unsafe { raw("pidfd_send_signal", __NR_pidfd_send_signal, args) }.map(drop)
}

/// kill(2); a negative number is that of a process group.
///
/// # Errors
/// ESRCH, EPERM.
pub fn kill(pid: i32, signal: u32) -> Result<()> {
    // SAFETY: takes numbers.
    unsafe { raw("kill", __NR_kill, [pid as usize, signal as usize, 0, 0, 0, 0]) }.map(drop)
}

/// How a child ended, as a shell would say it: its exit code, or 128 + the signal.
#[must_use]
pub fn exit_code(status: u32) -> i32 {
    let signal = status & 0x7f;
    if signal == 0 { ((status >> 8) & 0xff) as i32 } else { 128 + signal as i32 }
}

/// wait4(2): for one child, or any (-1). `None` if none has ended yet and `block` is false.
///
/// # Errors
/// ECHILD.
pub fn wait(pid: i32, block: bool) -> Result<Option<(i32, u32)>> {
    let mut status: u32 = 0;
    let options = if block { 0 } else { WNOHANG as usize };
    let pid = retry("wait4", || {
        let args = [pid as isize as usize, core::ptr::from_mut(&mut status) as usize, options, 0, 0, 0];
        // SAFETY: the kernel writes a status word; no usage is asked for.
        unsafe { raw("wait4", __NR_wait4, args) }
    })?;
    Ok((pid != 0).then_some((pid as i32, status)))
}

/// A set of signals, as the kernel has it: bit n - 1 is signal n.
pub type SignalSet = u64;

/// The set of one signal.
#[must_use]
pub const fn signal_set(signal: u32) -> SignalSet {
    1 << (signal - 1)
}

/// rt_sigprocmask(2), SIG_SETMASK: returns the old mask.
pub fn set_signal_mask(mask: SignalSet) -> SignalSet {
    let mut old: SignalSet = 0;
    let args = [
        SIG_SETMASK as usize,
        core::ptr::from_ref(&mask) as usize,
        core::ptr::from_mut(&mut old) as usize,
        size_of::<SignalSet>(),
        0,
        0,
    ];
    // SAFETY: the kernel reads one set and writes the other; with these arguments it cannot fail.
    let _ = unsafe { raw("rt_sigprocmask", __NR_rt_sigprocmask, args) };
    old
}

/// `struct kernel_sigaction` of the machine.
#[derive(Default)]
#[repr(C)]
struct SigAction {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: SignalSet,
}

/// rt_sigaction(2): the default action for a signal, whatever we inherited (a Go parent ignores SIGPIPE, nohup SIGHUP).
pub fn reset_signal(signal: u32) {
    let action = SigAction::default();
    let args = [signal as usize, core::ptr::from_ref(&action) as usize, 0, size_of::<SignalSet>(), 0, 0];
    // SAFETY: SIG_DFL installs no handler.
    let _ = unsafe { raw("rt_sigaction", __NR_rt_sigaction, args) };
}

/// Waits for a (blocked) signal of the set: rt_sigtimedwait(2) without time. Returns the signal and its sender.
///
/// # Errors
/// EINTR is waited through.
pub fn wait_signal(set: SignalSet) -> Result<u32> {
    retry("rt_sigtimedwait", || {
        let args = [core::ptr::from_ref(&set) as usize, 0, 0, size_of::<SignalSet>(), 0, 0];
        // SAFETY: the kernel reads the set; no siginfo and no timeout are passed.
        unsafe { raw("rt_sigtimedwait", __NR_rt_sigtimedwait, args) }
    })
    .map(|signal| signal as u32)
}

/// signalfd4(2): the blocked signals of the set become readable.
///
/// # Errors
/// EMFILE.
pub fn signalfd(set: SignalSet) -> Result<OwnedFd> {
    use linux_raw_sys::general::{__NR_signalfd4, O_CLOEXEC, O_NONBLOCK};
    let args = [
        usize::MAX,
        core::ptr::from_ref(&set) as usize,
        size_of::<SignalSet>(),
        (O_CLOEXEC | O_NONBLOCK) as usize,
        0,
        0,
    ];
    // SAFETY: the kernel reads the set; the descriptor that it returns is ours.
    unsafe { raw("signalfd4", __NR_signalfd4, args).map(|fd| OwnedFd::from_raw(fd as RawFd)) }
}

/// The next signal that a signalfd has; `None` if there is none now.
///
/// # Errors
/// The kernel's.
pub fn read_signal(signals: BorrowedFd<'_>) -> Result<Option<u32>> {
    // `struct signalfd_siginfo`, whose first word is the signal.
    let mut info = [0u8; 128];
    match super::file::read(signals, &mut info) {
        Err(Errno::AGAIN) => Ok(None),
        Ok(_) => Ok(Some(u32::from_ne_bytes([info[0], info[1], info[2], info[3]]))),
        Err(errno) => Err(errno),
    }
}

/// PR_SET_CHILD_SUBREAPER: orphans below us become our children.
///
/// # Errors
/// None in practice.
pub fn set_subreaper() -> Result<()> {
    let args = [PR_SET_CHILD_SUBREAPER as usize, 1, 0, 0, 0, 0];
    // SAFETY: takes numbers.
    unsafe { raw("prctl", linux_raw_sys::general::__NR_prctl, args) }.map(drop)
}

/// PR_SET_PDEATHSIG: the kernel kills us when our parent ends. False if it has ended already, by then.
#[must_use]
pub fn die_with(parent: i32) -> bool {
    let args = [linux_raw_sys::prctl::PR_SET_PDEATHSIG as usize, SIGKILL as usize, 0, 0, 0, 0];
    // SAFETY: takes numbers.
    let set = unsafe { raw("prctl", linux_raw_sys::general::__NR_prctl, args) };
    set.is_ok() && rustix::process::getppid().is_some_and(|pid| pid.as_raw_nonzero().get() == parent)
}

/// setsid(2).
///
/// # Errors
/// EPERM if we lead a process group already.
pub fn setsid() -> Result<()> {
    // SAFETY: takes nothing.
    unsafe { raw("setsid", __NR_setsid, [0; 6]) }.map(drop)
}

/// prlimit(2): sets a limit of this process.
///
/// # Errors
/// EPERM when raising a hard limit without CAP_SYS_RESOURCE, EINVAL when soft is above hard.
pub fn setrlimit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limits = [soft, hard];
    let args = [0, resource as usize, limits.as_ptr() as usize, 0, 0, 0];
    // SAFETY: the kernel reads a `rlimit64`.
    unsafe { raw("prlimit64", __NR_prlimit64, args) }.map(drop)
}

/// prlimit(2): (soft, hard) of this process.
///
/// # Errors
/// EINVAL.
pub fn getrlimit(resource: u32) -> Result<(u64, u64)> {
    let mut limits = [0u64; 2];
    let args = [0, resource as usize, 0, limits.as_mut_ptr() as usize, 0, 0];
    // SAFETY: the kernel writes a `rlimit64`.
    unsafe { raw("prlimit64", __NR_prlimit64, args) }.map(|_| (limits[0], limits[1]))
}

/// umask(2): returns the old one.
pub fn umask(mask: u32) -> u32 {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask)).as_raw_mode()
}

/// chdir(2).
///
/// # Errors
/// The kernel's.
pub fn chdir(path: &CStr) -> Result<()> {
    call("chdir", || rustix::process::chdir(path))
}

/// fchdir(2).
///
/// # Errors
/// The kernel's.
pub fn fchdir(dir: BorrowedFd<'_>) -> Result<()> {
    call("fchdir", || rustix::process::fchdir(dir))
}

/// chroot(2) to the current directory.
///
/// # Errors
/// EPERM.
pub fn chroot_to_cwd() -> Result<()> {
    call("chroot", || rustix::process::chroot(c"."))
}

/// getcwd(2): the path without its NUL, "(unreachable)..." if it is not below our root.
///
/// # Errors
/// ENOENT if it was removed, ERANGE if it does not fit.
pub fn getcwd(buffer: &mut [u8]) -> Result<&[u8]> {
    let args = [buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0, 0];
    // SAFETY: the kernel writes at most that many bytes.
    let n = unsafe { raw("getcwd", linux_raw_sys::general::__NR_getcwd, args) }?;
    Ok(&buffer[..n.saturating_sub(1)])
}
