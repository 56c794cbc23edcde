//! What goes by the name of `/proc` in a container: a volume, the image's own directory, or what the container has mounted
//! there since. Nothing of it may answer for the kernel.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use jzon::{JsonValue, array};

use crate::breach::{attack, holds, refused, same, says};
use crate::support::{Container, Need, Profile, Sandbox, read};
use crate::{Attack, attack};

pub fn attacks() -> Vec<Attack> {
    vec![
        attack!(cve_2019_16884_proc_is_a_volume),
        attack!(cve_2019_16884_proc_is_a_volume_by_another_name),
        attack!(cve_2019_16884_profile_is_not_applied).needs(&[Need::AppArmor]),
        attack!(cve_2025_52881_sysctl_is_redirected),
        attack!(cve_2025_52881_label_is_redirected),
        attack!(cve_2026_115521_image_answers_for_descriptors),
        attack!(cve_2015_1334_exec_with_a_procfs_of_lies),
        attack!(cve_2015_1334_exec_without_the_profile).needs(&[Need::AppArmor]),
        attack!(no_pivot_leaves_a_procfs_to_mount).needs(&[Need::UserNamespaces]).proves_itself(),
        attack!(fake_tree_in_the_image),
    ]
}

/// Files that the runtime might write to.
const FILES: &[&str] = &[
    "self/oom_score_adj",
    "self/attr/exec",
    "self/attr/apparmor/exec",
    "self/attr/current",
    "self/setgroups",
    "self/uid_map",
    "self/gid_map",
    "self/timens_offsets",
    "self/loginuid",
    "sys/kernel/shm_rmid_forced",
    "sys/net/ipv4/ip_forward",
];

/// A directory that looks like a procfs, whose files are empty.
fn lies(at: PathBuf) -> PathBuf {
    for name in FILES {
        for process in ["self", "1", "thread-self"] {
            let file = at.join(name.replace("self", process));
            fs::create_dir_all(file.parent().expect("parent")).expect("mkdir");
            fs::write(file, "").expect("write");
        }
    }
    for number in 0..64 {
        fs::create_dir_all(at.join("self/fd")).expect("mkdir");
        let _ = symlink("/tmp", at.join(format!("self/fd/{number}")));
    }
    fs::write(at.join("self/mountinfo"), "").expect("write");
    at
}

#[track_caller]
fn are_untouched(lies: &std::path::Path) {
    for name in FILES {
        for process in ["self", "1", "thread-self"] {
            let file = lies.join(name.replace("self", process));
            same(&read(&file).as_str(), &"", format_args!("written to {}", file.display()));
        }
    }
}

/// A process that wants everything that is written through procfs.
fn wants_it_all(c: &mut Container<'_>) {
    c.config["process"]["oomScoreAdj"] = 500.into();
    c.config["linux"]["sysctl"]["kernel.shm_rmid_forced"] = "1".into();
    c.config["linux"]["maskedPaths"] = array![];
    c.config["linux"]["readonlyPaths"] = array![];
}

fn cve_2019_16884_proc_is_a_volume(t: &Sandbox) {
    let volume = lies(t.path("volume"));
    for label in [JsonValue::Null, "a-profile".into()] {
        let mut c = t.container();
        wants_it_all(&mut c);
        c.without_mount("/proc").bind("/proc", &volume, &[]);
        c.config["process"]["apparmorProfile"] = label;
        let ran = c.sh("true").run();
        are_untouched(&volume);
        refused(&ran);
    }
}

fn cve_2019_16884_proc_is_a_volume_by_another_name(t: &Sandbox) {
    let volume = lies(t.path("volume"));
    for name in ["/proc/", "//proc", "/./proc", "/tmp/../proc", "/link"] {
        let mut c = t.container();
        wants_it_all(&mut c);
        c.symlink("/link", "proc").without_mount("/proc").bind(name, &volume, &[]);
        c.sh("true").run();
        are_untouched(&volume);
    }
}

/// Whatever lies where procfs might: the process is under its profile, by what the kernel says, or there is none.
fn cve_2019_16884_profile_is_not_applied(t: &Sandbox) {
    let profile = Profile::of_container(t, "lied-to", "");
    let volume = lies(t.path("volume"));
    let traps: [&dyn Fn(&mut Container<'_>); 5] = [
        &|c| {
            lies(c.without_mount("/proc").inside("/proc"));
        },
        &|c| {
            c.without_mount("/proc").bind("/proc", &volume, &[]);
        },
        &|c| {
            c.without_mount("/proc").symlink("/link", "proc").bind("/link", &volume, &[]);
        },
        &|c| {
            c.bind("/proc/self", volume.join("self"), &[]);
        },
        &|c| {
            c.bind("/proc/self/attr", volume.join("self/attr"), &[]);
        },
    ];
    for trap in traps {
        let mut c = t.container();
        trap(&mut c);
        c.config["process"]["apparmorProfile"] = profile.name.as_str().into();
        let is_made = c.args(&["/bin/sleep", "600"]).create().code == 0;
        if is_made && c.start().code == 0 {
            is_under(&profile, c.pid());
        }
        are_untouched(&volume);
        c.force_delete();
    }
}

#[track_caller]
fn is_under(profile: &Profile, pid: i32) {
    let label = read(format!("/proc/{pid}/attr/current"));
    same(&label.trim_end(), &format!("{} (enforce)", profile.name).as_str(), "the profile of a container's process");
}

/// Refused, or written to the kernel's own file: never to what lies over it.
fn cve_2025_52881_sysctl_is_redirected(t: &Sandbox) {
    let before = read("/proc/sys/kernel/core_pattern");
    attack(t, |c, guard| {
        let volume = t.path("kernel");
        fs::create_dir(&volume).expect("mkdir");
        symlink(guard.dir.join("secret"), volume.join("shm_rmid_forced")).expect("symlink");
        c.bind("/proc/sys/kernel", &volume, &[]);
        c.config["linux"]["sysctl"]["kernel.shm_rmid_forced"] = "1".into();
        c.config["linux"]["readonlyPaths"] = array![];
    });
    same(&read("/proc/sys/kernel/core_pattern"), &before, "core_pattern");
}

/// The files of labels and scores, one by one.
fn cve_2025_52881_label_is_redirected(t: &Sandbox) {
    let volume = lies(t.path("volume"));
    for place in ["self/attr", "1/attr", "thread-self/attr", "self"] {
        let mut c = t.container();
        wants_it_all(&mut c);
        c.bind(&format!("/proc/{place}"), volume.join(place), &[]);
        c.config["process"]["apparmorProfile"] = "a-profile".into();
        c.sh("true").run();
        c.config["process"].remove("apparmorProfile");
        c.run();
        are_untouched(&volume);
    }
}

/// Where a descriptor leads, asked of the image's own `/proc/self/fd`.
fn cve_2026_115521_image_answers_for_descriptors(t: &Sandbox) {
    let mut c = t.container();
    lies(c.inside("/proc"));
    c.config["linux"]["maskedPaths"] = array![];
    c.config["linux"]["readonlyPaths"] = array!["/etc"];
    c.without_mount("/proc").mkdir("/data").mount("/data", "tmpfs", "tmpfs", &["ro"]);
    let ran = c.sh("for d in / /data /etc; do touch $d/made 2>/dev/null || echo refused; done").run();
    if ran.code == 0 {
        same(&ran.stdout().as_str(), &"refused\nrefused\nrefused\n", "writing where nothing may be written");
    }
}

/// A container that may mount puts its own tree over `/proc`, and waits for somebody who comes in.
fn cve_2015_1334_exec_with_a_procfs_of_lies(t: &Sandbox) {
    let volume = lies(t.path("volume"));
    let mut c = t.container();
    c.capabilities(&["CAP_SYS_ADMIN"]).bind("/lies", &volume, &[]);
    c.sh("mount -o bind /lies /proc && echo there >/tmp/ready; sleep 600").writable().created();
    c.start().ok();
    crate::support::eventually("it has mounted", || c.inside("/tmp/ready").exists());
    c.config["process"]["oomScoreAdj"] = 500.into();
    c.config["process"]["user"] = jzon::object! { uid: 1000, gid: 1000 };
    c.config["process"]["args"] = array!["/bin/id", "-u"];
    let process = t.file("process.json", &c.config["process"].dump());
    let ran = t.rt(&["exec", "--process", process.to_str().expect("path"), &c.id]);
    are_untouched(&volume);
    let plain = c.exec(&["--user", "1000"], &["/bin/id", "-u"]);
    are_untouched(&volume);
    for ran in [ran, plain] {
        holds(ran.code != 0 || ran.stdout().trim() == "1000", format_args!("not the user that was asked for: {ran}"));
    }
    c.force_delete();
}

/// The same, for the profile of who comes in.
fn cve_2015_1334_exec_without_the_profile(t: &Sandbox) {
    let profile = Profile::of_container(t, "lied-to", "");
    let volume = lies(t.path("volume"));
    let mut c = t.container();
    c.config["process"]["apparmorProfile"] = profile.name.as_str().into();
    c.capabilities(&["CAP_SYS_ADMIN"]).bind("/lies", &volume, &[]);
    c.sh("mount -o bind /lies /proc && echo there >/tmp/ready; sleep 600").writable().created();
    c.start().ok();
    crate::support::eventually("it has mounted", || c.inside("/tmp/ready").exists());
    let file = t.path("pid");
    c.exec(&["--detach", "--pid-file", file.to_str().expect("path")], &["/bin/sleep", "600"]).ok();
    is_under(&profile, read(&file).trim().parse().expect("pid"));
    are_untouched(&volume);
    c.force_delete();
}

/// A procfs of the host's that stayed reachable would let a nested namespace mount one without masks, as one may where
/// nothing is masked.
fn no_pivot_leaves_a_procfs_to_mount(t: &Sandbox) {
    let c = &mut t.container();
    c.capabilities(&["CAP_SETFCAP"])
        .mkdir("/mnt")
        .sh("unshare -Urmpf mount -t proc p /mnt 2>/dev/null && echo mounted || echo refused");
    let masks = c.config["linux"]["maskedPaths"].take();
    let readonly = c.config["linux"]["readonlyPaths"].take();
    assert_eq!(c.run().ok(), "mounted", "the attack itself does not work here");
    c.config["linux"]["maskedPaths"] = masks;
    c.config["linux"]["readonlyPaths"] = readonly;
    says(&c.run_with(&["--no-pivot"]), "refused", "to mount a nested procfs");
}

/// The image has a whole tree, and the config mounts nothing over it: what is asked for is done, or refused.
fn fake_tree_in_the_image(t: &Sandbox) {
    let mut c = t.container();
    wants_it_all(&mut c);
    c.without_mount("/proc");
    let fake = lies(c.inside("/proc"));
    for user in [0, 1000] {
        c.as_user(user, user).sh("id -u");
        let ran = c.run();
        are_untouched(&fake);
        if ran.code == 0 {
            same(&ran.stdout().trim(), &user.to_string().as_str(), "the user");
        }
    }
}
