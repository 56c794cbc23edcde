//! What every engine's tests need of the machine: the runtime, an image, processes with a time limit, daemons, and a
//! look at mounts, cgroups and processes.

use libtest_mimic::{Completion, Trial};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The runtime under test, as an absolute path: $RUNTIME, else the isopod that cargo has just built.
pub(crate) fn runtime() -> PathBuf {
    let given = std::env::var("RUNTIME").unwrap_or_else(|_| env!("CARGO_BIN_EXE_isopod").to_owned());
    find(&given).unwrap_or_else(|| panic!("RUNTIME={given}: no such program"))
}

/// A program by its path, or by its name in PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return fs::canonicalize(program).ok();
    }
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(program)).find(|path| path.is_file())
}

/// Why no container can run on this machine, if so.
pub(crate) fn lacks(programs: &[&str]) -> Option<String> {
    if !fs::read_to_string("/proc/self/status").unwrap().contains("\nUid:\t0\t0\t") {
        return Some("only root can do this".to_owned());
    }
    programs.iter().find(|program| find(program).is_none()).map(|program| format!("{program} is not installed"))
}

/// A test with its whole name; one that lacks a program, or says what else is missing, counts as ignored.
pub(crate) fn trial(
    name: String,
    programs: &'static [&'static str],
    missing: impl Fn() -> Option<String> + Send + 'static,
    test: impl FnOnce() + Send + 'static,
) -> Trial {
    Trial::ignorable_test(name, move || match lacks(programs).or_else(missing) {
        Some(reason) => Ok(Completion::ignored_with(reason)),
        None => {
            test();
            Ok(Completion::Completed)
        }
    })
}

/// Why a test that needs this file cannot run, if so.
pub(crate) fn lacks_file(path: &str) -> Option<String> {
    (!Path::new(path).exists()).then(|| format!("there is no {path}"))
}

/// A new empty directory, for the caller to remove.
pub(crate) fn new_dir(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("isopod-{name}-{}-{number}", std::process::id()));
    fs::create_dir(&dir).unwrap();
    dir
}

/// A root file system with busybox under every name it has, a user and a file that is no program.
pub(crate) fn make_rootfs(rootfs: &Path) {
    for dir in ["bin", "dev", "etc", "proc", "sys", "tmp", "root", "srv"] {
        fs::create_dir_all(rootfs.join(dir)).unwrap();
    }
    let busybox = find("busybox").unwrap();
    fs::copy(&busybox, rootfs.join("bin/busybox")).unwrap();
    let names = Command::new(&busybox).arg("--list").output().unwrap().stdout;
    for name in String::from_utf8(names).unwrap().lines().filter(|name| *name != "busybox") {
        symlink("busybox", rootfs.join("bin").join(name)).unwrap();
    }
    fs::write(rootfs.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nada:x:1234:5678:Ada:/srv:/bin/sh\n").unwrap();
    fs::write(rootfs.join("etc/group"), "root:x:0:\nada:x:5678:\n").unwrap();
}

/// The same as a tar file, for engines to import.
pub(crate) fn make_image(dir: &Path) -> PathBuf {
    let (rootfs, tar) = (dir.join("rootfs"), dir.join("rootfs.tar"));
    make_rootfs(&rootfs);
    let made = Command::new("tar").arg("-C").arg(&rootfs).arg("-cf").arg(&tar).arg(".").status().unwrap();
    assert!(made.success());
    tar
}

/// What a process left: the exit status (negative for a signal) and what it printed.
#[derive(Debug, PartialEq)]
pub(crate) struct Output {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// The last line of stderr; before it may stand a warning of the runtime, whose stderr an engine takes for the
    /// container's.
    pub(crate) fn last_error(&self) -> &str {
        self.stderr.lines().last().unwrap_or_default()
    }

    /// Demands this status, and that what was said has all these, be they written small or large.
    #[track_caller]
    pub(crate) fn fails(&self, status: i32, fragments: &[&str]) {
        let said = format!("{}{}", self.stdout, self.stderr).to_lowercase();
        let said_all = fragments.iter().all(|fragment| said.contains(&fragment.to_lowercase()));
        assert!(self.status == status && said_all, "expected status {status} and {fragments:?}: {self:?}");
    }
}

/// Runs a command to its end with `stdin`. One that hangs is ended after a minute, or $ENGINES_LIMIT seconds, with status 124 or 137.
pub(crate) fn output(command: &Command, stdin: &[u8]) -> Output {
    let mut limited = limited(command, &[]);
    limited.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = limited.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let output = thread::scope(|scope| {
        // A command that does not read its input ends the writing with EPIPE, which is all right.
        scope.spawn(move || pipe.write_all(stdin));
        child.wait_with_output().unwrap()
    });
    Output {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The command with a limit of time before it, and these words in between.
fn limited(command: &Command, words: &[&str]) -> Command {
    let mut limited = Command::new("timeout");
    let limit = std::env::var("ENGINES_LIMIT").unwrap_or_else(|_| "60".to_owned());
    limited.args(["--kill-after=5", &limit]).args(words).arg(command.get_program()).args(command.get_args());
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(dir) = command.get_current_dir() {
        limited.current_dir(dir);
    }
    limited
}

/// The same at a terminal of 31 lines and 99 columns, where somebody types this. All that shows there is in `stdout`.
pub(crate) fn at_terminal(command: &Command, typed: &str) -> Output {
    let size = Winsize { ws_row: 31, ws_col: 99, ws_xpixel: 0, ws_ypixel: 0 };
    let pair = openpty(&size, None).unwrap();
    let slave = || Stdio::from(pair.slave.try_clone().unwrap());
    let mut child = limited(command, &["setsid", "--ctty", "--wait"])
        .stdin(slave())
        .stdout(slave())
        .stderr(slave())
        .spawn()
        .unwrap();
    drop(pair.slave);
    let mut master = File::from(pair.master);
    master.write_all(typed.as_bytes()).unwrap();
    let mut shown = Vec::new();
    // The end of a terminal is EIO.
    let _ = master.read_to_end(&mut shown);
    let status = child.wait().unwrap().code().unwrap_or(-1);
    Output { status, stdout: String::from_utf8_lossy(&shown).into_owned(), stderr: String::new() }
}

/// A daemon of the tests' own, which says what it has to say into a file.
pub(crate) struct Daemon {
    child: Mutex<Child>,
    log: PathBuf,
}

impl Daemon {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(command: &mut Command, log: PathBuf, ready: impl Fn() -> bool) -> Daemon {
        let (out, err) = (File::create(&log).unwrap(), File::options().append(true).open(&log).unwrap());
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap();
        let daemon = Daemon { child: Mutex::new(child), log };
        if !eventually(ready) {
            daemon.stop();
            panic!("{:?} is not ready: {}", command.get_program(), daemon.said());
        }
        daemon
    }

    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks it to end, and waits.
    pub(crate) fn stop(&self) {
        let mut child = self.child.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
        if !eventually_mut(|| !matches!(child.try_wait(), Ok(None))) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits until `done`, at most half a minute; says whether it came to that.
pub(crate) fn eventually(done: impl Fn() -> bool) -> bool {
    eventually_mut(done)
}

fn eventually_mut(mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(30);
    while !done() {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

/// A namespace of this process, say "pid:[4026531836]".
pub(crate) fn namespace(kind: &str) -> String {
    fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().to_string_lossy().into_owned()
}

/// The mount points below a directory, the deepest first, so that they can be unmounted in this order.
pub(crate) fn mounts_below(dir: &Path) -> Vec<PathBuf> {
    let mut mounts: Vec<_> =
        mount_table().into_iter().map(|(point, _, _)| point).filter(|point| point.starts_with(dir)).collect();
    mounts.sort_by_key(|point| std::cmp::Reverse(point.components().count()));
    mounts
}

/// Unmounts what is mounted below a directory and removes it.
pub(crate) fn remove_dir(dir: &Path) {
    mounts_below(dir).iter().for_each(|point| unmount(point));
    let _ = fs::remove_dir_all(dir);
}

pub(crate) fn unmount(point: &Path) {
    let _ = Command::new("umount").arg("-l").arg(point).status();
}

/// Directories that an engine makes outside of its own, however it is told.
const STRAYS: [&str; 7] = [
    "/run/containerd/fifo",
    "/run/containerd/runc",
    "/run/containerd/s",
    "/run/containerd",
    "/run/docker/plugins",
    "/run/docker",
    "/etc/docker",
];

/// Those of them that are not there before the tests.
pub(crate) fn strays() -> Vec<&'static str> {
    STRAYS.into_iter().filter(|dir| !Path::new(dir).exists()).collect()
}

/// Removes them afterwards, unless somebody uses them by now.
pub(crate) fn remove_strays(strays: &[&str]) {
    for dir in strays {
        let _ = fs::remove_dir(dir);
    }
}

/// Where the cgroup `name` is, or would be, in every mounted hierarchy.
pub(crate) fn cgroups(name: &str) -> Vec<PathBuf> {
    let mounts = mount_table().into_iter();
    mounts.filter(|(_, kind, _)| kind.starts_with("cgroup")).map(|(point, _, _)| point.join(name)).collect()
}

/// Does the machine have this cgroup controller, on a v1 hierarchy or in the v2 one that is the only one?
pub(crate) fn has_controller(name: &str) -> bool {
    let v1 = |(_, kind, options): &(PathBuf, String, String)| kind == "cgroup" && options.split(',').any(|o| o == name);
    mount_table().iter().any(v1)
        || fs::read_to_string("/sys/fs/cgroup/cgroup.controllers")
            .is_ok_and(|all| all.split(' ').any(|c| c.trim() == name))
}

/// Removes a cgroup and those below it in every hierarchy, as soon as the last process there has been reaped.
pub(crate) fn remove_cgroups(name: &str) {
    fn remove(dir: &Path) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove(&entry.path());
            }
        }
        let _ = fs::remove_dir(dir);
    }
    let dirs = cgroups(name);
    eventually(|| {
        dirs.iter().for_each(|dir| remove(dir));
        !dirs.iter().any(|dir| dir.exists())
    });
}

/// The processes that have this text in their command line.
pub(crate) fn processes_with(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(text) {
            found.push(format!("{}: {line}", entry.file_name().to_string_lossy()));
        }
    }
    found
}

/// (mount point, file system type, options of the file system) of every mount that this process sees.
fn mount_table() -> Vec<(PathBuf, String, String)> {
    let table = fs::read_to_string("/proc/self/mounts").unwrap();
    let words = table.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    words.map(|w| (PathBuf::from(w[1]), w[2].to_owned(), w[3].to_owned())).collect()
}
