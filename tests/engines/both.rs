//! What the users of podman and of Docker do in the same words. Every test gets the engine.

pub(crate) mod errors;
pub(crate) mod exec;
pub(crate) mod files;
pub(crate) mod identity;
pub(crate) mod life;
pub(crate) mod limits;
pub(crate) mod namespaces;

use crate::engine::Engine;
use crate::host;

/// A test: its name, what is missing for it, if anything, and what it does.
pub(crate) type Test = (&'static str, fn() -> Option<String>, fn(&Engine));

/// Tests by the names of their functions, in modules; after an `if`, what may be missing.
macro_rules! tests {
    ($($module:ident: $($test:ident $(if $missing:expr)?),*;)*) => {
        vec![$($((
            stringify!($test),
            (|| None$(.or_else(|| $missing))?) as fn() -> Option<String>,
            $module::$test as fn(&$crate::engine::Engine),
        )),*),*]
    };
}
pub(crate) use tests;

pub(crate) fn all() -> Vec<Test> {
    tests![
        life: echo, exit_code, stdin, environment, terminal, terminal_of_a_person, detached_logs_stop_rm, stop_in_vain,
            start_again, restart, restart_policy, ps_and_inspect, kill_with_signal, two_at_once, attach, pause,
            remove_while_paused, top, stats, events, diff_and_commit, build;
        files: read_only, tmpfs, shm_size, volume_read_write, volume_read_only, volume_by_name, volume_of_a_file,
            volume_propagation, device if host::lacks_file("/dev/fuse"), copy;
        identity: user, workdir, hostname, cap_drop_all, cap_add, no_new_privileges, privileged, ulimit, sysctl,
            seccomp, masked_paths;
        limits: memory if limits::lacks("memory"), pids_limit_1 if limits::lacks("pids"), cpus if limits::lacks("cpu"),
            cpuset if limits::lacks("cpuset"), oom_score, update if limits::lacks("memory"),
            out_of_memory if limits::lacks("memory");
        namespaces: pid_private_and_host, ipc_private_and_host, uts_host, cgroup_private_and_host, network_none,
            network_host, of_another_container;
        exec: exec, exec_options, exec_input, exec_terminal, exec_detached, exec_privileged, exec_many;
        errors: missing_executable, not_executable, executable_for_others, exec_errors, states, unknown_sysctl;
    ]
}
