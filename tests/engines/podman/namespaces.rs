//! User namespaces, and namespaces by their paths.

use crate::engine::{Engine, IMAGE};
use crate::host;

const MAP: [&str; 4] = ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"];

/// Root inside is somebody else outside, and its files look like root's.
pub(super) fn mapped_users(podman: &Engine) {
    let script = "cat /proc/self/uid_map; id -u; touch /file && stat -c %u:%g /file; hostname inside && hostname";
    let words = [&MAP[..], &["--cap-add", "sys_admin", IMAGE, "sh", "-c", script]].concat();
    podman.prints(&words, "         0     100000      65536\n0\n0:0\ninside\n");
}

pub(super) fn kept_id_of_root(podman: &Engine) {
    podman.sleeper("mapped", &MAP);
    let pid = podman.inspect("mapped", "State.Pid");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("\nUid:\t100000\t100000\t100000\t100000\n"), "{status}");
    assert_eq!(podman.ok(&["exec", "mapped", "id", "-u"]), "0\n");
    assert_eq!(podman.ok(&["exec", "--user", "ada", "mapped", "id", "-u"]), "1234\n");
    // A second container in the first one's user namespace.
    let words = ["--userns", "container:mapped", IMAGE, "cat", "/proc/self/gid_map"];
    podman.prints(&words, "         0     100000      65536\n");
    podman.remove("mapped");
}

pub(super) fn joined_by_path(podman: &Engine) {
    let words = ["--network", "ns:/proc/self/ns/net", IMAGE, "readlink", "/proc/self/ns/net"];
    podman.prints(&words, &format!("{}\n", host::namespace("net")));
}
