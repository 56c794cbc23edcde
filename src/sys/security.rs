//! Credentials and what limits them: ids, capabilities, no_new_privs, keyrings.

use core::ffi::CStr;

use linux_raw_sys::general::{
    __NR_capget, __NR_capset, __NR_getgroups, __NR_keyctl, __NR_prctl, __NR_seccomp, __NR_setgroups, __NR_setresgid,
    __NR_setresuid,
};
use linux_raw_sys::prctl::{
    PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, PR_CAP_AMBIENT_RAISE, PR_CAPBSET_DROP, PR_GET_NO_NEW_PRIVS,
    PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_SET_NO_NEW_PRIVS,
};

use super::{Result, raw};

/// _LINUX_CAPABILITY_VERSION_3.
const VERSION_3: u32 = 0x2008_0522;

fn prctl(option: u32, a: usize, b: usize) -> Result<()> {
    // SAFETY: every option used here takes numbers.
    unsafe { raw("prctl", __NR_prctl, [option as usize, a, b, 0, 0, 0]) }.map(drop)
}

/// PR_SET_DUMPABLE: whether others of the same uid may trace us and read our descriptors.
///
/// # Errors
/// None in practice.
pub fn set_dumpable(on: bool) -> Result<()> {
    prctl(PR_SET_DUMPABLE, usize::from(on), 0)
}

/// PR_SET_NO_NEW_PRIVS.
///
/// # Errors
/// None in practice.
pub fn set_no_new_privs() -> Result<()> {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0)
}

/// PR_GET_NO_NEW_PRIVS.
#[must_use]
pub fn no_new_privs() -> bool {
    // SAFETY: takes nothing.
    let set = unsafe { raw("prctl", __NR_prctl, [PR_GET_NO_NEW_PRIVS as usize, 0, 0, 0, 0, 0]) };
    set == Ok(1)
}

/// PR_SET_KEEPCAPS: the permitted set survives a change of uid.
///
/// # Errors
/// EPERM if locked.
pub fn set_keepcaps(on: bool) -> Result<()> {
    prctl(PR_SET_KEEPCAPS, usize::from(on), 0)
}

/// PR_CAPBSET_DROP.
///
/// # Errors
/// EINVAL if the kernel does not know the capability, EPERM without CAP_SETPCAP.
pub fn drop_bounding(capability: u32) -> Result<()> {
    prctl(PR_CAPBSET_DROP, capability as usize, 0)
}

/// PR_CAP_AMBIENT_CLEAR_ALL.
///
/// # Errors
/// None in practice.
pub fn clear_ambient() -> Result<()> {
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL as usize, 0)
}

/// PR_CAP_AMBIENT_RAISE.
///
/// # Errors
/// EPERM if the capability is not both permitted and inheritable.
pub fn raise_ambient(capability: u32) -> Result<()> {
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE as usize, capability as usize)
}

/// capset(2) of the calling thread, version 3: 64 bits in two words.
///
/// # Errors
/// EPERM.
pub fn capset(effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
    let header = [VERSION_3, 0];
    let half = |shift: u32| [(effective >> shift) as u32, (permitted >> shift) as u32, (inheritable >> shift) as u32];
    let data = [half(0), half(32)];
    // SAFETY: `cap_user_header_t` and two `cap_user_data_t` by their layout in capset(2); the kernel reads them (and
    // would write the header only if the version were wrong).
    unsafe { raw("capset", __NR_capset, [header.as_ptr() as usize, data.as_ptr() as usize, 0, 0, 0, 0]) }.map(drop)
}

/// capget(2): the permitted set of the calling thread.
///
/// # Errors
/// None in practice.
pub fn capget_permitted() -> Result<u64> {
    let header = [VERSION_3, 0];
    let mut data = [[0u32; 3]; 2];
    // SAFETY: as in `capset`; the kernel writes both halves.
    unsafe { raw("capget", __NR_capget, [header.as_ptr() as usize, data.as_mut_ptr() as usize, 0, 0, 0, 0]) }?;
    Ok(u64::from(data[0][1]) | u64::from(data[1][1]) << 32)
}

/// setresuid(2), all three.
///
/// # Errors
/// EINVAL if the id has no mapping in our user namespace; EPERM.
pub fn setuid(uid: u32) -> Result<()> {
    let uid = uid as usize;
    // SAFETY: takes numbers.
    unsafe { raw("setresuid", __NR_setresuid, [uid, uid, uid, 0, 0, 0]) }.map(drop)
}

/// setresgid(2), all three.
///
/// # Errors
/// EINVAL if the id has no mapping in our user namespace; EPERM.
pub fn setgid(gid: u32) -> Result<()> {
    let gid = gid as usize;
    // SAFETY: takes numbers.
    unsafe { raw("setresgid", __NR_setresgid, [gid, gid, gid, 0, 0, 0]) }.map(drop)
}

/// setgroups(2).
///
/// # Errors
/// EPERM, also where the user namespace denies it.
pub fn setgroups(groups: &[u32]) -> Result<()> {
    // SAFETY: the kernel reads that many 32-bit ids.
    unsafe { raw("setgroups", __NR_setgroups, [groups.len(), groups.as_ptr() as usize, 0, 0, 0, 0]) }.map(drop)
}

/// getgroups(2): how many there are.
///
/// # Errors
/// EINVAL if there are more than can be taken.
pub fn getgroups(groups: &mut [u32]) -> Result<usize> {
    // SAFETY: the kernel writes at most that many 32-bit ids.
    unsafe { raw("getgroups", __NR_getgroups, [groups.len(), groups.as_mut_ptr() as usize, 0, 0, 0, 0]) }
}

/// keyctl(KEYCTL_JOIN_SESSION_KEYRING): a new session keyring of this name.
///
/// # Errors
/// ENOSYS without CONFIG_KEYS, EDQUOT.
pub fn join_session_keyring(name: &CStr) -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: usize = 1;
    // SAFETY: the kernel reads a string.
    unsafe { raw("keyctl", __NR_keyctl, [KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr() as usize, 0, 0, 0, 0]) }.map(drop)
}

/// An instruction of classic BPF: `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct SockFilter {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

const _: () = assert!(size_of::<SockFilter>() == 8);

/// SECCOMP_FILTER_FLAG_...
pub mod filter_flag {
    pub const TSYNC: u32 = 1 << 0;
    pub const LOG: u32 = 1 << 1;
    pub const SPEC_ALLOW: u32 = 1 << 2;
    pub const WAIT_KILLABLE_RECV: u32 = 1 << 5;

    /// seccomp(2) returns a descriptor for whoever answers SECCOMP_RET_USER_NOTIF. Not for a config to say.
    pub const NEW_LISTENER: u32 = 1 << 3;

    /// As the config calls them, after `SECCOMP_FILTER_FLAG_`, sorted.
    pub static NAMES: &[(&str, u32)] =
        &[("LOG", LOG), ("SPEC_ALLOW", SPEC_ALLOW), ("TSYNC", TSYNC), ("WAIT_KILLABLE_RECV", WAIT_KILLABLE_RECV)];
}

/// seccomp(SECCOMP_SET_MODE_FILTER): from now on, and for good, every system call passes the filter. Returns the number
/// of the listener, if the flags ask for one, and 0 otherwise.
///
/// # Errors
/// EACCES without CAP_SYS_ADMIN if no_new_privs is not set; EINVAL for a bad program, an unknown flag, or one that
/// goes only with a listener; EBUSY for a listener if there is a filter with one already.
pub fn seccomp_set_mode_filter(flags: u32, program: &[SockFilter]) -> Result<usize> {
    const SECCOMP_SET_MODE_FILTER: usize = 1;
    /// `struct sock_fprog`.
    #[repr(C)]
    struct Program {
        length: u16,
        filter: *const SockFilter,
    }
    let Ok(length) = u16::try_from(program.len()) else { return Err(super::Errno::INVAL) };
    let program = Program { length, filter: program.as_ptr() };
    let arguments = [SECCOMP_SET_MODE_FILTER, flags as usize, &raw const program as usize, 0, 0, 0];
    // SAFETY: the kernel reads a program of that length.
    unsafe { raw("seccomp", __NR_seccomp, arguments) }
}
