//! The commands about a container that exists: pause and resume, ps, update, events; and what the runtime says of
//! itself: features, completion.

use jzon::object;

use crate::case;
use crate::support::{Case, Container, Kind, Need, Ran, Sandbox, controller, eventually, read};

pub fn cases() -> Vec<Case> {
    vec![
        case!(pause_and_resume),
        case!(pause_stops_all_processes),
        case!(pause_of_a_stopped_container_is_refused),
        case!(pause_twice_is_refused).differs(Kind::Crun, "1.8 pauses it again"),
        case!(resume_of_a_running_container_is_refused).differs(Kind::Crun, "1.8 resumes it"),
        case!(paused_container_is_killed).differs(Kind::Crun, "1.8 leaves it frozen on version 1"),
        case!(paused_container_is_killed_with_all),
        case!(delete_force_of_a_paused_container),
        case!(pause_without_a_cgroup_is_refused).differs(Kind::Runc, "1.1 does not know the option"),
        case!(ps_as_table).differs(Kind::Runc, "runs `ps -ef`"),
        case!(ps_as_json),
        case!(ps_of_a_cgroup_below).differs(Kind::Crun, "1.8 crashes"),
        case!(ps_with_arguments).differs(Kind::Crun, "takes none"),
        case!(ps_of_nothing),
        case!(kill_by_regex).differs(Kind::Runc, "no such option"),
        case!(delete_by_regex).differs(Kind::Runc, "no such option"),
        case!(regex_that_is_wrong_is_refused),
        case!(update_memory),
        case!(update_with_units).needs(&[Need::V1("memory")]).differs(Kind::Crun, "takes integers"),
        case!(update_memory_and_swap)
            .needs(&[Need::V1("memory")])
            .differs(Kind::Crun, "1.8 fails one way or the other"),
        case!(update_cpu).needs(&[Need::V1("cpu")]).differs(Kind::Crun, "1.8 takes no -1"),
        case!(update_cpu_burst_and_idle).needs(&[Need::V1("cpu")]).isopod_only("no such options"),
        case!(update_what_few_kernels_have)
            .needs(&[Need::V1("cpu"), Need::V1("blkio")])
            .unsteady(Kind::Crun, "1.8 does not know BFQ, if the kernel has it"),
        case!(update_cpuset_and_pids).needs(&[Need::V1("cpuset"), Need::V1("pids")]),
        case!(update_from_a_document)
            .needs(&[Need::V1("memory"), Need::V1("devices")])
            .differs(Kind::Crun, "replaces the device rules"),
        case!(update_unified).needs(&[Need::V2("memory"), Need::V2("cpu"), Need::V2("pids")]),
        case!(update_of_a_stopped_container_is_refused).differs(Kind::Crun, "1.8 updates the empty cgroup"),
        case!(update_of_what_is_not_there_is_refused),
        case!(update_from_options_and_a_document_is_refused).isopod_only("the document wins"),
        case!(completion_of_each_shell).isopod_only("no such command"),
        case!(features_are_what_the_spec_says).differs(Kind::Crun, "1.8.1 has no such command"),
        case!(events_once).differs(Kind::Crun, "no such command"),
        case!(events_again_and_again)
            .differs(Kind::Crun, "no such command")
            .differs(Kind::Runc, "goes on until delete"),
        case!(events_of_memory_that_is_short).needs(&[Need::V1("memory")]).differs(Kind::Crun, "no such command"),
        case!(events_of_a_stopped_container_are_refused),
    ]
}

/// A container whose two processes count: how often each has gone round.
fn counting<'t>(t: &'t Sandbox) -> (Container<'t>, Ran) {
    let mut c = t.container();
    let created = c.sh("(while :; do echo b; sleep 0.01; done) & while :; do echo a; sleep 0.01; done").created();
    c.start().ok();
    eventually("both run", || created.stdout().contains('a') && created.stdout().contains('b'));
    (c, created)
}

fn pause_and_resume(t: &Sandbox) {
    let mut c = t.container();
    let pid = c.started();
    c.about("pause", &[]).ok();
    assert_eq!((c.status().as_str(), c.pid()), ("paused", pid));
    c.about("resume", &[]).ok();
    assert_eq!((c.status().as_str(), c.pid()), ("running", pid));
}

fn pause_stops_all_processes(t: &Sandbox) {
    let (c, created) = counting(t);
    c.about("pause", &[]).ok();
    let before = created.stdout().len();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(created.stdout().len(), before);
    c.about("resume", &[]).ok();
    eventually("they go on", || created.stdout()[before..].contains('a') && created.stdout()[before..].contains('b'));
}

fn pause_of_a_stopped_container_is_refused(t: &Sandbox) {
    let c = &mut t.container();
    c.sh("true").created();
    c.start().ok();
    c.wait_until_stopped();
    c.about("pause", &[]).is_refused();
    c.about("resume", &[]).is_refused();
}

fn pause_twice_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    c.about("pause", &[]).ok();
    c.about("pause", &[]).is_refused();
    assert_eq!(c.status(), "paused");
}

fn resume_of_a_running_container_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    c.about("resume", &[]).is_refused();
    assert_eq!(c.status(), "running");
}

fn paused_container_is_killed(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    c.about("pause", &[]).ok();
    c.kill("KILL").ok();
    c.wait_until_stopped();
    c.delete().ok();
}

fn paused_container_is_killed_with_all(t: &Sandbox) {
    let (c, _) = counting(t);
    c.about("pause", &[]).ok();
    t.rt(&["kill", "--all", &c.id, "KILL"]).ok();
    c.wait_until_stopped();
    t.wait_for_processes();
}

fn delete_force_of_a_paused_container(t: &Sandbox) {
    let (c, _) = counting(t);
    c.about("pause", &[]).ok();
    c.delete().is_refused();
    c.force_delete().ok();
    assert_eq!((t.processes(), t.states(), t.cgroups()), (vec![], vec![], vec![]));
}

fn pause_without_a_cgroup_is_refused(t: &Sandbox) {
    let c = &mut t.container();
    c.without_mount("/sys/fs/cgroup").args(&["/bin/sleep", "600"]).write_config();
    let bundle = c.bundle.to_str().expect("bundle");
    t.rt(&["--cgroup-manager=disabled", "run", "--detach", "--bundle", bundle, &c.id]).exits(0);
    c.about("pause", &[]).is_refused();
    c.about("ps", &[]).is_refused();
    assert_eq!(c.status(), "running");
}

/// The numbers that `ps` lists, and those that the kernel knows by the test's mark.
fn ps_as_table(t: &Sandbox) {
    let (c, _) = counting(t);
    c.about("pause", &[]).ok();
    let text = c.about("ps", &[]).ok();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("PID"));
    let pids: Vec<i32> = lines.map(|line| line.parse().expect("a number")).collect();
    assert_eq!(pids, t.processes());
    assert!(pids.contains(&c.pid()));
}

fn ps_as_json(t: &Sandbox) {
    let (c, _) = counting(t);
    c.about("pause", &[]).ok();
    let list = jzon::parse(&t.rt(&["ps", "--format", "json", &c.id]).ok()).expect("JSON");
    let mut pids: Vec<i32> = list.members().map(|pid| pid.as_i32().expect("a number")).collect();
    pids.sort_unstable();
    assert_eq!(pids, t.processes());
}

fn ps_of_a_cgroup_below(t: &Sandbox) {
    let mut c = t.container();
    let pid = c.started();
    for (directory, procs) in t.cgroups().iter().map(|dir| (dir.join("below"), dir.join("below/cgroup.procs"))) {
        std::fs::create_dir(directory).expect("mkdir");
        // A cpuset that has just been made takes nobody.
        let _ = std::fs::write(procs, pid.to_string());
    }
    let list = jzon::parse(&t.rt(&["ps", "-f", "json", &c.id]).ok()).expect("JSON");
    assert_eq!(list, jzon::array![pid]);
}

fn ps_with_arguments(t: &Sandbox) {
    let mut c = t.container();
    let pid = c.started();
    let text = t.rt(&["ps", &c.id, "-e", "-o", "pid,args"]).ok();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines, [vec!["PID", "COMMAND"], vec![&pid.to_string(), "/bin/sleep", "600"]]);
    t.rt(&["ps", &c.id, "-e", "-o", "args"]).is_refused();
    t.rt(&["ps", &c.id, "--no-such-option"]).is_refused();
}

fn ps_of_nothing(t: &Sandbox) {
    t.rt(&["ps", "there-is-none"]).is_refused();
}

fn kill_by_regex(t: &Sandbox) {
    let containers: Vec<_> = (0..3).map(|_| t.container()).collect();
    for mut c in containers {
        c.started();
    }
    let ids: Vec<String> = t.rt(&["list", "-q"]).ok().lines().map(str::to_owned).collect();
    t.rt(&["kill", "--regex", &format!("^({}|{})$", ids[0], ids[2]), "KILL"]).exits(0);
    let status = |id: &str| t.rt(&["state", id]).ok();
    eventually("two stop", || status(&ids[0]).contains("stopped") && status(&ids[2]).contains("stopped"));
    assert!(status(&ids[1]).contains("running"));
    // Nobody to kill is no failure.
    t.rt(&["kill", "--regex", "^no-[sS]uch.*$", "KILL"]).exits(0);
}

fn delete_by_regex(t: &Sandbox) {
    for _ in 0..3 {
        t.container().started();
    }
    let ids: Vec<String> = t.rt(&["list", "-q"]).ok().lines().map(str::to_owned).collect();
    t.rt(&["delete", "--force", "--regex", &format!("{}$", ids[1])]).exits(0);
    assert_eq!(t.states().len(), 2);
    // What runs is not deleted without force, and that is not the command's failure.
    t.rt(&["delete", "--regex", "."]).exits(0);
    assert_eq!(t.states().len(), 2);
    t.rt(&["delete", "--force", "--regex", "."]).exits(0);
    assert_eq!(t.states(), Vec::<String>::new());
}

fn regex_that_is_wrong_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    t.rt(&["kill", "--regex", "(", "KILL"]).is_refused();
    t.rt(&["delete", "--force", "--regex", "["]).is_refused();
    assert_eq!(c.status(), "running");
    assert!(!read(format!("/proc/{}/stat", c.pid())).is_empty());
}

fn update_memory(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["memory"] = object! { limit: 64 << 20 };
    c.started();
    let limit = || match controller("memory") {
        Some(_) => c.cgroup_file("memory", "memory.limit_in_bytes"),
        None => read(c.unified_cgroup().join("memory.max")).trim().to_owned(),
    };
    for (given, bytes) in [("33554432", 32u64 << 20), ("67108864", 64 << 20)] {
        t.rt(&["update", "--memory", given, &c.id]).ok();
        assert_eq!(limit(), bytes.to_string());
    }
    t.rt(&["update", "--memory=nonsense", &c.id]).is_refused();
    assert_eq!(c.status(), "running");
}

fn update_with_units(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    t.rt(&["update", "--memory=48m", "--memory-reservation", "16M", &c.id]).ok();
    assert_eq!(c.cgroup_file("memory", "memory.limit_in_bytes"), (48 << 20).to_string());
    assert_eq!(c.cgroup_file("memory", "memory.soft_limit_in_bytes"), (16 << 20).to_string());
}

/// Up and down again: version 1 wants the limit below that of memory and swap at every moment.
fn update_memory_and_swap(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["memory"] = object! { limit: 32 << 20, swap: 32 << 20 };
    c.started();
    for bytes in [128u64 << 20, 24 << 20] {
        let text = bytes.to_string();
        t.rt(&["update", "--memory", &text, "--memory-swap", &text, &c.id]).ok();
        assert_eq!(c.cgroup_file("memory", "memory.limit_in_bytes"), text);
        assert_eq!(c.cgroup_file("memory", "memory.memsw.limit_in_bytes"), text);
    }
    t.rt(&["update", "--memory", "-1", &c.id]).ok();
    assert!(c.cgroup_file("memory", "memory.limit_in_bytes").parse::<u64>().expect("number") > 1 << 60);
}

fn update_cpu(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["cpu"] = object! { quota: 20000, period: 50000 };
    c.started();
    t.rt(&["update", "--cpu-share", "321", "--cpu-quota=40000", "--cpu-period", "80000", &c.id]).ok();
    assert_eq!(c.cgroup_file("cpu", "cpu.shares"), "321");
    assert_eq!(c.cgroup_file("cpu", "cpu.cfs_quota_us"), "40000");
    assert_eq!(c.cgroup_file("cpu", "cpu.cfs_period_us"), "80000");
    // One of the two alone leaves the other.
    t.rt(&["update", "--cpu-period", "90000", &c.id]).ok();
    assert_eq!(c.cgroup_file("cpu", "cpu.cfs_quota_us"), "40000");
    t.rt(&["update", "--cpu-quota", "-1", &c.id]).ok();
    assert_eq!(c.cgroup_file("cpu", "cpu.cfs_period_us"), "90000");
    assert_eq!(c.cgroup_file("cpu", "cpu.cfs_quota_us"), "-1");
}

fn update_cpu_burst_and_idle(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["cpu"] = object! { quota: 50000, period: 100000 };
    c.started();
    t.rt(&["update", "--cpu-burst", "20000", &c.id]).ok();
    assert_eq!(c.cgroup_file("cpu", "cpu.cfs_burst_us"), "20000");
    t.rt(&["update", "--cpu-idle", "1", &c.id]).ok();
    assert_eq!(c.cgroup_file("cpu", "cpu.idle"), "1");
}

/// Realtime and the BFQ scheduler are options of the kernel, and its own memory has had no limit for long.
fn update_what_few_kernels_have(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    let has = |controller: &str, file: &str| c.cgroup(controller).join(file).exists();
    if has("cpu", "cpu.rt_period_us") {
        t.rt(&["update", "--cpu-rt-period", "900000", "--cpu-rt-runtime", "0", &c.id]).ok();
        assert_eq!(c.cgroup_file("cpu", "cpu.rt_period_us"), "900000");
    }
    if has("blkio", "blkio.bfq.weight") {
        t.rt(&["update", "--blkio-weight", "321", &c.id]).ok();
        assert_eq!(c.cgroup_file("blkio", "blkio.bfq.weight"), "321");
    }
    for option in ["--kernel-memory", "--kernel-memory-tcp"] {
        let ran = t.rt(&["update", option, "100000000", &c.id]);
        ran.exits(0);
        assert!(!t.is(Kind::Isopod) || ran.stderr().contains("ignored"), "{ran}");
    }
    assert_eq!(c.status(), "running");
}

fn update_cpuset_and_pids(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    t.rt(&["update", "--cpuset-cpus=0", "--cpuset-mems", "0", "--pids-limit", "17", &c.id]).ok();
    assert_eq!(c.cgroup_file("cpuset", "cpuset.cpus"), "0");
    assert_eq!(c.cgroup_file("pids", "pids.max"), "17");
}

fn update_from_a_document(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    let document = r#"{"pids": {"limit": 23}, "memory": {"limit": 50331648}, "devices": [{"allow": true}]}"#;
    let before = c.cgroup_file("devices", "devices.list");
    let file = t.file("limits.json", document);
    t.rt(&["update", "--resources", file.to_str().expect("path"), &c.id]).ok();
    assert_eq!(c.cgroup_file("pids", "pids.max"), "23");
    assert_eq!(c.cgroup_file("memory", "memory.limit_in_bytes"), "50331648");
    assert_eq!(c.cgroup_file("devices", "devices.list"), before);
    // As containerd does it.
    let file = t.file("more.json", r#"{"pids": {"limit": 29}}"#);
    let mut command = t.command(&["update", "-r", "-", &c.id]);
    t.spawn(command.stdin(std::fs::File::open(file).expect("input"))).wait().ok();
    assert_eq!(c.cgroup_file("pids", "pids.max"), "29");
    assert_eq!(c.cgroup_file("memory", "memory.limit_in_bytes"), "50331648");
    let broken = t.file("broken.json", r#"{"pids": {"#);
    t.rt(&["update", "-r", broken.to_str().expect("path"), &c.id]).is_refused();
    t.rt(&["update", "-r", "/no/such/file", &c.id]).is_refused();
}

fn update_unified(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["cpu"] = object! { quota: 20000, period: 50000 };
    c.config["linux"]["resources"]["memory"] = object! { limit: 64 << 20, swap: 64 << 20 };
    c.started();
    let cgroup = c.unified_cgroup();
    let file = |name: &str| read(cgroup.join(name)).trim().to_owned();
    t.rt(&["update", "--cpu-period", "90000", &c.id]).ok();
    assert_eq!(file("cpu.max"), "20000 90000");
    t.rt(&["update", "--memory-swap", &(96 << 20).to_string(), &c.id]).ok();
    assert_eq!((file("memory.max"), file("memory.swap.max")), ((64 << 20).to_string(), (32 << 20).to_string()));
    t.rt(&["update", "--cpu-share", "1024", "--pids-limit", "-1", &c.id]).ok();
    assert_eq!((file("cpu.weight"), file("pids.max")), ("100".into(), "max".into()));
    let document = t.file("less.json", r#"{"memory": {"limit": 4096, "checkBeforeUpdate": true}}"#);
    t.rt(&["update", "-r", document.to_str().expect("path"), &c.id]).is_refused();
    assert_eq!(c.status(), "running");
}

fn update_of_a_stopped_container_is_refused(t: &Sandbox) {
    let c = &mut t.container();
    c.sh("true").created();
    c.start().ok();
    c.wait_until_stopped();
    t.rt(&["update", "--pids-limit", "17", &c.id]).is_refused();
}

fn update_of_what_is_not_there_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    t.rt(&["update", "--mem-bw-schema", "MB:0=50", &c.id]).is_refused();
}

fn update_from_options_and_a_document_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    let file = t.file("limits.json", r#"{"pids": {"limit": 23}}"#);
    t.rt(&["update", "--memory=64m", "-r", file.to_str().expect("path"), &c.id]).is_refused();
}

fn features_are_what_the_spec_says(t: &Sandbox) {
    let features = jzon::parse(&t.rt(&["features"]).ok()).expect("JSON");
    assert_eq!(features["ociVersionMin"], "1.0.0");
    assert!(features["ociVersionMax"].as_str().expect("ociVersionMax").starts_with("1."));
    let names = |list: &jzon::JsonValue| -> Vec<String> {
        list.members().map(|name| name.as_str().expect("a name").to_owned()).collect()
    };
    let namespaces = names(&features["linux"]["namespaces"]);
    for kind in ["cgroup", "ipc", "mount", "network", "pid", "user", "uts"] {
        assert!(namespaces.iter().any(|name| name == kind), "{kind}: {namespaces:?}");
    }
    assert!(names(&features["linux"]["capabilities"]).contains(&"CAP_SYS_ADMIN".to_owned()));
    assert_eq!(features["linux"]["cgroup"]["v1"], true);
    assert_eq!(features["linux"]["cgroup"]["v2"], true);
    // What it says that it takes, it takes.
    let mut c = t.container();
    for option in &names(&features["mountOptions"]) {
        if ["ro", "rw", "nosuid", "rnoexec", "private", "rshared", "noatime", "sync"].contains(&&**option) {
            c.mount(&format!("/tmp/{option}"), "tmpfs", "tmpfs", &[option]);
        }
    }
    assert_eq!(c.writable().args(&["/bin/echo", "taken"]).run().ok(), "taken");
}

fn events_once(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["memory"] = object! { limit: 64 << 20 };
    c.config["linux"]["resources"]["pids"] = object! { limit: 17 };
    c.started();
    let text = t.rt(&["events", "--stats", &c.id]).ok();
    assert_eq!(text.lines().count(), 1);
    let event = jzon::parse(&text).expect("JSON");
    assert_eq!((event["type"].as_str(), event["id"].as_str()), (Some("stats"), Some(c.id.as_str())));
    let data = &event["data"];
    assert_eq!(data["memory"]["usage"]["limit"], 64 << 20);
    assert!(data["memory"]["usage"]["usage"].as_u64().expect("usage") > 0, "{text}");
    assert!(!data["memory"]["raw"].is_empty());
    assert_eq!((data["pids"]["current"].as_u64(), data["pids"]["limit"].as_u64()), (Some(1), Some(17)));
    let cpu = &data["cpu"]["usage"];
    assert!(cpu["total"].as_u64().expect("total") > 0 && cpu["user"].is_number() && cpu["kernel"].is_number(), "{cpu}");
    assert!(data["hugetlb"].is_object() && data["blkio"].is_object() && data["cpuset"].is_object());
}

fn events_again_and_again(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    let events = t.start(&["events", "--interval", "50ms", &c.id]);
    eventually("three lines", || events.stdout().lines().count() >= 3);
    c.kill("KILL").ok();
    // They end with the container.
    let ran = events.wait();
    ran.exits(0);
    for line in ran.stdout().lines() {
        assert_eq!(jzon::parse(line).expect("JSON")["type"], "stats");
    }
}

fn events_of_memory_that_is_short(t: &Sandbox) {
    let c = &mut t.container();
    c.config["linux"]["resources"]["memory"] = object! { limit: 16 << 20, swap: 16 << 20 };
    c.sh("while [ ! -e /dev/shm/go ]; do sleep 0.01; done; dd if=/dev/zero of=/dev/null bs=60M count=1; sleep 600");
    c.created();
    c.start().ok();
    let events = t.start(&["events", "--interval", "1h", &c.id]);
    std::thread::sleep(std::time::Duration::from_millis(200));
    std::fs::write(format!("/proc/{}/root/dev/shm/go", c.pid()), "").expect("go");
    eventually("it is said", || events.stdout().contains("\"oom\""));
    assert_eq!(jzon::parse(events.stdout().lines().next().expect("a line")).expect("JSON")["id"], c.id.as_str());
}

fn events_of_a_stopped_container_are_refused(t: &Sandbox) {
    let c = &mut t.container();
    c.sh("true").created();
    c.start().ok();
    c.wait_until_stopped();
    t.rt(&["events", "--stats", &c.id]).is_refused();
    t.rt(&["events", "--stats", "there-is-none"]).is_refused();
    t.rt(&["events", "--interval=soon", &c.id]).is_refused();
}

fn completion_of_each_shell(t: &Sandbox) {
    for shell in ["bash", "zsh", "fish"] {
        let script = t.rt(&["completion", shell]).ok();
        assert!(script.contains("delete") && script.contains("preserve-fds"), "{script}");
    }
    t.rt(&["completion", "tcsh"]).exits(64);
    let script = t.file("completion", &t.rt(&["completion", "bash"]).stdout());
    let asked = format!(". {}; COMP_WORDS=(isopod upd); COMP_CWORD=1; _isopod; echo $COMPREPLY", script.display());
    if let Ok(answer) = std::process::Command::new("bash").args(["-c", &asked]).output() {
        assert_eq!(String::from_utf8_lossy(&answer.stdout), "update\n");
    }
}
