//! The containers that the commands are about: between them they ask for everything that restricts one.

use std::fs;

use jzon::{array, object};

use crate::case;
use crate::subject::Subject;
use crate::support::{Case, Container, Need, Sandbox, controller, read};

pub fn cases() -> Vec<Case> {
    vec![
        case!(run_as_root),
        case!(run_as_user),
        case!(run_in_user_namespace).needs(&[Need::UserNamespaces]),
        case!(create),
        case!(start),
        case!(exec),
        case!(exec_in_user_namespace).needs(&[Need::UserNamespaces]),
        case!(kill),
        case!(kill_all),
        case!(delete_of_the_stopped),
        case!(delete_by_force),
        case!(pause),
        case!(resume),
        case!(update),
        case!(state),
        case!(ps),
        case!(list),
    ]
}

/// What the payload looks at.
const ACCESS: &str = "/proc/kcore:/proc/keys:/proc/timer_list:/sys/firmware:/proc/sys:/proc/sysrq-trigger:/proc/bus:\
                      /masked-file:/masked-directory:/read-only:/data:/bound:/dev/shm:/";

/// The payload reports, with everything restricted that can be for root without new privileges.
fn restricted<'a>(t: &'a Sandbox) -> Container<'a> {
    let mut c = t.container();
    reporting(&mut c);
    let source = t.path("source");
    fs::create_dir_all(source.join("below")).expect("mkdir");
    c.mkdir("/masked-directory")
        .mkdir("/read-only")
        .file("/masked-file", "secret\n")
        .mkdir("/work")
        .mkdir("/data")
        .mkdir("/bound");
    c.file("/data/copied", "x");
    c.mount("/data", "tmpfs", "tmpfs", &["nosuid", "nodev", "noexec", "ro", "size=64k", "tmpcopyup"]);
    c.bind("/bound", &source, &["rbind", "rro", "nosuid", "nodev", "noexec"]);
    let linux = &mut c.config["linux"];
    for path in ["/masked-file", "/masked-directory"] {
        linux["maskedPaths"].push(path).expect("masked");
    }
    linux["readonlyPaths"].push("/read-only").expect("read-only");
    linux["sysctl"] = object! { "kernel.shm_rmid_forced": "1", "net.ipv4.ip_unprivileged_port_start": "80" };
    linux["resources"] = object! {
        devices: [{ allow: false, access: "rwm" }, { allow: true, "type": "c", major: 1, minor: 7, access: "r" }],
        memory: { limit: 64 << 20 },
        pids: { limit: 50 },
        cpu: { shares: 200 },
    };
    linux["seccomp"] = filter();
    let process = &mut c.config["process"];
    process["cwd"] = "/work".into();
    process["oomScoreAdj"] = 300.into();
    process["rlimits"] = array![
        object! { "type": "RLIMIT_NOFILE", hard: 512, soft: 256 },
        object! { "type": "RLIMIT_CORE", hard: 0, soft: 0 },
    ];
    c.config["domainname"] = "example".into();
    c
}

/// The same for a user, who keeps a capability.
fn restricted_user<'a>(t: &'a Sandbox) -> Container<'a> {
    let mut c = restricted(t);
    c.writable().namespace("cgroup");
    let capabilities = array!["CAP_NET_BIND_SERVICE", "CAP_CHOWN"];
    let process = &mut c.config["process"];
    process["user"] = object! { uid: 1000, gid: 1001, additionalGids: [7, 8], umask: 0o27 };
    for set in ["bounding", "effective", "permitted", "inheritable", "ambient"] {
        process["capabilities"][set] = capabilities.clone();
    }
    process["noNewPrivileges"] = false.into();
    process["scheduler"] = object! { policy: "SCHED_BATCH", nice: 5 };
    process["ioPriority"] = object! { "class": "IOPRIO_CLASS_BE", priority: 6 };
    c.config["linux"]["personality"] = object! { domain: "LINUX", flags: ["ADDR_NO_RANDOMIZE"] };
    if !c.config["linux"]["personality"]["flags"].is_empty() {
        c.config["linux"]["personality"] = object! { domain: "LINUX32" };
    }
    c.config["linux"]["devices"] = array![
        object! { path: "/dev/own", "type": "c", major: 1, minor: 7, fileMode: 0o640, uid: 1000, gid: 1001 },
        object! { path: "/dev/deep/er/own", "type": "c", major: 1, minor: 7 },
    ];
    c.config["linux"]["rootfsPropagation"] = "private".into();
    c
}

fn in_user_namespace<'a>(t: &'a Sandbox) -> Container<'a> {
    let mut c = restricted(t);
    c.config["linux"]["resources"].remove("devices");
    c.namespace("cgroup").with_user_namespace();
    c
}

fn filter() -> jzon::JsonValue {
    object! {
        defaultAction: "SCMP_ACT_ALLOW",
        architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        syscalls: [{ names: ["mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 28 }],
    }
}

fn reporting(c: &mut Container) {
    let host: Vec<String> = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"]
        .iter()
        .map(|name| fs::read_link(format!("/proc/self/ns/{name}")).expect("ns").display().to_string())
        .collect();
    let mut values = Vec::new();
    for (name, files) in [
        ("memory", &["memory.limit_in_bytes"][..]),
        ("pids", &["pids.max"]),
        ("devices", &["devices.list"]),
        ("cpu", &["cpu.shares"]),
    ] {
        if let Some(place) = controller(name) {
            let place = place.file_name().expect("name").to_string_lossy().into_owned();
            values.extend(files.iter().map(|file| format!("/sys/fs/cgroup/{place}/{file}")));
        } else {
            let file = match name {
                "memory" => "memory.max",
                "pids" => "pids.max",
                _ => "cpu.weight",
            };
            values.push(format!("/sys/fs/cgroup/{file}"));
        }
    }
    for name in ["kernel/shm_rmid_forced", "net/ipv4/ip_unprivileged_port_start"] {
        values.push(format!("/proc/sys/{name}"));
    }
    c.probe("report");
    c.env(&format!("HOST_NS={}", host.join(" "))).env(&format!("VALUES={}", values.join(":")));
    c.env(&format!("ACCESS={ACCESS}"));
}

fn sleeping<'a>(mut c: Container<'a>) -> Container<'a> {
    c.args(&["/bin/sleep", "600"]);
    c
}

fn run_as_root(t: &Sandbox) {
    Subject::new(t, restricted(t)).run(&[]);
}

fn run_as_user(t: &Sandbox) {
    Subject::new(t, restricted_user(t)).run(&[]);
}

fn run_in_user_namespace(t: &Sandbox) {
    Subject::new(t, in_user_namespace(t)).run(&[]);
}

fn create(t: &Sandbox) {
    Subject::new(t, restricted_user(t)).create(&[]);
}

fn start(t: &Sandbox) {
    Subject::new(t, restricted(t)).start(&[]);
}

fn exec(t: &Sandbox) {
    Subject::new(t, sleeping(restricted_user(t))).exec(&[], &["/probe", "report"]);
}

fn exec_in_user_namespace(t: &Sandbox) {
    Subject::new(t, sleeping(in_user_namespace(t))).exec(&[], &["/probe", "report"]);
}

/// Whether init is gone, which a signal takes a moment for.
fn ends(t: &Sandbox) -> Option<String> {
    crate::support::settle(&|| t.processes().iter().map(|pid| format!("process {pid}")).collect()).pop()
}

fn kill(t: &Sandbox) {
    let subject = Subject::new(t, sleeping(restricted(t)));
    subject.about(&["kill", "ID", "KILL"], &|| {}, &|_| ends(t));
}

fn kill_all(t: &Sandbox) {
    let subject = Subject::new(t, sleeping(restricted(t)));
    subject.about(&["kill", "--all", "ID", "KILL"], &|| {}, &|_| ends(t));
}

fn gone(s: &Subject) -> Option<String> {
    crate::oracle::leftovers(s.t, &s.c.id).pop().map(|what| format!("left behind: {what}"))
}

fn delete_of_the_stopped(t: &Sandbox) {
    let s = Subject::new(t, sleeping(restricted(t)));
    let stop = || {
        s.c.kill("KILL").ok();
        s.c.wait_until_stopped();
    };
    s.about(&["delete", "ID"], &stop, &|_| gone(&s));
}

fn delete_by_force(t: &Sandbox) {
    let s = Subject::new(t, sleeping(restricted(t)));
    s.about(&["delete", "--force", "ID"], &|| {}, &|_| gone(&s));
}

fn has_status(s: &Subject, wanted: &str) -> Option<String> {
    let status = s.c.status();
    (status != wanted).then(|| format!("is {status}"))
}

fn pause(t: &Sandbox) {
    let s = Subject::new(t, sleeping(restricted(t)));
    s.about(&["pause", "ID"], &|| {}, &|_| has_status(&s, "paused"));
}

fn resume(t: &Sandbox) {
    let s = Subject::new(t, sleeping(restricted(t)));
    let pause = || drop(s.c.about("pause", &[]).ok());
    s.about(&["resume", "ID"], &pause, &|_| has_status(&s, "running"));
}

fn update(t: &Sandbox) {
    let s = Subject::new(t, sleeping(restricted(t)));
    let wanted = ["33554432", "20", "300"];
    let words = ["update", "--memory", wanted[0], "--pids-limit", wanted[1], "--cpu-share", wanted[2], "ID"];
    s.about(&words, &|| {}, &|_| {
        let v1 = [("memory", "memory.limit_in_bytes"), ("pids", "pids.max"), ("cpu", "cpu.shares")];
        let found = v1.map(|(name, file)| s.c.cgroup_file(name, file));
        (found != wanted).then(|| format!("{found:?}"))
    });
}

fn state(t: &Sandbox) {
    let s = Subject::new(t, sleeping(restricted(t)));
    s.about(&["state", "ID"], &|| {}, &|ran| (!ran.stdout().contains("\"running\"")).then(|| ran.stdout()));
}

fn ps(t: &Sandbox) {
    let s = Subject::new(t, sleeping(restricted(t)));
    s.about(&["ps", "ID"], &|| {}, &|ran| (ran.stdout() != format!("PID\n{}\n", s.c.pid())).then(|| ran.stdout()));
}

fn list(t: &Sandbox) {
    let s = Subject::new(t, sleeping(restricted(t)));
    s.about(&["list"], &|| {}, &|ran| {
        // One that cannot be read is left out with a warning.
        (!ran.stdout().contains(&s.c.id) && ran.stderr().is_empty()).then(|| ran.stdout())
    });
}
