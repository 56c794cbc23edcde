//! Device nodes: the default ones, the links, and those of the config.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use jzon::{array, object};

use crate::case;
use crate::support::{Case, Kind, Need, Sandbox};

pub fn cases() -> Vec<Case> {
    const BOUND: &str = "binds the host's over whatever is there";
    vec![
        case!(default_nodes),
        case!(default_links),
        case!(default_nodes_work),
        case!(device_of_each_type),
        case!(device_with_mode_and_owner),
        case!(device_outside_of_dev),
        case!(device_replaces_a_default),
        case!(devices_in_a_user_namespace).needs(&[Need::UserNamespaces]),
        case!(places_for_devices_in_a_user_namespace).needs(&[Need::UserNamespaces]),
        case!(nodes_that_are_there_in_a_user_namespace).needs(&[Need::UserNamespaces]).isopod_only(BOUND),
        case!(others_that_are_there_in_a_user_namespace).needs(&[Need::UserNamespaces]).isopod_only(BOUND),
        case!(dev_of_the_host_is_left_alone),
        case!(no_dev_mount),
        case!(no_console_without_a_terminal),
        case!(unknown_device_type_is_refused).differs(Kind::Crun, "takes it for a character device"),
    ]
}

fn default_nodes(t: &Sandbox) {
    let out = t.container().out("cd /dev; stat -c '%n %t:%T %a %u:%g %F' null zero full tty random urandom");
    let wanted =
        [("null", "1:3"), ("zero", "1:5"), ("full", "1:7"), ("tty", "5:0"), ("random", "1:8"), ("urandom", "1:9")];
    let lines: Vec<String> =
        wanted.iter().map(|(name, number)| format!("{name} {number} 666 0:0 character special file")).collect();
    assert_eq!(out.lines().collect::<Vec<_>>(), lines);
}

fn default_links(t: &Sandbox) {
    let out = t.container().out("cd /dev; for l in fd stdin stdout stderr ptmx; do readlink $l; done");
    assert_eq!(out, "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx");
}

fn default_nodes_work(t: &Sandbox) {
    let script = "echo x >/dev/null; head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; \
                  (echo x >/dev/full) 2>/dev/null || echo full";
    assert_eq!(t.container().out(script), "4\n4\nfull");
}

fn device_of_each_type(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["devices"] = array![
        object! { path: "/dev/c", "type": "c", major: 10, minor: 229 },
        object! { path: "/dev/u", "type": "u", major: 10, minor: 229 },
        object! { path: "/dev/b", "type": "b", major: 7, minor: 300 },
        object! { path: "/dev/p", "type": "p" },
    ];
    let out = c.out("cd /dev; stat -c '%n %t:%T %F' c u b p");
    let wanted = "c a:e5 character special file\nu a:e5 character special file\nb 7:12c block special file\np 0:0 fifo";
    assert_eq!(out, wanted);
}

fn device_with_mode_and_owner(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["devices"] = array![
        object! { path: "/dev/mine", "type": "c", major: 10, minor: 229, fileMode: 0o640, uid: 1000, gid: 50 },
        object! { path: "/dev/deep/er", "type": "c", major: 1, minor: 3, fileMode: 0o602 },
    ];
    assert_eq!(c.out("stat -c '%a %u:%g' /dev/mine /dev/deep/er"), "640 1000:50\n602 0:0");
}

fn device_outside_of_dev(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["devices"] = array![object! { path: "/srv/null", "type": "c", major: 1, minor: 3 }];
    assert_eq!(c.out("stat -c %t:%T /srv/null"), "1:3");
}

fn device_replaces_a_default(t: &Sandbox) {
    let mut c = t.container();
    let node = object! { path: "/dev/full", "type": "c", major: 1, minor: 7, fileMode: 0o600, uid: 0, gid: 7 };
    c.config["linux"]["devices"] = array![node];
    assert_eq!(c.out("stat -c '%t:%T %a %g' /dev/full"), "1:7 600 7");
}

fn devices_in_a_user_namespace(t: &Sandbox) {
    let mut c = t.container();
    c.with_user_namespace();
    c.config["linux"]["devices"] = array![object! { path: "/dev/fuse", "type": "c", major: 10, minor: 229 }];
    let script = "stat -c %t:%T /dev/null /dev/zero /dev/fuse; echo x >/dev/null; head -c 3 /dev/zero | wc -c";
    assert_eq!(c.out(script), "1:3\n1:5\na:e5\n3");
}

/// Without a file system of its own on `/dev`, what the host's nodes are bound to stays there for the next time.
fn places_for_devices_in_a_user_namespace(t: &Sandbox) {
    let mut c = t.container();
    c.with_user_namespace().without_mount("/dev");
    fs::set_permissions(c.inside("dev"), fs::Permissions::from_mode(0o777)).expect("chmod");
    for _ in 0..2 {
        assert_eq!(c.out("stat -c %t:%T /dev/null /dev/zero; echo x >/dev/null"), "1:3\n1:5");
        assert!(fs::symlink_metadata(c.inside("dev/null")).expect("a place").is_file());
    }
}

/// Made beforehand, by somebody who may.
fn nodes_that_are_there_in_a_user_namespace(t: &Sandbox) {
    let mut c = t.container();
    c.with_user_namespace().without_mount("/dev").bind("/dev/pts", "/dev/pts", &[]);
    fs::set_permissions(c.inside("dev"), fs::Permissions::from_mode(0o777)).expect("chmod");
    node(&c.inside("dev/null"), 3);
    node(&c.inside("dev/fuse"), 5);
    c.config["linux"]["devices"] = array![object! { path: "/dev/fuse", "type": "c", major: 1, minor: 5 }];
    assert_eq!(c.out("stat -c %t:%T /dev/null /dev/fuse; head -c 3 /dev/fuse | wc -c"), "1:3\n1:5\n3");
    assert!(!c.out("cat /proc/self/mountinfo").contains(" /dev/fuse "));
}

fn others_that_are_there_in_a_user_namespace(t: &Sandbox) {
    let mut c = t.container();
    c.with_user_namespace().without_mount("/dev").args(&["/bin/true"]);
    fs::set_permissions(c.inside("dev"), fs::Permissions::from_mode(0o777)).expect("chmod");
    node(&c.inside("dev/null"), 5);
    c.run().is_refused();
    fs::remove_file(c.inside("dev/null")).expect("rm");
    c.symlink("/dev/null", "/etc/passwd").run().is_refused();
}

fn node(path: &Path, minor: u32) {
    let made = Command::new("mknod").arg(path).args(["c", "1", &minor.to_string()]).status();
    assert!(made.expect("mknod").success());
    fs::set_permissions(path, fs::Permissions::from_mode(0o666)).expect("chmod");
}

/// Who binds the host's /dev wants exactly that.
fn dev_of_the_host_is_left_alone(t: &Sandbox) {
    let mut c = t.container();
    c.without_mount("/dev").mount("/dev", "bind", "/dev", &["rbind", "ro"]);
    c.config["linux"]["devices"] = array![object! { path: "/dev/of-the-test", "type": "c", major: 1, minor: 3 }];
    c.out("stat -c %t:%T /dev/null");
    assert!(!Path::new("/dev/of-the-test").exists());
}

fn no_dev_mount(t: &Sandbox) {
    let mut c = t.container();
    c.without_mount("/dev");
    assert_eq!(c.out("stat -c %t:%T /dev/null /dev/zero; readlink /dev/fd"), "1:3\n1:5\n/proc/self/fd");
}

fn no_console_without_a_terminal(t: &Sandbox) {
    assert_eq!(t.container().out("ls /dev/console 2>/dev/null || echo none; ls /dev/pts"), "none\nptmx");
}

fn unknown_device_type_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["devices"] = array![object! { path: "/dev/x", "type": "x", major: 1, minor: 3 }];
    c.run().is_refused();
}
