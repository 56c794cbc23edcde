//! Terminals: a pty in the container, handed over the console socket or relayed to the caller's own terminal.

use std::os::unix::fs::symlink;

use jzon::{array, object};

use crate::case;
use crate::support::{Case, ConsoleSocket, Container, Kind, Need, Pty, Sandbox, eventually};

pub fn cases() -> Vec<Case> {
    vec![
        case!(master_comes_over_the_socket),
        case!(runtime_writes_nothing_to_the_terminal),
        case!(input_goes_through_the_terminal),
        case!(output_has_no_carriage_return)
            .differs(Kind::Crun, "ONLCR stays set")
            .differs(Kind::Runc, "left to the one who gets the master"),
        case!(size_of_the_config),
        case!(console_is_the_terminal),
        case!(terminal_belongs_to_the_user),
        case!(terminal_controls_the_session).needs(&[Need::Probe]),
        case!(detached_run_with_a_socket),
        case!(socket_with_a_long_path).differs(Kind::Runc, "no longer than 108 bytes"),
        case!(socket_that_is_not_there_is_refused),
        case!(create_without_a_socket_is_refused),
        case!(detached_run_without_a_socket_is_refused),
        case!(socket_without_a_terminal_is_refused_or_ignored),
        case!(terminal_in_a_user_namespace).needs(&[Need::UserNamespaces]),
        case!(foreground_relays_both_ways),
        case!(foreground_passes_signals_on),
        case!(foreground_of_a_program_that_ends_at_once),
        case!(foreground_starts_with_the_window_size)
            .differs(Kind::Crun, "1.8: 0 by 0 until it changes")
            .unsteady(Kind::Runc, "set after the payload has been started"),
        case!(foreground_follows_the_window_size).differs(Kind::Crun, "1.8 does not pass changes on"),
        case!(foreground_restores_the_terminal),
        case!(generated_config_runs_as_it_is),
        case!(callers_terminal_is_out_of_reach).needs(&[Need::Probe]),
    ]
}

fn with_terminal<'a>(t: &'a Sandbox, script: &str) -> Container<'a> {
    let mut c = t.container();
    c.config["process"]["terminal"] = true.into();
    c.sh(script);
    c
}

/// Creates and starts the container and takes its terminal.
fn started(t: &Sandbox, c: &Container) -> Pty {
    let socket = ConsoleSocket::new(t);
    c.create_with(&["--console-socket", socket.name()]).exits(0);
    let terminal = socket.receive();
    c.start().ok();
    terminal
}

/// All that a script writes to its terminal, without carriage returns.
fn terminal_output(t: &Sandbox, c: &Container) -> String {
    started(t, c).read_to_end().replace('\r', "").trim_end().to_owned()
}

fn master_comes_over_the_socket(t: &Sandbox) {
    let c = with_terminal(t, "tty; for fd in 0 1 2; do test -t $fd && echo $fd; done");
    assert_eq!(terminal_output(t, &c), "/dev/pts/0\n0\n1\n2");
}

/// Its warnings are for the caller, not for whoever is at the container's terminal.
fn runtime_writes_nothing_to_the_terminal(t: &Sandbox) {
    let mut c = with_terminal(t, "echo payload");
    c.config["process"]["capabilities"]["ambient"] = array!["CAP_KILL"];
    c.config["process"]["capabilities"]["bounding"].push("CAP_MADE_UP").expect("push");
    assert_eq!(terminal_output(t, &c), "payload");
}

fn input_goes_through_the_terminal(t: &Sandbox) {
    let c = with_terminal(t, "stty -echo; echo ready; read line; echo got:$line");
    let mut terminal = started(t, &c);
    terminal.expect("ready");
    terminal.write("a line\n");
    terminal.expect("got:a line");
}

fn output_has_no_carriage_return(t: &Sandbox) {
    let c = with_terminal(t, "echo one; echo two");
    assert_eq!(started(t, &c).read_to_end(), "one\ntwo\n");
}

fn size_of_the_config(t: &Sandbox) {
    let mut c = with_terminal(t, "stty size");
    c.config["process"]["consoleSize"] = object! { height: 31, width: 97 };
    assert_eq!(terminal_output(t, &c), "31 97");
}

fn console_is_the_terminal(t: &Sandbox) {
    let c = with_terminal(t, "stat -L -c '%F %t' /dev/console; echo written >/dev/console");
    assert_eq!(terminal_output(t, &c), "character special file 88\nwritten");
}

fn terminal_belongs_to_the_user(t: &Sandbox) {
    let mut c = with_terminal(t, "stat -c %u $(tty); echo x >$(tty)");
    c.as_user(1000, 1000);
    assert_eq!(terminal_output(t, &c), "1000\nx");
}

fn terminal_controls_the_session(t: &Sandbox) {
    let mut c = with_terminal(t, "");
    c.probe("session");
    assert_eq!(terminal_output(t, &c), "pid=1 sid=1 pgrp=1 tty=yes");
}

fn detached_run_with_a_socket(t: &Sandbox) {
    let socket = ConsoleSocket::new(t);
    let c = with_terminal(t, "echo over the socket; sleep 600");
    c.run_with(&["--detach", "--console-socket", socket.name()]).exits(0);
    socket.receive().expect("over the socket");
}

fn socket_with_a_long_path(t: &Sandbox) {
    let long = t.path(&"l".repeat(150));
    let short = t.path("short");
    std::fs::create_dir(&long).expect("mkdir");
    symlink(&long, &short).expect("symlink");
    let socket = ConsoleSocket::at(&short.join("s"));
    let c = with_terminal(t, "echo here");
    c.create_with(&["--console-socket", long.join("s").to_str().expect("path")]).exits(0);
    let mut terminal = socket.receive();
    c.start().ok();
    terminal.expect("here");
}

fn socket_that_is_not_there_is_refused(t: &Sandbox) {
    let c = with_terminal(t, "true");
    c.create_with(&["--console-socket", "/there/is/none"]).is_refused();
    assert_eq!((t.states(), t.cgroups()), (vec![], vec![]));
}

fn create_without_a_socket_is_refused(t: &Sandbox) {
    with_terminal(t, "true").create().is_refused();
    if t.is(Kind::Isopod) {
        with_terminal(t, "true").create().fails(&["use --console-socket with create when a terminal is used"]);
    }
}

fn detached_run_without_a_socket_is_refused(t: &Sandbox) {
    with_terminal(t, "true").run_with(&["--detach"]).is_refused();
}

/// Either way: no terminal where none was asked for.
fn socket_without_a_terminal_is_refused_or_ignored(t: &Sandbox) {
    let socket = ConsoleSocket::new(t);
    let mut c = t.container();
    let ran = c.sh("test -t 1 || echo none").create_with(&["--console-socket", socket.name()]);
    if ran.code == 0 {
        c.start().ok();
        eventually("the payload runs", || ran.stdout() == "none\n");
    }
}

fn terminal_in_a_user_namespace(t: &Sandbox) {
    let mut c = with_terminal(t, "tty; stat -c %u $(tty)");
    c.with_user_namespace();
    assert_eq!(terminal_output(t, &c), "/dev/pts/0\n0");
}

fn foreground_relays_both_ways(t: &Sandbox) {
    let c = with_terminal(t, "stty -echo; echo ready; read line; echo $((line * 2)); exit 5");
    let mut terminal = Pty::open();
    let mut child = terminal.attach(&c.write_config_for("run"));
    terminal.expect("ready");
    terminal.write("21\r");
    terminal.expect("42");
    assert_eq!(child.wait().expect("wait").code(), Some(5));
}

fn foreground_passes_signals_on(t: &Sandbox) {
    let c = with_terminal(t, "trap 'echo got it; exit 9' USR1; echo ready; while :; do sleep 0.01; done");
    let mut terminal = Pty::open();
    let mut child = terminal.attach(&c.write_config_for("run"));
    terminal.expect("ready");
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGUSR1).expect("kill");
    terminal.expect("got it");
    assert_eq!(child.wait().expect("wait").code(), Some(9));
}

/// Its end may come before anybody waits for it.
fn foreground_of_a_program_that_ends_at_once(t: &Sandbox) {
    for _ in 0..20 {
        let c = with_terminal(t, "exit 3");
        let mut terminal = Pty::open();
        let mut child = terminal.attach(&c.write_config_for("run"));
        assert_eq!(child.wait().expect("wait").code(), Some(3), "{}", terminal.read_to_end());
    }
}

fn foreground_starts_with_the_window_size(t: &Sandbox) {
    let c = with_terminal(t, "stty size; echo ready");
    let mut terminal = Pty::open();
    terminal.resize(30, 90);
    let mut child = terminal.attach(&c.write_config_for("run"));
    let first = terminal.expect("ready");
    assert!(first.contains("30 90"), "{first:?}");
    child.wait().expect("wait");
}

fn foreground_follows_the_window_size(t: &Sandbox) {
    let c = with_terminal(t, "trap 'stty size' WINCH; echo ready; while :; do sleep 0.02; done");
    let mut terminal = Pty::open();
    let mut child = terminal.attach(&c.write_config_for("run"));
    terminal.expect("ready");
    terminal.resize(33, 44);
    terminal.expect("33 44");
    c.kill("KILL").ok();
    assert_eq!(child.wait().expect("wait").code(), Some(128 + 9));
}

fn foreground_restores_the_terminal(t: &Sandbox) {
    let c = with_terminal(t, "echo ready; sleep 0.05");
    let mut terminal = Pty::open();
    let before = terminal.settings();
    let mut child = terminal.attach(&c.write_config_for("run"));
    terminal.expect("ready");
    child.wait().expect("wait");
    assert_eq!(terminal.settings(), before);
}

fn generated_config_runs_as_it_is(t: &Sandbox) {
    let c = t.container();
    let bundle = c.bundle.to_str().expect("bundle").to_owned();
    t.rt(&["spec", "--bundle", &bundle]).ok();
    let mut terminal = Pty::open();
    let mut child = terminal.attach(&c.command("run", &[]));
    terminal.write("echo $((6 * 7)) in $PWD; exit 3\r");
    terminal.expect("42 in /");
    assert_eq!(child.wait().expect("wait").code(), Some(3));
}

/// Without a terminal of its own, a container must not be able to type into the caller's.
fn callers_terminal_is_out_of_reach(t: &Sandbox) {
    let mut c = t.container();
    c.probe("tiocsti").capabilities(&[]);
    let mut terminal = Pty::open();
    let mut child = terminal.attach(&c.write_config_for("run"));
    let seen = terminal.expect("0");
    assert_eq!(child.wait().expect("wait").code(), Some(0), "{seen}{}", terminal.read_to_end());
}
