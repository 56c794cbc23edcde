//! Decides: the config as written, the facts of the host and the request become a `Plan`, flat and complete, that is
//! performed without another decision. Pure: no system call, no descriptor. Every mistake of a config is found here,
//! before anything on the host has changed, and named by its path.

#![forbid(unsafe_code)]

pub mod device;
pub mod exec;
pub mod hooks;
pub mod identity;
pub mod idmap;
pub mod label;
pub mod limits;
pub mod mount;
pub mod namespace;
pub mod netdevice;
mod page;
pub mod process;
pub mod rdt;
pub mod resources;
pub mod scheduling;
pub mod seccomp;
pub mod sysctl;
pub mod systemd;
pub mod text;

use crate::sys::utf8;
use core::ffi::CStr;
use core::fmt;

use crate::error::{Error, Quoted, Result};
use crate::host::caller::Caller;
use crate::host::{Cgroups, Security};
use crate::json::Map;
use crate::sys::memory::{self, Growing};
use crate::sys::mount::propagation;
use crate::sys::namespace::kind;
use crate::{spec, warn};

use mount::Propagation;

/// What the caller wants beside the config.
#[derive(Clone, Copy, Default)]
pub struct Request<'a> {
    /// The container's id, checked.
    pub id: &'a str,
    /// `--no-pivot`.
    pub no_pivot: bool,
    /// `--no-new-keyring`.
    pub no_new_keyring: bool,
    /// `--cgroup-manager=disabled`.
    pub no_cgroups: bool,
    /// `--cgroup-manager=systemd`, and whose systemd.
    pub systemd: Option<systemd::Owner>,
    /// LISTEN_FDS of the caller's environment.
    pub listen_fds: u32,
    /// `--preserve-fds`.
    pub preserve_fds: u32,
    /// NOTIFY_SOCKET of the caller's environment, and the directory on the host that is mounted there.
    pub notify: Option<[&'a str; 2]>,
    /// Who calls, if it is not root.
    pub caller: Option<Caller>,
    /// The cgroup below which he may make one.
    pub cgroup_parent: &'a str,
    /// What the host can confine by; only looked at if the config has a label.
    pub security: Security,
    /// RUN_OCI_SECCOMP_RECEIVER of the caller's environment, or empty.
    pub seccomp_receiver: &'a str,
}

/// Everything that will be done.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    pub id: &'a str,
    pub namespaces: namespace::Namespaces<'a>,
    pub cgroup: resources::Cgroup<'a>,
    pub root: Root<'a>,
    pub mounts: mount::Mounts<'a>,
    pub devices: &'a [device::Device<'a>],
    pub net_devices: &'a [netdevice::NetDevice<'a>],
    pub masked_paths: &'a [&'a CStr],
    /// `linux.mountLabel`, for the file system over masked directories.
    pub mount_label: Option<mount::Datum<'a>>,
    pub readonly_paths: &'a [&'a CStr],
    pub hostname: Option<&'a str>,
    pub domainname: Option<&'a str>,
    pub sysctl: &'a [sysctl::Sysctl<'a>],
    /// The name of a new session keyring.
    pub keyring: Option<&'a CStr>,
    pub process: process::Process<'a>,
    /// Its class of service.
    pub rdt: Option<rdt::Rdt<'a>>,
    /// Whom its seccomp filter notifies, if it does.
    pub listener: Option<seccomp::Listener<'a>>,
    /// How many descriptors from 3 on the process keeps.
    pub preserve_fds: u32,
    pub hooks: hooks::Hooks<'a>,
    /// What `state` prints.
    pub annotations: Map<'a, &'a str>,
}

/// The root file system.
#[derive(Clone, Copy)]
pub struct Root<'a> {
    /// Absolute, or relative to the bundle.
    pub path: &'a CStr,
    pub readonly: bool,
    /// `linux.rootfsPropagation`; private if the config says nothing.
    pub propagation: Propagation,
    /// By pivot_root(2), or by moving it over the root and chroot(2).
    pub pivot: bool,
}

/// A path in the rootfs: as the config says it, for the kernel; and tidied as text, to compare with the names we know.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    pub given: &'a CStr,
    pub normal: &'a str,
}

/// A name that a table knows, or the bare number.
pub enum Name {
    Known(&'static str),
    Number(u32),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Known(name) => f.write_str(name),
            Name::Number(number) => write!(f, "{number}"),
        }
    }
}

/// Compiles the plan.
///
/// # Errors
/// What the config has wrong or what is not supported, with the path of the field.
pub fn compile<'a>(spec: &spec::Spec<'a>, cgroups: &Cgroups<'_>, request: &Request<'a>) -> Result<Plan<'a>> {
    let missing = |field: &str| Error::config(format_args!("{field}"), format_args!("is required"));
    if spec.oci_version.is_none() {
        return Err(missing("ociVersion"));
    }
    let process = *spec.process.ok_or_else(|| missing("process"))?;
    let (process, mounts) =
        request.notify.map_or((process, spec.mounts), |notify| notified(process, spec.mounts, notify));
    let root = spec.root.ok_or_else(|| missing("root"))?;
    let linux = spec.linux.ok_or_else(|| missing("linux"))?;
    no_extensions(&spec.annotations)?;

    let root = self::root(root, linux.rootfs_propagation, request)?;
    let mut process = process::plan(&process, request.listen_fds, request.security)?;
    let (filter, listener) = seccomp::plan(linux.seccomp, &spec.annotations, request.seccomp_receiver)?;
    process.seccomp = filter;
    process.user.keep_groups = identity::keeps_groups(&spec.annotations);
    process.scheduling.add(linux.memory_policy, linux.personality.as_ref())?;
    let namespaces = namespace::plan(linux, request.caller.as_ref(), &process.user)?;
    for (field, name) in [("hostname", spec.hostname), ("domainname", spec.domainname)] {
        let Some(name) = name.filter(|name| !name.is_empty()) else { continue };
        if !namespaces.has(kind::UTS) {
            return Err(Error::config(format_args!("{field}"), format_args!("{field} requires the UTS namespace")));
        }
        if name.len() > 64 {
            return Err(Error::config(format_args!("{field}"), format_args!("is longer than 64 bytes")));
        }
        cstr(name, format_args!("{field}"))?;
    }
    let hostname = spec.hostname.filter(|name| !name.is_empty());
    let domainname = spec.domainname.filter(|name| !name.is_empty());
    let cgroup_name = match request.cgroup_parent {
        "" => request.id,
        parent => memory::format(format_args!("{parent}/{}", request.id)),
    };
    if request.no_cgroups && request.caller.is_some() && linux.resources.is_some_and(resources::limits_something) {
        warn!("linux.resources: ignored, for this user has no cgroup of his own");
    }
    let mut cgroup = match request.systemd {
        Some(owner) => systemd::cgroup(linux, cgroups, request.id, owner, &spec.annotations)?,
        None => resources::cgroup(Some(linux), cgroups, cgroup_name, !request.no_cgroups)?,
    };
    if request.caller.is_some() {
        // He may not load the program, and can make no device.
        cgroup.limits.devices = None;
    }
    let around = mount::Surroundings {
        propagation: root.propagation,
        linux,
        namespaces: &namespaces,
        label: mount_label(linux, &spec.annotations, request.security)?,
        is_root: request.caller.is_none(),
    };
    let keyring = if request.no_new_keyring { None } else { memory::cstr(request.id) };

    Ok(Plan {
        id: request.id,
        namespaces,
        cgroup: resources::Cgroup {
            delegation: resources::delegate::plan(&spec.annotations, &namespaces, cgroups)?,
            ..cgroup
        },
        mounts: mount::plan(mounts, &around)?,
        root,
        devices: device::plan(linux.devices)?,
        net_devices: netdevice::plan(&linux.net_devices, &namespaces)?,
        mount_label: around.label,
        masked_paths: paths("linux.maskedPaths", linux.masked_paths)?,
        readonly_paths: paths("linux.readonlyPaths", linux.readonly_paths)?,
        hostname,
        domainname,
        sysctl: sysctl::plan(&linux.sysctl, &namespaces, domainname.is_some())?,
        keyring,
        process,
        rdt: rdt::plan(linux.intel_rdt, request.id)?,
        listener,
        preserve_fds: request.preserve_fds.saturating_add(request.listen_fds),
        hooks: hooks::plan(spec.hooks, &spec.annotations)?,
        annotations: spec.annotations,
    })
}

/// `linux.mountLabel` as an option for file systems, under the name that an annotation may choose.
fn mount_label<'a>(
    linux: &spec::Linux<'a>,
    annotations: &Map<'a, &'a str>,
    security: Security,
) -> Result<Option<mount::Datum<'a>>> {
    let annotation = "run.oci.mount_context_type";
    let key = match annotations.get(annotation) {
        None | Some("context") => c"context",
        Some("fscontext") => c"fscontext",
        Some("defcontext") => c"defcontext",
        Some("rootcontext") => c"rootcontext",
        Some(other) => {
            return Err(Error::config(
                format_args!("annotations[{}]", Quoted(annotation)),
                format_args!(
                    "invalid mount context type `{other}` (must be one of: context, fscontext, defcontext, rootcontext)"
                ),
            ));
        }
    };
    let label = label::selinux("linux.mountLabel", linux.mount_label, security)?;
    Ok(label.map(|label| mount::Datum { key, value: Some(label) }))
}

/// The container's own NOTIFY_SOCKET, in a directory where the supervisor's is on the host.
fn notified<'a>(
    process: spec::Process<'a>,
    mounts: &'a [spec::Mount<'a>],
    [path, host]: [&'a str; 2],
) -> (spec::Process<'a>, &'a [spec::Mount<'a>]) {
    let variable = memory::format(format_args!("NOTIFY_SOCKET={path}/notify"));
    let mount = spec::Mount {
        destination: Some(path),
        kind: Some("bind"),
        source: Some(host),
        options: Some(&["bind", "ro", "nosuid", "nodev", "noexec"]),
        ..spec::Mount::default()
    };
    (spec::Process { env: exec::both(process.env, &[variable]), ..process }, exec::both(mounts, &[mount]))
}

/// Annotations that ask for what is not done, without which the container would not do what it is for. A handler, by
/// which crun runs something else than a program of Linux, is a shared object, which a static program does not load.
fn no_extensions(annotations: &[(&str, &str)]) -> Result<()> {
    for (name, value) in annotations.iter().filter(|(_, value)| !value.is_empty()) {
        let because = match *name {
            "run.oci.systemd.force_cgroup_v1" => {
                "isopod mounts no hierarchy of cgroup v1 that the host has not mounted"
            }
            "run.oci.handler" => "isopod has no handlers: it runs programs of Linux only",
            name if name.starts_with("module.wasm.") || name.starts_with("krun.") => {
                "isopod has no handlers: it runs programs of Linux only"
            }
            _ => continue,
        };
        return Err(Error::config(
            format_args!("annotations[{}]", Quoted(name)),
            format_args!("{}: {because}", Quoted(value)),
        ));
    }
    Ok(())
}

fn root<'a>(root: &spec::Root<'a>, propagation: Option<&str>, request: &Request<'_>) -> Result<Root<'a>> {
    let Some(path) = root.path.filter(|path| !path.is_empty()) else {
        return Err(Error::config(format_args!("root.path"), format_args!("is required")));
    };
    let (kind, recursive) = match propagation {
        None | Some("" | "rprivate") => (propagation::PRIVATE, true),
        Some("private") => (propagation::PRIVATE, false),
        Some("slave") => (propagation::SLAVE, false),
        Some("rslave") => (propagation::SLAVE, true),
        Some("shared") => (propagation::SHARED, false),
        Some("rshared") => (propagation::SHARED, true),
        Some("unbindable") => (propagation::UNBINDABLE, false),
        Some("runbindable") => (propagation::UNBINDABLE, true),
        Some(other) => {
            return Err(Error::config(
                format_args!("linux.rootfsPropagation"),
                format_args!("unknown value {}, not one of shared, slave, private, unbindable", Quoted(other)),
            ));
        }
    };
    Ok(Root {
        path: cstr(path, format_args!("root.path"))?,
        readonly: root.readonly.unwrap_or(false),
        propagation: Propagation { kind, recursive },
        pivot: !request.no_pivot,
    })
}

fn paths<'a>(field: &str, paths: &[&'a str]) -> Result<&'a [&'a CStr]> {
    let mut planned: Growing<'a, &'a CStr> = Growing::new();
    for (index, path) in paths.iter().enumerate() {
        if !path.starts_with('/') {
            return Err(Error::config(
                format_args!("{field}[{index}]"),
                format_args!("{} is not absolute", Quoted(path)),
            ));
        }
        // With a slash at the end, a file would not be found.
        let path = match path.trim_end_matches('/') {
            "" => "/",
            path => path,
        };
        planned.push(cstr(path, format_args!("{field}[{index}]"))?);
    }
    Ok(planned.finish())
}

/// A string for the kernel.
pub(crate) fn cstr(text: &str, field: fmt::Arguments<'_>) -> Result<&'static CStr> {
    memory::cstr(text).ok_or_else(|| Error::config(field, format_args!("contains a NUL byte")))
}

/// A path of the rootfs, absolute or (deprecated, config.md) relative to its root; `None` with a NUL byte in it.
pub(crate) fn path_below_root<'a>(path: &str) -> Option<Path<'a>> {
    let given = memory::cstr(path)?;
    let normal = memory::slice(path.len() + 1, 0u8);
    normal[0] = b'/';
    let mut used = 1;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => used = normal[..used].iter().rposition(|byte| *byte == b'/').unwrap_or(0).max(1),
            name => {
                if used > 1 {
                    normal[used] = b'/';
                    used += 1;
                }
                normal[used..used + name.len()].copy_from_slice(name.as_bytes());
                used += name.len();
            }
        }
    }
    Some(Path { given, normal: utf8(&normal[..used])? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_tidied_as_text() {
        for (given, normal) in [
            ("/proc", "/proc"),
            ("proc/", "/proc"),
            ("//proc", "/proc"),
            ("/./proc", "/proc"),
            ("/x/../proc", "/proc"),
            ("/../../proc", "/proc"),
            ("/a/b/../c", "/a/c"),
            ("/", "/"),
            ("..", "/"),
            ("/a/..", "/"),
        ] {
            assert_eq!(path_below_root(given).map(|path| path.normal), Some(normal), "{given}");
        }
    }
}
