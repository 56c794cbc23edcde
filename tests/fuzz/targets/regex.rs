//! Regular expressions for names: an expression is good or not whatever the text is, and what it matches the `regex`
//! package's matches too. The first line is the expression, the rest the text.

#![no_main]

use isopod::regex::is_match;
use isopod_fuzz::{good, with};
use regex::bytes::RegexBuilder;

/// The same expression in the words of the `regex` package, byte for byte. It is known to be good.
fn translated(pattern: &[u8]) -> String {
    let byte = |byte: u8| format!("\\x{byte:02x}");
    let mut text = String::new();
    let mut at = 0;
    while let Some(&one) = pattern.get(at) {
        at += 1;
        match one {
            b'(' => text += "(?:",
            b')' | b'|' | b'*' | b'+' | b'?' => text.push(char::from(one)),
            b'.' => text += "[\\x00-\\xff]",
            b'^' => text += "\\A",
            b'$' => text += "\\z",
            b'\\' => {
                text += &byte(pattern[at]);
                at += 1;
            }
            b'[' => {
                text.push('[');
                if pattern[at] == b'^' {
                    text.push('^');
                    at += 1;
                }
                let begin = at;
                while pattern[at] != b']' || at == begin {
                    text += &byte(pattern[at]);
                    at += 1;
                    if pattern[at] == b'-' && pattern[at + 1] != b']' {
                        text += &format!("-{}", byte(pattern[at + 1]));
                        at += 2;
                    }
                }
                text.push(']');
                at += 1;
            }
            other => text += &byte(other),
        }
    }
    text
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut halves = data.splitn(2, |byte| *byte == b'\n');
    let (pattern, text) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
    let Ok(text) = std::str::from_utf8(text) else { return };
    if text.len() > 255 {
        return;
    }
    with(|| {
        let found = good(is_match(pattern, text));
        assert_eq!(found.is_some(), is_match(pattern, "").is_ok(), "{:?}", pattern.escape_ascii().to_string());
        let Some(found) = found else { return };
        let theirs = translated(pattern);
        let theirs = RegexBuilder::new(&theirs).unicode(false).nest_limit(1000).size_limit(1 << 20).build();
        if let Ok(theirs) = theirs {
            assert_eq!(found, theirs.is_match(text.as_bytes()), "{theirs} {text:?}");
        }
    });
});
