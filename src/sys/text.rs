//! Text and numbers, with no more code than it takes: the standard library's is made for speed, once for each type.

use core::ffi::CStr;

/// Words in one text, with a blank between them. A table of them would be as large again, for a place and a length each.
#[derive(Clone, Copy)]
pub struct Names(pub &'static str);

impl Names {
    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = &'static str> {
        self.0.split(' ')
    }

    /// Which of them this is.
    #[inline(never)]
    #[must_use]
    pub fn place(self, name: &str) -> Option<usize> {
        self.0.as_bytes().split(|byte| *byte == b' ').position(|known| known == name.as_bytes())
    }

    /// The one at a place.
    #[must_use]
    pub fn at(self, place: usize) -> Option<&'static str> {
        self.iter().nth(place)
    }
}

/// Bytes as text, if they are UTF-8: `str::from_utf8` for who does not ask why not.
#[inline(never)]
#[must_use]
pub fn utf8(bytes: &[u8]) -> Option<&str> {
    core::str::from_utf8(bytes).ok()
}

/// A path or a word of the user's for a message; `?` if it is not UTF-8.
#[inline(never)]
#[must_use]
pub fn shown(string: &CStr) -> &str {
    utf8(string.to_bytes()).unwrap_or("?")
}

/// What is before the last slash of a path, and the name behind it.
#[must_use]
pub fn split_last(path: &str) -> Option<(&str, &str)> {
    let slash = path.bytes().rposition(|byte| byte == b'/')?;
    Some((path.get(..slash)?, path.get(slash + 1..)?))
}

/// The number that these digits are. Nothing else is one: `str::parse` would take a plus sign, and has a code for each
/// type.
#[must_use]
pub fn natural<T: TryFrom<u64>>(digits: &str) -> Option<T> {
    number_of(digits)?.try_into().ok()
}

/// The same with a minus sign before it, perhaps.
#[must_use]
pub fn integer(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(digits) => 0i64.checked_sub_unsigned(number_of(digits)?),
        None => natural(text),
    }
}

#[inline(never)]
fn number_of(digits: &str) -> Option<u64> {
    let value = |digit: u8| Some(u64::from(digit.checked_sub(b'0')?)).filter(|value| *value < 10);
    let more = |number: u64, digit| number.checked_mul(10)?.checked_add(value(digit)?);
    if digits.is_empty() { None } else { digits.bytes().try_fold(0, more) }
}

/// A number in decimal without the formatting machinery, for places where that must not fail.
pub fn decimal(value: u64, digits: &mut [u8; 20]) -> &str {
    number(value, 10, digits)
}

/// The same in hexadecimal.
pub fn hexadecimal(value: u64, digits: &mut [u8; 20]) -> &str {
    number(value, 16, digits)
}

fn number(mut value: u64, base: u64, digits: &mut [u8; 20]) -> &str {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b"0123456789abcdef"[(value % base) as usize];
        value /= base;
        if value == 0 {
            break;
        }
    }
    core::str::from_utf8(&digits[at..]).unwrap_or("")
}
