//! A container engine that takes the words of podman and Docker, with a store, sockets and cgroups of its own.

use crate::host;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The image that every test uses: a busybox, made on the spot.
pub(crate) const IMAGE: &str = "busybox";

/// Whose words they are, where the two differ.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Podman,
    Docker,
}

pub(crate) struct Engine {
    pub(crate) kind: Kind,
    /// Everything that it keeps, and what tests put beside it.
    pub(crate) dir: PathBuf,
    /// The parent of all cgroups that it makes.
    pub(crate) cgroup: String,
    /// The program and what goes before its words.
    pub(crate) client: Vec<String>,
    pub(crate) env: Vec<(&'static str, PathBuf)>,
    /// What goes before the words of every `run` and `create`.
    pub(crate) always: Vec<String>,
}

impl Engine {
    /// In the engine's directory: conmon leaves a file where it is called when a container has run out of memory.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.client[0]);
        command.current_dir(&self.dir);
        command.args(&self.client[1..]).args(words).envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// A command with nothing to read.
    pub(crate) fn call(&self, words: &[&str]) -> host::Output {
        host::output(&self.command(words), b"")
    }

    /// A command that has to succeed; gives what it prints.
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let output = self.call(words);
        assert_eq!(output.status, 0, "{} {words:?}: {}", self.client[0], output.stderr);
        output.stdout
    }

    /// The words of `run` or `create` with what always belongs there.
    fn words<'a>(&'a self, verb: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        // Unless the test has something else to say of the same.
        let always = match self.always.first() {
            Some(option) if more.contains(&option.as_str()) => &[],
            _ => &self.always[..],
        };
        [verb].into_iter().chain(always.iter().map(String::as_str)).chain(more.iter().copied()).collect()
    }

    /// `run --rm`.
    pub(crate) fn run(&self, words: &[&str]) -> host::Output {
        self.run_with(words, b"")
    }

    pub(crate) fn run_with(&self, words: &[&str], stdin: &[u8]) -> host::Output {
        host::output(&self.command(&self.words("run", &[&["--rm"], words].concat())), stdin)
    }

    /// `run` of a container that stays when it has ended.
    pub(crate) fn run_kept(&self, name: &str, words: &[&str]) -> host::Output {
        self.call(&self.words("run", &[&["--name", name], words].concat()))
    }

    /// `run --rm`, with a terminal that this is typed into.
    pub(crate) fn run_at_terminal(&self, words: &[&str], typed: &str) -> host::Output {
        host::at_terminal(&self.command(&self.words("run", &[&["--rm"], words].concat())), typed)
    }

    /// The container succeeds and prints exactly this.
    pub(crate) fn prints(&self, words: &[&str], stdout: &str) {
        let output = self.run(words);
        assert_eq!((output.status, output.stdout.as_str()), (0, stdout), "{words:?}: {}", output.stderr);
    }

    /// Starts a container in the background, which stays when it has ended.
    pub(crate) fn detach(&self, name: &str, words: &[&str]) {
        let output = self.run_kept(name, &[&["--detach"], words].concat());
        assert_eq!(output.status, 0, "{name}: {output:?}");
    }

    /// The same, and waits until it has said "ready".
    pub(crate) fn start(&self, name: &str, words: &[&str]) {
        self.detach(name, words);
        assert!(host::eventually(|| self.ok(&["logs", name]).starts_with("ready")), "{name} is not ready");
    }

    /// Starts a container that sleeps, under this name and with these options.
    pub(crate) fn sleeper(&self, name: &str, options: &[&str]) {
        self.start(name, &[options, &[IMAGE, "sh", "-c", "echo ready; exec sleep 1000"]].concat());
    }

    /// One field of what `inspect` says about a container, as "State.Status".
    pub(crate) fn inspect(&self, name: &str, field: &str) -> String {
        self.ok(&["inspect", "--format", &format!("{{{{.{field}}}}}"), name]).trim().to_owned()
    }

    /// Ends a container, if it has not ended, and forgets it.
    pub(crate) fn remove(&self, name: &str) {
        let now: &[&str] = if self.kind == Kind::Podman { &["--time", "0"] } else { &[] };
        let words = [&["rm", "--force"], now, &[name]].concat();
        let first = self.call(&words);
        // podman 4 unmounts a container's shm without MNT_DETACH, and if that was busy for a moment, never again: with
        // any runtime, one time in twenty on a loaded machine.
        match first.stderr.split_whitespace().find(|word| word.ends_with("/userdata/shm:")) {
            Some(shm) if first.stderr.contains("device or resource busy") => {
                host::unmount(Path::new(shm.trim_end_matches(':')));
                self.ok(&words);
            }
            _ => assert_eq!(first.status, 0, "{} {words:?}: {}", self.client[0], first.stderr),
        }
    }

    /// Does the machine lose all of this container: its cgroups, and its state with the runtime?
    pub(crate) fn leaves_nothing_of(&self, id: &str) -> bool {
        let left = |name: &str| host::cgroups(&format!("{}/{name}", self.cgroup)).iter().any(|dir| dir.exists());
        host::eventually(|| !left(id) && !left(&format!("libpod-{id}")))
    }
}
