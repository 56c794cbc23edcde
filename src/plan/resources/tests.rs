//! What each field becomes in both versions.

use super::*;
use crate::host::Hierarchy;
use crate::json;
use crate::sys::memory;

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
        Ok(limits) => limits.writes.iter().map(|w| format!("{}={}", w.file, w.value)).collect::<Vec<_>>().join("; "),
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
    (
        r#"{"memory":{"limit":-1}}"#,
        "memory.limit_in_bytes=-1; memory.memsw.limit_in_bytes=-1",
        "memory.max=max; memory.swap.max=max",
    ),
    (
        r#"{"memory":{"limit":-9223372036854775808}}"#,
        "memory.limit_in_bytes=-1; memory.memsw.limit_in_bytes=-1",
        "memory.max=max; memory.swap.max=max",
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
    (r#"{"memory":{"swappiness":18446744073709551615}}"#, "", "="),
    (r#"{"memory":{"swappiness":101}}"#, "! memory.swappiness: 101 is not between 0 and 100", "="),
    (r#"{"memory":{"disableOOMKiller":true}}"#, "memory.oom_control=1", "-"),
    (r#"{"memory":{"disableOOMKiller":false}}"#, "", "="),
    (r#"{"memory":{"useHierarchy":true}}"#, "memory.use_hierarchy=1", "-"),
    (r#"{"memory":{"useHierarchy":false}}"#, "memory.use_hierarchy=0", "-"),
    (r#"{"memory":{"checkBeforeUpdate":true}}"#, "", "="),
    (r#"{"cpu":{"shares":1024}}"#, "cpu.shares=1024", "cpu.weight=100"),
    (r#"{"cpu":{"shares":0}}"#, "", "="),
    (r#"{"cpu":{"shares":1}}"#, "cpu.shares=1", "cpu.weight=1"),
    (r#"{"cpu":{"shares":18446744073709551615}}"#, "cpu.shares=9223372036854775807", "cpu.weight=10000"),
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
    (r#"{"cpu":{"idle":2}}"#, "! cpu.idle: 2 is not between 0 and 1", "="),
    (r#"{"cpu":{"idle":-1}}"#, "! cpu.idle: -1 is not between 0 and 1", "="),
    (r#"{"cpu":{"realtimeRuntime":0,"realtimePeriod":0}}"#, "", "="),
    (r#"{"cpu":{"realtimeRuntime":5,"realtimePeriod":9}}"#, "cpu.rt_period_us=9; cpu.rt_runtime_us=5", "-"),
    (r#"{"cpu":{"realtimeRuntime":-1}}"#, "cpu.rt_runtime_us=-1", "-"),
    (r#"{"cpu":{"cpus":"0-3,7","mems":"0"}}"#, "cpuset.cpus=0-3,7; cpuset.mems=0", "="),
    (r#"{"cpu":{"cpus":"","mems":""}}"#, "", "="),
    (r#"{"cpu":{"cpus":"3-1"}}"#, "! cpu.cpus: \"3-1\" is not a list like 0-3,7", "="),
    (r#"{"cpu":{"mems":"0,"}}"#, "! cpu.mems: \"0,\" is not a list like 0-3,7", "="),
    (r#"{"cpu":{"cpus":"+1"}}"#, "! cpu.cpus: \"+1\" is not a list like 0-3,7", "="),
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
    (r#"{"blockIO":{"weightDevice":[{"major":8,"minor":0,"leafWeight":50}]}}"#, "blkio.leaf_weight_device=8:0 50", "-"),
    (
        r#"{"blockIO":{"weightDevice":[{"major":8,"minor":0}]}}"#,
        "! blockIO.weightDevice[0].weight: neither weight nor leafWeight is set",
        "=",
    ),
    (r#"{"blockIO":{"weightDevice":[{"major":8,"weight":50}]}}"#, "! blockIO.weightDevice[0].minor: is required", "="),
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
    (r#"{"unified":{"pids.max":"5\n\n6\n"}}"#, "-", "pids.max=5; pids.max=6"),
    (r#"{"unified":{"cgroup.max.depth":"3"}}"#, "cgroup.max.depth=3", "="),
    (r#"{"memory":{"limit":5},"unified":{"memory.max":"7"}}"#, "-", "memory.max=5; memory.max=7"),
    (r#"{"unified":{"cgroup.procs":"1"}}"#, "! unified[\"cgroup.procs\"]: is not for a config to set", "="),
    (r#"{"unified":{"../memory.max":"1"}}"#, "! unified[\"../memory.max\"]: is no name of a cgroup file", "="),
    (r#"{"unified":{".":"1"}}"#, "! unified[\".\"]: is no name of a cgroup file", "="),
    (r#"{"unified":{"..":"1"}}"#, "! unified[\"..\"]: is no name of a cgroup file", "="),
    (r#"{"unified":{"memory.":"1"}}"#, "! unified[\"memory.\"]: is no name of a cgroup file", "="),
    (r#"{"unified":{"memory":"1"}}"#, "! unified[\"memory\"]: is no name of a cgroup file", "="),
    (
        r#"{"unified":{"frob.max":"1"}}"#,
        "! unified[\"frob.max\"]: this host has no frob controller in /sys/fs/cgroup",
        "=",
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
    use Otherwise::{Fail, Instead, Skip};
    assert_eq!(otherwise(r#"{"memory":{"limit":5,"swap":7}}"#, &V1), [Fail, Skip]);
    assert_eq!(otherwise(r#"{"hugepageLimits":[{"pageSize":"2MB","limit":5}]}"#, &V2), [Fail, Skip]);
    for (given, converted) in [(10, "1"), (100, "910"), (1000, "10000")] {
        let text = format!(r#"{{"blockIO":{{"weight":{given}}}}}"#);
        assert_eq!(otherwise(&text, &V2), [Instead { file: "io.weight", value: converted }]);
    }
}

/// What only version 2 has beside version 1 is used there.
#[test]
fn a_controller_on_either_side() {
    let sides = [hierarchy("memory", false), hierarchy("hugetlb rdma", true)];
    let hybrid = Cgroups::V1(&sides);
    assert_eq!(
        told(
            r#"{"memory":{"limit":9},"hugepageLimits":[{"pageSize":"2MB","limit":5}],"unified":{"rdma.max":"x"}}"#,
            &hybrid
        ),
        "memory.limit_in_bytes=9; hugetlb.2MB.max=5; hugetlb.2MB.rsvd.max=5; rdma.max=x"
    );
    assert_eq!(told(r#"{"unified":{"memory.high":"7"}}"#, &hybrid), "-");
    assert_eq!(
        told(r#"{"pids":{"limit":7}}"#, &hybrid),
        "! pids.limit: this host has no pids controller in /sys/fs/cgroup"
    );
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
