//! Attacks: every way out of a container, or into the host, that the advisories of this field tell of, done by hand.
//!
//! Each test reads in the attacker's order: what is set up, what is done, what must hold. It is run twice: on isopod,
//! where the attack must not come through, and (`(seen)`) on a runtime that defends nothing (`naive`), where it must:
//! else the test would prove nothing. What cannot be shown on that one carries its proof in itself. `docs/attacks.md`
//! has a line for each advisory and names the test.
//!
//! `RUNTIME=crun cargo test --test attacks` shows what another runtime withstands. `ATTACK_STARTS` is how often a race
//! is run; the default is for every day.

// A test program has no interface, so all that is public in it is public to itself.
#![allow(unreachable_pub)]

// Each test program uses its own part of it.
#[allow(dead_code, unused_imports)]
#[path = "../support/mod.rs"]
mod support;

mod breach;
mod callers;
mod cgroups;
mod descriptors;
mod devices;
mod identity;
mod joining;
mod lattice;
mod links;
mod naive;
mod page;
mod parsers;
mod procfs;
mod program;
mod races;
mod volumes;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use support::{Case, Kind, Runtime, Session, seen, trial};

/// One attack, and how it is shown that its test would see it.
pub struct Attack {
    case: Case,
    /// It is also carried out on the naive runtime.
    on_naive: bool,
}

impl Attack {
    pub fn new(case: Case) -> Attack {
        Attack { case, on_naive: true }
    }

    pub fn needs(self, needs: &[support::Need]) -> Attack {
        Attack { case: self.case.needs(needs), ..self }
    }

    /// The test itself does what the attack is about without the runtime's defence, and sees it.
    pub fn proves_itself(self) -> Attack {
        Attack { on_naive: false, ..self }
    }
}

/// A line of a module's table.
#[macro_export]
macro_rules! attack {
    ($body:ident) => {
        $crate::Attack::new($crate::case!($body))
    };
}

fn main() -> ExitCode {
    let mut words = std::env::args();
    let name = words.next().unwrap_or_default();
    // The name that it is copied to, and the one that an ordinary user's copy has.
    if ["naive", "runtime"].iter().any(|own| name.ends_with(&format!("/{own}"))) {
        naive::main(words);
    }
    let arguments = Arguments::from_args();
    let runtime: &'static Runtime = Box::leak(Box::new(Runtime::chosen()));
    let session = Session::begin(runtime);
    println!("{:?}: {}", runtime.kind, runtime.path.display());
    let victim = Victim::new();
    let attacks = attacks();
    let mut trials = page::trials(&attacks);
    for Attack { case, on_naive } in attacks {
        if on_naive && runtime.kind == Kind::Isopod {
            trials.push(seen(case.clone(), victim.runtime));
        }
        trials.push(trial(case, runtime));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop((session, victim));
    conclusion.exit_code()
}

fn attacks() -> Vec<Attack> {
    let modules = [
        links::attacks(),
        races::attacks(),
        procfs::attacks(),
        devices::attacks(),
        descriptors::attacks(),
        program::attacks(),
        identity::attacks(),
        joining::attacks(),
        cgroups::attacks(),
        callers::attacks(),
        parsers::attacks(),
        lattice::attacks(),
        volumes::attacks(),
    ];
    modules.into_iter().flatten().collect()
}

/// The runtime that defends nothing: a copy of this program in a directory of its own.
struct Victim {
    dir: std::path::PathBuf,
    runtime: &'static Runtime,
}

impl Victim {
    fn new() -> Victim {
        let dir = std::env::temp_dir().join(format!("naive-{}", std::process::id()));
        std::fs::create_dir(&dir).expect("mkdir");
        let path = dir.join("naive");
        support::copy_program(&std::env::current_exe().expect("this program"), &path);
        let runtime = Box::leak(Box::new(Runtime::at(path)));
        assert_eq!(runtime.kind, Kind::Naive);
        Victim { dir, runtime }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// How often a race is run, unless somebody wants it more often.
pub fn starts(usual: u32) -> u32 {
    std::env::var("ATTACK_STARTS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
