//! A connection: found by its address, opened with our identity, which the kernel vouches for; then calls, and whatever
//! comes back. Nothing here waits longer than it was told to.

use super::wire::{self, Call, HEAD, Message, Output, Value};
use crate::error::{Context, Errno, Error, Result};
use crate::sys::memory::{self, Growing};
use crate::sys::{AsFd, OwnedFd, socket, time, utf8};

/// How much of a message is kept: what we wait for is far shorter. The rest of a longer one is read and forgotten.
const KEPT: usize = 4096;

/// Where a bus is to be found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Address<'a> {
    /// An address of the specification: `unix:path=/run/user/1000/bus`. Of several, each is tried.
    Bus(&'a str),
    /// A socket of systemd's own behind which there is no bus but systemd itself.
    Direct(&'a str),
}

/// What a peer says instead of doing what it was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// A name for programs, like `org.freedesktop.systemd1.NoSuchUnit`.
    pub name: &'static str,
    /// Words for people.
    pub message: &'static str,
}

/// A connection.
pub struct Bus {
    socket: OwnedFd,
    /// That of the last call.
    serial: u32,
    /// How long we wait after a call, in milliseconds, and until when, by `time::monotonic_raw`.
    patience: u32,
    deadline: u64,
    /// The beginning of what has come and is not done with.
    buffer: &'static mut [u8],
    filled: usize,
    /// How long the message is that was given out last; it is still there.
    current: usize,
}

impl Bus {
    /// Connects and says who we are. What follows a call has to come within `patience` milliseconds.
    ///
    /// # Errors
    /// Nobody is there, or does not want us, or does not answer; an address that is none.
    pub fn open(address: Address<'_>, patience: u32) -> Result<Bus> {
        match address {
            Address::Direct(path) => Bus::connect(path, false, patience, &[]),
            Address::Bus(list) => {
                let mut outcome = Err(Error::because("connect to the bus", list, "no address of a unix socket"));
                for (path, is_abstract) in list.split(';').filter_map(unix_path) {
                    outcome = Bus::connect(path, is_abstract, patience, &HELLO);
                    if outcome.is_ok() {
                        break;
                    }
                }
                outcome
            }
        }
    }

    fn connect(path: &str, is_abstract: bool, patience: u32, hello: &[Call<'_>]) -> Result<Bus> {
        let name = memory::cstr(path).unwrap_or(c"");
        let socket = socket::connect_patiently(name, is_abstract, patience).context("connect to", path)?;
        let buffer = memory::slice(KEPT, 0);
        let mut bus = Bus { socket, serial: 0, patience, deadline: 0, buffer, filled: 0, current: 0 };
        bus.renew();
        let mut greet = || {
            bus.authenticate()?;
            hello.iter().try_for_each(|call| bus.call(call).map(drop))
        };
        greet().map_err(|error| error.doing(memory::format(format_args!("talk to {path}"))))?;
        Ok(bus)
    }

    fn renew(&mut self) {
        self.deadline = time::monotonic_raw() + u64::from(self.patience) * 1_000_000;
    }

    /// Says who we are.
    fn authenticate(&mut self) -> Result<()> {
        // Without a name: then it is that of the socket's other end, also where a user namespace gives us another. All
        // at once, and nothing more until there is an answer: systemd forgets what it reads together with BEGIN.
        self.send(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")?;
        loop {
            match self.line()? {
                b"DATA" => {}
                [b'O', b'K', b' ', ..] => return Ok(()),
                _ => return Err(Error::because("", "", "we are not let in")),
            }
        }
    }

    /// A line of the conversation before the first message.
    fn line(&mut self) -> Result<&[u8]> {
        self.forget()?;
        loop {
            if let Some(end) = self.buffer[..self.filled].windows(2).position(|pair| pair == b"\r\n") {
                self.current = end + 2;
                return Ok(&self.buffer[..end]);
            }
            if self.filled == KEPT {
                return Err(nonsense());
            }
            self.fill()?;
        }
    }

    fn send(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let sent = socket::send(self.socket.as_fd(), bytes).map_err(|errno| match errno {
                Errno::AGAIN => self.late(),
                errno => Error::errno("", "", errno),
            })?;
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    /// Sends a call; its serial number, by which the answer is known.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn call(&mut self, call: &Call<'_>) -> Result<u32> {
        self.serial += 1;
        self.renew();
        let mut output = Output::new();
        output.call(self.serial, call);
        self.send(output.finish())?;
        Ok(self.serial)
    }

    /// Waits for the answer to a call. Whatever else comes is forgotten.
    ///
    /// # Errors
    /// The connection is broken, or the time is over.
    pub fn answer(&mut self, serial: u32) -> Result<Result<Message<'_>, Refusal>> {
        loop {
            let message = self.receive()?;
            if message.reply_serial != serial {
                continue;
            }
            match message.kind {
                wire::METHOD_RETURN => break,
                wire::ERROR => {
                    let mut body = message.body;
                    let said = if message.signature.starts_with('s') { body.string() } else { None };
                    let (name, message) = (memory::text(message.error), memory::text(said.unwrap_or("")));
                    return Ok(Err(Refusal { name, message }));
                }
                _ => {}
            }
        }
        // It is still in the buffer, whole or not, and was read a moment ago.
        Ok(Ok(wire::parse(&self.buffer[..self.current.min(KEPT)]).unwrap_or_default()))
    }

    /// Waits for a signal of this name.
    ///
    /// # Errors
    /// As with `answer`.
    pub fn signal(&mut self, member: &str) -> Result<Message<'_>> {
        loop {
            let message = self.receive()?;
            if message.kind == wire::SIGNAL && message.member == member {
                break;
            }
        }
        Ok(wire::parse(&self.buffer[..self.current.min(KEPT)]).unwrap_or_default())
    }

    /// The next message.
    fn receive(&mut self) -> Result<Message<'_>> {
        self.forget()?;
        while self.filled < HEAD {
            self.fill()?;
        }
        let length = wire::length(&self.buffer[..HEAD]).ok_or_else(nonsense)?;
        while self.filled < length.min(KEPT) {
            self.fill()?;
        }
        self.current = length;
        wire::parse(&self.buffer[..length.min(KEPT)]).ok_or_else(nonsense)
    }

    /// Drops the message that was given out last, with the part of it that is still to come.
    fn forget(&mut self) -> Result<()> {
        while self.current > self.filled {
            self.current -= self.filled;
            self.filled = 0;
            self.fill()?;
        }
        self.buffer.copy_within(self.current..self.filled, 0);
        self.filled -= self.current;
        self.current = 0;
        Ok(())
    }

    #[cold]
    fn late(&self) -> Error {
        let why = memory::format(format_args!("no answer within {} seconds", self.patience.div_ceil(1000)));
        Error::because("", "", why)
    }

    /// Waits for more bytes.
    fn fill(&mut self) -> Result<()> {
        let left = self.deadline.saturating_sub(time::monotonic_raw()) / 1_000_000;
        let failed = |errno| Error::errno("", "", errno);
        if !time::wait_readable(self.socket.as_fd(), Some(left as u32)).map_err(failed)? {
            return Err(self.late());
        }
        let came = socket::recv(self.socket.as_fd(), &mut self.buffer[self.filled..]).map_err(failed)?.len();
        if came == 0 {
            return Err(Error::because("", "", "the connection was closed"));
        }
        self.filled += came;
        Ok(())
    }
}

/// The bus itself, as somebody to be called.
const DAEMON: Call<'static> = Call {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "",
    arguments: &[],
};

/// What a bus is told first: that we are there, and what we want to hear.
const HELLO: [Call<'static>; 2] =
    [Call { member: "Hello", ..DAEMON }, Call { member: "AddMatch", arguments: &[Value::string(MATCH)], ..DAEMON }];

const MATCH: &str = "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',\
    interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";

#[cold]
fn nonsense() -> Error {
    Error::because("", "", "what came back is no D-Bus")
}

/// The path of one `unix:KEY=VALUE,...`, and whether it is an abstract one; other transports are not for us.
fn unix_path(address: &str) -> Option<(&'static str, bool)> {
    address.strip_prefix("unix:")?.split(',').find_map(|pair| match pair.split_once('=')? {
        ("path", value) => Some((unescaped(value)?, false)),
        ("abstract", value) => Some((unescaped(value)?, true)),
        _ => None,
    })
}

/// `%2f` is a slash.
fn unescaped(value: &str) -> Option<&'static str> {
    let mut bytes = value.bytes();
    let mut clean = Growing::new();
    while let Some(byte) = bytes.next() {
        clean.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            byte => byte,
        });
    }
    utf8(clean.finish())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    /// A peer on a socket of its own that lets us in, and then does this.
    fn peer(
        then: impl FnOnce(&mut std::os::unix::net::UnixStream) + Send + 'static,
    ) -> (String, thread::JoinHandle<()>) {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("bus-{}-{number}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).expect("bind");
        let name = path.to_str().expect("UTF-8").to_owned();
        let served = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("accept");
            std::fs::remove_file(&path).expect("unlink");
            expect(&mut stream, b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n");
            stream.write_all(b"DATA\r\nOK 1234deadbeef\r\n").expect("write");
            then(&mut stream);
        });
        (name, served)
    }

    fn expect(stream: &mut std::os::unix::net::UnixStream, bytes: &[u8]) {
        let mut read = vec![0; bytes.len()];
        stream.read_exact(&mut read).expect("read");
        assert_eq!(read, bytes);
    }

    /// An answer with a string, which may be long.
    fn answer(kind: u8, serial: u32, text: &str) -> Vec<u8> {
        let mut message = vec![b'l', kind, 1, 1];
        message.extend(((text.len() + 5) as u32).to_le_bytes());
        message.extend([1, 0, 0, 0, 31, 0, 0, 0, 5, 1, b'u', 0]);
        message.extend(serial.to_le_bytes());
        message.extend(*b"\x08\x01g\0\x01s\0\0\x04\x01s\0\x02\0\0\0a.\0\0\0");
        message[12] = message.len() as u8 - 16 - 2;
        while message.len() % 8 != 0 {
            message.push(0);
        }
        message.extend((text.len() as u32).to_le_bytes());
        message.extend(text.as_bytes());
        message.push(0);
        message
    }

    const CALL: Call<'static> = Call { member: "X", ..DAEMON };

    #[test]
    fn answers_are_told_apart() {
        let (path, served) = peer(|stream| {
            let _ = stream.read(&mut [0; 4096]);
            let long = "x".repeat(100_000);
            // Somebody else's, one that is too long to keep, and ours in single bytes.
            for message in [answer(wire::METHOD_RETURN, 9, "other"), answer(wire::SIGNAL, 0, &long)] {
                stream.write_all(&message).expect("write");
            }
            for byte in answer(wire::METHOD_RETURN, 1, "mine") {
                stream.write_all(&[byte]).expect("write");
            }
            stream.write_all(&answer(wire::ERROR, 2, "no such thing")).expect("write");
            stream.write_all(&answer(wire::ERROR, 3, &long)).expect("write");
        });
        let mut bus = Bus::open(Address::Direct(&path), 60_000).expect("let in");
        assert_eq!(bus.call(&CALL).ok(), Some(1));
        let said = bus.answer(1).expect("an answer").expect("no refusal");
        assert_eq!({ said.body }.string(), Some("mine"));
        assert_eq!(bus.answer(2).expect("an answer").err(), Some(Refusal { name: "a.", message: "no such thing" }));
        // What is cut off is not said.
        assert_eq!(bus.answer(3).expect("an answer").err(), Some(Refusal { name: "a.", message: "" }));
        let end = bus.answer(4).expect_err("the end");
        assert_eq!(end.to_string(), ": the connection was closed");
        served.join().expect("served");
    }

    #[test]
    fn nothing_is_waited_for_in_vain() {
        let (path, served) = peer(|stream| {
            let _ = stream.read(&mut [0; 4096]);
        });
        // That long it may also take to be let in, on a busy machine.
        let mut bus = Bus::open(Address::Direct(&path), 3000).expect("let in");
        assert_eq!(bus.answer(1).err().map(|error| error.to_string()).as_deref(), Some(": no answer within 3 seconds"));
        drop(bus);
        crate::sys::fd::close_dropped();
        served.join().expect("served");
    }

    #[test]
    fn what_is_no_bus() {
        let (path, served) = peer(|stream| stream.write_all(&[b'x'; 64]).expect("write"));
        let mut bus = Bus::open(Address::Direct(&path), 60_000).expect("let in");
        assert_eq!(bus.answer(1).err().map(|error| error.to_string()).as_deref(), Some(": what came back is no D-Bus"));
        served.join().expect("served");
        let error = Bus::open(Address::Direct("/nonexistent/bus"), 50).err().expect("nobody");
        assert_eq!(error.to_string(), "connect to /nonexistent/bus: No such file or directory");
        let error = Bus::open(Address::Bus("tcp:host=x;unix:tmpdir=/tmp"), 50).err().expect("nobody");
        assert!(error.to_string().ends_with("no address of a unix socket"), "{error}");
    }

    #[test]
    fn addresses() {
        for (address, expected) in [
            ("unix:path=/run/bus", Some(("/run/bus", false))),
            ("unix:guid=12,path=/a%20b%2Fc", Some(("/a b/c", false))),
            ("unix:abstract=/tmp/x,guid=1", Some(("/tmp/x", true))),
            ("unix:runtime=yes", None),
            ("tcp:host=localhost", None),
            ("unix:path=%", None),
            ("unix:path=%zz", None),
            ("unix:path=%ff", None),
            ("", None),
        ] {
            assert_eq!(unix_path(address), expected, "{address}");
        }
    }
}
