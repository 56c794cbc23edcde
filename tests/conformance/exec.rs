//! `exec`: one more process in a container, which is in all of it and brings nothing along.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use jzon::{JsonValue, object};
use nix::sys::signal::Signal;

use crate::case;
use crate::support::{Case, ConsoleSocket, Container, Kind, Need, Pty, Sandbox, behind, eventually, read};

pub fn cases() -> Vec<Case> {
    vec![
        case!(exit_code_is_the_commands),
        case!(words_after_the_id_are_the_commands),
        case!(streams_are_the_callers),
        case!(namespaces_are_those_of_init),
        case!(namespaces_that_it_shares_with_the_host),
        case!(process_number_is_the_containers),
        case!(cgroups_are_those_of_init).needs(&[Need::V1("memory")]),
        case!(unified_cgroup_is_that_of_init).needs(&[Need::V2("memory")]),
        case!(works_in_a_user_namespace).needs(&[Need::UserNamespaces]),
        case!(works_in_a_created_container),
        case!(works_in_joined_namespaces),
        case!(defaults_are_those_of_the_config)
            .differs(Kind::Crun, "1.8 takes only environment and capabilities from it")
            .differs(Kind::Runc, "does not take the mask from it"),
        case!(nothing_leaks).needs(&[Need::Probe]),
        case!(preserved_descriptors_stay).needs(&[Need::Probe]),
        case!(listen_fds_are_preserved).isopod_only(LISTEN),
        case!(signals_and_session_are_its_own).needs(&[Need::Probe]).differs(Kind::Crun, "1.8 makes no session"),
        case!(session_keyring_is_not_the_callers)
            .differs(Kind::Crun, "keeps that of the caller")
            .differs(Kind::Runc, "joins that of init"),
        case!(scheduling_is_not_inherited)
            .differs(Kind::Crun, "passes on its own CPU mask")
            .differs(Kind::Runc, "passes on its own CPU mask"),
        case!(user_is_parsed_strictly),
        case!(user_without_a_group).differs(Kind::Runc, "keeps the group and the groups of the config"),
        case!(additional_gids).differs(Kind::Crun, "1.8 does not know the option"),
        case!(env_is_added).differs(Kind::Crun, "1.8 drops that of the config"),
        case!(home_follows_the_user),
        case!(cwd_is_set),
        case!(cwd_has_to_be_inside),
        case!(capability_is_added).differs(Kind::Crun, "replaces those of the config"),
        case!(capability_is_never_inheritable),
        case!(unknown_capability_is_refused).isopod_only("they ignore it"),
        case!(no_new_privs),
        case!(cgroup_below)
            .needs(&[Need::V1("memory")])
            .differs(Kind::Crun, "leaves it in the caller's cgroups where there is none below"),
        case!(cgroup_has_to_be_below).needs(&[Need::V1("memory")]).differs(Kind::Crun, "1.8 takes any path"),
        case!(labels_without_their_module_are_refused).isopod_only("crun ignores them"),
        case!(pid_file_has_the_callers_number),
        case!(pidfd_socket_gets_the_process).differs(Kind::Crun, NO_OPTION).differs(Kind::Runc, "1.1: no such option"),
        case!(detached_returns_at_once),
        case!(process_file).differs(Kind::Runc, "does not take the mask from it"),
        case!(process_file_leaves_the_rest_to_the_config),
        case!(process_file_that_is_broken_is_refused),
        case!(process_file_and_command_are_refused),
        case!(paused_container_is_refused).needs(&[Need::V1("freezer")]),
        case!(paused_container_can_be_ignored).needs(&[Need::V1("freezer")]),
        case!(waiting_in_a_paused_container_keeps_nobody_from_deleting).needs(&[Need::V1("freezer")]),
        case!(without_a_pivot),
        case!(stopped_container_is_refused),
        case!(unknown_container_is_refused),
        case!(missing_program),
        case!(program_that_is_not_executable),
        case!(failure_leaves_nothing),
        case!(signals_are_passed_on),
        case!(end_by_a_signal),
        case!(terminal_over_the_socket).differs(Kind::Crun, "1.8: it belongs to root"),
        case!(terminal_detached_without_a_socket_is_refused),
        case!(terminal_is_relayed),
        case!(terminal_starts_with_the_window_size)
            .differs(Kind::Crun, "1.8: 0 by 0 until it changes")
            .unsteady(Kind::Runc, "set after the command has been started"),
        case!(terminal_can_be_switched_off),
        case!(terminal_in_a_user_namespace).needs(&[Need::UserNamespaces]),
        case!(procfs_of_the_container_is_not_believed),
        case!(many_at_once),
        case!(container_that_ends_takes_it_along),
    ]
}

const LISTEN: &str = "LISTEN_PID is not the command's";
const NO_OPTION: &str = "has no such option";

/// A container that sleeps.
fn running(t: &Sandbox) -> Container<'_> {
    let mut c = t.container();
    c.started();
    c
}

fn exit_code_is_the_commands(t: &Sandbox) {
    let c = running(t);
    c.exec(&[], &["true"]).exits(0);
    c.exec(&[], &["false"]).exits(1);
    c.exec(&[], &["sh", "-c", "exit 7"]).exits(7);
}

fn words_after_the_id_are_the_commands(t: &Sandbox) {
    let c = running(t);
    assert_eq!(c.exec(&[], &["echo", "-d", "--", "--user", "x"]).ok(), "-d -- --user x");
}

fn streams_are_the_callers(t: &Sandbox) {
    let c = running(t);
    let input = fs::File::open(t.file("input", "a line\n")).expect("open");
    let ran = t.spawn(c.exec_command(&[], &["sh", "-c", "cat; echo error >&2"]).stdin(input)).wait();
    assert_eq!((ran.ok().as_str(), ran.stderr().as_str()), ("a line", "error\n"));
}

const NAMESPACES: &[&str] = &["pid", "net", "ipc", "uts", "mnt", "user", "cgroup"];

fn namespaces(pid: i32) -> Vec<String> {
    let link = |name| fs::read_link(format!("/proc/{pid}/ns/{name}")).expect("namespace");
    NAMESPACES.iter().map(|name| link(name).to_string_lossy().into_owned()).collect()
}

/// The same, as a command of `exec` sees its own.
fn namespaces_inside(c: &Container) -> Vec<String> {
    let script = format!("for name in {}; do readlink /proc/self/ns/$name; done", NAMESPACES.join(" "));
    c.exec_out(&[], &script).lines().map(str::to_owned).collect()
}

fn namespaces_are_those_of_init(t: &Sandbox) {
    let c = running(t);
    assert_eq!(namespaces_inside(&c), namespaces(c.pid()));
}

fn namespaces_that_it_shares_with_the_host(t: &Sandbox) {
    let mut c = t.container();
    for kind in ["network", "ipc", "uts", "cgroup", "pid"] {
        c.without_namespace(kind);
    }
    c.without_mount("/dev/mqueue").without_mount("/sys");
    c.config.remove("hostname");
    let pid = c.started();
    assert_eq!(namespaces_inside(&c), namespaces(pid));
}

fn process_number_is_the_containers(t: &Sandbox) {
    let c = running(t);
    let number: i32 = c.exec_out(&[], "echo $$").parse().expect("number");
    assert!((2..100).contains(&number), "{number}");
    assert_eq!(c.exec_out(&[], "readlink /proc/1/exe; grep PPid /proc/self/status"), "/bin/busybox\nPPid:\t0");
}

fn cgroups_are_those_of_init(t: &Sandbox) {
    let mut c = t.container();
    c.without_namespace("cgroup");
    let pid = c.started();
    // Not version 2 beside version 1, which some leave alone.
    let own = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with("0::") && !line.contains(":hugetlb:"));
        lines.map(|line| line.trim_end().to_owned()).collect()
    };
    assert_eq!(own(&c.exec_out(&[], "cat /proc/self/cgroup")), own(&read(format!("/proc/{pid}/cgroup"))));
}

fn unified_cgroup_is_that_of_init(t: &Sandbox) {
    let mut c = t.container();
    c.without_namespace("cgroup");
    let pid = c.started();
    assert_eq!(c.exec_out(&[], "cat /proc/self/cgroup"), read(format!("/proc/{pid}/cgroup")).trim_end());
}

fn works_in_a_user_namespace(t: &Sandbox) {
    let mut c = t.container();
    c.with_user_namespace();
    let pid = c.started();
    assert_eq!(namespaces_inside(&c), namespaces(pid));
    let script = "id -u; id -g; cut -c1-33 /proc/self/uid_map; grep CapEff /proc/self/status";
    let out = c.exec_out(&[], script);
    assert!(out.starts_with("0\n0\n         0     100000      65536\nCapEff:\t0000000020000420"), "{out}");
    let user = c.exec_out(&["--user", "5:6"], "id -u; id -g");
    assert_eq!(user, "5\n6");
}

fn works_in_a_created_container(t: &Sandbox) {
    let mut c = t.container();
    c.sh("true").created();
    assert_eq!(c.exec_out(&[], "hostname; pwd"), "isopod\n/");
    assert_eq!(c.status(), "created");
}

fn works_in_joined_namespaces(t: &Sandbox) {
    let first = running(t);
    let pid = first.pid();
    let mut second = t.container();
    for (kind, name) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("pid", "pid")] {
        second.join(kind, &format!("/proc/{pid}/ns/{name}"));
    }
    second.config.remove("hostname");
    let pid = second.started();
    assert_eq!(namespaces_inside(&second), namespaces(pid));
    second.force_delete().ok();
}

/// User, groups, mask, limits, capabilities, environment, directory.
fn defaults_are_those_of_the_config(t: &Sandbox) {
    let mut c = t.container();
    c.mkdir("/work").env("FROM=config");
    c.config["process"]["user"] = object! { uid: 7, gid: 8, additionalGids: [9, 10], umask: 0o27 };
    c.config["process"]["cwd"] = "/work".into();
    c.config["process"]["rlimits"] = jzon::array![object! { "type": "RLIMIT_CORE", soft: 4096, hard: 8192 }];
    c.started();
    let script = "id -u; id -g; id -G; umask; pwd; echo $FROM; grep -E 'CapBnd|CapInh' /proc/self/status; \
                  grep core /proc/self/limits | tr -s ' '";
    let expected = "7\n8\n8 9 10\n0027\n/work\nconfig\nCapInh:\t0000000000000000\nCapBnd:\t0000000020000420\n\
                    Max core file size 4096 8192 bytes";
    assert_eq!(c.exec_out(&[], script), expected);
}

/// `exec` after a shell has done something to what it inherits.
fn exec_after(c: &Container, preparation: &str, options: &[&str], words: &[&str]) -> Command {
    let own = c.exec_command(options, words);
    behind(&["sh", "-c", &format!("{preparation}; exec \"$@\""), "sh"], &own)
}

const OPEN_SOME: &str = "exec 3</etc/passwd 4</ 5</proc 9</etc";

fn with_probe(t: &Sandbox) -> Container<'_> {
    let mut c = t.container();
    c.with_probe().started();
    c
}

fn nothing_leaks(t: &Sandbox) {
    let c = with_probe(t);
    assert_eq!(t.spawn(&mut exec_after(&c, OPEN_SOME, &[], &["/probe", "fds"])).wait().ok().trim(), "0 1 2");
}

fn preserved_descriptors_stay(t: &Sandbox) {
    let c = with_probe(t);
    let mut command = exec_after(&c, OPEN_SOME, &["--preserve-fds", "2"], &["/probe", "fds"]);
    assert_eq!(t.spawn(&mut command).wait().ok().trim(), "0 1 2 3 4");
}

fn listen_fds_are_preserved(t: &Sandbox) {
    let c = running(t);
    let script = "echo $LISTEN_FDS; test $LISTEN_PID = $$ && echo mine; readlink /proc/self/fd/3";
    let mut command = exec_after(&c, OPEN_SOME, &[], &["sh", "-c", script]);
    assert_eq!(t.spawn(command.env("LISTEN_FDS", "1")).wait().ok(), "1\nmine\n/etc/passwd");
}

fn signals_and_session_are_its_own(t: &Sandbox) {
    let c = with_probe(t);
    let ran = t.spawn(&mut exec_after(&c, "trap '' PIPE USR1 INT", &[], &["/probe", "signals"])).wait();
    assert_eq!(ran.ok(), "blocked:0");
    let session = c.exec(&[], &["/probe", "session"]).ok();
    let number = |name: &str| session.split(' ').find_map(|word| word.strip_prefix(name)).expect("number").to_owned();
    assert_eq!((number("sid="), number("pgrp="), number("tty=")), (number("pid="), number("pid="), "none".into()));
}

/// What the caller keeps in its session keyring is not for a command in a container.
fn session_keyring_is_not_the_callers(t: &Sandbox) {
    let c = running(t);
    let of_the_container = || read("/proc/keys").lines().filter(|line| line.contains(&c.id)).count();
    let before = of_the_container();
    c.exec(&["--detach"], &["sleep", "600"]).ok();
    assert_eq!(of_the_container(), before + 1);
}

fn scheduling_is_not_inherited(t: &Sandbox) {
    let c = running(t);
    let own = c.exec_command(&[], &["sh", "-c", "grep Cpus_allowed_list /proc/self/status"]);
    let inside = t.spawn(&mut behind(&["taskset", "-c", "0"], &own)).wait().ok();
    let init = read(format!("/proc/{}/status", c.pid()));
    assert!(init.lines().any(|line| line == inside), "{inside}");
}

/// The matrix of CVE-2026-30892: uid 0 only where a zero is written.
fn user_is_parsed_strictly(t: &Sandbox) {
    let c = running(t);
    for (word, expected) in [("1:2", "1 2"), ("0:0", "0 0"), ("1000:5", "1000 5")] {
        assert_eq!(c.exec_out(&["--user", word], "echo $(id -u) $(id -g)"), expected);
    }
    for word in ["1", "1000"] {
        assert_eq!(c.exec_out(&["--user", word], "id -u"), word);
    }
    if t.is(Kind::Isopod) {
        let most = c.exec_out(&["--user", "4294967294:4294967294"], "echo $(id -u) $(id -g)");
        assert_eq!(most, "4294967294 4294967294");
        for word in [
            "",
            ":",
            "1:",
            ":2",
            "abc",
            "1abc",
            " 1",
            "+1",
            "-1",
            "0x10",
            "010",
            "4294967295",
            "4294967296",
            "1:2:3",
            "99999999999999999999",
        ] {
            let ran = c.exec(&[&format!("--user={word}")], &["true"]);
            ran.fails_with(64, &["invalid USERSPEC specified"]);
        }
    }
}

fn user_without_a_group(t: &Sandbox) {
    let mut c = t.container();
    c.config["process"]["user"] = object! { uid: 7, gid: 8, additionalGids: [9, 10] };
    c.started();
    assert_eq!(c.exec_out(&["--user", "5"], "id -u; id -g; id -G"), "5\n0\n0");
    assert_eq!(c.exec_out(&["--user", "5:6"], "id -u; id -g; id -G"), "5\n6\n6");
}

fn additional_gids(t: &Sandbox) {
    let c = running(t);
    assert_eq!(
        c.exec_out(&["--user", "5:6", "--additional-gids", "20", "--additional-gids", "30"], "id -G"),
        "6 20 30"
    );
}

fn env_is_added(t: &Sandbox) {
    let mut c = t.container();
    c.env("FROM=config").env("BOTH=config").started();
    let out = c.exec_out(&["--env", "BOTH=option", "--env", "MORE=a b=c"], "echo $FROM $BOTH $MORE");
    assert_eq!(out, "config option a b=c");
}

fn home_follows_the_user(t: &Sandbox) {
    let c = running(t);
    assert_eq!(c.exec_out(&[], "echo $HOME"), "/root");
    assert_eq!(c.exec_out(&["--user", "1000:1000"], "echo $HOME"), "/home/user");
    assert_eq!(c.exec_out(&["--env", "HOME=/given"], "echo $HOME"), "/given");
}

fn cwd_is_set(t: &Sandbox) {
    let c = running(t);
    assert_eq!(c.exec_out(&["--cwd", "/tmp"], "pwd"), "/tmp");
    c.exec(&["--cwd", "/there/is/none"], &["true"]).is_refused();
    if t.is(Kind::Isopod) {
        c.exec(&["--cwd", "tmp"], &["true"]).fails_with(64, &["tmp"]);
    }
}

/// CVE-2024-21626: neither a descriptor of the runtime nor one that the caller passes on leads out.
fn cwd_has_to_be_inside(t: &Sandbox) {
    let c = running(t);
    for number in 3..20 {
        let cwd = format!("/proc/self/fd/{number}");
        let ran = c.exec(&["--cwd", &cwd], &["sh", "-c", "pwd"]);
        assert!(ran.code != 0 || !ran.stdout().contains("unreachable"), "{ran}");
    }
    if t.is(Kind::Isopod) {
        let options = ["--preserve-fds", "2", "--cwd", "/proc/self/fd/4"];
        t.spawn(&mut exec_after(&c, OPEN_SOME, &options, &["pwd"])).wait().is_refused();
    }
}

fn capability_is_added(t: &Sandbox) {
    let c = running(t);
    let out =
        c.exec_out(&["--cap", "CAP_CHOWN", "--cap", "CAP_SYS_CHROOT"], "grep -E 'Cap(Prm|Eff|Bnd)' /proc/self/status");
    assert_eq!(out, "CapPrm:\t0000000020040421\nCapEff:\t0000000020040421\nCapBnd:\t0000000020040421");
}

/// CVE-2022-29162.
fn capability_is_never_inheritable(t: &Sandbox) {
    let c = running(t);
    let out = c.exec_out(&["--cap", "CAP_CHOWN"], "grep -E 'CapInh|CapAmb' /proc/self/status");
    assert_eq!(out, "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000");
}

fn unknown_capability_is_refused(t: &Sandbox) {
    running(t).exec(&["-c", "CAP_MADE_UP"], &["true"]).fails_with(64, &["unknown capability", "CAP_MADE_UP"]);
}

fn no_new_privs(t: &Sandbox) {
    let mut c = t.container();
    c.config["process"]["noNewPrivileges"] = false.into();
    c.started();
    let script = "grep NoNewPrivs /proc/self/status";
    assert_eq!(c.exec_out(&[], script), "NoNewPrivs:\t0");
    assert_eq!(c.exec_out(&["--no-new-privs"], script), "NoNewPrivs:\t1");
}

fn cgroup_below(t: &Sandbox) {
    let mut c = t.container();
    c.without_namespace("cgroup").started();
    let below = c.cgroup("memory").join("below");
    fs::create_dir(&below).expect("mkdir");
    let out =
        c.exec_out(&["--cgroup", if t.is(Kind::Runc) { "memory:below" } else { "below" }], "cat /proc/self/cgroup");
    assert!(out.lines().any(|line| line.ends_with(&format!(":memory:/{}/below", c.id))), "{out}");
    assert!(out.lines().any(|line| line.ends_with(&format!(":pids:/{}", c.id))), "{out}");
}

fn cgroup_has_to_be_below(t: &Sandbox) {
    let c = running(t);
    for path in ["..", "../x", "a/../..", "/../.."] {
        let ran = c.exec(&["--cgroup", path], &["true"]);
        ran.is_refused();
        if t.is(Kind::Isopod) {
            ran.fails_with(64, &["`..` components are not allowed", path]);
        }
    }
    c.exec(&["--cgroup", "no-such-cgroup"], &["true"]).is_refused();
}

fn labels_without_their_module_are_refused(t: &Sandbox) {
    let c = running(t);
    let file = t.file("label.json", "{\"args\": [\"/bin/true\"], \"apparmorProfile\": \"p\"}");
    let file = file.to_str().expect("path");
    let why = match read("/sys/module/apparmor/parameters/enabled").trim() {
        "Y" => "/attr/apparmor/exec",
        _ => "process.apparmorProfile: AppArmor is not enabled",
    };
    c.exec(&["--apparmor", "profile"], &["true"]).fails(&[why]);
    c.exec(&["--process", file], &[]).fails(&[why]);
    c.exec(&["--process-label", "a:b"], &["true"]).fails(&["process.selinuxLabel", "SELinux is not enabled"]);
    c.exec(&["--process", file, "--apparmor="], &[]).ok();
    c.exec(&["--apparmor=", "--process-label="], &["true"]).ok();
}

fn pid_file_has_the_callers_number(t: &Sandbox) {
    let c = running(t);
    let file = t.path("pid");
    c.exec(&["--detach", "--pid-file", file.to_str().expect("path")], &["sleep", "600"]).ok();
    let pid: i32 = read(&file).parse().expect("number");
    assert_eq!(read(format!("/proc/{pid}/cmdline")), "sleep\x00600\0");
    c.exec(&["--pid-file", "/there/is/none"], &["sleep", "600"]).is_refused();
}

fn pidfd_socket_gets_the_process(t: &Sandbox) {
    let c = running(t);
    let socket = ConsoleSocket::new(t);
    let file = t.path("pid");
    let options = ["--detach", "--pidfd-socket", socket.name(), "--pid-file", file.to_str().expect("path")];
    c.exec(&options, &["sleep", "600"]).ok();
    let pidfd = socket.receive().into_descriptor();
    let info = read(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()));
    assert!(info.lines().any(|line| line == format!("Pid:\t{}", read(&file))), "{info}");
}

fn detached_returns_at_once(t: &Sandbox) {
    let c = running(t);
    let ran = c.exec(&["--detach"], &["sh", "-c", "sleep 0.1; echo later; exec sleep 600"]);
    ran.exits(0);
    eventually("it goes on", || ran.stdout() == "later\n");
    c.exec(&["--detach"], &["no-such-program"]).is_refused();
}

fn process_document(t: &Sandbox, document: JsonValue) -> String {
    t.file("process.json", &document.dump()).to_str().expect("path").to_owned()
}

fn process_file(t: &Sandbox) {
    let c = running(t);
    let file = process_document(
        t,
        object! {
            args: ["/bin/sh", "-c", "id -u; id -G; umask; pwd; env | grep ONLY; grep -E 'CapEff|NoNew' /proc/self/status"],
            user: { uid: 5, gid: 6, umask: 0o77, additionalGids: [7] },
            env: ["ONLY=here", "PATH=/bin"],
            cwd: "/tmp",
            capabilities: { bounding: ["CAP_KILL"] },
        },
    );
    let expected = "5\n6 7\n0077\n/tmp\nONLY=here\nCapEff:\t0000000000000000\nNoNewPrivs:\t0";
    assert_eq!(c.exec(&["--process", &file], &[]).ok(), expected);
    assert_eq!(c.exec(&["-p", &file], &[]).ok(), expected);
}

fn process_file_leaves_the_rest_to_the_config(t: &Sandbox) {
    let mut c = t.container();
    c.env("FROM=config").started();
    let script = "echo $FROM; grep CapEff /proc/self/status";
    let file = process_document(t, object! { args: ["/bin/sh", "-c", script], cwd: "/" });
    let ran = c.exec(&["--process", &file], &[]);
    if t.is(Kind::Isopod) {
        assert_eq!(ran.ok(), "config\nCapEff:\t0000000020000420");
    }
}

fn process_file_that_is_broken_is_refused(t: &Sandbox) {
    let c = running(t);
    for text in ["", "{", "[]", "{\"args\": 1}", "{\"args\": []}"] {
        let file = t.file("broken.json", text);
        let ran = c.exec(&["--process", file.to_str().expect("path")], &[]);
        ran.is_refused();
        if t.is(Kind::Isopod) {
            ran.fails(&["cannot parse process file: ", "broken.json"]);
        }
    }
    c.exec(&["--process", "/there/is/none"], &[]).is_refused();
}

fn process_file_and_command_are_refused(t: &Sandbox) {
    let c = running(t);
    let file = process_document(t, object! { args: ["/bin/true"], cwd: "/", env: ["PATH=/bin"] });
    if t.is(Kind::Isopod) {
        c.exec(&["--process", &file], &["true"]).fails_with(64, &["--process"]);
    }
    c.exec(&[], &[]).is_refused();
}

fn freeze(c: &Container, word: &str) {
    let file = c.cgroup("freezer").join("freezer.state");
    fs::write(&file, word).expect("freezer.state");
    eventually("the cgroup is frozen or not", || read(&file).trim() == word);
}

fn paused_container_is_refused(t: &Sandbox) {
    let c = running(t);
    freeze(&c, "FROZEN");
    let ran = c.exec(&[], &["true"]);
    freeze(&c, "THAWED");
    ran.is_refused();
    if !t.is(Kind::Runc) {
        ran.fails(&[&format!("the container `{}` is paused", c.id)]);
    }
    c.exec(&[], &["true"]).ok();
}

fn paused_container_can_be_ignored(t: &Sandbox) {
    if t.is(Kind::Crun) {
        return;
    }
    let c = running(t);
    freeze(&c, "FROZEN");
    let command = t.spawn(&mut c.exec_command(&["--ignore-paused"], &["echo", "late"]));
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(command.stdout(), "");
    freeze(&c, "THAWED");
    assert_eq!(command.wait().ok(), "late");
}

fn waiting_in_a_paused_container_keeps_nobody_from_deleting(t: &Sandbox) {
    if t.is(Kind::Crun) {
        return;
    }
    let c = running(t);
    freeze(&c, "FROZEN");
    let command = t.spawn(&mut c.exec_command(&["--ignore-paused"], &["sleep", "600"]));
    std::thread::sleep(std::time::Duration::from_millis(50));
    c.force_delete().ok();
    command.wait().is_refused();
}

/// The container's root is the upper one of two then.
fn without_a_pivot(t: &Sandbox) {
    let mut c = t.container();
    c.file("/here", "inside").args(&["/bin/sleep", "600"]).create_with(&["--no-pivot"]).exits(0);
    c.start().ok();
    assert_eq!(c.exec_out(&[], "cat /here; pwd; cd ..; cat here; ls /.. | grep -c here"), "inside/\ninside1");
    c.exec(&[], &["ls", t.path("").to_str().expect("path")]).is_refused();
}

fn stopped_container_is_refused(t: &Sandbox) {
    let c = running(t);
    c.kill("KILL").ok();
    c.wait_until_stopped();
    let ran = c.exec(&[], &["true"]);
    ran.is_refused();
    if !t.is(Kind::Runc) {
        ran.fails(&[&format!("the container `{}` is not running", c.id)]);
    }
}

fn unknown_container_is_refused(t: &Sandbox) {
    let ran = t.rt(&["exec", "no-such-container", "true"]);
    ran.is_refused();
    if t.is(Kind::Isopod) {
        ran.fails(&["container `no-such-container` does not exist: No such file or directory"]);
    }
}

fn missing_program(t: &Sandbox) {
    let c = running(t);
    let (bare, path) = (c.exec(&[], &["no-such-program"]), c.exec(&[], &["/no/such/program"]));
    for ran in [&bare, &path] {
        ran.is_refused();
    }
    if t.is(Kind::Isopod) {
        bare.fails(&["executable file `no-such-program` not found in $PATH: no such file or directory"]);
        path.fails(&["executable file `/no/such/program` not found: no such file or directory"]);
        assert_eq!(bare.stderr().lines().count(), 1, "{bare}");
    }
}

fn program_that_is_not_executable(t: &Sandbox) {
    let mut c = t.container();
    c.file("/bin/text", "text").started();
    for path in ["/bin/text", "/bin"] {
        let ran = c.exec(&[], &[path]);
        ran.is_refused();
        if t.is(Kind::Isopod) {
            ran.fails(&[path, "permission denied"]);
        }
    }
}

fn failure_leaves_nothing(t: &Sandbox) {
    let c = running(t);
    let before = t.processes();
    let file = t.path("pid");
    c.exec(&["--pid-file", file.to_str().expect("path"), "--detach"], &["no-such-program"]).is_refused();
    c.exec(&["--cwd", "/there/is/none"], &["sleep", "600"]).is_refused();
    c.exec(&["--console-socket", "/there/is/none", "--tty", "--detach"], &["sleep", "600"]).is_refused();
    eventually("no process is left", || t.processes() == before);
    if t.is(Kind::Isopod) {
        assert!(!file.exists());
    }
    assert_eq!(c.status(), "running");
}

fn signals_are_passed_on(t: &Sandbox) {
    let c = running(t);
    let command = t
        .spawn(&mut c.exec_command(&[], &["sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done"]));
    eventually("the trap is set", || command.stdout() == "ready\n");
    command.send(Signal::SIGTERM);
    command.wait().exits(9);
}

fn end_by_a_signal(t: &Sandbox) {
    running(t).exec(&[], &["sh", "-c", "kill -9 $$"]).exits(128 + 9);
}

fn terminal_over_the_socket(t: &Sandbox) {
    let c = running(t);
    let socket = ConsoleSocket::new(t);
    let options = ["--tty", "--detach", "--console-socket", socket.name(), "--user", "1000:1000"];
    let script = "stty -echo; tty; stat -c %u $(tty); read line; echo got:$line; test -t 0 && test -t 1 && echo both";
    c.exec(&options, &["sh", "-c", script]).exits(0);
    let mut terminal = socket.receive();
    terminal.expect("1000");
    terminal.write("a line\n");
    terminal.expect("both");
}

fn terminal_detached_without_a_socket_is_refused(t: &Sandbox) {
    let ran = running(t).exec(&["--tty", "--detach"], &["true"]);
    ran.is_refused();
    if t.is(Kind::Isopod) {
        ran.fails(&["use --console-socket with --detach when a terminal is used"]);
    }
}

fn terminal_is_relayed(t: &Sandbox) {
    let c = running(t);
    let mut terminal = Pty::open();
    let script = "stty -echo; echo ready; read line; echo $((line * 2)); exit 5";
    let mut child = terminal.attach(&c.exec_command(&["-t"], &["sh", "-c", script]));
    terminal.expect("ready");
    terminal.write("21\r");
    terminal.expect("42");
    assert_eq!(child.wait().expect("wait").code(), Some(5));
}

fn terminal_starts_with_the_window_size(t: &Sandbox) {
    let c = running(t);
    let mut terminal = Pty::open();
    terminal.resize(30, 90);
    let mut child = terminal.attach(&c.exec_command(&["--tty"], &["sh", "-c", "stty size; echo ready"]));
    let first = terminal.expect("ready");
    assert!(first.contains("30 90"), "{first:?}");
    child.wait().expect("wait");
}

fn terminal_can_be_switched_off(t: &Sandbox) {
    let c = running(t);
    let file =
        process_document(t, object! { args: ["/bin/sh", "-c", "test -t 0 || echo none"], terminal: true, cwd: "/" });
    if t.is(Kind::Isopod) {
        assert_eq!(c.exec(&["--tty=false", "-p", &file], &[]).ok(), "none");
        assert_eq!(c.exec(&["-tno", "-p", &file], &[]).ok(), "none");
    }
    // The config's terminal is that of init only.
    assert_eq!(c.exec_out(&[], "test -t 0 || echo none"), "none");
}

fn terminal_in_a_user_namespace(t: &Sandbox) {
    let mut c = t.container();
    c.with_user_namespace().started();
    let socket = ConsoleSocket::new(t);
    c.exec(&["-t", "-d", "--console-socket", socket.name()], &["sh", "-c", "stat -c owner=%u $(tty); sleep 600"]).ok();
    let mut terminal = socket.receive();
    terminal.expect("owner=0");
}

/// CVE-2015-1334: what a container puts in the place of its `/proc` is neither read nor written.
fn procfs_of_the_container_is_not_believed(t: &Sandbox) {
    let mut c = t.container();
    c.config["process"]["oomScoreAdj"] = 500.into();
    c.writable().capabilities(&["CAP_SYS_ADMIN", "CAP_KILL"]);
    c.sh("mount -t tmpfs none /proc; mkdir -p /proc/self/attr /proc/self/fd /proc/self/ns; \
          for f in oom_score_adj cgroup stat uid_map; do echo untouched >/proc/self/$f; done; exec sleep 600");
    c.created();
    c.start().ok();
    let init = c.pid();
    eventually("its files are there", || {
        read(format!("/proc/{init}/root/proc/self/uid_map")) == "untouched\n"
            && read(format!("/proc/{init}/comm")) == "sleep\n"
    });
    let file = t.path("pid");
    let ran = c.exec(&["--detach", "--pid-file", file.to_str().expect("path"), "--user", "3:4"], &["sleep", "600"]);
    for name in ["oom_score_adj", "cgroup", "stat", "uid_map"] {
        assert_eq!(read(format!("/proc/{init}/root/proc/self/{name}")), "untouched\n", "{name}");
    }
    if ran.code == 0 {
        let pid = read(&file);
        if t.is(Kind::Isopod) {
            assert_eq!(read(format!("/proc/{pid}/oom_score_adj")), "500\n");
        }
        assert_eq!(fs::metadata(format!("/proc/{pid}")).expect("process").uid(), 3);
    }
}

fn many_at_once(t: &Sandbox) {
    let c = running(t);
    let all: Vec<_> = (0..20).map(|n| t.spawn(&mut c.exec_command(&[], &["sh", "-c", &format!("echo {n}")]))).collect();
    for (n, one) in all.into_iter().enumerate() {
        assert_eq!(one.wait().ok(), n.to_string());
    }
}

fn container_that_ends_takes_it_along(t: &Sandbox) {
    let c = running(t);
    let command = t.spawn(&mut c.exec_command(&[], &["sh", "-c", "echo ready; exec sleep 600"]));
    eventually("it runs", || command.stdout() == "ready\n");
    c.kill("KILL").ok();
    command.wait().exits(128 + 9);
}
