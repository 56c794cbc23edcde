//! `linux.maskedPaths` and `linux.readonlyPaths`.
//!
//! All masked directories share one empty, read-only tmpfs, however many there are (a machine with many processors
//! has dozens); all masked files are the host's null device, checked to be it (CVE-2025-31133).
//!
//! Most of these paths are names in the root of the procfs that we have just made. One look into it tells which of them
//! are there, and each is protected by one call.

use core::ffi::CStr;

use super::device::host_node;
use super::{Place, Rootfs};
use crate::error::{Context, Errno, Error, Result};
use crate::plan::mount::{Datum, Mount, Role};
use crate::sys::file::{self, AtFlags, FileType, Mode, OFlags, makedev};
use crate::sys::mount::{
    FsContext, MountAttr, attr, bind_in_cwd, bind_onto_itself_in_cwd, mount_in_cwd, mount_setattr, move_mount_to,
    open_tree_clone,
};
use crate::sys::namespace::kind;
use crate::sys::{AsFd, BorrowedFd, CWD, OwnedFd, process, shown};

/// Of the tmpfs that masks directories.
const EMPTY: u64 = attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC;
const PROC: &[u8] = b"/proc/";

/// What masks is attached once, and from then on clones of it are. (A detached mount can be cloned only from Linux 6.15
/// on, an attached one always.)
enum Mask<'a> {
    Tree(OwnedFd),
    /// Under this name in the current directory, which is our procfs.
    Named(&'a CStr),
}

/// The two kinds that there are, once they are needed.
#[derive(Default)]
struct Masks<'a> {
    directory: Option<Mask<'a>>,
    file: Option<Mask<'a>>,
}

impl<'a> Rootfs<'a> {
    /// Hides the masked paths, and makes the read-only ones so with what is mounted below them, as far as they exist.
    ///
    /// # Errors
    /// The kernel's; that a path does not exist is none.
    pub fn protect(&self) -> Result<()> {
        let mut masks = Masks::default();
        let procfs = self.pure_procfs();
        if let Some(procfs) = procfs {
            self.protect_names(procfs, &mut masks)?;
        }
        let is_left = |path: &&&CStr| procfs.is_none() || !is_name_in_procfs(path);
        for path in self.plan.masked_paths.iter().filter(is_left) {
            self.mask(path, &mut masks)?;
        }
        for path in self.plan.readonly_paths.iter().filter(is_left) {
            self.make_readonly(path)?;
        }
        Ok(())
    }

    /// Our procfs, if nothing but what the kernel has there can be in it, and what comes into it has no label.
    fn pure_procfs(&self) -> Option<BorrowedFd<'_>> {
        let as_made = |mount: &Mount<'_>| mount.attr & attr::RDONLY == 0 && mount.changes.is_empty();
        let mut mounts = self.plan.mounts.steps.iter().filter(|mount| mount.role == Role::Proc);
        let is_pure = !self.ground.strayed.get()
            && !self.plan.hooks.during_create()
            && self.plan.mount_label.is_none()
            && mounts.all(as_made);
        self.ground.proc.as_ref().filter(|_| is_pure).map(AsFd::as_fd)
    }

    /// Protects what has its name in the root of a pure procfs, which becomes the current directory. What is there and is
    /// no link can be named to mount(2). As long as the procfs is read-only, so is what is taken from it.
    fn protect_names(&self, procfs: BorrowedFd<'_>, masks: &mut Masks<'a>) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let list = file::openat(procfs, c".", flags, Mode::empty()).context("open", "/proc")?;
        process::fchdir(procfs).context("fchdir", "/proc")?;
        let readonly = MountAttr { attr_set: attr::RDONLY, ..MountAttr::default() };
        mount_setattr(procfs, false, &readonly).context("make read-only", "/proc")?;
        file::each_entry(list.as_fd(), |name, kind| self.protect_name(name, kind, masks).map_err(Failed))
            .map_err(|Failed(error)| error)?;
        let writable = MountAttr { attr_clr: attr::RDONLY, ..MountAttr::default() };
        mount_setattr(procfs, false, &writable).context("make writable", "/proc")
    }

    fn protect_name(&self, name: &CStr, kind: FileType, masks: &mut Masks<'a>) -> Result<()> {
        if let Some((path, name)) = named(self.plan.masked_paths, name) {
            return match kind {
                FileType::Directory => mask_directory(name, masks).context("mask", shown(path)),
                FileType::RegularFile => mask_file(name, masks),
                _ => self.mask(path, masks),
            };
        }
        match (named(self.plan.readonly_paths, name), kind) {
            (Some((path, name)), FileType::Directory | FileType::RegularFile) => {
                bind_onto_itself_in_cwd(name).context("make read-only", shown(path))
            }
            (Some((path, _)), _) => self.make_readonly(path),
            (None, _) => Ok(()),
        }
    }

    /// Hides a path, if it exists.
    fn mask(&self, path: &CStr, masks: &mut Masks<'_>) -> Result<()> {
        let Some((place, kind)) = missing_is_none(self.existing(path)).context("resolve", shown(path))? else {
            return Ok(());
        };
        let is_directory = kind == FileType::Directory;
        let mask = if is_directory { &mut masks.directory } else { &mut masks.file };
        let tree = match mask {
            None if is_directory => empty_directory(self.plan.mount_label)?,
            None => null_device()?,
            Some(Mask::Tree(tree)) => open_tree_clone(tree.as_fd(), c"", false).context("mask", shown(path))?,
            Some(Mask::Named(name)) => open_tree_clone(CWD, name, false).context("mask", shown(path))?,
        };
        let attached = place.attach(tree.as_fd());
        if attached.is_ok() && mask.is_none() {
            *mask = Some(Mask::Tree(tree));
        }
        missing_is_none(attached).context("mask", shown(path)).map(drop)
    }

    /// What is there, or would be, and of what kind.
    fn existing(&self, path: &CStr) -> Result<(Place<'_>, FileType), Errno> {
        let (place, stat) = match self.ground.in_ours(shown(path)) {
            // In the root of a sysfs there is nothing else.
            Some((directory, name)) if shown(path).starts_with("/sys/") => {
                return Ok((Place::In(directory, name), FileType::Directory));
            }
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

    /// Makes a path read-only, if it exists, with what is mounted below it.
    fn make_readonly(&self, path: &CStr) -> Result<()> {
        let Some((place, tree)) = missing_is_none(self.clone_of(path)).context("resolve", shown(path))? else {
            return Ok(());
        };
        let readonly = MountAttr { attr_set: attr::RDONLY, ..MountAttr::default() };
        mount_setattr(tree.as_fd(), true, &readonly)
            .and_then(|()| place.attach(tree.as_fd()))
            .context("make read-only", shown(path))
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
        // A link in `/dev` would lead to where the host's own leads: our root directory is still the host's.
        let is_link = |(directory, name): &(BorrowedFd<'_>, &CStr)| {
            shown(path).starts_with("/dev/") && file::readlinkat(*directory, name, &mut [0]).is_ok()
        };
        match self.ground.in_ours(shown(path)).filter(|name| !is_link(name)) {
            Some((directory, name)) => Ok((Place::In(directory, name), open_tree_clone(directory, name, true)?)),
            None => {
                let target = self.look_up(path)?;
                let tree = open_tree_clone(target.as_fd(), c"", true)?;
                Ok((Place::At(target), tree))
            }
        }
    }
}

/// Why a look into `/proc` was broken off.
struct Failed(Error);

impl From<Errno> for Failed {
    fn from(errno: Errno) -> Failed {
        Failed(Error::errno("list", "/proc", errno))
    }
}

/// A path that is not there needs no protection.
fn missing_is_none<T>(found: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match found {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        found => found.map(Some),
    }
}

/// Whether it is one that `protect_names` sees.
fn is_name_in_procfs(path: &CStr) -> bool {
    let name = path.to_bytes().strip_prefix(PROC);
    name.is_some_and(|name| !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/'))
}

/// The path among these that is this name in `/proc`, and the name as its end.
fn named<'a>(paths: &[&'a CStr], name: &CStr) -> Option<(&'a CStr, &'a CStr)> {
    let name = name.to_bytes_with_nul();
    paths.iter().find_map(|path| {
        let bytes = path.to_bytes_with_nul();
        // Most are of another length.
        let is_it = bytes.len() == PROC.len() + name.len() && bytes.ends_with(name) && bytes.starts_with(PROC);
        if is_it { CStr::from_bytes_with_nul(&bytes[PROC.len()..]).ok().map(|name| (*path, name)) } else { None }
    })
}

fn mask_directory<'a>(name: &'a CStr, masks: &mut Masks<'a>) -> Result<(), Errno> {
    if let Some(Mask::Named(first)) = masks.directory {
        return bind_in_cwd(first, name);
    }
    masks.directory = Some(Mask::Named(name));
    mount_in_cwd(c"none", name, c"tmpfs", EMPTY, c"")
}

fn mask_file<'a>(name: &'a CStr, masks: &mut Masks<'a>) -> Result<()> {
    let masked = match masks.file {
        Some(Mask::Named(first)) => bind_in_cwd(first, name),
        _ => {
            masks.file = Some(Mask::Named(name));
            move_mount_to(null_device()?.as_fd(), CWD, name)
        }
    };
    masked.context("mask", shown(name))
}

fn null_device() -> Result<OwnedFd> {
    host_node(c"/dev/null", FileType::CharacterDevice, makedev(1, 3))
}

/// The container may look into it, and for that it has the label of its mounts.
fn empty_directory(label: Option<Datum<'_>>) -> Result<OwnedFd> {
    FsContext::open(c"tmpfs")
        .and_then(|context| {
            if let Some(Datum { key, value: Some(value) }) = label {
                context.set_string(key, value)?;
            }
            context.mount(EMPTY)
        })
        .map_err(|errno| Error::errno("mount", "an empty tmpfs to mask directories", errno))
}
