//! `linux.cgroupsPath` and `linux.resources`: which cgroup, and what is written into which of its files, in order. The
//! config has one vocabulary, the kernel has two (version 1 and 2); here is the dictionary.

mod devices;

use core::fmt;

use super::systemd::Unit;
use crate::ebpf::{self, Rule};
use crate::error::{Error, Result};
use crate::host::Cgroups;
use crate::spec::{BlockIo, Cpu, Linux, Memory, Network, Resources};
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
    /// The value may conflict with one that the next write replaces (EINVAL): then the next one first.
    AfterNext,
}

impl<'a> Write<'a> {
    /// The controller that the file belongs to: the first word of its name.
    #[must_use]
    pub fn controller(&self) -> &'a str {
        self.file.split_once('.').map_or("", |(controller, _)| controller)
    }
}

/// The cgroup of a container called `id`. If it is not `managed` by us there is none, and limits are ignored.
///
/// # Errors
/// A path or a limit that makes no sense, or that this host cannot enforce.
pub fn cgroup<'a>(linux: Option<&Linux<'a>>, cgroups: &Cgroups<'_>, id: &'a str, managed: bool) -> Result<Cgroup<'a>> {
    if !managed {
        return Ok(Cgroup { path: "", limits: Limits::default(), unit: None });
    }
    let path = path(linux.and_then(|linux| linux.cgroups_path), id)?;
    let limits = match linux.and_then(|linux| linux.resources) {
        Some(resources) => limits(resources, cgroups)?,
        None => Limits::default(),
    };
    Ok(Cgroup { path: if matches!(cgroups, Cgroups::None) { "" } else { path }, limits, unit: None })
}

/// `linux.cgroupsPath`, or the id. A relative path is taken from the root, too; the systemd driver's
/// `slice:prefix:name` (`plan/systemd.rs`) is here a name like any other.
fn path<'a>(configured: Option<&'a str>, id: &'a str) -> Result<&'a str> {
    let given = configured.filter(|path| !path.is_empty()).unwrap_or(id);
    let wrong = |because| Error::config(format_args!("linux.cgroupsPath"), format_args!("{given:?} {because}"));
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

/// What `linux.resources`, or the document of an update, asks for.
///
/// # Errors
/// As `cgroup`.
pub fn limits<'a>(resources: &Resources<'a>, cgroups: &Cgroups<'_>) -> Result<Limits<'a>> {
    let v2 = matches!(cgroups, Cgroups::V2(_));
    let mut table = Table { cgroups, v2, writes: Growing::new() };
    let rules = devices::rules(resources.devices)?;
    if !v2 {
        table.devices(rules)?;
    }
    if let Some(memory) = resources.memory {
        table.memory(memory)?;
    }
    if let Some(cpu) = resources.cpu {
        table.cpu(cpu)?;
    }
    if let Some(limit) = resources.pids.and_then(|pids| pids.limit) {
        // A limit of 0 and one of 1 both mean that nobody can fork; but below 1 nobody could be born there either.
        let value = if limit < 0 { "max" } else { decimal(limit.max(1)) };
        table.set("pids.limit", Both("pids.max", "pids.max"), value)?;
    }
    if let Some(io) = resources.block_io {
        table.block_io(io)?;
    }
    for (i, hugepage) in resources.hugepage_limits.iter().enumerate() {
        let at = |name| text(format_args!("hugepageLimits[{i}].{name}"));
        let size = required(at("pageSize"), hugepage.page_size)?;
        if !is_page_size(size) {
            return Err(wrong(at("pageSize"), format_args!("{size:?} is not like 64KB, 2MB or 1GB")));
        }
        let limit = decimal(required(at("limit"), hugepage.limit)?);
        let file = |end| text(format_args!("hugetlb.{size}.{end}"));
        table.set(at("limit"), Both(file("limit_in_bytes"), file("max")), limit)?;
        let reserved = Both(file("rsvd.limit_in_bytes"), file("rsvd.max"));
        table.set_or(at("limit"), reserved, limit, Otherwise::Skip)?;
    }
    if let Some(network) = &resources.network {
        table.network(network)?;
    }
    for (device, rdma) in resources.rdma.iter() {
        let field = text(format_args!("rdma[{device:?}]"));
        word(field, device)?;
        let value = match (rdma.hca_handles, rdma.hca_objects) {
            (None, None) => return Err(wrong(field, format_args!("neither hcaHandles nor hcaObjects is set"))),
            (Some(handles), None) => text(format_args!("{device} hca_handle={handles}")),
            (None, Some(objects)) => text(format_args!("{device} hca_object={objects}")),
            (Some(handles), Some(objects)) => text(format_args!("{device} hca_handle={handles} hca_object={objects}")),
        };
        table.set(field, Both("rdma.max", "rdma.max"), value)?;
    }
    for (file, value) in resources.unified.iter() {
        table.unified(file, value)?;
    }
    let program = if devices::allow_all(rules) { &[] } else { ebpf::compile(rules) };
    let devices = (v2 && !rules.is_empty()).then_some(Devices { rules, program });
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

/// Which file a field goes to, by version.
#[derive(Clone, Copy)]
enum Files<'a> {
    /// That of version 1, that of version 2.
    Both(&'a str, &'a str),
    /// Version 2 has nothing like it.
    V1(&'a str),
    /// Version 1 has nothing like it.
    V2(&'a str),
}
use Files::{Both, V1, V2};

struct Table<'h, 'a> {
    cgroups: &'h Cgroups<'h>,
    v2: bool,
    writes: Growing<'a, Write<'a>>,
}

impl<'a> Table<'_, 'a> {
    fn set(&mut self, field: &'a str, files: Files<'a>, value: &'a str) -> Result<()> {
        self.set_or(field, files, value, Otherwise::Fail)
    }

    fn set_or(&mut self, field: &'a str, files: Files<'a>, value: &'a str, otherwise: Otherwise<'a>) -> Result<()> {
        let file = match (files, self.v2) {
            (Both(file, _) | V1(file), false) | (Both(_, file) | V2(file), true) => file,
            (V1(_), true) => return Err(wrong(field, format_args!("cgroup version 2 has no such setting"))),
            (V2(_), false) => return Err(wrong(field, format_args!("cgroup version 1 has no such setting"))),
        };
        let write = Write { field, file, value, otherwise };
        let controller = write.controller();
        // The files of the core are in every cgroup of version 2.
        if controller != "cgroup" && !self.cgroups.controls(controller) {
            return Err(wrong(field, format_args!("this host has no {controller} controller in /sys/fs/cgroup")));
        }
        self.writes.push(write);
        Ok(())
    }

    /// A limit that "none" can be said of.
    fn unless_unlimited(&self, limit: i64) -> &'static str {
        match (limit < 0, self.v2) {
            (true, true) => "max",
            (true, false) => "-1",
            (false, _) => decimal(limit),
        }
    }

    fn memory(&mut self, memory: &Memory) -> Result<()> {
        // 0 is what engines say for "not set".
        let limit = memory.limit.filter(|limit| *limit != 0);
        let swap = self.swap(limit, memory.swap)?;
        if let Some(limit) = limit {
            // Version 1 keeps the limit below that of memory and swap at every moment.
            let otherwise = if swap.is_some() { Otherwise::AfterNext } else { Otherwise::Fail };
            let value = self.unless_unlimited(limit);
            self.set_or("memory.limit", Both("memory.limit_in_bytes", "memory.max"), value, otherwise)?;
        }
        if let Some(swap) = swap {
            let files = Both("memory.memsw.limit_in_bytes", "memory.swap.max");
            self.set_or("memory.swap", files, self.unless_unlimited(swap), Otherwise::Skip)?;
        }
        if let Some(soft) = memory.reservation.filter(|soft| *soft != 0) {
            let value = self.unless_unlimited(soft);
            self.set("memory.reservation", Both("memory.soft_limit_in_bytes", "memory.low"), value)?;
        }
        if let Some(kernel) = memory.kernel {
            self.set("memory.kernel", V1("memory.kmem.limit_in_bytes"), self.unless_unlimited(kernel))?;
        }
        if let Some(tcp) = memory.kernel_tcp {
            self.set("memory.kernelTCP", V1("memory.kmem.tcp.limit_in_bytes"), self.unless_unlimited(tcp))?;
        }
        if let Some(swappiness) = memory.swappiness {
            within("memory.swappiness", swappiness, 0, 100)?;
            self.set("memory.swappiness", V1("memory.swappiness"), decimal(swappiness))?;
        }
        if memory.disable_oom_killer == Some(true) {
            self.set("memory.disableOOMKiller", V1("memory.oom_control"), "1")?;
        }
        if let Some(on) = memory.use_hierarchy {
            self.set("memory.useHierarchy", V1("memory.use_hierarchy"), if on { "1" } else { "0" })?;
        }
        Ok(())
    }

    /// The config counts swap together with memory, as version 1 does; version 2 counts it alone.
    fn swap(&self, limit: Option<i64>, swap: Option<i64>) -> Result<Option<i64>> {
        let Some(swap) = swap else {
            // On version 1 "no limit" would not go beyond the limit of memory and swap, if there is one.
            return Ok(limit.filter(|limit| *limit < 0 && !self.v2));
        };
        if let Some(limit) = limit
            && (1..limit).contains(&swap)
        {
            return Err(wrong("memory.swap", format_args!("{swap} is less than memory.limit, {limit}")));
        }
        match (self.v2, limit) {
            (_, _) if swap < 0 => Ok(Some(swap)),
            (false, _) => Ok(Some(swap).filter(|swap| *swap > 0)),
            (true, _) if swap == 0 => Ok(Some(0)),
            (true, Some(limit)) => Ok(Some(swap - limit.max(0))),
            (true, None) => Err(wrong("memory.swap", format_args!("needs memory.limit, for it includes that"))),
        }
    }

    fn cpu(&mut self, cpu: &Cpu<'a>) -> Result<()> {
        let quota = cpu.quota.filter(|quota| *quota != 0).map(|quota| quota.max(-1));
        let period = cpu.period.filter(|period| *period != 0);
        if let Some(quota) = quota.filter(|quota| *quota > 0) {
            within("cpu.quota", quota as u64, 1000, u64::MAX)?;
            if let Some(burst) = cpu.burst.filter(|burst| *burst > quota as u64) {
                return Err(wrong("cpu.burst", format_args!("{burst} is more than cpu.quota, {quota}")));
            }
        }
        if let Some(period) = period {
            within("cpu.period", period, 1000, 1_000_000)?;
        }
        if let Some(idle) = cpu.idle.filter(|idle| !matches!(idle, 0 | 1)) {
            return Err(wrong("cpu.idle", format_args!("{idle} is not 0 or 1")));
        }

        if let Some(shares) = cpu.shares.filter(|shares| *shares != 0) {
            // An idle cgroup has no weight to set.
            let otherwise = if cpu.idle == Some(0) { Otherwise::AfterNext } else { Otherwise::Fail };
            let value = decimal(if self.v2 { weight(shares) } else { shares });
            self.set_or("cpu.shares", Both("cpu.shares", "cpu.weight"), value, otherwise)?;
        }
        if let Some(idle) = cpu.idle {
            self.set("cpu.idle", Both("cpu.idle", "cpu.idle"), decimal(idle))?;
        }
        if self.v2 {
            // Without a period in the text the kernel keeps the one it has, 100 ms in the beginning.
            let value = match (quota.map(|quota| self.unless_unlimited(quota)), period) {
                (None, None) => None,
                (Some(quota), None) => Some(quota),
                (quota, Some(period)) => Some(text(format_args!("{} {period}", quota.unwrap_or("max")))),
            };
            if let Some(value) = value {
                let field = if quota.is_some() { "cpu.quota" } else { "cpu.period" };
                self.set(field, V2("cpu.max"), value)?;
            }
        } else {
            if let Some(period) = period {
                // A shorter period may not hold the old quota.
                let otherwise = if quota.is_some() { Otherwise::AfterNext } else { Otherwise::Fail };
                self.set_or("cpu.period", V1("cpu.cfs_period_us"), decimal(period), otherwise)?;
            }
            if let Some(quota) = quota {
                self.set("cpu.quota", V1("cpu.cfs_quota_us"), decimal(quota))?;
            }
        }
        if let Some(burst) = cpu.burst {
            self.set("cpu.burst", Both("cpu.cfs_burst_us", "cpu.max.burst"), decimal(burst))?;
        }
        let runtime = cpu.realtime_runtime.filter(|runtime| *runtime != 0);
        if let Some(period) = cpu.realtime_period.filter(|period| *period != 0) {
            let otherwise = if runtime.is_some() { Otherwise::AfterNext } else { Otherwise::Fail };
            self.set_or("cpu.realtimePeriod", V1("cpu.rt_period_us"), decimal(period), otherwise)?;
        }
        if let Some(runtime) = runtime {
            self.set("cpu.realtimeRuntime", V1("cpu.rt_runtime_us"), decimal(runtime))?;
        }
        for (field, file, list) in [("cpu.cpus", "cpuset.cpus", cpu.cpus), ("cpu.mems", "cpuset.mems", cpu.mems)] {
            if let Some(list) = list.filter(|list| !list.is_empty()) {
                if !is_list(list) {
                    return Err(wrong(field, format_args!("{list:?} is not a list like 0-3,7")));
                }
                self.set(field, Both(file, file), list)?;
            }
        }
        Ok(())
    }

    fn block_io(&mut self, io: &BlockIo<'a>) -> Result<()> {
        if let Some(given) = io.weight.filter(|given| *given != 0) {
            within("blockIO.weight", given.into(), 10, 1000)?;
            // The scheduler BFQ has files and a range of its own.
            let value = decimal(given);
            let (files, otherwise) = if self.v2 {
                let value = decimal(1 + (u64::from(given) - 10) * 9999 / 990);
                (V2("io.bfq.weight"), Otherwise::Instead { file: "io.weight", value })
            } else {
                (V1("blkio.weight"), Otherwise::Instead { file: "blkio.bfq.weight", value })
            };
            self.set_or("blockIO.weight", files, value, otherwise)?;
        }
        if let Some(given) = io.leaf_weight.filter(|given| *given != 0) {
            within("blockIO.leafWeight", given.into(), 10, 1000)?;
            self.set("blockIO.leafWeight", V1("blkio.leaf_weight"), decimal(given))?;
        }
        for (i, device) in io.weight_device.iter().enumerate() {
            let at = |name| text(format_args!("blockIO.weightDevice[{i}].{name}"));
            let number = device_number(at, device.major, device.minor)?;
            let weight = device.weight.filter(|weight| *weight != 0);
            let leaf = device.leaf_weight.filter(|weight| *weight != 0);
            if weight.is_none() && leaf.is_none() {
                return Err(wrong(at("weight"), format_args!("neither weight nor leafWeight is set")));
            }
            if let Some(weight) = weight {
                within(at("weight"), weight.into(), 10, 1000)?;
                let value = text(format_args!("{number} {weight}"));
                let otherwise = match self.v2 {
                    true => Otherwise::Fail,
                    false => Otherwise::Instead { file: "blkio.bfq.weight_device", value },
                };
                self.set_or(at("weight"), Both("blkio.weight_device", "io.bfq.weight"), value, otherwise)?;
            }
            if let Some(leaf) = leaf {
                within(at("leafWeight"), leaf.into(), 10, 1000)?;
                let value = text(format_args!("{number} {leaf}"));
                self.set(at("leafWeight"), V1("blkio.leaf_weight_device"), value)?;
            }
        }
        for (name, file, key, devices) in [
            ("throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps", io.throttle_read_bps_device),
            ("throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps", io.throttle_write_bps_device),
            ("throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops", io.throttle_read_iops_device),
            ("throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops", io.throttle_write_iops_device),
        ] {
            for (i, device) in devices.iter().enumerate() {
                let at = |member| text(format_args!("blockIO.{name}[{i}].{member}"));
                let number = device_number(at, device.major, device.minor)?;
                let value = match (self.v2, required(at("rate"), device.rate)?) {
                    (false, rate) => text(format_args!("{number} {rate}")),
                    // Version 1 lifts the limit with 0.
                    (true, 0) => text(format_args!("{number} {key}=max")),
                    (true, rate) => text(format_args!("{number} {key}={rate}")),
                };
                self.set(at("rate"), Both(file, "io.max"), value)?;
            }
        }
        Ok(())
    }

    fn network(&mut self, network: &Network<'a>) -> Result<()> {
        if let Some(class) = network.class_id {
            self.set("network.classID", V1("net_cls.classid"), decimal(class))?;
        }
        for (i, interface) in network.priorities.iter().enumerate() {
            let at = |name| text(format_args!("network.priorities[{i}].{name}"));
            let name = required(at("name"), interface.name)?;
            word(at("name"), name)?;
            let priority = required(at("priority"), interface.priority)?;
            self.set(at("priority"), V1("net_prio.ifpriomap"), text(format_args!("{name} {priority}")))?;
        }
        Ok(())
    }

    /// A file of version 2, named by the user. Each line is a write of its own.
    fn unified(&mut self, file: &'a str, value: &'a str) -> Result<()> {
        let field = text(format_args!("unified[{file:?}]"));
        if file.contains(['/', '\0']) || !file.contains('.') {
            return Err(wrong(field, format_args!("is no name of a cgroup file")));
        }
        // The others are not limits: they move, kill and freeze processes.
        if file.starts_with("cgroup.") && !file.starts_with("cgroup.max.") {
            return Err(wrong(field, format_args!("is not for a config to set")));
        }
        value.lines().filter(|line| !line.trim().is_empty()).try_for_each(|line| self.set(field, V2(file), line))
    }
}

/// `MAJOR:MINOR`; `at` names the fields.
fn device_number(
    at: impl Fn(&'static str) -> &'static str,
    major: Option<i64>,
    minor: Option<i64>,
) -> Result<&'static str> {
    let number = |name, number| {
        let number = required(at(name), number)?;
        u32::try_from(number).map_err(|_| wrong(at(name), format_args!("{number} is no device number")))
    };
    Ok(text(format_args!("{}:{}", number("major", major)?, number("minor", minor)?)))
}

/// Whether the text is like `0-3,7`.
fn is_list(list: &str) -> bool {
    list.trim().split(',').all(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.parse::<u32>(), last.parse::<u32>()) {
            (Ok(first), Ok(last)) => first <= last,
            _ => false,
        }
    })
}

/// Whether the text is like `2MB`.
fn is_page_size(size: &str) -> bool {
    let number = size.strip_suffix('B').and_then(|size| size.strip_suffix(['K', 'M', 'G']));
    number.is_some_and(|number| {
        number.starts_with(|digit| matches!(digit, '1'..='9')) && number.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// A name that is followed by something else in a line.
fn word(field: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
        return Err(wrong(field, format_args!("{name:?} is no name")));
    }
    Ok(())
}

fn within(field: &str, value: u64, least: u64, most: u64) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(match most {
        u64::MAX => wrong(field, format_args!("{value} is less than {least}")),
        _ => wrong(field, format_args!("{value} is not between {least} and {most}")),
    })
}

fn required<T>(field: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| wrong(field, format_args!("is required")))
}

#[cold]
fn wrong(field: &str, because: fmt::Arguments<'_>) -> Error {
    Error::config(format_args!("linux.resources.{field}"), because)
}

fn decimal(number: impl fmt::Display) -> &'static str {
    text(format_args!("{number}"))
}

fn text(args: fmt::Arguments<'_>) -> &'static str {
    memory::format(args)
}

/// `cpu.weight` (1 to 10000) for `cpu.shares` (2 to 262144): the least integer not below
/// `10 ^ ((l^2 + 125 l) / 612 - 7/34)`, where `l` is the shares' logarithm to base 2. It maps least, default (1024 to
/// 100) and most to each other.
///
/// In fixed point with 48 bits behind the point, since there is no floating-point library. The error of the power stays
/// below 2^-30, and no power comes nearer to an integer than 2^-19 without being one.
fn weight(shares: u64) -> u64 {
    const BITS: u32 = 48;
    const ONE: u64 = 1 << BITS;
    /// ln 10.
    const LN_10: u64 = 648_120_085_424_803;
    let times = |a: u64, b: u64| ((u128::from(a) * u128::from(b)) >> BITS) as u64;

    let shares = shares.clamp(2, 262_144);
    let whole = shares.ilog2();
    let mut logarithm = u64::from(whole) << BITS;
    // Each squaring of the mantissa doubles its logarithm, whose next bit then shows before the point.
    let mut mantissa = shares << (BITS - whole);
    for bit in (0..BITS).rev() {
        mantissa = times(mantissa, mantissa);
        if mantissa >= 2 * ONE {
            mantissa >>= 1;
            logarithm |= 1 << bit;
        }
    }
    // 7/34 is 126/612.
    let exponent = (times(logarithm, logarithm) + 125 * logarithm - 126 * ONE) / 612;
    // e^x = 1 + x + x^2/2! + x^3/3! + ...
    let x = times(exponent, LN_10);
    let (mut power, mut term) = (0, ONE);
    for n in 1.. {
        power += term;
        term = times(term, x) / n;
        if term == 0 {
            break;
        }
    }
    (power + ONE - (ONE >> 30)) >> BITS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Hierarchy;
    use crate::json;

    const fn hierarchy(controllers: &str, unified: bool) -> Hierarchy<'_> {
        Hierarchy { controllers, directory: c"", mount: c"", own_path: "/", unified }
    }

    /// Hybrid, with everything on version 1 that the kernel has.
    static ALL_V1: [Hierarchy<'static>; 3] = [
        hierarchy("cpu,cpuacct", false),
        hierarchy("cpuset,memory,pids,blkio,devices,freezer,hugetlb,net_cls,net_prio,rdma", false),
        hierarchy("", true),
    ];
    static ALL_V2: Hierarchy<'static> = hierarchy("cpuset cpu io memory hugetlb pids rdma misc", true);

    pub(super) const V1: Cgroups<'_> = Cgroups::V1(&ALL_V1);
    pub(super) const V2: Cgroups<'_> = Cgroups::V2(&ALL_V2);

    pub(super) fn parsed(text: &str) -> &'static Resources<'static> {
        memory::keep(json::from_slice(memory::text(text).as_bytes()).expect("correct JSON"))
    }

    /// The writes as `file=value`, or the error.
    fn told(text: &str, cgroups: &Cgroups<'_>) -> String {
        match limits(parsed(text), cgroups) {
            Ok(limits) => {
                limits.writes.iter().map(|w| format!("{}={}", w.file, w.value)).collect::<Vec<_>>().join("; ")
            }
            Err(error) if error.to_string().ends_with("has no such setting") => "-".into(),
            Err(error) => error.to_string().replace("config.json linux.resources.", "! "),
        }
    }

    /// What is asked for, and what it becomes in version 1 and in version 2: "=" for the same, "-" if it has no such
    /// setting, "! ..." for another error.
    const TABLE: &[(&str, &str, &str)] = &[
        (r#"{}"#, "", "="),
        (
            r#"{"memory":{},"cpu":{},"pids":{},"blockIO":{},"network":{},"hugepageLimits":[],"rdma":{},"unified":{}}"#,
            "",
            "=",
        ),
        (r#"{"memory":{"limit":4096}}"#, "memory.limit_in_bytes=4096", "memory.max=4096"),
        (r#"{"memory":{"limit":0}}"#, "", "="),
        (
            r#"{"memory":{"limit":9223372036854775807}}"#,
            "memory.limit_in_bytes=9223372036854775807",
            "memory.max=9223372036854775807",
        ),
        (r#"{"memory":{"limit":-1}}"#, "memory.limit_in_bytes=-1; memory.memsw.limit_in_bytes=-1", "memory.max=max"),
        (
            r#"{"memory":{"limit":-9223372036854775808}}"#,
            "memory.limit_in_bytes=-1; memory.memsw.limit_in_bytes=-1",
            "memory.max=max",
        ),
        (
            r#"{"memory":{"limit":5,"swap":7}}"#,
            "memory.limit_in_bytes=5; memory.memsw.limit_in_bytes=7",
            "memory.max=5; memory.swap.max=2",
        ),
        (
            r#"{"memory":{"limit":5,"swap":5}}"#,
            "memory.limit_in_bytes=5; memory.memsw.limit_in_bytes=5",
            "memory.max=5; memory.swap.max=0",
        ),
        (r#"{"memory":{"limit":5,"swap":4}}"#, "! memory.swap: 4 is less than memory.limit, 5", "="),
        (r#"{"memory":{"limit":5,"swap":0}}"#, "memory.limit_in_bytes=5", "memory.max=5; memory.swap.max=0"),
        (
            r#"{"memory":{"limit":5,"swap":-1}}"#,
            "memory.limit_in_bytes=5; memory.memsw.limit_in_bytes=-1",
            "memory.max=5; memory.swap.max=max",
        ),
        (
            r#"{"memory":{"limit":-1,"swap":7}}"#,
            "memory.limit_in_bytes=-1; memory.memsw.limit_in_bytes=7",
            "memory.max=max; memory.swap.max=7",
        ),
        (
            r#"{"memory":{"swap":7}}"#,
            "memory.memsw.limit_in_bytes=7",
            "! memory.swap: needs memory.limit, for it includes that",
        ),
        (
            r#"{"memory":{"limit":0,"swap":7}}"#,
            "memory.memsw.limit_in_bytes=7",
            "! memory.swap: needs memory.limit, for it includes that",
        ),
        (r#"{"memory":{"reservation":3}}"#, "memory.soft_limit_in_bytes=3", "memory.low=3"),
        (r#"{"memory":{"reservation":-1}}"#, "memory.soft_limit_in_bytes=-1", "memory.low=max"),
        (r#"{"memory":{"kernel":3}}"#, "memory.kmem.limit_in_bytes=3", "-"),
        (r#"{"memory":{"kernelTCP":-1}}"#, "memory.kmem.tcp.limit_in_bytes=-1", "-"),
        (r#"{"memory":{"swappiness":0}}"#, "memory.swappiness=0", "-"),
        (r#"{"memory":{"swappiness":100}}"#, "memory.swappiness=100", "-"),
        (r#"{"memory":{"swappiness":101}}"#, "! memory.swappiness: 101 is not between 0 and 100", "="),
        (r#"{"memory":{"disableOOMKiller":true}}"#, "memory.oom_control=1", "-"),
        (r#"{"memory":{"disableOOMKiller":false}}"#, "", "="),
        (r#"{"memory":{"useHierarchy":true}}"#, "memory.use_hierarchy=1", "-"),
        (r#"{"memory":{"useHierarchy":false}}"#, "memory.use_hierarchy=0", "-"),
        (r#"{"memory":{"checkBeforeUpdate":true}}"#, "", "="),
        (r#"{"cpu":{"shares":1024}}"#, "cpu.shares=1024", "cpu.weight=100"),
        (r#"{"cpu":{"shares":0}}"#, "", "="),
        (r#"{"cpu":{"shares":1}}"#, "cpu.shares=1", "cpu.weight=1"),
        (r#"{"cpu":{"shares":18446744073709551615}}"#, "cpu.shares=18446744073709551615", "cpu.weight=10000"),
        (
            r#"{"cpu":{"quota":50000,"period":20000}}"#,
            "cpu.cfs_period_us=20000; cpu.cfs_quota_us=50000",
            "cpu.max=50000 20000",
        ),
        (r#"{"cpu":{"quota":1000}}"#, "cpu.cfs_quota_us=1000", "cpu.max=1000"),
        (r#"{"cpu":{"quota":999}}"#, "! cpu.quota: 999 is less than 1000", "="),
        (r#"{"cpu":{"quota":0,"period":0}}"#, "", "="),
        (r#"{"cpu":{"quota":-1}}"#, "cpu.cfs_quota_us=-1", "cpu.max=max"),
        (r#"{"cpu":{"quota":-5,"period":1000}}"#, "cpu.cfs_period_us=1000; cpu.cfs_quota_us=-1", "cpu.max=max 1000"),
        (r#"{"cpu":{"period":1000000}}"#, "cpu.cfs_period_us=1000000", "cpu.max=max 1000000"),
        (r#"{"cpu":{"period":999}}"#, "! cpu.period: 999 is not between 1000 and 1000000", "="),
        (r#"{"cpu":{"period":1000001}}"#, "! cpu.period: 1000001 is not between 1000 and 1000000", "="),
        (
            r#"{"cpu":{"quota":1000,"burst":1000}}"#,
            "cpu.cfs_quota_us=1000; cpu.cfs_burst_us=1000",
            "cpu.max=1000; cpu.max.burst=1000",
        ),
        (r#"{"cpu":{"quota":1000,"burst":1001}}"#, "! cpu.burst: 1001 is more than cpu.quota, 1000", "="),
        (r#"{"cpu":{"burst":0}}"#, "cpu.cfs_burst_us=0", "cpu.max.burst=0"),
        (r#"{"cpu":{"idle":1}}"#, "cpu.idle=1", "="),
        (r#"{"cpu":{"idle":0,"shares":2}}"#, "cpu.shares=2; cpu.idle=0", "cpu.weight=1; cpu.idle=0"),
        (r#"{"cpu":{"idle":2}}"#, "! cpu.idle: 2 is not 0 or 1", "="),
        (r#"{"cpu":{"idle":-1}}"#, "! cpu.idle: -1 is not 0 or 1", "="),
        (r#"{"cpu":{"realtimeRuntime":0,"realtimePeriod":0}}"#, "", "="),
        (r#"{"cpu":{"realtimeRuntime":5,"realtimePeriod":9}}"#, "cpu.rt_period_us=9; cpu.rt_runtime_us=5", "-"),
        (r#"{"cpu":{"realtimeRuntime":-1}}"#, "cpu.rt_runtime_us=-1", "-"),
        (r#"{"cpu":{"cpus":"0-3,7","mems":"0"}}"#, "cpuset.cpus=0-3,7; cpuset.mems=0", "="),
        (r#"{"cpu":{"cpus":"","mems":""}}"#, "", "="),
        (r#"{"cpu":{"cpus":"3-1"}}"#, "! cpu.cpus: \"3-1\" is not a list like 0-3,7", "="),
        (r#"{"cpu":{"mems":"0,"}}"#, "! cpu.mems: \"0,\" is not a list like 0-3,7", "="),
        (r#"{"cpu":{"cpus":"4294967296"}}"#, "! cpu.cpus: \"4294967296\" is not a list like 0-3,7", "="),
        (r#"{"pids":{"limit":1}}"#, "pids.max=1", "="),
        (r#"{"pids":{"limit":0}}"#, "pids.max=1", "="),
        (r#"{"pids":{"limit":-1}}"#, "pids.max=max", "="),
        (r#"{"blockIO":{"weight":10}}"#, "blkio.weight=10", "io.bfq.weight=10"),
        (r#"{"blockIO":{"weight":1000}}"#, "blkio.weight=1000", "io.bfq.weight=1000"),
        (r#"{"blockIO":{"weight":0,"leafWeight":0}}"#, "", "="),
        (r#"{"blockIO":{"weight":9}}"#, "! blockIO.weight: 9 is not between 10 and 1000", "="),
        (r#"{"blockIO":{"weight":1001}}"#, "! blockIO.weight: 1001 is not between 10 and 1000", "="),
        (r#"{"blockIO":{"leafWeight":20}}"#, "blkio.leaf_weight=20", "-"),
        (
            r#"{"blockIO":{"weightDevice":[{"major":8,"minor":0,"weight":50}]}}"#,
            "blkio.weight_device=8:0 50",
            "io.bfq.weight=8:0 50",
        ),
        (
            r#"{"blockIO":{"weightDevice":[{"major":8,"minor":0,"leafWeight":50}]}}"#,
            "blkio.leaf_weight_device=8:0 50",
            "-",
        ),
        (
            r#"{"blockIO":{"weightDevice":[{"major":8,"minor":0}]}}"#,
            "! blockIO.weightDevice[0].weight: neither weight nor leafWeight is set",
            "=",
        ),
        (
            r#"{"blockIO":{"weightDevice":[{"major":8,"weight":50}]}}"#,
            "! blockIO.weightDevice[0].minor: is required",
            "=",
        ),
        (
            r#"{"blockIO":{"weightDevice":[{"major":-8,"minor":0,"weight":50}]}}"#,
            "! blockIO.weightDevice[0].major: -8 is no device number",
            "=",
        ),
        (
            r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1}]}}"#,
            "blkio.throttle.read_bps_device=8:0 1",
            "io.max=8:0 rbps=1",
        ),
        (
            r#"{"blockIO":{"throttleWriteBpsDevice":[{"major":8,"minor":0,"rate":1}]}}"#,
            "blkio.throttle.write_bps_device=8:0 1",
            "io.max=8:0 wbps=1",
        ),
        (
            r#"{"blockIO":{"throttleReadIOPSDevice":[{"major":8,"minor":0,"rate":1}]}}"#,
            "blkio.throttle.read_iops_device=8:0 1",
            "io.max=8:0 riops=1",
        ),
        (
            r#"{"blockIO":{"throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":0}]}}"#,
            "blkio.throttle.write_iops_device=8:0 0",
            "io.max=8:0 wiops=max",
        ),
        (
            r#"{"blockIO":{"throttleWriteIOPSDevice":[{"major":8,"minor":0}]}}"#,
            "! blockIO.throttleWriteIOPSDevice[0].rate: is required",
            "=",
        ),
        (
            r#"{"hugepageLimits":[{"pageSize":"2MB","limit":5}]}"#,
            "hugetlb.2MB.limit_in_bytes=5; hugetlb.2MB.rsvd.limit_in_bytes=5",
            "hugetlb.2MB.max=5; hugetlb.2MB.rsvd.max=5",
        ),
        (
            r#"{"hugepageLimits":[{"pageSize":"2M","limit":5}]}"#,
            "! hugepageLimits[0].pageSize: \"2M\" is not like 64KB, 2MB or 1GB",
            "=",
        ),
        (
            r#"{"hugepageLimits":[{"pageSize":"02MB","limit":5}]}"#,
            "! hugepageLimits[0].pageSize: \"02MB\" is not like 64KB, 2MB or 1GB",
            "=",
        ),
        (
            r#"{"hugepageLimits":[{"pageSize":"../2MB","limit":5}]}"#,
            "! hugepageLimits[0].pageSize: \"../2MB\" is not like 64KB, 2MB or 1GB",
            "=",
        ),
        (r#"{"hugepageLimits":[{"pageSize":"1GB"}]}"#, "! hugepageLimits[0].limit: is required", "="),
        (r#"{"network":{"classID":0}}"#, "net_cls.classid=0", "-"),
        (r#"{"network":{"priorities":[{"name":"eth0","priority":5}]}}"#, "net_prio.ifpriomap=eth0 5", "-"),
        (
            r#"{"network":{"priorities":[{"name":"eth0 1\nlo","priority":5}]}}"#,
            "! network.priorities[0].name: \"eth0 1\\nlo\" is no name",
            "=",
        ),
        (r#"{"network":{"priorities":[{"name":"eth0"}]}}"#, "! network.priorities[0].priority: is required", "="),
        (r#"{"rdma":{"mlx":{"hcaHandles":3,"hcaObjects":9}}}"#, "rdma.max=mlx hca_handle=3 hca_object=9", "="),
        (r#"{"rdma":{"mlx":{"hcaHandles":0}}}"#, "rdma.max=mlx hca_handle=0", "="),
        (r#"{"rdma":{"mlx":{}}}"#, "! rdma[\"mlx\"]: neither hcaHandles nor hcaObjects is set", "="),
        (r#"{"rdma":{"":{"hcaHandles":1}}}"#, "! rdma[\"\"]: \"\" is no name", "="),
        (r#"{"unified":{"memory.high":"7"}}"#, "-", "memory.high=7"),
        (r#"{"unified":{"io.max":"1:1 rbps=1\n\n1:2 rbps=1\n"}}"#, "-", "io.max=1:1 rbps=1; io.max=1:2 rbps=1"),
        (r#"{"unified":{"cgroup.max.depth":"3"}}"#, "-", "cgroup.max.depth=3"),
        (r#"{"memory":{"limit":5},"unified":{"memory.max":"7"}}"#, "-", "memory.max=5; memory.max=7"),
        (r#"{"unified":{"cgroup.procs":"1"}}"#, "! unified[\"cgroup.procs\"]: is not for a config to set", "="),
        (r#"{"unified":{"../memory.max":"1"}}"#, "! unified[\"../memory.max\"]: is no name of a cgroup file", "="),
        (r#"{"unified":{"memory":"1"}}"#, "! unified[\"memory\"]: is no name of a cgroup file", "="),
        (
            r#"{"unified":{"frob.max":"1"}}"#,
            "-",
            "! unified[\"frob.max\"]: this host has no frob controller in /sys/fs/cgroup",
        ),
    ];

    #[test]
    fn every_field() {
        for (text, v1, v2) in TABLE {
            assert_eq!(told(text, &V1), *v1, "{text} on version 1");
            assert_eq!(told(text, &V2), *if *v2 == "=" { v1 } else { v2 }, "{text} on version 2");
        }
    }

    #[test]
    fn the_kernel_may_answer_otherwise() {
        let otherwise = |text: &str, cgroups| {
            let limits = limits(parsed(text), cgroups).expect("possible");
            limits.writes.iter().map(|write| write.otherwise).collect::<Vec<_>>()
        };
        use Otherwise::{AfterNext, Fail, Instead, Skip};
        assert_eq!(otherwise(r#"{"memory":{"limit":5,"swap":7}}"#, &V1), [AfterNext, Skip]);
        assert_eq!(otherwise(r#"{"memory":{"limit":5}}"#, &V1), [Fail]);
        assert_eq!(otherwise(r#"{"cpu":{"quota":5000,"period":5000}}"#, &V1), [AfterNext, Fail]);
        assert_eq!(otherwise(r#"{"cpu":{"shares":5,"idle":0}}"#, &V2), [AfterNext, Fail]);
        assert_eq!(otherwise(r#"{"cpu":{"shares":5,"idle":1}}"#, &V2), [Fail, Fail]);
        for (given, converted) in [(10, "1"), (100, "910"), (1000, "10000")] {
            let text = format!(r#"{{"blockIO":{{"weight":{given}}}}}"#);
            assert_eq!(otherwise(&text, &V2), [Instead { file: "io.weight", value: converted }]);
        }
    }

    #[test]
    fn what_the_host_lacks_is_named() {
        let none = Cgroups::None;
        assert_eq!(
            told(r#"{"pids":{"limit":5}}"#, &none),
            "! pids.limit: this host has no pids controller in /sys/fs/cgroup"
        );
        assert_eq!(told("{}", &none), "");
        let bare = hierarchy("", true);
        assert_eq!(
            told(r#"{"cpu":{"cpus":"0"}}"#, &Cgroups::V2(&bare)),
            "! cpu.cpus: this host has no cpuset controller in /sys/fs/cgroup"
        );
    }

    #[test]
    fn paths() {
        for (configured, expected) in [
            (None, Ok("/id")),
            (Some(""), Ok("/id")),
            (Some("/a/b"), Ok("/a/b")),
            (Some("a/b"), Ok("/a/b")),
            (Some("//a/./b//"), Ok("/a/b")),
            (Some("system.slice:crio:id"), Ok("/system.slice:crio:id")),
            (Some("/..a/b.."), Ok("/..a/b..")),
            (Some("/"), Err("\"/\" is the root of all cgroups, not one container's")),
            (Some("./"), Err("\"./\" is the root of all cgroups, not one container's")),
            (Some("/a/../b"), Err("\"/a/../b\" leads upwards")),
            (Some("a\0b"), Err("\"a\\0b\" has a NUL or a line feed in it")),
            (Some("a\nb"), Err("\"a\\nb\" has a NUL or a line feed in it")),
        ] {
            let linux = Linux { cgroups_path: configured, ..Linux::default() };
            let path = cgroup(Some(&linux), &V1, "id", true).map(|cgroup| cgroup.path);
            let expected = expected.map_err(|because| format!("config.json linux.cgroupsPath: {because}"));
            assert_eq!(path.map_err(|error| error.to_string()), expected);
        }
        assert_eq!(cgroup(None, &V2, "id", true).map(|cgroup| cgroup.path).ok(), Some("/id"));
        assert_eq!(cgroup(None, &V2, "id", false).map(|cgroup| cgroup.path).ok(), Some(""));
        assert_eq!(cgroup(None, &Cgroups::None, "id", true).map(|cgroup| cgroup.path).ok(), Some(""));
    }

    #[test]
    fn weight_is_that_of_the_formula() {
        for shares in 2..=262_144_u64 {
            let l = (shares as f64).log2();
            let formula = 10f64.powf((l * l + 125.0 * l) / 612.0 - 7.0 / 34.0).ceil() as u64;
            assert_eq!(weight(shares), formula, "{shares}");
        }
        assert_eq!([0, 1, 2, 1024, 262_144, u64::MAX].map(weight), [1, 1, 1, 100, 10_000, 10_000]);
    }
}
