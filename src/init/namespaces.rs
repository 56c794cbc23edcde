//! Joining namespaces that exist already. Who does it differs, and `container::child` knows: usually init itself; the
//! runtime, around the clone, when a new user namespace comes with them, for from within that one the host's cannot be
//! joined any more; a process in between when a user namespace is joined, so that init is born in it.

use crate::error::{Errno, Error, Result};
use crate::plan::Plan;
use crate::plan::namespace::{Join, name};
use crate::sys::fd::FdList;
use crate::sys::namespace::kind;
use crate::sys::{memory, namespace, shown};

/// Joins those of the plan that `which` names (CLONE_NEW*). That of pids is only entered by children made after that.
///
/// # Errors
/// The kernel's, with the namespace's place in the config.
pub fn join(plan: &Plan<'_>, fds: &FdList, which: u64) -> Result<()> {
    let joins = plan.namespaces.join;
    let user = joins.iter().position(|join| join.kind == kind::USER);
    // Those of the host first; what belongs to the user namespace answers EPERM until we are in that.
    let mut refused = 0;
    for (place, join) in joins.iter().enumerate() {
        if join.kind == kind::USER || join.kind & which == 0 {
            continue;
        }
        match one(join, place, fds) {
            Err(Errno::PERM) if user.is_some() => refused |= join.kind,
            result => result.map_err(|errno| failed(join, errno))?,
        }
    }
    let Some(user) = user else { return Ok(()) };
    one(&joins[user], user, fds).map_err(|errno| failed(&joins[user], errno))?;
    for (place, join) in joins.iter().enumerate().filter(|(_, join)| refused & join.kind != 0) {
        one(join, place, fds).map_err(|errno| failed(join, errno))?;
    }
    Ok(())
}

fn one(join: &Join<'_>, place: usize, fds: &FdList) -> Result<(), Errno> {
    namespace::setns(fds.get(place).ok_or(Errno::BADF)?, join.kind)
}

/// The error of one that cannot be joined.
#[cold]
#[must_use]
pub fn failed(join: &Join<'_>, errno: Errno) -> Error {
    let path = shown(join.path);
    let subject =
        memory::format(format_args!("linux.namespaces[{}], the {} namespace {path}", join.index, name(join.kind)));
    Error::errno("join", subject, errno)
}
