//! Regular expressions for names of containers: of POSIX's extended ones what people write: `.`, `*`, `+`, `?`,
//! `[a-z]`, `^`, `$`, `|`, groups, and `\` before a character that is meant as it is. Anything else is an error.
//!
//! Nothing is compiled. An expression takes a set of places in the text to the set of places where it can end, and
//! that is computed while it is read; what is repeated is read again. So there is no backtracking.

#![forbid(unsafe_code)]

use crate::error::{Error, Escaped, Result};

/// The longest text: a name is a file name.
const LONGEST: usize = 255;

/// How deep groups may lie in each other.
const DEEPEST: u32 = 8;

/// Whether the expression matches some part of the text.
///
/// # Errors
/// If it is not an expression that we know; the text does not matter for that.
pub fn is_match(pattern: &[u8], text: &str) -> Result<bool> {
    if text.len() > LONGEST {
        return Err(Error::says(format_args!("regular expression: the text is longer than {LONGEST} bytes")));
    }
    let mut reader = Reader { pattern, at: 0, depth: 0, text: text.as_bytes() };
    let ends = (0..=text.len()).fold(Places::NONE, Places::with);
    let ends = reader.alternatives(ends)?;
    if reader.at < pattern.len() {
        return Err(reader.wrong("a ) without its ("));
    }
    Ok(ends != Places::NONE)
}

/// A set of places between the characters of the text.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Places([u64; 4]);

impl Places {
    const NONE: Places = Places([0; 4]);

    fn with(mut self, place: usize) -> Places {
        self.0[place / 64] |= 1 << (place % 64);
        self
    }

    fn has(self, place: usize) -> bool {
        self.0[place / 64] >> (place % 64) & 1 != 0
    }

    fn or(self, other: Places) -> Places {
        Places(core::array::from_fn(|i| self.0[i] | other.0[i]))
    }
}

struct Reader<'p> {
    pattern: &'p [u8],
    at: usize,
    depth: u32,
    text: &'p [u8],
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.pattern.get(self.at).copied()
    }

    /// `a|b|c`
    fn alternatives(&mut self, from: Places) -> Result<Places> {
        let mut ends = self.sequence(from)?;
        while self.peek() == Some(b'|') {
            self.at += 1;
            ends = ends.or(self.sequence(from)?);
        }
        Ok(ends)
    }

    /// `abc`
    fn sequence(&mut self, from: Places) -> Result<Places> {
        let mut places = from;
        while !matches!(self.peek(), None | Some(b'|' | b')')) {
            places = self.repeated(places)?;
        }
        Ok(places)
    }

    /// `a`, `a*`, `a+`, `a?`
    fn repeated(&mut self, from: Places) -> Result<Places> {
        let begin = self.at;
        let once = self.one(from)?;
        let (least, again) = match self.peek() {
            Some(b'*') => (from, true),
            Some(b'+') => (Places::NONE, true),
            Some(b'?') => (from, false),
            Some(b'{') => return Err(self.wrong("repetitions in braces are not supported")),
            _ => return Ok(once),
        };
        let mut ends = least.or(once);
        let mut before = if again { from } else { ends };
        while ends != before {
            before = ends;
            self.at = begin;
            ends = ends.or(self.one(ends)?);
        }
        self.at += 1;
        if matches!(self.peek(), Some(b'*' | b'+' | b'?' | b'{')) {
            return Err(self.wrong("one repetition after another"));
        }
        Ok(ends)
    }

    /// What can be repeated.
    fn one(&mut self, from: Places) -> Result<Places> {
        let Some(byte) = self.peek() else { return Ok(from) };
        self.at += 1;
        match byte {
            b'(' => {
                if self.depth == DEEPEST {
                    return Err(self.wrong("too many groups in each other"));
                }
                self.depth += 1;
                let ends = self.alternatives(from)?;
                self.depth -= 1;
                if self.peek() != Some(b')') {
                    return Err(self.wrong("a ( without its )"));
                }
                self.at += 1;
                Ok(ends)
            }
            b'^' => Ok(self.only(from, 0)),
            b'$' => Ok(self.only(from, self.text.len())),
            b'.' => Ok(self.step(from, |_| true)),
            b'[' => self.set(from),
            b'*' | b'+' | b'?' | b'{' => Err(self.wrong("a repetition of nothing")),
            b'\\' => match self.peek() {
                Some(meant) if meant.is_ascii_punctuation() => {
                    self.at += 1;
                    Ok(self.step(from, |byte| byte == meant))
                }
                _ => Err(self.wrong("a \\ is followed by a character that is meant as it is, not by a letter")),
            },
            literal => Ok(self.step(from, |byte| byte == literal)),
        }
    }

    /// `[abc]`, `[^a-z]`; a `]` right at the beginning and a `-` at either end are meant as they are.
    fn set(&mut self, from: Places) -> Result<Places> {
        let negated = self.peek() == Some(b'^');
        self.at += usize::from(negated);
        let mut members = [0u64; 4];
        let begin = self.at;
        loop {
            let Some(first) = self.peek() else { return Err(self.wrong("a [ without its ]")) };
            self.at += 1;
            if first == b']' && self.at > begin + 1 {
                break;
            }
            if first == b'[' && matches!(self.peek(), Some(b':' | b'.' | b'=')) {
                return Err(self.wrong("classes like [:alpha:] are not supported"));
            }
            let mut last = first;
            if let [b'-', end, ..] = &self.pattern[self.at..]
                && *end != b']'
            {
                last = *end;
                self.at += 2;
            }
            if last < first {
                return Err(self.wrong("a range that ends before it begins"));
            }
            (first..=last).for_each(|byte| members[usize::from(byte) / 64] |= 1 << (byte % 64));
        }
        Ok(self.step(from, |byte| (members[usize::from(byte) / 64] >> (byte % 64) & 1 != 0) != negated))
    }

    fn only(&self, from: Places, place: usize) -> Places {
        if from.has(place) { Places::NONE.with(place) } else { Places::NONE }
    }

    /// One character on, where it is wanted.
    fn step(&self, from: Places, wanted: impl Fn(u8) -> bool) -> Places {
        let stepping = self.text.iter().enumerate().filter(|(place, byte)| from.has(*place) && wanted(**byte));
        stepping.fold(Places::NONE, |ends, (place, _)| ends.with(place + 1))
    }

    #[cold]
    fn wrong(&self, why: &str) -> Error {
        let (pattern, at) = (Escaped(self.pattern), self.at);
        Error::says(format_args!("regular expression `{pattern}`: {why} (before byte {at})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matches() {
        for (pattern, yes, no) in [
            ("", &["", "a"][..], &[][..]),
            ("b", &["b", "abc"], &["", "ac"]),
            ("^b", &["b", "bc"], &["ab"]),
            ("b$", &["b", "ab"], &["bc"]),
            ("^$", &[""], &["a"]),
            ("^a.c$", &["abc", "a.c"], &["ac", "abbc"]),
            ("^a\\.c$", &["a.c"], &["abc"]),
            ("^ab*c$", &["ac", "abc", "abbbc"], &["abb", "adc"]),
            ("^ab+c$", &["abc", "abbbc"], &["ac"]),
            ("^ab?c$", &["ac", "abc"], &["abbc"]),
            ("^(ab)*$", &["", "ab", "abab"], &["aba"]),
            ("^(a|bc|)d$", &["ad", "bcd", "d"], &["bd", "abcd"]),
            ("^web-[0-9]+$", &["web-1", "web-42"], &["web-", "web-1a"]),
            ("^[^a-c]$", &["d", "-"], &["a", "b", "c", ""]),
            ("^[]a]$", &["]", "a"], &["b"]),
            ("^[^]a]$", &["b"], &["]", "a"]),
            ("^[a-]$", &["a", "-"], &["b"]),
            ("^[-a]$", &["a", "-"], &["b"]),
            ("^[+--]$", &["+", ",", "-"], &["."]),
            ("a|b", &["a", "b", "xb"], &["c"]),
            ("^(a|b)*c|d$", &["c", "abac", "xd"], &["ab"]),
            ("^(a*)*$", &["", "aaa"], &["b"]),
            ("^((a|b)+(c|d)?)*$", &["abc", "acbd", ""], &["c", "ca"]),
            ("x*", &["", "y"], &[]),
            ("^.*$", &["", "anything"], &[]),
        ] {
            for text in yes {
                assert!(is_match(pattern.as_bytes(), text).expect("good"), "{pattern} {text}");
            }
            for text in no {
                assert!(!is_match(pattern.as_bytes(), text).expect("good"), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn what_is_unknown_is_an_error_whatever_the_text() {
        for pattern in [
            "(",
            ")",
            "a)",
            "(a",
            "[",
            "[a",
            "[]",
            "[^]",
            "*",
            "a**",
            "a+?",
            "+a",
            "|*",
            "(*a)",
            "a{2}",
            "{",
            "\\",
            "\\w",
            "[[:alpha:]]",
            "[b-a]",
            "(((((((((a)))))))))",
        ] {
            assert!(is_match(pattern.as_bytes(), "zzz").is_err(), "{pattern}");
            assert!(is_match(pattern.as_bytes(), "").is_err(), "{pattern}");
        }
        assert!(is_match(b"a", &"a".repeat(256)).is_err());
        assert!(is_match(b"a$", &"a".repeat(255)).expect("good"));
    }

    /// Repetitions in repetitions take no longer than the text is long, more or less.
    #[test]
    fn nothing_explodes() {
        let text = "a".repeat(254) + "b";
        assert!(!is_match(b"^((((((((a*)*)*)*)*)*)*)*)*$", &text).is_ok_and(|found| found));
        assert!(!is_match(b"^(((a*)*)*)*$", &text).expect("good"));
        assert!(!is_match(b"^(a|aa|aaa)*(a|aa|aaa)*(a|aa|aaa)*$", &text).expect("good"));
    }

    /// An oracle that goes the other way: backtracking over characters, for a few operators.
    #[test]
    fn agrees_with_backtracking() {
        fn matches(pattern: &[u8], text: &[u8]) -> bool {
            match pattern {
                [] => true,
                [b'$'] => text.is_empty(),
                [one, b'*', rest @ ..] => {
                    let same = |byte: &u8| *one == b'.' || byte == one;
                    (0..=text.len()).any(|n| text[..n].iter().all(same) && matches(rest, &text[n..]))
                }
                [one, rest @ ..] => {
                    text.first().is_some_and(|byte| *one == b'.' || byte == one) && matches(rest, &text[1..])
                }
            }
        }
        let mut seed = 7u32;
        let mut random = |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) % below
        };
        for _ in 0..crate::rounds(20_000) {
            let mut pattern = vec![];
            for _ in 0..random(5) {
                pattern.push(b"ab."[random(3) as usize]);
                if random(3) == 0 {
                    pattern.push(b'*');
                }
            }
            if random(2) == 0 {
                pattern.push(b'$');
            }
            let text: Vec<u8> = (0..random(7)).map(|_| b"ab"[random(2) as usize]).collect();
            let expected = (0..=text.len()).any(|from| matches(&pattern, &text[from..]));
            let text = std::str::from_utf8(&text).expect("ASCII");
            assert_eq!(is_match(&pattern, text).expect("good"), expected, "{pattern:?} {text:?}");
        }
    }
}
