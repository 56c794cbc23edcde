//! Descriptors that the runtime or its caller has open, and directories that lead out of the container through them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use nix::libc;

use crate::breach::{holds, same};
use crate::support::{Container, Need, Sandbox, behind, deny};
use crate::{Attack, attack};

pub fn attacks() -> Vec<Attack> {
    vec![
        attack!(cve_2024_21626_cwd_in_leaked_descriptor),
        attack!(cve_2024_21626_cwd_of_an_exec),
        attack!(cve_2024_21626_program_in_leaked_descriptor),
        attack!(cve_2016_8649_census_of_run_create_and_exec).needs(&[Need::Probe]),
        attack!(census_without_close_range).needs(&[Need::Probe]),
        attack!(census_without_set_mm).needs(&[Need::Probe]),
        attack!(listen_fds_of_the_config_open_nothing).needs(&[Need::Probe]),
    ]
}

/// What callers leave open.
const OPEN_SOME: &str = "exec 3</etc/passwd 4</ 5</proc 9</etc";

/// The same command, after a shell has left some descriptors open.
fn careless(command: &Command) -> Command {
    behind(&["sh", "-c", &format!("{OPEN_SOME}; exec \"$@\""), "sh"], command)
}

/// The guarded secret by a path relative to the host's root, or to any directory of the host.
fn relative(secret: &std::path::Path) -> [String; 2] {
    let path = secret.to_str().expect("path");
    [path[1..].to_owned(), format!("../../../../../../../..{path}")]
}

fn cve_2024_21626_cwd_in_leaked_descriptor(t: &Sandbox) {
    let secret = t.guard().dir.join("secret");
    for number in 3..20 {
        for link in [false, true] {
            let mut c = t.container();
            let path = format!("/proc/self/fd/{number}");
            c.symlink("/w", &path);
            c.config["process"]["cwd"] = if link { "/w".into() } else { path.into() };
            let [down, up] = relative(&secret);
            c.args(&["/bin/cat", &down, &up]).write_config();
            let ran = t.spawn(&mut careless(&c.command("run", &[]))).wait();
            holds(!ran.stdout().contains("untouched"), format_args!("the host's file was read: {ran}"));
        }
    }
}

fn cve_2024_21626_cwd_of_an_exec(t: &Sandbox) {
    let secret = t.guard().dir.join("secret");
    let mut c = t.container();
    c.symlink("/w", "/proc/self/fd/7").started();
    let [down, up] = relative(&secret);
    let directories =
        (3..20).map(|number| format!("/proc/self/fd/{number}")).chain(["/w".into(), "/proc/1/cwd".into()]);
    for directory in directories {
        let exec = c.exec_command(&["--cwd", &directory], &["/bin/cat", &down, &up]);
        let ran = t.spawn(&mut careless(&exec)).wait();
        holds(!ran.stdout().contains("untouched"), format_args!("the host's file was read: {ran}"));
    }
    c.force_delete();
}

fn cve_2024_21626_program_in_leaked_descriptor(t: &Sandbox) {
    let program = t.file("outside", "#!/bin/sh\necho outside\n");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("chmod");
    let mut c = t.container();
    for number in 3..20 {
        for path in relative(&program) {
            c.args(&[&format!("/proc/self/fd/{number}/{path}")]).write_config();
            let ran = t.spawn(&mut careless(&c.command("run", &[]))).wait();
            holds(!ran.stdout().contains("outside"), format_args!("a program of the host was executed: {ran}"));
        }
    }
}

/// What the probe has open, in every kind of process that there is; `wrap` is what is done to each command.
#[track_caller]
fn census(t: &Sandbox, mut c: Container<'_>, wrap: impl Fn(&Command) -> Command) {
    let only = |ran: &crate::support::Ran| {
        if ran.code == 0 {
            same(&ran.stdout().trim(), &"0 1 2", "open descriptors");
        }
    };
    c.probe("fds").write_config();
    only(&t.spawn(&mut careless(&wrap(&c.command("run", &[])))).wait());
    let created = t.spawn(&mut careless(&wrap(&c.command("create", &[])))).wait();
    if created.code == 0 {
        c.start();
        crate::support::eventually("it has said what is open", || !created.stdout().is_empty());
        only(&created);
    }
    c.force_delete();
    let mut c = t.container();
    c.with_probe().started();
    only(&t.spawn(&mut careless(&wrap(&c.exec_command(&[], &["/probe", "fds"])))).wait());
    c.force_delete();
}

fn cve_2016_8649_census_of_run_create_and_exec(t: &Sandbox) {
    let again = |command: &Command| {
        let mut same = Command::new(command.get_program());
        same.args(command.get_args()).envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        same
    };
    census(t, t.container(), again);
}

fn census_without_close_range(t: &Sandbox) {
    census(t, t.container(), |command| deny(command, libc::SYS_close_range, None, libc::ENOSYS));
}

/// Then a copy is executed, which has to pass nothing on either.
fn census_without_set_mm(t: &Sandbox) {
    census(t, t.container(), |command| deny(command, libc::SYS_prctl, Some(libc::PR_SET_MM), libc::EPERM));
}

/// Only the caller's own variable says that he passes something on.
fn listen_fds_of_the_config_open_nothing(t: &Sandbox) {
    let mut c = t.container();
    c.env("LISTEN_FDS=7").env("LISTEN_PID=1").probe("fds").write_config();
    let ran = t.spawn(&mut careless(&c.command("run", &[]))).wait();
    if ran.code == 0 {
        same(&ran.stdout().trim(), &"0 1 2", "open descriptors");
    }
}
