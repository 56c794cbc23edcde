//! Control groups: where the container is, which limits it has, and that nothing is left of them.

use std::fs;

use jzon::{array, object};

use crate::case;
use crate::support::{Case, Container, Kind, Need, Sandbox, controller, read, unified};

pub fn cases() -> Vec<Case> {
    vec![
        case!(every_v1_hierarchy_is_joined).needs(&[Need::V1("memory")]),
        case!(path_is_the_id_by_default)
            .needs(&[Need::Controller("memory")])
            .differs(Kind::Runc, "below its own cgroup"),
        case!(absolute_path).needs(&[Need::Controller("memory")]),
        case!(relative_path).needs(&[Need::Controller("memory")]).differs(Kind::Runc, "relative to its own cgroup"),
        case!(path_leading_out_is_confined)
            .needs(&[Need::Controller("memory")])
            .differs(Kind::Crun, "1.8 makes the directory on the host"),
        case!(memory_limit).needs(&[Need::V1("memory")]),
        case!(memory_and_swap_limit).needs(&[Need::V1("memory")]),
        case!(memory_swappiness_and_oom_control).needs(&[Need::V1("memory")]),
        case!(swap_below_memory_is_refused).needs(&[Need::Controller("memory")]).differs(Kind::Crun, LEAVES_CGROUPS),
        case!(memory_limit_of_one_mebibyte_is_enough)
            .needs(&[Need::Controller("memory")])
            .differs(Kind::Runc, "needs more for its own init"),
        case!(memory_limit_kills_who_exceeds_it).needs(&[Need::Controller("memory")]),
        case!(cpu_shares_quota_and_period).needs(&[Need::V1("cpu")]),
        case!(cpuset_cpus_and_mems).needs(&[Need::Controller("cpuset")]),
        case!(cpuset_below_a_new_cgroup).needs(&[Need::Controller("cpuset")]),
        case!(cgroup_in_use_below_is_refused)
            .needs(&[Need::V1("pids")])
            .isopod_only("they take it, and end who is in it"),
        case!(cpuset_that_does_not_exist_is_refused)
            .needs(&[Need::Controller("cpuset")])
            .differs(Kind::Crun, LEAVES_CGROUPS),
        case!(pids_limit).needs(&[Need::Controller("pids")]),
        case!(pids_without_limit)
            .needs(&[Need::Controller("pids")])
            .differs(Kind::Crun, "1.8 writes -1, which is no valid value"),
        case!(devices_are_denied_but_for_the_defaults)
            .needs(&[Need::V1("devices")])
            .differs(Kind::Crun, "1.8: without 10:200, the tun device"),
        case!(devices_of_the_config_are_allowed).needs(&[Need::V1("devices")]),
        case!(cgroups_are_gone_after_run),
        case!(cgroups_are_gone_after_delete),
        case!(cgroups_below_are_removed_too).needs(&[Need::Controller("memory")]),
        case!(cgroup_of_the_caller_is_unchanged),
        case!(disabled_manager_makes_no_cgroup).differs(Kind::Runc, "1.1 does not know the option"),
        case!(unified_cgroup_is_joined).needs(&[Need::V2("memory")]),
        case!(unified_limits).needs(&[Need::V2("memory"), Need::V2("cpu"), Need::V2("pids")]),
        case!(unified_limits_without_limit).needs(&[Need::V2("memory"), Need::V2("cpu")]),
        case!(unified_limits_of_io).needs(&[Need::V2("io")]),
        case!(unified_limits_of_huge_pages).needs(&[Need::V2("memory"), Need::V2("hugetlb")]),
        case!(unified_keys).needs(&[Need::V2("memory")]),
        case!(unified_key_that_the_kernel_lacks_is_refused).needs(&[Need::V2("memory")]),
        case!(unified_controllers_are_turned_on_along_the_path).needs(&[Need::V2("memory"), Need::V2("pids")]),
        case!(unified_parent_with_processes_is_refused)
            .needs(&[Need::V2("memory")])
            .isopod_only("the words of the error"),
        case!(unified_frozen_parent_is_refused).needs(&[Need::V2("memory")]).isopod_only("the words of the error"),
        case!(unified_cgroup_is_what_the_container_sees).needs(&[Need::V2("memory")]),
        case!(unified_is_refused_on_v1).needs(&[Need::V1("memory")]).differs(Kind::Crun, LEAVES_CGROUPS),
    ]
}

/// What crun 1.8 does when a limit cannot be set.
const LEAVES_CGROUPS: &str = "1.8 leaves the cgroups of a failed create behind";

/// What the container's own /proc/self/cgroup says, by controller.
fn memberships(out: &str) -> Vec<(&str, &str)> {
    out.lines().filter_map(|line| line.split_once(':')?.1.split_once(':')).collect()
}

fn every_v1_hierarchy_is_joined(t: &Sandbox) {
    let mut c = t.container();
    let out = c.out("cat /proc/self/cgroup");
    let wanted = format!("/{}", c.id);
    for name in ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids"] {
        let path = memberships(&out).into_iter().find(|(names, _)| names.split(',').any(|have| have == name));
        assert_eq!(path.map(|(_, path)| path), Some(wanted.as_str()), "{name}: {out}");
    }
}

/// The path of the container's cgroup, as it sees it itself without a cgroup namespace.
fn own_path(c: &mut Container<'_>) -> String {
    let out = c.without_namespace("cgroup").out("cat /proc/self/cgroup");
    let path = |controller| memberships(&out).into_iter().find(|(names, _)| *names == controller);
    path("memory").or_else(|| path("")).unwrap_or_else(|| panic!("{out}")).1.to_owned()
}

fn path_is_the_id_by_default(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"].remove("cgroupsPath");
    assert_eq!(own_path(&mut c), format!("/{}", c.id));
}

fn absolute_path(t: &Sandbox) {
    let mut c = t.container();
    let path = format!("/{}/deep/er", c.id);
    c.config["linux"]["cgroupsPath"] = path.as_str().into();
    let _parents = Parents(t);
    assert_eq!(own_path(&mut c), path);
}

/// Relative to the root of each hierarchy: the spec leaves it to the runtime, and a place that depends on who calls
/// would be another one for every command.
fn relative_path(t: &Sandbox) {
    let mut c = t.container();
    let path = format!("{}/rel", c.id);
    c.config["linux"]["cgroupsPath"] = path.as_str().into();
    let _parents = Parents(t);
    assert_eq!(own_path(&mut c), format!("/{path}"));
}

fn path_leading_out_is_confined(t: &Sandbox) {
    let mut c = t.container();
    let outside = t.path("escaped");
    c.config["linux"]["cgroupsPath"] = format!("/../../../../..{}", outside.display()).into();
    let _parents = Parents(t);
    c.sh("true").run();
    assert!(!outside.exists());
}

/// A runtime removes the container's cgroup; directories above it may belong to others, so they are the test's.
struct Parents<'a>(&'a Sandbox);

impl Drop for Parents<'_> {
    fn drop(&mut self) {
        for dir in self.0.cgroups().iter().rev() {
            let _ = fs::remove_dir(dir);
        }
    }
}

fn memory_limit(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["memory"] = object! { limit: 64 << 20, reservation: 32 << 20 };
    c.started();
    assert_eq!(c.cgroup_file("memory", "memory.limit_in_bytes"), (64 << 20).to_string());
    assert_eq!(c.cgroup_file("memory", "memory.soft_limit_in_bytes"), (32 << 20).to_string());
}

fn memory_and_swap_limit(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["memory"] = object! { limit: 64 << 20, swap: 96 << 20 };
    c.started();
    assert_eq!(c.cgroup_file("memory", "memory.limit_in_bytes"), (64 << 20).to_string());
    assert_eq!(c.cgroup_file("memory", "memory.memsw.limit_in_bytes"), (96 << 20).to_string());
}

fn memory_swappiness_and_oom_control(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["memory"] = object! { limit: 64 << 20, swappiness: 13, disableOOMKiller: true };
    c.started();
    assert_eq!(c.cgroup_file("memory", "memory.swappiness"), "13");
    assert!(c.cgroup_file("memory", "memory.oom_control").starts_with("oom_kill_disable 1"));
}

fn swap_below_memory_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["memory"] = object! { limit: 64 << 20, swap: 32 << 20 };
    c.sh("true").run().is_refused();
}

/// What a runtime needs for itself is not charged to the container, or is little.
fn memory_limit_of_one_mebibyte_is_enough(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["memory"] = object! { limit: 1 << 20, swap: 1 << 20 };
    assert_eq!(c.args(&["/bin/echo", "fits"]).run().ok(), "fits");
}

fn memory_limit_kills_who_exceeds_it(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["memory"] = object! { limit: 16 << 20, swap: 16 << 20 };
    c.sh("head -c 60000000 /dev/zero | tail >/dev/null; echo ended $?").run();
    c.args(&["/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=60M", "count=1"]).run().exits(128 + 9);
}

fn cpu_shares_quota_and_period(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["cpu"] = object! { shares: 321, quota: 40000, period: 80000 };
    c.started();
    assert_eq!(c.cgroup_file("cpu", "cpu.shares"), "321");
    assert_eq!(c.cgroup_file("cpu", "cpu.cfs_quota_us"), "40000");
    assert_eq!(c.cgroup_file("cpu", "cpu.cfs_period_us"), "80000");
}

fn cpuset_cpus_and_mems(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["cpu"] = object! { cpus: "0", mems: "0" };
    assert_eq!(c.out("sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status"), "0");
    c.started();
    assert_eq!(c.cgroup_file("cpuset", "cpuset.cpus"), "0");
    assert_eq!(c.cgroup_file("cpuset", "cpuset.mems"), "0");
}

/// On version 1 that one has none at first.
fn cpuset_below_a_new_cgroup(t: &Sandbox) {
    let _parents = Parents(t);
    for cpuset in [object! { cpus: "0" }, object! { mems: "0" }, object! { cpus: "0", mems: "0" }] {
        let mut c = t.container();
        c.config["linux"]["cgroupsPath"] = format!("/{}/deep/er", c.id).into();
        c.config["linux"]["resources"]["cpu"] = cpuset;
        c.out("true");
    }
}

/// Whoever is below would be killed when the container ends.
fn cgroup_in_use_below_is_refused(t: &Sandbox) {
    let mut c = t.container();
    let _parents = Parents(t);
    let below = controller("pids").expect("pids").join(&c.id).join("below");
    fs::create_dir_all(&below).expect("mkdir");
    let mut process = std::process::Command::new("sleep").arg("600").spawn().expect("sleep");
    fs::write(below.join("cgroup.procs"), process.id().to_string()).expect("move");
    c.config["linux"]["cgroupsPath"] = format!("/{}", c.id).into();
    let ran = c.sh("true").run();
    let lives = process.try_wait().expect("wait").is_none();
    process.kill().and_then(|()| process.wait()).expect("ended");
    ran.fails(&["it exists and has processes"]);
    assert!(lives);
}

fn cpuset_that_does_not_exist_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["cpu"] = object! { cpus: "4000" };
    c.sh("true").run().is_refused();
}

fn pids_limit(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["pids"] = object! { limit: 1 };
    // The one process that is allowed can be the payload, and it cannot fork.
    assert_eq!(c.args(&["/bin/echo", "alone"]).run().ok(), "alone");
    let ran = c.sh("/bin/true; echo not reached").run();
    assert!(ran.stderr().contains("an't fork"), "{ran}");
    c.started();
    assert_eq!(c.cgroup_file("pids", "pids.max"), "1");
}

fn pids_without_limit(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["pids"] = object! { limit: -1 };
    c.started();
    assert_eq!(c.cgroup_file("pids", "pids.max"), "max");
}

fn device_list(t: &Sandbox, rules: jzon::JsonValue) -> Vec<String> {
    let mut c = t.container();
    c.config["linux"]["resources"]["devices"] = rules;
    c.started();
    let mut lines: Vec<String> = c.cgroup_file("devices", "devices.list").lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The devices that every container may use, whatever its config says.
const DEFAULTS: &[&str] = &[
    "b *:* m",
    "c *:* m",
    "c 10:200 rwm",
    "c 136:* rwm",
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:2 rwm",
];

fn devices_are_denied_but_for_the_defaults(t: &Sandbox) {
    let mut list = device_list(t, array![object! { allow: false, access: "rwm" }]);
    // The console is with crun's defaults, not with runc's.
    list.retain(|line| line != "c 5:1 rwm");
    assert_eq!(list, DEFAULTS);
}

fn devices_of_the_config_are_allowed(t: &Sandbox) {
    let list = device_list(
        t,
        array![
            object! { allow: false, access: "rwm" },
            object! { allow: true, "type": "c", major: 10, minor: 229, access: "rw" },
            object! { allow: true, "type": "b", major: 7, access: "r" },
        ],
    );
    for line in ["c 10:229 rw", "b 7:* r"] {
        assert!(list.iter().any(|have| have == line), "{line}: {list:?}");
    }
}

fn cgroups_are_gone_after_run(t: &Sandbox) {
    t.container().out("true");
    assert_eq!(t.cgroups(), Vec::<std::path::PathBuf>::new());
}

fn cgroups_are_gone_after_delete(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    assert!(!t.cgroups().is_empty());
    c.kill("KILL").ok();
    c.wait_until_stopped();
    c.delete().ok();
    assert_eq!(t.cgroups(), Vec::<std::path::PathBuf>::new());
}

/// As a container with systemd or docker inside leaves them.
fn cgroups_below_are_removed_too(t: &Sandbox) {
    let mut c = t.container();
    let pid = c.started();
    for name in ["memory", "pids"] {
        let below = c.cgroup(name).join("sub/sub");
        fs::create_dir_all(&below).expect("mkdir");
        fs::write(below.join("cgroup.procs"), pid.to_string()).expect("move");
    }
    c.force_delete().ok();
    assert_eq!(t.cgroups(), Vec::<std::path::PathBuf>::new());
}

fn cgroup_of_the_caller_is_unchanged(t: &Sandbox) {
    let before = read("/proc/self/cgroup");
    t.container().started();
    assert_eq!(read("/proc/self/cgroup"), before);
}

fn disabled_manager_makes_no_cgroup(t: &Sandbox) {
    let c = &mut t.container();
    c.without_mount("/sys/fs/cgroup").sh("cat /proc/self/cgroup").write_config();
    let bundle = c.bundle.to_str().expect("bundle");
    let ran = t.rt(&["--cgroup-manager=disabled", "run", "--bundle", bundle, &c.id]);
    assert!(!ran.ok().contains(&c.id), "{ran}");
}

fn unified_cgroup_is_joined(t: &Sandbox) {
    let mut c = t.container();
    let pid = c.without_namespace("cgroup").started();
    assert_eq!(read(format!("/proc/{pid}/cgroup")).trim(), format!("0::/{}", c.id));
    assert_eq!(c.unified_cgroup().parent(), unified("memory").as_deref());
}

fn unified_limits(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["memory"] = object! { limit: 64 << 20, swap: 96 << 20, reservation: 32 << 20 };
    c.config["linux"]["resources"]["cpu"] = object! { shares: 1024, quota: 40000, period: 80000 };
    c.config["linux"]["resources"]["pids"] = object! { limit: 77 };
    c.started();
    let file = |name: &str| read(c.unified_cgroup().join(name)).trim().to_owned();
    assert_eq!(file("memory.max"), (64 << 20).to_string());
    assert_eq!(file("memory.low"), (32 << 20).to_string());
    assert_eq!(file("cpu.weight"), "100");
    assert_eq!(file("cpu.max"), "40000 80000");
    assert_eq!(file("pids.max"), "77");
    // Without swap accounting there is no such file.
    assert!(["", &(32 << 20).to_string()].contains(&file("memory.swap.max").as_str()));
}

fn unified_limits_without_limit(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["memory"] = object! { limit: -1, swap: -1 };
    c.config["linux"]["resources"]["cpu"] = object! { quota: -1, period: 50000 };
    c.started();
    let file = |name: &str| c.cgroup_file("memory", name);
    assert_eq!(file("memory.max"), "max");
    assert!(["", "max"].contains(&file("memory.swap.max").as_str()));
    assert_eq!(file("cpu.max"), "max 50000");
}

fn unified_limits_of_io(t: &Sandbox) {
    let disks = fs::read_dir("/sys/block").expect("/sys/block").flatten();
    let Some(disk) = disks.map(|entry| entry.path()).find(|path| path.join("device").exists()) else { return };
    let number = read(disk.join("dev")).trim().to_owned();
    let (major, minor) = number.split_once(':').expect("device number");
    let (major, minor) = (major.parse::<u32>().expect("major"), minor.parse::<u32>().expect("minor"));
    let mut c = t.container();
    c.config["linux"]["resources"]["blockIO"] = object! {
        throttleReadBpsDevice: [{ major: major, minor: minor, rate: 1048576 }],
        throttleWriteIOPSDevice: [{ major: major, minor: minor, rate: 120 }],
    };
    c.started();
    assert_eq!(c.cgroup_file("io", "io.max"), format!("{number} rbps=1048576 wbps=max riops=max wiops=120"));
}

fn unified_limits_of_huge_pages(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["hugepageLimits"] = array![object! { pageSize: "2MB", limit: 4 << 20 }];
    c.started();
    assert_eq!(c.cgroup_file("hugetlb", "hugetlb.2MB.max"), (4 << 20).to_string());
    assert_eq!(c.cgroup_file("hugetlb", "hugetlb.2MB.rsvd.max"), (4 << 20).to_string());
}

fn unified_key_that_the_kernel_lacks_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["unified"]["memory.nonsense"] = "1".into();
    c.sh("true").run().is_refused();
    assert_eq!(t.cgroups(), Vec::<std::path::PathBuf>::new());
}

fn unified_controllers_are_turned_on_along_the_path(t: &Sandbox) {
    let mut c = t.container();
    let path = format!("/{}/deep/er", c.id);
    c.config["linux"]["cgroupsPath"] = path.as_str().into();
    c.config["linux"]["resources"]["pids"] = object! { limit: 77 };
    c.config["linux"]["resources"]["memory"] = object! { limit: 64 << 20 };
    let _parents = Parents(t);
    c.started();
    let file = |name: &str| c.cgroup_file("memory", &format!("deep/er/{name}"));
    let (pids, memory) = (file("pids.max"), file("memory.max"));
    c.force_delete().ok();
    assert_eq!((pids, memory), ("77".into(), (64 << 20).to_string()));
}

/// A cgroup of the host's with a process in it: on version 2 no cgroup below it can have controllers.
fn unified_parent_with_processes_is_refused(t: &Sandbox) {
    let mut c = t.container();
    let parent = c.unified_cgroup();
    let _parents = Parents(t);
    fs::create_dir(&parent).expect("mkdir");
    let mut process = std::process::Command::new("sleep").arg("600").spawn().expect("sleep");
    fs::write(parent.join("cgroup.procs"), process.id().to_string()).expect("move");
    c.config["linux"]["cgroupsPath"] = format!("/{}/below", c.id).into();
    c.config["linux"]["resources"]["memory"] = object! { limit: 64 << 20 };
    let ran = c.sh("true").run();
    // Turning on what can be had would change the cgroup itself, for whoever is in it.
    let kind = read(parent.join("cgroup.type"));
    // Without limits the controllers are not needed.
    c.config["linux"]["resources"].remove("memory");
    let unlimited = c.sh("true").run();
    process.kill().and_then(|()| process.wait()).expect("kill");
    ran.fails(&["memory", "processes of its own"]);
    assert_eq!(kind.trim(), "domain");
    unlimited.ok();
}

/// The container would hang before its first instruction.
fn unified_frozen_parent_is_refused(t: &Sandbox) {
    let mut c = t.container();
    let parent = c.unified_cgroup();
    let _parents = Parents(t);
    fs::create_dir(&parent).expect("mkdir");
    fs::write(parent.join("cgroup.freeze"), "1").expect("freeze");
    c.config["linux"]["cgroupsPath"] = format!("/{}/below", c.id).into();
    c.sh("true").run().fails(&["frozen"]);
}

/// With a cgroup namespace and without one, `/sys/fs/cgroup` begins with the container's own cgroup, read-only.
fn unified_cgroup_is_what_the_container_sees(t: &Sandbox) {
    for namespace in [true, false] {
        let mut c = t.container();
        if !namespace {
            c.without_namespace("cgroup");
        }
        c.config["linux"]["resources"]["memory"] = object! { limit: 64 << 20 };
        let out =
            c.out("cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cgroup.procs; mkdir /sys/fs/cgroup/x 2>&1 || true");
        assert!(out.starts_with(&format!("{}\n1\n", 64 << 20)), "{out}");
        assert!(out.contains("Read-only file system"), "{out}");
    }
}

fn unified_keys(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["unified"]["memory.high"] = (48 << 20).to_string().into();
    c.started();
    assert_eq!(read(c.unified_cgroup().join("memory.high")).trim(), (48 << 20).to_string());
}

fn unified_is_refused_on_v1(t: &Sandbox) {
    assert!(controller("memory").is_some());
    let mut c = t.container();
    c.config["linux"]["resources"]["unified"]["memory.high"] = "1000000".into();
    c.sh("true").run().is_refused();
}
