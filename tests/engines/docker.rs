//! Docker, as its users run it: a dockerd that knows the runtime by `--add-runtime`, and `docker run`.
//!
//! All tests share one daemon; the one that looks for what is left behind has one to itself. Nothing of the machine's
//! own Docker or containerd is used, and nothing of its network: containers have none, or the host's.

use crate::both::{self, tests};
use crate::containerd::Containerd;
use crate::engine::{Engine, IMAGE, Kind};
use crate::host::{self, Daemon};
use libtest_mimic::Trial;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

const NEEDS: &[&str] =
    &["dockerd", "docker", "containerd", "ctr", "containerd-shim-runc-v2", "busybox", "timeout", "setsid", "tar"];

pub(crate) fn trials() -> Vec<Trial> {
    use crate::both::life;
    let own = tests![
        life: init if host::lacks(&["docker-init"]);
        own: runtime_is_ours, healthcheck, live_update_of_restart_policy, out_of_memory_event, checkpoint_is_refused,
            nothing_left_behind;
    ];
    let all = both::all().into_iter().chain(own);
    let trial = |(name, missing, test): both::Test| {
        host::trial(format!("docker::{name}"), NEEDS, missing, move || test(&shared().engine))
    };
    all.map(trial).collect()
}

/// After the last test, for the shared daemon.
pub(crate) fn clean_up() {
    if let Some(docker) = SHARED.get() {
        docker.stop();
        docker.remove();
    }
}

static SHARED: OnceLock<Docker> = OnceLock::new();

fn shared() -> &'static Docker {
    SHARED.get_or_init(Docker::start)
}

/// The name under which dockerd knows the runtime.
const NAME: &str = "tested";

struct Docker {
    engine: Engine,
    dockerd: Daemon,
    containerd: Containerd,
}

impl Docker {
    fn start() -> Docker {
        let dir = host::new_dir("docker");
        let cgroup = dir.file_name().unwrap().to_str().unwrap().to_owned();
        let containerd = Containerd::start(&dir);
        let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
        let socket = format!("unix://{}", path("docker.sock"));

        // Without a key of its own it would write one to /etc/docker.
        let config = format!(r#"{{ "experimental": true, "deprecated-key-path": "{}" }}"#, path("key.json"));
        fs::write(dir.join("daemon.json"), config).unwrap();
        let mut command = Command::new("dockerd");
        command.args(["--config-file", &path("daemon.json"), "--pidfile", &path("docker.pid"), "--host", &socket]);
        command.args(["--data-root", &path("data"), "--exec-root", &path("exec")]);
        command.arg("--containerd").arg(&containerd.socket);
        command.args(["--iptables=false", "--ip6tables=false", "--bridge=none"]);
        command.args(["--add-runtime", &format!("{NAME}={}", host::runtime().display()), "--default-runtime", NAME]);
        command.args(["--cgroup-parent", &format!("/{cgroup}")]);

        let client = vec!["docker".to_owned(), "--host".to_owned(), socket];
        let env = vec![("DOCKER_CONFIG", dir.join("client")), ("DOCKER_BUILDKIT", "0".into())];
        let (log, tar) = (dir.join("dockerd.log"), host::make_image(&dir));
        let engine = Engine { kind: Kind::Docker, dir, cgroup, client, env, always: Vec::new() };
        let dockerd = Daemon::start(&mut command, log, || engine.call(&["info"]).status == 0);
        engine.ok(&["import", tar.to_str().unwrap(), IMAGE]);
        Docker { engine, dockerd, containerd }
    }

    /// Ends the containers, then the daemons.
    fn stop(&self) {
        let all = self.engine.call(&["ps", "--all", "--quiet"]).stdout;
        if !all.is_empty() {
            self.engine.call(&[&["rm", "--force"], &all.lines().collect::<Vec<_>>()[..]].concat());
        }
        self.dockerd.stop();
        self.containerd.stop();
    }

    fn remove(&self) {
        host::remove_cgroups(&self.engine.cgroup);
        host::remove_dir(&self.engine.dir);
    }
}

mod own {
    use super::*;

    pub(super) fn runtime_is_ours(docker: &Engine) {
        let info = docker.ok(&["info", "--format", "{{.DefaultRuntime}} {{json .Runtimes}}"]);
        assert!(info.starts_with(NAME) && info.contains(host::runtime().to_str().unwrap()), "{info}");
        docker.sleeper("whose", &["--runtime", NAME]);
        assert_eq!(docker.inspect("whose", "HostConfig.Runtime"), NAME);
        docker.remove("whose");
        // What the runtime says of its version and commit, as dockerd reads it.
        let said = docker.ok(&["info", "--format", "{{.RuncCommit.ID}}"]);
        assert!(!said.trim().is_empty() && said.trim() != "N/A", "{said}");
    }

    /// The daemon asks by itself.
    pub(super) fn healthcheck(docker: &Engine) {
        let check = ["--health-cmd", "test -e /tmp/well", "--health-interval", "100ms", "--health-retries", "1"];
        docker.sleeper("checked", &check);
        let is = |status: &str| host::eventually(|| docker.inspect("checked", "State.Health.Status") == status);
        assert!(is("unhealthy"));
        docker.ok(&["exec", "checked", "touch", "/tmp/well"]);
        assert!(is("healthy"));
        docker.remove("checked");
    }

    pub(super) fn live_update_of_restart_policy(docker: &Engine) {
        docker.sleeper("stubborn", &[]);
        docker.ok(&["update", "--restart", "always", "stubborn"]);
        let pid = docker.inspect("stubborn", "State.Pid");
        let ended = host::output(Command::new("kill").args(["-KILL", &pid]), b"");
        assert_eq!(ended.status, 0, "{ended:?}");
        let again = || {
            docker.inspect("stubborn", "State.Status") == "running" && docker.inspect("stubborn", "State.Pid") != pid
        };
        assert!(host::eventually(again));
        docker.remove("stubborn");
    }

    /// From the kernel to containerd's shim, which watches the cgroup that the runtime has made, to the user.
    pub(super) fn out_of_memory_event(docker: &Engine) {
        let words = ["--memory", "16m", "--memory-swap", "16m", IMAGE, "tail", "/dev/zero"];
        docker.run_kept("starved", &words);
        let words = ["events", "--since", "10m", "--until", "0s", "--filter", "container=starved"];
        let heard = || docker.ok(&[&words[..], &["--format", "{{.Status}}"]].concat());
        assert!(host::eventually(|| heard().lines().any(|line| line == "oom")), "{}", heard());
        docker.remove("starved");
    }

    /// With an error that names it, and the container goes on.
    pub(super) fn checkpoint_is_refused(docker: &Engine) {
        docker.sleeper("kept", &[]);
        let output = docker.call(&["checkpoint", "create", "kept", "point"]);
        assert!(output.status == 1 && output.stderr.contains("checkpoint"), "{output:?}");
        assert_eq!(docker.ok(&["exec", "kept", "echo", "well"]), "well\n");
        docker.remove("kept");
    }

    pub(super) fn nothing_left_behind(_: &Engine) {
        let docker = Docker::start();
        let engine = &docker.engine;
        let mut ids = Vec::new();
        for (name, command) in
            [("ends", "true"), ("fails", "/bin/missing"), ("runs", "sleep 1000"), ("killed", "sleep 1000")]
        {
            let words: Vec<_> = command.split(' ').collect();
            engine.run_kept(name, &[&["--detach", "--network", "none", IMAGE], &words[..]].concat());
            ids.push(engine.inspect(name, "Id"));
        }
        engine.ok(&["kill", "killed"]);
        ["ends", "fails", "runs", "killed"].iter().for_each(|name| engine.remove(name));
        ids.iter().for_each(|id| assert!(engine.leaves_nothing_of(id)));
        let states = fs::read_dir(engine.dir.join("exec").join(format!("runtime-{NAME}"))).into_iter().flatten();
        let states = states.chain(fs::read_dir(engine.dir.join("exec/runtime-runc/moby")).into_iter().flatten());
        assert_eq!(states.map(|entry| entry.unwrap().path()).collect::<Vec<_>>(), Vec::<PathBuf>::new());

        docker.stop();
        let dir = engine.dir.to_str().unwrap();
        assert!(host::eventually(|| host::processes_with(dir).is_empty()), "{:?}", host::processes_with(dir));
        // dockerd itself forgets the name of the host's network namespace.
        let mut mounts = host::mounts_below(&engine.dir);
        mounts.retain(|point| *point != engine.dir.join("exec/netns/default"));
        assert_eq!(mounts, Vec::<PathBuf>::new());
        docker.remove();
    }
}
