//! `linux.maskedPaths` and `linux.readonlyPaths`.
//!
//! All masked directories share one empty, read-only tmpfs, however many there are (a machine with many processors
//! has dozens); all masked files are the host's null device, checked to be it (CVE-2025-31133).

use core::ffi::CStr;

use super::device::host_node;
use super::{Place, Rootfs};
use crate::error::{Context, Errno, Error, Result};
use crate::plan::mount::Datum;
use crate::sys::file::{self, AtFlags, FileType, makedev};
use crate::sys::mount::{FsContext, MountAttr, attr, mount_setattr, open_tree_clone};
use crate::sys::namespace::kind;
use crate::sys::{AsFd, OwnedFd};

/// A source that is attached again and again: itself the first time, clones of it from then on. (A detached mount can
/// be cloned only from Linux 6.15 on, an attached one always.)
struct Shared {
    tree: OwnedFd,
    used: bool,
}

impl Shared {
    fn attach(&mut self, place: &Place<'_>) -> Result<(), Errno> {
        if core::mem::replace(&mut self.used, true) {
            let clone = open_tree_clone(self.tree.as_fd(), c"", false)?;
            return place.attach(clone.as_fd());
        }
        place.attach(self.tree.as_fd())
    }
}

impl Rootfs<'_> {
    /// Hides the masked paths that exist.
    ///
    /// # Errors
    /// The kernel's; that a path does not exist is none.
    pub fn mask(&self) -> Result<()> {
        let mut directory: Option<Shared> = None;
        let mut null: Option<Shared> = None;
        for path in self.plan.masked_paths {
            let Some((place, kind)) = missing_is_none(self.existing(path)).context("resolve", text(path))? else {
                continue;
            };
            let shared = if kind == FileType::Directory {
                or_make(&mut directory, || empty_directory(self.plan.mount_label))?
            } else {
                or_make(&mut null, || host_node(c"/dev/null", FileType::CharacterDevice, makedev(1, 3)))?
            };
            shared.attach(&place).context("mask", text(path))?;
        }
        Ok(())
    }

    /// What is there, and of what kind.
    fn existing(&self, path: &CStr) -> Result<(Place<'_>, FileType), Errno> {
        let (place, stat) = match self.ground.in_ours(text(path)) {
            Some((directory, name)) => {
                (Place::In(directory, name), file::fstatat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?)
            }
            None => {
                let target = self.look_up(path)?;
                let stat = file::fstat(target.as_fd())?;
                (Place::At(target), stat)
            }
        };
        Ok((place, FileType::from_raw_mode(stat.st_mode)))
    }

    /// Makes the paths that exist read-only, with what is mounted below them.
    ///
    /// # Errors
    /// The kernel's, as with `mask`.
    pub fn make_readonly(&self) -> Result<()> {
        let readonly = MountAttr { attr_set: attr::RDONLY, ..MountAttr::default() };
        for path in self.plan.readonly_paths {
            let Some((place, tree)) = missing_is_none(self.clone_of(path)).context("resolve", text(path))? else {
                continue;
            };
            mount_setattr(tree.as_fd(), true, &readonly).context("make read-only", text(path))?;
            place.attach(tree.as_fd()).context("make read-only", text(path))?;
        }
        Ok(())
    }

    /// Where a path leads. What the root of a user namespace may not look at is not there for anybody in it.
    fn look_up(&self, path: &CStr) -> Result<OwnedFd, Errno> {
        match self.root().resolve(path) {
            Err(Errno::ACCESS) if self.plan.namespaces.has(kind::USER) => Err(Errno::NOENT),
            found => found,
        }
    }

    /// What is there, as a detached tree to go over it.
    fn clone_of(&self, path: &CStr) -> Result<(Place<'_>, OwnedFd), Errno> {
        match self.ground.in_ours(text(path)) {
            Some((directory, name)) => Ok((Place::In(directory, name), open_tree_clone(directory, name, true)?)),
            None => {
                let target = self.look_up(path)?;
                let tree = open_tree_clone(target.as_fd(), c"", true)?;
                Ok((Place::At(target), tree))
            }
        }
    }
}

/// A path that is not there needs no protection.
fn missing_is_none<T>(found: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match found {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        found => found.map(Some),
    }
}

fn or_make(place: &mut Option<Shared>, make: impl FnOnce() -> Result<OwnedFd>) -> Result<&mut Shared> {
    match place {
        Some(shared) => Ok(shared),
        None => Ok(place.insert(Shared { tree: make()?, used: false })),
    }
}

/// The container may look into it, and for that it has the label of its mounts.
fn empty_directory(label: Option<Datum<'_>>) -> Result<OwnedFd> {
    let attr = attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC;
    FsContext::open(c"tmpfs")
        .and_then(|context| {
            if let Some(Datum { key, value: Some(value) }) = label {
                context.set_string(key, value)?;
            }
            context.mount(attr)
        })
        .map_err(|errno| Error::errno("mount", "an empty tmpfs to mask directories", errno))
}

fn text(path: &CStr) -> &str {
    path.to_str().unwrap_or("?")
}
