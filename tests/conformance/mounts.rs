//! Mounts: the standard ones, binds, options, propagation, and how their targets come to be.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;

use jzon::{array, object};

use crate::case;
use crate::support::{Case, Container, Kind, Need, Sandbox, Tmpfs, behind, controller, read};

pub fn cases() -> Vec<Case> {
    vec![
        case!(standard_mounts_are_there),
        case!(proc_is_the_containers),
        case!(tmpfs_has_its_options).differs(Kind::Runc, "the mode of the directory below wins over `mode=`"),
        case!(tmpfs_takes_the_mode_of_its_directory).differs(Kind::Crun, "1.8: always 1777"),
        case!(devpts_is_a_new_instance),
        case!(mqueue_is_mounted),
        case!(sysfs_is_read_only),
        case!(cgroup_v1_hierarchies_are_mounted).needs(&[Need::V1("memory")]),
        case!(cgroup_v2_is_mounted).needs(&[Need::V2("memory")]),
        case!(release_agent_cannot_be_written).needs(&[Need::V1("memory")]),
        case!(root_is_read_only),
        case!(root_can_be_writable),
        case!(root_is_pivoted_to),
        case!(root_without_pivot),
        case!(nothing_of_the_host_is_visible),
        case!(bind_of_a_directory),
        case!(bind_of_a_file),
        case!(bind_of_a_socket_and_a_fifo),
        case!(bind_read_only),
        case!(bind_with_flags),
        case!(bind_without_type),
        case!(bind_leaves_out_submounts),
        case!(rbind_takes_submounts_along),
        case!(recursive_read_only).needs(&[Need::Linux(5, 12)]),
        case!(recursive_flags).differs(Kind::Crun, "1.8: rnoatime gives EINVAL").needs(&[Need::Linux(5, 12)]),
        case!(relative_source_is_in_the_bundle),
        case!(missing_targets_are_created),
        case!(nested_mounts),
        case!(later_mounts_cover_earlier_ones),
        case!(target_symlinks_stay_in_the_root),
        case!(last_of_two_opposite_options_wins).differs(Kind::Crun, "flags are only ever added"),
        case!(unknown_option_goes_to_the_file_system),
        case!(atime_options),
        case!(nosymfollow_option).differs(Kind::Crun, "1.8: the option is lost").needs(&[Need::Linux(5, 14)]),
        case!(lazytime_and_silent_are_flags).differs(Kind::Crun, "handed to the file system, which refuses"),
        case!(propagation_of_a_mount).differs(Kind::Crun, "1.8: a shared mount ends up private"),
        case!(mounts_below_do_not_reach_the_host).differs(Kind::Runc, "1.1: with a word that is not recursive they do"),
        case!(shared_mount_does_not_reach_out_of_a_user_namespace).needs(&[Need::UserNamespaces]),
        case!(link_to_the_root_is_no_place_for_a_mount).isopod_only("they mount over what `exec` will see"),
        case!(link_in_dev_is_no_place_for_a_mount).isopod_only("`copy-symlink`"),
        case!(propagation_of_the_root).differs(Kind::Runc, "1.1: a shared root ends up private"),
        case!(root_of_a_shared_mount).differs(Kind::Runc, "1.1: a shared root ends up private"),
        case!(root_is_private_by_default),
        case!(mounts_do_not_reach_the_host),
        case!(tmpcopyup_copies_what_was_below),
        case!(read_only_tmpfs_is_filled_first),
        case!(missing_source_is_refused),
        case!(missing_type_is_refused),
        case!(unknown_file_system_is_refused),
        case!(relative_destination),
        case!(many_mounts).differs(Kind::Crun, "one descriptor for each mount, under the limit of the container"),
        case!(more_mounts_than_descriptors)
            .differs(Kind::Crun, "one descriptor for each mount, under the caller's limit")
            .differs(Kind::Runc, "1.1: the container has the hard limit for its soft one"),
        case!(no_mounts_at_all).differs(Kind::Runc, "needs /proc in the container to start it"),
        case!(bind_in_a_user_namespace).needs(&[Need::UserNamespaces]),
        case!(what_is_locked_in_a_user_namespace)
            .needs(&[Need::UserNamespaces])
            .differs(Kind::Crun, "whatever the config says, it stays locked")
            .differs(Kind::Runc, "1.1: a part of a tree with mounts below is refused"),
        case!(standard_mounts_in_a_user_namespace).needs(&[Need::UserNamespaces]),
        case!(sysfs_of_the_host_in_a_user_namespace)
            .needs(&[Need::UserNamespaces, Need::Linux(5, 12)])
            .differs(Kind::Runc, "does not try the host's"),
        case!(bind_over_the_root),
        case!(tmpfs_over_the_root).isopod_only("neither starts what has no /proc in the image below"),
        case!(remount_of_a_mount).isopod_only("crun makes a new mount, runc wants a source"),
        case!(source_link_is_mounted_itself).isopod_only(LINKS),
        case!(source_link_is_copied).isopod_only(LINKS),
        case!(target_link_is_not_followed).isopod_only(LINKS),
        case!(target_in_procfs_is_not_overridden).isopod_only(LINKS),
        case!(recursive_attributes_can_be_taken_back)
            .needs(&[Need::Linux(5, 12)])
            .isopod_only("crun 1.8 adds flags only; runc 1.1 has them for binds of one kind"),
        case!(directory_on_a_file_is_refused).isopod_only("in other words"),
        case!(idmap_with_mappings).isopod_only(IDS).needs(&[Need::Linux(5, 12)]),
        case!(idmap_of_the_container).isopod_only(IDS).needs(&[Need::UserNamespaces, Need::Linux(5, 12)]),
        case!(idmap_of_a_joined_namespace).isopod_only(IDS).needs(&[Need::UserNamespaces, Need::Linux(5, 12)]),
        case!(idmap_in_the_option).isopod_only(IDS).needs(&[Need::Linux(5, 12)]),
        case!(idmap_relative_to_the_container).isopod_only(IDS).needs(&[Need::UserNamespaces, Need::Linux(5, 12)]),
        // They are of tmpfs.
        case!(idmap_of_a_tree).isopod_only(IDS).needs(&[Need::Linux(6, 3)]),
        case!(idmap_of_a_new_file_system).isopod_only(IDS).needs(&[Need::Linux(6, 3)]),
        case!(idmap_where_there_is_none_is_refused).isopod_only(IDS).needs(&[Need::Linux(5, 12)]),
        case!(idmap_of_a_file_system_of_the_container_is_refused)
            .isopod_only(IDS)
            .needs(&[Need::Linux(5, 12), Need::UserNamespaces]),
        case!(long_options_of_a_file_system),
        case!(message_queues_belong_to_root).needs(&[Need::UserNamespaces]),
        case!(mount_label_needs_selinux).isopod_only("crun ignores it"),
    ]
}

const LINKS: &str = "crun 1.8 and runc 1.1 do not know the option";
const IDS: &str = "crun 1.8 maps only to the container's user namespace, runc 1.1 not at all";

/// The line of the container's mount table that is about a target.
fn line_about(c: &mut Container, target: &str) -> String {
    let table = c.out("cat /proc/self/mountinfo");
    let is_target = |line: &&str| line.split(' ').nth(4) == Some(target);
    table.lines().rfind(is_target).unwrap_or_else(|| panic!("{target} is not mounted: {table}")).to_owned()
}

/// The flags of the mount and, after them, those of its file system.
fn flags(c: &mut Container, target: &str) -> Vec<String> {
    let line = line_about(c, target);
    let mount = line.split(' ').nth(5).expect("flags").split(',');
    let file_system = line.rsplit(' ').next().expect("options").split(',');
    mount.chain(file_system).map(str::to_owned).collect()
}

/// The flags of the mount alone.
fn mount_flags(c: &mut Container, target: &str) -> Vec<String> {
    let line = line_about(c, target);
    line.split(' ').nth(5).expect("flags").split(',').map(str::to_owned).collect()
}

#[track_caller]
fn assert_has(flags: &[String], wanted: &[&str]) {
    for flag in wanted {
        assert!(flags.iter().any(|have| have == flag), "{flag} is missing in {flags:?}");
    }
}

#[track_caller]
fn assert_lacks(flags: &[String], unwanted: &[&str]) {
    for flag in unwanted {
        assert!(!flags.iter().any(|have| have == flag), "{flag} should not be in {flags:?}");
    }
}

fn standard_mounts_are_there(t: &Sandbox) {
    let table = t.container().out("awk '{ for (i = 7; $i != \"-\"; i++); print $5, $(i + 1) }' /proc/self/mountinfo");
    let mut wanted = vec!["/proc proc", "/dev tmpfs", "/dev/pts devpts", "/dev/shm tmpfs", "/dev/mqueue mqueue"];
    wanted.push("/sys sysfs");
    for line in wanted {
        assert!(table.lines().any(|have| have == line), "{line} is missing: {table}");
    }
}

fn proc_is_the_containers(t: &Sandbox) {
    assert_eq!(t.container().out("echo /proc/[0-9]*; stat -f -c %t /proc"), "/proc/1\n9fa0");
}

fn tmpfs_has_its_options(t: &Sandbox) {
    let mut c = t.container();
    c.mount("/scratch", "tmpfs", "tmpfs", &["nosuid", "nodev", "noexec", "mode=1750", "size=128k"]);
    assert_has(&flags(&mut c, "/scratch"), &["nosuid", "nodev", "noexec", "mode=1750", "size=128k"]);
    assert_eq!(c.out("stat -c %a /scratch; echo x >/scratch/f; cat /scratch/f"), "1750\nx");
}

fn tmpfs_takes_the_mode_of_its_directory(t: &Sandbox) {
    let mut c = t.container();
    c.mkdir("/scratch").mount("/scratch", "tmpfs", "tmpfs", &["nosuid"]);
    fs::set_permissions(c.inside("/scratch"), std::os::unix::fs::PermissionsExt::from_mode(0o1711)).expect("chmod");
    assert_eq!(c.out("stat -c %a /scratch"), "1711");
}

/// What is mounted or copied into it needs a place there.
fn read_only_tmpfs_is_filled_first(t: &Sandbox) {
    let mut c = t.container();
    c.file("/copied/below", "x").mount("/copied", "tmpfs", "tmpfs", &["ro", "tmpcopyup"]);
    c.mount("/outer", "tmpfs", "tmpfs", &["ro"]).mount("/outer/inner", "tmpfs", "tmpfs", &[]);
    assert_eq!(c.out("cat /copied/below; touch /outer/inner/f && echo made"), "xmade");
    assert_has(&flags(&mut c, "/copied"), &["ro"]);
    assert_has(&flags(&mut c, "/outer"), &["ro"]);
}

fn devpts_is_a_new_instance(t: &Sandbox) {
    let mut c = t.container();
    assert_eq!(c.out("ls /dev/pts; stat -c %a /dev/pts/ptmx"), "ptmx\n666");
    assert_has(&flags(&mut c, "/dev/pts"), &["nosuid", "noexec", "gid=5", "mode=620", "ptmxmode=666"]);
}

fn mqueue_is_mounted(t: &Sandbox) {
    let mut c = t.container();
    assert_eq!(c.out("touch /dev/mqueue/q && ls /dev/mqueue"), "q");
    assert_has(&flags(&mut c, "/dev/mqueue"), &["nosuid", "noexec", "nodev"]);
}

fn sysfs_is_read_only(t: &Sandbox) {
    let mut c = t.container();
    assert_has(&flags(&mut c, "/sys"), &["ro", "nosuid", "noexec", "nodev"]);
    assert_eq!(c.out("ls /sys/class/net"), "lo");
}

fn cgroup_v1_hierarchies_are_mounted(t: &Sandbox) {
    let mut c = t.container();
    let id = c.id.clone();
    assert_eq!(c.out("ls -d /sys/fs/cgroup/memory /sys/fs/cgroup/pids | wc -l"), "2");
    // What is seen there is the container's own cgroup, not the host's root, and cannot be written to.
    let procs = c.out("cat /sys/fs/cgroup/pids/cgroup.procs");
    assert!(procs.lines().any(|pid| pid == "1"), "{procs}");
    let line = line_about(&mut c, "/sys/fs/cgroup/pids");
    assert!(line.split(' ').nth(3).expect("root").contains(&id) || line.contains(" / /sys/fs/cgroup/pids "), "{line}");
    assert_has(&mount_flags(&mut c, "/sys/fs/cgroup/pids"), &["ro", "nosuid", "noexec", "nodev"]);
    assert_eq!(c.out("mkdir /sys/fs/cgroup/pids/sub 2>/dev/null || echo refused"), "refused");
}

fn cgroup_v2_is_mounted(t: &Sandbox) {
    let mut c = t.container();
    assert_eq!(c.out("stat -f -c %t /sys/fs/cgroup"), "63677270");
    assert_has(&mount_flags(&mut c, "/sys/fs/cgroup"), &["ro", "nosuid", "noexec", "nodev"]);
    assert_eq!(c.out("grep -c '^1$' /sys/fs/cgroup/cgroup.procs"), "1");
    assert_eq!(c.out("mkdir /sys/fs/cgroup/sub 2>/dev/null || echo refused"), "refused");
}

fn release_agent_cannot_be_written(t: &Sandbox) {
    let mut c = t.container();
    let agent = controller("memory").expect("memory").join("release_agent");
    let before = read(&agent);
    c.capabilities(&["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]);
    let script = "for f in $(find /sys/fs/cgroup -name release_agent -o -name notify_on_release); do \
                  (echo 1 >$f) 2>/dev/null && echo written $f; done; echo done";
    assert_eq!(c.out(script), "done");
    assert_eq!(read(&agent), before);
}

fn root_is_read_only(t: &Sandbox) {
    let mut c = t.container();
    assert_eq!(
        c.out("touch /x 2>/dev/null || echo refused; touch /dev/shm/x && echo but not below"),
        "refused\nbut not below"
    );
    assert_has(&mount_flags(&mut c, "/"), &["ro"]);
}

fn root_can_be_writable(t: &Sandbox) {
    let mut c = t.container();
    assert_eq!(c.writable().out("echo kept >/x; cat /x"), "kept");
    assert_eq!(read(c.inside("/x")), "kept\n");
    assert_has(&mount_flags(&mut c, "/"), &["rw"]);
}

fn root_is_pivoted_to(t: &Sandbox) {
    only_own_mounts(t, &[]);
}

fn root_without_pivot(t: &Sandbox) {
    let c = &mut t.container();
    let ran = c.sh("ls / | tr '\\n' ' '; cd ..; pwd; touch /x 2>/dev/null || echo refused").run_with(&["--no-pivot"]);
    assert_eq!(ran.ok(), "bin dev etc proc sys tmp /\nrefused");
}

fn nothing_of_the_host_is_visible(t: &Sandbox) {
    let mut c = t.container();
    assert_eq!(
        c.out("ls / | tr '\\n' ' '; cd /..; ls | wc -l; readlink /proc/1/root"),
        "bin dev etc proc sys tmp 6\n/"
    );
}

/// The container's mount table has no line about the host's file systems.
fn only_own_mounts(t: &Sandbox, options: &[&str]) {
    let mut c = t.container();
    let table = c.sh("cut -d' ' -f5 /proc/self/mountinfo").run_with(options).ok();
    let own = |target: &str| target == "/" || ["/proc", "/dev", "/sys"].iter().any(|top| target.starts_with(top));
    let foreign: Vec<&str> = table.lines().filter(|target| !own(target)).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

fn bind_of_a_directory(t: &Sandbox) {
    let mut c = t.container();
    fs::create_dir(t.path("data")).expect("mkdir");
    t.file("data/f", "from the host");
    c.bind("/data", t.path("data"), &[]);
    assert_eq!(c.out("cat /data/f; echo from inside >/data/g"), "from the host");
    assert_eq!(read(t.path("data/g")), "from inside\n");
}

fn bind_of_a_file(t: &Sandbox) {
    let mut c = t.container();
    let hosts = t.file("hosts", "127.0.0.1 here");
    c.bind("/etc/hosts", &hosts, &[]).bind("/new/deep/file", &hosts, &["ro"]);
    assert_eq!(c.out("cat /etc/hosts /new/deep/file"), "127.0.0.1 here127.0.0.1 here");
    assert_eq!(c.out("echo x 2>/dev/null >/new/deep/file || echo refused"), "refused");
}

fn bind_of_a_socket_and_a_fifo(t: &Sandbox) {
    let mut c = t.container();
    let _listener = UnixListener::bind(t.path("s")).expect("socket");
    assert!(Command::new("mkfifo").arg(t.path("p")).status().expect("mkfifo").success());
    c.bind("/run/s", t.path("s"), &[]).bind("/run/p", t.path("p"), &[]);
    assert_eq!(c.out("stat -c %F /run/s /run/p"), "socket\nfifo");
}

fn bind_read_only(t: &Sandbox) {
    let mut c = t.container();
    c.bind("/data", data_dir(t), &["ro"]);
    assert_eq!(c.out("touch /data/x 2>/dev/null || echo refused"), "refused");
    assert_has(&mount_flags(&mut c, "/data"), &["ro"]);
}

fn bind_with_flags(t: &Sandbox) {
    let mut c = t.container();
    c.bind("/data", data_dir(t), &["nosuid", "nodev", "noexec"]);
    assert_has(&mount_flags(&mut c, "/data"), &["rw", "nosuid", "nodev", "noexec"]);
    c.bind("/plain", data_dir(t), &[]);
    assert_lacks(&mount_flags(&mut c, "/plain"), &["nosuid", "nodev", "noexec", "ro"]);
}

fn bind_without_type(t: &Sandbox) {
    let mut c = t.container();
    let source = data_dir(t);
    let mount = object! { destination: "/data", source: source.to_str(), options: ["bind"] };
    c.config["mounts"].push(mount).expect("push");
    assert_eq!(c.out("cat /data/f"), "content");
}

fn data_dir(t: &Sandbox) -> std::path::PathBuf {
    fs::create_dir_all(t.path("data")).expect("mkdir");
    t.file("data/f", "content");
    t.path("data")
}

/// A directory with a tmpfs on its `sub`, in which there is a file.
fn tree_with_submount(t: &Sandbox) -> Tmpfs {
    let submount = Tmpfs::mount(t.path("data/sub"), "");
    t.file("data/sub/f", "below");
    submount
}

fn bind_leaves_out_submounts(t: &Sandbox) {
    let _submount = tree_with_submount(t);
    let mut c = t.container();
    c.bind("/data", t.path("data"), &[]);
    assert_eq!(c.out("ls /data /data/sub"), "/data:\nsub\n\n/data/sub:");
}

fn rbind_takes_submounts_along(t: &Sandbox) {
    let _submount = tree_with_submount(t);
    let mut c = t.container();
    c.mount("/data", "bind", t.path("data"), &["rbind", "ro"]);
    assert_eq!(c.out("cat /data/sub/f"), "below");
    // A plain "ro" is about the top only.
    assert_eq!(
        c.out("touch /data/x 2>/dev/null || echo refused; touch /data/sub/x && echo written"),
        "refused\nwritten"
    );
}

fn recursive_read_only(t: &Sandbox) {
    let _submount = tree_with_submount(t);
    let mut c = t.container();
    c.mount("/data", "bind", t.path("data"), &["rbind", "rro"]);
    assert_eq!(
        c.out("for f in /data/x /data/sub/x; do touch $f 2>/dev/null || echo refused; done"),
        "refused\nrefused"
    );
}

fn recursive_flags(t: &Sandbox) {
    let _submount = tree_with_submount(t);
    let mut c = t.container();
    c.mount("/data", "bind", t.path("data"), &["rbind", "rnosuid", "rnodev", "rnoexec", "rnoatime"]);
    for target in ["/data", "/data/sub"] {
        assert_has(&mount_flags(&mut c, target), &["nosuid", "nodev", "noexec", "noatime"]);
    }
}

fn relative_source_is_in_the_bundle(t: &Sandbox) {
    let mut c = t.container();
    fs::create_dir(c.bundle.join("volume")).expect("mkdir");
    fs::write(c.bundle.join("volume/f"), "of the bundle").expect("write");
    c.bind("/data", "volume", &[]);
    assert_eq!(c.out("cat /data/f"), "of the bundle");
}

fn missing_targets_are_created(t: &Sandbox) {
    let mut c = t.container();
    c.bind("/a/b/c", data_dir(t), &[]).mount("/x/y", "tmpfs", "tmpfs", &[]);
    assert_eq!(c.out("cat /a/b/c/f; stat -c %F /x/y; stat -c %u:%g /a /a/b"), "contentdirectory\n0:0\n0:0");
    // Read-only root or not, they are in the rootfs afterwards.
    assert!(c.inside("/a/b/c").is_dir());
}

fn nested_mounts(t: &Sandbox) {
    let mut c = t.container();
    c.mount("/outer", "tmpfs", "tmpfs", &["mode=755"]).bind("/outer/mid", data_dir(t), &[]);
    c.mount("/outer/mid/inner", "tmpfs", "tmpfs", &["mode=700"]);
    assert_eq!(
        c.out("ls /outer /outer/mid; stat -c %a /outer/mid/inner"),
        "/outer:\nmid\n\n/outer/mid:\nf\ninner\n700"
    );
    // The target was made in the tmpfs that covers the root's own directory.
    assert!(!c.inside("/outer/mid").exists());
}

fn later_mounts_cover_earlier_ones(t: &Sandbox) {
    let mut c = t.container();
    c.bind("/data", data_dir(t), &[]).mount("/data", "tmpfs", "tmpfs", &[]);
    assert_eq!(c.out("ls /data; grep -c ' /data ' /proc/self/mountinfo"), "2");
}

fn target_symlinks_stay_in_the_root(t: &Sandbox) {
    let mut c = t.container();
    c.mkdir("/real").symlink("/link", "/real").symlink("/up", "../../../../real");
    c.mount("/link/a", "tmpfs", "tmpfs", &[]).mount("/up/b", "tmpfs", "tmpfs", &[]);
    assert_eq!(c.out("grep -o ' /real/[ab] ' /proc/self/mountinfo | tr -d '\\n'"), " /real/a  /real/b");
}

/// As with mount(8).
fn last_of_two_opposite_options_wins(t: &Sandbox) {
    let mut c = t.container();
    c.mount("/one", "tmpfs", "tmpfs", &["ro", "nosuid", "nodev", "noexec", "rw", "suid", "dev", "exec"]);
    c.mount("/two", "tmpfs", "tmpfs", &["rw", "suid", "dev", "exec", "ro", "nosuid", "nodev", "noexec"]);
    assert_lacks(&flags(&mut c, "/one"), &["ro", "nosuid", "nodev", "noexec"]);
    assert_has(&mount_flags(&mut c, "/two"), &["ro", "nosuid", "nodev", "noexec"]);
}

fn unknown_option_goes_to_the_file_system(t: &Sandbox) {
    let mut c = t.container();
    c.mount("/good", "tmpfs", "tmpfs", &["nr_inodes=77"]);
    assert_has(&flags(&mut c, "/good"), &["nr_inodes=77"]);
    c.mount("/bad", "tmpfs", "tmpfs", &["no_such_option=1"]).run().is_refused();
}

fn atime_options(t: &Sandbox) {
    let mut c = t.container();
    c.mount("/no", "tmpfs", "tmpfs", &["noatime"]).mount("/nodir", "tmpfs", "tmpfs", &["nodiratime"]);
    c.mount("/strict", "tmpfs", "tmpfs", &["strictatime"]).mount("/rel", "tmpfs", "tmpfs", &["relatime"]);
    assert_has(&mount_flags(&mut c, "/no"), &["noatime"]);
    assert_has(&mount_flags(&mut c, "/nodir"), &["nodiratime"]);
    assert_lacks(&mount_flags(&mut c, "/strict"), &["noatime", "relatime"]);
    assert_has(&mount_flags(&mut c, "/rel"), &["relatime"]);
}

fn nosymfollow_option(t: &Sandbox) {
    let mut c = t.container();
    symlink("f", data_dir(t).join("link")).expect("symlink");
    c.bind("/data", t.path("data"), &["nosymfollow"]);
    assert_eq!(c.out("cat /data/f; cat /data/link 2>/dev/null || echo ' refused'"), "content refused");
}

fn lazytime_and_silent_are_flags(t: &Sandbox) {
    let mut c = t.container();
    c.mount("/data", "tmpfs", "tmpfs", &["lazytime", "silent", "nosuid"]);
    assert_has(&flags(&mut c, "/data"), &["lazytime", "nosuid"]);
}

/// The field between the mount's flags and the dash: `shared:N`, `master:N`, `unbindable` or nothing.
fn propagation(c: &mut Container, target: &str) -> String {
    let line = line_about(c, target);
    let fields = line.split(' ').skip(6).take_while(|field| *field != "-");
    fields.map(|field| field.split(':').next().expect("field")).collect::<Vec<_>>().join(" ")
}

fn propagation_of_a_mount(t: &Sandbox) {
    for (option, wanted) in [("shared", "shared"), ("private", ""), ("unbindable", "unbindable")] {
        let mut c = t.container();
        c.mount("/data", "tmpfs", "tmpfs", &[option]);
        assert_eq!(propagation(&mut c, "/data"), wanted, "{option}");
    }
    let shared = Tmpfs::mount(t.path("shared"), "");
    shared.change("--make-shared");
    let mut c = t.container();
    c.bind("/data", &shared.0, &["rslave"]);
    assert_eq!(propagation(&mut c, "/data"), "master");
}

fn propagation_of_the_root(t: &Sandbox) {
    for (value, wanted) in [("shared", "shared"), ("rshared", "shared"), ("private", ""), ("unbindable", "unbindable")]
    {
        let mut c = t.container();
        c.config["linux"]["rootfsPropagation"] = value.into();
        assert_eq!(propagation(&mut c, "/"), wanted, "{value}");
    }
}

/// The host's file system is not the container's: what is mounted there does not appear, unless as a slave's.
fn root_of_a_shared_mount(t: &Sandbox) {
    for (value, wanted) in [("shared", "shared"), ("slave", "master"), ("rslave", "master"), ("private", "")] {
        let mut c = t.container();
        let rootfs = c.rootfs();
        let bound = Command::new("mount").arg("--bind").arg(&rootfs).arg(&rootfs).status().expect("mount");
        assert!(bound.success());
        let _unmounted = Tmpfs(rootfs.clone());
        assert!(Command::new("mount").arg("--make-shared").arg(&rootfs).status().expect("mount").success());
        c.config["linux"]["rootfsPropagation"] = value.into();
        assert_eq!(propagation(&mut c, "/"), wanted, "{value}");
    }
}

fn root_is_private_by_default(t: &Sandbox) {
    let mut c = t.container();
    for target in ["/", "/proc", "/dev", "/sys"] {
        assert_eq!(propagation(&mut c, target), "", "{target}");
    }
}

/// Even where the host's mounts are shared, and so would pass on what is mounted on copies of them.
fn mounts_do_not_reach_the_host(t: &Sandbox) {
    let shared = Tmpfs::mount(t.path("shared"), "");
    shared.change("--make-shared");
    fs::create_dir(shared.0.join("below")).expect("mkdir");
    let mut c = t.container();
    c.mount("/data", "bind", &shared.0, &["rbind"]).mount("/data/below", "tmpfs", "tmpfs", &[]);
    assert_eq!(c.out("grep -c ' /data/below ' /proc/self/mountinfo"), "1");
    assert!(!read("/proc/self/mountinfo").contains("shared/below"));
}

/// A tree of the host, all of it shared, with a tmpfs on its `sub`.
fn shared_tree(t: &Sandbox) -> Tmpfs {
    let tree = Tmpfs::mount(t.path("tree"), "");
    fs::create_dir(tree.0.join("sub")).expect("mkdir");
    let status = Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(tree.0.join("sub")).status();
    assert!(status.expect("mount").success());
    fs::create_dir(tree.0.join("sub/w")).expect("mkdir");
    tree.change("--make-rshared");
    tree
}

/// Nor do those that are made further down, whatever is said of the top alone.
fn mounts_below_do_not_reach_the_host(t: &Sandbox) {
    let tree = shared_tree(t);
    for root in ["", "private", "slave", "rslave"] {
        for options in [&["rbind"][..], &["rbind", "private"], &["rbind", "slave"], &["rbind", "rprivate"]] {
            let mut c = t.container();
            if !root.is_empty() {
                c.config["linux"]["rootfsPropagation"] = root.into();
            }
            c.mount("/data", "bind", &tree.0, options).mount("/data/sub/w", "tmpfs", "tmpfs", &[]);
            assert_eq!(c.out("grep -c ' /data/sub/w ' /proc/self/mountinfo"), "1");
            assert!(!propagation(&mut c, "/data/sub").contains("shared"), "{root} {options:?}");
            assert!(!read("/proc/self/mountinfo").contains("tree/sub/w"), "{root} {options:?}");
        }
    }
}

/// Its root would mount something on the host. There it is a slave's own that is shared.
fn shared_mount_does_not_reach_out_of_a_user_namespace(t: &Sandbox) {
    let tree = shared_tree(t);
    let all = [
        (&["rbind", "rshared"][..], "shared master"),
        (&["bind", "shared"], "shared master"),
        (&["rbind", "rslave"], "master"),
        (&["rbind", "rprivate"], ""),
    ];
    for (options, wanted) in all {
        let mut c = t.container();
        c.with_user_namespace().mount("/data", "bind", &tree.0, options);
        assert_eq!(propagation(&mut c, "/data"), wanted, "{options:?}");
    }
}

fn link_to_the_root_is_no_place_for_a_mount(t: &Sandbox) {
    for kind in ["bind", "tmpfs"] {
        let mut c = t.container();
        c.symlink("/data", "..").mount("/data", kind, data_dir(t), &[]);
        c.sh("true").run().fails(&["mounts[", "on /data: ", "the rootfs has a link to its own root there"]);
    }
}

/// Where it leads is on the host, and there the mount would be lost.
fn link_in_dev_is_no_place_for_a_mount(t: &Sandbox) {
    std::os::unix::fs::symlink(data_dir(t), t.path("link")).expect("a link");
    let mut c = t.container();
    c.bind("/dev/link", t.path("link"), &["copy-symlink"]).mount("/dev/link", "tmpfs", "tmpfs", &[]);
    c.sh("true").run().is_refused();
}

fn tmpcopyup_copies_what_was_below(t: &Sandbox) {
    let mut c = t.container();
    c.file("/conf/sub/f", "copied").symlink("/conf/link", "sub/f");
    c.mount("/conf", "tmpfs", "tmpfs", &["tmpcopyup", "mode=755"]);
    assert_eq!(c.out("cat /conf/link; stat -f -c %t /conf; echo x >/conf/new"), "copied1021994");
    assert!(!c.inside("/conf/new").exists());
}

fn missing_source_is_refused(t: &Sandbox) {
    let mut c = t.container();
    let source = t.path("there-is-none");
    c.bind("/data", &source, &[]).run().fails(&[source.to_str().expect("path"), "o such file or directory"]);
}

fn missing_type_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.config["mounts"].push(object! { destination: "/data", source: "x" }).expect("push");
    c.run().is_refused();
}

fn unknown_file_system_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.mount("/data", "nosuchfs", "none", &[]).run().fails(&["data", "o such device"]);
}

/// The spec asks for absolute destinations since 1.0; older images have relative ones, which mean the root.
fn relative_destination(t: &Sandbox) {
    let mut c = t.container();
    c.mount("data", "tmpfs", "tmpfs", &[]);
    assert_eq!(c.out("grep -c ' /data ' /proc/self/mountinfo"), "1");
}

/// More than any fixed table, and more than a default descriptor limit would allow open at a time.
fn many_mounts(t: &Sandbox) {
    let mut c = t.container();
    let source = data_dir(t);
    for number in 0..1100 {
        c.bind(&format!("/many/{number}"), &source, &["ro"]);
    }
    assert_eq!(c.out("grep -c ' /many/' /proc/self/mountinfo; cat /many/1099/f"), "1100\ncontent");
}

/// The runtime allows itself what the caller may have; the container has what the caller had.
fn more_mounts_than_descriptors(t: &Sandbox) {
    let source = data_dir(t);
    for in_user_namespace in [false, true] {
        let mut c = t.container();
        if in_user_namespace {
            c.with_user_namespace();
        }
        c.config["process"].remove("rlimits");
        for number in 0..100 {
            c.bind(&format!("/many/{number}"), &source, &["ro"]);
        }
        c.sh("grep -c ' /many/' /proc/self/mountinfo; ulimit -Sn; ulimit -Hn").write_config();
        let limits = ["sh", "-c", "ulimit -Sn 50; ulimit -Hn 500; exec \"$@\"", "sh"];
        let mut limited = behind(&limits, &c.command("run", &[]));
        assert_eq!(t.spawn(&mut limited).wait().ok(), "100\n50\n500");
    }
}

fn bind_in_a_user_namespace(t: &Sandbox) {
    let mut c = t.container();
    c.with_user_namespace();
    // Reachable for the host's root only.
    let hidden = data_dir(t);
    fs::set_permissions(t.path("data"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    c.bind("/data", &hidden, &["ro", "nosuid"]);
    assert_eq!(c.out("cat /data/f; stat -c %u /data/f"), "content65534");
    assert_eq!(fs::metadata(hidden).expect("stat").uid(), 0);
}

/// Init takes there what it can open itself, locked; the rest is as the host's root opened it.
fn what_is_locked_in_a_user_namespace(t: &Sandbox) {
    let volume = Tmpfs::mount(t.path("volume"), "nosuid,nodev,size=1m");
    let _below = Tmpfs::mount(volume.0.join("home/below"), "");
    let others = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(volume.0.join("home"), others).expect("chmod");
    std::os::unix::fs::chown(volume.0.join("home"), Some(1234), Some(1234)).expect("chown");
    fs::create_dir(volume.0.join("home/data")).expect("mkdir");
    let mut c = t.container();
    c.with_user_namespace();
    // Not with the rights of an init that has no capability there.
    c.bind("/others", volume.0.join("home/data"), &[]);
    // A part of something locked does not come alone.
    c.bind("/alone", &volume.0, &[]);
    // Taken back by the config, which is the host's.
    c.bind("/free", &volume.0, &["suid", "noatime"]);
    for target in ["/others", "/alone"] {
        assert_has(&mount_flags(&mut c, target), &["nosuid", "nodev"]);
    }
    let free = mount_flags(&mut c, "/free");
    assert_has(&free, &["nodev", "noatime"]);
    assert_lacks(&free, &["nosuid"]);
    assert_eq!(c.out("grep -c below /proc/self/mountinfo || :"), "0");
}

fn standard_mounts_in_a_user_namespace(t: &Sandbox) {
    let mut c = t.container();
    c.with_user_namespace();
    for target in ["/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys"] {
        line_about(&mut c, target);
    }
    assert_has(&mount_flags(&mut c, "/sys"), &["ro"]);
    assert_eq!(c.out("echo x >/dev/null && stat -c '%t:%T' /dev/null"), "1:3");
}

fn no_mounts_at_all(t: &Sandbox) {
    let mut c = t.container();
    c.config["mounts"] = array![];
    assert_eq!(c.out("ls /proc; stat -c %t:%T /dev/null"), "1:3");
}

fn sysfs_of_the_host_in_a_user_namespace(t: &Sandbox) {
    let mut c = t.container();
    c.with_user_namespace().without_namespace("network");
    assert_eq!(c.out("stat -f -c %t /sys; test -e /sys/class/net/lo && echo there"), "62656572\nthere");
    assert_has(&mount_flags(&mut c, "/sys"), &["ro", "nosuid", "noexec", "nodev"]);
    let script =
        "for d in $(cut -d' ' -f5 /proc/self/mountinfo | grep ^/sys); do mkdir $d/x 2>/dev/null && echo $d; done; echo";
    assert_eq!(c.out(script), "");
}

fn bind_over_the_root(t: &Sandbox) {
    let mut c = t.container();
    c.file("/only-below", "x");
    let other = t.path("other");
    fs::create_dir_all(other.join("bin")).expect("mkdir");
    fs::copy("/bin/busybox", other.join("bin/busybox")).expect("busybox");
    symlink("busybox", other.join("bin/sh")).expect("sh");
    for name in ["proc", "dev", "sys"] {
        fs::create_dir(other.join(name)).expect("mkdir");
    }
    t.file("other/mark", "above");
    let mount = object! { destination: "/", "type": "bind", source: other.to_str(), options: ["rbind"] };
    let mut mounts = array![mount];
    c.config["mounts"].members().for_each(|mount| mounts.push(mount.clone()).expect("push"));
    c.config["mounts"] = mounts;
    let script = "/bin/busybox cat /mark; /bin/busybox ls / | /bin/busybox tr '\\n' ' '; \
                  /bin/busybox touch /x 2>/dev/null || echo refused; cd /..; pwd; echo $$ >/dev/null";
    assert_eq!(c.out(script), "abovebin dev mark proc sys refused\n/");
    assert!(!c.inside("/x").exists() && !other.join("x").exists());
}

fn tmpfs_over_the_root(t: &Sandbox) {
    let mut c = t.container();
    let mount = object! { destination: "/", "type": "tmpfs", source: "tmpfs", options: ["ro", "nosuid"] };
    let mut mounts = array![mount];
    c.config["mounts"].members().for_each(|mount| mounts.push(mount.clone()).expect("push"));
    mounts
        .push(object! { destination: "/bin", "type": "bind", source: c.inside("/bin").to_str(), options: ["bind"] })
        .expect("push");
    c.config["mounts"] = mounts;
    assert_eq!(c.out("stat -f -c %t /; touch /x 2>/dev/null || echo refused"), "1021994\nrefused");
    assert_has(&mount_flags(&mut c, "/"), &["ro", "nosuid"]);
}

fn remount_of_a_mount(t: &Sandbox) {
    let mut c = t.container();
    c.mount("/scratch", "tmpfs", "tmpfs", &["size=64k"]);
    let remount = object! { destination: "/scratch", options: ["remount", "ro", "nosuid", "size=128k"] };
    c.config["mounts"].push(remount).expect("push");
    // What is mounted later still finds its place.
    c.mount("/scratch/below", "tmpfs", "tmpfs", &[]);
    assert_has(&flags(&mut c, "/scratch"), &["ro", "nosuid", "size=128k"]);
    assert_lacks(&mount_flags(&mut c, "/scratch/below"), &["ro"]);
    let mut c = t.container();
    c.config["mounts"].push(object! { destination: "/bin", options: ["remount", "ro"] }).expect("push");
    c.run().is_refused();
}

/// A file and a link to it.
fn linked_file(t: &Sandbox) -> std::path::PathBuf {
    t.file("file", "content");
    symlink("file", t.path("link")).expect("symlink");
    t.path("link")
}

fn source_link_is_mounted_itself(t: &Sandbox) {
    let mut c = t.container();
    c.bind("/here", linked_file(t), &["src-nofollow"]).file("/file", "of the container");
    assert_eq!(c.out("readlink /here; stat -c %F /here"), "file\nsymbolic link");
}

fn source_link_is_copied(t: &Sandbox) {
    let mut c = t.container();
    c.bind("/deep/here", linked_file(t), &["copy-symlink"]).bind("/plain", t.path("file"), &["copy-symlink"]);
    assert_eq!(c.out("readlink /deep/here; cat /plain"), "file\ncontent");
    // Again, now that it is there; then with another one in its place.
    assert_eq!(c.out("readlink /deep/here"), "file");
    c.symlink("/deep/here", "elsewhere");
    c.run().fails(&["symlink `/deep/here` already exists with a different content"]);
}

fn target_link_is_not_followed(t: &Sandbox) {
    let mut c = t.container();
    c.file("/real", "below").symlink("/link", "/real").bind("/link", t.file("f", "above"), &["dest-nofollow"]);
    assert_eq!(c.out("cat /real; cat /link; stat -c %F /link"), "belowaboveregular file");
    c.bind("/there/is/none", t.path("f"), &["dest-nofollow"]).run().fails(&["/there/is/none", "o such file"]);
}

fn target_in_procfs_is_not_overridden(t: &Sandbox) {
    let mut c = t.container();
    c.bind("/proc/self", t.file("f", "x"), &["dest-nofollow"]);
    c.run().fails(&["override of the mount destination `/proc/self` is not allowed"]);
}

fn recursive_attributes_can_be_taken_back(t: &Sandbox) {
    let _submount = tree_with_submount(t);
    let mut c = t.container();
    c.mount("/data", "bind", t.path("data"), &["rbind", "rro", "rnosuid", "rnosymfollow", "rw", "rsymfollow"]);
    assert_lacks(&mount_flags(&mut c, "/data"), &["ro", "nosymfollow"]);
    assert_has(&mount_flags(&mut c, "/data"), &["nosuid"]);
    assert_has(&mount_flags(&mut c, "/data/sub"), &["ro", "nosuid"]);
    assert_lacks(&mount_flags(&mut c, "/data/sub"), &["nosymfollow"]);
}

/// A directory with files of 0:0 and 5:6.
fn owned_files(t: &Sandbox) -> std::path::PathBuf {
    fs::create_dir_all(t.path("owned")).expect("mkdir");
    t.file("owned/root", "");
    std::os::unix::fs::chown(t.file("owned/other", ""), Some(5), Some(6)).expect("chown");
    t.path("owned")
}

const OWNERS: &str = "stat -c %u:%g /data/root /data/other";

fn map(inside: u32, outside: u32, size: u32) -> jzon::JsonValue {
    object! { containerID: inside, hostID: outside, size: size }
}

fn idmap_with_mappings(t: &Sandbox) {
    for options in [&["bind"][..], &["bind", "idmap"], &["rbind", "ridmap", "ro"]] {
        let mut c = t.container();
        let mount = object! {
            destination: "/data", "type": "bind", source: owned_files(t).to_str(), options: options,
            uidMappings: [map(0, 1000, 1), map(5, 50, 5)], gidMappings: [map(0, 2000, 10)],
        };
        c.config["mounts"].push(mount).expect("push");
        assert_eq!(c.out(OWNERS), "1000:2000\n50:2006", "{options:?}");
    }
    // What is made in there is on the disk as if it were its own.
    let mut c = t.container();
    let mount = object! {
        destination: "/data", "type": "bind", source: owned_files(t).to_str(), options: ["bind", "idmap"],
        uidMappings: [map(7, 0, 1)], gidMappings: [map(8, 0, 1)],
    };
    c.config["mounts"].push(mount).expect("push");
    std::os::unix::fs::chown(t.path("owned"), Some(7), Some(8)).expect("chown");
    assert_eq!(c.out("touch /data/new && stat -c %u:%g /data/new"), "0:0");
    let meta = fs::metadata(t.path("owned/new")).expect("stat");
    assert_eq!((meta.uid(), meta.gid()), (7, 8));
}

/// Files look as owned by the container's own root: the container's mapping is undone.
fn idmap_of_the_container(t: &Sandbox) {
    let mut c = t.container();
    c.with_user_namespace().bind("/data", owned_files(t), &["idmap"]);
    assert_eq!(c.out(OWNERS), "0:0\n5:6");
}

fn idmap_of_a_joined_namespace(t: &Sandbox) {
    let mut first = t.container();
    let pid = first.with_user_namespace().started();
    let mut second = t.container();
    second.with_user_namespace().without_namespace("user").join("user", &format!("/proc/{pid}/ns/user"));
    second.config["linux"].remove("uidMappings");
    second.config["linux"].remove("gidMappings");
    second.bind("/data", owned_files(t), &["idmap"]);
    assert_eq!(second.out(OWNERS), "0:0\n5:6");
}

fn idmap_in_the_option(t: &Sandbox) {
    let mut c = t.container();
    c.bind("/data", owned_files(t), &["idmap=uids=0-1000-1#5-50-1;gids=0-2000-10"]);
    assert_eq!(c.out(OWNERS), "1000:2000\n50:2006");
}

fn idmap_relative_to_the_container(t: &Sandbox) {
    let mut c = t.container();
    c.with_user_namespace().bind("/data", owned_files(t), &["idmap=uids=@0-7-1#@5-9-1;gids=@0-3-10"]);
    assert_eq!(c.out(OWNERS), "7:3\n9:9");
}

fn idmap_of_a_tree(t: &Sandbox) {
    let _submount = tree_with_submount(t);
    for (options, below) in [(["rbind", "idmap"], "0"), (["rbind", "ridmap"], "1000")] {
        let mut c = t.container();
        let mount = object! {
            destination: "/data", "type": "bind", source: t.path("data").to_str(), options: &options[..],
            uidMappings: [map(0, 1000, 1)], gidMappings: [map(0, 1000, 1)],
        };
        c.config["mounts"].push(mount).expect("push");
        assert_eq!(c.out("stat -c %u /data /data/sub/f"), format!("1000\n{below}"));
    }
}

fn idmap_of_a_new_file_system(t: &Sandbox) {
    let mut c = t.container();
    c.mount("/data", "tmpfs", "tmpfs", &["mode=755", "idmap=uids=0-1000-1;gids=0-2000-1"]);
    assert_eq!(c.out("stat -c %u:%g /data"), "1000:2000");
}

fn idmap_where_there_is_none_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.bind("/data", owned_files(t), &["idmap"]).run().fails(&["mounts[", "needs mappings, or a user namespace"]);
    let mut c = t.container();
    c.mount("/data", "proc", "proc", &["idmap=uids=0-1-1;gids=0-1-1"]);
    c.run().fails(&["mount_setattr mounts[", "may not take an id mapping"]);
}

/// The container's own root has no rights over ids that are the host's.
fn idmap_of_a_file_system_of_the_container_is_refused(t: &Sandbox) {
    let mut c = t.container();
    c.with_user_namespace().mount("/data", "tmpfs", "tmpfs", &["idmap=uids=0-1000-1;gids=0-1000-1"]);
    c.run().fails(&["mount_setattr mounts[", " on /data: ", "CAP_SYS_ADMIN over"]);
}

fn directory_on_a_file_is_refused(t: &Sandbox) {
    for (source, destination) in [("/usr", "/etc/passwd"), ("/etc/passwd", "/tmp")] {
        let mut c = t.container();
        c.mkdir("/tmp").bind(destination, source, &[]);
        c.run().fails(&["move_mount mounts[", destination, "have to be both directories, or neither"]);
    }
}

fn long_options_of_a_file_system(t: &Sandbox) {
    let lower = format!("{}/{}", t.path("lower").display(), "d".repeat(200));
    for name in ["one", "two"] {
        fs::create_dir_all(format!("{lower}/{name}")).expect("mkdir");
        fs::write(format!("{lower}/{name}/{name}"), "x").expect("write");
    }
    let mut c = t.container();
    let option = format!("lowerdir={lower}/one:{lower}/two");
    c.mount("/data", "overlay", "overlay", &[&option, "nodev", "ro"]);
    assert_eq!(c.out("ls /data"), "one\ntwo");
    assert_has(&mount_flags(&mut c, "/data"), &["nodev", "ro"]);
}

/// Whose user namespace it is: he may change their directory.
fn message_queues_belong_to_root(t: &Sandbox) {
    let mut c = t.container();
    c.with_user_namespace();
    assert_eq!(c.out("stat -c %u:%a /dev/mqueue && chmod 700 /dev/mqueue"), "0:1777");
}

fn mount_label_needs_selinux(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["mountLabel"] = "system_u:object_r:container_file_t:s0".into();
    c.run().fails(&["linux.mountLabel: SELinux is not enabled"]);
}
