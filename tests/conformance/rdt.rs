//! Intel RDT: in vain where the kernel has none, then with directories that look like its file system, seen by the runtime
//! alone.

use std::path::Path;
use std::process::Command;

use jzon::{JsonValue, object};

use crate::case;
use crate::support::{Case, Container, Need, Sandbox};

const WORDS: &str = "other words";
const MAGIC: &str = "wants the real file system";

pub fn cases() -> Vec<Case> {
    vec![
        case!(refused_without_the_file_system).needs(&[Need::NoResctrl]).isopod_only(WORDS),
        case!(mistakes_name_their_field).isopod_only(WORDS),
        case!(update_without_a_group).isopod_only(WORDS),
        case!(group_that_is_there).needs(&[Need::NoResctrl]).isopod_only(MAGIC),
        case!(root_of_all_groups).needs(&[Need::NoResctrl]).isopod_only(MAGIC),
        case!(group_of_its_own).needs(&[Need::NoResctrl, Need::Program("strace")]).isopod_only(MAGIC),
        case!(update_without_cgroups).needs(&[Need::NoResctrl]).isopod_only(MAGIC),
        case!(named_group_stays).needs(&[Need::NoResctrl, Need::Program("strace")]).isopod_only(MAGIC),
        case!(groups_that_are_refused).needs(&[Need::NoResctrl]).isopod_only(MAGIC),
        case!(what_fails_leaves_no_group).needs(&[Need::NoResctrl]).isopod_only(MAGIC),
    ]
}

fn refused_without_the_file_system(t: &Sandbox) {
    for rdt in [
        object! {},
        object! { closID: "/" },
        object! { closID: "some", l3CacheSchema: "L3:0=f" },
        object! { enableMonitoring: true },
    ] {
        let mut c = t.container();
        c.config["linux"]["intelRdt"] = rdt;
        for ran in [c.sh("echo ran").run(), c.create()] {
            ran.fails(&["linux.intelRdt: the resctrl file system is not mounted at /sys/fs/resctrl"]);
            assert_eq!((ran.stdout().as_str(), ran.stderr().lines().count()), ("", 1), "{ran}");
        }
        assert!(t.states().is_empty() && t.cgroups().is_empty());
        assert!(!Path::new("/sys/fs/resctrl/some").exists());
    }
}

fn mistakes_name_their_field(t: &Sandbox) {
    for (rdt, words) in [
        (object! { closID: "../x" }, "config.json linux.intelRdt.closID: is not the name of a group"),
        (object! { memBwSchema: "L3:0=f" }, "config.json linux.intelRdt.memBwSchema: "),
        (object! { schemata: ["L3:0=f", "L3:0=f\nL3:1=f"] }, "config.json linux.intelRdt.schemata[1]: "),
    ] {
        let mut c = t.container();
        c.config["linux"]["intelRdt"] = rdt;
        c.create().fails(&[words]);
    }
}

fn update_without_a_group(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    let words = ["its config has no linux.intelRdt"];
    c.about("update", &["--l3-cache-schema=L3:0=f"]).fails(&words);
    c.about("update", &["--mem-bw-schema=MB:0=10"]).fails(&words);
    c.about("update", &["--mem-bw-schema=L3:0=10"]).fails(&["update linux.intelRdt.memBwSchema"]);
}

/// Runs a script where directories take the place of the file system, with one group. In it `rt` is the runtime, `$id` the
/// container; `made COMMAND...` does what the kernel does when a directory is made: files are in it before the runtime goes
/// on.
fn with_groups(t: &Sandbox, c: &Container<'_>, script: &str) -> String {
    c.write_config();
    let begin = format!(
        "set -eu; id={id}; bundle={bundle}; r=/sys/fs/resctrl
        rt() {{ {runtime} --root {state} \"$@\"; }}
        kernel() {{
            for group in $r/there $r/named $r/$id; do
                test ! -d $group || {{ mkdir -p $group/mon_groups; touch $group/tasks $group/schemata; }}
                test ! -d $group/mon_groups/$id || touch $group/mon_groups/$id/tasks
            done
        }}
        made() {{
            rm -f {trace}; strace -o {trace} -e trace=mkdirat -e inject=mkdirat:signal=STOP {runtime} --root {state} \"$@\" & going=0
            while kill -0 $! 2>/dev/null; do
                stopped=$(grep -c 'stopped by SIGSTOP' {trace} 2>/dev/null) || true
                if test \"${{stopped:-0}}\" -gt $going; then
                    kernel; kill -CONT $(cat /proc/$!/task/$!/children); going=$((going + 1))
                fi
                sleep 0.02
            done
            wait $!
        }}
        mkdir {keep}; mount --rbind /sys/fs/cgroup {keep}; mount -t tmpfs x /sys/fs
        mkdir /sys/fs/cgroup $r; mount --rbind {keep} /sys/fs/cgroup; umount -l {keep}; rmdir {keep}
        mkdir -p $r/there/mon_groups $r/mon_groups; touch $r/tasks $r/there/tasks
        printf '    L3:0=fff;1=0ff\\n    MB:0=100\\n' | tee $r/schemata >$r/there/schemata\n",
        id = c.id,
        bundle = c.bundle.display(),
        runtime = t.runtime.path.display(),
        state = t.state_root().display(),
        trace = t.path("trace").display(),
        keep = t.path("keep").display(),
    );
    let script = t.file("script", &(begin + script));
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh"]).arg(script);
    command.env("CONFORMANCE", t.mark().split_once('=').expect("a mark").1);
    t.spawn(&mut command).wait().ok()
}

fn with_rdt(t: &Sandbox, rdt: JsonValue) -> Container<'_> {
    let mut c = t.container();
    c.config["linux"]["intelRdt"] = rdt;
    c.args(&["/bin/sleep", "600"]);
    c
}

fn group_that_is_there(t: &Sandbox) {
    let c = with_rdt(
        t,
        object! { closID: "there", l3CacheSchema: "L3:1=ff", memBwSchema: "MB:0=100", schemata: ["L2:0=f"] },
    );
    let out = with_groups(
        t,
        &c,
        "rt create --bundle $bundle --pid-file $bundle/pid $id
        test $(cat $r/there/tasks) = $(cat $bundle/pid) && head -n 3 $r/there/schemata
        rt start $id; : >$r/there/tasks; rt exec $id true; cat $r/there/tasks; echo
        : >$r/there/schemata; rt update --l3-cache-schema L3:0=1 --mem-bw-schema MB:0=50 $id; cat $r/there/schemata
        rt update --l3-cache-schema L3:0=2 --cpuset-cpus 4000 $id || cat $r/there/schemata
        rt update --l3-cache-schema L3:0=2 --memory 8m --memory-swap 4m $id || cat $r/there/schemata
        rt delete --force $id; ls $r",
    );
    // What is refused changes nothing.
    let schemata = "L3:0=1\nMB:0=50\n".repeat(3);
    let wanted = format!("L3:1=ff\nMB:0=100\nL2:0=f\n0\n{schemata}mon_groups\nschemata\ntasks\nthere");
    assert_eq!(out, wanted);
}

fn update_without_cgroups(t: &Sandbox) {
    let c = with_rdt(t, object! { closID: "there" });
    let script = "rt --cgroup-manager=disabled create --bundle $bundle $id; : >$r/there/schemata
                  rt update --l3-cache-schema L3:0=1 $id; cat $r/there/schemata
                  rt update --l3-cache-schema L3:0=2 --pids-limit 5 $id || cat $r/there/schemata
                  rt delete --force $id";
    assert_eq!(with_groups(t, &c, script), "L3:0=1\nL3:0=1");
}

fn root_of_all_groups(t: &Sandbox) {
    let c = with_rdt(t, object! { closID: "/" });
    let script = "rt create --bundle $bundle --pid-file $bundle/pid $id; test $(cat $r/tasks) = $(cat $bundle/pid)
                  rt delete --force $id; head -c 10 $r/schemata; ls $r";
    assert_eq!(with_groups(t, &c, script), "    L3:0=fmon_groups\nschemata\ntasks\nthere");
}

/// Made with the container, and with its own monitoring, and taken away with it.
fn group_of_its_own(t: &Sandbox) {
    let c = with_rdt(t, object! { l3CacheSchema: "L3:0=7", enableMonitoring: true });
    let out = with_groups(
        t,
        &c,
        "made create --bundle $bundle --pid-file $bundle/pid $id
        for tasks in $r/$id/tasks $r/$id/mon_groups/$id/tasks; do test $(cat $tasks) = $(cat $bundle/pid); done
        cat $r/$id/schemata
        rm $r/$id/tasks $r/$id/schemata $r/$id/mon_groups/$id/tasks
        rt delete --force $id 2>&1 | sed \"s/$id/ID/g\"; rmdir $r/$id/mon_groups; ls $r/$id",
    );
    // The kernel lets go of a group with all that is in it; here something is.
    assert_eq!(out, "L3:0=7\nisopod: error: remove the resctrl group ID: Directory not empty");
    let out = with_groups(
        t,
        &with_rdt(t, object! {}),
        "made create --bundle $bundle $id; rm -r $r/$id/*; rt delete --force $id; ls $r",
    );
    assert_eq!(out, "mon_groups\nschemata\ntasks\nthere");
}

fn named_group_stays(t: &Sandbox) {
    let c = with_rdt(t, object! { closID: "named", schemata: ["L2:0=f"], enableMonitoring: true });
    let out = with_groups(
        t,
        &c,
        "made create --bundle $bundle $id; cat $r/named/schemata; rm $r/named/mon_groups/$id/tasks
        rt delete --force $id; ls $r/named $r/named/mon_groups",
    );
    assert_eq!(out, "L2:0=f\n/sys/fs/resctrl/named:\nmon_groups\nschemata\ntasks\n\n/sys/fs/resctrl/named/mon_groups:");
}

fn groups_that_are_refused(t: &Sandbox) {
    for (rdt, words) in [
        (object! { closID: "absent" }, "linux.intelRdt, the resctrl group `absent`: does not exist"),
        (
            object! { closID: "there", l3CacheSchema: "L3:0=ff" },
            "linux.intelRdt, the resctrl group `there`: has a different configuration",
        ),
        (
            object! { closID: "there", memBwSchema: "MB:1=10" },
            "linux.intelRdt, the resctrl group `there`: has a different configuration",
        ),
    ] {
        let script = "rt run --bundle $bundle $id 2>&1 || true; ls $r";
        let out = with_groups(t, &with_rdt(t, rdt), script);
        assert_eq!(out, format!("isopod: error: {words}\nmon_groups\nschemata\ntasks\nthere"));
        assert!(t.states().is_empty() && t.cgroups().is_empty());
    }
}

/// Nobody puts files into the new directories here.
fn what_fails_leaves_no_group(t: &Sandbox) {
    for (rdt, words) in [
        (object! {}, "enter the resctrl group ID: No such file"),
        (
            object! { closID: "named", schemata: ["L2:0=f"] },
            "write the schemata of the resctrl group named: No such file",
        ),
        (
            object! { closID: "there", enableMonitoring: true },
            "enter the resctrl group there/mon_groups/ID: No such file",
        ),
    ] {
        let script = "rt run --bundle $bundle $id 2>&1 | sed \"s/$id/ID/g\"; ls $r $r/there/mon_groups";
        let out = with_groups(t, &with_rdt(t, rdt), script);
        let (error, rest) = out.split_once('\n').expect("lines");
        assert!(error.starts_with(&format!("isopod: error: {words}")), "{error}");
        assert_eq!(rest, "/sys/fs/resctrl:\nmon_groups\nschemata\ntasks\nthere\n\n/sys/fs/resctrl/there/mon_groups:");
        assert!(t.states().is_empty() && t.cgroups().is_empty());
    }
}
