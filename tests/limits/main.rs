//! What there is much of: mounts, containers, starts at once. What there is little of is in `conformance/ladders.rs`,
//! which takes less time.
//!
//! `cargo test --test limits`; `RUNTIME` names another runtime, as in the conformance tests.

// A test program has no interface, so all that is public in it is public to itself.
#![allow(unreachable_pub)]
// Some of what they share, only the conformance tests use.
#![allow(dead_code, unused_imports)]

#[path = "../support/mod.rs"]
mod support;

use std::process::{Command, ExitCode};

use jzon::object;
use libtest_mimic::{Arguments, Trial};
use support::{Case, Ran, Running, Runtime, Sandbox, Session, behind, refused_in_one_line, trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime: &'static Runtime = Box::leak(Box::new(Runtime::chosen()));
    let session = Session::begin(runtime);
    let cases = vec![
        case!(a_thousand_mounts),
        case!(five_thousand_mounts_of_the_host),
        case!(starts_at_once),
        case!(one_of_many_gets_the_name),
        case!(a_thousand_containers),
    ];
    let trials: Vec<Trial> = cases.into_iter().map(|case: Case| trial(case, runtime)).collect();
    // Each of them has the machine for itself.
    let arguments = Arguments { test_threads: Some(1), ..arguments };
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(session);
    conclusion.exit_code()
}

#[track_caller]
fn nothing_is_left(t: &Sandbox) {
    t.wait_for_processes();
    assert_eq!((t.states(), t.cgroups()), (vec![], vec![]));
}

/// Runs so many commands at a time.
fn in_batches(size: usize, commands: impl Iterator<Item = Running>) -> Vec<Ran> {
    let (mut ran, mut running) = (Vec::new(), Vec::new());
    for command in commands {
        running.push(command);
        if running.len() == size {
            ran.extend(running.drain(..).map(Running::wait));
        }
    }
    ran.extend(running.into_iter().map(Running::wait));
    ran
}

/// Half of them bind mounts, half file systems of their own.
fn a_thousand_mounts(t: &Sandbox) {
    let mut c = t.container();
    let source = t.path("source");
    std::fs::create_dir(&source).expect("mkdir");
    for number in 0..500 {
        c.mkdir(&format!("/m/{number}")).mkdir(&format!("/n/{number}"));
        c.bind(&format!("/m/{number}"), &source, &["ro"]);
        c.mount(&format!("/n/{number}"), "tmpfs", "tmpfs", &["size=4k"]);
    }
    assert_eq!(c.out("grep -c ' /[mn]/[0-9]* ' /proc/self/mountinfo"), "1000");
    nothing_is_left(t);
}

/// In a mount namespace of the test's own, where the runtime is root of the host all the same.
fn five_thousand_mounts_of_the_host(t: &Sandbox) {
    let mut c = t.container();
    let dir = t.path("many");
    for name in ["a", "b"] {
        std::fs::create_dir_all(dir.join(name)).expect("mkdir");
    }
    // 100 in one directory, and that directory in 50 others.
    let script = r#"cd "$0"; mount -t tmpfs a a; mount -t tmpfs b b; n=0
        while [ $n -lt 100 ]; do mkdir a/$n; mount -t tmpfs x a/$n || exit 9; n=$((n + 1)); done; n=0
        while [ $n -lt 50 ]; do mkdir b/$n; mount --rbind a b/$n || exit 9; n=$((n + 1)); done
        [ "$(wc -l < /proc/self/mountinfo)" -gt 5000 ] || exit 9
        exec "$@""#;
    let runtime = c.sh("grep -c . /proc/self/mountinfo").write_config_for("run");
    let before = ["unshare", "--mount", "--propagation=private", "sh", "-c", script, dir.to_str().expect("UTF-8")];
    let seen: usize = t.spawn(&mut behind(&before, &runtime)).wait().ok().parse().expect("a number");
    assert!(seen < 100, "{seen} mounts in the container");
    nothing_is_left(t);
}

fn starts_at_once(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"].remove("cgroupsPath");
    c.config["linux"]["resources"]["pids"] = object! { limit: 8 };
    c.args(&["/bin/true"]).write_config();
    let bundle = c.bundle.to_str().expect("path");
    let started: Vec<_> = (0..64).map(|_| t.start(&["run", "--bundle", bundle, &t.new_id()])).collect();
    for one in started {
        one.wait().ok();
    }
    nothing_is_left(t);
}

fn one_of_many_gets_the_name(t: &Sandbox) {
    let mut c = t.container();
    c.args(&["/bin/sleep", "600"]).write_config();
    let started: Vec<_> = (0..64).map(|_| t.spawn(&mut c.command("create", &[]))).collect();
    let (won, lost): (Vec<Ran>, Vec<Ran>) = started.into_iter().map(Running::wait).partition(|ran| ran.code == 0);
    assert_eq!(won.len(), 1);
    for ran in lost {
        ran.fails(&[&format!("container `{}` already exists", c.id)]);
    }
    assert_eq!(c.status(), "created");
    c.force_delete().ok();
    nothing_is_left(t);
}

fn a_thousand_containers(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"].remove("cgroupsPath");
    c.args(&["/bin/sleep", "6000"]).write_config();
    let bundle = c.bundle.to_str().expect("path");
    let ids: Vec<String> = (0..1000).map(|_| t.new_id()).collect();
    let each = |words: &[&str]| {
        for ran in in_batches(8, ids.iter().map(|id| t.start(&[words, &[id]].concat()))) {
            ran.ok();
        }
    };
    each(&["run", "--detach", "--bundle", bundle]);
    let listed = t.rt(&["list"]).ok();
    assert_eq!(listed.lines().filter(|line| line.contains(" running ")).count(), 1000, "{listed}");
    assert_eq!(t.processes().len(), 1000);
    // One more is as good as the first.
    assert_eq!(t.container().out("echo there"), "there");
    each(&["pause"]);
    each(&["delete", "--force"]);
    nothing_is_left(t);
}
