//! Device rules, asserted by what the kernel lets a container do: by the devices controller of cgroup v1, by a program
//! on v2.

use jzon::{JsonValue, array, object};

use crate::case;
use crate::support::{Case, Container, Kind, Need, Sandbox};

pub fn cases() -> Vec<Case> {
    let rules = &[Need::DeviceRules];
    vec![
        case!(denied_device_cannot_be_opened).needs(rules),
        case!(reading_and_writing_are_apart).needs(rules),
        case!(last_rule_decides).needs(rules),
        case!(rule_without_type_is_about_both).needs(rules).differs(Kind::Crun, ALL).differs(Kind::Runc, ALL),
        case!(list_that_denies_nothing_is_still_a_list).needs(rules).differs(Kind::Crun, "1.8 on v1: all is allowed"),
        case!(default_device_can_be_denied).needs(rules).differs(Kind::Crun, LAST).differs(Kind::Runc, LAST),
        case!(making_a_node_can_be_denied).needs(&[Need::V2("memory")]).differs(Kind::Crun, LAST),
        case!(everything_can_be_allowed).needs(rules),
        case!(rules_hold_in_a_user_namespace)
            .needs(&[Need::DeviceRules, Need::UserNamespaces])
            .differs(Kind::Crun, LAST)
            .differs(Kind::Runc, LAST),
        case!(part_of_a_rule_cannot_be_denied_on_v1)
            .needs(&[Need::V1("devices")])
            .differs(Kind::Crun, "1.8: the part stays allowed"),
        case!(update_replaces_the_rules).needs(&[Need::V2("memory")]),
        case!(cgroup_with_rules_is_used_again).needs(&[Need::V2("memory")]),
    ]
}

const ALL: &str = "the other fields are ignored";
const LAST: &str = "the defaults come last";

/// Nodes with numbers for local use, without a driver: whoever may open one learns just that.
fn with_nodes(t: &Sandbox, rules: JsonValue) -> Container<'_> {
    let mut c = t.container();
    c.config["linux"]["devices"] = array![
        object! { path: "/dev/c", "type": "c", major: 240, minor: 77 },
        object! { path: "/dev/d", "type": "c", major: 240, minor: 78 },
        object! { path: "/dev/b", "type": "b", major: 240, minor: 77 },
    ];
    c.config["linux"]["resources"]["devices"] = array![object! { allow: false, access: "rwm" }];
    for rule in rules.members() {
        c.config["linux"]["resources"]["devices"].push(rule.clone()).expect("push");
    }
    c.capabilities(&["CAP_MKNOD"]);
    c
}

/// Tries accesses like `<c` (read) and `>c` (write), and says which are allowed. A shell that cannot redirect ends.
fn tries(accesses: &str) -> String {
    format!(
        "for a in {}; do case $a in '<'*) r=$( (: < /dev/${{a#?}}) 2>&1) ;; *) r=$( (: > /dev/${{a#?}}) 2>&1) ;; esac; \
         case $r in *'not permitted'*) ;; *) printf \"$a \" ;; esac; done",
        accesses.split(' ').map(|access| format!("'{access}'")).collect::<Vec<_>>().join(" ")
    )
}

fn allow(kind: &str, minor: Option<u32>, access: &str) -> JsonValue {
    let mut rule = object! { allow: true, "type": kind, major: 240, access: access };
    if let Some(minor) = minor {
        rule["minor"] = minor.into();
    }
    rule
}

fn deny(kind: &str, minor: Option<u32>, access: &str) -> JsonValue {
    let mut rule = allow(kind, minor, access);
    rule["allow"] = false.into();
    rule
}

fn denied_device_cannot_be_opened(t: &Sandbox) {
    assert_eq!(with_nodes(t, array![]).out(&tries("<c <d <b >null")), ">null");
    assert_eq!(with_nodes(t, array![allow("c", Some(77), "r")]).out(&tries("<c <d <b >null")), "<c >null");
}

fn reading_and_writing_are_apart(t: &Sandbox) {
    let mut c = with_nodes(t, array![allow("c", None, "r"), allow("b", Some(77), "w")]);
    assert_eq!(c.out(&tries("<c >c <d >d <b >b")), "<c <d >b");
}

fn last_rule_decides(t: &Sandbox) {
    let again = array![allow("c", Some(77), "rw"), deny("c", Some(77), "w"), allow("c", Some(78), "r")];
    assert_eq!(with_nodes(t, again).out(&tries("<c >c <d >d")), "<c <d");
    let mut c = with_nodes(t, array![]);
    let (all, none) = (object! { allow: true, access: "rwm" }, object! { allow: false, access: "rwm" });
    c.config["linux"]["resources"]["devices"] = array![all, deny("c", None, "rwm"), none, allow("c", Some(78), "w")];
    assert_eq!(c.out(&tries("<c >c <d >d >null")), ">d >null");
}

fn rule_without_type_is_about_both(t: &Sandbox) {
    let mut rule = allow("a", Some(77), "r");
    assert_eq!(with_nodes(t, array![rule.clone()]).out(&tries("<c >c <d <b >b")), "<c <b");
    rule.remove("type");
    assert_eq!(with_nodes(t, array![rule]).out(&tries("<c >c <d <b >b")), "<c <b");
}

fn list_that_denies_nothing_is_still_a_list(t: &Sandbox) {
    let mut c = with_nodes(t, array![]);
    c.config["linux"]["resources"]["devices"] = array![allow("c", Some(77), "r")];
    assert_eq!(c.out(&tries("<c >c <d >null")), "<c >null");
}

fn default_device_can_be_denied(t: &Sandbox) {
    let full = object! { allow: false, "type": "c", major: 1, minor: 7, access: "rwm" };
    assert_eq!(with_nodes(t, array![full]).out(&tries("<full <zero")), "<zero");
}

fn making_a_node_can_be_denied(t: &Sandbox) {
    let make = "mknod /dev/x c 240 79 2>/dev/null && printf x; mknod /dev/y b 240 79 2>/dev/null && printf y; true";
    assert_eq!(with_nodes(t, array![]).out(make), "xy");
    // It is the container's own /dev, in which the runtime cannot make that node either.
    let mut c = with_nodes(t, array![deny("b", Some(79), "m")]);
    assert_eq!(c.out(make), "x");
}

fn everything_can_be_allowed(t: &Sandbox) {
    let mut c = with_nodes(t, array![object! { allow: true, access: "rwm" }]);
    assert_eq!(c.out(&tries("<c >c <d <b >b >null")), "<c >c <d <b >b >null");
}

fn rules_hold_in_a_user_namespace(t: &Sandbox) {
    let mut c = t.container();
    c.with_user_namespace();
    let rules = &mut c.config["linux"]["resources"]["devices"];
    rules.push(object! { allow: false, "type": "c", major: 1, minor: 7, access: "rwm" }).expect("push");
    assert_eq!(c.out(&tries("<full <zero >null")), "<zero >null");
}

fn part_of_a_rule_cannot_be_denied_on_v1(t: &Sandbox) {
    let c = with_nodes(t, array![allow("c", None, "r"), deny("c", Some(77), "r")]);
    c.run().is_refused();
}

/// One program gives way to the other: none of the moments between is without rules.
fn update_replaces_the_rules(t: &Sandbox) {
    let mut c = with_nodes(t, array![allow("c", Some(77), "r")]);
    c.started();
    let update = |rules: JsonValue| {
        let file = t.file("rules.json", &object! { devices: rules }.dump());
        t.rt(&["update", "--resources", file.to_str().expect("path"), &c.id]).ok();
    };
    let now = || c.exec_out(&[], &tries("<c >c <d >null"));
    assert_eq!(now(), "<c >null");
    update(array![object! { allow: false }, allow("c", Some(78), "r")]);
    assert_eq!(now(), "<d >null");
    update(array![object! { allow: true }]);
    assert_eq!(now(), "<c >c <d >null");
    update(array![object! { allow: false }]);
    assert_eq!(now(), ">null");
    // Other limits alone leave them as they are.
    t.rt(&["update", "--pids-limit=50", &c.id]).ok();
    assert_eq!(now(), ">null");
}

/// The rules of one container are not added to those of the one before.
fn cgroup_with_rules_is_used_again(t: &Sandbox) {
    let path = with_nodes(t, array![]).unified_cgroup();
    std::fs::create_dir(&path).expect("mkdir");
    let name = format!("/{}", path.file_name().expect("name").to_str().expect("UTF-8"));
    for (rules, allowed) in [(array![allow("c", Some(77), "r")], "<c"), (array![allow("c", Some(78), "r")], "<d")] {
        let mut c = with_nodes(t, rules);
        c.config["linux"]["cgroupsPath"] = name.as_str().into();
        c.sh("sleep 1000").created();
        c.start().ok();
        assert_eq!(c.exec_out(&[], &tries("<c <d")), allowed);
        // Of a runtime that was killed, its cgroup stays.
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(c.pid()), nix::sys::signal::Signal::SIGKILL).expect("kill");
        c.wait_until_stopped();
        std::fs::remove_dir_all(t.state_root().join(&c.id)).expect("state");
    }
    std::fs::remove_dir(path).expect("rmdir");
}
