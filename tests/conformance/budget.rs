//! What a start may cost. Only what does not depend on the machine's speed is counted here; times are for the bench.

use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc;

use crate::case;
use crate::support::{Case, Container, Need, Sandbox, read};

const MORE: &str = "it takes more";

pub fn cases() -> Vec<Case> {
    vec![
        case!(system_calls_of_a_run).needs(&[Need::Program("strace"), Need::Linux(5, 12)]).isopod_only(MORE),
        case!(system_calls_of_an_exec).needs(&[Need::Program("strace"), Need::Linux(5, 12)]).isopod_only(MORE),
    ]
}

/// Of all processes together, until the program takes over, with the config of `spec`.
fn system_calls_of_a_run(t: &Sandbox) {
    let mut c = t.container();
    make_like_spec(t, &mut c);
    let run = c.args(&["/bin/true"]).write_config_for("run");
    // The first one also makes the directory of all states.
    c.run().ok();
    expect_at_most(256, t, &run);
}

/// The same, of an `exec` into such a container, if nobody has to look for HOME.
fn system_calls_of_an_exec(t: &Sandbox) {
    let mut c = t.container();
    make_like_spec(t, &mut c);
    c.env("HOME=/").started();
    expect_at_most(114, t, &c.exec_command(&[], &["/bin/true"]));
}

fn make_like_spec(t: &Sandbox, c: &mut Container<'_>) {
    let spec = t.path("spec.json");
    t.rt(&["spec", "--file", spec.to_str().expect("path")]).ok();
    c.config = jzon::parse(&read(&spec)).expect("JSON");
    c.config["process"]["terminal"] = false.into();
}

#[allow(unsafe_code)]
#[track_caller]
fn expect_at_most(budget: usize, t: &Sandbox, command: &Command) {
    let trace = t.path("trace");
    // Signals that whoever runs the tests has ignored, as nohup does, would be three calls more.
    let mut strace = Command::new("env");
    strace
        .args(["--default-signal", "strace", "-f", "-o"])
        .arg(&trace)
        .arg(command.get_program())
        .args(command.get_args());
    // And his descriptors would lie between those of the runtime, which then take more calls to close.
    let close = || {
        // SAFETY: closes nothing before the execution.
        match unsafe { libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_int) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: it makes one system call.
    unsafe { strace.pre_exec(close) };
    t.spawn(&mut strace).wait().ok();
    let trace = read(&trace);
    let mut program = None;
    let mut calls = 0;
    for line in trace.lines() {
        let (pid, call) = line.split_once(' ').expect("a process and its call");
        let call = call.trim_start();
        if program == Some(pid) || !call.starts_with(|first: char| first.is_ascii_lowercase()) {
            // What the program itself does, the second halves of calls, signals and ends.
            continue;
        }
        calls += 1;
        if call.starts_with("execve(\"/bin/true\"") {
            program = Some(pid);
        }
    }
    assert!(program.is_some(), "{trace}");
    assert!(calls <= budget, "{calls} calls:\n{trace}");
}
