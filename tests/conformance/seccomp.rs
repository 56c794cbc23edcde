//! The seccomp filter, as the program inside meets it.

use jzon::{JsonValue, array, object};

use crate::case;
use crate::support::{Case, Container, Kind, Need, Sandbox};

const DOCKER: &str = include_str!("../seccomp/profiles/docker.json");

pub fn cases() -> Vec<Case> {
    vec![
        case!(no_filter_without_a_profile),
        case!(filter_is_in_force),
        case!(errno_is_the_profiles),
        case!(errno_is_eperm_unless_said),
        case!(kill_ends_with_sigsys),
        case!(kill_thread_and_kill_process_differ).needs(&[Need::Probe]),
        case!(trap_is_a_signal_too),
        case!(log_lets_pass),
        case!(arguments_decide),
        case!(masked_arguments_decide),
        case!(repeated_argument_means_or),
        case!(first_rule_without_arguments_counts),
        case!(default_action_is_for_all_others),
        case!(docker_profile_with_and_without_new_privileges),
        case!(filter_of_a_user_without_capabilities),
        case!(exec_is_filtered_too),
        case!(unknown_names_are_ignored),
        case!(unknown_names_fail_if_wanted).differs(Kind::Runc, "has no such annotation"),
        case!(flags_are_accepted).differs(Kind::Runc, "1.1.5 knows fewer flags"),
        case!(raw_filter_of_an_annotation).differs(Kind::Runc, "has no such annotation"),
        case!(errno_with_an_action_that_takes_none).differs(Kind::Runc, "1.1 takes and ignores it"),
        case!(mistakes_are_refused_with_their_path).isopod_only("say less about where"),
        case!(trace_without_a_tracer_is_enosys),
        case!(trace_tells_the_tracer).needs(&[Need::Probe]),
    ]
}

/// A profile that allows everything but what the rules say.
fn with_rules(c: &mut Container, rules: JsonValue) {
    c.config["linux"]["seccomp"] = object! {
        defaultAction: "SCMP_ACT_ALLOW",
        architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        syscalls: rules,
    };
}

/// What one call of busybox prints and ends with, if mkdir(2) is treated like this.
fn mkdir(c: &mut Container, rule: &JsonValue) -> (i32, String) {
    let mut rule = rule.clone();
    rule["names"] = array!["mkdir", "mkdirat"];
    with_rules(c, array![rule]);
    let ran = c.args(&["/bin/mkdir", "/dev/shm/x"]).run();
    (ran.code, ran.stderr())
}

fn no_filter_without_a_profile(t: &Sandbox) {
    assert_eq!(t.container().out("grep ^Seccomp: /proc/self/status"), "Seccomp:\t0");
}

fn filter_is_in_force(t: &Sandbox) {
    let mut c = t.container();
    with_rules(&mut c, array![]);
    for no_new_privileges in [true, false] {
        c.config["process"]["noNewPrivileges"] = no_new_privileges.into();
        assert_eq!(c.out("grep ^Seccomp: /proc/self/status"), "Seccomp:\t2");
    }
}

fn errno_is_the_profiles(t: &Sandbox) {
    let (code, message) = mkdir(&mut t.container(), &object! { action: "SCMP_ACT_ERRNO", errnoRet: 28 });
    assert_eq!(code, 1);
    assert!(message.contains("No space left on device"), "{message}");
}

fn errno_is_eperm_unless_said(t: &Sandbox) {
    let (code, message) = mkdir(&mut t.container(), &object! { action: "SCMP_ACT_ERRNO" });
    assert_eq!(code, 1);
    assert!(message.contains("Operation not permitted"), "{message}");
}

fn kill_ends_with_sigsys(t: &Sandbox) {
    for action in ["SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS"] {
        assert_eq!(mkdir(&mut t.container(), &object! { action: action }).0, 128 + 31, "{action}");
    }
}

fn kill_thread_and_kill_process_differ(t: &Sandbox) {
    for (action, code, said) in [("SCMP_ACT_KILL_THREAD", 0, "alive\n"), ("SCMP_ACT_KILL_PROCESS", 128 + 31, "")] {
        let mut c = t.container();
        with_rules(&mut c, array![object! { names: ["mkdir", "mkdirat"], action: action }]);
        let ran = c.probe("threads").run();
        assert_eq!((ran.code, ran.stdout().as_str()), (code, said), "{action}");
    }
}

fn trap_is_a_signal_too(t: &Sandbox) {
    let mut c = t.container();
    with_rules(&mut c, array![object! { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_TRAP" }]);
    // Process 1 of a pid namespace ignores it; a child does not.
    assert_eq!(c.sh("mkdir /dev/shm/x; echo $?").run().ok(), "159");
}

fn log_lets_pass(t: &Sandbox) {
    assert_eq!(mkdir(&mut t.container(), &object! { action: "SCMP_ACT_LOG" }).0, 0);
}

/// chmod with some modes is refused.
fn refused_modes(c: &mut Container, args: &JsonValue) -> String {
    with_rules(c, array![object! { names: ["chmod"], action: "SCMP_ACT_ERRNO", args: args.clone() }]);
    let modes =
        "for mode in 0600 0640 0700 0755 4755; do chmod $mode /dev/shm/x 2>/dev/null || echo -n \"$mode \"; done";
    c.out(&format!("touch /dev/shm/x; {modes}"))
}

fn arguments_decide(t: &Sandbox) {
    let mut c = t.container();
    let mode = |op: &str, value: u32| array![object! { index: 1, op: op, value: value }];
    assert_eq!(refused_modes(&mut c, &mode("SCMP_CMP_EQ", 0o700)).trim(), "0700");
    assert_eq!(refused_modes(&mut c, &mode("SCMP_CMP_NE", 0o700)).trim(), "0600 0640 0755 4755");
    assert_eq!(refused_modes(&mut c, &mode("SCMP_CMP_GT", 0o700)).trim(), "0755 4755");
    assert_eq!(refused_modes(&mut c, &mode("SCMP_CMP_GE", 0o700)).trim(), "0700 0755 4755");
    assert_eq!(refused_modes(&mut c, &mode("SCMP_CMP_LT", 0o640)).trim(), "0600");
    assert_eq!(refused_modes(&mut c, &mode("SCMP_CMP_LE", 0o640)).trim(), "0600 0640");
}

fn masked_arguments_decide(t: &Sandbox) {
    let mut c = t.container();
    let args = array![object! { index: 1, op: "SCMP_CMP_MASKED_EQ", value: 0o4000, valueTwo: 0o4000 }];
    assert_eq!(refused_modes(&mut c, &args).trim(), "4755");
}

fn repeated_argument_means_or(t: &Sandbox) {
    let mut c = t.container();
    let is = |value: u32| object! { index: 1, op: "SCMP_CMP_EQ", value: value };
    assert_eq!(refused_modes(&mut c, &array![is(0o700), is(0o600)]).trim(), "0600 0700");
}

fn first_rule_without_arguments_counts(t: &Sandbox) {
    let mut c = t.container();
    let rule = |errno: u32| object! { names: ["mkdir"], action: "SCMP_ACT_ERRNO", errnoRet: errno };
    with_rules(&mut c, array![rule(28), rule(17)]);
    let message = c.args(&["/bin/mkdir", "/dev/shm/x"]).run().stderr();
    assert!(message.contains("No space left"), "{message}");
}

fn default_action_is_for_all_others(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["seccomp"] = jzon::parse(DOCKER).expect("a profile");
    // It would have the privilege, and the path is none.
    c.capabilities(&["CAP_SYS_ADMIN"]);
    let message = c.args(&["/bin/umount", "/none"]).run().stderr();
    assert!(message.contains("Operation not permitted"), "{message}");
}

fn docker_profile_with_and_without_new_privileges(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["seccomp"] = jzon::parse(DOCKER).expect("a profile");
    for no_new_privileges in [true, false] {
        c.config["process"]["noNewPrivileges"] = no_new_privileges.into();
        assert_eq!(c.out("mkdir /dev/shm/x && ls /dev/shm && grep ^Seccomp: /proc/self/status"), "x\nSeccomp:\t2");
    }
}

fn filter_of_a_user_without_capabilities(t: &Sandbox) {
    let mut c = t.container();
    with_rules(&mut c, array![object! { names: ["mkdir"], action: "SCMP_ACT_ERRNO" }]);
    c.as_user(1000, 1000).capabilities(&[]);
    for no_new_privileges in [true, false] {
        c.config["process"]["noNewPrivileges"] = no_new_privileges.into();
        assert_eq!(c.out("grep -E '^(Seccomp|CapPrm):' /proc/self/status"), "CapPrm:\t0000000000000000\nSeccomp:\t2");
    }
}

fn unknown_names_are_ignored(t: &Sandbox) {
    let mut c = t.container();
    with_rules(&mut c, array![object! { names: ["nonsense", "mkdir"], action: "SCMP_ACT_ERRNO" }]);
    assert_eq!(c.args(&["/bin/mkdir", "/dev/shm/x"]).run().code, 1);
}

fn unknown_names_fail_if_wanted(t: &Sandbox) {
    let mut c = t.container();
    with_rules(&mut c, array![object! { names: ["nonsense"], action: "SCMP_ACT_ERRNO" }]);
    c.config["annotations"] = object! { "run.oci.seccomp_fail_unknown_syscall": "1" };
    let ran = c.sh("true").run();
    assert_ne!(ran.code, 0);
    assert!(ran.stderr().contains("invalid seccomp syscall `nonsense`"), "{ran}");
}

fn flags_are_accepted(t: &Sandbox) {
    let mut c = t.container();
    with_rules(&mut c, array![]);
    for flags in [
        array![],
        array!["SECCOMP_FILTER_FLAG_LOG"],
        array!["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
    ] {
        c.config["linux"]["seccomp"]["flags"] = flags;
        assert_eq!(c.out("grep ^Seccomp: /proc/self/status"), "Seccomp:\t2");
    }
}

/// Allows everything, in one instruction.
fn raw_filter_of_an_annotation(t: &Sandbox) {
    let mut c = t.container();
    with_rules(&mut c, array![object! { names: ["mkdir"], action: "SCMP_ACT_ERRNO" }]);
    c.config["annotations"] = object! { "run.oci.seccomp_bpf_data": "BgAAAAAA/38=" };
    assert_eq!(c.out("mkdir /dev/shm/x && grep ^Seccomp: /proc/self/status"), "Seccomp:\t2");
}

fn errno_with_an_action_that_takes_none(t: &Sandbox) {
    let mut c = t.container();
    with_rules(&mut c, array![object! { names: ["mkdir"], action: "SCMP_ACT_KILL", errnoRet: 3 }]);
    let ran = c.sh("true").run();
    assert_ne!(ran.code, 0);
    assert!(ran.stderr().contains("errno value specified for"), "{ran}");
}

fn mistakes_are_refused_with_their_path(t: &Sandbox) {
    let mut c = t.container();
    with_rules(&mut c, array![object! { names: ["mkdir"], action: "SCMP_ACT_ERRNO", args: [{ index: 0, value: 1 }] }]);
    for (op, words) in [
        ("EQ", "config.json linux.seccomp.syscalls[0].args[0].op: unknown operator \"EQ\""),
        ("SCMP_CMP_XY", "config.json linux.seccomp.syscalls[0].args[0].op: unknown operator \"SCMP_CMP_XY\""),
    ] {
        c.config["linux"]["seccomp"]["syscalls"][0]["args"][0]["op"] = op.into();
        let ran = c.sh("true").run();
        assert_ne!(ran.code, 0);
        assert!(ran.stderr().contains(words), "{ran}");
    }
}

fn trace_without_a_tracer_is_enosys(t: &Sandbox) {
    let (code, message) = mkdir(&mut t.container(), &object! { action: "SCMP_ACT_TRACE", errnoRet: 7 });
    assert_eq!(code, 1);
    assert!(message.contains("Function not implemented"), "{message}");
}

/// errnoRet is the number that the tracer is told.
fn trace_tells_the_tracer(t: &Sandbox) {
    let mut c = t.container();
    with_rules(&mut c, array![object! { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_TRACE", errnoRet: 7 }]);
    assert_eq!(c.probe("trace").run().ok(), "number=7 exit=0");
}

/// With and without new privileges, as the container's own process.
fn exec_is_filtered_too(t: &Sandbox) {
    for no_new_privileges in [false, true] {
        let mut c = t.container();
        with_rules(&mut c, array![object! { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 28 }]);
        c.config["process"]["noNewPrivileges"] = no_new_privileges.into();
        c.started();
        let status = c.exec(&[], &["sh", "-c", "grep Seccomp: /proc/self/status; mkdir /dev/shm/x"]);
        assert!(status.stdout().contains("2"), "{status}");
        assert!(status.stderr().contains("No space left"), "{status}");
    }
}
