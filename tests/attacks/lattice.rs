//! The generic attacks: every place that the runtime touches, times everything that can lie there; every fake that a
//! procfs can be; every call of the kernel's that can be missing or forbidden.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use jzon::{array, object};
use nix::libc;

use crate::breach::{holds, same};
use crate::support::{ConsoleSocket, Container, Guard, Need, Ran, Sandbox, behind, deny};
use crate::{Attack, attack};

pub fn attacks() -> Vec<Attack> {
    vec![
        attack!(everything_everywhere),
        attack!(everything_everywhere_without_mounts),
        attack!(everything_everywhere_with_a_terminal),
        attack!(everything_everywhere_in_a_user_namespace).needs(&[Need::UserNamespaces]),
        attack!(run_without_a_call).needs(&[Need::Probe]),
        attack!(exec_without_a_call).needs(&[Need::Probe]),
    ]
}

/// Where the runtime makes, mounts, hides, reads or enters something.
const PLACES: &[&str] = &[
    "/new",
    "/proc",
    "/sys",
    "/sys/fs/cgroup",
    "/dev",
    "/dev/pts",
    "/dev/shm",
    "/dev/mqueue",
    "/dev/null",
    "/dev/console",
    "/dev/ptmx",
    "/dev/fd",
    "/dev/custom",
    "/etc",
    "/etc/passwd",
    "/tmp",
    "/data",
    "/file",
    "/masked",
    "/readonly",
    "/work",
];

/// What may lie there.
const THINGS: &[fn(&Path, &Guard)] = &[
    |path, guard| symlink(guard.dir.join("dev"), path).expect("symlink"),
    |path, guard| {
        symlink(format!("../../../../../../../..{}", guard.dir.join("dev").display()), path).expect("symlink")
    },
    |path, guard| symlink(guard.dir.join("new"), path).expect("symlink"),
    |path, guard| symlink(guard.dir.join("secret"), path).expect("symlink"),
    |path, guard| symlink(format!("/proc/self/root{}", guard.dir.join("dev").display()), path).expect("symlink"),
    |path, _| symlink(path.file_name().expect("name"), path).expect("symlink"),
    |path, _| symlink("x".repeat(4000), path).expect("symlink"),
    |path, _| fs::write(path, "of the image").expect("write"),
    |path, _| made(Command::new("mkfifo").arg(path)),
    |path, _| made(Command::new("mknod").arg(path).args(["c", "1", "11"])),
    |path, _| drop(std::os::unix::net::UnixListener::bind(path).ok()),
    |path, _| {
        fs::create_dir(path).expect("mkdir");
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).expect("chmod");
    },
];

fn made(command: &mut Command) {
    assert!(command.status().expect("a command").success(), "{command:?}");
}

/// For each place and thing a container that goes as far as it can.
#[track_caller]
fn everywhere(t: &Sandbox, setting: impl Fn(&mut Container<'_>), go: impl Fn(&Container<'_>)) {
    let guard = t.guard();
    let (data, file) = (t.path("data"), t.file("file", ""));
    fs::create_dir(&data).expect("mkdir");
    let mut c = t.container();
    c.writable().sh("true").bind("/data", &data, &[]).bind("/file", &file, &[]);
    c.mount("/new/deep", "tmpfs", "tmpfs", &[]);
    c.config["process"]["cwd"] = "/work/dir".into();
    c.config["linux"]["devices"] = array![object! { path: "/dev/custom", "type": "c", major: 1, minor: 3 }];
    c.config["linux"]["maskedPaths"].push("/masked").expect("paths");
    c.config["linux"]["readonlyPaths"].push("/readonly").expect("paths");
    setting(&mut c);
    for place in PLACES {
        for thing in THINGS {
            let (path, aside) = (c.inside(place), c.bundle.join("aside"));
            fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
            let was_there = fs::rename(&path, &aside).is_ok();
            thing(&path, &guard);
            go(&c);
            guard.is_unchanged();
            fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path)).expect("rm");
            if was_there {
                fs::rename(&aside, &path).expect("rename");
            }
        }
    }
}

/// It ends, one way or the other, by itself.
#[track_caller]
fn ends(ran: &Ran) {
    assert!(ran.code >= 0, "killed: {ran}");
}

fn everything_everywhere(t: &Sandbox) {
    everywhere(t, |_| {}, |c| ends(&c.run()));
}

/// Where the image's own directories are used, and a whole false `/proc` is among them.
fn everything_everywhere_without_mounts(t: &Sandbox) {
    let bare = |c: &mut Container<'_>| {
        c.without_mount("/dev").without_mount("/proc").without_mount("/sys");
        c.file("/proc/self/oom_score_adj", "").file("/proc/self/attr/exec", "").file("/proc/sys/kernel/x", "");
        for number in 0..16 {
            c.symlink(&format!("/proc/self/fd/{number}"), "/");
        }
        c.config["process"]["oomScoreAdj"] = 500.into();
        c.config["root"]["readonly"] = true.into();
    };
    everywhere(t, bare, |c| ends(&c.run()));
}

fn everything_everywhere_with_a_terminal(t: &Sandbox) {
    let socket = ConsoleSocket::new(t);
    let terminal = |c: &mut Container<'_>| {
        c.without_mount("/dev").mkdir("/dev/pts").config["process"]["terminal"] = true.into();
        c.mount("/dev/pts", "devpts", "devpts", &["newinstance", "ptmxmode=0666"]);
    };
    everywhere(t, terminal, |c| {
        ends(&c.create_with(&["--console-socket", socket.name()]));
        c.force_delete();
        socket.forget();
    });
}

fn everything_everywhere_in_a_user_namespace(t: &Sandbox) {
    let mapped = |c: &mut Container<'_>| {
        c.with_user_namespace().without_mount("/dev");
    };
    everywhere(t, mapped, |c| ends(&c.run()));
}

/// Calls that kernels did not have once, that somebody's filter forbids, or that take rights away; with the first argument
/// that matters, if one does.
#[rustfmt::skip]
const CALLS: &[(i64, Option<i32>)] = &[
    (libc::SYS_openat2, None), (libc::SYS_clone3, None), (libc::SYS_mount_setattr, None), (libc::SYS_open_tree, None),
    (libc::SYS_move_mount, None), (libc::SYS_fsopen, None), (libc::SYS_fsconfig, None), (libc::SYS_fsmount, None),
    (libc::SYS_mount, None), (libc::SYS_umount2, None), (libc::SYS_pivot_root, None), (libc::SYS_chroot, None),
    (libc::SYS_mknodat, None), (libc::SYS_close_range, None), (libc::SYS_pidfd_open, None),
    (libc::SYS_pidfd_send_signal, None), (libc::SYS_setns, None), (libc::SYS_unshare, None), (libc::SYS_seccomp, None),
    (libc::SYS_memfd_create, None), (libc::SYS_keyctl, None), (libc::SYS_setsid, None), (libc::SYS_capset, None),
    (libc::SYS_setgroups, None), (libc::SYS_setresuid, None), (libc::SYS_setresgid, None), (libc::SYS_setrlimit, None),
    (libc::SYS_prlimit64, None), (libc::SYS_sethostname, None), (libc::SYS_flock, None),
    (libc::SYS_prctl, Some(libc::PR_SET_MM)), (libc::SYS_prctl, Some(libc::PR_SET_DUMPABLE)),
    (libc::SYS_prctl, Some(libc::PR_SET_NO_NEW_PRIVS)), (libc::SYS_prctl, Some(libc::PR_CAPBSET_DROP)),
    (libc::SYS_prctl, Some(libc::PR_SET_KEEPCAPS)),
];

/// What the kernel says of how a process is confined. (Where nodes cannot be made, the host's are mounted, read-only.)
const REPORT: &str = "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)' /proc/self/status; \
    cut -d' ' -f5,6 /proc/self/mountinfo | grep -v '^/dev/[a-z]* ro,nosuid,noexec' | sort; ulimit -n; umask; hostname; pwd; cat /proc/version; ls /proc/keys -l | cut -c1; \
    for d in / /etc /proc/sys; do touch $d/made 2>/dev/null && echo made $d; done; mkdir /dev/shm/made 2>&1; \
    /probe fds; /probe session | sed 's/pid=[0-9]* sid=[0-9]* pgrp=[0-9]*//'; true";

/// Confined by everything that there is.
fn confined(t: &Sandbox) -> Container<'_> {
    let mut c = t.container();
    c.with_probe().as_user(1000, 1000).capabilities(&["CAP_KILL"]);
    c.config["process"]["user"]["additionalGids"] = array![5, 6];
    c.config["process"]["user"]["umask"] = 0o27.into();
    c.config["linux"]["maskedPaths"].push("/proc/version").expect("paths");
    c.config["linux"]["seccomp"] = object! {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 38 }],
    };
    c
}

/// With each call missing and forbidden: refused in one line, or as confined as with all of them.
#[track_caller]
fn without_each(command: impl Fn() -> Command, run: impl Fn(&mut Command) -> Ran) {
    // A call that nobody makes, so that there are as many filters.
    let usual = run(&mut without(&command(), 999, None, libc::ENOSYS)).ok();
    for (call, first) in CALLS {
        for errno in [libc::ENOSYS, libc::EPERM] {
            let ran = run(&mut without(&command(), *call, *first, errno));
            let what = format!("without call {call} {first:?} (errno {errno})");
            assert!(ran.code >= 0, "{what}: killed: {ran}");
            if ran.code == 0 {
                same(&ran.stdout().trim_end(), &usual.as_str(), what);
            } else {
                assert!(ran.stderr().trim().lines().count() == 1, "{what}: not one line: {ran}");
                holds(ran.stdout().is_empty(), format_args!("{what}: failed after it had been started: {ran}"));
            }
        }
    }
}

/// The same command without a call, by a caller who has groups that the container must not have.
fn without(command: &Command, call: i64, first: Option<i32>, errno: i32) -> Command {
    behind(&["setpriv", "--groups", "4,27"], &deny(command, call, first, errno))
}

fn run_without_a_call(t: &Sandbox) {
    let mut c = confined(t);
    c.sh(REPORT).write_config();
    without_each(|| c.command("run", &[]), |command| t.spawn(command).wait());
}

fn exec_without_a_call(t: &Sandbox) {
    let mut c = confined(t);
    c.started();
    without_each(|| c.exec_command(&[], &["/bin/sh", "-c", REPORT]), |command| t.spawn(command).wait());
    c.force_delete();
}
