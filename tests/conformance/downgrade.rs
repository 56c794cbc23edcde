//! Downgrade: the whole suite again, while the runtime is denied a system call for good, as by an old kernel or a
//! filter around it. A test then holds as ever, or a command in it is refused by the line that says why, with nothing
//! left behind: never is there less than was asked for. `docs/kernel-features.md` has the table of which it is, and is
//! compared with what is found here.
//!
//! `DENIED=all` does it, `DENIED=openat2,clone3` for these calls; `RUNTIME` is the test build then, in which calls fail
//! to order (`cargo build --release --features faults --target-dir target/faults`). `DENIED_SHOW=1` names the tests.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;

use libtest_mimic::{Arguments, FormatSetting, Trial};
use nix::errno::Errno;

use crate::support::{Case, Denied, Kind, Outcome, Runtime, outcome, read};

const CALLS: &[&str] = &[
    "openat2",
    "clone3",
    "mount_setattr",
    "open_tree",
    "fsopen",
    "close_range",
    "pidfd_open",
    "seccomp",
    "setns(pidfd)",
    "memfd_create",
];

const ERRNOS: [Errno; 2] = [Errno::ENOSYS, Errno::EPERM];

/// The call, or all of them; how the names of tests begin; why they fail all the same.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("", "binary::", "about the file of a release"),
    ("openat2", "process::home_comes_from_passwd", "HOME is `/` then"),
    ("openat2", "exec::home_follows_the_user", "HOME is `/` then"),
    ("openat2", "process::working_directory_is_created", "chdir(2) refuses what could not be made"),
    ("openat2", "limits::memory_too_low_to_start", "it is the look at passwd that is too much"),
    ("mount_setattr", "ladders::short_files", "no limit is as large as the sealed copy that is needed"),
    ("open_tree", "ladders::short_files", "no limit is as large as the sealed copy that is needed"),
    ("pidfd_open", "verbs::delete_by_regex", "what is refused for one of several containers is a warning"),
    ("pidfd_open", "verbs::kill_by_regex", "what is refused for one of several containers is a warning"),
    ("", "budget::", "counts calls, and the test build makes some more"),
];

/// What came of the suite without one call.
#[derive(Default)]
struct Tally {
    passed: usize,
    refused: Vec<&'static str>,
    failed: usize,
    /// The refused commands.
    verbs: BTreeSet<String>,
}

impl Tally {
    fn cell(&self) -> String {
        if self.verbs.is_empty() { "nothing".into() } else { Vec::from_iter(self.verbs.clone()).join(", ") }
    }
}

pub fn main(mut arguments: Arguments, wanted: &str, path: &Path, cases: &[Case]) -> ExitCode {
    if arguments.format.is_none() {
        arguments.format = Some(FormatSetting::Terse);
    }
    let is_wanted = |call: &str| wanted == "all" || wanted.split(',').any(|one| one == call);
    let mut rows = Vec::new();
    let mut summary = Vec::new();
    let mut good = true;
    for call in CALLS.iter().filter(|call| is_wanted(call)) {
        let cells = ERRNOS.map(|errno| {
            let tally = suite(&arguments, call, errno, path, cases);
            good &= tally.failed == 0;
            summary.push(format!(
                "downgrade: without {call} ({errno:?}): {} passed, {} refused, {} failed; refused: {}",
                tally.passed,
                tally.refused.len(),
                tally.failed,
                tally.cell()
            ));
            println!("{}", summary[summary.len() - 1]);
            if std::env::var_os("DENIED_SHOW").is_some() {
                println!("refused: {}", tally.refused.join(" "));
            }
            tally.cell()
        });
        rows.push(format!("| {call} | {} |", cells.join(" | ")));
    }
    println!("{}", summary.join("\n"));
    let is_whole = arguments.filter.is_none() && arguments.skip.is_empty();
    if is_whole {
        good &= !libtest_mimic::run(&arguments, vec![table(rows)]).has_failed();
    }
    if good { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

fn suite(arguments: &Arguments, call: &'static str, errno: Errno, path: &Path, cases: &[Case]) -> Tally {
    let denied: &'static Denied = Box::leak(Box::new(Denied::new(call, errno)));
    let ruled = Runtime { path: path.to_owned(), kind: Kind::Isopod, denied: Some(denied) };
    let runtime: &'static Runtime = Box::leak(Box::new(ruled));
    let tally: &'static Mutex<Tally> = Box::leak(Box::default());
    println!("\nwithout {call} ({errno:?}):");
    let trials = cases.iter().cloned().map(|case| trial(case, runtime, denied, tally)).collect();
    let _ = libtest_mimic::run(arguments, trials);
    denied.end();
    std::mem::take(&mut *tally.lock().expect("tally"))
}

fn trial(case: Case, runtime: &'static Runtime, denied: &'static Denied, tally: &'static Mutex<Tally>) -> Trial {
    let (name, call) = (case.name(), denied.call);
    let exception =
        EXCEPTIONS.iter().find(|(whose, beginning, _)| call.starts_with(whose) && name.starts_with(beginning));
    if let Some((_, _, why)) = exception {
        return Trial::test(name, || Ok(())).with_kind(*why).with_ignored_flag(true);
    }
    if let Some(why) = case.lacking() {
        return Trial::test(name, || Ok(())).with_kind(why).with_ignored_flag(true);
    }
    Trial::test(name, move || {
        let outcome = outcome(&case, runtime, denied);
        let mut tally = tally.lock().expect("tally");
        match outcome {
            Outcome::Passed => tally.passed += 1,
            Outcome::Refused(verbs) => {
                tally.refused.push(name);
                // What only a terminal shows has no verb.
                tally.verbs.extend(verbs.into_iter().filter(|verb| verb != "?"));
            }
            Outcome::Failed(said) => {
                tally.failed += 1;
                return Err(said.into());
            }
        }
        Ok(())
    })
}

/// The page and the suite say the same.
fn table(rows: Vec<String>) -> Trial {
    let page = read(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kernel-features.md"));
    let missing: Vec<String> = rows.into_iter().filter(|row| !page.lines().any(|line| line == row)).collect();
    let outcome = match missing.is_empty() {
        true => Ok(()),
        false => Err(format!("docs/kernel-features.md has no such lines:\n{}", missing.join("\n"))),
    };
    Trial::test("downgrade::denied_calls_are_documented", move || Ok(outcome?))
}
