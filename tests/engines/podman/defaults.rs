//! Podman as a distribution with systemd and cgroup v2 has it: containers are scopes of systemd's, pods are slices,
//! units start containers, and users have them too. Only the runtime is another one than its packagers chose.

use crate::both::{Test, tests};
use crate::engine::{Engine, IMAGE, Kind};
use crate::host;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What needs a systemd.
pub(super) fn all() -> Vec<Test> {
    tests![
        of_root: container_is_a_scope, limits_are_the_scopes, updates_reach_the_scope, stats_of_a_scope,
            out_of_memory_in_a_scope, pod_is_a_slice, unit_of_a_quadlet, scopes_go_with_their_containers;
        of_a_user: user_runs_in_his_own_scope, user_limits_what_he_has, unit_of_a_users_quadlet,
            health_is_checked_by_a_timer;
    ]
}

/// Why the machine cannot have these, if so.
pub(super) fn missing() -> Option<String> {
    let is_there = Path::new("/run/systemd/system").exists() && Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    (!is_there).then(|| "no systemd with cgroup v2".to_owned())
}

static SHARED: OnceLock<Engine> = OnceLock::new();

pub(super) fn shared() -> &'static Engine {
    SHARED.get_or_init(|| {
        let dir = host::new_dir("podman");
        let client = client(&dir).to_vec();
        // A network of its own would need a firewall.
        let always = ["--network", "none"].map(str::to_owned).to_vec();
        let podman =
            Engine { kind: Kind::Podman, cgroup: "machine.slice".to_owned(), client, env: vec![], always, dir };
        podman.ok(&["import", "--quiet", host::make_image(&podman.dir).to_str().unwrap(), IMAGE]);
        podman
    })
}

pub(super) fn clean_up() {
    if let Some(podman) = SHARED.get() {
        podman.call(&["pod", "rm", "--all", "--force", "--time", "0"]);
        podman.call(&["rm", "--all", "--force", "--time", "0"]);
        host::remove_dir(&podman.dir);
    }
}

/// Podman with a store of its own and our runtime; nothing else is said to it.
fn client(dir: &Path) -> [String; 7] {
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let runtime = host::runtime().to_str().unwrap().to_owned();
    ["podman".into(), "--root".into(), path("root"), "--runroot".into(), path("run"), "--runtime".into(), runtime]
}

fn systemctl(words: &[&str]) -> host::Output {
    let mut command = Command::new("systemctl");
    host::output(command.arg("--no-pager").args(words), b"")
}

/// A property of a unit.
fn property(unit: &str, name: &str) -> String {
    systemctl(&["show", "--value", "--property", name, unit]).stdout.trim().to_owned()
}

fn scope(podman: &Engine, name: &str) -> String {
    format!("libpod-{}.scope", podman.inspect(name, "Id"))
}

/// A file of the cgroup that the container's own process is in.
fn cgroup_file(podman: &Engine, name: &str, file: &str) -> String {
    let cgroup = cgroup_of(&podman.inspect(name, "State.Pid"));
    fs::read_to_string(Path::new("/sys/fs/cgroup").join(&cgroup[1..]).join(file)).unwrap().trim().to_owned()
}

fn cgroup_of(pid: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap().trim().strip_prefix("0::").unwrap().to_owned()
}

/// A quadlet: podman makes a service of it that waits until the container is ready.
fn quadlet(client: &[String], cgroups: &str) -> String {
    let arguments = client[1..].join(" ");
    format!(
        "[Container]\nImage=localhost/busybox:latest\nPull=never\nNetwork=none\nExec=sh -c \"trap 'exit 0' TERM; sleep 1000 & wait\"\n\
         GlobalArgs={arguments}\nContainerName=quadlet\n{cgroups}[Service]\nTimeoutStartSec=120\n"
    )
}

mod of_root {
    use super::*;

    pub(super) fn container_is_a_scope(podman: &Engine) {
        podman.sleeper("scoped", &[]);
        let unit = scope(podman, "scoped");
        assert_eq!(property(&unit, "ActiveState"), "active");
        assert_eq!(property(&unit, "Slice"), "machine.slice");
        assert_eq!(property(&unit, "Delegate"), "yes");
        let cgroup = cgroup_of(&podman.inspect("scoped", "State.Pid"));
        assert_eq!(cgroup, format!("{}/container", property(&unit, "ControlGroup")));
        let status = systemctl(&["status", &unit]);
        assert!(status.status == 0 && status.stdout.contains("sleep 1000"), "{status:?}");
        // Who comes by exec is there too.
        assert_eq!(podman.ok(&["exec", "scoped", "cat", "/proc/self/cgroup"]), "0::/\n");
        for verb in ["pause", "unpause", "restart"] {
            podman.ok(&[verb, "scoped"]);
        }
        assert_eq!(property(&scope(podman, "scoped"), "ActiveState"), "active");
        podman.remove("scoped");
        assert!(
            host::eventually(|| property(&unit, "LoadState") == "not-found"),
            "{}",
            systemctl(&["status", &unit]).stdout
        );
    }

    const LIMITS: [&str; 8] = ["--memory", "64m", "--memory-swap", "96m", "--cpus", "0.5", "--pids-limit", "50"];

    pub(super) fn limits_are_the_scopes(podman: &Engine) {
        podman.sleeper("limited", &[&LIMITS[..], &["--cpu-shares", "512", "--cpuset-cpus", "1"]].concat());
        let unit = scope(podman, "limited");
        for (name, value) in
            [("MemoryMax", "67108864"), ("CPUQuotaPerSecUSec", "500ms"), ("TasksMax", "50"), ("AllowedCPUs", "1")]
        {
            assert_eq!(property(&unit, name), value, "{name}");
        }
        for (file, value) in [
            ("memory.max", "67108864"),
            ("memory.swap.max", "33554432"),
            ("cpu.max", "50000 100000"),
            ("pids.max", "50"),
            ("cpuset.cpus", "1"),
        ] {
            assert_eq!(cgroup_file(podman, "limited", file), value, "{file}");
            assert_eq!(cgroup_file(podman, "limited", &format!("../{file}")), value, "{file} of the scope");
        }
        podman.remove("limited");
    }

    pub(super) fn updates_reach_the_scope(podman: &Engine) {
        podman.sleeper("changed", &LIMITS);
        let unit = scope(podman, "changed");
        podman.ok(&[
            "update",
            "--memory",
            "32m",
            "--memory-swap",
            "48m",
            "--cpus",
            "0.25",
            "--pids-limit",
            "20",
            "changed",
        ]);
        assert_eq!(property(&unit, "MemoryMax"), "33554432");
        assert_eq!(property(&unit, "CPUQuotaPerSecUSec"), "250ms");
        assert_eq!(property(&unit, "TasksMax"), "20");
        for (file, value) in [("memory.max", "33554432"), ("cpu.max", "25000 100000"), ("pids.max", "20")] {
            assert_eq!(cgroup_file(podman, "changed", file), value, "{file}");
        }
        // Whatever makes systemd write its own values again does not bring the old ones back.
        systemctl(&["daemon-reload"]);
        assert_eq!(cgroup_file(podman, "changed", "../memory.max"), "33554432");
        podman.remove("changed");
    }

    pub(super) fn stats_of_a_scope(podman: &Engine) {
        podman.sleeper("measured", &LIMITS);
        let stats = podman.ok(&["stats", "--no-stream", "--format", "{{.MemUsage}}={{.PIDs}}", "measured"]);
        assert!(stats.ends_with(" / 67.11MB=1\n") && !stats.starts_with("0B"), "{stats}");
        podman.remove("measured");
    }

    pub(super) fn out_of_memory_in_a_scope(podman: &Engine) {
        let words = ["--memory", "8m", "--memory-swap", "8m", IMAGE, "sh", "-c", "x=a; while :; do x=$x$x; done"];
        let is_seen = || {
            let output = podman.run_kept("greedy-scope", &words);
            assert_eq!(output.status, 137, "{output:?}");
            let seen = host::eventually(|| podman.inspect("greedy-scope", "State.OOMKilled") == "true");
            podman.remove("greedy-scope");
            seen
        };
        // conmon looks into a cgroup that systemd removes as soon as it is empty, and now and then comes too late.
        assert!((0..3).any(|_| is_seen()), "podman has not heard of it");
    }

    pub(super) fn pod_is_a_slice(podman: &Engine) {
        let infra = ["--infra-image", "localhost/busybox", "--infra-command", "/bin/sleep 1000"];
        podman
            .ok(&[&["pod", "create", "--name", "peas", "--network", "none", "--memory", "100m"], &infra[..]].concat());
        podman.ok(&["run", "--detach", "--pod", "peas", "--name", "pea", IMAGE, "sleep", "1000"]);
        let slice = property(&scope(podman, "pea"), "Slice");
        assert!(slice.starts_with("machine-libpod_pod_"), "{slice}");
        assert_eq!(property(&slice, "MemoryMax"), "104857600");
        podman.ok(&["pod", "stop", "--time", "0", "peas"]);
        podman.ok(&["pod", "start", "peas"]);
        assert_eq!(podman.inspect("pea", "State.Status"), "running");
        podman.ok(&["pod", "rm", "--force", "--time", "0", "peas"]);
        assert!(host::eventually(|| property(&slice, "ActiveState") == "inactive"), "{slice}");
    }

    pub(super) fn unit_of_a_quadlet(podman: &Engine) {
        let name = format!("isopod-{}", std::process::id());
        let file = PathBuf::from(format!("/run/containers/systemd/{name}.container"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, quadlet(&podman.client, "")).unwrap();
        systemctl(&["daemon-reload"]);
        let started = systemctl(&["start", &name]);
        let status = systemctl(&["status", &name]);
        assert_eq!(started.status, 0, "{started:?} {status:?}");
        assert_eq!(podman.inspect("quadlet", "State.Status"), "running");
        // Podman splits the unit's own cgroup then, and the runtime is told so by its cgroupfs driver.
        let cgroup = cgroup_of(&podman.inspect("quadlet", "State.Pid"));
        assert!(cgroup.starts_with(&format!("/system.slice/{name}.service/libpod-payload-")), "{cgroup}");
        assert_eq!(systemctl(&["stop", &name]).status, 0);
        assert_eq!(property(&name, "ActiveState"), "inactive");
        assert_ne!(podman.call(&["container", "exists", "quadlet"]).status, 0);
        fs::remove_file(&file).unwrap();
        systemctl(&["daemon-reload"]);
    }

    pub(super) fn scopes_go_with_their_containers(podman: &Engine) {
        let scopes = || systemctl(&["list-units", "--all", "--plain", "--no-legend", "libpod-*.scope"]).stdout;
        assert!(host::eventually(|| !scopes().contains("failed")), "{}", scopes());
        for (words, status) in [(&["true"][..], 0), (&["/bin/missing"], 127), (&["sh", "-c", "exit 9"], 9)] {
            let before = scopes();
            let output = podman.run(&[&[IMAGE], words].concat());
            assert_eq!(output.status, status, "{output:?}");
            let left =
                || scopes().lines().filter(|line| !before.contains(*line)).map(str::to_owned).collect::<Vec<_>>();
            assert!(host::eventually(|| left().is_empty()), "{words:?}: {:?}", left());
        }
    }
}

/// An ordinary user with a systemd of his own, and podman in it.
mod of_a_user {
    use super::*;

    struct User {
        name: String,
        uid: String,
        podman: Engine,
    }

    impl User {
        /// The user, made when he is asked for first; he goes with the machine, or with `clean_up`.
        fn get() -> &'static User {
            static USER: OnceLock<User> = OnceLock::new();
            USER.get_or_init(|| {
                let name = format!("isopod-u{}", std::process::id());
                let run = |words: &[&str]| {
                    let output = host::output(Command::new(words[0]).args(&words[1..]), b"");
                    assert_eq!(output.status, 0, "{words:?}: {output:?}");
                    output.stdout.trim().to_owned()
                };
                run(&["useradd", "--create-home", "--shell", "/bin/sh", &name]);
                let uid = run(&["id", "-u", &name]);
                run(&["loginctl", "enable-linger", &name]);
                let runtime_dir = PathBuf::from(format!("/run/user/{uid}"));
                let bus = format!("unix:path=/run/user/{uid}/bus");
                assert!(host::eventually(|| runtime_dir.join("bus").exists()), "no systemd of {name}");
                let dir = PathBuf::from(run(&[
                    "runuser",
                    "-u",
                    &name,
                    "--",
                    "mktemp",
                    "-d",
                    "/var/tmp/isopod-podman-XXXXXX",
                ]));
                fs::copy(shared().dir.join("rootfs.tar"), dir.join("rootfs.tar")).unwrap();
                let become_user = ["runuser", "-u", &name, "--", "env"].map(str::to_owned);
                let env = [
                    format!("XDG_RUNTIME_DIR={}", runtime_dir.display()),
                    format!("DBUS_SESSION_BUS_ADDRESS={bus}"),
                    format!("HOME=/home/{name}"),
                ];
                let client: Vec<_> = become_user.into_iter().chain(env).chain(super::client(&dir)).collect();
                let always = ["--network", "none"].map(str::to_owned).to_vec();
                let podman = Engine { kind: Kind::Podman, cgroup: String::new(), client, env: vec![], always, dir };
                podman.ok(&["import", "--quiet", podman.dir.join("rootfs.tar").to_str().unwrap(), IMAGE]);
                User { name, uid, podman }
            })
        }

        fn systemctl(&self, words: &[&str]) -> host::Output {
            let client = &self.podman.client;
            let program = client.iter().position(|word| word == "podman").unwrap();
            let mut command = Command::new(&client[0]);
            command.current_dir(&self.podman.dir).args(&client[1..program]).args(["systemctl", "--user", "--no-pager"]);
            host::output(command.args(words), b"")
        }

        fn property(&self, unit: &str, name: &str) -> String {
            self.systemctl(&["show", "--value", "--property", name, unit]).stdout.trim().to_owned()
        }
    }

    pub(super) fn user_runs_in_his_own_scope(_: &Engine) {
        let user = User::get();
        let podman = &user.podman;
        podman.prints(&[IMAGE, "id", "-u"], "0\n");
        assert_eq!(podman.run(&[IMAGE, "sh", "-c", "exit 7"]).status, 7);
        podman.run(&[IMAGE, "/bin/missing"]).fails(127, &["/bin/missing"]);
        podman.sleeper("mine", &[]);
        let unit = scope(podman, "mine");
        assert_eq!(user.property(&unit, "ActiveState"), "active");
        let pid = podman.inspect("mine", "State.Pid");
        let cgroup = cgroup_of(&pid);
        let mine = format!("/user.slice/user-{0}.slice/user@{0}.service/", user.uid);
        assert!(cgroup.starts_with(&mine) && cgroup.ends_with(&format!("{unit}/container")), "{cgroup}");
        let map = fs::read_to_string(format!("/proc/{pid}/uid_map")).unwrap();
        let first: Vec<_> = map.lines().next().unwrap().split_whitespace().collect();
        assert_eq!(first, ["0", &user.uid, "1"], "{map}");
        assert_eq!(podman.ok(&["exec", "mine", "echo", "inside"]), "inside\n");
        podman.ok(&["pause", "mine"]);
        podman.ok(&["unpause", "mine"]);
        podman.remove("mine");
        assert!(host::eventually(|| user.property(&unit, "LoadState") == "not-found"), "{unit}");
    }

    /// What systemd hands to its users: memory and tasks, and more where it is told to.
    pub(super) fn user_limits_what_he_has(_: &Engine) {
        let user = User::get();
        let podman = &user.podman;
        podman.sleeper("less", &["--memory", "64m", "--pids-limit", "50"]);
        let unit = scope(podman, "less");
        assert_eq!(user.property(&unit, "MemoryMax"), "67108864");
        assert_eq!(cgroup_file(podman, "less", "memory.max"), "67108864");
        assert_eq!(cgroup_file(podman, "less", "pids.max"), "50");
        podman.ok(&["update", "--memory", "32m", "less"]);
        assert_eq!(user.property(&unit, "MemoryMax"), "33554432");
        assert_eq!(cgroup_file(podman, "less", "memory.max"), "33554432");
        let stats = podman.ok(&["stats", "--no-stream", "--format", "{{.PIDs}}", "less"]);
        assert_eq!(stats, "1\n");
        podman.remove("less");
    }

    pub(super) fn unit_of_a_users_quadlet(_: &Engine) {
        let user = User::get();
        let podman = &user.podman;
        let program = podman.client.iter().position(|word| word == "podman").unwrap();
        let dir = PathBuf::from(format!("/home/{}/.config/containers/systemd", user.name));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("mine.container"), quadlet(&podman.client[program..], "")).unwrap();
        let owner = format!("{}:", user.name);
        host::output(Command::new("chown").args(["-R", &owner, &format!("/home/{}/.config", user.name)]), b"");
        user.systemctl(&["daemon-reload"]);
        let started = user.systemctl(&["start", "mine"]);
        assert_eq!(started.status, 0, "{started:?} {:?}", user.systemctl(&["status", "mine"]));
        assert_eq!(podman.inspect("quadlet", "State.Status"), "running");
        assert_eq!(podman.ok(&["exec", "quadlet", "echo", "inside"]), "inside\n");
        assert_eq!(user.systemctl(&["stop", "mine"]).status, 0);
        assert_ne!(podman.call(&["container", "exists", "quadlet"]).status, 0);
    }

    /// The timer's podman is told nothing of stores and runtimes: it finds the container where users have theirs, and
    /// the runtime in what podman knows of the container.
    pub(super) fn health_is_checked_by_a_timer(_: &Engine) {
        let user = User::get();
        let in_a_store = &user.podman;
        let program = in_a_store.client.iter().position(|word| word == "podman").unwrap();
        let runtime = ["--runtime".to_owned(), host::runtime().to_str().unwrap().to_owned()];
        let client = in_a_store.client[..=program].iter().cloned().chain(runtime).collect();
        let (dir, always) = (in_a_store.dir.clone(), in_a_store.always.clone());
        let podman = Engine { kind: Kind::Podman, cgroup: String::new(), client, env: vec![], always, dir };
        podman.ok(&["import", "--quiet", podman.dir.join("rootfs.tar").to_str().unwrap(), IMAGE]);
        let check = ["--health-cmd", "test -e /tmp/well", "--health-interval", "1s", "--health-retries", "1"];
        podman.sleeper("checked", &check);
        let becomes = |status: &str| host::eventually(|| podman.inspect("checked", "State.Health.Status") == status);
        assert!(becomes("unhealthy"), "{}", user.systemctl(&["list-timers", "--all"]).stdout);
        podman.ok(&["exec", "checked", "touch", "/tmp/well"]);
        assert!(becomes("healthy"), "{}", user.systemctl(&["list-timers", "--all"]).stdout);
        podman.remove("checked");
        let timers = || user.systemctl(&["list-units", "--plain", "--no-legend", "--type", "timer"]).stdout;
        assert!(host::eventually(|| !timers().contains("podman healthcheck")), "{}", timers());
    }
}
