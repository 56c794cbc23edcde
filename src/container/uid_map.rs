//! The id maps of a new user namespace, written by us, or by newuidmap(1) and newgidmap(1), who know which ids the
//! administrator has given to whom: `/etc/subuid`, `/etc/subgid`.

use core::ffi::CStr;

use super::process::put_proc;
use crate::error::{Context, Error, Result};
use crate::plan::namespace::{By, Map, Maps};
use crate::sys::memory::{self, Growing};
use crate::sys::process::{self, Clone};
use crate::sys::{AsFd, CWD, fd, file, utf8};
use crate::warn;

/// Writes both maps of the user namespace that a process is in; `path` is the caller's PATH.
///
/// # Errors
/// The kernel's, or what the helper says.
pub(super) fn write(pid: i32, maps: &Maps<'_>, path: Option<&CStr>) -> Result<()> {
    write_one(pid, "uid_map", &maps.uid, ("newuidmap", By::Runtime), path)?;
    write_one(pid, "gid_map", &maps.gid, ("newgidmap", By::RuntimeWithoutGroups), path)
}

fn write_one(
    pid: i32,
    file: &str,
    map: &Map<'_>,
    (helper, alone): (&'static str, By),
    path: Option<&CStr>,
) -> Result<()> {
    let (mut by, mut lines) = (map.by, map.lines);
    if by == By::Helper {
        match (help(helper, pid, map, path), map.own) {
            (Err(error), Some(own)) => {
                warn!("{error}: the caller's own id is the only one");
                (by, lines) = (alone, memory::format(format_args!("0 {own} 1\n")));
            }
            (done, _) => return done,
        }
    }
    if by == By::RuntimeWithoutGroups {
        put_proc(pid, "setgroups", "deny")?;
    }
    put_proc(pid, file, lines)
}

fn help(name: &'static str, pid: i32, map: &Map<'_>, path: Option<&CStr>) -> Result<()> {
    let program = find(name, path)?;
    let mut words = Growing::new();
    let mut word = |text| memory::cstr(text).into_iter().for_each(|word| words.push(word));
    word(name);
    for number in core::iter::once(pid as u32).chain(map.ranges.iter().flatten().copied()) {
        word(memory::format(format_args!("{number}")));
    }
    let args = process::Vector::new(words.as_slice());
    let env = process::Vector::new(&[]);
    let (said, says) = file::pipe().context("pipe2", name)?;
    match process::fork().context("clone", name)? {
        Clone::Child => {
            let _ = fd::dup_to_standard(&says, 2);
            process::execve(program, &args, &env);
            process::exit(127)
        }
        Clone::Parent { pid, .. } => {
            says.close();
            let said = file::read_to_end(said.as_fd(), 1 << 16).unwrap_or_default();
            match process::wait(pid, true).context("wait4", name)? {
                Some((_, 0)) => Ok(()),
                _ => Err(refused(name, said)),
            }
        }
    }
}

#[cold]
fn refused(name: &'static str, said: &[u8]) -> Error {
    let line = said.split(|byte| *byte == b'\n').next().and_then(|line| utf8(line)).unwrap_or("");
    let line = line.strip_prefix(name).map_or(line, |rest| rest.trim_start_matches([':', ' ']));
    Error::because(name, "", if line.is_empty() { "has failed" } else { line })
        .hint("/etc/subuid and /etc/subgid say which ids are whose")
}

/// Where the system has it; else, for systems that have it elsewhere, in a directory of the caller's PATH that is
/// root's alone.
fn find(name: &'static str, path: Option<&CStr>) -> Result<&'static CStr> {
    let path = path.and_then(|path| utf8(path.to_bytes())).unwrap_or("");
    let system = ["/usr/bin", "/bin"].into_iter();
    let trusted = path.split(':').filter(|directory| directory.starts_with('/') && is_roots(directory));
    system
        .chain(trusted)
        .filter_map(|directory| memory::joined(&[directory, "/", name]))
        .find(|program| file::access_execute(program).is_ok())
        .ok_or_else(|| Error::because(name, "", "not found").hint("it comes with the package uidmap or shadow"))
}

fn is_roots(directory: &str) -> bool {
    let stat = memory::cstr(directory).map(|path| file::fstatat(CWD, path, file::AtFlags::empty()));
    matches!(stat, Some(Ok(stat)) if stat.st_uid == 0 && stat.st_mode & 0o022 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_helper_says() {
        let said = |text: &str| refused("newuidmap", text.as_bytes()).to_string();
        let hint = " (/etc/subuid and /etc/subgid say which ids are whose)";
        assert_eq!(said("newuidmap: uid range not allowed\nmore\n"), format!("newuidmap: uid range not allowed{hint}"));
        assert_eq!(said(""), format!("newuidmap: has failed{hint}"));
    }

    #[test]
    fn only_where_root_alone_can_put_it() {
        assert!(is_roots("/usr") && !is_roots("/tmp") && !is_roots("/does/not/exist"));
        let directory = std::env::temp_dir().join(format!("isopod-helper-{}", std::process::id()));
        std::fs::create_dir(&directory).expect("a directory");
        std::fs::copy("/bin/true", directory.join("new-helper")).expect("a program");
        std::os::unix::fs::chown(&directory, Some(1), Some(1)).expect("root");
        let path = memory::cstr(directory.to_str().expect("UTF-8")).expect("no NUL");
        assert!(find("new-helper", Some(path)).is_err());
        std::os::unix::fs::chown(&directory, Some(0), Some(0)).expect("root");
        assert!(find("new-helper", Some(path)).is_ok());
        std::fs::remove_dir_all(directory).expect("removed");
    }
}
