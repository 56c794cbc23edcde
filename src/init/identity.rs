//! Giving things up: limits, ids, capabilities. Everything that needs privileges has happened before.

use core::ffi::CStr;

use crate::error::{Context, Errno, Error, Result};
use crate::link::Child;
use crate::plan::identity::{Capabilities, User};
use crate::plan::process::Process;
use crate::sys::file::{self, FileType, OFlags};
use crate::sys::root::Root;
use crate::sys::security::filter_flag::WAIT_KILLABLE_RECV;
use crate::sys::{self, AsFd, fd, memory, process, security, shown, utf8};
use crate::warn;

/// In a user namespace that we have just entered we are nobody: become its root, to do the rest as such; or, if it has
/// none, the user.
pub(super) fn become_root(user: &User<'_>) -> Result<()> {
    match if user.keep_groups { Ok(()) } else { security::setgroups(&[]) } {
        // A namespace may deny it for good: user_namespaces(7).
        Ok(()) | Err(Errno::PERM) => {}
        Err(errno) => return Err(Error::errno("setgroups", "of the user namespace's root", errno)),
    }
    let or_user = |set: fn(u32) -> Result<(), Errno>, id| match set(0) {
        Err(Errno::INVAL) => set(id),
        done => done,
    };
    or_user(security::setgid, user.gid).context("setresgid", "of the user namespace's root")?;
    or_user(security::setuid, user.uid).context("setresuid", "of the user namespace's root")?;
    // A change of ids makes the process dumpable again.
    security::set_dumpable(false).context("prctl", "PR_SET_DUMPABLE")
}

pub(super) fn join_keyring(name: &CStr) -> Result<()> {
    match security::join_session_keyring(name) {
        // A kernel without keyrings has none to share.
        Ok(()) | Err(Errno::NOSYS) => Ok(()),
        Err(errno) => {
            Err(Error::errno("join a new session keyring", shown(name), errno).hint("--no-new-keyring does without"))
        }
    }
}

pub(super) fn set_limits(planned: &Process<'_>) -> Result<()> {
    for limit in planned.rlimits {
        process::setrlimit(limit.resource, limit.soft, limit.hard).map_err(|errno| {
            let subject = memory::format(format_args!("process.rlimits[{}]", limit.index));
            let error = Error::errno("setrlimit", subject, errno);
            if errno == Errno::PERM {
                error.hint("a hard limit can only be raised with CAP_SYS_RESOURCE")
            } else {
                error
            }
        })?;
    }
    Ok(())
}

/// The order is that of the privileges: groups need capabilities, which the change of uid takes away unless they are kept;
/// the final sets come last. `is_root` says that we have no id but root's.
pub(super) fn drop_privileges(planned: &Process<'_>, link: &Child, is_root: bool) -> Result<()> {
    let user = &planned.user;
    let capabilities = &planned.capabilities;
    process::umask(user.umask);
    match if user.keep_groups { Ok(()) } else { security::setgroups(user.groups) } {
        Ok(()) => {}
        Err(Errno::PERM) if is_denied_groups(user.gid)? => {
            if !user.groups.is_empty() {
                warn!("process.user.additionalGids: setgroups is denied in this user namespace, ignored");
            }
        }
        Err(errno) => return Err(Error::errno("setgroups", "process.user.additionalGids", errno)),
    }
    if user.uid != 0 {
        security::set_keepcaps(true).context("prctl", "PR_SET_KEEPCAPS")?;
    }
    if !is_root || (user.uid, user.gid) != (0, 0) {
        security::setgid(user.gid).map_err(|errno| id_failed("setresgid", "process.user.gid", user.gid, errno))?;
        security::setuid(user.uid).map_err(|errno| id_failed("setresuid", "process.user.uid", user.uid, errno))?;
    }
    if planned.no_new_privs {
        set_capabilities(capabilities)?;
        security::set_no_new_privs().context("prctl", "PR_SET_NO_NEW_PRIVS")?;
    } else {
        // Only CAP_SYS_ADMIN may set a filter now: the last moment for it is before the final sets.
        if planned.seccomp.is_some() && user.uid != 0 {
            // Kept as permitted, but no longer effective after the change of uid.
            let all = security::capget_permitted().context("capget", "")?;
            security::capset(all, all, 0).context("capset", "for the seccomp filter")?;
        }
        install_filter(planned, link)?;
        set_capabilities(capabilities)?;
    }
    // A change of ids may have made the process dumpable; until it is the user's program, nobody looks into it.
    if (user.uid, user.gid) == (0, 0) {
        Ok(())
    } else {
        security::set_dumpable(false).context("prctl", "PR_SET_DUMPABLE")
    }
}

/// Who may set groups and is refused is in a user namespace that denies it to everybody, for good. Such a one has only
/// one group, and so not the one beside it; and groups that we keep have no number there: if any has one, somebody else
/// has refused, and we would take the caller's along.
fn is_denied_groups(group: u32) -> Result<bool> {
    const SETGID: u32 = 6;
    const OVERFLOW: u32 = 65534;
    let mut groups = [0; 256];
    let count = security::getgroups(&mut groups).context("getgroups", "")?;
    let nobodys = groups[..count.min(groups.len())].iter().all(|group| [0, OVERFLOW].contains(group));
    let may = security::capget_permitted().context("capget", "")? >> SETGID & 1 != 0;
    Ok(nobodys && may && security::setgid(group ^ 1) == Err(Errno::INVAL))
}

/// From here on every system call of ours passes the filter too.
pub(super) fn install_filter(planned: &Process<'_>, link: &Child) -> Result<()> {
    let Some(filter) = &planned.seccomp else { return Ok(()) };
    let install = |flags| {
        if filter.notifies() {
            link.listen(flags, filter.program)
        } else {
            security::seccomp_set_mode_filter(flags, filter.program).map(drop)
        }
    };
    let installed = match install(filter.flags) {
        // The one flag that a kernel of ours may not know.
        Err(Errno::INVAL) if filter.flags & WAIT_KILLABLE_RECV != 0 => install(filter.flags & !WAIT_KILLABLE_RECV),
        installed => installed,
    };
    installed.context("seccomp", "linux.seccomp").map_err(|error| {
        if error.is(Errno::AGAIN) {
            error.hint("SCMP_ACT_NOTIFY takes a second thread for a moment: linux.resources.pids.limit")
        } else {
            error
        }
    })
}

#[cold]
fn id_failed(doing: &'static str, field: &str, id: u32, errno: Errno) -> Error {
    let error = Error::errno(doing, memory::format(format_args!("{field} {id}")), errno);
    if errno == Errno::INVAL { error.hint("the id has no mapping in the user namespace") } else { error }
}

/// Drops all but these from the bounding set, which says what execve(2) may give: to us it is no loss.
pub(super) fn drop_bounding(planned: &Process<'_>) -> Result<()> {
    let keep = planned.capabilities.bounding;
    for capability in 0..64 {
        if keep >> capability & 1 != 0 {
            continue;
        }
        match security::drop_bounding(capability) {
            Ok(()) => {}
            // Past the last one that the kernel has; it has CAP_CHECKPOINT_RESTORE.
            Err(Errno::INVAL) if capability > 40 => break,
            Err(errno) => {
                return Err(Error::errno("drop from the bounding set", "process.capabilities.bounding", errno));
            }
        }
    }
    Ok(())
}

/// "Runtimes SHOULD NOT fail if the container configuration requests capabilities that cannot be granted" (config.md):
/// they are left out, with a warning.
fn set_capabilities(wanted: &Capabilities) -> Result<()> {
    let set = |effective, permitted, inheritable| security::capset(effective, permitted, inheritable);
    let refused = match set(wanted.effective, wanted.permitted, wanted.inheritable) {
        Ok(()) => 0,
        Err(Errno::PERM) => {
            let have = security::capget_permitted().context("capget", "")?;
            let refused = (wanted.effective | wanted.permitted | wanted.inheritable) & !have;
            let permitted = wanted.permitted & have;
            // The effective set must be one of the permitted.
            set(wanted.effective & permitted, permitted, wanted.inheritable & have).context("capset", "")?;
            refused
        }
        Err(errno) => return Err(Error::errno("capset", "process.capabilities", errno)),
    };
    warn_of("process.capabilities", refused);
    if wanted.inheritable != 0 {
        // What the caller had would stay; without inheritable capabilities none can.
        security::clear_ambient().context("prctl", "PR_CAP_AMBIENT_CLEAR_ALL")?;
    }
    let mut refused = 0;
    for capability in (0..64).filter(|bit| wanted.ambient >> bit & 1 != 0) {
        match security::raise_ambient(capability) {
            Ok(()) => {}
            // Not permitted, not inheritable, or not known to the kernel.
            Err(Errno::PERM | Errno::INVAL) => refused |= 1 << capability,
            Err(errno) => return Err(Error::errno("raise", "process.capabilities.ambient", errno)),
        }
    }
    warn_of("process.capabilities.ambient", refused);
    Ok(())
}

/// One line for all that cannot be granted.
fn warn_of(field: &str, refused: u64) {
    if refused != 0 {
        let names =
            Capabilities::names(refused).fold("", |names, name| memory::format(format_args!("{names} CAP_{name}")));
        warn!("{field}: cannot be granted, ignored:{names}");
    }
}

/// The standard streams are the user's, who may open `/dev/stdout` by name; but a terminal or a device is somebody
/// else's, and so is what a file system does not want to give away.
pub(super) fn give_standard_streams(planned: &Process<'_>, user_namespace: bool) -> Result<()> {
    let user = &planned.user;
    if (user.uid == 0 && !user_namespace) || planned.terminal.is_some() {
        return Ok(());
    }
    for number in 0..3 {
        let stream = fd::standard(number);
        let Ok(stat) = file::fstat(stream) else { continue };
        if matches!(FileType::from_raw_mode(stat.st_mode), FileType::CharacterDevice | FileType::BlockDevice) {
            continue;
        }
        match file::fchown(stream, user.uid, stat.st_gid) {
            Ok(()) | Err(Errno::INVAL | Errno::PERM | Errno::ROFS | Errno::BADF | Errno::NOENT) => {}
            Err(errno) => return Err(Error::errno("chown", "a standard stream", errno)),
        }
    }
    Ok(())
}

/// `HOME=` for a user, from the container's passwd(5): by uid only, a name is never looked up (CVE-2016-3697). What has that
/// name may be anything: a fifo, which nobody must wait for, or a terminal, which must not become ours.
pub(super) fn home(root: &Root<'_>, uid: u32) -> &'static CStr {
    const LIMIT: usize = 1 << 20;
    let passwd = root.open(c"/etc/passwd", OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY).ok();
    let table = passwd.and_then(|passwd| file::read_to_end(passwd.as_fd(), LIMIT).ok());
    let home = table.and_then(|table| home_of(table, uid)).unwrap_or("/");
    memory::joined(&["HOME=", home]).unwrap_or(c"HOME=/")
}

pub(crate) fn home_of(table: &[u8], uid: u32) -> Option<&str> {
    table.split(|byte| *byte == b'\n').filter_map(|line| utf8(line)).find_map(|line| {
        let mut fields = line.split(':').skip(2);
        let found: u32 = sys::natural(fields.next()?)?;
        let home = fields.nth(2)?;
        (found == uid && !home.is_empty()).then_some(home)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn home_is_found_by_uid() {
        let table =
            b"root:x:0:0:root:/root:/bin/sh\n#comment\n1000:x:0:0::/trap:/bin/sh\nuser:x:1000:1000::/home/user:/x\n";
        assert_eq!(home_of(table, 0), Some("/root"));
        assert_eq!(home_of(table, 1000), Some("/home/user"));
        assert_eq!(home_of(table, 5), None);
        assert_eq!(home_of(b"broken:x:7\n:::::::\n", 7), None);
        assert_eq!(home_of(b"+user:x:+7:7::/home/user:/x\n", 7), None);
    }
}
