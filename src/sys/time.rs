//! Clocks, by system call: a program that lives a few milliseconds gains nothing from finding the vDSO.

use linux_raw_sys::general::{__NR_clock_gettime, CLOCK_MONOTONIC, CLOCK_REALTIME};
use rustix::event::Timespec;

use super::event::{PollFd, PollFlags, poll};
use super::{arch, fd};

fn clock(which: u32) -> (u64, u32) {
    let mut now = [0u64; 2];
    // SAFETY: the kernel writes a `timespec`, two words. The call cannot fail for these clocks.
    unsafe {
        arch::syscall6(__NR_clock_gettime as usize, which as usize, now.as_mut_ptr() as usize, 0, 0, 0, 0);
    }
    (now[0], now[1] as u32)
}

/// Seconds and nanoseconds since 1970: CLOCK_REALTIME.
#[must_use]
pub fn realtime() -> (u64, u32) {
    clock(CLOCK_REALTIME)
}

/// Nanoseconds since some moment: CLOCK_MONOTONIC. Not traced, for the trace itself uses it.
#[must_use]
pub fn monotonic_raw() -> u64 {
    let (seconds, nanos) = clock(CLOCK_MONOTONIC);
    seconds * 1_000_000_000 + u64::from(nanos)
}

/// Waits until a descriptor is readable (or its other end is gone): poll(2). `false` if `milliseconds` passed first;
/// `None` waits for ever.
///
/// # Errors
/// The kernel's; EINTR is not reported but waited through.
pub fn wait_readable(file: fd::BorrowedFd<'_>, milliseconds: Option<u32>) -> super::Result<bool> {
    wait(file, PollFlags::IN, milliseconds)
}

/// Waits until a file of the kernel's that notifies (`cgroup.events`) says something else than what was last read from
/// this descriptor: poll(2) for POLLPRI.
///
/// # Errors
/// The kernel's.
pub fn wait_changed(file: fd::BorrowedFd<'_>, milliseconds: u32) -> super::Result<bool> {
    wait(file, PollFlags::PRI, Some(milliseconds))
}

/// Waits until one descriptor is readable, or the other one, if there is one, has changed as for `wait_changed`, or the
/// time is over. Whether it was the first.
///
/// # Errors
/// The kernel's.
pub fn wait_either(
    readable: fd::BorrowedFd<'_>,
    changed: Option<fd::BorrowedFd<'_>>,
    milliseconds: u32,
) -> super::Result<bool> {
    let mut fds = [(readable, PollFlags::IN), (changed.unwrap_or(readable), PollFlags::PRI)]
        .map(|(fd, what)| PollFd::from_borrowed_fd(fd, what));
    poll(&mut fds, Some(milliseconds))?;
    Ok(!fds[0].revents().is_empty())
}

/// Waits until one of two descriptors is readable; whether it was the first.
///
/// # Errors
/// The kernel's.
pub fn wait_two(first: fd::BorrowedFd<'_>, second: fd::BorrowedFd<'_>) -> super::Result<bool> {
    let mut fds = [first, second].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    poll(&mut fds, None)?;
    Ok(!fds[0].revents().is_empty())
}

pub(super) fn timespec(milliseconds: u32) -> Timespec {
    Timespec { tv_sec: i64::from(milliseconds / 1000), tv_nsec: i64::from(milliseconds % 1000) * 1_000_000 }
}

fn wait(file: fd::BorrowedFd<'_>, what: PollFlags, milliseconds: Option<u32>) -> super::Result<bool> {
    poll(&mut [PollFd::from_borrowed_fd(file, what)], milliseconds)
}
