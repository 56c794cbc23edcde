//! Masked and read-only paths, and sysctls: what of the kernel's files a container may see and change.

use jzon::{array, object};

use crate::case;
use crate::support::{Case, Kind, Sandbox, read};

pub fn cases() -> Vec<Case> {
    vec![
        case!(masked_file_is_the_null_device),
        case!(masked_directory_is_empty_and_read_only),
        case!(masked_directories_share_one_file_system)
            .differs(Kind::Crun, "1.8: a tmpfs for each")
            .differs(Kind::Runc, "1.1: a tmpfs for each"),
        case!(masked_path_that_is_missing_is_skipped),
        case!(masked_path_in_the_root),
        case!(masked_file_with_a_slash_at_its_end).differs(Kind::Runc, "an error"),
        case!(read_only_link_in_dev_is_followed_in_the_container).isopod_only("`copy-symlink`"),
        case!(read_only_paths),
        case!(read_only_path_keeps_other_flags).differs(Kind::Crun, "1.8: the other flags are lost"),
        case!(read_only_path_that_is_missing_is_skipped),
        case!(paths_in_a_procfs_with_mounts_in_it),
        case!(paths_in_a_procfs_that_a_link_leads_into),
        case!(masked_link_of_procfs),
        case!(procfs_itself_stays_writable),
        case!(sysctl_is_set),
        case!(sysctl_of_each_namespace),
        case!(sysctl_beside_a_read_only_procfs).differs(Kind::Runc, "1.1 writes through the container's own"),
        case!(sysctl_beside_a_procfs_of_the_host),
        case!(sysctl_of_the_host_is_refused),
        case!(sysctl_without_its_namespace_is_refused),
        case!(sysctl_that_does_not_exist_is_refused),
        case!(sysctl_hostname_is_refused),
        case!(sysctl_with_dots_leading_out_is_refused),
    ]
}

fn masked_file_is_the_null_device(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["maskedPaths"] = array!["/proc/version"];
    assert_eq!(c.out("stat -c '%F %t:%T' /proc/version; cat /proc/version"), "character special file 1:3");
}

fn masked_directory_is_empty_and_read_only(t: &Sandbox) {
    let mut c = t.container();
    assert_eq!(c.out("ls -A /sys/firmware | wc -l; touch /sys/firmware/x 2>/dev/null || echo refused"), "0\nrefused");
}

/// Many masks (one for each CPU, say) must not mean many file systems.
fn masked_directories_share_one_file_system(t: &Sandbox) {
    let mut c = t.container();
    c.mkdir("/a").mkdir("/b").mkdir("/c");
    c.config["linux"]["maskedPaths"] = array!["/a", "/b", "/c"];
    assert_eq!(c.out("stat -c %d /a /b /c | sort -u | wc -l"), "1");
}

fn masked_file_with_a_slash_at_its_end(t: &Sandbox) {
    let mut c = t.container();
    c.file("/secret", "told");
    c.config["linux"]["maskedPaths"] = array!["/secret/"];
    assert_eq!(c.out("cat /secret; echo end"), "end");
}

/// Not on the host, where init's own root directory still is.
fn read_only_link_in_dev_is_followed_in_the_container(t: &Sandbox) {
    let host = t.file("file", "of the host");
    std::os::unix::fs::symlink(&host, t.path("link")).expect("a link");
    let mut c = t.container();
    c.bind("/dev/link", t.path("link"), &["copy-symlink"]);
    c.config["linux"]["readonlyPaths"] = array!["/dev/link", "/dev/fd"];
    assert_eq!(c.out("cat /dev/link 2>/dev/null || echo none; ls /dev/fd/0"), "none\n/dev/fd/0");
}

fn masked_path_that_is_missing_is_skipped(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["maskedPaths"] = array!["/there/is/none", "/proc/nor-here"];
    c.out("true");
    assert!(!c.inside("/there").exists());
}

fn masked_path_in_the_root(t: &Sandbox) {
    let mut c = t.container();
    c.file("/etc/secret", "hidden").file("/vault/secret", "hidden");
    c.config["linux"]["maskedPaths"] = array!["/etc/secret", "/vault"];
    assert_eq!(c.out("cat /etc/secret; ls /vault"), "");
    assert_eq!(read(c.inside("/etc/secret")), "hidden");
}

fn read_only_paths(t: &Sandbox) {
    let mut c = t.container();
    let script =
        "for f in /proc/sys/kernel/hostname /proc/sysrq-trigger; do (echo x >$f) 2>/dev/null || echo refused; done";
    assert_eq!(c.out(script), "refused\nrefused");
    assert_eq!(c.out("cat /proc/sys/kernel/hostname"), "isopod");
}

fn read_only_path_keeps_other_flags(t: &Sandbox) {
    let mut c = t.container();
    c.mount("/data", "tmpfs", "tmpfs", &["nosuid", "nodev", "noexec"]);
    c.config["linux"]["readonlyPaths"] = array!["/data"];
    let flags = c.out("grep ' /data ' /proc/self/mountinfo | tail -n 1 | cut -d' ' -f6");
    for flag in ["ro", "nosuid", "nodev", "noexec"] {
        assert!(flags.split(',').any(|have| have == flag), "{flag}: {flags}");
    }
}

fn read_only_path_that_is_missing_is_skipped(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["readonlyPaths"] = array!["/there/is/none"];
    c.out("true");
}

/// What a config has mounted there is protected as what the kernel has there.
fn paths_in_a_procfs_with_mounts_in_it(t: &Sandbox) {
    let mut c = t.container();
    c.mount("/proc/fs", "tmpfs", "tmpfs", &[]).mount("/proc/irq", "tmpfs", "tmpfs", &[]);
    c.config["linux"]["maskedPaths"] = array!["/proc/irq", "/proc/version"];
    assert_eq!(c.out(PROTECTED), "refused\nrefused\nrefused\n0");
}

/// The same if only the image knows that the mount is in there.
fn paths_in_a_procfs_that_a_link_leads_into(t: &Sandbox) {
    let mut c = t.container();
    c.symlink("/way", "/proc").mount("/way/fs", "tmpfs", "tmpfs", &[]).mount("/way/irq", "tmpfs", "tmpfs", &[]);
    c.config["linux"]["maskedPaths"] = array!["/proc/irq", "/proc/version"];
    assert_eq!(c.out(PROTECTED), "refused\nrefused\nrefused\n0");
}

const PROTECTED: &str = "for file in /proc/fs/x /proc/irq/x /proc/sys/kernel/hostname; do \
    (echo x >$file) 2>/dev/null && cat $file || echo refused; done; cat /proc/version | wc -c";

fn masked_link_of_procfs(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["maskedPaths"] = array!["/proc/mounts", "/proc/version"];
    // It leads to what init sees.
    assert_eq!(c.out("cat /proc/version /proc/1/mounts; readlink /proc/mounts"), "self/mounts");
}

/// It is read-only for a moment.
fn procfs_itself_stays_writable(t: &Sandbox) {
    let mut c = t.container();
    assert_eq!(c.out("grep ' /proc ' /proc/self/mountinfo | cut -d' ' -f6"), "rw,relatime");
}

fn sysctl_is_set(t: &Sandbox) {
    let mut c = t.container();
    let before = read("/proc/sys/net/ipv4/ip_forward");
    c.config["linux"]["sysctl"]["net.ipv4.ip_forward"] = "1".into();
    c.config["linux"]["sysctl"]["net.ipv4.ip_local_port_range"] = "2000 3000".into();
    assert_eq!(c.out("cd /proc/sys/net/ipv4; cat ip_forward; tr '\\t' ' ' <ip_local_port_range"), "1\n2000 3000");
    assert_eq!(read("/proc/sys/net/ipv4/ip_forward"), before);
}

fn sysctl_beside_a_read_only_procfs(t: &Sandbox) {
    let mut c = t.container();
    c.without_mount("/proc").mount("/proc", "proc", "proc", &["ro"]);
    c.config["linux"]["readonlyPaths"] = array![];
    c.config["linux"]["sysctl"] = object! { "kernel.shm_rmid_forced": "1" };
    assert_eq!(c.out("cat /proc/sys/kernel/shm_rmid_forced"), "1");
}

/// The masks are the container's `/proc`, whatever the sysctls were written through.
fn sysctl_beside_a_procfs_of_the_host(t: &Sandbox) {
    let mut c = t.container();
    c.without_mount("/proc").without_namespace("pid").bind("/proc", "/proc", &["rbind"]);
    c.config["linux"]["sysctl"] = object! { "kernel.shm_rmid_forced": "1" };
    c.config["linux"]["maskedPaths"] = array!["/proc/version"];
    c.config["linux"]["readonlyPaths"] = array!["/proc/irq"];
    assert_eq!(
        c.out("cat /proc/sys/kernel/shm_rmid_forced; cat /proc/version; grep -c ' /proc/irq ro' /proc/self/mountinfo"),
        "1\n1"
    );
}

fn sysctl_of_each_namespace(t: &Sandbox) {
    let settings = [
        ("kernel.shmmni", "77"),
        ("kernel.msgmax", "9000"),
        ("kernel.shm_rmid_forced", "1"),
        ("fs.mqueue.msg_max", "17"),
        ("kernel.domainname", "of.sysctl"),
        ("net.core.somaxconn", "123"),
    ];
    let mut c = t.container();
    for (key, value) in settings {
        c.config["linux"]["sysctl"][key] = value.into();
    }
    for (key, value) in settings {
        assert_eq!(c.out(&format!("cat /proc/sys/{}", key.replace('.', "/"))), value, "{key}");
    }
}

/// A sysctl is refused, named in the message, and the host's own value stays what it was.
#[track_caller]
fn refused(t: &Sandbox, without: Option<&str>, key: &str) {
    let file = format!("/proc/sys/{}", key.replace('.', "/"));
    let before = read(&file);
    let mut c = t.container();
    if let Some(namespace) = without {
        c.without_namespace(namespace).without_mount("/dev/mqueue").without_mount("/sys");
        c.config.remove("hostname");
    }
    c.config["linux"]["sysctl"][key] = "1".into();
    c.sh("true").run().fails(&[key]);
    assert_eq!(read(&file), before);
}

fn sysctl_of_the_host_is_refused(t: &Sandbox) {
    for key in ["vm.overcommit_memory", "kernel.pid_max", "kernel.core_pattern", "fs.file-max"] {
        refused(t, None, key);
    }
}

fn sysctl_without_its_namespace_is_refused(t: &Sandbox) {
    refused(t, Some("network"), "net.ipv4.ip_forward");
    refused(t, Some("ipc"), "kernel.shmmni");
    refused(t, Some("uts"), "kernel.domainname");
}

fn sysctl_that_does_not_exist_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["sysctl"]["net.no_such_key"] = "1".into();
    c.sh("true").run().fails(&["no_such_key"]);
}

/// There is a field for it.
fn sysctl_hostname_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["sysctl"]["kernel.hostname"] = "other".into();
    c.sh("true").run().fails(&["kernel.hostname"]);
}

fn sysctl_with_dots_leading_out_is_refused(t: &Sandbox) {
    let before = read("/proc/sys/kernel/core_pattern");
    for key in ["net/../kernel/core_pattern", "net....kernel.core_pattern", "net./../kernel/core_pattern"] {
        let mut c = t.container();
        c.config["linux"]["sysctl"][key] = "|/evil".into();
        c.sh("true").run().is_refused();
        assert_eq!(read("/proc/sys/kernel/core_pattern"), before);
    }
}
