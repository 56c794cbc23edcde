//! containerd, as `ctr` and Docker use it.

use crate::host::{self, Daemon};
use libtest_mimic::Trial;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A containerd of the tests' own. Without what Kubernetes needs of it.
pub(crate) struct Containerd {
    pub(crate) socket: PathBuf,
    daemon: Daemon,
}

impl Containerd {
    /// Starts one that keeps everything in this directory; only the sockets of its shims are in /run/containerd.
    pub(crate) fn start(dir: &Path) -> Containerd {
        let (config, socket) = (dir.join("containerd.toml"), dir.join("containerd.sock"));
        let text = format!(
            r#"
version = 2
root = "{0}/root"
state = "{0}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "{1}"
"#,
            dir.display(),
            socket.display()
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new("containerd");
        command.arg("--config").arg(&config);
        let mut client = Command::new("ctr");
        client.arg("--address").arg(&socket).arg("version");
        let daemon = Daemon::start(&mut command, dir.join("containerd.log"), || host::output(&client, b"").status == 0);
        Containerd { socket, daemon }
    }

    pub(crate) fn stop(&self) {
        self.daemon.stop();
    }
}

// ---- the tests ------------------------------------------------------------------------------------------------

const NEEDS: &[&str] = &["containerd", "ctr", "containerd-shim-runc-v2", "busybox", "timeout", "setsid", "tar"];

pub(crate) fn trials() -> Vec<Trial> {
    macro_rules! tests {
        ($($test:ident),*) => {
            vec![$(host::trial(format!("containerd::{}", stringify!($test)), NEEDS, || None, || $test(shared()))),*]
        };
    }
    tests![
        run,
        run_with_options,
        run_at_a_terminal,
        run_as_configured,
        no_pivot,
        exec,
        exec_at_a_terminal,
        states,
        pause_and_resume,
        kill,
        metrics,
        processes,
        checkpoint_is_refused,
        errors,
        nothing_left_behind
    ]
}

/// After the last test, for the shared daemon.
pub(crate) fn clean_up() {
    if let Some(ctr) = SHARED.get() {
        ctr.stop();
        ctr.remove();
    }
}

static SHARED: OnceLock<Ctr> = OnceLock::new();

fn shared() -> &'static Ctr {
    SHARED.get_or_init(Ctr::start)
}

/// The name that the image has once it has been imported.
const IMAGE: &str = "localhost/busybox:latest";

/// `ctr`, with a containerd of its own.
struct Ctr {
    dir: PathBuf,
    /// containerd's namespace, by which the cgroups of its containers are called too.
    name: String,
    containerd: Containerd,
}

/// A shell that goes on for a moment when it has done this.
fn lingers(script: &str) -> [&str; 4] {
    ["sh", "-c", "eval \"$0\"; sleep 0.3", script]
}

impl Ctr {
    fn start() -> Ctr {
        let dir = host::new_dir("containerd");
        let name = dir.file_name().unwrap().to_str().unwrap().to_owned();
        let containerd = Containerd::start(&dir);
        let ctr = Ctr { dir, name, containerd };
        ctr.ok(&["images", "import", ctr.archive().to_str().unwrap()]);
        ctr
    }

    /// An OCI archive with one layer, which is what `ctr images import` reads.
    fn archive(&self) -> PathBuf {
        let layer = host::make_image(&self.dir);
        let layout = self.dir.join("layout");
        let blobs = layout.join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        // Gives the descriptor of a file that is a blob from now on.
        let blob = |path: &Path, kind: &str| {
            let sum = host::output(Command::new("sha256sum").arg(path), b"").stdout;
            let (digest, size) = (&sum[..64], fs::metadata(path).unwrap().len());
            fs::rename(path, blobs.join(digest)).unwrap();
            format!(r#""mediaType": "application/vnd.oci.image.{kind}", "digest": "sha256:{digest}", "size": {size}"#)
        };
        let text = |name: &str, text: String| {
            fs::write(layout.join(name), text).unwrap();
            layout.join(name)
        };
        let layer = blob(&layer, "layer.v1.tar");
        let digest = layer.split('"').find(|word| word.starts_with("sha256:")).unwrap();
        let config = format!(
            r#"{{ "architecture": "amd64", "os": "linux", "config": {{ "Env": ["PATH=/bin"], "Cmd": ["sh"] }},
                 "rootfs": {{ "type": "layers", "diff_ids": ["{digest}"] }} }}"#
        );
        let config = blob(&text("config", config), "config.v1+json");
        let manifest = format!(r#"{{ "schemaVersion": 2, "config": {{ {config} }}, "layers": [{{ {layer} }}] }}"#);
        let manifest = blob(&text("manifest", manifest), "manifest.v1+json");
        let named = format!(r#""annotations": {{ "io.containerd.image.name": "{IMAGE}" }}"#);
        text("index.json", format!(r#"{{ "schemaVersion": 2, "manifests": [{{ {manifest}, {named} }}] }}"#));
        text("oci-layout", r#"{ "imageLayoutVersion": "1.0.0" }"#.to_owned());
        let tar = self.dir.join("image.tar");
        let made = Command::new("tar").arg("-C").arg(&layout).arg("-cf").arg(&tar).arg(".").status().unwrap();
        assert!(made.success());
        tar
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(&self.containerd.socket).args(["--namespace", &self.name]).args(words);
        command
    }

    fn call(&self, words: &[&str]) -> host::Output {
        host::output(&self.command(words), b"")
    }

    fn ok(&self, words: &[&str]) -> String {
        let output = self.call(words);
        assert_eq!(output.status, 0, "ctr {words:?}: {}", output.stderr);
        output.stdout
    }

    /// The words of `ctr run`, with the runtime and the place for its states.
    fn run_words(&self, words: &[&str]) -> Command {
        let mut command = self.command(&["run", "--fifo-dir"]);
        command.arg(self.dir.join("fifo"));
        command.arg("--runc-binary").arg(host::runtime()).arg("--runc-root").arg(self.dir.join("runc")).args(words);
        command
    }

    fn run(&self, words: &[&str]) -> host::Output {
        host::output(&self.run_words(&[&["--rm"], words].concat()), b"")
    }

    #[track_caller]
    fn prints(&self, words: &[&str], stdout: &str) {
        let output = self.run(words);
        assert_eq!((output.status, output.stdout.as_str()), (0, stdout), "{words:?}: {}", output.stderr);
    }

    /// A container in the background.
    fn detach(&self, name: &str, script: &str) {
        let output = host::output(&self.run_words(&["--detach", IMAGE, name, "sh", "-c", script]), b"");
        assert_eq!(output.status, 0, "{name}: {output:?}");
    }

    fn status(&self, name: &str) -> String {
        let list = self.ok(&["task", "list"]);
        let line = list.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.and_then(|line| line.split_whitespace().nth(2)).unwrap_or("none").to_owned()
    }

    /// ctr may end before it has written what a process said that ended at once; `lingers` is for what has to be seen.
    fn exec(&self, name: &str, words: &[&str]) -> host::Output {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let id = format!("exec-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let fifo = self.dir.join("fifo");
        let options = ["task", "exec", "--fifo-dir", fifo.to_str().unwrap(), "--exec-id", &id, name];
        self.call(&[&options, words].concat())
    }

    /// Ends a container and forgets it.
    fn remove_container(&self, name: &str) {
        self.call(&["task", "delete", "--force", name]);
        self.ok(&["container", "delete", name]);
    }

    fn stop(&self) {
        for name in self.call(&["task", "list", "--quiet"]).stdout.lines() {
            self.call(&["task", "delete", "--force", name]);
        }
        self.containerd.stop();
    }

    fn remove(&self) {
        host::remove_cgroups(&self.name);
        // The shim asks the runtime to delete there too, wherever the states are.
        let _ = fs::remove_dir(Path::new("/run/containerd/runc").join(&self.name));
        host::remove_dir(&self.dir);
    }
}

fn run(ctr: &Ctr) {
    ctr.prints(&[IMAGE, "run", "echo", "hello"], "hello\n");
    assert_eq!(ctr.run(&[IMAGE, "run", "sh", "-c", "exit 42"]).status, 42);
    // `ctr run` does not hand on the end of its input.
    let output = host::output(&ctr.run_words(&["--rm", IMAGE, "run", "head", "-n1"]), b"typed\n");
    assert_eq!((output.status, output.stdout.as_str()), (0, "typed\n"), "{}", output.stderr);
    let rootfs = ctr.dir.join("rootfs");
    ctr.prints(
        &["--rootfs", rootfs.to_str().unwrap(), "run-rootfs", "/bin/echo", "from a directory"],
        "from a directory\n",
    );
}

fn run_with_options(ctr: &Ctr) {
    let options = ["--cwd", "/srv", "--env", "MORE=x", "--cap-drop", "CAP_CHOWN", "--read-only"];
    let mount = format!("type=bind,src={},dst=/mnt,options=rbind:ro", ctr.dir.join("rootfs/etc").display());
    let script = "pwd; echo $MORE; touch /file 2>&1; head -c4 /mnt/passwd";
    let words = [&options[..], &["--mount", &mount, IMAGE, "options", "sh", "-c", script]].concat();
    ctr.prints(&words, "/srv\nx\ntouch: /file: Read-only file system\nroot");
    let status = ["grep", "-E", "^(Seccomp|NoNewPrivs):", "/proc/self/status"];
    ctr.prints(&[&["--seccomp", IMAGE, "seccomp"], &status[..]].concat(), "NoNewPrivs:\t1\nSeccomp:\t2\n");
    ctr.prints(&[&["--allow-new-privs", IMAGE, "privs"], &status[..]].concat(), "NoNewPrivs:\t0\nSeccomp:\t0\n");
    let pid_file = ctr.dir.join("pid");
    ctr.prints(&["--pid-file", pid_file.to_str().unwrap(), IMAGE, "pid", "true"], "");
    assert!(fs::read_to_string(pid_file).unwrap().parse::<u32>().is_ok());
    let words =
        ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536", IMAGE, "mapped", "cat", "/proc/self/uid_map"];
    ctr.prints(&words, "         0     100000      65536\n");
    ctr.prints(
        &["--net-host", IMAGE, "net", "readlink", "/proc/self/ns/net"],
        &format!("{}\n", host::namespace("net")),
    );
}

/// A config.json of one's own.
fn run_as_configured(ctr: &Ctr) {
    let config = ctr.dir.join("config.json");
    let text = r#"{ "ociVersion": "1.0.2", "root": { "path": "ROOTFS" }, "linux": { "namespaces": [{ "type": "mount" }, { "type": "pid" }] },
        "process": { "cwd": "/", "user": { "uid": 0, "gid": 0 }, "args": ["/bin/echo", "as configured"] } }"#;
    fs::write(&config, text.replace("ROOTFS", ctr.dir.join("rootfs").to_str().unwrap())).unwrap();
    let words = ["--config", config.to_str().unwrap(), "configured"];
    let output = ctr.run(&words);
    assert_eq!((output.status, output.stdout.as_str()), (0, "as configured\n"), "{output:?}");
}

/// What is typed arrives, and the window has the size of the person's.
fn run_at_a_terminal(ctr: &Ctr) {
    let script = "tty; while test \"$(stty size)\" != '31 99'; do sleep 0.05; done; read line; echo got $line; exit 7";
    let words = ["--rm", "--tty", IMAGE, "terminal", "sh", "-c", script];
    let output = host::at_terminal(&ctr.run_words(&words), "typed\n");
    assert_eq!(output.status, 7, "{output:?}");
    assert!(output.stdout.contains("/dev/pts/0") && output.stdout.contains("got typed"), "{output:?}");
}

fn no_pivot(ctr: &Ctr) {
    ctr.prints(&["--no-pivot", IMAGE, "no-pivot", "sh", "-c", "echo /bin/busybox"], "/bin/busybox\n");
}

fn exec(ctr: &Ctr) {
    ctr.detach("exec", "exec sleep 1000");
    let output = ctr.exec("exec", &["sh", "-c", "cat /proc/1/comm; exit 42"]);
    assert_eq!((output.status, output.stdout.as_str()), (42, "sleep\n"), "{}", output.stderr);
    let words =
        ["task", "exec", "--exec-id", "user", "--user", "1234", "--cwd", "/srv", "exec", "sh", "-c", "id -u; pwd"];
    assert_eq!(ctr.ok(&words), "1234\n/srv\n");
    let words = ["task", "exec", "--exec-id", "input", "exec", "cat"];
    assert_eq!(host::output(&ctr.command(&words), b"typed\n").stdout, "typed\n");
    ctr.remove_container("exec");
}

fn exec_at_a_terminal(ctr: &Ctr) {
    ctr.detach("exec-tty", "exec sleep 1000");
    let script = "while test \"$(stty size)\" != '31 99'; do sleep 0.05; done; read line; echo got $line; exit 7";
    let words = ["task", "exec", "--exec-id", "tty", "--tty", "exec-tty", "sh", "-c", script];
    let output = host::at_terminal(&ctr.command(&words), "typed\n");
    assert!(output.status == 7 && output.stdout.contains("got typed"), "{output:?}");
    ctr.remove_container("exec-tty");
}

/// Created, running, stopped; what is not there can be neither killed nor deleted.
fn states(ctr: &Ctr) {
    let fifo = ctr.dir.join("fifo");
    assert_eq!(ctr.status("states"), "none");
    ctr.detach("states", "sleep 0.2; exit 3");
    assert_eq!(ctr.status("states"), "RUNNING");
    ctr.call(&["task", "delete", "states"]).fails(1, &["task must be stopped before deletion"]);
    assert!(host::eventually(|| ctr.status("states") == "STOPPED"));
    ctr.call(&["task", "kill", "states"]).fails(1, &["not found"]);
    ctr.exec("states", &["true"]).fails(1, &["stopped"]);
    let deleted = ctr.call(&["task", "delete", "states"]);
    assert!(deleted.stderr.contains("exit code 3"), "{deleted:?}");
    // The same container once more.
    ctr.ok(&["task", "start", "--detach", "--fifo-dir", fifo.to_str().unwrap(), "states"]);
    assert!(["RUNNING", "STOPPED"].contains(&ctr.status("states").as_str()));
    ctr.remove_container("states");
    ctr.call(&["task", "kill", "states"]).fails(1, &["not found"]);
}

fn pause_and_resume(ctr: &Ctr) {
    ctr.detach("paused", "exec sleep 1000");
    ctr.ok(&["task", "pause", "paused"]);
    assert_eq!(ctr.status("paused"), "PAUSED");
    ctr.exec("paused", &["true"]).fails(1, &["paused"]);
    ctr.call(&["task", "pause", "paused"]).fails(1, &["paused"]);
    ctr.ok(&["task", "resume", "paused"]);
    assert_eq!(ctr.status("paused"), "RUNNING");
    assert_eq!(ctr.exec("paused", &lingers("echo awake")).stdout, "awake\n");
    ctr.remove_container("paused");
}

fn kill(ctr: &Ctr) {
    ctr.detach("killed", "trap 'exit 9' TERM; while :; do sleep 0.05; done");
    // The shell may not have come to its trap yet.
    let ended = || {
        ctr.call(&["task", "kill", "--signal", "TERM", "killed"]);
        ctr.status("killed") == "STOPPED"
    };
    assert!(host::eventually(ended));
    let deleted = ctr.call(&["task", "delete", "killed"]);
    assert!(deleted.stderr.contains("exit code 9"), "{deleted:?}");
    ctr.ok(&["container", "delete", "killed"]);
    // All processes of one that has the host's pid namespace, too.
    ctr.detach("all-killed", "sleep 1000 & sleep 1000");
    ctr.ok(&["task", "kill", "--all", "--signal", "KILL", "all-killed"]);
    assert!(host::eventually(|| ctr.status("all-killed") == "STOPPED"));
    ctr.remove_container("all-killed");
}

/// What containerd's shim reads in the cgroups that the runtime has made.
fn metrics(ctr: &Ctr) {
    let words = ["--detach", "--memory-limit", "33554432", IMAGE, "measured", "sleep", "1000"];
    assert_eq!(host::output(&ctr.run_words(&words), b"").status, 0);
    let said = ctr.ok(&["task", "metrics", "--format", "json", "measured"]);
    let all = jzon::parse(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!(all["pids"]["current"].as_u64(), Some(1), "{said}");
    assert!(all["memory"]["usage"]["usage"].as_u64().or(all["memory"]["usage"].as_u64()) > Some(0), "{said}");
    let limit = &all["memory"]["usage"]["limit"];
    assert_eq!(limit.as_u64().or(all["memory"]["usage_limit"].as_u64()), Some(33_554_432), "{said}");
    ctr.remove_container("measured");
}

fn processes(ctr: &Ctr) {
    ctr.detach("listed", "sleep 1000 & exec sleep 1000");
    let list = || ctr.ok(&["task", "ps", "listed"]);
    assert!(host::eventually(|| list().lines().count() == 3), "{}", list());
    ctr.remove_container("listed");
}

/// With an error that names it, and the container goes on.
fn checkpoint_is_refused(ctr: &Ctr) {
    ctr.detach("kept", "exec sleep 1000");
    let path = ctr.dir.join("checkpoint");
    let output = ctr.call(&["task", "checkpoint", "--image-path", path.to_str().unwrap(), "kept"]);
    assert!(output.status == 1 && !output.stderr.is_empty(), "{output:?}");
    assert_eq!(ctr.status("kept"), "RUNNING");
    assert_eq!(ctr.exec("kept", &lingers("echo well")).stdout, "well\n");
    ctr.remove_container("kept");
}

/// The runtime's message reaches the user, through its log in JSON; the exit status is always 1.
fn errors(ctr: &Ctr) {
    ctr.detach("errors", "exec sleep 1000");
    let (missing, refused) = (["/bin/missing", "missing"], ["/etc/passwd", "/etc"]);
    for (programs, words) in [(missing, "not found"), (refused, "permission denied")] {
        for program in programs {
            let words = [program, if program == "/bin/missing" { "o such file or directory" } else { words }];
            ctr.run(&[IMAGE, "failing", program]).fails(1, &words);
            ctr.exec("errors", &[program]).fails(1, &words);
        }
    }
    ctr.run(&["--cwd", "/etc/passwd", IMAGE, "failing", "true"]).fails(1, &["/etc/passwd"]);
    ctr.exec("nobody", &["true"]).fails(1, &["not found"]);
    ctr.remove_container("errors");
}

fn nothing_left_behind(_: &Ctr) {
    let ctr = Ctr::start();
    ctr.run(&[IMAGE, "ends", "true"]);
    ctr.run(&[IMAGE, "fails", "/bin/missing"]);
    ctr.detach("runs", "exec sleep 1000");
    ctr.detach("killed", "exec sleep 1000");
    ctr.ok(&["task", "kill", "--signal", "KILL", "killed"]);
    assert!(host::eventually(|| ctr.status("killed") == "STOPPED"));
    ["runs", "killed"].iter().for_each(|name| ctr.remove_container(name));
    let left: Vec<PathBuf> = ["ends", "fails", "runs", "killed"]
        .iter()
        .flat_map(|name| host::cgroups(&format!("{}/{name}", ctr.name)))
        .filter(|dir| dir.exists())
        .collect();
    assert_eq!(left, Vec::<PathBuf>::new());
    let states = fs::read_dir(ctr.dir.join("runc").join(&ctr.name)).into_iter().flatten();
    assert_eq!(states.map(|entry| entry.unwrap().path()).collect::<Vec<_>>(), Vec::<PathBuf>::new());
    ctr.stop();
    let dir = ctr.dir.to_str().unwrap();
    assert!(host::eventually(|| host::processes_with(dir).is_empty()), "{:?}", host::processes_with(dir));
    assert_eq!(host::mounts_below(&ctr.dir), Vec::<PathBuf>::new());
    ctr.remove();
}
