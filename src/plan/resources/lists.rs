//! The fields that are a list or a map: a line for each device, page size, interface or file.

use super::{File, Otherwise, Table, decimal, missing, text, within, wrong};
use crate::error::{Quoted, Result};
use crate::json::Map;
use crate::spec::{BlockIo, HugepageLimit, Network, Rdma};

/// An entry of a list, by its number.
#[derive(Clone, Copy)]
struct At(&'static str, usize);

impl At {
    /// The whole name of a field of it.
    fn field(self, name: &str) -> &'static str {
        text(format_args!("{}[{}].{name}", self.0, self.1))
    }

    fn required<T>(self, name: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| missing(self.field(name)))
    }

    /// `MAJOR:MINOR`.
    fn device(self, major: Option<i64>, minor: Option<i64>) -> Result<&'static str> {
        let major = self.number("major", major)?;
        let minor = self.number("minor", minor)?;
        Ok(text(format_args!("{major}:{minor}")))
    }

    fn number(self, name: &str, number: Option<i64>) -> Result<u32> {
        let number = self.required(name, number)?;
        u32::try_from(number).map_err(|_| wrong(self.field(name), format_args!("{number} is no device number")))
    }
}

/// The range of version 1, and of BFQ.
const LEAST: i64 = 10;
const MOST: i64 = 1000;

/// The field, its file in version 1, and the key in `io.max`.
static THROTTLE: [(&str, &str, &str); 4] = [
    ("blockIO.throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps"),
    ("blockIO.throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps"),
    ("blockIO.throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops"),
    ("blockIO.throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops"),
];

impl<'a> Table<'_, 'a> {
    pub(super) fn block_io(&mut self, io: &BlockIo<'a>) -> Result<()> {
        let set = |weight: Option<u16>| weight.filter(|weight| *weight != 0).map(i64::from);
        self.weight("blockIO.weight", "", set(io.weight))?;
        self.leaf_weight("blockIO.leafWeight", "", set(io.leaf_weight))?;
        for (i, device) in io.weight_device.iter().enumerate() {
            let at = At("blockIO.weightDevice", i);
            let number = at.device(device.major, device.minor)?;
            let (weight, leaf) = (set(device.weight), set(device.leaf_weight));
            if weight.is_none() && leaf.is_none() {
                return Err(wrong(at.field("weight"), format_args!("neither weight nor leafWeight is set")));
            }
            self.weight(at.field("weight"), number, weight)?;
            self.leaf_weight(at.field("leafWeight"), number, leaf)?;
        }
        let lists = [
            io.throttle_read_bps_device,
            io.throttle_write_bps_device,
            io.throttle_read_iops_device,
            io.throttle_write_iops_device,
        ];
        for ((name, v1, key), list) in THROTTLE.iter().zip(lists) {
            for (i, device) in list.iter().enumerate() {
                let at = At(name, i);
                let number = at.device(device.major, device.minor)?;
                let rate = at.required("rate", device.rate)?;
                let file = self.file(at.field("rate"), v1, "io.max")?;
                let value = match rate {
                    rate if !file.v2 => text(format_args!("{number} {rate}")),
                    // Version 1 lifts the limit with 0.
                    0 => text(format_args!("{number} {key}=max")),
                    rate => text(format_args!("{number} {key}={rate}")),
                };
                self.push(at.field("rate"), file, value, Otherwise::Fail);
            }
        }
        Ok(())
    }

    /// A weight, of a device or of all. The scheduler BFQ has files of its own.
    fn weight(&mut self, field: &'a str, device: &str, weight: Option<i64>) -> Result<()> {
        let Some(weight) = weight else { return Ok(()) };
        within(field, weight, LEAST, MOST)?;
        let all = device.is_empty();
        let file = self.file(field, if all { "blkio.weight" } else { "blkio.weight_device" }, "io.bfq.weight")?;
        let value = line(device, weight);
        let otherwise = match (file.v2, all) {
            (true, true) => ("io.weight", decimal(1 + (weight - LEAST) * 9999 / 990)),
            (true, false) => ("", ""),
            (false, true) => ("blkio.bfq.weight", value),
            (false, false) => ("blkio.bfq.weight_device", value),
        };
        let otherwise = match otherwise {
            ("", _) => Otherwise::Fail,
            (file, value) => Otherwise::Instead { file, value },
        };
        self.push(field, file, value, otherwise);
        Ok(())
    }

    fn leaf_weight(&mut self, field: &'a str, device: &str, weight: Option<i64>) -> Result<()> {
        let Some(weight) = weight else { return Ok(()) };
        within(field, weight, LEAST, MOST)?;
        let v1 = if device.is_empty() { "blkio.leaf_weight" } else { "blkio.leaf_weight_device" };
        self.set(field, v1, "", line(device, weight))
    }

    pub(super) fn huge_pages(&mut self, limits: &[HugepageLimit<'a>]) -> Result<()> {
        for (i, hugepage) in limits.iter().enumerate() {
            let at = At("hugepageLimits", i);
            let size = at.required("pageSize", hugepage.page_size)?;
            if !is_page_size(size) {
                return Err(wrong(at.field("pageSize"), format_args!("{} is not like 64KB, 2MB or 1GB", Quoted(size))));
            }
            let limit = text(format_args!("{}", at.required("limit", hugepage.limit)?));
            let field = at.field("limit");
            let v2 = self.file(field, "hugetlb.limit_in_bytes", "hugetlb.max")?.v2;
            let end = if v2 { "max" } else { "limit_in_bytes" };
            // Reservations are counted since Linux 5.7.
            for (kind, otherwise) in [("", Otherwise::Fail), ("rsvd.", Otherwise::Skip)] {
                let name = text(format_args!("hugetlb.{size}.{kind}{end}"));
                self.push(field, File { name, v2 }, limit, otherwise);
            }
        }
        Ok(())
    }

    pub(super) fn network(&mut self, network: &Network<'a>) -> Result<()> {
        if let Some(class) = network.class_id {
            self.set("network.classID", "net_cls.classid", "", decimal(class.into()))?;
        }
        for (i, interface) in network.priorities.iter().enumerate() {
            let at = At("network.priorities", i);
            let name = at.required("name", interface.name)?;
            word(at.field("name"), name)?;
            let field = at.field("priority");
            let priority = at.required("priority", interface.priority)?;
            self.set(field, "net_prio.ifpriomap", "", line(name, priority.into()))?;
        }
        Ok(())
    }

    pub(super) fn rdma(&mut self, devices: &Map<'a, Rdma>) -> Result<()> {
        for (device, rdma) in devices.iter() {
            let field = text(format_args!("rdma[{}]", Quoted(device)));
            word(field, device)?;
            let mut value = *device;
            for (key, limit) in [("hca_handle", rdma.hca_handles), ("hca_object", rdma.hca_objects)] {
                if let Some(limit) = limit {
                    value = text(format_args!("{value} {key}={limit}"));
                }
            }
            if value == *device {
                return Err(wrong(field, format_args!("neither hcaHandles nor hcaObjects is set")));
            }
            self.set(field, "rdma.max", "rdma.max", value)?;
        }
        Ok(())
    }

    /// A file of version 2, named by the user. Each line is a write of its own.
    pub(super) fn unified(&mut self, file: &'a str, value: &'a str) -> Result<()> {
        let field = text(format_args!("unified[{}]", Quoted(file)));
        // CONTROLLER.FILE
        let named = file.split_once('.').is_some_and(|(controller, file)| !controller.is_empty() && !file.is_empty());
        if file.contains(['/', '\0']) || !named {
            return Err(wrong(field, format_args!("is no name of a cgroup file")));
        }
        // The others are not limits: they move, kill and freeze processes.
        if file.starts_with("cgroup.") && !file.starts_with("cgroup.max.") {
            return Err(wrong(field, format_args!("is not for a config to set")));
        }
        value.lines().filter(|line| !line.trim_ascii().is_empty()).try_for_each(|line| self.set(field, "", file, line))
    }
}

/// A number, behind what it is for, if that has a name.
fn line(what: &str, number: i64) -> &'static str {
    if what.is_empty() { decimal(number) } else { text(format_args!("{what} {number}")) }
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
        return Err(wrong(field, format_args!("{} is no name", Quoted(name))));
    }
    Ok(())
}
