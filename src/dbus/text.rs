//! Values as people write them: the text format of GVariant, which is what `gdbus`, `systemd-run` and the annotations
//! of a config use. `true`, `5`, `uint64 5`, `1.5`, `'text'`, `['a', 'b']`, `(1, 'a')`, `{'key': <1>}`, `@as []`.
//!
//! A number without a type is an `i`, or what stands before it in an array. What D-Bus has not (`just`, `nothing`) is
//! no value here.

use core::fmt::{self, Display, Formatter};

use super::wire::{Value, signatures};
use crate::sys::memory::{self, Growing};
use crate::sys::{self, utf8};

/// How deep values may lie in each other; the bus has no more than 32 of each kind.
const DEEPEST: u32 = 16;

/// The words for types, and their letters.
#[rustfmt::skip]
static TYPES: &[(&str, u8)] = &[
    ("boolean", b'b'), ("byte", b'y'), ("double", b'd'), ("int16", b'n'), ("int32", b'i'), ("int64", b'x'),
    ("objectpath", b'o'), ("signature", b'g'), ("string", b's'), ("uint16", b'q'), ("uint32", b'u'), ("uint64", b't'),
];

/// Reads a value.
#[must_use]
pub fn parse<'a>(text: &'a str) -> Option<Value<'a>> {
    let mut parser = Parser { rest: text, deep: 0 };
    let value = parser.value("")?;
    parser.skip_blanks();
    (parser.rest.is_empty() && fits(&value)).then_some(value)
}

/// Whether the type is one that the bus takes: its length is one byte.
fn fits(value: &Value<'_>) -> bool {
    signatures(core::slice::from_ref(value)).len() <= usize::from(u8::MAX)
}

/// For people: without types, and all that is made of several values in brackets.
impl Display for Value<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let values = match self {
            // The bits, whatever the sign.
            Value::Number(_, bits) => return bits.fmt(f),
            Value::Text(_, text) => return f.write_str(text),
            Value::Variant(value) => core::slice::from_ref(*value),
            Value::Array(_, values) | Value::Struct(values) | Value::Entry(values) => values,
        };
        f.write_str("[")?;
        for value in values {
            write!(f, " {value}")?;
        }
        f.write_str(" ]")
    }
}

/// The first complete type of a signature, and what follows it.
fn first_type(signature: &str) -> Option<(&str, &str)> {
    let mut open = 0;
    for (at, letter) in signature.bytes().enumerate() {
        match letter {
            b'(' | b'{' => open += 1,
            b')' | b'}' => open -= 1,
            b'a' => continue,
            _ if TYPES.iter().any(|(_, known)| *known == letter) || letter == b'v' => {}
            _ => return None,
        }
        if open == 0 {
            return signature.split_at_checked(at + 1);
        }
    }
    None
}

struct Parser<'a> {
    rest: &'a str,
    deep: u32,
}

impl<'a> Parser<'a> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    /// Whether this comes next; then it is behind us.
    fn eat(&mut self, what: &str) -> bool {
        self.skip_blanks();
        let rest = self.rest.strip_prefix(what);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Letters, digits, signs and points: a word or a number.
    fn word(&mut self) -> &'a str {
        self.skip_blanks();
        let inside = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.');
        let end = self.rest.find(|letter| !inside(letter)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// A value of the wanted type, or of its own if that is empty.
    fn value(&mut self, wanted: &'a str) -> Option<Value<'a>> {
        self.deep += 1;
        let value = if self.deep > DEEPEST { None } else { self.any_value(wanted) };
        self.deep -= 1;
        value
    }

    fn any_value(&mut self, wanted: &'a str) -> Option<Value<'a>> {
        self.skip_blanks();
        let kind = wanted.bytes().next().unwrap_or(0);
        match self.rest.bytes().next()? {
            b'@' => {
                self.rest = &self.rest[1..];
                let (given, rest) = first_type(self.rest)?;
                self.rest = rest;
                (wanted.is_empty() || wanted == given).then(|| self.value(given))?
            }
            b'\'' | b'"' => match kind {
                0 => self.string().map(Value::string),
                b's' | b'o' | b'g' => self.string().map(|text| Value::Text(kind, text)),
                _ => None,
            },
            b'b' if matches!(self.rest.as_bytes().get(1), Some(b'\'' | b'"')) => {
                self.rest = &self.rest[1..];
                // With a NUL behind it, as GVariant has it.
                let text = self.string()?;
                let mut bytes = Growing::new();
                text.bytes().chain([0]).for_each(|byte| bytes.push(Value::Number(b'y', byte.into())));
                matches!(wanted, "" | "ay").then_some(Value::Array("y", bytes.finish()))
            }
            b'<' => {
                self.rest = &self.rest[1..];
                let value = self.value("")?;
                (self.eat(">") && matches!(wanted, "" | "v") && fits(&value))
                    .then(|| Value::Variant(memory::keep(value)))
            }
            open @ (b'[' | b'(' | b'{') => self.sequence(open, wanted),
            _ => match self.word() {
                word @ ("true" | "false") => matches!(wanted, "" | "b").then_some(Value::bool(word == "true")),
                word if word.starts_with(|letter: char| letter.is_ascii_alphabetic()) => {
                    let (_, letter) = TYPES.iter().find(|(name, _)| *name == word)?;
                    let given = signatures(&[Value::Number(*letter, 0)]);
                    (wanted.is_empty() || wanted == given).then(|| self.value(given))?
                }
                word => number(word, kind),
            },
        }
    }

    /// What is between brackets: values of one type, of as many types, or entries. A comma may come last, and has to
    /// after one value in parentheses in GVariant, which here is not asked for.
    fn sequence(&mut self, open: u8, wanted: &'a str) -> Option<Value<'a>> {
        let close = match open {
            b'(' => ")",
            b'[' => "]",
            _ => "}",
        };
        // The type of each, or of all that are still to come. Without a wanted type the first tells that of the others.
        let mut inner = match open {
            _ if wanted.is_empty() => "",
            b'[' => wanted.strip_prefix('a')?,
            b'(' => wanted.strip_prefix('(')?.strip_suffix(')')?,
            _ => wanted.strip_prefix('a')?.strip_prefix('{')?.strip_suffix('}')?,
        };
        self.rest = &self.rest[1..];
        let mut values = Growing::new();
        while !self.eat(close) {
            if !values.is_empty() {
                if !self.eat(",") {
                    return None;
                }
                if self.eat(close) {
                    break;
                }
            }
            let (kind, rest) = match (open, inner) {
                (b'[', _) => (inner, ""),
                (b'(', "") if !wanted.is_empty() => return None,
                (_, "") => ("", ""),
                _ => first_type(inner)?,
            };
            let mut value = self.value(kind)?;
            match open {
                b'[' if inner.is_empty() => inner = signatures(&[value]),
                b'(' => inner = rest,
                b'{' => {
                    if !self.eat(":") || !matches!(value, Value::Number(..) | Value::Text(..)) {
                        return None;
                    }
                    let pair = memory::copy(&[value, self.value(rest)?]);
                    if inner.is_empty() {
                        inner = signatures(pair);
                    }
                    value = Value::Entry(pair);
                }
                _ => {}
            }
            values.push(value);
        }
        // GVariant wants to be told the type of nothing, and D-Bus has no empty structs.
        let values = values.finish();
        match open {
            b'(' => (inner.is_empty() && !values.is_empty()).then_some(Value::Struct(values)),
            _ if inner.is_empty() => None,
            b'[' => Some(Value::Array(inner, values)),
            _ => Some(Value::Array(memory::format(format_args!("{{{inner}}}")), values)),
        }
    }

    /// Between quotes, with a backslash before what is meant otherwise.
    fn string(&mut self) -> Option<&'a str> {
        let quote = self.rest.chars().next()?;
        let mut letters = self.rest[1..].char_indices();
        let mut clean = Growing::new();
        loop {
            let (at, letter) = letters.next()?;
            let letter = match letter {
                _ if letter == quote => {
                    self.rest = &self.rest[1 + at + 1..];
                    return utf8(clean.finish());
                }
                '\\' => match letters.next()?.1 {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'a' => '\x07',
                    'b' => '\x08',
                    'f' => '\x0c',
                    'v' => '\x0b',
                    digits @ ('u' | 'U') => {
                        let mut code = 0;
                        for _ in 0..if digits == 'u' { 4 } else { 8 } {
                            code = code * 16 + letters.next()?.1.to_digit(16)?;
                        }
                        char::from_u32(code)?
                    }
                    other => other,
                },
                '\0' => return None,
                letter => letter,
            };
            letter.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| clean.push(byte));
        }
    }
}

/// A number of the type of this letter; without one an `i`, or a `d` if it has a point or an exponent.
fn number(word: &str, kind: u8) -> Option<Value<'static>> {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    if kind == b'd' || (kind == 0 && hexadecimal.is_none() && digits.contains(['.', 'e', 'E'])) {
        let value = double(digits)?;
        return Some(Value::Number(b'd', if negative { -value } else { value }.to_bits()));
    }
    let (digits, radix) = match (hexadecimal, digits) {
        (Some(digits), _) => (digits, 16),
        (None, digits) if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        (None, digits) => (digits, 10),
    };
    if digits.starts_with('+') {
        return None;
    }
    let size = u64::from_str_radix(digits, radix).ok()?;
    let kind = if kind == 0 { b'i' } else { kind };
    // The most that the type holds, and whether it has a sign.
    let (most, signed) = match kind {
        b'y' => (u64::from(u8::MAX), false),
        b'q' => (u64::from(u16::MAX), false),
        b'u' => (u64::from(u32::MAX), false),
        b't' => (u64::MAX, false),
        b'n' => (i16::MAX as u64, true),
        b'i' => (i32::MAX as u64, true),
        b'x' => (i64::MAX as u64, true),
        _ => return None,
    };
    match negative {
        true if signed && size <= most + 1 => Some(Value::Number(kind, size.wrapping_neg())),
        false if size <= most => Some(Value::Number(kind, size)),
        _ => None,
    }
}

/// A double from decimal digits, exactly rounded: as long as there are no more than 15 digits and the power of ten is
/// exact itself, one multiplication or division does that. What has more is refused.
fn double(text: &str) -> Option<f64> {
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, sys::integer(exponent)?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (mut mantissa, mut count) = (0u64, 0);
    for digit in whole.bytes().chain(fraction.bytes()) {
        mantissa = mantissa * 10 + u64::from(char::from(digit).to_digit(10)?);
        count += u32::from(mantissa != 0);
        if count > 15 {
            return None;
        }
    }
    let power = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    if whole.len() + fraction.len() == 0 || power.unsigned_abs() > 22 {
        return None;
    }
    let mut scale = 1.0;
    for _ in 0..power.unsigned_abs() {
        scale *= 10.0;
    }
    let mantissa = mantissa as f64;
    Some(if power < 0 { mantissa / scale } else { mantissa * scale })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn n(letter: u8, bits: u64) -> Value<'static> {
        Value::Number(letter, bits)
    }

    #[test]
    fn every_form() {
        let s = Value::string;
        for (text, kind, value) in [
            ("true", "b", n(b'b', 1)),
            (" false ", "b", n(b'b', 0)),
            ("boolean true", "b", n(b'b', 1)),
            ("5", "i", n(b'i', 5)),
            ("-5", "i", n(b'i', -5i64 as u64)),
            ("+7", "i", n(b'i', 7)),
            ("0x1F", "i", n(b'i', 31)),
            ("010", "i", n(b'i', 8)),
            ("byte 0xff", "y", n(b'y', 255)),
            ("int16 -32768", "n", n(b'n', -32768i64 as u64)),
            ("uint16 65535", "q", n(b'q', 65535)),
            ("int32 -1", "i", n(b'i', u64::MAX)),
            ("uint32 4294967295", "u", n(b'u', 0xffff_ffff)),
            ("int64 -9223372036854775808", "x", n(b'x', 1 << 63)),
            ("uint64 18446744073709551615", "t", n(b't', u64::MAX)),
            ("1.5", "d", n(b'd', 1.5f64.to_bits())),
            ("-2.5e-3", "d", n(b'd', (-2.5e-3f64).to_bits())),
            ("double 3", "d", n(b'd', 3f64.to_bits())),
            ("'a b'", "s", s("a b")),
            ("\"it's\"", "s", s("it's")),
            (r"'\'\\\n\u00e9\U0001F600\q'", "s", s("'\\\n\u{e9}\u{1F600}q")),
            ("''", "s", s("")),
            ("string 'x'", "s", s("x")),
            ("objectpath '/a'", "o", Value::Text(b'o', "/a")),
            ("signature 'as'", "g", Value::Text(b'g', "as")),
            ("['a', \"b\"]", "as", Value::Array("s", &[s("a"), s("b")])),
            ("@as []", "as", Value::Array("s", &[])),
            ("@a(su) []", "a(su)", Value::Array("(su)", &[])),
            ("[uint32 1, 2]", "au", Value::Array("u", &[n(b'u', 1), n(b'u', 2)])),
            ("@at [1, 2]", "at", Value::Array("t", &[n(b't', 1), n(b't', 2)])),
            ("b'ab'", "ay", Value::Array("y", &[n(b'y', 97), n(b'y', 98), n(b'y', 0)])),
            ("[['a'], @as []]", "aas", Value::Array("as", &[Value::Array("s", &[s("a")]), Value::Array("s", &[])])),
            ("('a', uint64 1)", "(st)", Value::Struct(&[s("a"), n(b't', 1)])),
            ("(5)", "(i)", Value::Struct(&[n(b'i', 5)])),
            ("[1, 2,]", "ai", Value::Array("i", &[n(b'i', 1), n(b'i', 2)])),
            ("(5,)", "(i)", Value::Struct(&[n(b'i', 5)])),
            ("[('/dev/null', 'rw')]", "a(ss)", Value::Array("(ss)", &[Value::Struct(&[s("/dev/null"), s("rw")])])),
            ("@a(st) [('a', 1)]", "a(st)", Value::Array("(st)", &[Value::Struct(&[s("a"), n(b't', 1)])])),
            ("<5>", "v", Value::Variant(&n(b'i', 5))),
            (
                "{'k': <true>, 'l': <'x'>}",
                "a{sv}",
                Value::Array(
                    "{sv}",
                    &[
                        Value::Entry(&[s("k"), Value::Variant(&n(b'b', 1))]),
                        Value::Entry(&[s("l"), Value::Variant(&s("x"))]),
                    ],
                ),
            ),
            ("@a{sv} {}", "a{sv}", Value::Array("{sv}", &[])),
            ("@a{su} {'k': 3}", "a{su}", Value::Array("{su}", &[Value::Entry(&[s("k"), n(b'u', 3)])])),
        ] {
            let parsed = parse(text);
            assert_eq!(parsed, Some(value), "{text}");
            assert_eq!(parsed.map(|value| signatures(&[value])), Some(kind), "{text}");
        }
    }

    #[test]
    fn what_is_no_value() {
        for text in [
            "",
            " ",
            "nothing",
            "just 5",
            "5 5",
            "'a",
            "'a\0'",
            "[",
            "[]",
            "{}",
            "()",
            "[1, 'a']",
            "[1 2]",
            "uint64 -1",
            "byte 256",
            "int32 2147483648",
            "2147483648",
            "-2147483649",
            "0x",
            "0xg",
            "08",
            "+-5",
            "1e",
            ".",
            "1.2.3",
            "boolean 1",
            "uint32 'a'",
            "@z 5",
            "@u 'a'",
            "@",
            "@a",
            "@(s 5",
            "<5",
            "{'a' 1}",
            "{[1]: 2}",
            "@a{sv} {'k': 1}",
            "@as {'a': 1}",
            "@(su) ('a',)",
            "@(s) ('a', 'b')",
            "(,)",
            "[,]",
            "[1,,2]",
            "@ai [1, 2",
            "b'a",
            "1234567890123456.0",
            "1e23",
            r"'\ud800'",
            r"'\u12'",
            "tru",
            "string",
            "handle 1",
            "@s ['a']",
            "@aas [1]",
            "@a{vs} {<1>: 'a'}",
            "@(ii} (1, 2)",
            "\u{e9}",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        let deep = |n: usize| "[".repeat(n) + "1" + &"]".repeat(n);
        assert!(parse(Box::leak(deep(15).into_boxed_str())).is_some());
        for bottomless in
            [deep(16), deep(100_000), "(".repeat(100_000), "@".repeat(100_000), "<".repeat(9999), "@a{s".repeat(999)]
        {
            assert_eq!(parse(Box::leak(bottomless.into_boxed_str())), None);
        }
    }

    /// Cut anywhere, a value is another one or none.
    #[test]
    fn cut_short() {
        let text = "{'k\u{e9}': <[('a', uint64 0x5), (\"b\\u00e9\", 7)]>, 'l': <@a{sv} {}>}";
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            let _ = parse(&text[..end]);
        }
        assert!(parse(text).is_some());
    }

    #[test]
    fn a_type_is_no_longer_than_the_bus_takes() {
        let tuple = |count: usize| format!("({})", "1,".repeat(count));
        for (count, good) in [(1, true), (253, true), (254, false), (1000, false)] {
            assert_eq!(parse(&tuple(count)).is_some(), good, "{count}");
            assert_eq!(parse(&format!("[<{}>]", tuple(count))).is_some(), good, "{count}");
        }
    }
}
