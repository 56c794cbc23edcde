//! Podman, as its users run it: `podman --runtime PATH run ...`.
//!
//! All tests share one store of images and containers, which podman itself guards with locks; the one that looks
//! for what is left behind has a store to itself.

use crate::host;
use libtest_mimic::{Completion, Trial};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// A test by the name of its function; the second argument says what is missing for it beyond podman, if anything.
macro_rules! test {
    ($name:ident) => {
        test!($name, None)
    };
    ($name:ident, $missing:expr) => {
        trial(stringify!($name), || $missing, $name)
    };
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test!(echo),
        test!(exit_code),
        test!(stdin),
        test!(environment),
        test!(terminal),
        test!(detached_logs_stop_rm),
        test!(start_again),
        test!(ps_and_inspect),
        test!(kill_with_signal),
        test!(two_at_once),
        test!(read_only),
        test!(tmpfs),
        test!(shm_size),
        test!(volume_read_write),
        test!(volume_read_only),
        test!(user),
        test!(workdir),
        test!(hostname),
        test!(cap_drop_all),
        test!(cap_add),
        test!(no_new_privileges),
        test!(privileged),
        test!(ulimit),
        test!(sysctl),
        test!(device, lacks_file("/dev/fuse")),
        test!(memory_4m, lacks_controller("memory")),
        test!(pids_limit_1, lacks_controller("pids")),
        test!(cpus, lacks_controller("cpu")),
        test!(pid_private_and_host),
        test!(ipc_private_and_host),
        test!(network_none),
        test!(network_host),
        test!(init, host::lacks(&["catatonit"])),
        test!(exec),
        test!(exec_options),
        test!(exec_input),
        test!(exec_terminal),
        test!(exec_detached),
        test!(exec_errors),
        test!(exec_privileged),
        test!(healthcheck),
        test!(missing_executable),
        test!(not_executable),
        test!(errors_by_json_log),
        test!(nothing_left_behind),
    ]
}

fn trial(name: &str, missing: fn() -> Option<String>, test: fn()) -> Trial {
    Trial::ignorable_test(format!("podman::{name}"), move || {
        match host::lacks(&["podman", "conmon", "busybox", "timeout"]).or_else(missing) {
            Some(reason) => Ok(Completion::ignored_with(reason)),
            None => {
                test();
                Ok(Completion::Completed)
            }
        }
    })
}

/// After the last test, for the shared store.
pub(crate) fn clean_up() {
    if let Some(podman) = SHARED.get() {
        podman.remove();
    }
}

// ---- the simple runs ------------------------------------------------------------------------------------------

fn echo() {
    prints(&["busybox", "echo", "hello"], "hello\n");
}

fn exit_code() {
    assert_eq!(run(&["busybox", "sh", "-c", "exit 42"]).status, 42);
}

fn stdin() {
    let text = "a line of input\n".repeat(1 << 16);
    let output = shared().run(&["-i", "busybox", "cat"], text.as_bytes());
    assert_eq!((output.status, output.stdout.len()), (0, text.len()), "{}", output.stderr);
    assert!(output.stdout == text);
}

fn environment() {
    prints(&["-e", "GREETING=good day", "busybox", "sh", "-c", "echo $GREETING, $HOME"], "good day, /root\n");
}

/// The output has CR LF whatever the runtime does: conmon sets ONLCR on every terminal that it is handed.
fn terminal() {
    let script = "tty; test -t 0 && test -c /dev/console && echo through /dev/console >/dev/console";
    let output = run(&["-t", "busybox", "sh", "-c", script]);
    assert_eq!(output.stdout.replace("\r\n", "\n"), "/dev/pts/0\nthrough /dev/console\n", "{}", output.stderr);
}

// ---- the life of a container ----------------------------------------------------------------------------------

/// Says "ready", then waits for the signal that `trap` names and exits with 9.
fn until(signal: &str) -> String {
    format!("trap 'echo got {signal}; exit 9' {signal}; echo ready; while :; do sleep 0.05; done")
}

fn detached_logs_stop_rm() {
    let podman = shared();
    podman.start("stopped", &["busybox", "sh", "-c", &until("TERM")]);
    podman.ok(&["stop", "--time", "10", "stopped"]);
    assert_eq!(podman.ok(&["logs", "stopped"]), "ready\ngot TERM\n");
    assert_eq!(podman.inspect("stopped", "State.ExitCode"), "9");
    podman.ok(&["rm", "stopped"]);
    assert_eq!(podman.podman(&["container", "exists", "stopped"]).status, 1);
}

fn start_again() {
    let podman = shared();
    let first = podman.run(&["--rm=false", "--name", "again", "busybox", "sh", "-c", "echo line >>/n; wc -l </n"], b"");
    assert_eq!(first.stdout, "1\n", "{first:?}");
    assert_eq!(podman.ok(&["start", "--attach", "again"]), "2\n");
    podman.ok(&["rm", "again"]);
}

fn ps_and_inspect() {
    let podman = shared();
    podman.start("seen", &["busybox", "sh", "-c", "echo ready; exec sleep 1000"]);
    assert_eq!(podman.inspect("seen", "State.Status"), "running");
    // The pid is the container's first process as the host sees it.
    let pid = podman.inspect("seen", "State.Pid");
    let comm = || fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    assert!(host::eventually(|| comm() == "sleep\n"), "pid {pid} is {:?}", comm());
    assert_eq!(podman.ok(&["ps", "--filter", "name=seen", "--format", "{{.Names}}"]), "seen\n");
    podman.ok(&["kill", "seen"]);
    assert_eq!(podman.ok(&["wait", "seen"]), "137\n");
    assert_eq!(podman.inspect("seen", "State.Status"), "exited");
    podman.ok(&["rm", "seen"]);
}

fn kill_with_signal() {
    let podman = shared();
    podman.start("signalled", &["busybox", "sh", "-c", &until("USR1")]);
    podman.ok(&["kill", "--signal", "USR1", "signalled"]);
    assert_eq!(podman.ok(&["wait", "signalled"]), "9\n");
    assert_eq!(podman.ok(&["logs", "signalled"]), "ready\ngot USR1\n");
    podman.ok(&["rm", "signalled"]);
}

fn two_at_once() {
    let podman = shared();
    for name in ["one", "two"] {
        podman.start(name, &["--hostname", name, "busybox", "sh", "-c", "echo ready; hostname; exec sleep 1000"]);
    }
    let status = |name| podman.inspect(name, "State.Status");
    assert_eq!([status("one"), status("two")], ["running"; 2]);
    podman.ok(&["rm", "--force", "--time", "0", "one"]);
    assert_eq!(status("two"), "running");
    assert_eq!(podman.ok(&["logs", "two"]), "ready\ntwo\n");
    podman.ok(&["rm", "--force", "--time", "0", "two"]);
}

// ---- the file system ------------------------------------------------------------------------------------------

fn read_only() {
    let output = run(&["--read-only", "busybox", "touch", "/new"]);
    assert_eq!((output.status, output.last_error()), (1, "touch: /new: Read-only file system"));
}

/// The line of /proc/mounts about a mount point.
fn mount_line(options: &[&str], point: &str) -> String {
    let output = run(&[options, &["busybox", "grep", &format!(" {point} "), "/proc/mounts"]].concat());
    assert_eq!(output.status, 0, "{output:?}");
    output.stdout
}

fn tmpfs() {
    let line = mount_line(&["--tmpfs", "/scratch:size=1m,mode=700"], "/scratch");
    assert!(line.starts_with("tmpfs /scratch tmpfs rw,nosuid,nodev"), "{line}");
    assert!(line.contains("size=1024k") && line.contains("mode=700"), "{line}");
}

fn shm_size() {
    let line = mount_line(&["--shm-size", "1m"], "/dev/shm");
    assert!(line.contains("size=1024k"), "{line}");
}

/// A directory of the host, removed with the store.
fn volume(name: &str) -> PathBuf {
    let dir = shared().dir.join(name);
    fs::create_dir(&dir).unwrap();
    dir
}

fn volume_read_write() {
    let dir = volume("read-write");
    prints(&["-v", &format!("{}:/data", dir.display()), "busybox", "sh", "-c", "echo kept >/data/file"], "");
    assert_eq!(fs::read_to_string(dir.join("file")).unwrap(), "kept\n");
}

fn volume_read_only() {
    let dir = volume("read-only");
    fs::write(dir.join("file"), "from the host\n").unwrap();
    let volume = format!("{}:/data:ro", dir.display());
    let output = run(&["-v", &volume, "busybox", "sh", "-c", "cat /data/file; touch /data/new"]);
    assert_eq!(output.stdout, "from the host\n", "{output:?}");
    assert_eq!((output.status, output.last_error()), (1, "touch: /data/new: Read-only file system"));
}

// ---- identity and privileges ----------------------------------------------------------------------------------

fn user() {
    prints(&["--user", "ada", "busybox", "sh", "-c", "id -u; id -g; echo $HOME"], "1234\n5678\n/srv\n");
    prints(&["--user", "12:34", "--group-add", "56", "busybox", "sh", "-c", "id -u; id -G"], "12\n34 56\n");
}

fn workdir() {
    prints(&["--workdir", "/srv", "busybox", "pwd"], "/srv\n");
}

fn hostname() {
    prints(&["--hostname", "woodlouse", "busybox", "hostname"], "woodlouse\n");
}

/// A line of /proc/self/status from inside, as a number.
fn status(options: &[&str], field: &str) -> u64 {
    let words = [options, &["busybox", "grep", field, "/proc/self/status"]].concat();
    let output = run(&words);
    let value = output.stdout.split_whitespace().nth(1).unwrap_or_else(|| panic!("{words:?}: {output:?}"));
    u64::from_str_radix(value, 16).unwrap()
}

fn cap_drop_all() {
    for set in ["CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb"] {
        assert_eq!(status(&["--cap-drop", "all"], set), 0, "{set}");
    }
}

fn cap_add() {
    const CHOWN: u64 = 1 << 0;
    const NET_RAW: u64 = 1 << 13;
    const SYS_PTRACE: u64 = 1 << 19;
    assert_eq!(status(&["--cap-drop", "all", "--cap-add", "net_raw"], "CapEff"), NET_RAW);
    assert_eq!(status(&["--cap-drop", "all", "--cap-add", "net_raw"], "CapBnd"), NET_RAW);
    let effective = status(&["--cap-drop", "chown", "--cap-add", "sys_ptrace"], "CapEff");
    assert_eq!(effective & (CHOWN | SYS_PTRACE), SYS_PTRACE, "{effective:x}");
}

fn no_new_privileges() {
    assert_eq!(status(&["--security-opt", "no-new-privileges"], "NoNewPrivs"), 1);
    assert_eq!(status(&[], "NoNewPrivs"), 0);
}

fn privileged() {
    // All that this process has, and /proc/sys can be written.
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap().to_owned();
    assert_eq!(format!("{:016x}", status(&["--privileged"], "CapEff")), own);
    prints(&["--privileged", "busybox", "sh", "-c", "grep -c ' /proc/sys ' /proc/mounts; true"], "0\n");
}

fn ulimit() {
    prints(
        &["--ulimit", "nofile=100:200", "--ulimit", "nproc=1024:4096", "busybox", "sh", "-c", "ulimit -Sn; ulimit -Hn"],
        "100\n200\n",
    );
}

fn sysctl() {
    let name = "net.ipv4.ip_unprivileged_port_start";
    let path = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    prints(&["--sysctl", &format!("{name}=42"), "busybox", "cat", path], "42\n");
}

fn device() {
    prints(
        &["--device", "/dev/fuse:/dev/mine", "busybox", "stat", "-c", "%F %t:%T", "/dev/mine"],
        "character special file a:e5\n",
    );
}

// ---- limits ---------------------------------------------------------------------------------------------------

/// Reads a limit from inside, by its name on cgroup v1 or on v2.
fn limit(options: &[&str], v1: &str, v2: &str) -> String {
    let script = format!("cd /sys/fs/cgroup; cat {v1} 2>/dev/null || cat {v2}");
    let output = run(&[options, &["busybox", "sh", "-c", &script]].concat());
    assert_eq!(output.status, 0, "{output:?}");
    output.stdout.trim().to_owned()
}

fn memory_4m() {
    assert_eq!(limit(&["--memory", "4m"], "memory/memory.limit_in_bytes", "memory.max"), "4194304");
}

/// One task is enough for a container: neither the runtime nor podman needs a second one inside.
fn pids_limit_1() {
    let output =
        run(&["--pids-limit", "1", "busybox", "cat", "/sys/fs/cgroup/pids/pids.max", "/sys/fs/cgroup/pids.max"]);
    assert_eq!(output.stdout, "1\n", "{output:?}");
    let output = run(&["--pids-limit", "1", "busybox", "sh", "-c", "sleep 0; echo forked"]);
    assert_eq!(output.last_error(), "sh: can't fork: Resource temporarily unavailable", "{output:?}");
}

fn cpus() {
    let quota = limit(&["--cpus", "0.5"], "cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us", "cpu.max");
    assert_eq!(quota.split_whitespace().collect::<Vec<_>>(), ["50000", "100000"]);
}

// ---- namespaces -----------------------------------------------------------------------------------------------

/// The namespace that a container is in.
fn namespace(options: &[&str], kind: &str) -> String {
    let output = run(&[options, &["busybox", "readlink", &format!("/proc/self/ns/{kind}")]].concat());
    assert_eq!(output.status, 0, "{output:?}");
    output.stdout.trim().to_owned()
}

fn pid_private_and_host() {
    assert_ne!(namespace(&[], "pid"), host::namespace("pid"));
    assert_eq!(namespace(&["--pid", "host"], "pid"), host::namespace("pid"));
    prints(&["busybox", "sh", "-c", "echo $$"], "1\n");
}

fn ipc_private_and_host() {
    assert_ne!(namespace(&[], "ipc"), host::namespace("ipc"));
    assert_eq!(namespace(&["--ipc", "host"], "ipc"), host::namespace("ipc"));
}

/// An interface called lo, up, and no other.
fn network_none() {
    assert_ne!(namespace(&[], "net"), host::namespace("net"));
    prints(&["busybox", "ls", "/sys/class/net"], "lo\n");
    prints(&["busybox", "cat", "/sys/class/net/lo/flags"], "0x9\n");
}

fn network_host() {
    assert_eq!(namespace(&["--network", "host"], "net"), host::namespace("net"));
}

/// podman binds catatonit over /dev/init and makes it the container's first process.
fn init() {
    let output = run(&["--init", "busybox", "sh", "-c", "cat /proc/1/comm; test $$ != 1"]);
    assert_eq!((output.status, output.stdout.as_str()), (0, "podman-init\n"), "{output:?}");
}

// ---- one more process -----------------------------------------------------------------------------------------

/// Starts a container that sleeps, under this name and with these options.
fn sleeper(name: &str, options: &[&str]) -> &'static Podman {
    let podman = shared();
    podman.start(name, &[options, &["busybox", "sh", "-c", "echo ready; exec sleep 1000"]].concat());
    podman
}

fn exec() {
    let podman = sleeper("exec", &["--hostname", "box", "--env", "FROM=run"]);
    assert_eq!(
        podman.ok(&["exec", "exec", "sh", "-c", "hostname; echo $FROM $HOME; test $$ -gt 1"]),
        "box\nrun /root\n"
    );
    assert_eq!(podman.podman(&["exec", "exec", "sh", "-c", "exit 42"]).status, 42);
    assert_eq!(podman.podman(&["exec", "exec", "sh", "-c", "kill -9 $$"]).status, 128 + 9);
    podman.ok(&["rm", "--force", "--time", "0", "exec"]);
}

fn exec_options() {
    let podman = sleeper("exec_options", &[]);
    let script = "id -u; id -g; pwd; echo $MORE $HOME";
    let words = ["exec", "--user", "ada", "--workdir", "/srv", "--env", "MORE=x", "exec_options", "sh", "-c", script];
    assert_eq!(podman.ok(&words), "1234\n5678\n/srv\nx /srv\n");
    podman.ok(&["rm", "--force", "--time", "0", "exec_options"]);
}

fn exec_input() {
    let podman = sleeper("exec_input", &[]);
    let text = "a line of input\n".repeat(1 << 12);
    let output = host::output(&podman.command(&["exec", "-i", "exec_input", "cat"]), text.as_bytes());
    assert!((output.status, output.stdout == text) == (0, true), "{}", output.stderr);
    podman.ok(&["rm", "--force", "--time", "0", "exec_input"]);
}

fn exec_terminal() {
    let podman = sleeper("exec_terminal", &[]);
    let output =
        podman.podman(&["exec", "-t", "exec_terminal", "sh", "-c", "tty; test -t 0 && test -t 1 && echo both"]);
    assert_eq!(output.stdout.replace("\r\n", "\n"), "/dev/pts/0\nboth\n", "{}", output.stderr);
    let words = ["exec", "-it", "exec_terminal", "sh", "-c", "stty -echo; read line; echo got $line"];
    let output = host::output(&podman.command(&words), b"typed\n");
    assert!(output.stdout.contains("got typed"), "{output:?}");
    podman.ok(&["rm", "--force", "--time", "0", "exec_terminal"]);
}

fn exec_detached() {
    let podman = sleeper("exec_detached", &[]);
    podman.ok(&["exec", "--detach", "exec_detached", "sh", "-c", "echo done >/made; exec sleep 1000"]);
    assert!(host::eventually(|| podman.podman(&["exec", "exec_detached", "cat", "/made"]).stdout == "done\n"));
    assert_eq!(
        podman.ok(&["top", "exec_detached", "args"]).lines().filter(|line| line.trim() == "sleep 1000").count(),
        2
    );
    podman.ok(&["rm", "--force", "--time", "0", "exec_detached"]);
}

fn exec_errors() {
    let podman = sleeper("exec_errors", &[]);
    for (program, status) in [("/bin/missing", 127), ("missing", 127), ("/etc/passwd", 126), ("/etc", 126)] {
        let output = podman.podman(&["exec", "exec_errors", program]);
        assert_eq!(output.status, status, "{program}: {output:?}");
    }
    podman.ok(&["stop", "--time", "0", "exec_errors"]);
    assert_ne!(podman.podman(&["exec", "exec_errors", "true"]).status, 0);
    podman.ok(&["rm", "--force", "--time", "0", "exec_errors"]);
}

fn exec_privileged() {
    let podman = sleeper("exec_privileged", &["--cap-drop", "all"]);
    let bounding = |options: &[&str]| {
        let words = [&["exec"], options, &["exec_privileged", "grep", "CapBnd", "/proc/self/status"]].concat();
        u64::from_str_radix(podman.ok(&words).trim_start_matches("CapBnd:").trim(), 16).unwrap()
    };
    assert_eq!(bounding(&[]), 0);
    assert!(bounding(&["--privileged"]) >> 21 & 1 != 0, "CAP_SYS_ADMIN");
    podman.ok(&["rm", "--force", "--time", "0", "exec_privileged"]);
}

/// Without systemd there is no timer: each check is asked for.
fn healthcheck() {
    let check = ["--health-cmd", "test -e /tmp/well", "--health-interval", "disable"];
    let podman = sleeper("checked", &check);
    assert_eq!(podman.podman(&["healthcheck", "run", "checked"]).status, 1);
    podman.ok(&["exec", "checked", "touch", "/tmp/well"]);
    podman.ok(&["healthcheck", "run", "checked"]);
    podman.ok(&["rm", "--force", "--time", "0", "checked"]);
}

// ---- errors ---------------------------------------------------------------------------------------------------

fn missing_executable() {
    for program in ["/bin/missing", "missing"] {
        let output = run(&["busybox", program]);
        assert_eq!(output.status, 127, "{output:?}");
    }
}

fn not_executable() {
    for program in ["/etc/passwd", "/etc"] {
        let output = run(&["busybox", program]);
        assert_eq!(output.status, 126, "{output:?}");
    }
}

/// Podman asks only the runtimes that it knows for a log in JSON; with this setting it asks ours too, and then
/// takes its message and the exit status from there.
fn errors_by_json_log() {
    let podman = Podman::new(r#"runtime_supports_json = ["isopod", "crun", "runc"]"#);
    for (program, status) in [("/bin/missing", 127), ("missing", 127), ("/etc/passwd", 126), ("/etc", 126)] {
        let output = podman.run(&["busybox", program], b"");
        assert_eq!(output.status, status, "{program}: {output:?}");
    }
    assert_eq!(podman.run(&["busybox", "echo", "fine"], b"").stdout, "fine\n");
    podman.remove();
}

// ---- afterwards -----------------------------------------------------------------------------------------------

fn nothing_left_behind() {
    let podman = Podman::new("");
    let mut ids = Vec::new();
    for (name, command) in
        [("ends", "true"), ("fails", "/bin/missing"), ("runs", "sleep 1000"), ("killed", "sleep 1000")]
    {
        let words: Vec<_> = command.split(' ').collect();
        podman.run(&[&["--rm=false", "--detach", "--name", name, "busybox"], &words[..]].concat(), b"");
        ids.push(podman.inspect(name, "Id"));
    }
    podman.ok(&["kill", "killed"]);
    for name in ["ends", "fails", "runs", "killed"] {
        podman.ok(&["rm", "--force", "--time", "0", name]);
    }
    podman.run(&["busybox", "true"], b"");

    let dir = podman.dir.to_str().unwrap();
    assert!(host::eventually(|| host::processes_with(dir).is_empty()), "{:?}", host::processes_with(dir));
    // Podman itself keeps its store mounted private, and a cgroup for conmon.
    let mut mounts = host::mounts_below(&podman.dir);
    mounts.retain(|point| *point != podman.dir.join("root/vfs"));
    assert_eq!(mounts, Vec::<PathBuf>::new());
    for id in &ids {
        let state = PathBuf::from("/run").join(host::runtime().file_name().unwrap()).join(id);
        assert!(!state.exists(), "{}", state.display());
        for cgroup in host::cgroups(&format!("{}/libpod-{id}", podman.cgroup)) {
            assert!(!cgroup.exists(), "{}", cgroup.display());
        }
    }
    podman.remove();
}

// ---- podman with a store of its own ---------------------------------------------------------------------------

static SHARED: OnceLock<Podman> = OnceLock::new();

fn shared() -> &'static Podman {
    SHARED.get_or_init(|| Podman::new(""))
}

fn run(words: &[&str]) -> host::Output {
    shared().run(words, b"")
}

/// The container succeeds and prints exactly this.
fn prints(words: &[&str], stdout: &str) {
    let output = run(words);
    assert_eq!((output.status, output.stdout.as_str()), (0, stdout), "{words:?}: {}", output.stderr);
}

struct Podman {
    dir: PathBuf,
    /// The parent of all cgroups it makes.
    cgroup: String,
}

impl Podman {
    /// A new store that has one image, "busybox"; `engine` is more for the [engine] table of containers.conf.
    fn new(engine: &str) -> Podman {
        let dir = host::new_dir("podman");
        let cgroup = dir.file_name().unwrap().to_str().unwrap().to_owned();
        let podman = Podman { dir, cgroup };
        podman.configure(engine);
        let rootfs = podman.dir.join("rootfs");
        host::make_rootfs(&rootfs);
        let tar = podman.dir.join("rootfs.tar");
        let made = Command::new("tar").arg("-C").arg(&rootfs).arg("-cf").arg(&tar).arg(".").status().unwrap();
        assert!(made.success());
        podman.ok(&["import", "--quiet", tar.to_str().unwrap(), "busybox"]);
        podman
    }

    /// Nothing in common with the podman of the machine's owner. Limits within what a process without
    /// CAP_SYS_RESOURCE may set (podman's own default is above that), and locks in files, for those in shared
    /// memory are one set for all stores.
    fn configure(&self, engine: &str) {
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
        fs::write(self.dir.join("containers.conf"), text).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("podman");
        command.env("CONTAINERS_CONF", self.dir.join("containers.conf")).env("TMPDIR", &self.dir);
        for (option, dir) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
            command.arg(option).arg(self.dir.join(dir));
        }
        command.args(["--storage-driver", "vfs", "--runtime"]).arg(host::runtime()).args(words);
        command
    }

    fn podman(&self, words: &[&str]) -> host::Output {
        host::output(&self.command(words), b"")
    }

    /// A podman command that has to succeed; gives what it prints.
    fn ok(&self, words: &[&str]) -> String {
        let output = self.podman(words);
        assert_eq!(output.status, 0, "podman {words:?}: {}", output.stderr);
        output.stdout
    }

    /// `podman run`, without a network unless the words ask for one.
    fn run(&self, words: &[&str], stdin: &[u8]) -> host::Output {
        let always = ["run", "--rm", "--cgroup-parent", &self.cgroup];
        host::output(&self.command(&[&always, words].concat()), stdin)
    }

    /// Starts a container in the background and waits until it has said "ready".
    fn start(&self, name: &str, words: &[&str]) {
        let output = self.run(&[&["--rm=false", "--detach", "--name", name], words].concat(), b"");
        assert_eq!(output.status, 0, "{output:?}");
        assert!(host::eventually(|| self.ok(&["logs", name]).starts_with("ready")), "{name} is not ready");
    }

    /// One field of what `podman inspect` says about a container, as "State.Status".
    fn inspect(&self, name: &str, field: &str) -> String {
        self.ok(&["inspect", "--format", &format!("{{{{.{field}}}}}"), name]).trim().to_owned()
    }

    /// Ends what is still running and removes the store, its mounts and its cgroups.
    fn remove(&self) {
        self.podman(&["rm", "--all", "--force", "--time", "0"]);
        // conmon calls podman once more when its container ends, which would make part of the store again.
        let dir = self.dir.to_str().unwrap();
        host::eventually(|| host::processes_with(dir).is_empty());
        for point in host::mounts_below(&self.dir) {
            let _ = Command::new("umount").arg("-l").arg(point).status();
        }
        host::remove_cgroups(&self.cgroup);
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn lacks_file(path: &str) -> Option<String> {
    (!std::path::Path::new(path).exists()).then(|| format!("there is no {path}"))
}

fn lacks_controller(name: &str) -> Option<String> {
    (!host::has_controller(name)).then(|| format!("there is no {name} cgroup controller"))
}
