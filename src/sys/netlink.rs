//! Interfaces and addresses of a network namespace: rtnetlink(7), as little of it as moving an interface takes.

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::{BorrowedFd, Errno, OwnedFd, Result, call, fd::AsRawFd, memory, retry};

/// A socket to the network namespace that it was made in.
pub struct Netlink {
    socket: OwnedFd,
    buffer: &'static mut [u8],
}

/// An address, as the kernel told of it: what is needed to have it again.
#[derive(Clone, Copy)]
pub struct Address {
    /// `struct ifaddrmsg` up to the interface: family, length of the prefix, flags, scope.
    head: [u8; 4],
    attributes: &'static [u8],
}

/// linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h
const ERROR: u16 = 2;
const DONE: u16 = 3;
const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;
const CREATE: u16 = 0x400;
const IFLA_IFNAME: u16 = 3;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_NEW_IFINDEX: u16 = 49;
const IFF_UP: u32 = 1;

/// A message to the kernel: a header, a fixed part, attributes.
struct Request(heapless::Vec<u8, 512>);

impl Request {
    fn new(kind: u16, flags: u16, fixed: &[u8]) -> Request {
        const REQUEST: u16 = 1;
        let mut request = Request(heapless::Vec::new());
        // The length comes at the end; sequence and port are of no use to one who asks one thing at a time.
        request.put(&[0; 4]);
        request.put(&kind.to_ne_bytes());
        request.put(&(flags | REQUEST).to_ne_bytes());
        request.put(&[0; 8]);
        request.put(fixed);
        request
    }

    /// What does not fit is refused by the kernel, for the lengths no longer agree.
    #[inline(never)]
    fn put(&mut self, bytes: &[u8]) {
        let _ = self.0.extend_from_slice(bytes);
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.put(&(value.len() as u16 + 4).to_ne_bytes());
        self.put(&kind.to_ne_bytes());
        self.put(value);
        self.put(&[0; 3][..value.len().wrapping_neg() % 4]);
    }

    fn finish(&mut self) -> &[u8] {
        let length = (self.0.len() as u32).to_ne_bytes();
        self.0[..4].copy_from_slice(&length);
        &self.0
    }
}

/// `struct ifinfomsg`.
fn link(index: u32, flags: u32) -> [u8; 16] {
    let mut fixed = [0; 16];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..].copy_from_slice(&flags.to_ne_bytes());
    fixed
}

/// The name as the kernel wants it.
fn name_attribute(request: &mut Request, name: &str) {
    let mut bytes = [0; 16];
    let length = name.len().min(15);
    bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
    request.attribute(IFLA_IFNAME, &bytes[..=length]);
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

/// The pieces of a buffer, each with its length in front (so many bytes of it) and padded to four.
fn pieces(mut rest: &[u8], width: usize) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        let length = if width == 4 { word(rest, 0) as usize } else { word(rest, 0) as usize & 0xffff };
        let piece = rest.get(..length).filter(|piece| piece.len() >= 4)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some(piece)
    })
}

impl Netlink {
    /// One to the namespace that we are in now.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open() -> Result<Netlink> {
        let socket = call("socket", || {
            rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
        })?;
        Ok(Netlink { socket: socket.into(), buffer: memory::slice(32 << 10, 0) })
    }

    /// Sends a request, and hands each message of the answer to `each`, with its type; ends with the one that says so.
    #[inline(never)]
    fn ask(&mut self, mut request: Request, each: &mut dyn FnMut(u16, &[u8])) -> Result<()> {
        let bytes = request.finish();
        retry("sendto", || rustix::net::send(&self.socket, bytes, SendFlags::NOSIGNAL))?;
        loop {
            let length =
                retry("recvfrom", || rustix::net::recv(&self.socket, &mut *self.buffer, RecvFlags::empty()))?.0;
            for message in pieces(&self.buffer[..length], 4) {
                match (word(message, 4) & 0xffff) as u16 {
                    DONE => return Ok(()),
                    ERROR => {
                        let errno = (word(message, 16) as i32).wrapping_neg();
                        return if errno == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(errno)) };
                    }
                    kind => each(kind, message.get(16..).unwrap_or(&[])),
                }
            }
        }
    }

    /// The number of an interface.
    ///
    /// # Errors
    /// ENODEV.
    pub fn index(&mut self, name: &str) -> Result<u32> {
        let mut request = Request::new(GET_LINK, ACK, &link(0, 0));
        name_attribute(&mut request, name);
        let mut index = 0;
        self.ask(request, &mut |kind, message| {
            if kind == NEW_LINK {
                index = word(message, 4);
            }
        })?;
        Ok(index)
    }

    /// Moves an interface into another network namespace, under another name and number, and sets it up there.
    ///
    /// # Errors
    /// EEXIST if it has such a name, EBUSY if it has such a number, EINVAL for one that cannot be moved.
    pub fn move_link(&mut self, index: u32, namespace: BorrowedFd<'_>, name: &str, new_index: u32) -> Result<()> {
        let mut request = Request::new(NEW_LINK, ACK, &link(index, IFF_UP));
        request.attribute(IFLA_NET_NS_FD, &namespace.as_raw_fd().to_ne_bytes());
        request.attribute(IFLA_NEW_IFINDEX, &new_index.to_ne_bytes());
        name_attribute(&mut request, name);
        self.ask(request, &mut |_, _| {})
    }

    /// The addresses of an interface that are meant to last and are not of this link only: IFA_F_PERMANENT and
    /// RT_SCOPE_UNIVERSE.
    ///
    /// # Errors
    /// The kernel's.
    pub fn addresses(&mut self, index: u32) -> Result<&'static [Address]> {
        const PERMANENT: u8 = 0x80;
        const UNIVERSE: u8 = 0;
        /// IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS, IFA_RT_PRIORITY: not the label, which has the old name.
        const KEPT: [u8; 5] = [1, 2, 4, 8, 9];
        let mut found = memory::Growing::new();
        self.ask(Request::new(GET_ADDRESS, DUMP, &[0; 8]), &mut |kind, message| {
            let &[family, prefix, flags, scope, ref rest @ ..] = message else { return };
            if kind != NEW_ADDRESS || word(message, 4) != index || scope != UNIVERSE || flags & PERMANENT == 0 {
                return;
            }
            let mut attributes = memory::Growing::new();
            for attribute in pieces(rest.get(4..).unwrap_or(&[]), 2).filter(|attribute| KEPT.contains(&attribute[2])) {
                let padding = [0; 3];
                let padding = &padding[..attribute.len().wrapping_neg() % 4];
                attribute.iter().chain(padding).for_each(|byte| attributes.push(*byte));
            }
            found.push(Address { head: [family, prefix, flags, scope], attributes: attributes.finish() });
        })?;
        Ok(found.finish())
    }

    /// Gives an interface an address that it had.
    ///
    /// # Errors
    /// The kernel's.
    pub fn add_address(&mut self, index: u32, address: &Address) -> Result<()> {
        let mut fixed = [0; 8];
        fixed[..4].copy_from_slice(&address.head);
        fixed[4..].copy_from_slice(&index.to_ne_bytes());
        let mut request = Request::new(NEW_ADDRESS, ACK | CREATE, &fixed);
        request.put(address.attributes);
        self.ask(request, &mut |_, _| {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_as_long_as_they_say() {
        let mut request = Request::new(NEW_LINK, ACK, &link(7, IFF_UP));
        name_attribute(&mut request, "eth0");
        let bytes = request.finish();
        assert_eq!((bytes.len(), word(bytes, 0)), (44, 44));
        assert_eq!(bytes[32..], [9, 0, 3, 0, b'e', b't', b'h', b'0', 0, 0, 0, 0]);
        assert_eq!(bytes[4..8], [16, 0, 5, 0]);
    }

    #[test]
    fn pieces_end_with_the_buffer() {
        let bytes = [6, 0, 1, 0, 9, 9, 0, 0, 4, 0, 2, 0, 200, 0, 0, 0];
        let found: Vec<_> = pieces(&bytes, 2).map(<[u8]>::to_vec).collect();
        assert_eq!(found, [vec![6, 0, 1, 0, 9, 9], vec![4, 0, 2, 0]]);
        assert_eq!(pieces(&[0; 8], 4).count(), 0);
        assert_eq!(pieces(&[], 2).count(), 0);
    }

    #[test]
    fn loopback_is_found() {
        let mut netlink = Netlink::open().expect("a socket");
        assert_eq!(netlink.index("lo"), Ok(1));
        assert_eq!(netlink.index("no-such-device"), Err(Errno::NODEV));
        netlink.addresses(1).expect("a list");
    }
}
