//! The directory of all states.

#![forbid(unsafe_code)]

use core::ffi::CStr;

use crate::error::{Context as _, Error, Escaped, Result};
use crate::sys::file::{self, Mode, OFlags};
use crate::sys::{AsFd, BorrowedFd, CWD, Errno, OwnedFd, memory, process};

/// Opens it, if it exists and only we can have put there what is in it (CVE-2019-12439 was a
/// root in /tmp that somebody else had made).
///
/// # Errors
/// If it cannot be opened or trusted.
pub fn open(path: &CStr) -> Result<Option<OwnedFd>> {
    let distrust = |why| {
        let message = format_args!("state root {}: {why}", shown(path));
        Err(Error::says(message).hint("choose another directory with --root"))
    };
    let root = match open_dir(CWD, path) {
        Ok(root) => root,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::NOTDIR | Errno::LOOP) => return distrust("a symbolic link, or no directory"),
        Err(errno) => return Err(errno).context_with("open state root", format_args!("{}", shown(path))),
    };
    let stat = file::fstat(root.as_fd()).context_with("stat state root", format_args!("{}", shown(path)))?;
    if stat.st_uid != 0 && stat.st_uid != process::geteuid() {
        return distrust("owned by another user");
    }
    if stat.st_mode & 0o022 != 0 {
        return distrust("others can write to it");
    }
    Ok(Some(root))
}

/// Makes it, and what is missing above it.
///
/// # Errors
/// As `open`; the kernel's.
pub(super) fn make(path: &CStr) -> Result<OwnedFd> {
    make_directories(path)
        .context_with("make state root", format_args!("{}", shown(path)))
        .map_err(|error| error.hint("choose another directory with --root"))?;
    open(path)?.ok_or_else(|| Error::says(format_args!("state root {}: removed meanwhile", shown(path))))
}

fn make_directories(path: &CStr) -> core::result::Result<(), Errno> {
    match file::mkdirat(CWD, path, 0o700) {
        Ok(()) | Err(Errno::EXIST) => return Ok(()),
        Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    let slash = path.to_bytes().iter().rposition(|byte| *byte == b'/').filter(|at| *at > 0).ok_or(Errno::NOENT)?;
    let parent = memory::copy(&path.to_bytes_with_nul()[..=slash]);
    parent[slash] = 0;
    make_directories(CStr::from_bytes_with_nul(parent).map_err(|_| Errno::INVAL)?)?;
    match file::mkdirat(CWD, path, 0o700) {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
}

/// Opens a directory to read it, never through a link.
pub(super) fn open_dir(dir: BorrowedFd<'_>, name: &CStr) -> core::result::Result<OwnedFd, Errno> {
    file::openat(dir, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}

/// A path for a message.
pub(super) fn shown(path: &CStr) -> impl core::fmt::Display + '_ {
    Escaped(path.to_bytes())
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::state_dir::{Lock, StateDir};
    use super::super::{Context, Manager};
    use super::*;

    /// A context whose root does not exist yet, below a directory of our own.
    pub(crate) fn context(name: &str) -> (Context, std::path::PathBuf) {
        let parent = std::env::temp_dir().join(format!("isopod-{}-{name}", std::process::id()));
        std::fs::create_dir(&parent).expect("a directory");
        let root = memory::cstr(parent.join("a/b").to_str().expect("UTF-8")).expect("no NUL");
        let start = crate::sys::start::Start::default();
        (Context { root, manager: Manager::Disabled, start }, parent)
    }

    pub(crate) fn message<T>(result: Result<T>) -> String {
        result.map_err(|error| error.to_string()).err().unwrap_or_default()
    }

    #[test]
    fn a_root_that_others_made_is_refused() {
        use std::os::unix::fs::{PermissionsExt, symlink};

        let (context, parent) = context("root");
        std::fs::create_dir(parent.join("a")).expect("a directory");
        let root = parent.join("a/b");
        symlink(&parent, &root).expect("a link");
        assert!(message(StateDir::create(&context, "x")).contains("a symbolic link, or no directory"));
        std::fs::remove_file(&root).expect("removed");
        std::fs::create_dir(&root).expect("a directory");
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o1777)).expect("changed");
        assert!(message(StateDir::open(&context, "x", Lock::None)).contains("others can write to it"));
        std::fs::remove_dir_all(parent).expect("removed");
    }
}
