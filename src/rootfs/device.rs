//! `/dev`: nodes, links, and what to do where nodes may not be made.

use core::ffi::CStr;

use super::{Rootfs, make_in};
use crate::error::{Context, Errno, Error, Result};
use crate::plan::device::{Device, LINKS};
use crate::sys::file::{self, AtFlags, Dev, FileType};
use crate::sys::mount::{MountAttr, attr, move_mount_to, open_tree_with};
use crate::sys::namespace::kind;
use crate::sys::root::Make;
use crate::sys::{AsFd, BorrowedFd, CWD, OwnedFd, memory, shown};

impl Rootfs<'_> {
    /// Makes the plan's nodes, then the links; nothing at all in a `/dev` that is not ours.
    ///
    /// # Errors
    /// The kernel's, with the device's path.
    pub fn make_devices(&self) -> Result<()> {
        for device in self.plan.devices {
            match (&self.ground.dev, device.path.normal.strip_prefix("/dev/")) {
                (_, Some(_)) if self.foreign_dev => {}
                (Some(dev), Some(name)) if !name.contains('/') => self.make(device, dev.as_fd(), name)?,
                _ => {
                    let failed = |errno| Error::errno("make the directory of the device", device.path.normal, errno);
                    let parent = self.root().parent_or_make(device.path.given).map_err(failed)?;
                    let (parent, name) = parent.ok_or_else(|| failed(Errno::INVAL))?;
                    self.make(device, parent.as_fd(), shown(name))?;
                }
            }
        }
        self.make_links()
    }

    fn make(&self, device: &Device<'_>, dir: BorrowedFd<'_>, name: &str) -> Result<()> {
        let path = device.path.normal;
        let cname = memory::cstr(name).ok_or_else(|| Error::errno("mknod", path, Errno::INVAL))?;
        match file::mknodat(dir, cname, device.kind, device.mode, device.dev) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let stat = file::fstatat(dir, cname, AtFlags::SYMLINK_NOFOLLOW).context("stat", path)?;
                return match FileType::from_raw_mode(stat.st_mode) {
                    _ if is_node(&stat, device.kind, device.dev) => Ok(()),
                    // Only the place for one, as we have left it when the container was made before.
                    FileType::RegularFile if self.plan.namespaces.has(kind::USER) => bind_node(device, dir, cname),
                    // An image may have brought anything (CVE-2026-88265).
                    _ => Err(Error::because("mknod", path, "the rootfs has something else there")),
                };
            }
            // A user namespace makes no nodes, nor does a runtime without CAP_MKNOD: the host's serve.
            Err(Errno::PERM) => return bind_node(device, dir, cname),
            Err(errno) => return Err(Error::errno("mknod", path, errno)),
        }
        if (device.uid, device.gid) != (0, 0) {
            file::chownat(dir, cname, device.uid, device.gid).context("chown", path)?;
        }
        Ok(())
    }

    fn make_links(&self) -> Result<()> {
        if self.foreign_dev {
            return Ok(());
        }
        let found;
        let dev = match &self.ground.dev {
            Some(dev) => dev.as_fd(),
            None => {
                found = self.root().resolve_or_make(c"/dev", Make::Directory).context("make", "/dev")?;
                found.as_fd()
            }
        };
        for (name, target) in LINKS {
            match file::symlinkat(target, dev, name) {
                Err(Errno::EXIST) if name == c"ptmx" => {
                    // The image's own would lead to the host's multiplexer.
                    file::unlinkat(dev, name).context("unlink", "/dev/ptmx")?;
                    file::symlinkat(target, dev, name).context("symlink", "/dev/ptmx")?;
                }
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(Error::errno("symlink", shown(name), errno)),
            }
        }
        Ok(())
    }
}

/// The host's node of the same path, in place of one of our own.
fn bind_node(device: &Device<'_>, dir: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    let host =
        memory::cstr(device.path.normal).ok_or_else(|| Error::errno("open", device.path.normal, Errno::INVAL))?;
    let tree = host_node(host, device.kind, device.dev)?;
    make_in(dir, name, Make::File).context("make the mount point", device.path.normal)?;
    move_mount_to(tree.as_fd(), dir, name).context("move_mount", device.path.normal)
}

fn is_node(stat: &file::Stat, kind: FileType, dev: Dev) -> bool {
    FileType::from_raw_mode(stat.st_mode) == kind && (kind == FileType::Fifo || stat.st_rdev == dev)
}

/// A node of the host as a detached mount, checked to be the device that it is said to be. Read-only, so that its
/// mode and owner, which are the host's, cannot be changed through it; the device itself can be written to all the same.
pub(super) fn host_node(path: &CStr, kind: FileType, dev: Dev) -> Result<OwnedFd> {
    let text = shown(path);
    let attr = MountAttr { attr_set: attr::RDONLY | attr::NOSUID | attr::NOEXEC, ..MountAttr::default() };
    let tree = open_tree_with(CWD, path, &attr).context("open the host's", text)?;
    let stat = file::fstat(tree.as_fd()).context("fstat", text)?;
    if !is_node(&stat, kind, dev) {
        return Err(Error::because("open the host's", text, "is not the device that it should be"));
    }
    Ok(tree)
}
