//! What has to hold, whatever has failed.

use std::process::Command;
use std::time::Duration;

use nix::libc::{
    EACCES, EAGAIN, EBUSY, EINVAL, EIO, ELOOP, EMFILE, ENOENT, ENOMEM, ENOSYS, EPERM, EROFS, ESRCH, EXDEV,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Container, Sandbox};

/// What is in a list after a while: what the kernel takes away in its own time has gone by then.
pub fn settle(list: &dyn Fn() -> Vec<String>) -> Vec<String> {
    for _ in 0..300 {
        if list().is_empty() {
            return Vec::new();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    list()
}

/// What exists of a container, or of any command about it.
pub fn leftovers(t: &Sandbox, id: &str) -> Vec<String> {
    settle(&|| {
        let cgroups = t.cgroups().into_iter().filter(|place| place.to_string_lossy().contains(id));
        let mut found: Vec<String> = cgroups.map(|place| format!("cgroup {}", place.display())).collect();
        found.extend(t.processes().into_iter().map(|pid| format!("process {pid}")));
        found.extend(t.states().into_iter().map(|name| format!("state {name}")));
        found.extend(t.mounts().into_iter().map(|place| format!("mount {place}")));
        found
    })
}

/// `delete --force` has to remove all of it.
pub fn removal(t: &Sandbox, c: &Container) -> Vec<String> {
    removal_by(t, c, &mut t.command(&["delete", "--force", &c.id]))
}

/// The same by this command.
pub fn removal_by(t: &Sandbox, c: &Container, command: &mut Command) -> Vec<String> {
    let (ran, hung) = t.spawn(command).wait_or_kill();
    let mut trouble = Vec::new();
    if hung || ran.code != 0 {
        trouble.push(format!("delete --force: {ran}"));
    }
    let left = leftovers(t, &c.id);
    if !left.is_empty() {
        sweep_away(t, &c.id);
    }
    trouble.extend(left.into_iter().map(|what| format!("not removed by delete --force: {what}")));
    trouble
}

/// So that the next attempt does not suffer from this one.
fn sweep_away(t: &Sandbox, id: &str) {
    for pid in t.processes() {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    settle(&|| t.processes().iter().map(|pid| pid.to_string()).collect());
    for place in t.cgroups().iter().rev() {
        let _ = std::fs::remove_dir(place);
    }
    let _ = std::fs::remove_dir_all(t.state_root().join(id));
}

/// One line says what failed, if something has; warnings may come with it.
pub fn lines(failed: bool, texts: &[String]) -> Option<String> {
    let all: Vec<&str> = texts.iter().flat_map(|text| text.lines()).collect();
    let errors: Vec<&&str> = all.iter().filter(|line| line.starts_with("isopod: error: ")).collect();
    let wanted = usize::from(failed);
    if errors.len() != wanted {
        return Some(format!("{} error lines instead of {wanted}: {all:?}", errors.len()));
    }
    if let Some(strange) = all.iter().find(|line| !line.starts_with("isopod: error: ") && !is_warning(line)) {
        return Some(format!("a line that is neither an error nor a warning: {strange:?}"));
    }
    let said = errors.first().map_or("x: x", |line| &line["isopod: error: ".len()..]);
    // Words that engines look for.
    let known = [" is not running", " does not exist", " is being created or deleted", " already exists"];
    if known.iter().any(|words| said.ends_with(words)) {
        return None;
    }
    let complete = said.split_once(": ").is_some_and(|(what, why)| !what.is_empty() && !why.is_empty());
    (!complete || said.contains("internal")).then(|| format!("says too little: {said:?}"))
}

fn is_warning(line: &str) -> bool {
    line.starts_with("isopod: warning: ")
}

/// What is another line in a second report. One of a failed command may have been cut on its way through a terminal, and
/// not all hooks need have come; one that is lost is no report.
pub fn difference(expected: &str, found: &str, whole: bool, said: &str) -> Vec<String> {
    if said.contains("output is lost") {
        return Vec::new();
    }
    let complete = found.contains("\nend\n");
    let found = if complete { found } else { &found[..found.rfind('\n').map_or(0, |end| end + 1)] };
    let is_wanted = |line: &&str| match line.strip_prefix("hook ") {
        Some("poststop") => whole && !said.contains("warning: poststop"),
        Some("notified") => whole && !said.contains("warning: tell NOTIFY_SOCKET"),
        Some(_) => whole,
        None => complete,
    };
    let missing = expected.lines().filter(|line| !found.lines().any(|other| other == *line)).filter(is_wanted);
    let added =
        found.lines().filter(|line| !expected.lines().any(|other| other == *line) && !line.starts_with("hook "));
    missing.map(|line| format!("- {line}")).chain(added.map(|line| format!("+ {line}"))).collect()
}

/// A payload's report; a terminal ends lines in its own way, and device rules have no order.
pub fn report(text: &str) -> String {
    let ordered = |line: &str| {
        let (Some((name, rules)), true) = (line.split_once(": "), line.contains("devices.list")) else {
            return line.to_owned();
        };
        let words: Vec<&str> = rules.split_whitespace().collect();
        let mut rules: Vec<String> = words.chunks(3).map(|rule| rule.join(" ")).collect();
        rules.sort();
        format!("{name}: {}\n", rules.join(", "))
    };
    text.replace('\r', "").split_inclusive('\n').map(ordered).collect()
}

/// The role, if it is so for one alone, the call, its errnos, and how the lines begin.
type Exception = (Option<u32>, &'static str, &'static [i32], &'static [&'static str]);

/// A call under SCMP_ACT_NOTIFY, with an agent and without.
const UNHEARD: &[&str] = &["filtered mkdirat 0, ", "filtered mkdirat 38, "];

/// What a report may say otherwise after an errno that means something else than a failure.
#[rustfmt::skip]
const EXPECTED: &[Exception] = &[
    // `create` had no NOTIFY_SOCKET, it seems, or init has ended.
    (None, "openat", &[ENOENT], &["supervisor ", "hook notified"]),
    (Some(1), "pidfd_open", &[ESRCH], &["supervisor ", "hook notified"]),
    // Once `start` has opened the fifo, init goes on, whatever becomes of who would listen to it.
    (Some(1), "unlinkat", &[EACCES, EPERM, EROFS, EBUSY, EIO], &["supervisor "]),
    // A path that is not there needs no mask, nor to be read-only; one that root in a user namespace cannot see is not.
    (None, "openat2", &[ENOENT, EACCES], &["mount ", "access ", "entry //"]),
    (None, "newfstatat", &[ENOENT], &["mount ", "access ", "entry //"]),
    (None, "open_tree", &[ENOENT], &["mount ", "access "]),
    // A cgroup that is not there cannot be shown.
    (None, "mount", &[ENOENT], &["mount /", "value /sys/fs/cgroup/"]),
    // In a user namespace that may not mount a sysfs the host's serves.
    (None, "fsopen", &[EPERM], &["mount "]),
    (None, "fsconfig", &[EPERM, EBUSY], &["mount "]),
    (None, "fsmount", &[EPERM, EBUSY], &["mount "]),
    (None, "move_mount", &[EPERM, EBUSY], &["mount "]),
    // A multiplexer that cannot be looked at is opened by its other name, and gives the next terminal.
    (None, "fstat", &[ENOMEM, EIO], &["mount /0 /dev/console ", "mount /1 /dev/console ", "entry /dev/console: "]),
    (None, "openat2", &[ENOENT, EACCES, EIO, EMFILE, ENOMEM, ELOOP, EXDEV, ENOSYS, EPERM],
        &["mount /0 /dev/console ", "mount /1 /dev/console ", "entry /dev/console: "]),
    // A kernel without keyrings has none to share.
    (None, "keyctl", &[ENOSYS], &["keyring "]),
    // Nobody listens to the filter any more, and what the agent would have allowed is refused.
    (Some(1), "recvmsg", &[4095], UNHEARD),
    (Some(1), "socket", &[4095], UNHEARD),
    (Some(1), "connect", &[4095], UNHEARD),
    (Some(1), "sendmsg", &[4095], UNHEARD),
    (Some(1), "close", &[4095], UNHEARD),
    // Capabilities that cannot be granted are left out.
    (None, "prctl", &[EPERM, EINVAL], &["status CapPrm:", "status CapEff:", "status CapAmb:"]),
    // The host's node serves.
    (None, "mknodat", &[EPERM], &["mount ", "entry /dev/"]),
    // The user's directory is not known then.
    (None, "openat2", &[ENOENT, EACCES, EIO, EMFILE, ENOMEM, ELOOP, EXDEV, ENOSYS, EPERM, EAGAIN], &["variable HOME="]),
    (None, "fstat", &[ENOMEM, EIO], &["variable HOME="]),
    (None, "read", &[EIO, ENOMEM, EAGAIN], &["variable HOME="]),
    // `exec` enters the cgroups that init is in: a hierarchy that has none was mounted later.
    (Some(1), "openat", &[ENOENT], &["file /proc/self/cgroup:"]),
];

pub fn is_expected(role: u32, name: &str, errno: i32, difference: &[String]) -> bool {
    EXPECTED.iter().any(|(whose, known, errnos, beginnings)| {
        let fits = |line: &String| beginnings.iter().any(|beginning| line[2..].starts_with(beginning));
        whose.is_none_or(|whose| whose == role)
            && *known == name
            && errnos.contains(&errno)
            && difference.iter().all(fits)
    })
}
