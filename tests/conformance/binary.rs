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

/// One file, with no interpreter and no library to be linked: every machine of the kind runs it. Our own start knows
/// relocations of one form only.
fn needs_nothing(t: &Sandbox) {
    if !t.is(Kind::Isopod) {
        return;
    }
    let elf = Elf::read(&t.runtime.path);
    assert!(elf.segment(PT_INTERP).is_none());
    let tags = elf.dynamic();
    assert!(tags.iter().all(|(tag, _)| *tag != DT_NEEDED));
    assert!(tags.iter().all(|(tag, size)| ![DT_RELASZ, DT_PLTRELSZ].contains(tag) || *size == 0), "{tags:?}");
}

/// It can be anywhere in memory, no piece of it can be both written to and executed, nor can the stack be executed, and
/// pointers that never change are in a piece of their own.
fn is_hardened(t: &Sandbox) {
    if !t.is(Kind::Isopod) {
        return;
    }
    let elf = Elf::read(&t.runtime.path);
    assert_eq!(elf.number(16, 2), ET_DYN);
    assert!(elf.dynamic().iter().any(|(tag, flags)| *tag == DT_FLAGS_1 && flags & DF_1_PIE != 0));
    for segment in &elf.segments {
        assert_ne!(segment.flags & (PF_W | PF_X), PF_W | PF_X, "{segment:?}");
    }
    let stack = elf.segment(PT_GNU_STACK).expect("a word about the stack");
    assert_eq!(stack.flags & PF_X, 0);
    assert!(elf.segment(PT_GNU_RELRO).is_some());
}

/// The same of a process: what the start has made of it.
fn memory_is_hardened(t: &Sandbox) {
    if !t.is(Kind::Isopod) {
        return;
    }
    let relro = Elf::read(&t.runtime.path).segment(PT_GNU_RELRO).expect("RELRO").clone();
    let mut bases = Vec::new();
    for _ in 0..2 {
        let mut c = t.container();
        let run = c.sh("echo here; exec sleep 1000").start_run(&[]);
        eventually("a container", || run.stdout().contains("here"));
        let maps = read(Path::new("/proc").join(run.pid().to_string()).join("maps"));
        let pieces: Vec<_> = maps.lines().map(Piece::parse).collect();
        assert!(pieces.iter().all(|piece| !(piece.mode.contains('w') && piece.mode.contains('x'))), "{maps}");
        let base = pieces.iter().find(|piece| piece.is_file && piece.offset == 0).expect("the program").start;
        // A linker may begin it within a page, and end it there only if nothing follows.
        let page = (base + relro.address) & !4095;
        let piece = pieces.iter().find(|piece| (piece.start..piece.end).contains(&page)).expect("RELRO");
        assert_eq!(piece.mode, "r--p", "{maps}");
        bases.push(base);
        c.kill("KILL").ok();
        run.wait();
    }
    if read("/proc/sys/kernel/randomize_va_space").trim() != "0" {
        assert_ne!(bases[0], bases[1]);
    }
}

/// A line of /proc/PID/maps.
struct Piece<'a> {
    start: usize,
    end: usize,
    mode: &'a str,
    offset: usize,
    is_file: bool,
}

impl Piece<'_> {
    fn parse(line: &str) -> Piece<'_> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (start, end) = words[0].split_once('-').expect("a range");
        let hex = |text| usize::from_str_radix(text, 16).expect("a hexadecimal number");
        let is_file = words.get(5).is_some_and(|name| name.starts_with('/'));
        Piece { start: hex(start), end: hex(end), mode: words[1], offset: hex(words[2]), is_file }
    }
}

const ET_DYN: usize = 3;
const PT_DYNAMIC: usize = 2;
const PT_INTERP: usize = 3;
const PT_GNU_STACK: usize = 0x6474_e551;
const PT_GNU_RELRO: usize = 0x6474_e552;
const PF_X: usize = 1;
const PF_W: usize = 2;
const DT_NEEDED: usize = 1;
const DT_PLTRELSZ: usize = 2;
const DT_RELASZ: usize = 8;
const DT_FLAGS_1: usize = 0x6fff_fffb;
const DF_1_PIE: usize = 0x0800_0000;

/// As much of elf(5) as the tests above ask for.
struct Elf {
    file: Vec<u8>,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug)]
struct Segment {
    kind: usize,
    flags: usize,
    offset: usize,
    address: usize,
    size: usize,
}

impl Elf {
    fn read(path: &Path) -> Elf {
        let mut elf = Elf { file: std::fs::read(path).expect("the binary"), segments: Vec::new() };
        let (headers, size, count) = (elf.number(32, 8), elf.number(54, 2), elf.number(56, 2));
        let segment = |at| Segment {
            kind: elf.number(at, 4),
            flags: elf.number(at + 4, 4),
            offset: elf.number(at + 8, 8),
            address: elf.number(at + 16, 8),
            size: elf.number(at + 32, 8),
        };
        elf.segments = (0..count).map(|index| segment(headers + index * size)).collect();
        elf
    }

    /// The little-endian number of `size` bytes at this place of the file.
    fn number(&self, at: usize, size: usize) -> usize {
        self.file[at..at + size].iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte))
    }

    fn segment(&self, kind: usize) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.kind == kind)
    }

    /// The tags and their values.
    fn dynamic(&self) -> Vec<(usize, usize)> {
        let Some(segment) = self.segment(PT_DYNAMIC) else { return Vec::new() };
        let places = (segment.offset..segment.offset + segment.size).step_by(16);
        places.map(|at| (self.number(at, 8), self.number(at + 8, 8))).collect()
    }
}
