//! A system call that the kernel seems not to have, or somebody forbids: for what a fallback is there.

use std::process::Command;

use super::probe;

/// The same command; it, and what it starts, gets `errno` from every call of this number. If `first` is given, only
/// from those with this first argument.
#[track_caller]
pub fn deny(command: &Command, call: i64, first: Option<i32>, errno: i32) -> Command {
    let mut denied = Command::new(probe::path().expect("probe"));
    denied.arg("deny").args([call.to_string(), first.unwrap_or(-1).to_string(), errno.to_string()]);
    denied.arg(command.get_program()).args(command.get_args());
    denied.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(directory) = command.get_current_dir() {
        denied.current_dir(directory);
    }
    denied
}
