//! The change of root: from here on a path of the host cannot be named.

use core::ffi::CStr;

use super::Rootfs;
use crate::error::{Context, Result};
use crate::plan::mount::Propagation;
use crate::sys::mount::{self, MountAttr, attr, mount_setattr, mount_setattr_at, propagation};
use crate::sys::{AsFd, CWD, file, memory, process, shown, utf8};

impl Rootfs<'_> {
    /// The last attributes of the root, then the change.
    ///
    /// # Errors
    /// The kernel's.
    pub fn enter(&self) -> Result<()> {
        let root = &self.plan.root;
        if self.in_its_place {
            mount::move_mount_to(self.root_fd(), CWD, c"/").context("move_mount", "the rootfs")?;
        }
        self.ground.make_readonly_late()?;
        if root.readonly {
            let readonly = MountAttr { attr_set: attr::RDONLY, ..MountAttr::default() };
            mount_setattr(self.root_fd(), false, &readonly).context("make read-only", "/")?;
        }
        if !root.pivot {
            hide_host_mounts()?;
        }
        process::fchdir(self.root_fd()).context("fchdir", "/")?;
        if root.pivot && !self.plan.namespaces.joins(crate::sys::namespace::kind::MOUNT) {
            mount::pivot_root_to_cwd().context("pivot_root", "/")?;
            mount::umount_detach_cwd().context("umount", "the host's root")?;
        } else {
            // It lies on top of the namespace's root already; a pivot would need that not to be the initial ramfs.
            process::chroot_to_cwd().context("chroot", "/")?;
        }
        // A shared mount cannot be pivoted to.
        if let Propagation { kind: kind @ (propagation::SHARED | propagation::UNBINDABLE), recursive } =
            root.propagation
        {
            let propagation = MountAttr { propagation: kind, ..MountAttr::default() };
            mount_setattr_at(CWD, c".", recursive, &propagation).context("linux.rootfsPropagation", "/")?;
        }
        self.entered.set(true);
        // The current directory is the root already.
        Ok(())
    }
}

/// Without pivot_root(2) the host's mounts stay in the namespace, and its procfs and sysfs, which nothing masks, would
/// allow a nested user namespace to mount such ones afresh: they have to go.
fn hide_host_mounts() -> Result<()> {
    const LIMIT: usize = 16 << 20;
    let table = file::open(c"/proc/self/mountinfo").context("open", "/proc/self/mountinfo")?;
    let table = file::read_to_end(table.as_fd(), LIMIT).context("read", "/proc/self/mountinfo")?;
    for line in table.split(|byte| *byte == b'\n').rev().filter_map(utf8) {
        let mut words = line.split(' ');
        let path = words.nth(4);
        // The type of the file system follows a word that is a hyphen.
        if !matches!(words.skip_while(|word| *word != "-").nth(1), Some("proc" | "sysfs")) {
            continue;
        }
        let Some(path) = path.and_then(unescaped) else { continue };
        // Those of the container have the same names, but lie on top, where these paths do not lead.
        match mount::umount_detach(path) {
            Ok(()) | Err(crate::error::Errno::INVAL | crate::error::Errno::NOENT) => {}
            Err(errno) => {
                return Err(crate::error::Error::errno("umount the host's", shown(path), errno));
            }
        }
    }
    Ok(())
}

/// A path as mountinfo has it: blanks and the like are a backslash and three octal digits, proc_pid_mountinfo(5).
fn unescaped(path: &str) -> Option<&'static CStr> {
    let bytes = memory::slice(path.len() + 1, 0u8);
    let mut rest = path.as_bytes();
    let mut used = 0;
    while let [first, after @ ..] = rest {
        (bytes[used], rest) = match (*first, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                ((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), after)
            }
            _ => (*first, after),
        };
        used += 1;
    }
    CStr::from_bytes_with_nul(&bytes[..=used]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_in_mountinfo() {
        assert_eq!(unescaped("/a\\040b"), Some(c"/a b"));
        assert_eq!(unescaped("/plain"), Some(c"/plain"));
        assert_eq!(unescaped("/\\134\\011"), Some(c"/\\\t"));
        assert_eq!(unescaped("/end\\04"), Some(c"/end\\04"));
    }
}
