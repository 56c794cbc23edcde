//! What a payload inherits: descriptors, signal dispositions, the session.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use crate::case;
use crate::support::{Case, Container, Kind, Need, Sandbox, behind};

pub fn cases() -> Vec<Case> {
    vec![
        case!(nothing_leaks).needs(&[Need::Probe]),
        case!(nothing_leaks_from_create).needs(&[Need::Probe]),
        case!(preserved_descriptors_stay).needs(&[Need::Probe]),
        case!(listen_fds_are_preserved).needs(&[Need::Probe]).differs(Kind::Runc, "1.1: only with `--preserve-fds`"),
        case!(closed_streams_are_not_replaced_by_something_else)
            .needs(&[Need::Probe])
            .differs(Kind::Crun, "1.8 fails to chown it")
            .differs(Kind::Runc, "a pipe of its own gets the number"),
        case!(signals_are_reset).needs(&[Need::Probe]),
        case!(session_is_new).needs(&[Need::Probe]),
        case!(directory_is_inside).needs(&[Need::Probe]),
        case!(streams_belong_to_the_user),
        case!(null_device_as_a_stream_keeps_its_owner)
            .needs(&[Need::UserNamespaces])
            .differs(Kind::Crun, "1.8 gives the host's device to the user"),
    ]
}

/// The command `run` for this container, after a shell has done something to what it inherits.
fn run_after(c: &Container, preparation: &str, options: &[&str]) -> Command {
    c.write_config();
    let own = c.command("run", options);
    behind(&["sh", "-c", &format!("{preparation}; exec \"$@\""), "sh"], &own)
}

const OPEN_SOME: &str = "exec 3</etc/passwd 4</ 5</proc 9</etc";

fn nothing_leaks(t: &Sandbox) {
    let mut c = t.container();
    c.probe("fds");
    assert_eq!(t.spawn(&mut run_after(&c, OPEN_SOME, &[])).wait().ok().trim(), "0 1 2");
}

fn nothing_leaks_from_create(t: &Sandbox) {
    let mut c = t.container();
    let created = c.probe("fds").created();
    c.start().ok();
    c.wait_until_stopped();
    assert_eq!(created.stdout().trim(), "0 1 2");
}

fn preserved_descriptors_stay(t: &Sandbox) {
    let mut c = t.container();
    c.probe("fds");
    assert_eq!(t.spawn(&mut run_after(&c, OPEN_SOME, &["--preserve-fds", "2"])).wait().ok().trim(), "0 1 2 3 4");
}

fn listen_fds_are_preserved(t: &Sandbox) {
    let mut c = t.container();
    c.env("LISTEN_FDS=2").probe("fds");
    let run = |c: &Container| t.spawn(run_after(c, OPEN_SOME, &[]).env("LISTEN_FDS", "2")).wait().ok();
    assert_eq!(run(&c).trim(), "0 1 2 3 4");
    c.sh("echo $LISTEN_FDS $LISTEN_PID $$");
    assert_eq!(run(&c), "2 1 1");
}

/// A closed stream must not come to life as one of the runtime's own files.
fn closed_streams_are_not_replaced_by_something_else(t: &Sandbox) {
    let mut c = t.container();
    c.sh("ls -l /proc/self/fd/0 2>/dev/null | sed 's/.* -> //'");
    let stdin = t.spawn(&mut run_after(&c, "exec 0<&-", &[])).wait().ok();
    assert!(["", "/dev/null"].contains(&stdin.as_str()), "{stdin}");
    c.probe("fds");
    let list = t.spawn(&mut run_after(&c, "exec 0<&-", &[])).wait().ok();
    assert!(list.split_whitespace().all(|fd| ["0", "1", "2"].contains(&fd)), "{list}");
}

/// Callers written in Go or Rust ignore SIGPIPE; shells in pipelines count on it.
fn signals_are_reset(t: &Sandbox) {
    let mut c = t.container();
    c.probe("signals");
    let ran = t.spawn(&mut run_after(&c, "trap '' PIPE USR1 INT", &[])).wait();
    assert_eq!(ran.ok(), "blocked:0");
}

fn session_is_new(t: &Sandbox) {
    let mut c = t.container();
    assert_eq!(c.probe("session").run().ok(), "pid=1 sid=1 pgrp=1 tty=none");
}

fn directory_is_inside(t: &Sandbox) {
    let mut c = t.container();
    assert_eq!(c.probe("cwd").run().ok(), "/");
}

/// So that a user can open `/dev/stdout`, as many images do with their logs.
fn streams_belong_to_the_user(t: &Sandbox) {
    let mut c = t.container();
    c.as_user(1000, 1000);
    assert_eq!(c.out("echo written >>/dev/stdout"), "written");
}

/// Streams are given to the user; a device of the host is not.
fn null_device_as_a_stream_keeps_its_owner(t: &Sandbox) {
    let node = t.path("null");
    let made = Command::new("mknod").arg(&node).args(["c", "1", "3"]).status();
    assert!(made.expect("mknod").success());
    let mut c = t.container();
    c.with_user_namespace().sh("cat; echo done").write_config();
    let mut command = c.command("run", &[]);
    assert_eq!(t.spawn(command.stdin(File::open(&node).expect("null"))).wait().ok(), "done");
    assert_eq!(fs::metadata(&node).expect("null").uid(), 0);
}
