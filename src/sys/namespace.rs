//! Namespaces: entering, leaving, and the few things that live in one: names, the loopback device.

use linux_raw_sys::general::{__NR_setns, __NR_unshare};

use super::{AsFd, BorrowedFd, Errno, Result, call, fd::AsRawFd};

/// CLONE_NEW*, as the 64-bit words that clone3(2) takes.
pub mod kind {
    use linux_raw_sys::general as abi;

    pub const MOUNT: u64 = abi::CLONE_NEWNS as u64;
    pub const CGROUP: u64 = abi::CLONE_NEWCGROUP as u64;
    pub const UTS: u64 = abi::CLONE_NEWUTS as u64;
    pub const IPC: u64 = abi::CLONE_NEWIPC as u64;
    pub const USER: u64 = abi::CLONE_NEWUSER as u64;
    pub const PID: u64 = abi::CLONE_NEWPID as u64;
    pub const NETWORK: u64 = abi::CLONE_NEWNET as u64;
    pub const TIME: u64 = abi::CLONE_NEWTIME as u64;
}

/// unshare(2) of CLONE_NEW* flags.
///
/// # Errors
/// The kernel's.
pub fn unshare(flags: u64) -> Result<()> {
    // SAFETY: CLONE_NEW* alone share no memory and no descriptors.
    unsafe { super::raw("unshare", __NR_unshare, [flags as usize, 0, 0, 0, 0, 0]) }.map(drop)
}

/// setns(2) into the namespace that the descriptor is, or into those of the process that it is.
///
/// # Errors
/// EINVAL if it is not of that kind; EPERM.
pub fn setns(namespace: BorrowedFd<'_>, kind: u64) -> Result<()> {
    #[cfg(not(feature = "faults"))]
    let name = "setns";
    #[cfg(feature = "faults")]
    let name = super::fault::setns(namespace);
    // SAFETY: takes a descriptor and flags.
    unsafe { super::raw(name, __NR_setns, [namespace.as_raw_fd() as usize, kind as usize, 0, 0, 0, 0]) }.map(drop)
}

/// sethostname(2).
///
/// # Errors
/// EINVAL if it is longer than 64 bytes.
pub fn sethostname(name: &[u8]) -> Result<()> {
    call("sethostname", || rustix::system::sethostname(name))
}

/// setdomainname(2).
///
/// # Errors
/// EINVAL if it is longer than 64 bytes.
pub fn setdomainname(name: &[u8]) -> Result<()> {
    call("setdomainname", || rustix::system::setdomainname(name))
}

/// Brings the loopback device of the current network namespace up: netdevice(7), SIOCSIFFLAGS.
///
/// # Errors
/// The kernel's.
pub fn loopback_up() -> Result<()> {
    /// `struct ifreq` with `ifr_flags`.
    #[repr(C)]
    struct IfReq {
        name: [u8; 16],
        flags: u16,
        rest: [u8; 22],
    }
    const _: () = assert!(size_of::<IfReq>() == 40);
    const SIOCSIFFLAGS: usize = 0x8914;
    const IFF_UP: u16 = 1;
    const IFF_RUNNING: u16 = 0x40;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let socket = call("socket", || {
        socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None).or_else(|errno| {
            // A kernel without IPv4: any family can ask.
            if errno == Errno::AFNOSUPPORT {
                socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
            } else {
                Err(errno)
            }
        })
    })
    .map(super::OwnedFd::from)?;
    let mut request = IfReq { name: [0; 16], flags: IFF_UP | IFF_RUNNING, rest: [0; 22] };
    request.name[..2].copy_from_slice(b"lo");
    let args = [socket.as_fd().as_raw_fd() as usize, SIOCSIFFLAGS, core::ptr::from_ref(&request) as usize, 0, 0, 0];
    // SAFETY: the request is an `ifreq` that the kernel reads.
    unsafe { super::raw("ioctl", linux_raw_sys::general::__NR_ioctl, args) }.map(drop)
}
