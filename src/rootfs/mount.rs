//! One mount: the tree made or taken, its attributes set while it is detached, then attached.

use core::ffi::CStr;

use super::{Ground, Place, make_in};
use crate::error::{Context, Errno, Error, Result};
use crate::plan::mount::{Datum, Mount, What};
use crate::sys::file::{self, FileType};
use crate::sys::mount::{FsContext, attr, mount_in_cwd, mount_setattr};
use crate::sys::root::Make;
use crate::sys::{AsFd, BorrowedFd, OwnedFd, memory};

impl Ground {
    /// Takes a tree of the host that was opened beforehand.
    pub(super) fn bind(&mut self, mount: &Mount<'_>) -> Result<()> {
        let tree = self.binds.trees.take(mount.index).ok_or_else(|| failed(mount, "open_tree", Errno::BADF))?;
        change(mount, tree.as_fd())?;
        let place = match self.root().resolve(mount.destination.given) {
            Err(Errno::NOENT) => self.place(&mount.destination, what_to_make(mount, tree.as_fd())?)?,
            target => Place::At(target.map_err(|errno| failed(mount, "openat2", errno))?),
        };
        attach(mount, tree.as_fd(), &place)
    }

    /// Makes a file system of its own; its root, unless mount(2) attached it at once.
    pub(super) fn filesystem(&mut self, mount: &Mount<'_>) -> Result<Option<OwnedFd>> {
        let What::Filesystem { fs, source, data, words } = mount.what else { return Ok(None) };
        let place = match (fs.to_bytes(), self.in_ours(mount.destination.normal)) {
            // An image must not lead these two astray by a link (CVE-2019-19921).
            (b"proc" | b"sysfs", _) => Place::At(self.plain_target(mount)?),
            (_, Some((directory, name))) => {
                make_in(directory, name, Make::Directory).map_err(|errno| failed(mount, "mkdir", errno))?;
                // If it fails, the long way knows why.
                if words.is_some_and(|words| at_once(mount, name, words).is_ok()) {
                    return Ok(None);
                }
                Place::In(directory, name)
            }
            _ => return self.on_target(mount, fs, source, data),
        };
        let context = configure(mount, fs, source, data)?;
        finish(mount, context, &place).map(Some)
    }

    /// The general case: a path of the rootfs.
    fn on_target(&self, mount: &Mount<'_>, fs: &CStr, source: &CStr, data: &[Datum<'_>]) -> Result<Option<OwnedFd>> {
        let existing = match self.root().resolve(mount.destination.given) {
            Err(Errno::NOENT) => None,
            target => Some(target.map_err(|errno| failed(mount, "openat2", errno))?),
        };
        let context = configure(mount, fs, source, data)?;
        // A tmpfs over a directory that is there takes its mode, as people expect of /tmp.
        if let Some(target) = &existing
            && fs == c"tmpfs"
            && !data.iter().any(|datum| datum.key == c"mode")
        {
            let stat = file::fstat(target.as_fd()).map_err(|errno| failed(mount, "fstat", errno))?;
            let mode = memory::format(format_args!("{:o}\0", stat.st_mode & 0o7777));
            let value = CStr::from_bytes_with_nul(mode.as_bytes()).unwrap_or(c"755");
            set(mount, &context, &Datum { key: c"mode", value: Some(value) })?;
        }
        let place = match existing {
            Some(target) => Place::At(target),
            None => self.place(&mount.destination, Make::Directory)?,
        };
        finish(mount, context, &place).map(Some)
    }

    /// A directory reached without any link.
    fn plain_target(&self, mount: &Mount<'_>) -> Result<OwnedFd> {
        let path = mount.destination.given;
        let target = match self.root().resolve_plain(path) {
            Err(Errno::NOENT) => {
                self.place(&mount.destination, Make::Directory)?;
                self.root().resolve_plain(path)
            }
            target => target,
        };
        target.map_err(|errno| {
            let error = failed(mount, "openat2", errno);
            if errno == Errno::LOOP { error.hint("the rootfs has a symbolic link there") } else { error }
        })
    }
}

/// One mount(2) in place of six calls, for a name in our own `/dev`, which is the current directory once it is there.
fn at_once(mount: &Mount<'_>, name: &CStr, words: &CStr) -> Result<(), Errno> {
    match mount.what {
        What::Filesystem { fs, source, .. }
            if mount.destination.normal.starts_with("/dev/")
                && mount.changes.is_empty()
                && !mount.copy_up
                && !mount.readonly_late =>
        {
            mount_in_cwd(source, name, fs, mount.attr, words)
        }
        _ => Err(Errno::INVAL),
    }
}

fn configure(mount: &Mount<'_>, fs: &CStr, source: &CStr, data: &[Datum<'_>]) -> Result<FsContext> {
    let context = FsContext::open(fs).map_err(|errno| {
        let error = failed(mount, "fsopen", errno);
        if errno == Errno::NODEV { error.hint("the kernel does not have this file system") } else { error }
    })?;
    context.set_string(c"source", source).map_err(|errno| failed(mount, "fsconfig source", errno))?;
    for datum in data {
        set(mount, &context, datum)?;
    }
    Ok(context)
}

/// The file system as configured becomes a mount in its place.
fn finish(mount: &Mount<'_>, context: FsContext, place: &Place<'_>) -> Result<OwnedFd> {
    let tree = context.mount(mount.attr).map_err(|errno| failed(mount, "fsmount", errno))?;
    change(mount, tree.as_fd())?;
    if mount.copy_up
        && let Place::At(target) = place
    {
        super::copy::tree(target.as_fd(), tree.as_fd()).map_err(|errno| failed(mount, "copy up to", errno))?;
    }
    attach(mount, tree.as_fd(), place)?;
    Ok(tree)
}

fn set(mount: &Mount<'_>, context: &FsContext, datum: &Datum<'_>) -> Result<()> {
    let result = match datum.value {
        Some(value) => context.set_string(datum.key, value),
        None => context.set_flag(datum.key),
    };
    result.map_err(|errno| {
        let (key, equals, value) = match datum.value {
            Some(value) => (datum.key, "=", value),
            None => (datum.key, "", c""),
        };
        let mut buffer = [0; 256];
        let said = context.message(&mut buffer);
        let subject = memory::format(format_args!(
            "{}, option {}{equals}{}",
            subject(mount),
            key.to_str().unwrap_or("?"),
            value.to_str().unwrap_or("?")
        ));
        Error::errno("mount", subject, errno).with_reason(said)
    })
}

/// Changes of attributes and propagation, while nobody can see the tree yet.
fn change(mount: &Mount<'_>, tree: BorrowedFd<'_>) -> Result<()> {
    for change in mount.changes {
        mount_setattr(tree, change.recursive, &change.attr).map_err(|errno| failed(mount, "mount_setattr", errno))?;
    }
    Ok(())
}

fn attach(mount: &Mount<'_>, tree: BorrowedFd<'_>, place: &Place<'_>) -> Result<()> {
    place.attach(tree).map_err(|errno| {
        let error = failed(mount, "move_mount", errno);
        if errno == Errno::NOTDIR {
            error.hint("one of source and destination is a directory, the other is not")
        } else {
            error
        }
    })
}

/// A bind mount's target is made like its source: a directory, or a file for anything else.
fn what_to_make(mount: &Mount<'_>, tree: BorrowedFd<'_>) -> Result<Make> {
    let stat = file::fstat(tree).map_err(|errno| failed(mount, "fstat", errno))?;
    Ok(if FileType::from_raw_mode(stat.st_mode) == FileType::Directory { Make::Directory } else { Make::File })
}

fn subject(mount: &Mount<'_>) -> &'static str {
    memory::format(format_args!("mounts[{}] on {}", mount.index, mount.destination.normal))
}

#[cold]
pub(super) fn failed(mount: &Mount<'_>, doing: &'static str, errno: Errno) -> Error {
    Error::errno(doing, subject(mount), errno)
}

/// A procfs that is mounted nowhere, for our eyes only.
pub(super) fn private_procfs() -> Result<OwnedFd> {
    let mount = || FsContext::open(c"proc")?.mount(attr::NOSUID | attr::NODEV | attr::NOEXEC);
    mount().context("mount", "a private procfs")
}
