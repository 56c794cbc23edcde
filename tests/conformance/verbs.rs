//! The commands about a container that exists: pause and resume, ps, update, events; and what the runtime says of
//! itself: features, completion.

use crate::case;
use crate::support::{Case, Container, Kind, Ran, Sandbox, eventually, read};

pub fn cases() -> Vec<Case> {
    vec![
        case!(pause_and_resume),
        case!(pause_stops_all_processes),
        case!(pause_of_a_stopped_container_is_refused),
        case!(pause_twice_is_refused).differs(Kind::Crun, "1.8 pauses it again"),
        case!(resume_of_a_running_container_is_refused).differs(Kind::Crun, "1.8 resumes it"),
        case!(paused_container_is_killed).differs(Kind::Crun, "1.8 leaves it frozen on version 1"),
        case!(paused_container_is_killed_with_all),
        case!(delete_force_of_a_paused_container),
        case!(pause_without_a_cgroup_is_refused).differs(Kind::Runc, "1.1 does not know the option"),
        case!(ps_as_table).differs(Kind::Runc, "runs `ps -ef`"),
        case!(ps_as_json),
        case!(ps_of_a_cgroup_below).differs(Kind::Crun, "1.8 crashes"),
        case!(ps_with_arguments).differs(Kind::Crun, "takes none"),
        case!(ps_of_nothing),
        case!(kill_by_regex).differs(Kind::Runc, "no such option"),
        case!(delete_by_regex).differs(Kind::Runc, "no such option"),
        case!(regex_that_is_wrong_is_refused),
    ]
}

/// A container whose two processes count: how often each has gone round.
fn counting<'t>(t: &'t Sandbox) -> (Container<'t>, Ran) {
    let mut c = t.container();
    let created = c.sh("(while :; do echo b; sleep 0.01; done) & while :; do echo a; sleep 0.01; done").created();
    c.start().ok();
    eventually("both run", || created.stdout().contains('a') && created.stdout().contains('b'));
    (c, created)
}

fn pause_and_resume(t: &Sandbox) {
    let mut c = t.container();
    let pid = c.started();
    c.about("pause", &[]).ok();
    assert_eq!((c.status().as_str(), c.pid()), ("paused", pid));
    c.about("resume", &[]).ok();
    assert_eq!((c.status().as_str(), c.pid()), ("running", pid));
}

fn pause_stops_all_processes(t: &Sandbox) {
    let (c, created) = counting(t);
    c.about("pause", &[]).ok();
    let before = created.stdout().len();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(created.stdout().len(), before);
    c.about("resume", &[]).ok();
    eventually("they go on", || created.stdout()[before..].contains('a') && created.stdout()[before..].contains('b'));
}

fn pause_of_a_stopped_container_is_refused(t: &Sandbox) {
    let c = &mut t.container();
    c.sh("true").created();
    c.start().ok();
    c.wait_until_stopped();
    c.about("pause", &[]).is_refused();
    c.about("resume", &[]).is_refused();
}

fn pause_twice_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    c.about("pause", &[]).ok();
    c.about("pause", &[]).is_refused();
    assert_eq!(c.status(), "paused");
}

fn resume_of_a_running_container_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    c.about("resume", &[]).is_refused();
    assert_eq!(c.status(), "running");
}

fn paused_container_is_killed(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    c.about("pause", &[]).ok();
    c.kill("KILL").ok();
    c.wait_until_stopped();
    c.delete().ok();
}

fn paused_container_is_killed_with_all(t: &Sandbox) {
    let (c, _) = counting(t);
    c.about("pause", &[]).ok();
    t.rt(&["kill", "--all", &c.id, "KILL"]).ok();
    c.wait_until_stopped();
    t.wait_for_processes();
}

fn delete_force_of_a_paused_container(t: &Sandbox) {
    let (c, _) = counting(t);
    c.about("pause", &[]).ok();
    c.delete().is_refused();
    c.force_delete().ok();
    assert_eq!((t.processes(), t.states(), t.cgroups()), (vec![], vec![], vec![]));
}

fn pause_without_a_cgroup_is_refused(t: &Sandbox) {
    let c = &mut t.container();
    c.without_mount("/sys/fs/cgroup").args(&["/bin/sleep", "600"]).write_config();
    let bundle = c.bundle.to_str().expect("bundle");
    t.rt(&["--cgroup-manager=disabled", "run", "--detach", "--bundle", bundle, &c.id]).exits(0);
    c.about("pause", &[]).is_refused();
    c.about("ps", &[]).is_refused();
    assert_eq!(c.status(), "running");
}

/// The numbers that `ps` lists, and those that the kernel knows by the test's mark.
fn ps_as_table(t: &Sandbox) {
    let (c, _) = counting(t);
    c.about("pause", &[]).ok();
    let text = c.about("ps", &[]).ok();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("PID"));
    let pids: Vec<i32> = lines.map(|line| line.parse().expect("a number")).collect();
    assert_eq!(pids, t.processes());
    assert!(pids.contains(&c.pid()));
}

fn ps_as_json(t: &Sandbox) {
    let (c, _) = counting(t);
    c.about("pause", &[]).ok();
    let list = jzon::parse(&t.rt(&["ps", "--format", "json", &c.id]).ok()).expect("JSON");
    let mut pids: Vec<i32> = list.members().map(|pid| pid.as_i32().expect("a number")).collect();
    pids.sort_unstable();
    assert_eq!(pids, t.processes());
}

fn ps_of_a_cgroup_below(t: &Sandbox) {
    let mut c = t.container();
    let pid = c.started();
    for (directory, procs) in t.cgroups().iter().map(|dir| (dir.join("below"), dir.join("below/cgroup.procs"))) {
        std::fs::create_dir(directory).expect("mkdir");
        // A cpuset that has just been made takes nobody.
        let _ = std::fs::write(procs, pid.to_string());
    }
    let list = jzon::parse(&t.rt(&["ps", "-f", "json", &c.id]).ok()).expect("JSON");
    assert_eq!(list, jzon::array![pid]);
}

fn ps_with_arguments(t: &Sandbox) {
    let mut c = t.container();
    let pid = c.started();
    let text = t.rt(&["ps", &c.id, "-e", "-o", "pid,args"]).ok();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines, [vec!["PID", "COMMAND"], vec![&pid.to_string(), "/bin/sleep", "600"]]);
    t.rt(&["ps", &c.id, "-e", "-o", "args"]).is_refused();
    t.rt(&["ps", &c.id, "--no-such-option"]).is_refused();
}

fn ps_of_nothing(t: &Sandbox) {
    t.rt(&["ps", "there-is-none"]).is_refused();
}

fn kill_by_regex(t: &Sandbox) {
    let containers: Vec<_> = (0..3).map(|_| t.container()).collect();
    for mut c in containers {
        c.started();
    }
    let ids: Vec<String> = t.rt(&["list", "-q"]).ok().lines().map(str::to_owned).collect();
    t.rt(&["kill", "--regex", &format!("^({}|{})$", ids[0], ids[2]), "KILL"]).exits(0);
    let status = |id: &str| t.rt(&["state", id]).ok();
    eventually("two stop", || status(&ids[0]).contains("stopped") && status(&ids[2]).contains("stopped"));
    assert!(status(&ids[1]).contains("running"));
    // Nobody to kill is no failure.
    t.rt(&["kill", "--regex", "^no-[sS]uch.*$", "KILL"]).exits(0);
}

fn delete_by_regex(t: &Sandbox) {
    for _ in 0..3 {
        t.container().started();
    }
    let ids: Vec<String> = t.rt(&["list", "-q"]).ok().lines().map(str::to_owned).collect();
    t.rt(&["delete", "--force", "--regex", &format!("{}$", ids[1])]).exits(0);
    assert_eq!(t.states().len(), 2);
    // What runs is not deleted without force, and that is not the command's failure.
    t.rt(&["delete", "--regex", "."]).exits(0);
    assert_eq!(t.states().len(), 2);
    t.rt(&["delete", "--force", "--regex", "."]).exits(0);
    assert_eq!(t.states(), Vec::<String>::new());
}

fn regex_that_is_wrong_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    t.rt(&["kill", "--regex", "(", "KILL"]).is_refused();
    t.rt(&["delete", "--force", "--regex", "["]).is_refused();
    assert_eq!(c.status(), "running");
    assert!(!read(format!("/proc/{}/stat", c.pid())).is_empty());
}
