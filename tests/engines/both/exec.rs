//! One more process in a container.

use crate::engine::{Engine, Kind};
use crate::host;

pub(crate) fn exec(engine: &Engine) {
    engine.sleeper("exec", &["--hostname", "box", "--env", "FROM=run"]);
    let said = engine.ok(&["exec", "exec", "sh", "-c", "hostname; echo $FROM $HOME; test $$ -gt 1"]);
    assert_eq!(said, "box\nrun /root\n");
    assert_eq!(engine.call(&["exec", "exec", "sh", "-c", "exit 42"]).status, 42);
    assert_eq!(engine.call(&["exec", "exec", "sh", "-c", "kill -9 $$"]).status, 128 + 9);
    engine.remove("exec");
}

pub(crate) fn exec_options(engine: &Engine) {
    engine.sleeper("exec_options", &[]);
    let script = "id -u; id -g; pwd; echo $MORE $HOME";
    let words = ["exec", "--user", "ada", "--workdir", "/srv", "--env", "MORE=x", "exec_options", "sh", "-c", script];
    assert_eq!(engine.ok(&words), "1234\n5678\n/srv\nx /srv\n");
    engine.remove("exec_options");
}

pub(crate) fn exec_input(engine: &Engine) {
    engine.sleeper("exec_input", &[]);
    let text = "a line of input\n".repeat(1 << 12);
    let output = host::output(&engine.command(&["exec", "-i", "exec_input", "cat"]), text.as_bytes());
    assert!((output.status, output.stdout == text) == (0, true), "{}", output.stderr);
    engine.remove("exec_input");
}

pub(crate) fn exec_terminal(engine: &Engine) {
    engine.sleeper("exec_terminal", &[]);
    let output = engine.call(&["exec", "-t", "exec_terminal", "sh", "-c", "tty; test -t 0 && test -t 1 && echo both"]);
    assert_eq!(output.stdout.replace("\r\n", "\n"), "/dev/pts/0\nboth\n", "{}", output.stderr);
    let script = "while test \"$(stty size)\" != '31 99'; do sleep 0.05; done; read line; echo got $line; exit 7";
    let words = ["exec", "-it", "exec_terminal", "sh", "-c", script];
    let output = host::at_terminal(&engine.command(&words), "typed\n");
    assert!(output.status == 7 && output.stdout.contains("got typed"), "{output:?}");
    engine.remove("exec_terminal");
}

pub(crate) fn exec_detached(engine: &Engine) {
    engine.sleeper("exec_detached", &[]);
    engine.ok(&["exec", "--detach", "exec_detached", "sh", "-c", "echo done >/made; exec sleep 1000"]);
    assert!(host::eventually(|| engine.call(&["exec", "exec_detached", "cat", "/made"]).stdout == "done\n"));
    let column = if engine.kind == Kind::Podman { ["args"].as_slice() } else { &["-o", "pid,args"] };
    let listed = engine.ok(&[&["top", "exec_detached"], column].concat());
    assert_eq!(listed.lines().filter(|line| line.trim().ends_with("sleep 1000")).count(), 2, "{listed}");
    engine.remove("exec_detached");
}

/// (runc: see `identity::privileged`.)
pub(crate) fn exec_privileged(engine: &Engine) {
    engine.sleeper("exec_privileged", &["--cap-drop", "all"]);
    let bounding = |options: &[&str]| {
        let words = [&["exec"], options, &["exec_privileged", "grep", "CapBnd", "/proc/self/status"]].concat();
        u64::from_str_radix(engine.ok(&words).trim_start_matches("CapBnd:").trim(), 16).unwrap()
    };
    assert_eq!(bounding(&[]), 0);
    assert!(bounding(&["--privileged"]) >> 21 & 1 != 0, "CAP_SYS_ADMIN");
    engine.remove("exec_privileged");
}

/// Many at the same time, each with its own answer.
pub(crate) fn exec_many(engine: &Engine) {
    engine.sleeper("exec_many", &[]);
    std::thread::scope(|scope| {
        for status in 1..=6 {
            let script = format!("echo {status}; exit {status}");
            scope.spawn(move || {
                let output = engine.call(&["exec", "exec_many", "sh", "-c", &script]);
                assert_eq!((output.status, output.stdout), (status, format!("{status}\n")), "{}", output.stderr);
            });
        }
    });
    engine.remove("exec_many");
}
