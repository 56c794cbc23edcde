//! Who watches over a container from outside: supervisors that want to be notified, holders of pidfds, collectors of
//! logs, parents of what the container orphans.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::case;
use crate::support::{Case, ConsoleSocket, Container, Kind, Need, Ran, Running, Sandbox, behind, eventually, read};

pub fn cases() -> Vec<Case> {
    vec![
        case!(run_tells_the_supervisor).needs(&[Need::Probe]).isopod_only("other messages"),
        case!(detached_run_waits_until_ready).needs(&[Need::Probe]).isopod_only("other messages"),
        case!(run_of_what_never_gets_ready)
            .needs(&[Need::Probe])
            .differs(Kind::Runc, "1.1: no signal until it is ready"),
        case!(start_waits_until_ready).needs(&[Need::Probe]).isopod_only("other messages"),
        case!(start_waits_no_longer_than_the_container_lives).needs(&[Need::Probe]),
        case!(notify_socket_for_another_user).needs(&[Need::Probe, Need::UserNamespaces]).isopod_only("other messages"),
        case!(start_without_a_socket_from_create).differs(Kind::Runc, "fails"),
        case!(pidfd_socket_gets_init).differs(Kind::Crun, "no such option").differs(Kind::Runc, "1.1: no such option"),
        case!(pidfd_receiver_gets_init).differs(Kind::Runc, "has no such annotation"),
        case!(pidfd_socket_that_is_not_there).isopod_only("no such option, or other words"),
        case!(groups_of_the_caller).differs(Kind::Runc, "has no such annotation"),
        case!(listen_pid_is_that_of_init).isopod_only("LISTEN_PID=1 in any pid namespace"),
        case!(signal_zero_only_asks).differs(Kind::Crun, "1.8 does not know it"),
        case!(log_to_journald).isopod_only("other fields, or no such log"),
        case!(log_to_syslog).isopod_only("other form, or no such log"),
        case!(orphans_of_a_shared_pid_namespace_are_reaped),
    ]
}

/// A supervisor's socket, and the variable that names it.
struct Supervisor {
    socket: UnixDatagram,
    path: String,
}

impl Supervisor {
    fn new(t: &Sandbox) -> Supervisor {
        let path = t.path("supervisor");
        let socket = UnixDatagram::bind(&path).expect("bind");
        socket.set_nonblocking(true).expect("nonblocking");
        Supervisor { socket, path: path.to_str().expect("UTF-8").to_owned() }
    }

    /// What has come; a descriptor that came with it is closed.
    fn heard(&self) -> Vec<String> {
        let mut buffer = [0; 1024];
        let next = || Some(self.socket.recv(&mut buffer).ok()?).map(|n| String::from_utf8_lossy(&buffer[..n]).into());
        std::iter::from_fn(next).collect()
    }

    /// Waits for the news, and checks that nothing else comes.
    #[track_caller]
    fn hears_of(&self, pid: i32) {
        let mut all = Vec::new();
        eventually("the supervisor hears", || {
            all.extend(self.heard());
            all.len() >= 2
        });
        assert_eq!(all, [format!("READY=1\nMAINPID={pid}"), "BARRIER=1".to_owned()]);
    }

    fn spawn(&self, t: &Sandbox, command: &mut Command) -> Running {
        t.spawn(command.env("NOTIFY_SOCKET", &self.path))
    }
}

/// A container that is ready when the file is written to, which is its standard input.
fn notifier<'a>(t: &'a Sandbox) -> (Container<'a>, std::io::PipeWriter, std::io::PipeReader) {
    let mut c = t.container();
    c.probe("notify").writable().write_config();
    let (reader, writer) = std::io::pipe().expect("pipe");
    (c, writer, reader)
}

fn ready(mut writer: std::io::PipeWriter) {
    std::io::Write::write_all(&mut writer, b"x").expect("write");
}

fn run_tells_the_supervisor(t: &Sandbox) {
    let supervisor = Supervisor::new(t);
    let (c, writer, reader) = notifier(t);
    let run = supervisor.spawn(t, c.command("run", &[]).stdin(reader));
    eventually("it runs", || c.about("state", &[]).stdout().contains("running"));
    assert_eq!(supervisor.heard(), Vec::<String>::new());
    ready(writer);
    supervisor.hears_of(c.pid());
    eventually("it goes on", || run.stdout().ends_with("/supervisor/notify\n"));
    c.kill("KILL").ok();
    run.wait().exits(137);
}

fn detached_run_waits_until_ready(t: &Sandbox) {
    let supervisor = Supervisor::new(t);
    let (c, writer, reader) = notifier(t);
    let mut run = supervisor.spawn(t, c.command("run", &["--detach"]).stdin(reader));
    eventually("it runs", || c.about("state", &[]).stdout().contains("running"));
    std::thread::sleep(Duration::from_millis(50));
    assert!(!run.has_ended());
    ready(writer);
    supervisor.hears_of(c.pid());
    run.wait().exits(0);
}

/// Until then, too, signals are the container's, and its end is the runtime's.
fn run_of_what_never_gets_ready(t: &Sandbox) {
    let supervisor = Supervisor::new(t);
    let mut c = t.container();
    c.probe("await").write_config();
    let run = supervisor.spawn(t, &mut c.command("run", &[]));
    eventually("it runs", || run.stdout().contains("ready"));
    for signal in [Signal::SIGUSR1, Signal::SIGTERM] {
        run.send(signal);
        eventually("the signal", || run.stdout().contains(&format!("signal:{}\n", signal as i32)));
    }
    run.wait().exits(7);
    assert_eq!(supervisor.heard(), Vec::<String>::new());
}

fn start_waits_until_ready(t: &Sandbox) {
    let supervisor = Supervisor::new(t);
    let (c, writer, reader) = notifier(t);
    supervisor.spawn(t, c.command("create", &[]).stdin(reader)).wait().exits(0);
    let mut start = supervisor.spawn(t, &mut t.command(&["start", &c.id]));
    eventually("it runs", || c.status() == "running");
    std::thread::sleep(Duration::from_millis(50));
    assert!(!start.has_ended());
    assert_eq!(supervisor.heard(), Vec::<String>::new());
    ready(writer);
    supervisor.hears_of(c.pid());
    start.wait().exits(0);
}

fn start_waits_no_longer_than_the_container_lives(t: &Sandbox) {
    let supervisor = Supervisor::new(t);
    let (c, _writer, reader) = notifier(t);
    supervisor.spawn(t, c.command("create", &[]).stdin(reader)).wait().exits(0);
    let start = supervisor.spawn(t, &mut t.command(&["start", &c.id]));
    eventually("it runs", || c.status() == "running");
    c.kill("KILL").ok();
    start.wait().exits(0);
}

/// The directory and the socket are root's of the host, and can be used all the same.
fn notify_socket_for_another_user(t: &Sandbox) {
    let supervisor = Supervisor::new(t);
    let (mut c, writer, reader) = notifier(t);
    c.with_user_namespace().as_user(1000, 1000).write_config();
    supervisor.spawn(t, c.command("create", &[]).stdin(reader)).wait().exits(0);
    let start = supervisor.spawn(t, &mut t.command(&["start", &c.id]));
    ready(writer);
    supervisor.hears_of(c.pid());
    start.wait().exits(0);
}

fn start_without_a_socket_from_create(t: &Sandbox) {
    let supervisor = Supervisor::new(t);
    let mut c = t.container();
    c.args(&["/bin/sleep", "600"]).created();
    supervisor.spawn(t, &mut t.command(&["start", &c.id])).wait().exits(0);
    assert_eq!(c.status(), "running");
}

#[track_caller]
fn is_init(socket: &ConsoleSocket, c: &Container<'_>) {
    let pidfd = socket.receive().into_descriptor();
    let info = read(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()));
    assert!(info.lines().any(|line| line == format!("Pid:\t{}", c.pid())), "{info}");
}

fn pidfd_socket_gets_init(t: &Sandbox) {
    let socket = ConsoleSocket::new(t);
    for verb in ["create", "run"] {
        let mut c = t.container();
        let detach = if verb == "run" { &["--detach"][..] } else { &[] };
        let options = [&["--pidfd-socket", socket.name()], detach].concat();
        c.args(&["/bin/sleep", "600"]).write_config();
        t.spawn(&mut c.command(verb, &options)).wait().exits(0);
        is_init(&socket, &c);
    }
}

fn pidfd_receiver_gets_init(t: &Sandbox) {
    let socket = ConsoleSocket::new(t);
    let mut c = t.container();
    c.config["annotations"]["run.oci.pidfd_receiver"] = socket.name().into();
    c.args(&["/bin/sleep", "600"]).created();
    is_init(&socket, &c);
}

fn pidfd_socket_that_is_not_there(t: &Sandbox) {
    let mut c = t.container();
    c.sh("true").run_with(&["--pidfd-socket", "/there/is/none"]).fails(&["pidfd socket /there/is/none: No such file"]);
    assert_eq!((t.states(), t.cgroups(), t.processes()), (vec![], vec![], vec![]));
}

fn groups_of_the_caller(t: &Sandbox) {
    let mut c = t.container();
    c.config["process"]["user"]["additionalGids"] = jzon::array![7];
    c.config["annotations"]["run.oci.keep_original_groups"] = "1".into();
    let groups = "sed -n 's/^Groups:[[:space:]]*//p' /proc/self/status";
    let with_groups = |c: &Container<'_>| {
        let run = c.write_config_for("run");
        t.spawn(&mut behind(&["setpriv", "--groups", "12,34"], &run)).wait().ok()
    };
    c.sh(groups);
    assert_eq!(with_groups(&c).trim(), "12 34");
    c.config["annotations"]["run.oci.keep_original_groups"] = "0".into();
    assert_eq!(with_groups(&c).trim(), "7");
}

fn listen_pid_is_that_of_init(t: &Sandbox) {
    let mut c = t.container();
    c.without_namespace("pid").sh("echo $LISTEN_FDS $LISTEN_PID $$");
    let run = c.write_config_for("run");
    let mut shell = behind(&["sh", "-c", "exec 3</dev/null; exec \"$@\"", "sh"], &run);
    let said = t.spawn(shell.env("LISTEN_FDS", "1")).wait().ok();
    let words: Vec<_> = said.split_whitespace().collect();
    assert_eq!((words[0], words[1]), ("1", words[2]));
}

fn signal_zero_only_asks(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    c.kill("0").ok();
    assert_eq!(c.status(), "running");
    c.kill("KILL").ok();
    c.wait_until_stopped();
    c.kill("0").is_refused();
}

/// What a command says to a log that is a socket, which is where it has to be only for this command.
#[track_caller]
fn said_to(t: &Sandbox, place: &str, options: &[&str]) -> (Ran, String) {
    let path = t.path("log");
    let socket = UnixDatagram::bind(&path).expect("bind");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("timeout");
    let parent = Path::new(place).parent().expect("parent").to_str().expect("UTF-8");
    let top = if parent.starts_with("/run") { "/run" } else { parent };
    // In a mount namespace of its own.
    let script = format!(
        "set -e; mount -t tmpfs tmpfs {top}; mkdir -p {parent}; : > {place}; mount --bind {} {place}; \
         test -e /dev/null || mknod /dev/null c 1 3; exec \"$@\"",
        path.display()
    );
    let command = t.command(&[]);
    let mut unshare = Command::new("unshare");
    unshare
        .args(["--mount", "sh", "-c", &script, "sh"])
        .arg(command.get_program())
        .args(options)
        .args(command.get_args());
    unshare.args(["state", "c-of-the-log"]).stdin(Stdio::null());
    let ran = t.spawn(&mut unshare).wait();
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{error}: {ran}"));
    (ran, String::from_utf8_lossy(&buffer[..length]).into_owned())
}

fn log_to_journald(t: &Sandbox) {
    let (ran, said) = said_to(t, "/run/systemd/journal/socket", &["--log", "journald:"]);
    ran.fails(&["container `c-of-the-log` does not exist"]);
    let lines: Vec<_> = said.lines().collect();
    for field in ["PRIORITY=3", "SYSLOG_IDENTIFIER=isopod", "ID=c-of-the-log"] {
        assert!(lines.contains(&field), "{said}");
    }
    assert!(said.contains("MESSAGE=container `c-of-the-log` does not exist: No such file or directory\n"), "{said}");
}

fn log_to_syslog(t: &Sandbox) {
    let (ran, said) = said_to(t, "/dev/log", &["--log", "syslog:name"]);
    ran.fails(&["container `c-of-the-log` does not exist"]);
    assert_eq!(said, "<11>name: container `c-of-the-log` does not exist: No such file or directory");
}

/// In the host's pid namespace nobody in the container inherits them.
fn orphans_of_a_shared_pid_namespace_are_reaped(t: &Sandbox) {
    let mut c = t.container();
    // The orphan ends before the container does, and must not stay as a zombie until then.
    c.without_namespace("pid").sh("(sh -c 'echo $$; sleep 0.1; exit 3' &) ; sleep 600");
    let run = c.start_run(&[]);
    let mut pid = String::new();
    eventually("the orphan is there", || {
        pid = run.stdout().trim().to_owned();
        !pid.is_empty()
    });
    eventually("it is reaped", || !Path::new(&format!("/proc/{pid}")).exists());
    c.kill("KILL").ok();
    run.wait().exits(137);
}
