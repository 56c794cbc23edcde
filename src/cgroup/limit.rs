//! Limits are written. Those of a running container all or none: if one is refused, the others get back what they were.

use super::device::Guard;
use super::{Cgroup, Context, Errno, Error, Place, Result, number};
use crate::error::Quoted;
use crate::plan::resources::{Limits, Otherwise, Write};
use crate::sys::file::{self, Mode, OFlags};
use crate::sys::memory::{self, Growing};
use crate::sys::{AsFd, CWD, OwnedFd};
use crate::warn;

/// What a file said before it was written.
#[derive(Clone, Copy)]
pub(super) struct Before<'p> {
    place: &'p Place<'p>,
    file: &'static str,
    value: &'static str,
}

/// For lists by device: what stands for a device that is not on them.
static UNLISTED: [(&str, &str); 5] = [
    ("io.max", "rbps=max wbps=max riops=max wiops=max"),
    ("io.weight", "default"),
    ("io.bfq.weight", "default"),
    ("blkio.bfq.weight_device", "default"),
    ("blkio.throttle.", "0"),
];

impl Cgroup<'_> {
    /// Writes limits of a cgroup that exists.
    ///
    /// # Errors
    /// A limit is refused: then all are what they were.
    pub fn update(&self, limits: &Limits<'_>) -> Result<()> {
        let mut before = Growing::new();
        self.try_update(limits, &mut before).inspect_err(|_| {
            for Before { place, file, value } in before.as_slice().iter().rev() {
                if let Err(errno) = place.write(file, value) {
                    warn!("{}, ignored", Error::errno("set back", file, errno));
                }
            }
        })
    }

    fn try_update<'p>(&'p self, limits: &Limits<'_>, before: &mut Growing<'_, Before<'p>>) -> Result<()> {
        for place in self.places {
            place.limit(limits.writes.iter().filter(|write| place.takes(write)), Some(before))?;
        }
        let unified = self.places.last().filter(|place| place.hierarchy.unified);
        if let (Some(place), Some(devices)) = (unified, limits.devices) {
            let directory = file::open_dir(CWD, place.directory).context("open", place.name())?;
            place.guard_devices(directory.as_fd(), devices.program, Guard::Running)?;
        }
        Ok(())
    }
}

impl<'p> Place<'p> {
    /// Whether a file is in this place.
    pub(super) fn takes(&self, write: &Write<'_>) -> bool {
        let controller = write.controller();
        self.hierarchy.controls(controller) || self.hierarchy.unified && controller == "cgroup"
    }

    /// Writes limits in order, with a descriptor for each run of writes into one file. Some depend on each other, as
    /// that of memory on that of memory and swap: one that is no valid value now (EINVAL) is tried again after the rest.
    pub(super) fn limit<'w>(
        &'p self,
        writes: impl Iterator<Item = &'w Write<'w>>,
        mut before: Option<&mut Growing<'_, Before<'p>>>,
    ) -> Result<()> {
        let mut last: Option<(&str, OwnedFd)> = None;
        let mut put = |file: &'w str, value: &str| {
            if let Some(before) = &mut before
                && let Some(value) = self.before(file, value)
            {
                before.push(Before { place: self, file: memory::text(file), value });
            }
            if last.as_ref().is_none_or(|(name, _)| *name != file) {
                last = Some((file, file::openat(CWD, self.file(file), OFlags::WRONLY, Mode::empty())?));
            }
            last.as_ref().map_or(Err(Errno::BADF), |(_, fd)| file::write(fd.as_fd(), value.as_bytes()).map(drop))
        };
        let mut again: Growing<'_, &Write<'_>> = Growing::new();
        for write in writes {
            match (put(write.file, write.value), write.otherwise) {
                (Ok(()), _) | (Err(Errno::NOENT), Otherwise::Skip) => {}
                (Err(Errno::NOENT), Otherwise::Instead { file, value }) => {
                    put(file, value).map_err(|errno| self.cannot_limit(&Write { file, value, ..*write }, errno))?;
                }
                // But the order of device rules is what they mean.
                (Err(Errno::INVAL), _) if write.controller() != "devices" => again.push(write),
                (Err(errno), _) => return Err(self.cannot_limit(write, errno)),
            }
        }
        for write in again.as_slice() {
            put(write.file, write.value).map_err(|errno| self.cannot_limit(write, errno))?;
        }
        Ok(())
    }

    /// What has to be written to undo that this value is written.
    fn before(&self, file: &str, value: &str) -> Option<&'static str> {
        let mut buffer = [0; 4096];
        before(file, value, self.read(file, &mut buffer).ok()?)
    }

    #[cold]
    fn cannot_limit(&self, write: &Write<'_>, errno: Errno) -> Error {
        let hint = match (errno, write.controller()) {
            (Errno::NOENT, _) => "this kernel has no such file",
            (Errno::BUSY, "memory") => "more than that is in use",
            (Errno::ACCESS | Errno::RANGE | Errno::INVAL, "cpuset") => "the cgroup above it must have them, too",
            (Errno::PERM, "devices") => "the cgroup above it does not allow it itself",
            (Errno::INVAL, "cpu") if write.field == "cpu.shares" => "an idle cgroup has no weight",
            (Errno::NODEV, _) => "there is no such device",
            _ => "",
        };
        let Write { field, file, value, .. } = write;
        let what = format_args!("linux.resources.{field}, {} in {}/{file}", Quoted(value), self.name());
        Error::errno("set", memory::format(what), errno).hint(hint)
    }
}

/// The same for a file that says `text`.
fn before(file: &str, value: &str, text: &str) -> Option<&'static str> {
    let listed = ["io.", "blkio.", "rdma.", "net_prio."].iter().any(|start| file.starts_with(start));
    let old = match value.split_once(' ').filter(|_| listed) {
        Some((key, _)) => {
            let of_key = |line: &&str| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(' '));
            match text.lines().find(of_key) {
                Some(line) => memory::format(format_args!("{line}\n")),
                None => {
                    let (_, none) = UNLISTED.iter().find(|(start, _)| file.starts_with(start))?;
                    memory::format(format_args!("{key} {none}\n"))
                }
            }
        }
        None if file == "memory.oom_control" => memory::format(format_args!("{}\n", number(text, "oom_kill_disable")?)),
        // An empty list of processors is given back by an empty line.
        None => memory::format(format_args!("{}\n", text.lines().next().unwrap_or(""))),
    };
    Some(old)
}

#[cfg(test)]
mod tests {
    use super::before;

    #[test]
    fn what_was_there_is_what_is_written_to_have_it_again() {
        for (file, value, text, expected) in [
            ("memory.max", "5", "max\n", Some("max\n")),
            ("cpu.max", "5 100000", "max 100000\n", Some("max 100000\n")),
            ("cpuset.cpus", "0", "\n", Some("\n")),
            ("cpuset.cpus", "0", "", Some("\n")),
            ("io.max", "8:0 rbps=1", "8:16 rbps=2\n8:0 rbps=3 wbps=max\n", Some("8:0 rbps=3 wbps=max\n")),
            ("io.max", "8:0 rbps=1", "", Some("8:0 rbps=max wbps=max riops=max wiops=max\n")),
            ("blkio.throttle.read_bps_device", "8:1 7", "8:16 3\n", Some("8:1 0\n")),
            ("io.bfq.weight", "50", "default 100\n8:0 7\n", Some("default 100\n")),
            ("io.latency", "8:0 target=1", "", None),
            (
                "rdma.max",
                "mlx hca_handle=1",
                "mlx hca_handle=max hca_object=2\n",
                Some("mlx hca_handle=max hca_object=2\n"),
            ),
            ("memory.oom_control", "1", "oom_kill_disable 0\nunder_oom 0\n", Some("0\n")),
        ] {
            assert_eq!(before(file, value, text), expected, "{file}: {value} after {text:?}");
        }
    }
}
