//! Ids of mounts: user namespaces that nobody is in, made for their maps alone.

use crate::error::{Context, Error, Result};
use crate::plan::idmap::Ids;
use crate::plan::mount::Mount;
use crate::sys::fd::FdList;
use crate::sys::mount::{MountAttr, attr, mount_setattr};
use crate::sys::namespace::kind;
use crate::sys::process::{self, Clone};
use crate::sys::{AsFd, BorrowedFd, CWD, Errno, OwnedFd, file, memory, shown};

use super::mount::failed;

/// Opens or makes those of the plan's list.
pub(super) fn open(all: &[Ids<'_>]) -> Result<FdList> {
    let mut fds = FdList::default();
    for ids in all {
        fds.push(Some(match ids {
            Ids::Joined(path) => file::open(path).context("open", shown(path))?,
            Ids::Maps(maps) => make(maps.uid.lines, maps.gid.lines)?,
        }));
    }
    Ok(fds)
}

/// A process that is dead but not buried still has its user namespace: the child has nothing to do, and nobody has to
/// wait for it before.
fn make(uid_map: &str, gid_map: &str) -> Result<OwnedFd> {
    // One whose end we ignore would be buried at once.
    process::reset_signal(process::SIGCHLD);
    let pid = match process::clone3(kind::USER, None).context("clone3", "a user namespace for a mount")? {
        Clone::Child => process::exit(0),
        Clone::Parent { pid, .. } => pid,
    };
    let of_child = |name: &str| memory::cstr(memory::format(format_args!("/proc/{pid}/{name}"))).ok_or(Errno::INVAL);
    let open = || {
        file::put(CWD, of_child("uid_map")?, uid_map.as_bytes())?;
        file::put(CWD, of_child("gid_map")?, gid_map.as_bytes())?;
        file::open(of_child("ns/user")?)
    };
    let opened = open().context("map the ids of", "a user namespace for a mount");
    process::wait(pid, true).context("wait4", "a user namespace for a mount")?;
    opened
}

/// Gives a detached tree its ids.
pub(super) fn apply(mount: &Mount<'_>, ids: &FdList, tree: BorrowedFd<'_>) -> Result<()> {
    let Some(idmap) = mount.idmap else { return Ok(()) };
    let namespace = ids.get(idmap.place).ok_or_else(|| failed(mount, "id-map", Errno::BADF))?;
    let userns_fd = crate::sys::fd::AsRawFd::as_raw_fd(&namespace.as_fd()) as u64;
    let attr = MountAttr { attr_set: attr::IDMAP, userns_fd, ..MountAttr::default() };
    mount_setattr(tree, idmap.recursive, &attr).map_err(|errno| {
        let error: Error = failed(mount, "mount_setattr", errno);
        match errno {
            Errno::INVAL => error.hint("the file system may not take an id mapping"),
            Errno::PERM => error.hint("it takes CAP_SYS_ADMIN over the file system"),
            _ => error,
        }
    })
}
