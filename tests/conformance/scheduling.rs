//! How the kernel treats the container's processes: scheduling, input and output, memory nodes, personality, and the
//! clocks of a time namespace.

use jzon::object;

use crate::case;
use crate::support::{Case, Container, Kind, Need, Ran, Sandbox, read};

pub fn cases() -> Vec<Case> {
    const OLD: &str = "crun 1.8 and runc 1.1 do not know the field";
    vec![
        case!(nice_and_policy).isopod_only(OLD),
        case!(real_time_and_flags).isopod_only(OLD),
        case!(a_deadline).isopod_only(OLD),
        case!(a_deadline_that_cannot_be_is_refused).isopod_only(OLD),
        case!(scheduler_in_a_user_namespace).isopod_only(OLD).needs(&[Need::UserNamespaces]),
        case!(scheduler_of_exec).isopod_only(OLD),
        case!(io_priority).isopod_only(OLD),
        case!(affinity_is_not_the_callers),
        case!(affinity_of_exec).isopod_only(OLD).needs(&[Need::Processors(2)]),
        case!(memory_policy).isopod_only(OLD),
        case!(memory_policy_of_exec).isopod_only(OLD),
        case!(memory_nodes_that_are_not_there).isopod_only(OLD),
        case!(personality_is_that_of_32_bits).differs(Kind::Runc, OLD),
        case!(time_namespace_is_new).isopod_only(OLD),
        case!(clocks_are_moved).isopod_only(OLD),
        case!(clocks_are_moved_in_a_user_namespace).isopod_only(OLD).needs(&[Need::UserNamespaces]),
        case!(clock_below_zero_is_refused),
        case!(time_namespace_is_joined).isopod_only(OLD),
        case!(exec_is_in_the_time_namespace).isopod_only(OLD),
    ]
}

/// Nice value, real-time priority and policy of process 1: fields 19, 40 and 41 of proc_pid_stat(5).
const STAT: &str = "cut -d')' -f2 /proc/1/stat | cut -d' ' -f18,39,40";

fn nice_and_policy(t: &Sandbox) {
    for (policy, nice, expected) in
        [("SCHED_OTHER", 7, "7 0 0"), ("SCHED_BATCH", -3, "-3 0 3"), ("SCHED_IDLE", 0, "0 0 5")]
    {
        let mut c = t.container();
        c.config["process"]["scheduler"] = object! { policy: policy, nice: nice };
        assert_eq!(c.out(STAT), expected, "{policy}");
    }
}

/// In no cgroup of its own, for one of version 1 may have no time for such processes.
fn real_time_and_flags(t: &Sandbox) {
    for (policy, priority, expected) in [("SCHED_FIFO", 5, "0 5 1"), ("SCHED_RR", 99, "0 99 2")] {
        let mut c = t.container();
        c.without_mount("/sys/fs/cgroup");
        c.config["process"]["scheduler"] =
            object! { policy: policy, priority: priority, flags: ["SCHED_FLAG_RESET_ON_FORK"] };
        // What it forks has the usual policy again.
        let script = format!("{STAT}; cut -d')' -f2 /proc/self/stat | cut -d' ' -f40");
        let ran = without_cgroups(t, c.sh(&script));
        assert_eq!(ran.ok(), format!("{expected}\n0"), "{policy}");
    }
}

/// `run` with the cgroups left alone.
fn without_cgroups(t: &Sandbox, c: &Container) -> Ran {
    let mut command = t.command(&["--cgroup-manager=disabled", "run", "--bundle"]);
    command.arg(&c.write_config().bundle).arg(&c.id);
    t.spawn(&mut command).wait()
}

fn a_deadline(t: &Sandbox) {
    let mut c = t.container();
    c.without_mount("/sys/fs/cgroup");
    c.config["process"]["scheduler"] = object! { policy: "SCHED_DEADLINE", runtime: 10_000_000, deadline: 50_000_000, period: 100_000_000,
    flags: ["SCHED_FLAG_RESET_ON_FORK"] };
    let out = without_cgroups(t, c.sh(STAT)).ok();
    assert!(out.starts_with("0 0 6"), "{out}");
}

fn a_deadline_that_cannot_be_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.config["process"]["scheduler"] = object! { policy: "SCHED_DEADLINE", runtime: 2_000_000, deadline: 1_000_000 };
    c.run().fails(&["process.scheduler.runtime: must be <= `deadline`"]);
}

fn scheduler_in_a_user_namespace(t: &Sandbox) {
    let mut c = t.container();
    c.with_user_namespace();
    c.config["process"]["scheduler"] = object! { policy: "SCHED_OTHER", nice: -5 };
    c.config["process"]["ioPriority"] = object! { "class": "IOPRIO_CLASS_RT", priority: 3 };
    assert_eq!(c.out(&format!("{STAT}; ionice -p 1")), "-5 0 0\nrealtime: prio 3");
}

fn scheduler_of_exec(t: &Sandbox) {
    let mut c = t.container();
    c.config["process"]["scheduler"] = object! { policy: "SCHED_BATCH", nice: 4 };
    c.config["process"]["ioPriority"] = object! { "class": "IOPRIO_CLASS_IDLE", priority: 0 };
    c.started();
    let own = STAT.replace("/proc/1/", "/proc/$$/");
    assert_eq!(c.exec_out(&[], &format!("{own}; ionice -p $$")), "4 0 3\nidle");
}

fn io_priority(t: &Sandbox) {
    for (class, priority, expected) in [
        ("IOPRIO_CLASS_BE", 6, "best-effort: prio 6"),
        ("IOPRIO_CLASS_IDLE", 0, "idle"),
        ("IOPRIO_CLASS_RT", 1, "realtime: prio 1"),
    ] {
        let mut c = t.container();
        c.config["process"]["ioPriority"] = object! { "class": class, priority: priority };
        assert_eq!(c.out("ionice -p 1"), expected);
    }
}

const ALLOWED: &str = "sed -n 's/^Cpus_allowed_list:\t//p' /proc/self/status";

fn affinity_is_not_the_callers(t: &Sandbox) {
    let all = read("/proc/self/status");
    let all = all.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:\t")).expect("a list").to_owned();
    assert_eq!(t.container().out(ALLOWED), all);
}

fn affinity_of_exec(t: &Sandbox) {
    for (affinity, expected) in [
        (object! { initial: "0", final: "1" }, "1"),
        (object! { final: "0" }, "0"),
        (object! { initial: "0-1", final: "0-1" }, "0-1"),
    ] {
        let mut c = t.container();
        c.config["process"]["execCPUAffinity"] = affinity;
        c.started();
        assert_eq!(c.exec_out(&[], ALLOWED), expected);
        // The container's own process is not meant.
        assert_ne!(c.exec_out(&[], &ALLOWED.replace("self", "1")), "1");
    }
    let mut c = t.container();
    c.config["process"]["execCPUAffinity"] = object! { final: "4000" };
    c.started();
    c.exec(&[], &["true"]).fails(&["process.execCPUAffinity.final", "nvalid argument"]);
}

/// The mode of the first mapping that there is: the policy of the process.
const POLICY: &str = "head -n1 /proc/self/numa_maps | cut -d' ' -f2";

fn memory_policy(t: &Sandbox) {
    for (policy, expected) in [
        (object! { mode: "MPOL_BIND", nodes: "0" }, "bind:0"),
        (object! { mode: "MPOL_INTERLEAVE", nodes: "0", flags: ["MPOL_F_STATIC_NODES"] }, "interleave=static:0"),
        (object! { mode: "MPOL_LOCAL" }, "local"),
        (object! { mode: "MPOL_DEFAULT", nodes: "" }, "default"),
        (object! { mode: "MPOL_PREFERRED", nodes: "0" }, "prefer:0"),
    ] {
        let mut c = t.container();
        c.config["linux"]["memoryPolicy"] = policy;
        assert_eq!(c.out(POLICY), expected);
    }
}

fn memory_policy_of_exec(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["memoryPolicy"] = object! { mode: "MPOL_BIND", nodes: "0" };
    c.started();
    assert_eq!(c.exec_out(&[], POLICY), "bind:0");
}

fn memory_nodes_that_are_not_there(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["memoryPolicy"] = object! { mode: "MPOL_BIND", nodes: "1000" };
    c.run().fails(&["set_mempolicy linux.memoryPolicy", "nvalid argument"]);
}

fn personality_is_that_of_32_bits(t: &Sandbox) {
    let mut c = t.container();
    assert_eq!(c.out("uname -m"), "x86_64");
    c.config["linux"]["personality"] = object! { domain: "LINUX32" };
    c.started();
    assert_eq!(c.exec_out(&[], "uname -m; cat /proc/1/personality"), "i686\n00000008");
}

fn time_namespace_is_new(t: &Sandbox) {
    let mut c = t.container();
    let own = std::fs::read_link("/proc/self/ns/time").expect("time");
    let inside = c.namespace("time").out("readlink /proc/self/ns/time");
    assert!(inside.starts_with("time:[") && inside != own.to_string_lossy(), "{inside}");
}

/// Seconds since the start of the machine, as the container sees them.
fn uptime(text: &str) -> f64 {
    text.split_whitespace().next().expect("a number").parse().expect("seconds")
}

fn clocks_are_moved(t: &Sandbox) {
    let mut c = t.container();
    moved_clocks(c.namespace("time"));
}

fn clocks_are_moved_in_a_user_namespace(t: &Sandbox) {
    let mut c = t.container();
    moved_clocks(c.with_user_namespace().namespace("time"));
}

fn moved_clocks(c: &mut Container) {
    const DAY: f64 = 86400.0;
    c.config["linux"]["timeOffsets"] = object! {
        boottime: object! { secs: 86400, nanosecs: 500_000_000 }, monotonic: object! { secs: 3600 }
    };
    let before = uptime(&read("/proc/uptime"));
    let out = c.out("cat /proc/uptime /proc/self/timens_offsets");
    let after = uptime(&read("/proc/uptime"));
    assert!((before + DAY..after + DAY + 1.0).contains(&uptime(&out)), "{before} {out} {after}");
    let words: Vec<&str> = out.split_whitespace().skip(2).collect();
    assert_eq!(words, ["monotonic", "3600", "0", "boottime", "86400", "500000000"]);
}

fn clock_below_zero_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.namespace("time");
    c.config["linux"]["timeOffsets"] = object! { boottime: object! { secs: -1_000_000_000_000i64 } };
    c.run().is_refused();
}

fn time_namespace_is_joined(t: &Sandbox) {
    let mut first = t.container();
    first.namespace("time").config["linux"]["timeOffsets"] = object! { boottime: object! { secs: 100_000 } };
    let pid = first.started();
    let mut second = t.container();
    second.join("time", &format!("/proc/{pid}/ns/time"));
    let theirs = std::fs::read_link(format!("/proc/{pid}/ns/time")).expect("time");
    let out = second.out("readlink /proc/self/ns/time; cat /proc/uptime");
    let (namespace, seconds) = out.split_once('\n').expect("two lines");
    assert_eq!(namespace, theirs.to_string_lossy());
    assert!(uptime(seconds) > 100_000.0, "{seconds}");
}

fn exec_is_in_the_time_namespace(t: &Sandbox) {
    let mut c = t.container();
    c.namespace("time").config["linux"]["timeOffsets"] = object! { boottime: object! { secs: 100_000 } };
    let pid = c.started();
    let theirs = std::fs::read_link(format!("/proc/{pid}/ns/time")).expect("time");
    assert_eq!(c.exec_out(&[], "readlink /proc/self/ns/time"), theirs.to_string_lossy());
    assert!(uptime(&c.exec_out(&[], "cat /proc/uptime")) > 100_000.0);
}
