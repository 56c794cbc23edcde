//! NOTIFY_SOCKET: who supervises the runtime wants to be told that the service is ready, sd_notify(3). The container gets
//! a socket of ours, never the supervisor's. We pass on that it is ready, with the number that its init has on the host,
//! and nothing else.
//!
//! The socket is `ROOT/ID/notify/notify`. Its directory is mounted in the container where the supervisor's socket is on
//! the host; `run` listens from the beginning, `start` from just before the container's program.

#![forbid(unsafe_code)]

use core::ffi::CStr;

use super::Context;
use super::state_dir::StateDir;
use crate::error::{Context as _, Errno, Error, Escaped, Result};
use crate::sys::file::{self, Mode, OFlags};
use crate::sys::{AsFd, BorrowedFd, OwnedFd, memory, shown, socket, time};
use crate::warn;

/// The directory in that of the state.
const DIRECTORY: &CStr = c"notify";
/// The socket in there.
const SOCKET: &str = "notify";
/// How long the supervisor may take to read what it was told: as long as it does for sd_notify_barrier(3).
const PATIENCE_MS: u32 = 30_000;

/// The path of the supervisor's socket, if the caller was given one.
pub(super) fn wanted(context: &Context) -> Option<&'static CStr> {
    let path = context.start.var("NOTIFY_SOCKET").filter(|path| !path.is_empty())?;
    if path.to_bytes().starts_with(b"/") && path.to_str().is_ok() {
        return Some(path);
    }
    warn!("NOTIFY_SOCKET {}: not an absolute path, ignored", Escaped(path.to_bytes()));
    None
}

/// Makes the directory that is mounted in the container, with the label of its mounts, which the socket then has, too.
pub(super) fn make_directory(dir: &StateDir, label: Option<&CStr>) -> Result<()> {
    file::mkdirat(dir.fd(), DIRECTORY, 0o755).context("mkdir", "notify")?;
    let Some(label) = label else { return Ok(()) };
    let set = || file::set_selinux_label(open(dir)?.as_fd(), label);
    set().context("label", "notify")
}

fn open(dir: &StateDir) -> Result<OwnedFd, Errno> {
    file::openat(dir.fd(), DIRECTORY, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}

/// The container's socket.
pub(super) struct Notify {
    socket: OwnedFd,
    supervisor: &'static CStr,
}

impl Notify {
    /// Listens; `None` if `create` had no NOTIFY_SOCKET, for then the container knows nothing of it.
    pub(super) fn listen(dir: &StateDir, supervisor: &'static CStr) -> Result<Option<Notify>> {
        let directory = match open(dir) {
            Err(Errno::NOENT) => return Ok(None),
            directory => directory.context("open", "notify")?,
        };
        let socket =
            socket::bind_datagram(directory.as_fd(), SOCKET).context("bind", "the container's NOTIFY_SOCKET")?;
        Ok(Some(Notify { socket, supervisor }))
    }

    /// To wait for.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Waits until the container is ready, or its init, whose pidfd this is, has ended.
    pub(super) fn wait(&self, init: BorrowedFd<'_>, pid: i32) -> Result<()> {
        while time::wait_two(self.fd(), init).context("poll", "the container's NOTIFY_SOCKET")? {
            if self.is_ready(pid) {
                break;
            }
        }
        Ok(())
    }

    /// Takes one message; if the container is ready, the supervisor hears of it.
    pub(super) fn is_ready(&self, pid: i32) -> bool {
        let mut buffer = [0; 4096];
        let Ok(message) = socket::recv(self.fd(), &mut buffer) else { return false };
        if !says_ready(message) {
            return false;
        }
        if let Err(error) = self.tell(pid) {
            warn!("{error}");
        }
        true
    }

    fn tell(&self, pid: i32) -> Result<()> {
        let message = memory::format(format_args!("READY=1\nMAINPID={pid}"));
        let told = socket::connect_datagram(self.supervisor).and_then(|supervisor| {
            socket::send(supervisor.as_fd(), message.as_bytes())?;
            // We may end right away, and then nobody could tell whose message it was: so until it has been read. The
            // pipe is closed with this message, be it understood or not.
            let (end, barrier) = file::pipe()?;
            let sent = socket::send_fd(supervisor.as_fd(), b"BARRIER=1", barrier.as_fd());
            barrier.close();
            sent?;
            time::wait_readable(end.as_fd(), Some(PATIENCE_MS))
        });
        match told.context("tell NOTIFY_SOCKET", shown(self.supervisor))? {
            true => Ok(()),
            false => Err(Error::because("tell NOTIFY_SOCKET", shown(self.supervisor), "it does not listen")),
        }
    }
}

/// Whether a message has the line that says so.
pub(crate) fn says_ready(message: &[u8]) -> bool {
    message.split(|byte| *byte == b'\n').any(|line| line == b"READY=1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_a_line_of_its_own() {
        for message in [&b"READY=1"[..], b"READY=1\n", b"STATUS=up\nREADY=1\nMAINPID=2", b"\xff\nREADY=1"] {
            assert!(says_ready(message));
        }
        for message in [&b""[..], b"READY=0", b"READY=10", b"NOTREADY=1", b"READY=1\r", b"STATUS=READY=1"] {
            assert!(!says_ready(message));
        }
    }
}
