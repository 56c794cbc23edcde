//! The cgroup is emptied and removed.

use super::{Cgroup, Context, Errno, Error, Place, Result, number};
use crate::sys::file::{self, FileType, Mode, OFlags};
use crate::sys::{AsFd, CWD, OwnedFd, memory, process, time};

/// SIGKILL.
const KILL: u32 = 9;

/// How long killed processes may take to end. One that waits for a disk or a server may take for ever.
const PATIENCE: u32 = 10_000;

/// Thaws when it goes out of scope, so that no error on the way leaves the container frozen.
struct Thaw<'c, 'a>(&'c Cgroup<'a>);

impl Drop for Thaw<'_, '_> {
    fn drop(&mut self) {
        let _ = self.0.thaw();
    }
}

impl Cgroup<'_> {
    /// Sends a signal to all processes. Those that it does not end may have children meanwhile: they are frozen while
    /// they are signalled, so that none is missed, and none of the numbers comes to mean another process.
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
                Err(errno) => return Err(Error::errno("kill", home.name(), errno)),
            }
        }
        let _thaw = if signal != KILL && self.is_frozen() {
            None
        } else {
            // If it cannot be frozen, this is still the best that can be done.
            let _ = self.freeze();
            Some(Thaw(self))
        };
        for pid in self.pids()?.iter().filter(|pid| **pid > 0) {
            match process::kill(*pid, signal) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(errno) => return Err(Error::errno("kill", memory::format(format_args!("{pid}")), errno)),
            }
        }
        Ok(())
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
                Err(Errno::ROFS) => {
                    return Err(Error::errno("remove cgroup", place.name(), Errno::ROFS)
                        .hint("cgroups are mounted read-only here"));
                }
                Err(errno) => return Err(Error::errno("remove cgroup", place.name(), errno)),
            }
        }
        Ok(())
    }

    fn empty_and_remove(&self, place: &Place<'_>) -> Result<()> {
        let deadline = time::monotonic_raw() + u64::from(PATIENCE) * 1_000_000;
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
            place.wait_until_empty(deadline).context("wait for the end of", place.name())?;
        }
    }
}

impl Place<'_> {
    /// Until nobody is left or the time is over.
    fn wait_until_empty(&self, deadline: u64) -> Result<(), Errno> {
        let left = || (deadline.saturating_sub(time::monotonic_raw()) / 1_000_000) as u32;
        if self.hierarchy.unified {
            let events = match file::open(self.file("cgroup.events")) {
                Err(Errno::NOENT) => return Ok(()),
                events => events?,
            };
            let mut buffer = [0; 256];
            loop {
                let n = match file::pread(events.as_fd(), &mut buffer, 0) {
                    Err(Errno::NODEV) => return Ok(()),
                    n => n?,
                };
                let text = core::str::from_utf8(&buffer[..n]).unwrap_or("");
                if number(text, "populated") != Some(1) || left() == 0 {
                    return Ok(());
                }
                time::wait_changed(events.as_fd(), left())?;
            }
        }
        // Version 1 tells nobody that a cgroup is empty, but each process tells its end. One of another pid namespace
        // has no number here, and somebody who is dying has none any more: a moment, and the next look.
        let mut waited = false;
        for pid in self.pids().unwrap_or(&[]).iter().filter(|pid| **pid > 0) {
            if let Ok(process) = process::pidfd_open(*pid) {
                waited = true;
                time::wait_readable(process.as_fd(), Some(left()))?;
            }
        }
        if !waited && let Ok(file) = file::open(self.file("cgroup.procs")) {
            time::wait_changed(file.as_fd(), 1)?;
        }
        Ok(())
    }

    /// Removes the directory and all below it, however deep, with one descriptor: down into what is busy, up again
    /// when nothing is left there. Fails with EBUSY at the first that is busy although nothing is below it.
    fn remove_tree(&self) -> Result<(), Errno> {
        let mut here = match file::open(self.directory) {
            Err(Errno::NOENT) => return Ok(()),
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
                            busy = heapless::CString::from_bytes_with_nul(name.to_bytes_with_nul()).ok()
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
                None if depth == 0 => return file::rmdirat(CWD, self.directory),
                None => step(&here, c"..")?,
            };
            depth = if just_entered { depth + 1 } else { depth - 1 };
        }
    }
}

fn step(from: &OwnedFd, name: &core::ffi::CStr) -> Result<OwnedFd, Errno> {
    file::openat(from.as_fd(), name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}
