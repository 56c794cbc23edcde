//! `tmpcopyup`: a copy of a directory of the image in a tmpfs, with everything: modes, owners, links, devices, extended
//! attributes.

use core::ffi::CStr;

use crate::error::Errno;
use crate::sys::file::{self, AtFlags, FileType, Mode, OFlags, Stat};
use crate::sys::{AsFd, BorrowedFd, Result};

/// Nobody's directories are deeper; an image that has such does not get to use up our stack.
const MAX_DEPTH: u32 = 200;

/// Copies what is in the directory `from` into the directory `to`. No link is followed.
pub(super) fn tree(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let from = file::openat(from, c".", flags, Mode::empty())?;
    // A tmpfs's descriptor from fsmount(2) is a mere path.
    let to = file::openat(to, c".", flags, Mode::empty())?;
    directory(from.as_fd(), to.as_fd(), MAX_DEPTH)
}

fn directory(from: BorrowedFd<'_>, to: BorrowedFd<'_>, depth: u32) -> Result<()> {
    if depth == 0 {
        return Err(Errno::LOOP);
    }
    file::each_entry(from, |name, _| {
        let stat = file::fstatat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
                let below = file::openat(from, name, flags, Mode::empty())?;
                file::mkdirat(to, name, 0o700)?;
                let copy = file::openat(to, name, flags, Mode::empty())?;
                directory(below.as_fd(), copy.as_fd(), depth - 1)?;
                same_attributes(below.as_fd(), copy.as_fd(), &stat)
            }
            FileType::RegularFile => {
                // It may be something else by now.
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
                let original = file::openat(from, name, flags, Mode::empty())?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                let copy = file::openat(to, name, flags, Mode::from_raw_mode(0o600))?;
                while file::sendfile(copy.as_fd(), original.as_fd(), 1 << 30)? > 0 {}
                same_attributes(original.as_fd(), copy.as_fd(), &stat)
            }
            FileType::Symlink => link(from, to, name, &stat),
            kind => {
                file::mknodat(to, name, kind, stat.st_mode & 0o7777, stat.st_rdev)?;
                file::chownat(to, name, stat.st_uid, stat.st_gid)
            }
        }
    })
}

fn link(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> Result<()> {
    let mut buffer = [0; 4097];
    let length = file::readlinkat(from, name, &mut buffer[..4096])?.len();
    let target = CStr::from_bytes_with_nul(&buffer[..=length]).map_err(|_| Errno::INVAL)?;
    file::symlinkat(target, to, name)?;
    file::chownat(to, name, stat.st_uid, stat.st_gid)
}

/// The owner first, for a change of it clears the set-id bits; then the rest.
fn same_attributes(original: BorrowedFd<'_>, copy: BorrowedFd<'_>, stat: &Stat) -> Result<()> {
    file::fchown(copy, stat.st_uid, stat.st_gid)?;
    file::copy_xattrs(original, copy)?;
    file::fchmod(copy, stat.st_mode & 0o7777)
}
