//! The container's terminal: a pty of its own devpts, whose other side goes to whoever holds the console socket.

use crate::error::{Context, Errno, Error, Result};
use crate::plan::process::Process;
use crate::sys::root::Root;
use crate::sys::{AsFd, OwnedFd, fd, file, socket, terminal};

/// Both sides of a new pty.
pub(super) struct Terminal {
    master: OwnedFd,
    /// The process's own side.
    pub ours: OwnedFd,
}

/// Opens one in the container's devpts, of this size if one is given, for the user.
pub(super) fn open(root: &Root<'_>, process: &Process<'_>, size: Option<(u16, u16)>) -> Result<Terminal> {
    let master = open_ptmx(root)?;
    terminal::unlock(master.as_fd()).context("unlock", "the container's terminal")?;
    // By descriptor: the name in /dev/pts could be anything by now (CVE-2025-52565).
    let ours = terminal::peer(master.as_fd()).context("open", "the container's terminal")?;
    // What is captured from it ends its lines as they were written.
    terminal::clear_onlcr(ours.as_fd()).context("set up", "the container's terminal")?;
    if let Some((rows, columns)) = size {
        let size = terminal::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        terminal::set_winsize(ours.as_fd(), size).context("set the size of", "the container's terminal")?;
    }
    let user = &process.user;
    if user.uid != 0 {
        // The group stays that of the devpts, as login(1) leaves it.
        let stat = file::fstat(ours.as_fd()).context("fstat", "the container's terminal")?;
        file::fchown(ours.as_fd(), user.uid, stat.st_gid).context("chown", "the container's terminal")?;
    }
    Ok(Terminal { master, ours })
}

/// The terminal multiplexer of the container's devpts: pts(4). What is there is looked at before it is opened, for an
/// image may have any device there, and some do something when they are opened; and afterwards, for it may have been
/// another (CVE-2025-52565).
fn open_ptmx(root: &Root<'_>) -> Result<OwnedFd> {
    let open = |path| {
        is_ptmx(&root.resolve(path)?)?;
        let ptmx = root.open(path, file::OFlags::RDWR | file::OFlags::NOCTTY)?;
        is_ptmx(&ptmx).map(|()| ptmx)
    };
    let found = match open(c"/dev/pts/ptmx") {
        Err(Errno::NOENT | Errno::NODEV | Errno::ACCESS) => open(c"/dev/ptmx"),
        found => found,
    };
    found.map_err(|errno| match errno {
        Errno::NODEV => Error::because("open", "/dev/pts/ptmx", "is not a terminal multiplexer"),
        errno => {
            Error::errno("open", "/dev/pts/ptmx", errno).hint("process.terminal needs a devpts mounted on /dev/pts")
        }
    })
}

/// ENODEV if it is something else.
fn is_ptmx(found: &OwnedFd) -> Result<(), Errno> {
    let stat = file::fstat(found.as_fd())?;
    let is_ptmx = file::FileType::from_raw_mode(stat.st_mode) == file::FileType::CharacterDevice
        && (file::major(stat.st_rdev), file::minor(stat.st_rdev)) == (5, 2);
    if is_ptmx { Ok(()) } else { Err(Errno::NODEV) }
}

impl Terminal {
    /// Makes it our controlling one and sends the master; our side remains.
    pub(super) fn hand_over(self, receiver: Option<OwnedFd>) -> Result<OwnedFd> {
        let receiver = receiver.ok_or(Error::because("send", "the terminal", "nobody receives it"))?;
        terminal::make_controlling(self.ours.as_fd()).context("TIOCSCTTY", "the container's terminal")?;
        socket::send_fd(receiver.as_fd(), b"\0", self.master.as_fd()).context("send", "the container's terminal")?;
        Ok(self.ours)
    }
}

/// Makes it standard input, output and error: from then on we have nothing more to say to the caller.
pub(super) fn become_standard(terminal: &OwnedFd) -> Result<()> {
    for number in 0..3 {
        fd::dup_to_standard(terminal.as_fd(), number).context("dup3", "the container's terminal")?;
    }
    Ok(())
}
