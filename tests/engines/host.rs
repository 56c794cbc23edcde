//! What every engine's tests need of the machine: the runtime, an image, processes with a time limit, and a look
//! at mounts, cgroups and processes.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
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
}

/// Runs a command to its end with `stdin`. One that hangs is ended after a minute, with status 124 or 137.
pub(crate) fn output(command: &Command, stdin: &[u8]) -> Output {
    let mut limited = Command::new("timeout");
    limited.args(["--kill-after=5", "60"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        limited.env(name, value.unwrap_or_default());
    }
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

/// Waits until `done`, at most ten seconds; says whether it came to that.
pub(crate) fn eventually(done: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
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
