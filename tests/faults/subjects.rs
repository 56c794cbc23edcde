//! The containers that the commands are about: between them they ask for everything that restricts one.

use std::cell::RefCell;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use jzon::{array, object};

use crate::case;
use crate::oracle::{report, settle};
use crate::subject::Subject;
use crate::support::{Agent, Case, Container, Mood, Need, Sandbox, Systemd, controller, eventually, read};

pub fn cases() -> Vec<Case> {
    vec![
        case!(run_as_root),
        case!(run_as_user),
        case!(run_in_user_namespace).needs(&[Need::UserNamespaces]),
        case!(run_with_terminal),
        case!(run_in_joined_namespaces),
        case!(run_in_joined_user_namespace).needs(&[Need::UserNamespaces]),
        case!(run_with_hooks),
        case!(run_with_listener),
        case!(run_by_user).needs(&[Need::User]),
        case!(run_with_supervisor),
        case!(run_with_net_device),
        case!(run_in_scope).needs(&[Need::PlaceForSystemd]),
        case!(create),
        case!(create_with_hooks),
        case!(start),
        case!(start_with_hooks),
        case!(start_with_supervisor),
        case!(exec),
        case!(exec_with_terminal),
        case!(exec_with_listener),
        case!(exec_by_user).needs(&[Need::User]),
        case!(exec_in_user_namespace).needs(&[Need::UserNamespaces]),
        case!(kill),
        case!(kill_all),
        case!(delete_of_the_stopped),
        case!(delete_by_force),
        case!(delete_with_hooks),
        case!(pause),
        case!(resume),
        case!(update),
        case!(update_of_devices),
        case!(update_in_scope).needs(&[Need::PlaceForSystemd]),
        case!(delete_in_scope).needs(&[Need::PlaceForSystemd]),
        case!(mounts_add),
        case!(mounts_remove),
        case!(events),
        case!(state),
        case!(ps),
        case!(list),
    ]
}

/// What the payload looks at.
const ACCESS: &str = "/proc/kcore:/proc/keys:/proc/timer_list:/sys/firmware:/proc/sys:/proc/sysrq-trigger:/proc/bus:\
                      /masked-file:/masked-directory:/read-only:/data:/bound:/dev/shm:/";

/// The payload reports, with everything restricted that can be for root without new privileges.
pub fn restricted<'a>(t: &'a Sandbox) -> Container<'a> {
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

pub fn in_user_namespace<'a>(t: &'a Sandbox) -> Container<'a> {
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

/// Somebody in new namespaces, for as long as this lives.
struct Holder(Child);

impl Holder {
    fn new(flags: &[&str]) -> Holder {
        let child = Command::new("unshare").args(flags).args(["sleep", "600"]).spawn().expect("unshare");
        eventually("unshare is done", || read(format!("/proc/{}/comm", child.id())).trim() == "sleep");
        Holder(child)
    }

    fn join(&self, c: &mut Container, kind: &str, name: &str) {
        c.join(kind, &format!("/proc/{}/ns/{name}", self.0.id()));
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A hook in each stage leaves a line; the file is where it was for those that see the container.
fn with_hooks<'a>(t: &'a Sandbox, c: Container<'a>) -> Subject<'a> {
    let mut c = c;
    let directory = t.path("shared");
    fs::create_dir_all(&directory).expect("mkdir");
    let witness = directory.join("witness");
    fs::write(&witness, "").expect("write");
    let shown = directory.to_str().expect("UTF-8").to_owned();
    c.bind(&shown, &directory, &["rw"]);
    for stage in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        let script = format!("echo hook {stage} >>{}", witness.display());
        c.config["hooks"][stage] = array![object! { path: "/bin/sh", args: ["sh", "-c", script.as_str()] }];
    }
    Subject::new(t, c).with_witness(witness)
}

fn with_listener<'a>(t: &'a Sandbox, mut c: Container<'a>) -> Container<'a> {
    let agent = Agent::new(t);
    c.config["linux"]["seccomp"]["listenerPath"] = agent.name().into();
    c.config["linux"]["seccomp"]["syscalls"] = array![object! { names: ["mkdirat"], action: "SCMP_ACT_NOTIFY" }];
    agent.serve_all();
    c
}

fn run_with_terminal(t: &Sandbox) {
    let mut c = restricted_user(t);
    c.config["process"]["terminal"] = true.into();
    c.config["process"]["consoleSize"] = object! { height: 30, width: 90 };
    Subject::new(t, c).run(&[]);
}

fn run_in_joined_namespaces(t: &Sandbox) {
    let holder = Holder::new(&["--net", "--ipc", "--uts"]);
    let mut c = restricted(t);
    c.config["linux"].remove("sysctl");
    c.config.remove("hostname");
    c.config.remove("domainname");
    for (kind, name) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
        holder.join(&mut c, kind, name);
    }
    Subject::new(t, c).run(&[]);
}

fn run_in_joined_user_namespace(t: &Sandbox) {
    let holder = Holder::new(&["--user", "--map-root-user", "--net"]);
    let mut c = restricted(t);
    c.config["linux"].remove("sysctl");
    c.config["linux"]["resources"].remove("devices");
    for mount in c.config["mounts"].members_mut().filter(|mount| mount["type"] == "devpts") {
        // There is no such group.
        mount["options"] = array!["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    }
    holder.join(&mut c, "user", "user");
    holder.join(&mut c, "network", "net");
    Subject::new(t, c).run(&[]);
}

fn run_with_hooks(t: &Sandbox) {
    with_hooks(t, restricted(t)).run(&[]);
}

fn run_with_listener(t: &Sandbox) {
    let c = restricted_user(t);
    Subject::new(t, with_listener(t, c)).run(&[]);
}

/// A socket on which somebody waits to hear that the container is ready, which leaves a line as hooks do.
fn with_supervisor<'a>(t: &'a Sandbox, c: Container<'a>) -> Subject<'a> {
    let (path, witness) = (t.path("supervisor"), t.path("witness"));
    let socket = UnixDatagram::bind(&path).expect("bind");
    let heard = witness.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok(length) = socket.recv(&mut buffer) {
            if buffer[..length].starts_with(b"READY=1\nMAINPID=") {
                let _ = fs::write(&heard, "hook notified\n");
            }
        }
    });
    let subject = Subject::new(t, c).with_variable("NOTIFY_SOCKET", path.to_str().expect("UTF-8"));
    subject.with_witness(witness).about_calls(&["socket", "bind", "connect", "sendto", "sendmsg", "recvfrom", "poll"])
}

fn run_with_supervisor(t: &Sandbox) {
    with_supervisor(t, restricted(t)).run(&[]);
}

fn start_with_supervisor(t: &Sandbox) {
    with_supervisor(t, restricted(t)).start(&[]);
}

fn ip(words: &[&str]) -> bool {
    Command::new("/bin/busybox").arg("ip").args(words).stderr(Stdio::null()).status().expect("ip").success()
}

/// One of a pair of interfaces becomes the container's, with its address and another name.
fn run_with_net_device(t: &Sandbox) {
    let mut c = restricted(t);
    let (one, other) = (format!("fa{}", std::process::id()), format!("fb{}", std::process::id()));
    c.config["linux"]["netDevices"][one.as_str()] = object! { name: "inside" };
    let environment = c.config["process"]["env"].members_mut();
    for entry in environment.filter(|entry| entry.as_str().is_some_and(|entry| entry.starts_with("VALUES="))) {
        let more = format!("{}:/sys/class/net/inside/flags:/proc/net/fib_trie", entry.as_str().expect("text"));
        *entry = more.into();
    }
    let unmade = || {
        ip(&["link", "del", &one]);
        ip(&["link", "del", &other]);
    };
    let made = || {
        unmade();
        // The kernel takes away in its own time what was a container's.
        eventually("a pair of interfaces", || ip(&["link", "add", &one, "type", "veth", "peer", "name", &other]));
        assert!(ip(&["addr", "add", "192.0.2.5/28", "dev", &one]));
    };
    let own = &["socket", "bind", "setns", "sendto", "recvfrom"];
    Subject::new(t, c).before(made).about_calls(own).run(&[]);
    unmade();
}

/// In a scope of systemd's, for which somebody stands in.
fn in_scope<'a>(t: &'a Sandbox, mut c: Container<'a>) -> Subject<'a> {
    c.config["linux"].remove("cgroupsPath");
    let systemd = Systemd::start(t.path(""), Mood::Willing);
    let subject = Subject::new(t, c).with_option("--cgroup-manager=systemd");
    let subject = subject.with_variable("DBUS_SYSTEM_BUS_ADDRESS", &systemd.address);
    subject.about_calls(&["socket", "connect", "clone3", "sendto", "sendmsg", "recvfrom", "recvmsg", "poll", "rmdir"])
}

fn run_in_scope(t: &Sandbox) {
    in_scope(t, restricted(t)).run(&[]);
}

/// Who is not root, in a user namespace of his own.
fn run_by_user(t: &Sandbox) {
    Subject::new(t, of_user(t)).run(&[]);
}

fn exec_by_user(t: &Sandbox) {
    Subject::new(t, sleeping(of_user(t))).exec(&[], &["/probe", "report"]);
}

fn of_user(t: &Sandbox) -> Container<'_> {
    t.as_ordinary_user();
    let mut c = t.container();
    reporting(&mut c);
    c.mkdir("/masked-directory").file("/masked-file", "secret\n").mkdir("/read-only").mkdir("/data");
    c.mount("/data", "tmpfs", "tmpfs", &["nosuid", "nodev", "noexec", "ro", "size=64k"]);
    for path in ["/masked-file", "/masked-directory"] {
        c.config["linux"]["maskedPaths"].push(path).expect("masked");
    }
    c.config["linux"]["readonlyPaths"].push("/read-only").expect("read-only");
    c.config["linux"]["seccomp"] = filter();
    c
}

fn create_with_hooks(t: &Sandbox) {
    with_hooks(t, restricted(t)).create(&[]);
}

fn start_with_hooks(t: &Sandbox) {
    with_hooks(t, restricted(t)).start(&[]);
}

fn exec_with_terminal(t: &Sandbox) {
    Subject::new(t, sleeping(restricted_user(t))).exec(&["--tty"], &["/probe", "report"]);
}

fn exec_with_listener(t: &Sandbox) {
    let c = restricted(t);
    Subject::new(t, sleeping(with_listener(t, c))).exec(&[], &["/probe", "report"]);
}

fn delete_with_hooks(t: &Sandbox) {
    let s = with_hooks(t, sleeping(restricted(t)));
    let stop = || {
        s.c.kill("KILL").ok();
        s.c.wait_until_stopped();
    };
    s.about(&["delete", "ID"], &stop, &|_| gone(&s));
}

pub fn sleeping<'a>(mut c: Container<'a>) -> Container<'a> {
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
    crate::oracle::settle(&|| t.processes().iter().map(|pid| format!("process {pid}")).collect()).pop()
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

/// All of it or nothing.
fn update_of_devices(t: &Sandbox) {
    let s = Subject::new(t, sleeping(restricted(t)));
    update_by_document(&s, &["devices.list", "memory.limit_in_bytes", "pids.max", "cpu.shares"]);
}

fn update_in_scope(t: &Sandbox) {
    let mut c = sleeping(restricted(t));
    c.config["linux"]["resources"].remove("devices");
    let s = in_scope(t, c);
    update_by_document(&s, &["memory.limit_in_bytes", "pids.max", "cpu.shares"]);
}

fn update_by_document(s: &Subject, files: &[&str]) {
    let mut resources = object! { memory: { limit: 32 << 20 }, pids: { limit: 20 }, cpu: { shares: 300 } };
    if files.contains(&"devices.list") {
        resources["devices"] = array![
            object! { allow: false, access: "rwm" },
            object! { allow: true, "type": "c", major: 1, minor: 8, access: "r" }
        ];
    }
    let document = s.t.file("resources.json", &resources.dump());
    let values = || {
        let find = |name: &&str| {
            // The innermost.
            let found = s.t.cgroups().into_iter().rev().map(|place| place.join(name)).find(|path| path.exists());
            found.map(read).unwrap_or_default()
        };
        report(
            &files
                .iter()
                .map(|name| format!("{name}: {}", find(name).replace('\n', " ")))
                .collect::<Vec<_>>()
                .join("\n"),
        )
    };
    let words = ["update", "--resources", document.to_str().expect("UTF-8"), "ID"];
    let before = RefCell::new(String::new());
    s.about_or_not(
        &words,
        &|| drop(before.replace(values())),
        &|_| (values() == *before.borrow()).then(|| format!("as before: {}", values())),
        &|_| (values() != *before.borrow()).then(|| format!("not as before: {} {}", before.borrow(), values())),
    );
}

fn delete_in_scope(t: &Sandbox) {
    let s = in_scope(t, sleeping(restricted(t)));
    s.about(&["delete", "--force", "ID"], &|| {}, &|_| gone(&s));
}

/// Mounts for a container that runs, one of which is read-only but for what is mounted in it.
fn mount_list(t: &Sandbox) -> PathBuf {
    let source = t.path("source");
    let list = array![
        object! { destination: "/bound", source: source.to_str().expect("UTF-8"), options: ["bind", "ro", "nosuid"] },
        object! { destination: "/work", "type": "tmpfs", source: "tmpfs", options: ["size=64k", "ro"] },
        object! { destination: "/work/below", "type": "tmpfs", source: "tmpfs", options: ["nodev"] },
    ];
    t.file("mounts.json", &list.dump())
}

/// How their lines begin, after the root of the mount.
const ADDED: &[&str] = &["/bound ro,nosuid,relatime ", "/work ro,relatime ", "/work/below rw,nodev,relatime "];

/// The mounts of the container, without their numbers and roots.
fn mounts(s: &Subject) -> Vec<String> {
    let table = read(format!("/proc/{}/mountinfo", s.c.pid()));
    table.lines().map(|line| line.splitn(5, ' ').nth(4).unwrap_or("").to_owned()).collect()
}

/// Those that were not there before.
fn added(s: &Subject, before: &[String]) -> Vec<String> {
    mounts(s).into_iter().filter(|line| !before.contains(line)).collect()
}

/// One that fails leaves those before it, and each of them is as it was asked for.
fn mounts_add(t: &Sandbox) {
    let s = Subject::new(t, sleeping(restricted(t)));
    let list = mount_list(t);
    let before = RefCell::new(Vec::new());
    let wrong = |least| {
        let added = added(&s, &before.borrow());
        let right = added.len() >= least && added.iter().zip(ADDED).all(|(line, wanted)| line.starts_with(wanted));
        (!right).then(|| format!("{added:?}"))
    };
    let prepare = || drop(before.replace(mounts(&s)));
    let words = ["mounts", "add", "ID", list.to_str().expect("UTF-8")];
    s.about_or_not(&words, &prepare, &|_| wrong(ADDED.len()), &|ran| {
        let said = ran.stderr();
        // Whoever has not been waited for may still be at work.
        settle(&|| t.processes().iter().skip(1).map(|pid| format!("process {pid}")).collect());
        // Who is killed cannot close what it has open to make a mount point in, and what cannot be closed is not there.
        if said.contains("was killed") || said.contains("make read-only") { None } else { wrong(0) }
    });
}

fn mounts_remove(t: &Sandbox) {
    let s = Subject::new(t, sleeping(restricted(t)));
    let list = mount_list(t);
    let list = list.to_str().expect("UTF-8");
    let before = RefCell::new(Vec::new());
    let prepare = || {
        before.replace(mounts(&s));
        s.t.rt(&["mounts", "add", &s.c.id, list]).ok();
    };
    s.about(&["mounts", "remove", "ID", list], &prepare, &|_| {
        Some(added(&s, &before.borrow())).filter(|left| !left.is_empty()).map(|left| format!("left: {left:?}"))
    });
}

fn events(t: &Sandbox) {
    let s = Subject::new(t, sleeping(restricted(t)));
    s.about(&["events", "--stats", "ID"], &|| {}, &|ran| {
        let event =
            jzon::parse(&ran.stdout()).ok().filter(|event| event["type"] == "stats" && event["data"].is_object());
        event.is_none().then(|| ran.stdout())
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
