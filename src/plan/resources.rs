//! `linux.cgroupsPath` and `linux.resources`: which cgroup, and what is written into which of its files, in order. The
//! config has one vocabulary, the kernel has two (version 1 and 2); here is the dictionary.

pub mod delegate;
mod devices;
mod lists;
mod numbers;
#[cfg(test)]
mod tests;
mod weight;

use core::fmt;

use super::systemd::Unit;
use crate::ebpf::Rule;
use crate::error::{Error, Quoted, Result};
use crate::host::Cgroups;
use crate::spec::{Linux, Resources};
use crate::sys::bpf::Instruction;
use crate::sys::memory::{self, Growing};

/// What is turned on for the container on version 2 whether it is limited or not, so that its use is counted.
pub static COUNTED: [&str; 7] = ["cpu", "io", "memory", "pids", "cpuset", "hugetlb", "misc"];

/// The container's cgroup.
#[derive(Clone, Copy, Debug)]
pub struct Cgroup<'a> {
    /// Its path from the root of every hierarchy: begins with `/`, does not end with one. Empty: there is none.
    pub path: &'a str,
    /// What it may use.
    pub limits: Limits<'a>,
    /// The unit of systemd's that it is in, if systemd makes it: then its path is known only when that exists.
    pub unit: Option<&'a Unit<'a>>,
    /// What of it the container may arrange by itself.
    pub delegation: Option<delegate::Delegation<'a>>,
}

/// `linux.resources`, for the version of cgroups that the host has.
#[derive(Clone, Copy, Default, Debug)]
pub struct Limits<'a> {
    pub writes: &'a [Write<'a>],
    /// Which devices, on version 2, which has no file for that; none if nothing is said about them.
    pub devices: Option<Devices<'a>>,
}

/// Device rules for version 2.
#[derive(Clone, Copy, Debug)]
pub struct Devices<'a> {
    /// In order; the first is about everything.
    pub rules: &'a [Rule],
    /// The same as a program; empty if all is allowed.
    pub program: &'a [Instruction],
}

/// One write into one file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Write<'a> {
    /// Where it comes from, below `linux.resources`.
    pub field: &'a str,
    /// The file's name in the cgroup.
    pub file: &'a str,
    /// What is written.
    pub value: &'a str,
    /// What then if the kernel does not take it.
    pub otherwise: Otherwise<'a>,
}

/// The answer to a kernel that does not take a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Otherwise<'a> {
    /// Give up.
    Fail,
    /// The file may be missing: then there is nothing to limit.
    Skip,
    /// The file may be missing: then this one takes this value.
    Instead { file: &'a str, value: &'a str },
}

impl<'a> Write<'a> {
    /// The controller that the file belongs to: the first word of its name.
    #[must_use]
    pub fn controller(&self) -> &'a str {
        controller(self.file)
    }
}

/// The cgroup of a container called `id`. If it is not `managed` by us there is none, and limits are ignored.
///
/// # Errors
/// A path or a limit that makes no sense, or that this host cannot enforce.
pub fn cgroup<'a>(linux: Option<&Linux<'a>>, cgroups: &Cgroups<'_>, id: &'a str, managed: bool) -> Result<Cgroup<'a>> {
    if !managed {
        return Ok(Cgroup { path: "", limits: Limits::default(), unit: None, delegation: None });
    }
    let path = path(linux.and_then(|linux| linux.cgroups_path), id)?;
    let limits = match linux.and_then(|linux| linux.resources) {
        Some(resources) => limits(resources, cgroups)?,
        None => Limits::default(),
    };
    let path = if matches!(cgroups, Cgroups::None) { "" } else { path };
    Ok(Cgroup { path, limits, unit: None, delegation: None })
}

/// `linux.cgroupsPath`, or the id. A relative path is taken from the root, too; the systemd driver's
/// `slice:prefix:name` (`plan/systemd.rs`) is here a name like any other.
fn path<'a>(configured: Option<&'a str>, id: &'a str) -> Result<&'a str> {
    let given = configured.filter(|path| !path.is_empty()).unwrap_or(id);
    let wrong = |because| Error::config(format_args!("linux.cgroupsPath"), format_args!("{} {because}", Quoted(given)));
    let mut clean = Growing::new();
    for part in given.split('/').filter(|part| !matches!(*part, "" | ".")) {
        if part == ".." {
            return Err(wrong("leads upwards"));
        }
        clean.push("/");
        clean.push(part);
    }
    if clean.is_empty() {
        return Err(wrong("is the root of all cgroups, not one container's"));
    }
    match memory::joined(clean.as_slice()).and_then(|path| path.to_str().ok()) {
        Some(path) if !path.contains('\n') => Ok(path),
        _ => Err(wrong("has a NUL or a line feed in it")),
    }
}

/// Whether there is something that may be in version 2 although the host has version 1 as well: it costs some calls to
/// know.
#[must_use]
pub fn may_need_both(resources: &Resources<'_>) -> bool {
    !resources.hugepage_limits.is_empty() || !resources.rdma.is_empty() || !resources.unified.is_empty()
}

/// What `linux.resources`, or the document of an update, asks for.
///
/// # Errors
/// As `cgroup`.
pub fn limits<'a>(resources: &Resources<'a>, cgroups: &Cgroups<'_>) -> Result<Limits<'a>> {
    let mut table = Table { cgroups, writes: Growing::new() };
    let devices = table.devices(resources.devices)?;
    if let Some(memory) = resources.memory {
        table.memory(memory)?;
    }
    if let Some(cpu) = resources.cpu {
        table.cpu(cpu)?;
    }
    table.pids(resources.pids)?;
    if let Some(io) = resources.block_io {
        table.block_io(io)?;
    }
    table.huge_pages(resources.hugepage_limits)?;
    if let Some(network) = &resources.network {
        table.network(network)?;
    }
    table.rdma(&resources.rdma)?;
    for (file, value) in resources.unified.iter() {
        table.unified(file, value)?;
    }
    Ok(Limits { writes: table.writes.finish(), devices })
}

/// Whether there is more than device rules, which every config has.
#[must_use]
pub fn limits_something(resources: &Resources<'_>) -> bool {
    let Resources { devices: _, memory, cpu, pids, block_io, hugepage_limits, network, rdma, unified } = resources;
    memory.is_some()
        || cpu.is_some()
        || pids.is_some()
        || block_io.is_some()
        || !hugepage_limits.is_empty()
        || network.is_some()
        || !rdma.is_empty()
        || !unified.is_empty()
}

/// The writes as they are gathered.
struct Table<'h, 'a> {
    cgroups: &'h Cgroups<'h>,
    writes: Growing<'a, Write<'a>>,
}

/// A file of this version.
#[derive(Clone, Copy)]
struct File<'a> {
    name: &'a str,
    v2: bool,
}

impl<'a> Table<'_, 'a> {
    /// Where a field goes: the file of the version that has its controller here. An empty name: that version has
    /// nothing like it.
    fn file(&self, field: &str, v1: &'a str, v2: &'a str) -> Result<File<'a>> {
        for (name, is_v2) in [(v1, false), (v2, true)] {
            if !name.is_empty() && self.cgroups.has(controller(name), is_v2) {
                return Ok(File { name, v2: is_v2 });
            }
        }
        let (name, other, version) = if v1.is_empty() { (v2, false, 1) } else { (v1, true, 2) };
        let only_other = v1.is_empty() && self.cgroups.has(controller(name), other);
        let only_v2 = v2.is_empty() && matches!(self.cgroups, Cgroups::V2(_));
        if only_other || only_v2 {
            return Err(wrong(field, format_args!("cgroup version {version} has no such setting")));
        }
        let name = if matches!(self.cgroups, Cgroups::V2(_)) { v2 } else { name };
        Err(wrong(field, format_args!("this host has no {} controller in /sys/fs/cgroup", controller(name))))
    }

    fn set(&mut self, field: &'a str, v1: &'a str, v2: &'a str, value: &'a str) -> Result<()> {
        let file = self.file(field, v1, v2)?;
        self.push(field, file, value, Otherwise::Fail);
        Ok(())
    }

    fn push(&mut self, field: &'a str, file: File<'a>, value: &'a str, otherwise: Otherwise<'a>) {
        self.writes.push(Write { field, file: file.name, value, otherwise });
    }
}

fn controller(file: &str) -> &str {
    file.split_once('.').map_or("", |(controller, _)| controller)
}

fn within(field: &str, value: i64, least: i64, most: i64) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(match most {
        i64::MAX => wrong(field, format_args!("{value} is less than {least}")),
        _ => wrong(field, format_args!("{value} is not between {least} and {most}")),
    })
}

#[cold]
fn wrong(field: &str, because: fmt::Arguments<'_>) -> Error {
    Error::config(format_args!("linux.resources.{field}"), because)
}

#[cold]
fn missing(field: &str) -> Error {
    wrong(field, format_args!("is required"))
}

fn decimal(number: i64) -> &'static str {
    text(format_args!("{number}"))
}

fn text(args: fmt::Arguments<'_>) -> &'static str {
    memory::format(args)
}
