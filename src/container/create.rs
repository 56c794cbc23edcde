//! `create` and `run`: the parent's order of steps. While init makes its file system, the runtime makes its cgroups,
//! writes its maps and its state; they meet twice (`link::Step`).

use core::cell::Cell;
use core::ffi::CStr;

use super::child::{self, Spawned};
use super::console::{Console, receive_master};
use super::decide::{Decided, decide, open_bundle, show};
use super::exe::{self, Protected};
use super::foreground::{self, Init};
use super::netdevice;
use super::notify::{self, Notify};
use super::process::{SIGKILL, Stat};
use super::state::{ANSWER_FIFO, EXEC_FIFO, Lock, START_FIFO, State, StateDir, Status};
use super::uid_map;
use super::{CreateRequest, connect_for_pidfd, filter, hooks, listener, send_pidfd, text};
use crate::cgroup::Cgroup;
use crate::cgroup::systemd::Scope;
use crate::date::Timestamp;
use crate::error::{Context as _, Errno, Error, Result};
use crate::hook::Runner;
use crate::host::{self, Cgroups};
use crate::init::{self, Inherited};
use crate::link::{self, Report, Step};
use crate::plan::Plan;
use crate::plan::hooks::Stage;
use crate::resctrl;
use crate::rootfs::{Hierarchy, Sources};
use crate::sys::memory::{self, Growing};
use crate::sys::namespace::kind;
use crate::sys::{AsFd, BorrowedFd, CWD, OwnedFd, fd, file, process, security};
use crate::{debug, log, spec, warn};

/// Makes a container whose process waits for `start`.
///
/// # Errors
/// Whatever is wrong with the config or fails on the way; nothing is left behind then.
pub fn create(context: &super::Context, request: &CreateRequest) -> Result<()> {
    make(context, request, Until::Created).map(drop)
}

/// Makes a container and starts it; unless it is to be detached, waits for its end and removes it.
///
/// # Errors
/// As with `create`.
pub fn run(context: &super::Context, request: &CreateRequest) -> Result<i32> {
    let made = make(context, request, Until::Started)?.poststart()?;
    if request.detach {
        if let Some(notify) = &made.notify {
            notify.wait(made.init.pidfd.as_fd(), made.init.pid)?;
        }
        return Ok(0);
    }
    fd::close_dropped();
    let notify = made.notify.as_ref();
    let ended = match &made.master {
        Some(master) => foreground::relay(&made.init, master, notify),
        None => foreground::supervise(&made.init, notify),
    };
    let code = match ended {
        Ok(code) => code,
        Err(error) => return Err(made.undo(error)),
    };
    if !request.keep {
        match made.dir.lock(Lock::Exclusive) {
            // Somebody has killed and deleted it.
            Err(error) if error.is(Errno::NOENT) => return Ok(code),
            locked => locked?,
        }
        match super::remove_cgroup(context, &made.cgroup, made.unit) {
            // Of the cgroup nothing is left; systemd will see.
            Err(error) if !made.unit.is_empty() => warn!("{error}"),
            removed => removed?,
        }
        resctrl::remove(made.rdt)?;
        if let Some(hooks) = &made.hooks {
            hooks.run_poststop();
        }
        made.dir.remove()?;
    }
    Ok(code)
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

/// How far `make` goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Created,
    Started,
}

/// A container that is made.
struct Made<'a> {
    context: super::Context,
    init: Init,
    dir: StateDir,
    cgroup: Cgroup<'a>,
    /// The unit of systemd's that it is in, if there is one.
    unit: &'a str,
    /// The groups of the resctrl file system that go with it.
    rdt: &'a [&'a str],
    /// The other side of its terminal, if we relay it.
    master: Option<OwnedFd>,
    hooks: Option<Runner<'a>>,
    notify: Option<Notify>,
    pid_file: Option<&'static CStr>,
}

impl<'a> Made<'a> {
    /// Runs what is to be run once the container runs; if that fails, nothing is left of it.
    fn poststart(self) -> Result<Made<'a>> {
        let Some(hooks) = &self.hooks else { return Ok(self) };
        match hooks.run(Stage::Poststart, self.init.pid, &|| Ok(())) {
            Ok(()) => Ok(self),
            Err(error) => Err(self.undo(error)),
        }
    }

    /// What is left of it is taken away, for this reason.
    #[cold]
    fn undo(self, why: Error) -> Error {
        let Made { context, init, dir, cgroup, unit, rdt, hooks, pid_file, .. } = self;
        // Whoever has deleted it meanwhile has done all the rest.
        if dir.lock(Lock::Exclusive).is_ok() {
            let (dir, cgroup, init) = (Some(dir), Some(cgroup), Some(init));
            drop(Undo { context, dir, cgroup, unit, rdt, scope: None, init, hooks, pid_file });
        }
        why
    }
}

fn make(context: &super::Context, request: &CreateRequest, until: Until) -> Result<Made<'static>> {
    let listen_fds = listen_fds(context)?;
    let preserved = check_preserved(request.preserve_fds, listen_fds)?;
    fd::cloexec_from(3 + preserved).context("close_range", "inherited descriptors")?;
    let exe = exe::protect(context)?;
    process::umask(0);

    let bundle = open_bundle(request)?;
    let Decided { spec, plan, place, supervisor, rootless } = decide(context, request, bundle.as_fd(), listen_fds)?;
    check_terminal(plan, request, until)?;
    if log::enabled(log::Level::Debug) {
        show(context, plan, &place, false).lines().for_each(|line| debug!("{line}"));
    }

    // From here on the host changes. The state comes first, so that whatever kills us, `delete` finds all the rest.
    let maker = Maker {
        context,
        request,
        until,
        plan,
        spec,
        supervisor,
        rootless,
        cgroups: place.cgroups,
        cgroup: Cell::new(Cgroup::new(place.cgroups, plan.cgroup.path)?),
        may_lack_cgroup: !place.asked && plan.cgroup.unit.is_none(),
    };
    let dir = StateDir::create(context, request.id)?;
    maker.make(dir, bundle.as_fd(), exe)
}

/// What the steps of making a container share.
struct Maker<'r, 'a> {
    context: &'r super::Context,
    request: &'r CreateRequest,
    until: Until,
    plan: &'a Plan<'a>,
    /// As the config has it: what `exec` and hooks will need.
    spec: &'a spec::Spec<'a>,
    /// NOTIFY_SOCKET.
    supervisor: Option<&'static CStr>,
    /// Whether the caller is not root: what belongs to root alone, init does in its user namespace.
    rootless: bool,
    cgroups: Cgroups<'a>,
    /// Set anew when systemd has made it.
    cgroup: Cell<Cgroup<'a>>,
    /// Whether nobody has asked for a certain cgroup.
    may_lack_cgroup: bool,
}

/// What exists of a container that is not complete, to be undone if it never will be.
struct Undo<'a> {
    context: super::Context,
    dir: Option<StateDir>,
    cgroup: Option<Cgroup<'a>>,
    /// The unit of systemd's that the cgroup is in; empty if there is none.
    unit: &'a str,
    /// Groups of the resctrl file system.
    rdt: &'a [&'a str],
    scope: Option<Scope<'a>>,
    init: Option<Init>,
    hooks: Option<Runner<'a>>,
    pid_file: Option<&'static CStr>,
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if let Some(init) = &self.init {
            let _ = process::pidfd_send_signal(init.pidfd.as_fd(), SIGKILL);
            let _ = process::wait(init.pid, true);
            if let Some(path) = self.pid_file {
                let _ = file::unlinkat(CWD, path);
            }
        }
        // Dropped, it is stopped. One that was complete has lost its connection.
        let is_stopped = self.scope.take().is_some() || self.unit.is_empty();
        let cgroup = self.cgroup.map_or(Ok(()), |cgroup| match is_stopped {
            true => cgroup.of_unit(self.unit)?.remove(),
            false => super::remove_cgroup(&self.context, &cgroup, self.unit),
        });
        if let (Some(_), Some(hooks)) = (&self.init, &self.hooks) {
            hooks.run_poststop();
        }
        let rdt = resctrl::remove(self.rdt);
        // What is left of them is found by its state.
        let undone = cgroup.and(rdt).and_then(|()| self.dir.take().map_or(Ok(()), StateDir::remove));
        if let Err(error) = undone {
            warn!("{error}; `delete` removes what is left");
        }
    }
}

impl<'a> Maker<'_, 'a> {
    fn make(&self, dir: StateDir, bundle: BorrowedFd<'_>, exe: Protected) -> Result<Made<'a>> {
        let (context, unit, pid_file) = (*self.context, self.unit(), self.request.pid_file);
        let dir = Some(dir);
        let mut undo =
            Undo { context, dir, cgroup: None, unit, rdt: &[], scope: None, init: None, hooks: None, pid_file };
        let pidfd_socket = self.request.pidfd_socket.map(connect_for_pidfd).transpose();
        // To be undone with all the rest if that is refused.
        let pidfd_sockets = [pidfd_socket?, self.pidfd_receiver()?];
        let Some(dir) = &undo.dir else { return Err(self.incomplete()) };
        let notify = match self.supervisor {
            Some(supervisor) => {
                notify::make_directory(dir, self.plan.mount_label.and_then(|label| label.value))?;
                if self.until == Until::Started { Notify::listen(dir, supervisor)? } else { None }
            }
            None => None,
        };
        let mut rdt = resctrl::Made::default();
        let master = self.make_or_undo(&mut undo, &mut rdt, bundle, exe)?;
        if let Some(init) = &undo.init {
            for socket in pidfd_sockets.iter().flatten() {
                send_pidfd(socket, "standard", &init.pidfd)?;
            }
        }
        // Complete: what was to be undone is the container's now.
        match (undo.dir.take(), undo.init.take(), undo.cgroup.take()) {
            (Some(dir), Some(init), Some(cgroup)) => {
                if let Some(scope) = undo.scope.take() {
                    scope.release();
                }
                dir.unlock();
                undo.rdt = &[];
                let hooks = undo.hooks.take();
                Ok(Made { context, init, dir, cgroup, unit, rdt: rdt.own, master, hooks, notify, pid_file })
            }
            _ => Err(self.incomplete()),
        }
    }

    #[cold]
    fn incomplete(&self) -> Error {
        Error::because("create", self.request.id, "something is missing")
    }

    /// crun's annotation for the same.
    fn pidfd_receiver(&self) -> Result<Option<OwnedFd>> {
        let Some(path) = self.plan.annotations.get("run.oci.pidfd_receiver") else { return Ok(None) };
        let path =
            memory::cstr(path).ok_or(Error::because("connect to the pidfd socket", path, "contains a NUL byte"))?;
        connect_for_pidfd(path).map(Some)
    }

    fn make_or_undo(
        &self,
        undo: &mut Undo<'a>,
        rdt: &mut resctrl::Made<'a>,
        bundle: BorrowedFd<'_>,
        mut exe: Protected,
    ) -> Result<Option<OwnedFd>> {
        let Some(dir) = &undo.dir else { return Ok(None) };
        let plan = self.plan;
        let bundle_path = absolute(self.request.bundle)?;
        let mut state = State {
            id: plan.id,
            bundle: bundle_path,
            rootfs: rootfs_path(bundle_path, plan.root.path),
            created: memory::format(format_args!("{}", Timestamp::now())),
            owner: self.context.start.euid,
            cgroup_path: plan.cgroup.path,
            cgroup_manager: self.context.manager.name(),
            systemd_scope: self.unit(),
            terminal: plan.process.terminal.is_some(),
            annotations: plan.annotations,
            namespaces: plan.namespaces.all(),
            keyring: plan.keyring.is_some(),
            seccomp: plan.process.seccomp.is_some(),
            listener_path: plan.listener.map(|listener| listener.path),
            listener_metadata: plan.listener.and_then(|listener| listener.metadata),
            ..State::default()
        };
        dir.write(&state)?;
        undo.hooks = hooks::runner(plan.hooks, &state)?;
        if let Some(filter) = &plan.process.seccomp {
            filter::save(dir, filter)?;
        }

        if let Some(planned) = &plan.rdt {
            *rdt = resctrl::make(planned)?;
            (undo.rdt, state.rdt_own) = (rdt.all, rdt.own);
            state.rdt = memory::keep([planned.group, planned.monitoring.unwrap_or("")]);
            if planned.monitoring.is_none() {
                state.rdt = &state.rdt[..1];
            }
        }
        // systemd works while we open what init needs.
        if let Some(unit) = plan.cgroup.unit {
            undo.scope = Some(Scope::ask(&self.context.start, self.context.systemd_owner(), unit)?);
        }
        let console = Console::open(plan.process.terminal.is_some(), self.request.console_socket)?;
        let fds = child::open_namespaces(plan)?;
        let sources = if self.rootless { None } else { sources(plan, bundle)? };
        let [start, answer] =
            if self.until == Until::Created { make_fifos(dir, plan.hooks.during_start())? } else { [None, None] };
        let (parent, ours) = link::pair()?;
        if let Some(scope) = &mut undo.scope {
            let cgroup = Cgroup::new(self.cgroups, scope.wait()?)?.kept();
            undo.cgroup = Some(cgroup);
            self.cgroup.set(cgroup);
            state.cgroup_path = cgroup.path();
            scope.step_aside(&cgroup)?;
        }
        // Of version 1 the runtime makes the cgroups while init mounts, and init enters by itself; but in a user
        // namespace it could not open them.
        let whole = self.cgroup.get();
        let (born_in, entered) = whole.halves();
        let (early, late) = if plan.namespaces.has(kind::USER) { (whole, None) } else { (born_in, Some(entered)) };
        let (early, late, doors) = match early.create(&plan.cgroup) {
            Err(error) if self.can_do_without(&error) => {
                let none = Cgroup::new(Cgroups::None, "")?;
                self.cgroup.set(none);
                state.cgroup_path = "";
                (none, None, none.create(&plan.cgroup)?)
            }
            doors => (early, late, doors?),
        };
        undo.cgroup.get_or_insert(early);
        if self.until == Until::Started && !self.request.detach && !plan.namespaces.has(kind::PID) {
            // Without a pid namespace of its own, what the container orphans is ours to reap.
            process::set_subreaper().context("prctl", "PR_SET_CHILD_SUBREAPER")?;
        }
        // A child whose end we are not told of could not be waited for, and our caller may have ignored this signal.
        let signal_mask = process::set_signal_mask(foreground::ALL);
        process::reset_signal(process::SIGCHLD);
        let maps = plan.namespaces.maps.as_ref();
        if !(self.rootless && maps.is_some()) {
            // Before the first namespace is joined: nobody in there may look into us (CVE-2016-9962).
            security::set_dumpable(false).context("prctl", "PR_SET_DUMPABLE")?;
        } // Else what init has in /proc would be root's, its maps, too. It follows when it is in the namespaces.

        if plan.namespaces.new & kind::PID == 0 {
            // Others than we will see init at once.
            exe.close();
        }

        let mut birthplace = doors.birthplace();
        let spawned = loop {
            match child::spawn(plan, &fds, birthplace) {
                // This user may not go there from where we are, but his systemd may take him there.
                Err(error) if undo.scope.is_some() && birthplace.is_some() && error.is(Errno::ACCESS) => {
                    birthplace = None;
                }
                spawned => break spawned.map_err(|error| doors.not_born(error))?,
            }
        };
        let moved = doors.birthplace().is_some() && birthplace.is_none();
        match spawned {
            Spawned::Init => {
                // The runtime, which has more time, is the last to close it.
                exe.close();
                // These must close when the runtime dies: the link, and the lock on the state.
                parent.close();
                if let Some(dir) = undo.dir.take() {
                    dir.close();
                }
                let inherited = Inherited {
                    link: ours,
                    bundle: self.request.bundle,
                    sources,
                    namespaces: child::init_joins(plan).then_some(fds),
                    doors: Some(doors),
                    cgroup: late,
                    hierarchies: self.hierarchies(),
                    console: console.theirs,
                    console_size: console.ours.as_ref().and_then(|_| foreground::caller_size()),
                    start,
                    answer,
                    hooks: undo.hooks,
                    signal_mask,
                };
                init::main(plan, inherited)
            }
            Spawned::Runtime { pid, pidfd } => {
                debug!("the container's init is process {pid}");
                undo.init = Some(Init { pid, pidfd });
                if let Some(scope) = undo.scope.as_mut().filter(|_| moved) {
                    scope.attach(pid)?;
                }
            }
        }
        ours.close();
        let network = netdevice::joined(plan, &fds);
        drop((sources, fds, start, answer, doors, console.theirs));
        let (Some(dir), Some(init)) = (&undo.dir, &undo.init) else { return Ok(None) };
        state.pid = init.pid;
        resctrl::enter(state.rdt, init.pid)?;
        if let Some(maps) = maps {
            uid_map::write(init.pid, maps, self.context.start.var("PATH"))?;
            self.set_oom_score(init)?;
            parent.tell(Step::Mapped, 0)?;
        }
        if let Some(late) = late {
            late.create_closed(&plan.cgroup.limits)?;
            undo.cgroup = Some(whole);
        }
        netdevice::move_all(plan, network.as_ref(), init.pid)?;
        // Before anything of the container runs, and after init has let go of it.
        exe.close();
        self.record_and_start(&mut state, dir, init, undo.hooks, &parent)?;
        console.ours.map(|socket| receive_master(&socket)).transpose()
    }

    /// The second half of the runtime's work, until init is ready or has become the user's program.
    fn record_and_start(
        &self,
        state: &mut State<'a>,
        dir: &StateDir,
        init: &Init,
        hooks: Option<Runner<'a>>,
        link: &link::Parent,
    ) -> Result<()> {
        if self.plan.namespaces.maps.is_none() {
            self.set_oom_score(init)?;
        }
        if self.plan.namespaces.has(kind::USER) {
            init::scheduling::set_priorities(init.pid, &self.plan.process.scheduling)?;
        }
        let Some(stat) = Stat::of(init.pid)? else { return Err(self.died(init)) };
        state.start_time = stat.start_time;
        state.process = self.spec.process;
        state.memory_policy = self.spec.linux.and_then(|linux| linux.memory_policy);
        state.personality = self.spec.linux.and_then(|linux| linux.personality);
        state.hooks = hooks::later(self.spec.hooks);
        dir.write(state)?;
        let write_pid_file = || self.request.pid_file.map_or(Ok(()), |path| write_pid_file(path, init.pid));
        if self.until == Until::Started {
            write_pid_file()?;
        }
        link.tell(Step::Recorded, stat.ignored)?;
        if let Some(hooks) = hooks
            && hooks.hooks.any(&[Stage::Prestart, Stage::CreateRuntime])
        {
            self.hear_ready(link, init, None)?;
            hooks.run(Stage::Prestart, init.pid, &|| Ok(()))?;
            hooks.run(Stage::CreateRuntime, init.pid, &|| Ok(()))?;
            link.tell(Step::Hooked, 0)?;
        }
        self.hear_ready(link, init, Some(state))?;
        if self.until == Until::Created {
            return write_pid_file();
        }
        // The end of its side shows that the user's program has taken over.
        match link.hear()? {
            Report::Failed(error) => Err(error),
            Report::Ready | Report::Listener(_) | Report::Closed => Ok(()),
        }
    }

    /// In a new user namespace before init becomes its root, and so nobody that its caller may change.
    fn set_oom_score(&self, init: &Init) -> Result<()> {
        let Some(score) = self.plan.process.oom_score_adj else { return Ok(()) };
        put_proc(init.pid, "oom_score_adj", memory::format(format_args!("{score}")))
            .map_err(|error| error.hint("lowering it needs CAP_SYS_RESOURCE"))
    }

    /// Root of a user namespace may find that no cgroup is his. What nobody has asked for need not be there.
    fn can_do_without(&self, refusal: &Error) -> bool {
        let refused = [Errno::ACCESS, Errno::PERM, Errno::ROFS].into_iter().any(|errno| refusal.is(errno));
        if !refused || !self.may_lack_cgroup || !host::in_user_namespace() {
            return false;
        }
        if !self.plan.cgroup.limits.writes.is_empty() {
            warn!("{refusal}: linux.resources is ignored");
        }
        true
    }

    /// Until init is ready, and the listener of its seccomp filter, if one is to come now, is with its agent.
    fn hear_ready(&self, link: &link::Parent, init: &Init, state: Option<&State<'_>>) -> Result<()> {
        let state = state.filter(|state| state.listener_path.is_some());
        let (mut ready, mut listened) = (false, state.is_none());
        while !(ready && listened) {
            match link.hear()? {
                Report::Ready => ready = true,
                Report::Listener(fd) => {
                    if let Some(state) = state {
                        listener::pass_on(state, Status::Creating, init.pid, &fd)?;
                    }
                    link.tell(Step::Listened, 0)?;
                    listened = true;
                }
                Report::Failed(error) => return Err(error),
                Report::Closed => return Err(self.died(init)),
            }
        }
        Ok(())
    }

    /// Init died without a word: most often of the container's memory limit.
    #[cold]
    fn died(&self, init: &Init) -> Error {
        // If it has not, it is not for anybody any more.
        let _ = process::pidfd_send_signal(init.pidfd.as_fd(), SIGKILL);
        let status = process::wait(init.pid, true).ok().flatten().map_or(0, |(_, status)| process::exit_code(status));
        if let Some((limit, used)) = self.cgroup.get().oom_killed() {
            return Error::says(format_args!(
                "container `{}`: OOM: the memory limit could be too low: it is {limit}, and {used} were used",
                self.plan.id
            ));
        }
        Error::says(format_args!(
            "container `{}`: its init ended before it was ready, with code {status}",
            self.plan.id
        ))
    }

    /// The unit of systemd's that the container is in; empty if there is none.
    fn unit(&self) -> &'a str {
        self.plan.cgroup.unit.map_or("", |unit| unit.name)
    }

    /// Where the container's cgroups are, for its `/sys/fs/cgroup`.
    fn hierarchies(&self) -> &'a [Hierarchy<'a>] {
        let mut list: Growing<'a, Hierarchy<'a>> = Growing::new();
        for place in self.cgroup.get().places() {
            let name = place.hierarchy.directory;
            let mut links: Growing<'a, &'a CStr> = Growing::new();
            let controllers = text(name);
            // `cpu,cpuacct`: both words are links to it.
            for word in controllers.split(',').filter(|word| *word != controllers) {
                if let Some(link) = memory::cstr(word) {
                    links.push(link);
                }
            }
            let path = match &self.plan.cgroup.delegation {
                Some(delegation) if place.hierarchy.unified => place.below(delegation.below),
                _ => place.directory,
            };
            list.push(Hierarchy { name, path, links: links.finish() });
        }
        list.finish()
    }
}

/// LISTEN_FDS of the caller: sd_listen_fds(3).
pub(super) fn listen_fds(context: &super::Context) -> Result<u32> {
    let Some(value) = context.start.var("LISTEN_FDS") else { return Ok(0) };
    let value = text(value);
    if value.is_empty() {
        return Ok(0);
    }
    value.parse().map_err(|_| Error::because("LISTEN_FDS", value, "is no number"))
}

/// How many descriptors from 3 on the container gets, all of which have to be there.
pub(super) fn check_preserved(preserve_fds: u32, listen_fds: u32) -> Result<u32> {
    // No process has as many.
    const MANY: u32 = 1 << 30;
    let count = preserve_fds.saturating_add(listen_fds).min(MANY);
    for number in (3..).take(count as usize) {
        // One that is close-on-exec is not the caller's but ours, as the log's.
        if !fd::is_inherited(number) {
            let subject = memory::format(format_args!("{number}"));
            return Err(Error::because("preserve the descriptor", subject, "is not open"));
        }
    }
    Ok(count)
}

fn check_terminal(plan: &Plan<'_>, request: &CreateRequest, until: Until) -> Result<()> {
    if plan.process.terminal.is_none() || request.console_socket.is_some() {
        return Ok(());
    }
    match (until, request.detach) {
        (Until::Created, _) => {
            Err(Error::says(format_args!("use --console-socket with create when a terminal is used")))
        }
        (Until::Started, true) => {
            Err(Error::says(format_args!("use --console-socket with --detach when a terminal is used")))
        }
        (Until::Started, false) => Ok(()),
    }
}

/// What init waits for, and, if `start` has to hear from it, what it answers with. Then `exec.fifo` is only a link to the
/// fifo, which shows `start` that there is more to do.
fn make_fifos(dir: &StateDir, answered: bool) -> Result<[Option<OwnedFd>; 2]> {
    if !answered {
        return Ok([Some(make_fifo(dir, EXEC_FIFO)?), None]);
    }
    let answer = make_fifo(dir, ANSWER_FIFO)?;
    // There is a reader at this moment, which opening it for writing wants.
    let answer_end = open_fifo(dir, ANSWER_FIFO, file::OFlags::WRONLY)?;
    // Later one who reads shall see the end of it when init closes its end.
    answer.close();
    let start = make_fifo(dir, START_FIFO)?;
    file::symlinkat(START_FIFO, dir.fd(), EXEC_FIFO).context("symlink", "exec.fifo")?;
    Ok([Some(start), Some(answer_end)])
}

fn make_fifo(dir: &StateDir, name: &CStr) -> Result<OwnedFd> {
    file::mknodat(dir.fd(), name, file::FileType::Fifo, 0o600, 0).context("mkfifo", text(name))?;
    open_fifo(dir, name, file::OFlags::RDONLY)
}

fn open_fifo(dir: &StateDir, name: &CStr, how: file::OFlags) -> Result<OwnedFd> {
    file::openat(dir.fd(), name, how | file::OFlags::NONBLOCK, file::Mode::empty()).context("open", text(name))
}

/// A file of a process in the host's procfs.
pub(super) fn put_proc(pid: i32, name: &str, value: &str) -> Result<()> {
    let path = memory::format(format_args!("/proc/{pid}/{name}"));
    let write = || {
        let path = memory::cstr(path).ok_or(Errno::INVAL)?;
        file::put(CWD, path, value.as_bytes())
    };
    write().context("write", path)
}

/// The decimal pid, without a newline, in place: conmon waits until it can read a number. Never through a link, which
/// could be that of somebody who may write to the directory.
pub(super) fn write_pid_file(path: &CStr, pid: i32) -> Result<()> {
    let write = || {
        let flags = file::OFlags::WRONLY | file::OFlags::CREATE | file::OFlags::TRUNC | file::OFlags::NOFOLLOW;
        let file = file::openat(CWD, path, flags, file::Mode::from_raw_mode(0o644))?;
        file::write_all(file.as_fd(), memory::format(format_args!("{pid}")).as_bytes())
    };
    write().context("write the pid file", text(path))
}

/// An absolute path, for the state.
pub(super) fn absolute(path: &'static CStr) -> Result<&'static str> {
    let path = text(path);
    if path.starts_with('/') {
        return Ok(path);
    }
    let mut buffer = [0; 4096];
    let cwd = process::getcwd(&mut buffer).context("getcwd", "")?;
    let cwd = core::str::from_utf8(cwd).unwrap_or("/");
    Ok(match path {
        "." => memory::text(cwd),
        path => memory::format(format_args!("{}/{path}", cwd.trim_end_matches('/'))),
    })
}

fn rootfs_path(bundle: &str, root: &CStr) -> &'static str {
    let root = root.to_str().unwrap_or("?");
    if root.starts_with('/') { memory::text(root) } else { memory::format(format_args!("{bundle}/{root}")) }
}
