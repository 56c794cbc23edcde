//! What init waits for between `create` and `start`, and where `start` hears how the rest went.

#![forbid(unsafe_code)]

use core::ffi::CStr;

use super::state_dir::{ANSWER_FIFO, EXEC_FIFO, START_FIFO, StateDir};
use crate::error::{Context as _, Result};
use crate::sys::OwnedFd;
use crate::sys::file::{self, FileType, Mode, OFlags};
use crate::sys::shown;

/// Init's ends.
#[derive(Default)]
pub(super) struct Fifos {
    /// `exec.fifo`, whose opening for writing means `start`.
    pub start: Option<OwnedFd>,
    /// Where it answers, if `start` has to hear from it.
    pub answer: Option<OwnedFd>,
}

impl Fifos {
    /// Makes them. If there is an answer, `exec.fifo` is only a link to the fifo, which shows `start` that there is more
    /// to do.
    pub(super) fn make(dir: &StateDir, answered: bool) -> Result<Fifos> {
        if !answered {
            return Ok(Fifos { start: Some(make(dir, EXEC_FIFO)?), answer: None });
        }
        let reader = make(dir, ANSWER_FIFO)?;
        // There is a reader at this moment, which opening it for writing wants.
        let answer = open(dir, ANSWER_FIFO, OFlags::WRONLY)?;
        // Later one who reads shall see the end of it when init closes its end.
        reader.close();
        let start = make(dir, START_FIFO)?;
        file::symlinkat(START_FIFO, dir.fd(), EXEC_FIFO).context("symlink", "exec.fifo")?;
        Ok(Fifos { start: Some(start), answer: Some(answer) })
    }
}

fn make(dir: &StateDir, name: &CStr) -> Result<OwnedFd> {
    file::mknodat(dir.fd(), name, FileType::Fifo, 0o600, 0).context("mkfifo", shown(name))?;
    open(dir, name, OFlags::RDONLY)
}

fn open(dir: &StateDir, name: &CStr, how: OFlags) -> Result<OwnedFd> {
    file::openat(dir.fd(), name, how | OFlags::NONBLOCK, Mode::empty()).context("open", shown(name))
}
