//! Faults: each system call that a command makes before it executes anything, in each of its processes, fails once
//! with each errno that it can give, and dies once. Whatever happens: nothing hangs; a failure is one line that says
//! what failed and why; a payload that runs has every restriction that its config asks for; nothing is left behind, or
//! after a death nothing that `delete --force` does not remove.
//!
//! The runtime is the test build (`cargo build --release --features faults --target-dir target/faults`), whose path is
//! in `FAULTS_RUNTIME`. One errno for each call is tried, every fourth call is a death, and `FAULTS=all` tries them all.

// A test program has no interface, so all that is public in it is public to itself.
#![allow(unreachable_pub)]

// It is made for more than this.
#[allow(dead_code, unused_imports)]
#[path = "../support/mod.rs"]
mod support;

mod downgrade;
mod errnos;
mod oracle;
mod order;
mod release;
mod subject;
mod subjects;
mod sweep;

use std::path::PathBuf;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use support::{Case, Kind, Runtime, Session, trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let release: &'static Runtime = Box::leak(Box::new(Runtime::chosen()));
    let session = Session::begin(release);
    let mut trials: Vec<Trial> =
        [release::cases(), downgrade::cases()].into_iter().flatten().map(|case| trial(case, release)).collect();
    match std::env::var_os("FAULTS_RUNTIME").map(PathBuf::from) {
        Some(path) => {
            let faulty: &'static Runtime = Box::leak(Box::new(Runtime { path, kind: Kind::Isopod, denied: None }));
            trials.extend(ruled().into_iter().map(|case| trial(case, faulty)));
        }
        None => trials.extend(ruled().iter().map(|case| {
            let why = "FAULTS_RUNTIME names no test build";
            Trial::test(case.name(), || Ok(())).with_kind(why).with_ignored_flag(true)
        })),
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(session);
    sweep::print_totals();
    conclusion.exit_code()
}

/// What needs the test build.
fn ruled() -> Vec<Case> {
    release::counter_cases().into_iter().chain(subjects::cases()).collect()
}
