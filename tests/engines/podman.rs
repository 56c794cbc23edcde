//! Podman, as its users run it: with the runtime in containers.conf, and `podman --runtime NAME run ...`.
//!
//! All tests share one store of images and containers, which podman itself guards with locks; the one that looks
//! for what is left behind has a store to itself.

mod build;
mod defaults;
mod namespaces;
mod notify;
mod pods;
mod volumes;

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
        own: healthcheck, json_log, without_cgroups, checkpoint_is_refused if host::lacks(&["criu"]), seccomp_policy, secret, preserved_descriptors,
            rootfs_of_the_host, systemd_mode, nothing_left_behind;
        build: mounts_of_run, every_line_is_a_layer_or_none;
        namespaces: mapped_users, kept_id_of_root, joined_by_path;
        notify: ready_by_container if host::lacks(&["perl"]), ready_by_conmon;
        pods: pod_shares_namespaces, pod_goes_through_its_states, pod_without_infra, pod_stats_and_top, init_container;
        volumes: volume_of_an_overlay, volume_of_an_image, volume_options, propagation_of_a_volume, tmpfs_copies_up,
            read_only_with_tmpfs;
    ];
    let all = both::all().into_iter().chain(own);
    let trial = |(name, missing, test): both::Test| {
        host::trial(format!("podman::{name}"), NEEDS, missing, move || test(shared()))
    };
    // With a systemd, its own tests and the same again.
    let of_systemd = defaults::all().into_iter().map(|test| ("systemd", test));
    let by_default = of_systemd.chain(both::all().into_iter().map(|test| ("defaults", test)));
    let trial_by_default = |(module, (name, missing, test)): (&str, both::Test)| {
        let name = format!("podman::{module}::{name}");
        host::trial(name, NEEDS, move || defaults::missing().or_else(missing), move || test(defaults::shared()))
    };
    all.map(trial).chain(by_default.map(trial_by_default)).collect()
}

/// After the last test, for the shared store.
pub(crate) fn clean_up() {
    if let Some(engine) = SHARED.get() {
        remove(engine);
    }
    defaults::clean_up();
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
    client.extend(["--storage-driver", "vfs", "--runtime", "tested"].map(str::to_owned));
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
pub(crate) fn configure(dir: &std::path::Path, engine: &str) {
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
[engine.runtimes]
tested = ["{}"]
"#,
        host::runtime().display()
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
    pub(super) fn json_log(_: &Engine) {
        let podman = new(r#"runtime_supports_json = ["tested"]"#);
        for (program, status) in [("/bin/missing", 127), ("missing", 127), ("/etc/passwd", 126), ("/etc", 126)] {
            podman.run(&[IMAGE, program]).fails(status, &[program]);
        }
        assert_eq!(podman.run(&[IMAGE, "echo", "fine"]).stdout, "fine\n");
        remove(&podman);
    }

    /// `--cgroups=disabled`, which podman allows the runtimes that it is told of: the container is where podman is.
    /// (runc has no such mode.)
    pub(super) fn without_cgroups(_: &Engine) {
        let mut podman = new(r#"runtime_supports_nocgroup = ["tested"]"#);
        podman.always.clear();
        let here = fs::read_to_string("/proc/self/cgroup").unwrap();
        let there = podman.run(&["--cgroups", "disabled", "--cgroupns", "host", IMAGE, "cat", "/proc/self/cgroup"]);
        let pids = |text: &str| text.lines().find(|line| line.contains(":pids:")).map(str::to_owned);
        assert!(there.status == 0 && pids(&there.stdout) == pids(&here), "{there:?} {here}");
        assert_eq!(podman.run(&["--cgroups", "no-conmon", IMAGE, "echo", "fine"]).stdout, "fine\n");
        remove(&podman);
    }

    /// With an error that names it, and the container goes on.
    pub(super) fn checkpoint_is_refused(podman: &Engine) {
        podman.sleeper("kept", &[]);
        let output = podman.call(&["container", "checkpoint", "kept"]);
        assert!(output.status == 125 && output.stderr.contains("checkpoint"), "{output:?}");
        assert_eq!(podman.ok(&["exec", "kept", "echo", "well"]), "well\n");
        podman.remove("kept");
    }

    /// The profile comes from podman, or from a label of the image.
    pub(super) fn seccomp_policy(podman: &Engine) {
        let words = [IMAGE, "grep", "Seccomp:", "/proc/self/status"];
        podman.prints(&[&["--seccomp-policy", "default"], &words[..]].concat(), "Seccomp:\t2\n");
        podman.run(&[&["--seccomp-policy", "image"], &words[..]].concat()).fails(125, &["no seccomp policy"]);
        let profile = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28}]}"#;
        let change = format!("LABEL io.containers.seccomp.profile={profile}");
        let tar = podman.dir.join("rootfs.tar");
        podman.ok(&["import", "--quiet", "--change", &change, tar.to_str().unwrap(), "labelled"]);
        let output = podman.run(&["--seccomp-policy", "image", "labelled", "mkdir", "/new"]);
        output.fails(1, &["/new", "no space left on device"]);
        podman.ok(&["rmi", "labelled"]);
    }

    pub(super) fn secret(podman: &Engine) {
        fs::write(podman.dir.join("secret"), "hush\n").unwrap();
        podman.ok(&["secret", "create", "hidden", podman.dir.join("secret").to_str().unwrap()]);
        podman.prints(&["--secret", "hidden", IMAGE, "cat", "/run/secrets/hidden"], "hush\n");
        let script = "stat -c %a:%u /run/secrets/named; echo $IN_ENV";
        let (file, env) = ("hidden,target=named,uid=12,mode=400", "hidden,type=env,target=IN_ENV");
        podman.prints(&["--secret", file, "--secret", env, IMAGE, "sh", "-c", script], "400:12\nhush\n");
        podman.ok(&["secret", "rm", "hidden"]);
    }

    /// Descriptors of podman's caller, through conmon and the runtime.
    pub(super) fn preserved_descriptors(podman: &Engine) {
        fs::write(podman.dir.join("open"), "an open file\n").unwrap();
        let inner = podman.command(&["run", "--rm", "--cgroup-parent", &podman.cgroup, "--preserve-fds", "1", IMAGE]);
        let mut command = std::process::Command::new("sh");
        command.args(["-c", r#"exec "$@" 3<open"#, "sh"]).arg(inner.get_program()).args(inner.get_args());
        command.args(["sh", "-c", "cat <&3; ls /proc/self/fd"]).current_dir(&podman.dir);
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = host::output(&command, b"");
        // The fourth is the one by which ls reads.
        assert_eq!((output.status, output.stdout.as_str()), (0, "an open file\n0\n1\n2\n3\n4\n"), "{output:?}");
    }

    pub(super) fn rootfs_of_the_host(podman: &Engine) {
        let rootfs = podman.dir.join("rootfs");
        podman.prints(&["--rootfs", rootfs.to_str().unwrap(), "/bin/id", "-u"], "0\n");
    }

    /// What podman adds for a systemd, and that it does not with `--systemd=false`.
    pub(super) fn systemd_mode(podman: &Engine) {
        let script = "grep -c '^tmpfs /run ' /proc/mounts; echo $container";
        let words = [IMAGE, "sh", "-c", script];
        podman.prints(&[&["--systemd=false"], &words[..]].concat(), "0\npodman\n");
        podman.prints(&[&["--systemd=always"], &words[..]].concat(), "1\npodman\n");
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
