//! "Seccomp": names as in libseccomp.

use crate::json::{List, object};

object! {
    /// Which system calls may be made.
    pub struct Seccomp<'a> {
        default_action: Option<&'a str> = "defaultAction",
        default_errno_ret: Option<u32> = "defaultErrnoRet",
        /// `SCMP_ARCH_...`; absent: the machine's own.
        architectures: List<'a, &'a str> = "architectures",
        /// Absent and empty may differ: runtimes have defaults.
        flags: Option<List<'a, &'a str>> = "flags",
        /// The socket that gets the descriptor for `SCMP_ACT_NOTIFY`.
        listener_path: Option<&'a str> = "listenerPath",
        listener_metadata: Option<&'a str> = "listenerMetadata",
        syscalls: List<'a, Syscall<'a>> = "syscalls",
    }
}

object! {
    /// A rule: some calls, perhaps only with some arguments, and what happens to them.
    pub struct Syscall<'a> {
        names: List<'a, &'a str> = "names",
        action: Option<&'a str> = "action",
        errno_ret: Option<u32> = "errnoRet",
        /// All of them have to fit.
        args: List<'a, SyscallArg<'a>> = "args",
    }
}

object! {
    /// A condition on an argument.
    pub struct SyscallArg<'a> {
        /// From 0 to 5.
        index: Option<u32> = "index",
        value: Option<u64> = "value",
        /// What the masked argument has to be, for `SCMP_CMP_MASKED_EQ`, where `value` is the mask.
        value_two: Option<u64> = "valueTwo",
        op: Option<&'a str> = "op",
    }
}
