//! Rootless: the runtime in the hands of an ordinary user, who is root only in a user namespace of his own.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;

use jzon::{JsonValue, array, object};

use crate::case;
use crate::support::{Case, Container, Kind, Need, Sandbox, User, read, unified};

pub fn cases() -> Vec<Case> {
    let user = |case: Case| case.needs(&[Need::User]);
    let ids = |case: Case| case.needs(&[Need::SubordinateIds]);
    vec![
        user(case!(he_is_root_inside)),
        user(case!(from_create_to_delete)),
        user(case!(state_is_below_xdg_runtime_dir)).isopod_only("each has a directory of its own name"),
        user(case!(exec_is_in_every_namespace)),
        user(case!(oom_score_is_raised_and_not_lowered))
            .differs(Kind::Crun, "does not give it to what is executed later"),
        user(case!(container_of_spec_runs)).isopod_only("crun's has no mappings, runc cannot say where to write"),
        user(case!(user_namespace_is_added)).differs(Kind::Runc, "wants it to be in the config"),
        user(case!(root_need_not_be_mapped)).differs(Kind::Runc, "wants a root"),
        user(case!(groups_cannot_be_had)).differs(Kind::Runc, "refuses them"),
        user(case!(unmapped_user_is_refused)),
        user(case!(sources_are_opened_with_his_rights)),
        user(case!(idmap_is_refused)).isopod_only("in other words"),
        user(case!(limits_are_ignored_with_a_warning)).isopod_only("says so in its own words"),
        user(case!(cgroup_of_his_choice_is_refused)),
        case!(cgroup_is_in_what_is_delegated_to_him)
            .needs(&[Need::User, Need::V2("pids"), Need::Program("setpriv")])
            .isopod_only("the others do so with systemd's help only"),
        user(case!(terminal)).isopod_only("without a terminal of the caller's the others give none"),
        user(case!(devices_are_the_hosts)),
        user(case!(nothing_of_the_host_can_be_changed)),
        ids(case!(maps_by_the_helpers)).differs(Kind::Runc, "allows no other groups to who is not root"),
        ids(case!(maps_of_a_hundred_lines))
            .differs(Kind::Crun, "passes on no more than six")
            .differs(Kind::Runc, "has too few words for the helper"),
        ids(case!(default_maps_are_those_of_subuid)).differs(Kind::Runc, "wants mappings in the config"),
        ids(case!(default_map_without_the_helpers_help)).differs(Kind::Runc, "wants mappings in the config"),
        ids(case!(ids_of_others_are_refused)),
        ids(case!(helpers_of_his_own_are_not_called)).isopod_only("the others look at PATH first"),
    ]
}

fn maps(c: &mut Container<'_>, uid: &[[u32; 3]], gid: &[[u32; 3]]) {
    for (name, ranges) in [("uidMappings", uid), ("gidMappings", gid)] {
        let lines = ranges.iter().map(|[inside, outside, size]| {
            object! { containerID: *inside, hostID: *outside, size: *size }
        });
        c.config["linux"][name] = lines.collect::<Vec<JsonValue>>().into();
    }
}

fn without_maps(c: &mut Container<'_>) {
    c.config["linux"].remove("uidMappings");
    c.config["linux"].remove("gidMappings");
}

/// The map as numbers, line by line.
fn shown(ranges: &[[u32; 3]]) -> String {
    ranges.iter().map(|[inside, outside, size]| format!("{inside} {outside} {size}\n")).collect::<String>()
}

const MAPS: &str = "awk '{print $1, $2, $3}' /proc/self/uid_map";
const GROUP_MAPS: &str = "awk '{print $1, $2, $3}' /proc/self/gid_map";

fn map_of(user: &User) -> String {
    format!("0 {} 1", user.uid)
}

fn he_is_root_inside(t: &Sandbox) {
    let user = t.as_ordinary_user();
    let mut c = t.container();
    assert_eq!(c.out("id -u; id -g; cat /proc/self/setgroups"), "0\n0\ndeny");
    assert_eq!(c.out(MAPS), map_of(user));
    assert_eq!(c.out(GROUP_MAPS), format!("0 {} 1", user.gid));
    assert_eq!(c.out("grep -c . /proc/self/mountinfo >/dev/null && hostname"), "isopod");
    // What he makes is his outside.
    assert_eq!(c.writable().out("touch /tmp/file && stat -c %u /tmp/file"), "0");
    assert_eq!(fs::metadata(c.inside("tmp/file")).expect("file").uid(), user.uid);
}

fn from_create_to_delete(t: &Sandbox) {
    let user = t.as_ordinary_user();
    let mut c = t.container();
    c.args(&["/bin/sleep", "600"]).created();
    assert_eq!(c.status(), "created");
    c.start().ok();
    assert_eq!(c.status(), "running");
    let pid = c.pid();
    assert_eq!(fs::metadata(format!("/proc/{pid}")).expect("init").uid(), user.uid);
    assert!(t.rt(&["list"]).ok().contains(&c.id));
    c.kill("KILL").ok();
    c.wait_until_stopped();
    c.delete().ok();
    assert_eq!(t.rt(&["list", "-q"]).ok(), "");
}

fn state_is_below_xdg_runtime_dir(t: &Sandbox) {
    t.as_ordinary_user();
    let mut c = t.container();
    c.args(&["/bin/sleep", "600"]).write_config();
    let bare = |args: &[&str]| t.spawn(t.bare_command().args(args)).wait();
    bare(&["create", "--bundle", c.bundle.to_str().expect("path"), &c.id]).exits(0);
    let state = t.path("run").join("isopod").join(&c.id).join("state.json");
    assert_eq!(fs::metadata(&state).expect("state").permissions().mode() & 0o777, 0o600);
    assert_eq!(bare(&["list", "-q"]).ok(), c.id);
    bare(&["delete", "--force", &c.id]).exits(0);
    assert!(!state.exists());
}

fn exec_is_in_every_namespace(t: &Sandbox) {
    t.as_ordinary_user();
    let mut c = t.container();
    let pid = c.started();
    for name in ["user", "pid", "mnt", "net", "ipc", "uts"] {
        let own = fs::read_link(format!("/proc/{pid}/ns/{name}")).expect("namespace");
        assert_eq!(c.exec_out(&[], &format!("readlink /proc/self/ns/{name}")), own.to_string_lossy(), "{name}");
    }
    assert_eq!(c.exec_out(&[], "id -u; readlink /proc/1/exe"), "0\n/bin/busybox");
    c.exec(&[], &["/bin/sh", "-c", "exit 7"]).exits(7);
    c.exec(&[], &["/does/not/exist"]).is_refused();
    c.force_delete().ok();
}

fn oom_score_is_raised_and_not_lowered(t: &Sandbox) {
    t.as_ordinary_user();
    let own: i32 = read("/proc/self/oom_score_adj").trim().parse().expect("a number");
    let mut c = t.container();
    c.config["process"]["oomScoreAdj"] = (own + 1).into();
    c.started();
    assert_eq!(c.exec_out(&[], "cat /proc/1/oom_score_adj"), (own + 1).to_string());
    assert_eq!(c.exec_out(&[], "cat /proc/self/oom_score_adj"), (own + 1).to_string());
    c.force_delete().ok();
    if own > -1000 {
        let mut c = t.container();
        c.config["process"]["oomScoreAdj"] = (-1000).into();
        c.args(&["/bin/true"]).run().is_refused();
    }
}

fn container_of_spec_runs(t: &Sandbox) {
    let user = t.as_ordinary_user();
    let mut c = t.container();
    let spec = t.path("spec.json");
    t.spawn(t.bare_command().args(["spec", "--rootless", "--file"]).arg(&spec)).wait().ok();
    c.config = jzon::parse(&read(&spec)).expect("JSON");
    c.config["process"]["terminal"] = false.into();
    assert_eq!(c.out("id -u"), "0");
    assert_eq!(c.out(MAPS), map_of(user));
}

fn user_namespace_is_added(t: &Sandbox) {
    let user = t.as_ordinary_user();
    let mut c = t.container();
    c.without_namespace("user");
    assert_eq!(c.out(MAPS), map_of(user));
}

fn root_need_not_be_mapped(t: &Sandbox) {
    let user = t.as_ordinary_user();
    let mut c = t.container();
    maps(&mut c, &[[1000, user.uid, 1]], &[[1001, user.gid, 1]]);
    c.as_user(1000, 1001).without_mount("/dev/pts");
    assert_eq!(c.out("id -u; id -g"), "1000\n1001");
}

fn groups_cannot_be_had(t: &Sandbox) {
    t.as_ordinary_user();
    let mut c = t.container();
    c.config["process"]["user"]["additionalGids"] = array![0];
    assert_eq!(c.out("id -G"), "0");
}

fn unmapped_user_is_refused(t: &Sandbox) {
    t.as_ordinary_user();
    let mut c = t.container();
    c.as_user(5, 0).args(&["/bin/true"]).run().is_refused();
    c.as_user(0, 5).run().is_refused();
}

/// A file that is his alone, in a directory that is his alone: neither root inside nor anybody else could open it by
/// other rights than his.
fn sources_are_opened_with_his_rights(t: &Sandbox) {
    t.as_ordinary_user();
    let private = t.path("private");
    let script = format!("mkdir -m 700 {0} && echo his >{0}/file && chmod 600 {0}/file", private.display());
    t.spawn(t.users_command("sh").args(["-c", &script])).wait().ok();
    let theirs = t.file("roots", "secret\n");
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o600)).expect("chmod");
    let mut c = t.container();
    c.bind("/his", private.join("file"), &["ro"]).bind("/roots", &theirs, &["ro"]);
    assert_eq!(c.out("cat /his; cat /roots 2>&1 || true"), "his\ncat: can't open '/roots': Permission denied");
    // Relative to the bundle.
    fs::write(c.bundle.join("beside"), "beside\n").expect("write");
    assert_eq!(c.bind("/beside", "beside", &["ro"]).out("cat /beside"), "beside");
}

fn idmap_is_refused(t: &Sandbox) {
    t.as_ordinary_user();
    for mount in [
        object! { destination: "/data", "type": "bind", source: "/usr", options: ["idmap"] },
        object! { destination: "/data", "type": "tmpfs", options: ["idmap=uids=0-0-1;gids=0-0-1"] },
    ] {
        let mut c = t.container();
        c.config["mounts"].push(mount).expect("push");
        c.run().fails(&["config.json mounts[", "].options: only root can id-map a mount"]);
    }
}

fn limits_are_ignored_with_a_warning(t: &Sandbox) {
    t.as_ordinary_user();
    let mut c = t.container();
    c.config["linux"]["resources"] = object! { pids: { limit: 5 } };
    let ran = c.args(&["/bin/true"]).run();
    ran.ok();
    assert!(ran.stderr().contains("linux.resources: ignored"), "{ran}");
}

fn cgroup_of_his_choice_is_refused(t: &Sandbox) {
    t.as_ordinary_user();
    let mut c = t.container();
    c.config["linux"]["cgroupsPath"] = format!("/{}", c.id).into();
    c.args(&["/bin/true"]).run().is_refused();
}

/// A subtree is his: the container is beside him in it, with its limits, and nothing else of it is left.
fn cgroup_is_in_what_is_delegated_to_him(t: &Sandbox) {
    let user = t.as_ordinary_user();
    let root = unified("pids").expect("cgroup v2");
    fs::write(root.join("cgroup.subtree_control"), "+pids").expect("controllers");
    let his = root.join(t.new_id());
    let caller = his.join("caller");
    fs::create_dir_all(&caller).expect("mkdir");
    for dir in [&his, &caller] {
        for file in ["", "cgroup.procs", "cgroup.subtree_control"] {
            chown(dir.join(file), Some(user.uid), Some(user.gid)).expect("chown");
        }
    }
    let mut c = t.container();
    c.config["linux"]["resources"] = object! { pids: { limit: 5 } };
    c.args(&["/bin/sleep", "1000"]).write_config();
    let inner = c.command("run", &["--detach"]);
    let mut run = Command::new("sh");
    let script = "echo 0 >$0/cgroup.procs; uid=$1 gid=$2; shift 2
                  exec setpriv --reuid $uid --regid $gid --clear-groups -- \"$@\"";
    run.args(["-c", script]).arg(&caller).args([user.uid.to_string(), user.gid.to_string()]);
    run.arg(inner.get_program()).args(inner.get_args()).current_dir(t.path(""));
    run.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    t.spawn(&mut run).wait().ok();

    let cgroup = read(format!("/proc/{}/cgroup", c.pid()));
    let cgroup = root.join(cgroup.trim().strip_prefix("0::/").expect("a cgroup"));
    assert!(cgroup.starts_with(&his) && !cgroup.starts_with(&caller), "{}", cgroup.display());
    assert_eq!(read(cgroup.join("pids.max")).trim(), "5");
    c.force_delete().ok();
    assert!(!cgroup.exists());
    fs::remove_dir(&caller).expect("rmdir");
    fs::remove_dir(&his).expect("nothing is left");
}

fn terminal(t: &Sandbox) {
    t.as_ordinary_user();
    let mut c = t.container();
    c.config["process"]["terminal"] = true.into();
    let ran = c.sh("test -t 0 && tty").run();
    assert_eq!(ran.ok().trim(), "/dev/pts/0", "{ran}");
}

fn devices_are_the_hosts(t: &Sandbox) {
    t.as_ordinary_user();
    let mut c = t.container();
    let out = c.out("for f in null zero full random urandom tty; do stat -c '%t:%T' /dev/$f; done; echo x >/dev/null");
    assert_eq!(out, "1:3\n1:5\n1:7\n1:8\n1:9\n5:0");
    assert_eq!(c.out("head -c 3 /dev/zero | wc -c; chmod 600 /dev/null 2>/dev/null || echo no"), "3\nno");
}

fn nothing_of_the_host_can_be_changed(t: &Sandbox) {
    t.as_ordinary_user();
    let before = read("/proc/sys/kernel/hostname");
    let mut c = t.container();
    c.capabilities(&["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]);
    assert_eq!(
        c.out("hostname changed; hostname; mount -t tmpfs x /tmp && touch /tmp/x && echo made"),
        "changed\nmade"
    );
    assert_eq!(read("/proc/sys/kernel/hostname"), before);
}

fn maps_by_the_helpers(t: &Sandbox) {
    let user = t.as_ordinary_user();
    let (first, _) = user.subuid.expect("ids");
    let mut c = t.container();
    let ranges = |own| [[0, own, 1], [1, first, 1000], [5000, first + 1000, 10]];
    maps(&mut c, &ranges(user.uid), &ranges(user.gid));
    assert_eq!(c.out(MAPS), shown(&ranges(user.uid)).trim_end());
    assert_eq!(c.out(GROUP_MAPS), shown(&ranges(user.gid)).trim_end());
    c.as_user(5, 7);
    c.config["process"]["user"]["additionalGids"] = array![5, 6];
    c.mkdir("open");
    fs::set_permissions(c.inside("open"), fs::Permissions::from_mode(0o777)).expect("chmod");
    assert_eq!(c.writable().out("id -u; id -G; touch /open/file"), "5\n7 5 6");
    let made = fs::metadata(c.inside("open/file")).expect("file");
    assert_eq!((made.uid(), made.gid()), (first + 4, first + 6));
    c.as_user(0, 0).started();
    assert_eq!(c.exec_out(&["--user", "5:6"], "id -u; id -g"), "5\n6");
    c.force_delete().ok();
}

fn maps_of_a_hundred_lines(t: &Sandbox) {
    let user = t.as_ordinary_user();
    let (first, _) = user.subuid.expect("ids");
    let ranges: Vec<_> = [[0, user.uid, 1]].into_iter().chain((1..=100).map(|id| [id, first + 2 * id, 1])).collect();
    let mut c = t.container();
    maps(&mut c, &ranges, &[[0, user.gid, 1]]);
    assert_eq!(c.out(MAPS), shown(&ranges).trim_end());
}

fn default_maps_are_those_of_subuid(t: &Sandbox) {
    let user = t.as_ordinary_user();
    let (first, count) = user.subuid.expect("ids");
    let mut c = t.container();
    without_maps(&mut c);
    assert_eq!(c.out(MAPS), shown(&[[0, user.uid, 1], [1, first, count]]).trim_end());
    // Whoever the process is, he is the caller.
    c.as_user(5, 0);
    assert_eq!(c.out(MAPS), shown(&[[0, first, 5], [5, user.uid, 1], [6, first + 5, count - 5]]).trim_end());
}

/// A caller who cannot gain privileges gains none from newuidmap, which is set-user-id.
fn default_map_without_the_helpers_help(t: &Sandbox) {
    let user = t.as_ordinary_user();
    let mut c = t.container();
    without_maps(&mut c);
    let run = c.sh(MAPS).write_config_for("run");
    let mut setpriv = t.users_command("setpriv");
    setpriv.arg("--no-new-privs").arg(run.get_program()).args(run.get_args());
    let ran = t.spawn(&mut setpriv).wait();
    assert_eq!(ran.ok(), map_of(user), "{ran}");
}

fn ids_of_others_are_refused(t: &Sandbox) {
    let user = t.as_ordinary_user();
    let mut c = t.container();
    maps(&mut c, &[[0, 0, 1]], &[[0, user.gid, 1]]);
    c.args(&["/bin/true"]).run().is_refused();
    maps(&mut c, &[[0, user.uid, 1]], &[[0, user.gid, 1], [1, 0, 1]]);
    c.run().is_refused();
}

/// Neither the container's PATH nor a directory that others than root can write to (CVE-2026-84042).
fn helpers_of_his_own_are_not_called(t: &Sandbox) {
    let user = t.as_ordinary_user();
    let (first, _) = user.subuid.expect("ids");
    let mut c = t.container();
    maps(&mut c, &[[0, user.uid, 1], [1, first, 5]], &[[0, user.gid, 1], [1, first, 5]]);
    c.env("PATH=/evil:/bin");
    let marker = t.path("run/marker");
    let script = format!("#!/bin/sh\ntouch {}\n", marker.display());
    for dir in [t.path("evil"), c.inside("evil")] {
        fs::create_dir_all(&dir).expect("mkdir");
        for name in ["newuidmap", "newgidmap"] {
            fs::write(dir.join(name), &script).expect("write");
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o755)).expect("chmod");
        }
    }
    let mut run = c.args(&["/bin/id", "-u"]).write_config_for("run");
    run.env("PATH", format!(".:evil:{}:/usr/bin:/bin", t.path("evil").display()));
    assert_eq!(t.spawn(&mut run).wait().ok(), "0");
    assert!(!marker.exists());
}
