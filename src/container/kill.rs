//! Signals to a container.

#![forbid(unsafe_code)]

use super::Context;
use super::process::{Freezer, SIGKILL};
use super::state_dir::{Lock, StateDir};
use crate::error::{Errno, Error, Result};
use crate::sys::{self, Names, utf8};

/// Sends a signal to the container's init, or to every process in its cgroup.
///
/// # Errors
/// If there is no such container or nothing in it that could get the signal.
pub fn kill(context: &Context, id: &'static str, signal: u32, all: bool) -> Result<()> {
    let dir = StateDir::open(context, id, Lock::None)?;
    let Some(state) = dir.read()? else { return Err(not_running(id)) };
    if all {
        // Also those that outlived init: in a pid namespace of the host's, or of another container's, they can.
        let cgroup = super::cgroup_of(state)?;
        if !cgroup.pids()?.is_empty() {
            return cgroup.kill_all(signal);
        }
    }
    let Some(init) = state.init()? else { return Err(not_running(id)) };
    init.signal(signal).map_err(|error| if error.is(Errno::SRCH) { not_running(id) } else { error })?;
    // One that version 1 has frozen does not even die.
    if signal == SIGKILL && init.stat.freezer() == Freezer::Any { super::cgroup_of(state)?.thaw() } else { Ok(()) }
}

/// Engines look for "container not running" and for "no such process".
#[cold]
fn not_running(id: &str) -> Error {
    Error::says(format_args!("kill container `{id}`: container not running")).with(Errno::SRCH)
}

/// The first real-time signal that programs may use, and the last: libc keeps two for itself.
const RTMIN: u32 = 34;
const RTMAX: u32 = 64;

/// By number, from 1: signal(7) for this machine.
static NAMES: Names = Names(
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG \
     XCPU XFSZ VTALRM PROF WINCH IO PWR SYS",
);

/// The number of a signal: `15`, `TERM`, `SIGTERM`, `sigterm`, `RTMIN+1`, `RTMAX-1`; or `0`, which only asks whether
/// there is somebody who could get one.
#[must_use]
pub fn signal_number(word: &[u8]) -> Option<u32> {
    let word = utf8(word)?;
    if word.starts_with(|first: char| first.is_ascii_digit()) {
        return sys::natural(word).filter(|number| *number <= RTMAX);
    }
    let name = without_prefix(word, "SIG").unwrap_or(word);
    if let Some(number) = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name)) {
        return Some(number as u32 + 1);
    }
    let number = match (without_prefix(name, "RTMIN"), without_prefix(name, "RTMAX")) {
        (Some(more), _) => RTMIN.checked_add(distance(more, '+')?),
        (_, Some(less)) => RTMAX.checked_sub(distance(less, '-')?),
        _ => None,
    };
    number.filter(|number| (RTMIN..=RTMAX).contains(number))
}

/// What follows `RTMIN` or `RTMAX`: nothing, or a sign and a number.
fn distance(text: &str, sign: char) -> Option<u32> {
    if text.is_empty() {
        return Some(0);
    }
    let digits = text.strip_prefix(sign)?;
    sys::natural(digits)
}

fn without_prefix<'w>(word: &'w str, prefix: &str) -> Option<&'w str> {
    let (start, rest) = word.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_name_and_number() {
        for (word, number) in [
            ("0", 0),
            ("1", 1),
            ("64", 64),
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigKill", 9),
            ("hup", 1),
            ("SYS", 31),
            ("STKFLT", 16),
            ("IO", 29),
            ("RTMIN", 34),
            ("SIGRTMIN+15", 49),
            ("rtmin+30", 64),
            ("RTMAX", 64),
            ("RTMAX-14", 50),
            ("RTMAX-30", 34),
        ] {
            assert_eq!(signal_number(word.as_bytes()), Some(number), "{word}");
        }
        for word in
            ["", "65", "9x", "-9", "SIG", "SIGSIGTERM", "TERMX", "RTMIN+31", "RTMAX-31", "RTMIN-1", "RTMIN++1", "é"]
        {
            assert_eq!(signal_number(word.as_bytes()), None, "{word}");
        }
        assert_eq!(signal_number(b"\xff"), None);
    }
}
