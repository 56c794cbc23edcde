//! What root of a user namespace that the host's root has made can do to what it got of the host: nothing that the host has
//! set, mounted or hidden there is to be taken back.

use crate::breach::says;
use crate::support::{Container, Need, Sandbox, Tmpfs, linux};
use crate::{Attack, attack};

pub fn attacks() -> Vec<Attack> {
    let needs = &[Need::UserNamespaces];
    vec![
        attack!(restriction_of_a_volume_is_taken_back).needs(needs).proves_itself(),
        attack!(restriction_below_a_volume_is_taken_back).needs(needs).proves_itself(),
        attack!(what_hides_a_part_of_a_volume_is_unmounted).needs(needs).proves_itself(),
        attack!(restriction_of_the_rootfs_is_taken_back).needs(needs).proves_itself(),
    ]
}

/// Runs it as root of the host, whom nothing withstands, and in a user namespace.
#[track_caller]
fn is_locked(c: &mut Container<'_>, command: &str) {
    c.capabilities(&["CAP_SYS_ADMIN"]).sh(&format!("{command} 2>/dev/null && echo free || echo locked"));
    assert_eq!(c.run().ok(), "free", "the attack itself does not work here");
    says(&c.with_user_namespace().run(), "locked", "what the host has mounted");
}

fn restriction_of_a_volume_is_taken_back(t: &Sandbox) {
    let volume = Tmpfs::mount(t.path("volume"), "nosuid,nodev");
    // As engines and people write them. Before Linux 5.12 what is to have later mounts of the host is not locked.
    let all = [&["bind"][..], &["rbind", "rw", "rprivate"], &["rbind", "nodev", "ro", "rprivate"], &["rbind"]];
    for options in &all[..if linux() < (5, 12) { 3 } else { 4 }] {
        is_locked(t.container().mount("/data", "bind", &volume.0, options), "mount -o remount,bind,suid /data");
    }
}

fn restriction_below_a_volume_is_taken_back(t: &Sandbox) {
    let volume = Tmpfs::mount(t.path("volume"), "");
    let _below = Tmpfs::mount(volume.0.join("below"), "nosuid");
    let mut c = t.container();
    is_locked(c.mount("/data", "bind", &volume.0, &["rbind", "rprivate"]), "mount -o remount,bind,suid /data/below");
}

fn what_hides_a_part_of_a_volume_is_unmounted(t: &Sandbox) {
    let volume = Tmpfs::mount(t.path("volume"), "");
    let _cover = Tmpfs::mount(volume.0.join("secret"), "");
    let mut c = t.container();
    is_locked(c.mount("/data", "bind", &volume.0, &["rbind", "rprivate"]), "umount /data/secret");
}

/// It is what an engine has mounted for the container: an overlay, an image.
fn restriction_of_the_rootfs_is_taken_back(t: &Sandbox) {
    let mut c = t.container();
    let moved = t.path("image");
    std::fs::rename(c.rootfs(), &moved).expect("rename");
    let rootfs = Tmpfs::mount(c.rootfs(), "nosuid");
    let copied = std::process::Command::new("cp").arg("-a").arg(moved.join(".")).arg(&rootfs.0).status();
    assert!(copied.expect("cp").success());
    is_locked(&mut c, "mount -o remount,bind,suid /");
}
