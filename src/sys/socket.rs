//! Unix sockets and the descriptors that travel over them: unix(7).

use core::ffi::CStr;
use core::mem::MaybeUninit;

use rustix::io::{IoSlice, IoSliceMut};
use rustix::net::sockopt::Timeout;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

use super::file::{Mode, OFlags};
use super::{AsFd, BorrowedFd, Errno, OwnedFd, Result, call, retry};

/// A stream socket connected to a path of the host.
///
/// # Errors
/// The kernel's.
pub fn connect_stream(path: &CStr) -> Result<OwnedFd> {
    connect(path, SocketType::STREAM, SocketFlags::CLOEXEC)
}

/// A datagram socket connected to a path of the host: each write(2) is a message, and is refused with EAGAIN if the
/// receiver has too many waiting.
///
/// # Errors
/// The kernel's.
pub fn connect_datagram(path: &CStr) -> Result<OwnedFd> {
    connect(path, SocketType::DGRAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
}

/// A stream socket connected to a path of the host, or to a name in the abstract namespace. Neither this nor sending
/// takes longer than that: EAGAIN.
///
/// # Errors
/// The kernel's.
pub fn connect_patiently(path: &CStr, is_abstract: bool, milliseconds: u32) -> Result<OwnedFd> {
    let socket = socket(SocketType::STREAM, SocketFlags::CLOEXEC)?;
    let patience = core::time::Duration::from_millis(milliseconds.into());
    call("setsockopt", || rustix::net::sockopt::set_socket_timeout(&socket, Timeout::Send, Some(patience)))?;
    let address =
        if is_abstract { SocketAddrUnix::new_abstract_name(path.to_bytes()) } else { SocketAddrUnix::new(path) };
    let address = address?;
    retry("connect", || rustix::net::connect(&socket, &address))?;
    Ok(socket)
}

fn socket(kind: SocketType, flags: SocketFlags) -> Result<OwnedFd> {
    call("socket", || rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None)).map(OwnedFd::from)
}

fn connect(path: &CStr, kind: SocketType, flags: SocketFlags) -> Result<OwnedFd> {
    // A path that does not fit into `sun_path` is reached through a descriptor of the socket's file.
    const LONGEST: usize = 107;
    let file;
    let path = if path.count_bytes() > LONGEST {
        file = super::file::openat(super::CWD, path, OFlags::PATH, Mode::empty())?;
        super::root::fd_path(file.as_fd())
    } else {
        path
    };
    let socket = socket(kind, flags)?;
    let address = SocketAddrUnix::new(path)?;
    retry("connect", || rustix::net::connect(&socket, &address))?;
    Ok(socket)
}

/// A datagram socket with a name of its own in a directory, that everybody may send to who reaches it. What had the
/// name is removed.
///
/// # Errors
/// The kernel's.
pub fn bind_datagram(directory: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    use super::file;
    let entry = super::memory::cstr(name).ok_or(Errno::INVAL)?;
    // `sun_path` is short, and there is no bindat(2).
    let path = super::root::fd_path(directory).to_str().unwrap_or("");
    let path = super::memory::joined(&[path, "/", name]).ok_or(Errno::INVAL)?;
    let _ = file::unlinkat(directory, entry);
    let socket =
        call("socket", || rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None))
            .map(OwnedFd::from)?;
    let address = SocketAddrUnix::new(path)?;
    call("bind", || rustix::net::bind(&socket, &address))?;
    file::chmodat(directory, entry, 0o777)?;
    Ok(socket)
}

/// socketpair(2): two connected sockets that keep the bounds of messages.
///
/// # Errors
/// EMFILE.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    call("socketpair", || {
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
    })
    .map(|(one, other)| (one.into(), other.into()))
}

/// Sends one message, or over a stream as many bytes as go at once; says how many.
///
/// # Errors
/// The kernel's; EPIPE without a signal.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize> {
    retry("sendto", || rustix::net::send(socket, bytes, SendFlags::NOSIGNAL))
}

/// Receives one message; empty when the other side is gone.
///
/// # Errors
/// The kernel's.
pub fn recv<'b>(socket: BorrowedFd<'_>, buffer: &'b mut [u8]) -> Result<&'b [u8]> {
    let n = retry("recvfrom", || rustix::net::recv(socket, &mut *buffer, RecvFlags::empty()))?.0;
    Ok(&buffer[..n])
}

/// Sends one descriptor with some bytes (at least one): SCM_RIGHTS.
///
/// # Errors
/// The kernel's; EPIPE without a signal.
pub fn send_fd(socket: BorrowedFd<'_>, bytes: &[u8], fd: BorrowedFd<'_>) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(Errno::NOBUFS);
    }
    let iov = [IoSlice::new(bytes)];
    retry("sendmsg", || rustix::net::sendmsg(socket, &iov, &mut control, SendFlags::NOSIGNAL)).map(drop)
}

/// Receives one message: its length, 0 when the other side is gone, and the descriptor that came with it.
///
/// # Errors
/// The kernel's.
pub fn recv_fd(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut iov = [IoSliceMut::new(buffer)];
    let n = retry("recvmsg", || rustix::net::recvmsg(socket, &mut iov, &mut control, RecvFlags::CMSG_CLOEXEC))?.bytes;
    let mut found = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            for fd in fds {
                found = Some(fd.into());
            }
        }
    }
    Ok((n, found))
}
