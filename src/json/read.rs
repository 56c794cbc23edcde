//! The second reading of a text, which is known to be correct by then: every value goes where the object wants it. There
//! is one code for all types.

use super::object::Object;
use super::syntax::{self, Scan};
use super::trail::{Step, Trail};
use super::value::Slot;
use crate::error::Result as Checked;

/// A value is not what it should be; what and where is noted elsewhere.
pub struct Failed;

/// Where the items of an array come from.
pub trait Items<'a> {
    /// Puts the next one there, if there is one.
    ///
    /// # Errors
    /// If it is of another kind than the slot.
    fn next(&mut self, slot: Slot<'_, 'a>) -> Result<bool, Failed>;
}

/// Where the members of an object come from.
pub trait Members<'a> {
    /// Puts all of them where the object wants them.
    ///
    /// # Errors
    /// If one is of another kind than its slot.
    fn fill(&mut self, object: &mut dyn Object<'a>) -> Result<(), Failed>;
}

/// Reads a whole text; errors begin with `name`.
pub(super) fn document<'a>(name: &'static str, text: &'a [u8], slot: Slot<'_, 'a>) -> Checked<()> {
    let text = syntax::check(text).map_err(|error| error.doing(name))?;
    let mut read = Read { scan: Scan::of(text), trail: Trail::default() };
    read.value(slot).map_err(|Failed| read.trail.mismatch().doing(name))
}

/// A place in the text, and the way to it once something is wrong there.
struct Read<'a> {
    scan: Scan<'a>,
    trail: Trail<'a>,
}

impl<'a> Read<'a> {
    fn value(&mut self, slot: Slot<'_, 'a>) -> Result<(), Failed> {
        let kind = kind(&slot);
        let first = self.scan.next();
        match (slot, first) {
            (Slot::Object(object), Some(b'{')) => self.fill(object),
            (Slot::Build(build), Some(b'{')) => build.build(self),
            (Slot::List(list), Some(b'[')) => list.collect(&mut Array { read: self, index: 0 }),
            (slot, _) => {
                let text = self.scan.skip();
                scalar(slot, text).ok_or_else(|| {
                    self.trail.end(kind, found(text));
                    Failed
                })
            }
        }
    }
}

/// Puts a string, a word or an integer into its place, if it is one for it.
fn scalar<'a>(slot: Slot<'_, 'a>, text: &'a str) -> Option<()> {
    match slot {
        Slot::Text(place) => *place = syntax::plain(text.strip_prefix('"')?.strip_suffix('"')?),
        Slot::Bool(place) => *place = text.parse().ok()?,
        Slot::U16(place) => *place = u16::try_from(unsigned(text)?).ok()?,
        Slot::U32(place) => *place = u32::try_from(unsigned(text)?).ok()?,
        Slot::U64(place) => *place = unsigned(text)?,
        Slot::I32(place) => *place = i32::try_from(signed(text)?).ok()?,
        Slot::I64(place) => *place = signed(text)?,
        Slot::Object(_) | Slot::Build(_) | Slot::List(_) => return None,
    }
    Some(())
}

fn unsigned(text: &str) -> Option<u64> {
    text.parse().ok()
}

fn signed(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// A value that is not what it should be: its text if that is short, else its kind.
fn found(text: &str) -> &str {
    match text.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        _ if text.len() <= 40 => text,
        _ => "a long number",
    }
}

/// What is expected at a place.
fn kind(slot: &Slot<'_, '_>) -> &'static str {
    match slot {
        Slot::Text(_) => "a string",
        Slot::Bool(_) => "true or false",
        Slot::U16(_) => "an integer from 0 to 65535",
        Slot::U32(_) => "an integer from 0 to 4294967295",
        Slot::U64(_) => "an integer from 0 to 18446744073709551615",
        Slot::I32(_) => "an integer from -2147483648 to 2147483647",
        Slot::I64(_) => "an integer from -9223372036854775808 to 9223372036854775807",
        Slot::Object(_) | Slot::Build(_) => "an object",
        Slot::List(_) => "an array",
    }
}

impl<'a> Members<'a> for Read<'a> {
    fn fill(&mut self, object: &mut dyn Object<'a>) -> Result<(), Failed> {
        self.scan.pass(b'{');
        let mut more = self.scan.next() != Some(b'}');
        while more {
            self.scan.next();
            let name = self.scan.string().unwrap_or_default();
            self.scan.pass(b':');
            // `null` is as if it were not there.
            let slot = if self.scan.next() == Some(b'n') { None } else { object.member(syntax::plain(name)) };
            match slot {
                Some(slot) => self.value(slot).inspect_err(|_| self.trail.push(Step::Name(name)))?,
                None => drop(self.scan.skip()),
            }
            more = self.scan.pass(b',');
        }
        self.scan.pass(b'}');
        Ok(())
    }
}

struct Array<'r, 'a> {
    read: &'r mut Read<'a>,
    index: usize,
}

impl<'a> Items<'a> for Array<'_, 'a> {
    fn next(&mut self, slot: Slot<'_, 'a>) -> Result<bool, Failed> {
        let scan = &mut self.read.scan;
        scan.pass(if self.index == 0 { b'[' } else { b',' });
        if scan.pass(b']') {
            return Ok(false);
        }
        self.read.value(slot).inspect_err(|_| self.read.trail.push(Step::Index(self.index)))?;
        self.index += 1;
        Ok(true)
    }
}
