//! Conformance: what any OCI runtime binary has to do, asserted by what the kernel says.
//!
//! `cargo test --test conformance` tests isopod; `RUNTIME=crun` or `RUNTIME=/usr/sbin/runc` before it runs the same
//! tests against another runtime. There a test may be marked as a known difference: it is then expected to fail, and
//! `docs/differences.md` says what the difference is and why isopod does what it does.

// A test program has no interface, so all that is public in it is public to itself.
#![allow(unreachable_pub)]

// Each test program uses its own part of it.
#[allow(dead_code, unused_imports)]
#[path = "../support/mod.rs"]
mod support;

mod binary;
mod budget;
mod cgroup;
mod cli;
mod descriptors;
mod device_rules;
mod devices;
mod downgrade;
mod errors;
mod exe;
mod exec;
mod hooks;
mod ladders;
mod lifecycle;
mod limits;
mod live_mounts;
mod masks;
mod mounts;
mod namespaces;
mod nested;
mod netdevices;
mod notify;
mod plan;
mod process;
mod rdt;
mod rootless;
mod scheduling;
mod seccomp;
mod signals;
mod supervision;
mod systemd;
mod terminal;
mod verbs;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use support::{Case, Runtime, Session, trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime: &'static Runtime = Box::leak(Box::new(Runtime::chosen()));
    let session = Session::begin(runtime);
    println!("{:?}: {}", runtime.kind, runtime.path.display());
    let cases = cases();
    if let Ok(denied) = std::env::var("DENIED") {
        return downgrade::main(arguments, &denied, &runtime.path, &cases);
    }
    let mut trials = vec![differences_are_documented(&cases)];
    trials.extend(cases.into_iter().map(|case| trial(case, runtime)));
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(session);
    conclusion.exit_code()
}

fn cases() -> Vec<Case> {
    let modules = [
        namespaces::cases(),
        nested::cases(),
        netdevices::cases(),
        mounts::cases(),
        devices::cases(),
        device_rules::cases(),
        masks::cases(),
        plan::cases(),
        process::cases(),
        binary::cases(),
        rootless::cases(),
        budget::cases(),
        cgroup::cases(),
        lifecycle::cases(),
        limits::cases(),
        ladders::cases(),
        errors::cases(),
        exe::cases(),
        exec::cases(),
        hooks::cases(),
        cli::cases(),
        descriptors::cases(),
        signals::cases(),
        supervision::cases(),
        terminal::cases(),
        verbs::cases(),
        scheduling::cases(),
        seccomp::cases(),
        systemd::cases(),
        notify::cases(),
        rdt::cases(),
        live_mounts::cases(),
    ];
    modules.into_iter().flatten().collect()
}

/// The page and the code name the same tests.
fn differences_are_documented(cases: &[Case]) -> Trial {
    let page = include_str!("../../docs/differences.md");
    let differing = cases.iter().filter(|case| case.has_differences());
    let missing: Vec<&str> = differing.map(Case::name).filter(|name| !page.contains(&format!("`{name}`"))).collect();
    let outcome = if missing.is_empty() { Ok(()) } else { Err(format!("not in docs/differences.md: {missing:?}")) };
    Trial::test("differences_are_documented", move || Ok(outcome?))
}
