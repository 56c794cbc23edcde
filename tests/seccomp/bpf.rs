//! An interpreter of classic BPF as seccomp uses it: what a filter answers, and what it took.

use isopod::sys::security::SockFilter;

pub const X86_64: u32 = 0xc000_003e;
pub const I386: u32 = 0x4000_0003;
pub const AARCH64: u32 = 0xc000_00b7;
pub const X32: u32 = 1 << 30;

/// `struct seccomp_data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub arch: u32,
    pub number: u32,
    pub args: [u64; 6],
}

impl Call {
    pub fn new(arch: u32, number: u32, args: [u64; 6]) -> Call {
        // A 32-bit program has 32-bit registers.
        Call { arch, number, args: if arch == I386 { args.map(|arg| arg & 0xffff_ffff) } else { args } }
    }

    fn word(&self, offset: u32) -> u32 {
        assert!(offset.is_multiple_of(4) && offset < 64, "load from {offset}");
        match offset {
            0 => self.number,
            4 => self.arch,
            // The instruction pointer is nobody's business.
            8 | 12 => panic!("load from {offset}"),
            _ => (self.args[(offset as usize - 16) / 8] >> (offset % 8 * 8)) as u32,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub answer: u32,
    /// Conditional jumps on the way.
    pub compares: usize,
    pub looked_at_arguments: bool,
}

/// Runs the filter, and panics where the kernel would refuse it.
pub fn run(program: &[SockFilter], call: &Call) -> Outcome {
    trace(program, call, |_| {})
}

/// The same, telling which instructions are met.
pub fn trace(program: &[SockFilter], call: &Call, mut meet: impl FnMut(usize)) -> Outcome {
    let (mut at, mut a) = (0, 0u32);
    let mut outcome = Outcome { answer: 0, compares: 0, looked_at_arguments: false };
    loop {
        meet(at);
        let SockFilter { code, jt, jf, k } = program[at];
        at += 1;
        let mut jump = |holds: bool| {
            outcome.compares += 1;
            at += usize::from(if holds { jt } else { jf });
        };
        match code {
            0x20 => {
                a = call.word(k);
                outcome.looked_at_arguments |= k >= 16;
            }
            0x54 => a &= k,
            0x05 => at += k as usize,
            0x15 => jump(a == k),
            0x25 => jump(a > k),
            0x35 => jump(a >= k),
            0x45 => jump(a & k != 0),
            0x06 => {
                outcome.answer = k;
                return outcome;
            }
            other => panic!("instruction {other:#x}"),
        }
    }
}

/// The instructions that compare a number with another word than it belongs to: the architecture with something that
/// is none, or one of two words, whichever way one comes from. libseccomp 2.5 makes such filters: it forgets to load the
/// number if the first rule of an architecture has conditions, and the upper half of an argument if several rules order
/// it.
pub fn confused(program: &[SockFilter]) -> Vec<usize> {
    // For each instruction, a set of the words that may be loaded there.
    let mut loaded = vec![0u64; program.len() + 1];
    let mut confused = Vec::new();
    for (at, SockFilter { code, jt, jf, k }) in program.iter().enumerate() {
        let words = loaded[at];
        match code {
            0x20 => loaded[at + 1] |= 1 << (k / 4),
            0x54 => loaded[at + 1] |= words,
            0x05 => loaded[at + 1 + *k as usize] |= words,
            0x06 => {}
            _ => {
                if words.count_ones() > 1 || (words == 1 << 1 && ![X86_64, I386].contains(k)) {
                    confused.push(at);
                }
                loaded[at + 1 + usize::from(*jt)] |= words;
                loaded[at + 1 + usize::from(*jf)] |= words;
            }
        }
    }
    confused
}

/// For a person to read.
pub fn listing(program: &[SockFilter]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for (at, SockFilter { code, jt, jf, k }) in program.iter().enumerate() {
        let (yes, no) = (at + 1 + usize::from(*jt), at + 1 + usize::from(*jf));
        let _ = match code {
            0x20 => writeln!(text, "{at:4} load {k}"),
            0x54 => writeln!(text, "{at:4} and {k:#x}"),
            0x05 => writeln!(text, "{at:4} go to {}", at + 1 + *k as usize),
            0x06 => writeln!(text, "{at:4} answer {k:#x}"),
            _ => {
                let test = ["==", ">", ">=", "&"][usize::from(code >> 4) - 1];
                writeln!(text, "{at:4} {test} {k:#x} ? {yes} : {no}")
            }
        };
    }
    text
}
