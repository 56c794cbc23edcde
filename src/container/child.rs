//! Making init: clone3(2), and whatever has to be joined around it.

use super::process::SIGKILL;
use crate::error::{Context, Errno, Error, Result};
use crate::init::namespaces::{failed, join};
use crate::plan::Plan;
use crate::sys::fd::FdList;
use crate::sys::namespace::{self, kind};
use crate::sys::process::{self, Clone};
use crate::sys::{AsFd, BorrowedFd, CWD, OwnedFd, file, shown, socket, utf8};

/// Which of the two we are now.
pub(super) enum Spawned {
    /// Init, in its namespaces.
    Init,
    /// The runtime, with init for a child.
    Runtime { pid: i32, pidfd: OwnedFd },
}

/// Opens the namespaces to be joined, while their paths are still ours to see.
pub(super) fn open_namespaces(plan: &Plan<'_>) -> Result<FdList> {
    let mut fds = FdList::default();
    for join in plan.namespaces.join {
        let flags = file::OFlags::RDONLY | file::OFlags::NONBLOCK;
        let fd = file::openat(CWD, join.path, flags, file::Mode::empty()).map_err(|errno| failed(join, errno))?;
        if join.kind == kind::MOUNT && is_own(fd.as_fd()).map_err(|errno| failed(join, errno))? {
            return Err(Error::config(
                format_args!("linux.namespaces[{}].path", join.index),
                format_args!("is our own mount namespace: the container's mounts would be the host's"),
            ));
        }
        fds.push(Some(fd));
    }
    Ok(fds)
}

/// Whether the mount namespace is the one that we are in.
fn is_own(namespace: BorrowedFd<'_>) -> Result<bool, Errno> {
    let own = file::fstatat(CWD, c"/proc/self/ns/mnt", file::AtFlags::empty())?;
    Ok(file::is_same(&own, &file::fstat(namespace)?))
}

/// Makes init: born in the cgroup, if one is given, and in its new namespaces.
///
/// In init, an error is init's own: the runtime has it from its report, not from here.
pub(super) fn spawn(plan: &Plan<'_>, fds: &FdList, cgroup: Option<BorrowedFd<'_>>) -> Result<Spawned> {
    // A cgroup namespace has the cgroup for its root that the process is in when it is made: init makes it, later.
    let mut new = plan.namespaces.new & !(kind::CGROUP | plan.namespaces.ipc_of_root());
    if let Some(offsets) = plan.namespaces.time_offsets {
        new &= !kind::TIME;
        let own = file::open(c"/proc/self/ns/time").context("open", "/proc/self/ns/time")?;
        make_time(offsets)?;
        let spawned = around_joins(plan, fds, new, cgroup);
        if !matches!(spawned, Ok(Spawned::Init)) {
            namespace::setns(own.as_fd(), kind::TIME).context("setns", "/proc/self/ns/time")?;
        }
        return spawned;
    }
    around_joins(plan, fds, new, cgroup)
}

/// The offsets of a time namespace can only be set as long as nobody is in it. So we make one for our children, and init
/// is the first of them.
fn make_time(offsets: &str) -> Result<()> {
    namespace::unshare(kind::TIME).context("unshare", "the time namespace")?;
    file::put(CWD, c"/proc/self/timens_offsets", offsets.as_bytes())
        .context("write linux.timeOffsets to", "/proc/self/timens_offsets")
        .map_err(|error| if error.is(Errno::RANGE) { error.hint("a clock cannot be below zero") } else { error })
}

fn around_joins(plan: &Plan<'_>, fds: &FdList, new: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Spawned> {
    let joins = plan.namespaces.join;
    if plan.namespaces.joins(kind::USER) {
        return spawn_in_user_namespace(plan, fds, new, cgroup);
    }
    if plan.namespaces.joins(kind::PID) {
        // It is only entered by children.
        join(plan, fds, kind::PID)?;
    }
    if new & kind::USER != 0 && !joins.is_empty() {
        let home = Home::remember(plan)?;
        join(plan, fds, !kind::PID)?;
        let spawned = clone(new, cgroup);
        if !matches!(spawned, Ok(Spawned::Init)) {
            home.go_back()?;
        }
        return spawned;
    }
    clone(new, cgroup)
}

/// Whether init has to join namespaces by itself, once it is born.
pub(super) fn init_joins(plan: &Plan<'_>) -> bool {
    let others = plan.namespaces.join.iter().any(|join| join.kind != kind::PID);
    others && !plan.namespaces.joins(kind::USER) && plan.namespaces.new & kind::USER == 0
}

fn clone(new: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Spawned> {
    match process::clone3(new, cgroup).context("clone3", "the container's init")? {
        Clone::Child => Ok(Spawned::Init),
        Clone::Parent { pid, pidfd } => Ok(Spawned::Runtime { pid, pidfd }),
    }
}

/// A user namespace is joined: what is new belongs to it, so somebody has to be in it to make the rest.
fn spawn_in_user_namespace(plan: &Plan<'_>, fds: &FdList, new: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Spawned> {
    // Within another cgroup namespace the kernel would not find the way to the cgroup.
    let (early, late) = if plan.namespaces.joins(kind::CGROUP) { (cgroup, None) } else { (None, cgroup) };
    in_between(early, &|| join(plan, fds, u64::MAX), new, late)
}

/// A process in between joins, makes another as our child, not its own, tells its pid, and ends. `birthplace` is its
/// cgroup; `cgroup` that of the other, who is let in, because it has our ids still. In that cgroup, which may take no
/// more than one process, it would be one too many.
pub(super) fn in_between(
    birthplace: Option<BorrowedFd<'_>>,
    join: &dyn Fn() -> Result<()>,
    new: u64,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<Spawned> {
    match go_between(birthplace)? {
        Between::Runtime(spawned) => Ok(spawned),
        Between::Itself(told) => follow(told, join(), new, cgroup),
    }
}

/// Which of them we are now.
pub(super) enum Between {
    /// The runtime, when all is done.
    Runtime(Spawned),
    /// The process in between, and whom it tells how it went.
    Itself(OwnedFd),
}

/// The first half: makes the process in between, which has to call `follow`.
pub(super) fn go_between(birthplace: Option<BorrowedFd<'_>>) -> Result<Between> {
    let (ours, theirs) = socket::pair().context("socketpair", "to the process in between")?;
    match process::clone3(0, birthplace).context("clone3", "the process in between")? {
        Clone::Parent { pid, pidfd } => {
            theirs.close();
            drop(pidfd);
            let mut buffer = [0; 2048];
            let told = socket::recv(ours.as_fd(), &mut buffer).context("recv", "from the process in between")?;
            let told: Result<i32> = match told {
                [a, b, c, d] => Ok(i32::from_le_bytes([*a, *b, *c, *d])),
                [] => Err(Error::because("clone3", "the container's process", "the process in between has died")),
                line => Err(Error::says(format_args!("{}", utf8(line).unwrap_or("?")))),
            };
            // Its whole life is over; that of the other, if it was born, goes on.
            process::wait(pid, true).context("wait4", "the process in between")?;
            let pid = told?;
            let pidfd = process::pidfd_open(pid).context("pidfd_open", "the container's process")?;
            Ok(Between::Runtime(Spawned::Runtime { pid, pidfd }))
        }
        Clone::Child => {
            ours.close();
            Ok(Between::Itself(theirs))
        }
    }
}

/// The second half: if it has joined, the other is born. Returns in that one only.
pub(super) fn follow(told: OwnedFd, joined: Result<()>, new: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Spawned> {
    let born = joined.and_then(|()| process::clone3_sibling(new, cgroup).context("clone3", "the container's process"));
    match born {
        Ok(0) => {
            // Its end is to be seen if we are not told of.
            told.close();
            return Ok(Spawned::Init);
        }
        Ok(pid) => {
            if socket::send(told.as_fd(), &pid.to_le_bytes()).is_err() {
                // Nobody will ever know of it.
                let _ = process::kill(pid, SIGKILL);
            }
        }
        Err(error) => {
            let line = crate::sys::memory::format(format_args!("{error}"));
            let _ = socket::send(told.as_fd(), &line.as_bytes()[..line.len().min(2000)]);
        }
    }
    process::exit(0)
}

/// The namespaces that the runtime leaves for a moment, and its current directory, which goes with that of mounts.
struct Home {
    namespaces: FdList,
    directory: OwnedFd,
}

/// By the names of `/proc/self/ns`.
#[rustfmt::skip]
static OWN: &[(u64, &core::ffi::CStr)] = &[
    (kind::NETWORK, c"/proc/self/ns/net"), (kind::IPC, c"/proc/self/ns/ipc"), (kind::UTS, c"/proc/self/ns/uts"),
    (kind::CGROUP, c"/proc/self/ns/cgroup"), (kind::TIME, c"/proc/self/ns/time"), (kind::MOUNT, c"/proc/self/ns/mnt"),
];

impl Home {
    fn remember(plan: &Plan<'_>) -> Result<Home> {
        let mut namespaces = FdList::default();
        for (kind, path) in OWN {
            namespaces.push(if plan.namespaces.joins(*kind) {
                Some(file::open(path).context("open", shown(path))?)
            } else {
                None
            });
        }
        Ok(Home { namespaces, directory: file::open_dir(CWD, c".").context("open", ".")? })
    }

    fn go_back(&self) -> Result<()> {
        for (place, (kind, path)) in OWN.iter().enumerate() {
            if let Some(fd) = self.namespaces.get(place) {
                namespace::setns(fd, *kind).context("setns", shown(path))?;
            }
        }
        process::fchdir(self.directory.as_fd()).context("fchdir", "to where we were")
    }
}
