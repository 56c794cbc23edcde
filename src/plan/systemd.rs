//! The systemd driver's part of `linux.cgroupsPath` and `linux.resources`: which unit, and which of its properties. The
//! kernel's files are what limits a container; the properties say the same to systemd, so that it and its tools agree.
//! So they are made from the writes, whatever field of the config these come from.

use super::resources::{Cgroup, Limits, Write, limits};
use crate::dbus::{Value, text};
use crate::error::{Error, Quoted, Result};
use crate::host::Cgroups;
use crate::json::Map;
use crate::spec::Linux;
use crate::sys::memory::{self, Growing};
use crate::sys::{self, utf8};

/// A unit that holds a container.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'a> {
    /// A scope; or a slice, if that is what the config names.
    pub name: &'a str,
    /// The cgroup in the unit's own that the container's processes are in; empty: they are in the unit's own.
    pub subgroup: &'a str,
    /// What systemd is told when it makes the unit, but for its first process.
    pub properties: &'a [Property<'a>],
}

/// A property of a unit.
#[derive(Clone, Copy, Debug)]
pub struct Property<'a> {
    pub name: &'a str,
    pub value: Value<'a>,
    /// An old systemd may not know it: then without. What the user asked for is not left out.
    pub optional: bool,
}

impl<'a> Property<'a> {
    const fn new(name: &'a str, value: Value<'a>) -> Property<'a> {
        Property { name, value, optional: true }
    }
}

impl Unit<'_> {
    /// Whether it is a slice: that has no processes of its own, and a name that says where it is.
    #[must_use]
    pub fn is_slice(&self) -> bool {
        self.name.ends_with(".slice")
    }
}

/// Whose systemd it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// The machine's.
    System,
    /// That of a user.
    User,
}

/// The cgroup of a container called `id`: where it is shows when systemd has made it.
///
/// # Errors
/// A path that names no unit, an annotation that is no property; limits as `resources::cgroup` has them.
pub fn cgroup<'a>(
    linux: &Linux<'a>,
    cgroups: &Cgroups<'_>,
    id: &str,
    owner: Owner,
    annotations: &Map<'a, &'a str>,
) -> Result<Cgroup<'a>> {
    let limits = linux.resources.map_or(Ok(Limits::default()), |resources| limits(resources, cgroups))?;
    let unit = unit(linux.cgroups_path, id, owner, annotations, limits.writes)?;
    Ok(Cgroup { path: "", limits, unit: Some(memory::keep(unit)), delegation: None })
}

fn unit<'a>(
    configured: Option<&'a str>,
    id: &str,
    owner: Owner,
    annotations: &Map<'a, &'a str>,
    writes: &[Write<'_>],
) -> Result<Unit<'a>> {
    let (slice, name) = names(configured.unwrap_or(""), id, owner)?;
    let subgroup = annotations.get("run.oci.systemd.subgroup").unwrap_or("container");
    if subgroup.contains(['/', '\0', '\n']) || matches!(subgroup, "." | "..") {
        return Err(annotation("run.oci.systemd.subgroup", subgroup, "is not the name of a cgroup"));
    }
    let mut all = Growing::new();
    let description = memory::format(format_args!("isopod container {id}"));
    all.push(Property::new("Description", Value::string(description)));
    let is_slice = name.ends_with(".slice");
    if !slice.is_empty() {
        all.push(Property::new("Slice", Value::string(slice)));
    }
    // A slice has nothing to delegate, and is not collected.
    ALWAYS[if is_slice { 2 } else { 0 }..].iter().for_each(|property| all.push(*property));
    for property in properties(writes) {
        let value = match (property.name, property.value) {
            // While the container is made, there is one more.
            ("TasksMax", Value::Number(kind, 1)) if !is_slice => Value::Number(kind, 2),
            (_, value) => value,
        };
        all.push(Property { value, ..*property });
    }
    for (name, value) in annotations.iter() {
        if let Some(property) = name.strip_prefix("org.systemd.property.") {
            all.push(given(property, value)?);
        }
    }
    Ok(Unit { name, subgroup, properties: all.finish() })
}

static ALWAYS: [Property<'static>; 7] = [
    Property::new("Delegate", Value::bool(true)),
    Property::new("CollectMode", Value::string("inactive-or-failed")),
    Property::new("DefaultDependencies", Value::bool(false)),
    Property::new("CPUAccounting", Value::bool(true)),
    Property::new("MemoryAccounting", Value::bool(true)),
    Property::new("IOAccounting", Value::bool(true)),
    Property::new("TasksAccounting", Value::bool(true)),
];

/// The slice, empty if that is left to systemd, and the unit. `SLICE:PREFIX:NAME` is `PREFIX-NAME.scope`, or, if the
/// name is one of a slice, that.
fn names<'a>(path: &'a str, id: &str, owner: Owner) -> Result<(&'a str, &'static str)> {
    let default = match owner {
        Owner::System => "system.slice",
        Owner::User => "user.slice",
    };
    let joined = |pieces: &[&str]| memory::joined(pieces).and_then(|name| utf8(name.to_bytes())).unwrap_or("");
    let (slice, name) = match path.split_once(':') {
        // The user's systemd puts everything into one slice; the machine's has one for this.
        None if path.is_empty() => {
            (if owner == Owner::User { default } else { "" }, joined(&["isopod-", id, ".scope"]))
        }
        None => (if path.ends_with(".slice") { path } else { default }, joined(&[path, ".scope"])),
        Some((slice, rest)) => {
            let slice = match slice {
                "" => default,
                "-" => "-.slice",
                slice => slice,
            };
            let (prefix, dash, name) = match rest.split_once(':') {
                Some((prefix, name)) => (prefix, "-", name),
                None => ("", "", rest),
            };
            if name.ends_with(".slice") {
                ("", joined(&[name]))
            } else {
                (slice, joined(&[prefix, dash, name, ".scope"]))
            }
        }
    };
    // systemd.unit(5), "units have names": that is what makes a name also one of a cgroup.
    let is_unit = |name: &str| {
        name.len() < 256 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte))
    };
    if !is_unit(name) || name.is_empty() || name.starts_with('.') || name == "-.slice" || !is_unit(slice) {
        let because = format_args!("{} is not SLICE:PREFIX:NAME, from which systemd's names are made", Quoted(path));
        return Err(Error::config(format_args!("linux.cgroupsPath"), because));
    }
    Ok((slice, name))
}

/// Where a slice is: `a-b.slice` is in `a.slice`.
#[must_use]
pub fn slice_path(name: &str) -> &'static str {
    let stem = name.strip_suffix(".slice").unwrap_or(name);
    let mut path = Growing::new();
    for (end, byte) in stem.bytes().chain([b'-']).enumerate() {
        if byte == b'-' {
            path.push("/");
            path.push(&stem[..end]);
            path.push(".slice");
        }
    }
    memory::joined(path.as_slice()).and_then(|path| utf8(path.to_bytes())).unwrap_or("")
}

/// What `org.systemd.property.NAME` asks for. A time in seconds has to be one in microseconds for the bus.
fn given<'a>(name: &'a str, text: &'a str) -> Result<Property<'a>> {
    let full = || memory::format(format_args!("org.systemd.property.{name}"));
    let wrong = |because| annotation(full(), text, because);
    if name.len() < 3 || !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(annotation(full(), "", "is not the name of a property"));
    }
    if matches!(name, "PIDs" | "PIDFDs") {
        return Err(annotation(full(), "", "is not for a config to set"));
    }
    let value = text::parse(text).ok_or_else(|| wrong("is not in the text format of GVariant"))?;
    let seconds = name.strip_suffix("Sec").filter(|rest| rest.ends_with(|letter: char| letter.is_ascii_lowercase()));
    let Some(seconds) = seconds else { return Ok(Property { name, value, optional: false }) };
    let microseconds = match value {
        Value::Number(b'd', bits) => {
            Some(f64::from_bits(bits) * 1e6).filter(|time| (0.0..1e18).contains(time)).map(|time| time as u64)
        }
        Value::Number(b'b', _) => None,
        Value::Number(b'n' | b'i' | b'x', bits) if bits > i64::MAX as u64 => None,
        Value::Number(_, bits) => bits.checked_mul(1_000_000),
        _ => None,
    };
    let value = Value::u64(microseconds.ok_or_else(|| wrong("is no time in seconds"))?);
    Ok(Property { name: memory::format(format_args!("{seconds}USec")), value, optional: false })
}

#[cold]
fn annotation(name: &str, value: &str, because: &str) -> Error {
    let blank = if value.is_empty() { "" } else { " " };
    Error::config(format_args!("annotations.{name}"), format_args!("{value}{blank}{because}"))
}

/// How the text in a file becomes a property.
#[derive(Clone, Copy)]
enum Form {
    /// A number, or `max`.
    Limit,
    /// A weight, perhaps after the word `default`; that of single devices is left to the file.
    Weight,
    /// The same of BFQ, which has a range of its own.
    BfqWeight,
    /// `1`: a weight of none at all.
    Idle,
    /// `QUOTA PERIOD`: two properties.
    Quota,
    /// `0-3,7` as a mask.
    Mask,
    /// `1`: all are killed.
    OomGroup,
}

#[rustfmt::skip]
static PROPERTIES: &[(&str, &str, Form)] = &[
    ("memory.max", "MemoryMax", Form::Limit),
    ("memory.high", "MemoryHigh", Form::Limit),
    ("memory.low", "MemoryLow", Form::Limit),
    ("memory.min", "MemoryMin", Form::Limit),
    ("memory.swap.max", "MemorySwapMax", Form::Limit),
    ("memory.zswap.max", "MemoryZSwapMax", Form::Limit),
    ("memory.oom.group", "OOMPolicy", Form::OomGroup),
    ("pids.max", "TasksMax", Form::Limit),
    ("cpu.weight", "CPUWeight", Form::Weight),
    ("cpu.idle", "CPUWeight", Form::Idle),
    ("cpu.max", "CPUQuotaPerSecUSec", Form::Quota),
    ("cpuset.cpus", "AllowedCPUs", Form::Mask),
    ("cpuset.mems", "AllowedMemoryNodes", Form::Mask),
    ("io.weight", "IOWeight", Form::Weight),
    ("io.bfq.weight", "IOWeight", Form::BfqWeight),
    // Of cgroup version 1 what systemd still has a word for.
    ("memory.limit_in_bytes", "MemoryLimit", Form::Limit),
    ("cpu.shares", "CPUShares", Form::Weight),
];

/// The properties that say the same as these writes. What systemd has no property for is left to the files.
#[must_use]
pub fn properties(writes: &[Write<'_>]) -> &'static [Property<'static>] {
    let mut all = Growing::new();
    for write in writes {
        for (_, name, form) in PROPERTIES.iter().filter(|(file, ..)| *file == write.file) {
            let Some(value) = property(*form, write.value, &mut all) else { continue };
            all.push(Property::new(name, value));
        }
    }
    all.finish()
}

fn property(form: Form, text: &str, all: &mut Growing<'static, Property<'static>>) -> Option<Value<'static>> {
    let text = text.trim_ascii();
    let first = text.split(' ').next().unwrap_or("");
    // What systemd takes for infinity; -1 is what version 1 says.
    let number = match first {
        "max" | "-1" => Some(u64::MAX),
        first => sys::natural(first),
    };
    let weight = || sys::natural(text.strip_prefix("default ").unwrap_or(text));
    match form {
        Form::Limit => number.map(Value::u64),
        Form::Weight => weight().map(Value::u64),
        Form::BfqWeight => weight()
            .map(|weight: u64| Value::u64(if weight <= 100 { weight } else { 100 + weight.min(1000) * 11 - 1100 })),
        Form::Idle => (text == "1").then_some(Value::u64(0)),
        Form::OomGroup => Some(Value::string(if text == "1" { "kill" } else { "continue" })),
        Form::Quota => {
            let period = sys::natural(text.split(' ').nth(1).unwrap_or("100000")).filter(|period| *period > 0)?;
            all.push(Property::new("CPUQuotaPeriodUSec", Value::u64(period)));
            // For each second; and systemd keeps no more than whole hundredths.
            let per_second = |quota: u64| quota.saturating_mul(1_000_000).div_ceil(period).next_multiple_of(10_000);
            number.map(|quota| Value::u64(if quota == u64::MAX { quota } else { per_second(quota) }))
        }
        Form::Mask => mask(text),
    }
}

/// A list like `0-3,7` as bits, the lowest first. What no machine has the kernel will refuse.
fn mask(list: &str) -> Option<Value<'static>> {
    const MOST: usize = 8192;
    let mut bytes = [0u8; MOST / 8];
    let mut used = 0;
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (sys::natural::<usize>(first.trim_ascii())?, sys::natural::<usize>(last.trim_ascii())?);
        if last >= MOST {
            return None;
        }
        for bit in first..=last {
            bytes[bit / 8] |= 1 << (bit % 8);
        }
        used = used.max(last / 8 + 1);
    }
    let mut values = Growing::new();
    bytes[..used].iter().for_each(|byte| values.push(Value::Number(b'y', (*byte).into())));
    Some(Value::Array("y", values.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::resources::Otherwise;

    #[test]
    fn names_of_units() {
        let long = "x".repeat(256);
        for (path, owner, expected) in [
            ("", Owner::System, Some(("", "isopod-id.scope"))),
            ("", Owner::User, Some(("user.slice", "isopod-id.scope"))),
            ("machine.slice:libpod:abc", Owner::System, Some(("machine.slice", "libpod-abc.scope"))),
            (":docker:abc", Owner::System, Some(("system.slice", "docker-abc.scope"))),
            (":docker:abc", Owner::User, Some(("user.slice", "docker-abc.scope"))),
            ("a-b.slice:p:n:m", Owner::System, Some(("a-b.slice", "p-n:m.scope"))),
            ("-:p:n", Owner::System, Some(("-.slice", "p-n.scope"))),
            ("a.slice:n", Owner::System, Some(("a.slice", "n.scope"))),
            ("plain", Owner::System, Some(("system.slice", "plain.scope"))),
            ("a.slice", Owner::System, Some(("a.slice", "a.slice.scope"))),
            ("a.slice:p:b-c.slice", Owner::System, Some(("", "b-c.slice"))),
            ("/a/b", Owner::System, None),
            ("a.slice:p:n/m", Owner::System, None),
            ("a/b.slice:p:n", Owner::System, None),
            ("a.slice:p:n m", Owner::System, None),
            ("a.slice:..:n\0", Owner::System, None),
            ("a:b:-.slice", Owner::System, None),
            (&long, Owner::System, None),
        ] {
            assert_eq!(names(path, "id", owner).ok(), expected, "{path}");
        }
    }

    #[test]
    fn slices_are_in_slices() {
        for (name, path) in [("a.slice", "/a.slice"), ("a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice")] {
            assert_eq!(slice_path(name), path);
        }
    }

    fn told(file: &'static str, value: &'static str) -> String {
        let write = Write { field: "", file, value, otherwise: Otherwise::Fail };
        let told = properties(&[write]).iter().map(|property| match property.value {
            Value::Number(_, number) => format!("{}={number}", property.name),
            Value::Text(_, text) => format!("{}={text}", property.name),
            Value::Array(_, values) => {
                let byte = |value: &Value<'_>| {
                    if let Value::Number(_, byte) = value { format!("{byte:02x}") } else { String::new() }
                };
                format!("{}={}", property.name, values.iter().map(byte).collect::<String>())
            }
            _ => "?".to_owned(),
        });
        told.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn files_and_properties() {
        for (file, value, expected) in [
            ("memory.max", "1048576", "MemoryMax=1048576"),
            ("memory.swap.max", "max", "MemorySwapMax=18446744073709551615"),
            ("memory.limit_in_bytes", "-1", "MemoryLimit=18446744073709551615"),
            ("memory.oom.group", "1", "OOMPolicy=kill"),
            ("cpu.weight", "100", "CPUWeight=100"),
            ("cpu.idle", "1", "CPUWeight=0"),
            ("cpu.idle", "0", ""),
            ("cpu.max", "50000 100000", "CPUQuotaPeriodUSec=100000 CPUQuotaPerSecUSec=500000"),
            ("cpu.max", "1234", "CPUQuotaPeriodUSec=100000 CPUQuotaPerSecUSec=20000"),
            ("cpu.max", "max 20000", "CPUQuotaPeriodUSec=20000 CPUQuotaPerSecUSec=18446744073709551615"),
            ("cpu.max", "5000 0", ""),
            ("cpuset.cpus", "0-3,9", "AllowedCPUs=0f02"),
            ("cpuset.mems", "0", "AllowedMemoryNodes=01"),
            ("cpuset.cpus", "8192", ""),
            ("cpuset.cpus", "0-4294967295", ""),
            ("io.weight", "default 200", "IOWeight=200"),
            ("io.weight", "8:0 200", ""),
            ("io.bfq.weight", "50", "IOWeight=50"),
            ("io.bfq.weight", "500", "IOWeight=4500"),
            ("io.bfq.weight", "1000", "IOWeight=10000"),
            ("hugetlb.2MB.max", "5", ""),
            ("memory.max", "lots", ""),
        ] {
            assert_eq!(told(file, value), expected, "{file} {value}");
        }
    }

    #[test]
    fn annotations() {
        for (name, text, expected) in [
            ("TimeoutStopUSec", "uint64 5", Ok(("TimeoutStopUSec", Value::u64(5)))),
            ("TimeoutStopSec", "5", Ok(("TimeoutStopUSec", Value::u64(5_000_000)))),
            ("TimeoutStopSec", "1.5", Ok(("TimeoutStopUSec", Value::u64(1_500_000)))),
            ("CollectMode", "'inactive'", Ok(("CollectMode", Value::string("inactive")))),
            ("TimeoutStopSec", "-5", Err("TimeoutStopSec: -5 is no time in seconds")),
            ("TimeoutStopSec", "-1.5", Err("TimeoutStopSec: -1.5 is no time in seconds")),
            ("TimeoutStopSec", "'5'", Err("TimeoutStopSec: '5' is no time in seconds")),
            (
                "TimeoutStopSec",
                "uint64 18446744073709551615",
                Err("TimeoutStopSec: uint64 18446744073709551615 is no time in seconds"),
            ),
            ("A", "5", Err("A: is not the name of a property")),
            ("A-B", "5", Err("A-B: is not the name of a property")),
            ("PIDs", "[uint32 1]", Err("PIDs: is not for a config to set")),
            ("Wants", "x.service", Err("Wants: x.service is not in the text format of GVariant")),
        ] {
            let property = given(name, text).map(|property| (property.name, property.value));
            let expected =
                expected.map_err(|because| format!("config.json annotations.org.systemd.property.{because}"));
            assert_eq!(property.map_err(|error| error.to_string()), expected);
        }
    }
}
