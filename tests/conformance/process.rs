//! The process: who it is, what it may do, where it is, what it inherits, and how it is found.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use jzon::{JsonValue, array, object};

use crate::case;
use crate::support::{Case, Container, Kind, Need, Sandbox, behind, read, with_key};

pub fn cases() -> Vec<Case> {
    vec![
        case!(user_and_group),
        case!(numeric_user_is_not_looked_up),
        case!(additional_groups),
        case!(no_groups_of_the_caller),
        case!(umask_is_set),
        case!(capability_sets),
        case!(capabilities_of_a_user),
        case!(ambient_capabilities_survive_the_change_of_user),
        case!(no_capabilities_at_all),
        case!(without_capabilities_in_the_config),
        case!(inheritable_is_empty_by_default),
        case!(unknown_capability_is_a_warning).differs(Kind::Crun, "1.8 says nothing; newer ones refuse it"),
        case!(capability_that_cannot_be_granted_is_a_warning)
            .differs(Kind::Crun, "says nothing")
            .differs(Kind::Runc, "says nothing"),
        case!(rlimits_are_set),
        case!(rlimit_above_the_hard_limit_is_refused),
        case!(duplicate_rlimit_is_refused).isopod_only("takes the last one"),
        case!(unknown_rlimit_is_refused),
        case!(no_new_privileges),
        case!(no_new_keyring_is_the_callers).needs(&[Need::Probe]),
        case!(oom_score_is_raised),
        case!(environment_is_exact),
        case!(home_comes_from_passwd),
        case!(home_is_root_for_a_user_without_an_entry).differs(Kind::Crun, "1.8: no HOME then"),
        case!(home_of_the_config_stays),
        case!(working_directory),
        case!(working_directory_is_created),
        case!(working_directory_has_to_be_absolute).differs(Kind::Crun, "taken as relative to the root"),
        case!(working_directory_through_a_descriptor_is_refused),
        case!(program_is_found_on_the_containers_path),
        case!(program_that_is_passed_over).differs(Kind::Runc, "1.1: says that it was not found"),
        case!(program_by_relative_path),
        case!(arguments_are_passed_as_they_are),
        case!(program_not_on_path).differs(Kind::Runc, "Go's words, with the name in front"),
        case!(program_that_does_not_exist),
        case!(program_that_is_not_executable)
            .differs(Kind::Crun, "1.8: other words, without the path")
            .differs(Kind::Runc, "Go's words: permission denied"),
        case!(program_that_is_a_directory).differs(Kind::Crun, "1.8: does not name it"),
        case!(program_with_a_missing_interpreter),
        case!(program_of_no_format),
        case!(script_as_program),
        case!(scheduling_is_not_inherited)
            .differs(Kind::Crun, "1.8 passes its own CPU mask on")
            .differs(Kind::Runc, "1.1 passes its own CPU mask on"),
    ]
}

/// A field of `/proc/self/status` of the container's own process.
fn status(c: &mut Container, field: &str) -> String {
    c.out(&format!("sed -n 's/^{field}:[[:space:]]*//p' /proc/self/status"))
}

fn user_and_group(t: &Sandbox) {
    let mut c = t.container();
    c.as_user(1000, 2000);
    assert_eq!(status(&mut c, "Uid"), "1000\t1000\t1000\t1000");
    assert_eq!(status(&mut c, "Gid"), "2000\t2000\t2000\t2000");
}

fn numeric_user_is_not_looked_up(t: &Sandbox) {
    let mut c = t.container();
    c.file("/etc/passwd", "1000:x:0:0::/:/bin/sh\n").as_user(1000, 1000);
    assert_eq!(c.out("id -u"), "1000");
}

fn additional_groups(t: &Sandbox) {
    let mut c = t.container();
    c.as_user(1000, 2000);
    c.config["process"]["user"]["additionalGids"] = array![7, 70000, 5];
    assert_eq!(status(&mut c, "Groups").trim(), "5 7 70000");
}

fn no_groups_of_the_caller(t: &Sandbox) {
    let c = &mut t.container();
    c.sh("sed -n 's/^Groups:[[:space:]]*//p' /proc/self/status").write_config();
    let own = c.command("run", &[]);
    assert_eq!(t.spawn(&mut behind(&["setpriv", "--groups", "4,24"], &own)).wait().ok(), "");
}

fn umask_is_set(t: &Sandbox) {
    let mut c = t.container();
    assert_eq!(c.out("umask"), "0022");
    c.config["process"]["user"]["umask"] = 0o27.into();
    assert_eq!(c.out("umask; cd /dev/shm; touch f; mkdir d; stat -c %a f d"), "0027\n640\n750");
}

const CAP_KILL: u64 = 1 << 5;
const CAP_SETUID: u64 = 1 << 7;
const CAP_NET_RAW: u64 = 1 << 13;
const CAP_SYS_CHROOT: u64 = 1 << 18;

/// The five sets as `/proc/self/status` has them: inheritable, permitted, effective, bounding, ambient.
fn capability_words(c: &mut Container) -> Vec<u64> {
    let out = c.out("sed -n 's/^Cap.*:[[:space:]]*//p' /proc/self/status");
    out.lines().map(|line| u64::from_str_radix(line, 16).expect("capabilities")).collect()
}

fn set_capabilities(c: &mut Container, sets: &[(&str, &[&str])]) {
    c.config["process"]["capabilities"] = object! {};
    for (set, names) in sets {
        c.config["process"]["capabilities"][*set] = names.to_vec().into();
    }
}

fn capability_sets(t: &Sandbox) {
    let mut c = t.container();
    set_capabilities(
        &mut c,
        &[
            ("bounding", &["CAP_KILL", "CAP_SETUID", "CAP_NET_RAW", "CAP_SYS_CHROOT"]),
            ("permitted", &["CAP_KILL", "CAP_NET_RAW", "CAP_SETUID"]),
            ("effective", &["CAP_KILL"]),
            ("inheritable", &["CAP_NET_RAW", "CAP_SYS_CHROOT"]),
            ("ambient", &["CAP_NET_RAW"]),
        ],
    );
    // What root has after execve follows from inheritable and bounding (capabilities(7)), so a user shows more.
    c.as_user(1000, 1000);
    let inheritable = CAP_NET_RAW | CAP_SYS_CHROOT;
    let bounding = CAP_KILL | CAP_SETUID | CAP_NET_RAW | CAP_SYS_CHROOT;
    assert_eq!(capability_words(&mut c), [inheritable, CAP_NET_RAW, CAP_NET_RAW, bounding, CAP_NET_RAW]);
}

fn capabilities_of_a_user(t: &Sandbox) {
    let mut c = t.container();
    c.capabilities(&["CAP_KILL"]).as_user(1000, 1000);
    assert_eq!(capability_words(&mut c), [0, 0, 0, CAP_KILL, 0]);
}

fn ambient_capabilities_survive_the_change_of_user(t: &Sandbox) {
    let mut c = t.container();
    let names: &[&str] = &["CAP_KILL"];
    let sets = ["bounding", "permitted", "effective", "inheritable", "ambient"].map(|set| (set, names));
    set_capabilities(&mut c, &sets);
    c.as_user(1000, 1000);
    assert_eq!(capability_words(&mut c), [CAP_KILL; 5]);
}

fn no_capabilities_at_all(t: &Sandbox) {
    let mut c = t.container();
    set_capabilities(&mut c, &[]);
    assert_eq!(capability_words(&mut c), [0; 5]);
}

/// A config that says nothing about capabilities gives none.
fn without_capabilities_in_the_config(t: &Sandbox) {
    let mut c = t.container();
    c.config["process"].remove("capabilities");
    assert_eq!(capability_words(&mut c), [0; 5]);
}

fn inheritable_is_empty_by_default(t: &Sandbox) {
    let words = capability_words(&mut t.container());
    assert_eq!((words[0], words[4]), (0, 0));
}

/// The spec: "Any value which cannot be mapped to a relevant kernel interface, or cannot be granted otherwise MUST be
/// logged as a warning by the runtime."
fn unknown_capability_is_a_warning(t: &Sandbox) {
    let mut c = t.container();
    c.config["process"]["capabilities"]["bounding"].push("CAP_MADE_UP").expect("push");
    warns_about(&mut c, "CAP_MADE_UP");
}

/// Ambient needs inheritable.
fn capability_that_cannot_be_granted_is_a_warning(t: &Sandbox) {
    let mut c = t.container();
    c.config["process"]["capabilities"]["ambient"] = array!["CAP_KILL"];
    warns_about(&mut c, "CAP_KILL");
}

#[track_caller]
fn warns_about(c: &mut Container, name: &str) {
    let ran = c.sh("echo runs").run();
    assert_eq!(ran.ok(), "runs");
    assert!(ran.stderr().contains("warning") && ran.stderr().contains(name), "{ran}");
}

fn rlimit(kind: &str, soft: u64, hard: u64) -> JsonValue {
    object! { "type": kind, soft: soft, hard: hard }
}

fn rlimits_are_set(t: &Sandbox) {
    let limits = [
        ("CORE", "Max core file size", 0, 4096),
        ("CPU", "Max cpu time", 100, 200),
        ("FSIZE", "Max file size", 1 << 20, 1 << 21),
        ("MEMLOCK", "Max locked memory", 4096, 8192),
        ("MSGQUEUE", "Max msgqueue size", 1000, 2000),
        ("NOFILE", "Max open files", 33, 44),
        ("NPROC", "Max processes", 111, 222),
        ("RTPRIO", "Max realtime priority", 0, 0),
        ("SIGPENDING", "Max pending signals", 50, 60),
        ("STACK", "Max stack size", 1 << 20, 1 << 22),
    ];
    let mut c = t.container();
    let all = limits.iter().map(|(kind, _, soft, hard)| rlimit(&format!("RLIMIT_{kind}"), *soft, *hard));
    c.config["process"]["rlimits"] = all.collect::<Vec<_>>().into();
    let table = c.out("cat /proc/self/limits");
    for (_, name, soft, hard) in limits {
        let line = table.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {table}"));
        let values: Vec<&str> = line[name.len()..].split_whitespace().take(2).collect();
        assert_eq!(values, [soft.to_string(), hard.to_string()], "{name}");
    }
}

fn rlimit_above_the_hard_limit_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.config["process"]["rlimits"] = array![rlimit("RLIMIT_NOFILE", 20, 10)];
    c.run().is_refused();
}

/// The spec: "If rlimits contains duplicated entries with same type, the runtime MUST generate an error."
fn duplicate_rlimit_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.config["process"]["rlimits"] = array![rlimit("RLIMIT_NOFILE", 20, 20), rlimit("RLIMIT_NOFILE", 10, 10)];
    c.sh("true").run().fails(&["RLIMIT_NOFILE"]);
}

fn unknown_rlimit_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.config["process"]["rlimits"].push(rlimit("RLIMIT_MADE_UP", 1, 1)).expect("push");
    c.run().fails(&["RLIMIT_MADE_UP"]);
}

fn no_new_privileges(t: &Sandbox) {
    let mut c = t.container();
    assert_eq!(status(&mut c, "NoNewPrivs"), "1");
    c.config["process"]["noNewPrivileges"] = false.into();
    assert_eq!(status(&mut c, "NoNewPrivs"), "0");
}

fn oom_score_is_raised(t: &Sandbox) {
    let mut c = t.container();
    c.config["process"]["oomScoreAdj"] = 777.into();
    assert_eq!(c.out("cat /proc/self/oom_score_adj"), "777");
}

fn environment_is_exact(t: &Sandbox) {
    let mut c = t.container();
    let env = array!["PATH=/bin", "A=1", "B=two words", "C=", "HOME=/h", "D=x=y"];
    c.config["process"]["env"] = env;
    assert_eq!(c.out("cat /proc/1/environ | tr '\\0' '\\n'"), "PATH=/bin\nA=1\nB=two words\nC=\nHOME=/h\nD=x=y");
}

fn home_comes_from_passwd(t: &Sandbox) {
    let mut c = t.container();
    assert_eq!(c.out("echo $HOME"), "/root");
    assert_eq!(c.as_user(1000, 1000).out("echo $HOME"), "/home/user");
}

fn home_is_root_for_a_user_without_an_entry(t: &Sandbox) {
    let mut c = t.container();
    assert_eq!(c.as_user(4321, 1).out("echo $HOME"), "/");
    fs::remove_file(c.inside("/etc/passwd")).expect("rm");
    assert_eq!(c.out("echo $HOME"), "/");
}

fn home_of_the_config_stays(t: &Sandbox) {
    let mut c = t.container();
    assert_eq!(c.env("HOME=/elsewhere").out("echo $HOME"), "/elsewhere");
}

fn working_directory(t: &Sandbox) {
    let mut c = t.container();
    c.config["process"]["cwd"] = "/bin".into();
    assert_eq!(c.out("readlink /proc/self/cwd; pwd"), "/bin\n/bin");
}

fn working_directory_is_created(t: &Sandbox) {
    let mut c = t.container();
    c.config["process"]["cwd"] = "/work/of/it".into();
    assert_eq!(c.out("pwd; stat -c '%a %u' ."), "/work/of/it\n755 0");
}

fn working_directory_has_to_be_absolute(t: &Sandbox) {
    let mut c = t.container();
    c.config["process"]["cwd"] = "bin".into();
    c.sh("true").run().is_refused();
}

/// A descriptor of the host that leaked would be a way out of the root.
fn working_directory_through_a_descriptor_is_refused(t: &Sandbox) {
    let mut c = t.container();
    for fd in 3..30 {
        c.config["process"]["cwd"] = format!("/proc/self/fd/{fd}").into();
        let ran = c.sh("ls").run();
        assert!(!ran.stdout().contains("config.json"), "{ran}");
        ran.is_refused();
    }
}

fn program_is_found_on_the_containers_path(t: &Sandbox) {
    let mut c = t.container();
    c.file("/opt/tool", "#!/bin/sh\necho from opt\n");
    fs::set_permissions(c.inside("/opt/tool"), PermissionsExt::from_mode(0o755)).expect("chmod");
    c.config["process"]["env"][0] = "PATH=/nowhere:/opt:/bin".into();
    assert_eq!(c.args(&["tool"]).run().ok(), "from opt");
}

/// As execvp(3) has it: what may not be executed is passed over, but if nothing else is found, it is the reason.
fn program_that_is_passed_over(t: &Sandbox) {
    let mut c = t.container();
    c.file("/opt/echo", "text").file("/opt/tool", "text");
    c.config["process"]["env"][0] = "PATH=/opt:/bin".into();
    assert_eq!(c.args(&["echo", "of bin"]).run().ok(), "of bin");
    c.args(&["tool"]).run().fails(&["ermission denied"]);
    c.args(&[""]).run().is_refused();
}

fn program_by_relative_path(t: &Sandbox) {
    let mut c = t.container();
    c.config["process"]["cwd"] = "/bin".into();
    assert_eq!(c.args(&["./echo", "here"]).run().ok(), "here");
}

fn arguments_are_passed_as_they_are(t: &Sandbox) {
    let mut c = t.container();
    let words = ["", "two words", "$HOME", "*", "\"quoted\"", "back\\slash", "tab\there", "ü€😀", "--help"];
    let args: Vec<&str> = ["/bin/printf", "[%s]"].iter().chain(&words).copied().collect();
    let wanted: String = words.iter().map(|word| format!("[{word}]")).collect();
    assert_eq!(c.args(&args).run().ok(), wanted);
}

/// Engines tell "not found" (127) from "not allowed" (126) by these words.
fn program_not_on_path(t: &Sandbox) {
    let fragments = ["executable file `no-such-program` not found in $PATH", "o such file or directory"];
    t.container().args(&["no-such-program"]).run().fails(&fragments);
}

fn program_that_does_not_exist(t: &Sandbox) {
    let ran = t.container().args(&["/no/such/program"]).run();
    ran.fails(&["/no/such/program", "o such file or directory"]);
}

fn program_that_is_not_executable(t: &Sandbox) {
    let c = &mut t.container();
    c.file("/plain", "text");
    c.args(&["/plain"]).run().fails(&["the path `/plain` exists but it is not executable", "permission denied"]);
}

fn program_that_is_a_directory(t: &Sandbox) {
    t.container().args(&["/bin"]).run().fails(&["/bin"]);
}

fn program_with_a_missing_interpreter(t: &Sandbox) {
    let c = &mut t.container();
    executable(c, "/script", "#!/no/such/interpreter\n");
    c.args(&["/script"]).run().fails(&["/script", "o such file or directory"]);
}

fn program_of_no_format(t: &Sandbox) {
    let c = &mut t.container();
    executable(c, "/garbage", "\0\0\0\0 nothing that can be run");
    c.args(&["/garbage"]).run().fails(&["xec format error"]);
}

fn script_as_program(t: &Sandbox) {
    let c = &mut t.container();
    executable(c, "/script", "#!/bin/sh\necho $0 $1\n");
    assert_eq!(c.args(&["/script", "arg"]).run().ok(), "/script arg");
}

fn executable(c: &mut Container, path: &str, content: &str) {
    c.file(path, content);
    fs::set_permissions(c.inside(path), PermissionsExt::from_mode(0o755)).expect("chmod");
}

/// A runtime that was itself bound to one CPU does not bind its containers.
fn scheduling_is_not_inherited(t: &Sandbox) {
    let c = &mut t.container();
    c.sh("sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status").write_config();
    let own = c.command("run", &[]);
    let mut command = behind(&["taskset", "-c", "0"], &own);
    let all = read("/proc/1/status");
    let all = all.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("cpus").trim();
    assert_eq!(t.spawn(&mut command).wait().ok(), all);
}

/// Only who asks for it has what the caller keeps there.
fn no_new_keyring_is_the_callers(t: &Sandbox) {
    let mut c = t.container();
    let name = format!("key-of-{}", c.id);
    c.with_probe().args(&["/probe", "key", &name]).write_config();
    for (options, found) in [(&[][..], "none"), (&["--no-new-keyring"], "secret")] {
        let command = with_key(&c.command("run", options), &name, "secret");
        assert_eq!(t.spawn(&mut { command }).wait().ok(), found, "{options:?}");
    }
}
