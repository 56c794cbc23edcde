//! The rules of a profile, sorted by call, and their way into a program.

use super::answer::KILL_THREAD;
use super::program::{At, Fact, Known, Program, Term, Test};
use super::syscalls::LIMIT;
use crate::sys::memory::{self, Growing};

/// `struct seccomp_data`: where the number, the architecture and the arguments are.
const NUMBER: Term = Term { word: 0, mask: u32::MAX };
const ARCHITECTURE: Term = Term { word: 4, mask: u32::MAX };
const ARGUMENTS: u32 = 16;

const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const AUDIT_ARCH_I386: u32 = 0x4000_0003;
/// The bit that marks calls of x32, which share their architecture with x86_64.
const X32: u32 = 1 << 30;

/// A comparison with a number; `Is` looks at some bits only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Is { mask: u64 },
    IsNot,
    Below,
    AtMost,
    AtLeast,
    Above,
}

/// A condition on one argument.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) index: u32,
    pub(super) compare: Compare,
    pub(super) value: u64,
}

/// If all conditions hold, this is the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule<'a> {
    pub(super) answer: u32,
    pub(super) conditions: &'a [Condition],
}

/// The ways to call the kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Abi {
    X86_64,
    X86,
    X32,
}

/// What is known of one call.
#[derive(Clone, Copy)]
struct Call {
    /// The answer whatever the arguments are.
    always: Option<u32>,
    /// The last of the rules with conditions, by its place in `Calls::links`.
    last: Option<u32>,
}

/// A rule in the list of its call.
#[derive(Clone, Copy)]
struct Link<'a> {
    rule: Rule<'a>,
    /// What the first argument has to be, in place of what the rule says about that one.
    multiplexed: Option<u32>,
    previous: Option<u32>,
}

/// The rules of one way to call.
struct Table {
    calls: &'static mut [Call],
    /// The largest number that the profile mentions.
    newest: Option<u32>,
}

/// All rules.
pub(super) struct Calls<'a> {
    tables: [Option<Table>; 3],
    links: Growing<'a, Link<'a>>,
}

/// What happens from a number on.
#[derive(Clone, Copy)]
struct Range {
    start: u32,
    outcome: usize,
}

/// What happens to a call.
#[derive(Clone, Copy)]
enum Outcome {
    Answer(u32),
    /// It depends on arguments; `narrow` ones have 32 bits.
    Rules {
        last: u32,
        narrow: bool,
    },
}

/// The numbers of one architecture, while its part of the program is written.
struct Ranges<'c, 'a> {
    calls: &'c Calls<'a>,
    ranges: Growing<'a, Range>,
    outcomes: Growing<'a, Outcome>,
}

impl<'a> Calls<'a> {
    pub(super) fn new(abis: impl Fn(Abi) -> bool) -> Self {
        let table = |abi| {
            abis(abi).then(|| Table { calls: memory::slice(LIMIT, Call { always: None, last: None }), newest: None })
        };
        Calls { tables: [table(Abi::X86_64), table(Abi::X86), table(Abi::X32)], links: Growing::new() }
    }

    /// Notes that the profile knows this call.
    pub(super) fn mention(&mut self, abi: Abi, number: u16) {
        if let Some(table) = &mut self.tables[abi as usize] {
            table.newest = table.newest.max(Some(u32::from(number)));
        }
    }

    /// Adds a rule for a call. The first one without conditions is what counts, whatever comes before and after it;
    /// of those with conditions, the first one that fits.
    pub(super) fn add(&mut self, abi: Abi, number: u16, rule: Rule<'a>, multiplexed: Option<u32>) {
        let Some(table) = &mut self.tables[abi as usize] else { return };
        let call = &mut table.calls[usize::from(number)];
        if call.always.is_some() {
            return;
        }
        // A condition on no bits is none.
        let narrow = abi != Abi::X86_64;
        let conditional = rule.conditions.iter().any(|condition| match condition.compare {
            Compare::Is { mask } => mask != 0 && !(narrow && mask as u32 == 0),
            _ => true,
        });
        if !conditional && multiplexed.is_none() {
            *call = Call { always: Some(rule.answer), last: None };
            return;
        }
        self.links.push(Link { rule, multiplexed, previous: call.last });
        call.last = Some((self.links.len() - 1) as u32);
    }

    /// Writes the filter. `newer` is the answer to calls that are newer than all that the profile mentions.
    pub(super) fn write(&self, default: u32, newer: Option<u32>) -> (Program, At) {
        let mut program = Program::default();
        let mut at = program.end(KILL_THREAD);
        if self.tables[Abi::X86 as usize].is_some() {
            let part = self.write_x86(&mut program, default, newer);
            at = program.branch(Test::Equal, AUDIT_ARCH_I386, part, at);
        }
        // The dispatch stands in front of the part that is used most, and jumps over it to the other.
        let part = self.write_x86_64(&mut program, default, newer);
        let at = program.branch(Test::Equal, AUDIT_ARCH_X86_64, part, at);
        let at = program.load(ARCHITECTURE, at);
        (program, at)
    }

    fn write_x86(&self, program: &mut Program, default: u32, newer: Option<u32>) -> At {
        let mut ranges = Ranges::new(self);
        let after = ranges.calls(Abi::X86, 0, default);
        ranges.answer(after, newer.filter(|_| self.mentions(Abi::X86)).unwrap_or(default));
        ranges.write(program, default)
    }

    fn write_x86_64(&self, program: &mut Program, default: u32, newer: Option<u32>) -> At {
        let mut ranges = Ranges::new(self);
        let newer_x86_64 = newer.filter(|_| self.mentions(Abi::X86_64));
        let newer_x32 = newer.filter(|_| self.mentions(Abi::X32));
        let after = ranges.calls(Abi::X86_64, 0, default);
        ranges.answer(after, newer_x86_64.unwrap_or(default));
        if newer_x32.is_some() || (newer_x86_64.is_none() && self.tables[Abi::X32 as usize].is_some()) {
            let after = ranges.calls(Abi::X32, X32, default);
            ranges.answer(after, newer_x32.unwrap_or(default));
        } else if newer_x86_64.is_none() {
            ranges.answer(X32, KILL_THREAD);
            // What a tracer puts in the place of a call that is not to be made.
            ranges.answer(u32::MAX, default);
        }
        ranges.write(program, default)
    }

    /// Whether the profile knows enough of the calls to say which ones are newer; number 0 alone says nothing.
    fn mentions(&self, abi: Abi) -> bool {
        let least = if abi == Abi::X32 { 0 } else { 1 };
        self.tables[abi as usize].as_ref().is_some_and(|table| table.newest.is_some_and(|newest| newest >= least))
    }

    /// Whether two lists of rules say the same.
    fn same(&self, a: u32, b: u32) -> bool {
        let links = self.links.as_slice();
        let (mut a, mut b) = (Some(a), Some(b));
        while let (Some(x), Some(y)) = (a, b) {
            if x == y {
                return true;
            }
            let (x, y) = (&links[x as usize], &links[y as usize]);
            if (x.rule, x.multiplexed) != (y.rule, y.multiplexed) {
                return false;
            }
            (a, b) = (x.previous, y.previous);
        }
        a == b
    }
}

impl<'c, 'a> Ranges<'c, 'a> {
    fn new(calls: &'c Calls<'a>) -> Self {
        Ranges { calls, ranges: Growing::new(), outcomes: Growing::new() }
    }

    /// From `start` on, and until something else is said, this happens.
    fn from(&mut self, start: u32, outcome: Outcome) {
        let known = self.outcomes.as_slice().iter().position(|known| match (*known, outcome) {
            (Outcome::Answer(a), Outcome::Answer(b)) => a == b,
            (Outcome::Rules { last: a, narrow: x }, Outcome::Rules { last: b, narrow: y }) => {
                x == y && self.calls.same(a, b)
            }
            _ => false,
        });
        let outcome = known.unwrap_or_else(|| {
            self.outcomes.push(outcome);
            self.outcomes.len() - 1
        });
        if self.ranges.as_slice().last().is_none_or(|last| last.outcome != outcome) {
            self.ranges.push(Range { start, outcome });
        }
    }

    fn answer(&mut self, start: u32, answer: u32) {
        self.from(start, Outcome::Answer(answer));
    }

    /// The calls of one table, up to the last one that the profile mentions; the result is the number after it.
    fn calls(&mut self, abi: Abi, base: u32, default: u32) -> u32 {
        let calls = self.calls;
        let Some(table) = &calls.tables[abi as usize] else { return base };
        let count = table.newest.map_or(0, |newest| newest as usize + 1);
        // Calls through others have smaller numbers than they would have themselves, or are the only ones.
        let count = count.max(table.calls.iter().rposition(|call| call.last.is_some()).map_or(0, |last| last + 1));
        for (number, call) in (base..).zip(&table.calls[..count]) {
            let outcome = match (call.always, call.last) {
                (Some(answer), _) => Outcome::Answer(answer),
                (None, Some(last)) => Outcome::Rules { last, narrow: abi != Abi::X86_64 },
                (None, None) => Outcome::Answer(default),
            };
            self.from(number, outcome);
        }
        base + count as u32
    }

    /// Writes the search for the number, and before it (behind it, in the program) what is found.
    fn write(self, program: &mut Program, default: u32) -> At {
        let default = program.end(default);
        let places = memory::slice(self.outcomes.len(), default);
        for (place, outcome) in places.iter_mut().zip(self.outcomes.as_slice()) {
            if let Outcome::Rules { last, narrow } = *outcome {
                *place = self.write_rules(program, last, narrow, default);
            }
        }
        for (place, outcome) in places.iter_mut().zip(self.outcomes.as_slice()) {
            if let Outcome::Answer(answer) = *outcome {
                *place = program.end(answer);
            }
        }
        let leaves = leaves(self.ranges.as_slice());
        match self.ranges.as_slice() {
            [all] => places[all.outcome],
            _ => {
                let at = search(program, leaves, places);
                program.load(NUMBER, at)
            }
        }
    }

    /// The rules of one call, the last one first.
    fn write_rules(&self, program: &mut Program, last: u32, narrow: bool, otherwise: At) -> At {
        let mut next = Some(last);
        let mut at = otherwise;
        while let Some(link) = next.map(|link| self.calls.links.as_slice()[link as usize]) {
            at = write_rule(program, &link, narrow, at);
            next = link.previous;
        }
        at
    }
}

/// Ranges that are found by the same path, tested one after the other then: one, or some single numbers within an
/// otherwise equal range, for which one test does what would take two.
fn leaves<'r>(ranges: &'r [Range]) -> &'r [&'r [Range]] {
    const LONGEST: usize = 5;
    let mut leaves: Growing<'r, &'r [Range]> = Growing::new();
    let mut rest = ranges;
    while !rest.is_empty() {
        let mut length = 1;
        while length < LONGEST
            && let Some([outside, single, again]) = rest.get(length - 1..length + 2)
            && outside.outcome == again.outcome
            && single.start + 1 == again.start
        {
            length += 2;
        }
        leaves.push(&rest[..length]);
        rest = &rest[length..];
    }
    leaves.finish()
}

/// A binary search for the number in the accumulator.
fn search(program: &mut Program, leaves: &[&[Range]], places: &[At]) -> At {
    if let [leaf] = leaves {
        let mut at = places[leaf[0].outcome];
        for single in leaf.iter().skip(1).step_by(2).rev() {
            at = program.branch(Test::Equal, single.start, places[single.outcome], at);
        }
        return at;
    }
    let (low, high) = leaves.split_at(leaves.len() / 2);
    let start = high[0][0].start;
    let high = search(program, high, places);
    let low = search(program, low, places);
    program.branch(Test::AtLeast, start, high, low)
}

/// One rule: its conditions one after the other, each of which leads to `otherwise` if it does not hold.
fn write_rule(program: &mut Program, link: &Link<'_>, narrow: bool, otherwise: At) -> At {
    let mut conditions = Growing::new();
    if let Some(value) = link.multiplexed {
        let value = u64::from(value);
        conditions.push(Condition { index: 0, compare: Compare::Is { mask: u64::MAX }, value });
    }
    for condition in link.rule.conditions {
        if link.multiplexed.is_none() || condition.index != 0 {
            conditions.push(*condition);
        }
    }
    let end = program.end(link.rule.answer);
    write_conditions(program, conditions.as_slice(), narrow, (end, otherwise), Known::NOTHING)
}

fn write_conditions(
    program: &mut Program,
    conditions: &[Condition],
    narrow: bool,
    (holds, fails): (At, At),
    known: Known<'_>,
) -> At {
    let [condition, rest @ ..] = conditions else { return holds };
    let Condition { index, compare, value } = *condition;
    let (lower, upper) = (Word { index, half: 0 }, (!narrow).then_some(Word { index, half: 1 }));
    let then = |program: &mut Program, known| write_conditions(program, rest, narrow, (holds, fails), known);
    match compare {
        // What follows may rely on it.
        Compare::Is { mask } => {
            let (low, high) = (lower.is(mask, value), upper.map(|upper| upper.is(mask, value)));
            let after = known.and(&low);
            let after = match &high {
                Some(high) => then(program, after.and(high)),
                None => then(program, after),
            };
            write_equal(program, low, high, (after, fails), known)
        }
        Compare::IsNot => {
            let (low, high) = (lower.is(u64::MAX, value), upper.map(|upper| upper.is(u64::MAX, value)));
            let after = then(program, known);
            write_equal(program, low, high, (fails, after), known)
        }
        Compare::Below | Compare::AtLeast => {
            let after = then(program, known);
            let ways = if compare == Compare::Below { (fails, after) } else { (after, fails) };
            write_order(program, Test::AtLeast, value, (lower, upper), ways, known)
        }
        Compare::AtMost | Compare::Above => {
            let after = then(program, known);
            let ways = if compare == Compare::AtMost { (fails, after) } else { (after, fails) };
            write_order(program, Test::Above, value, (lower, upper), ways, known)
        }
    }
}

/// A half of an argument.
#[derive(Clone, Copy)]
struct Word {
    index: u32,
    /// 0 is the lower one.
    half: u32,
}

impl Word {
    fn of(self, value: u64) -> u32 {
        (value >> (32 * self.half)) as u32
    }

    fn term(self, mask: u32) -> Term {
        Term { word: ARGUMENTS + 8 * self.index + 4 * self.half, mask }
    }

    /// That some bits of it are those of the value.
    fn is(self, mask: u64, value: u64) -> Fact {
        let mask = self.of(mask);
        Fact { term: self.term(mask), test: Test::Equal, k: self.of(value) & mask, holds: true }
    }
}

/// Whether both halves are what they should be.
fn write_equal(program: &mut Program, low: Fact, high: Option<Fact>, (yes, no): (At, At), known: Known<'_>) -> At {
    let Some(high) = high else { return write_is(program, low, yes, no, known) };
    // The lower half is looked at where the upper one is known to fit.
    let at = write_is(program, low, yes, no, known.and(&high));
    write_is(program, high, at, no, known)
}

fn write_is(program: &mut Program, fact: Fact, yes: At, no: At, known: Known<'_>) -> At {
    let Fact { term, k, .. } = fact;
    let whole = Term { mask: u32::MAX, ..term };
    match (term.mask, k) {
        (0, _) => yes,
        // A test for bits needs no mask; and one bit is set if it is not clear.
        (mask, 0) if mask != u32::MAX => {
            let at = program.decide(whole, Test::AnyBit, mask, no, yes, known);
            program.load(whole, at)
        }
        (mask, k) if mask == k && mask.is_power_of_two() => {
            let at = program.decide(whole, Test::AnyBit, mask, yes, no, known);
            program.load(whole, at)
        }
        _ => {
            let at = program.decide(term, Test::Equal, k, yes, no, known);
            program.load(term, at)
        }
    }
}

/// Whether the argument is above (or at least) the value.
fn write_order(
    program: &mut Program,
    test: Test,
    value: u64,
    (lower, upper): (Word, Option<Word>),
    (yes, no): (At, At),
    known: Known<'_>,
) -> At {
    let low = lower.term(u32::MAX);
    let Some(upper) = upper else {
        let at = program.decide(low, test, lower.of(value), yes, no, known);
        return program.load(low, at);
    };
    let fits = upper.is(u64::MAX, value);
    let at = program.decide(low, test, lower.of(value), yes, no, known.and(&fits));
    let at = program.load(low, at);
    let at = match fits.k {
        // Nothing is below 0: what is not equal is above.
        0 => program.decide(fits.term, Test::Equal, 0, at, yes, known),
        k => {
            let equal = program.decide(fits.term, Test::Equal, k, at, no, known);
            program.decide(fits.term, Test::Above, k, yes, equal, known)
        }
    };
    program.load(fits.term, at)
}
