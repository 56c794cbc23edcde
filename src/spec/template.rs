//! The config that `isopod spec` writes: a shell in a closed container, ready to run and to be edited.

use crate::json::{self, Style, Writer};
use crate::sys::memory;

const CAPABILITIES: [&str; 3] = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

const NAMESPACES: [&str; 5] = ["pid", "network", "ipc", "uts", "mount"];

/// Destination, type, source, options.
const MOUNTS: [(&str, &str, &str, &[&str]); 7] = [
    ("/proc", "proc", "proc", &[]),
    ("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
    ("/dev/pts", "devpts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
    ("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
    ("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
];

const MASKED: [&str; 10] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
    "/proc/scsi",
];

const READONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The text. `rootless` is for a user without privileges, with these ids on the host, who becomes root inside.
#[must_use]
pub fn template(rootless: Option<(u32, u32)>, cgroup2: bool) -> &'static str {
    let text = json::text(Style::Pretty, |w| {
        w.object(|w| {
            w.member("ociVersion", "1.3.0");
            w.name("process").object(process);
            w.name("root").object(|w| {
                w.member("path", "rootfs");
                w.member("readonly", true);
            });
            w.member("hostname", "isopod");
            w.name("mounts").array(|w| MOUNTS.iter().for_each(|mount| self::mount(w, mount, rootless.is_some())));
            w.name("linux").object(|w| linux(w, rootless, cgroup2));
        });
    });
    memory::format(format_args!("{text}\n"))
}

fn process(w: &mut Writer<'_>) {
    w.member("terminal", true);
    w.name("user").object(|w| {
        w.member("uid", 0u32);
        w.member("gid", 0u32);
    });
    w.member("args", ["sh"].as_slice());
    w.member("env", ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"].as_slice());
    w.member("cwd", "/");
    w.name("capabilities").object(|w| {
        // No ambient ones: without inheritable ones, which nobody should have, none can be granted.
        for set in ["bounding", "effective", "permitted"] {
            w.member(set, CAPABILITIES.as_slice());
        }
    });
    w.name("rlimits").array(|w| {
        w.object(|w| {
            w.member("type", "RLIMIT_NOFILE");
            w.member("hard", 1024u64);
            w.member("soft", 1024u64);
        });
    });
    w.member("noNewPrivileges", true);
}

fn mount(w: &mut Writer<'_>, of: &(&str, &str, &str, &[&str]), rootless: bool) {
    let &(destination, mut kind, mut source, options) = of;
    // The user cannot mount the host's sysfs anew, and has no group 5.
    let bind = rootless && kind == "sysfs";
    if bind {
        (kind, source) = ("none", "/sys");
    }
    w.object(|w| {
        w.member("destination", destination);
        w.member("type", kind);
        w.member("source", source);
        w.name("options").array(|w| {
            if bind {
                w.value("rbind");
            }
            for option in options.iter().filter(|option| !(rootless && option.starts_with("gid="))) {
                w.value(option);
            }
        });
    });
}

fn linux(w: &mut Writer<'_>, rootless: Option<(u32, u32)>, cgroup2: bool) {
    match rootless {
        Some((uid, gid)) => {
            for (name, host) in [("uidMappings", uid), ("gidMappings", gid)] {
                w.name(name).array(|w| {
                    w.object(|w| {
                        w.member("containerID", 0u32);
                        w.member("hostID", host);
                        w.member("size", 1u32);
                    });
                });
            }
        }
        None => w.name("resources").object(|w| {
            w.name("devices").array(|w| {
                w.object(|w| {
                    w.member("allow", false);
                    w.member("access", "rwm");
                });
            });
        }),
    }
    w.name("namespaces").array(|w| {
        let more = [("user", rootless.is_some()), ("cgroup", cgroup2)];
        let more = more.iter().filter(|(_, wanted)| *wanted).map(|(name, _)| name);
        for kind in NAMESPACES.iter().chain(more) {
            w.object(|w| w.member("type", kind));
        }
    });
    w.member("maskedPaths", MASKED.as_slice());
    w.member("readonlyPaths", READONLY.as_slice());
}

#[cfg(test)]
mod tests {
    use jzon::JsonValue;

    use super::*;
    use crate::spec::{self, IdMapping, Mount, Spec};

    fn both(rootless: Option<(u32, u32)>, cgroup2: bool) -> (&'static Spec<'static>, JsonValue) {
        let text = template(rootless, cgroup2);
        assert!(text.ends_with("}\n"));
        (spec::parse(text.as_bytes()).unwrap(), jzon::parse(text).unwrap())
    }

    fn namespaces(spec: &Spec<'static>) -> Vec<&'static str> {
        spec.linux.unwrap().namespaces.iter().map(|namespace| namespace.kind.unwrap()).collect()
    }

    fn mount(spec: &Spec<'static>, destination: &str) -> Mount<'static> {
        *spec.mounts.iter().find(|mount| mount.destination == Some(destination)).unwrap()
    }

    #[test]
    fn for_root() {
        let (spec, json) = both(None, true);
        assert_eq!(namespaces(spec), ["pid", "network", "ipc", "uts", "mount", "cgroup"]);
        assert_eq!(mount(spec, "/sys").kind, Some("sysfs"));
        assert!(mount(spec, "/dev/pts").options.unwrap().contains(&"gid=5"));
        assert_eq!(json["process"]["args"], jzon::array!["sh"]);
        assert_eq!(json["process"]["capabilities"]["permitted"][2], "CAP_NET_BIND_SERVICE");
        assert_eq!(json["process"]["rlimits"][0]["hard"], 1024);
        assert_eq!(json["linux"]["resources"]["devices"][0]["allow"], false);
        assert_eq!((spec.hostname, spec.oci_version), (Some("isopod"), Some("1.3.0")));
        assert_eq!(spec.process.unwrap().terminal, Some(true));
        assert_eq!(spec.root.unwrap().readonly, Some(true));
        assert_eq!(namespaces(both(None, false).0), ["pid", "network", "ipc", "uts", "mount"]);
    }

    #[test]
    fn for_others() {
        let (spec, json) = both(Some((1000, 100)), true);
        let linux = spec.linux.unwrap();
        assert_eq!(namespaces(spec), ["pid", "network", "ipc", "uts", "mount", "user", "cgroup"]);
        let one = |host| [IdMapping { container_id: Some(0), host_id: Some(host), size: Some(1) }];
        assert_eq!((linux.uid_mappings, linux.gid_mappings), (&one(1000)[..], &one(100)[..]));
        assert_eq!(mount(spec, "/sys").source, Some("/sys"));
        assert_eq!(mount(spec, "/sys").options.unwrap(), ["rbind", "nosuid", "noexec", "nodev", "ro"]);
        assert!(!mount(spec, "/dev/pts").options.unwrap().contains(&"gid=5"));
        assert!(json["linux"]["resources"].is_null());
    }
}
