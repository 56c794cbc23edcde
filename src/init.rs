//! The life cycle from inside: what init, the container's first process, does between clone3(2) and execve(2). Here is
//! the order of the steps and the reasons for the order; the files below perform one kind of step each. Init sees the
//! plan, never the config; it decides nothing and parses nothing.

#![forbid(unsafe_code)]

mod console;
pub mod enter;
mod exec;
pub(crate) mod identity;
mod label;
pub mod mounts;
pub mod namespaces;
pub mod scheduling;

use core::ffi::CStr;

use crate::cgroup::{Cgroup, Doors};
use crate::error::{Context, Result};
use crate::hook::Runner;
use crate::link::{self, Child, Step};
use crate::log::{self, Level};
use crate::plan::Plan;
use crate::plan::hooks::Stage;
use crate::plan::process::Process;
use crate::rootfs::{self, Hierarchy, Rootfs, Sources};
use crate::sys::namespace::kind;
use crate::sys::{self, AsFd, CWD, OwnedFd, file, namespace, process, sched, shown};

/// What init has from the runtime beside the plan.
pub struct Inherited<'a> {
    /// To talk with the runtime.
    pub link: Child,
    /// Where the bundle is.
    pub bundle: &'a CStr,
    /// Trees opened beforehand; taken when they are attached. None if only init is root, in its user namespace.
    pub sources: Option<Sources>,
    /// The namespaces to be joined, if that is left to init.
    pub namespaces: Option<sys::fd::FdList>,
    /// The way into its cgroups: where it was born, and those that were open before.
    pub doors: Option<Doors<'a>>,
    /// Cgroups that the runtime makes meanwhile, and that are entered by their paths.
    pub cgroup: Option<Cgroup<'a>>,
    /// Where its cgroups are.
    pub hierarchies: &'a [Hierarchy<'a>],
    /// The socket that the terminal's other side is sent to.
    pub console: Option<OwnedFd>,
    /// The size of the caller's terminal (rows, columns), if that is what the container's is relayed to.
    pub console_size: Option<(u16, u16)>,
    /// `exec.fifo`, whose opening for writing means `start`; none for `run`.
    pub start: Option<OwnedFd>,
    /// Where `start` hears that a hook has failed, or by its end that none has.
    pub answer: Option<OwnedFd>,
    /// Runs hooks, if there are any.
    pub hooks: Option<Runner<'a>>,
    /// Whether the caller has no id but root's.
    pub is_root: bool,
    /// The signal mask that the caller had.
    pub signal_mask: process::SignalSet,
}

/// Becomes the container's process. Never returns: it executes, or reports and exits.
pub fn main(plan: &Plan<'_>, mut inherited: Inherited<'_>) -> ! {
    let Err(error) = become_container(plan, &mut inherited);
    if !inherited.link.failed(&error) && !inherited.answer.is_some_and(|answer| link::answer(answer.as_fd(), &error)) {
        // The runtime is gone, as it is for a container that was created and then started.
        log::log(Level::Error, format_args!("{error}"));
    }
    process::exit(1)
}

/// The runtime has died; what is left of the container is not for anybody.
fn orphaned() -> ! {
    process::exit(1)
}

/// Through the doors that the runtime opened, or through those that we opened ourselves.
fn enter_cgroups(theirs: Option<&Doors<'_>>, ours: Option<&Doors<'_>>) -> Result<()> {
    theirs.map_or(Ok(()), Doors::enter)?;
    ours.map_or(Ok(()), Doors::enter)
}

/// A line may move only together with its reason.
fn become_container(plan: &Plan<'_>, inherited: &mut Inherited<'_>) -> Result<core::convert::Infallible> {
    let user_namespace = plan.namespaces.has(kind::USER);
    let hooked = plan.hooks.during_create();
    // While we may still go where the caller may.
    let place = match &inherited.hooks {
        Some(runner) if hooked && !plan.namespaces.joins(kind::MOUNT) => {
            Some(rootfs::own_place(plan, runner.bundle())?)
        }
        _ => None,
    };
    // With the caller's own rights, while we have his ids and groups; by its path, for a directory that was opened in the
    // host's mount namespace leads there.
    let go_to_bundle = || process::chdir(inherited.bundle);
    let sources = match inherited.sources.take() {
        Some(mut sources) => {
            if user_namespace && plan.namespaces.new & kind::MOUNT != 0 && go_to_bundle().is_ok() {
                sources.lock(plan)?;
            }
            sources
        }
        None => {
            go_to_bundle().context("chdir", shown(inherited.bundle))?;
            Sources::open(plan, CWD)?
        }
    };
    if plan.namespaces.maps.is_some() && inherited.link.wait(Step::Mapped).is_none() {
        orphaned();
    }
    // For nearly everything that follows is checked against our ids in the user namespace.
    if user_namespace {
        identity::become_root(&plan.process.user)?;
        if plan.namespaces.ipc_of_root() != 0 {
            namespace::unshare(kind::IPC).context("unshare", "the IPC namespace")?;
        }
    }
    if let Some(fds) = &inherited.namespaces {
        namespaces::join(plan, fds, !kind::PID)?;
    }
    // Its own session: no process of the container shares a terminal with the caller (CVE-2016-10124).
    process::setsid().context("setsid", "")?;
    // While the host's procfs is there.
    let labels = label::Files::open(&plan.process.labels)?;
    if let Some(name) = plan.keyring {
        labels.around_keyring(&plan.process.labels, || identity::join_keyring(name))?;
    }

    let mut rootfs = Rootfs::attach(plan, sources, place)?;
    // When a cgroup mount comes, or nothing else can be mounted: until then the runtime makes the cgroups and writes
    // its state while we mount.
    let theirs = inherited.doors.take();
    // Hooks look for the container's cgroups by its pid.
    let copies = plan.mounts.steps.iter().any(|mount| mount.copy_up);
    let early = hooked || copies || plan.namespaces.new & kind::CGROUP != 0;
    let mut met = None;
    let mut meet = || -> Result<()> {
        if met.is_none() {
            let Some(ignored) = inherited.link.wait(Step::Recorded) else { orphaned() };
            // Opened while the host's paths can be named.
            let doors = inherited.cgroup.map(|cgroup| cgroup.open_all()).transpose()?;
            // Its root is the cgroup that we are in when it is made; a cgroup mount shows what is below.
            if early {
                enter_cgroups(theirs.as_ref(), doors.as_ref())?;
            }
            if plan.namespaces.new & kind::CGROUP != 0 {
                namespace::unshare(kind::CGROUP).context("unshare", "the cgroup namespace")?;
            }
            met = Some((ignored, doors));
        }
        Ok(())
    };
    let hierarchies = inherited.hierarchies;
    rootfs.mount_all(|| meet().map(|()| hierarchies))?;
    meet()?;
    let Some((ignored, doors)) = met else { orphaned() };

    rootfs.make_devices()?;
    // Before the sysctls, which may be those of a network device that a hook brings.
    if let Some(runner) = inherited.hooks.filter(|_| hooked) {
        if plan.hooks.any(&[Stage::Prestart, Stage::CreateRuntime])
            && (!inherited.link.ready() || inherited.link.wait(Step::Hooked).is_none())
        {
            orphaned();
        }
        runner.run(Stage::CreateContainer, process::getpid(), &|| Ok(()))?;
    }
    // Through the kernel's own files, before an image can be looked at in their place.
    for sysctl in plan.sysctl {
        let procfs = sys::root::Root::new(rootfs.procfs()?);
        let set = || {
            let file = procfs.open_kernel_file(sysctl.file, file::OFlags::WRONLY)?;
            file::write_all(file.as_fd(), sysctl.value.as_bytes())
        };
        set().context("write the sysctl", sysctl.name)?;
    }
    if plan.namespaces.new & kind::NETWORK != 0 {
        namespace::loopback_up().context("bring up", "the loopback device")?;
    }
    if let Some(name) = plan.hostname {
        namespace::sethostname(name.as_bytes()).context("sethostname", name)?;
    }
    if let Some(name) = plan.domainname {
        namespace::setdomainname(name.as_bytes()).context("setdomainname", name)?;
    }
    // The terminal comes from the container's own devpts, and its name from nowhere.
    let terminal = match plan.process.terminal {
        Some(size) => {
            let size = size.or(inherited.console_size);
            let terminal = console::open(&rootfs.root(), &plan.process, size)?;
            rootfs.mount_console(terminal.ours.as_fd())?;
            Some(terminal.hand_over(inherited.console.take())?)
        }
        None => None,
    };
    rootfs.protect()?;
    rootfs.make_directory(plan.process.cwd);
    // Each takes new credentials, and the kernel keeps the old ones for a while. After the hooks of the container's
    // creation, which are executed with all capabilities.
    identity::drop_bounding(&plan.process)?;
    // Before the last steps: what we took so far is not charged to the container's limits.
    if !early {
        enter_cgroups(theirs.as_ref(), doors.as_ref())?;
    }
    // The passwd file is the container's, and only wanted if the config left HOME out. Below the device rules: an image
    // may have any device there, and some do something when they are opened.
    let home = if plan.process.has_home { None } else { Some(identity::home(&rootfs.root(), plan.process.user.uid)) };
    // Where the caller may run says nothing about the container; its cpuset does.
    sched::reset_affinity(0).context("sched_setaffinity", "")?;
    if !user_namespace {
        scheduling::set_priorities(0, &plan.process.scheduling)?;
    }
    labels.set(&plan.process.labels)?;
    rootfs.enter()?;
    rootfs.restore_limits()?;
    // From here on a path of the host cannot be named, and no descriptor leads there.
    drop((rootfs, doors, theirs, labels));
    sys::fd::close_dropped();

    let is_root = inherited.is_root && !user_namespace;
    become_user(&plan.process, &inherited.link, user_namespace, is_root, terminal.as_ref())?;
    exec::keep_descriptors(plan.preserve_fds)?;
    // Looked up before `create` returns, so that a missing program is its failure, and by the user who executes it.
    let program = exec::program(&plan.process, inherited.start.is_none() && inherited.hooks.is_none())?;
    let args = process::Vector::new(plan.process.args);
    let env = exec::environment(&plan.process, home);

    exec::reset_signals(ignored, inherited.signal_mask);
    if !inherited.link.ready() {
        orphaned();
    }
    exec::install_listened(&plan.process, &inherited.link)?;
    if let Some(fifo) = inherited.start.take() {
        exec::wait_for_start(&fifo)?;
    }
    if let Some(runner) = &inherited.hooks {
        // What the container has for a hook is confined as its process is, whose filter comes only later.
        let confine = || exec::install_last(&plan.process, &inherited.link);
        runner.run(Stage::StartContainer, process::getpid(), &confine)?;
    }
    exec::replace(&plan.process, &inherited.link, program, &args, &env)
}

/// Gives up what is the runtime's: limits, ids, capabilities, the caller's terminal; and goes where the process starts.
/// The root is the container's, and we are in it.
fn become_user(
    planned: &Process<'_>,
    link: &Child,
    user_namespace: bool,
    is_root: bool,
    terminal: Option<&OwnedFd>,
) -> Result<()> {
    identity::give_standard_streams(planned, user_namespace)?;
    identity::set_limits(planned)?;
    scheduling::set_own(&planned.scheduling)?;
    // A directory that only the caller's privileges can enter is tried with them first, then with the user's.
    // The root we are in already.
    let cwd = planned.cwd;
    let entered = if cwd == c"/" { Ok(()) } else { process::chdir(cwd) };
    identity::drop_privileges(planned, link, is_root)?;
    if let Some(terminal) = terminal {
        // Only after the last warning, which is the caller's to hear, not the container's.
        console::become_standard(terminal)?;
    }
    if entered.is_err() {
        process::chdir(cwd).context("chdir", shown(cwd))?;
    }
    if cwd != c"/" {
        exec::check_cwd()?;
    }
    Ok(())
}
