//! Writing JSON, piece by piece.

use core::fmt;

use super::object::Map;
use crate::sys::memory::Growing;
use crate::sys::{decimal, utf8};

/// How it looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// On one line, without spaces.
    Compact,
    /// One value a line, each level two spaces further in.
    Pretty,
}

/// What can be written in one piece.
pub trait Write {
    /// Writes it where the writer stands.
    fn write(&self, to: &mut Writer<'_>);

    /// Whether a member with this value is better left out.
    fn is_absent(&self) -> bool {
        false
    }
}

/// Puts commas, colons and line ends between the values that it is given.
///
/// ```text
/// writer.object(|w| {
///     w.member("id", id);
///     w.member("pid", 5u32);
///     w.name("annotations").object(|w| ...);
/// })
/// ```
pub struct Writer<'w> {
    out: &'w mut dyn fmt::Write,
    style: Style,
    depth: usize,
    before: Before,
    result: fmt::Result,
}

/// What stands before the next value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// The opening bracket, or nothing at all.
    Open,
    /// Its own name.
    Name,
    /// Another value.
    Value,
}

/// The text that `write` makes, in the arena.
pub fn text(style: Style, write: impl FnOnce(&mut Writer<'_>)) -> &'static str {
    struct Text(Growing<'static, u8>);
    impl fmt::Write for Text {
        fn write_str(&mut self, piece: &str) -> fmt::Result {
            piece.bytes().for_each(|byte| self.0.push(byte));
            Ok(())
        }
    }
    let mut text = Text(Growing::new());
    write(&mut Writer::new(&mut text, style));
    utf8(text.0.finish()).unwrap_or_default()
}

impl<'w> Writer<'w> {
    /// Writes to `out`.
    pub fn new(out: &'w mut dyn fmt::Write, style: Style) -> Self {
        Writer { out, style, depth: 0, before: Before::Open, result: Ok(()) }
    }

    /// Whether `out` took everything.
    ///
    /// # Errors
    /// If it did not.
    pub fn finish(self) -> fmt::Result {
        self.result
    }

    /// The name of the next value.
    pub fn name(&mut self, name: &str) -> &mut Self {
        self.value(name);
        self.put(if self.style == Style::Pretty { ": " } else { ":" });
        self.before = Before::Name;
        self
    }

    /// A value: an item, or what was just named.
    pub fn value(&mut self, value: impl Write) {
        value.write(self);
    }

    /// A named value; nothing if it is `None`.
    pub fn member(&mut self, name: &str, value: impl Write) {
        if !value.is_absent() {
            self.name(name).value(value);
        }
    }

    /// An object, with what `members` writes.
    pub fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.open(b'{');
        members(self);
        self.close(b'}');
    }

    /// An array, with what `items` writes.
    pub fn array(&mut self, items: impl FnOnce(&mut Self)) {
        self.open(b'[');
        items(self);
        self.close(b']');
    }

    pub(crate) fn open(&mut self, bracket: u8) {
        self.begin();
        self.byte(bracket);
        self.depth += 1;
        self.before = Before::Open;
    }

    pub(crate) fn close(&mut self, bracket: u8) {
        self.depth -= 1;
        if self.before == Before::Value {
            self.line();
        }
        self.byte(bracket);
        self.before = Before::Value;
    }

    /// What belongs between the last value and the next.
    fn begin(&mut self) {
        if self.before == Before::Value {
            self.put(",");
        }
        if self.before != Before::Name && self.depth > 0 {
            self.line();
        }
        self.before = Before::Value;
    }

    fn line(&mut self) {
        if self.style == Style::Pretty {
            self.put("\n");
            for _ in 0..self.depth {
                self.put("  ");
            }
        }
    }

    fn byte(&mut self, byte: u8) {
        if self.result.is_ok() {
            self.result = self.out.write_char(char::from(byte));
        }
    }

    fn put(&mut self, piece: &str) {
        if self.result.is_ok() {
            self.result = self.out.write_str(piece);
        }
    }

    /// A value whose own text is JSON.
    fn literal(&mut self, text: &str) {
        self.begin();
        self.put(text);
    }

    fn number(&mut self, negative: bool, magnitude: u64) {
        self.literal(if negative { "-" } else { "" });
        self.put(decimal(magnitude, &mut [0; 20]));
    }

    fn string(&mut self, text: &str) {
        self.begin();
        self.put("\"");
        let mut done = 0;
        for (at, byte) in text.bytes().enumerate() {
            let escape = match byte {
                b'"' => "\\\"",
                b'\\' => "\\\\",
                b'\n' => "\\n",
                b'\r' => "\\r",
                b'\t' => "\\t",
                8 => "\\b",
                12 => "\\f",
                0..=0x1f => "",
                _ => continue,
            };
            // What is escaped is ASCII, so the pieces between are whole characters.
            self.put(text.get(done..at).unwrap_or_default());
            self.put(escape);
            if escape.is_empty() && self.result.is_ok() {
                self.result = write!(self.out, "\\u{byte:04x}");
            }
            done = at + 1;
        }
        self.put(text.get(done..).unwrap_or_default());
        self.put("\"");
    }
}

impl Write for str {
    fn write(&self, to: &mut Writer<'_>) {
        to.string(self);
    }
}

/// A number as somebody else has written it.
pub struct Raw<'a>(pub &'a str);

impl Write for Raw<'_> {
    fn write(&self, to: &mut Writer<'_>) {
        to.literal(self.0);
    }
}

impl Write for bool {
    fn write(&self, to: &mut Writer<'_>) {
        to.literal(if *self { "true" } else { "false" });
    }
}

macro_rules! numbers {
    ($($Type:ty)* => $value:ident $negative:expr, $magnitude:expr) => {
        $(impl Write for $Type {
            fn write(&self, to: &mut Writer<'_>) {
                let $value = *self;
                to.number($negative, $magnitude);
            }
        })*
    };
}

numbers! { u16 u32 u64 usize => value false, value as u64 }
numbers! { i32 i64 => value value < 0, (value as i64).unsigned_abs() }

impl<T: Write + ?Sized> Write for &T {
    fn write(&self, to: &mut Writer<'_>) {
        (*self).write(to);
    }

    fn is_absent(&self) -> bool {
        (*self).is_absent()
    }
}

impl<T: Write> Write for Option<T> {
    fn write(&self, to: &mut Writer<'_>) {
        match self {
            Some(value) => value.write(to),
            None => to.literal("null"),
        }
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Write> Write for [T] {
    fn write(&self, to: &mut Writer<'_>) {
        to.array(|to| self.iter().for_each(|item| to.value(item)));
    }
}

impl<T: Write> Write for Map<'_, T> {
    fn write(&self, to: &mut Writer<'_>) {
        to.object(|to| self.iter().for_each(|(name, value)| to.member(name, value)));
    }
}
