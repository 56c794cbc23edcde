//! One test as its table shows it, and what becomes of it on this machine with this runtime.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::RwLock;

use libtest_mimic::{Failed, Trial};

use super::denied::{self, Denied};
use super::host;
use super::probe;
use super::runtime::{Kind, Runtime};
use super::sandbox::Sandbox;
use super::user;

pub type Body = fn(&Sandbox);

/// What a test wants from the machine. A test whose need is not met is ignored, never passed.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// This controller, usable on either version of cgroups.
    Controller(&'static str),
    /// This controller, usable on cgroup v1.
    V1(&'static str),
    /// This controller, usable on cgroup v2.
    V2(&'static str),
    /// The C probe, so a compiler that links statically.
    Probe,
    UserNamespaces,
    /// No resctrl file system where it is usually mounted.
    NoResctrl,
    /// A program on PATH.
    Program(&'static str),
    /// An ordinary user, who may make user namespaces.
    User,
    /// The same with ids in `/etc/subuid`, and newuidmap(1).
    SubordinateIds,
    /// A hierarchy of cgroups where a stand-in for systemd can make scopes.
    PlaceForSystemd,
    /// systemd itself, with cgroup v2.
    Systemd,
    /// At least so many processors that this process may run on.
    Processors(usize),
    /// Somebody who enforces device rules: the controller of cgroup v1, or the kernel's own on v2.
    DeviceRules,
    /// At least this version of the kernel.
    Linux(u32, u32),
}

impl Need {
    /// Why this machine does not have it.
    fn lacking(self) -> Option<String> {
        match self {
            Need::Controller(name) => host::controller(name)
                .or_else(|| host::unified(name))
                .is_none()
                .then(|| format!("no {name} controller in the cgroups")),
            Need::V1(name) => host::controller(name).is_none().then(|| format!("no {name} controller on cgroup v1")),
            Need::V2(name) => host::unified(name).is_none().then(|| format!("no {name} controller on cgroup v2")),
            Need::Linux(major, minor) => {
                (host::linux() < (major, minor)).then(|| format!("needs Linux {major}.{minor}"))
            }
            Need::DeviceRules => host::controller("devices")
                .or_else(|| host::unified("memory"))
                .is_none()
                .then(|| "nothing enforces device rules".into()),
            Need::PlaceForSystemd => (host::controller("name=systemd").is_none() && host::unified("memory").is_none())
                .then(|| "no hierarchy of cgroups for systemd".into()),
            Need::Systemd => (!std::path::Path::new("/run/systemd/private").exists()
                || host::unified("memory").is_none())
            .then(|| "no systemd with cgroup v2".into()),
            Need::NoResctrl => std::path::Path::new("/sys/fs/resctrl/schemata")
                .exists()
                .then(|| "there is a resctrl file system".into()),
            Need::Program(name) => std::env::var_os("PATH")
                .is_none_or(|path| !std::env::split_paths(&path).any(|directory| directory.join(name).exists()))
                .then(|| format!("no {name}")),
            Need::Probe => probe::path().err(),
            Need::User => user::user().err().or_else(|| Need::UserNamespaces.lacking()),
            Need::SubordinateIds => Need::User.lacking().or_else(|| {
                let installed = std::path::Path::new("/usr/bin/newuidmap").exists();
                let has_ids = user::user().is_ok_and(|user| user.subuid.is_some());
                (!installed || !has_ids).then(|| "no newuidmap, or useradd gives no subordinate ids".into())
            }),
            Need::Processors(count) => std::thread::available_parallelism()
                .is_ok_and(|have| have.get() < count)
                .then(|| format!("fewer than {count} processors")),
            Need::UserNamespaces => (host::read("/proc/sys/user/max_user_namespaces").trim() == "0")
                .then(|| "user namespaces are switched off".into()),
        }
    }
}

/// One test: a name, what it needs, whose behaviour is known to differ, and the function.
#[derive(Clone)]
pub struct Case {
    name: &'static str,
    body: Body,
    needs: Vec<Need>,
    differs: Vec<(Kind, &'static str)>,
    unsteady: Vec<(Kind, &'static str)>,
    alone: bool,
}

impl Case {
    pub fn new(path: &'static str, body: Body) -> Case {
        let name = path.split_once("::").map_or(path, |(_, rest)| rest);
        Case { name, body, needs: Vec::new(), differs: Vec::new(), unsteady: Vec::new(), alone: false }
    }

    pub fn needs(mut self, needs: &[Need]) -> Case {
        self.needs.extend_from_slice(needs);
        self
    }

    /// This runtime is expected to fail the test, for a reason that `docs/differences.md` states at length.
    pub fn differs(mut self, kind: Kind, why: &'static str) -> Case {
        self.differs.push((kind, why));
        self
    }

    /// This runtime now passes and now fails: a race of its own, of which a test says nothing. Ignored there.
    pub fn unsteady(mut self, kind: Kind, why: &'static str) -> Case {
        self.unsteady.push((kind, why));
        self
    }

    /// While it runs, no other test does: it is about something that they would take from it.
    pub fn alone(mut self) -> Case {
        self.alone = true;
        self
    }

    /// What is right by isopod's own rules and nobody else's: its flags, its error form, its refusals.
    pub fn isopod_only(self, why: &'static str) -> Case {
        self.differs(Kind::Crun, why).differs(Kind::Runc, why)
    }

    /// Why this machine cannot run it.
    pub fn lacking(&self) -> Option<String> {
        host::unfit().or_else(|| self.needs.iter().find_map(|need| need.lacking()))
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    pub fn has_differences(&self) -> bool {
        !self.differs.is_empty() || !self.unsteady.is_empty()
    }
}

/// The case as libtest-mimic runs it.
pub fn trial(case: Case, runtime: &'static Runtime) -> Trial {
    let name = case.name;
    let unsteady = case.unsteady.iter().find(|(kind, _)| *kind == runtime.kind);
    match case.lacking().or_else(|| unsteady.map(|(_, why)| format!("{:?}: {why}", runtime.kind))) {
        Some(why) => Trial::test(name, || Ok(())).with_kind(why).with_ignored_flag(true),
        None => Trial::test(name, move || verdict(&case, runtime)),
    }
}

/// What comes of a test when its runtime is denied a system call.
pub enum Outcome {
    /// It does without.
    Passed,
    /// These verbs were refused for that reason, and nothing is left.
    Refused(Vec<String>),
    Failed(String),
}

/// What cannot be killed is left, of course.
pub fn outcome(case: &Case, runtime: &'static Runtime, denied: &'static Denied) -> Outcome {
    denied::listen(denied);
    let ended = in_sandbox(case, runtime);
    let verdict = ended.verdict();
    let verbs = denied::end(verdict.as_ref().err().map_or("", String::as_str));
    let Err(said) = verdict else { return Outcome::Passed };
    let cleaned = ended.leftovers.is_empty() || verbs.iter().any(|verb| ["kill", "delete"].contains(&verb.as_str()));
    match (verbs.is_empty(), cleaned) {
        (true, _) => Outcome::Failed(said),
        (false, true) => Outcome::Refused(verbs),
        (false, false) => Outcome::Failed(format!("{said}\nleft behind: {}", ended.leftovers.join(", "))),
    }
}

/// How an attack says that it came through: the beginning of what it panics with.
pub const BREACH: &str = "the attack came through";

/// The same attack on a runtime that does not withstand it. It has to come through, or the test is blind.
pub fn seen(case: Case, victim: &'static Runtime) -> Trial {
    let name = format!("{} (seen)", case.name);
    match case.lacking() {
        Some(why) => Trial::test(name, || Ok(())).with_kind(why).with_ignored_flag(true),
        None => Trial::test(name, move || match in_sandbox(&case, victim).verdict() {
            Err(said) if said.contains(BREACH) => Ok(()),
            Err(said) => Err(format!("fails, but not because the attack came through: {said}").into()),
            Ok(()) => Err("holds, although nothing is defended".into()),
        }),
    }
}

/// A known difference turns the outcome round: the test has to fail, or the record of the difference is out of date.
fn verdict(case: &Case, runtime: &'static Runtime) -> Result<(), Failed> {
    let outcome = in_sandbox(case, runtime).verdict();
    let difference = case.differs.iter().find(|(kind, _)| *kind == runtime.kind);
    match (outcome, difference) {
        (outcome, None) => outcome.map_err(Failed::from),
        (Err(_), Some(_)) => Ok(()),
        (Ok(()), Some((_, why))) => Err(format!("passes, although a difference is recorded: {why}").into()),
    }
}

/// How a test has ended.
struct Ended {
    /// What it panicked with.
    panic: Option<String>,
    leftovers: Vec<String>,
}

impl Ended {
    fn verdict(&self) -> Result<(), String> {
        match &self.panic {
            Some(said) => Err(said.clone()),
            None if self.leftovers.is_empty() => Ok(()),
            None => Err(format!("left behind: {}", self.leftovers.join(", "))),
        }
    }
}

fn in_sandbox(case: &Case, runtime: &'static Runtime) -> Ended {
    static OTHERS: RwLock<()> = RwLock::new(());
    let _quiet = if case.alone { (None, OTHERS.write().ok()) } else { (OTHERS.read().ok(), None) };
    let sandbox = Sandbox::new(runtime);
    let panicked = catch_unwind(AssertUnwindSafe(|| (case.body)(&sandbox))).is_err();
    let leftovers = sandbox.close();
    Ended { panic: panicked.then(|| LAST_PANIC.take()), leftovers }
}

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Assertions panic; the message goes into the result of the test instead of between the lines of other tests.
pub(super) fn collect_panics() {
    std::panic::set_hook(Box::new(|info| LAST_PANIC.set(info.to_string())));
}
