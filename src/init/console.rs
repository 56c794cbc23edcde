//! The container's terminal: a pty of its own devpts, whose other side goes to whoever holds the console socket.

use crate::error::{Context, Error, Result};
use crate::plan::Plan;
use crate::rootfs::Rootfs;
use crate::sys::{AsFd, OwnedFd, fd, file, socket, terminal};

/// Opens it, sends the master, makes the terminal our controlling one and `/dev/console`.
pub(super) fn open(
    rootfs: &Rootfs<'_>,
    plan: &Plan<'_>,
    size: Option<(u16, u16)>,
    receiver: Option<OwnedFd>,
) -> Result<OwnedFd> {
    let receiver = receiver.ok_or(Error::because("send", "the terminal", "nobody receives it"))?;
    let master = rootfs.open_ptmx()?;
    terminal::unlock(master.as_fd()).context("unlock", "the container's terminal")?;
    // By descriptor: the name in /dev/pts could be anything by now (CVE-2025-52565).
    let ours = terminal::peer(master.as_fd()).context("open", "the container's terminal")?;
    // What is captured from it ends its lines as they were written.
    terminal::clear_onlcr(ours.as_fd()).context("set up", "the container's terminal")?;
    if let Some((rows, columns)) = size {
        let size = terminal::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        terminal::set_winsize(ours.as_fd(), size).context("set the size of", "the container's terminal")?;
    }
    let user = &plan.process.user;
    if user.uid != 0 {
        // The group stays that of the devpts, as login(1) leaves it.
        let stat = file::fstat(ours.as_fd()).context("fstat", "the container's terminal")?;
        file::fchown(ours.as_fd(), user.uid, stat.st_gid).context("chown", "the container's terminal")?;
    }
    rootfs.mount_console(ours.as_fd())?;
    terminal::make_controlling(ours.as_fd()).context("TIOCSCTTY", "the container's terminal")?;
    socket::send_fd(receiver.as_fd(), b"\0", master.as_fd()).context("send", "the container's terminal")?;
    Ok(ours)
}

/// Makes it standard input, output and error: from then on we have nothing more to say to the caller.
pub(super) fn become_standard(terminal: &OwnedFd) -> Result<()> {
    for number in 0..3 {
        fd::dup_to_standard(terminal.as_fd(), number).context("dup3", "the container's terminal")?;
    }
    Ok(())
}
