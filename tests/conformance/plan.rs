//! `plan`: what `run` would do, said and not done.

use std::fs;

use jzon::JsonValue;

use crate::case;
use crate::support::{Case, Container, Need, Sandbox};

pub fn cases() -> Vec<Case> {
    let ours = |case: Case| case.isopod_only("has no such command");
    vec![
        ours(case!(nothing_is_done)),
        ours(case!(mounts_are_those_of_the_container)),
        ours(case!(what_it_says_is_written_is_written)),
        ours(case!(mistakes_are_those_of_run)),
        ours(case!(who_is_not_root_sees_his_maps)).needs(&[Need::SubordinateIds]),
    ]
}

fn plan(c: &Container<'_>, t: &Sandbox, options: &[&str]) -> String {
    c.write_config();
    t.spawn(c.command("plan", options).env_remove("LISTEN_FDS")).wait().ok()
}

fn json(c: &Container<'_>, t: &Sandbox) -> JsonValue {
    jzon::parse(&plan(c, t, &["--json"])).expect("JSON")
}

fn nothing_is_done(t: &Sandbox) {
    let c = t.container();
    let page = plan(&c, t, &[]);
    assert!(
        page.starts_with(&format!("id              {}\nstate           {}", c.id, t.state_root().display())),
        "{page}"
    );
    assert!(t.states().is_empty() && t.cgroups().is_empty() && !t.state_root().exists());
    let out = t.spawn(t.command(&["plan", "--bundle"]).arg(&c.bundle)).wait().ok();
    assert!(out.starts_with("id              ID\n"), "{out}");
}

/// Each in its place, and with its flags.
fn mounts_are_those_of_the_container(t: &Sandbox) {
    let mut c = t.container();
    c.mkdir("srv").bind("/srv", "/usr", &["ro", "nosuid", "rprivate"]);
    let planned = json(&c, t);
    let table = c.out("cat /proc/self/mounts");
    for mount in planned["mounts"].members() {
        let destination = mount["destination"].as_str().expect("a path");
        let line = table.lines().find(|line| line.split(' ').nth(1) == Some(destination));
        let options = line.unwrap_or_else(|| panic!("{destination}: {table}")).split(' ').nth(3).expect("options");
        for word in ["ro", "nosuid", "nodev", "noexec"] {
            let planned = mount["options"].members().any(|option| option == word);
            assert!(!planned || options.split(',').any(|option| option == word), "{destination}: {word}: {options}");
        }
    }
    assert!(planned["mounts"].members().any(|mount| mount["destination"] == "/srv" && mount["type"] == "bind"));
}

/// The very files of this machine.
fn what_it_says_is_written_is_written(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["resources"]["pids"] = jzon::object! { limit: 77 };
    let planned = json(&c, t);
    let mut writes = planned["resources"].members();
    let Some(write) = writes.find(|write| write["field"] == "pids.limit") else {
        panic!("no limit of processes: {planned}");
    };
    c.started();
    for directory in planned["cgroup"].members() {
        let path = directory["directory"].as_str().expect("a path");
        assert!(fs::metadata(path).is_ok_and(|found| found.is_dir()), "{path}");
    }
    let file = write["file"].as_str().expect("a path");
    assert_eq!(fs::read_to_string(file).expect("a file").trim(), "77");
}

fn mistakes_are_those_of_run(t: &Sandbox) {
    let mut c = t.container();
    c.config["process"]["cwd"] = "relative".into();
    let wrong = ["config.json process.cwd"];
    c.run().fails(&wrong);
    t.spawn(&mut c.command("plan", &[])).wait().fails(&wrong);
}

fn who_is_not_root_sees_his_maps(t: &Sandbox) {
    let user = t.as_ordinary_user();
    let mut c = t.container();
    c.config["linux"].remove("uidMappings");
    c.config["linux"].remove("gidMappings");
    let (first, count) = user.subuid.expect("ids");
    let planned = json(&c, t);
    let map = |index: usize| {
        let line = &planned["uidMappings"][index];
        ["containerID", "hostID", "size"].map(|name| line[name].as_u32().expect("a number"))
    };
    assert_eq!([map(0), map(1)], [[0, user.uid, 1], [1, first, count]]);
    assert_eq!(planned["uidMappings"][0]["by"], "newuidmap");
    assert!(planned["cgroup"].is_empty(), "{planned}");
}
