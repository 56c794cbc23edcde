//! `linux.namespaces`, `linux.uidMappings`, `linux.gidMappings`, `linux.timeOffsets`: which namespaces are made, which are
//! joined, who is who in a new user namespace, and what time it is in a new time namespace.

use core::ffi::CStr;

use super::cstr;
use super::identity::User;
use crate::error::{Error, Quoted, Result};
use crate::host::caller::{Caller, Range};
use crate::sys::memory::{self, Growing};
use crate::sys::namespace::kind;
use crate::{spec, warn};

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

/// Who is who in a new user namespace.
#[derive(Clone, Copy)]
pub struct Maps<'a> {
    pub uid: Map<'a>,
    pub gid: Map<'a>,
}

/// One of them.
#[derive(Clone, Copy)]
pub struct Map<'a> {
    /// Lines as user_namespaces(7) wants them: `INSIDE OUTSIDE COUNT`.
    pub lines: &'a str,
    /// The same as numbers.
    pub ranges: &'a [[u32; 3]],
    pub by: By,
    /// The caller's own id, which alone will do, as container root, if the helper refuses: nobody has asked for more.
    pub own: Option<u32>,
}

/// How a map is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// As it is, by the runtime.
    Runtime,
    /// The same, after setgroups(2) has been denied for good: who has no privileges and maps his own group only.
    RuntimeWithoutGroups,
    /// By newuidmap(1) or newgidmap(1), for who has no privileges and maps more than his own id.
    Helper,
}

impl Map<'_> {
    /// Whether an id of the container is one of the host.
    #[must_use]
    pub fn has(&self, id: u32) -> bool {
        self.ranges.iter().any(|[inside, _, size]| id.checked_sub(*inside).is_some_and(|at| at < *size))
    }
}

impl Namespaces<'_> {
    /// Whether the container has one of this kind that is not the runtime's.
    #[must_use]
    pub fn has(&self, kind: u64) -> bool {
        self.new & kind != 0 || self.joins(kind)
    }

    /// CLONE_NEWIPC, if whoever makes it has to be root in the container's user namespace: its queues are his who does.
    #[must_use]
    pub fn ipc_of_root(&self) -> u64 {
        if self.has(kind::USER) { self.new & kind::IPC } else { 0 }
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

/// The plan of them, for this caller, if he is not root, and the container's user.
///
/// # Errors
/// What the config has wrong, with its path.
pub fn plan<'a>(linux: &spec::Linux<'a>, caller: Option<&Caller>, user: &User<'_>) -> Result<Namespaces<'a>> {
    let mut new = 0;
    let mut seen = 0;
    let mut join = Growing::new();
    for (index, namespace) in linux.namespaces.iter().enumerate() {
        let wrong = |field: &str, why: core::fmt::Arguments<'_>| {
            Error::config(format_args!("linux.namespaces[{index}].{field}"), why)
        };
        let Some(word) = namespace.kind else { return Err(wrong("type", format_args!("is required"))) };
        let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == word) else {
            return Err(wrong("type", format_args!("unknown value {}", Quoted(word))));
        };
        if seen & kind != 0 {
            return Err(wrong("type", format_args!("duplicate namespace type: {}", Quoted(word))));
        }
        seen |= kind;
        match namespace.path.filter(|path| !path.is_empty()) {
            None => new |= kind,
            Some(path) if path.starts_with('/') => {
                let path = cstr(path, format_args!("linux.namespaces[{index}].path"))?;
                join.push(Join { kind: *kind, path, index });
            }
            Some(path) => return Err(wrong("path", format_args!("{} is not absolute", Quoted(path)))),
        }
    }
    if seen & kind::MOUNT == 0 {
        return Err(Error::config(
            format_args!("linux.namespaces"),
            format_args!("a mount namespace is required: without one the container's mounts would be the host's"),
        ));
    }
    if caller.is_some() && seen & kind::USER == 0 {
        warn!("linux.namespaces: one of type \"user\" is added, for only root can do without");
        new |= kind::USER;
        seen |= kind::USER;
    }
    let maps = if new & kind::USER != 0 {
        Some(maps(linux, caller, user)?)
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

fn maps<'a>(linux: &spec::Linux<'_>, caller: Option<&Caller>, user: &User<'_>) -> Result<Maps<'a>> {
    let maps = match caller {
        Some(caller) if linux.uid_mappings.is_empty() && linux.gid_mappings.is_empty() => Maps {
            uid: default_map(caller.uid, caller.subuid, user.uid, By::Runtime),
            gid: default_map(caller.gid, caller.subgid, user.gid, By::RuntimeWithoutGroups),
        },
        _ => {
            let own = |id: fn(&Caller) -> u32, by| caller.map(|caller| (id(caller), by));
            Maps {
                uid: map("linux.uidMappings", linux.uid_mappings, own(|caller| caller.uid, By::Runtime))?,
                gid: map("linux.gidMappings", linux.gid_mappings, own(|caller| caller.gid, By::RuntimeWithoutGroups))?,
            }
        }
    };
    check_user(&maps, user)?;
    Ok(maps)
}

/// What the caller has, and he himself is the container's process, or its root if he has one id only.
fn default_map<'a>(own: u32, more: Option<Range>, process: u32, alone: By) -> Map<'a> {
    let Some(Range { first, count }) = more else { return written(&[[0, own, 1]], alone, None) };
    let below = process.min(count);
    let ranges = [[0, first, below], [process, own, 1], [process + 1, first + below, count - below]];
    let mut kept = Growing::new();
    ranges.iter().filter(|[_, _, size]| *size > 0).for_each(|range| kept.push(*range));
    written(kept.as_slice(), By::Helper, Some(own))
}

fn written<'a>(ranges: &[[u32; 3]], by: By, own: Option<u32>) -> Map<'a> {
    let line =
        |text, [inside, outside, size]: &[u32; 3]| memory::format(format_args!("{text}{inside} {outside} {size}\n"));
    Map { lines: ranges.iter().fold("", line), ranges: memory::copy(ranges), by, own }
}

/// That of the config; `field` is where it stands. Who has no privileges may write a map of `own` id alone, in a certain
/// way.
///
/// # Errors
/// What is wrong with it.
pub(super) fn map<'a>(field: &str, maps: &[spec::IdMapping], own: Option<(u32, By)>) -> Result<Map<'a>> {
    if maps.is_empty() {
        return Err(Error::config(format_args!("{field}"), format_args!("is required")));
    }
    if maps.len() > MAX_LINES {
        return Err(Error::config(
            format_args!("{field}"),
            format_args!("{} mappings, the kernel takes no more than {MAX_LINES}", maps.len()),
        ));
    }
    let mut ranges: Growing<'_, [u32; 3]> = Growing::new();
    for (index, map) in maps.iter().enumerate() {
        let number = |name: &str, value: Option<u32>| {
            value.ok_or_else(|| Error::config(format_args!("{field}[{index}].{name}"), format_args!("is required")))
        };
        let inside = number("containerID", map.container_id)?;
        let outside = number("hostID", map.host_id)?;
        let size = number("size", map.size)?;
        // The last number is no id: it says "none".
        if size == 0 || inside.checked_add(size).is_none() || outside.checked_add(size).is_none() {
            return Err(Error::config(
                format_args!("{field}[{index}].size"),
                format_args!("{size} ids from {inside} and {outside} on are no range"),
            ));
        }
        let meets = |[other_inside, other_outside, other_size]: &[u32; 3]| {
            let meets = |one, other| one < other + other_size && other < one + size;
            meets(inside, *other_inside) || meets(outside, *other_outside)
        };
        if let Some(other) = ranges.as_slice().iter().position(meets) {
            return Err(Error::config(
                format_args!("{field}[{index}]"),
                format_args!("has ids in common with {field}[{other}]"),
            ));
        }
        ranges.push([inside, outside, size]);
    }
    let ranges = ranges.finish();
    let by = match (own, &*ranges) {
        (None, _) => By::Runtime,
        (Some((own, alone)), [[_, outside, 1]]) if *outside == own => alone,
        _ => By::Helper,
    };
    let map = written(ranges, by, None);
    if map.lines.len() > MAX_TEXT {
        return Err(Error::config(
            format_args!("{field}"),
            format_args!("the text for the kernel has {} bytes, it takes no more than {MAX_TEXT}", map.lines.len()),
        ));
    }
    Ok(map)
}

/// The process's ids have to be there.
fn check_user(maps: &Maps<'_>, user: &User<'_>) -> Result<()> {
    let check = |field: core::fmt::Arguments<'_>, id, map: &Map<'_>| {
        if map.has(id) {
            return Ok(());
        }
        Err(Error::config(
            format_args!("process.user.{field}"),
            format_args!("{id} has no mapping in the user namespace"),
        ))
    };
    check(format_args!("uid"), user.uid, &maps.uid)?;
    check(format_args!("gid"), user.gid, &maps.gid)?;
    let mut groups = user.groups.iter().enumerate();
    groups.try_for_each(|(index, group)| check(format_args!("additionalGids[{index}]"), *group, &maps.gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(map: &Map<'_>) -> (&'static str, By, Option<u32>) {
        (memory::text(map.lines), map.by, map.own)
    }

    #[test]
    fn default_maps() {
        let more = Some(Range { first: 100_000, count: 65536 });
        let lone = default_map(1000, None, 5, By::RuntimeWithoutGroups);
        assert_eq!(shown(&lone), ("0 1000 1\n", By::RuntimeWithoutGroups, None));
        let shown = |process| shown(&default_map(1000, more, process, By::Runtime)).0;
        assert_eq!(shown(0), "0 1000 1\n1 100000 65536\n");
        assert_eq!(shown(5), "0 100000 5\n5 1000 1\n6 100005 65531\n");
        assert_eq!(shown(65536), "0 100000 65536\n65536 1000 1\n");
        assert_eq!(shown(70000), "0 100000 65536\n70000 1000 1\n");
    }

    #[test]
    fn who_writes_a_map() {
        let one = |host, size| {
            let line = spec::IdMapping { container_id: Some(0), host_id: Some(host), size: Some(size) };
            map("uidMappings", &[line], Some((1000, By::Runtime))).map(|map| map.by).ok()
        };
        assert_eq!((one(1000, 1), one(1000, 2), one(1001, 1)), (Some(By::Runtime), Some(By::Helper), Some(By::Helper)));
    }

    #[test]
    fn what_is_mapped() {
        let map = default_map(1000, Some(Range { first: 1, count: 10 }), 20, By::Runtime);
        for (id, mapped) in [(0, true), (9, true), (10, false), (19, false), (20, true), (21, false), (u32::MAX, false)]
        {
            assert_eq!(map.has(id), mapped, "{id}");
        }
    }
}
