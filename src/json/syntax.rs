//! The grammar of RFC 8259, strictly: whether a text follows it and where it does not, and what its escapes mean.

use super::trail::{Step, Trail};
use crate::error::Error;
use crate::sys::memory;

/// How deep arrays and objects may lie in each other, so that a hostile text cannot use up the stack.
pub(super) const DEEPEST: usize = 128;

/// Why a text is no JSON.
type Reason = &'static str;

const EARLY: Reason = "the text ends too early";

/// Checks the whole text. The error has line and column, and the path of the innermost value around the place.
pub(super) fn check(text: &[u8]) -> Result<&str, Error> {
    let mut trail = Trail::default();
    let (at, reason) = match core::str::from_utf8(text) {
        Err(error) => (error.valid_up_to(), "not UTF-8"),
        Ok(text) => {
            let mut scan = Scan::of(text);
            match scan.document(&mut trail) {
                Ok(()) => return Ok(text),
                Err(reason) => (scan.at, reason),
            }
        }
    };
    let before = &text[..at.min(text.len())];
    let line = 1 + before.iter().filter(|c| **c == b'\n').count();
    // Columns count characters: all bytes but the second and further ones of UTF-8.
    let column = 1 + before.iter().rev().take_while(|c| **c != b'\n').filter(|c| **c & 0xc0 != 0x80).count();
    let within = if trail.is_empty() { "" } else { ", in " };
    Err(Error::config(format_args!("line {line} column {column}{within}{trail}"), format_args!("{reason}")))
}

/// A place in a text.
pub(super) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    /// Its beginning.
    pub(super) fn of(text: &'a str) -> Self {
        Scan { text, at: 0 }
    }

    /// Passes the next value, in a text that is checked, and gives its own text.
    pub(super) fn skip(&mut self) -> &'a str {
        self.next();
        let start = self.at;
        let _ = self.value(0, &mut Trail::default());
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn document(&mut self, trail: &mut Trail<'a>) -> Result<(), Reason> {
        self.value(0, trail)?;
        match self.next() {
            None => Ok(()),
            Some(_) => Err("something follows the end of the document"),
        }
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no white space.
    #[inline]
    pub(super) fn next(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    /// Passes the next byte if it is this one.
    #[inline]
    pub(super) fn pass(&mut self, byte: u8) -> bool {
        let found = self.next() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize, trail: &mut Trail<'a>) -> Result<(), Reason> {
        if depth == DEEPEST {
            return Err("nested too deep");
        }
        match self.next() {
            Some(b'{') => self.object(depth, trail),
            Some(b'[') => self.array(depth, trail),
            Some(b'"') => self.string().map(|_| ()),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'a'..=b'z') => self.word(),
            None => Err(EARLY),
            Some(_) => Err("expected a value"),
        }
    }

    fn object(&mut self, depth: usize, trail: &mut Trail<'a>) -> Result<(), Reason> {
        self.at += 1;
        if self.pass(b'}') {
            return Ok(());
        }
        loop {
            if self.next() != Some(b'"') {
                return self.expected("expected a member's name in quotes");
            }
            let name = self.string()?;
            if !self.pass(b':') {
                return self.expected("expected a colon");
            }
            self.value(depth + 1, trail).inspect_err(|_| trail.push(Step::Name(name)))?;
            if self.pass(b'}') {
                return Ok(());
            }
            if !self.pass(b',') {
                return self.expected("expected a comma or a closing brace");
            }
        }
    }

    fn array(&mut self, depth: usize, trail: &mut Trail<'a>) -> Result<(), Reason> {
        self.at += 1;
        if self.pass(b']') {
            return Ok(());
        }
        for index in 0.. {
            self.value(depth + 1, trail).inspect_err(|_| trail.push(Step::Index(index)))?;
            if self.pass(b']') {
                break;
            }
            if !self.pass(b',') {
                return self.expected("expected a comma or a closing bracket");
            }
        }
        Ok(())
    }

    #[cold]
    fn expected<T>(&self, reason: Reason) -> Result<T, Reason> {
        Err(if self.at < self.text.len() { reason } else { EARLY })
    }

    /// A string with its escapes, without its quotes.
    pub(super) fn string(&mut self) -> Result<&'a str, Reason> {
        let start = self.at + 1;
        self.at = start;
        loop {
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => self.at += escape(self.rest())?.1,
                Some(0..=0x1f) => return Err("control character in a string"),
                Some(_) => self.at += 1,
                None => return Err(EARLY),
            }
        }
        self.at += 1;
        Ok(self.text.get(start..self.at - 1).unwrap_or_default())
    }

    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    fn digits(&mut self) -> Result<(), Reason> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { self.expected("expected a digit") }
    }

    fn number(&mut self) -> Result<(), Reason> {
        self.at += usize::from(self.byte() == Some(b'-'));
        let zero = self.byte() == Some(b'0');
        let start = self.at;
        self.digits()?;
        if zero && self.at > start + 1 {
            return Err("number with a leading zero");
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    fn word(&mut self) -> Result<(), Reason> {
        for word in ["true", "false", "null"] {
            if self.rest().starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(());
            }
        }
        Err("expected a value")
    }
}

/// The character that an escape stands for, and the escape's length. `text` begins with the backslash.
fn escape(text: &[u8]) -> Result<(char, usize), Reason> {
    const BAD: Reason = "unknown escape";
    let short = match text.get(1).ok_or(EARLY)? {
        c @ (b'"' | b'\\' | b'/') => *c,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => {
            let first = unit(&text[2..]).ok_or("expected four hexadecimal digits after \\u")?;
            if let Some(character) = char::from_u32(first) {
                return Ok((character, 6));
            }
            // Half of a surrogate pair: the other half has to follow.
            let second = text[6..].strip_prefix(b"\\u").and_then(unit).unwrap_or(0);
            return match (first, second) {
                (0xd800..=0xdbff, 0xdc00..=0xdfff) => {
                    let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                    Ok((char::from_u32(code).ok_or(BAD)?, 12))
                }
                _ => Err("half a surrogate pair"),
            };
        }
        _ => return Err(BAD),
    };
    Ok((char::from(short), 2))
}

fn unit(digits: &[u8]) -> Option<u32> {
    digits.get(..4)?.iter().try_fold(0, |sum, c| Some(sum * 16 + char::from(*c).to_digit(16)?))
}

/// What a string from a checked text means: the text's own bytes, unless there are escapes in them.
pub(super) fn plain(raw: &str) -> &str {
    if raw.as_bytes().contains(&b'\\') { unescape(raw) } else { raw }
}

#[cold]
fn unescape(raw: &str) -> &'static str {
    // No escape is shorter than what it stands for.
    let plain = memory::slice(raw.len(), 0u8);
    let mut used = 0;
    let mut rest = raw.as_bytes();
    while let Some(&byte) = rest.first() {
        let mut length = 1;
        if byte == b'\\'
            && let Ok((character, escaped)) = escape(rest)
        {
            used += character.encode_utf8(&mut plain[used..]).len();
            length = escaped;
        } else {
            plain[used] = byte;
            used += 1;
        }
        rest = &rest[length..];
    }
    core::str::from_utf8(&plain[..used]).unwrap_or_default()
}
