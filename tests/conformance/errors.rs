//! Mistakes: what is refused, with which words, and that nothing has happened then.

use std::fs;

use jzon::{array, object};

use crate::case;
use crate::support::{Case, Container, Kind, Sandbox};

pub fn cases() -> Vec<Case> {
    vec![
        case!(missing_config),
        case!(missing_bundle),
        case!(broken_json).differs(Kind::Runc, "ignores what follows the object"),
        case!(config_of_64_mib).isopod_only("have no limit"),
        case!(missing_rootfs),
        case!(rootfs_that_is_a_file),
        case!(missing_process),
        case!(empty_args),
        case!(unknown_namespace),
        case!(duplicate_namespace).differs(Kind::Crun, "1.8 takes it"),
        case!(bad_ids).differs(Kind::Crun, "1.8 takes blanks and more"),
        case!(unknown_container),
        case!(existing_container).differs(Kind::Runc, "container with given ID already exists"),
        case!(unknown_keys_are_ignored),
        case!(error_of_the_container_side_always_arrives),
        case!(error_is_one_line).isopod_only("the form is isopod's"),
        case!(config_error_names_the_field).isopod_only("the form is isopod's"),
        case!(what_is_not_done_is_refused_by_name).isopod_only("they have handlers, or ignore them"),
    ]
}

/// Nothing is left after a failure that happened before there was a container.
#[track_caller]
fn nothing_happened(t: &Sandbox) {
    assert_eq!((t.states(), t.cgroups(), t.processes()), (vec![], vec![], vec![]));
}

fn missing_config(t: &Sandbox) {
    let c = t.container();
    t.spawn(&mut c.command("run", &[])).wait().fails(&["config.json"]);
    nothing_happened(t);
}

fn missing_bundle(t: &Sandbox) {
    t.rt(&["run", "--bundle", "/there/is/none", &t.new_id()]).fails(&["/there/is/none", "o such file or directory"]);
    nothing_happened(t);
}

fn broken_json(t: &Sandbox) {
    let c = t.container();
    let whole = c.config.dump();
    for text in ["", "{", "[]", "null", "\"config\"", &whole[..whole.len() / 2], &format!("{whole}}}"), "{\"root\": 1}"]
    {
        fs::write(c.bundle.join("config.json"), text).expect("write");
        t.spawn(&mut c.command("create", &[])).wait().is_refused();
        nothing_happened(t);
    }
}

/// More than anybody writes, but nothing to break down at.
fn config_of_64_mib(t: &Sandbox) {
    const LIMIT: usize = 64 << 20;
    let mut c = t.container();
    c.args(&["/bin/echo", "whole"]).write_config();
    let path = c.bundle.join("config.json");
    let config = c.config.dump();
    fs::write(&path, format!("{config}{}", " ".repeat(LIMIT - config.len()))).expect("write");
    assert_eq!(t.spawn(&mut c.command("run", &[])).wait().ok(), "whole");
    // What follows is not even looked at, nor is there anything on the disk.
    let file = fs::File::options().write(true).open(&path).expect("open");
    for length in [LIMIT as u64 + 1, 1 << 40] {
        file.set_len(length).expect("truncate");
        for verb in ["run", "plan"] {
            let ran = t.spawn(&mut c.command(verb, &[])).wait();
            ran.fails(&["read config.json: is larger than 64 MiB"]);
            assert_eq!(ran.stderr().lines().count(), 1, "{ran}");
        }
        nothing_happened(t);
    }
    // Full of the smallest things that there are.
    for (piece, open, close) in [("0,", "[", "0]"), ("\"\":0,", "{", "\"\":0}"), ("[[],[[]]],", "[", "[]]")] {
        let many = format!("{open}{}{close}", piece.repeat(8 << 20 >> 2));
        fs::write(&path, format!("{},\"x\":{many}}}", &config[..config.len() - 1])).expect("write");
        assert_eq!(t.spawn(&mut c.command("run", &[])).wait().ok(), "whole");
    }
}

fn missing_rootfs(t: &Sandbox) {
    let c = &mut t.container();
    c.config["root"]["path"] = "no-such-root".into();
    c.run().fails(&["no-such-root", "o such file or directory"]);
    nothing_happened(t);
}

fn rootfs_that_is_a_file(t: &Sandbox) {
    let c = &mut t.container();
    fs::write(c.bundle.join("file"), "").expect("write");
    c.config["root"]["path"] = "file".into();
    c.run().is_refused();
    nothing_happened(t);
}

fn missing_process(t: &Sandbox) {
    let c = &mut t.container();
    c.config.remove("process");
    c.run().is_refused();
    nothing_happened(t);
}

fn empty_args(t: &Sandbox) {
    let c = &mut t.container();
    c.args(&[]).run().is_refused();
    c.config["process"].remove("args");
    c.run().is_refused();
    c.args(&[""]).run().is_refused();
    nothing_happened(t);
}

fn unknown_namespace(t: &Sandbox) {
    t.container().namespace("made-up").run().fails(&["made-up"]);
    nothing_happened(t);
}

fn duplicate_namespace(t: &Sandbox) {
    t.container().namespace("pid").sh("true").run().fails(&["pid"]);
    nothing_happened(t);
}

fn bad_ids(t: &Sandbox) {
    let c = &mut t.container();
    c.sh("true").write_config();
    let bundle = c.bundle.to_str().expect("bundle");
    let long = "x".repeat(1025);
    for id in ["", ".", "..", "a/b", "../a", "a b", "a\nb", "ä", "a\u{1}", "a:b", &long] {
        t.rt(&["run", "--bundle", bundle, id]).is_refused();
        t.rt(&["state", id]).is_refused();
        assert_eq!(t.states(), Vec::<String>::new(), "{id:?}");
    }
    for id in ["A.b_c+d-e", "0", "_x", "+y"] {
        let id = format!("{id}{}", t.new_id());
        t.rt(&["run", "--bundle", bundle, &id]).ok();
    }
}

/// Engines match on these words.
fn unknown_container(t: &Sandbox) {
    for (verb, words) in [("state", [].as_slice()), ("start", &[]), ("kill", &["TERM"]), ("delete", &[])] {
        let args: Vec<&str> = [verb, "there-is-none"].iter().chain(words).copied().collect();
        let ran = t.rt(&args);
        ran.exits(1);
        let stderr = ran.stderr();
        assert!(stderr.contains("does not exist") || stderr.contains("No such file or directory"), "{ran}");
        if t.is(Kind::Isopod) {
            ran.fails(&["container `there-is-none` does not exist"]);
        }
    }
}

fn existing_container(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    c.create().fails(&[&format!("container `{}` already exists", c.id)]);
}

fn unknown_keys_are_ignored(t: &Sandbox) {
    let c = &mut t.container();
    c.config["somethingNew"] = object! { deep: array![1, 2.5, null, "x", object! {}] };
    c.config["process"]["somethingNew"] = true.into();
    c.config["linux"]["somethingNew"] = "x".into();
    c.sh("true").run().ok();
}

/// The process in the container ends as soon as it has failed; its reason must not be lost on the way, however busy the
/// machine is.
fn error_of_the_container_side_always_arrives(t: &Sandbox) {
    let fail = |_| t.container().mount("/data", "nosuchfs", "none", &[]).start_run(&[]);
    let running: Vec<_> = (0..40).map(fail).collect();
    for run in running {
        run.wait().fails(&["o such device"]);
    }
}

fn error_is_one_line(t: &Sandbox) {
    let c = &mut t.container();
    c.config["root"]["path"] = "no-such-root".into();
    let stderr = c.run().stderr();
    assert!(stderr.starts_with("isopod: error: ") && stderr.ends_with('\n'), "{stderr:?}");
    assert_eq!(stderr.lines().count(), 1, "{stderr:?}");
}

/// A change to the config that makes it wrong, and what the message has to say.
type Mistake = (fn(&mut Container), &'static str);

const MISTAKES: &[Mistake] = &[
    (
        |c| c.config["process"]["rlimits"].push(object! { "type": "RLIMIT_FOO", soft: 1, hard: 1 }).expect("push"),
        "process.rlimits[1].type: unknown value \"RLIMIT_FOO\"",
    ),
    (|c| c.config["linux"]["namespaces"][1]["type"] = "foo".into(), "linux.namespaces[1].type: unknown value \"foo\""),
    (|c| drop(c.config.remove("process")), "process"),
    (|c| c.config["process"]["user"]["uid"] = "root".into(), "process.user.uid"),
    (|c| c.config["process"]["args"] = "sh".into(), "process.args"),
    (|c| c.config["process"]["cwd"] = "relative".into(), "process.cwd"),
    (|c| c.config["process"]["oomScoreAdj"] = 5000.into(), "process.oomScoreAdj"),
    (|c| c.config["mounts"][1]["destination"] = 7.into(), "mounts[1].destination"),
    (|c| c.config["linux"]["rootfsPropagation"] = "sideways".into(), "linux.rootfsPropagation"),
    (
        |c| c.config["linux"]["devices"] = array![object! { path: "/dev/x", "type": "x", major: 1, minor: 1 }],
        "linux.devices[0].type: ",
    ),
];

fn config_error_names_the_field(t: &Sandbox) {
    for (mistake, words) in MISTAKES {
        let c = &mut t.container();
        mistake(c.sh("true"));
        let ran = c.run();
        ran.fails(&[&format!("isopod: error: config.json {words}")]);
        assert_eq!(ran.stderr().lines().count(), 1, "{ran}");
    }
    nothing_happened(t);
}

/// Asking for something that isopod does not do must not look as if it had been done.
fn what_is_not_done_is_refused_by_name(t: &Sandbox) {
    for (name, value) in [("run.oci.handler", "wasm"), ("module.wasm.image/variant", "compat")] {
        let c = &mut t.container();
        c.config["annotations"][name] = value.into();
        c.sh("true").run().fails(&[&format!("config.json annotations[{name:?}]: "), "isopod has no handlers"]);
    }
    nothing_happened(t);
}
