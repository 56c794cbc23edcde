//! Races: a volume, or the rootfs itself, is shared with somebody who exchanges a directory for a link again and again
//! while a container is started. Each is run a bounded number of times (`ATTACK_STARTS`).

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use jzon::array;
use nix::libc;

use crate::breach::{holds, same};
use crate::support::{Container, Need, Sandbox, read};
use crate::{Attack, attack, starts};

pub fn attacks() -> Vec<Attack> {
    vec![
        attack!(cve_2021_30465_mount_target_is_exchanged).needs(&[Need::Processors(2)]),
        attack!(cve_2024_45310_parent_of_a_target_is_exchanged).needs(&[Need::Processors(2)]),
        attack!(cve_2019_19921_proc_is_exchanged).needs(&[Need::Processors(2)]),
        attack!(cve_2025_31133_null_device_is_exchanged).needs(&[Need::Processors(2)]),
        attack!(cve_2025_62596_file_below_proc_is_exchanged).needs(&[Need::Processors(2)]),
        attack!(cve_2024_0132_working_directory_is_exchanged).needs(&[Need::Processors(2)]),
    ]
}

/// Exchanges two names for as long as it lives.
struct Swapper {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Swapper {
    #[allow(unsafe_code)]
    fn between(one: &Path, other: &Path) -> Swapper {
        let end = Arc::new(AtomicBool::new(false));
        let name = |path: &Path| CString::new(path.to_str().expect("path")).expect("no NUL");
        let (one, other, seen) = (name(one), name(other), end.clone());
        let thread = std::thread::spawn(move || {
            let mut times = 0;
            while !seen.load(Ordering::Relaxed) {
                let flags = libc::RENAME_EXCHANGE;
                let done =
                    unsafe { libc::renameat2(libc::AT_FDCWD, one.as_ptr(), libc::AT_FDCWD, other.as_ptr(), flags) };
                times += u64::from(done == 0);
            }
            times
        });
        Swapper { end, thread: Some(thread) }
    }

    /// That it has been at work.
    fn stop(mut self) {
        self.end.store(true, Ordering::Relaxed);
        let times = self.thread.take().expect("thread").join().expect("swapper");
        assert!(times > 100, "exchanged only {times} times");
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A volume on `/vol`, whose `d` is now a directory and now a link.
fn volume(t: &Sandbox, c: &mut Container<'_>, link: &Path) -> Swapper {
    let volume = t.path("volume");
    fs::create_dir_all(volume.join("d")).expect("mkdir");
    symlink(link, volume.join("link")).expect("symlink");
    c.writable().bind("/vol", &volume, &[]);
    Swapper::between(&volume.join("d"), &volume.join("link"))
}

/// Wherever in the container they come to lie: none of the mounts may lie elsewhere.
fn cve_2021_30465_mount_target_is_exchanged(t: &Sandbox) {
    let guard = t.guard();
    let mut c = t.container();
    for name in ["x", "y"] {
        fs::create_dir_all(t.path("outside").join(name)).expect("mkdir");
    }
    let swapper = volume(t, &mut c, &t.path("outside"));
    c.mount("/vol/d/x", "tmpfs", "marked-x", &[]).mount("/vol/d/y", "tmpfs", "marked-y", &[]);
    c.sh("grep -c marked- /proc/self/mountinfo");
    for _ in 0..starts(100) {
        let ran = c.run();
        if ran.code <= 1 && !ran.stdout().is_empty() {
            same(&ran.stdout().trim(), &"2", "mounts in the container");
        }
    }
    swapper.stop();
    guard.is_unchanged();
}

fn cve_2024_45310_parent_of_a_target_is_exchanged(t: &Sandbox) {
    let guard = t.guard();
    let mut c = t.container();
    let file = t.file("file", "");
    let swapper = volume(t, &mut c, &guard.dir);
    c.mount("/vol/d/new/dir", "tmpfs", "tmpfs", &[]).bind("/vol/d/newfile", &file, &[]).sh("true");
    for _ in 0..starts(100) {
        c.run();
        guard.is_unchanged();
    }
    swapper.stop();
}

/// In whatever is started, what is to be masked is masked, wherever it has come to lie: the attacker, who can rename in
/// the rootfs, can only lead his own container's processes astray.
fn cve_2019_19921_proc_is_exchanged(t: &Sandbox) {
    let mut c = t.container();
    c.mkdir("/other").symlink("/link", "/other");
    c.config["linux"]["maskedPaths"] = array!["/proc/version"];
    let swapper = Swapper::between(&c.inside("/proc"), &c.inside("/link"));
    c.sh("cat /proc/version /link/version /other/version 2>/dev/null; true");
    for _ in 0..starts(100) {
        let ran = c.run();
        if ran.code == 0 {
            same(&ran.stdout().as_str(), &"", "a masked file");
        }
    }
    swapper.stop();
}

/// In a directory that is mounted on `/dev`.
fn cve_2025_31133_null_device_is_exchanged(t: &Sandbox) {
    let volume = t.path("volume");
    fs::create_dir(&volume).expect("mkdir");
    let made = std::process::Command::new("mknod").arg(volume.join("null")).args(["c", "1", "3"]).status();
    assert!(made.expect("mknod").success());
    symlink("/proc/sys/kernel/ostype", volume.join("link")).expect("symlink");
    let mut c = t.container();
    c.without_mount("/dev").bind("/dev", &volume, &[]);
    c.config["linux"]["maskedPaths"] = array!["/proc/version"];
    let swapper = Swapper::between(&volume.join("null"), &volume.join("link"));
    c.sh("stat -c '%F %t:%T' /proc/version");
    for _ in 0..starts(100) {
        let ran = c.run();
        if ran.code == 0 {
            same(&ran.stdout().trim(), &"character special file 1:3", "what a masked file is");
        }
    }
    swapper.stop();
}

/// What is mounted below `/proc` is somebody's volume, where sysctls and labels would be written to.
fn cve_2025_62596_file_below_proc_is_exchanged(t: &Sandbox) {
    let guard = t.guard();
    let volume = t.path("volume");
    fs::create_dir(&volume).expect("mkdir");
    fs::write(volume.join("shm_rmid_forced"), "").expect("write");
    symlink(guard.dir.join("secret"), volume.join("link")).expect("symlink");
    let mut c = t.container();
    c.bind("/proc/sys/kernel", &volume, &[]);
    c.config["linux"]["sysctl"]["kernel.shm_rmid_forced"] = "1".into();
    c.config["linux"]["readonlyPaths"] = array![];
    let swapper = Swapper::between(&volume.join("shm_rmid_forced"), &volume.join("link"));
    c.sh("true");
    for _ in 0..starts(100) {
        c.run();
        guard.is_unchanged();
    }
    swapper.stop();
    holds(read(volume.join("shm_rmid_forced")) != "1", "a sysctl was written to the volume");
}

/// Made if it is missing, in the container; and what runs is in there.
fn cve_2024_0132_working_directory_is_exchanged(t: &Sandbox) {
    let guard = t.guard();
    let mut c = t.container();
    let swapper = volume(t, &mut c, &guard.dir);
    c.config["process"]["cwd"] = "/vol/d/deep/new".into();
    c.sh("true");
    for _ in 0..starts(100) {
        c.run();
        let _ = fs::remove_dir_all(t.path("volume/d/deep"));
        guard.is_unchanged();
    }
    swapper.stop();
}
