//! Commands that are tried: how each comes to its beginning, and what its end has to be.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::oracle::{leftovers, removal_by, report, settle};
use crate::order::{DEATH, Fault, Order};
use crate::support::{Container, Ran, Sandbox, eventually, read};
use crate::sweep::{Attempt, sweep};

pub struct Subject<'a> {
    pub t: &'a Sandbox,
    pub c: Container<'a>,
    order: Order,
    /// What hooks write to, a line each, so that a run without one of them shows.
    witness: Option<PathBuf>,
    /// Options that come before the verb, and variables of each command.
    options: Vec<&'static str>,
    variables: Vec<(&'static str, String)>,
    /// The calls that it is about, if it is otherwise like others.
    own: Option<&'static [&'static str]>,
    /// What is done before each attempt.
    before: Box<dyn Fn() + 'a>,
}

impl<'a> Subject<'a> {
    pub fn new(t: &'a Sandbox, c: Container<'a>) -> Subject<'a> {
        c.write_config();
        // Whoever the runtime is run by, or becomes, has it mapped.
        let order = Order::new(t.path("order"));
        let (options, variables) = (Vec::new(), Vec::new());
        Subject { t, c, order, witness: None, options, variables, own: None, before: Box::new(|| ()) }
    }

    pub fn with_witness(self, path: PathBuf) -> Subject<'a> {
        Subject { witness: Some(path), ..self }
    }

    pub fn with_option(mut self, option: &'static str) -> Subject<'a> {
        self.options.push(option);
        self
    }

    pub fn with_variable(mut self, name: &'static str, value: &str) -> Subject<'a> {
        self.variables.push((name, value.to_owned()));
        self
    }

    /// It is like others but for these calls.
    pub fn about_calls(self, own: &'static [&'static str]) -> Subject<'a> {
        Subject { own: Some(own), ..self }
    }

    pub fn before(self, before: impl Fn() + 'a) -> Subject<'a> {
        Subject { before: Box::new(before), ..self }
    }

    /// The command with what belongs to each of them.
    fn dressed(&self, command: Command) -> Command {
        let mut command = if self.options.is_empty() { command } else { with_options(&command, &self.options) };
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn removal(&self) -> Vec<String> {
        let mut command = self.dressed(self.t.command(&["delete", "--force", &self.c.id]));
        removal_by(self.t, &self.c, &mut command)
    }

    /// What the payload has said, and what the hooks have.
    fn reported(&self, by: &Ran) -> String {
        let mut text = report(&by.stdout());
        // Who is killed may have been in the middle of a line.
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        if let (Some(path), false) = (&self.witness, text.is_empty()) {
            text += &read(path);
        }
        text
    }

    /// Takes away what hooks wrote in another attempt.
    fn forget(&self) {
        (self.before)();
        if let Some(path) = &self.witness {
            fs::write(path, "").expect("write");
        }
    }

    /// Runs a command that obeys the order.
    fn ruled(&self, command: Command, fault: Option<Fault>) -> (Ran, Attempt) {
        self.order.give(fault);
        self.watched(self.order.rule(&mut self.dressed(command)))
    }

    /// Runs a command; what came of it.
    fn watched(&self, command: &mut Command) -> (Ran, Attempt) {
        let (ran, hung) = self.t.spawn(command).wait_or_kill();
        let code = if hung { None } else { Some(ran.code) };
        (ran, Attempt { code, ..Attempt::default() })
    }

    fn plain(&self, words: &[&str]) -> (Ran, Attempt) {
        self.watched(&mut self.dressed(self.t.command(words)))
    }

    /// After a failure nothing is left; after a death, or if it was the cleaning up that failed, `delete --force` does it.
    fn nothing_left(&self, attempt: &mut Attempt, fault: Option<Fault>) {
        if attempt.code.is_none_or(|code| code < 0) && fault.is_some_and(|fault| fault.errno == DEATH) {
            attempt.trouble.extend(self.removal());
            return;
        }
        let left = leftovers(self.t, &self.c.id);
        if left.is_empty() {
            return;
        }
        /// How the words of one begin that could not clean up.
        const CLEANING: &[&str] = &[
            "remove cgroup",
            "remove state",
            "wait for the end of cgroup",
            "kill cgroup",
            "kill process",
            "lock container",
            "stat container",
        ];
        let said = attempt.stderr.concat();
        let excused = fault.is_some_and(|fault| fault.errno == DEATH)
            || attempt.code.is_none()
            || CLEANING.iter().any(|words| said.contains(words));
        if !excused {
            attempt.trouble.extend(left.into_iter().map(|what| format!("left behind: {what}")));
        }
        attempt.trouble.extend(self.removal());
    }

    /// `run` in the foreground.
    pub fn run(&self, options: &[&str]) {
        sweep(&self.order, self.own, &|fault| {
            self.forget();
            let (ran, mut attempt) = self.ruled(self.c.command("run", options), fault);
            attempt.report = self.reported(&ran);
            attempt.stderr = vec![ran.stderr()];
            self.nothing_left(&mut attempt, fault);
            attempt
        });
    }

    /// `create`; what becomes of it is seen when it is started.
    pub fn create(&self, options: &[&str]) {
        sweep(&self.order, self.own, &|fault| {
            self.forget();
            let (ran, mut attempt) = self.ruled(self.c.command("create", options), fault);
            if attempt.code == Some(0) {
                let (started, start) = self.plain(&["start", &self.c.id]);
                self.wait_for_end(&mut attempt);
                eventually("the container stops", || {
                    let ran = self.plain(&["state", &self.c.id]).0;
                    ran.code != 0 || ran.stdout().contains("\"stopped\"")
                });
                attempt.report = self.reported(&ran);
                attempt.stderr = vec![ran.stderr(), started.stderr()];
                if start.code != Some(0) {
                    // It says for itself what init, in what `create` was given to write to, has said of itself.
                    attempt.stderr.remove(0);
                }
                if start.code != Some(0) || attempt.report.is_empty() {
                    // Init could still fail, and has said why; or die.
                    let said = attempt.stderr.concat().is_empty();
                    attempt.code = start.code.filter(|code| *code != 0).or(Some(if said { 137 } else { 1 }));
                }
                let (deleted, delete) = self.plain(&["delete", &self.c.id]);
                if delete.code != Some(0) && start.code == Some(0) {
                    attempt.trouble.push(format!("delete: {deleted}"));
                }
                attempt
                    .trouble
                    .extend(leftovers(self.t, &self.c.id).into_iter().map(|what| format!("left behind: {what}")));
                if !attempt.trouble.is_empty() {
                    attempt.trouble.extend(self.removal());
                }
            } else {
                attempt.stderr = vec![ran.stderr()];
                self.nothing_left(&mut attempt, fault);
            }
            attempt
        });
    }

    /// `start` of what was created without a fault.
    pub fn start(&self, options: &[&str]) {
        sweep(&self.order, self.own, &|fault| {
            self.forget();
            let created = self.t.spawn(&mut self.dressed(self.c.command("create", options))).wait();
            created.exits(0);
            let (ran, mut attempt) = self.ruled(self.t.command(&["start", &self.c.id]), fault);
            attempt.stderr = vec![ran.stderr()];
            if attempt.code == Some(0) {
                self.wait_for_end(&mut attempt);
            }
            let witnessed = self.reported(&created);
            attempt.trouble.extend(self.removal());
            // It may have come to it only now; but what is run at the end is another matter.
            attempt.report = if witnessed.is_empty() { report(&created.stdout()) } else { witnessed };
            if !created.stderr().is_empty() {
                attempt.stderr.push(created.stderr());
            }
            attempt
        });
    }

    /// `exec` in a container that sleeps and outlives all of it.
    pub fn exec(&self, options: &[&str], words: &[&str]) {
        sweep(&self.order, self.own, &|fault| {
            if self.t.processes().is_empty() {
                self.sleep();
            }
            let (ran, mut attempt) = self.ruled(self.c.exec_command(options, words), fault);
            attempt.stderr = vec![ran.stderr()];
            attempt.report = report(&ran.stdout());
            let more = settle(&|| self.t.processes().iter().skip(1).map(|pid| format!("process {pid}")).collect());
            attempt.report = report(&ran.stdout());
            let status = self.plain(&["state", &self.c.id]).0.stdout();
            if !status.contains("\"running\"") {
                attempt.trouble.push(format!("the container does not run any more: {status}"));
            }
            attempt.trouble.extend(more.iter().map(|what| format!("left behind: {what}")));
            if !attempt.trouble.is_empty() || fault.is_none() {
                attempt.trouble.extend(self.removal());
            }
            attempt
        });
        self.c.force_delete();
    }

    /// A command about a container that sleeps; `check` says what is wrong after its success.
    pub fn about(&self, words: &[&str], prepare: &dyn Fn(), check: &dyn Fn(&Ran) -> Option<String>) {
        self.about_or_not(words, prepare, check, &|_| None);
    }

    /// The same; and `undone` says what is wrong after its failure.
    pub fn about_or_not(
        &self,
        words: &[&str],
        prepare: &dyn Fn(),
        check: &dyn Fn(&Ran) -> Option<String>,
        undone: &dyn Fn(&Ran) -> Option<String>,
    ) {
        let mut args: Vec<&str> = vec![words[0]];
        args.extend(words[1..].iter().map(|word| if *word == "ID" { self.c.id.as_str() } else { word }));
        sweep(&self.order, self.own, &|fault| {
            (self.before)();
            self.sleep();
            prepare();
            let (ran, mut attempt) = self.ruled(self.t.command(&args), fault);
            attempt.stderr = vec![ran.stderr()];
            // Who is told that something is not there may well be content, and take away nothing.
            let content = attempt.code == Some(0) && fault.is_some_and(|fault| fault.errno == nix::libc::ENOENT as u32);
            if attempt.code == Some(0) && !content {
                attempt.trouble.extend(check(&ran));
            }
            if attempt.code == Some(1) {
                attempt.trouble.extend(undone(&ran));
            }
            let left = self.removal();
            attempt.trouble.extend(left.into_iter().filter(|_| !content));
            attempt
        });
    }

    /// Makes the container that sleeps.
    fn sleep(&self) {
        self.t.spawn(&mut self.dressed(self.c.command("run", &["--detach"]))).wait().exits(0);
    }

    fn wait_for_end(&self, attempt: &mut Attempt) {
        let left = settle(&|| self.t.processes().iter().map(|pid| format!("process {pid}")).collect());
        if !left.is_empty() {
            attempt.trouble.extend(left.into_iter().map(|what| format!("does not end: {what}")));
        }
    }
}

/// The same command with more options before its verb.
fn with_options(command: &Command, options: &[&str]) -> Command {
    let mut other = Command::new(command.get_program());
    other.args(options).args(command.get_args()).stdin(Stdio::null());
    other.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(directory) = command.get_current_dir() {
        other.current_dir(directory);
    }
    other
}
