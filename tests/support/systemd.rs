//! A stand-in for systemd on a socket of its own: speaks D-Bus, remembers what it was asked for, and does as systemd
//! does with a scope, as far as a container notices: it makes a cgroup, right below the root, and moves the process
//! there. Of the cgroups of version 1 it has only the one that systemd has for itself.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::host;

/// What it does when it is asked to start a unit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// As it is asked to.
    Willing,
    /// Refuses the first time, with this name and these words.
    RefusesOnce(&'static str, &'static str),
    /// Refuses always.
    Refuses(&'static str, &'static str),
    /// Takes the job, and then this becomes of it.
    Ends(&'static str),
    /// Closes the connection.
    HangsUp,
    /// Says something that is no message.
    Babbles,
    /// Never says anything more.
    Sleeps,
}

pub struct Systemd {
    /// For DBUS_SYSTEM_BUS_ADDRESS.
    pub address: String,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Systemd {
    /// With a socket in this directory. It is there until the test program ends.
    pub fn start(dir: PathBuf, mood: Mood) -> Systemd {
        let path = dir.join("system bus");
        let listener = UnixListener::bind(&path).expect("bind");
        let calls = Arc::new(Mutex::new(Vec::new()));
        let remembered = calls.clone();
        let scopes = Arc::new(Mutex::new(Vec::new()));
        let (socket, made) = (path.clone(), scopes.clone());
        thread::spawn(move || collect(&socket, &made));
        thread::spawn(move || {
            let mut refused = false;
            for stream in listener.incoming().map_while(Result::ok) {
                // Whoever leaves in the middle is no error of ours.
                let mut made = scopes.lock().expect("scopes");
                let _ = Connection { stream, mood, calls: &remembered, refused: &mut refused, made: &mut made }.serve();
            }
        });
        Systemd { address: format!("unix:path={}", path.display().to_string().replace(' ', "%20")), calls }
    }

    /// The calls since the last time, as `METHOD ARGUMENT...`, in the text format of GVariant.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().expect("calls"))
    }
}

/// Where it makes cgroups.
fn root() -> PathBuf {
    host::controller("name=systemd").or_else(|| host::unified("memory")).expect("a hierarchy for systemd")
}

struct Connection<'a> {
    stream: UnixStream,
    mood: Mood,
    calls: &'a Mutex<Vec<String>>,
    refused: &'a mut bool,
    /// The scopes that may never have a container in them.
    made: &'a mut Vec<Made>,
}

impl Connection<'_> {
    fn serve(&mut self) -> io::Result<()> {
        let mut greeting = [0; 29];
        self.stream.read_exact(&mut greeting)?;
        assert_eq!(&greeting, b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n");
        self.stream.write_all(b"DATA\r\nOK 0123456789abcdef\r\n")?;
        loop {
            let mut head = [0; 16];
            self.stream.read_exact(&mut head)?;
            let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
            let (body, serial, fields) = (number(4) as usize, number(8), number(12) as usize);
            let mut rest = vec![0; fields.next_multiple_of(8) + body];
            self.stream.read_exact(&mut rest)?;
            let mut header = Input { bytes: &rest[..fields], at: 0 };
            let (mut member, mut signature) = (String::new(), String::new());
            while header.at < fields {
                let field = header.value("(yv)");
                let (code, value) = field[1..field.len() - 1].split_once(", ").expect("a field");
                let value = value.split('\'').nth(1).unwrap_or("").to_owned();
                match code {
                    "byte 3" => member = value,
                    "byte 8" => signature = value,
                    _ => {}
                }
            }
            let mut input = Input { bytes: &rest[fields.next_multiple_of(8)..], at: 0 };
            let arguments: Vec<String> = types(&signature).iter().map(|kind| input.value(kind)).collect();
            let call = [&[member.clone()], &arguments[..]].concat().join(" ");
            self.calls.lock().expect("calls").push(call);
            if !self.answer(&member, &arguments, serial)? {
                return Ok(());
            }
        }
    }

    fn answer(&mut self, member: &str, arguments: &[String], serial: u32) -> io::Result<bool> {
        let name = arguments.first().map_or("", |name| name.trim_matches('\''));
        match (member, self.mood) {
            ("StartTransientUnit", Mood::RefusesOnce(error, words)) if !*self.refused => {
                *self.refused = true;
                self.send(3, serial, Some(error), "s", &[words])?;
            }
            ("StartTransientUnit", Mood::Refuses(error, words)) => self.send(3, serial, Some(error), "s", &[words])?,
            ("StartTransientUnit", Mood::HangsUp) => return Ok(false),
            ("StartTransientUnit", Mood::Babbles) => self.stream.write_all(&[b'?'; 4096])?,
            ("StartTransientUnit", Mood::Sleeps) => {}
            ("StartTransientUnit", mood) => {
                let directory = root().join(name);
                fs::create_dir_all(&directory)?;
                if let Some((_, pids)) = arguments[2].split_once("('PIDs', <[uint32 ") {
                    let keeper = pids.split(']').next().unwrap_or("").to_owned();
                    self.made.push(Made { directory: directory.clone(), keeper: keeper.clone() });
                    fs::write(directory.join("cgroup.procs"), keeper)?;
                }
                self.job(serial, name, if let Mood::Ends(result) = mood { result } else { "done" })?;
            }
            ("StopUnit", _) if root().join(name).exists() => {
                remove_tree(root().join(name));
                self.job(serial, name, "done")?;
            }
            ("StopUnit" | "ResetFailedUnit" | "GetUnit", _) => {
                let words = format!("Unit {name} not loaded.");
                self.send(3, serial, Some("org.freedesktop.systemd1.NoSuchUnit"), "s", &[&words])?;
            }
            ("Hello", _) => self.send(2, serial, None, "s", &[":1.9"])?,
            _ => self.send(2, serial, None, "", &[])?,
        }
        Ok(true)
    }

    /// The answer with the job's name, somebody else's job, and the end of this one.
    fn job(&mut self, serial: u32, unit: &str, result: &str) -> io::Result<()> {
        self.send(2, serial, None, "o", &["/job/7"])?;
        for (job, result) in [("/job/6", "failed"), ("/job/7", result)] {
            self.send(4, 0, None, "uoss", &[job, unit, result])?;
        }
        Ok(())
    }

    /// A message whose body is strings, after a number if the signature has one.
    fn send(&mut self, kind: u8, reply: u32, error: Option<&str>, signature: &str, body: &[&str]) -> io::Result<()> {
        let mut fields = Vec::new();
        let mut field = |code: u8, letter: u8, text: &str| {
            while fields.len() % 8 != 0 {
                fields.push(0);
            }
            fields.extend([code, 1, letter, 0]);
            match letter {
                b'u' => fields.extend(reply.to_le_bytes()),
                b'g' => fields.extend([&[text.len() as u8], text.as_bytes(), &[0]].concat()),
                _ => fields.extend([&(text.len() as u32).to_le_bytes()[..], text.as_bytes(), &[0]].concat()),
            }
        };
        field(7, b's', ":1.0");
        if kind == 4 {
            field(1, b'o', "/org/freedesktop/systemd1");
            field(2, b's', "org.freedesktop.systemd1.Manager");
            field(3, b's', "JobRemoved");
        } else {
            field(5, b'u', "");
        }
        if let Some(error) = error {
            field(4, b's', error);
        }
        field(8, b'g', signature);
        let mut bytes = Vec::new();
        if signature.starts_with('u') {
            bytes.extend(7u32.to_le_bytes());
        }
        for text in body {
            while bytes.len() % 4 != 0 {
                bytes.push(0);
            }
            bytes.extend([&(text.len() as u32).to_le_bytes()[..], text.as_bytes(), &[0]].concat());
        }
        let mut message = vec![b'l', kind, 1, 1];
        message.extend((bytes.len() as u32).to_le_bytes());
        message.extend(1u32.to_le_bytes());
        message.extend((fields.len() as u32).to_le_bytes());
        message.extend(fields);
        while message.len() % 8 != 0 {
            message.push(0);
        }
        message.extend(bytes);
        self.stream.write_all(&message)
    }
}

/// The cgroup of a scope, and the process that it was made around.
struct Made {
    directory: PathBuf,
    keeper: String,
}

/// What systemd does with a scope without processes, if it never came to more than its keeper and nobody is just talking
/// to systemd; for as long as its socket is there.
fn collect(socket: &Path, made: &Mutex<Vec<Made>>) {
    while socket.exists() {
        made.lock().expect("scopes").retain(|Made { directory, keeper }| {
            let pids = processes(directory);
            if pids.is_empty() {
                remove_tree(directory.clone());
            }
            !pids.is_empty() && pids.lines().all(|pid| pid == keeper)
        });
        thread::sleep(Duration::from_millis(10));
    }
}

/// All in a cgroup and below it, a line each.
fn processes(directory: &Path) -> String {
    let below = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let below: String = below.filter(|path| path.is_dir()).map(|path| processes(&path)).collect();
    host::read(directory.join("cgroup.procs")) + &below
}

fn remove_tree(directory: PathBuf) {
    for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_tree(entry.path());
        }
    }
    let _ = fs::remove_dir(directory);
}

/// The complete types of a signature.
fn types(signature: &str) -> Vec<String> {
    let (mut all, mut current, mut open) = (Vec::new(), String::new(), 0);
    for letter in signature.chars() {
        current.push(letter);
        open += i32::from(matches!(letter, '(' | '{')) - i32::from(matches!(letter, ')' | '}'));
        if open == 0 && letter != 'a' {
            all.push(std::mem::take(&mut current));
        }
    }
    all
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Input<'_> {
    fn number(&mut self, size: usize) -> u64 {
        self.at = self.at.next_multiple_of(size);
        let mut bytes = [0; 8];
        bytes[..size].copy_from_slice(&self.bytes[self.at..self.at + size]);
        self.at += size;
        u64::from_le_bytes(bytes)
    }

    fn text(&mut self, size: usize) -> String {
        let length = self.number(size) as usize;
        let text = String::from_utf8(self.bytes[self.at..self.at + length].to_vec()).expect("UTF-8");
        self.at += length + 1;
        text
    }

    /// A value in the text format of GVariant.
    fn value(&mut self, kind: &str) -> String {
        match kind.as_bytes()[0] {
            b'y' => format!("byte {}", self.number(1)),
            b'b' => (self.number(4) == 1).to_string(),
            b'n' => format!("int16 {}", self.number(2) as i16),
            b'q' => format!("uint16 {}", self.number(2)),
            b'i' => (self.number(4) as i32).to_string(),
            b'u' => format!("uint32 {}", self.number(4)),
            b'x' => format!("int64 {}", self.number(8) as i64),
            b't' => format!("uint64 {}", self.number(8)),
            b'd' => f64::from_bits(self.number(8)).to_string(),
            b's' => format!("'{}'", self.text(4)),
            b'o' => format!("objectpath '{}'", self.text(4)),
            b'g' => format!("signature '{}'", self.text(1)),
            b'v' => {
                let kind = self.text(1);
                format!("<{}>", self.value(&kind))
            }
            b'a' => {
                let length = self.number(4) as usize;
                let element = &kind[1..];
                if matches!(element.as_bytes()[0], b'x' | b't' | b'd' | b'(' | b'{') {
                    self.at = self.at.next_multiple_of(8);
                }
                let end = self.at + length;
                let mut all = Vec::new();
                while self.at < end {
                    all.push(self.value(element));
                }
                assert_eq!(self.at, end);
                format!("[{}]", all.join(", "))
            }
            b'(' | b'{' => {
                self.at = self.at.next_multiple_of(8);
                let members: Vec<String> =
                    types(&kind[1..kind.len() - 1]).iter().map(|kind| self.value(kind)).collect();
                format!("({})", members.join(", "))
            }
            letter => panic!("type {}", char::from(letter)),
        }
    }
}
