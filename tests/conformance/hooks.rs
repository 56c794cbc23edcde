//! Hooks: which are run when, by whom, with what, and what becomes of their failures.

use std::path::{Path, PathBuf};

use jzon::{JsonValue, object};

use crate::case;
use crate::support::{Case, Container, Kind, Need, Sandbox, eventually, read};

pub fn cases() -> Vec<Case> {
    vec![
        case!(hooks_are_run_in_order_with_the_state)
            .differs(Kind::Crun, "ociVersion 1.0, pid 0 in the container, other statuses")
            .differs(Kind::Runc, "poststart comes before startContainer"),
        case!(hooks_of_a_run)
            .differs(Kind::Crun, "ociVersion 1.0, pid 0 in the container, other statuses")
            .differs(Kind::Runc, "poststart comes before startContainer"),
        case!(hooks_of_the_runtime_are_on_the_host)
            .unsteady(Kind::Crun, "now and then poststart comes before the program")
            .differs(Kind::Runc, "poststart comes before the program"),
        case!(hook_of_the_container_sees_its_mounts),
        case!(hook_may_write_to_a_root_that_becomes_read_only).differs(Kind::Crun, "read-only already (later since)"),
        case!(start_hook_is_confined_like_the_process),
        case!(start_hook_is_run_below_a_filter),
        case!(hooks_of_a_user_namespace).needs(&[Need::UserNamespaces]),
        case!(hooks_without_pivot),
        case!(hook_has_its_own_environment)
            .differs(Kind::Crun, "without `env` it gets the runtime's")
            .differs(Kind::Runc, "without `env` startContainer gets the container's"),
        case!(hook_has_its_words),
        case!(hook_inherits_nothing).isopod_only("the session and the mask are the runtime's"),
        case!(hook_need_not_read_its_input),
        case!(hook_may_leave_a_process).isopod_only("they wait for whoever has its output open"),
        case!(failing_hook_fails_create).isopod_only("crun says less, runc says it otherwise"),
        case!(failing_hook_fails_start).isopod_only("only isopod says at `start` that it has failed"),
        case!(start_knows_its_hooks_or_does_nothing).isopod_only("the state's file is isopod's"),
        case!(failing_poststop_hook_is_a_warning).isopod_only("the words are isopod's, with crun's in them"),
        case!(missing_hook).isopod_only("the words are isopod's"),
        case!(hook_past_its_time_is_killed).isopod_only("not with what it has started"),
        case!(hook_ends_with_the_container).isopod_only("others wait for it"),
        case!(code_of_a_hook).isopod_only("the words are isopod's, as crun has them"),
        case!(output_of_hooks)
            .unsteady(Kind::Crun, "now and then poststart comes before startContainer")
            .differs(Kind::Runc, "has no such annotations"),
        case!(poststop_is_for_containers_that_lived)
            .differs(Kind::Crun, "1.8 does not know `--keep`")
            .differs(Kind::Runc, "also for one that could not be made"),
        case!(mistakes_in_hooks_are_refused).isopod_only("they accept most of it"),
    ]
}

const STAGES: [&str; 6] = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// Adds a hook that is a script, with the words that follow it.
fn hook<'c, 'a>(c: &'c mut Container<'a>, stage: &str, script: &str) -> &'c mut Container<'a> {
    hook_with(c, stage, object! { args: ["sh", "-c", script] })
}

fn hook_with<'c, 'a>(c: &'c mut Container<'a>, stage: &str, mut hook: JsonValue) -> &'c mut Container<'a> {
    if hook["path"].is_null() {
        hook["path"] = "/bin/sh".into();
    }
    if c.config["hooks"][stage].is_null() {
        c.config["hooks"][stage] = jzon::array![];
    }
    c.config["hooks"][stage].push(hook).expect("hooks");
    c
}

/// What hooks write to: on the host, and in the container under the same path.
fn shared(t: &Sandbox, c: &mut Container<'_>) -> PathBuf {
    let directory = t.path("shared");
    std::fs::create_dir_all(&directory).expect("mkdir");
    let path = directory.to_str().expect("UTF-8").to_owned();
    c.bind(&path, &directory, &["rw"]);
    directory
}

/// Each stage has two hooks that say who they are and what they have read.
fn witnesses(t: &Sandbox, c: &mut Container<'_>) -> PathBuf {
    let directory = shared(t, c);
    c.config["annotations"]["org.example.key"] = "a \"value\"\n".into();
    for stage in STAGES {
        for number in ["1", "2"] {
            let script =
                format!("{{ printf '%s ' {stage}{number} $(pwd); cat; echo; }} >> {}/log", directory.display());
            hook(c, stage, &script);
        }
    }
    directory.join("log")
}

/// Checks what they have said.
#[track_caller]
fn testified(c: &Container<'_>, log: &Path, pid: Option<i32>) {
    let log = read(log);
    let lines: Vec<_> = log.lines().filter(|line| !line.is_empty()).collect();
    let names: Vec<_> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    let expected: Vec<_> =
        STAGES.iter().flat_map(|stage| ["1", "2"].map(|number| format!("{stage}{number}"))).collect();
    assert_eq!(names, expected, "{log}");
    for (line, stage) in lines.iter().zip(STAGES.iter().flat_map(|stage| [stage, stage])) {
        let mut words = line.splitn(3, ' ').skip(1);
        let directory = words.next().expect("a directory");
        let state = jzon::parse(words.next().expect("a state")).expect("JSON");
        assert_eq!(state["id"], c.id.as_str(), "{line}");
        assert_eq!(state["bundle"], c.bundle.to_str().expect("UTF-8"), "{line}");
        assert_eq!(state["annotations"]["org.example.key"], "a \"value\"\n", "{line}");
        assert!(state["ociVersion"].as_str().is_some_and(|version| version.len() >= 5), "{line}");
        let status = match *stage {
            "startContainer" => "created",
            "poststart" => "running",
            "poststop" => "stopped",
            _ => "creating",
        };
        assert_eq!(state["status"], status, "{line}");
        let seen = state["pid"].as_i32().unwrap_or(0);
        match *stage {
            "createContainer" | "startContainer" => assert_eq!(seen, 1, "{line}"),
            "poststop" => {}
            _ => assert!(pid.map_or(seen > 1, |pid| seen == pid), "{line}"),
        }
        let place = if *stage == "startContainer" { Path::new("/") } else { &c.bundle };
        assert_eq!(Path::new(directory), place, "{line}");
    }
}

fn hooks_are_run_in_order_with_the_state(t: &Sandbox) {
    let c = &mut t.container();
    let log = witnesses(t, c);
    c.args(&["/bin/sleep", "600"]).created();
    let count = || read(&log).lines().filter(|line| !line.is_empty()).count();
    assert_eq!(count(), 6);
    let pid = c.pid();
    c.start().ok();
    assert_eq!(count(), 10);
    assert_eq!(c.status(), "running");
    c.kill("KILL").ok();
    c.wait_until_stopped();
    c.delete().ok();
    testified(c, &log, Some(pid));
    assert_eq!(t.states(), Vec::<String>::new());
}

fn hooks_of_a_run(t: &Sandbox) {
    let c = &mut t.container();
    let log = witnesses(t, c);
    c.sh("exit 3").run().exits(3);
    testified(c, &log, None);
    std::fs::remove_file(&log).expect("a log");
    c.args(&["/bin/sleep", "600"]).run_with(&["--detach"]).ok();
    let pid = c.pid();
    c.force_delete().ok();
    testified(c, &log, Some(pid));
}

/// They can find the container's namespaces by the pid, its cgroup, and after the start the program.
fn hooks_of_the_runtime_are_on_the_host(t: &Sandbox) {
    let c = &mut t.container();
    let log = t.path("log");
    let log_text = log.display().to_string();
    let pid_of = r#"pid=$(sed 's/.*"pid":\([0-9]*\).*/\1/');"#;
    for stage in ["prestart", "createRuntime", "poststart"] {
        let script = format!(
            "{pid_of} exec >> {log_text}; readlink /proc/self/ns/mnt /proc/self/ns/net /proc/self/ns/pid; \
             readlink /proc/$pid/ns/net /proc/$pid/ns/mnt; grep -c {} /proc/$pid/cgroup; readlink /proc/$pid/exe",
            c.id
        );
        hook(c, stage, &script);
    }
    hook(c, "poststop", &format!("readlink /proc/self/ns/mnt /proc/self/ns/net /proc/self/ns/pid >> {log_text}"));
    c.without_namespace("cgroup");
    c.args(&["/bin/sleep", "600"]).created();
    c.start().ok();
    let link = |process: &str, name: &str| {
        let link = std::fs::read_link(format!("/proc/{process}/ns/{name}")).expect("a namespace");
        link.to_str().expect("UTF-8").to_owned()
    };
    let pid = c.pid().to_string();
    let own = ["mnt", "net", "pid"].map(|name| link("self", name));
    let inits = ["net", "mnt"].map(|name| link(&pid, name));
    c.force_delete().ok();
    let log = read(&log);
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 3 * 7 + 3, "{log}");
    for (stage, said) in lines.chunks(7).enumerate() {
        assert_eq!(said[..3], own, "{log}");
        if stage < 3 {
            assert_eq!(said[3..5], inits, "{log}");
            assert_ne!(said[5], "0", "{log}");
            assert_eq!(said[6].contains("busybox"), stage == 2, "{log}");
        }
    }
}

/// What tools that bring drivers into a container count on: the rootfs, with what is mounted in it, is where the
/// config says; in the container's namespaces, with the host's programs.
fn hook_of_the_container_sees_its_mounts(t: &Sandbox) {
    let c = &mut t.container();
    let log = shared(t, c).join("log");
    let library = t.file("library", "of the host");
    c.bind("/lib/library", &library, &["ro"]);
    let script = format!(
        "{{ cat {0}/lib/library; echo; for ns in mnt net pid uts ipc; do readlink {0}/proc/self/ns/$ns; done; }} > {1}; \
         test -d /proc/1/ns",
        c.rootfs().display(),
        log.display()
    );
    hook(c, "createContainer", &script);
    let payload = c.out("for ns in mnt net pid uts ipc; do readlink /proc/self/ns/$ns; done");
    assert_eq!(read(&log), format!("of the host\n{payload}\n"));
    assert_eq!(read(c.inside("/lib/library")), "");
}

fn hook_may_write_to_a_root_that_becomes_read_only(t: &Sandbox) {
    let c = &mut t.container();
    let script = format!("echo made > {}/made", c.rootfs().display());
    hook(c, "createContainer", &script);
    assert_eq!(c.out("cat /made; touch /other 2>/dev/null || echo refused"), "made\nrefused");
}

fn start_hook_is_confined_like_the_process(t: &Sandbox) {
    for no_new_privileges in [true, false] {
        let c = &mut t.container();
        let directory = shared(t, c);
        std::fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("chmod");
        let log = directory.join("log");
        let status = "grep -E '^(Uid|Gid|Groups|Cap...|NoNewPrivs|Seccomp):' /proc/self/status";
        hook(c, "startContainer", &format!("{status} > {}; pwd >> {0}; cat /etc/mark >> {0}", log.display()));
        c.as_user(1000, 1001).capabilities(&["CAP_KILL"]);
        c.config["process"]["user"]["additionalGids"] = jzon::array![7];
        c.config["process"]["noNewPrivileges"] = no_new_privileges.into();
        c.config["process"]["cwd"] = "/etc".into();
        c.config["linux"]["seccomp"] = filter();
        c.file("/etc/mark", "of the container\n");
        let expected = c.out(&format!("{status}; pwd; cat /etc/mark"));
        assert!(expected.contains("Seccomp:\t2"), "{expected}");
        assert_eq!(read(&log).trim_end(), expected);
        std::fs::remove_file(log).expect("a log");
    }
}

fn filter() -> JsonValue {
    object! {
        defaultAction: "SCMP_ACT_ALLOW",
        architectures: ["SCMP_ARCH_X86_64"],
        syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_ERRNO" }],
    }
}

/// Engines' profiles answer ENOSYS to clone3(2), which a filter cannot look into.
fn start_hook_is_run_below_a_filter(t: &Sandbox) {
    let c = &mut t.container();
    let log = shared(t, c).join("log");
    hook(c, "startContainer", &format!("echo hook > {}", log.display()));
    c.config["process"]["noNewPrivileges"] = false.into();
    c.config["linux"]["seccomp"] = filter();
    c.config["linux"]["seccomp"]["syscalls"] =
        jzon::array![{ names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38 }];
    assert_eq!(c.out("echo payload"), "payload");
    assert_eq!(read(log), "hook\n");
}

fn hooks_of_a_user_namespace(t: &Sandbox) {
    let c = &mut t.container();
    let log = shared(t, c).join("log");
    std::fs::write(&log, "").expect("a log");
    // Of root's, which the container's root is not.
    std::fs::set_permissions(&log, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("chmod");
    for stage in STAGES {
        hook(c, stage, &format!("echo {stage} $(id -u) >> {}", log.display()));
    }
    c.with_user_namespace().sh("true").run().ok();
    let said = read(&log);
    assert_eq!(said.lines().count(), 6, "{said}");
    assert!(said.lines().all(|line| line.ends_with(" 0")), "{said}");
}

fn hooks_without_pivot(t: &Sandbox) {
    let c = &mut t.container();
    let script = format!("echo made > {}/made", c.rootfs().display());
    hook(c, "createContainer", &script).writable();
    assert_eq!(c.sh("cat /made; ls /bundle 2>/dev/null").run_with(&["--no-pivot"]).stdout(), "made\n");
}

/// NVIDIA's CVE-2025-23266 was a hook with the image's LD_PRELOAD.
fn hook_has_its_own_environment(t: &Sandbox) {
    let c = &mut t.container();
    let directory = shared(t, c);
    c.env("LD_PRELOAD=/evil.so").env("SECRET=of the container");
    for stage in STAGES {
        let place = directory.join(stage).display().to_string();
        // `env` of a shell with no environment: what the shell itself adds is no secret.
        let args = |number: u32| jzon::array!["sh", "-c", format!("env > {place}.{number}")];
        hook_with(c, stage, object! { args: args(1) });
        hook_with(c, stage, object! { args: args(2), env: [] });
        hook_with(c, stage, object! { args: args(3), env: ["MINE=1", "PATH=/bin"] });
    }
    c.write_config();
    let mut run = c.sh("true").write_config_for("run");
    t.spawn(run.env("SECRET", "of the caller")).wait().ok();
    for stage in STAGES {
        for number in 1..=3 {
            let said = read(directory.join(format!("{stage}.{number}")));
            assert!(!said.contains("SECRET") && !said.contains("LD_PRELOAD"), "{stage} {number}: {said}");
            assert_eq!(said.contains("MINE=1"), number == 3, "{stage} {number}: {said}");
        }
    }
}

fn hook_has_its_words(t: &Sandbox) {
    let c = &mut t.container();
    let log = t.path("log");
    let script = t.file("script", &format!("#!/bin/sh\necho \"$0\" \"$@\" >> {}\n", log.display()));
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    let path = script.to_str().expect("UTF-8");
    hook_with(c, "prestart", object! { path: path, args: ["name", "a b", "", "c"] });
    hook_with(c, "prestart", object! { path: path });
    c.sh("true").run().ok();
    assert_eq!(read(log), format!("{path} a b  c\n{path}\n"));
}

/// Neither descriptors, nor ignored or blocked signals, nor a terminal, nor the mask of the runtime.
fn hook_inherits_nothing(t: &Sandbox) {
    let c = &mut t.container();
    let directory = shared(t, c);
    for stage in STAGES {
        let at = directory.join(stage).display().to_string();
        let script = format!(
            "ls /proc/self/fd | wc -l > {at}; grep -E '^Sig(Ign|Blk)' /proc/self/status >> {at}; umask >> {at}; \
             cut -d' ' -f6 /proc/$$/stat >> {at}; echo $$ >> {at}"
        );
        // There the host's procfs knows nobody of a new pid namespace.
        if stage != "createContainer" {
            hook(c, stage, &script);
        }
    }
    let run = c.sh("true").write_config_for("run");
    let mut shell = std::process::Command::new("/bin/bash");
    let line = format!(
        "trap '' PIPE HUP USR1; exec 3</dev/null 4</dev/null; umask 077; exec {} --preserve-fds 2 {}",
        run.get_program().to_str().expect("UTF-8"),
        ""
    );
    let words: Vec<_> = run.get_args().map(|word| word.to_str().expect("UTF-8").to_owned()).collect();
    let line = line.replace("--preserve-fds 2 ", &format!("{} --preserve-fds 2", words.join(" ")));
    t.spawn(shell.args(["-c", &line])).wait().ok();
    for stage in STAGES.iter().filter(|stage| **stage != "createContainer") {
        let said = read(directory.join(stage));
        let lines: Vec<_> = said.lines().collect();
        // Three and the directory that is listed.
        assert_eq!(lines[0].trim(), "4", "{stage}: {said}");
        assert!(lines[1..3].iter().all(|line| line.ends_with("\t0000000000000000")), "{stage}: {said}");
        assert_eq!(lines[3], "0022", "{stage}: {said}");
        assert_eq!(lines[4], lines[5], "{stage}: the session is its own: {said}");
    }
}

fn hook_need_not_read_its_input(t: &Sandbox) {
    let c = &mut t.container();
    let log = t.path("log");
    // More than a pipe takes.
    c.config["annotations"]["org.example.long"] = "x".repeat(300_000).into();
    hook(c, "prestart", "exec 0<&-; exit 0");
    hook(c, "prestart", "true");
    hook(c, "prestart", &format!("sleep 0.1; wc -c > {}", log.display()));
    c.sh("true").run().ok();
    let length: usize = read(log).trim().parse().expect("a number");
    assert!(length > 300_000, "{length}");
}

fn hook_may_leave_a_process(t: &Sandbox) {
    let c = &mut t.container();
    let log = t.path("log");
    hook(c, "prestart", &format!("sleep 600 & echo $! > {}", log.display()));
    c.sh("true").run().ok();
    let pid: i32 = read(log).trim().parse().expect("a number");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).expect("still there");
}

/// Says who has been run, and how it all ended.
fn traced(t: &Sandbox, c: &mut Container<'_>) -> PathBuf {
    let log = shared(t, c).join("log");
    for stage in STAGES {
        hook(c, stage, &format!("echo {stage} >> {}", log.display()));
    }
    log
}

fn failing_hook_fails_create(t: &Sandbox) {
    for (place, stage) in STAGES[..3].iter().enumerate() {
        for verb in ["create", "run"] {
            let c = &mut t.container();
            let log = traced(t, c);
            hook(c, stage, "echo some; echo more of it >&2; echo; exit 42");
            c.sh("true").write_config();
            let ran = t.spawn(&mut c.command(verb, &[])).wait();
            ran.fails(&["error executing hook `/bin/sh` (exit code: 42): more of it"]);
            assert_eq!(ran.stderr().lines().count(), 1, "{ran}");
            let expected: Vec<_> = STAGES[..=place].iter().chain(&["poststop"]).copied().collect();
            assert_eq!(read(&log).lines().collect::<Vec<_>>(), expected);
            assert_eq!((t.states(), t.cgroups(), t.processes()), (vec![], vec![], vec![]));
            std::fs::remove_file(log).expect("a log");
        }
    }
    let c = &mut t.container();
    hook(c, "prestart", "kill -TERM $$").sh("true").run().fails(&["error executing hook `/bin/sh` (signal: 15)"]);
}

fn failing_hook_fails_start(t: &Sandbox) {
    for (stage, count) in [("startContainer", 4), ("poststart", 5)] {
        for detached in [false, true] {
            let c = &mut t.container();
            let log = traced(t, c);
            hook(c, stage, "echo why; exit 1");
            c.args(&["/bin/sleep", "600"]);
            let ran = if detached {
                c.created();
                c.start()
            } else {
                c.run()
            };
            ran.fails(&["error executing hook `/bin/sh` (exit code: 1): why"]);
            assert_eq!(ran.stderr().lines().count(), 1, "{ran}");
            let expected: Vec<_> = STAGES[..count].iter().chain(&["poststop"]).copied().collect();
            assert_eq!(read(&log).lines().collect::<Vec<_>>(), expected);
            assert_eq!((t.states(), t.cgroups(), t.processes()), (vec![], vec![], vec![]));
            std::fs::remove_file(log).expect("a log");
        }
    }
}

/// The hooks that `start` runs are in the state. Without it the program must not run as if there were none.
fn start_knows_its_hooks_or_does_nothing(t: &Sandbox) {
    let c = &mut t.container();
    let log = traced(t, c);
    let ran = log.with_file_name("ran");
    c.sh(&format!("touch {}; sleep 600", ran.display())).created();
    let before = read(&log);
    let (state, aside) = (t.state_root().join(&c.id).join("state.json"), t.path("aside"));
    std::fs::rename(&state, &aside).expect("moved");
    c.start().fails(&[&format!("start container `{}`: its state.json is not there", c.id)]);
    assert_eq!((read(&log), ran.exists()), (before, false));
    std::fs::copy(&aside, &state).expect("copied");
    c.start().ok();
    eventually("the program runs", || ran.exists());
    assert!(read(&log).contains("poststart"));
    c.force_delete().ok();
}

fn failing_poststop_hook_is_a_warning(t: &Sandbox) {
    let c = &mut t.container();
    let log = t.path("log");
    hook(c, "poststop", "echo one; exit 5");
    hook(c, "poststop", &format!("echo two > {}; kill -KILL $$", log.display()));
    let ran = c.sh("true").run();
    ran.ok();
    assert_eq!(read(log), "two\n");
    let warnings = ran.stderr();
    assert!(warnings.contains("warning: poststop hook failed with exit code 5: error executing hook"), "{warnings}");
    assert!(warnings.contains("warning: poststop hook failed with exit code 137: "), "{warnings}");
    assert_eq!(t.states(), Vec::<String>::new());
}

fn missing_hook(t: &Sandbox) {
    for stage in &STAGES[..4] {
        let c = &mut t.container();
        hook_with(c, stage, object! { path: "/there/is/none" });
        c.sh("true").run().fails(&["error executing hook `/there/is/none`", "No such file or directory"]);
    }
}

fn hook_past_its_time_is_killed(t: &Sandbox) {
    for stage in ["prestart", "createContainer", "startContainer", "poststart"] {
        let c = &mut t.container();
        let log = shared(t, c).join("log");
        let script = format!("sleep 600 & echo $$ $! >> {}; wait", log.display());
        hook_with(c, stage, object! { args: ["sh", "-c", script], timeout: 1 });
        c.args(&["/bin/sleep", "600"]).run().fails(&["timeout expired for `/bin/sh`"]);
        if stage == "prestart" || stage == "poststart" {
            for pid in read(&log).split_whitespace() {
                eventually("what it has started is dead", || {
                    let stat = read(format!("/proc/{pid}/stat"));
                    stat.is_empty() || stat.contains(") Z ")
                });
            }
        }
        std::fs::remove_file(log).expect("a log");
    }
    // One that is in time is not.
    let c = &mut t.container();
    hook_with(c, "prestart", object! { args: ["sh", "-c", "true"], timeout: 600 });
    c.sh("true").run().ok();
}

/// Whoever deletes the container does not wait for a hook that never ends.
fn hook_ends_with_the_container(t: &Sandbox) {
    for stage in ["prestart", "createRuntime"] {
        let c = &mut t.container();
        let log = t.path("log");
        hook(c, stage, &format!("echo > {}; sleep 600", log.display()));
        let creation = c.args(&["/bin/sleep", "600"]).start_run(&[]);
        eventually("the hook runs", || log.exists());
        c.force_delete().ok();
        creation.wait().fails(&["run the hook /bin/sh: the container has ended meanwhile"]);
        std::fs::remove_file(log).expect("a log");
    }
}

fn code_of_a_hook(t: &Sandbox) {
    for (script, why) in [("exit 3", "exit code: 3"), ("exit 200", "exit code: 200"), ("kill -9 $$", "signal: 9")] {
        let c = &mut t.container();
        hook(c, "prestart", &format!("echo oops; {script}"));
        c.sh("true").run().fails(&[&format!("error executing hook `/bin/sh` ({why}): oops")]);
    }
}

fn output_of_hooks(t: &Sandbox) {
    let c = &mut t.container();
    let (stdout, stderr) = (t.file("stdout", "before\n"), t.path("stderr"));
    c.config["annotations"]["run.oci.hooks.stdout"] = stdout.to_str().expect("UTF-8").into();
    c.config["annotations"]["run.oci.hooks.stderr"] = stderr.to_str().expect("UTF-8").into();
    for stage in STAGES {
        hook(c, stage, &format!("echo {stage}; echo error of {stage} >&2"));
    }
    c.sh("true").created();
    c.start().ok();
    c.wait_until_stopped();
    c.delete().ok();
    assert_eq!(read(stdout), format!("before\n{}\n", STAGES.join("\n")));
    assert_eq!(read(stderr), STAGES.map(|stage| format!("error of {stage}\n")).concat());
}

fn poststop_is_for_containers_that_lived(t: &Sandbox) {
    let c = &mut t.container();
    let log = t.path("log");
    hook(c, "poststop", &format!("echo poststop >> {}", log.display()));
    c.bind("/nothing", "/there/is/none", &[]).sh("true").create().is_refused();
    assert!(!log.exists());
    let c = &mut t.container();
    hook(c, "poststop", &format!("echo poststop >> {}", log.display()));
    c.sh("true").run_with(&["--keep"]).ok();
    assert!(!log.exists());
    c.delete().ok();
    assert_eq!(read(log), "poststop\n");
}

fn mistakes_in_hooks_are_refused(t: &Sandbox) {
    for (stage, hook, message) in [
        ("prestart", object! { path: "bin/true" }, "hooks.prestart[0].path: \"bin/true\" is not an absolute path"),
        ("createRuntime", object! { path: "" }, "hooks.createRuntime[0].path: \"\" is not an absolute path"),
        ("createContainer", object! { args: ["x"] }, "hooks.createContainer[0].path"),
        ("poststop", object! { path: "/bin/true", timeout: 0 }, "hooks.poststop[0].timeout: 0 is not greater than 0"),
        ("poststart", object! { path: "/bin/true", timeout: -5 }, "hooks.poststart[0].timeout: -5 is not"),
        ("startContainer", object! { path: "/x", env: ["A\0B"] }, "hooks.startContainer[0].env[0]"),
    ] {
        let c = &mut t.container();
        c.config["hooks"][stage] = jzon::array![hook];
        c.sh("true").run().fails(&[message]);
        assert_eq!((t.states(), t.processes()), (vec![], vec![]));
    }
}
