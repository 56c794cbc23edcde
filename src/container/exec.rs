//! `exec`: one more process in a container that runs. The runtime finds the container and plans; its only child enters
//! and becomes the command; they meet once, when that is done or has failed.
//!
//! The runtime itself joins the pid namespace, which is the one that only children can be born in; everything else is
//! the child's, so that nothing of the runtime is ever inside. Where somebody in the container could trace even us, that
//! child goes all the way, and only its own sibling, who has nothing of the host, is born inside. Nothing that the
//! container can write to is believed: its file system is entered last, and its `/proc` is not used at all.

#![forbid(unsafe_code)]

use core::ffi::CStr;

use super::child::{Between, Spawned, follow, go_between, in_between};
use super::console::{Console, receive_master};
use super::exe;
use super::foreground::{self, Init};
use super::process::{Freezer, SIGKILL, Stat};
use super::state::{State, Status};
use super::state_dir::{Lock, StateDir};
use super::{connect_for_pidfd, filter, listener, pid_file, preserved, send_pidfd};
use crate::cgroup::{Cgroup, Doors};
use crate::error::{Context as _, Errno, Error, Escaped, Result};
use crate::host::{self, Cgroups};
use crate::init::enter::{self, Entering, Way, set_oom_score};
use crate::link::{self, Report, Step};
use crate::plan::identity::capability;
use crate::sys::namespace::{self, kind};
use crate::sys::process::{self, Clone};
use crate::sys::{AsFd, BorrowedFd, OwnedFd, fd, file, memory, sched, security, time};
use crate::{debug, json, plan, spec};

/// A process document is not larger than this.
const DOCUMENT_LIMIT: usize = 16 << 20;

/// What `exec` is asked for.
#[derive(Clone, Copy)]
pub struct ExecRequest {
    /// The container's name, checked.
    pub id: &'static str,
    /// A document of the form of `process` in the config.
    pub document: Option<&'static CStr>,
    /// What the command line says of the process.
    pub process: plan::exec::Request<'static>,
    /// A cgroup below the container's.
    pub cgroup: Option<&'static str>,
    /// The socket that gets the terminal.
    pub console_socket: Option<&'static CStr>,
    /// Where its pid is written.
    pub pid_file: Option<&'static CStr>,
    /// The socket that gets a pidfd of it.
    pub pidfd_socket: Option<&'static CStr>,
    /// How many of the caller's descriptors, from 3 on, it gets.
    pub preserve_fds: u32,
    /// Do not wait for its end.
    pub detach: bool,
    /// Do it even if the container is paused: it will wait until the container goes on.
    pub ignore_paused: bool,
}

/// Executes a command in the container; its exit code, unless it is detached.
///
/// # Errors
/// If the container does not run; whatever is wrong with the request or fails on the way. Then nothing was executed.
pub fn exec(context: &super::Context, request: &ExecRequest) -> Result<i32> {
    let listen_fds = preserved::listen_fds(context)?;
    let preserve_fds = preserved::check(request.preserve_fds, listen_fds)?;
    fd::cloexec_from(3 + preserve_fds).context("close_range", "inherited descriptors")?;
    // The container sees the process as soon as there is one.
    exe::protect(context)?.close();

    // A container that is half made has half of the host in it; with the lock it is whole, and it stays so. Nobody has
    // to wait for us, for we may have to wait ourselves: for a container that somebody pauses just now.
    let dir = StateDir::open(context, request.id, Lock::Shared)?;
    let state = dir.read()?.ok_or_else(|| not_running(request.id))?;
    let init = state.init()?.ok_or_else(|| not_running(request.id))?;
    let cgroups = if state.cgroup_path.is_empty() { Cgroups::None } else { host::cgroups_mounted_or_not()? };
    let cgroup = Cgroup::new(cgroups, state.cgroup_path)?;
    dir.unlock();
    let seccomp = filter::load(&dir, state.seccomp)?;
    drop(dir);
    if !request.ignore_paused && is_frozen(&cgroup, init.stat) {
        return Err(Error::says(format_args!("the container `{}` is paused", request.id)));
    }
    let document = request.document.map(read_document).transpose()?;
    let config = state.process.ok_or_else(|| not_running(request.id))?;
    let planned = memory::keep(self::plan(request, state, config, document, listen_fds)?);
    planned.seccomp = seccomp;
    planned.user.keep_groups = plan::identity::keeps_groups(&state.annotations);
    // Whoever makes the process is to be there, too.
    if let Some(initial) = planned.scheduling.affinity.initial {
        sched::sched_setaffinity(0, initial).context("sched_setaffinity", "process.execCPUAffinity.initial")?;
    }
    if planned.terminal.is_some() && request.detach && request.console_socket.is_none() {
        return Err(Error::says(format_args!("use --console-socket with --detach when a terminal is used")));
    }
    if let (Some(below), "") = (request.cgroup, state.cgroup_path) {
        return Err(Error::because("enter cgroup", below, "the container has none of which it could be a part"));
    }
    let doors = cgroup.open_below(request.cgroup)?;
    let console = Console::open(planned.terminal.is_some(), request.console_socket)?;
    if let (Some(None), Some(_)) = (planned.terminal, &console.ours) {
        // Before the command can ask; later changes are passed on.
        planned.terminal = Some(foreground::caller_size());
    }
    let pidfd_socket = request.pidfd_socket.map(connect_for_pidfd).transpose()?;
    let (rootless, is_root) = (context.start.euid != 0, context.start.is_root);
    let adding = Adding { id: request.id, state, planned, cgroup, rootless, is_root };
    let added = adding.spawn(init.into_pidfd(), doors, console.theirs, preserve_fds)?;

    let finish = || {
        if let Some(path) = request.pid_file {
            pid_file::write(path, added.pid)?;
        }
        if let Some(socket) = &pidfd_socket {
            send_pidfd(socket, "setns", &added.pidfd)?;
        }
        console.ours.as_ref().map(receive_master).transpose()
    };
    let master = finish().inspect_err(|_| end(&added))?;
    if request.detach {
        return Ok(0);
    }
    fd::close_dropped();
    match &master {
        Some(master) => foreground::relay(&added, master, None),
        None => foreground::supervise(&added, None),
    }
}

/// The plan of the process, as the container's and the caller's words are, on this machine.
fn plan(
    request: &ExecRequest,
    state: &State<'static>,
    config: &spec::Process<'static>,
    document: Option<(&'static str, &'static spec::Process<'static>)>,
    listen_fds: u32,
) -> Result<plan::process::Process<'static>> {
    let labels = |process: &spec::Process<'static>| [process.apparmor_profile, process.selinux_label];
    let of_document = document.map_or([None; 2], |(_, process)| labels(process));
    let named = [labels(config), of_document, [request.process.apparmor, request.process.selinux]];
    let security = if plan::label::is_any(named.as_flattened()) { host::security() } else { Default::default() };
    let wanted = plan::exec::Request { security, listen_fds, ..request.process };
    let mut planned = plan::exec::plan(config, document, &wanted)?;
    planned.scheduling.add(state.memory_policy, state.personality.as_ref())?;
    Ok(planned)
}

/// Whether the container is paused, as init shows it, asking as little as possible.
fn is_frozen(cgroup: &Cgroup<'_>, init: Stat) -> bool {
    match init.freezer() {
        Freezer::None => false,
        Freezer::NoneOrV2 => cgroup.is_frozen_by_v2(),
        Freezer::Any => cgroup.is_frozen(),
    }
}

fn not_running(id: &str) -> Error {
    Error::says(format_args!("the container `{id}` is not running"))
}

/// The document and its name for errors.
fn read_document(path: &CStr) -> Result<(&'static str, &'static spec::Process<'static>)> {
    let name = memory::format(format_args!("cannot parse process file: {}", Escaped(path.to_bytes())));
    let text = file::open(path).and_then(|file| file::read_to_end(file.as_fd(), DOCUMENT_LIMIT)).context(name, "")?;
    let document: spec::Process<'static> = json::from_document(name, text)?;
    Ok((name, memory::keep(document)))
}

/// What failed after the process was there takes it away again.
fn end(added: &Init) {
    let _ = process::pidfd_send_signal(added.pidfd.as_fd(), SIGKILL);
    let _ = process::wait(added.pid, true);
}

/// Making the process.
struct Adding<'s> {
    id: &'static str,
    state: &'s State<'static>,
    planned: &'s plan::process::Process<'static>,
    cgroup: Cgroup<'static>,
    /// Whether the caller is not root.
    rootless: bool,
    /// Whether he has no id but root's.
    is_root: bool,
}

impl Adding<'_> {
    /// Returns when the process has become the command.
    fn spawn(self, init: OwnedFd, doors: Doors<'static>, console: Option<OwnedFd>, preserve_fds: u32) -> Result<Init> {
        let ignored = Stat::own()?.ignored;
        let (link, theirs) = link::pair()?;
        // A child whose end we are not told of could not be waited for, and our caller may have ignored this signal.
        let signal_mask = process::set_signal_mask(foreground::ALL);
        if ignored >> (process::SIGCHLD - 1) & 1 != 0 {
            process::reset_signal(process::SIGCHLD);
        }
        let namespaces = self.state.namespaces;
        let keyring = if self.state.keyring { memory::cstr(self.id) } else { None };
        let mut way = Some(Way { id: self.id, init, namespaces, joined: 0, doors, rdt: self.state.rdt, keyring });
        match self.join_and_clone(&mut way)? {
            Spawned::Init => {
                // Closed with all that is not wanted inside, before anything is joined.
                drop(link);
                let user_namespace = namespaces & kind::USER != 0;
                let is_root = self.is_root;
                let entering = Entering { way, user_namespace, is_root, console, preserve_fds, ignored, signal_mask };
                enter::main(self.planned, &theirs, entering)
            }
            Spawned::Runtime { pid, pidfd } => {
                theirs.close();
                drop((console, way));
                debug!("the command is process {pid}");
                let added = Init { pid, pidfd };
                self::hear(&link, self.state, &added).inspect_err(|_| end(&added))?;
                Ok(added)
            }
        }
    }

    /// Into the namespaces that only a birth leads into; the way says which those are, or is gone already.
    fn join_and_clone(&self, way: &mut Option<Way<'static>>) -> Result<Spawned> {
        let Some(ahead) = way.as_mut() else { return Err(not_running(self.id)) };
        // Nobody in there may look into who joins (CVE-2016-9962).
        let hide = || security::set_dumpable(false).context("prctl", "PR_SET_DUMPABLE");
        if self.rootless && ahead.namespaces & kind::USER != 0 {
            // Only in the user namespace that is his he may join the others.
            ahead.joined = ahead.namespaces & (kind::USER | kind::PID);
            let enter = || {
                // The file is root's as soon as we are hidden.
                set_oom_score(self.planned)?;
                hide()?;
                self.join(ahead)
            };
            return in_between(None, &enter, 0, ahead.doors.birthplace());
        }
        hide()?;
        if self.may_be_traced() {
            // Whoever may trace others can look into us all the same: so who is born in there has nothing of the host.
            return match self.born(ahead, &go_between)? {
                Between::Runtime(spawned) => Ok(spawned),
                Between::Itself(told) => {
                    let gone = way.take().map_or(Ok(()), |way| enter::go(self.planned, way));
                    fd::close_dropped();
                    follow(told, gone, 0, None)
                }
            };
        }
        ahead.joined = ahead.namespaces & kind::PID;
        self.join(ahead)?;
        let clone = |birthplace: Option<BorrowedFd<'_>>| {
            Ok(Between::Runtime(match process::clone3(0, birthplace).context("clone3", "the process")? {
                Clone::Child => Spawned::Init,
                Clone::Parent { pid, pidfd } => Spawned::Runtime { pid, pidfd },
            }))
        };
        match self.born(ahead, &clone)? {
            Between::Runtime(spawned) => Ok(spawned),
            Between::Itself(_) => Err(not_running(self.id)),
        }
    }

    fn join(&self, way: &Way<'_>) -> Result<()> {
        if way.joined == 0 {
            return Ok(());
        }
        // To who is not root the payload is as hidden as init was, for the moment that is left of its execve(2) when
        // init's link is closed.
        let mut patience = 100;
        loop {
            match namespace::setns(way.init.as_fd(), way.joined) {
                Err(Errno::PERM) if self.rootless && patience > 0 => {
                    patience -= 1;
                    // It is readable when init has ended.
                    let _ = time::wait_readable(way.init.as_fd(), Some(1));
                }
                Err(Errno::SRCH) => return Err(not_running(self.id)),
                joined => return joined.context("setns", "to the container's pid namespace"),
            }
        }
    }

    /// Whether the container may have CAP_SYS_PTRACE, and over us: it is in no user namespace of its own.
    fn may_be_traced(&self) -> bool {
        let tracing = capability("SYS_PTRACE");
        let namespaces = self.state.namespaces;
        let sets = self.state.process.and_then(|process| process.capabilities);
        namespaces & kind::PID != 0
            && namespaces & kind::USER == 0
            && sets.is_some_and(|sets| {
                [sets.bounding, sets.permitted, sets.inheritable, sets.ambient]
                    .iter()
                    .any(|names| names.iter().any(|name| capability(name) == tracing))
            })
    }

    /// Born in the container's cgroup. One that has cgroups of its own below it may take in no processes (systemd in a
    /// container does that): then where init has gone.
    fn born(
        &self,
        way: &mut Way<'static>,
        make: &dyn Fn(Option<BorrowedFd<'_>>) -> Result<Between>,
    ) -> Result<Between> {
        let doors = &mut way.doors;
        let error = match make(doors.birthplace()) {
            Err(error) => error,
            made => return made,
        };
        if error.is(Errno::BUSY) && self.cgroup.reopen(doors, host::unified_cgroup_of(self.state.pid)?)? {
            return make(doors.birthplace()).map_err(|error| doors.not_born(error));
        }
        // What a pid namespace answers whose first process has ended.
        if error.is(Errno::NOMEM) && process::pidfd_send_signal(way.init.as_fd(), 0).is_err() {
            return Err(not_running(self.id));
        }
        // The number of processes is limited, here or above.
        Err(if error.is(Errno::AGAIN) { doors.refused(Errno::AGAIN) } else { doors.not_born(error) })
    }
}

/// Until the end of its side shows that the command has taken over. On the way it gives us the listener of its seccomp
/// filter, if it has one.
fn hear(link: &link::Parent, state: &State<'_>, added: &Init) -> Result<()> {
    let mut ready = false;
    loop {
        match link.hear()? {
            Report::Ready => ready = true,
            Report::Listener(fd) => {
                listener::pass_on(state, Status::Running, added.pid, &fd)?;
                link.tell(Step::Listened, 0)?;
            }
            Report::Failed(error) => return Err(error),
            Report::Closed if ready => return Ok(()),
            Report::Closed => {
                let _ = process::pidfd_send_signal(added.pidfd.as_fd(), SIGKILL);
                let status = process::wait(added.pid, true).ok().flatten().map_or(0, |(_, status)| status);
                let code = process::exit_code(status);
                return Err(Error::says(format_args!(
                    "container `{}`: the process ended before it could execute the command, with code {code}",
                    state.id
                ))
                .hint("137 may mean that the memory limit is reached, or that the container has ended"));
            }
        }
    }
}
