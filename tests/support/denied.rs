//! A runtime that is denied a system call for good, and what its commands say to that. It is the test build, in which
//! calls fail to order (`src/sys/fault.rs` has the form of the order): so nobody else is denied it, neither the payload
//! nor the test.

use std::cell::RefCell;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;

use nix::errno::Errno;

use super::command::content;

const VARIABLE: &str = "ISOPOD_FAULTS";
const SIZE: u64 = 1 << 18;
/// In place of the process and the number of one call.
const EVERYBODY: u32 = u32::MAX;

pub struct Denied {
    pub call: &'static str,
    pub errno: Errno,
    order: PathBuf,
}

impl Denied {
    pub fn new(call: &'static str, errno: Errno) -> Denied {
        let name = format!("isopod-denied-{}-{call}-{errno:?}", std::process::id());
        let order = std::env::temp_dir().join(name);
        let file = File::create(&order).expect("order");
        file.set_len(SIZE).expect("extend");
        file.set_permissions(Permissions::from_mode(0o666)).expect("chmod");
        let words = [0, EVERYBODY, 0, errno as u32, 0, 0].map(u32::to_ne_bytes);
        file.write_all_at(words.as_flattened(), 0).expect("write");
        file.write_all_at(call.as_bytes(), words.as_flattened().len() as u64).expect("write");
        Denied { call, errno, order }
    }

    pub(super) fn rule(&self, command: &mut Command) {
        command.env(VARIABLE, &self.order);
    }

    /// Whether the kernel's answer to the denied call is what a message is about.
    fn explains(&self, said: &str) -> bool {
        said.lines().any(|line| line.contains("isopod: error: ") && line.contains(&format!(": {}", self.reason())))
    }

    fn reason(&self) -> &'static str {
        match self.errno {
            Errno::ENOSYS => "Function not implemented",
            Errno::EPERM => "Operation not permitted",
            other => other.desc(),
        }
    }

    /// The order is not needed any more.
    pub fn end(&self) {
        let _ = fs::remove_file(&self.order);
    }
}

/// The same command without a denial.
pub(super) fn pardon(command: &mut Command) -> &mut Command {
    command.env_remove(VARIABLE)
}

thread_local! {
    /// The denial that this thread's test is under, and what it has started since: each with its standard error.
    static STARTED: RefCell<Option<(&'static Denied, Vec<Started>)>> = const { RefCell::new(None) };
}

struct Started {
    line: String,
    stderr: File,
}

/// From here on it is noted what is started.
pub(super) fn listen(denied: &'static Denied) {
    STARTED.set(Some((denied, Vec::new())));
}

pub(super) fn note(line: &str, stderr: &File) {
    STARTED.with_borrow_mut(|started| {
        if let Some((_, started)) = started {
            started.push(Started { line: line.to_owned(), stderr: stderr.try_clone().expect("dup") });
        }
    });
}

/// The verbs of the commands that were refused since.
fn refused() -> Vec<String> {
    STARTED.with_borrow(|started| {
        let Some((denied, started)) = started else { return Vec::new() };
        started.iter().filter(|one| denied.explains(&content(&one.stderr))).map(|one| verb(&one.line)).collect()
    })
}

/// Waiting for anything more is in vain then.
pub(super) fn give_up() {
    assert!(refused().is_empty(), "a command was refused");
}

/// The verbs of all commands that were refused, also one that only the message of a failed test tells of.
pub(super) fn end(told: &str) -> Vec<String> {
    let mut verbs = refused();
    if let Some((denied, _)) = STARTED.take()
        && verbs.is_empty()
        && denied.explains(told)
    {
        verbs.push(verb(told));
    }
    verbs
}

/// Of a command as it is printed: the first word that is a verb.
fn verb(line: &str) -> String {
    const VERBS: &[&str] = &[
        "run", "create", "start", "exec", "kill", "delete", "pause", "resume", "update", "state", "ps", "list",
        "events", "mounts", "spec", "plan", "features",
    ];
    line.split('"').find(|word| VERBS.contains(word)).unwrap_or("?").to_owned()
}
