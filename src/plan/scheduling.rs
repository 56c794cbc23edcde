//! `process.scheduler`, `process.ioPriority`, `process.execCPUAffinity`, `linux.memoryPolicy`, `linux.personality`: how
//! the kernel treats the process while it runs.

use core::fmt::Arguments;

use crate::error::{Error, Quoted, Result};
use crate::sys::memory::{self, Growing};
use crate::sys::sched::SchedAttr;
use crate::{spec, sys};

/// What the config says of it.
#[derive(Clone, Copy, Default)]
pub struct Scheduling<'a> {
    pub scheduler: Option<SchedAttr>,
    /// The word of ioprio_set(2).
    pub io_priority: Option<u32>,
    /// Only for `exec`.
    pub affinity: Affinity<'a>,
    pub memory: Option<MemoryPolicy<'a>>,
    /// PER_* of personality(2).
    pub personality: Option<u32>,
}

/// The processors that a process of `exec` may run on, a bit each.
#[derive(Clone, Copy, Default)]
pub struct Affinity<'a> {
    /// Before it enters the container's cgroup.
    pub initial: Option<&'a [u64]>,
    /// After that.
    pub last: Option<&'a [u64]>,
}

/// What set_mempolicy(2) takes.
#[derive(Clone, Copy)]
pub struct MemoryPolicy<'a> {
    /// MPOL_* with MPOL_F_*.
    pub mode: u32,
    /// A bit each.
    pub nodes: &'a [u64],
}

/// By the kernel's numbers: linux/sched.h, without SCHED_ISO (4), which Linux never had.
pub static POLICIES: [(&str, u32); 6] = [
    ("SCHED_OTHER", OTHER),
    ("SCHED_FIFO", FIFO),
    ("SCHED_RR", RR),
    ("SCHED_BATCH", BATCH),
    ("SCHED_IDLE", 5),
    ("SCHED_DEADLINE", DEADLINE),
];
const OTHER: u32 = 0;
const FIFO: u32 = 1;
const RR: u32 = 2;
const BATCH: u32 = 3;
const DEADLINE: u32 = 6;

/// The same file.
pub static FLAGS: [(&str, u32); 7] = [
    ("SCHED_FLAG_RESET_ON_FORK", 0x01),
    ("SCHED_FLAG_RECLAIM", 0x02),
    ("SCHED_FLAG_DL_OVERRUN", 0x04),
    ("SCHED_FLAG_KEEP_POLICY", 0x08),
    ("SCHED_FLAG_KEEP_PARAMS", 0x10),
    ("SCHED_FLAG_UTIL_CLAMP_MIN", 0x20),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", 0x40),
];

/// linux/ioprio.h.
pub static IO_CLASSES: [(&str, u32); 3] = [("IOPRIO_CLASS_RT", 1), ("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3)];

/// linux/mempolicy.h.
pub static MEMORY_MODES: [(&str, u32); 7] = [
    ("MPOL_DEFAULT", DEFAULT),
    ("MPOL_PREFERRED", PREFERRED),
    ("MPOL_BIND", 2),
    ("MPOL_INTERLEAVE", 3),
    ("MPOL_LOCAL", LOCAL),
    ("MPOL_PREFERRED_MANY", 5),
    ("MPOL_WEIGHTED_INTERLEAVE", 6),
];
const DEFAULT: u32 = 0;
const PREFERRED: u32 = 1;
const LOCAL: u32 = 4;

/// The same file.
pub static MEMORY_FLAGS: [(&str, u32); 3] =
    [("MPOL_F_NUMA_BALANCING", 1 << 13), ("MPOL_F_RELATIVE_NODES", RELATIVE), ("MPOL_F_STATIC_NODES", STATIC)];
const RELATIVE: u32 = 1 << 14;
const STATIC: u32 = 1 << 15;

/// linux/personality.h.
pub static PERSONALITIES: [(&str, u32); 2] = [("LINUX", 0), ("LINUX32", 8)];

/// As many as any kernel can be built for.
const MAX_PROCESSORS: u32 = 8192;
const MAX_NODES: u32 = 4096;

#[cold]
fn wrong(field: &str, why: Arguments<'_>) -> Error {
    Error::config(format_args!("{field}"), why)
}

/// The number of a word.
pub(super) fn number(table: &[(&str, u32)], field: &str, word: Option<&str>) -> Result<u32> {
    let word = word.ok_or_else(|| wrong(field, format_args!("is required")))?;
    let known = table.iter().find(|(name, _)| *name == word);
    known.map(|(_, number)| *number).ok_or_else(|| wrong(field, format_args!("unknown value {}", Quoted(word))))
}

fn flags(table: &[(&str, u32)], field: &str, words: &[&str]) -> Result<u32> {
    let mut all = 0;
    for (index, word) in words.iter().enumerate() {
        all |= number(table, memory::format(format_args!("{field}[{index}]")), Some(word))?;
    }
    Ok(all)
}

/// The plan of what `process` says.
///
/// # Errors
/// What the config has wrong, with its path.
pub fn plan<'a>(process: &spec::Process<'a>) -> Result<Scheduling<'a>> {
    let affinity = process.exec_cpu_affinity.unwrap_or_default();
    let processors = |field, list| bits(field, list, MAX_PROCESSORS);
    Ok(Scheduling {
        scheduler: process.scheduler.map(scheduler).transpose()?,
        io_priority: process.io_priority.map(|priority| io_priority(&priority)).transpose()?,
        affinity: Affinity {
            initial: processors("process.execCPUAffinity.initial", affinity.initial)?,
            last: processors("process.execCPUAffinity.final", affinity.last)?,
        },
        memory: None,
        personality: None,
    })
}

impl<'a> Scheduling<'a> {
    /// Adds what is not said of one process, but of all in the container: `linux.memoryPolicy`, `linux.personality`.
    ///
    /// # Errors
    /// What the config has wrong, with its path.
    pub fn add(
        &mut self,
        memory: Option<&spec::MemoryPolicy<'a>>,
        personality: Option<&spec::Personality<'a>>,
    ) -> Result<()> {
        self.memory = memory.map(memory_policy).transpose()?;
        self.personality = personality.map(self::personality).transpose()?;
        Ok(())
    }
}

/// The rules of sched_setattr(2), whose answer would not say which one is broken.
fn scheduler(scheduler: &spec::Scheduler<'_>) -> Result<SchedAttr> {
    /// The kernel counts in 1024ths of a microsecond, and its times have 63 bits.
    const LEAST: u64 = 1024;
    const MOST: u64 = i64::MAX as u64;
    let policy = number(&POLICIES, "process.scheduler.policy", scheduler.policy)?;
    let (nice, priority) = (scheduler.nice.unwrap_or(0), scheduler.priority.unwrap_or(0));
    let times = [scheduler.runtime, scheduler.deadline, scheduler.period];
    let [runtime, deadline, period] = times.map(Option::unwrap_or_default);
    let (is_fair, is_real_time, is_deadline) =
        (matches!(policy, OTHER | BATCH), matches!(policy, FIFO | RR), policy == DEADLINE);
    let rules = [
        (nice == 0 || is_fair, "nice", "is for `SCHED_OTHER` and `SCHED_BATCH`"),
        ((-20..=19).contains(&nice), "nice", "is not in -20..19"),
        (priority == 0 || is_real_time, "priority", "is for `SCHED_FIFO` and `SCHED_RR`"),
        (!is_real_time || (1..=99).contains(&priority), "priority", "is not in 1..99"),
        (runtime == 0 || is_deadline, "runtime", "is for `SCHED_DEADLINE`"),
        (deadline == 0 || is_deadline, "deadline", "is for `SCHED_DEADLINE`"),
        (period == 0 || is_deadline, "period", "is for `SCHED_DEADLINE`"),
        (!is_deadline || times[0].is_some(), "runtime", "`SCHED_DEADLINE` requires `runtime`"),
        (!is_deadline || times[1].is_some(), "deadline", "`SCHED_DEADLINE` requires `deadline`"),
        (!is_deadline || runtime > 0, "runtime", "must be greater than 0"),
        (!is_deadline || (LEAST..=MOST).contains(&runtime), "runtime", "must be between 1024 and 9223372036854775807"),
        (runtime <= deadline, "runtime", "must be <= `deadline`"),
        // Without a period it is the deadline.
        (deadline <= period || period == 0, "deadline", "must be <= `period`"),
        (deadline.max(period) <= MOST, "period", "must be between 1024 and 9223372036854775807"),
    ];
    if let Some((_, field, why)) = rules.iter().find(|(holds, ..)| !holds) {
        let field = memory::format(format_args!("process.scheduler.{field}"));
        return Err(wrong(field, format_args!("{why}")));
    }
    let flags = u64::from(flags(&FLAGS, "process.scheduler.flags", scheduler.flags)?);
    let priority = priority.unsigned_abs();
    Ok(SchedAttr { policy, flags, nice, priority, runtime, deadline, period, ..SchedAttr::default() })
}

fn io_priority(priority: &spec::IoPriority<'_>) -> Result<u32> {
    /// IOPRIO_CLASS_SHIFT
    const SHIFT: u32 = 13;
    let class = number(&IO_CLASSES, "process.ioPriority.class", priority.class)?;
    let field = "process.ioPriority.priority";
    match priority.priority {
        None => Err(wrong(field, format_args!("is required"))),
        Some(level @ 0..=7) => Ok(class << SHIFT | level as u32),
        Some(level) => Err(wrong(field, format_args!("{level} is not in 0..7"))),
    }
}

/// Which modes want nodes: set_mempolicy(2).
fn memory_policy<'a>(policy: &spec::MemoryPolicy<'a>) -> Result<MemoryPolicy<'a>> {
    let mode = number(&MEMORY_MODES, "linux.memoryPolicy.mode", policy.mode)?;
    let field = "linux.memoryPolicy.nodes";
    let nodes = bits(field, policy.nodes, MAX_NODES)?.unwrap_or(&[]);
    match mode {
        DEFAULT | LOCAL if !nodes.is_empty() => return Err(wrong(field, format_args!("the mode takes no nodes"))),
        DEFAULT | LOCAL | PREFERRED => {}
        _ if nodes.is_empty() => return Err(wrong(field, format_args!("the mode needs at least one node"))),
        _ => {}
    }
    let flags = flags(&MEMORY_FLAGS, "linux.memoryPolicy.flags", policy.flags)?;
    if flags & RELATIVE != 0 && flags & STATIC != 0 {
        let why = format_args!("MPOL_F_RELATIVE_NODES and MPOL_F_STATIC_NODES exclude each other");
        return Err(wrong("linux.memoryPolicy.flags", why));
    }
    Ok(MemoryPolicy { mode: mode | flags, nodes })
}

fn personality(personality: &spec::Personality<'_>) -> Result<u32> {
    // "Currently no flag values are supported" (config-linux.md).
    flags(&[], "linux.personality.flags", personality.flags)?;
    number(&PERSONALITIES, "linux.personality.domain", personality.domain)
}

/// A list like `0-3,7` as bits; none if it is absent or empty.
fn bits<'a>(field: &str, list: Option<&str>, limit: u32) -> Result<Option<&'a [u64]>> {
    let Some(list) = list.map(str::trim_ascii).filter(|list| !list.is_empty()) else { return Ok(None) };
    let mut words: Growing<'a, u64> = Growing::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = match (sys::natural::<u32>(first.trim_ascii()), sys::natural(last.trim_ascii())) {
            (Some(first), Some(last)) if first <= last => (first, last),
            _ => return Err(wrong(field, format_args!("{} is not a list like 0-3,7", Quoted(list)))),
        };
        if last >= limit {
            return Err(wrong(field, format_args!("{last} is above {}", limit - 1)));
        }
        while words.len() <= (last / 64) as usize {
            words.push(0);
        }
        let words = words.as_mut_slice();
        (first..=last).for_each(|bit| words[(bit / 64) as usize] |= 1 << (bit % 64));
    }
    Ok(Some(words.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told<T>(result: Result<T>) -> String {
        result.err().map_or_else(|| "good".to_owned(), |error| error.to_string())
    }

    #[test]
    fn lists_become_bits() {
        for (list, expected) in [
            ("0", Ok(Some(vec![1]))),
            ("0-3,7", Ok(Some(vec![0x8f]))),
            ("63-64", Ok(Some(vec![1 << 63, 1]))),
            ("127", Ok(Some(vec![0, 1 << 63]))),
            (" 1 , 2 ", Ok(Some(vec![6]))),
            ("3,1-1,3", Ok(Some(vec![0b1010]))),
            ("", Ok(None)),
            ("  ", Ok(None)),
            ("128", Err("128 is above 127")),
            ("0-128", Err("128 is above 127")),
            ("3-1", Err("\"3-1\" is not a list like 0-3,7")),
            ("0,", Err("\"0,\" is not a list like 0-3,7")),
            ("-1", Err("\"-1\" is not a list like 0-3,7")),
            ("a", Err("\"a\" is not a list like 0-3,7")),
            ("+1", Err("\"+1\" is not a list like 0-3,7")),
            ("4294967296", Err("\"4294967296\" is not a list like 0-3,7")),
        ] {
            let found = bits("f", Some(list), 128).map(|bits| bits.map(<[u64]>::to_vec)).map_err(|e| e.to_string());
            assert_eq!(found, expected.map_err(|why| format!("config.json f: {why}")), "{list:?}");
        }
        assert_eq!(bits("f", None, 128).ok(), Some(None));
    }

    #[test]
    fn the_rules_of_the_scheduler() {
        let deadline = |runtime, deadline, period| spec::Scheduler {
            policy: Some("SCHED_DEADLINE"),
            runtime,
            deadline,
            period,
            ..spec::Scheduler::default()
        };
        let priority = |policy, priority, nice| spec::Scheduler {
            policy: Some(policy),
            priority,
            nice,
            ..spec::Scheduler::default()
        };
        for (given, expected) in [
            (priority("SCHED_OTHER", None, Some(-20)), ""),
            (priority("SCHED_BATCH", Some(0), Some(19)), ""),
            (priority("SCHED_IDLE", None, None), ""),
            (priority("SCHED_FIFO", Some(1), None), ""),
            (priority("SCHED_RR", Some(99), Some(0)), ""),
            (priority("SCHED_OTHER", None, Some(20)), "nice: is not in -20..19"),
            (priority("SCHED_OTHER", None, Some(-21)), "nice: is not in -20..19"),
            (priority("SCHED_IDLE", None, Some(1)), "nice: is for `SCHED_OTHER` and `SCHED_BATCH`"),
            (priority("SCHED_OTHER", Some(1), None), "priority: is for `SCHED_FIFO` and `SCHED_RR`"),
            (priority("SCHED_FIFO", None, None), "priority: is not in 1..99"),
            (priority("SCHED_RR", Some(100), None), "priority: is not in 1..99"),
            (priority("SCHED_ISO", None, None), "policy: unknown value \"SCHED_ISO\""),
            (priority("sched_other", None, None), "policy: unknown value \"sched_other\""),
            (spec::Scheduler::default(), "policy: is required"),
            (deadline(Some(1024), Some(1024), None), ""),
            (deadline(Some(1024), Some(2000), Some(2000)), ""),
            (deadline(None, Some(2000), None), "runtime: `SCHED_DEADLINE` requires `runtime`"),
            (deadline(Some(2000), None, None), "deadline: `SCHED_DEADLINE` requires `deadline`"),
            (deadline(Some(0), Some(2000), None), "runtime: must be greater than 0"),
            (deadline(Some(1023), Some(2000), None), "runtime: must be between 1024 and 9223372036854775807"),
            (deadline(Some(2001), Some(2000), None), "runtime: must be <= `deadline`"),
            (deadline(Some(1024), Some(3000), Some(2000)), "deadline: must be <= `period`"),
            (deadline(Some(1024), Some(1 << 63), None), "period: must be between 1024 and 9223372036854775807"),
            (
                deadline(Some(1024), Some(1 << 62), Some(1 << 63)),
                "period: must be between 1024 and 9223372036854775807",
            ),
            (
                spec::Scheduler { policy: Some("SCHED_OTHER"), period: Some(1), ..spec::Scheduler::default() },
                "period: is for `SCHED_DEADLINE`",
            ),
            (
                spec::Scheduler {
                    policy: Some("SCHED_OTHER"),
                    flags: &["SCHED_FLAG_RECLAIM", "SCHED_FLAG_X"],
                    ..spec::Scheduler::default()
                },
                "flags[1]: unknown value \"SCHED_FLAG_X\"",
            ),
        ] {
            let expected = match expected {
                "" => "good".to_owned(),
                why => format!("config.json process.scheduler.{why}"),
            };
            assert_eq!(told(scheduler(&given)), expected);
        }
        let all: Vec<_> = FLAGS.iter().map(|(name, _)| *name).collect();
        let given = spec::Scheduler { flags: &all, ..priority("SCHED_RR", Some(7), None) };
        let attr = scheduler(&given).expect("good");
        assert_eq!((attr.policy, attr.priority, attr.flags), (2, 7, 0x7f));
    }

    #[test]
    fn the_rules_of_input_and_output() {
        let told = |class, priority| io_priority(&spec::IoPriority { class, priority }).map_err(|e| e.to_string());
        assert_eq!(told(Some("IOPRIO_CLASS_RT"), Some(0)), Ok(1 << 13));
        assert_eq!(told(Some("IOPRIO_CLASS_IDLE"), Some(7)), Ok(3 << 13 | 7));
        for (class, priority, why) in [
            (None, Some(1), "class: is required"),
            (Some("IOPRIO_CLASS_NONE"), Some(1), "class: unknown value \"IOPRIO_CLASS_NONE\""),
            (Some("IOPRIO_CLASS_BE"), None, "priority: is required"),
            (Some("IOPRIO_CLASS_BE"), Some(8), "priority: 8 is not in 0..7"),
            (Some("IOPRIO_CLASS_BE"), Some(-1), "priority: -1 is not in 0..7"),
        ] {
            assert_eq!(told(class, priority), Err(format!("config.json process.ioPriority.{why}")));
        }
    }

    #[test]
    fn the_rules_of_memory() {
        let policy = |mode, nodes| spec::MemoryPolicy { mode: Some(mode), nodes, flags: &[] };
        for (given, expected) in [
            (policy("MPOL_DEFAULT", None), ""),
            (policy("MPOL_LOCAL", Some("")), ""),
            (policy("MPOL_PREFERRED", None), ""),
            (policy("MPOL_PREFERRED", Some("1")), ""),
            (policy("MPOL_BIND", Some("0-3,4095")), ""),
            (policy("MPOL_LOCAL", Some("0")), "nodes: the mode takes no nodes"),
            (policy("MPOL_BIND", Some("")), "nodes: the mode needs at least one node"),
            (policy("MPOL_WEIGHTED_INTERLEAVE", None), "nodes: the mode needs at least one node"),
            (policy("MPOL_BIND", Some("4096")), "nodes: 4096 is above 4095"),
            (policy("MPOL_X", None), "mode: unknown value \"MPOL_X\""),
            (spec::MemoryPolicy::default(), "mode: is required"),
            (
                spec::MemoryPolicy { flags: &["MPOL_F_X"], ..policy("MPOL_DEFAULT", None) },
                "flags[0]: unknown value \"MPOL_F_X\"",
            ),
            (
                spec::MemoryPolicy {
                    flags: &["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"],
                    ..policy("MPOL_BIND", Some("0"))
                },
                "flags: MPOL_F_RELATIVE_NODES and MPOL_F_STATIC_NODES exclude each other",
            ),
        ] {
            let expected = match expected {
                "" => "good".to_owned(),
                why => format!("config.json linux.memoryPolicy.{why}"),
            };
            assert_eq!(told(memory_policy(&given)), expected);
        }
        let given = spec::MemoryPolicy { flags: &["MPOL_F_STATIC_NODES"], ..policy("MPOL_INTERLEAVE", Some("0,65")) };
        let planned = memory_policy(&given).expect("good");
        assert_eq!((planned.mode, planned.nodes), (3 | 1 << 15, &[1, 2][..]));
    }

    #[test]
    fn the_two_personalities() {
        let told = |domain, flags| personality(&spec::Personality { domain, flags }).map_err(|e| e.to_string());
        assert_eq!((told(Some("LINUX"), &[]), told(Some("LINUX32"), &[])), (Ok(0), Ok(8)));
        let wrong = |why: &str| Err(format!("config.json linux.personality.{why}"));
        assert_eq!(told(None, &[]), wrong("domain: is required"));
        assert_eq!(told(Some("linux"), &[]), wrong("domain: unknown value \"linux\""));
        assert_eq!(told(Some("LINUX"), &["X"]), wrong("flags[0]: unknown value \"X\""));
    }
}
