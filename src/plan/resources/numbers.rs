//! The fields that are one number each: most of them go as they are into a file that has one.

use super::weight::weight;
use super::{File, Otherwise, Table, decimal, text, within, wrong};
use crate::error::{Quoted, Result};
use crate::spec::{Cpu, Memory, Pids};
use crate::sys;

/// A number of the config: its field, its file in version 1 and in version 2 (empty: none), least and most.
type Row = (&'static str, &'static str, &'static str, i64, i64);

const MAX: i64 = i64::MAX;
/// Below 0 it is no limit at all.
const LIMIT: i64 = i64::MIN;

#[rustfmt::skip]
static MEMORY: [Row; 8] = [
    ("memory.limit", "memory.limit_in_bytes", "memory.max", LIMIT, MAX),
    ("memory.swap", "memory.memsw.limit_in_bytes", "memory.swap.max", LIMIT, MAX),
    ("memory.reservation", "memory.soft_limit_in_bytes", "memory.low", LIMIT, MAX),
    ("memory.kernel", "memory.kmem.limit_in_bytes", "", LIMIT, MAX),
    ("memory.kernelTCP", "memory.kmem.tcp.limit_in_bytes", "", LIMIT, MAX),
    ("memory.swappiness", "memory.swappiness", "", 0, 100),
    ("memory.disableOOMKiller", "memory.oom_control", "", 0, 1),
    ("memory.useHierarchy", "memory.use_hierarchy", "", 0, 1),
];

#[rustfmt::skip]
static CPU: [Row; 7] = [
    ("cpu.shares", "cpu.shares", "cpu.weight", 0, MAX),
    ("cpu.idle", "cpu.idle", "cpu.idle", 0, 1),
    ("cpu.period", "cpu.cfs_period_us", "cpu.max", 1000, 1_000_000),
    ("cpu.quota", "cpu.cfs_quota_us", "cpu.max", LIMIT, MAX),
    ("cpu.burst", "cpu.cfs_burst_us", "cpu.max.burst", 0, MAX),
    ("cpu.realtimePeriod", "cpu.rt_period_us", "", 0, MAX),
    ("cpu.realtimeRuntime", "cpu.rt_runtime_us", "", LIMIT, MAX),
];

static PIDS: Row = ("pids.limit", "pids.max", "pids.max", LIMIT, MAX);

/// 0 is what engines say for "not set".
fn set(number: Option<i64>) -> Option<i64> {
    number.filter(|number| *number != 0)
}

/// What is beyond is without limit anyway.
fn signed(number: Option<u64>) -> Option<i64> {
    number.map(|number| i64::try_from(number).unwrap_or(MAX))
}

impl<'a> Table<'_, 'a> {
    fn numbers(&mut self, rows: &'static [Row], values: &[Option<i64>]) -> Result<()> {
        rows.iter().zip(values).try_for_each(|(row, value)| self.number(row, *value))
    }

    fn number(&mut self, row: &'static Row, value: Option<i64>) -> Result<()> {
        let Some(value) = value else { return Ok(()) };
        let (field, v1, v2, least, most) = *row;
        within(field, value, least, most)?;
        let file = self.file(field, v1, v2)?;
        let value = match value {
            ..0 if file.v2 || v1 == v2 => "max",
            ..0 => "-1",
            shares if field == "cpu.shares" && file.v2 => decimal(weight(shares)),
            value => decimal(value),
        };
        // Without swap accounting there is no such file.
        let otherwise = if field == "memory.swap" { Otherwise::Skip } else { Otherwise::Fail };
        self.push(field, file, value, otherwise);
        Ok(())
    }

    pub(super) fn memory(&mut self, memory: &Memory) -> Result<()> {
        let limit = set(memory.limit);
        let values = [
            limit,
            self.swap(limit, memory.swap)?,
            set(memory.reservation),
            memory.kernel,
            memory.kernel_tcp,
            // libcontainer's "unset" is -1, in a field without a sign.
            signed(memory.swappiness.filter(|swappiness| *swappiness != u64::MAX)),
            memory.disable_oom_killer.filter(|on| *on).map(i64::from),
            memory.use_hierarchy.map(i64::from),
        ];
        self.numbers(&MEMORY, &values)
    }

    /// The config counts swap together with memory, as version 1 does; version 2 counts it alone.
    fn swap(&self, limit: Option<i64>, swap: Option<i64>) -> Result<Option<i64>> {
        let Some(swap) = swap else {
            // Without a limit of memory there is none of both.
            return Ok(limit.filter(|limit| *limit < 0));
        };
        if let Some(limit) = limit.filter(|limit| (1..*limit).contains(&swap)) {
            return Err(wrong("memory.swap", format_args!("{swap} is less than memory.limit, {limit}")));
        }
        let v2 = self.cgroups.has("memory", true);
        match limit {
            _ if swap < 0 => Ok(Some(swap)),
            _ if swap == 0 => Ok(v2.then_some(0)),
            Some(limit) if v2 => Ok(Some(swap - limit.max(0))),
            None if v2 => Err(wrong("memory.swap", format_args!("needs memory.limit, for it includes that"))),
            _ => Ok(Some(swap)),
        }
    }

    pub(super) fn cpu(&mut self, cpu: &Cpu<'a>) -> Result<()> {
        let (quota, period, burst) = (set(cpu.quota), set(signed(cpu.period)), signed(cpu.burst));
        if let Some(quota) = quota.filter(|quota| *quota > 0) {
            within("cpu.quota", quota, 1000, MAX)?;
            if let Some(burst) = burst.filter(|burst| *burst > quota) {
                return Err(wrong("cpu.burst", format_args!("{burst} is more than cpu.quota, {quota}")));
            }
        }
        let mut values = [
            set(signed(cpu.shares)),
            cpu.idle,
            period,
            quota,
            burst,
            set(signed(cpu.realtime_period)),
            set(cpu.realtime_runtime),
        ];
        if self.cgroups.has("cpu", true) {
            // One file for both, which keeps the period that it has, 100 ms in the beginning, if none is in the text.
            let (_, _, file, least, most) = CPU[2];
            let quota = quota.map(|quota| if quota < 0 { "max" } else { decimal(quota) });
            let value = match period {
                Some(period) => {
                    within("cpu.period", period, least, most)?;
                    Some(text(format_args!("{} {period}", quota.unwrap_or("max"))))
                }
                None => quota,
            };
            self.numbers(&CPU[..2], &values)?;
            if let Some(value) = value {
                let field = if quota.is_some() { "cpu.quota" } else { "cpu.period" };
                self.push(field, File { name: file, v2: true }, value, Otherwise::Fail);
            }
            values[..4].fill(None);
        }
        self.numbers(&CPU, &values)?;
        for (field, file, list) in [("cpu.cpus", "cpuset.cpus", cpu.cpus), ("cpu.mems", "cpuset.mems", cpu.mems)] {
            if let Some(list) = list.filter(|list| !list.is_empty()) {
                if !is_list(list) {
                    return Err(wrong(field, format_args!("{} is not a list like 0-3,7", Quoted(list))));
                }
                self.set(field, file, file, list)?;
            }
        }
        Ok(())
    }

    pub(super) fn pids(&mut self, pids: Option<Pids>) -> Result<()> {
        // A limit of 0 and one of 1 both mean that nobody can fork; but below 1 nobody could be born there either.
        let limit = pids.and_then(|pids| pids.limit).map(|limit| if limit == 0 { 1 } else { limit });
        self.number(&PIDS, limit)
    }
}

/// Whether the text is like `0-3,7`.
fn is_list(list: &str) -> bool {
    list.trim_ascii().split(',').all(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (sys::natural::<u32>(first), sys::natural(last)) {
            (Some(first), Some(last)) => first <= last,
            _ => false,
        }
    })
}
