//! Namespaces: a container's own, the host's, another container's.

use crate::engine::{Engine, IMAGE};
use crate::host;

/// The namespace that a container is in.
fn namespace(engine: &Engine, options: &[&str], kind: &str) -> String {
    let output = engine.run(&[options, &[IMAGE, "readlink", &format!("/proc/self/ns/{kind}")]].concat());
    assert_eq!(output.status, 0, "{output:?}");
    output.stdout.trim().to_owned()
}

pub(crate) fn pid_private_and_host(engine: &Engine) {
    assert_ne!(namespace(engine, &[], "pid"), host::namespace("pid"));
    assert_eq!(namespace(engine, &["--pid", "host"], "pid"), host::namespace("pid"));
    engine.prints(&[IMAGE, "sh", "-c", "echo $$"], "1\n");
}

pub(crate) fn ipc_private_and_host(engine: &Engine) {
    assert_ne!(namespace(engine, &[], "ipc"), host::namespace("ipc"));
    assert_eq!(namespace(engine, &["--ipc", "host"], "ipc"), host::namespace("ipc"));
}

pub(crate) fn uts_host(engine: &Engine) {
    assert_ne!(namespace(engine, &[], "uts"), host::namespace("uts"));
    assert_eq!(namespace(engine, &["--uts", "host"], "uts"), host::namespace("uts"));
}

pub(crate) fn cgroup_private_and_host(engine: &Engine) {
    assert_eq!(namespace(engine, &["--cgroupns", "host"], "cgroup"), host::namespace("cgroup"));
    let script = "grep -v ':/$' /proc/self/cgroup | grep -v hugetlb; true";
    engine.prints(&["--cgroupns", "private", IMAGE, "sh", "-c", script], "");
}

/// An interface called lo, up, and no other.
pub(crate) fn network_none(engine: &Engine) {
    let none = ["--network", "none"];
    assert_ne!(namespace(engine, &none, "net"), host::namespace("net"));
    engine.prints(&[&none[..], &[IMAGE, "ls", "/sys/class/net"]].concat(), "lo\n");
    engine.prints(&[&none[..], &[IMAGE, "cat", "/sys/class/net/lo/flags"]].concat(), "0x9\n");
}

pub(crate) fn network_host(engine: &Engine) {
    assert_eq!(namespace(engine, &["--network", "host"], "net"), host::namespace("net"));
}

/// All that can be shared with another container.
pub(crate) fn of_another_container(engine: &Engine) {
    engine.sleeper("shared", &["--ipc", "shareable", "--network", "none"]);
    let mut options = vec!["--pid", "container:shared", "--network", "container:shared"];
    options.extend(["--ipc", "container:shared"]);
    for kind in ["pid", "net", "ipc"] {
        let theirs = engine.ok(&["exec", "shared", "readlink", &format!("/proc/self/ns/{kind}")]);
        assert_eq!(namespace(engine, &options, kind), theirs.trim());
    }
    let output = engine.run(&[&options[..], &[IMAGE, "cat", "/proc/1/comm"]].concat());
    assert_eq!(output.stdout, "sleep\n", "{output:?}");
    engine.remove("shared");
}
