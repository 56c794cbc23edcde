//! One mount: the tree made or taken, its attributes set while it is detached, then attached.

use core::ffi::CStr;

use super::{Ground, Place, make_in};
use crate::error::{Context, Errno, Error, Result};
use crate::plan::mount::{Datum, Link, Mount, Role, What, fits};
use crate::sys::file::{self, FileType};
use crate::sys::mount::{FsContext, MountAttr, attr, mount_in_cwd, mount_setattr, open_tree_clone};
use crate::sys::root::Make;
use crate::sys::{AsFd, BorrowedFd, CWD, OwnedFd, memory, shown, utf8};

impl Ground {
    /// Takes a tree of the host that was opened beforehand.
    pub(super) fn bind(&mut self, mount: &Mount<'_>, link: Link) -> Result<Option<OwnedFd>> {
        let tree = self.binds.trees.take(mount.index).ok_or_else(|| failed(mount, "open_tree", Errno::BADF))?;
        if link == Link::Copy && kind_of(mount, tree.as_fd())? == FileType::Symlink {
            return self.copy_link(mount, tree.as_fd()).map(|()| None);
        }
        change(mount, tree.as_fd())?;
        let place = match self.existing_target(mount)? {
            None => self.place(&mount.destination, what_to_make(mount, tree.as_fd())?)?,
            Some(target) => Place::At(target),
        };
        self.attach_for(mount, tree.as_fd(), &place)?;
        Ok(Some(tree))
    }

    /// What is at the destination; none if nothing is, unless it has to be there.
    fn existing_target(&self, mount: &Mount<'_>) -> Result<Option<OwnedFd>> {
        let path = mount.destination.given;
        if mount.nofollow {
            let target = self.root().resolve_nofollow(path).map_err(|errno| failed(mount, "openat2", errno))?;
            let kind = file::fs_type(target.as_fd()).map_err(|errno| failed(mount, "fstatfs", errno))?;
            if matches!(kind, file::magic::PROC | file::magic::SYSFS | file::magic::DEVPTS) {
                let path = mount.destination.normal;
                return Err(Error::says(format_args!("override of the mount destination `{path}` is not allowed")));
            }
            return Ok(Some(target));
        }
        let target = match self.root().resolve(path) {
            Err(Errno::NOENT) => return Ok(None),
            target => target.map_err(|errno| failed(mount, "openat2", errno))?,
        };
        if mount.role != Role::Root && self.is_root(target.as_fd()).map_err(|errno| failed(mount, "fstat", errno))? {
            // There it would be over what init has, and in the way of whoever comes later.
            return Err(failed(mount, "mount", Errno::LOOP).hint("the rootfs has a link to its own root there"));
        }
        Ok(Some(target))
    }

    /// Makes a link like the source at the destination.
    #[inline(never)]
    fn copy_link(&self, mount: &Mount<'_>, source: BorrowedFd<'_>) -> Result<()> {
        let wrong = |doing| move |errno| failed(mount, doing, errno);
        let mut buffers = [[0; 4096]; 2];
        let [target, there] = &mut buffers;
        let target = file::readlinkat(source, c"", target).map_err(wrong("readlink"))?;
        let target = utf8(target).and_then(memory::cstr).ok_or_else(|| wrong("readlink")(Errno::ILSEQ))?;
        let parent = self.root().parent_or_make(mount.destination.given).map_err(wrong("openat2"))?;
        let (parent, name) = parent.ok_or_else(|| failed(mount, "symlink", Errno::INVAL))?;
        match file::symlinkat(target, parent.as_fd(), name) {
            Err(Errno::EXIST) => {}
            made => return made.map_err(wrong("symlink")),
        }
        if file::readlinkat(parent.as_fd(), name, there) == Ok(target.to_bytes()) {
            return Ok(());
        }
        let path = mount.destination.normal;
        Err(Error::says(format_args!("symlink `{path}` already exists with a different content")))
    }

    /// Changes what is mounted already; the mount.
    pub(super) fn remount(&self, mount: &Mount<'_>, data: &[Datum<'_>]) -> Result<OwnedFd> {
        let target = self.root().resolve(mount.destination.given).map_err(|errno| failed(mount, "openat2", errno))?;
        if !data.is_empty() {
            let context = FsContext::pick(target.as_fd()).map_err(|errno| failed(mount, "fspick", errno))?;
            data.iter().try_for_each(|datum| set(mount, &context, datum))?;
            context.reconfigure().map_err(|errno| failed(mount, "remount", errno))?;
        }
        change(mount, target.as_fd())?;
        Ok(target)
    }

    /// Makes a file system of its own; its root, unless mount(2) attached it at once.
    pub(super) fn filesystem(&mut self, mount: &Mount<'_>) -> Result<Option<OwnedFd>> {
        let What::Filesystem { fs, source, data, words, or_hosts } = mount.what else { return Ok(None) };
        if let Some(tree) = self.on_name(mount, fs, source, data) {
            return Ok(Some(tree));
        }
        let place = match (fs.to_bytes(), self.in_ours(mount.destination.normal)) {
            // An image must not lead these two astray by a link (CVE-2019-19921).
            (b"proc" | b"sysfs", _) if !mount.nofollow => Place::At(self.plain_target(mount)?),
            (_, Some((directory, name))) if !mount.nofollow => {
                let new = make_in(directory, name, Make::Directory).map_err(|errno| failed(mount, "mkdir", errno))?;
                // What was there may be a link, which mount(2) follows. If it fails, the long way knows why.
                if new && words.is_some_and(|words| self.at_once(mount, name, words).is_ok()) {
                    return Ok(None);
                }
                Place::In(directory, name)
            }
            _ => return self.on_target(mount).map(Some),
        };
        let made = configure(mount, fs, source, data).and_then(|context| self.finish(mount, context, &place));
        match made {
            // A user namespace whose network is the host's may not mount one.
            Err(error) if or_hosts && (error.is(Errno::PERM) || error.is(Errno::BUSY)) => {
                self.host_sysfs(mount, &place).map(Some)
            }
            made => made.map(Some),
        }
    }

    /// On a name right below the root: the kernel looks it up as it attaches, and follows no link there, so that there is
    /// nothing to be looked at before. If it does not like what it finds, or something else fails, the long way knows why.
    fn on_name(&self, mount: &Mount<'_>, fs: &CStr, source: &CStr, data: &[Datum<'_>]) -> Option<OwnedFd> {
        let name = mount.destination.normal.strip_prefix('/').filter(|name| !name.contains('/'))?;
        let as_given = mount.destination.given.to_bytes() == mount.destination.normal.as_bytes();
        // Of these there may be two for a moment.
        let is_plain =
            matches!(fs.to_bytes(), b"proc" | b"sysfs" | b"tmpfs") && !takes_mode(fs, data) && fits(source, data);
        if !is_plain || name.is_empty() || !as_given || mount.nofollow || mount.copy_up {
            return None;
        }
        let place = Place::In(self.root.as_fd(), memory::cstr(name)?);
        configure(mount, fs, source, data).and_then(|context| self.finish(mount, context, &place)).ok()
    }

    /// One mount(2) in place of six calls, for a name in our own `/dev`.
    fn at_once(&self, mount: &Mount<'_>, name: &CStr, words: &CStr) -> Result<(), Errno> {
        match mount.what {
            What::Filesystem { fs, source, .. }
                if mount.destination.normal.starts_with("/dev/")
                    && mount.attr & attr::RDONLY == 0
                    && mount.changes.is_empty()
                    && !mount.readonly_late =>
            {
                self.go_to_dev()?;
                mount_in_cwd(source, name, fs, mount.attr, words)
            }
            _ => Err(Errno::INVAL),
        }
    }

    /// The general case: a path of the rootfs.
    fn on_target(&self, mount: &Mount<'_>) -> Result<OwnedFd> {
        let What::Filesystem { fs, source, data, words, .. } = mount.what else {
            return Err(failed(mount, "mount", Errno::INVAL));
        };
        let existing = self.existing_target(mount)?;
        if let Some(words) = words
            && !fits(source, data)
        {
            return self.with_long_words(mount, existing, words);
        }
        let context = configure(mount, fs, source, data)?;
        if let Some(target) = &existing
            && takes_mode(fs, data)
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
        self.finish(mount, context, &place)
    }

    /// By mount(2), which takes more words than fsconfig(2): a page. Its flags go with it, but for those that it knows
    /// of file systems only. It takes no descriptor, but the current directory.
    fn with_long_words(&self, mount: &Mount<'_>, existing: Option<OwnedFd>, words: &CStr) -> Result<OwnedFd> {
        const LATER: u64 = attr::RDONLY | attr::NOSYMFOLLOW;
        let What::Filesystem { fs, source, .. } = mount.what else { return Err(failed(mount, "mount", Errno::INVAL)) };
        let target = match existing {
            Some(target) => target,
            None => {
                let made = self.root().resolve_or_make(mount.destination.given, Make::Directory);
                made.map_err(|errno| failed(mount, "mkdir", errno))?
            }
        };
        self.strayed.set(true);
        self.leave_dev(target.as_fd())
            .and_then(|()| mount_in_cwd(source, c".", fs, mount.attr & !LATER, words))
            .map_err(|errno| failed(mount, "mount", errno))?;
        let tree = self.root().resolve(mount.destination.given).map_err(|errno| failed(mount, "openat2", errno))?;
        if mount.attr & LATER != 0 {
            let attr = MountAttr { attr_set: mount.attr & LATER, ..MountAttr::default() };
            mount_setattr(tree.as_fd(), false, &attr).map_err(|errno| failed(mount, "mount_setattr", errno))?;
        }
        change(mount, tree.as_fd())?;
        Ok(tree)
    }

    /// The file system as configured becomes a mount in its place.
    fn finish(&self, mount: &Mount<'_>, context: FsContext, place: &Place<'_>) -> Result<OwnedFd> {
        let tree = context.mount(mount.attr).map_err(|errno| failed(mount, "fsmount", errno))?;
        change(mount, tree.as_fd())?;
        if let Some(label) = mount.label {
            file::set_selinux_label(tree.as_fd(), label).map_err(|errno| failed(mount, "label", errno))?;
        }
        if mount.copy_up
            && let Place::At(target) = place
        {
            super::copy::tree(target.as_fd(), tree.as_fd()).map_err(|errno| failed(mount, "copy up to", errno))?;
        }
        super::idmap::apply(mount, &self.binds.ids, tree.as_fd())?;
        self.attach_for(mount, tree.as_fd(), place)?;
        Ok(tree)
    }

    /// The host's, with all that is mounted there, in place of one of the container's own. What is below is read-only in
    /// any case: there may be cgroups of the user's that are not the container's (CVE-2023-25809).
    fn host_sysfs(&self, mount: &Mount<'_>, place: &Place<'_>) -> Result<OwnedFd> {
        let wrong = |doing| move |errno| failed(mount, doing, errno);
        self.strayed.set(true);
        let tree = open_tree_clone(CWD, c"/sys", true).map_err(wrong("open_tree"))?;
        let attr_set = mount.attr & !attr::ATIME | attr::RDONLY;
        let all = MountAttr { attr_set, ..MountAttr::default() };
        mount_setattr(tree.as_fd(), true, &all).map_err(wrong("mount_setattr"))?;
        if mount.attr & attr::RDONLY == 0 {
            let top = MountAttr { attr_clr: attr::RDONLY, ..MountAttr::default() };
            mount_setattr(tree.as_fd(), false, &top).map_err(wrong("mount_setattr"))?;
        }
        change(mount, tree.as_fd())?;
        self.attach_for(mount, tree.as_fd(), place)?;
        Ok(tree)
    }

    fn attach_for(&self, mount: &Mount<'_>, tree: BorrowedFd<'_>, place: &Place<'_>) -> Result<()> {
        self.attach(tree, place, &mount.destination).map_err(|errno| {
            let error = failed(mount, "move_mount", errno);
            match errno {
                Errno::NOTDIR | Errno::INVAL => {
                    error.hint("source and destination have to be both directories, or neither")
                }
                _ => error,
            }
        })
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

/// A tmpfs over a directory that is there takes its mode, as people expect of /tmp, unless another is given.
fn takes_mode(fs: &CStr, data: &[Datum<'_>]) -> bool {
    fs == c"tmpfs" && !data.iter().any(|datum| datum.key == c"mode")
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
        let subject = memory::format(format_args!("{}, option {}{equals}{}", subject(mount), shown(key), shown(value)));
        Error::errno("mount", subject, errno).with_reason(said)
    })
}

/// Changes of attributes and propagation, while nobody can see the tree yet.
pub(super) fn change(mount: &Mount<'_>, tree: BorrowedFd<'_>) -> Result<()> {
    for change in mount.changes {
        mount_setattr(tree, change.recursive, &change.attr).map_err(|errno| failed(mount, "mount_setattr", errno))?;
    }
    Ok(())
}

/// A bind mount's target is made like its source: a directory, or a file for anything else.
fn what_to_make(mount: &Mount<'_>, tree: BorrowedFd<'_>) -> Result<Make> {
    Ok(if kind_of(mount, tree)? == FileType::Directory { Make::Directory } else { Make::File })
}

fn kind_of(mount: &Mount<'_>, tree: BorrowedFd<'_>) -> Result<FileType> {
    let stat = file::fstat(tree).map_err(|errno| failed(mount, "fstat", errno))?;
    Ok(FileType::from_raw_mode(stat.st_mode))
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
