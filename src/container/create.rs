//! `create` and `run`: the parent's order of steps. While init makes its file system, the runtime makes its cgroups,
//! writes its maps and its state; they meet twice (`link::Step`).

use core::ffi::CStr;

use super::child::{self, Spawned};
use super::foreground::{self, Init};
use super::process::start_time;
use super::state::{State, StateDir};
use super::{CreateRequest, Manager};
use crate::cgroup::Cgroup;
use crate::error::{Context as _, Errno, Error, Result};
use crate::host::{self, Cgroups};
use crate::init::{self, Inherited};
use crate::link::{self, Report, Step};
use crate::plan::{self, Plan};
use crate::rootfs::{Hierarchy, Sources};
use crate::sys::memory::{self, Growing};
use crate::sys::{AsFd, BorrowedFd, CWD, OwnedFd, fd, file, process, security, socket, time};
use crate::{debug, spec, warn};

/// A config is not larger than this: 64 MiB, hundreds of times what the largest engines write.
const CONFIG_LIMIT: usize = 64 << 20;
/// The fifo whose opening for writing starts a created container.
pub(super) const EXEC_FIFO: &CStr = c"exec.fifo";

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
    let made = make(context, request, Until::Started)?;
    if request.detach {
        return Ok(0);
    }
    let code = match &made.master {
        Some(master) => foreground::relay(&made.init, master)?,
        None => foreground::supervise(&made.init)?,
    };
    if !request.keep {
        remove(made.cgroup, made.state)?;
    }
    Ok(code)
}

/// How far `make` goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Created,
    Started,
}

/// A container that is made.
struct Made {
    init: Init,
    state: StateDir,
    cgroup: Cgroup,
    /// The other side of its terminal, if we relay it.
    master: Option<OwnedFd>,
}

fn make(context: &super::Context, request: &CreateRequest, until: Until) -> Result<Made> {
    let listen_fds = listen_fds(context)?;
    check_preserved(request.preserve_fds + listen_fds)?;
    file::fill_standard().context("open", "/dev/null")?;
    fd::cloexec_from(3 + request.preserve_fds + listen_fds).context("close_range", "inherited descriptors")?;
    process::umask(0);

    let bundle = file::open_dir(CWD, request.bundle).context("open the bundle", text(request.bundle))?;
    let config = read_config(bundle.as_fd(), request.config)?;
    let spec = spec::parse(config)?;
    let cgroups = match context.manager {
        Manager::Cgroupfs => host::cgroups()?,
        Manager::Disabled => Cgroups::None,
    };
    let plan = plan::compile(
        spec,
        &cgroups,
        &plan::Request {
            id: request.id,
            no_pivot: request.no_pivot,
            no_new_keyring: request.no_new_keyring,
            no_cgroups: context.manager == Manager::Disabled,
            listen_fds,
            preserve_fds: request.preserve_fds,
        },
    )?;
    check_terminal(&plan, request, until)?;

    // From here on the host changes. The state comes first, so that whatever kills us, `delete` finds all the rest.
    let state = StateDir::create(context, request.id)?;
    let made = in_state(request, until, &plan, &cgroups, bundle, &state, context);
    match made {
        Ok((init, cgroup, master)) => Ok(Made { init, state, cgroup, master }),
        Err(error) => {
            let _ = state.remove();
            Err(error)
        }
    }
}

type Parts = (Init, Cgroup, Option<OwnedFd>);

fn in_state(
    request: &CreateRequest,
    until: Until,
    plan: &Plan<'_>,
    cgroups: &Cgroups<'_>,
    bundle: OwnedFd,
    dir: &StateDir,
    context: &super::Context,
) -> Result<Parts> {
    let bundle_path = absolute(request.bundle)?;
    let mut state = State {
        id: plan.id,
        bundle: bundle_path,
        rootfs: rootfs_path(bundle_path, plan.root.path),
        created: time::realtime(),
        owner: process::geteuid(),
        cgroup_path: plan.cgroup.path,
        cgroup_manager: context.manager.name(),
        annotations: plan.annotations.into(),
        ..State::default()
    };
    dir.write(&state)?;

    let console = Console::open(plan, request)?;
    let fds = child::open_namespaces(plan)?;
    let sources = Sources::open(plan, bundle.as_fd())?;
    let start = if until == Until::Created { Some(make_fifo(dir)?) } else { None };
    let hierarchies = hierarchies(plan, cgroups);
    let mut cgroup = Cgroup::prepare(&plan.cgroup, cgroups)?;
    let (parent, ours) = link::pair()?;
    let signal_mask = process::set_signal_mask(foreground::ALL);
    // A child whose end nobody is told of could not be waited for; our caller may have ignored this signal.
    process::reset_signal(foreground::SIGCHLD);
    // Before the first namespace is joined: nobody in there may look into us (CVE-2016-9962).
    security::set_dumpable(false).context("prctl", "PR_SET_DUMPABLE")?;

    let (pid, pidfd) = match child::spawn(plan, &fds, cgroup.birthplace()) {
        Ok(Spawned::Runtime { pid, pidfd }) => (pid, pidfd),
        Ok(Spawned::Init) => {
            // The other end must close when the runtime dies, and so must the lock on its state.
            drop(parent);
            dir.close_in_child();
            let inherited = Inherited {
                link: ours,
                sources: Some(sources),
                hierarchies,
                console: console.theirs,
                start,
                signal_mask,
                namespaces: child::init_joins(plan).then_some(fds),
            };
            init::main(plan, inherited)
        }
        Err(error) => {
            let _ = cgroup.remove();
            return Err(error);
        }
    };
    drop((ours, sources, fds, start, console.theirs));
    let init = Init { pid, pidfd };
    match meanwhile(request, until, plan, dir, &mut state, &mut cgroup, &init, &parent) {
        Ok(()) => {}
        Err(error) => {
            undo(&init, cgroup);
            return Err(error);
        }
    }
    let master = match console.ours {
        Some(socket) => match receive_master(&socket) {
            Ok(master) => Some(master),
            Err(error) => {
                undo(&init, cgroup);
                return Err(error);
            }
        },
        None => None,
    };
    Ok((init, cgroup, master))
}

/// The runtime's half of the work, while init does its own.
#[expect(clippy::too_many_arguments, reason = "the steps in their order are one story")]
fn meanwhile(
    request: &CreateRequest,
    until: Until,
    plan: &Plan<'_>,
    dir: &StateDir,
    state: &mut State<'_>,
    cgroup: &mut Cgroup,
    init: &Init,
    link: &link::Parent,
) -> Result<()> {
    state.pid = init.pid;
    if let Some(maps) = &plan.namespaces.maps {
        write_maps(init.pid, maps)?;
        link.tell(Step::Mapped);
    }
    cgroup.place(init.pid)?;
    link.tell(Step::Placed);
    if let Some(score) = plan.process.oom_score_adj {
        put_proc(init.pid, "oom_score_adj", memory::format(format_args!("{score}")))
            .map_err(|error| error.hint("lowering it needs CAP_SYS_RESOURCE"))?;
    }
    state.start_time = start_time(init.pid)?;
    dir.write(state)?;
    match until {
        Until::Started => {
            if let Some(path) = request.pid_file {
                write_pid_file(path, init.pid)?;
            }
            link.tell(Step::Start);
            hear_ready(link, cgroup, init)?;
            // Its end shows when the user's program has taken over, or it could not.
            hear_closed(link)
        }
        Until::Created => {
            hear_ready(link, cgroup, init)?;
            match request.pid_file {
                Some(path) => write_pid_file(path, init.pid),
                None => Ok(()),
            }
        }
    }
}

fn hear_ready(link: &link::Parent, cgroup: &Cgroup, init: &Init) -> Result<()> {
    match link.hear()? {
        Report::Ready => Ok(()),
        Report::Failed(error) => Err(error),
        Report::Closed => Err(died(cgroup, init)),
    }
}

fn hear_closed(link: &link::Parent) -> Result<()> {
    match link.hear()? {
        Report::Failed(error) => Err(error),
        Report::Ready | Report::Closed => Ok(()),
    }
}

/// Init died without a word: most often of the container's memory limit.
#[cold]
fn died(cgroup: &Cgroup, init: &Init) -> Error {
    let status = process::wait(init.pid, true).ok().flatten().map_or(0, |(_, status)| process::exit_code(status));
    if cgroup.oom_killed() {
        return Error::says(format_args!("the container's init was killed: OOM: the memory limit could be too low"));
    }
    Error::says(format_args!("the container's init ended before it was ready, with code {status}"))
}

/// Everything that was made goes again.
fn undo(init: &Init, cgroup: Cgroup) {
    const SIGKILL: u32 = 9;
    let _ = process::pidfd_send_signal(init.pidfd.as_fd(), SIGKILL);
    let _ = process::wait(init.pid, true);
    if let Err(error) = cgroup.remove() {
        warn!("{error}, ignored");
    }
}

fn remove(cgroup: Cgroup, state: StateDir) -> Result<()> {
    cgroup.remove()?;
    state.remove()
}

/// Reads the config, from the bundle unless the caller names another file.
fn read_config(bundle: BorrowedFd<'_>, other: Option<&'static CStr>) -> Result<&'static [u8]> {
    let (dir, path) = match other {
        Some(path) => (CWD, path),
        None => (bundle, c"config.json"),
    };
    let config = file::openat(dir, path, file::OFlags::RDONLY, file::Mode::empty()).context("open", text(path))?;
    match file::read_to_end(config.as_fd(), CONFIG_LIMIT) {
        Err(Errno::FBIG) => Err(Error::because("read", text(path), "is larger than 64 MiB")),
        config => config.context("read", text(path)),
    }
}

/// LISTEN_FDS of the caller: sd_listen_fds(3).
fn listen_fds(context: &super::Context) -> Result<u32> {
    let Some(value) = context.start.var("LISTEN_FDS") else { return Ok(0) };
    let value = text(value);
    if value.is_empty() {
        return Ok(0);
    }
    value.parse().map_err(|_| Error::because("LISTEN_FDS", value, "is no number"))
}

fn check_preserved(count: u32) -> Result<()> {
    for number in (3..).take(count as usize) {
        if !file::is_open(fd::inherited(number)) {
            let subject = memory::format(format_args!("{number}"));
            return Err(Error::because("preserve the descriptor", subject, "is not open"));
        }
    }
    Ok(())
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

/// Who gets the terminal's other side: the caller's socket, or we ourselves.
struct Console {
    theirs: Option<OwnedFd>,
    ours: Option<OwnedFd>,
}

impl Console {
    fn open(plan: &Plan<'_>, request: &CreateRequest) -> Result<Console> {
        if plan.process.terminal.is_none() {
            return Ok(Console { theirs: None, ours: None });
        }
        match request.console_socket {
            Some(path) => {
                let socket = socket::connect_stream(path).context("connect to the console socket", text(path))?;
                Ok(Console { theirs: Some(socket), ours: None })
            }
            None => {
                let (ours, theirs) = socket::pair().context("socketpair", "for the terminal")?;
                Ok(Console { theirs: Some(theirs), ours: Some(ours) })
            }
        }
    }
}

fn receive_master(socket: &OwnedFd) -> Result<OwnedFd> {
    let master = socket::recv_fd(socket.as_fd()).context("receive", "the container's terminal")?;
    master.ok_or(Error::because("receive", "the container's terminal", "it was not sent"))
}

fn make_fifo(dir: &StateDir) -> Result<OwnedFd> {
    file::mknodat(dir.fd(), EXEC_FIFO, file::FileType::Fifo, 0o600, 0).context("mkfifo", "exec.fifo")?;
    let flags = file::OFlags::RDONLY | file::OFlags::NONBLOCK;
    file::openat(dir.fd(), EXEC_FIFO, flags, file::Mode::empty()).context("open", "exec.fifo")
}

/// Where the container's cgroups will be, for its `/sys/fs/cgroup`.
fn hierarchies<'a>(plan: &Plan<'a>, cgroups: &Cgroups<'_>) -> &'a [Hierarchy<'a>] {
    let mut list: Growing<'a, Hierarchy<'a>> = Growing::new();
    for (name, path, links) in plan.cgroup.mounts(cgroups) {
        list.push(Hierarchy { name, path, links });
    }
    debug!("{} cgroup hierarchies", list.len());
    list.finish()
}

/// The maps of a new user namespace: user_namespaces(7).
fn write_maps(pid: i32, maps: &plan::namespace::Maps<'_>) -> Result<()> {
    put_proc(pid, "uid_map", maps.uid)?;
    put_proc(pid, "gid_map", maps.gid)
}

/// A file of a process in the host's procfs.
fn put_proc(pid: i32, name: &str, value: &str) -> Result<()> {
    let path = memory::format(format_args!("/proc/{pid}/{name}"));
    let write = || {
        let path = memory::cstr(path).ok_or(Errno::INVAL)?;
        file::put(CWD, path, value.as_bytes())
    };
    write().context("write", path)
}

/// The decimal pid, without a newline, in place: conmon waits until it can read a number.
fn write_pid_file(path: &CStr, pid: i32) -> Result<()> {
    let write = || {
        let flags = file::OFlags::WRONLY | file::OFlags::CREATE | file::OFlags::TRUNC;
        let file = file::openat(CWD, path, flags, file::Mode::from_raw_mode(0o644))?;
        file::write_all(file.as_fd(), memory::format(format_args!("{pid}")).as_bytes())
    };
    write().context("write the pid file", text(path))
}

/// An absolute path, for the state.
fn absolute(path: &'static CStr) -> Result<&'static str> {
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

fn text(path: &CStr) -> &str {
    path.to_str().unwrap_or("?")
}
