//! The other side of a container's terminal: who gets it, and how it comes to us.

#![forbid(unsafe_code)]

use core::ffi::CStr;

use super::CreateRequest;
use crate::error::{Context as _, Error, Result};
use crate::plan::Plan;
use crate::sys::{AsFd, OwnedFd, shown, socket};

/// Whether there is somebody who could get it.
pub(super) fn check(plan: &Plan<'_>, request: &CreateRequest, is_only_created: bool) -> Result<()> {
    if plan.process.terminal.is_none() || request.console_socket.is_some() || !(is_only_created || request.detach) {
        return Ok(());
    }
    let with = if is_only_created { "create" } else { "--detach" };
    Err(Error::says(format_args!("use --console-socket with {with} when a terminal is used")))
}

/// Who gets the terminal's other side: the caller's socket, or we ourselves.
pub(super) struct Console {
    pub theirs: Option<OwnedFd>,
    pub ours: Option<OwnedFd>,
}

impl Console {
    pub(super) fn open(wanted: bool, socket: Option<&CStr>) -> Result<Console> {
        if !wanted {
            return Ok(Console { theirs: None, ours: None });
        }
        match socket {
            Some(path) => {
                let socket = socket::connect_stream(path).context("connect to the console socket", shown(path))?;
                Ok(Console { theirs: Some(socket), ours: None })
            }
            None => {
                let (ours, theirs) = socket::pair().context("socketpair", "for the terminal")?;
                Ok(Console { theirs: Some(theirs), ours: Some(ours) })
            }
        }
    }
}

pub(super) fn receive_master(socket: &OwnedFd) -> Result<OwnedFd> {
    let (_, master) = socket::recv_fd(socket.as_fd(), &mut [0; 64]).context("receive", "the container's terminal")?;
    master.ok_or(Error::because("receive", "the container's terminal", "it was not sent"))
}
