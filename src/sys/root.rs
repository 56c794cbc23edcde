//! The one door to a container's file system: paths in a rootfs are attacker's text, and this is the only place that
//! hands them to the kernel. What comes out is an O_PATH descriptor, and from then on only the descriptor is used.
//!
//! Resolution is openat2(2) with RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS: symbolic links and `..` stay below the root,
//! `/proc/self/fd/N` and its kin lead nowhere. The class of bugs this ends: CVE-2019-18837, CVE-2021-30465,
//! CVE-2024-45310, CVE-2025-31133, CVE-2025-52565, CVE-2026-41579, CVE-2026-47766.

use core::ffi::CStr;

use rustix::fs::ResolveFlags;

use super::file::{self, Mode, OFlags};
use super::{AsFd, BorrowedFd, Errno, OwnedFd, Result, call, fd::AsRawFd, memory, utf8};

/// Openat2 gives EAGAIN when the tree is renamed under it; a rootfs that is never quiet is not one to start.
const TRIES: u32 = 64;

/// How many dangling links are followed while a path is made: the kernel's own bound for a path.
const MAX_LINKS: u32 = 40;

/// The root of a container's file system, or the root of one mount in it.
pub struct Root<'fd>(BorrowedFd<'fd>);

/// What a path is to be, if it has to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Make {
    /// A directory.
    Directory,
    /// An empty regular file.
    File,
}

impl<'fd> Root<'fd> {
    /// The directory that paths are below.
    #[must_use]
    pub fn new(directory: BorrowedFd<'fd>) -> Root<'fd> {
        Root(directory)
    }

    /// The root itself.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'fd> {
        self.0
    }

    fn openat2(&self, path: &CStr, flags: OFlags, mode: Mode, resolve: ResolveFlags) -> Result<OwnedFd> {
        let mut tries = 0;
        loop {
            let result = call("openat2", || {
                rustix::fs::openat2(self.0, path, flags | OFlags::CLOEXEC, mode, resolve | ResolveFlags::NO_MAGICLINKS)
            });
            match result {
                Err(Errno::AGAIN | Errno::INTR) if tries < TRIES => tries += 1,
                other => return other.map(OwnedFd::from),
            }
        }
    }

    /// What the path leads to, links followed within the root.
    ///
    /// # Errors
    /// The kernel's: ENOENT, ENOTDIR, ELOOP, EACCES, ...
    pub fn resolve(&self, path: &CStr) -> Result<OwnedFd> {
        self.openat2(path, OFlags::PATH, Mode::empty(), ResolveFlags::IN_ROOT)
    }

    /// What the path leads to; a link at its very end is not followed.
    ///
    /// # Errors
    /// As with `resolve`.
    pub fn resolve_nofollow(&self, path: &CStr) -> Result<OwnedFd> {
        self.openat2(path, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty(), ResolveFlags::IN_ROOT)
    }

    /// What is at the path, which must lead there without any symbolic link: for `/proc` and `/sys`, which an image
    /// must not redirect (CVE-2019-19921, CVE-2023-27561).
    ///
    /// # Errors
    /// ELOOP at a link; the kernel's.
    pub fn resolve_plain(&self, path: &CStr) -> Result<OwnedFd> {
        self.openat2(path, OFlags::PATH, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS)
    }

    /// Opens a file for use, links followed within the root.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(&self, path: &CStr, flags: OFlags) -> Result<OwnedFd> {
        self.openat2(path, flags, Mode::empty(), ResolveFlags::IN_ROOT)
    }

    /// Opens a file of a procfs or sysfs whose root this is: no link is followed and no mount crossed, so that nothing
    /// put there can answer in the kernel's place (CVE-2019-16884, CVE-2025-52881).
    ///
    /// # Errors
    /// EXDEV at a mount, ELOOP at a link; the kernel's.
    pub fn open_kernel_file(&self, path: &CStr, flags: OFlags) -> Result<OwnedFd> {
        self.openat2(
            path,
            flags,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS,
        )
    }

    /// What the path leads to, made if nothing is there yet: missing directories with mode 0755, then a directory or
    /// an empty file. Every step starts from a descriptor, so a link that is swapped in meanwhile leads nowhere new.
    ///
    /// # Errors
    /// The kernel's.
    pub fn resolve_or_make(&self, path: &CStr, make: Make) -> Result<OwnedFd> {
        self.reach(path, make, MAX_LINKS)
    }

    /// The directory that a path's last component is in, made if missing, and that component; `None` for the root
    /// itself or a path that ends in `..`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn parent_or_make<'p>(&self, path: &'p CStr) -> Result<Option<(OwnedFd, &'p CStr)>> {
        self.parent(path, MAX_LINKS)
    }

    fn parent<'p>(&self, path: &'p CStr, links: u32) -> Result<Option<(OwnedFd, &'p CStr)>> {
        let Some((parent, name)) = split(path) else { return Ok(None) };
        let parent = match parent {
            Some(parent) => self.reach(parent, Make::Directory, links)?,
            None => self.resolve(c".")?,
        };
        Ok(Some((parent, name)))
    }

    /// Makes what is missing of the path, component by component from the first that is not there; `links` dangling
    /// links may still be followed on the way.
    fn reach(&self, path: &CStr, make: Make, links: u32) -> Result<OwnedFd> {
        match self.resolve(path) {
            Err(Errno::NOENT) => {}
            other => return other,
        }
        let Some((parent, name)) = self.parent(path, links)? else { return Err(Errno::NOENT) };
        let made = match make {
            Make::Directory => file::mkdirat(parent.as_fd(), name, 0o755),
            Make::File => {
                // Not for writing: as long as that was open, the mount could not be made read-only.
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDONLY;
                file::openat(parent.as_fd(), name, flags, Mode::from_raw_mode(0o644)).map(drop)
            }
        };
        match made {
            Ok(()) => file::openat(parent.as_fd(), name, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty()),
            Err(Errno::EXIST) if links == 0 => Err(Errno::LOOP),
            // Either somebody made it meanwhile, or it is a dangling link: what that points to is to be made, still
            // below this root.
            Err(Errno::EXIST) => self.reach(self.behind_link(&parent, name, path)?, make, links - 1),
            Err(errno) => Err(errno),
        }
    }

    /// Where the link `name` in `parent` points, as a path from the root; the path itself if it is no link.
    fn behind_link<'p>(&self, parent: &OwnedFd, name: &CStr, path: &'p CStr) -> Result<&'p CStr> {
        let mut buffer = [0; 4096];
        let target = match file::readlinkat(parent.as_fd(), name, &mut buffer) {
            Err(Errno::INVAL) => return Ok(path),
            target => utf8(target?).ok_or(Errno::ILSEQ)?,
        };
        let absolute = target.starts_with('/');
        let before = if absolute { None } else { split(path).and_then(|(before, _)| before) };
        let before = before.unwrap_or(c"").to_str().map_err(|_| Errno::ILSEQ)?;
        memory::joined(&[before, target]).ok_or(Errno::INVAL)
    }
}

/// The path without its last component, and that component; `None` when there is no component that could be made.
fn split(path: &CStr) -> Option<(Option<&'static CStr>, &CStr)> {
    let bytes = path.to_bytes();
    let end = bytes.iter().rposition(|byte| *byte != b'/')? + 1;
    let start = bytes[..end].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let name = &bytes[start..end];
    if matches!(name, b"." | b"..") {
        return None;
    }
    let name: &CStr = if end == bytes.len() {
        CStr::from_bytes_with_nul(&path.to_bytes_with_nul()[start..]).ok()?
    } else {
        memory::cstr(utf8(name)?)?
    };
    let parent = utf8(&bytes[..start])?;
    let parent = if parent.trim_matches('/').is_empty() { None } else { Some(memory::cstr(parent)?) };
    Some((parent, name))
}

/// The path `/proc/self/fd/N`, for the few calls that take only paths. The number is ours, the procfs the host's.
#[must_use]
pub fn fd_path(fd: BorrowedFd<'_>) -> &'static CStr {
    let text = memory::format(format_args!("/proc/self/fd/{}\0", fd.as_raw_fd()));
    CStr::from_bytes_with_nul(text.as_bytes()).unwrap_or(c"")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A directory for one test, gone after it.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("isopod-{name}-{}", std::process::id()));
            std::fs::create_dir(&path).expect("a directory");
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn split_finds_what_could_be_made() {
        assert_eq!(split(c"/a/b"), Some((Some(c"/a/"), c"b")));
        assert_eq!(split(c"/a/b//"), Some((Some(c"/a/"), c"b")));
        assert_eq!(split(c"/a"), Some((None, c"a")));
        assert_eq!(split(c"a"), Some((None, c"a")));
        assert_eq!(split(c"/"), None);
        assert_eq!(split(c"a/.."), None);
        assert_eq!(split(c""), None);
    }

    #[test]
    fn stays_below_the_root() {
        let Scratch(dir) = &Scratch::new("root");
        let path = std::ffi::CString::new(dir.to_str().expect("UTF-8")).expect("no NUL");
        std::os::unix::fs::symlink("/outside", dir.join("absolute")).expect("a link");
        std::os::unix::fs::symlink("../../../../up", dir.join("upwards")).expect("a link");
        std::os::unix::fs::symlink("loop", dir.join("loop")).expect("a link");
        let fd = file::open_dir(super::super::CWD, &path).expect("open");
        let root = Root::new(fd.as_fd());
        root.resolve_or_make(c"/absolute/x", Make::Directory).expect("made below the root");
        root.resolve_or_make(c"/upwards", Make::File).expect("made below the root");
        assert!(dir.join("outside/x").is_dir());
        assert!(dir.join("up").is_file());
        assert_eq!(root.resolve_or_make(c"/loop", Make::File).err(), Some(Errno::LOOP));
        root.resolve_or_make(c"/proc/self/root/etc", Make::Directory).expect("plain names here");
        assert!(dir.join("proc/self/root/etc").is_dir());
    }
}
