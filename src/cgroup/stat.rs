//! What the kernel has counted of a cgroup, in runc's words, which are version 1's: straight from the cgroup's files
//! into JSON, without a model in between. A file that is not there leaves its numbers at 0.

use super::{Cgroup, Cgroups, Place, number};
use crate::json::{Raw, Writer};
use crate::sys::memory::{self, Growing};
use crate::sys::{self, AsFd, BorrowedFd, OwnedFd, file, utf8};

/// `cpuacct.stat` counts in hundredths of a second, on every machine.
const NANOS_PER_TICK: u64 = 10_000_000;
const NANOS_PER_MICRO: u64 = 1000;

impl Cgroup<'_> {
    /// The members of runc's `data`.
    pub fn stats(&self, w: &mut Writer<'_>) {
        w.name("cpu").object(|w| self.cpu(w));
        w.name("cpuset").object(|w| self.cpuset(w));
        w.name("memory").object(|w| self.memory(w));
        w.name("pids").object(|w| {
            w.member("current", self.one("pids.current"));
            // 0 is runc's word for no limit.
            w.member("limit", count(self.text("pids.max").trim_ascii()));
        });
        w.name("blkio").object(|w| self.blkio(w));
        w.name("hugetlb").object(|w| self.hugetlb(w));
        w.name("intel_rdt").object(|_| {});
        w.name("network_interfaces").value(None::<u32>);
    }

    /// Where the kernel counts whom it has killed for memory; `None` if nobody counts.
    #[must_use]
    pub fn oom_events(&self) -> Option<OomEvents> {
        let told = self.is_v2();
        let (place, name) =
            if told { (self.home()?, "memory.events") } else { (self.place_of("memory")?, "memory.oom_control") };
        Some(OomEvents { file: file::open(place.file(name)).ok()?, told })
    }

    fn is_v2(&self) -> bool {
        matches!(self.cgroups, Cgroups::V2(_))
    }

    fn text(&self, file: &str) -> &'static str {
        let mut buffer = [0; 16 << 10];
        self.read(file, &mut buffer).map_or("", memory::text)
    }

    /// The number that a file consists of; `max` is the greatest there is.
    fn one(&self, file: &str) -> u64 {
        let text = self.text(file).trim_ascii();
        if text == "max" { u64::MAX } else { count(text) }
    }

    fn cpu(&self, w: &mut Writer<'_>) {
        let stat = self.text("cpu.stat");
        let of = |name| number(stat, name).unwrap_or(0);
        w.name("usage").object(|w| {
            if self.is_v2() {
                w.member("total", of("usage_usec") * NANOS_PER_MICRO);
                w.member("kernel", of("system_usec") * NANOS_PER_MICRO);
                w.member("user", of("user_usec") * NANOS_PER_MICRO);
            } else {
                let ticks = self.text("cpuacct.stat");
                let of = |name| number(ticks, name).unwrap_or(0) * NANOS_PER_TICK;
                w.member("total", self.one("cpuacct.usage"));
                w.name("percpu").array(|w| numbers(self.text("cpuacct.usage_percpu")).for_each(|nanos| w.value(nanos)));
                w.member("kernel", of("system"));
                w.member("user", of("user"));
            }
        });
        w.name("throttling").object(|w| {
            w.member("periods", of("nr_periods"));
            w.member("throttledPeriods", of("nr_throttled"));
            let micros = number(stat, "throttled_usec").map(|micros| micros * NANOS_PER_MICRO);
            w.member("throttledTime", micros.unwrap_or_else(|| of("throttled_time")));
        });
        self.pressure(w, "cpu.pressure");
    }

    fn cpuset(&self, w: &mut Writer<'_>) {
        for (name, file) in [("cpus", "cpuset.cpus"), ("mems", "cpuset.mems")] {
            w.name(name).array(|w| {
                for part in self.text(file).trim_ascii().split(',') {
                    let (first, last) = part.split_once('-').unwrap_or((part, part));
                    if let (Some(first), Some(last)) = (sys::natural::<u16>(first), sys::natural::<u16>(last)) {
                        (first..=last).for_each(|each| w.value(each));
                    }
                }
            });
        }
        for name in [
            "cpu_exclusive",
            "mem_hardwall",
            "mem_exclusive",
            "memory_migrate",
            "memory_spread_page",
            "memory_spread_slab",
            "memory_pressure",
            "sched_load_balance",
            "sched_relax_domain_level",
        ] {
            let text = if self.is_v2() { "" } else { self.text(memory::format(format_args!("cpuset.{name}"))) };
            w.member(name, sys::integer(text.trim_ascii()).unwrap_or(0));
        }
    }

    fn memory(&self, w: &mut Writer<'_>) {
        let stat = self.text("memory.stat");
        w.member("cache", number(stat, if self.is_v2() { "file" } else { "cache" }).unwrap_or(0));
        if self.is_v2() {
            let entry = |limit, used| Entry { limit, usage: used, max: 0, failcnt: 0 };
            let (limit, used) = (self.one("memory.max"), self.one("memory.current"));
            let failcnt = number(self.text("memory.events"), "max").unwrap_or(0);
            w.name("usage").object(|w| Entry { max: self.one("memory.peak"), failcnt, ..entry(limit, used) }.write(w));
            // Version 1 counts swap together with memory.
            let with_swap = |part: u64, file| part.saturating_add(self.one(file));
            let (limit, used) = (with_swap(limit, "memory.swap.max"), with_swap(used, "memory.swap.current"));
            w.name("swap").object(|w| entry(limit, used).write(w));
        } else {
            for (name, part) in [("usage", ""), ("swap", ".memsw"), ("kernel", ".kmem"), ("kernelTCP", ".kmem.tcp")] {
                let of = |end| self.one(memory::format(format_args!("memory{part}.{end}")));
                let (limit, usage) = (of("limit_in_bytes"), of("usage_in_bytes"));
                let (max, failcnt) = (of("max_usage_in_bytes"), of("failcnt"));
                w.name(name).object(|w| Entry { limit, usage, max, failcnt }.write(w));
            }
        }
        w.name("raw").object(|w| {
            for (name, value) in stat.lines().filter_map(|line| line.split_once(' ')) {
                w.member(name, count(value));
            }
        });
        self.pressure(w, "memory.pressure");
    }

    fn blkio(&self, w: &mut Writer<'_>) {
        if self.is_v2() {
            let stat = self.text("io.stat");
            let bytes = [("rbytes", "Read"), ("wbytes", "Write"), ("dbytes", "Discard")];
            let operations = [("rios", "Read"), ("wios", "Write"), ("dios", "Discard")];
            for (name, keys) in [("ioServiceBytesRecursive", bytes), ("ioServicedRecursive", operations)] {
                w.name(name).array(|w| stat.lines().for_each(|line| io_stat(w, line, &keys)));
            }
        } else {
            for (name, file) in [
                ("ioServiceBytesRecursive", "blkio.throttle.io_service_bytes_recursive"),
                ("ioServicedRecursive", "blkio.throttle.io_serviced_recursive"),
            ] {
                w.name(name).array(|w| self.text(file).lines().for_each(|line| blkio_line(w, line)));
            }
        }
        self.pressure(w, "io.pressure");
    }

    /// The sizes of huge pages are in the names of the files.
    fn hugetlb(&self, w: &mut Writer<'_>) {
        let place = self.place_of("hugetlb");
        let v2 = place.is_some_and(|place| place.hierarchy.unified);
        let end = if v2 { ".current" } else { ".usage_in_bytes" };
        for size in place.map_or(&[][..], |place| page_sizes(place, end)) {
            let of = |end| self.one(memory::format(format_args!("hugetlb.{size}.{end}")));
            w.name(size).object(|w| {
                if v2 {
                    w.member("usage", of("current"));
                    let events = self.text(memory::format(format_args!("hugetlb.{size}.events")));
                    w.member("failcnt", number(events, "max").unwrap_or(0));
                } else {
                    w.member("usage", of("usage_in_bytes"));
                    w.member("max", of("max_usage_in_bytes"));
                    w.member("failcnt", of("failcnt"));
                }
            });
        }
    }

    /// Pressure stall information, where the kernel has it: lines like `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`.
    fn pressure(&self, w: &mut Writer<'_>, file: &str) {
        let text = if self.is_v2() { self.text(file) } else { "" };
        if text.is_empty() {
            return;
        }
        w.name("psi").object(|w| {
            for (kind, values) in text.lines().filter_map(|line| line.split_once(' ')) {
                w.name(kind).object(|w| {
                    for (name, value) in values.split(' ').filter_map(|value| value.split_once('=')) {
                        w.member(name, Raw(value));
                    }
                });
            }
        });
    }
}

/// An open file with the count of processes killed for memory. Asking it takes no memory.
pub struct OomEvents {
    file: OwnedFd,
    told: bool,
}

impl OomEvents {
    /// How many there are.
    #[must_use]
    pub fn kills(&self) -> u64 {
        let mut buffer = [0; 512];
        let n = file::pread(self.file.as_fd(), &mut buffer, 0).unwrap_or(0);
        utf8(&buffer[..n]).and_then(|text| number(text, "oom_kill")).unwrap_or(0)
    }

    /// Whether a change shows as POLLPRI.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.told
    }
}

impl AsFd for OomEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// runc's form of a limit and what is used of it.
struct Entry {
    limit: u64,
    usage: u64,
    max: u64,
    failcnt: u64,
}

impl Entry {
    fn write(&self, w: &mut Writer<'_>) {
        w.member("limit", self.limit);
        w.member("usage", self.usage);
        w.member("max", self.max);
        w.member("failcnt", self.failcnt);
    }
}

/// A number of the kernel's; 0 where there is none.
fn count(text: &str) -> u64 {
    sys::natural(text).unwrap_or(0)
}

fn numbers(text: &str) -> impl Iterator<Item = u64> {
    text.split_ascii_whitespace().filter_map(sys::natural)
}

fn page_sizes(place: &Place<'_>, end: &str) -> &'static [&'static str] {
    let mut sizes = Growing::new();
    if let Ok(directory) = file::open(place.directory) {
        let _ = file::each_entry(directory.as_fd(), |name, _| {
            let size = utf8(name.to_bytes()).and_then(|name| name.strip_prefix("hugetlb.")?.strip_suffix(end));
            if let Some(size) = size.filter(|size| !size.contains('.')) {
                sizes.push(memory::text(size));
            }
            Ok::<(), super::Errno>(())
        });
    }
    sizes.finish()
}

fn entry(w: &mut Writer<'_>, device: &str, op: &str, value: &str) {
    let (major, minor) = device.split_once(':').unwrap_or((device, ""));
    w.object(|w| {
        w.member("major", count(major));
        w.member("minor", count(minor));
        w.member("op", op);
        w.member("value", count(value));
    });
}

/// `8:0 rbytes=1 wbytes=2 ...` of version 2.
fn io_stat(w: &mut Writer<'_>, line: &str, keys: &[(&str, &str)]) {
    let Some((device, values)) = line.split_once(' ') else { return };
    for (name, value) in values.split(' ').filter_map(|value| value.split_once('=')) {
        if let Some((_, op)) = keys.iter().find(|(key, _)| *key == name) {
            entry(w, device, op, value);
        }
    }
}

/// `8:0 Read 1` of version 1; the sum at its end has no device.
fn blkio_line(w: &mut Writer<'_>, line: &str) {
    let mut words = line.split(' ');
    if let (Some(device), Some(op), Some(value)) = (words.next(), words.next(), words.next()) {
        entry(w, device, op, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Style, text};

    #[test]
    fn lines_of_both_versions() {
        let told = |write: &dyn Fn(&mut Writer<'_>)| text(Style::Compact, |w| w.array(write));
        let v1 = told(&|w| "8:0 Read 1\n8:0 Total 3\nTotal 3".lines().for_each(|line| blkio_line(w, line)));
        assert_eq!(v1, r#"[{"major":8,"minor":0,"op":"Read","value":1},{"major":8,"minor":0,"op":"Total","value":3}]"#);
        let keys = [("rbytes", "Read"), ("wbytes", "Write")];
        let v2 = told(&|w| io_stat(w, "254:16 rbytes=4096 wbytes=7 rios=1", &keys));
        assert_eq!(
            v2,
            r#"[{"major":254,"minor":16,"op":"Read","value":4096},{"major":254,"minor":16,"op":"Write","value":7}]"#
        );
        assert_eq!(told(&|w| io_stat(w, "254:16", &keys)), "[]");
    }

    #[test]
    fn no_cgroup_has_used_nothing() {
        let none = Cgroup::new(Cgroups::None, "").expect("none");
        let json = text(Style::Compact, |w| w.object(|w| none.stats(w)));
        let value = jzon::parse(json).expect("JSON");
        assert_eq!(value["memory"]["usage"]["limit"], 0);
        assert_eq!(value["cpu"]["usage"]["total"], 0);
        assert!(value["network_interfaces"].is_null() && value["intel_rdt"].is_empty());
    }
}
