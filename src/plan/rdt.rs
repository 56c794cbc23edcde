//! `linux.intelRdt`: the class of service that a container's processes are in, and what it may use of caches and memory
//! bandwidth.

use crate::error::{Error, Quoted, Result};
use crate::spec::IntelRdt;
use crate::sys::memory;

/// Where the resctrl file system is mounted.
pub const ROOT: &str = "/sys/fs/resctrl";

/// A group of the resctrl file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rdt<'a> {
    /// Its directory, from the root of that file system; empty for the root itself.
    pub group: &'a str,
    /// Whether it is this container's alone: named after it, removed with it.
    pub own: bool,
    /// The lines that a group which is there already must agree with.
    pub schemata: &'a str,
    /// All lines that are written.
    pub lines: &'a str,
    /// The container's own directory in `mon_groups` of the group, if it is to be monitored.
    pub monitoring: Option<&'a str>,
}

/// The plan of it.
///
/// # Errors
/// What the config has wrong, with its path.
pub fn plan<'a>(rdt: Option<&IntelRdt<'a>>, id: &'a str) -> Result<Option<Rdt<'a>>> {
    let Some(rdt) = rdt else { return Ok(None) };
    let wrong = |field: &str, why: &str| Error::config(format_args!("linux.intelRdt.{field}"), format_args!("{why}"));
    let group = match rdt.clos_id {
        None => id,
        Some("/") => "",
        Some(name) if is_name(name) => name,
        Some(_) => return Err(wrong("closID", "is not the name of a group")),
    };
    let schemata = schemata(rdt.l3_cache_schema, rdt.mem_bw_schema)?;
    let mut all = schemata;
    for (index, line) in rdt.schemata.iter().enumerate() {
        if line.contains('\n') {
            return Err(wrong(memory::format(format_args!("schemata[{index}]")), "contains a line feed"));
        }
        all = memory::format(format_args!("{all}{line}\n"));
    }
    let monitoring = memory::format(format_args!("{group}/mon_groups/{id}"));
    let monitoring = Some(monitoring).filter(|_| rdt.enable_monitoring == Some(true));
    Ok(Some(Rdt { group, own: rdt.clos_id.is_none(), schemata, lines: all, monitoring }))
}

/// The lines of the two fields: the cache first, memory bandwidth last.
///
/// # Errors
/// If the second is something else.
pub fn schemata<'a>(l3_cache: Option<&str>, mem_bw: Option<&str>) -> Result<&'a str> {
    let mem_bw = mem_bw.unwrap_or("");
    if !mem_bw.is_empty() && (!mem_bw.starts_with("MB:") || mem_bw.contains('\n')) {
        return Err(Error::config(
            format_args!("linux.intelRdt.memBwSchema"),
            format_args!("{} is not one line that begins with MB:", Quoted(mem_bw)),
        ));
    }
    // Memory bandwidth has a field of its own: what older engines wrote here does not count.
    let cache = l3_cache.unwrap_or("").lines().filter(|line| !line.trim_ascii_start().starts_with("MB:"));
    let lines = cache.chain([mem_bw]).filter(|line| !line.is_empty());
    Ok(lines.fold("", |text, line| memory::format(format_args!("{text}{line}\n"))))
}

/// One component of a path, and none that the file system has for itself.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '\0']) && !matches!(name, "." | ".." | "info" | "mon_data" | "mon_groups")
}

/// Whether each wanted line is in force: `L3:0=f;1=ff` if there is a line of that resource in which each of these parts
/// has the same value, in whatever order, and however the number is written.
#[must_use]
pub fn agrees(wanted: &str, existing: &str) -> bool {
    wanted.lines().all(|line| {
        let Some((resource, parts)) = line.split_once(':') else { return false };
        let same =
            |line: &&str| line.split_once(':').is_some_and(|(name, _)| name.trim_ascii() == resource.trim_ascii());
        let Some((_, there)) = existing.lines().find(same).and_then(|line| line.split_once(':')) else { return false };
        parts.split(';').all(|part| there.split(';').any(|other| value(part) == value(other)))
    })
}

/// The number of a cache, and its value without what does not matter.
fn value(part: &str) -> (&str, &str) {
    let (id, value) = part.split_once('=').unwrap_or((part, ""));
    let value = value.trim_ascii();
    (id.trim_ascii(), value.strip_prefix("0x").unwrap_or(value).trim_start_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: IntelRdt<'_> =
        IntelRdt { clos_id: None, schemata: &[], l3_cache_schema: None, mem_bw_schema: None, enable_monitoring: None };

    #[test]
    fn a_group_is_the_containers_own_or_a_named_one() {
        let group =
            |clos_id| plan(Some(&IntelRdt { clos_id, ..EMPTY }), "id").map(|rdt| rdt.map(|rdt| (rdt.group, rdt.own)));
        assert_eq!(group(None).expect("good"), Some(("id", true)));
        assert_eq!(group(Some("/")).expect("good"), Some(("", false)));
        assert_eq!(group(Some("guaranteed")).expect("good"), Some(("guaranteed", false)));
        for bad in ["", ".", "..", "a/b", "../x", "/a", "a\0", "mon_groups", "mon_data", "info"] {
            assert!(group(Some(bad)).is_err(), "{bad:?}");
        }
        assert_eq!(plan(None, "id").expect("good"), None);
    }

    #[test]
    fn lines_in_their_order() {
        let rdt = IntelRdt {
            l3_cache_schema: Some("MB:0=1\nL3:0=f;1=ff\n"),
            mem_bw_schema: Some("MB:0=70"),
            schemata: &["L2:0=3", "SMBA:0=64"],
            enable_monitoring: Some(true),
            ..EMPTY
        };
        let planned = plan(Some(&rdt), "id").expect("good").expect("some");
        assert_eq!(planned.schemata, "L3:0=f;1=ff\nMB:0=70\n");
        assert_eq!(planned.lines, "L3:0=f;1=ff\nMB:0=70\nL2:0=3\nSMBA:0=64\n");
        assert_eq!(planned.monitoring, Some("id/mon_groups/id"));
        for mem_bw_schema in [Some("L3:0=1"), Some("MB:0=1\nMB:1=1")] {
            assert!(plan(Some(&IntelRdt { mem_bw_schema, ..EMPTY }), "id").is_err());
        }
        assert!(plan(Some(&IntelRdt { schemata: &["L3:0=1\nL3:1=1"], ..EMPTY }), "id").is_err());
    }

    #[test]
    fn what_is_there_is_compared_part_by_part() {
        // As the kernel prints it.
        let there = "    MB:0=100;1= 70\n    L3:0=00fff;1=000ff\nL3CODE:0=f\n";
        for same in
            ["", "L3:0=fff;1=ff\n", "L3:1=ff;0=0xfff\n", "L3:1=0ff\n", "MB:1=70;0=100\n", "L3:0=fff\nMB:0=100\n"]
        {
            assert!(agrees(same, there), "{same:?}");
        }
        for other in ["L3:0=ff\n", "L3:2=ff\n", "L2:0=f\n", "MB:0=10\n", "L3:0=fff\nMB:0=10\n", "nonsense\n"] {
            assert!(!agrees(other, there), "{other:?}");
        }
    }
}
