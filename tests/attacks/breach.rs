//! What must hold: the assertions of attacks. They say that the attack came through, and nothing else in a test does, so
//! that one that fails for another reason is not taken for one that sees something.

use std::fmt::Display;

use crate::support::{BREACH, Container, Guard, Ran, Sandbox};

#[track_caller]
pub fn holds(condition: bool, what: impl Display) {
    assert!(condition, "{BREACH}: {what}");
}

#[track_caller]
pub fn same<T: PartialEq + std::fmt::Debug>(found: &T, expected: &T, what: impl Display) {
    assert!(found == expected, "{BREACH}: {what}: {found:?}, not {expected:?}");
}

/// Only a refusal is right, by one line.
#[track_caller]
pub fn refused(ran: &Ran) {
    holds(ran.code > 0, format_args!("not refused: {ran}"));
}

/// It runs, and what it says is this.
#[track_caller]
pub fn says(ran: &Ran, output: &str, what: impl Display) {
    same(&ran.ok().as_str(), &output, what);
}

/// Sets the trap in a container of its own, runs it as far as it goes, and looks at the guarded directory of the host.
#[track_caller]
pub fn attack(t: &Sandbox, trap: impl FnOnce(&mut Container, &Guard)) -> Ran {
    let guard = t.guard();
    let mut c = t.container();
    c.sh("true").writable();
    trap(&mut c, &guard);
    let ran = c.run();
    guard.is_unchanged();
    assert!(ran.code >= 0, "killed: {ran}");
    ran
}

/// The same, where only a refusal is right.
#[track_caller]
pub fn refused_attack(t: &Sandbox, trap: impl FnOnce(&mut Container, &Guard)) {
    refused(&attack(t, trap));
}
