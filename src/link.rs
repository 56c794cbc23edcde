//! What the runtime and the container's init share while the container is made: one socket with messages of a byte or
//! a line. The runtime tells how far its half of the work is; init tells that it is ready, or why it is not; that init
//! has become the user's program shows by the end of its side, which execve(2) closes.
//!
//! If either side dies, the other sees the end of the socket: nothing waits for ever.

#![forbid(unsafe_code)]

use crate::error::{Context, Errno, Error, Result};
use crate::sys::security::SockFilter;
use crate::sys::{self, AsFd, BorrowedFd, OwnedFd, file, listener, memory, socket, time, utf8};

/// What the runtime tells init, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Step {
    /// The id maps of its user namespace are written.
    Mapped = b'M',
    /// The state is on disk: it may go on to the user's program. With it come the signals that the caller ignores.
    Recorded = b'S',
    /// Somebody listens for the calls that its seccomp filter gives notice of.
    Listened = b'L',
    /// The hooks that the runtime runs are done; only if there are any.
    Hooked = b'H',
}

/// What init tells the runtime.
#[derive(Debug)]
pub enum Report {
    /// Everything is done but execve(2) and, for `create`, the wait for `start`; before that, if the runtime has hooks
    /// to run: it is time for them.
    Ready,
    /// Its seccomp filter is in force, and this is where the calls show that the filter gives notice of.
    Listener(OwnedFd),
    /// What failed: a whole line, for the texts of the other process are not ours.
    Failed(Error),
    /// Its side is closed: it executes the user's program, or it is dead.
    Closed,
}

const READY: u8 = b'R';
const FAILED: u8 = b'E';
const LISTENER: u8 = b'N';
/// The longest line that crosses; what is longer is cut.
const MAX: usize = 2048;

/// The runtime's end.
pub struct Parent(OwnedFd);

/// Init's end; that of `exec` has such a process on it.
pub struct Child(OwnedFd);

/// Both ends, before the clone.
///
/// # Errors
/// No descriptors left.
pub fn pair() -> Result<(Parent, Child)> {
    let (parent, child) = socket::pair().context("socketpair", "to the container's init")?;
    Ok((Parent(parent), Child(child)))
}

impl Parent {
    /// Tells init to go on, with what belongs to the step. That it is dead shows in its report.
    ///
    /// # Errors
    /// The kernel's: no memory for the message.
    pub fn tell(&self, step: Step, value: u32) -> Result<()> {
        let [a, b, c, d] = value.to_le_bytes();
        match socket::send(self.0.as_fd(), &[step as u8, a, b, c, d]) {
            Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
            told => told.map(drop).context("send", "to the container's init"),
        }
    }

    /// In init, where this end is not wanted, or it would never see the end of the runtime.
    pub fn close(self) {
        self.0.close();
    }

    /// Waits for what init has to say.
    ///
    /// # Errors
    /// The kernel's.
    pub fn hear(&self) -> Result<Report> {
        let mut buffer = [0; MAX];
        let (length, listener) = match socket::recv_fd(self.0.as_fd(), &mut buffer) {
            // It closed its end without having read all that we said. What it said itself is still there.
            Err(Errno::CONNRESET) => socket::recv_fd(self.0.as_fd(), &mut buffer),
            message => message,
        }
        .context("recv", "from the container's init")?;
        Ok(match (&buffer[..length], listener) {
            ([], _) => Report::Closed,
            ([READY, ..], _) => Report::Ready,
            ([LISTENER, ..], Some(listener)) => Report::Listener(listener),
            ([_, line @ ..], _) => Report::Failed(failure(line)),
        })
    }

    /// What init has failed with already, in place of what fails here because it is dead.
    #[cold]
    pub fn last_words(&self) -> Option<Error> {
        match time::wait_readable(self.0.as_fd(), Some(0)).ok()?.then(|| self.hear())?.ok()? {
            Report::Failed(error) => Some(error),
            _ => None,
        }
    }
}

impl Child {
    /// Waits until the runtime has come to a step; what belongs to it. `None` if the runtime is gone: then nobody
    /// wants us.
    #[must_use]
    pub fn wait(&self, step: Step) -> Option<u32> {
        let mut buffer = [0; 8];
        match socket::recv(self.0.as_fd(), &mut buffer) {
            Ok([told, a, b, c, d]) if *told == step as u8 => Some(u32::from_le_bytes([*a, *b, *c, *d])),
            _ => None,
        }
    }

    /// In the runtime, where this end is not wanted.
    pub fn close(self) {
        self.0.close();
    }

    /// Tells the runtime that all is done. Returns false if nobody hears it any more.
    pub fn ready(&self) -> bool {
        socket::send(self.0.as_fd(), &[READY]).is_ok()
    }

    /// Installs a filter and gives the runtime its listener. Returns when somebody listens, or when the filter itself
    /// does not let us wait for that.
    ///
    /// # Errors
    /// The kernel's.
    pub fn listen(&self, flags: u32, program: &[SockFilter]) -> sys::Result<()> {
        listener::install(flags, program, self.0.as_fd(), LISTENER)?;
        // Nothing is read any more: whatever comes means to go on, and so does the end.
        let _ = time::wait_readable(self.0.as_fd(), None);
        Ok(())
    }

    /// Tells the runtime what failed. Returns false if nobody hears it any more.
    #[must_use]
    pub fn failed(&self, error: &Error) -> bool {
        socket::send(self.0.as_fd(), line(error)).is_ok()
    }
}

/// Tells `start` what failed, through a fifo: in one piece, for it is shorter than PIPE_BUF. Returns false if nobody
/// hears it.
#[must_use]
pub fn answer(fifo: BorrowedFd<'_>, error: &Error) -> bool {
    file::write(fifo, line(error)).is_ok()
}

/// What `start` hears from that fifo: what failed, or by the end of it that the user's program has taken over.
///
/// # Errors
/// The kernel's; what failed.
pub fn hear_answer(fifo: BorrowedFd<'_>) -> Result<()> {
    let mut buffer = [0; MAX];
    let heard = time::wait_readable(fifo, None).and_then(|_| file::read(fifo, &mut buffer));
    match buffer.get(1..heard.context("read", "the answer of the container's init")?) {
        Some(line) => Err(failure(line)),
        None => Ok(()),
    }
}

fn failure(line: &[u8]) -> Error {
    Error::says(format_args!("{}", utf8(line).unwrap_or("the container's init failed")))
}

/// An error as it crosses.
fn line(error: &Error) -> &'static [u8] {
    let line = memory::format(format_args!("{}{error}", FAILED as char));
    let mut end = line.len().min(MAX);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line.as_bytes()[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_reports_cross() {
        let (parent, child) = pair().expect("a socket pair");
        parent.tell(Step::Mapped, 0).expect("sent");
        parent.tell(Step::Recorded, 0x1234_5678).expect("sent");
        assert_eq!((child.wait(Step::Mapped), child.wait(Step::Recorded)), (Some(0), Some(0x1234_5678)));
        child.ready();
        assert!(child.failed(&Error::errno("open", &"x".repeat(4000), Errno::NOENT)));
        child.close();
        assert!(matches!(parent.hear(), Ok(Report::Ready)));
        let Ok(Report::Failed(error)) = parent.hear() else { panic!("not failed") };
        assert_eq!(format!("{error}").len(), MAX - 1);
        assert!(matches!(parent.hear(), Ok(Report::Closed)));
    }

    #[test]
    fn a_report_arrives_though_init_heard_nothing() {
        let (parent, child) = pair().expect("a socket pair");
        parent.tell(Step::Recorded, 0).expect("sent");
        assert!(child.failed(&Error::errno("open", "/x", Errno::NOENT)));
        child.close();
        assert!(matches!(parent.hear(), Ok(Report::Failed(_))));
        assert!(matches!(parent.hear(), Ok(Report::Closed)));
    }

    #[test]
    fn a_dead_runtime_is_noticed() {
        let (parent, child) = pair().expect("a socket pair");
        parent.close();
        assert_eq!(child.wait(Step::Recorded), None);
    }
}
