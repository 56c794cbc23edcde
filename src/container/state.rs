//! What is remembered of a container, as text.

#![forbid(unsafe_code)]

use super::process::Process;
use crate::error::{Error, Result};
use crate::json::{self, Map, Style};
use crate::spec;

/// The version of the form; a runtime reads only its own.
pub(super) const VERSION: u32 = 2;

json::object! {
    /// What `state.json` says.
    pub struct State<'a> {
        /// The version of this form; `write` sets it.
        version: u32 = "version",
        /// The container's name.
        id: &'a str = "id",
        /// Init, in the pid namespace of whoever created it; 0 as long as there is none.
        pid: i32 = "pid",
        /// When init started: field 22 of `/proc/PID/stat`.
        start_time: u64 = "startTime",
        /// Absolute path of the bundle.
        bundle: &'a str = "bundle",
        /// Absolute path of the root file system.
        rootfs: &'a str = "rootfs",
        /// When: `date::Timestamp` as text.
        created: &'a str = "created",
        /// The user id of who created it.
        owner: u32 = "owner",
        /// Where its processes are, from the root of each hierarchy; empty without cgroups.
        cgroup_path: &'a str = "cgroupPath",
        /// `Manager::name` of who made the cgroup.
        cgroup_manager: &'a str = "cgroupManager",
        /// The unit of systemd's that it is in, if systemd has made it.
        systemd_scope: &'a str = "systemdScope",
        /// Whether its process has a terminal.
        terminal: bool = "terminal",
        /// From the config.
        annotations: Map<'a, &'a str> = "annotations",
        /// CLONE_NEW* of the namespaces that are not the creator's: what `exec` joins.
        namespaces: u64 = "namespaces",
        /// Whether processes get a session keyring of their own.
        keyring: bool = "keyring",
        /// Whether processes have a seccomp filter, which lies beside this.
        seccomp: bool = "seccomp",
        /// The groups of the resctrl file system that its processes are in, and those that go with it.
        rdt: json::List<'a, &'a str> = "rdt",
        rdt_own: json::List<'a, &'a str> = "rdtOwn",
        /// Whom the seccomp filter notifies, if it does, and what they are told beside.
        listener_path: Option<&'a str> = "listenerPath",
        listener_metadata: Option<&'a str> = "listenerMetadata",
        /// `process` of the config, as written: what `exec` starts from. It is there when init is.
        process: Option<&'a spec::Process<'a>> = "process",
        /// `linux.memoryPolicy` and `linux.personality` of the config, for the same.
        memory_policy: Option<&'a spec::MemoryPolicy<'a>> = "memoryPolicy",
        personality: Option<spec::Personality<'a>> = "personality",
        /// Of the config's `hooks`, as written, those that `start` and `delete` run.
        hooks: Option<&'a spec::Hooks<'a>> = "hooks",
    }
}

impl State<'_> {
    /// Init, if it runs still.
    ///
    /// # Errors
    /// The kernel's.
    pub fn init(&self) -> Result<Option<Process>> {
        Process::open(self.pid, self.start_time)
    }

    pub(crate) fn json(&self) -> &'static str {
        json::text(Style::Pretty, |w| {
            w.object(|w| {
                w.member("version", VERSION);
                w.member("id", self.id);
                w.member("pid", self.pid);
                w.member("startTime", self.start_time);
                w.member("bundle", self.bundle);
                w.member("rootfs", self.rootfs);
                w.member("created", self.created);
                w.member("owner", self.owner);
                w.member("cgroupPath", self.cgroup_path);
                w.member("cgroupManager", self.cgroup_manager);
                w.member("systemdScope", self.systemd_scope);
                w.member("terminal", self.terminal);
                w.member("annotations", self.annotations);
                w.member("namespaces", self.namespaces);
                w.member("keyring", self.keyring);
                w.member("seccomp", self.seccomp);
                w.member("rdt", Some(self.rdt).filter(|groups| !groups.is_empty()));
                w.member("rdtOwn", Some(self.rdt_own).filter(|groups| !groups.is_empty()));
                w.member("listenerPath", self.listener_path);
                w.member("listenerMetadata", self.listener_metadata);
                w.member("process", self.process);
                w.member("memoryPolicy", self.memory_policy);
                w.member("personality", self.personality);
                w.member("hooks", self.hooks);
            });
        })
    }

    /// `name` is what errors begin with.
    pub(crate) fn parse<'t>(name: &'static str, text: &'t [u8]) -> Result<State<'t>> {
        let state: State<'t> = json::from_document(name, text)?;
        match state.version {
            VERSION => Ok(state),
            other => Err(Error::says(format_args!("{name}: version {other}, but this isopod knows only {VERSION}"))),
        }
    }
}

/// Where a container is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// A runtime is at work on it.
    Creating,
    /// Init waits for `start`.
    Created,
    /// Init is the container's process.
    Running,
    /// All its processes are frozen.
    Paused,
    /// Init has ended, or never was: whoever created the container was killed.
    Stopped,
}

impl Status {
    /// The word of the runtime specification.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_survives_the_file() {
        let state = State {
            version: VERSION,
            id: "a.b",
            pid: 17,
            start_time: u64::MAX,
            bundle: "/with \"quotes\"\n",
            rootfs: "/é",
            created: "2024-02-29T23:59:59.000001Z",
            owner: u32::MAX,
            cgroup_path: "/x/a.b",
            cgroup_manager: "cgroupfs",
            systemd_scope: "",
            terminal: true,
            annotations: Map::default(),
            namespaces: 1 << 40,
            keyring: true,
            seccomp: true,
            rdt: &["group", "group/mon_groups/id"],
            rdt_own: &["group/mon_groups/id"],
            listener_path: Some("/agent"),
            listener_metadata: None,
            process: Some(&spec::Process { cwd: Some("/"), args: &["a", "\"b\""], ..spec::Process::default() }),
            memory_policy: Some(&spec::MemoryPolicy { mode: Some("m"), nodes: None, flags: &["f"] }),
            personality: Some(spec::Personality { domain: Some("LINUX"), flags: &[] }),
            hooks: Some(&spec::Hooks {
                poststop: &[spec::Hook { path: Some("/a"), args: None, env: Some(&[]), timeout: Some(7) }],
                ..spec::Hooks::default()
            }),
        };
        assert_eq!(State::parse("x", state.json().as_bytes()).expect("good"), state);
        let text = state.json().replace("\"annotations\": {}", "\"annotations\": {\"k\": \"v\\n\", \"\": \"\"}");
        let with = State::parse("x", text.as_bytes()).expect("good");
        assert_eq!(&*with.annotations, &[("k", "v\n"), ("", "")]);
        assert_eq!(State::parse("x", with.json().as_bytes()).expect("good"), with);
    }

    #[test]
    fn a_state_of_another_form_is_refused() {
        for text in ["{}", "{\"version\": 1}", "", "[]", "{\"version\": 2,\"pid\": \"x\"}"] {
            assert!(State::parse("x", text.as_bytes()).is_err(), "{text}");
        }
    }
}
