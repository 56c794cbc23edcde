//! Interfaces of the host become the container's, with their permanent addresses, and are set up: `linux.netDevices`.
//! The runtime does it, which has rights over both namespaces, when the container's has come to be.

use crate::error::{Context, Errno, Error, Quoted, Result};
use crate::plan::Plan;
use crate::sys::fd::FdList;
use crate::sys::namespace::{self, kind};
use crate::sys::netlink::Netlink;
use crate::sys::{AsFd, BorrowedFd, OwnedFd, file, memory};

/// The network namespace that a container joins, kept for later; none if it has a new one, or there are no interfaces.
pub(super) fn joined(plan: &Plan<'_>, fds: &FdList) -> Option<OwnedFd> {
    let place = plan.namespaces.join.iter().position(|join| join.kind == kind::NETWORK)?;
    if plan.net_devices.is_empty() { None } else { fds.duplicate(place) }
}

/// Moves them into the namespace of init, or the one that it joins.
pub(super) fn move_all(plan: &Plan<'_>, joined: Option<&OwnedFd>, pid: i32) -> Result<()> {
    if plan.net_devices.is_empty() {
        return Ok(());
    }
    let made;
    let target = match joined {
        Some(joined) => joined.as_fd(),
        None => {
            let path = memory::cstr(memory::format(format_args!("/proc/{pid}/ns/net")));
            made =
                path.ok_or(Errno::INVAL).and_then(file::open).context("open", "the container's network namespace")?;
            made.as_fd()
        }
    };
    let mut host = Netlink::open().context("socket", "to rtnetlink")?;
    let mut container = netlink_in(target)?;
    for device in plan.net_devices {
        let doing = |doing| move |errno| failed(device.host, doing, errno);
        let index = host.index(device.host).map_err(doing("find"))?;
        // The kernel would move it first, and then find that it cannot be called so.
        if !device.name.contains('%') && container.index(device.name).is_ok() {
            return Err(failed(device.host, "move", Errno::EXIST));
        }
        let addresses = host.addresses(index).map_err(doing("list the addresses of"))?;
        let new = moved(&mut host, index, target, device.name).map_err(doing("move"))?;
        for address in addresses {
            container.add_address(new, address).map_err(doing("give an address to"))?;
        }
    }
    Ok(())
}

#[cold]
#[inline(never)]
fn failed(host: &str, doing: &'static str, errno: Errno) -> Error {
    Error::errno(doing, memory::format(format_args!("linux.netDevices[{}]", Quoted(host))), errno)
}

/// Under the same number if that is free there, so that it is known afterwards which one it is; or else another.
fn moved(host: &mut Netlink, index: u32, target: BorrowedFd<'_>, name: &str) -> Result<u32, Errno> {
    const TRIES: u32 = 64;
    let mut new = index;
    loop {
        match host.move_link(index, target, name, new) {
            Err(Errno::BUSY) if new - index < TRIES * 1000 => new += 1000,
            moved => return moved.map(|()| new),
        }
    }
}

/// A socket belongs to the namespace that it is made in: the runtime is there for a moment.
fn netlink_in(target: BorrowedFd<'_>) -> Result<Netlink> {
    let own = file::open(c"/proc/self/ns/net").context("open", "/proc/self/ns/net")?;
    namespace::setns(target, kind::NETWORK).context("setns", "to the container's network namespace")?;
    let netlink = Netlink::open();
    namespace::setns(own.as_fd(), kind::NETWORK).context("setns", "/proc/self/ns/net")?;
    netlink.context("socket", "to rtnetlink")
}
