//! `mounts`: more mounts for a container that exists, or fewer. What a mount is made of is opened here, with our own rights
//! and in our mount namespace; a child enters the container and attaches it there.

#![forbid(unsafe_code)]

use super::child::{Between, Spawned, follow, go_between};
use super::state_dir::{Lock, StateDir};
use super::{Context, exe};
use crate::error::{Context as _, Error, Result};
use crate::init::mounts::{self, Work};
use crate::link::{self, Report};
use crate::plan::mount::{self, Propagation, Role, Surroundings, What};
use crate::plan::namespace::{Join, Namespaces};
use crate::rootfs::Binds;
use crate::spec::{Linux, Mount};
use crate::sys::memory::Growing;
use crate::sys::mount::propagation;
use crate::sys::namespace::kind;
use crate::sys::{AsFd, CWD, fd, file, memory, process, security};

/// What is done with the mounts of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    Add,
    Remove,
}

/// Comes first, before anything is read from standard input: it may be that a copy of us is executed, which has to read
/// it. The container sees the process that enters it.
///
/// # Errors
/// As `exe::protect`.
pub fn begin(context: &Context) -> Result<()> {
    exe::protect(context).map(exe::Protected::close)
}

/// Does it, once `begin` has been called; `document` is what the list is called in errors. A container may be paused
/// meanwhile: none of its processes takes part.
///
/// # Errors
/// If the container does not run; what is wrong with the list; the kernel's.
pub fn change(
    context: &Context,
    id: &'static str,
    change: Change,
    document: &'static str,
    list: &[Mount<'_>],
) -> Result<()> {
    let refused = |why| Error::says(format_args!("mounts of container `{id}`: {why}"));
    // It is whole, and nobody removes it while we are at work.
    let dir = StateDir::open(context, id, Lock::Shared)?;
    let not_running = || refused("container not running");
    let state = dir.read()?.ok_or_else(not_running)?;
    let init = state.init()?.ok_or_else(not_running)?.into_pidfd();
    let in_document = |error: Error| error.of_document(document, "mounts");
    let work = match change {
        Change::Add => {
            // Nothing of it reaches the host, and nothing of the host it, unless the words say so.
            let around = Surroundings {
                propagation: Propagation { kind: propagation::PRIVATE, recursive: true },
                linux: &Linux::default(),
                namespaces: &namespaces(state.pid, state.namespaces),
                label: None,
                is_root: context.start.euid == 0,
            };
            let planned = mount::plan(list, &around).map_err(in_document)?;
            for mount in planned.steps {
                let (field, why) = match (mount.what, mount.role) {
                    (What::Cgroup, _) => ("type", "the cgroups can only be mounted when the container is made"),
                    (_, Role::Root) => ("destination", "a mount over the root can only be made with the container"),
                    _ => continue,
                };
                return Err(Error::because(document, memory::format(format_args!("[{}].{field}", mount.index)), why));
            }
            let path = memory::cstr(state.bundle).ok_or_else(|| refused("the path of its bundle has a NUL byte"))?;
            let bundle = file::open_dir(CWD, path).context("open the bundle", state.bundle)?;
            Work::Mount(planned.steps, Binds::open(&planned, bundle.as_fd())?)
        }
        Change::Remove => {
            let mut places = Growing::new();
            for (index, mount) in list.iter().enumerate() {
                places.push(mount::destination(index, mount).map_err(in_document)?);
            }
            Work::Unmount(places.finish())
        }
    };

    let (link, theirs) = link::pair()?;
    // Before the first namespace is joined: nobody in there may look into us (CVE-2016-9962).
    security::set_dumpable(false).context("prctl", "PR_SET_DUMPABLE")?;
    // A procfs shows the pid namespace of who mounts it, and that is entered by children only. Who is born in there has
    // nothing of the host but what is to be mounted: even of us, somebody there may be allowed to look at (with
    // CAP_SYS_PTRACE).
    let spawned = match go_between(None)? {
        Between::Runtime(spawned) => spawned,
        Between::Itself(told) => {
            let joined = mounts::join(init, state.namespaces);
            drop(dir);
            fd::close_dropped();
            follow(told, joined, 0, None)?
        }
    };
    match spawned {
        Spawned::Init => {
            drop(link);
            mounts::main(&theirs, work)
        }
        Spawned::Runtime { pid, .. } => {
            theirs.close();
            let report = link.hear();
            process::wait(pid, true).context("wait4", "the process that enters the container")?;
            match report? {
                Report::Ready => Ok(()),
                Report::Failed(error) => Err(error),
                Report::Listener(_) | Report::Closed => Err(refused("the process that enters it was killed")),
            }
        }
    }
}

/// What of the container's namespaces mounts depend on: its user namespace, by a path, if it has one.
fn namespaces(init: i32, all: u64) -> Namespaces<'static> {
    let mut join = Growing::new();
    if all & kind::USER != 0
        && let Some(path) = memory::cstr(memory::format(format_args!("/proc/{init}/ns/user")))
    {
        join.push(Join { kind: kind::USER, path, index: 0 });
    }
    Namespaces { new: 0, join: join.finish(), maps: None, time_offsets: None }
}
