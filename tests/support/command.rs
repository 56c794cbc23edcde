//! Processes of the test's own: started with their output in files, waited for with a limit.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::denied;

/// How long anything may take before it counts as hanging. Emulated machines may ask for more.
pub(super) fn limit() -> Duration {
    let seconds = std::env::var("CONFORMANCE_LIMIT").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    Duration::from_secs(seconds)
}

/// Waits until the condition holds.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit();
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        denied::give_up();
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// A process that has been started. Killed when the test loses interest in it.
pub struct Running {
    child: Child,
    ran: Ran,
}

/// A process that has ended, with its exit code (or minus the signal that ended it) and what it has written so far:
/// a container that it started goes on writing to the same files.
pub struct Ran {
    pub code: i32,
    line: String,
    stdout: File,
    stderr: File,
}

/// The same command behind these words: those of a program that executes it. Its stdin is an empty file, as that of
/// all of them: some runtimes give the host's null device to the user.
pub fn behind(words: &[&str], command: &Command) -> Command {
    let mut outer = Command::new(words[0]);
    outer.args(&words[1..]).arg(command.get_program()).args(command.get_args());
    outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(directory) = command.get_current_dir() {
        outer.current_dir(directory);
    }
    outer.stdin(scratch());
    outer
}

/// Starts a command. Output goes to files, not pipes, so that nobody has to drain it and a container which lives
/// longer than the command keeps nobody waiting.
#[track_caller]
pub fn spawn(command: &mut Command) -> Running {
    let (stdout, stderr) = (scratch(), scratch());
    let line = format!("{command:?}");
    command.stdout(Stdio::from(stdout.try_clone().expect("dup"))).stderr(Stdio::from(stderr.try_clone().expect("dup")));
    denied::note(&line, &stderr);
    let deadline = Instant::now() + limit();
    let child = loop {
        match command.spawn() {
            // A copy that this test has just made: a child that another thread has forked meanwhile has it open still.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(3));
            }
            spawned => break spawned.unwrap_or_else(|error| panic!("{line}: {error}")),
        }
    };
    Running { child, ran: Ran { code: 0, line, stdout, stderr } }
}

/// A file without a name, in append mode: several processes write to it.
pub(super) fn scratch() -> File {
    const O_TMPFILE: i32 = 0o20200000;
    OpenOptions::new().read(true).append(true).custom_flags(O_TMPFILE).open(std::env::temp_dir()).expect("scratch file")
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn stdout(&self) -> String {
        self.ran.stdout()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_some()
    }

    pub fn send(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid() as i32), signal).expect("kill");
    }

    #[track_caller]
    pub fn wait(self) -> Ran {
        let (ran, hung) = self.wait_or_kill();
        assert!(!hung, "hangs: {ran}");
        ran
    }

    /// The same for who wants to go on if it hangs: then it is killed.
    pub fn wait_or_kill(mut self) -> (Ran, bool) {
        let deadline = Instant::now() + limit();
        let mut hung = false;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                break status;
            }
            if Instant::now() > deadline {
                hung = true;
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let code = status.code().unwrap_or_else(|| -status.signal().expect("code or signal"));
        let ran = Ran {
            code,
            line: std::mem::take(&mut self.ran.line),
            stdout: self.ran.stdout.try_clone().expect("dup"),
            stderr: self.ran.stderr.try_clone().expect("dup"),
        };
        (ran, hung)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ran {
    pub fn stdout(&self) -> String {
        content(&self.stdout)
    }

    pub fn stderr(&self) -> String {
        content(&self.stderr)
    }

    /// Demands success; gives the output without the line end.
    #[track_caller]
    pub fn ok(&self) -> String {
        self.exits(0).stdout().trim_end().to_owned()
    }

    #[track_caller]
    pub fn exits(&self, code: i32) -> &Ran {
        assert!(self.code == code, "expected exit code {code}: {self}");
        self
    }

    /// Demands a failure of the runtime itself, whose message has all of these fragments.
    #[track_caller]
    pub fn fails(&self, fragments: &[&str]) -> &Ran {
        self.fails_with(1, fragments)
    }

    #[track_caller]
    pub fn fails_with(&self, code: i32, fragments: &[&str]) -> &Ran {
        self.exits(code);
        let stderr = self.stderr();
        for fragment in fragments {
            assert!(stderr.contains(fragment), "expected {fragment:?} in the message: {self}");
        }
        self
    }

    /// Demands that something, whatever it says, went wrong.
    #[track_caller]
    pub fn is_refused(&self) -> &Ran {
        assert!(self.code != 0, "expected a refusal: {self}");
        self
    }
}

/// Demands a failure of the runtime that is one line: operation, object, reason.
#[track_caller]
pub fn refused_in_one_line(ran: &Ran) {
    let told = ran.stderr();
    let line = told.strip_suffix('\n').unwrap_or(&told);
    let reason = line.strip_prefix("isopod: error: ").and_then(|said| said.split_once(": "));
    let is_one = ran.code == 1 && !line.contains('\n');
    assert!(
        is_one && reason.is_some_and(|(what, why)| what.contains(' ') && !why.is_empty()),
        "not one line of why: {ran}"
    );
}

impl std::fmt::Display for Ran {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}\n  code {}\n  stdout {:?}\n  stderr {:?}", self.line, self.code, self.stdout(), self.stderr())
    }
}

/// The whole file, read without moving the offset that its writers share.
pub(super) fn content(file: &File) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = file.read_at(&mut chunk, bytes.len() as u64) {
        bytes.extend_from_slice(&chunk[..count]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads from a stream until the text has been seen, or the runtime's line of why it will not be, or the stream ends.
pub(super) fn read_until(mut stream: impl Read, text: &str) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    let is_all = |bytes: &[u8]| {
        let read = String::from_utf8_lossy(bytes);
        read.contains(text) || read.split_once("isopod: error: ").is_some_and(|(_, said)| said.contains('\n'))
    };
    while !is_all(&bytes) {
        match stream.read(&mut chunk) {
            Ok(count @ 1..) => bytes.extend_from_slice(&chunk[..count]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
