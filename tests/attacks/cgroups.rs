//! Control groups: what of them the container can write to, and paths that lead out of its own.

use std::fs;

use crate::breach::{holds, refused, says};
use crate::support::{Need, Sandbox, controller, eventually, read};
use crate::{Attack, attack};

pub fn attacks() -> Vec<Attack> {
    vec![
        attack!(cve_2022_0492_release_agent).needs(&[Need::V1("memory")]),
        attack!(cve_2023_25809_cgroups_in_a_bind_of_sys).needs(&[Need::User]).proves_itself(),
        attack!(exec_cgroup_leads_out),
        attack!(deep_cgroups_are_removed).proves_itself(),
    ]
}

/// What the kernel of the host would execute as root, and its kin. Only touched: for they are the host's.
fn cve_2022_0492_release_agent(t: &Sandbox) {
    let mut c = t.container();
    c.capabilities(&["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]);
    c.sh("for f in $(find /sys/fs/cgroup -name release_agent -o -name notify_on_release -o -name tasks); do \
          touch -c $f 2>/dev/null && echo $f; done; echo done");
    says(&c.run(), "done", "files that can be written to");
}

/// Without a cgroup namespace a user's `/sys` is the host's, with its cgroups below, some of which may be his own.
fn cve_2023_25809_cgroups_in_a_bind_of_sys(t: &Sandbox) {
    t.as_ordinary_user();
    let mut c = t.container();
    c.without_namespace("cgroup").without_namespace("network").without_mount("/sys");
    c.mount("/sys", "none", "/sys", &["rbind", "nosuid", "noexec", "nodev"]);
    c.sh("grep ' /sys/fs/cgroup' /proc/self/mountinfo | cut -d' ' -f5,6 | grep -v ' ro'; echo done");
    assert_ne!(c.run().ok(), "done", "they are not there at all");
    c.without_mount("/sys").mount("/sys", "none", "/sys", &["rbind", "nosuid", "noexec", "nodev", "ro"]);
    let ran = c.run();
    // A kernel that cannot do it to all of them is a reason to refuse.
    if ran.code == 0 {
        says(&ran, "done", "cgroup file systems that can be written to");
    }
}

/// Beside the container's own, or above it.
fn exec_cgroup_leads_out(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    let beside = t.new_id();
    for path in [format!("../{beside}"), format!("a/../../{beside}"), format!("/../{beside}"), "..".into()] {
        refused(&c.exec(&["--cgroup", &path], &["/bin/true"]));
    }
    holds(!t.cgroups().iter().any(|path| path.ends_with(&beside)), "a cgroup was made elsewhere");
    c.force_delete();
}

/// Cgroups within cgroups, deeper than any path: who takes them away must not run out of stack, names or descriptors.
fn deep_cgroups_are_removed(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    let base = controller("memory").or_else(|| crate::support::unified("memory")).map(|root| root.join(&c.id));
    let Some(base) = base.filter(|base| base.exists()) else { return };
    // As the container's root could, had it cgroups of its own to write to.
    let script = "cd \"$1\" && for i in $(seq 200); do mkdir aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa || break; \
                  cd aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done; echo $i";
    let made = std::process::Command::new("sh").args(["-c", script, "sh"]).arg(&base).output().expect("sh");
    let depth: u32 = String::from_utf8_lossy(&made.stdout).trim().parse().expect("depth");
    assert!(depth > 100, "{depth}");
    let deleted = c.force_delete();
    // Whatever a runtime has left of it.
    let script = "cd \"$1\" 2>/dev/null || exit; i=0; while cd aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 2>/dev/null; do i=$((i+1)); done; \
                  while test $i -gt 0; do cd -P .. && rmdir aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; i=$((i-1)); done; echo $PWD";
    let left = std::process::Command::new("sh").args(["-c", script, "sh"]).arg(&base).output().expect("sh");
    deleted.ok();
    assert!(left.stdout.is_empty(), "cgroups were left");
    eventually("they are gone", || fs::symlink_metadata(&base).is_err());
    assert_eq!(read(base.join("tasks")), "");
}
