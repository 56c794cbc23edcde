//! The agent that a seccomp filter notifies: what it is told, and what it answers.

use std::collections::BTreeMap;
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use jzon::JsonValue;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

use super::command::{eventually, limit};
use super::sandbox::Sandbox;

/// `struct seccomp_notif`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Notice {
    id: u64,
    pub pid: u32,
    flags: u32,
    pub number: i32,
    arch: u32,
    instruction: u64,
    pub args: [u64; 6],
}

/// `struct seccomp_notif_resp`.
#[repr(C)]
pub struct Answer {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

mod ioctl {
    nix::ioctl_readwrite!(receive, b'!', 0, super::Notice);
    nix::ioctl_readwrite!(answer, b'!', 1, super::Answer);
}

/// A listening socket and a thread for each listener that comes over it.
pub struct Agent {
    path: PathBuf,
    socket: UnixListener,
    notices: Arc<Mutex<Vec<Notice>>>,
}

impl Agent {
    pub fn new(sandbox: &Sandbox) -> Agent {
        let path = sandbox.path("agent.sock");
        let socket = UnixListener::bind(&path).expect("agent socket");
        socket.set_nonblocking(true).expect("nonblocking");
        Agent { path, socket, notices: Arc::default() }
    }

    pub fn name(&self) -> &str {
        self.path.to_str().expect("path")
    }

    /// The numbers of the calls that were noticed so far.
    pub fn numbers(&self) -> Vec<i32> {
        self.notices().iter().map(|notice| notice.number).collect()
    }

    pub fn notices(&self) -> Vec<Notice> {
        self.notices.lock().expect("notices").clone()
    }

    /// Takes one listener and what comes with it, and answers from now on: to calls with these numbers with an errno, to
    /// all others that they may go on.
    #[track_caller]
    pub fn serve(&self, errors: &[(i32, i32)]) -> JsonValue {
        let (state, listener, _) = self.accept();
        let errors: BTreeMap<i32, i32> = errors.iter().copied().collect();
        let notices = self.notices.clone();
        std::thread::spawn(move || answer(&listener, &errors, &notices));
        state
    }

    /// Serves whoever comes, as long as the program runs, and lets all calls go on.
    #[allow(dead_code)] // Only the tests of faults have so many containers.
    pub fn serve_all(self) {
        self.socket.set_nonblocking(false).expect("blocking");
        std::thread::spawn(move || {
            while let Ok((stream, _)) = self.socket.accept() {
                let mut space = nix::cmsg_space!([RawFd; 4]);
                let mut text = vec![0; 1 << 16];
                let mut parts = [IoSliceMut::new(&mut text)];
                let flags = MsgFlags::MSG_CMSG_CLOEXEC;
                let message = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut space), flags);
                for part in message.iter().flat_map(|message| message.cmsgs()).flatten() {
                    if let ControlMessageOwned::ScmRights(descriptors) = part {
                        for listener in descriptors.into_iter().map(own) {
                            let notices = self.notices.clone();
                            std::thread::spawn(move || answer(&listener, &BTreeMap::new(), &notices));
                        }
                    }
                }
            }
        });
    }

    /// One connection: one message with one descriptor, and what may come after it.
    #[track_caller]
    pub fn accept(&self) -> (JsonValue, OwnedFd, UnixStream) {
        let mut stream = None;
        eventually("the runtime connects to the agent", || {
            stream = self.socket.accept().ok();
            stream.is_some()
        });
        let (stream, _) = stream.expect("connection");
        stream.set_nonblocking(false).expect("blocking");
        stream.set_read_timeout(Some(limit())).expect("a timeout");
        let mut space = nix::cmsg_space!([RawFd; 4]);
        let mut text = vec![0; 1 << 16];
        let mut parts = [IoSliceMut::new(&mut text)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut space), flags).expect("recvmsg");
        let mut received = Vec::new();
        for part in message.cmsgs().expect("control messages") {
            if let ControlMessageOwned::ScmRights(descriptors) = part {
                received.extend(descriptors.into_iter().map(own));
            }
        }
        let length = message.bytes;
        assert_eq!(received.len(), 1, "descriptors sent to the agent");
        let text = String::from_utf8(text[..length].to_vec()).expect("UTF-8");
        (jzon::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}")), received.remove(0), stream)
    }
}

#[allow(unsafe_code)]
fn own(descriptor: RawFd) -> OwnedFd {
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

/// Until no process has the filter any more.
#[allow(unsafe_code)]
fn answer(listener: &OwnedFd, errors: &BTreeMap<i32, i32>, notices: &Mutex<Vec<Notice>>) {
    const CONTINUE: u32 = 1;
    loop {
        let mut ready = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, PollTimeout::NONE).is_err() || ready[0].revents() != Some(PollFlags::POLLIN) {
            return;
        }
        let mut notice = Notice::default();
        // Who called may be gone by now.
        if unsafe { ioctl::receive(listener.as_raw_fd(), &raw mut notice) }.is_err() {
            continue;
        }
        notices.lock().expect("notices").push(notice);
        let mut answer = match errors.get(&notice.number) {
            Some(errno) => Answer { id: notice.id, value: 0, error: -errno, flags: 0 },
            None => Answer { id: notice.id, value: 0, error: 0, flags: CONTINUE },
        };
        let _ = unsafe { ioctl::answer(listener.as_raw_fd(), &raw mut answer) };
    }
}
