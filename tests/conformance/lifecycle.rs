//! The life of a container: created, running, stopped, gone; and what each command does in each state.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::case;
use crate::support::{Case, Kind, Sandbox, eventually, read};

pub fn cases() -> Vec<Case> {
    vec![
        case!(forced_delete_keeps_the_exit_code).differs(Kind::Crun, "an error of its own clean-up takes its place"),
        case!(run_gives_the_payloads_exit_code),
        case!(run_gives_128_and_the_signal),
        case!(run_removes_the_container),
        case!(run_with_keep).differs(Kind::Crun, "1.8 does not know the option"),
        case!(run_detached),
        case!(standard_streams_are_the_callers),
        case!(create_does_not_start_the_payload),
        case!(states_from_created_to_stopped),
        case!(state_has_its_fields),
        case!(create_fails_when_the_program_is_missing),
        case!(pid_file),
        case!(pid_file_of_a_detached_run),
        case!(start_twice_is_refused),
        case!(start_of_a_stopped_container_is_refused),
        case!(start_of_a_created_container_that_was_killed_is_refused),
        case!(one_of_many_starts_wins).unsteady(Kind::Runc, "now and then a loser hangs"),
        case!(existing_id_is_refused),
        case!(one_of_many_creates_wins).unsteady(Kind::Runc, "now and then all of them lose"),
        case!(kill_sends_the_signal),
        case!(kill_takes_names_and_numbers).differs(Kind::Runc, "no names for realtime signals"),
        case!(kill_of_a_created_container),
        case!(kill_of_a_stopped_container_is_refused),
        case!(kill_with_an_unknown_signal_is_refused).differs(Kind::Crun, "1.8 sends signal 0"),
        case!(kill_all),
        case!(delete_of_a_created_container),
        case!(delete_of_a_running_container_is_refused),
        case!(delete_force_of_a_running_container),
        case!(delete_force_in_the_hosts_pid_namespace),
        case!(delete_force_of_nothing),
        case!(config_is_read_once),
        case!(list_names_and_table),
        case!(list_json),
        case!(list_of_nothing),
        case!(init_that_dies_stops_the_container),
        case!(many_containers_at_once),
        case!(killed_delete_can_be_repeated),
        case!(killed_runtime_leaves_nothing_that_delete_cannot_clean),
    ]
}

fn run_gives_the_payloads_exit_code(t: &Sandbox) {
    for code in [0, 1, 3, 127, 255] {
        t.container().sh(&format!("exit {code}")).run().exits(code);
    }
}

fn run_gives_128_and_the_signal(t: &Sandbox) {
    // A signal that process 1 of a pid namespace sends to itself is ignored; so another process 1 it is.
    let mut c = t.container();
    c.without_namespace("pid");
    c.sh("kill -KILL $$").run().exits(128 + 9);
    c.sh("kill -TERM $$").run().exits(128 + 15);
}

fn run_removes_the_container(t: &Sandbox) {
    let c = &mut t.container();
    c.sh("true").run().ok();
    assert_eq!(t.states(), Vec::<String>::new());
    c.about("state", &[]).is_refused();
}

fn run_with_keep(t: &Sandbox) {
    let c = &mut t.container();
    c.sh("exit 3").run_with(&["--keep"]).exits(3);
    assert_eq!(c.status(), "stopped");
    c.delete().ok();
}

fn run_detached(t: &Sandbox) {
    let c = &mut t.container();
    c.sh("echo out; sleep 600").run_with(&["--detach"]).exits(0);
    assert_eq!(c.status(), "running");
    c.kill("KILL").ok();
    c.wait_until_stopped();
    c.delete().ok();
}

fn standard_streams_are_the_callers(t: &Sandbox) {
    let c = &mut t.container();
    c.sh("cat; echo error >&2").write_config();
    let input = t.file("input", "from stdin\n");
    let mut command = c.command("run", &[]);
    let ran = t.spawn(command.stdin(std::fs::File::open(input).expect("input"))).wait();
    ran.exits(0);
    assert_eq!((ran.stdout().as_str(), ran.stderr().as_str()), ("from stdin\n", "error\n"));
}

fn create_does_not_start_the_payload(t: &Sandbox) {
    let c = &mut t.container();
    let created = c.sh("echo started").created();
    // It is there and waits; nothing but `start` makes it go on.
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!((c.status().as_str(), created.stdout().as_str()), ("created", ""));
    c.start().ok();
    eventually("the payload runs", || created.stdout() == "started\n");
}

fn states_from_created_to_stopped(t: &Sandbox) {
    let c = &mut t.container();
    c.args(&["/bin/sleep", "600"]).created();
    assert_eq!(c.status(), "created");
    c.start().ok();
    assert_eq!(c.status(), "running");
    c.kill("KILL").ok();
    c.wait_until_stopped();
    assert_eq!(c.state()["pid"].as_i32().unwrap_or(0), 0);
    c.delete().ok();
    c.about("state", &[]).is_refused();
}

fn state_has_its_fields(t: &Sandbox) {
    let c = &mut t.container();
    c.config["annotations"]["org.example.key"] = "a \"value\"\n".into();
    c.args(&["/bin/sleep", "600"]).created();
    let state = c.state();
    assert_eq!(state["id"], c.id.as_str());
    assert_eq!(state["bundle"], c.bundle.to_str().expect("bundle"));
    assert_eq!(state["annotations"]["org.example.key"], "a \"value\"\n");
    assert!(state["ociVersion"].as_str().expect("ociVersion").starts_with("1."));
    let pid = state["pid"].as_i32().expect("pid");
    assert!(
        read(format!("/proc/{pid}/cgroup")).contains(&c.id) || read(format!("/proc/{pid}/status")).contains("NSpid")
    );
    let created = state["created"].as_str().expect("created");
    assert!(created.starts_with("20") && created.ends_with('Z') && created.contains('T'), "{created}");
}

fn create_fails_when_the_program_is_missing(t: &Sandbox) {
    let c = &mut t.container();
    c.args(&["/no/such/program"]).create().fails(&["/no/such/program"]);
    assert_eq!(t.states(), Vec::<String>::new());
}

fn pid_file(t: &Sandbox) {
    let c = &mut t.container();
    let file = t.path("pid");
    c.args(&["/bin/sleep", "600"]).create_with(&["--pid-file", file.to_str().expect("path")]).exits(0);
    let text = read(&file);
    assert_eq!(text, c.pid().to_string(), "decimal, and nothing else");
    assert!(std::path::Path::new(&format!("/proc/{text}")).exists());
}

fn pid_file_of_a_detached_run(t: &Sandbox) {
    let c = &mut t.container();
    let file = t.path("pid");
    c.args(&["/bin/sleep", "600"]).run_with(&["--detach", "--pid-file", file.to_str().expect("path")]).exits(0);
    assert_eq!(read(&file), c.pid().to_string());
}

fn start_twice_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    c.start().is_refused();
    assert_eq!(c.status(), "running");
}

fn start_of_a_stopped_container_is_refused(t: &Sandbox) {
    let c = &mut t.container();
    c.sh("true").created();
    c.start().ok();
    c.wait_until_stopped();
    c.start().is_refused();
}

/// Its fifo is still there, but nobody reads from it.
fn start_of_a_created_container_that_was_killed_is_refused(t: &Sandbox) {
    let c = &mut t.container();
    c.sh("true").created();
    c.kill("KILL").ok();
    c.wait_until_stopped();
    c.start().is_refused();
    assert_eq!(c.status(), "stopped");
}

fn one_of_many_starts_wins(t: &Sandbox) {
    let c = &mut t.container();
    let created = c.sh("echo started; sleep 600").created();
    let starts: Vec<_> = (0..6).map(|_| t.start(&["start", &c.id])).collect();
    let won = starts.into_iter().map(|start| start.wait()).filter(|ran| ran.code == 0).count();
    assert_eq!(won, 1);
    eventually("the payload runs", || created.stdout() == "started\n");
    assert_eq!(c.status(), "running");
}

fn existing_id_is_refused(t: &Sandbox) {
    let mut c = t.container();
    let pid = c.started();
    c.create().is_refused();
    c.run().is_refused();
    // And nothing has happened to the one that was there.
    assert_eq!((c.status().as_str(), c.pid()), ("running", pid));
    assert!(!t.cgroups().is_empty());
}

fn one_of_many_creates_wins(t: &Sandbox) {
    let c = &mut t.container();
    c.args(&["/bin/sleep", "600"]).write_config();
    let creates: Vec<_> = (0..6).map(|_| t.spawn(&mut c.command("create", &[]))).collect();
    let won = creates.into_iter().map(|create| create.wait()).filter(|ran| ran.code == 0).count();
    assert_eq!(won, 1);
    assert_eq!(c.status(), "created");
    c.start().ok();
    assert_eq!(c.status(), "running");
}

fn kill_sends_the_signal(t: &Sandbox) {
    let c = &mut t.container();
    let created =
        c.sh("trap 'echo usr1' USR1; trap 'echo term; exit' TERM; echo ready; while :; do sleep 0.01; done").created();
    c.start().ok();
    eventually("ready", || created.stdout().contains("ready"));
    c.kill("USR1").ok();
    eventually("USR1 arrives", || created.stdout().contains("usr1"));
    // Without a word it is SIGTERM.
    c.about("kill", &[]).ok();
    eventually("TERM arrives", || created.stdout().ends_with("term\n"));
    c.wait_until_stopped();
}

fn kill_takes_names_and_numbers(t: &Sandbox) {
    for signal in ["KILL", "SIGKILL", "9"] {
        let mut c = t.container();
        c.started();
        c.kill(signal).ok();
        c.wait_until_stopped();
    }
    let mut c = t.container();
    c.started();
    // Ignored by process 1, but they have to be understood.
    for signal in ["HUP", "SIGUSR2", "WINCH", "RTMIN", "RTMIN+3", "RTMAX", "SIGRTMAX-2", "28"] {
        c.kill(signal).ok();
    }
}

fn kill_of_a_created_container(t: &Sandbox) {
    let c = &mut t.container();
    c.sh("true").created();
    c.kill("KILL").ok();
    c.wait_until_stopped();
    c.delete().ok();
}

fn kill_of_a_stopped_container_is_refused(t: &Sandbox) {
    let c = &mut t.container();
    c.sh("true").created();
    c.start().ok();
    c.wait_until_stopped();
    c.kill("TERM").is_refused();
}

fn kill_with_an_unknown_signal_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    for signal in ["NONSENSE", "SIGNONSENSE", "9x", "-1", "65"] {
        c.kill(signal).is_refused();
    }
    assert_eq!(c.status(), "running");
}

fn kill_all(t: &Sandbox) {
    let c = &mut t.container();
    c.without_namespace("pid");
    let created = c.sh("sleep 600 & sleep 601 & echo ready; wait").created();
    c.start().ok();
    eventually("ready", || created.stdout().contains("ready"));
    t.rt(&["kill", "--all", &c.id, "KILL"]).ok();
    t.wait_for_processes();
    c.wait_until_stopped();
}

fn delete_of_a_created_container(t: &Sandbox) {
    let c = &mut t.container();
    c.sh("true").created();
    c.delete().ok();
    t.wait_for_processes();
    assert_eq!(t.states(), Vec::<String>::new());
}

fn delete_of_a_running_container_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    c.delete().is_refused();
    assert_eq!(c.status(), "running");
}

fn delete_force_of_a_running_container(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    c.force_delete().ok();
    assert_eq!((t.processes(), t.states(), t.cgroups()), (vec![], vec![], vec![]));
}

/// There, killing init does not end the others.
fn delete_force_in_the_hosts_pid_namespace(t: &Sandbox) {
    let c = &mut t.container();
    c.without_namespace("pid");
    let created = c.sh("sleep 600 & sleep 601 & echo ready; wait").created();
    c.start().ok();
    eventually("ready", || created.stdout().contains("ready"));
    c.force_delete().ok();
    t.wait_for_processes();
}

fn delete_force_of_nothing(t: &Sandbox) {
    let ran = t.rt(&["delete", "--force", "there-is-none"]);
    assert_eq!((ran.ok().as_str(), ran.stderr().as_str()), ("", ""));
}

/// Later commands do not look at the bundle: it may have changed, or be gone.
fn config_is_read_once(t: &Sandbox) {
    let c = &mut t.container();
    let created = c.sh("echo first").created();
    c.sh("echo second").write_config();
    std::fs::remove_file(c.bundle.join("config.json")).expect("rm");
    c.start().ok();
    eventually("the payload runs", || created.stdout() == "first\n");
    c.wait_until_stopped();
    c.delete().ok();
}

fn list_names_and_table(t: &Sandbox) {
    let (mut one, mut two) = (t.container(), t.container());
    let pid = one.started();
    two.sh("true").created();
    let names: BTreeSet<String> = t.rt(&["list", "-q"]).ok().lines().map(str::to_owned).collect();
    assert_eq!(names, BTreeSet::from([one.id.clone(), two.id.clone()]));
    let table = t.rt(&["list"]).ok();
    let line = table.lines().find(|line| line.starts_with(&one.id)).expect("line");
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[1..4], [&pid.to_string(), "running", one.bundle.to_str().expect("bundle")]);
    assert!(table.lines().next().expect("header").contains("PID"), "{table}");
    assert_eq!(table.lines().count(), 3);
}

fn list_json(t: &Sandbox) {
    let mut c = t.container();
    let pid = c.started();
    let list = jzon::parse(&t.rt(&["list", "-f", "json"]).ok()).expect("JSON");
    assert_eq!(list.len(), 1);
    assert_eq!(list[0]["id"], c.id.as_str());
    assert_eq!(list[0]["pid"], pid);
    assert_eq!(list[0]["status"], "running");
    assert_eq!(list[0]["bundle"], c.bundle.to_str().expect("bundle"));
}

fn list_of_nothing(t: &Sandbox) {
    assert_eq!(t.rt(&["list", "-q"]).ok(), "");
    assert!(t.rt(&["list"]).ok().lines().count() <= 1);
    assert!(jzon::parse(&t.rt(&["list", "--format=json"]).ok()).expect("JSON").is_empty());
}

fn init_that_dies_stops_the_container(t: &Sandbox) {
    let mut c = t.container();
    let pid = c.started();
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(killed.expect("kill").success());
    c.wait_until_stopped();
    c.start().is_refused();
    c.kill("TERM").is_refused();
    c.delete().ok();
}

fn many_containers_at_once(t: &Sandbox) {
    let start = |number: i32| {
        let mut c = t.container();
        c.config["hostname"] = format!("host-{number}").into();
        c.sh("hostname").start_run(&[])
    };
    let running: Vec<_> = (0..12).map(start).collect();
    for (number, run) in running.into_iter().enumerate() {
        assert_eq!(run.wait().ok(), format!("host-{number}"));
    }
}

fn killed_delete_can_be_repeated(t: &Sandbox) {
    for step in 0..12 {
        let mut c = t.container();
        c.started();
        let delete = t.start(&["delete", "--force", &c.id]);
        std::thread::sleep(Duration::from_micros(step * 300));
        delete.send(Signal::SIGKILL);
        delete.wait();
        c.force_delete().ok();
    }
    assert_eq!((t.states(), t.cgroups()), (vec![], vec![]));
}

/// The runtime is killed after ever longer times; whatever there is then, `delete --force` takes it away. (What it
/// leaves is found at the end of the test.)
fn killed_runtime_leaves_nothing_that_delete_cannot_clean(t: &Sandbox) {
    for step in 0..60 {
        let c = &mut t.container();
        c.args(&["/bin/sleep", "600"]).write_config();
        let create = t.spawn(&mut c.command("create", &[]));
        std::thread::sleep(Duration::from_micros(step * 500));
        create.send(Signal::SIGKILL);
        create.wait();
        c.force_delete();
        eventually("the id can be used again", || {
            let ran = c.create();
            c.force_delete().ok();
            ran.code == 0
        });
    }
}

/// Whoever waits for the container hears how it ended, even if somebody else has removed what was left of it.
fn forced_delete_keeps_the_exit_code(t: &Sandbox) {
    for _ in 0..5 {
        let mut c = t.container();
        c.sh("echo up; sleep 100");
        let running = c.start_run(&[]);
        eventually("the payload runs", || running.stdout() == "up\n");
        c.force_delete().ok();
        running.wait().exits(128 + 9);
    }
}
