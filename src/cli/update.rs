//! `isopod update ID`: new limits, as options or as a document.

#![forbid(unsafe_code)]

use core::ffi::CStr;

use super::options::{Given, Opt, invalid};
use super::{Failure, Outcome, document, misuse, verbs};
use crate::container::{Context, id, update};
use crate::error::{Error, Result};
use crate::json::{self, Style, Writer};
use crate::plan::rdt;
use crate::spec::Resources;
use crate::sys;

/// Sets new limits.
pub fn run(context: &Context, given: &Given) -> Outcome {
    let id = id::check(given.words[0])?;
    let schemata = rdt::schemata(given.text(&verbs::L3_CACHE_SCHEMA)?, given.text(&verbs::MEM_BW_SCHEMA)?)
        .map_err(|error| error.doing("update"))?;
    let resources = match given.value(&verbs::RESOURCES) {
        None => from_options(given).map_err(misuse)?,
        Some(file) => {
            if let Some(other) = verbs::LIMITS.iter().find(|option| **option != verbs::RESOURCES && given.has(option)) {
                let message = format_args!("--{}: not together with --resources", other.long());
                return Err(misuse(Error::says(message)));
            }
            from_document(file)?
        }
    };
    update::update(context, id, &resources, schemata)?;
    Ok(0)
}

/// JSON like that of `linux.resources`.
fn from_document(file: &'static CStr) -> Result<Resources<'static>, Failure> {
    let (name, text) = document::read(file)?;
    Ok(json::from_document(name, text)?)
}

/// What may be the value of an option: in words, and by a function unless it is a text.
type Form = (&'static str, Option<fn(&str) -> Option<i64>>);

const TEXT: Form = ("it is text", None);
const NUMBER: Form = ("it is a number", Some(sys::integer));
const NATURAL: Form = ("it is a number from 0 on", Some(sys::natural));
const SIZE: Form = ("it is a number of bytes, as in 64m, or -1", Some(size));
const WEIGHT: Form = ("it is a number from 10 to 1000", Some(weight));

/// A member of the document, and the option that sets it.
type Member = (&'static str, Opt, &'static Form);

/// What the options set: members of the members of `linux.resources`.
#[rustfmt::skip]
static MEMBERS: &[(&str, &[Member])] = &[
    ("memory", &[
        ("limit", verbs::MEMORY, &SIZE), ("reservation", verbs::MEMORY_RESERVATION, &SIZE),
        ("swap", verbs::MEMORY_SWAP, &SIZE), ("kernel", verbs::KERNEL_MEMORY, &SIZE),
        ("kernelTCP", verbs::KERNEL_MEMORY_TCP, &SIZE),
    ]),
    ("cpu", &[
        ("shares", verbs::CPU_SHARE, &NATURAL), ("quota", verbs::CPU_QUOTA, &NUMBER),
        ("burst", verbs::CPU_BURST, &NATURAL), ("period", verbs::CPU_PERIOD, &NATURAL),
        ("realtimeRuntime", verbs::CPU_RT_RUNTIME, &NUMBER), ("realtimePeriod", verbs::CPU_RT_PERIOD, &NATURAL),
        ("cpus", verbs::CPUSET_CPUS, &TEXT), ("mems", verbs::CPUSET_MEMS, &TEXT), ("idle", verbs::CPU_IDLE, &NUMBER),
    ]),
    ("pids", &[("limit", verbs::PIDS_LIMIT, &NUMBER)]),
    ("blockIO", &[("weight", verbs::BLKIO_WEIGHT, &WEIGHT)]),
];

/// The options become the document that says the same: one reader for both.
fn from_options(given: &Given) -> Result<Resources<'static>> {
    let mut refused = None;
    let text = json::text(Style::Compact, |w| {
        w.object(|w| {
            let is_given = |(_, members): &&(_, &[Member])| members.iter().any(|(_, option, _)| given.has(option));
            for (name, members) in MEMBERS.iter().filter(is_given) {
                w.name(name).object(|w| {
                    for (name, option, form) in *members {
                        refused = refused.or(member(w, name, given, option, form).err());
                    }
                });
            }
        });
    });
    refused.map_or_else(|| json::from_document("the options", text.as_bytes()), Err)
}

/// An option's value; an empty one is as if it were not given, as with runc.
fn member(w: &mut Writer<'_>, name: &str, given: &Given, option: &Opt, (wanted, parse): &Form) -> Result<()> {
    let Some(word) = given.value(option).filter(|word| !word.is_empty()) else { return Ok(()) };
    match (word.to_str(), parse) {
        (Ok(text), None) => w.member(name, text),
        (Ok(text), Some(parse)) => w.member(name, parse(text).ok_or_else(|| invalid(option, word, wanted))?),
        (Err(_), _) => return Err(invalid(option, word, wanted)),
    }
    Ok(())
}

/// 0 is "not set", as in a config.
fn weight(text: &str) -> Option<i64> {
    sys::natural(text).filter(|weight| matches!(weight, 0 | 10..=1000))
}

/// `64m`, `64M`, `64MiB`, ... in bytes, each letter 1024 times the one before; any negative number: no limit.
pub(crate) fn size(text: &str) -> Option<i64> {
    if text.starts_with('-') {
        return sys::integer(text);
    }
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic() || letter == ' ');
    let unit = text[digits.len()..].trim_start_matches(' ').as_bytes();
    let power = match unit.first().map(u8::to_ascii_lowercase) {
        None | Some(b'b') => 0,
        Some(letter) => b"kmgtp".iter().position(|known| *known == letter)? as u32 + 1,
    };
    let rest = &unit[usize::from(power > 0)..];
    if !["", "b", "ib"].iter().any(|known| rest.eq_ignore_ascii_case(known.as_bytes())) {
        return None;
    }
    sys::integer(digits)?.checked_mul(1 << (10 * power))
}

#[cfg(test)]
mod tests {
    use super::super::options::{Order, parse};
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("-1", -1),
            ("-5", -5),
            ("1b", 1),
            ("1k", 1 << 10),
            ("1K", 1 << 10),
            ("64m", 64 << 20),
            ("64MB", 64 << 20),
            ("64MiB", 64 << 20),
            ("64 mib", 64 << 20),
            ("2g", 2 << 30),
            ("3t", 3 << 40),
            ("8191p", 8191 << 50),
            ("9223372036854775807", i64::MAX),
        ] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in
            ["", "m", "1x", "1mm", "1ki", "1bb", "1ib", "+1", "1.5g", "-1m", "8192p", "9223372036854775808", "é"]
        {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn options_are_limits() {
        let from = |words: &[&'static CStr]| {
            parse([verbs::LIMITS, verbs::COMMON], words, Order::Anywhere).and_then(|given| from_options(&given))
        };
        let all = from(&[
            c"--memory=64m",
            c"--memory-swap",
            c"-1",
            c"--cpu-share=512",
            c"--cpu-quota",
            c"-1",
            c"--cpuset-cpus=0-1",
            c"--pids-limit=7",
            c"--blkio-weight=100",
            c"--cpu-idle=1",
            c"id",
        ])
        .expect("good");
        let (memory, cpu) = (all.memory.expect("memory"), all.cpu.expect("cpu"));
        assert_eq!((memory.limit, memory.swap, memory.reservation), (Some(64 << 20), Some(-1), None));
        assert_eq!((cpu.shares, cpu.quota, cpu.cpus, cpu.idle), (Some(512), Some(-1), Some("0-1"), Some(1)));
        assert_eq!(all.pids.and_then(|pids| pids.limit), Some(7));
        assert_eq!(all.block_io.and_then(|io| io.weight), Some(100));
        for bad in [c"--memory=x", c"--cpu-share=-1", c"--cpu-period=1k", c"--pids-limit=1.5", c"--blkio-weight=70000"]
        {
            assert!(from(&[bad, c"id"]).is_err(), "{bad:?}");
        }
        assert!(from(&[c"--memory=", c"id"]).is_ok());
    }
}
