//! Who the process is and what it may do.

use crate::engine::{Engine, IMAGE};
use std::fs;

pub(crate) fn user(engine: &Engine) {
    let script = "id -u; id -g; echo $HOME";
    engine.prints(&["--user", "ada", IMAGE, "sh", "-c", script], "1234\n5678\n/srv\n");
    engine.prints(&["--user", "12:34", "--group-add", "56", IMAGE, "sh", "-c", "id -u; id -G"], "12\n34 56\n");
}

pub(crate) fn workdir(engine: &Engine) {
    engine.prints(&["--workdir", "/srv", IMAGE, "pwd"], "/srv\n");
}

pub(crate) fn hostname(engine: &Engine) {
    engine.prints(&["--hostname", "woodlouse", IMAGE, "hostname"], "woodlouse\n");
}

/// A line of /proc/self/status from inside, as a number.
pub(crate) fn status(engine: &Engine, options: &[&str], field: &str) -> u64 {
    let words = [options, &[IMAGE, "grep", field, "/proc/self/status"]].concat();
    let output = engine.run(&words);
    let value = output.stdout.split_whitespace().nth(1).unwrap_or_else(|| panic!("{words:?}: {output:?}"));
    u64::from_str_radix(value, 16).unwrap()
}

pub(crate) fn cap_drop_all(engine: &Engine) {
    for set in ["CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb"] {
        assert_eq!(status(engine, &["--cap-drop", "all"], set), 0, "{set}");
    }
}

pub(crate) fn cap_add(engine: &Engine) {
    const CHOWN: u64 = 1 << 0;
    const NET_RAW: u64 = 1 << 13;
    const SYS_PTRACE: u64 = 1 << 19;
    assert_eq!(status(engine, &["--cap-drop", "all", "--cap-add", "net_raw"], "CapEff"), NET_RAW);
    assert_eq!(status(engine, &["--cap-drop", "all", "--cap-add", "net_raw"], "CapBnd"), NET_RAW);
    let effective = status(engine, &["--cap-drop", "chown", "--cap-add", "sys_ptrace"], "CapEff");
    assert_eq!(effective & (CHOWN | SYS_PTRACE), SYS_PTRACE, "{effective:x}");
}

pub(crate) fn no_new_privileges(engine: &Engine) {
    assert_eq!(status(engine, &["--security-opt", "no-new-privileges"], "NoNewPrivs"), 1);
    assert_eq!(status(engine, &[], "NoNewPrivs"), 0);
}

/// All that this process has of what the engine knows, and /proc/sys can be written. (runc fails with EPERM where it
/// has not got every capability itself; dockerd 20.10 knows 38.)
pub(crate) fn privileged(engine: &Engine) {
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap();
    let own = u64::from_str_radix(own, 16).unwrap();
    let effective = status(engine, &["--privileged"], "CapEff");
    assert!(effective == own || effective == own & ((1 << 38) - 1), "{effective:x} {own:x}");
    engine.prints(&["--privileged", IMAGE, "sh", "-c", "grep -c ' /proc/sys ' /proc/mounts; true"], "0\n");
}

pub(crate) fn ulimit(engine: &Engine) {
    engine.prints(
        &["--ulimit", "nofile=100:200", "--ulimit", "nproc=1024:4096", IMAGE, "sh", "-c", "ulimit -Sn; ulimit -Hn"],
        "100\n200\n",
    );
}

pub(crate) fn sysctl(engine: &Engine) {
    let name = "net.ipv4.ip_unprivileged_port_start";
    let path = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    engine.prints(&["--sysctl", &format!("{name}=42"), IMAGE, "cat", path], "42\n");
}

/// The engine's own profile, none, and one that is given: there `chmod` fails.
pub(crate) fn seccomp(engine: &Engine) {
    assert_eq!(status(engine, &[], "Seccomp:"), 2);
    assert_eq!(status(engine, &["--security-opt", "seccomp=unconfined"], "Seccomp:"), 0);
    let profile = engine.dir.join("profile.json");
    let rule = r#"{"names": ["chmod", "fchmod", "fchmodat", "fchmodat2"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}"#;
    fs::write(&profile, format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{rule}]}}"#)).unwrap();
    let option = format!("seccomp={}", profile.display());
    let output = engine.run(&["--security-opt", &option, IMAGE, "chmod", "0", "/srv"]);
    assert_eq!((output.status, output.last_error()), (1, "chmod: /srv: No space left on device"));
}

/// Paths that the engine hides and protects.
pub(crate) fn masked_paths(engine: &Engine) {
    engine.prints(&[IMAGE, "sh", "-c", "cat /proc/keys /proc/timer_list | wc -c; ls /sys/firmware"], "0\n");
    let output = engine.run(&[IMAGE, "sh", "-c", "echo 1 >/proc/sys/vm/swappiness"]);
    assert!(output.status == 1 && output.stderr.contains("Read-only file system"), "{output:?}");
}
