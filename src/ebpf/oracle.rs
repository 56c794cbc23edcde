//! What device rules mean, and a machine for their program: what tests and fuzz targets hold `compile` against. In no
//! other build.

extern crate std;

use std::vec;

use super::{Kind, Rule};
use crate::sys::bpf::Instruction;

/// What the kernel asks.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    pub kind: u32,
    pub access: u8,
    pub major: u32,
    pub minor: u32,
}

/// Each access on its own: the last rule that fits decides.
#[must_use]
pub fn evaluate(rules: &[Rule], question: Question) -> bool {
    let decides = |rule: &&Rule, bit: u8| {
        (rule.kind == Kind::All || rule.kind as u32 == question.kind)
            && rule.major.is_none_or(|major| major == question.major)
            && rule.minor.is_none_or(|minor| minor == question.minor)
            && rule.access & bit != 0
    };
    let allowed = |bit| rules.iter().rev().find(|rule| decides(rule, bit)).is_some_and(|rule| rule.allow);
    [1, 2, 4].into_iter().filter(|bit| question.access & bit != 0).all(allowed)
}

/// A machine with the instructions of `linux/bpf.h` that we use, by their numbers there. Reading what was never
/// written, jumping backwards and running off the end are what the kernel's verifier would refuse.
#[must_use]
pub fn run(program: &[Instruction], question: Question) -> bool {
    let words = [u32::from(question.access) << 16 | question.kind, question.major, question.minor];
    let mut registers: [Option<u64>; 11] = [None; 11];
    let mut at = 0;
    loop {
        let [code, both, low, high, value @ ..] = program[at].to_le_bytes();
        let (to, from) = (usize::from(both & 15), usize::from(both >> 4));
        let ahead = i16::from_le_bytes([low, high]);
        let value = u32::from_le_bytes(value);
        at += 1;
        let read = |register: usize| registers[register].expect("written before") as u32;
        let jumps = match code {
            // BPF_LDX | BPF_MEM | BPF_W, from the context.
            0x61 => {
                assert_eq!((from, ahead % 4), (1, 0));
                registers[to] = Some(words[ahead as usize / 4].into());
                false
            }
            // BPF_ALU | BPF_MOV, | BPF_X, | BPF_AND, | BPF_RSH.
            0xb4 => {
                registers[to] = Some(value.into());
                false
            }
            0xbc => {
                registers[to] = Some(read(from).into());
                false
            }
            0x54 => {
                registers[to] = Some((read(to) & value).into());
                false
            }
            0x74 => {
                registers[to] = Some((read(to) >> value).into());
                false
            }
            // BPF_JMP | BPF_JA; BPF_JMP32 | BPF_JNE, | BPF_JSET.
            0x05 => true,
            0x56 => read(to) != value,
            0x46 => read(to) & value != 0,
            0x95 => return read(0) != 0,
            other => panic!("code {other:#x}"),
        };
        if jumps {
            assert!(ahead >= 0);
            at += ahead as usize;
        }
    }
}

/// The verifier's first pass: whatever is behind an exit or a jump is jumped to from somewhere.
pub fn all_is_reached(program: &[Instruction]) {
    let mut reached = vec![false; program.len() + 1];
    reached[0] = true;
    for (at, one) in program.iter().enumerate() {
        assert!(reached[at], "{at} is never reached");
        let [code, _, low, high, ..] = one.to_le_bytes();
        if code & 7 == 6 || code == 0x05 {
            reached[at + 1 + usize::from(u16::from_le_bytes([low, high]))] = true;
        }
        reached[at + 1] |= code != 0x95 && code != 0x05;
    }
    assert!(!reached[program.len()], "runs off the end");
}
