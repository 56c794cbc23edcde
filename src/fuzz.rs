//! The way in for `tests/fuzz`: what reads foreign text and is nobody's business otherwise. In no other build.

use crate::container::process::Stat;
use crate::container::state::State;
use crate::error::Result;
use crate::host::Hierarchy;
use crate::host::caller::{self, Range};

pub use crate::sys::memory::fuzzing::give_back;

/// `state.json`.
///
/// # Errors
/// If it is none.
pub fn state(text: &[u8]) -> Result<State<'_>> {
    State::parse("state.json", text)
}

/// The same as we write it.
#[must_use]
pub fn state_text(state: &State<'_>) -> &'static str {
    state.json()
}

/// The home directory of a user in the container's `/etc/passwd`.
#[must_use]
pub fn home(table: &[u8], uid: u32) -> Option<&str> {
    crate::init::identity::home_of(table, uid)
}

/// The name of a user by a line of the host's `/etc/passwd`.
#[must_use]
pub fn name(line: &str, uid: u32) -> Option<&str> {
    caller::name_of(line, uid)
}

/// What a line of `/etc/subuid` gives him.
#[must_use]
pub fn range(line: &str, name: &str, uid: u32) -> Option<Range> {
    caller::range_of(line, name, uid)
}

/// Whether a message to NOTIFY_SOCKET says that the container is ready.
#[must_use]
pub fn says_ready(message: &[u8]) -> bool {
    crate::container::notify::says_ready(message)
}

/// `/proc/PID/stat`.
#[must_use]
pub fn stat(line: &[u8]) -> Option<Stat> {
    Stat::parse(line)
}

/// `/proc/self/cgroup`, with the names in `/sys/fs/cgroup`.
#[must_use]
pub fn hierarchies(own: &'static str, directories: &str) -> &'static [Hierarchy<'static>] {
    crate::host::hierarchies(own, Some(directories))
}

/// A number of bytes as `update` takes it.
#[must_use]
pub fn size(text: &str) -> Option<i64> {
    crate::cli::update::size(text)
}
