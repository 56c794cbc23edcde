//! The runtime's own program, which a container must not be able to write to (CVE-2019-5736). A copy of it is attacked,
//! by a container with every capability.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::libc;

use crate::case;
use crate::support::{Case, Container, Need, Sandbox, behind, copy_program, deny, eventually, read};

pub fn cases() -> Vec<Case> {
    vec![
        case!(init_leads_nowhere_writable),
        case!(init_in_a_user_namespace_leads_nowhere_writable).needs(&[Need::UserNamespaces]),
        // Before, they are sealed copies, which the watcher does not know by their number.
        case!(joiners_lead_nowhere_writable).needs(&[Need::Probe, Need::Linux(5, 12)]),
        case!(otherwise_a_sealed_copy_is_executed).needs(&[Need::Probe]).isopod_only("they have other ways"),
        case!(otherwise_a_limit_on_files_is_an_error).needs(&[Need::Probe]).isopod_only("they have other ways"),
        case!(otherwise_standard_input_is_read_once).needs(&[Need::Probe]).isopod_only("they have other ways"),
        case!(without_either_it_refuses).needs(&[Need::Probe]).isopod_only("they have other ways"),
        case!(on_a_read_only_file_system_nothing_is_done).isopod_only("they have other ways"),
        case!(the_command_line_is_as_it_was).isopod_only("their processes in a container have names of their own"),
    ]
}

/// A copy of the runtime, which may be destroyed.
fn copy(t: &Sandbox) -> PathBuf {
    let copy = t.path("runtime");
    copy_program(&t.runtime.path, &copy);
    copy
}

/// The same command by the copy.
fn by(copy: &Path, command: &Command) -> Command {
    let mut same = Command::new(copy);
    same.args(command.get_args()).envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    same
}

/// Tries to write to what init executed, once nobody does any more, as root of the host: more than any container.
#[track_caller]
fn is_not_writable(c: &Container<'_>) {
    let exe = File::open(format!("/proc/{}/exe", c.pid())).expect("exe");
    let mode = exe.set_permissions(Permissions::from_mode(0o600));
    c.force_delete().ok();
    let again = || OpenOptions::new().write(true).open(format!("/proc/self/fd/{}", exe.as_raw_fd()));
    let busy =
        |opened: &io::Result<File>| matches!(opened, Err(error) if error.kind() == ErrorKind::ExecutableFileBusy);
    eventually("nobody executes it", || !busy(&again()));
    match again() {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ReadOnlyFilesystem);
            assert!(mode.is_err(), "its mode could be changed");
        }
        // Sealed: it can be opened, and its mode is its own.
        Ok(mut file) => assert_eq!(file.write(b"overwritten").map_err(|e| e.kind()), Err(ErrorKind::PermissionDenied)),
    }
}

fn init_leads_nowhere_writable(t: &Sandbox) {
    let c = &mut t.container();
    c.sh("true").write_config();
    t.spawn(&mut by(&copy(t), &c.command("create", &[]))).wait().ok();
    is_not_writable(c);
}

fn init_in_a_user_namespace_leads_nowhere_writable(t: &Sandbox) {
    let c = &mut t.container();
    c.with_user_namespace().sh("true").write_config();
    t.spawn(&mut by(&copy(t), &c.command("create", &[]))).wait().ok();
    is_not_writable(c);
}

/// The recipe of the advisory: a container with all rights watches for every process that comes in.
fn joiners_lead_nowhere_writable(t: &Sandbox) {
    let copy = copy(t);
    let before = fs::read(&copy).expect("read");
    let c = &mut t.container();
    let all: Vec<String> = read("/proc/sys/kernel/cap_last_cap").trim().parse().map(all_capabilities).expect("number");
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    c.capabilities(&all).writable().env(&format!("INODE={}", fs::metadata(&copy).expect("stat").ino()));
    c.symlink("/entry", "/proc/self/exe").probe("overwrite");
    let watcher = c.start_run(&[]);
    eventually("the watcher runs", || t.rt(&["state", &c.id]).stdout().contains("\"running\""));
    for words in [["/entry", "--version"], ["/bin/true", ""], ["/proc/self/exe", "--version"]].iter().cycle().take(120)
    {
        t.spawn(&mut by(&copy, &c.exec_command(&[], words))).wait();
    }
    fs::write(c.inside("stop"), "").expect("write");
    let said = watcher.wait().stdout();
    // It saw some of them, or the test would show nothing.
    assert!(said.contains("found=yes opened=0"), "{said}");
    assert!(fs::read(&copy).expect("read") == before, "the runtime has changed");
}

fn all_capabilities(last: usize) -> Vec<String> {
    let names = include_str!("../../src/plan/identity.rs");
    let quoted = names.split('"').filter(|word| word.starts_with("CAP_"));
    quoted.take(last + 1).map(str::to_owned).collect()
}

/// Where the kernel was built without CONFIG_CHECKPOINT_RESTORE, or somebody forbids the call.
fn otherwise_a_sealed_copy_is_executed(t: &Sandbox) {
    let c = &mut t.container();
    c.sh("echo $0; exit 3").write_config();
    let copy = copy(t);
    assert_eq!(t.spawn(&mut without_set_mm(&by(&copy, &c.command("run", &[])))).wait().code, 3);
    t.spawn(&mut without_set_mm(&by(&copy, &c.command("create", &[])))).wait().ok();
    assert_eq!(fs::read_link(format!("/proc/{}/exe", c.pid())).expect("exe"), Path::new("/memfd:isopod (deleted)"));
    is_not_writable(c);
}

fn without_set_mm(command: &Command) -> Command {
    deny(command, libc::SYS_prctl, Some(libc::PR_SET_MM), libc::EPERM)
}

fn otherwise_a_limit_on_files_is_an_error(t: &Sandbox) {
    let c = t.container();
    let isopod = without_set_mm(&by(&copy(t), &c.write_config_for("run")));
    let ran = t.spawn(&mut behind(&["prlimit", "--fsize=1000:1000"], &isopod)).wait();
    ran.fails(&["execute a sealed copy of isopod: File too large"]);
}

/// What the first of the two executions reads, the second could not read again.
fn otherwise_standard_input_is_read_once(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    let mut command = without_set_mm(&by(&copy(t), &t.command(&["mounts", "add", &c.id, "-"])));
    command.stdin(File::open(t.file("list", "[]")).expect("open"));
    t.spawn(&mut command).wait().ok();
}

/// With `vm.memfd_noexec=2` there is no way left.
fn without_either_it_refuses(t: &Sandbox) {
    let c = &mut t.container();
    c.sh("true").write_config();
    let command = without_set_mm(&by(&copy(t), &c.command("create", &[])));
    let said = t.spawn(&mut deny(&command, libc::SYS_memfd_create, None, libc::EACCES)).wait();
    said.is_refused();
    assert!(said.stderr().contains("execute a sealed copy of isopod: Permission denied (vm.memfd_noexec"), "{said}");
}

/// A program that nobody can write to needs no protection.
fn on_a_read_only_file_system_nothing_is_done(t: &Sandbox) {
    let c = &mut t.container();
    let copy = copy(t);
    let directory = t.path("read-only");
    fs::create_dir(&directory).expect("mkdir");
    let mounted = directory.join("runtime");
    fs::write(&mounted, "").expect("write");
    let mount = |args: &[&str]| {
        let status = Command::new("mount").args(args).arg(&copy).arg(&mounted).status().expect("mount");
        assert!(status.success());
    };
    mount(&["--bind"]);
    let _mounted = Mounted(&mounted);
    mount(&["-o", "remount,ro,bind"]);
    c.sh("true").write_config();
    t.spawn(&mut by(&mounted, &c.command("create", &[]))).wait().ok();
    assert_eq!(fs::read_link(format!("/proc/{}/exe", c.pid())).expect("exe"), mounted);
    is_not_writable(c);
}

struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

/// `ps` shows it.
fn the_command_line_is_as_it_was(t: &Sandbox) {
    let c = &mut t.container();
    c.sh("true").env("ALSO=this").created();
    let pid = c.pid();
    let line = read(format!("/proc/{pid}/cmdline"));
    let words: Vec<&str> = line.trim_end_matches('\0').split('\0').collect();
    assert_eq!(words.last(), Some(&c.id.as_str()));
    assert!(words.contains(&"create") && words.contains(&"--bundle"), "{words:?}");
    assert!(read(format!("/proc/{pid}/environ")).contains(&t.mark()));
}
