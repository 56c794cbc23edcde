//! Id-mapped mounts: `mounts[].uidMappings` and `gidMappings`, and the options `idmap` and `ridmap`. Which user
//! namespaces tell whose the files in a mount are.

use core::ffi::CStr;
use core::fmt::Arguments;

use super::mount::Surroundings;
use super::namespace::{Maps, map};
use crate::error::{Error, Quoted, Result};
use crate::spec::{self, IdMapping};
use crate::sys;
use crate::sys::memory::{self, Growing};
use crate::sys::namespace::kind;

/// A user namespace that tells it.
#[derive(Clone, Copy)]
pub enum Ids<'a> {
    /// One made for the purpose, with these maps.
    Maps(Maps<'a>),
    /// The one that the container joins.
    Joined(&'a CStr),
}

/// The ids of a mount.
#[derive(Clone, Copy)]
pub struct Idmap {
    /// The user namespace's place in the plan's list.
    pub place: usize,
    /// Whether what is mounted below it is meant, too.
    pub recursive: bool,
}

/// The ids of one mount: its own maps, those in the option, or the container's. `option` tells whether there is one,
/// whether it is about all of the tree, and what it says.
///
/// # Errors
/// What the config has wrong, with its path.
pub(super) fn plan<'a>(
    index: usize,
    mount: &spec::Mount<'a>,
    option: Option<(bool, Option<&'a str>)>,
    around: &Surroundings<'_, 'a>,
    all: &mut Growing<'a, Ids<'a>>,
) -> Result<Option<Idmap>> {
    let wrong = |why: Arguments<'_>| Error::config(format_args!("mounts[{index}].options"), why);
    let has_maps = !(mount.uid_mappings.is_empty() && mount.gid_mappings.is_empty());
    let (recursive, inline) = match option {
        None if !has_maps => return Ok(None),
        None => (false, None),
        Some(option) => option,
    };
    if mount.kind.is_some_and(|kind| matches!(kind, "cgroup" | "cgroup2")) {
        return Err(wrong(format_args!("a mount of the cgroups cannot be id-mapped")));
    }
    if !around.is_root {
        return Err(wrong(format_args!("only root can id-map a mount: it takes rights over the whole file system")));
    }
    let field = |name: &str| memory::format(format_args!("mounts[{index}].{name}"));
    let ids = if has_maps {
        Ids::Maps(Maps {
            uid: map(field("uidMappings"), mount.uid_mappings, None)?,
            gid: map(field("gidMappings"), mount.gid_mappings, None)?,
        })
    } else if let Some(text) = inline {
        let read = |name, maps| {
            let maps = self::maps(text, name, maps).map_err(|why| wrong(format_args!("{}: {why}", Quoted(text))))?;
            map(field("options"), maps, None)
        };
        Ids::Maps(Maps {
            uid: read("uids=", around.linux.uid_mappings)?,
            gid: read("gids=", around.linux.gid_mappings)?,
        })
    } else if let Some(maps) = around.namespaces.maps {
        Ids::Maps(maps)
    } else if let Some(join) = around.namespaces.join.iter().find(|join| join.kind == kind::USER) {
        Ids::Joined(join.path)
    } else {
        return Err(wrong(format_args!("an id-mapped mount needs mappings, or a user namespace of the container")));
    };
    let known = all.as_slice().iter().position(|other| match (other, &ids) {
        (Ids::Maps(one), Ids::Maps(other)) => (one.uid.ranges, one.gid.ranges) == (other.uid.ranges, other.gid.ranges),
        (Ids::Joined(_), Ids::Joined(_)) => true,
        _ => false,
    });
    let place = known.unwrap_or_else(|| {
        all.push(ids);
        all.len() - 1
    });
    Ok(Some(Idmap { place, recursive }))
}

/// Reads `uids=INSIDE-OUTSIDE-COUNT#...;gids=...`, one of the two. With an `@` before it, OUTSIDE is an id of the
/// container, which the `container`'s mappings make one of the host.
fn maps<'a>(text: &str, name: &str, container: &[IdMapping]) -> Result<&'a [IdMapping], &'static str> {
    let mut maps = Growing::new();
    for part in text.split(';').filter_map(|part| part.strip_prefix(name)) {
        for range in part.split('#') {
            let (relative, numbers) = range.strip_prefix('@').map_or((false, range), |rest| (true, rest));
            let mut numbers = numbers.split('-').map(sys::natural::<u32>);
            let mut next = || numbers.next().flatten();
            let (Some(inside), Some(outside), Some(size), None) = (next(), next(), next(), numbers.next()) else {
                return Err("a range is not of the form FIRST-FIRST-COUNT");
            };
            let outside = if relative { on_host(container, outside, size) } else { Some(outside) };
            let Some(outside) = outside else {
                return Err("a relative range lies in none of the container's mappings");
            };
            maps.push(IdMapping { container_id: Some(inside), host_id: Some(outside), size: Some(size) });
        }
    }
    if maps.is_empty() { Err("both uids= and gids= are needed") } else { Ok(maps.finish()) }
}

/// What a range of the container's ids is on the host, if one mapping has all of it.
fn on_host(container: &[IdMapping], first: u32, size: u32) -> Option<u32> {
    container.iter().find_map(|map| {
        let offset = first.checked_sub(map.container_id?)?;
        if offset.checked_add(size)? <= map.size? { map.host_id?.checked_add(offset) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(inside: u32, outside: u32, size: u32) -> IdMapping {
        IdMapping { container_id: Some(inside), host_id: Some(outside), size: Some(size) }
    }

    #[test]
    fn inline_maps() {
        let container = [map(0, 1000, 100), map(100, 5000, 10)];
        let text = "uids=0-1-10#10-11-10;gids=@1-3-10#@7-100-10#5-6-1";
        assert_eq!(maps(text, "uids=", &container), Ok(&[map(0, 1, 10), map(10, 11, 10)][..]));
        assert_eq!(maps(text, "gids=", &container), Ok(&[map(1, 1003, 10), map(7, 5000, 10), map(5, 6, 1)][..]));
        for (text, why) in [
            ("", "both uids= and gids= are needed"),
            ("gids=0-0-1", "both uids= and gids= are needed"),
            ("uids=", "a range is not of the form FIRST-FIRST-COUNT"),
            ("uids=1-2", "a range is not of the form FIRST-FIRST-COUNT"),
            ("uids=1-2-3-4", "a range is not of the form FIRST-FIRST-COUNT"),
            ("uids=1-2-3#", "a range is not of the form FIRST-FIRST-COUNT"),
            ("uids=1-2-x", "a range is not of the form FIRST-FIRST-COUNT"),
            ("uids=1-2-4294967296", "a range is not of the form FIRST-FIRST-COUNT"),
            ("uids=@0-95-10", "a relative range lies in none of the container's mappings"),
            ("uids=@0-0-4294967295", "a relative range lies in none of the container's mappings"),
        ] {
            assert_eq!(maps(text, "uids=", &container), Err(why), "{text:?}");
        }
        assert_eq!(
            maps("uids=@0-0-1", "uids=", &[]).err(),
            Some("a relative range lies in none of the container's mappings")
        );
    }
}
