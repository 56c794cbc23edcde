//! The command line: words in, words out, exit codes, the log.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use jzon::JsonValue;

use crate::case;
use crate::support::{Case, Container, Kind, Sandbox, default_config, read};

pub fn cases() -> Vec<Case> {
    vec![
        case!(version),
        case!(help),
        case!(help_of_each_command).differs(Kind::Runc, "the words of another library"),
        case!(usage_errors).differs(Kind::Runc, "exit code 1, and help on stdout"),
        case!(options_with_values),
        case!(bundled_short_options).differs(Kind::Runc, "not bundled"),
        case!(unique_prefixes).differs(Kind::Runc, "not abbreviated"),
        case!(options_after_the_id).differs(Kind::Crun, "the id ends the options"),
        case!(two_dashes_end_the_options),
        case!(bundle_is_the_current_directory),
        case!(config_of_another_name).differs(Kind::Runc, "no such option"),
        case!(spec_writes_the_default_config),
        case!(spec_does_not_overwrite),
        case!(spec_rootless_has_a_user_namespace),
        case!(spec_to_a_file).differs(Kind::Runc, "no such option"),
        case!(state_directory_is_private),
        case!(state_directory_of_root_is_the_same_for_all_callers).differs(Kind::Crun, "`$XDG_RUNTIME_DIR/crun`"),
        case!(log_as_text),
        case!(log_as_json).differs(Kind::Runc, "keys in another order"),
        case!(log_goes_on_at_the_end),
        case!(debug_log_says_more),
        case!(log_levels).isopod_only("other levels"),
        case!(unknown_log_is_refused).differs(Kind::Runc, "a file of that name"),
        case!(unknown_format_of_a_list_is_refused),
        case!(state_root_is_made_with_its_parents),
        case!(unknown_log_format_is_refused),
        case!(unknown_cgroup_manager_is_refused),
        case!(options_without_effect),
    ]
}

fn name(t: &Sandbox) -> &'static str {
    match t.runtime.kind {
        Kind::Isopod => "isopod",
        Kind::Crun => "crun",
        Kind::Runc => "runc",
        Kind::Naive => "naive",
    }
}

/// Engines parse these lines.
fn version(t: &Sandbox) {
    let spellings: &[&str] = if t.is(Kind::Runc) { &["--version", "-v"] } else { &["--version", "-v", "-V"] };
    for option in spellings {
        let text = t.rt(&[option]).ok();
        let mut lines = text.lines();
        assert!(lines.next().expect("first").starts_with(&format!("{} version ", name(t))), "{text}");
        assert!(lines.any(|line| line.starts_with("commit: ")), "{text}");
        assert!(text.lines().any(|line| line.starts_with("spec: 1.")), "{text}");
    }
}

const VERBS: &[&str] = &["create", "start", "run", "state", "kill", "delete", "list", "spec"];

fn help(t: &Sandbox) {
    for option in ["--help", "-h"] {
        // crun's -h is no help option, but shows a hint.
        if option == "-h" && t.is(Kind::Crun) {
            continue;
        }
        let text = t.rt(&[option]).ok();
        for verb in VERBS {
            assert!(text.contains(verb), "{verb}: {text}");
        }
    }
}

fn help_of_each_command(t: &Sandbox) {
    for verb in VERBS {
        let text = t.rt(&[verb, "--help"]).ok();
        assert!(text.starts_with("Usage: ") && text.contains(verb), "{text}");
    }
}

fn usage_errors(t: &Sandbox) {
    let mistakes: &[&[&str]] = &[
        &["--no-such-option"],
        &["run", "--no-such-option", "x"],
        &["run", "--bundle"],
        &["run", "--detach=yes", "x"],
        &["list", "-x"],
    ];
    for words in mistakes {
        let ran = t.rt(words);
        assert!(ran.code == 64 && !ran.stderr().is_empty() && ran.stdout().is_empty(), "{ran}");
    }
    let others: &[&[&str]] =
        &[&[], &["no-such-command"], &["run"], &["state"], &["state", "a", "b"], &["run", "a", "b"], &["start"]];
    for words in others {
        let ran = t.rt(words);
        assert!(ran.code != 0 && !ran.stderr().is_empty(), "{ran}");
        assert!(!t.is(Kind::Isopod) || ran.code == 64, "{ran}");
    }
}

fn payload<'a>(t: &'a Sandbox, script: &str) -> (Container<'a>, String) {
    let mut c = t.container();
    c.sh(script).write_config();
    let bundle = c.bundle.to_str().expect("bundle").to_owned();
    (c, bundle)
}

fn options_with_values(t: &Sandbox) {
    let (c, bundle) = payload(t, "echo here");
    for words in
        [vec![format!("--bundle={bundle}")], vec!["--bundle".into(), bundle.clone()], vec!["-b".into(), bundle]]
    {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let args: Vec<&str> = ["run"].iter().chain(&words).copied().chain([c.id.as_str()]).collect();
        assert_eq!(t.rt(&args).ok(), "here");
    }
}

fn bundled_short_options(t: &Sandbox) {
    let (c, bundle) = payload(t, "sleep 600");
    t.rt(&["run", &format!("-db{bundle}"), &c.id]).exits(0);
    assert_eq!(c.status(), "running");
    let list = jzon::parse(&t.rt(&["list", "-qfjson"]).ok());
    assert!(list.is_ok() || t.rt(&["list", "-qfjson"]).ok() == c.id);
}

fn unique_prefixes(t: &Sandbox) {
    let (c, bundle) = payload(t, "sleep 600");
    t.rt(&["run", "--det", "--bun", &bundle, &c.id]).exits(0);
    t.rt(&["delete", "--for", &c.id]).ok();
    // Both --pid-file and --preserve-fds begin so.
    t.rt(&["run", "--p", "1", "--bundle", &bundle, &c.id]).exits(64);
}

fn options_after_the_id(t: &Sandbox) {
    let (c, bundle) = payload(t, "sleep 600");
    t.rt(&["run", &c.id, "--detach", "--bundle", &bundle]).exits(0);
    t.rt(&["delete", &c.id, "--force"]).ok();
}

fn two_dashes_end_the_options(t: &Sandbox) {
    let (c, bundle) = payload(t, "echo here");
    assert_eq!(t.rt(&["run", "--bundle", &bundle, "--", &c.id]).ok(), "here");
}

fn bundle_is_the_current_directory(t: &Sandbox) {
    let (c, bundle) = payload(t, "echo here");
    let ran = t.spawn(t.command(&["run", &c.id]).current_dir(bundle)).wait();
    assert_eq!(ran.ok(), "here");
}

/// Relative to where the command is given, as every other file name on a command line.
fn config_of_another_name(t: &Sandbox) {
    let (c, bundle) = payload(t, "echo here");
    fs::rename(c.bundle.join("config.json"), t.path("other.json")).expect("rename");
    assert_eq!(t.rt(&["run", "--bundle", &bundle, "--config", "other.json", &c.id]).ok(), "here");
}

fn spec_in(t: &Sandbox, options: &[&str]) -> JsonValue {
    let dir = t.path("spec");
    fs::create_dir_all(&dir).expect("mkdir");
    let args: Vec<&str> = ["spec", "--bundle", dir.to_str().expect("path")].iter().chain(options).copied().collect();
    assert_eq!(t.rt(&args).ok(), "");
    jzon::parse(&read(dir.join("config.json"))).expect("JSON")
}

/// The parts that crun and runc agree on, and isopod with them.
fn spec_writes_the_default_config(t: &Sandbox) {
    let (written, ours) = (spec_in(t, &[]), default_config());
    assert_eq!(written["process"]["terminal"], true);
    for field in ["user", "args", "env", "cwd", "rlimits", "noNewPrivileges"] {
        assert_eq!(written["process"][field], ours["process"][field], "{field}");
    }
    assert_eq!(written["process"]["capabilities"]["bounding"], ours["process"]["capabilities"]["bounding"]);
    assert!(written["process"]["capabilities"]["inheritable"].is_empty());
    assert_eq!(written["root"], ours["root"]);
    assert_eq!(written["hostname"], name(t));
    let destinations = |config: &JsonValue| -> Vec<String> {
        config["mounts"].members().map(|mount| mount["destination"].as_str().expect("text").to_owned()).collect()
    };
    assert_eq!(destinations(&written), destinations(&ours));
    assert_eq!(written["linux"]["readonlyPaths"], ours["linux"]["readonlyPaths"]);
}

fn spec_does_not_overwrite(t: &Sandbox) {
    spec_in(t, &[]);
    let file = t.path("spec/config.json");
    fs::write(&file, "mine").expect("write");
    t.rt(&["spec", "--bundle", t.path("spec").to_str().expect("path")]).is_refused();
    assert_eq!(read(file), "mine");
}

fn spec_rootless_has_a_user_namespace(t: &Sandbox) {
    let config = spec_in(t, &["--rootless"]);
    assert!(config["linux"]["namespaces"].members().any(|namespace| namespace["type"] == "user"));
}

fn spec_to_a_file(t: &Sandbox) {
    let file = t.path("other.json");
    t.rt(&["spec", "--file", file.to_str().expect("path")]).ok();
    assert!(jzon::parse(&read(file)).expect("JSON")["process"].is_object());
}

fn state_directory_is_private(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    let mode = |path| fs::metadata(path).expect("stat").permissions().mode() & 0o077;
    assert_eq!(mode(t.state_root().join(&c.id)) & 0o022, 0);
    assert_eq!(mode(t.state_root()), 0);
}

/// `sudo` may keep XDG_RUNTIME_DIR or not; a container is found again either way.
fn state_directory_of_root_is_the_same_for_all_callers(t: &Sandbox) {
    let (c, bundle) = payload(t, "sleep 600");
    let run = t.path("run");
    fs::create_dir(&run).expect("mkdir");
    let with_environment = |words: &[&str]| {
        let mut command = t.bare_command();
        t.spawn(command.args(words).env("XDG_RUNTIME_DIR", &run)).wait()
    };
    with_environment(&["run", "--detach", "--bundle", &bundle, &c.id]).exits(0);
    let in_session = fs::read_dir(&run).expect("run").count();
    let deleted = with_environment(&["delete", "--force", &c.id]);
    // It is not below the test's directory, and a runtime that is denied a call may not be able to.
    let _ = fs::remove_dir_all(std::path::Path::new("/run/isopod").join(&c.id));
    deleted.ok();
    assert_eq!(in_session, 0);
}

/// A failing command with a log.
fn logged(t: &Sandbox, options: &[&str]) -> String {
    let file = t.path("log");
    let log = file.to_str().expect("path");
    let args: Vec<&str> = ["--log", log].iter().chain(options).copied().chain(["state", "there-is-none"]).collect();
    let ran = t.rt(&args);
    ran.exits(1);
    assert!(!ran.stderr().is_empty(), "the error is shown as well as logged: {ran}");
    read(file)
}

fn log_as_text(t: &Sandbox) {
    let text = logged(t, &[]);
    assert!(text.contains("exist") || text.contains("No such file"), "{text}");
    assert!(!text.contains('\u{1b}'), "colours in a file: {text}");
}

/// Engines show the last error of the log to their users.
fn log_as_json(t: &Sandbox) {
    let text = logged(t, &["--log-format", "json"]);
    let entry = jzon::parse(text.lines().last().expect("a line")).expect("JSON");
    let keys: Vec<&str> = entry.entries().map(|(key, _)| key).collect();
    assert_eq!(keys, ["msg", "level", "time"]);
    assert_eq!(entry["level"], "error");
    assert!(entry["msg"].as_str().expect("msg").contains("there-is-none"), "{text}");
    let time = entry["time"].as_str().expect("time");
    assert!(time.len() == "2026-01-02T03:04:05.678901Z".len() && time.ends_with('Z') && &time[10..11] == "T", "{time}");
}

fn log_goes_on_at_the_end(t: &Sandbox) {
    let first = logged(t, &["--log-format=json"]).lines().count();
    assert_eq!(logged(t, &["--log-format=json"]).lines().count(), 2 * first);
}

fn debug_log_says_more(t: &Sandbox) {
    let (c, bundle) = payload(t, "true");
    let file = t.path("log");
    let log = file.to_str().expect("path");
    t.rt(&["--debug", "--log", log, "--log-format", "json", "run", "--bundle", &bundle, &c.id]).ok();
    for line in read(&file).lines() {
        assert!(jzon::parse(line).is_ok(), "{line}");
    }
    if t.is(Kind::Isopod) {
        assert!(read(&file).contains("\"debug\""));
    }
}

/// Each level shows what the one before it does, and more.
fn log_levels(t: &Sandbox) {
    let mut c = t.container();
    c.config["process"]["capabilities"]["bounding"].push("CAP_MADE_UP").expect("push");
    c.sh("true").write_config();
    let bundle = c.bundle.to_str().expect("path").to_owned();
    let lines = |level: &str| {
        let ran = t.rt(&["--log-level", level, "run", "--bundle", &bundle, &c.id]);
        ran.exits(0);
        assert_eq!(ran.stderr().contains("CAP_MADE_UP"), level != "error", "{ran}");
        ran.stderr().lines().count()
    };
    let counts = ["error", "warning", "debug", "trace"].map(lines);
    assert!(counts[0] == 0 && counts.is_sorted_by(|less, more| less < more), "{counts:?}");
    t.rt(&["--log-level", "loud", "list"]).is_refused();
}

fn unknown_log_is_refused(t: &Sandbox) {
    t.rt(&["--log", "pigeon:post", "list"]).is_refused();
}

fn unknown_format_of_a_list_is_refused(t: &Sandbox) {
    t.rt(&["list", "--format", "xml"]).is_refused();
}

/// As mkdir(1) with `-p` makes it, for its owner alone.
fn state_root_is_made_with_its_parents(t: &Sandbox) {
    let c = &mut t.container();
    c.sh("true").write_config();
    let root = t.path("some/where/else");
    let bundle = c.bundle.to_str().expect("path").to_owned();
    t.rt(&["--root", root.to_str().expect("path"), "run", "--bundle", &bundle, &c.id]).ok();
    assert_eq!(fs::metadata(root).expect("made").permissions().mode() & 0o7777, 0o700);
}

fn unknown_log_format_is_refused(t: &Sandbox) {
    t.rt(&["--log-format", "xml", "list"]).is_refused();
}

fn unknown_cgroup_manager_is_refused(t: &Sandbox) {
    t.rt(&["--cgroup-manager", "made-up", "list"]).is_refused();
}

fn options_without_effect(t: &Sandbox) {
    let (c, bundle) = payload(t, "echo here");
    let words = ["--rootless", "false", "run", "--no-subreaper", "--no-new-keyring", "--bundle", &bundle, &c.id];
    assert_eq!(t.rt(&words).ok(), "here");
}
