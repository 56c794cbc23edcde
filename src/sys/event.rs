//! Waiting for several descriptors at once: poll(2).

pub use rustix::event::{PollFd, PollFlags};

use super::{Result, retry};

/// poll(2) without a time limit.
///
/// # Errors
/// The kernel's; EINTR is waited through.
pub fn poll(fds: &mut [PollFd<'_>]) -> Result<()> {
    retry("poll", || rustix::event::poll(fds, None)).map(drop)
}
