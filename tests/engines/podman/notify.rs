//! `--sdnotify`: who says READY=1 to the service manager that has started podman.

use crate::engine::{Engine, IMAGE};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// What a service manager hears of `podman run` with these words, until it is ready.
fn heard(podman: &Engine, name: &str, words: &[&str]) -> String {
    let path = podman.dir.join(format!("{name}.sock"));
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let all = [&["run", "--detach", "--name", name, "--cgroup-parent", &podman.cgroup], words].concat();
    let mut command = podman.command(&all);
    command.env("NOTIFY_SOCKET", &path);
    let output = crate::host::output(&command, b"");
    assert_eq!(output.status, 0, "{output:?}");
    let (mut said, mut buffer) = (String::new(), [0; 4096]);
    while !said.contains("READY=1") {
        let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{error} after {said:?}"));
        said += &String::from_utf8_lossy(&buffer[..length]);
        said.push('\n');
    }
    said
}

/// The container itself, through the runtime's proxy of the socket. Perl is the host's: busybox has no datagrams.
pub(super) fn ready_by_container(podman: &Engine) {
    let script = "use Socket; socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die $!; \
                  send($s, 'READY=1', 0, pack_sockaddr_un($ENV{NOTIFY_SOCKET})) or die $!; sleep 1000";
    let words = ["--sdnotify=container", "-v", "/usr:/usr:ro", "-v", "/lib:/lib:ro", "-v", "/lib64:/lib64:ro"];
    let said = heard(podman, "tells", &[&words[..], &[IMAGE, "/usr/bin/perl", "-e", script]].concat());
    assert!(said.contains("MAINPID="), "{said}");
    podman.remove("tells");
}

/// conmon, as soon as the container has been started; nothing of the socket is inside.
pub(super) fn ready_by_conmon(podman: &Engine) {
    let words = ["--sdnotify=conmon", IMAGE, "sh", "-c", "echo ${NOTIFY_SOCKET-unset}; exec sleep 1000"];
    assert!(heard(podman, "told-for", &words).contains("MAINPID="));
    assert!(crate::host::eventually(|| podman.ok(&["logs", "told-for"]) == "unset\n"));
    podman.remove("told-for");
}
