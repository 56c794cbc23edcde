//! The file that tells the test build what is to fail, and in which it writes down its calls: `src/sys/fault.rs` has its
//! form.

use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;

const SIZE: usize = 1 << 18;
const HEADER: usize = 64;
const RECORD: usize = 32;
/// In place of an errno.
pub const DEATH: u32 = 4095;

/// One call of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub role: u32,
    pub number: u32,
    pub name: String,
}

/// What is to happen there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub role: u32,
    pub number: u32,
    pub errno: u32,
}

pub struct Order {
    path: PathBuf,
    file: File,
}

impl Order {
    pub fn new(path: PathBuf) -> Order {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).expect("order");
        file.set_permissions(Permissions::from_mode(0o666)).expect("chmod");
        Order { path, file }
    }

    /// Makes the file new: no call is recorded, and at most one fault ordered.
    pub fn give(&self, fault: Option<Fault>) {
        self.file.set_len(0).expect("truncate");
        self.file.set_len(SIZE as u64).expect("extend");
        if let Some(Fault { role, number, errno }) = fault {
            let words = [0, role, number, errno].map(u32::to_ne_bytes);
            self.file.write_all_at(words.as_flattened(), 0).expect("write");
        }
    }

    /// The command is one of those that obey.
    pub fn rule<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env("ISOPOD_FAULTS", &self.path)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; SIZE];
        self.file.read_exact_at(&mut bytes, 0).expect("read");
        bytes
    }

    /// Whether the fault has happened.
    pub fn has_happened(&self) -> bool {
        word(&self.bytes(), 4) > 0
    }

    /// All calls so far, in their order.
    pub fn calls(&self) -> Vec<Call> {
        let bytes = self.bytes();
        let count = word(&bytes, 5) as usize;
        assert!(count <= (SIZE - HEADER) / RECORD, "more calls than the record has room for: {count}");
        bytes[HEADER..][..count * RECORD].chunks(RECORD).map(call).collect()
    }
}

fn call(record: &[u8]) -> Call {
    let name: Vec<u8> = record[8..].iter().copied().take_while(|byte| *byte != 0).collect();
    Call { role: word(record, 0), number: word(record, 1), name: String::from_utf8(name).expect("a name") }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at * 4..][..4].try_into().expect("four bytes"))
}
