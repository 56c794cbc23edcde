//! The device rules of a container, compiled to the program that the kernel asks on cgroup version 2 whenever a device
//! is opened or made: `linux.resources.devices`. Pure: no system call, no descriptor.
//!
//! The last rule that fits decides, for each kind of access on its own. So the program goes through the rules from the
//! last to the first and forgets what a rule allows, until nothing is left to ask for (allowed) or a rule denies what
//! is left (denied).

#![forbid(unsafe_code)]

#[cfg(any(test, fuzzing))]
pub mod oracle;

use core::fmt;

use crate::sys::bpf::Instruction;
use crate::sys::memory::Growing;

/// BPF_DEVCG_ACC_*.
pub mod access {
    pub const MKNOD: u8 = 1;
    pub const READ: u8 = 2;
    pub const WRITE: u8 = 4;
    pub const ALL: u8 = MKNOD | READ | WRITE;
}

/// Which devices a rule is about: BPF_DEVCG_DEV_*.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    All = 0,
    Block = 1,
    Char = 2,
}

/// One rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    pub allow: bool,
    pub kind: Kind,
    /// None: any.
    pub major: Option<u32>,
    pub minor: Option<u32>,
    /// What it is about, of `access`.
    pub access: u8,
}

impl Rule {
    /// Whether it decides everything, so that no rule before it matters.
    #[must_use]
    pub fn is_total(&self) -> bool {
        let Rule { kind, major, minor, access, .. } = *self;
        kind == Kind::All && major.is_none() && minor.is_none() && access == access::ALL
    }
}

/// In the words of version 1: `c 1:3 rwm`, or `a` for everything.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_total() {
            return f.write_str("a");
        }
        f.write_str(["a ", "b ", "c "][self.kind as usize])?;
        for (number, end) in [(self.major, ":"), (self.minor, " ")] {
            match number {
                Some(number) => number.fmt(f)?,
                None => f.write_str("*")?,
            }
            f.write_str(end)?;
        }
        for (bit, letter) in [(access::READ, "r"), (access::WRITE, "w"), (access::MKNOD, "m")] {
            if self.access & bit != 0 {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

/// `bpf_common.h` and `bpf.h`: the instructions that are used here, on 32-bit words.
mod code {
    pub(super) const LOAD: u8 = 0x61;
    pub(super) const MOVE: u8 = 0xb4;
    pub(super) const COPY: u8 = 0xbc;
    pub(super) const AND: u8 = 0x54;
    pub(super) const SHIFT_RIGHT: u8 = 0x74;
    pub(super) const JUMP: u8 = 0x05;
    pub(super) const JUMP_UNLESS_EQUAL: u8 = 0x56;
    pub(super) const JUMP_IF_ANY_BIT: u8 = 0x46;
    pub(super) const EXIT: u8 = 0x95;
}

/// What the registers hold.
mod register {
    pub(super) const ANSWER: u8 = 0;
    /// The kernel's question: `struct bpf_cgroup_dev_ctx`.
    pub(super) const QUESTION: u8 = 1;
    pub(super) const KIND: u8 = 2;
    /// The accesses that are not decided yet; never none.
    pub(super) const ACCESS: u8 = 3;
    pub(super) const MAJOR: u8 = 4;
    pub(super) const MINOR: u8 = 5;
}

fn instruction(code: u8, register: u8, ahead: usize, value: u32) -> Instruction {
    u64::from(code) | u64::from(register) << 8 | (ahead as u64 & 0xffff) << 16 | u64::from(value) << 32
}

/// The program. What no rule speaks of is denied.
#[must_use]
pub fn compile(rules: &[Rule]) -> &'static [Instruction] {
    const SOURCE: u32 = 4;
    let mut program: Growing<'static, Instruction> = Growing::new();
    // access << 16 | kind, major, minor: three words.
    for (register, word) in [(register::KIND, 0), (register::MAJOR, 1), (register::MINOR, 2)] {
        program.push(instruction(code::LOAD, register | register::QUESTION << SOURCE, 4 * word, 0));
    }
    program.push(instruction(code::COPY, register::ACCESS | register::KIND << SOURCE, 0, 0));
    program.push(instruction(code::SHIFT_RIGHT, register::ACCESS, 0, 16));
    program.push(instruction(code::AND, register::KIND, 0, 0xffff));
    let mut answer = |before: &[Instruction], allow| {
        before.iter().for_each(|one| program.push(*one));
        program.push(instruction(code::MOVE, register::ANSWER, 0, u32::from(allow)));
        program.push(instruction(code::EXIT, 0, 0, 0));
    };
    for rule in rules.iter().rev() {
        let kind = (rule.kind != Kind::All).then_some(rule.kind as u32);
        let tests = [(register::KIND, kind), (register::MAJOR, rule.major), (register::MINOR, rule.minor)];
        let tests = tests.iter().filter_map(|(register, value)| Some((*register, (*value)?)));
        // What is left of the accesses decides, unless the rule is about all of them.
        let decide: &[Instruction] = match rule {
            Rule { access: access::ALL, .. } => &[],
            Rule { allow: true, access, .. } => &[
                instruction(code::AND, register::ACCESS, 0, u32::from(access::ALL & !access)),
                instruction(code::JUMP_UNLESS_EQUAL, register::ACCESS, 2, 0),
            ],
            Rule { allow: false, access, .. } => &[
                instruction(code::JUMP_IF_ANY_BIT, register::ACCESS, 1, u32::from(*access)),
                instruction(code::JUMP, 0, 2, 0),
            ],
        };
        let mut block: heapless::Vec<Instruction, 5> = heapless::Vec::new();
        let count = tests.clone().count();
        for (place, (register, value)) in tests.enumerate() {
            let behind = count - 1 - place + decide.len() + 2;
            let _ = block.push(instruction(code::JUMP_UNLESS_EQUAL, register, behind, value));
        }
        let _ = block.extend_from_slice(decide);
        answer(&block, rule.allow);
        if rule.is_total() {
            return program.finish();
        }
    }
    answer(&[], false);
    program.finish()
}

#[cfg(test)]
mod tests {
    use super::oracle::{Question, all_is_reached, evaluate, run};
    use super::*;

    struct Chance(u64);

    impl Chance {
        fn below(&mut self, n: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % n
        }

        fn number(&mut self) -> u32 {
            [0, 1, 3, u32::MAX][self.below(4) as usize]
        }

        fn rule(&mut self) -> Rule {
            let any = |chance: &mut Chance| (chance.below(3) > 0).then(|| chance.number());
            Rule {
                major: any(self),
                minor: any(self),
                allow: self.below(2) == 0,
                kind: [Kind::All, Kind::Block, Kind::Char][self.below(3) as usize],
                access: 1 + self.below(7) as u8,
            }
        }
    }

    #[test]
    fn the_program_answers_as_the_rules_do() {
        let mut chance = Chance(1);
        let mut answers = [0; 2];
        for round in 0..crate::rounds(3000) {
            let rules: Vec<Rule> = (0..chance.below(12)).map(|_| chance.rule()).collect();
            let program = compile(&rules);
            all_is_reached(program);
            for _ in 0..60 {
                let question = Question {
                    kind: 1 + chance.below(2) as u32,
                    access: 1 + chance.below(7) as u8,
                    major: chance.number(),
                    minor: chance.number(),
                };
                let expected = evaluate(&rules, question);
                assert_eq!(run(program, question), expected, "round {round}: {question:?} of {rules:?}");
                answers[usize::from(expected)] += 1;
            }
        }
        assert!(answers.iter().all(|count| *count > crate::rounds(10_000)), "{answers:?}");
    }

    #[test]
    fn nothing_is_behind_a_rule_about_everything() {
        let total = Rule { allow: true, kind: Kind::All, major: None, minor: None, access: access::ALL };
        let other = Rule { major: Some(1), ..total };
        assert_eq!(compile(&[other, other, total]).len(), compile(&[total]).len());
        assert_eq!(compile(&[]).len(), compile(&[total]).len());
    }

    #[test]
    fn rules_in_words() {
        let rule = Rule { allow: true, kind: Kind::Char, major: Some(1), minor: None, access: access::READ };
        assert_eq!(rule.to_string(), "c 1:* r");
        assert_eq!(Rule { kind: Kind::Block, access: access::ALL, ..rule }.to_string(), "b 1:* rwm");
        let total = Rule { kind: Kind::All, major: None, access: access::ALL, ..rule };
        assert_eq!(total.to_string(), "a");
        assert_eq!(Rule { access: access::MKNOD, ..total }.to_string(), "a *:* m");
    }
}
