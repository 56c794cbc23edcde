//! bpf(2): programs that the kernel asks whether a cgroup's processes may use a device.

use linux_raw_sys::general::__NR_bpf;

use super::fd::AsRawFd;
use super::{BorrowedFd, Errno, OwnedFd, Result, raw};

/// `struct bpf_insn`: from the lowest bits on its code (8), the two registers (4 each), how far it jumps (16) and a
/// number (32).
pub type Instruction = u64;

/// `union bpf_attr`, all of it and more than any kernel knows yet: Linux 6.17 to 7.1 write into its later fields, however
/// short the caller says it is. The kernel wants zeros in what it does not know.
type Attr = [u64; 32];

const BPF_PROG_LOAD: usize = 5;
const BPF_PROG_ATTACH: usize = 8;
const BPF_PROG_DETACH: usize = 9;
const BPF_PROG_GET_FD_BY_ID: usize = 13;
const BPF_OBJ_GET_INFO_BY_FD: usize = 15;
const BPF_PROG_QUERY: usize = 16;

const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;
const BPF_F_REPLACE: u32 = 4;

/// Two fields of 32 bits.
fn pair(first: u32, second: u32) -> u64 {
    u64::from(first) | u64::from(second) << 32
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd() as u32
}

/// The first fields of an attribute; the rest is zero.
type Head = [u64; 8];

/// Returns the kernel's answer, and what it has written into the fourth field.
///
/// # Safety
/// Every address in the head must be what the command expects, for as long as the call takes.
#[inline(never)]
unsafe fn bpf(command: usize, head: Head) -> Result<(usize, u64)> {
    let mut attr: Attr = [0; 32];
    attr[..head.len()].copy_from_slice(&head);
    let args = [command, attr.as_mut_ptr() as usize, size_of::<Attr>(), 0, 0, 0];
    // SAFETY: the kernel reads and writes no more than the whole attribute, and what the caller has promised.
    let answer = unsafe { raw("bpf", __NR_bpf, args) }?;
    Ok((answer, attr[3]))
}

/// # Safety
/// As for `bpf`; the command must be one that makes a descriptor.
unsafe fn open(command: usize, head: Head) -> Result<OwnedFd> {
    // SAFETY: the caller's promise.
    let (fd, _) = unsafe { bpf(command, head) }?;
    // SAFETY: the kernel just made it for us. It is close-on-exec.
    Ok(unsafe { OwnedFd::from_raw(fd as i32) })
}

/// What a program is called in lists of programs, with zeros at the end.
pub type Name = [u8; 16];

/// BPF_PROG_LOAD of a program for BPF_CGROUP_DEVICE.
///
/// # Errors
/// EPERM without CAP_BPF, in a user namespace, or (before 5.11) over RLIMIT_MEMLOCK; EINVAL if the kernel has no such
/// programs.
pub fn prog_load_cgroup_device(name: &Name, program: &[Instruction]) -> Result<OwnedFd> {
    let license = c"GPL".as_ptr() as u64;
    let name = u128::from_le_bytes(*name);
    let what = pair(BPF_PROG_TYPE_CGROUP_DEVICE, program.len() as u32);
    let head = [what, program.as_ptr() as u64, license, 0, 0, 0, name as u64, (name >> 64) as u64];
    // SAFETY: instructions and licence live through the call and are only read; there is no log.
    unsafe { open(BPF_PROG_LOAD, head) }
}

/// BPF_PROG_ATTACH with BPF_F_ALLOW_MULTI: beside other programs, all of which have to allow an access; or in place of
/// another one, at one stroke.
///
/// # Errors
/// EPERM also if a program above does not allow others below it.
pub fn prog_attach(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>, instead: Option<BorrowedFd<'_>>) -> Result<()> {
    let flags = BPF_F_ALLOW_MULTI | if instead.is_some() { BPF_F_REPLACE } else { 0 };
    let both = pair(number(cgroup), number(program));
    let head = [both, pair(BPF_CGROUP_DEVICE, flags), pair(instead.map_or(0, number), 0), 0, 0, 0, 0, 0];
    // SAFETY: there is no address in it.
    unsafe { bpf(BPF_PROG_ATTACH, head) }.map(drop)
}

/// BPF_PROG_DETACH.
///
/// # Errors
/// ENOENT if it is not attached there.
pub fn prog_detach(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<()> {
    let head = [pair(number(cgroup), number(program)), pair(BPF_CGROUP_DEVICE, 0), 0, 0, 0, 0, 0, 0];
    // SAFETY: there is no address in it.
    unsafe { bpf(BPF_PROG_DETACH, head) }.map(drop)
}

/// BPF_PROG_QUERY: the numbers of the device programs of this very cgroup.
///
/// # Errors
/// EPERM; ENOSPC if there are more.
pub fn prog_query<'b>(cgroup: BorrowedFd<'_>, ids: &'b mut [u32]) -> Result<&'b [u32]> {
    let what = pair(number(cgroup), BPF_CGROUP_DEVICE);
    let head = [what, 0, ids.as_mut_ptr() as u64, pair(ids.len() as u32, 0), 0, 0, 0, 0];
    // SAFETY: the kernel writes no more numbers than the slice has.
    let (_, count) = unsafe { bpf(BPF_PROG_QUERY, head) }?;
    ids.get(..count as u32 as usize).ok_or(Errno::NOSPC)
}

/// BPF_PROG_GET_FD_BY_ID.
///
/// # Errors
/// ENOENT if it is gone; EPERM.
pub fn prog_by_id(id: u32) -> Result<OwnedFd> {
    // SAFETY: there is no address in it.
    unsafe { open(BPF_PROG_GET_FD_BY_ID, [pair(id, 0), 0, 0, 0, 0, 0, 0, 0]) }
}

/// BPF_OBJ_GET_INFO_BY_FD: whether the program has this name.
///
/// # Errors
/// The kernel's.
pub fn prog_is_called(program: BorrowedFd<'_>, name: &Name) -> Result<bool> {
    /// `struct bpf_prog_info` up to its name, which is at 64.
    type Info = [u8; 80];
    let mut info: Info = [0; 80];
    let head = [pair(number(program), size_of::<Info>() as u32), info.as_mut_ptr() as u64, 0, 0, 0, 0, 0, 0];
    // SAFETY: the kernel writes no more than that size; zeros ask for none of what it could write elsewhere.
    unsafe { bpf(BPF_OBJ_GET_INFO_BY_FD, head) }?;
    Ok(info[64..] == *name)
}
