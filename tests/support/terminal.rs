//! Terminals: a pty of the test's own, and the socket over which a runtime hands over a container's.

use std::fs::File;
use std::io::{IoSliceMut, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use nix::pty::{Winsize, openpty};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::sys::termios::tcgetattr;

use super::command::behind;
use super::command::{eventually, limit, read_until};
use super::sandbox::Sandbox;

mod ioctl {
    nix::ioctl_write_ptr_bad!(set_window_size, nix::libc::TIOCSWINSZ, nix::pty::Winsize);
}

/// The listener that `--console-socket` names.
pub struct ConsoleSocket {
    path: PathBuf,
    listener: UnixListener,
}

impl ConsoleSocket {
    pub fn new(sandbox: &Sandbox) -> ConsoleSocket {
        ConsoleSocket::at(&sandbox.path("console.sock"))
    }

    pub fn at(path: &Path) -> ConsoleSocket {
        let listener = UnixListener::bind(path).expect("console socket");
        listener.set_nonblocking(true).expect("nonblocking");
        ConsoleSocket { path: path.to_owned(), listener }
    }

    pub fn name(&self) -> &str {
        self.path.to_str().expect("path")
    }

    /// Hangs up on whoever has connected so far.
    pub fn forget(&self) {
        while self.listener.accept().is_ok() {}
    }

    /// The master that the runtime has sent: one message with one descriptor.
    #[track_caller]
    pub fn receive(&self) -> Pty {
        let mut stream = None;
        eventually("the runtime connects to the console socket", || {
            stream = self.listener.accept().ok();
            stream.is_some()
        });
        let (stream, _) = stream.expect("connection");
        stream.set_nonblocking(false).expect("blocking");
        let mut space = nix::cmsg_space!([RawFd; 4]);
        let mut text = [0; 256];
        let mut parts = [IoSliceMut::new(&mut text)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut space), flags).expect("recvmsg");
        let mut received: Vec<OwnedFd> = Vec::new();
        for part in message.cmsgs().expect("control messages") {
            if let ControlMessageOwned::ScmRights(descriptors) = part {
                received.extend(descriptors.into_iter().map(own));
            }
        }
        assert_eq!(received.len(), 1, "descriptors sent over the console socket");
        Pty { master: received.pop().expect("master").into(), slave: None }
    }
}

/// The kernel has just made this descriptor for us.
#[allow(unsafe_code)]
fn own(descriptor: RawFd) -> OwnedFd {
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

/// The master of a terminal, and for one of the test's own also its other side.
pub struct Pty {
    master: File,
    slave: Option<OwnedFd>,
}

impl Pty {
    pub fn open() -> Pty {
        let pair = openpty(None, None).expect("openpty");
        Pty { master: pair.master.into(), slave: Some(pair.slave) }
    }

    /// Runs the command with this terminal as its controlling terminal and its three streams.
    pub fn attach(&self, command: &Command) -> std::process::Child {
        let slave = || Stdio::from(self.slave().try_clone().expect("dup"));
        let mut wrapped = behind(&["setsid", "--ctty", "--wait"], command);
        wrapped.stdin(slave()).stdout(slave()).stderr(slave()).spawn().expect("setsid")
    }

    /// The descriptor itself: it need not be a terminal.
    pub fn into_descriptor(self) -> OwnedFd {
        self.master.into()
    }

    fn slave(&self) -> &OwnedFd {
        self.slave.as_ref().expect("a terminal of the test's own")
    }

    #[allow(unsafe_code)]
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        unsafe { ioctl::set_window_size(self.master.as_raw_fd(), &size) }.expect("TIOCSWINSZ");
    }

    /// The terminal's settings, in a form that can be compared.
    pub fn settings(&self) -> String {
        let settings = tcgetattr(self.slave()).expect("tcgetattr");
        format!(
            "{:?} {:?} {:?} {:?}",
            settings.input_flags, settings.output_flags, settings.control_flags, settings.local_flags
        )
    }

    pub fn write(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).expect("write to the terminal");
    }

    /// Reads until the text has appeared, and gives everything read.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        let seen = self.read_until(text);
        assert!(seen.contains(text), "expected {text:?} on the terminal, got {seen:?}");
        seen
    }

    /// Reads what comes until nobody holds the other side any more.
    pub fn read_to_end(&mut self) -> String {
        self.slave = None;
        self.read_until("\0 never \0")
    }

    /// In a thread of its own, because a terminal may stay silent for ever.
    fn read_until(&mut self, text: &str) -> String {
        let master = self.master.try_clone().expect("dup");
        let text = text.to_owned();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || sender.send(read_until(master, &text)));
        receiver.recv_timeout(limit()).unwrap_or_else(|_| "(silence)".into())
    }
}
