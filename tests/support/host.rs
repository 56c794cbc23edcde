//! Facts about this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file's text; empty if it cannot be read.
pub fn read(path: impl AsRef<Path>) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// Why no test at all can run here.
pub(super) fn unfit() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("not root".into());
    }
    (!Path::new(BUSYBOX).exists()).then(|| format!("no {BUSYBOX}"))
}

pub(super) const BUSYBOX: &str = "/bin/busybox";

/// A mount of this machine: where, what type, with which options of its file system.
pub(super) struct Mount {
    pub(super) target: String,
    pub(super) kind: String,
    options: String,
}

pub(super) fn mounts() -> Vec<Mount> {
    read("/proc/self/mountinfo").lines().filter_map(parse_mount).collect()
}

fn parse_mount(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut right = right.split(' ');
    Some(Mount {
        target: left.split(' ').nth(4)?.to_owned(),
        kind: right.next()?.to_owned(),
        options: right.nth(1)?.to_owned(),
    })
}

/// The version of the kernel.
pub fn linux() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|word| word.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// Where a cgroup v1 controller is mounted.
pub fn controller(name: &str) -> Option<PathBuf> {
    let has = |mount: &Mount| mount.kind == "cgroup" && mount.options.split(',').any(|option| option == name);
    mounts().into_iter().find(has).map(|mount| mount.target.into())
}

/// Where the unified hierarchy is mounted, if it has the controller.
pub fn unified(controller: &str) -> Option<PathBuf> {
    let mount = mounts().into_iter().find(|mount| mount.kind == "cgroup2")?;
    let root = PathBuf::from(mount.target);
    read(root.join("cgroup.controllers")).split_whitespace().any(|name| name == controller).then_some(root)
}

/// A tmpfs on the host, unmounted at the end.
pub struct Tmpfs(pub PathBuf);

impl Tmpfs {
    /// Options as mount(8) takes them, or none.
    pub fn mount(path: PathBuf, options: &str) -> Tmpfs {
        fs::create_dir_all(&path).expect("mkdir");
        let options = if options.is_empty() { "rw" } else { options };
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&path).status();
        assert!(mounted.expect("mount").success());
        Tmpfs(path)
    }

    /// Changes the mount, with all below it, as mount(8) does by this option.
    pub fn change(&self, option: &str) {
        let changed = Command::new("mount").arg(option).arg(&self.0).status();
        assert!(changed.expect("mount").success());
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Debian's crun refuses a hybrid host as long as any controller is left on v2: this puts the last one on v1.
pub struct HugetlbOnV1(PathBuf);

impl HugetlbOnV1 {
    pub fn mount() -> Option<HugetlbOnV1> {
        // It may be there already, from another run that takes it away when it ends.
        controller("memory")?;
        let dir = std::env::temp_dir().join(format!("hugetlb-{}", std::process::id()));
        fs::create_dir(&dir).expect("mkdir");
        let mounted = Command::new("mount").args(["-t", "cgroup", "-o", "hugetlb", "hugetlb"]).arg(&dir).status();
        let hugetlb = HugetlbOnV1(dir);
        assert!(mounted.expect("mount").success(), "hugetlb cannot be mounted on cgroup v1");
        Some(hugetlb)
    }
}

impl Drop for HugetlbOnV1 {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
        let _ = fs::remove_dir(&self.0);
    }
}
