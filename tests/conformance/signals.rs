//! The foreground: signals passed on, children reaped, the exit code handed through.

use std::fs;

use nix::sys::signal::Signal;

use crate::case;
use crate::support::{Case, Need, Running, Sandbox, eventually, read};

pub fn cases() -> Vec<Case> {
    vec![
        case!(signals_are_passed_on).needs(&[Need::Probe]),
        case!(payload_that_dies_of_a_passed_on_signal),
        case!(children_are_reaped),
        case!(killed_foreground_leaves_a_container_that_can_be_deleted),
        case!(payload_that_ends_at_once),
    ]
}

#[track_caller]
fn wait_for(running: &Running, text: &str) {
    eventually(text, || running.stdout().contains(text));
}

fn signals_are_passed_on(t: &Sandbox) {
    let mut c = t.container();
    let running = c.probe("await").start_run(&[]);
    wait_for(&running, "ready");
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGQUIT, Signal::SIGTERM] {
        running.send(signal);
        wait_for(&running, &format!("signal:{}\n", signal as i32));
    }
    running.wait().exits(7);
}

fn payload_that_dies_of_a_passed_on_signal(t: &Sandbox) {
    let mut c = t.container();
    let running = c.without_namespace("pid").sh("echo ready; exec sleep 600").start_run(&[]);
    wait_for(&running, "ready");
    running.send(Signal::SIGTERM);
    running.wait().exits(128 + 15);
}

/// Orphans of a payload without a pid namespace come to the runtime.
fn children_are_reaped(t: &Sandbox) {
    let mut c = t.container();
    c.without_namespace("pid").sh("for n in 1 2 3 4; do (sleep 0.01 & ); done; echo ready; sleep 600");
    let running = c.start_run(&[]);
    wait_for(&running, "ready");
    let pid = running.pid();
    let of_thread = |thread: std::io::Result<fs::DirEntry>| read(thread.expect("thread").path().join("children"));
    let threads = || fs::read_dir(format!("/proc/{pid}/task")).expect("threads");
    let children = || threads().map(|thread| of_thread(thread).split_whitespace().count()).sum::<usize>();
    eventually("only the payload is left", || children() == 1);
    c.kill("KILL").ok();
    running.wait().exits(128 + 9);
}

fn killed_foreground_leaves_a_container_that_can_be_deleted(t: &Sandbox) {
    let mut c = t.container();
    let running = c.sh("echo ready; sleep 600").start_run(&[]);
    wait_for(&running, "ready");
    running.send(Signal::SIGKILL);
    running.wait().exits(-9);
    assert_eq!(c.status(), "running");
    c.force_delete().ok();
    t.wait_for_processes();
}

/// Over before anybody could look.
fn payload_that_ends_at_once(t: &Sandbox) {
    let mut c = t.container();
    for _ in 0..20 {
        c.args(&["/bin/true"]).run().exits(0);
        c.args(&["/bin/false"]).run().exits(1);
    }
}
