//! `linux.namespaces`, `linux.uidMappings`, `linux.gidMappings`, `linux.timeOffsets`: which namespaces are made, which are
//! joined, who is who in a new user namespace, and what time it is in a new time namespace.

use core::ffi::CStr;

use super::cstr;
use crate::error::{Error, Result};
use crate::spec;
use crate::sys::memory::{self, Growing};
use crate::sys::namespace::kind;

/// The namespaces of the container.
#[derive(Clone, Copy)]
pub struct Namespaces<'a> {
    /// CLONE_NEW* of those to be made.
    pub new: u64,
    /// Those to be joined.
    pub join: &'a [Join<'a>],
    /// `/proc/PID/uid_map` and `gid_map` of a new user namespace.
    pub maps: Option<Maps<'a>>,
    /// `/proc/PID/timens_offsets` of a new time namespace, if its clocks are not the host's.
    pub time_offsets: Option<&'a str>,
}

/// A namespace that exists already.
#[derive(Clone, Copy)]
pub struct Join<'a> {
    /// CLONE_NEW* of its kind.
    pub kind: u64,
    /// Where it can be opened.
    pub path: &'a CStr,
    /// Its place in `linux.namespaces`, for errors.
    pub index: usize,
}

/// Lines as user_namespaces(7) wants them: `INSIDE OUTSIDE COUNT`.
#[derive(Clone, Copy)]
pub struct Maps<'a> {
    pub uid: &'a str,
    pub gid: &'a str,
}

impl Namespaces<'_> {
    /// Whether the container has one of this kind that is not the runtime's.
    #[must_use]
    pub fn has(&self, kind: u64) -> bool {
        self.new & kind != 0 || self.joins(kind)
    }

    /// CLONE_NEW* of those that are not the runtime's.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.join.iter().fold(self.new, |kinds, join| kinds | join.kind)
    }

    /// Whether one of this kind is joined.
    #[must_use]
    pub fn joins(&self, kind: u64) -> bool {
        self.join.iter().any(|join| join.kind == kind)
    }
}

/// By the spec's names: config-linux.md, "Namespaces".
#[rustfmt::skip]
pub static KINDS: &[(&str, u64)] = &[
    ("cgroup", kind::CGROUP), ("ipc", kind::IPC), ("mount", kind::MOUNT), ("network", kind::NETWORK),
    ("pid", kind::PID), ("time", kind::TIME), ("user", kind::USER), ("uts", kind::UTS),
];

/// The spec's name of a kind.
#[must_use]
pub fn name(kind: u64) -> &'static str {
    KINDS.iter().find(|(_, bits)| *bits == kind).map_or("?", |(name, _)| name)
}

/// The kernel takes no more lines: user_namespaces(7).
const MAX_LINES: usize = 340;

/// Nor a text of a page or more.
const MAX_TEXT: usize = 4095;

/// The plan of them.
///
/// # Errors
/// What the config has wrong, with its path.
pub fn plan<'a>(linux: &spec::Linux<'a>) -> Result<Namespaces<'a>> {
    let mut new = 0;
    let mut seen = 0;
    let mut join = Growing::new();
    for (index, namespace) in linux.namespaces.iter().enumerate() {
        let wrong = |field: &str, why: core::fmt::Arguments<'_>| {
            Error::config(format_args!("linux.namespaces[{index}].{field}"), why)
        };
        let Some(word) = namespace.kind else { return Err(wrong("type", format_args!("is required"))) };
        let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == word) else {
            return Err(wrong("type", format_args!("unknown value {word:?}")));
        };
        if seen & kind != 0 {
            return Err(wrong("type", format_args!("duplicate namespace type: {word:?}")));
        }
        seen |= kind;
        match namespace.path.filter(|path| !path.is_empty()) {
            None => new |= kind,
            Some(path) if path.starts_with('/') => {
                let path = cstr(path, format_args!("linux.namespaces[{index}].path"))?;
                join.push(Join { kind: *kind, path, index });
            }
            Some(path) => return Err(wrong("path", format_args!("{path:?} is not absolute"))),
        }
    }
    if seen & kind::MOUNT == 0 {
        return Err(Error::config(
            format_args!("linux.namespaces"),
            format_args!("a mount namespace is required: without one the container's mounts would be the host's"),
        ));
    }
    let maps = if new & kind::USER != 0 {
        Some(Maps { uid: lines("uidMappings", linux.uid_mappings)?, gid: lines("gidMappings", linux.gid_mappings)? })
    } else {
        for (field, maps) in [("uidMappings", &linux.uid_mappings), ("gidMappings", &linux.gid_mappings)] {
            if !maps.is_empty() && seen & kind::USER == 0 {
                return Err(Error::config(
                    format_args!("linux.{field}"),
                    format_args!("needs a user namespace in linux.namespaces"),
                ));
            }
        }
        None
    };
    let time_offsets = time_offsets(&linux.time_offsets, new & kind::TIME != 0)?;
    Ok(Namespaces { new, join: join.finish(), maps, time_offsets })
}

/// Lines as time_namespaces(7) wants them: `CLOCK SECONDS NANOSECONDS`.
fn time_offsets(offsets: &[(&str, spec::TimeOffset)], new: bool) -> Result<Option<&'static str>> {
    let mut text = "";
    for (clock, offset) in offsets {
        let wrong = |why: core::fmt::Arguments<'_>| Error::config(format_args!("linux.timeOffsets.{clock}"), why);
        if !matches!(*clock, "monotonic" | "boottime") {
            return Err(wrong(format_args!("is no clock of a time namespace, not one of monotonic, boottime")));
        }
        if !new {
            return Err(wrong(format_args!("needs a new time namespace in linux.namespaces")));
        }
        let (seconds, nanoseconds) = (offset.secs.unwrap_or(0), offset.nanosecs.unwrap_or(0));
        if nanoseconds >= 1_000_000_000 {
            return Err(wrong(format_args!("{nanoseconds} nanoseconds are a second or more")));
        }
        text = memory::format(format_args!("{text}{clock} {seconds} {nanoseconds}\n"));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn lines(field: &str, maps: &[spec::IdMapping]) -> Result<&'static str> {
    if maps.is_empty() {
        return Err(Error::config(
            format_args!("linux.{field}"),
            format_args!("is required with a new user namespace"),
        ));
    }
    if maps.len() > MAX_LINES {
        return Err(Error::config(
            format_args!("linux.{field}"),
            format_args!("{} mappings, the kernel takes no more than {MAX_LINES}", maps.len()),
        ));
    }
    let mut text = "";
    let mut ranges: Growing<'_, [u32; 3]> = Growing::new();
    for (index, map) in maps.iter().enumerate() {
        let number = |name: &str, value: Option<u32>| {
            value.ok_or_else(|| {
                Error::config(format_args!("linux.{field}[{index}].{name}"), format_args!("is required"))
            })
        };
        let inside = number("containerID", map.container_id)?;
        let outside = number("hostID", map.host_id)?;
        let size = number("size", map.size)?;
        // The last number is no id: it says "none".
        if size == 0 || inside.checked_add(size).is_none() || outside.checked_add(size).is_none() {
            return Err(Error::config(
                format_args!("linux.{field}[{index}].size"),
                format_args!("{size} ids from {inside} and {outside} on are no range"),
            ));
        }
        let meets = |[other_inside, other_outside, other_size]: &[u32; 3]| {
            let meets = |one, other| one < other + other_size && other < one + size;
            meets(inside, *other_inside) || meets(outside, *other_outside)
        };
        if let Some(other) = ranges.as_slice().iter().position(meets) {
            return Err(Error::config(
                format_args!("linux.{field}[{index}]"),
                format_args!("has ids in common with {field}[{other}]"),
            ));
        }
        ranges.push([inside, outside, size]);
        text = memory::format(format_args!("{text}{inside} {outside} {size}\n"));
    }
    if text.len() > MAX_TEXT {
        return Err(Error::config(
            format_args!("linux.{field}"),
            format_args!("the text for the kernel has {} bytes, it takes no more than {MAX_TEXT}", text.len()),
        ));
    }
    Ok(text)
}
