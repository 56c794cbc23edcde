//! Pseudo-terminals: pty(7), ioctl_tty(2).

pub use rustix::termios::{Termios, Winsize};

use rustix::termios::{OptionalActions, OutputModes};

use super::{AsFd, BorrowedFd, OwnedFd, Result, call};

/// Unlocks the other side of a pty: TIOCSPTLCK.
///
/// # Errors
/// ENOTTY.
pub fn unlock(master: BorrowedFd<'_>) -> Result<()> {
    call("ioctl", || rustix::pty::unlockpt(master))
}

/// The other side of a pty, without any path: TIOCGPTPEER.
///
/// # Errors
/// EINVAL before Linux 4.13.
pub fn peer(master: BorrowedFd<'_>) -> Result<OwnedFd> {
    use rustix::pty::OpenptFlags;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    call("ioctl", || rustix::pty::ioctl_tiocgptpeer(master, flags)).map(OwnedFd::from)
}

/// Makes the terminal the controlling one of our session: TIOCSCTTY.
///
/// # Errors
/// EPERM if we lead no session.
pub fn make_controlling(terminal: BorrowedFd<'_>) -> Result<()> {
    call("ioctl", || rustix::process::ioctl_tiocsctty(terminal))
}

/// TIOCGWINSZ.
///
/// # Errors
/// ENOTTY.
pub fn winsize(terminal: BorrowedFd<'_>) -> Result<Winsize> {
    call("ioctl", || rustix::termios::tcgetwinsize(terminal))
}

/// TIOCSWINSZ.
///
/// # Errors
/// ENOTTY.
pub fn set_winsize(terminal: BorrowedFd<'_>, size: Winsize) -> Result<()> {
    call("ioctl", || rustix::termios::tcsetwinsize(terminal, size))
}

/// tcgetattr(3).
///
/// # Errors
/// ENOTTY.
pub fn attributes(terminal: BorrowedFd<'_>) -> Result<Termios> {
    call("ioctl", || rustix::termios::tcgetattr(terminal))
}

/// tcsetattr(3), after what was written has been sent.
///
/// # Errors
/// ENOTTY.
pub fn set_attributes(terminal: BorrowedFd<'_>, attributes: &Termios) -> Result<()> {
    call("ioctl", || rustix::termios::tcsetattr(terminal, OptionalActions::Drain, attributes))
}

/// The same settings in raw mode: cfmakeraw(3).
#[must_use]
pub fn raw(attributes: &Termios) -> Termios {
    let mut raw = attributes.clone();
    raw.make_raw();
    raw
}

/// Clears ONLCR, so that a line written to the terminal ends as it was written.
///
/// # Errors
/// ENOTTY.
pub fn clear_onlcr(terminal: BorrowedFd<'_>) -> Result<()> {
    let mut settings = attributes(terminal.as_fd())?;
    settings.output_modes.remove(OutputModes::ONLCR);
    call("ioctl", || rustix::termios::tcsetattr(terminal, OptionalActions::Now, &settings))
}
