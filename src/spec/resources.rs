//! "Control groups": limits. `update --resources` takes a document of this type, too.

use crate::json::{List, Map, object};

object! {
    /// One object for each controller.
    pub struct Resources<'a> {
        /// In order: the last rule that fits a device decides.
        devices: List<'a, DeviceRule<'a>> = "devices",
        memory: Option<&'a Memory> = "memory",
        cpu: Option<&'a Cpu<'a>> = "cpu",
        pids: Option<Pids> = "pids",
        block_io: Option<&'a BlockIo<'a>> = "blockIO",
        hugepage_limits: List<'a, HugepageLimit<'a>> = "hugepageLimits",
        network: Option<Network<'a>> = "network",
        /// By the device's name.
        rdma: Map<'a, Rdma> = "rdma",
        /// What to write into which file of a cgroup v2.
        unified: Map<'a, &'a str> = "unified",
    }
}

object! {
    /// "Allowed Device list".
    pub struct DeviceRule<'a> {
        allow: Option<bool> = "allow",
        /// `a`, `c` or `b`; absent: all.
        kind: Option<&'a str> = "type",
        /// Absent or -1: all, as the minor number.
        major: Option<i64> = "major",
        minor: Option<i64> = "minor",
        /// Of `r`, `w` and `m`.
        access: Option<&'a str> = "access",
    }
}

object! {
    /// "Memory": bytes, -1 for no limit.
    pub struct Memory {
        limit: Option<i64> = "limit",
        reservation: Option<i64> = "reservation",
        /// Of memory and swap together.
        swap: Option<i64> = "swap",
        kernel: Option<i64> = "kernel",
        kernel_tcp: Option<i64> = "kernelTCP",
        /// From 0 to 100.
        swappiness: Option<u64> = "swappiness",
        disable_oom_killer: Option<bool> = "disableOOMKiller",
        use_hierarchy: Option<bool> = "useHierarchy",
        /// Refuse a limit below what is used.
        check_before_update: Option<bool> = "checkBeforeUpdate",
    }
}

object! {
    /// "CPU": times in microseconds.
    pub struct Cpu<'a> {
        /// Relative, from 2 to 262144.
        shares: Option<u64> = "shares",
        /// Of each period; negative for no limit.
        quota: Option<i64> = "quota",
        burst: Option<u64> = "burst",
        period: Option<u64> = "period",
        realtime_runtime: Option<i64> = "realtimeRuntime",
        realtime_period: Option<u64> = "realtimePeriod",
        /// As in `0-3,7`.
        cpus: Option<&'a str> = "cpus",
        mems: Option<&'a str> = "mems",
        /// 1: SCHED_IDLE.
        idle: Option<i64> = "idle",
    }
}

object! {
    /// "PIDs".
    pub struct Pids {
        /// -1 for no limit.
        limit: Option<i64> = "limit",
    }
}

object! {
    /// "Block IO".
    pub struct BlockIo<'a> {
        weight: Option<u16> = "weight",
        leaf_weight: Option<u16> = "leafWeight",
        weight_device: List<'a, WeightDevice> = "weightDevice",
        throttle_read_bps_device: List<'a, ThrottleDevice> = "throttleReadBpsDevice",
        throttle_write_bps_device: List<'a, ThrottleDevice> = "throttleWriteBpsDevice",
        throttle_read_iops_device: List<'a, ThrottleDevice> = "throttleReadIOPSDevice",
        throttle_write_iops_device: List<'a, ThrottleDevice> = "throttleWriteIOPSDevice",
    }
}

object! {
    /// A device's weight.
    pub struct WeightDevice {
        major: Option<i64> = "major",
        minor: Option<i64> = "minor",
        weight: Option<u16> = "weight",
        leaf_weight: Option<u16> = "leafWeight",
    }
}

object! {
    /// A device's limit, in bytes or operations a second.
    pub struct ThrottleDevice {
        major: Option<i64> = "major",
        minor: Option<i64> = "minor",
        rate: Option<u64> = "rate",
    }
}

object! {
    /// "Huge page limits".
    pub struct HugepageLimit<'a> {
        /// As in `2MB`.
        page_size: Option<&'a str> = "pageSize",
        /// Bytes.
        limit: Option<u64> = "limit",
    }
}

object! {
    /// "Network": classes and priorities of cgroup v1.
    pub struct Network<'a> {
        class_id: Option<u32> = "classID",
        priorities: List<'a, InterfacePriority<'a>> = "priorities",
    }
}

object! {
    /// The priority of what leaves through an interface.
    pub struct InterfacePriority<'a> {
        name: Option<&'a str> = "name",
        priority: Option<u32> = "priority",
    }
}

object! {
    /// "RDMA": how many of a device's handles and objects.
    pub struct Rdma {
        hca_handles: Option<u32> = "hcaHandles",
        hca_objects: Option<u32> = "hcaObjects",
    }
}
