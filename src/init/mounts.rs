//! `mounts`: a process enters a container that runs, changes its mounts, and ends. It executes nothing, and nobody in
//! there can look into it.

use super::{enter, identity};
use crate::error::{Error, Result};
use crate::link::Child;
use crate::plan::Path;
use crate::plan::identity::User;
use crate::plan::mount::Mount;
use crate::rootfs::{Binds, Live};
use crate::sys::namespace::kind;
use crate::sys::{OwnedFd, process};

/// What is to be done, and what was opened for it.
pub enum Work<'a> {
    /// These mounts, with the trees of those that are bind mounts.
    Mount(&'a [Mount<'a>], Binds),
    /// What is mounted at these places.
    Unmount(&'a [Path<'a>]),
}

/// Joins the namespaces of `init`, of which nothing is kept.
///
/// # Errors
/// The kernel's.
pub fn join(init: OwnedFd, namespaces: u64) -> Result<()> {
    enter::join(&init, namespaces).map_err(|errno| Error::errno("setns", "to the container's namespaces", errno))?;
    if namespaces & kind::USER != 0 {
        identity::become_root(&User::default())?;
    }
    Ok(())
}

/// Does the work, in those namespaces, and tells how it went.
pub fn main(link: &Child, work: Work<'_>) -> ! {
    let done = match work {
        Work::Mount(mounts, binds) => Live::new(binds).and_then(|mut live| live.mount(mounts)),
        Work::Unmount(places) => Live::new(Binds::default()).and_then(|live| live.unmount(places)),
    };
    match done {
        Ok(()) => drop(link.ready()),
        // That nobody hears it is no matter: nobody wants to know any more.
        Err(error) => drop(link.failed(&error)),
    }
    process::exit(0)
}
