//! Whose rights the process has: users that the image names, numbers that are no numbers, capabilities that are inherited,
//! groups of the caller.

use std::fs;
use std::process::Command;

use jzon::object;
use nix::libc;

use crate::breach::{holds, says};
use crate::support::{Container, Need, Sandbox, behind, with_key};
use crate::{Attack, attack};

pub fn attacks() -> Vec<Attack> {
    vec![
        attack!(cve_2016_3697_number_as_a_name_in_passwd),
        attack!(cve_2022_24769_file_with_inheritable_capabilities),
        attack!(cve_2022_27649_process_without_inheritable_capabilities),
        attack!(cve_2022_27650_spec_without_inheritable_capabilities),
        attack!(cve_2022_29162_capability_of_an_exec),
        attack!(cve_2025_27612_capability_of_an_exec_by_document),
        attack!(cve_2026_30892_users_of_an_exec),
        attack!(cve_2024_40635_user_above_the_range),
        attack!(cve_2026_46680_user_that_is_no_number),
        attack!(groups_of_the_caller),
        attack!(keyring_of_the_caller).needs(&[Need::Probe]),
        attack!(filter_of_every_thread).needs(&[Need::Probe]),
    ]
}

fn cve_2016_3697_number_as_a_name_in_passwd(t: &Sandbox) {
    let mut c = t.container();
    c.file("/etc/passwd", "1000:x:0:0::/:/bin/sh\n").as_user(1000, 1000);
    says(&c.sh("id -u").run(), "1000", "the user");
    c.as_user(0, 0).started();
    says(&c.exec(&["--user", "1000"], &["/bin/id", "-u"]), "1000", "the user of an exec");
    c.force_delete();
}

/// The inheritable and ambient sets that the process shows.
const SETS: &str = "sed -n 's/^Cap\\(Inh\\|Amb\\).*:[[:space:]]*//p' /proc/self/status";
const NONE: &str = "0000000000000000\n0000000000000000";

fn cve_2022_27649_process_without_inheritable_capabilities(t: &Sandbox) {
    let mut c = t.container();
    for uid in [0, 1000] {
        says(&c.as_user(uid, uid).sh(SETS).run(), NONE, "inheritable and ambient");
    }
    c.as_user(0, 0).started();
    says(&c.exec(&[], &["/bin/sh", "-c", SETS]), NONE, "inheritable and ambient of an exec");
    c.force_delete();
}

fn cve_2022_29162_capability_of_an_exec(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    for user in ["0", "1000"] {
        let ran = c.exec(&["--cap", "CAP_NET_RAW", "--user", user], &["/bin/sh", "-c", SETS]);
        says(&ran, NONE, "inheritable and ambient of an exec");
    }
    c.force_delete();
}

fn cve_2025_27612_capability_of_an_exec_by_document(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    c.capabilities(&["CAP_KILL", "CAP_NET_RAW"]).sh(SETS);
    let process = t.file("process.json", &c.config["process"].dump());
    let ran = t.rt(&["exec", "--process", process.to_str().expect("path"), &c.id]);
    says(&ran, NONE, "inheritable and ambient of an exec");
    c.force_delete();
}

fn cve_2022_27650_spec_without_inheritable_capabilities(t: &Sandbox) {
    let directory = t.path("spec");
    fs::create_dir(&directory).expect("mkdir");
    t.spawn(t.bare_command().current_dir(&directory).arg("spec")).wait().ok();
    let text = fs::read_to_string(directory.join("config.json")).expect("config.json");
    let config = jzon::parse(&text).expect("JSON");
    holds(config["process"]["capabilities"]["inheritable"].is_empty(), "a config with inheritable capabilities");
}

/// A program of the image that gives what its user may inherit: `cap_net_raw=ei`.
#[allow(unsafe_code)]
fn cve_2022_24769_file_with_inheritable_capabilities(t: &Sandbox) {
    const NET_RAW: u32 = 1 << 13;
    let mut c = t.container();
    c.mkdir("/capable").capabilities(&["CAP_NET_RAW", "CAP_KILL"]).as_user(1000, 1000);
    fs::copy(c.inside("/bin/busybox"), c.inside("/capable/busybox")).expect("copy");
    let path = std::ffi::CString::new(c.inside("/capable/busybox").to_str().expect("path")).expect("no NUL");
    // `struct vfs_ns_cap_data`, version 2, effective.
    let words: [u32; 5] = [0x0200_0001, 0, NET_RAW, 0, 0];
    let name = c"security.capability".as_ptr();
    let set = unsafe { libc::setxattr(path.as_ptr(), name, words.as_ptr().cast(), 20, 0) };
    assert_eq!(set, 0, "setxattr: {}", std::io::Error::last_os_error());
    c.config["process"]["noNewPrivileges"] = false.into();
    let ran = c.args(&["/capable/busybox", "sed", "-n", "s/^CapEff:[[:space:]]*//p", "/proc/self/status"]).run();
    says(&ran, "0000000000000000", "effective capabilities of the program");
}

/// The number that is written, or an error: uid 0 only where a zero is written.
fn cve_2026_30892_users_of_an_exec(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    let user = |word: &str| c.exec(&[&format!("--user={word}")], &["/bin/sh", "-c", "echo $(id -u) $(id -g)"]);
    for (word, ids) in [("1:2", "1 2"), ("0:0", "0 0"), ("1000:5", "1000 5"), ("4294967294:1", "4294967294 1")] {
        says(&user(word), ids, format_args!("the user {word:?}"));
    }
    holds(user("1").stdout().starts_with("1 "), "the user \"1\"");
    let wrong = [
        "",
        ":",
        "1:",
        ":2",
        "abc",
        "1abc",
        " 1",
        "+1",
        "-1",
        "0x10",
        "010",
        "4294967295",
        "4294967296",
        "1:2:3",
        "99999999999999999999",
        "root",
        "1,2",
        "1:4294967296",
    ];
    for word in wrong {
        let ran = user(word);
        holds(ran.code != 0, format_args!("the user {word:?} was taken: {ran}"));
    }
    c.force_delete();
}

#[track_caller]
fn is_refused_or_no_root(c: &mut Container<'_>, field: &str, value: &str) {
    c.config["process"]["user"] =
        jzon::parse(&format!("{{\"uid\": 1000, \"gid\": 1000, \"{field}\": {value}}}")).expect("JSON");
    let ran = c.sh("echo $(id -u) $(id -g)").run();
    holds(ran.code != 0, format_args!("{field} {value} was taken: {ran}"));
}

fn cve_2024_40635_user_above_the_range(t: &Sandbox) {
    let mut c = t.container();
    for value in ["4294967295", "4294967296", "4294968296", "99999999999999999999", "-1", "0.5"] {
        is_refused_or_no_root(&mut c, "uid", value);
        is_refused_or_no_root(&mut c, "gid", value);
    }
}

fn cve_2026_46680_user_that_is_no_number(t: &Sandbox) {
    let mut c = t.container();
    c.file("/etc/passwd", "a:x:0:0::/:/bin/sh\n:x:0:0::/:/bin/sh\n");
    for value in ["\"1000\"", "\"a\"", "\"\"", "true", "[]", "{}"] {
        is_refused_or_no_root(&mut c, "uid", value);
        is_refused_or_no_root(&mut c, "gid", value);
    }
}

/// What the caller may read by its groups is none of the container's business.
fn groups_of_the_caller(t: &Sandbox) {
    let grouped = |command: &Command| behind(&["setpriv", "--groups", "4,27,42"], command);
    let mut c = t.container();
    for uid in [0, 1000] {
        c.as_user(uid, uid).sh("sed -n 's/^Groups:[[:space:]]*//p' /proc/self/status").write_config();
        let ran = t.spawn(&mut grouped(&c.command("run", &[]))).wait();
        says(&ran, "", "supplementary groups");
    }
    c.as_user(0, 0).started();
    let exec = c.exec_command(&[], &["/bin/sed", "-n", "s/^Groups:[[:space:]]*//p", "/proc/self/status"]);
    says(&t.spawn(&mut grouped(&exec)).wait(), "", "supplementary groups of an exec");
    c.force_delete();
}

/// What the caller keeps in his session keyring, who has just unlocked something: for the container's process and for one
/// that joins it.
fn keyring_of_the_caller(t: &Sandbox) {
    let mut c = t.container();
    let name = format!("key-of-{}", c.id);
    let keyless = |command: &Command, who: &str| {
        let ran = t.spawn(&mut with_key(command, &name, "secret")).wait();
        says(&ran, "none", format_args!("the key that {who} finds"));
    };
    c.with_probe().args(&["/probe", "key", &name]);
    keyless(&c.write_config_for("run"), "the container");
    c.started();
    keyless(&c.exec_command(&[], &["/probe", "key", &name]), "who joins it");
    c.force_delete();
}

/// Also one that is made later, with and without the flag that is for more than one thread.
fn filter_of_every_thread(t: &Sandbox) {
    let mut c = t.container();
    c.probe("filtered");
    for flags in [&[][..], &["SECCOMP_FILTER_FLAG_TSYNC"]] {
        c.config["linux"]["seccomp"] = object! {
            defaultAction: "SCMP_ACT_ALLOW",
            flags: flags.to_vec(),
            syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_ERRNO" }],
        };
        for no_new_privileges in [true, false] {
            c.config["process"]["noNewPrivileges"] = no_new_privileges.into();
            says(&c.run(), "2 2", "the filter of a thread and of its maker");
        }
    }
    c.started();
    says(&c.exec(&[], &["/probe", "filtered"]), "2 2", "the filter of a thread and of its maker in an exec");
    c.force_delete();
}
