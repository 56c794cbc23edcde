//! Downgrade: somebody, an old kernel or a filter that we run below, denies a call for good. Then a fallback gives the
//! container everything that its config asks for, or a line refuses; never is there a container with less.
//! `docs/kernel-features.md` has the table of which it is, and is compared with what is found here.

use std::process::Command;

use nix::libc;

use crate::case;
use crate::oracle::{difference, is_expected, leftovers, lines, removal, report, settle};
use crate::subjects::{in_user_namespace, restricted, sleeping};
use crate::support::{Case, Container, Need, Ran, Sandbox, deny, read};

pub fn cases() -> Vec<Case> {
    vec![case!(denied_calls).needs(&[Need::Probe, Need::UserNamespaces])]
}

#[rustfmt::skip]
const CALLS: &[(&str, libc::c_long)] = &[
    ("openat2", libc::SYS_openat2), ("clone3", libc::SYS_clone3), ("mount_setattr", libc::SYS_mount_setattr),
    ("open_tree", libc::SYS_open_tree), ("move_mount", libc::SYS_move_mount), ("fsopen", libc::SYS_fsopen),
    ("fsmount", libc::SYS_fsmount), ("close_range", libc::SYS_close_range), ("pidfd_open", libc::SYS_pidfd_open),
    ("pidfd_send_signal", libc::SYS_pidfd_send_signal), ("seccomp", libc::SYS_seccomp), ("setns", libc::SYS_setns),
    ("memfd_create", libc::SYS_memfd_create), ("keyctl", libc::SYS_keyctl), ("unshare", libc::SYS_unshare),
    ("pivot_root", libc::SYS_pivot_root), ("capset", libc::SYS_capset), ("setgroups", libc::SYS_setgroups),
    ("prlimit64", libc::SYS_prlimit64), ("sethostname", libc::SYS_sethostname), ("open_tree_attr", SYS_OPEN_TREE_ATTR),
];

const SYS_OPEN_TREE_ATTR: libc::c_long = 467;

const ERRNOS: [i32; 2] = [libc::ENOSYS, libc::EPERM];
const VERBS: [&str; 5] = ["run", "run in a user namespace", "exec", "kill", "delete --force"];

/// A call that there is none of.
const NONE: libc::c_long = 4000;

/// A container for each verb, and what its payload says when nothing is denied but under a filter all the same.
struct Bench<'a> {
    t: &'a Sandbox,
    container: Container<'a>,
    verb: &'static str,
    expected: String,
}

impl<'a> Bench<'a> {
    fn new(t: &'a Sandbox, verb: &'static str) -> Bench<'a> {
        let container = match verb {
            "run" => restricted(t),
            "run in a user namespace" => in_user_namespace(t),
            _ => sleeping(restricted(t)),
        };
        container.write_config();
        let mut bench = Bench { t, container, verb, expected: String::new() };
        // The first one makes what stays.
        bench.attempt(("", NONE), 0);
        let (ran, _) = bench.attempt(("", NONE), 0);
        bench.expected = report(&ran.ok());
        bench
    }

    fn command(&self) -> Command {
        let c = &self.container;
        match self.verb {
            "exec" => c.exec_command(&[], &["/probe", "report"]),
            "kill" => self.t.command(&["kill", &c.id, "KILL"]),
            "delete --force" => self.t.command(&["delete", "--force", &c.id]),
            _ => c.command("run", &[]),
        }
    }

    /// What came of the command, and what is wrong with that.
    fn attempt(&self, (name, call): (&str, libc::c_long), errno: i32) -> (Ran, Vec<String>) {
        let (t, c) = (self.t, &self.container);
        if !self.verb.starts_with("run") {
            t.spawn(&mut c.command("run", &["--detach"])).wait().exits(0);
        }
        let (ran, hung) = t.spawn(&mut deny(&self.command(), call, None, errno)).wait_or_kill();
        let mut trouble: Vec<String> = lines(ran.code != 0, &[ran.stderr()]).into_iter().collect();
        if hung {
            trouble.push("hangs".into());
        }
        let said = report(&ran.stdout());
        if !said.is_empty() && !self.expected.is_empty() {
            let difference = difference(&self.expected, &said, true, "");
            if !is_expected(1, name, errno, &difference) {
                trouble.extend(difference);
            }
        }
        let works = ran.code == 0;
        if works && self.verb == "kill" {
            trouble.extend(settle(&|| t.processes().iter().map(|pid| format!("process {pid}")).collect()));
        }
        let all_gone = self.verb.starts_with("run") || works && self.verb == "delete --force";
        if all_gone && !ran.stderr().contains("`delete` removes what is left") {
            trouble.extend(leftovers(t, &c.id).into_iter().map(|what| format!("left behind: {what}")));
        }
        trouble.extend(removal(t, c));
        (ran, trouble)
    }
}

fn denied_calls(t: &Sandbox) {
    let benches = VERBS.map(|verb| Bench::new(t, verb));
    let mut table =
        vec![format!("| Denied call | {} |", VERBS.join(" | ")), format!("|{}", "---|".repeat(VERBS.len() + 1))];
    let mut failures = Vec::new();
    for (name, number) in CALLS {
        let mut row = format!("| {name} |");
        for bench in &benches {
            let outcomes = ERRNOS.map(|errno| {
                let (ran, trouble) = bench.attempt((name, *number), errno);
                if !trouble.is_empty() {
                    let errno = nix::errno::Errno::from_raw(errno);
                    failures.push(format!("{} without {name} ({errno:?}): {trouble:?} {ran}", bench.verb));
                }
                if ran.code == 0 { "works" } else { "refused" }
            });
            let cell = if outcomes[0] == outcomes[1] { outcomes[0].to_owned() } else { outcomes.join(", ") };
            row += &format!(" {cell} |");
        }
        table.push(row);
    }
    let table = table.join("\n");
    assert!(failures.is_empty(), "{}\n{table}", failures.join("\n"));
    let documented = read(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kernel-features.md"));
    assert!(documented.contains(&table), "docs/kernel-features.md has another table than this:\n{table}");
}
