//! The file that is delivered: small, of one piece, and hard to turn against itself.

use std::path::Path;

use crate::case;
use crate::support::{Case, Kind, Sandbox, eventually, read};

pub fn cases() -> Vec<Case> {
    vec![case!(is_small), case!(needs_nothing), case!(is_hardened), case!(memory_is_hardened)]
}

/// Everything is in it, and it still is this small.
fn is_small(t: &Sandbox) {
    const BUDGET: usize = 400 * 1024;
    if t.is(Kind::Isopod) {
        let size = Elf::read(&t.runtime.path).file.len();
        assert!(size <= BUDGET, "{size} bytes");
    }
}

/// One file, with no interpreter and no library to be linked: every machine of the kind runs it.
fn needs_nothing(t: &Sandbox) {
    if t.is(Kind::Isopod) {
        let elf = Elf::read(&t.runtime.path);
        assert!(elf.segments.iter().all(|segment| ![PT_DYNAMIC, PT_INTERP].contains(&segment.kind)));
    }
}

/// No piece of it can be both written to and executed, nor can the stack be executed; and what comes from the file,
/// every table of pointers included, cannot be written to at all.
fn is_hardened(t: &Sandbox) {
    if !t.is(Kind::Isopod) {
        return;
    }
    let elf = Elf::read(&t.runtime.path);
    for segment in &elf.segments {
        assert_ne!(segment.flags & (PF_W | PF_X), PF_W | PF_X, "{segment:?}");
        assert!(segment.flags & PF_W == 0 || segment.in_file == 0, "{segment:?}");
    }
    let stack = elf.segments.iter().find(|segment| segment.kind == PT_GNU_STACK).expect("a word about the stack");
    assert_eq!(stack.flags & PF_X, 0);
}

/// The same of a process, while its container runs.
fn memory_is_hardened(t: &Sandbox) {
    if !t.is(Kind::Isopod) {
        return;
    }
    let mut c = t.container();
    let run = c.sh("echo here; exec sleep 1000").start_run(&[]);
    eventually("a container", || run.stdout().contains("here"));
    let maps = read(Path::new("/proc").join(run.pid().to_string()).join("maps"));
    for line in maps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (mode, is_file) = (words[1], words.get(5).is_some_and(|name| name.starts_with('/')));
        assert!(!mode.contains('w') || !(mode.contains('x') || is_file), "{maps}");
    }
    c.kill("KILL").ok();
    run.wait();
}

const PT_DYNAMIC: usize = 2;
const PT_INTERP: usize = 3;
const PT_GNU_STACK: usize = 0x6474_e551;
const PF_X: usize = 1;
const PF_W: usize = 2;

/// As much of elf(5) as the tests above ask for.
struct Elf {
    file: Vec<u8>,
    segments: Vec<Segment>,
}

#[derive(Debug)]
struct Segment {
    kind: usize,
    flags: usize,
    /// How many bytes of it are in the file.
    in_file: usize,
}

impl Elf {
    fn read(path: &Path) -> Elf {
        let mut elf = Elf { file: std::fs::read(path).expect("the binary"), segments: Vec::new() };
        let (headers, size, count) = (elf.number(32, 8), elf.number(54, 2), elf.number(56, 2));
        let segment =
            |at| Segment { kind: elf.number(at, 4), flags: elf.number(at + 4, 4), in_file: elf.number(at + 32, 8) };
        elf.segments = (0..count).map(|index| segment(headers + index * size)).collect();
        elf
    }

    /// The little-endian number of `size` bytes at this place of the file.
    fn number(&self, at: usize, size: usize) -> usize {
        self.file[at..at + size].iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte))
    }
}
