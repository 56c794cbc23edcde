//! Namespaces: new ones, joined ones, and what belongs to each.

use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};

use jzon::{JsonValue, array, object};

use crate::case;
use crate::support::{Case, Kind, Need, Sandbox, behind, eventually, read};

pub fn cases() -> Vec<Case> {
    vec![
        case!(every_new_namespace_is_new),
        case!(what_is_not_asked_for_is_the_hosts),
        case!(init_is_process_one),
        case!(host_pid_namespace_shows_the_real_pid),
        case!(loopback_is_up),
        case!(hostname_is_set),
        case!(domainname_is_set).differs(Kind::Runc, "1.1 does not know the field"),
        case!(hostname_needs_a_uts_namespace),
        case!(cgroup_namespace_is_new),
        case!(user_namespace_has_its_maps).needs(&[Need::UserNamespaces]),
        case!(user_namespace_owns_the_others).needs(&[Need::UserNamespaces]),
        case!(maps_of_several_ranges).needs(&[Need::UserNamespaces]),
        case!(as_many_maps_as_the_kernel_takes).needs(&[Need::UserNamespaces]),
        case!(joins_by_path),
        case!(joins_a_pid_namespace),
        case!(joins_a_user_namespace)
            .needs(&[Need::UserNamespaces])
            .differs(Kind::Runc, "wants mappings for a namespace that has its own"),
        case!(joins_user_and_pid_namespaces_together)
            .needs(&[Need::UserNamespaces])
            .differs(Kind::Runc, "wants mappings for a namespace that has its own"),
        case!(joined_namespaces_of_another_container),
        case!(new_user_namespace_beside_joined_ones).needs(&[Need::UserNamespaces]),
        case!(own_mount_namespace_is_refused).isopod_only("crun takes it, runc says something else"),
        case!(mount_namespace_of_another_stays_as_it_was).isopod_only("what was mounted stays"),
        case!(path_of_another_type_is_refused),
        case!(path_that_does_not_exist_is_refused),
        case!(overlong_namespace_path_is_refused),
    ]
}

/// Types as the config has them, and as `/proc/PID/ns` has them.
const TYPES: &[(&str, &str)] = &[("pid", "pid"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("mount", "mnt")];

fn own_namespace(name: &str) -> String {
    namespace_of("self", name)
}

fn namespace_of(pid: impl std::fmt::Display, name: &str) -> String {
    let link = std::fs::read_link(format!("/proc/{pid}/ns/{name}")).expect("namespace");
    link.to_string_lossy().into_owned()
}

fn every_new_namespace_is_new(t: &Sandbox) {
    let mut c = t.container();
    for (_, name) in TYPES {
        let inside = c.out(&format!("readlink /proc/self/ns/{name}"));
        assert!(inside.starts_with(&format!("{name}:[")), "{inside}");
        assert_ne!(inside, own_namespace(name));
    }
}

fn what_is_not_asked_for_is_the_hosts(t: &Sandbox) {
    let mut c = t.container();
    for kind in ["network", "ipc", "uts", "cgroup"] {
        c.without_namespace(kind);
    }
    // Without an IPC namespace there is no mqueue of its own, without a network namespace no sysfs.
    c.without_mount("/dev/mqueue").without_mount("/sys");
    c.config.remove("hostname");
    for name in ["net", "ipc", "uts", "user", "cgroup"] {
        assert_eq!(c.out(&format!("readlink /proc/self/ns/{name}")), own_namespace(name));
    }
}

fn init_is_process_one(t: &Sandbox) {
    assert_eq!(t.container().out("echo $$; readlink /proc/self/../1/exe"), "1\n/bin/busybox");
}

fn host_pid_namespace_shows_the_real_pid(t: &Sandbox) {
    let mut c = t.container();
    let pid = c.without_namespace("pid").started();
    assert_eq!(namespace_of(pid, "pid"), own_namespace("pid"));
    c.force_delete().ok();
}

fn loopback_is_up(t: &Sandbox) {
    let links = t.container().out("ip -o link");
    assert_eq!(links.lines().count(), 1, "only loopback: {links}");
    assert!(links.contains("lo: <LOOPBACK,UP,LOWER_UP>"), "{links}");
    assert!(t.container().out("ip -o addr").contains("127.0.0.1/8"));
}

fn hostname_is_set(t: &Sandbox) {
    let mut c = t.container();
    c.config["hostname"] = "a-name.of.its.own".into();
    assert_eq!(c.out("uname -n; cat /proc/sys/kernel/hostname"), "a-name.of.its.own\na-name.of.its.own");
}

fn domainname_is_set(t: &Sandbox) {
    let mut c = t.container();
    c.config["domainname"] = "nis.example".into();
    assert_eq!(c.out("cat /proc/sys/kernel/domainname"), "nis.example");
}

fn hostname_needs_a_uts_namespace(t: &Sandbox) {
    let before = read("/proc/sys/kernel/hostname");
    t.container().without_namespace("uts").run().is_refused();
    assert_eq!(read("/proc/sys/kernel/hostname"), before);
}

fn cgroup_namespace_is_new(t: &Sandbox) {
    let mut c = t.container();
    c.without_namespace("cgroup").namespace("cgroup").without_mount("/sys/fs/cgroup");
    assert_ne!(c.out("readlink /proc/self/ns/cgroup"), own_namespace("cgroup"));
    // Seen from inside, the container's own cgroup is the root.
    let paths = c.out("cut -d: -f3 /proc/self/cgroup | sort -u");
    assert!(!paths.contains(&c.id), "{paths}");
}

fn user_namespace_has_its_maps(t: &Sandbox) {
    let mut c = t.container();
    c.with_user_namespace();
    let out = c.out("cat /proc/self/uid_map /proc/self/gid_map; id -u; id -g; readlink /proc/self/ns/user");
    let words: Vec<&str> = out.split_whitespace().collect();
    assert_eq!(words[..8], ["0", "100000", "65536", "0", "100000", "65536", "0", "0"]);
    assert_ne!(words[8], own_namespace("user"));
}

/// Privileges of the container's root reach what is its own: it may set the hostname of its uts namespace.
fn user_namespace_owns_the_others(t: &Sandbox) {
    let mut c = t.container();
    c.with_user_namespace().capabilities(&["CAP_SYS_ADMIN", "CAP_NET_ADMIN"]);
    assert_eq!(c.out("hostname changed && ip link set lo down && hostname"), "changed");
}

fn maps_of_several_ranges(t: &Sandbox) {
    let mut c = t.container();
    c.with_user_namespace();
    for maps in ["uidMappings", "gidMappings"] {
        for (inside, outside) in [(70000, 300000), (80000, 400000), (90000, 500000)] {
            let range = jzon::object! { containerID: inside, hostID: outside, size: 10 };
            c.config["linux"][maps].push(range).expect("push");
        }
    }
    let map = c.out("cat /proc/self/uid_map");
    let words: Vec<&str> = map.split_whitespace().collect();
    assert_eq!(
        words,
        ["0", "100000", "65536", "70000", "300000", "10", "80000", "400000", "10", "90000", "500000", "10"]
    );
}

/// A process of the test's own, in new namespaces, killed at the end.
struct Holder(Child);

impl Holder {
    /// `unshare` with these flags, once it has done so.
    fn new(flags: &[&str]) -> Holder {
        let mut command = Command::new("unshare");
        let child = command.args(flags).args(["sleep", "600"]).stdout(Stdio::null()).spawn().expect("unshare");
        let holder = Holder(child);
        eventually("the namespaces exist", || read(format!("/proc/{}/comm", holder.0.id())).trim() == "sleep");
        holder
    }

    fn path(&self, name: &str) -> String {
        format!("/proc/{}/ns/{name}", self.0.id())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn as_many_maps_as_the_kernel_takes(t: &Sandbox) {
    let map = |lines: u32| {
        let lines = (0..lines).map(|id| jzon::object! { containerID: id, hostID: 2 * id, size: 1 });
        JsonValue::from(lines.collect::<Vec<_>>())
    };
    let mut c = t.container();
    c.namespace("user");
    for name in ["uidMappings", "gidMappings"] {
        c.config["linux"][name] = map(340);
    }
    let out = c.out("for map in uid gid; do awk '{print $1, $2, $3}' /proc/self/${map}_map; done");
    let wanted: Vec<_> = (0..340).chain(0..340).map(|id| format!("{id} {} 1", 2 * id)).collect();
    assert_eq!(out.lines().collect::<Vec<_>>(), wanted);
    for name in ["uidMappings", "gidMappings"] {
        c.config["linux"][name] = map(341);
        c.run().is_refused();
        c.config["linux"][name] = map(340);
    }
}

fn joins_by_path(t: &Sandbox) {
    let holder = Holder::new(&["--net", "--ipc", "--uts", "--cgroup"]);
    let mut c = t.container();
    c.without_mount("/sys/fs/cgroup");
    for (kind, name) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("cgroup", "cgroup")] {
        c.join(kind, &holder.path(name));
    }
    for name in ["net", "ipc", "uts", "cgroup"] {
        assert_eq!(c.out(&format!("readlink /proc/self/ns/{name}")), namespace_of(holder.0.id(), name));
    }
}

fn joins_a_pid_namespace(t: &Sandbox) {
    let mut first = t.container();
    let pid = first.started();
    let mut second = t.container();
    second.join("pid", &format!("/proc/{pid}/ns/pid"));
    let out = second.out("readlink /proc/self/ns/pid; readlink /proc/1/exe; test $$ != 1 && echo not init");
    assert_eq!(out, format!("{}\n/bin/busybox\nnot init", namespace_of(pid, "pid")));
    assert_eq!(first.status(), "running");
}

fn joins_a_user_namespace(t: &Sandbox) {
    let mut first = t.container();
    let pid = first.with_user_namespace().started();
    let mut second = t.container();
    second.with_user_namespace().without_namespace("user").join("user", &format!("/proc/{pid}/ns/user"));
    second.config["linux"].remove("uidMappings");
    second.config["linux"].remove("gidMappings");
    let out = second.out("readlink /proc/self/ns/user; cat /proc/self/uid_map");
    assert!(out.starts_with(&namespace_of(pid, "user")), "{out}");
    assert!(out.contains("100000"), "{out}");
}

/// Who is asked for its pid is in the joined namespace as well; the pid that counts is the host's.
fn joins_user_and_pid_namespaces_together(t: &Sandbox) {
    let mut first = t.container();
    let pid = first.with_user_namespace().started();
    let mut second = t.container();
    second.with_user_namespace().join("user", &format!("/proc/{pid}/ns/user"));
    second.join("pid", &format!("/proc/{pid}/ns/pid"));
    second.config["linux"].remove("uidMappings");
    second.config["linux"].remove("gidMappings");
    let inner = second.started();
    assert_eq!(namespace_of(inner, "pid"), namespace_of(pid, "pid"));
    assert_eq!(namespace_of(inner, "user"), namespace_of(pid, "user"));
    second.force_delete().ok();
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
}

/// As in a pod: everything but the mounts is shared with the first container.
fn joined_namespaces_of_another_container(t: &Sandbox) {
    let mut first = t.container();
    let pid = first.started();
    let mut second = t.container();
    for (kind, name) in [("pid", "pid"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
        second.join(kind, &format!("/proc/{pid}/ns/{name}"));
    }
    second.config.remove("hostname");
    assert_eq!(second.out("hostname"), "isopod");
    assert_ne!(second.out("readlink /proc/self/ns/mnt"), namespace_of(pid, "mnt"));
}

/// From within the new one the others could not be joined, so the runtime does that before, and goes back: its hooks are
/// where the runtime was.
fn new_user_namespace_beside_joined_ones(t: &Sandbox) {
    let mut first = t.container();
    let pid = first.started();
    let log = t.file("log", "");
    let mut second = t.container();
    second.with_user_namespace().without_mount("/sys");
    let names = [("network", "net"), ("uts", "uts")];
    for (kind, name) in names {
        second.join(kind, &format!("/proc/{pid}/ns/{name}"));
    }
    second.config.remove("hostname");
    let links = "for n in net uts user; do readlink /proc/self/ns/$n; done";
    let script = format!("{{ {links}; }} >{}", log.display());
    second.config["hooks"]["poststart"] = array![object! { path: "/bin/sh", args: ["sh", "-c", script.as_str()] }];
    second.sh(links);
    let ran = second.run_with(&["--pid-file", "relative"]).ok();
    let lines: Vec<&str> = ran.lines().collect();
    let before: Vec<String> = names.iter().map(|(_, name)| namespace_of(pid, name)).collect();
    assert_eq!(lines[..2], before);
    assert_ne!(lines[2], own_namespace("user"));
    assert_eq!(read(log).lines().collect::<Vec<_>>(), ["net", "uts", "user"].map(own_namespace));
}

/// The runtime is in one that nobody else is in: what takes it would come to lie over this machine's root.
fn own_mount_namespace_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.join("mount", "/proc/self/ns/mnt").write_config();
    let mut apart = behind(&["unshare", "--mount"], &c.command("run", &[]));
    t.spawn(&mut apart).wait().fails(&["is our own mount namespace"]);
}

/// If there is no container in the end, nothing of it lies over what is there.
fn mount_namespace_of_another_stays_as_it_was(t: &Sandbox) {
    let mut first = t.container();
    let pid = first.started();
    let table = || std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).expect("mountinfo");
    let before = table();
    let mut second = t.container();
    second.join("mount", &format!("/proc/{pid}/ns/mnt"));
    second.mount("/data", "nonsense", "none", &[]);
    second.run().is_refused();
    assert_eq!(table(), before);
}

fn path_of_another_type_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.join("network", "/proc/self/ns/uts").run().is_refused();
}

fn path_that_does_not_exist_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.join("network", "/proc/1/ns/there-is-none").run().is_refused();
}

/// Never a container that lacks one of its namespaces because a length did not fit.
fn overlong_namespace_path_is_refused(t: &Sandbox) {
    let own = std::fs::metadata("/proc/self/ns/net").expect("net").ino();
    for length in [4096, 65535, 65536, 65540] {
        let mut c = t.container();
        c.join("network", &format!("/proc/self/ns/net{}", "/".repeat(length))).run().is_refused();
    }
    assert_eq!(std::fs::metadata("/proc/self/ns/net").expect("net").ino(), own);
}
