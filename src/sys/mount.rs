//! Mounts, by descriptor: a tree is opened or made detached, gets its attributes, and is attached as the last thing.

use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, Ordering};

use linux_raw_sys::general::{__NR_mount_setattr, __NR_open_tree_attr, AT_EMPTY_PATH, AT_RECURSIVE};
pub use rustix::mount::{MoveMountFlags, OpenTreeFlags};

use super::{AsFd, BorrowedFd, OwnedFd, Result, call, fd::AsRawFd, utf8};

/// open_tree(2) with OPEN_TREE_CLONE: a detached copy of a mount, or of the tree of mounts below.
///
/// # Errors
/// The kernel's.
pub fn open_tree_clone(dir: BorrowedFd<'_>, path: &CStr, recursive: bool) -> Result<OwnedFd> {
    open_tree_clone_with(dir, path, recursive, OpenTreeFlags::empty())
}

/// The same, with AT_SYMLINK_NOFOLLOW.
///
/// # Errors
/// The kernel's.
pub fn open_tree_clone_nofollow(dir: BorrowedFd<'_>, path: &CStr, recursive: bool) -> Result<OwnedFd> {
    open_tree_clone_with(dir, path, recursive, OpenTreeFlags::AT_SYMLINK_NOFOLLOW)
}

static HAS_NO_OPEN_TREE_ATTR: AtomicBool = AtomicBool::new(false);

/// open_tree_attr(2): the same with attributes that the copy has from the beginning, all of it if it is recursive.
///
/// # Errors
/// The kernel's; ENOSYS before Linux 6.15.
pub fn open_tree_attr(dir: BorrowedFd<'_>, path: &CStr, recursive: bool, attr: &MountAttr) -> Result<OwnedFd> {
    if HAS_NO_OPEN_TREE_ATTR.load(Ordering::Relaxed) {
        return Err(super::Errno::NOSYS);
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let args = [
        dir.as_raw_fd() as usize,
        path.as_ptr() as usize,
        (flags.bits() | if recursive { AT_RECURSIVE } else { 0 }) as usize,
        core::ptr::from_ref(attr) as usize,
        size_of::<MountAttr>(),
        0,
    ];
    // SAFETY: the path and the struct, whose size is asserted below, live through the call; both are only read. The
    // descriptor that it returns is ours.
    let tree =
        unsafe { super::raw("open_tree_attr", __NR_open_tree_attr, args).map(|fd| OwnedFd::from_raw(fd as i32)) };
    if tree.is_err() {
        // Or somebody forbids what he does not know. Either way the older calls tell more.
        HAS_NO_OPEN_TREE_ATTR.store(true, Ordering::Relaxed);
    }
    tree
}

/// The same by two calls where there is no such one. Nobody can see the tree between them.
///
/// # Errors
/// Those of `open_tree_clone` and `mount_setattr`.
pub fn open_tree_with(dir: BorrowedFd<'_>, path: &CStr, attr: &MountAttr) -> Result<OwnedFd> {
    open_tree_attr(dir, path, false, attr).or_else(|_| {
        let tree = open_tree_clone(dir, path, false)?;
        mount_setattr(tree.as_fd(), false, attr).map(|()| tree)
    })
}

fn open_tree_clone_with(
    dir: BorrowedFd<'_>,
    path: &CStr,
    recursive: bool,
    mut flags: OpenTreeFlags,
) -> Result<OwnedFd> {
    flags |= OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    if path.is_empty() {
        flags |= OpenTreeFlags::AT_EMPTY_PATH;
    }
    call("open_tree", || rustix::mount::open_tree(dir, path, flags)).map(OwnedFd::from)
}

/// move_mount(2): attaches what `tree` is the root of onto what `target` is.
///
/// # Errors
/// The kernel's.
pub fn move_mount(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<()> {
    move_mount_to(tree, target, c"")
}

/// move_mount(2) onto a name in a directory of our own, whose last component is not followed.
///
/// # Errors
/// The kernel's.
pub fn move_mount_to(tree: BorrowedFd<'_>, dir: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    let mut flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    if name.is_empty() {
        flags |= MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    }
    call("move_mount", || rustix::mount::move_mount(tree, c"", dir, name, flags))
}

/// MOUNT_ATTR_*, as 64-bit words.
pub mod attr {
    use linux_raw_sys::general as abi;

    pub const RDONLY: u64 = abi::MOUNT_ATTR_RDONLY as u64;
    pub const NOSUID: u64 = abi::MOUNT_ATTR_NOSUID as u64;
    pub const NODEV: u64 = abi::MOUNT_ATTR_NODEV as u64;
    pub const NOEXEC: u64 = abi::MOUNT_ATTR_NOEXEC as u64;
    /// The mask of the three that follow: to choose one, the whole of it is cleared.
    pub const ATIME: u64 = abi::MOUNT_ATTR__ATIME as u64;
    pub const RELATIME: u64 = abi::MOUNT_ATTR_RELATIME as u64;
    pub const NOATIME: u64 = abi::MOUNT_ATTR_NOATIME as u64;
    pub const STRICTATIME: u64 = abi::MOUNT_ATTR_STRICTATIME as u64;
    pub const NODIRATIME: u64 = abi::MOUNT_ATTR_NODIRATIME as u64;
    pub const NOSYMFOLLOW: u64 = abi::MOUNT_ATTR_NOSYMFOLLOW as u64;
    pub const IDMAP: u64 = abi::MOUNT_ATTR_IDMAP as u64;
}

/// MS_SHARED and its kin.
pub mod propagation {
    use linux_raw_sys::general as abi;

    pub const SHARED: u64 = abi::MS_SHARED as u64;
    pub const SLAVE: u64 = abi::MS_SLAVE as u64;
    pub const PRIVATE: u64 = abi::MS_PRIVATE as u64;
    pub const UNBINDABLE: u64 = abi::MS_UNBINDABLE as u64;
}

/// `struct mount_attr` of mount_setattr(2).
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct MountAttr {
    /// MOUNT_ATTR_* to set.
    pub attr_set: u64,
    /// MOUNT_ATTR_* to clear.
    pub attr_clr: u64,
    /// MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE, or 0 to leave it.
    pub propagation: u64,
    /// The user namespace of MOUNT_ATTR_IDMAP.
    pub userns_fd: u64,
}

const _: () = assert!(size_of::<MountAttr>() == linux_raw_sys::general::MOUNT_ATTR_SIZE_VER0 as usize);

impl MountAttr {
    /// Whether it would change nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == MountAttr::default()
    }
}

static NAMESPACE_IS_OURS: AtomicBool = AtomicBool::new(false);

/// Says that nobody else is in this mount namespace. Only then may something be attached in it that is not finished.
pub fn namespace_is_ours() {
    NAMESPACE_IS_OURS.store(true, Ordering::Relaxed);
}

/// mount_setattr(2) on the mount that a descriptor is the root of, or on the whole tree. Before Linux 5.12 by mount(2),
/// which attaches the mount for it, in a namespace of our own.
///
/// # Errors
/// The kernel's; ENOSYS before Linux 5.12 for a tree of several mounts, or in the namespace of others.
pub fn mount_setattr(tree: BorrowedFd<'_>, recursive: bool, attr: &MountAttr) -> Result<()> {
    mount_setattr_at(tree, c"", recursive, attr)
}

/// mount_setattr(2) by path; for `/` of a new mount namespace, of which no descriptor can exist yet.
///
/// # Errors
/// As with `mount_setattr`.
pub fn mount_setattr_at(dir: BorrowedFd<'_>, path: &CStr, recursive: bool, attr: &MountAttr) -> Result<()> {
    let mut flags = if path.is_empty() { AT_EMPTY_PATH } else { 0 };
    if recursive {
        flags |= AT_RECURSIVE;
    }
    let args = [
        dir.as_raw_fd() as usize,
        path.as_ptr() as usize,
        flags as usize,
        core::ptr::from_ref(attr) as usize,
        size_of::<MountAttr>(),
        0,
    ];
    // SAFETY: the path and the struct, whose size is asserted above, live through the call; both are only read.
    let ask = || unsafe { super::raw("mount_setattr", __NR_mount_setattr, args) }.map(drop);
    let set = || match ask() {
        Err(super::Errno::NOSYS) if NAMESPACE_IS_OURS.load(Ordering::Relaxed) => {
            super::remount::mount_setattr(dir, path, recursive, attr)
        }
        result => result,
    };
    match set() {
        // A file that we are done with may still be open for writing.
        Err(super::Errno::BUSY) => {
            super::fd::close_dropped();
            set()
        }
        result => result,
    }
}

/// A file system being configured: fsopen(2).
pub struct FsContext(OwnedFd);

impl FsContext {
    /// fsopen(2).
    ///
    /// # Errors
    /// ENODEV if the kernel has no such file system.
    pub fn open(fs: &CStr) -> Result<FsContext> {
        call("fsopen", || rustix::mount::fsopen(fs, rustix::mount::FsOpenFlags::FSOPEN_CLOEXEC))
            .map(|context| FsContext(context.into()))
    }

    /// fspick(2): a file system that is mounted, to be configured anew.
    ///
    /// # Errors
    /// EINVAL if the descriptor is not the root of a mount.
    pub fn pick(mount: BorrowedFd<'_>) -> Result<FsContext> {
        use rustix::mount::FsPickFlags;
        let flags = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH;
        call("fspick", || rustix::mount::fspick(mount, c"", flags)).map(|context| FsContext(context.into()))
    }

    /// FSCONFIG_CMD_RECONFIGURE.
    ///
    /// # Errors
    /// The file system's.
    pub fn reconfigure(self) -> Result<()> {
        call("fsconfig", || rustix::mount::fsconfig_reconfigure(&self.0))
    }

    /// fsconfig(2), FSCONFIG_SET_FLAG.
    ///
    /// # Errors
    /// The file system's, usually EINVAL.
    pub fn set_flag(&self, key: &CStr) -> Result<()> {
        call("fsconfig", || rustix::mount::fsconfig_set_flag(&self.0, key))
    }

    /// fsconfig(2), FSCONFIG_SET_STRING.
    ///
    /// # Errors
    /// The file system's, usually EINVAL.
    pub fn set_string(&self, key: &CStr, value: &CStr) -> Result<()> {
        call("fsconfig", || rustix::mount::fsconfig_set_string(&self.0, key, value))
    }

    /// FSCONFIG_CMD_CREATE, then fsmount(2): a detached mount with these MOUNT_ATTR_*.
    ///
    /// # Errors
    /// The file system's.
    pub fn mount(self, attr_set: u64) -> Result<OwnedFd> {
        call("fsconfig", || rustix::mount::fsconfig_create(&self.0))?;
        call("fsmount", || {
            rustix::mount::fsmount(
                &self.0,
                rustix::mount::FsMountFlags::FSMOUNT_CLOEXEC,
                rustix::mount::MountAttrFlags::from_bits_retain(attr_set as u32),
            )
        })
        .map(OwnedFd::from)
    }

    /// What the file system says about the last failure, if anything: the message log of fsopen(2), cut to the buffer.
    #[must_use]
    pub fn message<'b>(&self, buffer: &'b mut [u8]) -> &'b str {
        let n = call("read", || rustix::io::read(self.0.as_fd(), &mut *buffer)).unwrap_or(0);
        let text = utf8(&buffer[..n]).unwrap_or("");
        // "e tmpfs: Bad value for 'size'": the first letter tells the kind.
        text.get(2..).unwrap_or("").trim_ascii_end()
    }
}

/// mount(2) of a new file system on a name in the current directory, with MOUNT_ATTR_* and the file system's own words.
/// One that is read-only is so for whoever else may mount it. A link with that name is followed.
///
/// # Errors
/// The file system's; EINVAL for an attribute that mount(2) does not have.
pub fn mount_in_cwd(source: &CStr, name: &CStr, fs: &CStr, attr: u64, words: &CStr) -> Result<()> {
    use rustix::mount::MountFlags;
    #[rustfmt::skip]
    const FLAGS: &[(u64, MountFlags)] = &[
        (attr::RDONLY, MountFlags::RDONLY),
        (attr::NOSUID, MountFlags::NOSUID), (attr::NODEV, MountFlags::NODEV), (attr::NOEXEC, MountFlags::NOEXEC),
        (attr::NOATIME, MountFlags::NOATIME), (attr::STRICTATIME, MountFlags::STRICTATIME),
        (attr::NODIRATIME, MountFlags::NODIRATIME),
    ];
    let mut flags = MountFlags::empty();
    let mut rest = attr;
    for (bit, flag) in FLAGS {
        if attr & bit != 0 {
            flags |= *flag;
            rest &= !bit;
        }
    }
    if rest != 0 {
        return Err(super::Errno::INVAL);
    }
    call("mount", || rustix::mount::mount(source, name, fs, flags, words))
}

/// mount(2) with MS_BIND on a name in the current directory: of a path of the host, or of another name there. The
/// mount has the attributes of the one that it is taken from. Links are followed.
///
/// # Errors
/// The kernel's.
pub fn bind_in_cwd(source: &CStr, name: &CStr) -> Result<()> {
    call("mount", || rustix::mount::mount_bind(source, name))
}

/// The same of a name onto itself, with all that is mounted below.
///
/// # Errors
/// The kernel's.
pub fn bind_onto_itself_in_cwd(name: &CStr) -> Result<()> {
    call("mount", || rustix::mount::mount_bind_recursive(name, name))
}

/// umount2(2) with MNT_DETACH of the current directory.
///
/// # Errors
/// The kernel's.
pub fn umount_detach_cwd() -> Result<()> {
    call("umount2", || rustix::mount::unmount(c".", rustix::mount::UnmountFlags::DETACH))
}

/// umount2(2) with MNT_DETACH | UMOUNT_NOFOLLOW.
///
/// # Errors
/// The kernel's.
pub fn umount_detach(path: &CStr) -> Result<()> {
    use rustix::mount::UnmountFlags;
    call("umount2", || rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW))
}

/// pivot_root(".", "."): the current directory becomes the root, the old root lies on top of it.
///
/// # Errors
/// The kernel's.
pub fn pivot_root_to_cwd() -> Result<()> {
    call("pivot_root", || rustix::process::pivot_root(c".", c"."))
}
