//! Interfaces of the host that become the container's: veth pairs, made for the test in a namespace of its own.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use jzon::object;

use crate::case;
use crate::support::{Case, Container, Need, Sandbox};

pub fn cases() -> Vec<Case> {
    const OLD: &str = "crun 1.8 and runc 1.1 do not know the field";
    vec![
        case!(device_is_moved_with_its_addresses).isopod_only(OLD),
        case!(device_is_renamed).isopod_only(OLD),
        case!(device_gets_a_free_name).isopod_only(OLD),
        case!(device_in_a_user_namespace).isopod_only(OLD).needs(&[Need::UserNamespaces]),
        case!(device_in_a_joined_namespace).isopod_only(OLD),
        case!(device_that_is_not_there_is_refused).isopod_only(OLD),
        case!(name_that_is_taken_is_refused).isopod_only(OLD),
        case!(device_needs_a_network_namespace).isopod_only(OLD),
    ]
}

/// A pair of interfaces, one of which is for the container; the other one takes it along when it is deleted.
struct Pair(String, String);

impl Pair {
    fn new() -> Pair {
        let id = std::process::id() % 100_000;
        // The kernel takes away in its own time what was a container's.
        static PAIRS: AtomicU32 = AtomicU32::new(0);
        let number = PAIRS.fetch_add(1, Ordering::Relaxed);
        let pair = Pair(format!("ia{id}x{number}"), format!("ib{id}x{number}"));
        ip(&["link", "add", &pair.0, "type", "veth", "peer", "name", &pair.1]);
        pair
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // Gone with the container, or not.
        let _ = Command::new("/bin/busybox").args(["ip", "link", "del", &self.1]).output();
    }
}

#[track_caller]
fn ip(words: &[&str]) {
    let ran = Command::new("/bin/busybox").arg("ip").args(words).output().expect("ip");
    assert!(ran.status.success(), "ip {words:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

fn with_device(c: &mut Container, host: &str, name: Option<&str>) {
    c.config["linux"]["netDevices"] = object! {};
    c.config["linux"]["netDevices"][host] = match name {
        Some(name) => object! { name: name },
        None => object! {},
    };
}

fn device_is_moved_with_its_addresses(t: &Sandbox) {
    let pair = Pair::new();
    ip(&["addr", "add", "192.0.2.5/28", "brd", "+", "dev", &pair.0]);
    ip(&["addr", "add", "2001:db8::5/64", "dev", &pair.0]);
    let mut c = t.container();
    with_device(&mut c, &pair.0, None);
    let out = c.out(&format!("ip -o addr show dev {0}; ip -o link show dev {0}", pair.0));
    assert!(out.contains("inet 192.0.2.5/28 brd 192.0.2.15"), "{out}");
    assert!(out.contains("inet6 2001:db8::5/64"), "{out}");
    assert!(out.contains(",UP") && out.contains(&pair.0), "{out}");
    assert!(!std::path::Path::new("/sys/class/net").join(&pair.0).exists());
}

fn device_is_renamed(t: &Sandbox) {
    let pair = Pair::new();
    ip(&["addr", "add", "192.0.2.5/32", "dev", &pair.0]);
    let mut c = t.container();
    with_device(&mut c, &pair.0, Some("inside"));
    let out = c.out("ls /sys/class/net; ip -o -4 addr show dev inside");
    assert!(out.starts_with("inside\nlo\n") && out.contains("192.0.2.5/32"), "{out}");
}

fn device_gets_a_free_name(t: &Sandbox) {
    let pair = Pair::new();
    ip(&["addr", "add", "192.0.2.5/32", "dev", &pair.0]);
    let mut c = t.container();
    with_device(&mut c, &pair.0, Some("any%d"));
    let out = c.out("ls /sys/class/net; ip -o -4 addr show dev any0");
    assert!(out.starts_with("any0\nlo\n") && out.contains("192.0.2.5/32"), "{out}");
}

fn device_in_a_user_namespace(t: &Sandbox) {
    let pair = Pair::new();
    let mut c = t.container();
    c.with_user_namespace();
    with_device(&mut c, &pair.0, Some("inside"));
    assert_eq!(c.out("ls /sys/class/net; cat /sys/class/net/inside/flags"), "inside\nlo\n0x1003");
}

fn device_in_a_joined_namespace(t: &Sandbox) {
    let pair = Pair::new();
    let mut first = t.container();
    let pid = first.started();
    let mut second = t.container();
    second.join("network", &format!("/proc/{pid}/ns/net"));
    with_device(&mut second, &pair.0, Some("inside"));
    assert_eq!(second.out("ls /sys/class/net"), "inside\nlo");
    assert_eq!(first.exec_out(&[], "ls /sys/class/net"), "inside\nlo");
}

fn device_that_is_not_there_is_refused(t: &Sandbox) {
    let mut c = t.container();
    with_device(&mut c, "no-such-device", None);
    c.run().fails(&["linux.netDevices[\"no-such-device\"]", "o such device"]);
}

fn name_that_is_taken_is_refused(t: &Sandbox) {
    let pair = Pair::new();
    let mut c = t.container();
    with_device(&mut c, &pair.0, Some("lo"));
    c.run().fails(&["move linux.netDevices[", "xists"]);
    // It is still the host's.
    assert!(std::path::Path::new("/sys/class/net").join(&pair.0).exists());
}

fn device_needs_a_network_namespace(t: &Sandbox) {
    let mut c = t.container();
    c.without_namespace("network");
    with_device(&mut c, "lo", None);
    c.run().fails(&["config.json linux.netDevices[\"lo\"]: needs a network namespace"]);
}
