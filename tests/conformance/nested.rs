//! Containers within: the runtime in a user namespace that somebody else has made, or in a container.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use jzon::{array, object};

use crate::case;
use crate::support::{Case, Container, Kind, Need, Sandbox};

pub fn cases() -> Vec<Case> {
    vec![
        case!(root_of_a_user_namespace).needs(&[Need::User]),
        case!(user_namespace_in_a_user_namespace).needs(&[Need::User]).differs(Kind::Runc, "wants a root"),
        case!(root_of_a_container).needs(&[Need::UserNamespaces]).isopod_only(LINKED),
        case!(user_of_a_container).needs(&[Need::UserNamespaces]).isopod_only(LINKED),
        case!(container_of_a_container_of_a_container).needs(&[Need::UserNamespaces]).isopod_only(LINKED),
    ]
}

const LINKED: &str = "needs its libraries in there";

/// The command in a user namespace of the ordinary user, where he is root.
fn as_root_of_a_user_namespace(t: &Sandbox, command: &Command) -> Command {
    let mut unshare = t.users_command("unshare");
    unshare.args(["--user", "--map-root-user"]).arg(command.get_program()).args(command.get_args());
    unshare.env("CONFORMANCE", t.mark().split_once('=').expect("a mark").1).current_dir(t.path(""));
    unshare
}

const WHO: &str = "id -u; cat /proc/self/uid_map; hostname; echo $$; grep -c . /proc/net/dev";

fn root_of_a_user_namespace(t: &Sandbox) {
    let user = t.as_ordinary_user();
    let mut c = t.container();
    c.without_namespace("user").sh(WHO);
    c.config["linux"].remove("uidMappings");
    c.config["linux"].remove("gidMappings");
    let run = c.write_config_for("run");
    let out = t.spawn(&mut as_root_of_a_user_namespace(t, &run)).wait().ok();
    let words: Vec<&str> = out.split_whitespace().collect();
    // The map is that of the namespace in which the file is read: his own.
    assert_eq!(words, ["0", "0", &user.uid.to_string(), "1", "isopod", "1", "3"]);
}

fn user_namespace_in_a_user_namespace(t: &Sandbox) {
    t.as_ordinary_user();
    let mut c = t.container();
    let map = array![object! { containerID: 7, hostID: 0, size: 1 }];
    c.config["linux"]["uidMappings"] = map.clone();
    c.config["linux"]["gidMappings"] = map;
    c.as_user(7, 7).without_mount("/dev/pts").sh(WHO);
    let run = c.write_config_for("run");
    let out = t.spawn(&mut as_root_of_a_user_namespace(t, &run)).wait().ok();
    let words: Vec<&str> = out.split_whitespace().collect();
    assert_eq!(words, ["7", "7", "0", "1", "isopod", "1", "3"]);
}

/// A container with the runtime in it, the bundle of another, and all that a container may have.
fn outer<'t>(t: &'t Sandbox, bundles: &[(&str, &Container<'_>)]) -> Container<'t> {
    let mut c = t.container();
    c.with_user_namespace().bind("/isopod", &t.runtime.path, &["ro"]);
    c.mount("/tmp", "tmpfs", "tmpfs", &["mode=1777"]);
    for (place, inner) in bundles {
        inner.write_config();
        for path in [&inner.bundle, &inner.rootfs()] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("chmod");
        }
        c.bind(place, &inner.bundle, &["rbind"]);
    }
    // What is masked in there could not be mounted anew within.
    c.config["linux"]["maskedPaths"] = array![];
    c.config["linux"]["readonlyPaths"] = array![];
    c.config["process"]["noNewPrivileges"] = false.into();
    let all: Vec<_> = ALL.split(' ').map(|name| format!("CAP_{name}")).collect();
    c.capabilities(&all.iter().map(String::as_str).collect::<Vec<_>>());
    c
}

const ALL: &str = "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_ADMIN NET_BIND_SERVICE NET_RAW SETFCAP \
                   SETGID SETPCAP SETUID SYS_ADMIN SYS_CHROOT SYS_PTRACE";

const RUN: &str = "/isopod --root /tmp/state run --bundle";

fn inner<'t>(t: &'t Sandbox, script: &str) -> Container<'t> {
    let mut c = t.container();
    c.config["linux"].remove("resources");
    c.config["linux"].remove("cgroupsPath");
    c.config["hostname"] = "inner".into();
    c.sh(script);
    c
}

fn root_of_a_container(t: &Sandbox) {
    let inner = inner(t, WHO);
    let mut c = outer(t, &[("/bundle", &inner)]);
    let out = c.out(&format!("{RUN} /bundle inner && ls /tmp/state | wc -l && hostname"));
    let words: Vec<&str> = out.split_whitespace().collect();
    assert_eq!(words, ["0", "0", "100000", "65536", "inner", "1", "3", "0", "isopod"]);
}

fn user_of_a_container(t: &Sandbox) {
    let mut inner = inner(t, WHO);
    for (name, id) in [("uidMappings", 1000), ("gidMappings", 1001)] {
        inner.config["linux"][name] = array![object! { containerID: 0, hostID: id, size: 1 }];
    }
    inner.namespace("user").without_mount("/dev/pts").without_mount("/sys/fs/cgroup");
    let mut c = outer(t, &[("/bundle", &inner)]);
    c.as_user(1000, 1001).capabilities(&[]);
    let out = c.out(&format!("{RUN} /bundle inner && ls /tmp/state | wc -l && hostname"));
    let words: Vec<&str> = out.split_whitespace().collect();
    assert_eq!(words, ["0", "0", "1000", "1", "inner", "1", "3", "0", "isopod"]);
}

fn container_of_a_container_of_a_container(t: &Sandbox) {
    let innermost = inner(t, WHO);
    let mut middle = inner(t, &format!("{RUN} /bundle innermost && hostname"));
    innermost.write_config();
    middle.bind("/bundle", "/innermost", &["rbind"]).bind("/isopod", "/isopod", &["ro"]);
    middle.mount("/tmp", "tmpfs", "tmpfs", &["mode=1777"]);
    middle.config["linux"]["maskedPaths"] = array![];
    middle.config["linux"]["readonlyPaths"] = array![];
    middle.config["hostname"] = "middle".into();
    let all: Vec<_> = ALL.split(' ').map(|name| format!("CAP_{name}")).collect();
    middle.capabilities(&all.iter().map(String::as_str).collect::<Vec<_>>());
    // Where it cannot make any place.
    middle.mkdir("/bundle").file("/isopod", "");
    let mut c = outer(t, &[("/bundle", &middle), ("/innermost", &innermost)]);
    let out = c.out(&format!("{RUN} /bundle middle && hostname"));
    let words: Vec<&str> = out.split_whitespace().collect();
    assert_eq!(words, ["0", "0", "100000", "65536", "inner", "1", "3", "middle", "isopod"]);
}
