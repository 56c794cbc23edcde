//! The second reading of a text, which is known to be correct by then: every value goes where the object wants it. There
//! is one code for all types.

use super::syntax::{self, Scan};
use super::trail::{Step, Trail};
use super::value::{Items, Value};
use crate::error::Result as Checked;
use crate::sys::{self, memory};

/// A value is not what it should be; what and where is noted elsewhere.
pub struct Failed;

/// Reads a whole text; errors begin with `name`.
pub(super) fn document<'a>(name: &'static str, text: &'a [u8], value: &mut dyn Value<'a>) -> Checked<()> {
    let text = syntax::check(text).map_err(|error| error.doing(name))?;
    let mut read = Read { scan: Scan::of(text), trail: Trail::default() };
    value.read(&mut read).map_err(|Failed| read.trail.mismatch().doing(name))
}

/// A place in the text, and the way to it once something is wrong there.
pub struct Read<'a> {
    scan: Scan<'a>,
    trail: Trail<'a>,
}

impl<'a> Read<'a> {
    /// An object, whose members go where `object` wants them.
    ///
    /// # Errors
    /// Here as below: if the next value is something else.
    pub fn object(&mut self, object: &mut dyn Value<'a>) -> Result<(), Failed> {
        self.begin(b'{', "an object")?;
        let mut more = self.scan.next() != Some(b'}');
        while more {
            self.scan.next();
            let name = self.scan.string().unwrap_or_default();
            self.scan.pass(b':');
            // `null` is as if it were not there.
            let value = if self.scan.next() == Some(b'n') { None } else { object.member(syntax::plain(name)) };
            match value {
                Some(value) => value.read(self).inspect_err(|_| self.trail.push(Step::Name(name)))?,
                None => drop(self.scan.skip()),
            }
            more = self.scan.pass(b',');
        }
        self.scan.pass(b'}');
        Ok(())
    }

    /// An array.
    ///
    /// # Errors
    /// If it is none.
    pub fn array(&mut self, items: &mut dyn Items<'a>) -> Result<(), Failed> {
        self.begin(b'[', "an array")?;
        let mut index = 0;
        while !self.scan.pass(b']') {
            items.item().read(self).inspect_err(|_| self.trail.push(Step::Index(index)))?;
            self.scan.pass(b',');
            index += 1;
        }
        Ok(())
    }

    /// A string, without its escapes.
    ///
    /// # Errors
    /// If it is none.
    pub fn string(&mut self) -> Result<&'a str, Failed> {
        match self.scan.next() {
            Some(b'"') => self.scan.string().map(syntax::plain).map_err(|_| Failed),
            _ => Err(self.mismatch("a string")),
        }
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// If it is neither.
    pub fn boolean(&mut self) -> Result<bool, Failed> {
        match self.scan.next() {
            Some(first @ (b't' | b'f')) => {
                self.scan.skip();
                Ok(first == b't')
            }
            _ => Err(self.mismatch("true or false")),
        }
    }

    /// An integer between these two, its two's complement if it is negative.
    ///
    /// # Errors
    /// If it is none.
    pub fn integer(&mut self, least: i64, most: u64) -> Result<u64, Failed> {
        let text = self.scan.skip();
        let (digits, bound) = match text.strip_prefix('-') {
            Some(digits) if least < 0 => (digits, least.unsigned_abs()),
            _ => (text, most),
        };
        match sys::natural::<u64>(digits).filter(|number| *number <= bound) {
            Some(number) if digits.len() < text.len() => Ok(number.wrapping_neg()),
            Some(number) => Ok(number),
            None => Err(self.unexpected(memory::format(format_args!("an integer from {least} to {most}")), text)),
        }
    }

    fn begin(&mut self, bracket: u8, kind: &'static str) -> Result<(), Failed> {
        if self.scan.pass(bracket) { Ok(()) } else { Err(self.mismatch(kind)) }
    }

    /// The next value is not what is expected.
    #[cold]
    fn mismatch(&mut self, expected: &'static str) -> Failed {
        let text = self.scan.skip();
        self.unexpected(expected, text)
    }

    /// It was not: its text says what it is if that is short, else its kind.
    #[cold]
    fn unexpected(&mut self, expected: &'static str, text: &'a str) -> Failed {
        let found = match text.as_bytes().first() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            _ if text.len() <= 40 => text,
            _ => "a long number",
        };
        self.trail.end(expected, found);
        Failed
    }
}
