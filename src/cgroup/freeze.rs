//! Stopping all processes of a cgroup, and letting them go on.

use super::{Cgroup, Context, Errno, Error, Place, Result, number};
use crate::sys::{AsFd, CWD, file, memory, time, utf8};

/// How many milliseconds processes may take to stop. One that waits for a disk or a server may take for ever.
const PATIENCE: u32 = 2048;

/// Whether version 2 has frozen the cgroup of this path. Says it without the facts of the machine: by convention there
/// are only two places to look at.
#[must_use]
pub fn is_frozen_by_v2(path: &str) -> bool {
    let mut buffer = [0; 256];
    for mount in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
        let events = memory::joined(&[mount, path, "/cgroup.events"]).unwrap_or(c"");
        if let Ok(text) = file::get(CWD, events, &mut buffer) {
            return utf8(text).is_some_and(|text| number(text, "frozen") == Some(1));
        }
    }
    false
}

impl Cgroup<'_> {
    /// Whether the cgroup is frozen, by whichever version; one that is gone is not.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.freezers().any(Place::is_frozen)
    }

    /// Whether version 2 has frozen it.
    #[must_use]
    pub fn is_frozen_by_v2(&self) -> bool {
        self.places.last().is_some_and(|place| place.hierarchy.unified && place.is_frozen())
    }

    /// Stops all processes and waits until they are. Beside version 1, version 2 does it: a process that it has
    /// stopped can still be killed.
    ///
    /// # Errors
    /// A process did not stop: then all go on. That there is no freezer; the kernel's.
    pub fn freeze(&self) -> Result<()> {
        let Some(place) = self.freezers().next() else {
            return Err(Error::because("freeze cgroup", self.path, "this host has no freezer in /sys/fs/cgroup"));
        };
        let [file, _, frozen] = place.freezer();
        place.write(file, frozen).context("freeze cgroup", place.name())?;
        let error = match place.wait_until_frozen() {
            Ok(true) => return Ok(()),
            Ok(false) => Error::because("freeze cgroup", place.name(), "its processes do not stop"),
            Err(errno) => Error::errno("freeze cgroup", place.name(), errno),
        };
        self.thaw()?;
        Err(error)
    }

    /// Lets all processes go on, whoever stopped them.
    ///
    /// # Errors
    /// The kernel's; a cgroup that is gone is none.
    pub fn thaw(&self) -> Result<()> {
        self.freezers().try_for_each(|place| {
            let [file, thawed, _] = place.freezer();
            match place.write(file, thawed) {
                Err(Errno::NOENT | Errno::NODEV) => Ok(()),
                other => other.context("thaw cgroup", place.name()),
            }
        })
    }

    /// Version 2 first.
    fn freezers(&self) -> impl Iterator<Item = &Place<'_>> {
        self.places.iter().rev().filter(|place| place.hierarchy.unified || place.hierarchy.controls("freezer"))
    }
}

impl Place<'_> {
    /// The file that freezes, and its words for "no" and "yes".
    fn freezer(&self) -> [&'static str; 3] {
        match self.hierarchy.unified {
            true => ["cgroup.freeze", "0", "1"],
            false => ["freezer.state", "THAWED", "FROZEN"],
        }
    }

    /// Whether processes here are stopped, because of this cgroup or of one above it.
    pub(super) fn is_frozen(&self) -> bool {
        let mut buffer = [0; 256];
        if self.hierarchy.unified {
            matches!(self.read("cgroup.events", &mut buffer), Ok(text) if number(text, "frozen") == Some(1))
        } else if self.hierarchy.controls("freezer") {
            matches!(self.read("freezer.state", &mut buffer), Ok(text) if text.trim_ascii() != "THAWED")
        } else {
            false
        }
    }

    /// False if it takes too long. Version 2 notifies, but no more often than every 10 ms, and version 1 never: looking
    /// again after 1, 2, 4, ... ms costs little.
    fn wait_until_frozen(&self) -> Result<bool, Errno> {
        let file = file::open(self.file(if self.hierarchy.unified { "cgroup.events" } else { "freezer.state" }))?;
        let mut wait = 1;
        loop {
            let mut buffer = [0; 256];
            let n = file::pread(file.as_fd(), &mut buffer, 0)?;
            let text = utf8(&buffer[..n]).unwrap_or("");
            if text.trim_ascii() == "FROZEN" || number(text, "frozen") == Some(1) {
                return Ok(true);
            }
            if wait > PATIENCE {
                return Ok(false);
            }
            time::wait_changed(file.as_fd(), wait)?;
            wait *= 2;
        }
    }
}
