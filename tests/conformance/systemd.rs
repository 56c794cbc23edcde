//! systemd's cgroup driver: what is said to systemd, which here a stand-in hears; and, on a machine with systemd, what
//! that makes of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use jzon::object;
use nix::libc;
use nix::sys::signal::Signal;

use crate::case;
use crate::support::{
    Case, Container, Kind, Mood, Need, Ran, Running, Sandbox, Systemd, controller, deny, eventually, read, unified,
};

pub fn cases() -> Vec<Case> {
    let told = [
        case!(scope_is_asked_for_and_stopped),
        case!(names_of_the_unit_and_its_slice),
        case!(limits_are_properties),
        case!(annotations_are_properties),
        case!(annotation_that_is_no_property_is_refused),
        case!(update_sets_properties),
        case!(subgroup_of_the_annotation),
        case!(slice_is_started_without_a_process),
        case!(failed_unit_of_the_name_is_reset),
        case!(existing_unit_of_the_name_is_refused),
        case!(property_that_systemd_does_not_know_is_left_out),
        case!(property_of_the_user_that_systemd_does_not_know_is_refused),
        case!(job_that_fails_is_refused),
        case!(systemd_that_breaks_off_is_refused),
        case!(no_systemd_is_one_clear_line),
        case!(other_verbs_do_without_systemd),
        case!(killed_runtime_takes_its_keeper_along),
        case!(keeper_where_close_range_is_forbidden).needs(&[Need::PlaceForSystemd, Need::Probe]),
        case!(failure_after_the_scope_stops_it),
        case!(program_that_is_missing_stops_the_scope),
    ];
    let real = [
        case!(real_scope_has_its_properties),
        case!(real_limits_are_in_both_cgroups),
        case!(real_update),
        case!(real_scope_is_gone_after_run),
        case!(real_scope_is_gone_when_init_ends),
        case!(real_scope_of_a_killed_runtime_is_gone),
        case!(real_annotations),
        case!(real_slices),
        case!(real_failures_leave_no_unit),
        case!(real_bus_will_do),
    ];
    let told = told.into_iter().map(|case| case.needs(&[Need::PlaceForSystemd]));
    let real = real.into_iter().map(|case| case.needs(&[Need::Systemd]));
    let other = "says other things to systemd";
    told.chain(real).map(|case| case.unsteady(Kind::Crun, other).unsteady(Kind::Runc, other)).collect()
}

fn systemd(t: &Sandbox, mood: Mood) -> Systemd {
    Systemd::start(t.path(""), mood)
}

/// The runtime with the systemd driver, and this stand-in.
fn command(t: &Sandbox, systemd: &Systemd, words: &[&str]) -> Command {
    let words = [&["--cgroup-manager=systemd"], words].concat();
    let mut command = t.command(&words);
    command.env("DBUS_SYSTEM_BUS_ADDRESS", &systemd.address);
    command
}

fn rt(t: &Sandbox, systemd: &Systemd, words: &[&str]) -> Ran {
    t.spawn(&mut command(t, systemd, words)).wait()
}

/// Starts `run`, with the config written.
fn start(t: &Sandbox, systemd: &Systemd, c: &Container<'_>, options: &[&str]) -> Running {
    c.write_config();
    let bundle = c.bundle.to_str().expect("UTF-8");
    t.spawn(&mut command(t, systemd, &[&["run"], options, &["--bundle", bundle, &c.id]].concat()))
}

fn run(t: &Sandbox, systemd: &Systemd, c: &Container<'_>) -> Ran {
    start(t, systemd, c, &["--detach"]).wait()
}

/// A container that sleeps, whose path systemd has to choose.
fn sleeper<'a>(t: &'a Sandbox) -> Container<'a> {
    let mut c = t.container();
    c.args(&["/bin/sleep", "600"]);
    c.config["linux"].remove("cgroupsPath");
    c
}

/// The properties of the one StartTransientUnit.
fn properties(calls: &[String]) -> String {
    let calls: Vec<&String> = calls.iter().filter(|call| call.starts_with("StartTransientUnit ")).collect();
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls[0].clone()
}

fn members(calls: &[String]) -> Vec<&str> {
    calls.iter().map(|call| call.split(' ').next().unwrap_or("")).collect()
}

/// Where a process is, by the names of the controllers.
fn memberships(pid: i32) -> Vec<(String, String)> {
    let own = read(format!("/proc/{pid}/cgroup"));
    let fields =
        |line: &str| line.split_once(':').and_then(|(_, rest)| rest.split_once(':')).map(|(a, b)| (a.into(), b.into()));
    own.lines().filter_map(fields).collect()
}

fn scope_is_asked_for_and_stopped(t: &Sandbox) {
    let (systemd, c) = (systemd(t, Mood::Willing), sleeper(t));
    run(t, &systemd, &c).ok();
    let calls = systemd.calls();
    assert_eq!(members(&calls), ["Hello", "AddMatch", "StartTransientUnit"]);
    let unit = format!("isopod-{}.scope", c.id);
    let started = properties(&calls);
    assert!(started.starts_with(&format!("StartTransientUnit '{unit}' 'fail' [('PIDs', <[uint32 ")), "{started}");
    assert!(started.ends_with("] []"), "{started}");
    for property in [
        "('Delegate', <true>)",
        "('DefaultDependencies', <false>)",
        "('CollectMode', <'inactive-or-failed'>)",
        "('MemoryAccounting', <true>)",
        &format!("('Description', <'isopod container {}'>)", c.id),
    ] {
        assert!(started.contains(property), "{property}: {started}");
    }
    assert!(!started.contains("'Slice'"), "{started}");
    assert_eq!(c.state()["systemd-scope"], unit.as_str());

    let pid = c.pid();
    let wanted = format!("/{unit}/container");
    let mounted = |names: &str| {
        names.is_empty()
            || names.split(',').all(|name| controller(name).is_some_and(|dir| dir.starts_with("/sys/fs/cgroup")))
    };
    let places: Vec<_> = memberships(pid).into_iter().filter(|(names, _)| mounted(names)).collect();
    assert!(
        places.len() > usize::from(unified("memory").is_none()) && places.iter().all(|(_, path)| *path == wanted),
        "{places:?}"
    );
    // Of the keeper and its cgroup nothing is left.
    let scope = t.cgroups().into_iter().find(|dir| dir.ends_with(&unit)).expect("the scope");
    assert_eq!(read(scope.join("cgroup.procs")), "");
    assert!(!scope.join("isopod").exists());

    rt(t, &systemd, &["delete", "--force", &c.id]).ok();
    assert_eq!(members(&systemd.calls()), ["Hello", "AddMatch", "StopUnit", "ResetFailedUnit"]);
    assert!(t.cgroups().is_empty(), "{:?}", t.cgroups());
}

fn names_of_the_unit_and_its_slice(t: &Sandbox) {
    let systemd = systemd(t, Mood::Willing);
    for (path, unit, slice) in [
        ("machine.slice:libpod:ID", "libpod-ID.scope", Some("machine.slice")),
        (":docker:ID", "docker-ID.scope", Some("system.slice")),
        ("a-b.slice:p:ID:x", "p-ID:x.scope", Some("a-b.slice")),
        ("-:p:ID", "p-ID.scope", Some("-.slice")),
        ("a.slice:ID", "ID.scope", Some("a.slice")),
        ("ID", "ID.scope", Some("system.slice")),
        ("", "isopod-ID.scope", None),
    ] {
        let mut c = sleeper(t);
        c.config["linux"]["cgroupsPath"] = path.replace("ID", &c.id).into();
        run(t, &systemd, &c).ok();
        let started = properties(&systemd.calls());
        let unit = unit.replace("ID", &c.id);
        assert!(started.starts_with(&format!("StartTransientUnit '{unit}' ")), "{path}: {started}");
        let told = started.split_once("('Slice', <'").map(|(_, rest)| rest.split('\'').next().unwrap_or(""));
        assert_eq!(told, slice, "{path}");
        assert_eq!(c.state()["systemd-scope"], unit.as_str());
        rt(t, &systemd, &["delete", "--force", &c.id]).ok();
        systemd.calls();
    }
    let mut c = sleeper(t);
    for path in ["/a/b", "a.slice:b:c/d", "a.slice:b:c d"] {
        c.config["linux"]["cgroupsPath"] = path.into();
        run(t, &systemd, &c).fails(&["config.json linux.cgroupsPath: ", path]);
    }
    assert_eq!(systemd.calls(), [""; 0]);
}

/// The limits for the two versions of cgroups, and what is told to systemd.
fn limits(c: &mut Container<'_>) -> Vec<&'static str> {
    let resources = &mut c.config["linux"]["resources"];
    resources["memory"] = object! { limit: 67108864 };
    resources["pids"] = object! { limit: 100 };
    resources["cpu"] = object! { shares: 1024 };
    if controller("memory").is_some() {
        return vec![
            "('MemoryLimit', <uint64 67108864>)",
            "('TasksMax', <uint64 100>)",
            "('CPUShares', <uint64 1024>)",
        ];
    }
    resources["memory"]["reservation"] = 33554432.into();
    resources["memory"]["swap"] = 134217728.into();
    resources["cpu"] = object! { shares: 1024, quota: 50000, period: 100000, cpus: "0-1", mems: "0" };
    resources["unified"] = object! { "memory.high": "max", "memory.oom.group": "1" };
    vec![
        "('MemoryMax', <uint64 67108864>)",
        "('MemorySwapMax', <uint64 67108864>)",
        "('MemoryLow', <uint64 33554432>)",
        "('MemoryHigh', <uint64 18446744073709551615>)",
        "('OOMPolicy', <'kill'>)",
        "('TasksMax', <uint64 100>)",
        "('CPUWeight', <uint64 100>)",
        "('CPUQuotaPeriodUSec', <uint64 100000>)",
        "('CPUQuotaPerSecUSec', <uint64 500000>)",
        "('AllowedCPUs', <[byte 3]>)",
        "('AllowedMemoryNodes', <[byte 1]>)",
    ]
}

fn limits_are_properties(t: &Sandbox) {
    let (systemd, mut c) = (systemd(t, Mood::Willing), sleeper(t));
    let wanted = limits(&mut c);
    run(t, &systemd, &c).ok();
    let started = properties(&systemd.calls());
    for property in wanted {
        assert!(started.contains(property), "{property}: {started}");
    }
    rt(t, &systemd, &["delete", "--force", &c.id]).ok();

    // A container of one process: the keeper is there beside it for a moment.
    let mut c = sleeper(t);
    c.config["linux"]["resources"]["pids"] = object! { limit: 1 };
    run(t, &systemd, &c).ok();
    let calls = systemd.calls();
    assert!(properties(&calls[3..]).contains("('TasksMax', <uint64 2>)"), "{calls:?}");
    let scope = format!("isopod-{}.scope/container/pids.max", c.id);
    let root = controller("pids").or_else(|| unified("pids")).expect("pids");
    assert_eq!(read(root.join(scope)).trim(), "1");
    rt(t, &systemd, &["delete", "--force", &c.id]).ok();
}

fn annotations_are_properties(t: &Sandbox) {
    let (systemd, mut c) = (systemd(t, Mood::Willing), sleeper(t));
    c.config["annotations"] = object! {
        "org.systemd.property.TimeoutStopUSec": "uint64 123",
        "org.systemd.property.RuntimeMaxSec": "1.5",
        "org.systemd.property.After": "['a.service', 'b.service']",
        "org.systemd.property.CollectMode": "'inactive'",
        "org.systemd.property.IPAddressDeny": "@a(iayu) [(2, [0x7f, 0, 0, 1], 8)]",
    };
    run(t, &systemd, &c).ok();
    let started = properties(&systemd.calls());
    for property in [
        "('TimeoutStopUSec', <uint64 123>)",
        "('RuntimeMaxUSec', <uint64 1500000>)",
        "('After', <['a.service', 'b.service']>)",
        "('IPAddressDeny', <[(2, [byte 127, byte 0, byte 0, byte 1], uint32 8)]>)",
    ] {
        assert!(started.contains(property), "{property}: {started}");
    }
    // What the user says comes last, and so wins.
    let mode = |word: &str| started.find(&format!("('CollectMode', <'{word}'>)")).expect("CollectMode");
    assert!(mode("inactive") > mode("inactive-or-failed"), "{started}");
    rt(t, &systemd, &["delete", "--force", &c.id]).ok();
}

fn annotation_that_is_no_property_is_refused(t: &Sandbox) {
    let (systemd, mut c) = (systemd(t, Mood::Willing), sleeper(t));
    for (name, value, why) in [
        ("org.systemd.property.After", "a.service", "a.service is not in the text format of GVariant"),
        ("org.systemd.property.Ab", "1", "is not the name of a property"),
        ("org.systemd.property.PIDs", "[uint32 1]", "is not for a config to set"),
        ("org.systemd.property.RuntimeMaxSec", "'soon'", "is no time in seconds"),
        ("run.oci.systemd.subgroup", "a/b", "is not the name of a cgroup"),
    ] {
        c.config["annotations"] = object! {};
        c.config["annotations"][name] = value.into();
        run(t, &systemd, &c).fails(&[&format!("config.json annotations.{name}: "), why]);
    }
    assert_eq!(systemd.calls(), [""; 0]);
}

fn update_sets_properties(t: &Sandbox) {
    let (systemd, c) = (systemd(t, Mood::Willing), sleeper(t));
    run(t, &systemd, &c).ok();
    systemd.calls();
    rt(t, &systemd, &["update", "--pids-limit", "50", &c.id]).ok();
    let calls = systemd.calls();
    assert_eq!(
        calls.last().map(String::as_str),
        Some(&*format!("SetUnitProperties 'isopod-{}.scope' true [('TasksMax', <uint64 50>)]", c.id))
    );
    let root = controller("pids").or_else(|| unified("pids")).expect("pids");
    assert_eq!(read(root.join(format!("isopod-{}.scope/container/pids.max", c.id))).trim(), "50");
    rt(t, &systemd, &["delete", "--force", &c.id]).ok();
}

fn subgroup_of_the_annotation(t: &Sandbox) {
    let systemd = systemd(t, Mood::Willing);
    for (name, path) in [("payload", "/payload"), ("", "")] {
        let mut c = sleeper(t);
        c.config["annotations"] = object! { "run.oci.systemd.subgroup": name };
        run(t, &systemd, &c).ok();
        let wanted = format!("/isopod-{}.scope{path}", c.id);
        assert!(memberships(c.pid()).iter().any(|(_, path)| *path == wanted), "{:?}", memberships(c.pid()));
        assert_eq!(c.exec(&[], &["/bin/true"]).code, 0);
        rt(t, &systemd, &["delete", "--force", &c.id]).ok();
        assert!(t.cgroups().is_empty(), "{:?}", t.cgroups());
    }
}

fn slice_is_started_without_a_process(t: &Sandbox) {
    let (systemd, mut c) = (systemd(t, Mood::Willing), sleeper(t));
    let slice = format!("{}.slice", c.id);
    c.config["linux"]["cgroupsPath"] = format!("x.slice:y:{slice}").into();
    // The stand-in does not say where the slices are.
    run(t, &systemd, &c).ok();
    let calls = systemd.calls();
    assert_eq!(members(&calls), ["Hello", "AddMatch", "StartTransientUnit", "Get"]);
    let started = properties(&calls);
    assert!(!started.contains("PIDs") && !started.contains("Delegate") && !started.contains("'Slice'"), "{started}");
    assert!(memberships(c.pid()).iter().any(|(_, path)| *path == format!("/{slice}/container")));
    rt(t, &systemd, &["delete", "--force", &c.id]).ok();
    assert_eq!(members(&systemd.calls()), ["Hello", "AddMatch", "StopUnit", "ResetFailedUnit"]);
}

fn failed_unit_of_the_name_is_reset(t: &Sandbox) {
    let mood = Mood::RefusesOnce("org.freedesktop.systemd1.UnitExists", "Unit x was already loaded.");
    let (systemd, c) = (systemd(t, mood), sleeper(t));
    run(t, &systemd, &c).ok();
    assert_eq!(
        members(&systemd.calls()),
        ["Hello", "AddMatch", "StartTransientUnit", "ResetFailedUnit", "StartTransientUnit"]
    );
    rt(t, &systemd, &["delete", "--force", &c.id]).ok();
}

/// Demands one line that names the unit and says why, and nothing left.
fn refused(t: &Sandbox, c: &Container<'_>, ran: &Ran, why: &str) {
    ran.fails(&[&format!("start systemd unit isopod-{}.scope: ", c.id), why]);
    assert_eq!(ran.stderr().lines().count(), 1, "{ran}");
    assert_eq!((t.states(), t.cgroups(), t.processes()), (vec![], vec![], vec![]));
}

fn existing_unit_of_the_name_is_refused(t: &Sandbox) {
    let mood = Mood::Refuses("org.freedesktop.systemd1.UnitExists", "Unit x was already loaded.");
    let (systemd, c) = (systemd(t, mood), sleeper(t));
    refused(t, &c, &run(t, &systemd, &c), "Unit x was already loaded");
    // It is somebody else's.
    assert!(!members(&systemd.calls()).contains(&"StopUnit"));
}

const UNKNOWN: &str = "org.freedesktop.DBus.Error.PropertyReadOnly";

fn property_that_systemd_does_not_know_is_left_out(t: &Sandbox) {
    let mood = Mood::RefusesOnce(UNKNOWN, "Cannot set property CollectMode, or unknown property.");
    let (systemd, c) = (systemd(t, mood), sleeper(t));
    run(t, &systemd, &c).ok();
    let calls = systemd.calls();
    assert!(calls[2].contains("CollectMode") && !calls[3].contains("CollectMode"), "{calls:?}");
    assert_eq!(calls[3], calls[2].replace("('CollectMode', <'inactive-or-failed'>), ", ""));
    rt(t, &systemd, &["delete", "--force", &c.id]).ok();
}

fn property_of_the_user_that_systemd_does_not_know_is_refused(t: &Sandbox) {
    let mood = Mood::Refuses(UNKNOWN, "Cannot set property MadeUp, or unknown property.");
    let (systemd, mut c) = (systemd(t, mood), sleeper(t));
    c.config["annotations"] = object! { "org.systemd.property.MadeUp": "1" };
    refused(t, &c, &run(t, &systemd, &c), "Cannot set property MadeUp, or unknown property");
}

fn job_that_fails_is_refused(t: &Sandbox) {
    let (systemd, c) = (systemd(t, Mood::Ends("failed")), sleeper(t));
    refused(t, &c, &run(t, &systemd, &c), "its job ends with \"failed\"");
    assert_eq!(members(&systemd.calls()), ["Hello", "AddMatch", "StartTransientUnit", "StopUnit", "ResetFailedUnit"]);
}

fn systemd_that_breaks_off_is_refused(t: &Sandbox) {
    for (number, (mood, why)) in
        [(Mood::HangsUp, "the connection was closed"), (Mood::Babbles, "what came back is no D-Bus")]
            .into_iter()
            .enumerate()
    {
        let dir = t.path(&number.to_string());
        std::fs::create_dir(&dir).expect("mkdir");
        let (systemd, c) = (Systemd::start(dir, mood), sleeper(t));
        refused(t, &c, &run(t, &systemd, &c), why);
    }
}

fn no_systemd_is_one_clear_line(t: &Sandbox) {
    let mut c = sleeper(t);
    c.write_config();
    for option in ["--systemd-cgroup", "--cgroup-manager=systemd"] {
        let mut command = t.command(&[option, "run", "--bundle", c.bundle.to_str().expect("UTF-8"), &c.id]);
        let ran = t.spawn(command.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")).wait();
        ran.fails(&["connect to /nonexistent/bus: No such file or directory (is systemd running here?"]);
        assert_eq!(ran.stderr().lines().count(), 1, "{ran}");
        assert_eq!((t.states(), t.cgroups()), (vec![], vec![]));
    }
    // What was said last about the manager of cgroups is not asked of systemd.
    c.args(&["/bin/true"]).write_config();
    let words =
        ["--systemd-cgroup", "--cgroup-manager=cgroupfs", "run", "--bundle", c.bundle.to_str().expect("UTF-8"), &c.id];
    t.rt(&words).ok();
}

fn other_verbs_do_without_systemd(t: &Sandbox) {
    let (systemd, c) = (systemd(t, Mood::Willing), sleeper(t));
    run(t, &systemd, &c).ok();
    systemd.calls();
    for words in [
        &["state", &c.id][..],
        &["ps", &c.id],
        &["exec", &c.id, "/bin/true"],
        &["pause", &c.id],
        &["resume", &c.id],
        &["events", "--stats", &c.id],
        &["list"],
        &["kill", &c.id, "KILL"],
    ] {
        rt(t, &systemd, words).ok();
    }
    assert_eq!(systemd.calls(), [""; 0]);
    rt(t, &systemd, &["delete", "--force", &c.id]).ok();
}

fn killed_runtime_takes_its_keeper_along(t: &Sandbox) {
    let (systemd, c) = (systemd(t, Mood::Sleeps), sleeper(t));
    let running = start(t, &systemd, &c, &["--detach"]);
    takes_its_keeper_along(t, &systemd, &c, running);
}

/// It closes what is open, not what could be: a thousand million calls later it would not know of the runtime's end.
fn keeper_where_close_range_is_forbidden(t: &Sandbox) {
    let (systemd, c) = (systemd(t, Mood::Sleeps), sleeper(t));
    let bundle = c.bundle.to_str().expect("UTF-8");
    c.write_config();
    let command = command(t, &systemd, &["run", "--detach", "--bundle", bundle, &c.id]);
    let running = t.spawn(&mut deny(&command, libc::SYS_close_range, None, libc::EPERM));
    takes_its_keeper_along(t, &systemd, &c, running);
}

#[track_caller]
fn takes_its_keeper_along(t: &Sandbox, systemd: &Systemd, c: &Container<'_>, running: Running) {
    eventually("the unit is asked for", || systemd.calls().iter().any(|call| call.starts_with("StartTransientUnit")));
    assert!(t.processes().len() > 1, "{:?}", t.processes());
    running.send(Signal::SIGKILL);
    drop(running);
    eventually("the keeper ends", || t.processes().is_empty());
    rt(t, systemd, &["delete", "--force", &c.id]).ok();
    // Nobody knows whether there ever was a unit of ours.
    assert_eq!(members(&systemd.calls()), ["Hello", "AddMatch", "GetUnit"]);
}

fn failure_after_the_scope_stops_it(t: &Sandbox) {
    let (systemd, mut c) = (systemd(t, Mood::Willing), sleeper(t));
    c.config["linux"]["resources"]["cpu"] = object! { cpus: "4000" };
    run(t, &systemd, &c).fails(&["set linux.resources.cpu.cpus"]);
    assert_eq!(members(&systemd.calls()), ["Hello", "AddMatch", "StartTransientUnit", "StopUnit", "ResetFailedUnit"]);
    assert_eq!((t.states(), t.cgroups()), (vec![], vec![]));
}

fn program_that_is_missing_stops_the_scope(t: &Sandbox) {
    let (systemd, mut c) = (systemd(t, Mood::Willing), sleeper(t));
    c.args(&["/bin/missing"]);
    run(t, &systemd, &c).fails(&["/bin/missing"]);
    assert_eq!(members(&systemd.calls()), ["Hello", "AddMatch", "StartTransientUnit", "StopUnit", "ResetFailedUnit"]);
    assert_eq!((t.states(), t.cgroups()), (vec![], vec![]));
}

// With systemd itself.

/// The runtime with the systemd driver, started as `run --detach`.
fn really_run(t: &Sandbox, c: &Container<'_>) -> Ran {
    c.write_config();
    t.rt(&["--systemd-cgroup", "run", "--detach", "--bundle", c.bundle.to_str().expect("UTF-8"), &c.id])
}

/// What systemd says of a unit.
fn shown(unit: &str, property: &str) -> String {
    let out = Command::new("systemctl").args(["show", "--value", "-p", property, unit]).output().expect("systemctl");
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

fn unit_of(c: &Container<'_>) -> String {
    format!("isopod-{}.scope", c.id)
}

fn scope_of(c: &Container<'_>) -> PathBuf {
    unified("memory").expect("cgroup v2").join("system.slice").join(unit_of(c))
}

/// systemd forgets a unit soon after its cgroup is gone, not before.
fn is_gone(unit: &str, scope: &Path) {
    eventually("the unit is gone", || shown(unit, "LoadState") == "not-found");
    assert!(!scope.exists());
}

fn real_scope_has_its_properties(t: &Sandbox) {
    let c = sleeper(t);
    really_run(t, &c).ok();
    let unit = unit_of(&c);
    for (property, value) in [
        ("ActiveState", "active"),
        ("Delegate", "yes"),
        ("DefaultDependencies", "no"),
        ("CollectMode", "inactive-or-failed"),
        ("Slice", "system.slice"),
        ("MemoryAccounting", "yes"),
        ("ControlGroup", &format!("/system.slice/{unit}")),
        ("Description", &format!("isopod container {}", c.id)),
    ] {
        assert_eq!(shown(&unit, property), value, "{property}");
    }
    assert_eq!(memberships(c.pid()), [(String::new(), format!("/system.slice/{unit}/container"))]);
    let scope = scope_of(&c);
    assert_eq!(read(scope.join("cgroup.procs")), "");
    assert_eq!(read(scope.join("container/cgroup.procs")).trim(), c.pid().to_string());
    assert!(!scope.join("isopod").exists());
    assert_eq!(c.exec_out(&[], "cat /proc/self/cgroup"), "0::/");
    t.rt(&["delete", "--force", &c.id]).ok();
    is_gone(&unit, &scope);
}

fn real_limits_are_in_both_cgroups(t: &Sandbox) {
    let mut c = sleeper(t);
    limits(&mut c);
    c.config["linux"]["cgroupsPath"] = format!("system.slice:isopod:{}", c.id).into();
    really_run(t, &c).ok();
    for dir in [scope_of(&c), scope_of(&c).join("container")] {
        for (file, value) in [
            ("memory.max", "67108864"),
            ("memory.low", "33554432"),
            ("memory.oom.group", "1"),
            ("pids.max", "100"),
            ("cpu.weight", "100"),
            ("cpu.max", "50000 100000"),
            ("cpuset.cpus", "0-1"),
            ("cpuset.mems", "0"),
        ] {
            let own = file != "memory.oom.group" || dir.ends_with("container");
            assert!(!own || read(dir.join(file)).trim() == value, "{file} in {}", dir.display());
        }
    }
    for (property, value) in [
        ("MemoryMax", "67108864"),
        ("MemoryHigh", "infinity"),
        ("TasksMax", "100"),
        ("CPUWeight", "100"),
        ("CPUQuotaPerSecUSec", "500ms"),
        ("AllowedCPUs", "0-1"),
    ] {
        assert_eq!(shown(&unit_of(&c), property), value, "{property}");
    }
    t.rt(&["delete", "--force", &c.id]).ok();
}

fn real_update(t: &Sandbox) {
    let c = sleeper(t);
    really_run(t, &c).ok();
    t.rt(&["update", "--memory", "64m", "--cpu-quota", "20000", "--cpu-period", "50000", "--pids-limit", "50", &c.id])
        .ok();
    // The period is known by now.
    t.rt(&["update", "--cpu-quota", "25000", &c.id]).ok();
    for (property, value) in
        [("MemoryMax", "67108864"), ("CPUQuotaPerSecUSec", "500ms"), ("CPUQuotaPeriodUSec", "50ms"), ("TasksMax", "50")]
    {
        assert_eq!(shown(&unit_of(&c), property), value, "{property}");
    }
    for dir in [scope_of(&c), scope_of(&c).join("container")] {
        assert_eq!(read(dir.join("memory.max")).trim(), "67108864");
        assert_eq!(read(dir.join("cpu.max")).trim(), "25000 50000");
        assert_eq!(read(dir.join("pids.max")).trim(), "50");
    }
    // What it was told it remembers.
    assert!(Command::new("systemctl").arg("daemon-reload").status().expect("systemctl").success());
    assert_eq!(shown(&unit_of(&c), "TasksMax"), "50");
    assert_eq!(c.exec(&[], &["/bin/true"]).code, 0);
    t.rt(&["delete", "--force", &c.id]).ok();
}

fn real_scope_is_gone_after_run(t: &Sandbox) {
    let mut c = sleeper(t);
    c.args(&["/bin/true"]).write_config();
    for _ in 0..3 {
        // The name can be used again at once.
        t.rt(&["--systemd-cgroup", "run", "--bundle", c.bundle.to_str().expect("UTF-8"), &c.id]).ok();
        assert!(!scope_of(&c).exists());
    }
    is_gone(&unit_of(&c), &scope_of(&c));
}

fn real_scope_is_gone_when_init_ends(t: &Sandbox) {
    let c = sleeper(t);
    really_run(t, &c).ok();
    c.kill("KILL").ok();
    c.wait_until_stopped();
    is_gone(&unit_of(&c), &scope_of(&c));
    let ran = c.delete();
    ran.ok();
    assert_eq!(ran.stderr(), "");
}

/// Killed at any moment, the runtime leaves nothing that `delete --force` does not take away.
fn real_scope_of_a_killed_runtime_is_gone(t: &Sandbox) {
    for pause in [0, 20, 60, 150, 400] {
        let c = sleeper(t);
        c.write_config();
        let running =
            t.start(&["--systemd-cgroup", "run", "--detach", "--bundle", c.bundle.to_str().expect("UTF-8"), &c.id]);
        std::thread::sleep(std::time::Duration::from_millis(pause));
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(running.pid() as i32), Signal::SIGKILL);
        drop(running);
        t.rt(&["delete", "--force", &c.id]).ok();
        is_gone(&unit_of(&c), &scope_of(&c));
    }
}

fn real_annotations(t: &Sandbox) {
    let mut c = sleeper(t);
    c.config["annotations"] = object! {
        "org.systemd.property.TimeoutStopSec": "12.5",
        "org.systemd.property.After": "['lab-a.service', 'lab-b.service']",
        "org.systemd.property.RuntimeMaxUSec": "uint64 900000000",
    };
    really_run(t, &c).ok();
    assert!(shown(&unit_of(&c), "TimeoutStopUSec").starts_with("12.5"), "{}", shown(&unit_of(&c), "TimeoutStopUSec"));
    assert_eq!(shown(&unit_of(&c), "RuntimeMaxUSec"), "15min");
    let after = shown(&unit_of(&c), "After");
    assert!(after.contains("lab-a.service") && after.contains("lab-b.service"), "{after}");
    t.rt(&["delete", "--force", &c.id]).ok();

    let mut c = sleeper(t);
    c.config["annotations"] = object! { "org.systemd.property.MadeUp": "true" };
    really_run(t, &c).fails(&["start systemd unit", "MadeUp"]);
    is_gone(&unit_of(&c), &scope_of(&c));
}

fn real_slices(t: &Sandbox) {
    let root = unified("memory").expect("cgroup v2");
    let mut c = sleeper(t);
    c.config["linux"]["cgroupsPath"] = format!("labct-deep.slice:p:{}", c.id).into();
    really_run(t, &c).ok();
    let unit = format!("p-{}.scope", c.id);
    let path = format!("/labct.slice/labct-deep.slice/{unit}");
    assert_eq!(memberships(c.pid())[0].1, format!("{path}/container"));
    assert_eq!(c.state()["systemd-scope"], unit.as_str());
    t.rt(&["delete", "--force", &c.id]).ok();
    is_gone(&unit, &root.join(&path[1..]));

    // A slice itself.
    let mut c = sleeper(t);
    let unit = format!("labct-{}.slice", c.id);
    c.config["linux"]["cgroupsPath"] = format!("x.slice:p:{unit}").into();
    c.config["linux"]["resources"]["pids"] = object! { limit: 77 };
    really_run(t, &c).ok();
    assert_eq!(memberships(c.pid())[0].1, format!("/labct.slice/{unit}/container"));
    assert_eq!(shown(&unit, "TasksMax"), "77");
    t.rt(&["delete", "--force", &c.id]).ok();
    // systemd may remember it, but it is not there.
    assert_eq!(shown(&unit, "ActiveState"), "inactive");
    assert!(!root.join("labct.slice").join(&unit).exists());
}

fn real_failures_leave_no_unit(t: &Sandbox) {
    let mut c = sleeper(t);
    c.args(&["/bin/missing"]);
    really_run(t, &c).fails(&["/bin/missing"]);
    is_gone(&unit_of(&c), &scope_of(&c));
    let mut c = sleeper(t);
    c.config["linux"]["resources"]["cpu"] = object! { cpus: "4000" };
    really_run(t, &c).is_refused();
    is_gone(&unit_of(&c), &scope_of(&c));
    // A container of the same name keeps its scope.
    let c = sleeper(t);
    really_run(t, &c).ok();
    let other = t.path("other");
    let words = [
        "--root",
        other.to_str().expect("UTF-8"),
        "--systemd-cgroup",
        "run",
        "--detach",
        "--bundle",
        c.bundle.to_str().expect("UTF-8"),
        &c.id,
    ];
    t.spawn(t.bare_command().args(words)).wait().fails(&["start systemd unit", "already loaded"]);
    assert_eq!((shown(&unit_of(&c), "ActiveState").as_str(), c.status().as_str()), ("active", "running"));
    t.rt(&["delete", "--force", &c.id]).ok();
}

/// Over the bus, by its own address, instead of directly.
fn real_bus_will_do(t: &Sandbox) {
    let c = sleeper(t);
    c.write_config();
    let address = "unix:path=/run/dbus/system_bus_socket";
    for words in [
        &["--systemd-cgroup", "run", "--detach", "--bundle", c.bundle.to_str().expect("UTF-8"), &c.id][..],
        &["delete", "--force", &c.id],
    ] {
        let ran = t.spawn(t.command(words).env("DBUS_SYSTEM_BUS_ADDRESS", address)).wait();
        ran.ok();
        assert_eq!(ran.stderr(), "");
    }
    is_gone(&unit_of(&c), &scope_of(&c));
}
