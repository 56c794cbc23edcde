//! `/dev` of the image: directory, nodes, the null device, the terminal. What is made there is made with the host's
//! rights, and what is found there may be anything.

use std::fs;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::process::Command;

use jzon::{array, object};

use nix::libc;

use crate::breach::{attack, holds, same};
use crate::support::{ConsoleSocket, Container, Guard, Need, Sandbox, read};
use crate::{Attack, attack};

pub fn attacks() -> Vec<Attack> {
    vec![
        attack!(cve_2026_41579_dev_is_a_link),
        attack!(cve_2026_47766_dev_is_a_link_without_a_mount),
        attack!(cve_2026_47766_dev_is_a_link_in_a_user_namespace).needs(&[Need::UserNamespaces]),
        attack!(cve_2026_47766_pts_is_a_link),
        attack!(cve_2025_31133_masked_with_the_images_null_device),
        attack!(cve_2025_62161_null_device_of_a_volume),
        attack!(cve_2025_52565_pts_is_a_volume),
        attack!(cve_2025_52565_console_is_a_link_to_a_kernel_file),
        attack!(cve_2026_88264_console_is_a_link),
        attack!(cve_2026_88265_null_device_is_a_file_of_the_host),
        attack!(null_device_of_the_caller_keeps_its_owner).needs(&[Need::UserNamespaces]),
        attack!(passwd_is_a_terminal_of_the_host),
        attack!(devices_of_the_image_are_not_opened).needs(&[Need::DeviceRules]),
    ]
}

fn cve_2026_41579_dev_is_a_link(t: &Sandbox) {
    for mounted in [false, true] {
        attack(t, |c, guard| {
            c.symlink("/dev", guard.dir.join("dev"));
            if !mounted {
                c.without_mount("/dev");
            }
        });
    }
}

/// Absolute, relative and magic; with devices of the config's own, and with a root that becomes read-only.
fn cve_2026_47766_dev_is_a_link_without_a_mount(t: &Sandbox) {
    for readonly in [false, true] {
        for prefix in ["", "../../../../../../..", "/proc/self/root"] {
            attack(t, |c, guard| {
                c.without_mount("/dev").symlink("/dev", format!("{prefix}{}", guard.dir.join("dev").display()));
                c.config["root"]["readonly"] = readonly.into();
                c.config["linux"]["devices"] = array![
                    object! { path: "/dev/a/b", "type": "c", major: 1, minor: 3 },
                    object! { path: "/dev/../x", "type": "c", major: 1, minor: 3 },
                ];
            });
        }
    }
}

fn cve_2026_47766_dev_is_a_link_in_a_user_namespace(t: &Sandbox) {
    attack(t, |c, guard| {
        c.with_user_namespace().without_mount("/dev").symlink("/dev", guard.dir.join("dev"));
    });
}

fn cve_2026_47766_pts_is_a_link(t: &Sandbox) {
    attack(t, |c, guard| {
        c.without_mount("/dev").symlink("/dev/pts", guard.dir.join("dev/pts"));
        c.mount("/dev/pts", "devpts", "devpts", &["newinstance", "ptmxmode=0666"]);
        c.symlink("/dev/shm", guard.dir.join("dev")).mount("/dev/shm/new", "tmpfs", "tmpfs", &[]);
    });
}

/// Refused, or what is masked is the host's null device and nothing else.
#[track_caller]
fn masks_hold(c: &mut Container<'_>) {
    c.config["linux"]["maskedPaths"] = array!["/proc/version", "/proc/keys", "/etc/passwd"];
    let ran = c.sh("for f in /proc/version /proc/keys /etc/passwd; do stat -c '%F %t:%T' $f; done").run();
    if ran.code == 0 {
        let expected = "character special file 1:3\n".repeat(3);
        same(&ran.stdout(), &expected, "what masked files are");
    }
}

fn cve_2025_31133_masked_with_the_images_null_device(t: &Sandbox) {
    for target in ["/proc/sys/kernel/core_pattern", "/etc/shadow", "/nowhere"] {
        let mut c = t.container();
        let before = read("/proc/sys/kernel/core_pattern");
        c.without_mount("/dev").file("/etc/shadow", "x").symlink("/dev/null", target);
        masks_hold(&mut c);
        same(&read("/proc/sys/kernel/core_pattern"), &before, "core_pattern");
    }
}

/// `/dev` is a directory that another container can write to.
fn cve_2025_62161_null_device_of_a_volume(t: &Sandbox) {
    let volume = t.path("volume");
    fs::create_dir(&volume).expect("mkdir");
    fs::write(volume.join("null"), "of another").expect("write");
    let mut c = t.container();
    c.without_mount("/dev").bind("/dev", &volume, &[]);
    masks_hold(&mut c);
}

/// A container with a terminal and what its `/dev/pts` has been replaced by, as far as it comes.
fn with_terminal(t: &Sandbox, trap: impl FnOnce(&mut Container, &Guard)) {
    let socket = ConsoleSocket::at(&t.path(&format!("console-{}", t.new_id())));
    let guard = t.guard();
    let mut c = t.container();
    c.without_mount("/dev").mkdir("/dev/pts").config["process"]["terminal"] = true.into();
    c.writable()
        .sh("echo overwritten >/dev/console; echo overwritten; stat -L -c '%t' /dev/console /proc/self/fd/0 >/tmp/is");
    trap(&mut c, &guard);
    let created = c.create_with(&["--console-socket", socket.name()]);
    if created.code == 0 {
        c.start();
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    c.force_delete();
    guard.is_unchanged();
    let is = read(c.inside("/tmp/is"));
    holds(is.is_empty() || is == "88\n88\n", format_args!("the console is no terminal: {is:?}"));
}

/// What is said to be a terminal of a devpts is a file of somebody else's choice.
fn cve_2025_52565_pts_is_a_volume(t: &Sandbox) {
    with_terminal(t, |c, guard| {
        let volume = t.path("pts");
        fs::create_dir(&volume).expect("mkdir");
        for name in ["0", "ptmx"] {
            std::os::unix::fs::symlink(guard.dir.join("secret"), volume.join(name)).expect("symlink");
        }
        c.bind("/dev/pts", &volume, &[]).symlink("/dev/ptmx", "pts/ptmx");
    });
}

fn cve_2025_52565_console_is_a_link_to_a_kernel_file(t: &Sandbox) {
    with_terminal(t, |c, guard| {
        c.mount("/dev/pts", "devpts", "devpts", &["newinstance", "ptmxmode=0666"]);
        c.symlink("/dev/console", format!("/proc/self/root{}", guard.dir.join("new").display()));
    });
}

fn cve_2026_88264_console_is_a_link(t: &Sandbox) {
    for readonly in [false, true] {
        with_terminal(t, |c, guard| {
            c.mount("/dev/pts", "devpts", "devpts", &["newinstance", "ptmxmode=0666"]);
            c.config["root"]["readonly"] = readonly.into();
            c.symlink("/dev/console", guard.dir.join("new"));
        });
    }
}

/// The null device is where a file of the host is mounted; streams that are pipes or sockets stay what they are.
fn cve_2026_88265_null_device_is_a_file_of_the_host(t: &Sandbox) {
    let file = t.file("of-the-host", "untouched");
    let mut c = t.container();
    c.without_mount("/dev").bind("/h", &file, &[]).symlink("/dev/null", "/h").as_user(1000, 1000);
    c.sh("read line; echo $line; echo overwritten >&0; true").write_config();
    let (ours, theirs) = UnixStream::pair().expect("socketpair");
    std::io::Write::write_all(&mut &ours, b"through the socket\n").expect("write");
    let ran = t.spawn(c.command("run", &[]).stdin(std::os::fd::OwnedFd::from(theirs))).wait();
    holds(read(&file) == "untouched", "the host's file was written to");
    same(&fs::metadata(&file).expect("stat").uid(), &0, "owner of the host's file");
    if ran.code == 0 {
        same(&ran.stdout().trim(), &"through the socket", "standard input is another");
    }
}

/// Streams are given to the user; a device of the host is not.
fn null_device_of_the_caller_keeps_its_owner(t: &Sandbox) {
    let node = t.path("null");
    assert!(Command::new("mknod").arg(&node).args(["c", "1", "3"]).status().expect("mknod").success());
    let mut c = t.container();
    c.with_user_namespace().as_user(1000, 1000).sh("cat").write_config();
    let mut command = c.command("run", &[]);
    t.spawn(command.stdout(fs::File::open(&node).expect("null")).stdin(fs::File::open(&node).expect("null"))).wait();
    same(&fs::metadata(&node).expect("null").uid(), &0, "owner of the caller's device");
}

/// A terminal of the host as a file that the runtime reads: whoever opens it as leader of a session has it for its own,
/// and with it all that is typed there.
fn passwd_is_a_terminal_of_the_host(t: &Sandbox) {
    for number in [1, 2] {
        // Somebody else has it open, but for no session.
        let flags = libc::O_NOCTTY;
        let _held = fs::OpenOptions::new().read(true).custom_flags(flags).open(format!("/dev/tty{number}"));
        let mut c = t.container();
        node(&mut c, "/etc/passwd", 4, number);
        c.config["linux"]["resources"] = object! { devices: [{ allow: true, access: "rwm" }] };
        c.sh("cut -d' ' -f7 /proc/self/stat").write_config();
        let run = c.command("run", &[]);
        let mut leader = Command::new("setsid");
        leader.arg("--wait").arg(run.get_program()).args(run.get_args()).env_clear().current_dir(t.path(""));
        let ran = t.spawn(&mut leader).wait();
        if ran.code == 0 {
            same(&ran.stdout().trim(), &"0", "the controlling terminal");
        }
    }
}

fn node(c: &mut Container<'_>, path: &str, major: u32, minor: u32) {
    let _ = fs::remove_file(c.inside(path));
    let node = Command::new("mknod").arg(c.inside(path)).args(["c", &major.to_string(), &minor.to_string()]).status();
    assert!(node.expect("mknod").success());
}

/// Some devices do something when they are opened (a watchdog begins to count, a tape is rewound), and what of the image
/// is opened is opened with the host's rights. One that no container may open stands for them: /dev/kmsg.
fn devices_of_the_image_are_not_opened(t: &Sandbox) {
    for path in ["/etc/passwd", "/dev/pts/ptmx"] {
        let mut c = t.container();
        c.without_mount("/dev").mkdir("/dev/pts");
        node(&mut c, path, 1, 11);
        let watch = Watch::on(&c.inside(path));
        let socket = ConsoleSocket::at(&t.path(&format!("console-{}", t.new_id())));
        let terminal = path != "/etc/passwd";
        c.config["process"]["terminal"] = terminal.into();
        let options = ["--console-socket", socket.name()];
        let _ = c.sh("true").create_with(if terminal { &options } else { &[] });
        c.force_delete();
        holds(!watch.has_seen_something(), format_args!("{path}, a device, was opened"));
    }
}

/// Tells whether a file has been opened: inotify(7).
struct Watch(fs::File);

impl Watch {
    #[allow(unsafe_code)]
    fn on(path: &std::path::Path) -> Watch {
        use std::os::fd::{AsRawFd, FromRawFd};
        let name = std::ffi::CString::new(path.to_str().expect("path")).expect("no NUL");
        let watch = unsafe { fs::File::from_raw_fd(libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC)) };
        let added = unsafe { libc::inotify_add_watch(watch.as_raw_fd(), name.as_ptr(), libc::IN_OPEN) };
        assert!(added >= 0, "inotify_add_watch");
        Watch(watch)
    }

    fn has_seen_something(&self) -> bool {
        std::io::Read::read(&mut &self.0, &mut [0; 256]).is_ok_and(|n| n > 0)
    }
}
