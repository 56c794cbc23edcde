//! From the first start to the removal.

use crate::engine::{Engine, IMAGE, Kind};
use crate::host;
use std::fs;

// ---- the simple runs ------------------------------------------------------------------------------------------

pub(crate) fn echo(engine: &Engine) {
    engine.prints(&[IMAGE, "echo", "hello"], "hello\n");
}

pub(crate) fn exit_code(engine: &Engine) {
    assert_eq!(engine.run(&[IMAGE, "sh", "-c", "exit 42"]).status, 42);
    assert_eq!(engine.run(&[IMAGE, "sh", "-c", "kill -TERM $$"]).status, 0, "a shell as pid 1 ignores it");
}

pub(crate) fn stdin(engine: &Engine) {
    let text = "a line of input\n".repeat(1 << 16);
    let output = engine.run_with(&["-i", IMAGE, "cat"], text.as_bytes());
    assert_eq!((output.status, output.stdout.len()), (0, text.len()), "{}", output.stderr);
    assert!(output.stdout == text);
}

pub(crate) fn environment(engine: &Engine) {
    engine.prints(&["-e", "GREETING=good day", IMAGE, "sh", "-c", "echo $GREETING, $HOME"], "good day, /root\n");
}

/// The output has CR LF: the engine's side sees to that, whatever the runtime does.
pub(crate) fn terminal(engine: &Engine) {
    let script = "tty; test -t 0 && test -c /dev/console && echo through /dev/console >/dev/console";
    let output = engine.run(&["-t", IMAGE, "sh", "-c", script]);
    assert_eq!(output.stdout.replace("\r\n", "\n"), "/dev/pts/0\nthrough /dev/console\n", "{}", output.stderr);
}

/// From a person's terminal: what is typed arrives, and the window has the size of theirs.
pub(crate) fn terminal_of_a_person(engine: &Engine) {
    let script = "while test \"$(stty size)\" != '31 99'; do sleep 0.05; done; read line; echo got $line; exit 7";
    let output = engine.run_at_terminal(&["-it", IMAGE, "sh", "-c", script], "typed\n");
    assert!(output.status == 7 && output.stdout.contains("got typed"), "{output:?}");
}

// ---- the life of a container ----------------------------------------------------------------------------------

/// Says "ready", then waits for the signal that `trap` names and exits with 9.
fn until(signal: &str) -> String {
    format!("trap 'echo got {signal}; exit 9' {signal}; echo ready; while :; do sleep 0.05; done")
}

pub(crate) fn detached_logs_stop_rm(engine: &Engine) {
    engine.start("stopped", &[IMAGE, "sh", "-c", &until("TERM")]);
    engine.ok(&["stop", "--time", "10", "stopped"]);
    assert_eq!(engine.ok(&["logs", "stopped"]), "ready\ngot TERM\n");
    assert_eq!(engine.inspect("stopped", "State.ExitCode"), "9");
    engine.ok(&["rm", "stopped"]);
    assert_ne!(engine.call(&["container", "inspect", "stopped"]).status, 0);
}

/// One that does not listen is killed when its time is over.
pub(crate) fn stop_in_vain(engine: &Engine) {
    engine.start("deaf", &[IMAGE, "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"]);
    engine.ok(&["stop", "--time", "1", "deaf"]);
    assert_eq!(engine.inspect("deaf", "State.ExitCode"), "137");
    engine.ok(&["rm", "deaf"]);
}

pub(crate) fn start_again(engine: &Engine) {
    let first = engine.run_kept("again", &[IMAGE, "sh", "-c", "echo line >>/n; wc -l </n"]);
    assert_eq!(first.stdout, "1\n", "{first:?}");
    assert_eq!(engine.ok(&["start", "--attach", "again"]), "2\n");
    engine.ok(&["rm", "again"]);
}

pub(crate) fn restart(engine: &Engine) {
    engine.sleeper("restarted", &[]);
    let before = engine.inspect("restarted", "State.Pid");
    engine.ok(&["restart", "--time", "0", "restarted"]);
    assert_ne!(engine.inspect("restarted", "State.Pid"), before);
    assert_eq!(engine.inspect("restarted", "State.Status"), "running");
    engine.remove("restarted");
}

/// One that fails is started again, as often as was said.
pub(crate) fn restart_policy(engine: &Engine) {
    engine.detach("failing", &["--restart", "on-failure:2", IMAGE, "sh", "-c", "echo try; exit 3"]);
    let ended = || engine.inspect("failing", "State.Status") == "exited";
    assert!(host::eventually(|| engine.inspect("failing", "RestartCount") == "2" && ended()));
    assert_eq!(engine.inspect("failing", "State.ExitCode"), "3");
    assert_eq!(engine.ok(&["logs", "failing"]), "try\ntry\ntry\n");
    engine.remove("failing");
}

pub(crate) fn ps_and_inspect(engine: &Engine) {
    engine.sleeper("seen", &[]);
    assert_eq!(engine.inspect("seen", "State.Status"), "running");
    // The pid is the container's first process as the host sees it.
    let pid = engine.inspect("seen", "State.Pid");
    let comm = || fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    assert!(host::eventually(|| comm() == "sleep\n"), "pid {pid} is {:?}", comm());
    assert_eq!(engine.ok(&["ps", "--filter", "name=seen", "--format", "{{.Names}}"]), "seen\n");
    engine.ok(&["kill", "seen"]);
    assert_eq!(engine.ok(&["wait", "seen"]), "137\n");
    assert_eq!(engine.inspect("seen", "State.Status"), "exited");
    engine.ok(&["rm", "seen"]);
}

pub(crate) fn kill_with_signal(engine: &Engine) {
    engine.start("signalled", &[IMAGE, "sh", "-c", &until("USR1")]);
    engine.ok(&["kill", "--signal", "USR1", "signalled"]);
    assert_eq!(engine.ok(&["wait", "signalled"]), "9\n");
    assert_eq!(engine.ok(&["logs", "signalled"]), "ready\ngot USR1\n");
    engine.ok(&["rm", "signalled"]);
}

pub(crate) fn two_at_once(engine: &Engine) {
    for name in ["one", "two"] {
        engine.start(name, &["--hostname", name, IMAGE, "sh", "-c", "echo ready; hostname; exec sleep 1000"]);
    }
    let status = |name| engine.inspect(name, "State.Status");
    assert_eq!([status("one"), status("two")], ["running"; 2]);
    engine.remove("one");
    assert_eq!(status("two"), "running");
    assert_eq!(engine.ok(&["logs", "two"]), "ready\ntwo\n");
    engine.remove("two");
}

/// What waits at the terminal or the streams of a container can come later.
pub(crate) fn attach(engine: &Engine) {
    let script = "echo ready; read line; echo got $line; exit 5";
    engine.start("attached", &["-i", IMAGE, "sh", "-c", script]);
    // What comes back is not looked at: both clients may leave when they have nothing more to send.
    host::output(&engine.command(&["attach", "attached"]), b"later\n");
    assert_eq!(engine.ok(&["wait", "attached"]), "5\n");
    assert_eq!(engine.ok(&["logs", "attached"]), "ready\ngot later\n");
    engine.ok(&["rm", "attached"]);
}

/// A paused container does nothing, takes no second pause and no exec, and goes on where it was.
pub(crate) fn pause(engine: &Engine) {
    engine.start("paused", &[IMAGE, "sh", "-c", "echo ready; while :; do echo tick; sleep 0.02; done"]);
    engine.ok(&["pause", "paused"]);
    assert_eq!(engine.inspect("paused", "State.Status"), "paused");
    let ticks = || engine.ok(&["logs", "paused"]).len();
    // What was on its way when it froze may still come.
    let moment = || std::thread::sleep(std::time::Duration::from_millis(200));
    moment();
    let before = ticks();
    moment();
    assert_eq!(ticks(), before);
    let exec = engine.call(&["exec", "paused", "true"]);
    assert!(exec.status != 0 && exec.stderr.contains("paused") || exec.stderr.contains("running"), "{exec:?}");
    assert_ne!(engine.call(&["pause", "paused"]).status, 0);
    engine.ok(&["unpause", "paused"]);
    assert_ne!(engine.call(&["unpause", "paused"]).status, 0);
    assert!(host::eventually(|| ticks() > before));
    assert_eq!(engine.ok(&["exec", "paused", "echo", "awake"]), "awake\n");
    engine.remove("paused");
}

/// SIGKILL reaches a paused container too, through `rm --force`.
pub(crate) fn remove_while_paused(engine: &Engine) {
    engine.sleeper("frozen", &[]);
    let id = engine.inspect("frozen", "Id");
    engine.ok(&["pause", "frozen"]);
    engine.remove("frozen");
    assert!(engine.leaves_nothing_of(&id));
}

/// The first process of the container is an init that reaps, and the program is its child.
pub(crate) fn init(engine: &Engine) {
    let name = if engine.kind == Kind::Podman { "podman-init" } else { "docker-init" };
    let output = engine.run(&["--init", IMAGE, "sh", "-c", "cat /proc/1/comm; test $$ != 1"]);
    assert_eq!((output.status, output.stdout), (0, format!("{name}\n")), "{}", output.stderr);
}

pub(crate) fn top(engine: &Engine) {
    engine.sleeper("topped", &["--user", "1234"]);
    let listed = engine.ok(&["top", "topped"]);
    let line = listed.lines().nth(1).unwrap_or_default();
    assert!(line.contains("sleep 1000") && listed.lines().count() == 2, "{listed}");
    engine.remove("topped");
}

/// What the engine counts, from the cgroups that the runtime made.
pub(crate) fn stats(engine: &Engine) {
    engine.sleeper("counted", &["--memory", "64m"]);
    let format = "{{.Name}} {{.PIDs}} {{.MemUsage}}";
    let said = engine.ok(&["stats", "--no-stream", "--format", format, "counted"]);
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!((words[0], words[1]), ("counted", "1"), "{said}");
    assert!(said.contains("64MiB") || said.contains("67.11MB"), "{said}");
    assert!(!words[2].starts_with('0'), "{said}");
    engine.remove("counted");
}

/// What the engine tells of a container's life, which it knows from the runtime's exit codes and the exit of init.
pub(crate) fn events(engine: &Engine) {
    engine.sleeper("told", &[]);
    engine.ok(&["pause", "told"]);
    engine.ok(&["unpause", "told"]);
    engine.ok(&["kill", "told"]);
    engine.ok(&["wait", "told"]);
    let until: &[&str] = if engine.kind == Kind::Podman { &["--stream=false"] } else { &["--until", "1s"] };
    let words =
        [&["events", "--since", "10m", "--filter", "container=told", "--format", "{{.Status}}"], until].concat();
    let heard = || engine.ok(&words);
    for event in ["create", "start", "pause", "unpause", "die"] {
        assert!(host::eventually(|| heard().lines().any(|line| line.starts_with(event))), "{event}: {}", heard());
    }
    engine.remove("told");
}

/// `commit` and `diff` see what the container wrote.
pub(crate) fn diff_and_commit(engine: &Engine) {
    let ran = engine.run_kept("wrote", &[IMAGE, "sh", "-c", "echo kept >/srv/file"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(engine.ok(&["diff", "wrote"]).contains("A /srv/file"));
    engine.ok(&["commit", "wrote", "committed"]);
    engine.prints(&["committed", "cat", "/srv/file"], "kept\n");
    engine.ok(&["rm", "wrote"]);
    engine.ok(&["rmi", "committed"]);
}

/// `RUN` of a Containerfile is a container of its own for each line.
pub(crate) fn build(engine: &Engine) {
    let dir = engine.dir.join("context");
    fs::create_dir(&dir).unwrap();
    let text = "FROM busybox\nRUN echo built >/built && test $(id -u) = 0\nUSER ada\nRUN test $(id -u) = 1234\n\
                WORKDIR /srv\nENV NAME=value\nRUN [\"/bin/sh\", \"-c\", \"test $PWD = /srv && test $NAME = value\"]\n\
                CMD [\"cat\", \"/built\"]\n";
    fs::write(dir.join("Dockerfile"), text).unwrap();
    let path = dir.to_str().unwrap();
    engine.ok(&["build", "--quiet", "--network", "none", "--tag", "built", path]);
    engine.prints(&["built"], "built\n");

    fs::write(dir.join("Dockerfile"), "FROM busybox\nRUN exit 3\n").unwrap();
    let output = engine.call(&["build", "--network", "none", path]);
    assert!(output.status != 0, "{output:?}");
    let said = output.stdout + &output.stderr;
    assert!(said.contains("returned a non-zero code: 3") || said.contains("exit status 3"), "{said}");
    engine.ok(&["rmi", "built"]);
}
