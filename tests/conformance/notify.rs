//! SCMP_ACT_NOTIFY: who is told, what, and that the container waits for the answer.

use std::io::Read;

use jzon::{array, object};

use crate::case;
use crate::support::{Agent, Case, Container, Kind, Need, Sandbox, read};

const MKDIR: i32 = 83;
const ENOSPC: i32 = 28;
const NO_SPACE: &str = "No space left on device";

pub fn cases() -> Vec<Case> {
    vec![
        case!(agent_answers),
        case!(connection_ends_with_the_message)
            .differs(Kind::Crun, "leaves it open")
            .differs(Kind::Runc, "leaves it open"),
        case!(agent_answers_after_start).differs(Kind::Crun, "tells the agent only after `start`"),
        case!(agent_answers_for_exec).differs(Kind::Crun, "tells the agent only after `start`"),
        case!(calls_of_the_last_steps_may_be_notified).differs(Kind::Crun, "tells the agent only after `start`"),
        case!(container_has_no_listener).differs(Kind::Crun, "tells the agent only after `start`"),
        case!(container_has_one_thread_and_no_child)
            .differs(Kind::Crun, "tells the agent only after `start`")
            .differs(Kind::Runc, "its init has the threads of Go"),
        case!(agent_in_a_user_namespace).needs(&[Need::UserNamespaces]),
        case!(agent_of_an_annotation).differs(Kind::Runc, "has no such annotation"),
        case!(agent_of_the_environment).differs(Kind::Runc, "has no such variable"),
        case!(agent_of_a_raw_filter).differs(Kind::Runc, "has no such annotation"),
        case!(flags_that_go_with_a_listener)
            .differs(Kind::Crun, "hangs up without a listener")
            .differs(Kind::Runc, "1.1.5 knows fewer flags"),
        case!(flag_of_a_listener_without_one).differs(Kind::Runc, "1.1.5 knows fewer flags"),
        case!(listener_without_notify_is_ignored).differs(Kind::Crun, "connects whatever the rules are"),
        case!(absent_agent),
        case!(dead_agent).isopod_only("other words"),
        case!(absent_agent_of_exec).differs(Kind::Crun, "tells the agent only after `start`"),
        case!(notify_without_an_agent_is_refused).differs(Kind::Crun, "takes an empty path for a relative one"),
        case!(notify_on_write_is_refused).differs(Kind::Crun, "has no such rule"),
        case!(one_process_is_not_enough).isopod_only("have the helper elsewhere"),
    ]
}

/// A container whose mkdir(2) and more is for the agent to decide.
fn notifying<'a>(t: &'a Sandbox, path: &str, names: &[&str]) -> Container<'a> {
    let mut c = t.container();
    let names: Vec<&str> = ["mkdir"].iter().chain(names).copied().collect();
    c.config["linux"]["seccomp"] = object! {
        defaultAction: "SCMP_ACT_ALLOW",
        listenerPath: path,
        syscalls: [{ names: names.clone(), action: "SCMP_ACT_NOTIFY" }],
    };
    c
}

/// With and without new privileges: the filter is installed at another moment.
fn each_privilege(mut body: impl FnMut(&mut dyn FnMut(&mut Container<'_>))) {
    for no_new_privileges in [true, false] {
        body(&mut |c| c.config["process"]["noNewPrivileges"] = no_new_privileges.into());
    }
}

fn agent_answers(t: &Sandbox) {
    let agent = Agent::new(t);
    each_privilege(|set| {
        let mut c = notifying(t, agent.name(), &[]);
        set(&mut c);
        c.config["linux"]["seccomp"]["listenerMetadata"] = "some \"data\"".into();
        c.config["annotations"] = object! { "some.key": "value" };
        let running = c.sh("mkdir /dev/shm/x; echo $?; mkdir /dev/shm/y; sleep 600").start_run(&[]);
        let told = agent.serve(&[(MKDIR, ENOSPC)]);
        crate::support::eventually("two answers", || running.stdout().contains('1'));
        let pid = c.pid();
        assert_eq!(told["fds"], array!["seccompFd"]);
        assert_eq!(told["pid"], pid);
        assert_eq!(told["metadata"], "some \"data\"");
        let state = &told["state"];
        assert_eq!((&state["id"], &state["pid"]), (&c.id.as_str().into(), &pid.into()));
        assert_eq!((&state["status"], &state["bundle"]), (&"creating".into(), &c.bundle.to_str().into()));
        assert_eq!(state["annotations"], object! { "some.key": "value" });
        assert_eq!(told["ociVersion"], state["ociVersion"]);
        c.force_delete().ok();
        let ran = running.wait();
        assert!(ran.stderr().contains(NO_SPACE), "{ran}");
    });
    // A path is what the first argument points to.
    assert!(agent.notices().iter().all(|notice| notice.number == MKDIR && notice.args[0] != 0 && notice.pid != 0));
}

/// "The connection MUST NOT be reused and it MUST be closed."
fn connection_ends_with_the_message(t: &Sandbox) {
    let agent = Agent::new(t);
    let c = {
        let mut c = notifying(t, agent.name(), &[]);
        c.args(&["/bin/sleep", "600"]);
        c
    };
    let running = c.start_run(&[]);
    let (_, listener, mut stream) = agent.accept();
    assert_eq!(stream.read(&mut [0; 1]).ok(), Some(0));
    drop(listener);
    c.force_delete().ok();
    running.wait();
}

fn agent_answers_after_start(t: &Sandbox) {
    let agent = Agent::new(t);
    each_privilege(|set| {
        let mut c = notifying(t, agent.name(), &[]);
        set(&mut c);
        c.sh("mkdir /dev/shm/x 2>/dev/null; echo $?; exec sleep 600").created();
        // It was told before `create` came back.
        let told = agent.serve(&[(MKDIR, ENOSPC)]);
        assert_eq!(told["state"]["status"], "creating");
        assert_eq!(told["pid"], c.pid());
        let before = agent.numbers().len();
        c.start().ok();
        crate::support::eventually("the container asks", || agent.numbers().len() > before);
        c.force_delete().ok();
    });
}

fn agent_answers_for_exec(t: &Sandbox) {
    let agent = Agent::new(t);
    each_privilege(|set| {
        let mut c = notifying(t, agent.name(), &[]);
        set(&mut c);
        c.config["linux"]["seccomp"]["listenerMetadata"] = "data".into();
        c.args(&["/bin/sleep", "600"]).created();
        let first = agent.serve(&[]);
        c.start().ok();
        let pid_file = t.path("exec-pid");
        let options = ["--pid-file", pid_file.to_str().expect("path")];
        let running = t.spawn(&mut c.exec_command(&options, &["/bin/mkdir", "/dev/shm/x"]));
        let told = agent.serve(&[(MKDIR, ENOSPC)]);
        let ran = running.wait();
        assert!(ran.code == 1 && ran.stderr().contains(NO_SPACE), "{ran}");
        assert_eq!(told["pid"].to_string(), read(&pid_file));
        assert_ne!(told["pid"], first["pid"]);
        assert_eq!((&told["state"]["status"], &told["metadata"]), (&"running".into(), &"data".into()));
        assert_eq!(told["state"]["pid"], c.pid());
        c.force_delete().ok();
    });
}

/// The calls by which the listener could be passed on, and those that init makes afterwards.
fn calls_of_the_last_steps_may_be_notified(t: &Sandbox) {
    const NAMES: &[&str] = &["sendmsg", "sendto", "recvfrom", "recvmsg", "ppoll", "execve", "close", "capset", "futex"];
    const EXECVE: i32 = 59;
    let agent = Agent::new(t);
    each_privilege(|set| {
        let mut c = notifying(t, agent.name(), NAMES);
        set(&mut c);
        c.args(&["/bin/sleep", "600"]).write_config();
        let create = t.spawn(&mut c.command("create", &[]));
        agent.serve(&[]);
        create.wait().ok();
        c.start().ok();
        crate::support::eventually("the program is executed", || agent.numbers().contains(&EXECVE));
        crate::support::eventually("it sleeps", || read(format!("/proc/{}/comm", c.pid())).trim() == "sleep");
        let exec = t.spawn(&mut c.exec_command(&[], &["/bin/true"]));
        agent.serve(&[]);
        exec.wait().ok();
        c.force_delete().ok();
    });
}

fn container_has_no_listener(t: &Sandbox) {
    let agent = Agent::new(t);
    each_privilege(|set| {
        let mut c = notifying(t, agent.name(), &[]);
        set(&mut c);
        c.args(&["/bin/sleep", "600"]).created();
        let (_, listener, _) = agent.accept();
        // Neither before `start` nor afterwards.
        for _ in 0..2 {
            let descriptors = std::fs::read_dir(format!("/proc/{}/fd", c.pid())).expect("descriptors");
            let targets = descriptors.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
            let found: Vec<_> = targets.filter(|target| target.to_string_lossy().contains("seccomp")).collect();
            assert!(found.is_empty(), "{found:?}");
            if c.status() == "created" {
                c.start().ok();
            }
        }
        drop(listener);
        c.force_delete().ok();
    });
}

fn container_has_one_thread_and_no_child(t: &Sandbox) {
    let agent = Agent::new(t);
    each_privilege(|set| {
        let mut c = notifying(t, agent.name(), &[]);
        set(&mut c);
        c.args(&["/bin/sleep", "600"]).created();
        agent.serve(&[]);
        let pid = c.pid();
        crate::support::eventually("one thread", || {
            std::fs::read_dir(format!("/proc/{pid}/task")).expect("threads").count() == 1
        });
        assert_eq!(read(format!("/proc/{pid}/task/{pid}/children")), "");
        c.force_delete().ok();
    });
}

fn agent_in_a_user_namespace(t: &Sandbox) {
    let agent = Agent::new(t);
    each_privilege(|set| {
        let mut c = notifying(t, agent.name(), &[]);
        c.with_user_namespace().as_user(1000, 1000).capabilities(&[]);
        set(&mut c);
        let running = c.args(&["/bin/mkdir", "/dev/shm/x"]).start_run(&[]);
        agent.serve(&[(MKDIR, ENOSPC)]);
        let ran = running.wait();
        assert!(ran.code == 1 && ran.stderr().contains(NO_SPACE), "{ran}");
    });
}

/// A program that makes a directory, and what it says of it.
fn refused_mkdir(t: &Sandbox, c: &mut Container<'_>, agent: &Agent, environment: &[(&str, &str)]) {
    c.args(&["/bin/mkdir", "/dev/shm/x"]).write_config();
    let mut command = c.command("run", &[]);
    command.envs(environment.iter().copied());
    let running = t.spawn(&mut command);
    agent.serve(&[(MKDIR, ENOSPC)]);
    let ran = running.wait();
    assert!(ran.code == 1 && ran.stderr().contains(NO_SPACE), "{ran}");
}

fn agent_of_an_annotation(t: &Sandbox) {
    let agent = Agent::new(t);
    let mut c = notifying(t, "", &[]);
    c.config["linux"]["seccomp"].remove("listenerPath");
    c.config["annotations"] = object! { "run.oci.seccomp.receiver": agent.name() };
    // It comes before the environment, and the config before both.
    refused_mkdir(t, &mut c, &agent, &[("RUN_OCI_SECCOMP_RECEIVER", "/nowhere")]);
    let mut c = notifying(t, agent.name(), &[]);
    c.config["annotations"] = object! { "run.oci.seccomp.receiver": "/nowhere" };
    refused_mkdir(t, &mut c, &agent, &[]);
}

fn agent_of_the_environment(t: &Sandbox) {
    let agent = Agent::new(t);
    let mut c = notifying(t, "", &[]);
    c.config["linux"]["seccomp"].remove("listenerPath");
    refused_mkdir(t, &mut c, &agent, &[("RUN_OCI_SECCOMP_RECEIVER", agent.name())]);
}

/// Loads the number, and answers mkdir(2) with SECCOMP_RET_USER_NOTIF.
fn agent_of_a_raw_filter(t: &Sandbox) {
    let agent = Agent::new(t);
    let mut c = notifying(t, agent.name(), &[]);
    c.config["annotations"] = object! { "run.oci.seccomp_bpf_data": "IAAAAAAAAAAVAAABUwAAAAYAAAAAAMB/BgAAAAAA/38=" };
    c.config["linux"]["seccomp"]["syscalls"] = array![];
    refused_mkdir(t, &mut c, &agent, &[]);
}

fn flags_that_go_with_a_listener(t: &Sandbox) {
    let agent = Agent::new(t);
    let mut c = notifying(t, agent.name(), &[]);
    c.config["linux"]["seccomp"]["flags"] =
        array!["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG"];
    each_privilege(|set| {
        set(&mut c);
        refused_mkdir(t, &mut c, &agent, &[]);
    });
}

/// The kernel would refuse it.
fn flag_of_a_listener_without_one(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["seccomp"] =
        object! { defaultAction: "SCMP_ACT_ALLOW", flags: ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"] };
    assert_eq!(c.out("grep ^Seccomp: /proc/self/status"), "Seccomp:\t2");
}

fn listener_without_notify_is_ignored(t: &Sandbox) {
    let mut c = notifying(t, "/nowhere/agent", &[]);
    c.config["linux"]["seccomp"]["syscalls"][0]["action"] = "SCMP_ACT_ALLOW".into();
    assert_eq!(c.out("mkdir /dev/shm/x && echo made"), "made");
}

fn absent_agent(t: &Sandbox) {
    let path = t.path("nobody.sock");
    let path = path.to_str().expect("path");
    each_privilege(|set| {
        let mut c = notifying(t, path, &[]);
        set(&mut c);
        c.sh("echo ran");
        for ran in [c.run(), c.create()] {
            ran.is_refused();
            assert_eq!((ran.stdout().as_str(), ran.stderr().lines().count()), ("", 1), "{ran}");
            assert!(ran.stderr().contains(path), "{ran}");
        }
        assert!(t.states().is_empty());
    });
}

/// The socket is there, and nobody behind it.
fn dead_agent(t: &Sandbox) {
    let path = t.path("agent.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("bind"));
    let mut c = notifying(t, path.to_str().expect("path"), &[]);
    c.sh("true").create().fails(&["connect to the seccomp agent", "Connection refused"]);
    assert!(t.states().is_empty());
}

/// The container goes on.
fn absent_agent_of_exec(t: &Sandbox) {
    let agent = Agent::new(t);
    each_privilege(|set| {
        let mut c = notifying(t, agent.name(), &[]);
        set(&mut c);
        c.args(&["/bin/sleep", "600"]).created();
        agent.serve(&[]);
        c.start().ok();
        let away = t.path("away");
        std::fs::rename(agent.name(), &away).expect("rename");
        let ran = c.exec(&[], &["/bin/echo", "ran"]);
        ran.is_refused();
        assert_eq!(ran.stdout(), "");
        std::fs::rename(&away, agent.name()).expect("rename");
        assert_eq!(c.status(), "running");
        c.force_delete().ok();
    });
}

fn notify_without_an_agent_is_refused(t: &Sandbox) {
    let mut c = notifying(t, "", &[]);
    let ran = c.sh("true").create();
    ran.is_refused();
    assert!(ran.stderr().contains("listenerPath"), "{ran}");
}

fn notify_on_write_is_refused(t: &Sandbox) {
    let agent = Agent::new(t);
    let ran = notifying(t, agent.name(), &["write"]).sh("true").create();
    ran.is_refused();
    assert!(ran.stderr().contains("SCMP_ACT_NOTIFY cannot be used for"), "{ran}");
}

/// A second thread is needed for a moment.
fn one_process_is_not_enough(t: &Sandbox) {
    let agent = Agent::new(t);
    let mut c = notifying(t, agent.name(), &[]);
    c.config["linux"]["resources"]["pids"] = object! { limit: 1 };
    let ran = c.sh("true").create();
    ran.fails(&["seccomp linux.seccomp: Resource temporarily unavailable", "linux.resources.pids.limit"]);
    c.config["linux"]["resources"]["pids"] = object! { limit: 2 };
    c.created();
    agent.serve(&[]);
}
