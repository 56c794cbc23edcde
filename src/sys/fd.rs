//! Descriptors: owned ones are closed once, by `drop`; borrowed ones cannot outlive what they borrow from.

pub use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
pub use rustix::fs::CWD;

use super::memory::Growing;
use super::file::{Mode, OFlags};
use super::{Errno, Result, call};

/// The standard descriptors, 0, 1 and 2: the caller of the program vouches for them.
#[must_use]
pub fn standard(number: RawFd) -> BorrowedFd<'static> {
    debug_assert!((0..3).contains(&number));
    // SAFETY: at worst the descriptor is closed, and calls on it answer EBADF: nothing of ours has these numbers
    // (`file::fill_standard` sees to it).
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// A descriptor that we have by number because the caller of the program passed it (`--preserve-fds`).
#[must_use]
pub fn inherited(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: as in `standard`: at worst EBADF.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// dup3(2) onto a standard descriptor, without close-on-exec.
///
/// # Errors
/// EBADF.
pub fn dup_to_standard(fd: impl AsFd, number: RawFd) -> Result<()> {
    let from = fd.as_fd().as_raw_fd();
    if from == number {
        return call("fcntl", || rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty()));
    }
    // SAFETY: what had the number was standard input, output or error, which nobody of ours owns.
    unsafe { super::raw("dup3", linux_raw_sys::general::__NR_dup3, [from as usize, number as usize, 0, 0, 0, 0]) }
        .map(drop)
}

/// Marks everything from `first` on close-on-exec, whoever left it open.
///
/// # Errors
/// The kernel's.
pub fn cloexec_from(first: u32) -> Result<()> {
    match close_range_cloexec(first) {
        // Before Linux 5.11: one by one, as the kernel lists them.
        Err(Errno::NOSYS | Errno::INVAL) => {
            let list = super::file::openat(CWD, c"/proc/self/fd", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
            super::file::each_entry(list.as_fd(), |name, _| {
                match name.to_str().ok().and_then(|name| name.parse::<RawFd>().ok()) {
                    Some(number) if number >= first as RawFd => set_cloexec(number, true),
                    _ => Ok(()),
                }
            })
        }
        done => done,
    }
}

/// close_range(2) from `first` on: close-on-exec for whatever was open before us.
///
/// # Errors
/// ENOSYS before Linux 5.9, EINVAL before 5.11.
fn close_range_cloexec(first: u32) -> Result<()> {
    /// linux/close_range.h
    const CLOSE_RANGE_CLOEXEC: usize = 4;
    // SAFETY: closes nothing now.
    unsafe {
        super::raw(
            "close_range",
            linux_raw_sys::general::__NR_close_range,
            [first as usize, u32::MAX as usize, CLOSE_RANGE_CLOEXEC, 0, 0, 0],
        )
    }
    .map(drop)
}

/// O_NONBLOCK, on a description that is ours alone.
///
/// # Errors
/// EBADF.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> Result<()> {
    let flags = call("fcntl", || rustix::fs::fcntl_getfl(fd))?;
    call("fcntl", || rustix::fs::fcntl_setfl(fd, flags | rustix::fs::OFlags::NONBLOCK))
}

/// Sets close-on-exec on one inherited descriptor, by number.
///
/// # Errors
/// EBADF.
pub fn set_cloexec(number: RawFd, on: bool) -> Result<()> {
    let flags = if on { rustix::io::FdFlags::CLOEXEC } else { rustix::io::FdFlags::empty() };
    call("fcntl", || rustix::io::fcntl_setfd(inherited(number), flags))
}

/// A list of descriptors of any length, some places empty; closes them when dropped.
#[derive(Default)]
pub struct FdList(Growing<'static, RawFd>);

impl FdList {
    const NONE: RawFd = -1;

    /// Appends a descriptor, or an empty place.
    pub fn push(&mut self, fd: Option<OwnedFd>) {
        self.0.push(fd.map_or(FdList::NONE, IntoRawFd::into_raw_fd));
    }

    /// The descriptor at a place.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<BorrowedFd<'_>> {
        let fd = *self.0.as_slice().get(index)?;
        // SAFETY: ours until `take` or `drop`, which need the list mutably.
        (fd != FdList::NONE).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
    }

    /// Takes the descriptor at a place out.
    pub fn take(&mut self, index: usize) -> Option<OwnedFd> {
        let place = self.0.as_mut_slice().get_mut(index)?;
        let fd = core::mem::replace(place, FdList::NONE);
        // SAFETY: it was an `OwnedFd` when it came, and is not here any more.
        (fd != FdList::NONE).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl Drop for FdList {
    fn drop(&mut self) {
        for index in 0..self.0.len() {
            drop(self.take(index));
        }
    }
}
