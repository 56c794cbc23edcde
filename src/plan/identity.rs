//! `process.user`, `process.capabilities`, `process.noNewPrivileges`: who the process is and what it may do.

use super::Name;
use crate::error::{Error, Result};
use crate::json::Map;
use crate::sys::{Names, memory};
use crate::{spec, warn};

/// The ids of the process.
#[derive(Clone, Copy, Default)]
pub struct User<'a> {
    pub uid: u32,
    pub gid: u32,
    pub groups: &'a [u32],
    /// Whether it has those of the runtime's caller instead.
    pub keep_groups: bool,
    /// The file mode creation mask; 0022 unless the config says otherwise.
    pub umask: u32,
}

/// Five sets, a bit per capability: capabilities(7).
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Capabilities {
    pub bounding: u64,
    pub effective: u64,
    pub inheritable: u64,
    pub permitted: u64,
    pub ambient: u64,
}

/// In the kernel's order: linux/capability.h. The spec's names have `CAP_` in front.
pub static CAPABILITIES: Names = Names(
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE \
     NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT \
     SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP \
     MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE",
);

/// The bit of a name, with or without `CAP_`, in any case.
#[must_use]
pub fn capability(name: &str) -> Option<u32> {
    let bare = match name.get(..4) {
        Some(prefix) if prefix.eq_ignore_ascii_case("CAP_") => &name[4..],
        _ => name,
    };
    CAPABILITIES.iter().position(|known| known.eq_ignore_ascii_case(bare)).map(|bit| bit as u32)
}

/// The plan of the user.
///
/// # Errors
/// What the config has wrong, with its path.
pub fn user<'a>(user: &spec::User<'a>) -> Result<User<'a>> {
    /// The kernel's "no id".
    const NONE: u32 = u32::MAX;
    let groups = memory::copy(user.additional_gids);
    let ids = [("uid", user.uid.unwrap_or(0)), ("gid", user.gid.unwrap_or(0))];
    for (field, id) in ids {
        if id == NONE {
            return Err(Error::config(format_args!("process.user.{field}"), format_args!("{NONE} is no id")));
        }
    }
    if let Some(index) = groups.iter().position(|group| *group == NONE) {
        let field = format_args!("process.user.additionalGids[{index}]");
        return Err(Error::config(field, format_args!("{NONE} is no id")));
    }
    let umask = user.umask.unwrap_or(0o022);
    if umask > 0o777 {
        return Err(Error::config(format_args!("process.user.umask"), format_args!("{umask:#o} is above 0777")));
    }
    Ok(User { uid: ids[0].1, gid: ids[1].1, groups, keep_groups: false, umask })
}

/// Whether the process keeps the groups of the runtime's caller: crun's annotation.
#[must_use]
pub fn keeps_groups(annotations: &Map<'_, &str>) -> bool {
    annotations.get("run.oci.keep_original_groups").is_some_and(|value| value != "0")
}

/// The plan of the capabilities; none at all if the config has no such object.
///
/// A name that means nothing is a warning, as the spec wants it ("MUST be logged as a warning", config.md).
#[must_use]
pub fn capabilities(sets: Option<&spec::Capabilities<'_>>) -> Capabilities {
    let Some(sets) = sets else { return Capabilities::default() };
    Capabilities {
        bounding: bits("bounding", sets.bounding),
        effective: bits("effective", sets.effective),
        inheritable: bits("inheritable", sets.inheritable),
        permitted: bits("permitted", sets.permitted),
        ambient: bits("ambient", sets.ambient),
    }
}

fn bits(set: &str, names: &[&str]) -> u64 {
    names.iter().fold(0, |bits, name| match capability(name) {
        Some(bit) => bits | 1 << bit,
        None => {
            warn!("process.capabilities.{set}: unknown capability `{name}`, ignored");
            bits
        }
    })
}

impl Capabilities {
    /// The names of one set, for people.
    pub fn names(set: u64) -> impl Iterator<Item = Name> {
        (0..64u32).filter(move |bit| set >> bit & 1 != 0).map(|bit| match CAPABILITIES.at(bit as usize) {
            Some(name) => Name::Known(name),
            None => Name::Number(bit),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_form() {
        assert_eq!(capability("CAP_CHOWN"), Some(0));
        assert_eq!(capability("cap_kill"), Some(5));
        assert_eq!(capability("NET_ADMIN"), Some(12));
        assert_eq!(capability("CAP_CHECKPOINT_RESTORE"), Some(40));
        assert_eq!(capability("CAP_"), None);
        assert_eq!(capability(""), None);
        assert_eq!(capability("CAP_NOPE"), None);
    }
}
