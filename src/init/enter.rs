//! `exec`: one more process comes into a container that runs. It becomes the user's program by the same steps as init;
//! before them, instead of making the container, it enters it.

use core::convert::Infallible;
use core::ffi::CStr;

use super::{become_user, console, exec, identity, label, scheduling};
use crate::cgroup::Doors;
use crate::error::{Context, Errno, Error, Result};
use crate::link::Child;
use crate::log::{self, Level};
use crate::plan::process::Process;
use crate::resctrl;
use crate::sys::namespace::{self, kind};
use crate::sys::root::Root;
use crate::sys::{AsFd, CWD, OwnedFd, fd, file, memory, process};

/// What the new process has from the runtime beside its plan.
pub struct Entering<'a> {
    /// The way in, unless it has been gone already.
    pub way: Option<Way<'a>>,
    /// Whether the container has a user namespace.
    pub user_namespace: bool,
    /// Whether the caller has no id but root's.
    pub is_root: bool,
    /// The socket that the terminal's other side is sent to.
    pub console: Option<OwnedFd>,
    /// How many descriptors from 3 on the process keeps.
    pub preserve_fds: u32,
    /// The signals that the caller ignores, bit 0 for the first.
    pub ignored: u32,
    /// The signal mask that the caller had.
    pub signal_mask: process::SignalSet,
}

/// The way from the host into the container.
pub struct Way<'a> {
    /// The container's name.
    pub id: &'a str,
    /// The container's init, as a pidfd: its namespaces are the container's.
    pub init: OwnedFd,
    /// CLONE_NEW* of those that the container was given.
    pub namespaces: u64,
    /// CLONE_NEW* of those that we are in already.
    pub joined: u64,
    /// The way into its cgroups.
    pub doors: Doors<'a>,
    /// The groups of the resctrl file system that it enters.
    pub rdt: &'a [&'a str],
    /// The name of a new session keyring.
    pub keyring: Option<&'a CStr>,
}

/// Becomes the process. Never returns: it executes, or reports and exits.
pub fn main(planned: &Process<'_>, link: &Child, entering: Entering<'_>) -> ! {
    let Err(error) = enter(planned, link, entering);
    if !link.failed(&error) {
        log::log(Level::Error, format_args!("{error}"));
    }
    process::exit(1)
}

/// Goes the way, after which nothing of the host is open but what the caller passes on, the link and the console's socket.
/// A line may move only together with its reason: until the container's namespaces are joined, paths are the host's.
/// Whoever is in the container already may look at us (CVE-2016-9962), and we are not dumpable since before the clone.
///
/// # Errors
/// The kernel's.
pub fn go(planned: &Process<'_>, way: Way<'_>) -> Result<()> {
    let Way { id, init, namespaces, joined, doors, rdt, keyring } = way;
    if joined & kind::USER == 0 {
        set_oom_score(planned)?;
    }
    doors.enter()?;
    drop(doors);
    resctrl::enter(rdt, 0)?;
    scheduling::set_affinity(&planned.scheduling.affinity)?;
    scheduling::set_priorities(0, &planned.scheduling)?;
    let labels = label::Files::open(&planned.labels)?;
    labels.set(&planned.labels)?;
    // Its own session: no process of the container shares a terminal with the caller (CVE-2016-10124).
    process::setsid().context("setsid", "")?;
    fd::close_dropped();

    join(&init, namespaces & !joined).map_err(|errno| not_joined(id, errno))?;
    drop(init);
    if namespaces & kind::USER != 0 {
        identity::become_root(&planned.user)?;
    }
    // The session keyring of the caller is none of the container's business; and the quota is that of our root now.
    if let Some(name) = keyring {
        labels.around_keyring(&planned.labels, || identity::join_keyring(name))?;
    }
    Ok(())
}

/// A line may move only together with its reason.
fn enter(planned: &Process<'_>, link: &Child, entering: Entering<'_>) -> Result<Infallible> {
    match entering.way {
        Some(way) => go(planned, way)?,
        // Who went it for us leads the session that we are born in.
        None => drop(process::setsid().context("setsid", "")?),
    }
    let Entering { user_namespace, console, .. } = entering;
    // Joining the mount namespace has brought us to its root.
    let root = Root::new(CWD);
    let terminal = match planned.terminal {
        Some(size) => Some(console::open(&root, planned, size)?.hand_over(console)?),
        None => None,
    };
    let home = if planned.has_home { None } else { Some(identity::home(&root, planned.user.uid)) };
    fd::close_dropped();

    identity::drop_bounding(planned)?;
    become_user(planned, link, user_namespace, entering.is_root && !user_namespace, terminal.as_ref())?;
    exec::keep_descriptors(entering.preserve_fds)?;
    let program = exec::program(planned, true)?;
    let args = process::Vector::new(planned.args);
    let env = exec::environment(planned, home);
    exec::reset_signals(entering.ignored, entering.signal_mask);
    if !link.ready() {
        // Who asked for it has gone, perhaps long ago, if the container was paused: nobody wants it any more.
        process::exit(1);
    }
    exec::install_listened(planned, link)?;
    exec::replace(planned, link, program, &args, &env)
}

/// All namespaces of init but those that we were born in, in one call: either we are in all of them or in none. The
/// kernel checks against the rights that we come with, so those of the host, and a user namespace beside them, are no
/// matter of order.
pub(super) fn join(init: &OwnedFd, own: u64) -> Result<(), Errno> {
    /// Every kind that a container may share with whoever created it, who need not be our caller.
    const COMMON: u64 = kind::MOUNT | kind::CGROUP | kind::UTS | kind::IPC | kind::NETWORK;
    match namespace::setns(init.as_fd(), own | COMMON) {
        // Without rights over what belongs to the host, or a kernel without one of them: then they are the host's.
        Err(Errno::PERM | Errno::INVAL) if own != own | COMMON => namespace::setns(init.as_fd(), own),
        joined => joined,
    }
}

#[cold]
fn not_joined(id: &str, errno: Errno) -> Error {
    match errno {
        // Its init has ended just now.
        Errno::SRCH => Error::says(format_args!("the container `{id}` is not running")),
        errno => Error::errno("setns", "to the container's namespaces", errno),
    }
}

/// In the host's procfs: that of the container may be anything (CVE-2015-1334).
///
/// # Errors
/// EACCES when lowering it without CAP_SYS_RESOURCE.
pub fn set_oom_score(planned: &Process<'_>) -> Result<()> {
    let Some(score) = planned.oom_score_adj else { return Ok(()) };
    let text = memory::format(format_args!("{score}"));
    file::put(CWD, c"/proc/self/oom_score_adj", text.as_bytes())
        .context("write", "/proc/self/oom_score_adj")
        .map_err(|error| error.hint("lowering it needs CAP_SYS_RESOURCE"))
}
