//! `linux.sysctl`: kernel parameters of the container's own namespaces, and of nothing else.

use crate::sys::utf8;
use core::ffi::CStr;

use super::namespace::{self, Namespaces};
use crate::error::{Error, Quoted, Result};
use crate::sys::memory::{self, Growing};
use crate::sys::namespace::kind;

/// One parameter.
#[derive(Clone, Copy)]
pub struct Sysctl<'a> {
    /// The name as the config has it, for errors.
    pub name: &'a str,
    /// The file below a procfs: `sys/net/ipv4/ip_forward`.
    pub file: &'a CStr,
    pub value: &'a str,
}

/// System V IPC, ipc_namespaces(7).
#[rustfmt::skip]
static IPC: &[&str] = &[
    "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem", "kernel/shmall", "kernel/shmmax",
    "kernel/shmmni", "kernel/shm_rmid_forced",
];

/// The plan of them.
///
/// # Errors
/// A parameter that is not of a namespace, or whose namespace the container does not have of its own.
pub fn plan<'a>(
    sysctls: &[(&'a str, &'a str)],
    namespaces: &Namespaces<'_>,
    domainname: bool,
) -> Result<&'a [Sysctl<'a>]> {
    let mut planned = Growing::new();
    for (name, value) in sysctls.iter().copied() {
        let wrong = |why: core::fmt::Arguments<'_>| Error::config(format_args!("linux.sysctl[{}]", Quoted(name)), why);
        let path = slashes(name);
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) || path.contains('\0') {
            return Err(wrong(format_args!("is no name of a kernel parameter")));
        }
        let conflict = match path {
            "kernel/hostname" => Some("hostname"),
            "kernel/domainname" if domainname => Some("domainname"),
            _ => None,
        };
        if let Some(field) = conflict {
            return Err(wrong(format_args!("the sysctl `{name}` conflicts with OCI field `{field}`")));
        }
        let Some(needed) = namespace_of(path) else {
            return Err(wrong(format_args!("the sysctl `{name}` is not namespaced")));
        };
        if !namespaces.has(needed) {
            let kind = namespace::name(needed);
            return Err(wrong(format_args!("the sysctl `{name}` requires a new {kind} namespace")));
        }
        let Some(file) = memory::joined(&["sys/", path]) else {
            return Err(wrong(format_args!("is no name of a kernel parameter")));
        };
        planned.push(Sysctl { name, file, value });
    }
    Ok(planned.finish())
}

/// Which namespace a parameter is of.
fn namespace_of(path: &str) -> Option<u64> {
    match path {
        _ if IPC.contains(&path) || path.starts_with("fs/mqueue/") => Some(kind::IPC),
        _ if path.starts_with("net/") => Some(kind::NETWORK),
        _ if path.starts_with("user/") => Some(kind::USER),
        "kernel/domainname" => Some(kind::UTS),
        _ => None,
    }
}

/// As sysctl(8) reads a name: whichever of `.` and `/` comes first separates; the other is a part of a component, as
/// in `net.ipv4.conf.eth0/100.forwarding`.
fn slashes(name: &str) -> &str {
    match name.find(['.', '/']) {
        Some(at) if name.as_bytes()[at] == b'.' => {
            let bytes = memory::copy(name.as_bytes());
            for byte in bytes.iter_mut() {
                *byte = match *byte {
                    b'.' => b'/',
                    b'/' => b'.',
                    other => other,
                };
            }
            utf8(bytes).unwrap_or(name)
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths() {
        assert_eq!(slashes("net.ipv4.ip_forward"), "net/ipv4/ip_forward");
        assert_eq!(slashes("net/ipv4/conf/eth0.100/forwarding"), "net/ipv4/conf/eth0.100/forwarding");
        assert_eq!(slashes("net.ipv4.conf.eth0/100.forwarding"), "net/ipv4/conf/eth0.100/forwarding");
    }

    #[test]
    fn only_parameters_of_namespaces() {
        assert_eq!(namespace_of("kernel/shmmax"), Some(kind::IPC));
        assert_eq!(namespace_of("fs/mqueue/msg_max"), Some(kind::IPC));
        assert_eq!(namespace_of("net/core/somaxconn"), Some(kind::NETWORK));
        assert_eq!(namespace_of("kernel/core_pattern"), None);
        assert_eq!(namespace_of("vm/swappiness"), None);
    }
}
