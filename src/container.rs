//! The life cycle from outside: what the verbs do to a container, through its state directory, its init process and
//! its cgroup.

#![forbid(unsafe_code)]

mod beside;
mod cgroup;
mod child;
mod console;
pub mod create;
pub mod decide;
pub mod delete;
pub mod events;
mod exe;
pub mod exec;
mod fifo;
mod filter;
mod foreground;
mod hooks;
pub mod id;
pub mod kill;
pub mod list;
mod listener;
mod made;
pub mod mounts;
mod netdevice;
pub(crate) mod notify;
pub mod pause;
mod pid_file;
mod preserved;
pub mod process;
pub mod ps;
pub mod start;
pub mod state;
pub mod state_dir;
pub mod state_root;
mod uid_map;
pub mod update;

use core::ffi::CStr;

use crate::cgroup::is_frozen_by_v2;
use crate::error::{Context as _, Result};
use crate::host;
use crate::plan::systemd::Owner;
use crate::sys::start::Start;
use crate::sys::{AsFd, OwnedFd, shown, socket};
use cgroup::{cgroup_of, remove_cgroup};

/// The version of the OCI runtime specification that we follow.
pub const SPEC_VERSION: &str = "1.3.0";

/// crun's words for what needs a cgroup and has none.
const NO_CGROUPS: &str = "the container is not using cgroups";

/// What every verb is told.
#[derive(Clone, Copy)]
pub struct Context {
    /// The directory with one state directory per container: `--root`.
    pub root: &'static CStr,
    /// Who makes cgroups.
    pub manager: Manager,
    /// What the kernel started us with; the environment has LISTEN_FDS and others.
    pub start: Start,
}

impl Context {
    /// Whose systemd is ours.
    fn systemd_owner(&self) -> Owner {
        if self.start.euid == 0 && !host::in_user_namespace() { Owner::System } else { Owner::User }
    }
}

/// Who makes cgroups: `--cgroup-manager`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manager {
    /// We do, in cgroupfs.
    Cgroupfs,
    /// systemd.
    Systemd,
    /// Nobody.
    Disabled,
}

impl Manager {
    /// The word on the command line and in the state file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Manager::Cgroupfs => "cgroupfs",
            Manager::Systemd => "systemd",
            Manager::Disabled => "disabled",
        }
    }
}

/// What `create` and `run` are asked for.
#[derive(Clone, Copy)]
pub struct CreateRequest {
    /// The container's name, checked.
    pub id: &'static str,
    /// The directory with `config.json` and, usually, the rootfs.
    pub bundle: &'static CStr,
    /// Another file than the bundle's `config.json`; relative to the current directory.
    pub config: Option<&'static CStr>,
    /// The socket that gets the terminal.
    pub console_socket: Option<&'static CStr>,
    /// Where init's pid is written.
    pub pid_file: Option<&'static CStr>,
    /// The socket that gets a pidfd of init.
    pub pidfd_socket: Option<&'static CStr>,
    /// How many of the caller's descriptors, from 3 on, the container gets.
    pub preserve_fds: u32,
    /// `run` returns once the container is started.
    pub detach: bool,
    /// `run` leaves the ended container for `delete`.
    pub keep: bool,
    /// MS_MOVE instead of pivot_root(2).
    pub no_pivot: bool,
    /// Init stays in our session keyring.
    pub no_new_keyring: bool,
}

/// Connects to who wants a pidfd.
fn connect_for_pidfd(path: &CStr) -> Result<OwnedFd> {
    socket::connect_stream(path).context("connect to the pidfd socket", shown(path))
}

/// Sends a pidfd, with the word that runc sends with it.
fn send_pidfd(socket: &OwnedFd, word: &str, pidfd: &OwnedFd) -> Result<()> {
    socket::send_fd(socket.as_fd(), word.as_bytes(), pidfd.as_fd()).context("send", "the pidfd of the process")
}

/// Whether the container's processes are frozen, as init shows it, asking as little as possible: engines want to know
/// often.
fn is_frozen(state: &state::State<'_>, init: process::Stat) -> Result<bool> {
    match init.freezer() {
        process::Freezer::None => Ok(false),
        process::Freezer::NoneOrV2 => Ok(is_frozen_by_v2(state.cgroup_path)),
        process::Freezer::Any => Ok(cgroup_of(state)?.is_frozen()),
    }
}
