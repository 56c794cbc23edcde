//! `linux.netDevices`: interfaces of the host that become the container's.

use super::namespace::Namespaces;
use crate::error::{Error, Quoted, Result};
use crate::spec;
use crate::sys::memory::Growing;
use crate::sys::namespace::kind;

/// One of them.
#[derive(Clone, Copy)]
pub struct NetDevice<'a> {
    /// Its name on the host.
    pub host: &'a str,
    /// Its name in the container; `%d` in it becomes the first number that is free there.
    pub name: &'a str,
}

/// The plan of them.
///
/// # Errors
/// What the config has wrong, with its path.
pub fn plan<'a>(
    devices: &[(&'a str, spec::NetDevice<'a>)],
    namespaces: &Namespaces<'_>,
) -> Result<&'a [NetDevice<'a>]> {
    let mut planned: Growing<'a, NetDevice<'a>> = Growing::new();
    for (host, device) in devices.iter().copied() {
        let name = device.name.filter(|name| !name.is_empty()).unwrap_or(host);
        let why = if !namespaces.has(kind::NETWORK) {
            "needs a network namespace in linux.namespaces"
        } else if !is_name(host) || host.contains('%') {
            "is no name of a network device"
        } else if !is_name(name) {
            "the name in the container is none of a network device"
        } else if !name.contains('%') && planned.as_slice().iter().any(|other| other.name == name) {
            "the name in the container is there twice"
        } else {
            planned.push(NetDevice { host, name });
            continue;
        };
        return Err(Error::config(format_args!("linux.netDevices[{}]", Quoted(host)), format_args!("{why}")));
    }
    Ok(planned.finish())
}

/// What the kernel takes: at most 15 bytes, a path component, without blanks and colons.
fn is_name(name: &str) -> bool {
    let is_bad = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b':' | 0 | 0x0b);
    matches!(name.len(), 1..=15) && !matches!(name, "." | "..") && !name.bytes().any(is_bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, good) in [
            ("eth0", true),
            ("a23456789012345", true),
            ("eth%d", true),
            ("\u{e4}", true),
            ("", false),
            ("a234567890123456", false),
            (".", false),
            ("..", false),
            ("a b", false),
            ("a/b", false),
            ("a:b", false),
            ("a\0", false),
        ] {
            assert_eq!(is_name(name), good, "{name:?}");
        }
    }
}
