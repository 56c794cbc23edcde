//! `linux.devices` and the default ones: which nodes the container's `/dev` has.

use core::ffi::CStr;

use super::{Path, path_below_root};
use crate::error::{Error, Quoted, Result};
use crate::spec;
use crate::sys::file::{Dev, FileType, makedev};
use crate::sys::memory::Growing;

/// One node.
#[derive(Clone, Copy)]
pub struct Device<'a> {
    pub path: Path<'a>,
    pub kind: FileType,
    pub dev: Dev,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// The devices that every container has: config-linux.md, "Default Devices".
static DEFAULTS: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// And the links: the same section, and the ones that programs expect of any Linux.
pub static LINKS: [(&CStr, &CStr); 6] = [
    (c"fd", c"/proc/self/fd"),
    (c"stdin", c"/proc/self/fd/0"),
    (c"stdout", c"/proc/self/fd/1"),
    (c"stderr", c"/proc/self/fd/2"),
    (c"core", c"/proc/kcore"),
    (c"ptmx", c"pts/ptmx"),
];

/// The plan of them: the defaults, except where the config has its own idea of one, then the config's.
///
/// # Errors
/// What the config has wrong, with its path.
pub fn plan<'a>(devices: &[spec::Device<'a>]) -> Result<&'a [Device<'a>]> {
    let mut nodes: Growing<'a, Device<'a>> = Growing::new();
    let mut configured: Growing<'a, Device<'a>> = Growing::new();
    for (index, device) in devices.iter().enumerate() {
        configured.push(one(index, device)?);
    }
    for (path, major, minor) in DEFAULTS {
        if configured.as_slice().iter().any(|device| device.path.normal == path) {
            continue;
        }
        if let Some(path) = path_below_root(path) {
            let dev = makedev(major, minor);
            nodes.push(Device { path, kind: FileType::CharacterDevice, dev, mode: 0o666, uid: 0, gid: 0 });
        }
    }
    configured.as_slice().iter().for_each(|device| nodes.push(*device));
    Ok(nodes.finish())
}

fn one<'a>(index: usize, device: &spec::Device<'a>) -> Result<Device<'a>> {
    let wrong =
        |field: &str, why: core::fmt::Arguments<'_>| Error::config(format_args!("linux.devices[{index}].{field}"), why);
    let Some(path) = device.path.filter(|path| !path.is_empty()) else {
        return Err(wrong("path", format_args!("is required")));
    };
    let Some(path) = path_below_root(path).filter(|path| path.normal != "/") else {
        return Err(wrong("path", format_args!("{} is no path for a device", Quoted(path))));
    };
    let kind = match device.kind {
        Some("c" | "u") => FileType::CharacterDevice,
        Some("b") => FileType::BlockDevice,
        Some("p") => FileType::Fifo,
        Some(other) => {
            return Err(wrong("type", format_args!("unknown value {}, not one of c, u, b, p", Quoted(other))));
        }
        None => return Err(wrong("type", format_args!("is required"))),
    };
    // The kernel has 12 and 20 bits for them (linux/kdev_t.h).
    let number = |field: &str, value: Option<i64>, limit: u32| match value {
        None if kind == FileType::Fifo => Ok(0),
        None => Err(wrong(field, format_args!("is required"))),
        Some(value) => match u32::try_from(value) {
            Ok(number) if number < limit => Ok(number),
            _ => Err(wrong(field, format_args!("{value} is no device number"))),
        },
    };
    let dev = makedev(number("major", device.major, 1 << 12)?, number("minor", device.minor, 1 << 20)?);
    // Engines copy it from stat(2), with the type in the upper bits.
    const TYPE: u32 = 0o170_000;
    let mode = device.file_mode.unwrap_or(0o666) & !TYPE;
    if mode & !0o7777 != 0 {
        return Err(wrong("fileMode", format_args!("{mode:#o} has more than permission bits")));
    }
    Ok(Device { path, kind, dev, mode, uid: device.uid.unwrap_or(0), gid: device.gid.unwrap_or(0) })
}
