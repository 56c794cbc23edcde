//! `create` and `run`: the parent's order of steps. What comes before init is here, what the runtime does beside init is in
//! `beside.rs`. What exists so far is always in one place (`made.rs`), to be taken away again when a step fails.

#![forbid(unsafe_code)]

use core::ffi::CStr;

use super::cgroup::{can_do_without, hierarchies};
use super::child::{self, Spawned};
use super::console::{self, Console};
use super::decide::{Decided, absolute, decide, open_bundle, rootfs_path, show};
use super::exe::{self, Protected};
use super::fifo::Fifos;
use super::foreground::{self, Init};
use super::made::{Begun, Made};
use super::notify::{self, Notify};
use super::state::State;
use super::state_dir::StateDir;
use super::{Context, CreateRequest, connect_for_pidfd, filter, hooks, preserved};
use crate::cgroup::systemd::Scope;
use crate::cgroup::{Cgroup, Doors};
use crate::date::Timestamp;
use crate::error::{Context as _, Errno, Error, Result};
use crate::host::{self, Cgroups};
use crate::init::{self, Inherited};
use crate::link;
use crate::plan::Plan;
use crate::resctrl;
use crate::rootfs::Sources;
use crate::sys::fd::{self, FdList};
use crate::sys::namespace::kind;
use crate::sys::process::{self, SignalSet};
use crate::sys::{AsFd, BorrowedFd, OwnedFd, memory, security};
use crate::{debug, log, spec};

/// Makes a container whose process waits for `start`.
///
/// # Errors
/// Whatever is wrong with the config or fails on the way; nothing is left behind then.
pub fn create(context: &Context, request: &CreateRequest) -> Result<()> {
    make(context, request, Until::Created).map(drop)
}

/// Makes a container and starts it; unless it is to be detached, waits for its end and removes it.
///
/// # Errors
/// As with `create`.
pub fn run(context: &Context, request: &CreateRequest) -> Result<i32> {
    let made = make(context, request, Until::Started)?.poststart()?;
    let notify = made.begun.notify.as_ref();
    if request.detach {
        if let Some(notify) = notify {
            notify.wait(made.init.pidfd.as_fd(), made.init.pid)?;
        }
        return Ok(0);
    }
    fd::close_dropped();
    let ended = match &made.master {
        Some(master) => foreground::relay(&made.init, master, notify),
        None => foreground::supervise(&made.init, notify),
    };
    match ended {
        Err(error) => Err(made.undo(error)),
        Ok(code) if request.keep => Ok(code),
        Ok(code) => made.remove().map(|()| code),
    }
}

fn make(context: &Context, request: &CreateRequest, until: Until) -> Result<Made<'static>> {
    let listen_fds = preserved::listen_fds(context)?;
    let preserved = preserved::check(request.preserve_fds, listen_fds)?;
    fd::cloexec_from(3 + preserved).context("close_range", "inherited descriptors")?;
    let exe = exe::protect(context)?;
    process::umask(0);

    let bundle = open_bundle(request)?;
    let Decided { spec, plan, place, supervisor, rootless } = decide(context, request, bundle.as_fd(), listen_fds)?;
    console::check(plan, request, until == Until::Created)?;
    if log::enabled(log::Level::Debug) {
        show(context, plan, &place, false).lines().for_each(|line| debug!("{line}"));
    }
    let unit = plan.cgroup.unit.map_or("", |unit| unit.name);
    let may_lack_cgroup = !place.asked && unit.is_empty();
    let (cgroups, cgroup) = (place.cgroups, Cgroup::new(place.cgroups, plan.cgroup.path)?);
    let maker =
        Maker { context, request, until, plan, spec, supervisor, rootless, unit, cgroups, cgroup, may_lack_cgroup };

    // From here on the host changes. The state comes first, so that whatever kills us, `delete` finds all the rest.
    let mut begun = Begun::new(*context, StateDir::create(context, request.id)?, unit);
    let ready = maker.prepare(&mut begun, bundle.as_fd());
    drop(bundle);
    match ready {
        Ok(ready) => maker.spawn(begun, ready, exe),
        Err(error) => Err(begun.undo(error)),
    }
}

/// How far it goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    Created,
    Started,
}

/// What the steps share that is known before the first of them.
pub(super) struct Maker<'r, 'a> {
    pub context: &'r Context,
    pub request: &'r CreateRequest,
    pub until: Until,
    pub plan: &'a Plan<'a>,
    /// As the config has it: what `exec` and hooks will need.
    pub spec: &'a spec::Spec<'a>,
    /// NOTIFY_SOCKET.
    supervisor: Option<&'static CStr>,
    /// Whether the caller is not root: what belongs to root alone, init does in its user namespace.
    rootless: bool,
    /// The unit of systemd's that the container will be in; empty if there is none.
    unit: &'a str,
    cgroups: Cgroups<'a>,
    /// Unless systemd makes another.
    cgroup: Cgroup<'a>,
    /// Whether nobody has asked for a certain cgroup.
    may_lack_cgroup: bool,
}

/// What the two processes will go on with.
pub(super) struct Ready<'a> {
    pub state: State<'a>,
    pub parent: link::Parent,
    pub child: link::Child,
    pub pidfd_sockets: [Option<OwnedFd>; 2],
    pub console: Console,
    /// The namespaces to be joined.
    pub namespaces: FdList,
    pub sources: Option<Sources>,
    pub fifos: Fifos,
    pub cgroup: Cgroup<'a>,
    /// That part of it that is made beside init, which enters by itself.
    pub late: Option<Cgroup<'a>>,
    pub doors: Doors<'a>,
}

impl<'a> Maker<'_, 'a> {
    /// All that can be done before there is an init. (The larger steps are no parts of their caller, so that each has the
    /// stack of the last one.)
    #[inline(never)]
    fn prepare(&self, begun: &mut Begun<'a>, bundle: BorrowedFd<'_>) -> Result<Ready<'a>> {
        let plan = self.plan;
        let pidfd_sockets = [self.request.pidfd_socket.map(connect_for_pidfd).transpose()?, self.pidfd_receiver()?];
        if let Some(supervisor) = self.supervisor {
            notify::make_directory(&begun.dir, self.plan.mount_label.and_then(|label| label.value))?;
            if self.until == Until::Started {
                begun.notify = Notify::listen(&begun.dir, supervisor)?;
            }
        }
        let mut state = self.state()?;
        begun.dir.begin(&state)?;
        // The runtime's end has its number next to what else init has to close at once.
        let (parent, child) = link::pair()?;
        begun.hooks = hooks::runner(plan.hooks, &state)?;
        if let Some(filter) = &plan.process.seccomp {
            filter::save(&begun.dir, filter)?;
        }
        if let Some(planned) = &plan.rdt {
            begun.rdt = resctrl::make(planned)?;
            state.rdt_own = begun.rdt.own;
            state.rdt = match planned.monitoring {
                Some(monitoring) => memory::keep([planned.group, monitoring]),
                None => memory::keep([planned.group]),
            };
        }
        // systemd works while we open what init needs.
        if let Some(unit) = plan.cgroup.unit {
            begun.scope = Some(Scope::ask(&self.context.start, self.context.systemd_owner(), unit)?);
        }
        let console = Console::open(plan.process.terminal.is_some(), self.request.console_socket)?;
        let namespaces = child::open_namespaces(plan)?;
        let sources = if self.rootless { None } else { sources(plan, bundle)? };
        let fifos = match self.until {
            Until::Created => Fifos::make(&begun.dir, plan.hooks.during_start())?,
            Until::Started => Fifos::default(),
        };
        let mut cgroup = self.cgroup;
        if let Some(scope) = &mut begun.scope {
            cgroup = Cgroup::new(self.cgroups, scope.wait()?)?.kept();
            begun.cgroup = Some(cgroup);
            state.cgroup_path = cgroup.path();
            // What is made of it beside systemd's own hierarchy, systemd would not remove.
            begun.dir.write(&state)?;
            scope.step_aside(&cgroup)?;
        }
        // Of version 1 the runtime makes the cgroups while init mounts, and init enters by itself; but in a user
        // namespace it could not open them.
        let (born_in, entered) = cgroup.halves();
        let (early, mut late) = if plan.namespaces.has(kind::USER) { (cgroup, None) } else { (born_in, Some(entered)) };
        let doors = match early.create(&plan.cgroup) {
            Err(error) if self.may_lack_cgroup && can_do_without(&plan.cgroup, &error) => {
                (cgroup, late) = (Cgroup::new(Cgroups::None, "")?, None);
                state.cgroup_path = "";
                cgroup.create(&plan.cgroup)?
            }
            doors => {
                let doors = doors?;
                begun.cgroup.get_or_insert(early);
                doors
            }
        };
        Ok(Ready { state, parent, child, pidfd_sockets, console, namespaces, sources, fifos, cgroup, late, doors })
    }

    /// Makes init. From here on there are two of us.
    #[inline(never)]
    fn spawn(&self, begun: Begun<'a>, ready: Ready<'a>, exe: Protected) -> Result<Made<'a>> {
        if self.until == Until::Started && !self.request.detach && !self.plan.namespaces.has(kind::PID) {
            // Without a pid namespace of its own, what the container orphans is ours to reap.
            if let Err(errno) = process::set_subreaper() {
                return Err(begun.undo(Error::errno("prctl", "PR_SET_CHILD_SUBREAPER", errno)));
            }
        }
        // A child whose end we are not told of could not be waited for, and our caller may have ignored this signal.
        let signal_mask = process::set_signal_mask(foreground::ALL);
        process::reset_signal(process::SIGCHLD);
        let mut exe = Some(exe);
        let (init, is_outside) = match self.clone_init(&ready, begun.scope.is_some(), &mut exe) {
            Ok((Spawned::Init, _)) => self.become_init(begun, ready, exe, signal_mask),
            Ok((Spawned::Runtime { pid, pidfd }, is_outside)) => (Init { pid, pidfd }, is_outside),
            Err(error) => return Err(begun.undo(error)),
        };
        debug!("the container's init is process {}", init.pid);
        let mut made = Made { begun, init, pid_file: self.request.pid_file, master: None };
        let attached = match &mut made.begun.scope {
            Some(scope) if is_outside => scope.attach(made.init.pid),
            _ => Ok(()),
        };
        match attached.and_then(|()| self.work_beside_init(&mut made, ready, exe)) {
            Ok(()) => Ok(made.complete()),
            Err(error) => Err(made.undo(error)),
        }
    }

    /// Which of the two we are now, and whether init could not be born in its cgroup.
    fn clone_init(&self, ready: &Ready<'a>, has_scope: bool, exe: &mut Option<Protected>) -> Result<(Spawned, bool)> {
        let namespaces = &self.plan.namespaces;
        if !(self.rootless && namespaces.maps.is_some()) {
            // Before the first namespace is joined: nobody in there may look into us (CVE-2016-9962).
            security::set_dumpable(false).context("prctl", "PR_SET_DUMPABLE")?;
        } // Else what init has in /proc would be root's, its maps, too. It follows when it is in the namespaces.
        if namespaces.new & kind::PID == 0 {
            // Others than we will see init at once.
            exe.take().into_iter().for_each(Protected::close);
        }
        let born_in = |birthplace| child::spawn(self.plan, &ready.namespaces, birthplace);
        let birthplace = ready.doors.birthplace();
        let (spawned, is_outside) = match born_in(birthplace) {
            // This user may not go there from where we are, but his systemd may take him there.
            Err(error) if has_scope && birthplace.is_some() && error.is(Errno::ACCESS) => (born_in(None), true),
            spawned => (spawned, false),
        };
        Ok((spawned.map_err(|error| ready.doors.not_born(error))?, is_outside))
    }

    /// The other of the two.
    #[inline(never)]
    fn become_init(&self, begun: Begun<'a>, ready: Ready<'a>, exe: Option<Protected>, signal_mask: SignalSet) -> ! {
        // The link and the lock on the state must close when the runtime dies; and the mount that we run from is the
        // runtime's to close last, which has more time.
        drop((ready.parent, begun.dir, exe));
        fd::close_dropped();
        let inherited = Inherited {
            link: ready.child,
            bundle: self.request.bundle,
            sources: ready.sources,
            namespaces: child::init_joins(self.plan).then_some(ready.namespaces),
            doors: Some(ready.doors),
            cgroup: ready.late,
            hierarchies: hierarchies(&ready.cgroup, &self.plan.cgroup),
            console_size: ready.console.ours.as_ref().and_then(|_| foreground::caller_size()),
            console: ready.console.theirs,
            start: ready.fifos.start,
            answer: ready.fifos.answer,
            hooks: begun.hooks,
            is_root: self.context.start.is_root,
            signal_mask,
        };
        init::main(self.plan, inherited)
    }

    /// What is remembered from the beginning.
    fn state(&self) -> Result<State<'a>> {
        let plan = self.plan;
        let bundle = absolute(self.request.bundle)?;
        Ok(State {
            id: plan.id,
            bundle,
            rootfs: rootfs_path(bundle, plan.root.path),
            created: memory::format(format_args!("{}", Timestamp::now())),
            owner: self.context.start.euid,
            cgroup_path: plan.cgroup.path,
            cgroup_manager: self.context.manager.name(),
            systemd_scope: self.unit,
            terminal: plan.process.terminal.is_some(),
            annotations: plan.annotations,
            namespaces: plan.namespaces.all(),
            keyring: plan.keyring.is_some(),
            seccomp: plan.process.seccomp.is_some(),
            listener_path: plan.listener.map(|listener| listener.path),
            listener_metadata: plan.listener.and_then(|listener| listener.metadata),
            ..State::default()
        })
    }

    /// crun's annotation for `--pidfd-socket`.
    fn pidfd_receiver(&self) -> Result<Option<OwnedFd>> {
        let Some(path) = self.plan.annotations.get("run.oci.pidfd_receiver") else { return Ok(None) };
        let path =
            memory::cstr(path).ok_or(Error::because("connect to the pidfd socket", path, "contains a NUL byte"))?;
        connect_for_pidfd(path).map(Some)
    }
}

/// What is needed of the host. Nothing if root of a user namespace is still in a mount namespace of others: there he may
/// not open trees. Init, in one of his own, may.
fn sources(plan: &Plan<'_>, bundle: BorrowedFd<'_>) -> Result<Option<Sources>> {
    match Sources::open(plan, bundle) {
        Err(error) if error.is(Errno::PERM) && plan.namespaces.new & kind::MOUNT != 0 && host::in_user_namespace() => {
            Ok(None)
        }
        sources => sources.map(Some),
    }
}
