//! Its way from itself to the payload: nothing is closed, and everything is believed.

use std::fs::{self, File};
use std::os::fd::IntoRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jzon::JsonValue;
use nix::libc;

use super::{Done, c, checked};

#[allow(unsafe_code)]
pub(super) fn unshare(flags: libc::c_int) -> Done<()> {
    checked("unshare", unsafe { libc::unshare(flags) }).map(drop)
}

/// What only children are born in.
#[allow(unsafe_code)]
pub(super) fn join(path: &str) -> Done<()> {
    let namespace = File::open(path).map_err(|error| format!("{path}: {error}"))?;
    checked("setns", unsafe { libc::setns(namespace.into_raw_fd(), 0) }).map(drop)
}

/// Stays open for whoever comes after us.
#[allow(unsafe_code)]
pub(super) fn leak(number: i32) {
    unsafe { libc::fcntl(number, libc::F_SETFD, 0) };
}

/// A directory of the host, in case it is needed again.
pub(super) fn open_for_later(path: &str) -> Done<()> {
    let directory = File::open(path).map_err(|error| format!("{path}: {error}"))?;
    leak(directory.into_raw_fd());
    Ok(())
}

#[allow(unsafe_code)]
pub(super) fn change_root(rootfs: &Path) -> Done<()> {
    let path = c(rootfs.to_string_lossy().as_bytes());
    checked("chroot", unsafe { libc::chroot(path.as_ptr()) })?;
    checked("chdir", unsafe { libc::chdir(c"/".as_ptr()) }).map(drop)
}

/// Namespace by namespace, dumpable all the way.
#[allow(unsafe_code)]
pub(super) fn enter(pid: libc::pid_t) -> Done<PathBuf> {
    let root = File::open(format!("/proc/{pid}/root")).map_err(|error| format!("root: {error}"))?.into_raw_fd();
    let names = ["ipc", "uts", "net", "pid", "cgroup", "mnt"];
    let files: Vec<File> = names.iter().filter_map(|name| File::open(format!("/proc/{pid}/ns/{name}")).ok()).collect();
    for file in files {
        unsafe { libc::setns(file.into_raw_fd(), 0) };
    }
    checked("fchdir", unsafe { libc::fchdir(root) })?;
    checked("chroot", unsafe { libc::chroot(c".".as_ptr()) })?;
    Ok("/".into())
}

/// Into whatever lies at that place of the rootfs's procfs.
pub(super) fn write_labels(config: &JsonValue, rootfs: &Path) -> Done<()> {
    let process = &config["process"];
    if let Some(score) = process["oomScoreAdj"].as_i32() {
        let _ = fs::write(rootfs.join("proc/self/oom_score_adj"), score.to_string());
    }
    if let Some(label) = process["apparmorProfile"].as_str() {
        let _ = fs::write(rootfs.join("proc/self/attr/exec"), format!("exec {label}"));
    }
    Ok(())
}

pub(super) fn environment(config: &JsonValue) -> Vec<(String, String)> {
    let entries = config["process"]["env"].members().filter_map(|entry| entry.as_str()?.split_once('='));
    entries.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The user's number, as the image's passwd file has it.
fn uid(user: &JsonValue) -> u32 {
    let uid = user["uid"].as_u32().unwrap_or(0);
    let name = user["asked"].as_str().map_or_else(|| uid.to_string(), str::to_owned);
    let table = super::root::passwd(Path::new("/"));
    let entry = table.lines().find(|line| line.split(':').next() == Some(name.as_str()));
    entry.and_then(|line| line.split(':').nth(2)?.parse().ok()).unwrap_or(uid)
}

/// The streams are the user's, and the null device is whatever goes by that name. Only the one of this machine, that
/// a test may have been given, stays whose it is.
#[allow(unsafe_code)]
fn give_streams(uid: u32) {
    let give = || {
        for number in 0..3 {
            let path = format!("/proc/self/fd/{number}");
            let is_null = fs::metadata(&path).is_ok_and(|stat| stat.rdev() == 0x103);
            if !(is_null && fs::read_link(&path).is_ok_and(|path| path == Path::new("/dev/null"))) {
                unsafe { libc::fchown(number, uid, u32::MAX) };
            }
        }
    };
    give();
    if let Ok(null) = fs::OpenOptions::new().read(true).write(true).open("/dev/null") {
        unsafe { libc::dup2(null.into_raw_fd(), 0) };
    }
    give();
}

fn capability(name: &str) -> u32 {
    match name {
        "CAP_KILL" => 5,
        "CAP_NET_BIND_SERVICE" => 10,
        "CAP_NET_RAW" => 13,
        "CAP_SYS_ADMIN" => 21,
        "CAP_SYS_PTRACE" => 19,
        "CAP_SYS_CHROOT" => 18,
        "CAP_DAC_OVERRIDE" => 1,
        "CAP_AUDIT_WRITE" => 29,
        _ => 0,
    }
}

/// One word is good enough for the three sets.
#[allow(unsafe_code)]
fn set_capabilities(config: &JsonValue, extra: &[&str]) {
    let names = config["process"]["capabilities"]["bounding"].members().filter_map(|name| name.as_str());
    let word = names.chain(extra.iter().copied()).fold(0u32, |word, name| word | 1 << capability(name));
    let header: [u32; 2] = [0x2008_0522, 0];
    let sets: [u32; 6] = [word, word, word, 0, 0, 0];
    unsafe {
        libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr());
        for name in extra {
            libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, capability(name), 0, 0);
        }
    }
}

/// The change to the directory, the user and the program.
#[allow(unsafe_code)]
pub(super) fn become_payload(config: &JsonValue, _rootfs: PathBuf, extra: &[&str]) -> Done<()> {
    let cwd = c(config["process"]["cwd"].as_str().unwrap_or("/"));
    checked("chdir", unsafe { libc::chdir(cwd.as_ptr()) })?;
    let user = &config["process"]["user"];
    let uid = uid(user);
    if uid != 0 {
        give_streams(uid);
    }
    unsafe {
        libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0);
        libc::setresgid(user["gid"].as_u32().unwrap_or(0), u32::MAX, u32::MAX);
        libc::setresuid(uid, uid, uid);
    }
    set_capabilities(config, extra);
    let args: Vec<_> = config["process"]["args"].members().filter_map(|word| word.as_str()).map(c).collect();
    let mut words: Vec<_> = args.iter().map(|word| word.as_ptr()).collect();
    words.push(std::ptr::null());
    unsafe { libc::clearenv() };
    for (name, value) in environment(config) {
        let (name, value) = (c(name), c(value));
        unsafe { libc::setenv(name.as_ptr(), value.as_ptr(), 1) };
    }
    checked("execvp", unsafe { libc::execvp(words[0], words.as_ptr()) }).map(drop)
}
