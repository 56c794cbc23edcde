//! The resctrl file system: groups of processes that share what they may use of caches and memory bandwidth
//! (Documentation/filesystems/resctrl.rst of the kernel). A group is a directory, here always named from the file system's
//! root.

#![forbid(unsafe_code)]

use core::ffi::CStr;

use crate::error::{Context, Errno, Error, Result};
use crate::plan::rdt::{ROOT, Rdt, agrees};
use crate::sys::file::{self, AtFlags, Mode, OFlags};
use crate::sys::memory::{self, Growing};
use crate::sys::{AsFd, CWD, utf8};

/// What was made for a container.
#[derive(Clone, Copy, Default)]
pub struct Made<'a> {
    /// The groups that go with it.
    pub own: &'a [&'a str],
    /// These, and what is only taken away again if the container is never complete.
    pub all: &'a [&'a str],
}

/// Makes what is missing and writes what is to be in force. What was made is taken away again if that fails.
///
/// # Errors
/// If the file system is not mounted; if a group that should be there is not, or is another than the config says; the
/// kernel's.
#[inline(never)]
pub fn make<'a>(plan: &Rdt<'a>) -> Result<Made<'a>> {
    let group = plan.group;
    if !is_there("", "schemata") {
        return Err(Error::because("linux.intelRdt", "", "the resctrl file system is not mounted at /sys/fs/resctrl"));
    }
    let wrong =
        |why| Error::because("linux.intelRdt, the resctrl group", memory::format(format_args!("`{group}`")), why);
    let is_new = !is_there(group, "");
    if is_new {
        if !plan.own && plan.lines.is_empty() {
            return Err(wrong("does not exist"));
        }
        make_one(group)?;
    } else if !agrees(plan.schemata, schemata(group)?) {
        return Err(wrong("has a different configuration"));
    }
    let mut all = Growing::new();
    let written = if plan.lines.is_empty() { Ok(()) } else { write(group, plan.lines) };
    let done = written.and_then(|()| plan.monitoring.map_or(Ok(()), make_one)).map(|()| {
        plan.monitoring.into_iter().for_each(|monitoring| all.push(monitoring));
    });
    let monitoring = all.len();
    if is_new {
        all.push(group);
    }
    let all = &*all.finish();
    let own = if plan.own { all } else { &all[..monitoring] };
    match done {
        Ok(()) => Ok(Made { own, all }),
        Err(error) => remove(all).and(Err(error)),
    }
}

/// Puts a process into groups, by its number, or the caller itself by 0.
///
/// # Errors
/// The kernel's.
pub fn enter(groups: &[&str], pid: i32) -> Result<()> {
    let number = memory::format(format_args!("{pid}"));
    groups.iter().try_for_each(|group| {
        file::put(CWD, path(group, "tasks"), number.as_bytes()).context("enter the resctrl group", group)
    })
}

/// Writes lines of `schemata`, all at once: either they are in force or the kernel says why not.
///
/// # Errors
/// The kernel's.
pub fn write(group: &str, lines: &str) -> Result<()> {
    file::put(CWD, path(group, "schemata"), lines.as_bytes())
        .context("write the schemata of the resctrl group", memory::text(group))
        .map_err(|error| error.hint("/sys/fs/resctrl/info/last_cmd_status says more"))
}

/// Takes groups away, in this order; who is in one then is in the one above it.
///
/// # Errors
/// The kernel's.
pub fn remove(groups: &[&str]) -> Result<()> {
    groups.iter().try_for_each(|group| match file::rmdirat(CWD, path(group, "")) {
        Err(Errno::NOENT) => Ok(()),
        removed => removed.context("remove the resctrl group", memory::text(group)),
    })
}

fn make_one(group: &str) -> Result<()> {
    file::mkdirat(CWD, path(group, ""), 0o755).context("make the resctrl group", memory::text(group))
}

fn is_there(group: &str, file: &str) -> bool {
    file::fstatat(CWD, path(group, file), AtFlags::empty()).is_ok()
}

pub fn schemata(group: &str) -> Result<&'static str> {
    const LONGEST: usize = 1 << 16;
    let read = || {
        let file = file::openat(CWD, path(group, "schemata"), OFlags::RDONLY, Mode::empty())?;
        utf8(file::read_to_end(file.as_fd(), LONGEST)?).ok_or(Errno::ILSEQ)
    };
    read().context("read the schemata of the resctrl group", memory::text(group))
}

/// There is no NUL in the names: `plan` has looked.
fn path(group: &str, file: &str) -> &'static CStr {
    memory::joined(&[ROOT, "/", group, "/", file]).unwrap_or_default()
}
