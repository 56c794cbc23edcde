//! The agent that answers for the calls that SCMP_ACT_NOTIFY gives notice of: it gets the filter's listener and the
//! "container process state" of the runtime specification, over a connection of its own.

#![forbid(unsafe_code)]

use super::SPEC_VERSION;
use super::state::{State, Status};
use crate::error::{Context, Error, Result};
use crate::json::{self, Style};
use crate::sys::{AsFd, OwnedFd, memory, socket};

/// Passes a listener on. `pid` is the process that the filter is of: the container's init, or one of `exec`.
///
/// # Errors
/// If nobody is there, or nobody listens any more.
pub(super) fn pass_on(state: &State<'_>, status: Status, pid: i32, listener: &OwnedFd) -> Result<()> {
    let path = state.listener_path.unwrap_or("");
    let text = json::text(Style::Compact, |w| {
        w.object(|w| {
            w.member("ociVersion", SPEC_VERSION);
            w.member("fds", &["seccompFd"][..]);
            w.member("pid", pid);
            w.member("metadata", state.listener_metadata);
            w.name("state").object(|w| {
                w.member("ociVersion", SPEC_VERSION);
                w.member("id", state.id);
                w.member("status", status.name());
                w.member("pid", state.pid);
                w.member("bundle", state.bundle);
                w.member("annotations", Some(state.annotations).filter(|annotations| !annotations.is_empty()));
            });
        });
    });
    let address = memory::cstr(path).ok_or(Error::because("connect to the seccomp agent", path, "no path"))?;
    let agent = socket::connect_stream(address).context("connect to the seccomp agent", memory::text(path))?;
    socket::send_fd(agent.as_fd(), text.as_bytes(), listener.as_fd())
        .context("send the listener to the seccomp agent", memory::text(path))?;
    agent.close();
    Ok(())
}
