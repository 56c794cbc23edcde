//! "Process": what runs in the container, and as whom. `exec --process` takes a document of this type, too.

use crate::json::{List, object};

object! {
    /// The container's first process, or one that is added.
    pub struct Process<'a> {
        terminal: Option<bool> = "terminal",
        console_size: Option<ConsoleSize> = "consoleSize",
        user: Option<User<'a>> = "user",
        /// The argument vector; its first word is what to execute.
        args: List<'a, &'a str> = "args",
        /// `NAME=value`.
        env: List<'a, &'a str> = "env",
        /// The working directory, absolute in the container.
        cwd: Option<&'a str> = "cwd",
        capabilities: Option<&'a Capabilities<'a>> = "capabilities",
        rlimits: List<'a, Rlimit<'a>> = "rlimits",
        no_new_privileges: Option<bool> = "noNewPrivileges",
        apparmor_profile: Option<&'a str> = "apparmorProfile",
        /// From -1000 to 1000.
        oom_score_adj: Option<i32> = "oomScoreAdj",
        scheduler: Option<&'a Scheduler<'a>> = "scheduler",
        selinux_label: Option<&'a str> = "selinuxLabel",
        io_priority: Option<IoPriority<'a>> = "ioPriority",
        exec_cpu_affinity: Option<ExecCpuAffinity<'a>> = "execCPUAffinity",
    }
}

object! {
    /// The terminal's size in characters.
    pub struct ConsoleSize {
        height: Option<u64> = "height",
        width: Option<u64> = "width",
    }
}

object! {
    /// "POSIX-platform User": ids as the container sees them.
    pub struct User<'a> {
        uid: Option<u32> = "uid",
        gid: Option<u32> = "gid",
        umask: Option<u32> = "umask",
        additional_gids: List<'a, u32> = "additionalGids",
    }
}

object! {
    /// The five sets; names as in capabilities(7), with `CAP_`.
    pub struct Capabilities<'a> {
        bounding: List<'a, &'a str> = "bounding",
        effective: List<'a, &'a str> = "effective",
        inheritable: List<'a, &'a str> = "inheritable",
        permitted: List<'a, &'a str> = "permitted",
        ambient: List<'a, &'a str> = "ambient",
    }
}

object! {
    /// A resource limit.
    pub struct Rlimit<'a> {
        /// As in getrlimit(2), with `RLIMIT_`.
        kind: Option<&'a str> = "type",
        /// In the unit of the resource; the largest number is no limit.
        soft: Option<u64> = "soft",
        hard: Option<u64> = "hard",
    }
}

object! {
    /// As in sched_setattr(2).
    pub struct Scheduler<'a> {
        policy: Option<&'a str> = "policy",
        nice: Option<i32> = "nice",
        priority: Option<i32> = "priority",
        flags: List<'a, &'a str> = "flags",
        /// Nanoseconds, as the next two.
        runtime: Option<u64> = "runtime",
        deadline: Option<u64> = "deadline",
        period: Option<u64> = "period",
    }
}

object! {
    /// As in ioprio_set(2).
    pub struct IoPriority<'a> {
        class: Option<&'a str> = "class",
        /// From 0, the highest, to 7.
        priority: Option<i32> = "priority",
    }
}

object! {
    /// Lists of processors for `exec`, as in `0-3,7`.
    pub struct ExecCpuAffinity<'a> {
        /// Before the process enters the container's cgroup.
        initial: Option<&'a str> = "initial",
        /// After it has.
        last: Option<&'a str> = "final",
    }
}
