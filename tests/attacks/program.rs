//! The runtime's own program, as the container reaches it. What is attacked is a copy.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::breach::{holds, refused};
use crate::support::{Kind, Need, Sandbox, copy_program, eventually};
use crate::{Attack, attack, starts};

pub fn attacks() -> Vec<Attack> {
    vec![
        attack!(cve_2019_5736_joiners_are_written_to).needs(&[Need::Probe]),
        attack!(cve_2019_5736_init_in_a_shared_pid_namespace).needs(&[Need::Probe]),
        attack!(cve_2016_8659_set_user_id_program),
    ]
}

/// A copy of the runtime, which may be destroyed.
fn copy(t: &Sandbox) -> PathBuf {
    let copy = t.path("runtime");
    copy_program(&t.runtime.path, &copy);
    copy
}

/// The same command by the copy, which may have become anything: so by a shell.
fn by(copy: &Path, command: &Command) -> Command {
    let mut same = Command::new("sh");
    same.args(["-c", "exec \"$0\" \"$@\""])
        .arg(copy)
        .args(command.get_args())
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    same
}

/// A container with every right watches for each process that comes in, and writes to what it executes.
fn cve_2019_5736_joiners_are_written_to(t: &Sandbox) {
    let copy = copy(t);
    let before = fs::read(&copy).expect("read");
    let c = &mut t.container();
    let all: Vec<&str> =
        include_str!("../../src/plan/identity.rs").split('"').filter(|word| word.starts_with("CAP_")).collect();
    c.capabilities(&all).writable().env(&format!("INODE={}", fs::metadata(&copy).expect("stat").ino()));
    c.symlink("/entry", "/proc/self/exe").probe("overwrite");
    let watcher = c.start_run(&[]);
    eventually("the watcher runs", || t.rt(&["state", &c.id]).stdout().contains("\"running\""));
    let commands: [&[&str]; 3] = [&["/entry", "--version"], &["/bin/sleep", "0.01"], &["/proc/self/exe", "--version"]];
    for words in commands.iter().cycle().take(starts(60) as usize) {
        t.spawn(&mut by(&copy, &c.exec_command(&[], words))).wait();
        // Once it is nobody's program any more.
        std::thread::sleep(std::time::Duration::from_millis(5));
        holds(fs::read(&copy).expect("read") == before, "the runtime's program has changed");
    }
    fs::write(c.inside("stop"), "").expect("write");
    let said = watcher.wait().stdout();
    // Whether it has found any: where a sealed copy is executed, there is nothing to be found.
    holds(said.contains("opened=0"), said);
    holds(fs::read(&copy).expect("read") == before, "the runtime's program has changed");
}

/// What init executes until `start` is seen by whoever shares its pid namespace.
fn cve_2019_5736_init_in_a_shared_pid_namespace(t: &Sandbox) {
    let copy = copy(t);
    let before = fs::read(&copy).expect("read");
    let mut watcher = t.container();
    watcher.capabilities(&["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN"]).writable();
    watcher.env(&format!("INODE={}", fs::metadata(&copy).expect("stat").ino())).probe("overwrite");
    let watching = watcher.start_run(&[]);
    eventually("the watcher runs", || t.rt(&["state", &watcher.id]).stdout().contains("\"running\""));
    for _ in 0..5 {
        let mut c = t.container();
        c.join("pid", &format!("/proc/{}/ns/pid", watcher.pid())).sh("true").write_config();
        t.spawn(&mut by(&copy, &c.command("create", &[]))).wait();
        std::thread::sleep(std::time::Duration::from_millis(20));
        c.force_delete();
        std::thread::sleep(std::time::Duration::from_millis(20));
        holds(fs::read(&copy).expect("read") == before, "the runtime's program has changed");
    }
    fs::write(watcher.inside("stop"), "").expect("write");
    watching.wait();
}

/// Who calls it chooses its environment, its limits and what it has open (CVE-2026-41163 is the same).
fn cve_2016_8659_set_user_id_program(t: &Sandbox) {
    let copy = copy(t);
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o4755)).expect("chmod");
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "1000", "--clear-groups"]).arg(&copy).args(["list", "-q"]);
    let ran = t.spawn(&mut command).wait();
    refused(&ran);
    assert!(!t.is(Kind::Isopod) || ran.stderr().contains("set-user-id"), "{ran}");
}
