//! The cgroup is emptied and removed.

use super::{Cgroup, Context, Errno, Error, Place, Result, number};
use crate::sys::event::poll;
use crate::sys::file::{self, AtFlags, FileType, Mode, OFlags};
use crate::sys::{AsFd, CWD, OwnedFd, memory, process, time, utf8};

/// SIGKILL.
const KILL: u32 = 9;

/// How long killed processes may take to end. One that waits for a disk or a server may take for ever.
const PATIENCE: u32 = 10_000;

/// How many processes are held at once.
const HELD: usize = 64;

/// Thaws when it goes out of scope, so that no error on the way leaves the container frozen.
struct Thaw<'c, 'a>(&'c Cgroup<'a>);

impl Drop for Thaw<'_, '_> {
    fn drop(&mut self) {
        let _ = self.0.thaw();
    }
}

impl Cgroup<'_> {
    /// Sends a signal to all processes. They are frozen meanwhile, so that none has a child that is missed.
    ///
    /// # Errors
    /// The kernel's; that there is nobody is no error.
    pub fn kill_all(&self, signal: u32) -> Result<()> {
        let Some(home) = self.home() else { return Ok(()) };
        if signal == KILL && home.hierarchy.unified {
            match home.write("cgroup.kill", "1") {
                // A process that version 1 has frozen dies when it is thawed.
                Ok(()) => return self.thaw(),
                // Before Linux 5.14.
                Err(Errno::NOENT | Errno::NODEV) => {}
                Err(errno) => return Err(Error::errno("kill cgroup", home.name(), errno)),
            }
        }
        let _thaw = if signal != KILL && self.is_frozen() {
            None
        } else {
            // If it cannot be frozen, this is still the best that can be done.
            let _ = self.freeze();
            Some(Thaw(self))
        };
        home.signal(signal)
    }

    /// Removes the cgroup and all below it in every hierarchy, and kills whoever is still there. Parents stay; what is
    /// gone already is no error.
    ///
    /// # Errors
    /// Processes that do not end; the kernel's.
    pub fn remove(&self) -> Result<()> {
        // Version 2 first: it kills best.
        for place in self.places.iter().rev() {
            match file::rmdirat(CWD, place.directory) {
                Ok(()) | Err(Errno::NOENT | Errno::NODEV) => {}
                Err(Errno::BUSY) => self.empty_and_remove(place)?,
                // Said before the kernel has looked whether there is anything to remove.
                Err(Errno::ROFS)
                    if file::fstatat(CWD, place.directory, AtFlags::empty()).err() == Some(Errno::NOENT) => {}
                Err(Errno::ROFS) => {
                    return Err(Error::errno("remove cgroup", place.name(), Errno::ROFS)
                        .hint("cgroups are mounted read-only here"));
                }
                Err(errno) => return Err(Error::errno("remove cgroup", place.name(), errno)),
            }
        }
        Ok(())
    }

    /// Waits until nobody is in it, no longer than for the end of killed processes; false if somebody stays.
    ///
    /// # Errors
    /// The kernel's.
    pub fn wait_until_left(&self) -> Result<bool> {
        let deadline = time::monotonic_raw() + u64::from(PATIENCE) * 1_000_000;
        let mut wait = 1;
        while !self.pids()?.is_empty() {
            if time::monotonic_raw() > deadline {
                return Ok(false);
            }
            poll(&mut [], Some(wait)).context("poll", "")?;
            wait *= 2;
        }
        Ok(true)
    }

    fn empty_and_remove(&self, place: &Place<'_>) -> Result<()> {
        let deadline = time::monotonic_raw() + u64::from(PATIENCE) * 1_000_000;
        let mut wait = 1;
        loop {
            match place.remove_tree() {
                Ok(()) => return Ok(()),
                // Used, or changed while we looked: once more.
                Err(Errno::BUSY | Errno::NOENT | Errno::NODEV) if time::monotonic_raw() < deadline => {}
                Err(errno) => {
                    return Err(Error::errno("remove cgroup", place.name(), errno).hint(match errno {
                        Errno::BUSY => "its processes have been killed but do not end; cgroup.procs names them",
                        _ => "",
                    }));
                }
            }
            self.kill_all(KILL)?;
            if !place.hierarchy.unified {
                // Somebody may have moved a process in this hierarchy alone.
                place.signal(KILL)?;
            }
            match place.wait_for_end(deadline, wait) {
                Ok(()) | Err(Errno::NOENT | Errno::NODEV) => wait = wait.saturating_mul(2),
                Err(errno) => return Err(Error::errno("wait for the end of cgroup", place.name(), errno)),
            }
        }
    }
}

impl Place<'_> {
    /// Sends a signal to the processes here. Each is first held by a descriptor and then looked for once more, so that
    /// no number that has come to mean another process is ever signalled.
    fn signal(&self, signal: u32) -> Result<()> {
        for pids in self.pids()?.chunks(HELD) {
            let hold = |pid: &i32| Some((*pid, process::pidfd_open(*pid).ok()?));
            let held: heapless::Vec<(i32, OwnedFd), HELD> = pids.iter().filter_map(hold).collect();
            let still = self.pids()?;
            for (pid, process) in held.iter().filter(|(pid, _)| still.contains(pid)) {
                match process::pidfd_send_signal(process.as_fd(), signal) {
                    Ok(()) | Err(Errno::SRCH) => {}
                    Err(errno) => {
                        return Err(Error::errno("kill process", memory::format(format_args!("{pid}")), errno));
                    }
                }
            }
        }
        Ok(())
    }

    /// Until nobody is left or the time is over; but where nobody would tell us, only for a moment.
    fn wait_for_end(&self, deadline: u64, mut moment: u32) -> Result<(), Errno> {
        let left = || (deadline.saturating_sub(time::monotonic_raw()) / 1_000_000) as u32;
        if self.hierarchy.unified {
            let events = file::open(self.file("cgroup.events"))?;
            let mut buffer = [0; 256];
            loop {
                let n = file::pread(events.as_fd(), &mut buffer, 0)?;
                let text = utf8(&buffer[..n]).unwrap_or("");
                if number(text, "populated") != Some(1) || left() == 0 {
                    return Ok(());
                }
                // The kernel notifies no more often than every 10 ms: to look again after 1, 2, 4, ... ms is sooner.
                time::wait_changed(events.as_fd(), left().min(moment))?;
                moment = moment.saturating_mul(2);
            }
        }
        // Version 1 tells nobody that a cgroup is empty, but each process tells its end.
        let mut told = false;
        for pid in self.pids().unwrap_or(&[]) {
            if let Ok(process) = process::pidfd_open(*pid) {
                time::wait_readable(process.as_fd(), Some(left()))?;
                told = true;
            }
        }
        if !told {
            // One of another pid namespace has no number here (0), and one that has just died has none any more.
            time::wait_changed(file::open(self.file("cgroup.procs"))?.as_fd(), left().min(moment))?;
        }
        Ok(())
    }

    /// Removes the directory and all below it, however deep, with one descriptor: down into what is busy, up again
    /// when nothing is left there. Fails with EBUSY at the first that is busy although nothing is below it.
    pub(super) fn remove_tree(&self) -> Result<(), Errno> {
        let remove = || match file::rmdirat(CWD, self.directory) {
            Err(Errno::NOENT | Errno::NODEV) => Ok(()),
            removed => removed,
        };
        let mut here = match file::open(self.directory) {
            Err(Errno::NOENT) => return remove(),
            here => here?,
        };
        let mut depth = 0;
        let mut just_entered = false;
        loop {
            let mut seen = false;
            let mut busy: Option<heapless::CString<256>> = None;
            file::each_entry(here.as_fd(), |name, kind| {
                if kind == FileType::Directory {
                    seen = true;
                    match file::rmdirat(here.as_fd(), name) {
                        Ok(()) | Err(Errno::NOENT | Errno::NODEV) => {}
                        Err(Errno::BUSY) => {
                            busy = heapless::CString::from_bytes_with_nul(name.to_bytes_with_nul()).ok();
                        }
                        Err(errno) => return Err(errno),
                    }
                }
                Ok(())
            })?;
            if just_entered && !seen {
                return Err(Errno::BUSY);
            }
            just_entered = busy.is_some();
            here = match &busy {
                Some(below) => step(&here, below)?,
                None if depth == 0 => return remove(),
                None => step(&here, c"..")?,
            };
            depth = if just_entered { depth + 1 } else { depth - 1 };
        }
    }
}

fn step(from: &OwnedFd, name: &core::ffi::CStr) -> Result<OwnedFd, Errno> {
    file::openat(from.as_fd(), name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}
