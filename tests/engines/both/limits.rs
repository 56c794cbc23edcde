//! Limits: as given to `run`, as changed by `update`, as hit.

use crate::engine::{Engine, IMAGE, Kind};
use crate::host;
use std::path::Path;

/// The words that print a limit from inside, by its name on cgroup v1 or on v2.
fn script(v1: &str, v2: &str) -> String {
    format!("cd /sys/fs/cgroup; cat {v1} 2>/dev/null || cat {v2}")
}

const MEMORY: [&str; 2] = ["memory/memory.limit_in_bytes", "memory.max"];
const CPU: [&str; 2] = ["cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us", "cpu.max"];
const PIDS: [&str; 2] = ["pids/pids.max", "pids.max"];

fn limit(engine: &Engine, options: &[&str], [v1, v2]: [&str; 2]) -> String {
    let output = engine.run(&[options, &[IMAGE, "sh", "-c", &script(v1, v2)]].concat());
    assert_eq!(output.status, 0, "{output:?}");
    output.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(crate) fn lacks(name: &str) -> Option<String> {
    (!host::has_controller(name)).then(|| format!("there is no {name} cgroup controller"))
}

/// Docker allows no less than 6 MiB.
pub(crate) fn memory(engine: &Engine) {
    let [given, bytes] = if engine.kind == Kind::Podman { ["4m", "4194304"] } else { ["6m", "6291456"] };
    assert_eq!(limit(engine, &["--memory", given], MEMORY), bytes);
}

/// One task is enough for a container: neither the runtime nor the engine needs a second one inside.
pub(crate) fn pids_limit_1(engine: &Engine) {
    let [v1, v2] = PIDS.map(|file| format!("/sys/fs/cgroup/{file}"));
    let file = if Path::new("/sys/fs/cgroup/pids").exists() { v1 } else { v2 };
    assert_eq!(engine.run(&["--pids-limit", "1", IMAGE, "cat", &file]).stdout, "1\n");
    let output = engine.run(&["--pids-limit", "1", IMAGE, "sh", "-c", "sleep 0; echo forked"]);
    assert_eq!(output.last_error(), "sh: can't fork: Resource temporarily unavailable", "{output:?}");
}

pub(crate) fn cpus(engine: &Engine) {
    assert_eq!(limit(engine, &["--cpus", "0.5"], CPU), "50000 100000");
}

pub(crate) fn cpuset(engine: &Engine) {
    engine.prints(
        &["--cpuset-cpus", "0", IMAGE, "grep", "Cpus_allowed_list", "/proc/self/status"],
        "Cpus_allowed_list:\t0\n",
    );
}

pub(crate) fn oom_score(engine: &Engine) {
    engine.prints(&["--oom-score-adj", "100", IMAGE, "cat", "/proc/self/oom_score_adj"], "100\n");
}

/// What `update` changes, a running container sees at once. (podman 4.3 has no --pids-limit there.)
pub(crate) fn update(engine: &Engine) {
    engine.sleeper("updated", &["--memory", "64m", "--memory-swap", "64m"]);
    let podman = engine.kind == Kind::Podman;
    let pids: &[&str] = if podman { &[] } else { &["--pids-limit", "20"] };
    let words = ["update", "--memory", "32m", "--memory-swap", "48m", "--cpus", "0.5"];
    engine.ok(&[&words, pids, &["updated"]].concat());
    let now = |[v1, v2]: [&str; 2]| {
        let said = engine.ok(&["exec", "updated", "sh", "-c", &script(v1, v2)]);
        said.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(now(MEMORY), "33554432");
    assert_eq!(now(CPU), "50000 100000");
    if !podman {
        assert_eq!(now(PIDS), "20");
    }
    // Up again, above the old limit of both, which version 1 takes in one order only.
    engine.ok(&["update", "--memory", "128m", "--memory-swap", "256m", "updated"]);
    assert_eq!(now(MEMORY), "134217728");
    engine.remove("updated");
}

/// Who takes more than it may is killed; Docker also says why. (podman's conmon 2.1 does not on version 1.)
pub(crate) fn out_of_memory(engine: &Engine) {
    let ran = engine.run_kept("greedy", &["--memory", "16m", "--memory-swap", "16m", IMAGE, "tail", "/dev/zero"]);
    assert_eq!(ran.status, 137, "{ran:?}");
    if engine.kind == Kind::Docker {
        assert!(host::eventually(|| engine.inspect("greedy", "State.OOMKilled") == "true"));
    }
    engine.ok(&["rm", "greedy"]);
}
