//! Writes a classic BPF program from its end to its start: whatever an instruction jumps to exists already, so that
//! equal tails are written once and a jump goes straight to where the next test that is still open stands.

use crate::error::{Error, Result};
use crate::sys::memory::{self, Growing};
use crate::sys::security::SockFilter;

/// BPF_MAXINSNS: the kernel takes no longer program.
pub(super) const LONGEST: usize = 4096;
/// How far a conditional jump reaches, less what may have to be put in between.
const REACH: usize = 255 - 2;
/// How far back equal instructions are looked for.
const MEMORY: usize = 64;

/// `bpf_common.h`: the instructions that are used here, all of them on 32-bit words.
const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
pub(super) const RETURN: u16 = 0x06;

/// A test of the accumulator against a number.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Test {
    Equal = 0x15,
    Above = 0x25,
    AtLeast = 0x35,
    AnyBit = 0x45,
}

impl Test {
    fn of(self, value: u32, k: u32) -> bool {
        match self {
            Test::Equal => value == k,
            Test::Above => value > k,
            Test::AtLeast => value >= k,
            Test::AnyBit => value & k != 0,
        }
    }

    fn from_code(code: u16) -> Option<Test> {
        [Test::Equal, Test::Above, Test::AtLeast, Test::AnyBit].into_iter().find(|test| *test as u16 == code)
    }
}

/// What the accumulator holds: a word of `struct seccomp_data`, by its offset, and the bits of it that are left.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) word: u32,
    pub(super) mask: u32,
}

/// A test whose outcome is known on the way to some place.
#[derive(Clone, Copy)]
pub(super) struct Fact {
    pub(super) term: Term,
    pub(super) test: Test,
    pub(super) k: u32,
    pub(super) holds: bool,
}

/// The facts that hold at some place, the last one first.
#[derive(Clone, Copy)]
pub(super) struct Known<'k>(Option<(&'k Fact, &'k Known<'k>)>);

impl<'k> Known<'k> {
    pub(super) const NOTHING: Known<'static> = Known(None);

    pub(super) fn and<'l>(&'l self, fact: &'l Fact) -> Known<'l>
    where
        'k: 'l,
    {
        Known(Some((fact, self)))
    }

    fn decides(&self, term: Term, test: Test, k: u32) -> Option<bool> {
        let mut known = self;
        while let Known(Some((fact, before))) = known {
            if let Some(holds) = fact.decides(term, test, k) {
                return Some(holds);
            }
            known = before;
        }
        None
    }
}

/// A place in the program, counted from its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct At(u32);

/// An instruction whose jumps go to places. Whatever is no jump goes on at `yes`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Instruction {
    code: u16,
    k: u32,
    yes: At,
    no: At,
}

#[derive(Default)]
pub(super) struct Program {
    code: Growing<'static, Instruction>,
}

impl Program {
    fn len(&self) -> usize {
        self.code.len()
    }

    fn get(&self, at: At) -> Instruction {
        self.code.as_slice()[at.0 as usize]
    }

    fn push(&mut self, instruction: Instruction) -> At {
        self.code.push(instruction);
        At((self.len() - 1) as u32)
    }

    /// Writes an instruction that goes on with the one at `at`, unless the same two are nearby.
    fn before(&mut self, code: u16, k: u32, at: At) -> At {
        let next = self.get(at);
        let written = self.code.as_slice();
        let recent = written.len().saturating_sub(MEMORY);
        let same = |other: &Instruction| (other.code, other.k) == (code, k) && self.get(other.yes) == next;
        if let Some(found) = written[recent..].iter().rposition(same) {
            return At((recent + found) as u32);
        }
        let at = self.follow(at);
        self.push(Instruction { code, k, yes: at, no: at })
    }

    /// Makes sure that the next instruction written can be the one before `at`.
    fn follow(&mut self, at: At) -> At {
        if at.0 as usize + 1 == self.len() { at } else { self.go(at) }
    }

    fn go(&mut self, at: At) -> At {
        self.push(Instruction { code: JUMP, k: 0, yes: at, no: at })
    }

    /// A place within reach of a conditional jump that does the same.
    fn near(&mut self, at: At) -> At {
        if self.len() - at.0 as usize <= REACH {
            return at;
        }
        match self.get(at) {
            Instruction { code: RETURN, k, .. } => self.end(k),
            _ => self.go(at),
        }
    }

    /// The filter's answer.
    pub(super) fn end(&mut self, answer: u32) -> At {
        let code = self.code.as_slice();
        let near = code.len().saturating_sub(REACH);
        if let Some(found) = code[near..].iter().rposition(|other| (other.code, other.k) == (RETURN, answer)) {
            return At((near + found) as u32);
        }
        let nowhere = At(u32::MAX);
        self.push(Instruction { code: RETURN, k: answer, yes: nowhere, no: nowhere })
    }

    /// Tests the accumulator.
    pub(super) fn branch(&mut self, test: Test, k: u32, yes: At, no: At) -> At {
        match (test, k) {
            _ if yes == no => return yes,
            (Test::AtLeast, 0) => return yes,
            (Test::Above, u32::MAX) | (Test::AnyBit, 0) => return no,
            _ => {}
        }
        let yes = self.near(yes);
        let no = self.near(no);
        self.push(Instruction { code: test as u16, k, yes, no })
    }

    /// The same where something is known of the words: each way leads to the first thing that is still open there.
    pub(super) fn decide(&mut self, term: Term, test: Test, k: u32, yes: At, no: At, known: Known<'_>) -> At {
        let yes = self.skip(yes, term, known.and(&Fact { term, test, k, holds: true }));
        let no = self.skip(no, term, known.and(&Fact { term, test, k, holds: false }));
        self.branch(test, k, yes, no)
    }

    /// Fills the accumulator for what stands at `at`.
    pub(super) fn load(&mut self, term: Term, at: At) -> At {
        let at = if term.mask == u32::MAX { at } else { self.before(AND, term.mask, at) };
        self.before(LOAD, term.word, at)
    }

    /// Where to go instead of `at`, with `term` in the accumulator.
    fn skip(&self, at: At, term: Term, known: Known<'_>) -> At {
        let (mut best, mut at, mut there) = (at, at, term);
        loop {
            let Instruction { code, k, yes, no } = self.get(at);
            // Code that loads what it needs can always be jumped to; other code only with the right word loaded.
            if matches!(code, LOAD | RETURN) || there == term {
                best = at;
            }
            let next = match code {
                LOAD => {
                    there = Term { word: k, mask: u32::MAX };
                    Some(yes)
                }
                AND => {
                    there.mask &= k;
                    Some(yes)
                }
                JUMP => Some(yes),
                _ => Test::from_code(code)
                    .and_then(|test| known.decides(there, test, k))
                    .map(|holds| if holds { yes } else { no }),
            };
            match next {
                Some(next) => at = next,
                None => return best,
            }
        }
    }

    /// The program as the kernel wants it, without what is never reached.
    pub(super) fn finish(self, start: At) -> Result<&'static [SockFilter]> {
        let code = self.code.as_slice();
        let start = start.0 as usize;
        // Places from the start, for what is reached; jumps only ever go towards the end.
        let place = memory::slice(start + 1, u32::MAX);
        place[start] = 0;
        let mut count = 0;
        for at in (0..=start).rev().filter(|at| *at < code.len()) {
            if place[at] == u32::MAX {
                continue;
            }
            place[at] = count;
            count += 1;
            let Instruction { code: kind, yes, no, .. } = code[at];
            if kind != RETURN {
                place[yes.0 as usize] = 0;
                place[no.0 as usize] = 0;
            }
        }
        if count as usize > LONGEST {
            return Err(Error::config(
                format_args!("linux.seccomp"),
                format_args!("needs a filter of {count} instructions, and the kernel takes no more than {LONGEST}"),
            ));
        }
        let mut program = Growing::new();
        for at in (0..=start).rev().filter(|at| place[*at] != u32::MAX) {
            let Instruction { code: kind, k, yes, no } = code[at];
            let distance = |to: At| place[to.0 as usize] - place[at] - 1;
            program.push(match kind {
                RETURN | LOAD | AND => SockFilter { code: kind, jt: 0, jf: 0, k },
                JUMP => SockFilter { code: kind, jt: 0, jf: 0, k: distance(yes) },
                _ => SockFilter { code: kind, jt: distance(yes) as u8, jf: distance(no) as u8, k },
            });
        }
        Ok(program.finish())
    }
}

impl Fact {
    /// What this says about another test.
    fn decides(&self, term: Term, test: Test, k: u32) -> Option<bool> {
        if self.term.word != term.word {
            return None;
        }
        // A word that is known, or the bits of it that are asked for.
        if self.holds && self.test == Test::Equal && self.term.mask & term.mask == term.mask {
            return Some(test.of(self.k & term.mask, k));
        }
        ((self.term, self.test, self.k) == (term, test, k)).then_some(self.holds)
    }
}
