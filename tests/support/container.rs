//! One container: its bundle, its config as a JSON value, and the commands about it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use jzon::{JsonValue, array, object};

use super::command::{Ran, Running, eventually};
use super::host::{self, read};
use super::probe;
use super::sandbox::{Sandbox, chown};
use super::user::User;

pub struct Container<'a> {
    sandbox: &'a Sandbox,
    pub id: String,
    pub bundle: PathBuf,
    pub config: JsonValue,
}

impl<'a> Container<'a> {
    pub(super) fn new(sandbox: &'a Sandbox, id: String) -> Container<'a> {
        let bundle = sandbox.path(&format!("bundle-{id}"));
        make_rootfs(&bundle.join("rootfs"));
        let mut config = default_config();
        config["process"]["env"].push(sandbox.mark()).expect("env");
        config["linux"]["cgroupsPath"] = format!("/{id}").into();
        if let Some(user) = sandbox.user() {
            chown(&bundle, user);
            for_user(&mut config, user);
        }
        Container { sandbox, id, bundle, config }
    }

    // The bundle.

    pub fn rootfs(&self) -> PathBuf {
        self.bundle.join("rootfs")
    }

    /// A directory in the rootfs, with its parents.
    pub fn mkdir(&mut self, path: &str) -> &mut Self {
        fs::create_dir_all(self.inside(path)).expect("mkdir");
        self
    }

    /// A file in the rootfs, with its parents.
    pub fn file(&mut self, path: &str, content: &str) -> &mut Self {
        let path = self.inside(path);
        fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
        fs::write(path, content).expect("write");
        self
    }

    /// A symlink in the rootfs, in place of whatever is there.
    pub fn symlink(&mut self, path: &str, target: impl AsRef<Path>) -> &mut Self {
        let path = self.inside(path);
        fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
        let _ = fs::remove_file(&path);
        let _ = fs::remove_dir_all(&path);
        symlink(target, path).expect("symlink");
        self
    }

    /// Puts the probe into the rootfs as `/probe`.
    pub fn with_probe(&mut self) -> &mut Self {
        copy_program(&probe::path().expect("probe"), &self.inside("probe"));
        self
    }

    /// The same, as the container's process.
    pub fn probe(&mut self, verb: &str) -> &mut Self {
        self.with_probe().args(&["/probe", verb])
    }

    pub fn inside(&self, path: &str) -> PathBuf {
        self.rootfs().join(path.trim_start_matches('/'))
    }

    // The config.

    pub fn args(&mut self, args: &[&str]) -> &mut Self {
        self.config["process"]["args"] = args.to_vec().into();
        self
    }

    pub fn sh(&mut self, script: &str) -> &mut Self {
        self.args(&["/bin/sh", "-c", script])
    }

    pub fn env(&mut self, entry: &str) -> &mut Self {
        self.config["process"]["env"].push(entry).expect("env");
        self
    }

    pub fn mount(&mut self, destination: &str, kind: &str, source: impl AsRef<Path>, options: &[&str]) -> &mut Self {
        let source = source.as_ref().to_str().expect("source");
        let mount = object! { destination: destination, "type": kind, source: source, options: options.to_vec() };
        self.config["mounts"].push(mount).expect("mounts");
        self
    }

    pub fn bind(&mut self, destination: &str, source: impl AsRef<Path>, options: &[&str]) -> &mut Self {
        let options: Vec<&str> = ["bind"].iter().chain(options).copied().collect();
        self.mount(destination, "bind", source, &options)
    }

    /// Leaves out the standard mounts at and below a path.
    pub fn without_mount(&mut self, destination: &str) -> &mut Self {
        let below = format!("{destination}/");
        let keep = |mount: &&JsonValue| {
            let target = mount["destination"].as_str().expect("destination");
            target != destination && !target.starts_with(&below)
        };
        let kept: Vec<JsonValue> = self.config["mounts"].members().filter(keep).cloned().collect();
        self.config["mounts"] = kept.into();
        self
    }

    pub fn writable(&mut self) -> &mut Self {
        self.config["root"]["readonly"] = false.into();
        self
    }

    pub fn namespace(&mut self, kind: &str) -> &mut Self {
        self.config["linux"]["namespaces"].push(object! { "type": kind }).expect("namespaces");
        self
    }

    pub fn without_namespace(&mut self, kind: &str) -> &mut Self {
        let namespaces = self.config["linux"]["namespaces"].members();
        let kept: Vec<JsonValue> = namespaces.filter(|namespace| namespace["type"] != kind).cloned().collect();
        self.config["linux"]["namespaces"] = kept.into();
        self
    }

    pub fn join(&mut self, kind: &str, path: &str) -> &mut Self {
        self.without_namespace(kind);
        self.config["linux"]["namespaces"].push(object! { "type": kind, path: path }).expect("namespaces");
        self
    }

    /// A user namespace where root is 100000 outside, and a rootfs that belongs to that root.
    pub fn with_user_namespace(&mut self) -> &mut Self {
        let map = array![object! { containerID: 0, hostID: 100000, size: 65536 }];
        self.config["linux"]["uidMappings"] = map.clone();
        self.config["linux"]["gidMappings"] = map;
        let chowned = Command::new("chown").args(["-R", "100000:100000"]).arg(self.rootfs()).status();
        assert!(chowned.expect("chown").success());
        self.namespace("user")
    }

    pub fn capabilities(&mut self, names: &[&str]) -> &mut Self {
        for set in ["bounding", "effective", "permitted"] {
            self.config["process"]["capabilities"][set] = names.to_vec().into();
        }
        self
    }

    pub fn as_user(&mut self, uid: u32, gid: u32) -> &mut Self {
        self.config["process"]["user"] = object! { uid: uid, gid: gid };
        self
    }

    pub fn write_config(&self) -> &Self {
        fs::write(self.bundle.join("config.json"), self.config.pretty(2)).expect("config.json");
        self
    }

    // The life.

    /// `VERB OPTIONS --bundle BUNDLE ID`.
    pub fn command(&self, verb: &str, options: &[&str]) -> Command {
        let mut command = self.sandbox.command(&[verb]);
        command.args(options).arg("--bundle").arg(&self.bundle).arg(&self.id);
        command
    }

    /// The same, with the config written: for a test that runs the command in its own way.
    pub fn write_config_for(&self, verb: &str) -> Command {
        self.write_config().command(verb, &[])
    }

    /// Runs in the foreground.
    #[track_caller]
    pub fn run(&self) -> Ran {
        self.run_with(&[])
    }

    #[track_caller]
    pub fn run_with(&self, options: &[&str]) -> Ran {
        self.start_run(options).wait()
    }

    #[track_caller]
    pub fn start_run(&self, options: &[&str]) -> Running {
        self.write_config();
        self.sandbox.spawn(&mut self.command("run", options))
    }

    /// Runs a script in the foreground, demands success and gives its output.
    #[track_caller]
    pub fn out(&mut self, script: &str) -> String {
        self.sh(script).run().ok()
    }

    #[track_caller]
    pub fn create(&self) -> Ran {
        self.create_with(&[])
    }

    #[track_caller]
    pub fn create_with(&self, options: &[&str]) -> Ran {
        self.write_config();
        self.sandbox.spawn(&mut self.command("create", options)).wait()
    }

    #[track_caller]
    pub fn created(&self) -> Ran {
        let ran = self.create();
        ran.exits(0);
        ran
    }

    #[track_caller]
    pub fn start(&self) -> Ran {
        self.about("start", &[])
    }

    #[track_caller]
    pub fn kill(&self, signal: &str) -> Ran {
        self.about("kill", &[signal])
    }

    #[track_caller]
    pub fn delete(&self) -> Ran {
        self.about("delete", &[])
    }

    #[track_caller]
    pub fn force_delete(&self) -> Ran {
        self.sandbox.rt(&["delete", "--force", &self.id])
    }

    /// `VERB ID WORDS`.
    #[track_caller]
    pub fn about(&self, verb: &str, words: &[&str]) -> Ran {
        let args: Vec<&str> = [verb, &self.id].iter().chain(words).copied().collect();
        self.sandbox.rt(&args)
    }

    /// `exec OPTIONS ID WORDS`.
    pub fn exec_command(&self, options: &[&str], words: &[&str]) -> Command {
        let mut command = self.sandbox.command(&["exec"]);
        command.args(options).arg(&self.id).args(words);
        command
    }

    #[track_caller]
    pub fn exec(&self, options: &[&str], words: &[&str]) -> Ran {
        self.sandbox.spawn(&mut self.exec_command(options, words)).wait()
    }

    /// Executes a script, demands success and gives its output.
    #[track_caller]
    pub fn exec_out(&self, options: &[&str], script: &str) -> String {
        self.exec(options, &["/bin/sh", "-c", script]).ok()
    }

    #[track_caller]
    pub fn state(&self) -> JsonValue {
        let text = self.about("state", &[]).ok();
        jzon::parse(&text).unwrap_or_else(|error| panic!("state is not JSON: {error}: {text}"))
    }

    #[track_caller]
    pub fn status(&self) -> String {
        self.state()["status"].as_str().expect("status").to_owned()
    }

    #[track_caller]
    pub fn pid(&self) -> i32 {
        self.state()["pid"].as_i32().expect("pid")
    }

    /// Creates and starts a container that sleeps; gives the pid of its init, which is that program by then.
    #[track_caller]
    pub fn started(&mut self) -> i32 {
        self.args(&["/bin/sleep", "600"]).created();
        self.start().ok();
        let pid = self.pid();
        eventually("the payload runs", || read(format!("/proc/{pid}/comm")).trim() == "sleep");
        pid
    }

    #[track_caller]
    pub fn wait_until_stopped(&self) {
        eventually("the container stops", || self.status() == "stopped");
    }

    /// The container's cgroup in the hierarchy that has the controller, of v1 or, if it is not there, of v2.
    pub fn cgroup(&self, controller: &str) -> PathBuf {
        host::controller(controller).or_else(|| host::unified(controller)).expect("controller").join(&self.id)
    }

    /// The container's cgroup in the unified hierarchy.
    pub fn unified_cgroup(&self) -> PathBuf {
        host::unified("memory").expect("cgroup v2").join(&self.id)
    }

    /// A file of that cgroup.
    pub fn cgroup_file(&self, controller: &str, file: &str) -> String {
        read(self.cgroup(controller).join(file)).trim_end().to_owned()
    }
}

/// Of busybox, what the scripts use.
const APPLETS: &[&str] = &[
    "awk",
    "cat",
    "chmod",
    "chown",
    "cut",
    "date",
    "dd",
    "dnsdomainname",
    "echo",
    "env",
    "false",
    "find",
    "grep",
    "head",
    "hostname",
    "id",
    "ip",
    "kill",
    "ls",
    "mkdir",
    "mkfifo",
    "mknod",
    "mount",
    "nproc",
    "od",
    "printf",
    "ps",
    "pwd",
    "readlink",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "sh",
    "sleep",
    "sort",
    "stat",
    "stty",
    "sysctl",
    "tail",
    "test",
    "touch",
    "tr",
    "true",
    "tty",
    "umount",
    "uname",
    "unshare",
    "wc",
];

fn make_rootfs(rootfs: &Path) {
    let bin = rootfs.join("bin");
    fs::create_dir_all(&bin).expect("mkdir");
    copy_program(Path::new(host::BUSYBOX), &bin.join("busybox"));
    for applet in APPLETS {
        symlink("busybox", bin.join(applet)).expect("symlink");
    }
    for dir in ["proc", "sys", "dev", "tmp", "etc"] {
        fs::create_dir(rootfs.join(dir)).expect("mkdir");
    }
    fs::write(rootfs.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n")
        .expect("passwd");
}

/// What `spec` writes, but without a terminal, and without the ambient capabilities that cannot be had while the
/// inheritable set is empty (and are worth a warning).
pub fn default_config() -> JsonValue {
    let capabilities = array!["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
    let mut config = object! {
        ociVersion: "1.0.2",
        process: {
            terminal: false,
            user: { uid: 0, gid: 0 },
            args: ["sh"],
            env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            cwd: "/",
            capabilities: {
                bounding: capabilities.clone(),
                effective: capabilities.clone(),
                permitted: capabilities,
            },
            rlimits: [{ "type": "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
            noNewPrivileges: true,
        },
        root: { path: "rootfs", readonly: true },
        hostname: "isopod",
        mounts: [
            { destination: "/proc", "type": "proc", source: "proc" },
            { destination: "/dev", "type": "tmpfs", source: "tmpfs",
              options: ["nosuid", "strictatime", "mode=755", "size=65536k"] },
            { destination: "/dev/pts", "type": "devpts", source: "devpts",
              options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
            { destination: "/dev/shm", "type": "tmpfs", source: "shm",
              options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] },
            { destination: "/dev/mqueue", "type": "mqueue", source: "mqueue",
              options: ["nosuid", "noexec", "nodev"] },
            { destination: "/sys", "type": "sysfs", source: "sysfs",
              options: ["nosuid", "noexec", "nodev", "ro"] },
            { destination: "/sys/fs/cgroup", "type": "cgroup", source: "cgroup",
              options: ["nosuid", "noexec", "nodev", "relatime", "ro"] },
        ],
        linux: {
            resources: { devices: [{ allow: false, access: "rwm" }] },
            namespaces: [
                { "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" },
            ],
            maskedPaths: [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
            ],
            readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    };
    if host::unified("memory").is_some() {
        config["linux"]["namespaces"].push(object! { "type": "cgroup" }).expect("namespaces");
    }
    config
}

/// What `spec --rootless` makes different: the user is root in a user namespace of his own, there is no group 5, and
/// he is not asked to make cgroups.
fn for_user(config: &mut JsonValue, user: &User) {
    let linux = &mut config["linux"];
    for (name, id) in [("uidMappings", user.uid), ("gidMappings", user.gid)] {
        linux[name] = array![object! { containerID: 0, hostID: id, size: 1 }];
    }
    linux["namespaces"].push(object! { "type": "user" }).expect("namespaces");
    linux.remove("cgroupsPath");
    linux.remove("resources");
    for mount in config["mounts"].members_mut().filter(|mount| mount["type"] == "devpts") {
        let kept = mount["options"].members().filter(|option| *option != "gid=5").cloned().collect::<Vec<_>>();
        mount["options"] = kept.into();
    }
}

/// Copied by a process of its own: a descriptor of ours for writing could be inherited by a child that another test
/// makes at this moment, and the program could not be executed as long as that is open (ETXTBSY).
pub fn copy_program(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg(from).arg(to).status().expect("cp");
    assert!(copied.success(), "cp {} {}", from.display(), to.display());
}
