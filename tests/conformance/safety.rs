//! Attacks by the image or the config. Each aims at a directory of the host, which may not change, whatever becomes of
//! the container.

use std::fs;

use jzon::{array, object};

use crate::case;
use crate::support::{Case, ConsoleSocket, Container, Guard, Kind, Need, Sandbox, read};

pub fn cases() -> Vec<Case> {
    vec![
        case!(proc_is_a_symlink),
        case!(sys_is_a_symlink),
        case!(dev_is_a_symlink).differs(Kind::Runc, FOLLOWS_DEV),
        case!(dev_is_a_symlink_without_a_mount).differs(Kind::Runc, FOLLOWS_DEV),
        case!(dev_is_a_relative_symlink_without_a_mount)
            .differs(Kind::Crun, FOLLOWS_DEV)
            .differs(Kind::Runc, FOLLOWS_DEV),
        case!(dev_is_a_symlink_in_a_user_namespace).needs(&[Need::UserNamespaces]),
        case!(dev_pts_is_a_symlink),
        case!(null_device_is_a_symlink),
        case!(console_is_a_symlink).differs(Kind::Crun, "CVE-2026-88264"),
        case!(device_path_leads_out),
        case!(mount_target_is_a_dangling_symlink),
        case!(mount_target_below_a_symlink),
        case!(mount_target_leads_out),
        case!(mount_target_is_a_magic_link),
        case!(mount_target_is_a_loop),
        case!(working_directory_is_a_symlink),
        case!(masked_path_is_a_symlink),
        case!(read_only_path_is_a_symlink),
        case!(passwd_is_a_symlink),
        case!(passwd_is_a_fifo).differs(Kind::Crun, "hangs").differs(Kind::Runc, "hangs"),
        case!(proc_is_a_bind_of_lies).differs(Kind::Crun, "1.8 takes any mount on /proc"),
        case!(proc_is_a_bind_of_lies_by_another_name),
        case!(sysctl_is_redirected),
        case!(root_stays_read_only_with_a_fake_proc),
        case!(program_is_the_runtime_itself),
        case!(nested_procfs_cannot_be_mounted_without_pivot).needs(&[Need::UserNamespaces]),
        case!(no_abstract_socket),
        case!(set_user_id_binary_refuses).isopod_only("no such check"),
    ]
}

/// What happens when `/dev` of the image leads out of it (CVE-2026-41579, CVE-2026-47766).
const FOLLOWS_DEV: &str = "makes its links and nodes on the host";

/// Sets the trap, runs the container as far as it goes, and looks at the guarded directory.
#[track_caller]
fn attack(t: &Sandbox, trap: impl FnOnce(&mut Container, &Guard)) {
    let guard = t.guard();
    let mut c = t.container();
    c.sh("true").writable();
    trap(&mut c, &guard);
    let ran = c.run();
    guard.is_unchanged();
    assert!(ran.code >= 0, "killed: {ran}");
}

/// The same, where only a refusal is right.
#[track_caller]
fn refused_attack(t: &Sandbox, trap: impl FnOnce(&mut Container, &Guard)) {
    let guard = t.guard();
    let mut c = t.container();
    c.sh("true").writable();
    trap(&mut c, &guard);
    c.run().is_refused();
    guard.is_unchanged();
}

fn proc_is_a_symlink(t: &Sandbox) {
    refused_attack(t, |c, guard| {
        c.symlink("/proc", &guard.dir);
    });
    refused_attack(t, |c, _| {
        c.mkdir("/elsewhere").symlink("/proc", "elsewhere");
    });
}

fn sys_is_a_symlink(t: &Sandbox) {
    refused_attack(t, |c, guard| {
        c.symlink("/sys", &guard.dir);
    });
}

fn dev_is_a_symlink(t: &Sandbox) {
    attack(t, |c, guard| {
        c.symlink("/dev", guard.dir.join("dev"));
    });
}

fn dev_is_a_symlink_without_a_mount(t: &Sandbox) {
    attack(t, |c, guard| {
        c.without_mount("/dev").symlink("/dev", guard.dir.join("dev"));
        c.config["linux"]["devices"] = array![object! { path: "/dev/a/b", "type": "c", major: 1, minor: 3 }];
    });
}

fn dev_is_a_relative_symlink_without_a_mount(t: &Sandbox) {
    attack(t, |c, guard| {
        let up = format!("../../../../../../..{}", guard.dir.join("dev").display());
        c.without_mount("/dev").symlink("/dev", up);
    });
}

fn dev_is_a_symlink_in_a_user_namespace(t: &Sandbox) {
    attack(t, |c, guard| {
        c.with_user_namespace().without_mount("/dev").symlink("/dev", guard.dir.join("dev"));
    });
}

fn dev_pts_is_a_symlink(t: &Sandbox) {
    attack(t, |c, guard| {
        c.without_mount("/dev").symlink("/dev/pts", guard.dir.join("dev"));
        c.mount("/dev/pts", "devpts", "devpts", &["newinstance", "ptmxmode=0666"]);
    });
}

/// Masking a file with the image's own idea of the null device would show, or mount over, another file.
fn null_device_is_a_symlink(t: &Sandbox) {
    attack(t, |c, guard| {
        c.without_mount("/dev").symlink("/dev/null", guard.dir.join("secret"));
        c.config["linux"]["maskedPaths"] = array!["/proc/version"];
        c.sh("echo overwritten >/dev/null; echo overwritten >/proc/version; chown 1000 /dev/null");
    });
}

fn console_is_a_symlink(t: &Sandbox) {
    let socket = ConsoleSocket::new(t);
    for readonly in [false, true] {
        let guard = t.guard();
        let mut c = t.container();
        c.without_mount("/dev").mkdir("/dev/pts").symlink("/dev/console", guard.dir.join("new"));
        c.mount("/dev/pts", "devpts", "devpts", &["newinstance", "ptmxmode=0666"]);
        c.config["process"]["terminal"] = true.into();
        c.config["root"]["readonly"] = readonly.into();
        c.sh("echo x >/dev/console").create_with(&["--console-socket", socket.name()]);
        c.start();
        guard.is_unchanged();
        c.force_delete();
    }
}

fn device_path_leads_out(t: &Sandbox) {
    attack(t, |c, guard| {
        let path = format!("/dev/../../../../../../..{}/node", guard.dir.display());
        c.config["linux"]["devices"] = array![object! { path: path.as_str(), "type": "c", major: 1, minor: 3 }];
    });
}

fn mount_target_is_a_dangling_symlink(t: &Sandbox) {
    attack(t, |c, guard| {
        let file = c.bundle.join("file");
        fs::write(&file, "").expect("write");
        c.symlink("/etc/x", guard.dir.join("new")).bind("/etc/x", &file, &[]);
    });
}

fn mount_target_below_a_symlink(t: &Sandbox) {
    attack(t, |c, guard| {
        let up = format!("../../../../../../..{}", guard.dir.display());
        c.symlink("/link", &guard.dir).symlink("/up", up);
        c.mount("/link/new/deep", "tmpfs", "tmpfs", &[]).mount("/up/other", "tmpfs", "tmpfs", &[]);
    });
}

fn mount_target_leads_out(t: &Sandbox) {
    attack(t, |c, guard| {
        let path = format!("/a/../../../../../../../..{}/new", guard.dir.display());
        c.mount(&path, "tmpfs", "tmpfs", &[]);
    });
}

fn mount_target_is_a_magic_link(t: &Sandbox) {
    attack(t, |c, guard| {
        c.symlink("/m", format!("/proc/self/root{}", guard.dir.display()));
        c.symlink("/n", format!("/proc/1/root{}", guard.dir.display()));
        c.mount("/m/new", "tmpfs", "tmpfs", &[]).mount("/n/new", "tmpfs", "tmpfs", &[]);
    });
}

fn mount_target_is_a_loop(t: &Sandbox) {
    refused_attack(t, |c, _| {
        c.symlink("/one", "two").symlink("/two", "one").mount("/one/x", "tmpfs", "tmpfs", &[]);
    });
}

/// It is created if it is missing: in the container.
fn working_directory_is_a_symlink(t: &Sandbox) {
    attack(t, |c, guard| {
        c.symlink("/w", &guard.dir);
        c.config["process"]["cwd"] = "/w/new/deep".into();
    });
}

fn masked_path_is_a_symlink(t: &Sandbox) {
    attack(t, |c, guard| {
        c.symlink("/link", guard.dir.join("secret")).symlink("/dir", &guard.dir);
        c.config["linux"]["maskedPaths"] = array!["/link", "/dir", "/dir/dev"];
    });
}

fn read_only_path_is_a_symlink(t: &Sandbox) {
    attack(t, |c, guard| {
        c.symlink("/dir", &guard.dir);
        c.config["linux"]["readonlyPaths"] = array!["/dir", "/dir/dev"];
    });
}

/// HOME comes from the container's file, never the host's.
fn passwd_is_a_symlink(t: &Sandbox) {
    let file = t.file("passwd", "root:x:0:0::/stolen:/bin/sh\n");
    let mut c = t.container();
    c.symlink("/etc/passwd", &file);
    assert_ne!(c.out("echo $HOME"), "/stolen");
}

/// Reading it must not wait for a writer that never comes.
fn passwd_is_a_fifo(t: &Sandbox) {
    let mut c = t.container();
    fs::remove_file(c.inside("/etc/passwd")).expect("rm");
    let made = std::process::Command::new("mkfifo").arg(c.inside("/etc/passwd")).status();
    assert!(made.expect("mkfifo").success());
    c.sh("true").run();
}

/// A volume in place of procfs, so that labels and the like are written to plain files.
fn lies(t: &Sandbox, c: &mut Container, destination: &str) -> std::path::PathBuf {
    let volume = t.path("volume");
    for dir in ["self/attr/apparmor", "self/fd", "sys/kernel"] {
        fs::create_dir_all(volume.join(dir)).expect("mkdir");
    }
    for file in ["self/oom_score_adj", "self/attr/exec", "self/attr/current", "self/setgroups"] {
        fs::write(volume.join(file), "").expect("write");
    }
    c.without_mount("/proc").bind(destination, &volume, &[]);
    c.config["process"]["oomScoreAdj"] = 500.into();
    c.config["linux"]["maskedPaths"] = array![];
    c.config["linux"]["readonlyPaths"] = array![];
    volume
}

fn proc_is_a_bind_of_lies(t: &Sandbox) {
    let mut c = t.container();
    let volume = lies(t, &mut c, "/proc");
    c.sh("true").run().is_refused();
    assert_eq!(read(volume.join("self/oom_score_adj")), "");
}

fn proc_is_a_bind_of_lies_by_another_name(t: &Sandbox) {
    for name in ["/proc/", "//proc", "/./proc", "/tmp/../proc"] {
        let mut c = t.container();
        let volume = lies(t, &mut c, name);
        c.sh("true").run();
        assert_eq!(read(volume.join("self/oom_score_adj")), "", "{name}");
    }
}

fn sysctl_is_redirected(t: &Sandbox) {
    let before = read("/proc/sys/kernel/core_pattern");
    let mut c = t.container();
    let volume = t.path("kernel");
    fs::create_dir(&volume).expect("mkdir");
    std::os::unix::fs::symlink("/proc/sys/kernel/core_pattern", volume.join("shm_rmid_forced")).expect("symlink");
    c.bind("/proc/sys/kernel", &volume, &[]);
    c.config["linux"]["sysctl"]["kernel.shm_rmid_forced"] = "1".into();
    c.config["linux"]["readonlyPaths"] = array![];
    c.sh("true").run();
    assert_eq!(read("/proc/sys/kernel/core_pattern"), before);
}

/// An image with its own `/proc/self/fd` must not be asked where a descriptor leads.
fn root_stays_read_only_with_a_fake_proc(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["maskedPaths"] = array![];
    c.config["linux"]["readonlyPaths"] = array![];
    c.without_mount("/proc").mkdir("/data").mount("/data", "tmpfs", "tmpfs", &["ro"]);
    for number in 0..64 {
        c.symlink(&format!("/proc/self/fd/{number}"), "/tmp");
    }
    let script = "for d in / /data; do touch $d/x 2>/dev/null || echo refused; done";
    let ran = c.sh(script).run();
    assert!(ran.code != 0 || ran.ok() == "refused\nrefused", "{ran}");
}

/// Whoever runs `/proc/self/exe` as the entry point gets a process of the runtime's binary to write to.
fn program_is_the_runtime_itself(t: &Sandbox) {
    let copy = t.path("runtime");
    fs::copy(&t.runtime.path, &copy).expect("copy");
    let before = fs::read(&copy).expect("read");
    let mut c = t.container();
    c.symlink("/entry", "/proc/self/exe").file("/script", "#!/proc/self/exe\n");
    fs::set_permissions(c.inside("/script"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    for program in ["/entry", "/script", "/proc/self/exe"] {
        c.args(&[program, "--version"]).write_config();
        let own = c.command("run", &[]);
        let mut command = std::process::Command::new(&copy);
        t.spawn(command.args(own.get_args())).wait();
        assert!(fs::read(&copy).expect("read") == before, "{program}: the runtime has changed");
    }
}

/// A procfs of the host's that stayed reachable would let a nested namespace mount one without masks.
fn nested_procfs_cannot_be_mounted_without_pivot(t: &Sandbox) {
    let c = &mut t.container();
    c.mkdir("/mnt").sh("unshare -Urmpf mount -t proc p /mnt 2>/dev/null && echo mounted || echo refused");
    assert_eq!(c.run_with(&["--no-pivot"]).ok(), "refused");
}

/// Every container in the host's network namespace could connect to one.
fn no_abstract_socket(t: &Sandbox) {
    let mut c = t.container();
    c.without_namespace("network").without_mount("/sys").started();
    let table = read("/proc/net/unix");
    let own = |line: &&str| line.contains(" @") && (line.contains(&c.id) || line.contains("isopod"));
    assert_eq!(table.lines().find(own), None);
}

fn set_user_id_binary_refuses(t: &Sandbox) {
    assert!(t.is(Kind::Isopod));
    let copy = t.path("runtime");
    fs::copy(&t.runtime.path, &copy).expect("copy");
    fs::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(0o4755)).expect("chmod");
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid", "1000", "--clear-groups"]).arg(&copy).args(["list", "-q"]);
    t.spawn(&mut command).wait().fails(&["set-user-id"]);
}
