//! Limits in hard cases: taken back when one of them is refused, too low to start with, handed to the container, by a
//! hundred containers at once, on a machine that is full or does not let us.

use std::fs;

use jzon::{JsonValue, array, object};

use crate::case;
use crate::support::{Case, Container, Kind, Need, Sandbox, behind, controller, read, unified};

pub fn cases() -> Vec<Case> {
    let memory = &[Need::Controller("memory")];
    vec![
        case!(update_is_all_or_nothing)
            .needs(&[Need::Controller("memory"), Need::Controller("cpuset")])
            .isopod_only(HALF),
        case!(update_of_a_device_is_taken_back).needs(&[Need::Controller("pids")]).isopod_only(HALF),
        case!(limits_that_need_each_other).needs(memory),
        case!(memory_too_low_to_start).needs(memory).isopod_only("the words of the error"),
        case!(huge_pages_on_either_version)
            .needs(&[Need::Controller("hugetlb")])
            .differs(Kind::Runc, "1.1 knows it on version 1 only"),
        case!(removed_under_our_feet).needs(memory),
        case!(full_hierarchy_is_named).needs(&[Need::V2("memory")]).isopod_only("the words of the error"),
        case!(no_process_left_is_named).needs(&[Need::V2("pids")]).isopod_only("the words of the error"),
        case!(threaded_parent_is_named).needs(&[Need::V2("pids")]).isopod_only("the words of the error"),
        case!(read_only_cgroups_are_named).needs(memory).isopod_only("the words of the error"),
        case!(a_hundred_at_once).needs(memory),
        case!(delegated_cgroup_below).needs(&[Need::V2("memory")]).differs(Kind::Runc, "does not know the annotation"),
        case!(delegation_that_leads_out_is_refused).needs(&[Need::V2("memory")]).isopod_only("the words of the error"),
        case!(root_of_a_user_namespace_owns_its_cgroup).needs(&[Need::V2("memory"), Need::UserNamespaces]),
        case!(exec_in_a_frozen_cgroup_is_refused).needs(&[Need::V2("memory")]),
        case!(statistics_of_version_2).needs(&[Need::V2("memory")]).differs(Kind::Crun, "no such command"),
    ]
}

const HALF: &str = "what was set before the failure stays";

fn update(t: &Sandbox, c: &Container<'_>, document: JsonValue) -> crate::support::Ran {
    let file = t.file("limits.json", &document.dump());
    t.rt(&["update", "--resources", file.to_str().expect("path"), &c.id])
}

/// A file of the container by its name in version 1 or, if the controller is there, in version 2.
fn file(c: &Container<'_>, v1: &str, v2: &str) -> String {
    let one = v1.split('.').next().expect("name");
    match controller(one) {
        Some(_) => c.cgroup_file(one, v1),
        None => c.cgroup_file(v2.split('.').next().expect("name"), v2),
    }
}

fn update_is_all_or_nothing(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["memory"] = object! { limit: 64 << 20, swap: 96 << 20 };
    c.config["linux"]["resources"]["cpu"] = object! { shares: 321, quota: 40000, period: 80000, cpus: "0" };
    c.started();
    let all = || {
        [
            ("memory.limit_in_bytes", "memory.max"),
            ("memory.memsw.limit_in_bytes", "memory.swap.max"),
            ("cpu.shares", "cpu.weight"),
            ("cpu.cfs_quota_us", "cpu.max"),
            ("cpu.cfs_period_us", "cpu.max"),
            ("cpuset.cpus", "cpuset.cpus"),
        ]
        .map(|(v1, v2)| file(&c, v1, v2))
    };
    let before = all();
    let document = object! {
        memory: { limit: 128 << 20, swap: 256 << 20 },
        cpu: { shares: 512, quota: 5000, period: 10000, cpus: "4000" },
    };
    update(t, &c, document).fails(&["linux.resources.cpu.cpus"]);
    assert_eq!(all(), before);
    update(t, &c, object! { memory: { limit: 128 << 20, swap: 256 << 20 }, cpu: { shares: 512 } }).ok();
    assert_ne!(all(), before);
}

/// A list has a line for each device: what was not on it is not on it again.
fn update_of_a_device_is_taken_back(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    let Some((major, minor)) = disk() else { return };
    let before = file(&c, "blkio.throttle.read_bps_device", "io.max");
    let document = |rate: u64, minor: u32| {
        object! { pids: { limit: 7 }, blockIO: { throttleReadBpsDevice: [
            { major: major, minor: minor, rate: rate }, { major: 4000, minor: 1, rate: 1 },
        ] } }
    };
    update(t, &c, document(1 << 20, minor)).is_refused();
    assert_eq!(file(&c, "blkio.throttle.read_bps_device", "io.max"), before);
    assert_eq!(file(&c, "pids.max", "pids.max"), "max");
}

fn disk() -> Option<(u32, u32)> {
    let disks = fs::read_dir("/sys/block").ok()?.flatten();
    let disk = disks.map(|entry| entry.path()).find(|path| path.join("device").exists())?;
    let number = read(disk.join("dev"));
    let (major, minor) = number.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// On version 1 the limit of memory may not be above that of both, whichever is raised or lowered.
fn limits_that_need_each_other(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["memory"] = object! { limit: 64 << 20, swap: 64 << 20 };
    c.started();
    for (limit, swap) in [(128, 160), (32, 48), (200, 200)] {
        update(t, &c, object! { memory: { limit: limit << 20, swap: swap << 20 } }).ok();
        assert_eq!(file(&c, "memory.limit_in_bytes", "memory.max"), (limit << 20).to_string());
        let both = if controller("memory").is_some() { swap } else { swap - limit };
        let told = file(&c, "memory.memsw.limit_in_bytes", "memory.swap.max");
        // Without swap accounting there is no such file.
        assert!(["", &(both << 20).to_string()].contains(&told.as_str()), "{told}");
    }
}

fn memory_too_low_to_start(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["memory"] = object! { limit: 4096, swap: 4096 };
    c.sh("true").create().fails(&["OOM: the memory limit could be too low: it is 4096, and "]);
    assert_eq!(t.cgroups(), Vec::<std::path::PathBuf>::new());
    assert_eq!(t.states(), Vec::<String>::new());
}

fn huge_pages_on_either_version(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["hugepageLimits"] = array![object! { pageSize: "2MB", limit: 4 << 20 }];
    c.started();
    assert_eq!(file(&c, "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max"), (4 << 20).to_string());
    assert_eq!(file(&c, "hugetlb.2MB.rsvd.limit_in_bytes", "hugetlb.2MB.rsvd.max"), (4 << 20).to_string());
    update(t, &c, object! { hugepageLimits: [{ pageSize: "2MB", limit: 6 << 20 }] }).ok();
    assert_eq!(file(&c, "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max"), (6 << 20).to_string());
}

/// As systemd does it, and whoever tidies up by hand.
fn removed_under_our_feet(t: &Sandbox) {
    let mut c = t.container();
    let pid = c.started();
    for dir in t.cgroups() {
        let procs = dir.parent().expect("parent").join("cgroup.procs");
        fs::write(procs, pid.to_string()).expect("move");
        fs::remove_dir(&dir).expect("rmdir");
    }
    assert_eq!(c.status(), "running");
    c.force_delete().ok();
    assert_eq!(t.processes(), Vec::<i32>::new());
}

/// A container below a cgroup of the host's, with a file of it written.
fn refused_below(t: &Sandbox, file: &str, value: &str, fragments: &[&str]) {
    let mut c = t.container();
    let parent = c.unified_cgroup();
    fs::create_dir(&parent).expect("mkdir");
    fs::write(parent.join(file), value).unwrap_or_else(|error| panic!("{file}: {error}"));
    c.config["linux"]["cgroupsPath"] = format!("/{}/below", c.id).into();
    let ran = c.sh("true").run();
    let left = parent.join("below").exists();
    fs::remove_dir(&parent).expect("rmdir");
    ran.fails(fragments);
    assert!(!left);
}

fn full_hierarchy_is_named(t: &Sandbox) {
    refused_below(t, "cgroup.max.descendants", "0", &["create cgroup", "/below", "cgroup.max.descendants"]);
}

fn no_process_left_is_named(t: &Sandbox) {
    // The controllers are turned on in the root by the first container.
    t.container().out("true");
    refused_below(t, "pids.max", "0", &["the limit of processes is reached"]);
}

fn threaded_parent_is_named(t: &Sandbox) {
    refused_below(t, "cgroup.type", "threaded", &["threaded"]);
}

/// As in a container of somebody else's.
fn read_only_cgroups_are_named(t: &Sandbox) {
    let c = t.container();
    c.write_config();
    let script = "for m in $(grep ' - cgroup2\\? ' /proc/self/mountinfo | cut -d' ' -f5); do \
                  mount -o remount,bind,ro $m || exit 9; done; exec \"$@\"";
    let runtime = c.command("run", &[]);
    let before = ["unshare", "--mount", "--propagation=private", "sh", "-c", script, "sh"];
    t.spawn(&mut behind(&before, &runtime)).wait().fails(&[
        "create cgroup",
        "Read-only file system",
        "mounted read-only",
    ]);
    assert_eq!(t.states(), Vec::<String>::new());
}

fn a_hundred_at_once(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"].remove("cgroupsPath");
    c.config["linux"]["resources"]["memory"] = object! { limit: 32 << 20 };
    c.sh("sleep 1000").write_config();
    let ids: Vec<String> = (0..100).map(|_| t.new_id()).collect();
    let bundle = c.bundle.to_str().expect("path");
    for verb in [&["create", "--bundle", bundle][..], &["start"], &["delete", "--force"]] {
        let commands: Vec<_> = ids.iter().map(|id| t.start(&[verb, &[id]].concat())).collect();
        for command in commands {
            command.wait().ok();
        }
    }
    t.wait_for_processes();
    assert_eq!(t.cgroups(), Vec::<std::path::PathBuf>::new());
    assert_eq!(t.states(), Vec::<String>::new());
}

fn delegated_cgroup_below(t: &Sandbox) {
    let mut c = t.container();
    c.config["annotations"] = object! { "run.oci.delegate-cgroup": "work/shop" };
    c.config["linux"]["resources"]["memory"] = object! { limit: 64 << 20 };
    let pid = c.started();
    let cgroup = c.unified_cgroup();
    assert_eq!(read(cgroup.join("memory.max")).trim(), (64 << 20).to_string());
    assert_eq!(read(cgroup.join("work/shop/cgroup.procs")).trim(), pid.to_string());
    assert_eq!(read(cgroup.join("work/shop/memory.max")).trim(), "max");
    assert_eq!(c.exec_out(&[], "cat /proc/self/cgroup"), "0::/");
    c.force_delete().ok();
    assert_eq!(t.cgroups(), Vec::<std::path::PathBuf>::new());
}

fn delegation_that_leads_out_is_refused(t: &Sandbox) {
    for path in ["../x", "a/../../x", "/x"] {
        let mut c = t.container();
        c.config["annotations"] = object! { "run.oci.delegate-cgroup": path };
        c.sh("true").run().fails(&["run.oci.delegate-cgroup"]);
    }
}

/// Root in there makes cgroups of its own, as systemd does; the limits of the whole are not its to change.
fn root_of_a_user_namespace_owns_its_cgroup(t: &Sandbox) {
    let mut c = t.container();
    c.with_user_namespace();
    c.config["linux"]["resources"]["memory"] = object! { limit: 64 << 20 };
    for mount in c.config["mounts"].members_mut().filter(|mount| mount["type"] == "cgroup") {
        mount["options"] = array!["nosuid", "noexec", "nodev"];
    }
    let script = "cd /sys/fs/cgroup; mkdir a && echo $$ > a/cgroup.procs && cat /proc/self/cgroup; \
                  (echo max > memory.max) 2>/dev/null || echo refused; stat -c %u . cgroup.procs memory.max";
    assert_eq!(c.out(script), "0::/a\nrefused\n0\n0\n65534");
}

fn exec_in_a_frozen_cgroup_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    fs::write(c.unified_cgroup().join("cgroup.freeze"), "1").expect("freeze");
    crate::support::eventually("it is frozen", || c.status() == "paused");
    c.exec(&[], &["true"]).is_refused();
    fs::write(c.unified_cgroup().join("cgroup.freeze"), "0").expect("thaw");
    assert!(unified("memory").is_some());
}

fn statistics_of_version_2(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["memory"] = object! { limit: 64 << 20, swap: 96 << 20 };
    c.config["linux"]["resources"]["pids"] = object! { limit: 17 };
    c.started();
    let told = jzon::parse(&t.rt(&["events", "--stats", &c.id]).ok()).expect("JSON");
    let data = &told["data"];
    assert_eq!(data["memory"]["usage"]["limit"], 64 << 20);
    assert!(data["memory"]["usage"]["usage"].as_u64().expect("a number") > 0);
    assert_eq!((&data["pids"]["limit"], &data["pids"]["current"]), (&17.into(), &1.into()));
    assert!(data["cpu"]["usage"]["total"].as_u64().expect("a number") > 0);
    assert!(data["hugetlb"]["2MB"]["usage"] == 0 || unified("hugetlb").is_none());
}
