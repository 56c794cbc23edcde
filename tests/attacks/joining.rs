//! Who comes into a container that runs: by `exec`, by `mounts`, or by sharing its namespaces. Until he is the user's
//! program, he has rights that nobody in there has.

use std::fs;

use crate::breach::holds;
use crate::support::{Container, Kind, Need, Pty, Running, Sandbox, eventually};
use crate::{Attack, attack, starts};

pub fn attacks() -> Vec<Attack> {
    vec![
        attack!(cve_2016_9962_joiner_is_looked_into).needs(&[Need::Probe]),
        attack!(cve_2016_9962_joiner_is_looked_into_with_ptrace).needs(&[Need::Probe]),
        attack!(cve_2016_9962_init_in_a_shared_pid_namespace).needs(&[Need::Probe]),
        attack!(cve_2016_10124_terminal_of_the_caller).needs(&[Need::Probe]),
        attack!(cve_2017_5226_terminal_of_who_executes).needs(&[Need::Probe]),
    ]
}

/// A container that looks into whoever comes.
fn spying<'t>(t: &'t Sandbox, capabilities: &[&str], file: &str) -> (Container<'t>, Running) {
    let mut c = t.container();
    c.writable().capabilities(capabilities).env(&format!("GUARD={file}")).probe("spy");
    let running = c.start_run(&[]);
    eventually("the spy is at work", || running.stdout().contains("ready"));
    (c, running)
}

/// What it has seen, once it is told to stop.
#[track_caller]
fn has_stolen_nothing(c: &Container<'_>, running: Running) {
    fs::write(c.inside("/stop"), "").expect("write");
    let said = running.wait().stdout();
    assert!(said.contains("looks=yes"), "nobody came: {said}");
    holds(said.contains("stolen=0 "), said);
}

fn looked_into(t: &Sandbox, capabilities: &[&str]) {
    let guard = t.guard();
    let secret = guard.dir.join("secret");
    let (c, running) = spying(t, capabilities, secret.to_str().expect("path"));
    for _ in 0..starts(60) {
        c.exec(&[], &["/bin/sleep", "0.01"]);
    }
    if t.is(Kind::Isopod) {
        let add = t.file("add", r#"[{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}]"#);
        let remove = t.file("remove", r#"[{"destination": "/tmp"}]"#);
        for _ in 0..starts(30) {
            t.rt(&["mounts", "add", &c.id, add.to_str().expect("path")]).ok();
            t.rt(&["mounts", "remove", &c.id, remove.to_str().expect("path")]).ok();
        }
    }
    has_stolen_nothing(&c, running);
}

fn cve_2016_9962_joiner_is_looked_into(t: &Sandbox) {
    looked_into(t, &[]);
}

/// The right to look into others is the container's, but nothing of the host is to be found.
fn cve_2016_9962_joiner_is_looked_into_with_ptrace(t: &Sandbox) {
    looked_into(t, &["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"]);
}

/// Init itself comes into a container that runs, if it shares its pid namespace, and has the host's files for a while.
fn cve_2016_9962_init_in_a_shared_pid_namespace(t: &Sandbox) {
    let guard = t.guard();
    let secret = guard.dir.join("secret");
    let (spy, running) = spying(t, &["CAP_DAC_OVERRIDE"], secret.to_str().expect("path"));
    for _ in 0..starts(30) {
        let mut c = t.container();
        c.join("pid", &format!("/proc/{}/ns/pid", spy.pid())).args(&["/bin/sleep", "0.01"]).run();
    }
    has_stolen_nothing(&spy, running);
}

/// What a process in the container can type into the terminal of whoever started it.
#[track_caller]
fn terminal_is_out_of_reach(c: &Container<'_>, command: &std::process::Command) {
    let mut terminal = Pty::open();
    let mut child = terminal.attach(command);
    let said = terminal.read_to_end();
    let _ = child.wait();
    assert!(said.contains("tty="), "{}: {said}", c.id);
    holds(said.contains("tty=none") && said.contains("typed=0"), said);
}

const TYPE: &str = "/probe session; echo typed=$(/probe tiocsti)";

fn cve_2016_10124_terminal_of_the_caller(t: &Sandbox) {
    let mut c = t.container();
    c.with_probe().sh(TYPE);
    terminal_is_out_of_reach(&c, &c.write_config_for("run"));
}

fn cve_2017_5226_terminal_of_who_executes(t: &Sandbox) {
    let mut c = t.container();
    c.with_probe().started();
    terminal_is_out_of_reach(&c, &c.exec_command(&[], &["/bin/sh", "-c", TYPE]));
    c.force_delete();
}
