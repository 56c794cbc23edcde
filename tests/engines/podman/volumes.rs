//! Volumes that only podman has.

use crate::both::files::{directory, mount_line};
use crate::engine::{Engine, IMAGE};
use std::fs;

/// What is written into a volume with `:O` is gone with the container.
pub(super) fn volume_of_an_overlay(podman: &Engine) {
    let dir = directory(podman, "lower");
    fs::write(dir.join("file"), "below\n").unwrap();
    let volume = format!("{}:/data:O", dir.display());
    podman.prints(
        &["-v", &volume, IMAGE, "sh", "-c", "cat /data/file; echo above >/data/file; cat /data/file"],
        "below\nabove\n",
    );
    assert_eq!(fs::read_to_string(dir.join("file")).unwrap(), "below\n");
}

pub(super) fn volume_of_an_image(podman: &Engine) {
    podman.prints(
        &["--mount", "type=image,source=busybox,target=/other", IMAGE, "head", "-c4", "/other/etc/passwd"],
        "root",
    );
}

/// The options of a volume are those of the mount, and nothing of the host's mount gets lost.
pub(super) fn volume_options(podman: &Engine) {
    let line = mount_line(podman, &["-v", "fast:/data:ro,nosuid,nodev,noexec"], "/data");
    assert!(line.contains(" ro,nosuid,nodev,noexec,"), "{line}");
    podman.ok(&["volume", "rm", "fast"]);
    let dir = directory(podman, "owned");
    let volume = format!("{}:/data:U", dir.display());
    podman.prints(&["-v", &volume, "--user", "1234:5678", IMAGE, "stat", "-c", "%u:%g", "/data"], "1234:5678\n");
}

/// A mount that comes later on the host shows in a container whose volume is a slave, and only there.
pub(super) fn propagation_of_a_volume(podman: &Engine) {
    let dir = directory(podman, "shared");
    let mount =
        |words: &[&str]| assert!(std::process::Command::new(words[0]).args(&words[1..]).status().unwrap().success());
    let path = dir.to_str().unwrap();
    mount(&["mount", "--bind", path, path]);
    mount(&["mount", "--make-shared", path]);
    fs::create_dir(dir.join("later")).unwrap();
    for (name, how) in [("slave", "rslave"), ("private", "rprivate")] {
        podman.sleeper(name, &["-v", &format!("{path}:/data:{how}")]);
    }
    mount(&["mount", "-t", "tmpfs", "none", &format!("{path}/later")]);
    let seen = |name| podman.call(&["exec", name, "grep", "-c", " /data/later ", "/proc/mounts"]).stdout;
    let all = [seen("slave"), seen("private")];
    mount(&["umount", &format!("{path}/later")]);
    ["slave", "private"].iter().for_each(|name| podman.remove(name));
    mount(&["umount", path]);
    assert_eq!(all, ["1\n", "0\n"]);
}

/// `tmpcopyup`, which is podman's default: the tmpfs begins with what the image has there.
pub(super) fn tmpfs_copies_up(podman: &Engine) {
    let words = ["--mount", "type=tmpfs,target=/etc", IMAGE, "sh", "-c", "head -c4 /etc/passwd; touch /etc/new"];
    podman.prints(&words, "root");
}

pub(super) fn read_only_with_tmpfs(podman: &Engine) {
    let script = "touch /tmp/file /run/file && echo written; touch /file 2>&1";
    let output = podman.run(&["--read-only", "--read-only-tmpfs", IMAGE, "sh", "-c", script]);
    assert_eq!(output.stdout, "written\ntouch: /file: Read-only file system\n", "{output:?}");
}
