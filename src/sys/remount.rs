//! What mount_setattr(2) does, done by mount(2), for Linux before 5.12, which has only that.
//!
//! It changes mounts that are attached and no others. So a detached one is first attached where no path leads that
//! anybody uses, and is moved to its place later by whoever asked. Nobody but us is in the mount namespace, with init
//! before it executes: nothing is ever seen without its attributes.

use core::ffi::CStr;

use linux_raw_sys::general::{__NR_mount, MS_BIND, MS_REC, MS_REMOUNT};

use super::fd::AsRawFd;
use super::mount::{MountAttr, attr, move_mount_to};
use super::{AsFd, BorrowedFd, CWD, Errno, Result, file, memory, raw, utf8};

/// MOUNT_ATTR_* by MS_* and ST_*, which have the same bits but for ST_RELATIME.
const FLAGS: [(u64, u64); 7] = [
    (attr::RDONLY, 1),
    (attr::NOSUID, 2),
    (attr::NODEV, 4),
    (attr::NOEXEC, 8),
    (attr::NOATIME, 1 << 10),
    (attr::NODIRATIME, 1 << 11),
    (attr::STRICTATIME, STRICTATIME),
];
const STRICTATIME: u64 = 1 << 24;
const RELATIME: u64 = 1 << 21;
const ST_RELATIME: u64 = 1 << 12;

/// As mount_setattr(2): on the mount that a descriptor is the root of, or that a path leads to.
///
/// # Errors
/// ENOSYS for what cannot be done so: id maps, and attributes of a tree of several mounts. The kernel's.
#[cold]
pub(super) fn mount_setattr(tree: BorrowedFd<'_>, mut path: &CStr, recursive: bool, attr: &MountAttr) -> Result<()> {
    let changes = attr.attr_set | attr.attr_clr != 0;
    if attr.userns_fd != 0 || attr.attr_set & attr::NOSYMFOLLOW != 0 {
        return Err(Errno::NOSYS);
    }
    // How much lies below a path is not looked at.
    if changes && recursive && !path.is_empty() {
        return Err(Errno::NOSYS);
    }
    if path.is_empty() {
        let number = tree.as_raw_fd();
        path = memory::cstr(memory::format(format_args!("/proc/self/fd/{number}"))).ok_or(Errno::NOMEM)?;
        let id = file::mount_id(tree)?;
        if !is_listed(id, 0)? {
            // Over the root it would come over the rootfs, and could then not be moved onto that.
            let attach = |place| move_mount_to(tree, CWD, place);
            attach(c"/proc/driver").or_else(|_| attach(c"/proc/version")).or_else(|_| attach(c"/"))?;
        }
        if changes && recursive && is_listed(id, 1)? {
            return Err(Errno::NOSYS);
        }
    }
    let change = |flags: u64| {
        let args = [0, path.as_ptr() as usize, 0, flags as usize, 0, 0];
        // SAFETY: the kernel reads a string; null stands for what these changes do not need.
        unsafe { raw("mount", __NR_mount, args) }.map(drop)
    };
    if changes {
        change(u64::from(MS_REMOUNT | MS_BIND) | changed(file::mount_flags(path)?, attr))?;
    }
    match attr.propagation {
        0 => Ok(()),
        kind => change(kind | if recursive { u64::from(MS_REC) } else { 0 }),
    }
}

/// Whether a mount, by its number, is in the table of mounts: itself (word 0), or as the parent of others (word 1).
fn is_listed(id: u64, word: usize) -> Result<bool> {
    const LIMIT: usize = 16 << 20;
    let table = file::read_to_end(file::open(c"/proc/self/mountinfo")?.as_fd(), LIMIT)?;
    let table = utf8(table).unwrap_or("");
    Ok(table.lines().any(|line| line.split(' ').nth(word).is_some_and(|number| super::natural(number) == Some(id))))
}

/// MS_* of a mount that has these ST_*, with the changes.
fn changed(now: u64, change: &MountAttr) -> u64 {
    let mut flags = FLAGS.iter().fold(0, |flags, (_, flag)| flags | now & flag) & !STRICTATIME;
    if flags & 1 << 10 == 0 {
        flags |= if now & ST_RELATIME != 0 { RELATIME } else { STRICTATIME };
    }
    if change.attr_clr & attr::ATIME != 0 {
        flags = flags & !(1 << 10 | STRICTATIME) | RELATIME;
    }
    for (bit, flag) in FLAGS {
        if change.attr_clr & bit != 0 {
            flags &= !flag;
        }
        if change.attr_set & bit != 0 {
            flags |= flag;
        }
    }
    if flags & (1 << 10 | STRICTATIME) != 0 { flags & !RELATIME } else { flags }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_kept_but_for_the_changes() {
        let of = |now, attr_set, attr_clr| changed(now, &MountAttr { attr_set, attr_clr, ..MountAttr::default() });
        assert_eq!(of(ST_RELATIME | 2, attr::RDONLY, 0), 1 | 2 | RELATIME);
        assert_eq!(of(1 | 4, 0, attr::RDONLY), 4 | STRICTATIME);
        assert_eq!(of(1 << 10, attr::NOEXEC, 0), 8 | 1 << 10);
        assert_eq!(of(1 << 10, 0, attr::ATIME), RELATIME);
        assert_eq!(of(ST_RELATIME, attr::NOATIME, attr::ATIME), 1 << 10);
        assert_eq!(of(ST_RELATIME, attr::STRICTATIME, attr::ATIME), STRICTATIME);
        assert_eq!(of(ST_RELATIME | 1 << 11, 0, attr::NODIRATIME), RELATIME);
    }
}
