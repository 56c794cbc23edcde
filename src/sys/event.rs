//! Waiting for several descriptors at once: poll(2).

pub use rustix::event::{PollFd, PollFlags};

use super::{Result, retry};

/// poll(2), at most so many milliseconds; `None` waits for ever. Whether anything has come.
///
/// # Errors
/// The kernel's; EINTR is waited through.
pub fn poll(fds: &mut [PollFd<'_>], milliseconds: Option<u32>) -> Result<bool> {
    let timeout = milliseconds.map(super::time::timespec);
    retry("poll", || rustix::event::poll(fds, timeout.as_ref())).map(|n| n > 0)
}
