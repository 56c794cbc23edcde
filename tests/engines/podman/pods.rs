//! Pods: containers that share namespaces with one that does nothing else.

use crate::engine::{Engine, IMAGE};
use crate::host;

/// A pod whose infra container is our own image: podman's own would have to be fetched or built.
fn pod(podman: &Engine, name: &str) {
    let parent = format!("/{}", podman.cgroup);
    let infra = ["--infra-image", "localhost/busybox", "--infra-command", "/bin/sleep 1000"];
    let words = ["pod", "create", "--name", name, "--hostname", name, "--cgroup-parent", &parent];
    podman.ok(&[&words[..], &infra, &["--share", "net,ipc,uts"]].concat());
}

fn remove(podman: &Engine, name: &str) {
    podman.ok(&["pod", "rm", "--force", "--time", "0", name]);
}

/// Inside a pod, its own parent cgroup is the right one.
fn run(podman: &Engine, words: &[&str]) -> String {
    podman.ok(&[&["run"], words].concat())
}

fn status(podman: &Engine, pod: &str) -> String {
    podman.ok(&["pod", "inspect", "--format", "{{.State}}", pod]).trim().to_owned()
}

pub(super) fn pod_shares_namespaces(podman: &Engine) {
    pod(podman, "peas");
    run(podman, &["--detach", "--pod", "peas", IMAGE, "sh", "-c", "echo pea >/dev/shm/file; exec sleep 1000"]);
    let script = "hostname; until cat /dev/shm/file 2>/dev/null; do sleep 0.05; done; ls /proc/self/task | wc -l";
    assert_eq!(run(podman, &["--rm", "--pod", "peas", IMAGE, "sh", "-c", script]), "peas\npea\n1\n");
    assert_eq!(run(podman, &["--rm", "--pod", "peas", IMAGE, "sh", "-c", "echo $$"]), "1\n");
    remove(podman, "peas");
}

pub(super) fn pod_goes_through_its_states(podman: &Engine) {
    pod(podman, "beans");
    run(podman, &["--detach", "--pod", "beans", IMAGE, "sleep", "1000"]);
    assert_eq!(status(podman, "beans"), "Running");
    for (verb, state) in [("pause", "Paused"), ("unpause", "Running"), ("kill", "Exited"), ("start", "Running")] {
        podman.ok(&["pod", verb, "beans"]);
        assert!(host::eventually(|| status(podman, "beans") == state), "{verb}: {}", status(podman, "beans"));
    }
    podman.ok(&["pod", "restart", "beans"]);
    podman.ok(&["pod", "stop", "--time", "0", "beans"]);
    assert!(host::eventually(|| status(podman, "beans") == "Exited"), "{}", status(podman, "beans"));
    remove(podman, "beans");
}

pub(super) fn pod_without_infra(podman: &Engine) {
    podman.ok(&["pod", "create", "--name", "bare", "--infra=false", "--cgroup-parent", &format!("/{}", podman.cgroup)]);
    assert_eq!(run(podman, &["--rm", "--pod", "bare", IMAGE, "echo", "alone"]), "alone\n");
    remove(podman, "bare");
}

pub(super) fn pod_stats_and_top(podman: &Engine) {
    pod(podman, "lentils");
    run(podman, &["--detach", "--pod", "lentils", IMAGE, "sleep", "999"]);
    assert!(podman.ok(&["pod", "top", "lentils", "args"]).contains("sleep 999"));
    let stats = podman.ok(&["pod", "stats", "--no-stream", "--format", "{{.PIDS}}", "lentils"]);
    assert!(stats.ends_with("1\n1\n"), "{stats}");
    remove(podman, "lentils");
}

/// One that has to end well before the others begin.
pub(super) fn init_container(podman: &Engine) {
    pod(podman, "first");
    let init = ["create", "--pod", "first", "--init-ctr", "always", IMAGE, "sh", "-c", "echo before >/dev/shm/file"];
    podman.ok(&init);
    podman.ok(&["create", "--pod", "first", "--name", "second", IMAGE, "cat", "/dev/shm/file"]);
    podman.ok(&["pod", "start", "first"]);
    podman.ok(&["wait", "second"]);
    assert_eq!(podman.ok(&["logs", "second"]), "before\n");
    remove(podman, "first");
}
