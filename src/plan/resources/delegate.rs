//! The part of the cgroup that is handed to the container's root, to make cgroups below it: on version 2, where that is
//! safe.

use crate::error::{Error, Quoted, Result};
use crate::host::Cgroups;
use crate::json::Map;
use crate::plan::namespace::Namespaces;
use crate::sys::namespace::kind;

const ANNOTATION: &str = "run.oci.delegate-cgroup";

/// What is handed over.
#[derive(Clone, Copy, Debug)]
pub struct Delegation<'a> {
    /// A cgroup below the container's, where the container is: the limits stay beyond its reach. Empty: its own.
    pub below: &'a str,
    /// The host's ids of the container's root, if they are others.
    pub owner: Option<(u32, u32)>,
}

/// The annotation; and with new user and cgroup namespaces the container's own cgroup, as its root expects.
///
/// # Errors
/// A path that leads elsewhere.
pub fn plan<'a>(
    annotations: &Map<'a, &'a str>,
    namespaces: &Namespaces<'_>,
    cgroups: &Cgroups<'_>,
) -> Result<Option<Delegation<'a>>> {
    let below = annotations.get(ANNOTATION).unwrap_or("");
    if !matches!(cgroups, Cgroups::V2(_)) {
        return Ok(None);
    }
    if below.split('/').any(|part| matches!(part, "." | "..")) || below.starts_with('/') || below.contains(['\0', '\n'])
    {
        return Err(Error::config(
            format_args!("annotations[{}]", Quoted(ANNOTATION)),
            format_args!("{} is not the path of a cgroup below the container's", Quoted(below)),
        ));
    }
    let owner = namespaces.maps.as_ref().and_then(|maps| Some((root_of(maps.uid.ranges)?, root_of(maps.gid.ranges)?)));
    let wanted = !below.is_empty() || owner.is_some() && namespaces.new & kind::CGROUP != 0;
    Ok(wanted.then_some(Delegation { below, owner }))
}

/// Who 0 is outside, by ranges of inside, outside and count.
fn root_of(ranges: &[[u32; 3]]) -> Option<u32> {
    ranges.iter().find(|range| range[0] == 0).map(|range| range[1])
}
