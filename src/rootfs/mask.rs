//! `linux.maskedPaths` and `linux.readonlyPaths`.
//!
//! All masked directories share one empty, read-only tmpfs, however many there are (a machine with many processors
//! has dozens); all masked files are the host's null device, checked to be it (CVE-2025-31133).

use core::ffi::CStr;

use super::Rootfs;
use super::device::host_node;
use crate::error::{Context, Errno, Error, Result};
use crate::sys::file::{self, FileType, makedev};
use crate::sys::mount::{FsContext, MountAttr, attr, mount_setattr, move_mount, open_tree_clone};
use crate::sys::{AsFd, BorrowedFd, OwnedFd};

/// A source that is attached again and again: itself the first time, clones of it from then on. (A detached mount can
/// be cloned only from Linux 6.15 on, an attached one always.)
struct Shared {
    tree: OwnedFd,
    used: bool,
}

impl Shared {
    fn attach(&mut self, target: BorrowedFd<'_>) -> Result<(), Errno> {
        if core::mem::replace(&mut self.used, true) {
            let clone = open_tree_clone(self.tree.as_fd(), c"", false)?;
            return move_mount(clone.as_fd(), target);
        }
        move_mount(self.tree.as_fd(), target)
    }
}

impl Rootfs<'_> {
    /// Hides the masked paths that exist.
    ///
    /// # Errors
    /// The kernel's; that a path does not exist or may not be looked at is none.
    pub fn mask(&self) -> Result<()> {
        let mut directory: Option<Shared> = None;
        let mut null: Option<Shared> = None;
        for path in self.plan.masked_paths {
            let Some(target) = self.existing(path)? else { continue };
            let stat = file::fstat(target.as_fd()).context("fstat", text(path))?;
            let shared = if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                or_make(&mut directory, empty_directory)?
            } else {
                or_make(&mut null, || host_node(c"/dev/null", FileType::CharacterDevice, makedev(1, 3)))?
            };
            shared.attach(target.as_fd()).context("mask", text(path))?;
        }
        Ok(())
    }

    /// Makes the paths that exist read-only, with what is mounted below them.
    ///
    /// # Errors
    /// The kernel's, as with `mask`.
    pub fn make_readonly(&self) -> Result<()> {
        let readonly = MountAttr { attr_set: attr::RDONLY, ..MountAttr::default() };
        for path in self.plan.readonly_paths {
            let Some(target) = self.existing(path)? else { continue };
            let tree = open_tree_clone(target.as_fd(), c"", true).context("open_tree", text(path))?;
            mount_setattr(tree.as_fd(), true, &readonly).context("make read-only", text(path))?;
            move_mount(tree.as_fd(), target.as_fd()).context("make read-only", text(path))?;
        }
        Ok(())
    }

    fn existing(&self, path: &CStr) -> Result<Option<OwnedFd>> {
        match self.root().resolve(path) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => Ok(None),
            target => target.context("resolve", text(path)).map(Some),
        }
    }
}

fn or_make(place: &mut Option<Shared>, make: impl FnOnce() -> Result<OwnedFd>) -> Result<&mut Shared> {
    match place {
        Some(shared) => Ok(shared),
        None => Ok(place.insert(Shared { tree: make()?, used: false })),
    }
}

fn empty_directory() -> Result<OwnedFd> {
    let make = || {
        let context = FsContext::open(c"tmpfs")?;
        context.set_string(c"nr_inodes", c"1")?;
        context.set_string(c"mode", c"555")?;
        context.mount(attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC)
    };
    make().map_err(|errno| Error::errno("mount", "an empty tmpfs to mask directories", errno))
}

fn text(path: &CStr) -> &str {
    path.to_str().unwrap_or("?")
}
