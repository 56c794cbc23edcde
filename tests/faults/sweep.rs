//! From one call to the next: each fails, each dies, and what then holds is asked for.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::libc::EIO;

use crate::errnos;
use crate::oracle;
use crate::order::{Call, DEATH, Fault, Order};

/// What came of one command.
#[derive(Default)]
pub struct Attempt {
    /// Its exit code, or minus the signal that ended it; none if it hung.
    pub code: Option<i32>,
    /// What it said on standard error, and what its container did.
    pub stderr: Vec<String>,
    /// What the payload says of itself, if it ran.
    pub report: String,
    /// Whatever is wrong already.
    pub trouble: Vec<String>,
}

static SITES: AtomicUsize = AtomicUsize::new(0);
static ERRNOS: AtomicUsize = AtomicUsize::new(0);
static DEATHS: AtomicUsize = AtomicUsize::new(0);
static SURVIVED: AtomicUsize = AtomicUsize::new(0);
static MISSED: AtomicUsize = AtomicUsize::new(0);
static FAILURES: AtomicUsize = AtomicUsize::new(0);
/// By call and errno, how often a command succeeded in spite of it.
static SUCCEEDED: Mutex<BTreeMap<(String, String), usize>> = Mutex::new(BTreeMap::new());

pub fn print_totals() {
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    let (errnos, deaths) = (count(&ERRNOS), count(&DEATHS));
    println!(
        "faults: {} calls, {errnos} errnos, {deaths} deaths; {} made no difference, {} were not reached, {} failures",
        count(&SITES),
        count(&SURVIVED),
        count(&MISSED),
        count(&FAILURES)
    );
    if std::env::var_os("FAULTS_SHOW").is_some() {
        for ((name, errno), times) in SUCCEEDED.lock().expect("list").iter() {
            println!("succeeded with {name} {errno}: {times}");
        }
    }
}

fn whole() -> bool {
    std::env::var("FAULTS").is_ok_and(|value| value == "all")
}

/// What is tried at one call.
fn faults(call: &Call) -> Vec<u32> {
    let errnos = errnos::of(&call.name).unwrap_or_else(|| panic!("errnos.rs does not have {}", call.name));
    // A death at the very last is one of the program's own: nobody can tell.
    let dies = (call.name != "execve").then_some(DEATH);
    if whole() {
        return errnos.iter().map(|errno| *errno as u32).chain(dies).collect();
    }
    let number = call.number as usize;
    let errno = errnos.get(number % errnos.len().max(1)).map(|errno| *errno as u32);
    errno.into_iter().chain(dies.filter(|_| number.is_multiple_of(4))).collect()
}

/// Tries them all; `attempt` gives the order and brings everything to the same beginning each time. Where `own` names the
/// calls that other commands do not make so, a quick sweep tries few of the rest.
pub fn sweep(order: &Order, own: Option<&[&str]>, attempt: &dyn Fn(Option<Fault>) -> Attempt) {
    const FEW: usize = 6;
    // The first time, directories are made that stay.
    attempt(None);
    let expected = attempt(None);
    assert!(expected.code == Some(0), "{:?} {:?} {:?}", expected.code, expected.stderr, expected.trouble);
    assert!(
        expected.trouble.is_empty() && expected.stderr.concat().is_empty(),
        "{:?} {:?}",
        expected.trouble,
        expected.stderr
    );
    let calls = order.calls();
    let only: Option<(u32, u32)> = std::env::var("FAULTS_ONLY").ok().and_then(|text| {
        let (role, number) = text.split_once('.')?;
        Some((role.parse().ok()?, number.parse().ok()?))
    });
    let mut failures = Vec::new();
    for (at, call) in calls.iter().enumerate() {
        let is_known = own.is_some_and(|own| !own.contains(&call.name.as_str()));
        if !whole() && (is_one_of_many(&calls, at) || is_known && !at.is_multiple_of(FEW)) {
            continue;
        }
        if only.is_some_and(|only| only != (call.role, call.number)) {
            continue;
        }
        SITES.fetch_add(1, Ordering::Relaxed);
        for errno in faults(call) {
            let fault = Fault { role: call.role, number: call.number, errno };
            let got = attempt(Some(fault));
            failures.extend(judge(order, call, fault, &expected, got));
        }
    }
    FAILURES.fetch_add(failures.len(), Ordering::Relaxed);
    assert!(failures.is_empty(), "{} failures in {} calls:\n{}", failures.len(), calls.len(), failures.join("\n"));
}

/// Whether it lies in the middle of calls of the same name, as those that reset all signals do.
fn is_one_of_many(calls: &[Call], at: usize) -> bool {
    let Call { role, number, name } = &calls[at];
    let same = |number: u32| calls.iter().any(|call| (call.role, call.number, &call.name) == (*role, number, name));
    (-2..=2).all(|step| number.checked_add_signed(step).is_some_and(same))
}

fn judge(order: &Order, call: &Call, fault: Fault, expected: &Attempt, got: Attempt) -> Option<String> {
    let happened = order.has_happened();
    let dies = fault.errno == DEATH;
    let errno = if dies { "death".to_owned() } else { format!("{:?}", Errno::from_raw(fault.errno as i32)) };
    if dies { &DEATHS } else { &ERRNOS }.fetch_add(1, Ordering::Relaxed);
    let mut trouble = got.trouble;
    // Where two processes work at once their calls are not always the same: this may have been another one, that does
    // not give this errno.
    let met = order.calls().into_iter().find(|one| (one.role, one.number) == (call.role, call.number));
    let other = met.filter(|met| met.name != call.name && !dies);
    let strange = other.is_some_and(|met| errnos::of(&met.name).is_none_or(|all| !all.contains(&(fault.errno as i32))));
    if !happened || strange {
        MISSED.fetch_add(1, Ordering::Relaxed);
    }
    if strange {
        return None;
    }
    match got.code {
        None => trouble.push(format!("hangs, after {:?}", last_calls(&order.calls()))),
        Some(code) => {
            let killed = dies && happened && code < 0;
            // An init that ends when there is nobody any more to be told ends as the program might.
            let silent = call.role != 1 && happened && code == 137 && got.stderr.concat().is_empty();
            if !killed && !silent {
                trouble.extend(oracle::lines(code != 0, &got.stderr));
            }
            if code == 0 && happened {
                SURVIVED.fetch_add(1, Ordering::Relaxed);
                let key = (format!("{} {}", call.role, call.name), errno.clone());
                *SUCCEEDED.lock().expect("list").entry(key).or_default() += 1;
            }
            // By EIO a terminal says that nobody has it any more; and what is lost on the way there is said.
            let relayed =
                call.name == "read" && fault.errno == EIO as u32 || got.stderr.concat().contains("output is lost");
            if code == 0 && got.report.is_empty() && !expected.report.is_empty() && !relayed {
                trouble.push("succeeds, but the payload did not run".into());
            }
        }
    }
    if !got.report.is_empty() && got.report != expected.report {
        let difference = oracle::difference(&expected.report, &got.report, got.code == Some(0), &got.stderr.concat());
        if !oracle::is_expected(call.role, &call.name, fault.errno as i32, &difference) {
            trouble.extend(difference);
        }
    }
    if trouble.is_empty() {
        return None;
    }
    let Call { role, number, name } = call;
    Some(format!(
        "{role}.{number} {name} {errno}: code {:?}, {:?}\n      {}",
        got.code,
        got.stderr,
        trouble.join("\n      ")
    ))
}

/// Where each process is.
fn last_calls(calls: &[Call]) -> Vec<String> {
    let mut last: BTreeMap<u32, &Call> = BTreeMap::new();
    for call in calls {
        last.insert(call.role, call);
    }
    last.values().map(|call| format!("{}.{} {}", call.role, call.number, call.name)).collect()
}
