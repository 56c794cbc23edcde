//! The cgroup is made, limited, and entered.

use core::ffi::CStr;

use super::device::Guard;
use super::{Cgroup, Context, Errno, Error, Place, Result, number};
use crate::debug;
use crate::plan::resources::delegate::Delegation;
use crate::plan::resources::{self, COUNTED, Limits, Write};
use crate::sys::fd::FdList;
use crate::sys::file::{self, Mode, OFlags};
use crate::sys::memory::{self, Growing};
use crate::sys::{self, AsFd, BorrowedFd, CWD, OwnedFd, shown, utf8};

/// What is handed over on kernels that do not say.
const DELEGATED: &[u8] = b"cgroup.procs\ncgroup.threads\ncgroup.subtree_control\n";

/// Open doors into a cgroup. They close when this is dropped; in the child, when it becomes another program.
pub struct Doors<'a> {
    birthplace: Option<(OwnedFd, Place<'a>)>,
    /// Of version 1, and where they lead.
    tasks: FdList,
    places: Growing<'a, Place<'a>>,
}

impl<'a> Doors<'a> {
    fn none() -> Doors<'a> {
        Doors { birthplace: None, tasks: FdList::default(), places: Growing::new() }
    }

    /// The directory for CLONE_INTO_CGROUP, where there is a version 2.
    #[must_use]
    pub fn birthplace(&self) -> Option<BorrowedFd<'_>> {
        self.birthplace.as_ref().map(|(fd, _)| fd.as_fd())
    }

    /// Takes the calling process, which must have one thread, into the hierarchies of version 1: in the child, before
    /// it makes its cgroup namespace. What counts is who opened the doors, so it may have given up its privileges and
    /// see another root; and it takes no memory.
    ///
    /// A thread that moves itself cannot exit or exec meanwhile, so the kernel moves it without the lock (since 5.5).
    ///
    /// # Errors
    /// The kernel's.
    pub fn enter(&self) -> Result<()> {
        for (tasks, place) in self.tasks.iter().zip(self.places.as_slice()) {
            file::write(tasks, b"0").map_err(|errno| refused(place, errno))?;
        }
        Ok(())
    }

    /// The same, for what only the cgroup can have been the reason of.
    #[must_use]
    pub fn not_born(&self, error: Error) -> Error {
        let ours = [Errno::AGAIN, Errno::BUSY, Errno::OPNOTSUPP, Errno::NODEV];
        let reason = ours.into_iter().find(|errno| error.is(*errno) && self.birthplace.is_some());
        reason.map_or(error, |errno| self.refused(errno))
    }

    /// The error for a clone3 with [`birthplace`](Self::birthplace) that failed for the cgroup's sake.
    #[must_use]
    pub fn refused(&self, errno: Errno) -> Error {
        match &self.birthplace {
            Some((_, place)) => refused(place, errno),
            None => Error::errno("clone3", "", errno),
        }
    }
}

/// Why a process may not enter. Takes no memory.
fn refused(place: &Place<'_>, errno: Errno) -> Error {
    let hint = match errno {
        Errno::AGAIN => "the limit of processes is reached, here or above",
        Errno::BUSY => "it has cgroups with controllers below it, so it cannot have processes itself",
        Errno::OPNOTSUPP => "it is threaded or below a threaded cgroup; cgroup.type tells",
        Errno::NOSPC => "cpuset.cpus or cpuset.mems is empty, here or above",
        Errno::NODEV | Errno::NOENT => "somebody removed it meanwhile",
        _ => "",
    };
    Error::errno("enter cgroup", place.name(), errno).hint(hint)
}

impl<'a> Cgroup<'a> {
    /// Makes the cgroup and writes its limits. One that exists is taken if no process is in it. If this fails, nothing
    /// stays behind but parents.
    ///
    /// # Errors
    /// The cgroup is in use or frozen; a limit is refused; the kernel's.
    pub fn create(&self, plan: &resources::Cgroup<'_>) -> Result<Doors<'a>> {
        let mut doors = Doors::none();
        self.build(plan.limits.writes, |place, new| {
            self.open_door(place, &mut doors)?;
            if let (Some(directory), Some(devices)) = (doors.birthplace(), &plan.limits.devices) {
                let guard = if new { Guard::New } else { Guard::Existing };
                place.guard_devices(directory, devices.program, guard)?;
            }
            if let (Some(_), Some(delegation)) = (&doors.birthplace, &plan.delegation) {
                self.delegate(place, delegation, &mut doors).inspect_err(|_| {
                    if new {
                        let _ = place.remove_tree();
                    }
                })?;
            }
            Ok(())
        })?;
        Ok(doors)
    }

    /// The same without doors: whoever is to come in opens them.
    ///
    /// # Errors
    /// As `create`.
    pub fn create_closed(&self, limits: &Limits<'_>) -> Result<()> {
        self.build(limits.writes, |_, _| Ok(()))
    }

    fn build(&self, writes: &[Write<'_>], each: impl FnMut(&Place<'a>, bool) -> Result<()>) -> Result<()> {
        let mut made = Growing::new();
        self.try_build(writes, &mut made, each).inspect_err(|_| {
            for directory in made.as_slice() {
                let _ = file::rmdirat(CWD, directory);
            }
        })
    }

    fn try_build(
        &self,
        writes: &[Write<'_>],
        made: &mut Growing<'_, &'static CStr>,
        mut each: impl FnMut(&Place<'a>, bool) -> Result<()>,
    ) -> Result<()> {
        for place in self.places {
            let mine = || writes.iter().filter(|write| place.takes(write));
            if place.hierarchy.unified {
                self.turn_on_controllers(place, writes)?;
            }
            let new = self.make(place)?;
            if new {
                made.push(place.directory);
            }
            self.is_fit(place, new)?;
            if !place.hierarchy.unified && place.hierarchy.controls("cpuset") {
                for file in ["cpuset.cpus", "cpuset.mems"] {
                    let given = mine().any(|write| write.file == file);
                    // What is given can be no more than the cgroups above have, and they may be new.
                    let path =
                        if given { sys::split_last(self.path).map_or("", |(above, _)| above) } else { self.path };
                    if !path.is_empty() {
                        self.inherit(place, path, file, new && !given)?;
                    }
                }
            }
            place.limit(mine(), None)?;
            each(place, new)?;
        }
        Ok(())
    }

    /// The doors of a cgroup that was just made: in every hierarchy, or its limits would not hold.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open_all(&self) -> Result<Doors<'a>> {
        let mut doors = Doors::none();
        self.places.iter().try_for_each(|place| self.open_door(place, &mut doors))?;
        Ok(doors)
    }

    /// The doors of a cgroup that exists, or of one below it, for one more process. What has been removed meanwhile, or
    /// was mounted only after the container's start, has none. In a hierarchy that does not have the one below, it is
    /// this one: there, too, the process must not stay in the caller's.
    ///
    /// # Errors
    /// The kernel's; that there is no such cgroup at all, or that no hierarchy has the one below.
    pub fn open_below(&self, below: Option<&str>) -> Result<Doors<'a>> {
        let mut doors = Doors::none();
        let mut missing = below.filter(|_| !self.places.is_empty());
        for place in self.places {
            if let Some(below) = below {
                let path = memory::joined(&[place.name(), "/", below]).unwrap_or(c"");
                match self.open_door(&Place { directory: path, ..*place }, &mut doors) {
                    Err(error) if error.is(Errno::NOENT) => {}
                    other => {
                        other?;
                        missing = None;
                        continue;
                    }
                }
            }
            match self.open_door(place, &mut doors) {
                Err(error) if error.is(Errno::NOENT) => debug!("{}: not there", place.name()),
                other => other?,
            }
        }
        if !self.places.is_empty() && doors.birthplace.is_none() && doors.places.is_empty() {
            return Err(Error::errno("enter cgroup", self.path, Errno::NOENT));
        }
        if let Some(below) = missing {
            let name = memory::format(format_args!("{}/{below}", self.path));
            return Err(Error::errno("enter cgroup", name, Errno::NOENT));
        }
        Ok(doors)
    }

    /// Moves the birthplace to a cgroup below this one, by its whole path; false if it is not below.
    ///
    /// # Errors
    /// The kernel's.
    pub fn reopen(&self, doors: &mut Doors<'a>, path: &str) -> Result<bool> {
        let is_below = path.strip_prefix(self.path).is_some_and(|rest| rest.starts_with('/'));
        let Some(place) = self.places.last().filter(|place| place.hierarchy.unified && is_below) else {
            return Ok(false);
        };
        self.open_door(&Place { directory: place.above(path).directory, ..*place }, doors)?;
        Ok(true)
    }

    /// Hands the cgroup, or one below it that becomes the birthplace, to the container's root: the directory, and the
    /// files that the kernel names for this. Those of its limits are not among them.
    fn delegate(&self, place: &Place<'a>, delegation: &Delegation<'_>, doors: &mut Doors<'a>) -> Result<()> {
        let mut given = *place;
        if !delegation.below.is_empty() {
            let path = memory::format(format_args!("{}/{}", self.path, delegation.below.trim_end_matches('/')));
            let inner = Cgroup::new(self.cgroups, path)?;
            let Some(inner_place) = inner.places.last() else { return Ok(()) };
            inner.turn_on_controllers(inner_place, &[])?;
            inner.make(inner_place)?;
            given = Place { directory: inner_place.directory, ..*place };
            self.open_door(&given, doors)?;
        }
        let Some((uid, gid)) = delegation.owner else { return Ok(()) };
        match file::chownat(CWD, given.directory, uid, gid) {
            // A user without privileges cannot give anything away.
            Err(Errno::PERM) => {
                debug!("{}: stays ours", given.name());
                return Ok(());
            }
            other => other.context("chown cgroup", given.name())?,
        }
        let mut buffer = [0; 4096];
        let named = file::get(CWD, c"/sys/kernel/cgroup/delegate", &mut buffer).unwrap_or(DELEGATED);
        for name in utf8(named).unwrap_or("").lines() {
            match file::chownat(CWD, given.file(name), uid, gid) {
                // That of a controller that is not turned on.
                Err(Errno::NOENT) => {}
                other => other.context_with("chown", format_args!("{}/{name}", given.name()))?,
            }
        }
        Ok(())
    }

    fn open_door(&self, place: &Place<'a>, doors: &mut Doors<'a>) -> Result<()> {
        if place.hierarchy.unified {
            let directory = file::open_dir(CWD, place.directory).context("open", place.name())?;
            doors.birthplace = Some((directory, *place));
            return Ok(());
        }
        let tasks = file::openat(CWD, place.file("tasks"), OFlags::WRONLY, Mode::empty())
            .context_with("open", format_args!("{}/tasks", place.name()))?;
        doors.tasks.push(Some(tasks));
        doors.places.push(*place);
        Ok(())
    }

    /// The paths above this one, from the top, without the root.
    fn parents(&self) -> impl Iterator<Item = &'a str> {
        let path = self.path;
        path.match_indices('/').skip(1).map(move |(end, _)| &path[..end])
    }

    /// Makes the directory and what is missing above it; false if it was there before.
    fn make(&self, place: &Place<'_>) -> Result<bool> {
        match file::mkdirat(CWD, place.directory, 0o755) {
            Err(Errno::NOENT) => {
                self.parents().try_for_each(|parent| make_directory(place.above(parent).directory).map(drop))?;
                make_directory(place.directory)
            }
            made => was_made(place.directory, made),
        }
    }

    /// The runtime-spec has us look: a container would stop before it starts, or share its limits and its end.
    fn is_fit(&self, place: &Place<'_>, new: bool) -> Result<()> {
        // A new cgroup right below the root is not frozen.
        if (!new || self.parents().next().is_some()) && place.is_frozen() {
            return Err(Error::because("enter cgroup", place.name(), "it is frozen, and so would the container be"));
        }
        if !new && !self.kept && place.is_used()? {
            return Err(Error::because("create cgroup", place.name(), "it exists and has processes")
                .hint("two containers cannot share a cgroup; see linux.cgroupsPath"));
        }
        Ok(())
    }

    /// A new cpuset of version 1 is empty and lets nobody in: it gets what the nearest cgroup above has.
    fn inherit(&self, place: &Place<'_>, path: &str, file: &str, new: bool) -> Result<()> {
        let mut buffer = [0; 4096];
        inherited(place, path, file, new, &mut buffer)
            .map(drop)
            .context_with("set", format_args!("{}/{file}", place.above(path).name()))
    }

    /// Version 2: a cgroup has the controllers that its parent's `cgroup.subtree_control` names, and so on upwards.
    /// What cannot be turned on matters only if a limit needs it.
    fn turn_on_controllers(&self, place: &Place<'_>, writes: &[Write<'_>]) -> Result<()> {
        if place.hierarchy.controllers.is_empty() {
            return Ok(());
        }
        let needed = |controller: &str| writes.iter().any(|write| write.controller() == controller);
        let wanted = |controller: &&str| COUNTED.contains(controller) || needed(controller);
        for parent in core::iter::once("").chain(self.parents()) {
            let at_root = parent.is_empty();
            let parent = place.above(parent);
            let name = parent.name();
            if !at_root {
                make_directory(parent.directory)?;
            }
            let mut buffer = [0; 256];
            let on = parent.read("cgroup.subtree_control", &mut buffer).context("read subtree_control of", name)?;
            let missing = || {
                let all = place.hierarchy.controllers.split(' ').filter(wanted);
                all.filter(|controller| !on.split_ascii_whitespace().any(|one| one == *controller))
            };
            let mut all: heapless::String<256> = heapless::String::new();
            for controller in missing() {
                let _ = core::fmt::Write::write_fmt(&mut all, format_args!("+{controller} "));
            }
            if all.is_empty() {
                continue;
            }
            match parent.write("cgroup.subtree_control", &all) {
                Ok(()) => continue,
                // It has processes. On their own, those that can be had in spite of that (cpu, cpuset, pids) would make
                // it the root of a threaded tree, in which no container can be.
                Err(Errno::BUSY) => match missing().find(|controller| needed(controller)) {
                    Some(controller) => return Err(cannot_turn_on(controller, name, Errno::BUSY)),
                    None => {
                        debug!("{}", cannot_turn_on(all.trim_ascii_end(), name, Errno::BUSY));
                        continue;
                    }
                },
                Err(_) => {}
            }
            // One of them is in the way of all: each on its own.
            for controller in missing() {
                let one = memory::format(format_args!("+{controller}"));
                match parent.write("cgroup.subtree_control", one) {
                    Err(errno) if needed(controller) => return Err(cannot_turn_on(controller, name, errno)),
                    Err(errno) => debug!("{}", cannot_turn_on(controller, name, errno)),
                    Ok(()) => {}
                }
            }
        }
        Ok(())
    }
}

fn make_directory(directory: &'static CStr) -> Result<bool> {
    was_made(directory, file::mkdirat(CWD, directory, 0o755))
}

fn was_made(directory: &'static CStr, made: Result<(), Errno>) -> Result<bool> {
    let errno = match made {
        Ok(()) => return Ok(true),
        Err(Errno::EXIST) => return Ok(false),
        Err(errno) => errno,
    };
    let hint = match errno {
        Errno::ROFS => "cgroups are mounted read-only here",
        Errno::AGAIN => "cgroup.max.descendants or cgroup.max.depth of a cgroup above is reached",
        Errno::ACCESS | Errno::PERM => "this user may not make cgroups there",
        _ => "",
    };
    Err(Error::errno("create cgroup", shown(directory), errno).hint(hint))
}

#[cold]
fn cannot_turn_on(controller: &str, parent: &str, errno: Errno) -> Error {
    let hint = match errno {
        Errno::NOENT => "the cgroup itself does not have that controller",
        Errno::BUSY => "the cgroup has processes of its own: on version 2 only its leaves may",
        Errno::OPNOTSUPP => "the cgroup is threaded, and the controller is not",
        Errno::INVAL if controller == "cpu" => "a real-time process is below it",
        _ => "",
    };
    let subject = memory::format(format_args!("{controller} for the cgroups below {parent}"));
    Error::errno("turn on controller", subject, errno).hint(hint)
}

impl Place<'_> {
    /// Whether a process is in it or below it.
    fn is_used(&self) -> Result<bool> {
        if !self.hierarchy.unified {
            return Ok(!self.pids()?.is_empty());
        }
        let mut buffer = [0; 256];
        let events = self.read("cgroup.events", &mut buffer).context("read the events of cgroup", self.name())?;
        Ok(number(events, "populated") == Some(1))
    }
}

/// What a file of a cpuset says, in the buffer; an empty one, which `known_empty` spares to read, first gets what the
/// file in the cgroup above it says.
fn inherited<'b>(
    place: &Place<'_>,
    path: &str,
    file: &str,
    known_empty: bool,
    buffer: &'b mut [u8; 4096],
) -> Result<&'b [u8], Errno> {
    let name = place.above(path).file(file);
    let n = if known_empty { 0 } else { file::read(file::open(name)?.as_fd(), buffer)? };
    match sys::split_last(path) {
        Some((above, _)) if buffer[..n].trim_ascii().is_empty() => {
            let value = inherited(place, above, file, false, buffer)?;
            file::put(CWD, name, value)?;
            Ok(value)
        }
        _ => Ok(&buffer[..n]),
    }
}
