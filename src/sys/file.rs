//! Files on the host, or relative to a descriptor that was resolved by `root`. Everything is opened close-on-exec.

use core::ffi::CStr;
use core::mem::MaybeUninit;

pub use rustix::fs::{
    AtFlags, Dev, FileType, FlockOperation, Gid, Mode, OFlags, RawDir, RawDirEntry, Stat, Uid, major, makedev, minor,
};

use super::{AsFd, BorrowedFd, CWD, Errno, OwnedFd, Result, call, fd, memory, retry};

/// openat(2), with O_CLOEXEC.
///
/// # Errors
/// The kernel's.
pub fn openat(dir: BorrowedFd<'_>, path: &CStr, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    retry("openat", || rustix::fs::openat(dir, path, flags | OFlags::CLOEXEC, mode)).map(OwnedFd::from)
}

/// Opens a file of the host by path for reading.
///
/// # Errors
/// The kernel's.
pub fn open(path: &CStr) -> Result<OwnedFd> {
    openat(CWD, path, OFlags::RDONLY, Mode::empty())
}

/// Opens a directory as a place to start from, not to read.
///
/// # Errors
/// The kernel's.
pub fn open_dir(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    openat(dir, path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
}

/// read(2).
///
/// # Errors
/// The kernel's.
pub fn read(file: BorrowedFd<'_>, into: &mut [u8]) -> Result<usize> {
    retry("read", || rustix::io::read(file, &mut *into))
}

/// pread(2).
///
/// # Errors
/// The kernel's.
pub fn pread(file: BorrowedFd<'_>, into: &mut [u8], offset: u64) -> Result<usize> {
    retry("pread64", || rustix::io::pread(file, &mut *into, offset))
}

/// write(2).
///
/// # Errors
/// The kernel's.
pub fn write(file: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize> {
    retry("write", || rustix::io::write(file, bytes))
}

/// write(2) until all is written.
///
/// # Errors
/// The kernel's; EIO if it makes no progress.
pub fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match write(file, bytes)? {
            0 => return Err(Errno::IO),
            n => bytes = &bytes[n..],
        }
    }
    Ok(())
}

/// The last resort of the log: errors are nobody's to hear.
pub fn write_all_stderr(bytes: &[u8]) {
    let _ = write_all(fd::standard(2), bytes);
}

/// Writes a whole small file of the kernel's (cgroup, proc): open, one write, close.
///
/// # Errors
/// The kernel's; EIO if the kernel took less than all.
pub fn put(dir: BorrowedFd<'_>, path: &CStr, bytes: &[u8]) -> Result<()> {
    let file = openat(dir, path, OFlags::WRONLY, Mode::empty())?;
    if write(file.as_fd(), bytes)? == bytes.len() { Ok(()) } else { Err(Errno::IO) }
}

/// Reads a small file into `buffer`; what does not fit is left out.
///
/// # Errors
/// The kernel's.
pub fn get<'b>(dir: BorrowedFd<'_>, path: &CStr, buffer: &'b mut [u8]) -> Result<&'b [u8]> {
    let file = openat(dir, path, OFlags::RDONLY, Mode::empty())?;
    let mut used = 0;
    while used < buffer.len() {
        match read(file.as_fd(), &mut buffer[used..])? {
            0 => break,
            n => used += n,
        }
    }
    Ok(&buffer[..used])
}

/// Reads a file of any kind to its end into the arena.
///
/// # Errors
/// The kernel's; EFBIG above `limit` bytes.
pub fn read_to_end(file: BorrowedFd<'_>, limit: usize) -> Result<&'static [u8]> {
    let size = usize::try_from(fstat(file)?.st_size).unwrap_or(0);
    if size > limit {
        return Err(Errno::FBIG);
    }
    // One byte more than the file has, so that its end shows without growing.
    let mut buffer: &'static mut [u8] = memory::slice(size.max(1023) + 1, 0);
    let mut used = 0;
    loop {
        match read(file, &mut buffer[used..])? {
            0 => return Ok(&buffer[..used]),
            n => used += n,
        }
        if used > limit {
            return Err(Errno::FBIG);
        }
        if used == buffer.len() {
            let more = memory::slice(used * 2, 0);
            more[..used].copy_from_slice(buffer);
            buffer = more;
        } else if used == size {
            // Most files end where fstat said; a pipe, whose size is 0, does not come here.
            return Ok(&buffer[..used]);
        }
    }
}

/// fstat(2).
///
/// # Errors
/// The kernel's.
pub fn fstat(file: BorrowedFd<'_>) -> Result<Stat> {
    call("fstat", || rustix::fs::fstat(file))
}

/// Whether two are one file, by whatever names: inode(7).
#[must_use]
pub fn is_same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// newfstatat(2).
///
/// # Errors
/// The kernel's.
pub fn fstatat(dir: BorrowedFd<'_>, path: &CStr, flags: AtFlags) -> Result<Stat> {
    call("newfstatat", || rustix::fs::statat(dir, path, flags))
}

/// The same by a path of the host.
///
/// # Errors
/// The kernel's.
pub fn fs_type_at(path: &CStr) -> Result<u32> {
    call("statfs", || rustix::fs::statfs(path)).map(|fs| fs.f_type as u32)
}

/// statfs(2): the magic number of the file system that something is on.
///
/// # Errors
/// The kernel's.
pub fn fs_type(file: BorrowedFd<'_>) -> Result<u32> {
    call("fstatfs", || rustix::fs::fstatfs(file)).map(|fs| fs.f_type as u32)
}

/// Sets the label of SELinux of a directory.
///
/// # Errors
/// The kernel's.
pub fn set_selinux_label(dir: BorrowedFd<'_>, label: &CStr) -> Result<()> {
    // That of a mount which has just been made is a mere path.
    let dir = openat(dir, c".", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
    call("fsetxattr", || {
        rustix::fs::fsetxattr(&dir, c"security.selinux", label.to_bytes(), rustix::fs::XattrFlags::empty())
    })
}

/// The magic numbers of statfs(2) that we look for.
pub mod magic {
    /// procfs.
    pub const PROC: u32 = 0x9fa0;
    /// sysfs.
    pub const SYSFS: u32 = 0x6265_6572;
    /// cgroup v2.
    pub const CGROUP2: u32 = 0x6367_7270;
    /// cgroup v1.
    pub const CGROUP: u32 = 0x0027_e0eb;
    /// tmpfs.
    pub const TMPFS: u32 = 0x0102_1994;
    /// selinuxfs.
    pub const SELINUX: u32 = 0xf97c_ff8c;
    /// devpts.
    pub const DEVPTS: u32 = 0x1cd1;
}

/// statfs(2): the ST_* flags of the mount that a path leads to.
///
/// # Errors
/// The kernel's.
pub fn mount_flags(path: &CStr) -> Result<u64> {
    call("statfs", || rustix::fs::statfs(path)).map(|stat| stat.f_flags as u64)
}

/// statx(2), STATX_MNT_ID: the number of the mount that a descriptor is in, as `/proc/self/mountinfo` has it. Linux 5.8.
/// (`/proc/self/fdinfo` says it too, but before Linux 5.14 not to whoever is not dumpable in a user namespace.)
///
/// # Errors
/// The kernel's.
pub(super) fn mount_id(file: BorrowedFd<'_>) -> Result<u64> {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    call("statx", || statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)).map(|info| info.stx_mnt_id)
}

/// mkdirat(2).
///
/// # Errors
/// The kernel's.
pub fn mkdirat(dir: BorrowedFd<'_>, path: &CStr, mode: u32) -> Result<()> {
    call("mkdirat", || rustix::fs::mkdirat(dir, path, Mode::from_raw_mode(mode)))
}

/// mknodat(2).
///
/// # Errors
/// The kernel's.
pub fn mknodat(dir: BorrowedFd<'_>, path: &CStr, kind: FileType, mode: u32, dev: Dev) -> Result<()> {
    call("mknodat", || rustix::fs::mknodat(dir, path, kind, Mode::from_raw_mode(mode), dev))
}

/// symlinkat(2).
///
/// # Errors
/// The kernel's.
pub fn symlinkat(target: &CStr, dir: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    call("symlinkat", || rustix::fs::symlinkat(target, dir, path))
}

/// readlinkat(2); with an empty path, of the O_PATH descriptor itself. The result is cut at the buffer's length.
///
/// # Errors
/// The kernel's.
pub fn readlinkat<'b>(dir: BorrowedFd<'_>, path: &CStr, buffer: &'b mut [u8]) -> Result<&'b [u8]> {
    let n = call("readlinkat", || rustix::fs::readlinkat_raw(dir, path, &mut *buffer))?;
    Ok(&buffer[..n])
}

/// unlinkat(2).
///
/// # Errors
/// The kernel's.
pub fn unlinkat(dir: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    call("unlinkat", || rustix::fs::unlinkat(dir, path, AtFlags::empty()))
}

/// unlinkat(2) with AT_REMOVEDIR.
///
/// # Errors
/// The kernel's.
pub fn rmdirat(dir: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    call("rmdir", || rustix::fs::unlinkat(dir, path, AtFlags::REMOVEDIR))
}

/// renameat(2) within one directory.
///
/// # Errors
/// The kernel's.
pub fn renameat(dir: BorrowedFd<'_>, from: &CStr, to: &CStr) -> Result<()> {
    call("renameat", || rustix::fs::renameat(dir, from, dir, to))
}

/// fchownat(2) of the descriptor itself.
///
/// # Errors
/// The kernel's.
pub fn fchown(file: BorrowedFd<'_>, uid: u32, gid: u32) -> Result<()> {
    call("fchownat", || {
        rustix::fs::chownat(file, c"", Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::EMPTY_PATH)
    })
}

/// fchmod(2).
///
/// # Errors
/// The kernel's.
pub fn fchmod(file: BorrowedFd<'_>, mode: u32) -> Result<()> {
    call("fchmod", || rustix::fs::fchmod(file, Mode::from_raw_mode(mode)))
}

/// fchmodat(2).
///
/// # Errors
/// The kernel's.
pub fn chmodat(dir: BorrowedFd<'_>, path: &CStr, mode: u32) -> Result<()> {
    call("fchmodat", || rustix::fs::chmodat(dir, path, Mode::from_raw_mode(mode), AtFlags::empty()))
}

/// sendfile(2) from where the file is, up to `count` bytes; returns how many.
///
/// # Errors
/// The kernel's.
pub fn sendfile(to: BorrowedFd<'_>, from: BorrowedFd<'_>, count: usize) -> Result<usize> {
    retry("sendfile", || rustix::fs::sendfile(to, from, None, count))
}

/// Copies the extended attributes of one open file to another; those that the other file system does not take are
/// left out.
///
/// # Errors
/// The kernel's; ERANGE if the names are longer than 4 KiB or a value is.
pub fn copy_xattrs(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr};
    let mut names = [0u8; 4096];
    let length = match call("flistxattr", || flistxattr(from, &mut names)) {
        Err(Errno::OPNOTSUPP) => 0,
        length => length?,
    };
    let mut value = [0u8; 4096];
    for name in names[..length].split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        let n = call("fgetxattr", || fgetxattr(from, name, &mut value))?;
        match call("fsetxattr", || fsetxattr(to, name, &value[..n], XattrFlags::empty())) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// fchownat(2), not following a link.
///
/// # Errors
/// The kernel's.
pub fn chownat(dir: BorrowedFd<'_>, path: &CStr, uid: u32, gid: u32) -> Result<()> {
    call("fchownat", || {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(dir, path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), flags)
    })
}

/// faccessat(2) for execution, with the effective ids; ENOSYS never, for without flags the call is old.
///
/// # Errors
/// The kernel's: EACCES, ENOENT, ...
pub fn access_execute(path: &CStr) -> Result<()> {
    call("faccessat", || rustix::fs::accessat(CWD, path, rustix::fs::Access::EXEC_OK, AtFlags::empty()))
}

/// faccessat(2) for writing, with the real ids: for whoever is not set-user-id, as we never are, his own.
///
/// # Errors
/// The kernel's: EACCES, EROFS, ENOENT, ...
pub fn access_write(path: &CStr) -> Result<()> {
    call("faccessat", || rustix::fs::accessat(CWD, path, rustix::fs::Access::WRITE_OK, AtFlags::empty()))
}

/// flock(2).
///
/// # Errors
/// EWOULDBLOCK with a non-blocking operation.
pub fn flock(file: BorrowedFd<'_>, operation: FlockOperation) -> Result<()> {
    retry("flock", || rustix::fs::flock(file, operation))
}

/// pipe2(2), close-on-exec: (read end, write end).
///
/// # Errors
/// EMFILE, ENFILE.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    call("pipe2", || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC))
        .map(|(read, write)| (read.into(), write.into()))
}

/// Calls `f` with the name of each entry of a directory but `.` and `..`, up to the end that the kernel says: whoever is
/// frozen or stopped in the middle gets fewer at once.
///
/// # Errors
/// The kernel's, or what `f` returns.
pub fn each_entry<E: From<Errno>>(
    dir: BorrowedFd<'_>,
    mut f: impl FnMut(&CStr, FileType) -> core::result::Result<(), E>,
) -> core::result::Result<(), E> {
    each(dir, &mut f)
}

fn each<E: From<Errno>>(
    dir: BorrowedFd<'_>,
    f: &mut dyn FnMut(&CStr, FileType) -> core::result::Result<(), E>,
) -> core::result::Result<(), E> {
    let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
    let mut entries = RawDir::new(dir, &mut buffer);
    loop {
        #[cfg(feature = "faults")]
        if entries.is_buffer_empty() {
            super::fault::meet("getdents64")?;
        }
        let Some(entry) = entries.next() else { return Ok(()) };
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            f(entry.file_name(), entry.file_type())?;
        }
    }
}
