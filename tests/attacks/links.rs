//! Symbolic links of the image, wherever the runtime makes, mounts, hides or reads something by a path. Resolved with
//! the host's rights they lead to the host's guarded directory, which may not change.

use std::fs;
use std::process::Command;

use jzon::{array, object};

use crate::breach::{attack, holds, refused_attack, same};
use crate::support::{Sandbox, behind};
use crate::{Attack, attack};

pub fn attacks() -> Vec<Attack> {
    vec![
        attack!(cve_2019_18837_file_behind_a_dangling_link),
        attack!(cve_2019_19921_proc_is_a_link_to_the_host),
        attack!(cve_2023_27561_proc_is_a_link_to_a_volume),
        attack!(cve_2023_28642_proc_and_sys_are_links_within),
        attack!(cve_2025_54867_sys_is_a_link),
        attack!(cve_2025_24965_files_made_by_the_runtime_are_links),
        attack!(ghsa_pxhw_h44j_8pfx_parents_of_a_target_are_links),
        attack!(mount_target_leads_up),
        attack!(mount_target_is_a_magic_link),
        attack!(mount_target_is_a_loop),
        attack!(cgroup_mount_over_a_link),
        attack!(working_directory_is_a_link),
        attack!(device_path_leads_out),
        attack!(masked_path_is_a_link),
        attack!(read_only_path_is_a_link),
        attack!(read_only_source_gets_no_mount_point),
        attack!(passwd_is_a_link_to_the_host),
        attack!(passwd_is_a_fifo),
    ]
}

fn cve_2019_18837_file_behind_a_dangling_link(t: &Sandbox) {
    attack(t, |c, guard| {
        let file = c.bundle.join("file");
        fs::write(&file, "").expect("write");
        c.symlink("/etc/x", guard.dir.join("new")).bind("/etc/x", &file, &[]);
    });
}

fn cve_2019_19921_proc_is_a_link_to_the_host(t: &Sandbox) {
    refused_attack(t, |c, guard| {
        c.symlink("/proc", &guard.dir);
    });
}

fn cve_2023_27561_proc_is_a_link_to_a_volume(t: &Sandbox) {
    let volume = t.path("volume");
    fs::create_dir_all(volume.join("proc")).expect("mkdir");
    refused_attack(t, |c, _| {
        c.mkdir("/vol").symlink("/proc", "/vol/proc");
        let others = c.config["mounts"].clone();
        c.config["mounts"] = array![];
        c.bind("/vol", &volume, &[]);
        for mount in others.members() {
            c.config["mounts"].push(mount.clone()).expect("mounts");
        }
    });
}

fn cve_2023_28642_proc_and_sys_are_links_within(t: &Sandbox) {
    for (path, target) in [("/proc", "elsewhere"), ("/proc", "/elsewhere"), ("/sys", "elsewhere")] {
        refused_attack(t, |c, _| {
            c.mkdir("/elsewhere").symlink(path, target);
        });
    }
}

fn cve_2025_54867_sys_is_a_link(t: &Sandbox) {
    refused_attack(t, |c, guard| {
        c.symlink("/sys", &guard.dir);
    });
}

/// Whatever the runtime may have to make in the rootfs, by every kind of link.
fn cve_2025_24965_files_made_by_the_runtime_are_links(t: &Sandbox) {
    let paths = ["/dev/console", "/dev/null", "/dev/ptmx", "/dev/fd", "/dev/pts", "/dev/shm", "/dev/mqueue", "/made"];
    for path in paths {
        for kind in 0..3 {
            attack(t, |c, guard| {
                let target = format!("{}/new", guard.dir.display());
                let target = match kind {
                    0 => target,
                    1 => format!("../../../../../../..{target}"),
                    _ => format!("/proc/self/root{target}"),
                };
                let file = c.bundle.join("file");
                fs::write(&file, "").expect("write");
                let below: Vec<_> =
                    c.config["mounts"].members().filter(|m| m["destination"] != "/dev").cloned().collect();
                c.config["mounts"] = below.into();
                c.symlink(path, target).bind("/made", &file, &[]);
            });
        }
    }
}

fn ghsa_pxhw_h44j_8pfx_parents_of_a_target_are_links(t: &Sandbox) {
    attack(t, |c, guard| {
        let up = format!("../../../../../../..{}", guard.dir.display());
        c.symlink("/link", &guard.dir).symlink("/up", up);
        c.mount("/link/new/deep", "tmpfs", "tmpfs", &[]).mount("/up/other", "tmpfs", "tmpfs", &[]);
    });
}

fn mount_target_leads_up(t: &Sandbox) {
    attack(t, |c, guard| {
        let path = format!("/bin/../../../../../../../../..{}/new", guard.dir.display());
        c.mount(&path, "tmpfs", "tmpfs", &[]);
    });
}

fn mount_target_is_a_magic_link(t: &Sandbox) {
    attack(t, |c, guard| {
        c.symlink("/m", format!("/proc/self/root{}", guard.dir.display()));
        c.symlink("/n", format!("/proc/1/root{}", guard.dir.display()));
        c.mount("/m/new", "tmpfs", "tmpfs", &[]).mount("/n/new", "tmpfs", "tmpfs", &[]);
    });
}

fn mount_target_is_a_loop(t: &Sandbox) {
    refused_attack(t, |c, _| {
        c.symlink("/one", "two").symlink("/two", "one").mount("/one/x", "tmpfs", "tmpfs", &[]);
    });
}

fn cgroup_mount_over_a_link(t: &Sandbox) {
    attack(t, |c, guard| {
        c.without_mount("/sys").symlink("/sys/fs", &guard.dir);
        c.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["ro"]);
    });
}

/// It is made if it is missing: in the container.
fn working_directory_is_a_link(t: &Sandbox) {
    attack(t, |c, guard| {
        c.symlink("/w", &guard.dir);
        c.config["process"]["cwd"] = "/w/new/deep".into();
    });
}

fn device_path_leads_out(t: &Sandbox) {
    for path in ["/dev/../../../../../../../../..", "/link"] {
        attack(t, |c, guard| {
            c.symlink("/link", "/");
            let path = format!("{path}{}/node", guard.dir.display());
            c.config["linux"]["devices"] = array![object! { path: path.as_str(), "type": "c", major: 1, minor: 3 }];
        });
    }
}

/// What it leads to in the container has to be hidden, not what has that name on the host.
fn masked_path_is_a_link(t: &Sandbox) {
    let mut c = t.container();
    c.file("/vault/secret", "found")
        .file("/etc/secret", "found")
        .symlink("/link", "/vault")
        .symlink("/file", "/etc/secret");
    c.config["linux"]["maskedPaths"] = array!["/link", "/file"];
    let ran = c.sh("cat /vault/secret /etc/secret 2>/dev/null; true").run();
    holds(!ran.stdout().contains("found"), format_args!("a masked file can be read: {ran}"));
}

fn read_only_path_is_a_link(t: &Sandbox) {
    let mut c = t.container();
    c.writable().mkdir("/data").symlink("/link", "/data");
    c.config["linux"]["readonlyPaths"] = array!["/link"];
    let ran = c.sh("touch /data/made 2>/dev/null; true").run();
    holds(!c.inside("/data/made").exists(), format_args!("a read-only path was written to: {ran}"));
}

/// A directory that the container may only read must not be written to for it either.
fn read_only_source_gets_no_mount_point(t: &Sandbox) {
    attack(t, |c, guard| {
        c.bind("/data", &guard.dir, &["ro"]).mount("/data/new/deep", "tmpfs", "tmpfs", &[]);
    });
}

/// HOME comes from the container's file, never the host's.
fn passwd_is_a_link_to_the_host(t: &Sandbox) {
    let file = t.file("passwd", "root:x:0:0::/stolen:/bin/sh\n");
    let mut c = t.container();
    c.symlink("/etc/passwd", &file);
    let ran = c.sh("echo $HOME").run();
    holds(!ran.stdout().contains("/stolen"), format_args!("the host's file was read: {ran}"));
}

/// To read it must not mean to wait for a writer that never comes.
fn passwd_is_a_fifo(t: &Sandbox) {
    let mut c = t.container();
    fs::remove_file(c.inside("/etc/passwd")).expect("rm");
    let made = Command::new("mkfifo").arg(c.inside("/etc/passwd")).status();
    assert!(made.expect("mkfifo").success());
    c.sh("true").write_config();
    let run = c.command("run", &[]);
    let mut patient = behind(&["timeout", "--signal=KILL", "5"], &run);
    same(&t.spawn(&mut patient).wait().code, &0, "waits for a writer; exit code");
    c.force_delete();
}
