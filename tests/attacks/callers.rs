//! Around the runtime: the names that it is given, the directories that others can write to, what helpers and hooks get
//! from it, and processes that have a number which was another's.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::process::Command;

use jzon::{array, object};

use crate::breach::{holds, refused, same};
use crate::support::{Container, Need, Sandbox, behind, eventually, read};
use crate::{Attack, attack};

pub fn attacks() -> Vec<Attack> {
    vec![
        attack!(cve_2019_12439_state_root_of_another),
        attack!(cve_2020_15257_abstract_socket),
        attack!(cve_2025_23266_hooks_with_the_images_environment),
        attack!(cve_2026_84042_helpers_of_the_image).needs(&[Need::UserNamespaces]),
        attack!(ids_that_are_paths),
        attack!(pid_file_is_a_link),
        attack!(number_of_another_process),
        attack!(no_mount_namespace_leaves_the_hosts_mounts_alone),
    ]
}

fn cve_2019_12439_state_root_of_another(t: &Sandbox) {
    let guard = t.guard();
    let root = t.state_root();
    let traps: [&dyn Fn(); 3] = [
        &|| symlink(&guard.dir, &root).expect("symlink"),
        &|| {
            fs::create_dir(&root).expect("mkdir");
            chown(&root, Some(1000), Some(1000)).expect("chown");
        },
        &|| {
            fs::create_dir(&root).expect("mkdir");
            fs::set_permissions(&root, fs::Permissions::from_mode(0o777)).expect("chmod");
        },
    ];
    for trap in traps {
        trap();
        let mut c = t.container();
        refused(&c.sh("true").run());
        guard.is_unchanged();
        let _ = fs::remove_file(&root);
        let _ = fs::remove_dir_all(&root);
    }
}

/// Every container in the host's network namespace could connect to one.
fn cve_2020_15257_abstract_socket(t: &Sandbox) {
    let mut c = t.container();
    c.without_namespace("network").without_mount("/sys").started();
    let table = read("/proc/net/unix");
    let own = |line: &&str| line.contains(" @") && line.contains(&c.id);
    let found = table.lines().find(own);
    c.force_delete();
    holds(found.is_none(), format_args!("a socket that everybody can connect to: {found:?}"));
}

/// Hooks are the host's: of the container's environment, which an image may have set, they have nothing, nor of ours.
fn cve_2025_23266_hooks_with_the_images_environment(t: &Sandbox) {
    let mut c = t.container();
    c.env("LD_PRELOAD=/evil.so").env("SECRET=of-the-image");
    let mut said = Vec::new();
    for stage in ["prestart", "createRuntime"] {
        let file = t.path(stage);
        let script = format!("env >{0}; ls -l /proc/self/fd >>{0}; id -G >>{0}", file.display());
        c.config["hooks"][stage] = array![object! { path: "/bin/busybox", args: ["sh", "-c", script.as_str()] }];
        said.push(file);
    }
    let mut run = c.sh("true").write_config_for("run");
    t.spawn(run.env("SECRET", "of-the-caller")).wait().ok();
    for file in said {
        let said = read(&file);
        assert!(!said.is_empty(), "the hook was not run");
        holds(!said.contains("evil") && !said.contains("SECRET"), format_args!("a hook has {said}"));
    }
}

/// Programs that the runtime might call, in the image and where the caller's PATH begins.
fn cve_2026_84042_helpers_of_the_image(t: &Sandbox) {
    let marker = t.path("marker");
    let mut c = t.container();
    c.with_user_namespace().env("PATH=/evil:/bin");
    let script = format!("#!/bin/sh\ntouch {}\n", marker.display());
    for dir in [t.path("evil"), c.inside("/evil"), c.inside("/bin")] {
        fs::create_dir_all(&dir).expect("mkdir");
        for name in ["newuidmap", "newgidmap", "criu", "passt", "ip", "modprobe"] {
            let _ = fs::remove_file(dir.join(name));
            fs::write(dir.join(name), &script).expect("write");
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o755)).expect("chmod");
        }
    }
    let mut run = c.sh("true").write_config_for("run");
    run.env("PATH", format!("evil:.:{}:/usr/bin:/bin", t.path("evil").display()));
    t.spawn(&mut run).wait();
    holds(!marker.exists(), "a program of the image was executed on the host");
}

/// Names that mean something else as part of a path.
fn ids_that_are_paths(t: &Sandbox) {
    let guard = t.guard();
    let mut c = t.container();
    c.sh("true").write_config();
    let bundle = c.bundle.to_str().expect("path").to_owned();
    let up = format!("../../..{}/new", guard.dir.display());
    let long = "x".repeat(1025);
    let absolute = guard.dir.join("new");
    let ids =
        ["", ".", "..", "../guard", ".hidden", "a/b", "a/../../guard/new", "a\nb", "a b", &up, &long, "\u{1}", "é"];
    for id in ids.iter().copied().chain([absolute.to_str().expect("path")]) {
        for verb in [&["create", "--bundle", &bundle][..], &["run", "--bundle", &bundle], &["delete", "--force"]] {
            let words: Vec<&str> = verb.iter().copied().chain([id]).collect();
            let ran = t.rt(&words);
            if ran.code == 0 {
                t.rt(&["delete", "--force", id]);
            }
            guard.is_unchanged();
            refused(&ran);
        }
    }
    assert!(t.states().is_empty(), "{:?}", t.states());
}

/// In a directory that somebody else can write to.
fn pid_file_is_a_link(t: &Sandbox) {
    let guard = t.guard();
    let file = t.path("pid-file");
    symlink(guard.dir.join("secret"), &file).expect("symlink");
    let mut c = t.container();
    c.args(&["/bin/sleep", "600"]).create_with(&["--pid-file", file.to_str().expect("path")]);
    c.force_delete();
    guard.is_unchanged();
}

/// Init has ended, and its number is somebody else's by now: who gets no signal that is meant for the container.
fn number_of_another_process(t: &Sandbox) {
    let mut c = t.container();
    let pid = c.started();
    kill(pid);
    eventually("its number is free", || !std::path::Path::new(&format!("/proc/{pid}")).exists());
    let mut other = None;
    for _ in 0..2000 {
        fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).expect("ns_last_pid");
        let mut child = Command::new("sleep").arg("600").spawn().expect("sleep");
        if child.id() as i32 == pid {
            other = Some(child);
            break;
        }
        let _ = child.kill();
        let _ = child.wait();
    }
    let mut other = other.expect("a process with that number");
    c.kill("KILL");
    c.about("kill", &["--all", "KILL"]);
    c.exec(&[], &["/bin/true"]);
    c.force_delete();
    std::thread::sleep(std::time::Duration::from_millis(20));
    let ended = other.try_wait().expect("wait");
    let _ = other.kill();
    let _ = other.wait();
    holds(ended.is_none(), "another process was killed");
}

fn kill(pid: i32) {
    let killed = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    killed.expect("kill");
}

/// In a mount namespace that stands for the host's, whose mounts are shared.
fn no_mount_namespace_leaves_the_hosts_mounts_alone(t: &Sandbox) {
    let mut c: Container<'_> = t.container();
    c.without_namespace("mount").sh("true").write_config();
    let run = c.command("run", &[]);
    let script = "mount --make-rshared /; awk '{print $5, $7}' /proc/self/mountinfo >\"$1\"; shift; \"$@\" >&2; \
                  awk '{print $5, $7}' /proc/self/mountinfo";
    let before = t.path("before");
    let host = ["unshare", "-m", "sh", "-c", script, "sh", before.to_str().expect("UTF-8")];
    let ran = t.spawn(&mut behind(&host, &run)).wait();
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    same(&lines(&ran.stdout()), &lines(&read(&before)), "mounts of the host and their propagation");
}
