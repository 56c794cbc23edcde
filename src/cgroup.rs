//! Control groups: the container's cgroup is one path, the same in every hierarchy of the machine. It is made with its
//! limits before any process is in it, entered, and in the end emptied and removed.
//!
//! How a process comes into it decides how long a start takes. To move one from outside, by its number in
//! `cgroup.procs`, takes a lock that waits until all processors have passed through the scheduler: 4 to 12 ms. Two ways
//! need no such lock, and are the ones taken: to be born there, in version 2 ([`Doors::birthplace`]), and in version 1
//! the new process's own `0` in `tasks` ([`Doors::enter`]), about 10 us for each hierarchy.
//!
//! Parents that have to be made for a path of several components stay when the container's own cgroup is removed: who
//! chose such a path may have other plans for them.

#![forbid(unsafe_code)]

mod device;
mod end;
mod freeze;
mod limit;
mod make;
mod stat;
pub mod systemd;

pub use freeze::is_frozen_by_v2;
pub use make::Doors;
pub use stat::OomEvents;

use core::ffi::CStr;

use crate::error::{Context, Errno, Error, Result};
use crate::host::{Cgroups, Hierarchy};
use crate::sys::file::{self, OFlags};
use crate::sys::memory::{self, Growing};
use crate::sys::{self, AsFd, CWD, shown, utf8};

/// A container's cgroup.
#[derive(Clone, Copy)]
pub struct Cgroup<'a> {
    cgroups: Cgroups<'a>,
    path: &'a str,
    places: &'a [Place<'a>],
    /// Whether it exists already and a process of ours is in it.
    kept: bool,
}

/// What it is in one hierarchy.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Which.
    pub hierarchy: &'a Hierarchy<'a>,
    /// The directory's full path on the host.
    pub directory: &'static CStr,
}

impl<'a> Cgroup<'a> {
    /// The cgroup of this path, as the plan or the state has it; an empty one is none, of which everything is true and
    /// to which nothing is done.
    ///
    /// # Errors
    /// A path that leads out of the hierarchy or is its root: what is there is not to be killed or removed.
    pub fn new(cgroups: Cgroups<'a>, path: &'a str) -> Result<Cgroup<'a>> {
        let mut places = Growing::new();
        if !path.is_empty() {
            let wrong = || Error::because("use cgroup", path, "not the path of a container's cgroup");
            if !path.starts_with('/') || path.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")) {
                return Err(wrong());
            }
            for hierarchy in cgroups.hierarchies() {
                let mount = shown(hierarchy.mount);
                let directory = memory::joined(&[mount, path]).ok_or_else(wrong)?;
                places.push(Place { hierarchy, directory });
            }
        }
        Ok(Cgroup { cgroups, path, places: places.finish(), kept: false })
    }

    /// The whole cgroup of the unit of systemd's that it is in; itself if it is in none.
    ///
    /// # Errors
    /// As with `new`.
    pub fn of_unit(&self, unit: &str) -> Result<Cgroup<'a>> {
        if unit.is_empty() {
            return Ok(*self);
        }
        Cgroup::new(self.cgroups, systemd::path_of_unit(self.path, unit))
    }

    /// The same, in which a process of ours may already be: systemd has put it there.
    #[must_use]
    pub fn kept(self) -> Cgroup<'a> {
        Cgroup { kept: true, ..self }
    }

    /// Its path from the root of every hierarchy.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// Its directories, one a hierarchy, version 2 last: what the container's own `/sys/fs/cgroup` is made of.
    #[must_use]
    pub fn places(&self) -> &'a [Place<'a>] {
        self.places
    }

    /// Its part in version 2, which has to be there before a process can be born in it, and the rest, which has not.
    #[must_use]
    pub fn halves(&self) -> (Cgroup<'a>, Cgroup<'a>) {
        let last = self.places.iter().rposition(|place| !place.hierarchy.unified).map_or(0, |last| last + 1);
        let (one, two) = self.places.split_at(last);
        (Cgroup { places: two, ..*self }, Cgroup { places: one, ..*self })
    }

    /// The place that tells most about the processes: version 2, which has events; else the one with the freezer.
    fn home(&self) -> Option<&'a Place<'a>> {
        let unified = self.places.last().filter(|place| place.hierarchy.unified);
        unified.or_else(|| self.place_of("freezer")).or(self.places.first())
    }

    /// What a file says: of version 2, or beside version 1 where the controller is that the file's name begins with.
    ///
    /// # Errors
    /// The kernel's; ENOENT if there is no such controller.
    pub fn read<'b>(&self, file: &str, buffer: &'b mut [u8]) -> Result<&'b str, Errno> {
        let place = match self.cgroups {
            Cgroups::None => None,
            Cgroups::V1(_) => self.place_of(file.split('.').next().unwrap_or("")),
            Cgroups::V2(_) => self.home(),
        };
        place.ok_or(Errno::NOENT)?.read(file, buffer)
    }

    /// Where this controller is.
    fn place_of(&self, controller: &str) -> Option<&'a Place<'a>> {
        self.places.iter().find(|place| place.hierarchy.controls(controller))
    }

    /// All its processes, those of cgroups below it included.
    ///
    /// # Errors
    /// The kernel's. That there is no such cgroup is no error: then it has none.
    pub fn pids(&self) -> Result<&'static [i32]> {
        self.home().map_or(Ok(&[]), Place::pids)
    }

    /// If the kernel has killed a process for memory, the limit and the most that was used, as texts; none if it does
    /// not say.
    #[must_use]
    pub fn oom_killed(&self) -> Option<(&'static str, &'static str)> {
        let [events, limit, used] = match self.cgroups {
            Cgroups::V2(_) => ["memory.events", "memory.max", "memory.peak"],
            _ => ["memory.oom_control", "memory.limit_in_bytes", "memory.max_usage_in_bytes"],
        };
        let mut buffer = [0; 512];
        let killed = number(self.read(events, &mut buffer).ok()?, "oom_kill").is_some_and(|kills| kills > 0);
        let mut text = |file| self.read(file, &mut buffer).map(|text| memory::text(text.trim_ascii_end()));
        // The most is known since Linux 5.19.
        killed.then(|| (text(limit).unwrap_or("?"), text(used).or_else(|_| text("memory.current")).unwrap_or("?")))
    }
}

impl Place<'_> {
    fn name(&self) -> &'static str {
        shown(self.directory)
    }

    /// Another cgroup of the same hierarchy, by its path.
    fn above(&self, path: &str) -> Place<'_> {
        let mount = shown(self.hierarchy.mount);
        Place { directory: memory::joined(&[mount, path]).unwrap_or(c""), ..*self }
    }

    /// The full path of a cgroup below it; of itself, if that is empty.
    #[must_use]
    pub fn below(&self, path: &str) -> &'static CStr {
        if path.is_empty() { self.directory } else { self.file(path) }
    }

    fn file(&self, file: &str) -> &'static CStr {
        // A name with a NUL in it names no file.
        memory::joined(&[self.name(), "/", file]).unwrap_or(c"")
    }

    /// What a small file says. One read gets all of it: the kernel makes such a text in one piece.
    fn read<'b>(&self, file: &str, buffer: &'b mut [u8]) -> Result<&'b str, Errno> {
        let file = file::open(self.file(file))?;
        let n = file::read(file.as_fd(), buffer)?;
        utf8(&buffer[..n]).ok_or(Errno::ILSEQ)
    }

    fn write(&self, file: &str, value: &str) -> Result<(), Errno> {
        file::put(CWD, self.file(file), value.as_bytes())
    }

    /// The processes in it and below.
    fn pids(&self) -> Result<&'static [i32]> {
        let mut pids = Growing::new();
        let mut directories = Growing::new();
        directories.push(self.directory);
        let mut next = 0;
        while let Some(directory) = directories.as_slice().get(next).copied() {
            next += 1;
            let name = shown(directory);
            match list(directory, name, &mut pids, &mut directories) {
                // Somebody removed it meanwhile; or it is threaded, and its processes are listed above it; or it lies
                // deeper than a path can be long, where `cgroup.kill` and `remove` still reach.
                Ok(()) | Err(Errno::NOENT | Errno::NODEV | Errno::OPNOTSUPP | Errno::NAMETOOLONG) => {}
                Err(errno) => return Err(Error::errno("list the processes of cgroup", name, errno)),
            }
        }
        Ok(pids.finish())
    }
}

/// Adds the processes of one cgroup, and the cgroups right below it.
fn list(
    directory: &CStr,
    name: &str,
    pids: &mut Growing<'static, i32>,
    directories: &mut Growing<'static, &'static CStr>,
) -> Result<(), Errno> {
    let directory = file::open(directory)?;
    let procs = file::openat(directory.as_fd(), c"cgroup.procs", OFlags::RDONLY, file::Mode::empty())?;
    let text = file::read_to_end(procs.as_fd(), 1 << 26)?;
    let text = utf8(text).unwrap_or("");
    text.lines().filter_map(sys::natural).for_each(|pid| pids.push(pid));
    file::each_entry(directory.as_fd(), |entry, kind| {
        if kind == file::FileType::Directory
            && let Some(below) = memory::joined(&[name, "/", shown(entry)])
        {
            directories.push(below);
        }
        Ok(())
    })
}

/// The number behind a name in a text of lines like `oom_kill 1`.
fn number(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        line.strip_prefix(name)?.strip_prefix(' ').and_then(|number| sys::natural(number.trim_ascii()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::resources::{self, Limits};

    const PIDS: [Hierarchy<'_>; 2] = [
        Hierarchy { controllers: "pids", directory: c"p", mount: c"/p", own_path: "/", unified: false },
        Hierarchy { controllers: "", directory: c"u", mount: c"/u", own_path: "/", unified: true },
    ];

    #[test]
    fn a_path_is_one_place_a_hierarchy() {
        let cgroup = Cgroup::new(Cgroups::V1(&PIDS), "/a/b").expect("correct");
        assert_eq!(cgroup.places().iter().map(Place::name).collect::<Vec<_>>(), ["/p/a/b", "/u/a/b"]);
        assert_eq!(cgroup.home().map(Place::name), Some("/u/a/b"));
        let cgroup = Cgroup::new(Cgroups::V1(&PIDS[..1]), "/a").expect("correct");
        assert_eq!(cgroup.home().map(Place::name), Some("/p/a"));
    }

    #[test]
    fn what_is_no_containers_is_refused() {
        for path in ["/", "a", "/a/", "/a//b", "/a/../b", "/..", "/a/.", "/a\0b"] {
            assert!(Cgroup::new(Cgroups::V1(&PIDS), path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn none_is_empty_and_does_nothing() {
        let cgroup = Cgroup::new(Cgroups::V1(&PIDS), "").expect("correct");
        assert!(cgroup.places().is_empty() && !cgroup.is_frozen() && cgroup.oom_killed().is_none());
        assert!(cgroup.pids().expect("none").is_empty());
        assert!(
            cgroup
                .create(&resources::Cgroup { path: "", limits: Limits::default(), unit: None, delegation: None })
                .expect("nothing")
                .birthplace()
                .is_none()
        );
        cgroup.kill_all(9).and_then(|()| cgroup.remove()).expect("nothing");
    }

    #[test]
    fn numbers_are_found_by_their_whole_name() {
        let text = "low 0\noom 2\noom_kill 1\noom_group_kill 3\n";
        assert_eq!(number(text, "oom"), Some(2));
        assert_eq!(number(text, "oom_kill"), Some(1));
        assert_eq!(number(text, "kill"), None);
        assert_eq!(number("", "x"), None);
    }
}
