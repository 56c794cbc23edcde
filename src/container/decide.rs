//! What `create`, `run` and `plan` know before anything happens: the config is read, and the plan made of it and of what
//! the caller and the machine are.

#![forbid(unsafe_code)]

use core::ffi::CStr;

use super::{CreateRequest, Manager, notify, preserved};
use crate::error::{Context as _, Errno, Error, Result};
use crate::host::caller::Caller;
use crate::host::{self, Cgroups};
use crate::plan::text::Shown;
use crate::plan::{self, Plan};
use crate::spec;
use crate::sys::namespace::kind;
use crate::sys::{AsFd, BorrowedFd, CWD, OwnedFd, file, memory, process, shown, utf8};

/// A config is not larger than this: 64 MiB, hundreds of times what the largest engines write.
const CONFIG_LIMIT: usize = 64 << 20;

/// What `run` would do with the same request, for people or as JSON. Nothing is done.
///
/// # Errors
/// Whatever is wrong with the config.
pub fn explain(context: &super::Context, request: &CreateRequest, as_json: bool) -> Result<&'static str> {
    let bundle = open_bundle(request)?;
    let decided = decide(context, request, bundle.as_fd(), preserved::listen_fds(context)?)?;
    Ok(show(context, decided.plan, &decided.place, as_json))
}

pub(super) fn show(context: &super::Context, plan: &Plan<'_>, place: &Place, as_json: bool) -> &'static str {
    let state = memory::format(format_args!("{}/{}", shown(context.root), plan.id));
    let shown = Shown { plan, cgroups: &place.cgroups, state };
    if as_json { memory::format(format_args!("{shown:#}\n")) } else { memory::format(format_args!("{shown}")) }
}

pub(super) fn open_bundle(request: &CreateRequest) -> Result<Bundle> {
    if request.bundle == c"." {
        return Ok(Bundle(None));
    }
    file::open_dir(CWD, request.bundle).map(Some).map(Bundle).context("open the bundle", shown(request.bundle))
}

/// The bundle's directory, or the current one.
pub(super) struct Bundle(Option<OwnedFd>);

impl Bundle {
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_ref().map_or(CWD, AsFd::as_fd)
    }
}

/// What is known before anything has happened.
pub(super) struct Decided {
    pub(super) spec: &'static spec::Spec<'static>,
    pub(super) plan: &'static Plan<'static>,
    pub(super) place: Place,
    /// NOTIFY_SOCKET.
    pub(super) supervisor: Option<&'static CStr>,
    /// Whether the caller is not root.
    pub(super) rootless: bool,
}

pub(super) fn decide(
    context: &super::Context,
    request: &CreateRequest,
    bundle: BorrowedFd<'_>,
    listen_fds: u32,
) -> Result<Decided> {
    let config = read_config(bundle, request.config)?;
    let spec = spec::parse(config)?;
    let caller = Caller::find(context.start.euid)?;
    let place = Place::find(context, spec, caller.is_some())?;
    let supervisor = notify::wanted(context);
    let notify = match supervisor {
        Some(path) => {
            let host = memory::format(format_args!("{}/{}/notify", absolute(context.root)?, request.id));
            Some([shown(path), host])
        }
        None => None,
    };
    let plan = memory::keep(plan::compile(
        spec,
        &place.cgroups,
        &plan::Request {
            id: request.id,
            no_pivot: request.no_pivot,
            no_new_keyring: request.no_new_keyring,
            no_cgroups: place.none,
            systemd: (context.manager == Manager::Systemd).then(|| context.systemd_owner()),
            listen_fds,
            preserve_fds: request.preserve_fds,
            notify,
            caller,
            cgroup_parent: place.parent,
            security: if is_labelled(spec) { host::security() } else { host::Security::default() },
            seccomp_receiver: context.start.var("RUN_OCI_SECCOMP_RECEIVER").map_or("", shown),
        },
    )?);
    Ok(Decided { spec, plan, place, supervisor, rootless: caller.is_some() && plan.namespaces.has(kind::USER) })
}

/// Where the container's cgroup may be.
pub(super) struct Place {
    pub(super) cgroups: Cgroups<'static>,
    /// There is none, so that limits are ignored.
    none: bool,
    /// The cgroup below which it is, unless the config says where.
    parent: &'static str,
    /// Whether the config says where.
    pub(super) asked: bool,
}

impl Place {
    fn find(context: &super::Context, spec: &spec::Spec<'_>, rootless: bool) -> Result<Place> {
        let asked = spec.linux.and_then(|linux| linux.cgroups_path).is_some_and(|path| !path.is_empty());
        let nowhere = Place { cgroups: Cgroups::None, none: true, parent: "", asked };
        if context.manager == Manager::Disabled {
            return Ok(nowhere);
        }
        let cgroups = match spec.linux.and_then(|linux| linux.resources) {
            Some(resources) if plan::resources::may_need_both(resources) => host::cgroups_of_both()?,
            _ => host::cgroups()?,
        };
        // systemd finds the place by itself.
        if !rootless || asked || context.manager == Manager::Systemd {
            return Ok(Place { cgroups, none: false, parent: "", asked });
        }
        Ok(host::delegated(&cgroups).map_or(nowhere, |parent| Place { cgroups, none: false, parent, asked }))
    }
}

/// Whether it names a label of a security module.
fn is_labelled(spec: &spec::Spec<'_>) -> bool {
    let of_process = spec.process.map_or([None; 2], |process| [process.apparmor_profile, process.selinux_label]);
    let of_mounts = spec.linux.and_then(|linux| linux.mount_label);
    plan::label::is_any(&of_process) || plan::label::is_any(&[of_mounts])
}

/// Reads the config, from the bundle unless the caller names another file.
fn read_config(bundle: BorrowedFd<'_>, other: Option<&'static CStr>) -> Result<&'static [u8]> {
    let (dir, path) = match other {
        Some(path) => (CWD, path),
        None => (bundle, c"config.json"),
    };
    let config = file::openat(dir, path, file::OFlags::RDONLY, file::Mode::empty()).context("open", shown(path))?;
    match file::read_to_end(config.as_fd(), CONFIG_LIMIT) {
        Err(Errno::FBIG) => Err(Error::because("read", shown(path), "is larger than 64 MiB")),
        config => config.context("read", shown(path)),
    }
}

/// An absolute path, for the state.
pub(super) fn absolute(path: &'static CStr) -> Result<&'static str> {
    let path = shown(path);
    if path.starts_with('/') {
        return Ok(path);
    }
    let mut buffer = [0; 4096];
    let cwd = process::getcwd(&mut buffer).context("getcwd", "")?;
    let cwd = utf8(cwd).unwrap_or("/");
    Ok(match path {
        "." => memory::text(cwd),
        path => memory::format(format_args!("{}/{path}", cwd.trim_end_matches('/'))),
    })
}

/// The same of the root file system.
pub(super) fn rootfs_path(bundle: &str, root: &CStr) -> &'static str {
    let root = shown(root);
    if root.starts_with('/') { memory::text(root) } else { memory::format(format_args!("{bundle}/{root}")) }
}
