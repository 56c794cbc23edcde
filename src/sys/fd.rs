//! Descriptors: owned ones are closed once, by `drop`; borrowed ones cannot outlive what they borrow from.

pub use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
pub use rustix::fs::CWD;

use super::{Result, call};

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

/// close_range(2) from `first` on: close-on-exec for whatever was open before us.
///
/// # Errors
/// ENOSYS before Linux 5.9, EINVAL before 5.11.
pub fn close_range_cloexec(first: u32) -> Result<()> {
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

/// Sets close-on-exec on one inherited descriptor, by number.
///
/// # Errors
/// EBADF.
pub fn set_cloexec(number: RawFd, on: bool) -> Result<()> {
    let flags = if on { rustix::io::FdFlags::CLOEXEC } else { rustix::io::FdFlags::empty() };
    call("fcntl", || rustix::io::fcntl_setfd(inherited(number), flags))
}

/// Closes a descriptor whose owner stays behind in the parent: in a child that only ever executes or exits, nobody
/// drops its copy of the owner, which would close the number a second time.
pub fn close_in_child(fd: BorrowedFd<'_>) {
    // SAFETY: the caller is such a child.
    let _ =
        unsafe { super::raw("close", linux_raw_sys::general::__NR_close, [fd.as_raw_fd() as usize, 0, 0, 0, 0, 0]) };
}
