//! What one test gets: directories, ids and a state directory of its own, and afterwards a look at what is left.

use std::cell::{Cell, RefCell};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::case::BREACH;
use super::command::{Ran, Running, eventually, scratch, spawn};
use super::container::{Container, copy_program};
use super::denied;
use super::host::{self, read};
use super::runtime::{Kind, Runtime};
use super::user::{self, User};

/// The variable by which processes of a test are known, whatever became of their parents.
pub(super) const MARK: &str = "CONFORMANCE";

pub struct Sandbox {
    pub runtime: &'static Runtime,
    /// Part of every container id and every path of this test, and of no other test's.
    token: String,
    dir: PathBuf,
    count: Cell<u32>,
    ids: RefCell<Vec<String>>,
    /// Who calls the runtime, if it is not root.
    user: Cell<Option<&'static User>>,
}

impl Sandbox {
    pub(super) fn new(runtime: &'static Runtime) -> Sandbox {
        static TESTS: AtomicU32 = AtomicU32::new(0);
        let token = format!("ct{}x{}x", std::process::id(), TESTS.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(&token);
        fs::create_dir(&dir).expect("mkdir");
        Sandbox { runtime, token, dir, count: Cell::new(0), ids: RefCell::new(Vec::new()), user: Cell::new(None) }
    }

    pub fn is(&self, kind: Kind) -> bool {
        self.runtime.kind == kind
    }

    /// From here on the runtime is called by an ordinary user, whose is the test's directory, too, and a copy of the
    /// runtime in it; containers are made for him.
    pub fn as_ordinary_user(&self) -> &'static User {
        let user = user::user().expect("a user");
        match std::env::var_os("USERS_RUNTIME") {
            // One file only is watched by scripts/coverage.
            Some(path) => std::os::unix::fs::symlink(path, self.users_runtime()).expect("a link"),
            None => copy_program(&self.runtime.path, &self.users_runtime()),
        }
        chown(&self.dir, user);
        fs::create_dir(self.path("run")).expect("mkdir");
        chown(&self.path("run"), user);
        self.user.set(Some(user));
        user
    }

    /// Who calls the runtime, if it is not root.
    pub(super) fn user(&self) -> Option<&'static User> {
        self.user.get()
    }

    pub fn users_runtime(&self) -> PathBuf {
        self.path("runtime")
    }

    /// A command of his.
    pub fn users_command(&self, program: impl AsRef<OsStr>) -> Command {
        let user = self.user().expect("as_ordinary_user");
        let mut command = Command::new(program);
        command.uid(user.uid).gid(user.gid).env("XDG_RUNTIME_DIR", self.path("run"));
        command
    }

    /// A container that does not exist yet: a bundle with busybox in it, the default config, and an unused id.
    pub fn container(&self) -> Container<'_> {
        let id = self.new_id();
        Container::new(self, id)
    }

    /// An id that nobody uses, remembered for the cleaning up.
    pub fn new_id(&self) -> String {
        let number = self.count.replace(self.count.get() + 1);
        let id = format!("{}{number}", self.token);
        self.ids.borrow_mut().push(id.clone());
        id
    }

    /// The mark in the environment of this test's payloads.
    pub fn mark(&self) -> String {
        format!("{MARK}={}", self.token)
    }

    /// What no other test has in its names.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A path in this test's own directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A new file in this test's own directory.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("write");
        path
    }

    pub fn state_root(&self) -> PathBuf {
        self.path("state")
    }

    /// The runtime with this test's state directory; for a test that adds to the environment or to stdin.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.bare_command();
        command.arg("--root").arg(self.state_root()).args(args);
        command
    }

    /// The runtime with no option at all. Its stdin is an empty file: some give the host's null device to the user.
    pub fn bare_command(&self) -> Command {
        let mut command = match self.user() {
            Some(_) => self.users_command(self.users_runtime()),
            None => Command::new(&self.runtime.path),
        };
        command.env(MARK, &self.token).stdin(scratch()).current_dir(&self.dir);
        if let Some(denied) = &self.runtime.denied {
            denied.rule(&mut command);
        }
        command
    }

    #[track_caller]
    pub fn rt(&self, args: &[&str]) -> Ran {
        self.start(args).wait()
    }

    #[track_caller]
    pub fn start(&self, args: &[&str]) -> Running {
        spawn(&mut self.command(args))
    }

    #[track_caller]
    pub fn spawn(&self, command: &mut Command) -> Running {
        spawn(command)
    }

    /// A directory of the host that an attack aims at. Nothing in it may have changed at the end.
    pub fn guard(&self) -> Guard {
        let dir = self.path("guard");
        fs::create_dir_all(dir.join("dev")).expect("mkdir");
        for name in ["secret", "dev/null", "dev/ptmx", "dev/console"] {
            fs::write(dir.join(name), "untouched").expect("write");
        }
        Guard { before: listing(&dir), dir }
    }

    /// Deletes every container, and says what exists all the same; then takes that away too.
    pub(super) fn close(self) -> Vec<String> {
        for id in self.ids.borrow().iter() {
            let _ = spawn(denied::pardon(&mut self.command(&["delete", "--force", id]))).wait();
        }
        let found = self.leftovers();
        self.sweep();
        let _ = fs::remove_dir_all(&self.dir);
        found
    }

    fn leftovers(&self) -> Vec<String> {
        let gone = |list: &dyn Fn() -> Vec<String>| settle(list);
        let processes = gone(&|| self.processes().iter().map(|pid| format!("process {pid}")).collect());
        let cgroups = gone(&|| self.cgroups().iter().map(|dir| format!("cgroup {}", dir.display())).collect());
        let mounts = self.mounts().into_iter().map(|target| format!("mount {target}"));
        let states = self.states().into_iter().map(|name| format!("state {name}"));
        processes.into_iter().chain(cgroups).chain(mounts).chain(states).collect()
    }

    fn sweep(&self) {
        for pid in self.processes() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        for target in self.mounts().iter().rev() {
            let _ = Command::new("umount").args(["-l", target]).stderr(Stdio::null()).status();
        }
        settle(&|| self.processes().iter().map(|pid| pid.to_string()).collect());
        for dir in self.cgroups().iter().rev() {
            let _ = fs::remove_dir(dir);
        }
    }

    /// Processes that carry this test's mark. (A zombie has no environment any more and does not count.)
    pub fn processes(&self) -> Vec<i32> {
        let mark = self.mark();
        let marked = |pid: &i32| read(format!("/proc/{pid}/environ")).split('\0').any(|entry| entry == mark);
        let all = fs::read_dir("/proc").expect("/proc").flatten();
        all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(marked).collect()
    }

    /// Where something is mounted in this test's directory.
    pub fn mounts(&self) -> Vec<String> {
        let own = |mount: &host::Mount| mount.target.contains(&self.token);
        host::mounts().into_iter().filter(own).map(|mount| mount.target).collect()
    }

    /// Cgroups named after this test in any hierarchy, parents before children.
    pub fn cgroups(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for mount in host::mounts().into_iter().filter(|mount| mount.kind.starts_with("cgroup")) {
            self.collect_cgroups(Path::new(&mount.target), &mut found);
        }
        found
    }

    fn collect_cgroups(&self, dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !is_dir {
                continue;
            }
            if entry.path().to_string_lossy().contains(&self.token) {
                found.push(entry.path());
            }
            self.collect_cgroups(&entry.path(), found);
        }
    }

    /// What the runtime keeps about containers. Names with a dot are its caches.
    pub fn states(&self) -> Vec<String> {
        let entries = fs::read_dir(self.state_root()).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| !name.starts_with('.')).collect()
    }

    /// Waits until no process of this test is left.
    #[track_caller]
    pub fn wait_for_processes(&self) {
        eventually("no process of the test is left", || self.processes().is_empty());
    }
}

pub(super) fn chown(path: &Path, user: &User) {
    let owner = format!("{}:{}", user.uid, user.gid);
    let chowned = Command::new("chown").args(["-R", &owner]).arg(path).status();
    assert!(chowned.expect("chown").success());
}

/// A short while for what the kernel takes away in its own time; whatever is in the list after that stays there.
fn settle(list: &dyn Fn() -> Vec<String>) -> Vec<String> {
    for _ in 0..200 {
        if list().is_empty() {
            return Vec::new();
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    list()
}

/// A directory of the host, with a picture of what was in it.
pub struct Guard {
    pub dir: PathBuf,
    before: Vec<String>,
}

impl Guard {
    #[track_caller]
    pub fn is_unchanged(&self) {
        assert_eq!(self.before, listing(&self.dir), "{BREACH}: the host's guarded directory has changed");
    }
}

/// Everything below a directory: inode, mode, owner, times and content.
fn listing(dir: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(dir).expect("guard").flatten() {
        let path = entry.path();
        let meta = fs::symlink_metadata(&path).expect("guard");
        let content = if meta.is_file() { read(&path) } else { String::new() };
        lines.push(format!(
            "{} {} {:o} {}:{} {}.{} {content}",
            path.display(),
            meta.ino(),
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
            meta.mtime_nsec()
        ));
        if meta.is_dir() {
            lines.extend(listing(&path));
        }
    }
    lines.sort();
    lines
}
