//! The facts of this machine that decisions depend on, gathered once and as cheaply as the kernel tells them.

#![forbid(unsafe_code)]

pub mod caller;

use core::ffi::CStr;

use crate::error::{Context, Errno, Error, Result};
use crate::sys::file::{self, AtFlags, magic};
use crate::sys::memory::{self, Growing};
use crate::sys::{self, AsFd, CWD, security, shown, utf8};

/// How the control groups of this machine are arranged.
#[derive(Clone, Copy, Debug)]
pub enum Cgroups<'a> {
    /// Nothing of the kind is mounted at `/sys/fs/cgroup`.
    None,
    /// A hierarchy for each controller or set of controllers; in a hybrid, version 2 beside them without controllers
    /// of use.
    V1(&'a [Hierarchy<'a>]),
    /// One tree for everything.
    V2(&'a Hierarchy<'a>),
}

/// One tree of control groups.
#[derive(Clone, Copy, Debug)]
pub struct Hierarchy<'a> {
    /// What it controls: "cpu,cpuacct", "name=systemd"; of version 2 "cpu io memory", as `cgroup.controllers` has it;
    /// "" beside version 1, unless somebody wants to know.
    pub controllers: &'a str,
    /// Its name in `/sys/fs/cgroup`; empty if it is mounted there itself.
    pub directory: &'a CStr,
    /// Where it is mounted.
    pub mount: &'a CStr,
    /// The cgroup that this process is in, as `/proc/self/cgroup` has it.
    pub own_path: &'a str,
    /// Whether this is version 2.
    pub unified: bool,
}

impl<'a> Cgroups<'a> {
    /// All trees, version 2 last.
    #[must_use]
    pub fn hierarchies(&self) -> &'a [Hierarchy<'a>] {
        match self {
            Cgroups::None => &[],
            Cgroups::V1(all) => all,
            Cgroups::V2(one) => core::slice::from_ref(one),
        }
    }

    /// Whether a hierarchy of this version has the controller. The files of the core, `cgroup.*`, are in every cgroup of
    /// version 2.
    #[must_use]
    pub fn has(&self, controller: &str, v2: bool) -> bool {
        let has = |one: &Hierarchy<'_>| one.unified == v2 && (one.controls(controller) || v2 && controller == "cgroup");
        self.hierarchies().iter().any(has)
    }
}

impl Hierarchy<'_> {
    /// Whether this tree has the controller.
    #[must_use]
    pub fn controls(&self, controller: &str) -> bool {
        self.controllers.as_bytes().split(|byte| matches!(byte, b',' | b' ')).any(|one| one == controller.as_bytes())
    }
}

const CGROUP: &CStr = c"/sys/fs/cgroup";
const OWN: &CStr = c"/proc/self/cgroup";

/// The arrangement of control groups. mountinfo would tell it too, at a price that grows with every mount of the host;
/// by convention everything is at `/sys/fs/cgroup`.
///
/// # Errors
/// The kernel's, reading `/sys/fs/cgroup` or `/proc/self/cgroup`.
pub fn cgroups() -> Result<Cgroups<'static>> {
    arranged(true)
}

/// The same with what version 2 controls beside version 1: three calls more.
///
/// # Errors
/// As with `cgroups`.
pub fn cgroups_of_both() -> Result<Cgroups<'static>> {
    let cgroups = cgroups()?;
    let Cgroups::V1([others @ .., unified]) = cgroups else { return Ok(cgroups) };
    if !unified.unified {
        return Ok(cgroups);
    }
    let mut all = Growing::new();
    others.iter().for_each(|one| all.push(*one));
    let controllers = text(c"/sys/fs/cgroup/unified/cgroup.controllers")?.trim_ascii_end();
    all.push(Hierarchy { controllers, ..*unified });
    Ok(Cgroups::V1(all.finish()))
}

/// The same without looking which trees of version 1 are mounted, for somebody who will see: one call less.
///
/// # Errors
/// As with `cgroups`.
pub fn cgroups_mounted_or_not() -> Result<Cgroups<'static>> {
    arranged(false)
}

fn arranged(looks: bool) -> Result<Cgroups<'static>> {
    let own = match text(OWN) {
        // A kernel that has none.
        Err(error) if error.is(Errno::NOENT) => return Ok(Cgroups::None),
        own => own?,
    };
    let of_version_1 = |directories| match hierarchies(own, directories) {
        [] => Cgroups::None,
        found => Cgroups::V1(found),
    };
    // If version 1 is anywhere, it is most likely here, and is to be looked at anyway.
    if looks && !lines(own).all(|line| line.is_unified()) {
        let names = directories(own)?;
        // Otherwise this is a cgroup itself.
        if !names.lines().any(|name| name == "cgroup.procs") {
            return Ok(of_version_1(Some(names)));
        }
    }
    match file::fs_type_at(CGROUP) {
        Ok(magic::CGROUP2) => {
            let controllers = text(c"/sys/fs/cgroup/cgroup.controllers")?.trim_ascii_end();
            let own_path = lines(own).find(|line| line.is_unified()).map_or("/", |line| line.path);
            Ok(Cgroups::V2(memory::keep(Hierarchy {
                controllers,
                directory: c"",
                mount: CGROUP,
                own_path,
                unified: true,
            })))
        }
        Ok(magic::TMPFS) if looks => directories(own).map(|names| of_version_1(Some(names))),
        Ok(magic::TMPFS) => Ok(of_version_1(None)),
        Ok(_) | Err(Errno::NOENT) => Ok(Cgroups::None),
        Err(errno) => Err(Error::errno("statfs", "/sys/fs/cgroup", errno)),
    }
}

/// The cgroup that systemd has put a process in: of its own hierarchy, or of version 2 if that is all there is.
///
/// # Errors
/// The kernel's.
pub fn systemd_cgroup_of(pid: i32) -> Result<&'static str> {
    let path = memory::cstr(memory::format(format_args!("/proc/{pid}/cgroup"))).unwrap_or(OWN);
    let text = text(path)?;
    let named = lines(text).find(|line| line.controllers == "name=systemd");
    Ok(named.or_else(|| lines(text).find(Line::is_unified)).map_or("", |line| line.path))
}

/// Whether this process is in a user namespace that is not the machine's own.
#[must_use]
pub fn in_user_namespace() -> bool {
    /// PROC_USER_INIT_INO of the kernel.
    const FIRST: u64 = 0xEFFF_FFFD;
    file::fstatat(CWD, c"/proc/self/ns/user", AtFlags::empty()).is_ok_and(|namespace| namespace.st_ino != FIRST)
}

/// The cgroup of version 2 that a process is in, from the root of ours.
///
/// # Errors
/// The kernel's.
pub fn unified_cgroup_of(pid: i32) -> Result<&'static str> {
    let path = memory::cstr(memory::format(format_args!("/proc/{pid}/cgroup"))).unwrap_or(OWN);
    Ok(lines(text(path)?).find(Line::is_unified).map_or("", |line| line.path))
}

/// The cgroup below which a user without privileges may make one and move his processes into it: beside the one that
/// he is in, or below it, if that was delegated to him. On version 1 there is none.
#[must_use]
pub fn delegated(cgroups: &Cgroups<'_>) -> Option<&'static str> {
    let Cgroups::V2(hierarchy) = cgroups else { return None };
    let mount = utf8(hierarchy.mount.to_bytes())?;
    let own = hierarchy.own_path.trim_end_matches('/');
    let above = sys::split_last(own).map_or("", |(above, _)| above);
    // The root of all of them is never a user's, but may be that of a cgroup namespace.
    let mine = |path: &&str| {
        let writable = |file| memory::joined(&[mount, path, file]).is_some_and(|path| file::access_write(path).is_ok());
        writable("/") && writable("/cgroup.procs")
    };
    [above, own].into_iter().find(mine).map(memory::text)
}

/// Which security modules of the host take labels: features of the machine that few configs ask for.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Security {
    pub apparmor: AppArmor,
    pub selinux: bool,
}

/// Whether AppArmor is at work.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum AppArmor {
    #[default]
    Off,
    On,
    /// And we are under a profile ourselves.
    Confined,
    /// The same, and as we have no_new_privs, we cannot leave it.
    Bound,
}

/// Looks at them.
#[must_use]
pub fn security() -> Security {
    let enabled = text(c"/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with('Y'));
    let own = || text(c"/proc/self/attr/apparmor/current").or_else(|_| text(c"/proc/self/attr/current"));
    let apparmor = match enabled {
        false => AppArmor::Off,
        true if own().is_ok_and(is_unconfined) => AppArmor::On,
        true if security::no_new_privs() => AppArmor::Bound,
        true => AppArmor::Confined,
    };
    Security { apparmor, selinux: file::fs_type_at(c"/sys/fs/selinux") == Ok(file::magic::SELINUX) }
}

/// Whether a label of AppArmor confines nothing: none at all, or a profile made so, as those of distributions for engines
/// and runtimes. The kernel takes them for the same.
fn is_unconfined(label: &str) -> bool {
    let label = label.trim_ascii_end();
    label == "unconfined" || label.ends_with(" (unconfined)")
}

/// The names in `/sys/fs/cgroup`, separated by line feeds, until there is one for each line of `/proc/self/cgroup`. A
/// hierarchy that the kernel knows and nobody mounted here is not ours to use.
fn directories(own: &str) -> Result<&'static str> {
    let mut names = Growing::new();
    let dir = match file::open(CGROUP) {
        Err(Errno::NOENT) => return Ok(""),
        dir => dir.context("open", "/sys/fs/cgroup")?,
    };
    let mut missing = lines(own).count();
    let listed = file::each_entry(dir.as_fd(), |name, _| {
        name.to_bytes().iter().chain(b"\n").for_each(|byte| names.push(*byte));
        missing -= usize::from(lines(own).any(|line| line.directory().as_bytes() == name.to_bytes()));
        if missing == 0 { Err(Listed::Enough) } else { Ok(()) }
    });
    match listed {
        Ok(()) | Err(Listed::Enough) => Ok(utf8(names.finish()).unwrap_or("")),
        Err(Listed::Failed(errno)) => Err(Error::errno("read directory", "/sys/fs/cgroup", errno)),
    }
}

/// Why a list ends before its end.
enum Listed {
    Enough,
    Failed(Errno),
}

impl From<Errno> for Listed {
    fn from(errno: Errno) -> Listed {
        Listed::Failed(errno)
    }
}

/// A small file of the kernel's.
fn text(path: &CStr) -> Result<&'static str> {
    let name = shown(path);
    let file = file::open(path).context("open", name)?;
    let mut buffer = [0; 4096];
    let bytes = match file::read(file.as_fd(), &mut buffer) {
        // The kernel makes such a text in one piece: if it did not fill the buffer, that was all.
        Ok(n) if n < buffer.len() => Ok(&*memory::copy(&buffer[..n])),
        _ => file::open(path).and_then(|file| file::read_to_end(file.as_fd(), 1 << 20)),
    };
    utf8(bytes.context("read", name)?).ok_or_else(|| Error::because("read", name, "not UTF-8"))
}

/// One line of `/proc/self/cgroup`: `ID:CONTROLLERS:PATH`.
struct Line<'a> {
    controllers: &'a str,
    path: &'a str,
}

impl Line<'_> {
    fn is_unified(&self) -> bool {
        self.controllers.is_empty()
    }

    /// Where in `/sys/fs/cgroup` the hierarchy is, if it is there.
    fn directory(&self) -> &str {
        let name = self.controllers;
        if self.is_unified() { "unified" } else { name.strip_prefix("name=").unwrap_or(name) }
    }
}

fn lines(own: &str) -> impl Iterator<Item = Line<'_>> {
    own.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        Some(Line { controllers: fields.next()?, path: fields.next()? })
    })
}

/// What `/proc/self/cgroup` tells of the hierarchies that are mounted in the `directories` of `/sys/fs/cgroup`, if
/// those are known. The kernel lists version 2 last.
pub(crate) fn hierarchies(own: &'static str, directories: Option<&str>) -> &'static [Hierarchy<'static>] {
    let mut found = Growing::new();
    for line in lines(own) {
        let directory = line.directory();
        if directories.is_some_and(|all| !all.lines().any(|there| there == directory)) {
            continue;
        }
        let (Some(mount), Some(directory)) = (memory::joined(&["/sys/fs/cgroup/", directory]), memory::cstr(directory))
        else {
            continue;
        };
        let unified = line.is_unified();
        found.push(Hierarchy { controllers: line.controllers, directory, mount, own_path: line.path, unified });
    }
    found.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(own: &'static str, directories: &str) -> Vec<(&'static str, &'static str, &'static str, bool)> {
        hierarchies(own, Some(directories))
            .iter()
            .map(|one| (one.controllers, one.mount.to_str().expect("ASCII"), one.own_path, one.unified))
            .collect()
    }

    #[test]
    fn hybrid() {
        let own = "10:hugetlb:/\n9:name=systemd:/a\n4:memory:/x/y:z\n2:cpu,cpuacct:/\n0::/u\n";
        assert_eq!(
            summary(own, "memory\ncpu,cpuacct\ncpu\ncpuacct\nsystemd\nunified\n"),
            [
                ("name=systemd", "/sys/fs/cgroup/systemd", "/a", false),
                ("memory", "/sys/fs/cgroup/memory", "/x/y:z", false),
                ("cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct", "/", false),
                ("", "/sys/fs/cgroup/unified", "/u", true),
            ],
            "a hierarchy that is mounted elsewhere (hugetlb) is not listed"
        );
    }

    #[test]
    fn pure_v1_and_nothing() {
        assert_eq!(summary("2:pids:/\n1:cpu:/\n0::/\n", "pids\ncpu\n").len(), 2);
        assert_eq!(summary("0::/\n", ""), []);
        assert_eq!(summary("", "cpu\n"), []);
        assert_eq!(summary("nonsense\n1:cpu\n", "cpu\n"), []);
    }

    #[test]
    fn controllers_are_found_whole() {
        let all = hierarchies("2:cpu,cpuacct:/\n1:name=memory:/\n0::/\n", Some("cpu,cpuacct\nmemory\nunified\n"));
        let v1 = Cgroups::V1(all);
        assert!(v1.has("cpu", false) && v1.has("cpuacct", false) && !v1.has("cpu", true));
        assert!(!v1.has("cpus", false) && !v1.has("memory", false) && !v1.has("cgroup", false));
        assert!(v1.has("cgroup", true));
        let one = Hierarchy { controllers: "cpuset cpu io memory", unified: true, ..all[0] };
        assert!(Cgroups::V2(&one).has("io", true) && !Cgroups::V2(&one).has("io", false));
        assert!(!Cgroups::V2(&one).has("pids", true));
        assert!(!Cgroups::None.has("cpu", false) && Cgroups::None.hierarchies().is_empty());
    }

    #[test]
    fn this_machine() {
        let cgroups = cgroups().expect("readable");
        for one in cgroups.hierarchies() {
            assert!(one.own_path.starts_with('/'), "{one:?}");
        }
    }
}
