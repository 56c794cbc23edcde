//! What there is little of, from nothing up to enough: each step works, or is refused in one line that names operation,
//! object and reason, and leaves nothing. `tests/limits` has what there is much of.

use std::fs;
use std::process::Command;

use jzon::object;

use crate::case;
use crate::support::{Case, Container, Need, Ran, Sandbox, Tmpfs, behind, refused_in_one_line, unified};

pub fn cases() -> Vec<Case> {
    vec![
        // The kernel hands out memory to a processor in pieces of 64 pages, and takes them back for another one when it
        // comes to it: where that is the whole limit, a busy machine has an OOM that a quiet one has not.
        case!(little_memory).needs(&[Need::Controller("memory")]).alone().isopod_only(WORDS),
        case!(few_processes).needs(&[Need::Controller("pids")]),
        case!(few_processes_for_exec).needs(&[Need::Controller("pids")]),
        case!(few_descriptors).isopod_only(WORDS),
        case!(few_processes_of_a_user).needs(&[Need::User]),
        case!(little_address_space).isopod_only(WORDS),
        case!(little_stack),
        case!(short_files).isopod_only(WORDS),
        case!(full_state_directory).isopod_only(WORDS),
        case!(read_only_run).isopod_only(WORDS),
    ]
}

const WORDS: &str = "the form of the error is isopod's";

/// Nothing is there of a container that was refused or has ended.
#[track_caller]
fn nothing_is_left(t: &Sandbox) {
    t.wait_for_processes();
    assert_eq!((t.states(), t.cgroups()), (vec![], vec![]));
}

/// Whether the limit hit the container's program and not us: what it ends with is its own affair.
fn failed_itself(ran: &Ran) -> bool {
    ran.code > 1 && !ran.stderr().contains("isopod")
}

/// Climbs until it works; the steps are given from the lowest. Says at which it did.
#[track_caller]
fn climb<T: std::fmt::Debug + Copy>(t: &Sandbox, steps: &[T], mut try_one: impl FnMut(T) -> Ran) -> T {
    let mut enough = None;
    for step in steps {
        let ran = try_one(*step);
        if ran.code == 0 {
            enough = enough.or(Some(*step));
        } else {
            assert!(enough.is_none(), "{enough:?} is enough, but {step:?} is not: {ran}");
            if !failed_itself(&ran) {
                refused_in_one_line(&ran);
            }
        }
        nothing_is_left(t);
    }
    enough.unwrap_or_else(|| panic!("not even the last of {steps:?}"))
}

fn true_in(t: &Sandbox) -> Container<'_> {
    let mut c = t.container();
    c.args(&["/bin/true"]);
    c
}

/// The same command with a limit of setrlimit(2): `prlimit --LIMIT=N COMMAND`.
fn limited(command: &Command, limit: &str, number: u64) -> Command {
    behind(&["prlimit", &format!("--{limit}={number}:{number}")], command)
}

fn little_memory(t: &Sandbox) {
    let steps: Vec<u64> = (12..=24).map(|power| 1 << power).collect();
    for verb in ["run", "create"] {
        let mut c = true_in(t);
        climb(t, &steps, |limit| {
            c.config["linux"]["resources"]["memory"] = object! { limit: limit, swap: limit };
            let ran = t.spawn(&mut c.write_config_for(verb)).wait();
            c.force_delete();
            ran
        });
    }
}

fn few_processes(t: &Sandbox) {
    let mut c = true_in(t);
    let enough = climb(t, &[1, 2, 3, 4], |limit| {
        c.config["linux"]["resources"]["pids"] = object! { limit: limit };
        c.run()
    });
    assert_eq!(enough, 1, "a container of one process needs no other");
}

/// The container goes on as if nobody had asked.
fn few_processes_for_exec(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["pids"] = object! { limit: 1 };
    c.started();
    let before = t.processes();
    let ran = c.exec(&[], &["true"]);
    // To version 1, who comes from elsewhere is no fork.
    if ran.code != 0 || unified("pids").is_some() {
        refused_in_one_line(&ran);
    }
    assert_eq!((c.status(), t.processes()), ("running".into(), before));
    let file = t.file("limits.json", r#"{"pids":{"limit":2}}"#);
    t.rt(&["update", "--resources", file.to_str().expect("path"), &c.id]).ok();
    c.exec(&[], &["true"]).ok();
}

fn few_descriptors(t: &Sandbox) {
    let mut c = true_in(t);
    // The container's own limit would be above that of the runtime.
    c.config["process"].remove("rlimits");
    let steps: Vec<u64> = (3..100).collect();
    let enough = climb(t, &steps, |limit| t.spawn(&mut limited(&c.write_config_for("run"), "nofile", limit)).wait());
    assert!(enough <= 64, "{enough} descriptors");
}

/// Processes of a user count wherever they are, so others of his may be in the way; his own here are none.
fn few_processes_of_a_user(t: &Sandbox) {
    t.as_ordinary_user();
    let c = true_in(t);
    climb(t, &[0, 1, 2, 3, 4, 64], |limit| {
        let command = limited(&c.write_config_for("run"), "nproc", limit);
        let mut as_user = t.users_command(command.get_program());
        as_user.args(command.get_args()).envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        as_user.current_dir(t.path(""));
        t.spawn(&mut as_user).wait()
    });
}

/// A limit at which the kernel does not even execute the program says nothing of it.
fn starts_at_all(t: &Sandbox, limit: &str, number: u64) -> bool {
    let mut command = t.bare_command();
    command.arg("--version");
    t.spawn(&mut limited(&command, limit, number)).wait().code == 0
}

fn little_of(t: &Sandbox, limit: &str, steps: &[u64]) {
    let c = true_in(t);
    let steps: Vec<u64> = steps.iter().copied().filter(|number| starts_at_all(t, limit, *number)).collect();
    assert!(!steps.is_empty());
    climb(t, &steps, |number| t.spawn(&mut limited(&c.write_config_for("run"), limit, number)).wait());
}

fn little_address_space(t: &Sandbox) {
    little_of(t, "as", &(8..=40).map(|n| n * 65536).collect::<Vec<_>>());
}

fn little_stack(t: &Sandbox) {
    little_of(t, "stack", &[64 << 10, 96 << 10, 128 << 10, 192 << 10, 256 << 10, 512 << 10, 1 << 20, 8 << 20]);
}

/// RLIMIT_FSIZE comes with a signal of its own.
fn short_files(t: &Sandbox) {
    // Before Linux 5.12 a copy of the program is one of the files.
    little_of(t, "fsize", &[0, 1, 100, 1000, 4096, 65536, 1 << 20]);
}

fn full_state_directory(t: &Sandbox) {
    let c = true_in(t);
    c.write_config();
    for (what, most) in [("nr_inodes", 10), ("nr_blocks", 10)] {
        // The first inode is the file system's own root.
        let steps: Vec<u64> = (1..=most).collect();
        for verb in ["run", "create"] {
            climb(t, &steps, |number| {
                let _root = Tmpfs::mount(t.state_root(), &format!("mode=755,{what}={number}"));
                // What is not limited is plenty; and of blocks, somebody else has taken one.
                let full = t.state_root().join(".other");
                let _ = fs::write(&full, if what == "nr_blocks" { "x" } else { "" });
                let ran = t.spawn(&mut c.command(verb, &[])).wait();
                if ran.code == 0 {
                    c.force_delete();
                }
                assert_eq!(t.states(), Vec::<String>::new(), "{what}={number}: {ran}");
                ran
            });
        }
    }
}

fn read_only_run(t: &Sandbox) {
    let c = true_in(t);
    c.write_config();
    let mut runtime = t.bare_command();
    runtime.arg("run").arg("--bundle").arg(&c.bundle).arg(&c.id);
    let script = "mount -t tmpfs -o ro tmpfs /run && exec \"$@\"";
    let before = ["unshare", "--mount", "--propagation=private", "sh", "-c", script, "sh"];
    let ran = t.spawn(&mut behind(&before, &runtime)).wait();
    ran.fails(&["/run/isopod", "Read-only file system"]);
    refused_in_one_line(&ran);
}
