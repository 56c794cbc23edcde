//! Version 2 has no file for device rules: the kernel asks a program.

use super::{Errno, Error, Place, Result};
use crate::debug;
use crate::host::in_user_namespace;
use crate::sys::bpf::{self, Instruction};
use crate::sys::{AsFd, BorrowedFd, OwnedFd, process};

/// By this name we know our own again.
const NAME: &bpf::Name = b"isopod_devices\0\0";

/// As many programs as the kernel takes for one cgroup (BPF_CGROUP_MAX_PROGS).
const MOST: usize = 64;

/// RLIMIT_MEMLOCK.
const MEMLOCK: u32 = 8;

/// What a program comes to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// A cgroup that we have just made.
    New,
    /// One that was there: programs of others stay, and an access must be allowed by all.
    Existing,
    /// That of a running container. If there are only programs of others, somebody has replaced ours, and knows why.
    Running,
}

impl Place<'_> {
    /// Has the kernel ask this program about devices, from one moment to the next in place of the one that we have put
    /// there before; an empty one allows all.
    ///
    /// # Errors
    /// The kernel's, but not in a user namespace: nobody may load a program there, nor make a device.
    pub(super) fn guard_devices(&self, directory: BorrowedFd<'_>, program: &[Instruction], guard: Guard) -> Result<()> {
        match attach(directory, program, guard) {
            Ok(true) => {}
            Ok(false) => debug!("{}: the device program there is not ours, and stays", self.name()),
            Err(Errno::PERM) if in_user_namespace() => {
                debug!("linux.resources.devices: not enforced in a user namespace, where no device can be made");
            }
            Err(errno) => {
                let hint = match errno {
                    Errno::PERM => "it takes CAP_BPF, and that no program above forbids it",
                    Errno::INVAL => "this kernel has no CONFIG_CGROUP_BPF",
                    _ => "",
                };
                return Err(Error::errno("set linux.resources.devices of", self.name(), errno).hint(hint));
            }
        }
        Ok(())
    }
}

fn attach(cgroup: BorrowedFd<'_>, program: &[Instruction], guard: Guard) -> Result<bool, Errno> {
    let (ours, others) = if guard == Guard::New { (None, false) } else { attached(cgroup)? };
    match (program, &ours) {
        ([], None) => {}
        ([], Some(ours)) => bpf::prog_detach(cgroup, ours.as_fd())?,
        (_, None) if others && guard == Guard::Running => return Ok(false),
        _ => bpf::prog_attach(cgroup, load(program)?.as_fd(), ours.as_ref().map(AsFd::as_fd))?,
    }
    Ok(true)
}

/// Our program in a cgroup, and whether there are others.
fn attached(cgroup: BorrowedFd<'_>) -> Result<(Option<OwnedFd>, bool), Errno> {
    let mut ids = [0; MOST];
    let ids = bpf::prog_query(cgroup, &mut ids)?;
    for id in ids {
        let program = bpf::prog_by_id(*id)?;
        if bpf::prog_is_called(program.as_fd(), NAME)? {
            return Ok((Some(program), ids.len() > 1));
        }
    }
    Ok((None, !ids.is_empty()))
}

fn load(program: &[Instruction]) -> Result<OwnedFd, Errno> {
    match bpf::prog_load_cgroup_device(NAME, program) {
        // Before 5.11 a program counts as locked memory of its user, of which there is little.
        Err(Errno::PERM) => {
            let (soft, hard) = process::getrlimit(MEMLOCK)?;
            process::setrlimit(MEMLOCK, u64::MAX, u64::MAX).or_else(|_| process::setrlimit(MEMLOCK, hard, hard))?;
            let loaded = bpf::prog_load_cgroup_device(NAME, program);
            process::setrlimit(MEMLOCK, soft, hard)?;
            loaded
        }
        loaded => loaded,
    }
}
