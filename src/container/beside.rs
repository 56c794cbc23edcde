//! What the runtime does while init makes its file system, until init is ready, or has become the user's program. They
//! meet twice (`link::Step`).

#![forbid(unsafe_code)]

use super::console::receive_master;
use super::create::{Maker, Ready, Until};
use super::exe::Protected;
use super::made::Made;
use super::process::{SIGKILL, Stat, put_proc};
use super::state::{State, Status};
use super::{hooks, listener, netdevice, pid_file, send_pidfd, uid_map};
use crate::error::{Error, Result};
use crate::init;
use crate::link::{self, Report, Step};
use crate::plan::hooks::Stage;
use crate::resctrl;
use crate::sys::namespace::kind;
use crate::sys::{AsFd, fd, memory, process};

impl<'a> Maker<'_, 'a> {
    /// A line may move only together with its reason.
    #[inline(never)]
    pub(super) fn work_beside_init(&self, made: &mut Made<'a>, ready: Ready<'a>, exe: Option<Protected>) -> Result<()> {
        let (plan, pid) = (self.plan, made.init.pid);
        let Ready { mut state, parent: link, namespaces, console, .. } = ready;
        let network = netdevice::joined(plan, &namespaces);
        // Init's.
        drop((ready.child, namespaces, ready.sources, ready.fifos, ready.doors, console.theirs));
        state.pid = pid;
        // What cannot be done for a process that has ended is no news: why it has is.
        let or_last_words = |error| link.last_words().unwrap_or(error);
        resctrl::enter(state.rdt, pid).map_err(or_last_words)?;
        if let Some(maps) = &plan.namespaces.maps {
            uid_map::write(pid, maps, self.context.start.var("PATH")).map_err(or_last_words)?;
            // Before it becomes root of its user namespace, and so nobody that the caller may change.
            self.set_oom_score(pid).map_err(or_last_words)?;
            link.tell(Step::Mapped, 0)?;
        }
        if let Some(late) = ready.late {
            late.create_closed(&plan.cgroup.limits)?;
            made.begun.cgroup = Some(ready.cgroup);
        }
        netdevice::move_all(plan, network.as_ref(), pid).map_err(or_last_words)?;
        if plan.namespaces.maps.is_none() {
            self.set_oom_score(pid)?;
        }
        if plan.namespaces.has(kind::USER) {
            init::scheduling::set_priorities(pid, &plan.process.scheduling)?;
        }
        let Some(stat) = Stat::of(pid)? else { return Err(died(made)) };
        state.start_time = stat.start_time;
        self.record(made, &mut state)?;
        // The mount that we run from, before anything of the container runs, and after init has let go of it; and init's
        // end of the link, or we would not see it close.
        drop(exe);
        fd::close_dropped();
        link.tell(Step::Recorded, stat.ignored)?;
        if let Some(hooks) = made.begun.hooks
            && hooks.hooks.any(&[Stage::Prestart, Stage::CreateRuntime])
        {
            hear_ready(&link, made, None)?;
            let run = |stage| hooks.run(stage, pid, &|| Ok(())).map_err(or_last_words);
            run(Stage::Prestart)?;
            run(Stage::CreateRuntime)?;
            link.tell(Step::Hooked, 0)?;
        }
        hear_ready(&link, made, state.listener_path.and(Some(&state)))?;
        match self.until {
            Until::Created => self.write_pid_file(pid)?,
            Until::Started => hear_end(&link)?,
        }
        made.master = console.ours.map(|socket| receive_master(&socket)).transpose()?;
        ready.pidfd_sockets.iter().flatten().try_for_each(|socket| send_pidfd(socket, "standard", &made.init.pidfd))
    }

    /// All that others need to know of the container, now that it has an init.
    fn record(&self, made: &Made<'a>, state: &mut State<'a>) -> Result<()> {
        state.process = self.spec.process;
        state.memory_policy = self.spec.linux.and_then(|linux| linux.memory_policy);
        state.personality = self.spec.linux.and_then(|linux| linux.personality);
        state.hooks = hooks::later(self.spec.hooks);
        made.begun.dir.write(state)?;
        if self.until == Until::Started { self.write_pid_file(made.init.pid) } else { Ok(()) }
    }

    fn write_pid_file(&self, pid: i32) -> Result<()> {
        self.request.pid_file.map_or(Ok(()), |path| pid_file::write(path, pid))
    }

    fn set_oom_score(&self, pid: i32) -> Result<()> {
        let Some(score) = self.plan.process.oom_score_adj else { return Ok(()) };
        put_proc(pid, "oom_score_adj", memory::format(format_args!("{score}")))
            .map_err(|error| error.hint("lowering it needs CAP_SYS_RESOURCE"))
    }
}

/// Until init is ready; and until the listener of its seccomp filter is with its agent, whom this state tells of, if there
/// is one to come.
fn hear_ready(link: &link::Parent, made: &Made<'_>, agent: Option<&State<'_>>) -> Result<()> {
    let (mut ready, mut listened) = (false, agent.is_none());
    while !(ready && listened) {
        match link.hear()? {
            Report::Ready => ready = true,
            Report::Listener(fd) => {
                if let Some(state) = agent {
                    listener::pass_on(state, Status::Creating, made.init.pid, &fd)?;
                }
                link.tell(Step::Listened, 0)?;
                listened = true;
            }
            Report::Failed(error) => return Err(error),
            Report::Closed => return Err(died(made)),
        }
    }
    Ok(())
}

/// Until the end of its side shows that the user's program has taken over.
fn hear_end(link: &link::Parent) -> Result<()> {
    match link.hear()? {
        Report::Failed(error) => Err(error),
        Report::Ready | Report::Listener(_) | Report::Closed => Ok(()),
    }
}

/// Init died without a word: most often of the container's memory limit.
#[cold]
fn died(made: &Made<'_>) -> Error {
    let (id, init) = (made.begun.dir.id(), &made.init);
    // If it has not, it is not for anybody any more.
    let _ = process::pidfd_send_signal(init.pidfd.as_fd(), SIGKILL);
    let status = process::wait(init.pid, true).ok().flatten().map_or(0, |(_, status)| process::exit_code(status));
    if let Some((limit, used)) = made.begun.cgroup.and_then(|cgroup| cgroup.oom_killed()) {
        return Error::says(format_args!(
            "container `{id}`: OOM: the memory limit could be too low: it is {limit}, and {used} were used"
        ));
    }
    Error::says(format_args!("container `{id}`: its init ended before it was ready, with code {status}"))
}
