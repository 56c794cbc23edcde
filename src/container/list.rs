//! What there is below the root, and what is known about it.

#![forbid(unsafe_code)]

use super::state::{State, Status};
use super::state_dir::{Lock, StateDir};
use super::state_root;
use super::{Context, id};
use crate::error::{Context as _, Errno, Result};
use crate::sys::AsFd;
use crate::sys::file::{self, FileType};
use crate::sys::memory::{self, Growing};
use crate::warn;

/// A container as outsiders see it.
#[derive(Clone, Copy)]
pub struct Summary {
    /// Its name.
    pub id: &'static str,
    /// Init, 0 if there is none.
    pub pid: i32,
    /// Where it is in its life.
    pub status: Status,
    /// The rest; mostly empty if a runtime died, or works still, before it wrote the state.
    pub state: &'static State<'static>,
}

/// One container.
///
/// # Errors
/// If there is none of this name.
pub fn summary(context: &Context, id: &'static str) -> Result<Summary> {
    let dir = StateDir::open(context, id, Lock::None)?;
    let state = dir.read()?;
    let status = dir.status(state)?;
    let state = match state {
        Some(state) => state,
        None => dir.unwritten()?,
    };
    let pid = if status == Status::Stopped { 0 } else { state.pid };
    Ok(Summary { id, pid, status, state })
}

/// All containers, by name. One that cannot be read is left out with a warning.
///
/// # Errors
/// If the root cannot be read or trusted.
pub fn list(context: &Context) -> Result<&'static [Summary]> {
    let mut all = Growing::new();
    for id in names(context)? {
        match summary(context, id) {
            Ok(summary) => all.push(summary),
            // Deleted since we saw the name.
            Err(error) if error.is(Errno::NOENT) => {}
            Err(error) => warn!("{error}"),
        }
    }
    Ok(all.finish())
}

/// The names of all containers, sorted: of the directories of the root that have the name of one. The file system may
/// not tell what is a directory.
///
/// # Errors
/// If the root cannot be read or trusted.
pub fn names(context: &Context) -> Result<&'static [&'static str]> {
    let Some(root) = state_root::open(context.root)? else { return Ok(&[]) };
    let mut names = Growing::new();
    file::each_entry(root.as_fd(), |name, kind| {
        if matches!(kind, FileType::Directory | FileType::Unknown)
            && let Ok(id) = id::check(name)
        {
            names.push(memory::text(id));
        }
        Ok::<(), Errno>(())
    })
    .context("read", "state root")?;
    let names = names.finish();
    memory::sort(names);
    Ok(names)
}
