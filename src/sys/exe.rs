//! The program's own file, as a container could reach it: through `/proc/PID/exe` of any process that the runtime has
//! cloned, a root in the container can open it and, as soon as nobody executes it, write to it (CVE-2019-5736).
//!
//! So the runtime puts itself onto a detached, read-only mount of its own file before there is such a process: the
//! pages are the same, but whatever leads from one of its processes to the file ends in EROFS; and once the mount's
//! descriptor is closed, the mount is in no namespace, so that nobody can change or clone it. Nothing is copied,
//! and nothing is executed again. Where that cannot be done, a sealed copy is executed in our place.

use core::convert::Infallible;
use core::mem::size_of;

use linux_raw_sys::elf_uapi::Elf64_Phdr;
use linux_raw_sys::general::{
    __NR_execveat, __NR_mmap, __NR_prctl, AT_EMPTY_PATH, MAP_FIXED, MAP_PRIVATE, PROT_EXEC, PROT_READ,
};
use linux_raw_sys::prctl::{PR_SET_MM, PR_SET_MM_MAP, prctl_mm_map};
use rustix::fs::{Access, AtFlags, MemfdFlags, SealFlags};

use super::fd::AsRawFd;
use super::file;
use super::mount::{MountAttr, attr, mount_setattr, open_tree_clone};
use super::start::Start;
use super::{AsFd, BorrowedFd, CWD, Errno, OwnedFd, Result, call, memory, process, raw};

const EXE: &core::ffi::CStr = c"/proc/self/exe";
const PAGE: usize = 4096;
const PT_LOAD: u32 = 1;
const PT_PHDR: u32 = 6;
const PF_X: u32 = 1;
const PF_W: u32 = 2;

/// Whether neither we nor a container of ours could write to our file anyway: it is on a read-only file system, or
/// somebody else's.
#[must_use]
pub fn is_out_of_reach(euid: u32) -> bool {
    match call("faccessat", || rustix::fs::accessat(CWD, EXE, Access::WRITE_OK, AtFlags::empty())) {
        Err(Errno::ROFS) => true,
        // Its owner could change its mode.
        Err(Errno::ACCESS | Errno::PERM) => {
            file::fstatat(CWD, EXE, AtFlags::empty()).is_ok_and(|stat| stat.st_uid != euid)
        }
        _ => false,
    }
}

/// Makes this process, and those it will clone, run from a read-only mount of its own file. As long as the descriptor
/// is open, who has CAP_SYS_ADMIN in any user namespace and can reach the mount could make it writable.
///
/// # Errors
/// The kernel's: EPERM without CAP_SYS_ADMIN, EINVAL without CONFIG_CHECKPOINT_RESTORE, ENOSYS before Linux 5.12.
/// The process goes on as it was, then.
pub fn mount_read_only(start: &Start) -> Result<OwnedFd> {
    let mount = open_tree_clone(CWD, EXE, false)?;
    let read_only = MountAttr { attr_set: attr::RDONLY | attr::NOSUID | attr::NODEV, ..MountAttr::default() };
    mount_setattr(mount.as_fd(), false, &read_only)?;
    let path = memory::cstr(memory::format(format_args!("/proc/self/fd/{}", mount.as_fd().as_raw_fd())));
    let exe = file::open(path.ok_or(Errno::INVAL)?)?;
    // Where the headers stand, less where the file says that they do: 0 unless we are position-independent.
    let base = start.headers.iter().find(|header| header.p_type == PT_PHDR);
    let base = base.map_or(0, |header| (start.headers.as_ptr() as usize).wrapping_sub(header.p_vaddr as usize));
    let mut end = 0;
    for header in start.headers.iter().filter(|header| header.p_type == PT_LOAD) {
        // Variables are in no file (link.ld).
        if header.p_flags & PF_W == 0 {
            map_again(exe.as_fd(), base, header)?;
        }
        end = base.wrapping_add((header.p_vaddr + header.p_memsz) as usize).next_multiple_of(PAGE);
    }
    set_exe(exe.as_fd(), start, end)?;
    Ok(mount)
}

/// Replaces what is mapped of the file for one segment by the same of another file with the same content.
fn map_again(exe: BorrowedFd<'_>, base: usize, header: &Elf64_Phdr) -> Result<()> {
    let start = base.wrapping_add(header.p_vaddr as usize) & !(PAGE - 1);
    let end = base.wrapping_add((header.p_vaddr + header.p_filesz) as usize);
    let prot = if header.p_flags & PF_X == 0 { PROT_READ } else { PROT_READ | PROT_EXEC };
    let offset = header.p_offset as usize & !(PAGE - 1);
    let args =
        [start, end - start, prot as usize, (MAP_PRIVATE | MAP_FIXED) as usize, exe.as_raw_fd() as usize, offset];
    // SAFETY: the same pages of the same file, which cannot be written to while it is executed, with the same rights,
    // at the same place, in one step: who executes or reads them sees no change.
    unsafe { raw("mmap", __NR_mmap, args) }.map(drop)
}

/// PR_SET_MM_MAP: what `/proc/PID/exe` is, and, for there is no smaller call that CAP_SYS_ADMIN is enough for, all
/// that the kernel knows of the process's layout: for `/proc/PID/cmdline` and `environ` what it was, the rest within
/// reason.
fn set_exe(exe: BorrowedFd<'_>, start: &Start, end: usize) -> Result<()> {
    let words = |words: &'static [super::start::Word]| {
        let first = words.first().map(|word| word.as_cstr().as_ptr() as u64)?;
        let last = words.last()?.as_cstr();
        Some((first, last.as_ptr() as u64 + last.to_bytes_with_nul().len() as u64))
    };
    let stack = start.args.as_ptr() as u64;
    let (arg_start, arg_end) = words(start.args).unwrap_or((stack, stack));
    let (env_start, env_end) = words(start.env).unwrap_or((arg_end, arg_end));
    let code = mount_read_only as *const () as u64;
    let end = end as u64;
    let map = prctl_mm_map {
        start_code: code,
        end_code: code + 1,
        start_data: end,
        end_data: end,
        start_brk: end,
        brk: end,
        start_stack: stack,
        arg_start,
        arg_end,
        env_start,
        env_end,
        auxv: core::ptr::null_mut(),
        auxv_size: 0,
        exe_fd: exe.as_raw_fd() as u32,
    };
    let size = size_of::<prctl_mm_map>();
    let args = [PR_SET_MM as usize, PR_SET_MM_MAP as usize, core::ptr::from_ref(&map) as usize, size, 0, 0];
    // SAFETY: the struct, of the size that is given, is only read.
    unsafe { raw("prctl", __NR_prctl, args) }.map(drop)
}

/// Executes a copy of our file that nobody can ever write to, with our arguments and environment. `None` if that is
/// what we are already.
///
/// # Errors
/// The kernel's: EACCES if `vm.memfd_noexec` forbids it, EFBIG by RLIMIT_FSIZE, with all signals blocked then; ENOMEM.
pub fn execute_sealed_copy(start: &Start) -> Result<Option<Infallible>> {
    let exe = file::open(EXE)?;
    if call("fcntl", || rustix::fs::fcntl_get_seals(&exe)).is_ok_and(|seals| seals.contains(SealFlags::WRITE)) {
        return Ok(None);
    }
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let create = |flags| call("memfd_create", || rustix::fs::memfd_create(c"isopod", flags));
    let copy = match create(flags | MemfdFlags::EXEC) {
        // Before Linux 6.3 every one could be executed.
        Err(Errno::INVAL) => create(flags),
        made => made,
    }?;
    // A limit on the size of files is an error, of which somebody is told, and not our end by SIGXFSZ.
    let mask = process::set_signal_mask(!0);
    while call("sendfile", || rustix::fs::sendfile(&copy, &exe, None, 1 << 30))? > 0 {}
    process::set_signal_mask(mask);
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    call("fcntl", || rustix::fs::fcntl_add_seals(&copy, seals))?;
    let (args, env) = (start.args.as_ptr() as usize, start.env.as_ptr() as usize);
    let args = [copy.as_raw_fd() as usize, c"".as_ptr() as usize, args, env, AT_EMPTY_PATH as usize, 0];
    // SAFETY: both lists are those that the kernel made for us, with a null behind the last.
    let failed = unsafe { raw("execveat", __NR_execveat, args) };
    Err(failed.err().unwrap_or(Errno::NOSYS))
}
