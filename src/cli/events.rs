//! `isopod events ID`: what a container uses, in runc's words.

#![forbid(unsafe_code)]

use super::options::{Given, invalid};
use super::{Outcome, misuse, report, verbs};
use crate::container::events::Watched;
use crate::container::{Context, id};
use crate::sys;

/// Prints a line now and then, or one.
pub fn run(context: &Context, given: &Given) -> Outcome {
    let interval = match given.value(&verbs::INTERVAL) {
        None => 5000,
        Some(word) => word
            .to_str()
            .ok()
            .and_then(milliseconds)
            .filter(|ms| *ms > 0)
            .ok_or_else(|| misuse(invalid(&verbs::INTERVAL, word, "it is a time like 500ms, 5s or 1m30s")))?,
    };
    let watched = Watched::new(context, id::check(given.words[0])?)?;
    if given.has(&verbs::STATS) {
        report::print(watched.stats())?;
    } else {
        watched.follow(interval, report::print)?;
    }
    Ok(0)
}

/// Go's durations, in whole numbers; a number alone is seconds, as with youki.
fn milliseconds(text: &str) -> Option<u32> {
    if let Some(seconds) = sys::natural::<u32>(text) {
        return seconds.checked_mul(1000);
    }
    let mut sum = 0u32;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let number: u32 = sys::natural(&rest[..digits])?;
        let unit = &rest[digits..];
        let end = unit.find(|letter: char| letter.is_ascii_digit()).unwrap_or(unit.len());
        let factor = match &unit[..end] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        sum = sum.checked_add(number.checked_mul(factor)?)?;
        rest = &unit[end..];
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn durations() {
        for (text, expected) in
            [("5", 5000), ("5s", 5000), ("100ms", 100), ("1m30s", 90_000), ("1h", 3_600_000), ("0s", 0)]
        {
            assert_eq!(milliseconds(text), Some(expected), "{text}");
        }
        for text in ["", "s", "1x", "-1s", "1.5s", "5s5", "1m s", "99999999999s", "1200h", "+1s"] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }
}
