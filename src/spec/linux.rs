//! "Linux Container Configuration".

use super::{IdMapping, Resources, Seccomp};
use crate::json::{List, Map, object};

object! {
    /// What only Linux has.
    pub struct Linux<'a> {
        devices: List<'a, Device<'a>> = "devices",
        /// By the interface's name on the host.
        net_devices: Map<'a, NetDevice<'a>> = "netDevices",
        uid_mappings: List<'a, IdMapping> = "uidMappings",
        gid_mappings: List<'a, IdMapping> = "gidMappings",
        namespaces: List<'a, Namespace<'a>> = "namespaces",
        resources: Option<&'a Resources<'a>> = "resources",
        /// A path in the cgroup hierarchy, or `slice:prefix:name` for systemd.
        cgroups_path: Option<&'a str> = "cgroupsPath",
        /// `shared`, `slave`, `private` or `unbindable`.
        rootfs_propagation: Option<&'a str> = "rootfsPropagation",
        seccomp: Option<&'a Seccomp<'a>> = "seccomp",
        /// By the parameter's name with dots.
        sysctl: Map<'a, &'a str> = "sysctl",
        masked_paths: List<'a, &'a str> = "maskedPaths",
        readonly_paths: List<'a, &'a str> = "readonlyPaths",
        /// The SELinux context of the mounts.
        mount_label: Option<&'a str> = "mountLabel",
        intel_rdt: Option<&'a IntelRdt<'a>> = "intelRdt",
        memory_policy: Option<&'a MemoryPolicy<'a>> = "memoryPolicy",
        personality: Option<Personality<'a>> = "personality",
        /// By the clock's name, `monotonic` or `boottime`.
        time_offsets: Map<'a, TimeOffset> = "timeOffsets",
    }
}

object! {
    /// "Namespaces".
    pub struct Namespace<'a> {
        kind: Option<&'a str> = "type",
        /// The one to join; absent: a new one is made.
        path: Option<&'a str> = "path",
    }
}

object! {
    /// "Devices": a device node or FIFO to make.
    pub struct Device<'a> {
        /// `c` or `u`, `b`, `p`.
        kind: Option<&'a str> = "type",
        path: Option<&'a str> = "path",
        major: Option<i64> = "major",
        minor: Option<i64> = "minor",
        file_mode: Option<u32> = "fileMode",
        /// As the container sees it.
        uid: Option<u32> = "uid",
        gid: Option<u32> = "gid",
    }
}

object! {
    /// "Network Devices": an interface to move into the container.
    pub struct NetDevice<'a> {
        /// Its name there; absent: as on the host.
        name: Option<&'a str> = "name",
    }
}

object! {
    /// "Offset for Time Namespace".
    pub struct TimeOffset {
        secs: Option<i64> = "secs",
        nanosecs: Option<u32> = "nanosecs",
    }
}

object! {
    /// "IntelRdt": cache and memory bandwidth.
    pub struct IntelRdt<'a> {
        /// The group's name in the resctrl file system.
        clos_id: Option<&'a str> = "closID",
        /// Lines for the `schemata` file, after the next two.
        schemata: List<'a, &'a str> = "schemata",
        l3_cache_schema: Option<&'a str> = "l3CacheSchema",
        mem_bw_schema: Option<&'a str> = "memBwSchema",
        enable_monitoring: Option<bool> = "enableMonitoring",
    }
}

object! {
    /// "Memory policy", as in set_mempolicy(2).
    pub struct MemoryPolicy<'a> {
        mode: Option<&'a str> = "mode",
        /// As in `0-3,7`.
        nodes: Option<&'a str> = "nodes",
        flags: List<'a, &'a str> = "flags",
    }
}

object! {
    /// "Personality".
    pub struct Personality<'a> {
        /// `LINUX` or `LINUX32`.
        domain: Option<&'a str> = "domain",
        flags: List<'a, &'a str> = "flags",
    }
}
