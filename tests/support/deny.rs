//! Commands of a caller who is not like others: who is forbidden a system call, as by an older kernel, or who has a secret.

use std::process::Command;

use super::command::behind;
use super::probe;

/// The same command; it, and what it starts, gets `errno` from every call of this number. If `first` is given, only
/// from those with this first argument.
#[track_caller]
pub fn deny(command: &Command, call: i64, first: Option<i32>, errno: i32) -> Command {
    by_probe(command, &["deny", &call.to_string(), &first.unwrap_or(-1).to_string(), &errno.to_string()])
}

/// The same command, of a caller whose session keyring has a key.
#[track_caller]
pub fn with_key(command: &Command, name: &str, secret: &str) -> Command {
    by_probe(command, &["keep", name, secret])
}

#[track_caller]
fn by_probe(command: &Command, words: &[&str]) -> Command {
    let probe = probe::path().expect("probe");
    behind(&[&[probe.to_str().expect("UTF-8")], words].concat(), command)
}
