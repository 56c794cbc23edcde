//! AppArmor: under which profile a container's processes are, by what the kernel says and by what it lets them do.

use std::fs;
use std::process::Command;

use jzon::object;

use crate::case;
use crate::support::{Case, Container, Kind, Need, Profile, Sandbox, behind, read, refused_in_one_line};

pub fn cases() -> Vec<Case> {
    let cases = [
        case!(profile_is_enforced),
        case!(profile_that_only_complains),
        case!(profile_without_new_privileges),
        case!(profile_in_a_user_namespace).needs(&[Need::UserNamespaces]),
        case!(profile_of_an_ordinary_user).needs(&[Need::User]),
        case!(profile_without_a_procfs),
        case!(profile_of_a_created_container),
        case!(profile_that_is_not_loaded_is_refused).isopod_only("other words"),
        case!(exec_is_under_the_profile),
        case!(exec_under_another_profile),
        case!(exec_where_others_may_trace),
        case!(exec_into_a_user_namespace).needs(&[Need::UserNamespaces]),
        case!(exec_under_what_is_not_loaded_is_refused).isopod_only("other words"),
        case!(hook_of_the_container_is_under_the_profile),
        case!(confined_runtime_leaves_its_profile),
        case!(confined_runtime_stacks).differs(Kind::Runc, "never stacks"),
        case!(confined_runtime_without_new_privileges)
            .needs(&[Need::Program("setpriv")])
            .isopod_only("they go by the config alone"),
        case!(runtime_in_an_unconfined_profile).differs(Kind::Crun, "stacks upon it"),
    ];
    cases.map(|case| case.needs(&[Need::AppArmor])).into()
}

/// A container that says what it is under, and whether it can read `/allowed` and `/denied`.
fn asking<'a>(t: &'a Sandbox, profile: &str) -> Container<'a> {
    let mut c = t.container();
    c.file("/allowed", "allowed").file("/denied", "denied").sh(ASK);
    c.config["process"]["apparmorProfile"] = profile.into();
    c
}

const ASK: &str = "cat /proc/self/attr/current; cat /allowed /denied 2>&1";
const REFUSED: &str = "allowedcat: can't open '/denied': Permission denied";

fn enforced(profile: &Profile) -> String {
    format!("{} (enforce)\n{REFUSED}", profile.name)
}

/// A container of this kind that is there to execute in.
fn running<'a>(t: &'a Sandbox, profile: &str) -> Container<'a> {
    let mut c = asking(t, profile);
    c.started();
    c
}

/// What the kernel says of a process, asked from outside.
fn label_of(pid: i32) -> String {
    read(format!("/proc/{pid}/attr/current")).trim_end().to_owned()
}

/// A command that has no right to say no: what it says when it has ended, with or without success.
fn said(t: &Sandbox, command: &mut Command) -> String {
    let ran = t.spawn(command).wait();
    assert_eq!(ran.stderr(), "", "{ran}");
    ran.stdout().trim_end().to_owned()
}

fn profile_is_enforced(t: &Sandbox) {
    let profile = Profile::of_container(t, "enforced", "");
    for no_new_privileges in [true, false] {
        let mut c = asking(t, &profile.name);
        c.config["process"]["noNewPrivileges"] = no_new_privileges.into();
        assert_eq!(c.run().exits(1).stdout().trim_end(), enforced(&profile));
    }
    // That it is the profile which denies it.
    for none in ["", "unconfined"] {
        assert_eq!(asking(t, none).run().ok(), "unconfined\nalloweddenied");
    }
}

fn profile_that_only_complains(t: &Sandbox) {
    // An explicit denial is enforced even then.
    let profile = Profile::load(t, "complaining", ",complain", "/bin/* rmix, /proc/** r, /allowed r,");
    assert_eq!(asking(t, &profile.name).run().ok(), format!("{} (complain)\nalloweddenied", profile.name));
}

fn profile_without_new_privileges(t: &Sandbox) {
    let profile = Profile::of_container(t, "unprivileged", "");
    let mut c = asking(t, &profile.name);
    let nobody: &[&str] = &[];
    c.as_user(1000, 1000).capabilities(nobody);
    assert_eq!(c.run().exits(1).stdout().trim_end(), enforced(&profile));
}

fn profile_in_a_user_namespace(t: &Sandbox) {
    let profile = Profile::of_container(t, "mapped", "");
    let mut c = asking(t, &profile.name);
    c.with_user_namespace();
    assert_eq!(c.run().exits(1).stdout().trim_end(), enforced(&profile));
}

fn profile_of_an_ordinary_user(t: &Sandbox) {
    let profile = Profile::of_container(t, "rootless", "");
    t.as_ordinary_user();
    let mut c = asking(t, &profile.name);
    assert_eq!(c.run().exits(1).stdout().trim_end(), enforced(&profile));
    c.started();
    assert_eq!(said(t, &mut c.exec_command(&[], &["/bin/sh", "-c", ASK])), enforced(&profile));
}

/// The label is written into the host's procfs, which the container need not have.
fn profile_without_a_procfs(t: &Sandbox) {
    let profile = Profile::of_container(t, "blind", "");
    let mut c = asking(t, &profile.name);
    c.without_mount("/proc");
    let pid = c.started();
    assert_eq!(label_of(pid), format!("{} (enforce)", profile.name));
}

fn profile_of_a_created_container(t: &Sandbox) {
    let profile = Profile::of_container(t, "created", "");
    let mut c = asking(t, &profile.name);
    c.args(&["/bin/sleep", "600"]).created();
    // It is for the program, which comes with `start`.
    assert_eq!(label_of(c.pid()), "unconfined");
    c.start().ok();
    assert_eq!(label_of(c.pid()), format!("{} (enforce)", profile.name));
}

fn profile_that_is_not_loaded_is_refused(t: &Sandbox) {
    let c = asking(t, "isopod-never-loaded");
    for ran in [c.run(), c.create()] {
        ran.fails(&[
            "`exec isopod-never-loaded` to /proc/self/attr/apparmor/exec",
            "no profile of that name is loaded",
        ]);
        refused_in_one_line(&ran);
        assert!(t.states().is_empty() && t.cgroups().is_empty() && t.mounts().is_empty());
    }
}

fn exec_is_under_the_profile(t: &Sandbox) {
    let profile = Profile::of_container(t, "running", "");
    let c = running(t, &profile.name);
    assert_eq!(said(t, &mut c.exec_command(&[], &["/bin/sh", "-c", ASK])), enforced(&profile));
    let document = t.file("process.json", &object! { args: ["/bin/sh", "-c", ASK] }.dump());
    let document = document.to_str().expect("path");
    assert_eq!(said(t, &mut c.exec_command(&["--process", document], &[])), enforced(&profile));
}

fn exec_under_another_profile(t: &Sandbox) {
    let (profile, other) = (Profile::of_container(t, "running", ""), Profile::of_container(t, "other", ""));
    let c = running(t, &profile.name);
    let mut asked = c.exec_command(&["--apparmor", &other.name], &["/bin/sh", "-c", ASK]);
    assert_eq!(said(t, &mut asked), enforced(&other));
    let document =
        object! { args: ["/bin/sh", "-c", ASK], apparmorProfile: other.name.as_str(), noNewPrivileges: true };
    let document = t.file("process.json", &document.dump());
    let document = document.to_str().expect("path");
    assert_eq!(said(t, &mut c.exec_command(&["--process", document], &[])), enforced(&other));
    // The command line has the last word, and none at all is one.
    let mut asked = c.exec_command(&["--process", document, "--apparmor", &profile.name], &[]);
    assert_eq!(said(t, &mut asked), enforced(&profile));
    let mut asked = c.exec_command(&["--apparmor="], &["/bin/sh", "-c", ASK]);
    assert_eq!(said(t, &mut asked), "unconfined\nalloweddenied");
}

/// Then another process goes in for it.
fn exec_where_others_may_trace(t: &Sandbox) {
    let profile = Profile::of_container(t, "tracing", "");
    let mut c = asking(t, &profile.name);
    c.capabilities(&["CAP_SYS_PTRACE"]).started();
    assert_eq!(said(t, &mut c.exec_command(&[], &["/bin/sh", "-c", ASK])), enforced(&profile));
}

fn exec_into_a_user_namespace(t: &Sandbox) {
    let profile = Profile::of_container(t, "mapped", "");
    let mut c = asking(t, &profile.name);
    c.with_user_namespace().started();
    assert_eq!(said(t, &mut c.exec_command(&[], &["/bin/sh", "-c", ASK])), enforced(&profile));
}

fn exec_under_what_is_not_loaded_is_refused(t: &Sandbox) {
    let profile = Profile::of_container(t, "running", "");
    let c = running(t, &profile.name);
    let before = t.processes();
    let ran = c.exec(&["--apparmor", "isopod-never-loaded"], &["true"]);
    ran.fails(&["`exec isopod-never-loaded` to", "no profile of that name is loaded"]);
    refused_in_one_line(&ran);
    assert_eq!(t.processes(), before);
}

/// A program of the container's is under what the container is under; one of the host's is not.
fn hook_of_the_container_is_under_the_profile(t: &Sandbox) {
    let profile = Profile::of_container(t, "hooked", "");
    let mut c = asking(t, &profile.name);
    let shared = t.path("shared");
    fs::create_dir(&shared).expect("mkdir");
    let path = shared.to_str().expect("path").to_owned();
    c.bind(&path, &shared, &["rw"]).args(&["/bin/true"]);
    for stage in ["createRuntime", "createContainer", "startContainer"] {
        let script = format!("cat /proc/self/attr/current >{path}/{stage}");
        c.config["hooks"][stage] = jzon::array![object! { path: "/bin/sh", args: ["sh", "-c", script.as_str()] }];
    }
    c.run().ok();
    let told = |stage: &str| read(shared.join(stage)).trim_end().to_owned();
    assert_eq!([told("createRuntime"), told("createContainer")], ["unconfined", "unconfined"]);
    assert_eq!(told("startContainer"), format!("{} (enforce)", profile.name));
}

fn confined_runtime_leaves_its_profile(t: &Sandbox) {
    let (runtime, profile) = (Profile::of_runtime(t, "runtime", ""), Profile::of_container(t, "container", ""));
    let mut c = asking(t, &profile.name);
    c.config["process"]["noNewPrivileges"] = false.into();
    let ask = |c: &Container| said(t, &mut runtime.around(&c.write_config_for("run")));
    assert_eq!(ask(&c), enforced(&profile));
    // Without one of its own it stays under that of the runtime.
    c.config["process"].remove("apparmorProfile");
    assert_eq!(ask(&c), format!("{} (enforce)\nalloweddenied", runtime.name));
}

/// Who can gain no privileges may not leave a profile, only come under one more.
fn confined_runtime_stacks(t: &Sandbox) {
    let (runtime, profile) = (Profile::of_runtime(t, "runtime", ""), Profile::of_container(t, "container", ""));
    let c = asking(t, &profile.name);
    assert_eq!(said(t, &mut runtime.around(&c.write_config_for("run"))), both(&profile, &runtime));
    let c = running(t, &profile.name);
    let mut exec = c.exec_command(&["--no-new-privs"], &["/bin/sh", "-c", ASK]);
    assert_eq!(said(t, &mut runtime.around(&exec)), both(&profile, &runtime));
    assert_eq!(said(t, &mut exec), enforced(&profile));
}

/// Under both, which the kernel names in the order of their names.
fn both(container: &Profile, runtime: &Profile) -> String {
    format!("{}//&{} (enforce)\n{REFUSED}", container.name, runtime.name)
}

/// The same if it is the runtime that cannot gain any, whatever the config says.
fn confined_runtime_without_new_privileges(t: &Sandbox) {
    let (runtime, profile) = (Profile::of_runtime(t, "runtime", ""), Profile::of_container(t, "container", ""));
    let mut c = asking(t, &profile.name);
    c.config["process"]["noNewPrivileges"] = false.into();
    let command = c.write_config_for("run");
    let mut bound = behind(&["setpriv", "--no-new-privs"], &command);
    assert_eq!(said(t, &mut runtime.around(&bound)), both(&profile, &runtime));
    // And if nothing confines it, it may go anywhere.
    assert_eq!(said(t, &mut bound), enforced(&profile));
}

/// A profile that confines nothing is none, for the kernel and for us: distributions have such for runtimes and engines.
fn runtime_in_an_unconfined_profile(t: &Sandbox) {
    let runtime = Profile::of_runtime(t, "runtime", ",unconfined");
    let profile = Profile::of_container(t, "container", "");
    let c = asking(t, &profile.name);
    assert_eq!(said(t, &mut runtime.around(&c.write_config_for("run"))), enforced(&profile));
}
