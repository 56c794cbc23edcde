//! Podman, as its users run it: `podman --runtime PATH run ...`.
//!
//! All tests share one store of images and containers, which podman itself guards with locks; the one that looks
//! for what is left behind has a store to itself.

use crate::both::{self, tests};
use crate::engine::{Engine, IMAGE, Kind};
use crate::host;
use libtest_mimic::Trial;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

const NEEDS: &[&str] = &["podman", "conmon", "busybox", "timeout", "setsid", "tar"];

pub(crate) fn trials() -> Vec<Trial> {
    use crate::both::life;
    let own = tests![
        life: init if host::lacks(&["catatonit"]);
        own: healthcheck, errors_by_json_log, nothing_left_behind;
    ];
    let all = both::all().into_iter().chain(own);
    let trial = |(name, missing, test): both::Test| {
        host::trial(format!("podman::{name}"), NEEDS, missing, move || test(shared()))
    };
    all.map(trial).collect()
}

/// After the last test, for the shared store.
pub(crate) fn clean_up() {
    if let Some(engine) = SHARED.get() {
        remove(engine);
    }
}

static SHARED: OnceLock<Engine> = OnceLock::new();

fn shared() -> &'static Engine {
    SHARED.get_or_init(|| new(""))
}

/// A new store that has one image, "busybox"; `engine` is more for the [engine] table of containers.conf.
fn new(engine: &str) -> Engine {
    let dir = host::new_dir("podman");
    let cgroup = dir.file_name().unwrap().to_str().unwrap().to_owned();
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    configure(&dir, engine);
    let mut client = vec!["podman".to_owned()];
    for (option, dir) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
        client.extend([option.to_owned(), path(dir)]);
    }
    let runtime = host::runtime().to_str().unwrap().to_owned();
    client.extend(["--storage-driver", "vfs", "--runtime", &runtime].map(str::to_owned));
    let env = vec![("CONTAINERS_CONF", dir.join("containers.conf")), ("TMPDIR", dir.clone())];
    let always = vec!["--cgroup-parent".to_owned(), cgroup.clone()];
    let tar = host::make_image(&dir);
    let podman = Engine { kind: Kind::Podman, dir, cgroup, client, env, always };
    podman.ok(&["import", "--quiet", tar.to_str().unwrap(), IMAGE]);
    podman
}

/// Nothing in common with the podman of the machine's owner. Limits within what a process without
/// CAP_SYS_RESOURCE may set (podman's own default is above that), and locks in files, for those in shared
/// memory are one set for all stores.
fn configure(dir: &std::path::Path, engine: &str) {
    let text = format!(
        r#"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
log_driver = "k8s-file"
netns = "none"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
{engine}
"#
    );
    fs::write(dir.join("containers.conf"), text).unwrap();
}

/// Ends what is still running and removes the store, its mounts and its cgroups.
fn remove(podman: &Engine) {
    podman.call(&["rm", "--all", "--force", "--time", "0"]);
    // conmon calls podman once more when its container ends, which would make part of the store again.
    let dir = podman.dir.to_str().unwrap();
    host::eventually(|| host::processes_with(dir).is_empty());
    host::remove_cgroups(&podman.cgroup);
    host::remove_dir(&podman.dir);
}

mod own {
    use super::*;

    /// Without systemd there is no timer: each check is asked for.
    pub(super) fn healthcheck(podman: &Engine) {
        podman.sleeper("checked", &["--health-cmd", "test -e /tmp/well", "--health-interval", "disable"]);
        assert_eq!(podman.call(&["healthcheck", "run", "checked"]).status, 1);
        podman.ok(&["exec", "checked", "touch", "/tmp/well"]);
        podman.ok(&["healthcheck", "run", "checked"]);
        podman.remove("checked");
    }

    /// Podman asks only the runtimes that it knows for a log in JSON; with this setting it asks ours too, and then
    /// takes its message and the exit status from there.
    pub(super) fn errors_by_json_log(_: &Engine) {
        let podman = new(r#"runtime_supports_json = ["isopod", "crun", "runc"]"#);
        for (program, status) in [("/bin/missing", 127), ("missing", 127), ("/etc/passwd", 126), ("/etc", 126)] {
            podman.run(&[IMAGE, program]).fails(status, &[program]);
        }
        assert_eq!(podman.run(&[IMAGE, "echo", "fine"]).stdout, "fine\n");
        remove(&podman);
    }

    pub(super) fn nothing_left_behind(_: &Engine) {
        let podman = new("");
        let mut ids = Vec::new();
        for (name, command) in
            [("ends", "true"), ("fails", "/bin/missing"), ("runs", "sleep 1000"), ("killed", "sleep 1000")]
        {
            let words: Vec<_> = command.split(' ').collect();
            podman.run_kept(name, &[&["--detach", IMAGE], &words[..]].concat());
            ids.push(podman.inspect(name, "Id"));
        }
        podman.ok(&["kill", "killed"]);
        ["ends", "fails", "runs", "killed"].iter().for_each(|name| podman.remove(name));
        podman.run(&[IMAGE, "true"]);

        let dir = podman.dir.to_str().unwrap();
        assert!(host::eventually(|| host::processes_with(dir).is_empty()), "{:?}", host::processes_with(dir));
        // Podman itself keeps its store mounted private, and a cgroup for conmon.
        let mut mounts = host::mounts_below(&podman.dir);
        mounts.retain(|point| *point != podman.dir.join("root/vfs"));
        assert_eq!(mounts, Vec::<PathBuf>::new());
        for id in &ids {
            let state = PathBuf::from("/run").join(host::runtime().file_name().unwrap()).join(id);
            assert!(!state.exists(), "{}", state.display());
            assert!(podman.leaves_nothing_of(id));
        }
        remove(&podman);
    }
}
