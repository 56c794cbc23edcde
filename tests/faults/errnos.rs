//! What each call can give, as its manual page has it and as it makes sense here: neither EBADF and EFAULT, which are
//! mistakes of the caller, nor what only another kind of file gives, nor what says that something is gone.

#[allow(clippy::wildcard_imports)]
use nix::libc::*;

const FILES: &[i32] = &[ENOENT, EACCES, EPERM, EMFILE, ENFILE, ENOMEM, ELOOP, EIO, EINTR];
const NAMES: &[i32] = &[ENOENT, EEXIST, EACCES, EPERM, ENOSPC, EROFS, ENOMEM, EIO];
const MOUNTS: &[i32] = &[EPERM, EACCES, EINVAL, ENOMEM, ENOSPC, EBUSY, ENOENT, EIO];
const MESSAGES: &[i32] = &[ENOMEM, ECONNRESET, EINTR, EPERM];
/// Not EPIPE: then the other side is dead, and that is tried by itself.
const SENT: &[i32] = &[ENOMEM, ENOBUFS, EINTR, EPERM];

#[rustfmt::skip]
const TABLE: &[(&str, &[i32])] = &[
    ("bind", &[EADDRINUSE, EACCES, ENOMEM, EROFS, ENOSPC]),
    ("bpf", &[EPERM, EINVAL, ENOMEM, ENOSPC, E2BIG, ENOSYS]),
    ("capget", &[EPERM, ENOSYS]),
    ("capset", &[EPERM]),
    ("chdir", &[EACCES, ENOENT, EIO, ENOMEM, ENOTDIR, ELOOP]),
    ("chroot", &[EPERM, EIO]),
    ("clone", &[EAGAIN, ENOMEM, EPERM, ENOSPC]),
    ("clone3", &[EAGAIN, ENOMEM, EPERM, ENOSPC, EBUSY, ENOSYS, EINVAL, ENODEV, EUSERS]),
    // Whatever it says, the descriptor is closed.
    ("close", &[]),
    ("close_range", &[ENOSYS, EINVAL, EPERM]),
    ("connect", &[ECONNREFUSED, ENOENT, EACCES, EAGAIN, EINTR]),
    ("dup3", &[EBUSY, EINTR, EMFILE]),
    ("execve", &[ENOMEM, EACCES, ENOENT, E2BIG, EIO, ETXTBSY, ENOEXEC, EPERM, EAGAIN]),
    ("execveat", &[ENOMEM, EACCES, ENOSYS, EPERM, EIO]),
    ("faccessat", &[EACCES, ENOENT, EIO, ENOMEM, EROFS, ENOTDIR]),
    ("fchdir", &[EACCES, EIO]),
    ("fchmod", &[EPERM, EROFS, EIO]),
    ("fchmodat", &[EPERM, EROFS, EIO, ENOENT]),
    ("fchownat", &[EPERM, EROFS, EINVAL, EIO]),
    ("fcntl", &[EMFILE, EPERM, EINVAL]),
    ("fgetxattr", &[EPERM, EIO, ENOMEM, ERANGE]),
    ("flistxattr", &[EPERM, EIO, ENOMEM, EOPNOTSUPP]),
    ("flock", &[EINTR, ENOLCK]),
    ("fsconfig", &[EINVAL, ENOMEM, EPERM, EBUSY, EOPNOTSUPP]),
    ("fsetxattr", &[EPERM, EIO, ENOSPC, EOPNOTSUPP]),
    ("fsmount", &[EPERM, EMFILE, ENOMEM, EBUSY]),
    ("fsopen", &[EPERM, ENODEV, EMFILE, ENOMEM, ENOSYS]),
    ("fstat", &[ENOMEM, EIO]),
    ("getcwd", &[ENOENT, ENOMEM, ERANGE]),
    ("getdents64", &[EIO, ENOMEM, EPERM]),
    ("ioctl", &[ENOTTY, EIO, EPERM, EINVAL, ENOMEM, EMFILE, EINTR]),
    ("ioprio_set", &[EPERM, EINVAL, ESRCH]),
    ("keyctl", &[ENOSYS, EDQUOT, ENOMEM, EPERM, EACCES]),
    ("kill", &[EPERM, ESRCH]),
    ("memfd_create", &[ENOSYS, EMFILE, ENOMEM, EACCES, EINVAL]),
    ("mkdirat", NAMES),
    ("mknodat", NAMES),
    ("mmap", &[ENOMEM]),
    ("mount", MOUNTS),
    ("mount_setattr", &[EPERM, EINVAL, ENOMEM, EBUSY, ENOSYS]),
    ("move_mount", &[EPERM, EINVAL, ENOMEM, EBUSY, ELOOP, ENOSPC]),
    ("newfstatat", &[ENOENT, EACCES, ENOMEM, EIO]),
    ("open_tree", &[EPERM, EACCES, ENOENT, EMFILE, ENOMEM, ENOSPC, ENOSYS]),
    ("openat", FILES),
    ("openat2", &[ENOENT, EACCES, EMFILE, ENOMEM, ELOOP, EIO, EAGAIN, EXDEV, ENOSYS, EPERM]),
    ("personality", &[EINVAL, EPERM]),
    ("pidfd_getfd", &[EPERM, EMFILE, ESRCH]),
    ("pidfd_open", &[ESRCH, EMFILE, ENOMEM, ENOSYS, ENODEV]),
    ("pidfd_send_signal", &[EPERM, EAGAIN, ENOSYS]),
    ("pipe2", &[EMFILE, ENFILE]),
    ("pivot_root", &[EINVAL, EBUSY, EPERM]),
    ("poll", &[EINTR, ENOMEM]),
    ("prctl", &[EPERM, EINVAL, ENOMEM]),
    ("pread64", &[EIO, EINTR]),
    ("prlimit64", &[EPERM, EINVAL]),
    ("read", &[EIO, EINTR, ENOMEM, EAGAIN]),
    ("readlinkat", &[ENOENT, EACCES, EIO, ENOMEM]),
    ("recvfrom", MESSAGES),
    ("recvmsg", &[ENOMEM, ECONNRESET, EINTR, EAGAIN, EMFILE]),
    ("renameat", &[EACCES, ENOSPC, EROFS, EIO, ENOENT]),
    ("rmdir", &[EBUSY, EACCES, EPERM, EROFS, EIO]),
    ("rt_sigaction", &[]),
    ("rt_sigprocmask", &[]),
    ("rt_sigtimedwait", &[EINTR]),
    ("sched_setaffinity", &[EPERM, EINVAL]),
    ("sched_setattr", &[EPERM, EINVAL, EBUSY]),
    ("seccomp", &[EINVAL, EPERM, ENOMEM, ENOSYS, EACCES, EBUSY]),
    ("sendfile", &[EIO, ENOMEM, ENOSPC, EINTR]),
    ("sendmsg", SENT),
    ("sendto", SENT),
    ("set_mempolicy", &[EPERM, EINVAL, ENOMEM]),
    ("setdomainname", &[EPERM]),
    ("setgroups", &[EPERM, ENOMEM]),
    ("sethostname", &[EPERM]),
    ("setns", &[EPERM, EINVAL, ENOMEM, ESRCH, EUSERS]),
    ("setpriority", &[EACCES, EPERM, ESRCH]),
    ("setresgid", &[EPERM, EINVAL, EAGAIN]),
    ("setresuid", &[EPERM, EINVAL, EAGAIN]),
    ("setsid", &[EPERM]),
    ("signalfd4", &[EMFILE, ENOMEM, ENODEV]),
    ("socket", &[EMFILE, ENOMEM, EACCES, EAFNOSUPPORT, EPERM]),
    ("socketpair", &[EMFILE, ENOMEM]),
    ("statfs", &[EACCES, ENOSYS, EIO, EINTR]),
    ("symlinkat", &[ENOENT, EACCES, EPERM, ENOSPC, EROFS, ENOMEM, EIO]),
    ("umount2", &[EBUSY, EPERM, EINVAL, ENOMEM]),
    ("unlinkat", &[EACCES, EPERM, EROFS, EBUSY, EIO]),
    ("unshare", &[EPERM, ENOMEM, ENOSPC, EINVAL]),
    ("wait4", &[EINTR, ECHILD]),
    ("write", &[EIO, ENOSPC, EINVAL, EPERM, EACCES, EBUSY, ENOMEM, EINTR, EAGAIN]),
];

/// In place of a missing line: this list has to be complete, so it is a failure of the sweep.
pub fn of(name: &str) -> Option<&'static [i32]> {
    TABLE.iter().find(|(known, _)| *known == name).map(|(_, errnos)| *errnos)
}
