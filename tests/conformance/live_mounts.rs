//! `mounts add` and `mounts remove`: mounts of a container that runs.

use std::fs;
use std::os::unix::fs::symlink;

use jzon::{JsonValue, array, object};

use crate::case;
use crate::support::{Case, Container, Need, Ran, Sandbox, read};

const NO_SUCH_VERB: &str = "no such command";

/// Before, the attributes of a mount could not be set before the container sees it.
const ATTRIBUTES: Need = Need::Linux(5, 12);

pub fn cases() -> Vec<Case> {
    vec![
        case!(added_and_removed).needs(&[ATTRIBUTES]).isopod_only(NO_SUCH_VERB),
        case!(list_from_standard_input).needs(&[ATTRIBUTES]).isopod_only(NO_SUCH_VERB),
        case!(attributes_from_the_first_moment).needs(&[ATTRIBUTES]).isopod_only(NO_SUCH_VERB),
        case!(sources_of_the_bundle).needs(&[ATTRIBUTES]).isopod_only(NO_SUCH_VERB),
        case!(file_on_file).needs(&[ATTRIBUTES]).isopod_only(NO_SUCH_VERB),
        case!(new_file_systems).isopod_only(NO_SUCH_VERB),
        case!(ids_of_others).needs(&[ATTRIBUTES]).isopod_only(NO_SUCH_VERB),
        case!(ids_of_the_container).needs(&[ATTRIBUTES, Need::UserNamespaces]).isopod_only(NO_SUCH_VERB),
        case!(changed_in_place).needs(&[ATTRIBUTES]).isopod_only(NO_SUCH_VERB),
        case!(read_only_with_something_in_it).needs(&[ATTRIBUTES]).isopod_only(NO_SUCH_VERB),
        case!(more_words_than_fit_into_one).needs(&[ATTRIBUTES]).isopod_only(NO_SUCH_VERB),
        case!(links_of_the_image_stay_inside).needs(&[ATTRIBUTES]).isopod_only(NO_SUCH_VERB),
        case!(host_sees_nothing).needs(&[ATTRIBUTES]).isopod_only(NO_SUCH_VERB),
        case!(paused_container).needs(&[ATTRIBUTES]).isopod_only(NO_SUCH_VERB),
        case!(created_container).needs(&[ATTRIBUTES]).isopod_only(NO_SUCH_VERB),
        case!(container_with_a_user_namespace).needs(&[ATTRIBUTES, Need::UserNamespaces]).isopod_only(NO_SUCH_VERB),
        case!(removal_in_reverse_order).isopod_only(NO_SUCH_VERB),
        case!(mistakes_name_their_place).needs(&[ATTRIBUTES]).isopod_only(NO_SUCH_VERB),
        case!(root_stays).isopod_only(NO_SUCH_VERB),
        case!(stopped_container).isopod_only(NO_SUCH_VERB),
        case!(command_line).isopod_only(NO_SUCH_VERB),
    ]
}

/// The mounts at and below `/tmp`.
const COUNT: &str = "awk '$5 ~ \"^/tmp\"' /proc/self/mountinfo | wc -l";

fn change(t: &Sandbox, c: &Container<'_>, what: &str, list: &JsonValue) -> Ran {
    let file = t.file("mounts.json", &list.dump());
    t.rt(&["mounts", what, &c.id, file.to_str().expect("path")])
}

/// A directory of the host with a file in it.
fn source(t: &Sandbox) -> String {
    let dir = t.path("source");
    fs::create_dir_all(&dir).expect("mkdir");
    fs::write(dir.join("file"), "of the host\n").expect("write");
    dir.to_str().expect("path").to_owned()
}

fn bind(destination: &str, source: &str, options: &[&str]) -> JsonValue {
    let options: Vec<&str> = ["bind"].iter().chain(options).copied().collect();
    object! { destination: destination, source: source, options: options.clone() }
}

fn added_and_removed(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    let list = array![bind("/tmp", &source(t), &[])];
    change(t, &c, "add", &list).ok();
    assert_eq!(c.exec_out(&[], "cat /tmp/file"), "of the host");
    change(t, &c, "remove", &list).ok();
    assert_eq!(c.exec_out(&[], "ls /tmp; grep -c ' /tmp ' /proc/self/mountinfo || true"), "0");
}

fn list_from_standard_input(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    let list = t.file("list", &array![bind("/tmp", &source(t), &[])].dump());
    for (verb, expected) in [("add", "of the host"), ("remove", "")] {
        let mut command = t.command(&["mounts", verb, &c.id, "-"]);
        command.stdin(fs::File::open(&list).expect("open"));
        t.spawn(&mut command).wait().ok();
        assert_eq!(c.exec_out(&[], "cat /tmp/file 2>/dev/null || true"), expected);
    }
}

fn attributes_from_the_first_moment(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    change(t, &c, "add", &array![bind("/tmp", &source(t), &["ro", "nosuid", "nodev", "noexec"])]).ok();
    let line = c.exec_out(&[], "grep ' /tmp ' /proc/self/mountinfo");
    let words: Vec<&str> = line.split(' ').collect();
    assert!(words[5].starts_with("ro,nosuid,nodev,noexec"), "{line}");
    // Private: no optional field.
    assert_eq!(words[6], "-", "{line}");
    c.exec(&[], &["touch", "/tmp/x"]).is_refused();
}

fn sources_of_the_bundle(t: &Sandbox) {
    let mut c = t.container();
    fs::create_dir(c.bundle.join("shared")).expect("mkdir");
    fs::write(c.bundle.join("shared/file"), "of the bundle\n").expect("write");
    c.started();
    change(t, &c, "add", &array![bind("/tmp", "shared", &[])]).ok();
    assert_eq!(c.exec_out(&[], "cat /tmp/file"), "of the bundle");
}

fn file_on_file(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    let file = format!("{}/file", source(t));
    let list = array![bind("/etc/passwd", &file, &[]), bind("/dev/shm/made", &file, &[])];
    change(t, &c, "add", &list).ok();
    assert_eq!(c.exec_out(&[], "cat /etc/passwd /dev/shm/made"), "of the host\nof the host");
    change(t, &c, "remove", &list).ok();
    assert!(c.exec_out(&[], "cat /etc/passwd /dev/shm/made").starts_with("root:"));
}

fn new_file_systems(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    let list = array![
        object! { destination: "/tmp", "type": "tmpfs", source: "x", options: ["size=64k", "mode=700", "noexec"] },
        object! { destination: "/tmp/a/b", "type": "tmpfs" },
        object! { destination: "/tmp/proc", "type": "proc" },
    ];
    change(t, &c, "add", &list).ok();
    let line = c.exec_out(&[], "grep ' /tmp ' /proc/self/mountinfo");
    assert!(line.contains("noexec") && line.contains("size=64k") && line.contains("mode=700"), "{line}");
    // Of the container's own pid namespace.
    assert_eq!(c.exec_out(&[], "cat /tmp/proc/1/comm"), "sleep");
    assert_eq!(c.exec_out(&[], COUNT), "3");
}

fn ids_of_others(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    change(t, &c, "add", &array![bind("/tmp", &source(t), &["idmap=uids=0-1000-1;gids=0-2000-1"])]).ok();
    assert_eq!(c.exec_out(&[], "stat -c %u:%g /tmp/file"), "1000:2000");
    change(t, &c, "add", &array![bind("/tmp", &source(t), &["idmap"])])
        .fails(&["mounts.json [0].options: an id-mapped"]);
}

fn ids_of_the_container(t: &Sandbox) {
    let mut c = t.container();
    c.with_user_namespace().started();
    change(t, &c, "add", &array![bind("/tmp", &source(t), &["idmap"])]).ok();
    assert_eq!(c.exec_out(&[], "stat -c %u:%g /tmp/file"), "0:0");
}

fn changed_in_place(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    let list = array![
        object! { destination: "/tmp", "type": "tmpfs", options: ["size=64k"] },
        object! { destination: "/tmp", options: ["remount", "size=128k", "noexec", "ro"] },
    ];
    change(t, &c, "add", &list).ok();
    let line = c.exec_out(&[], "grep ' /tmp ' /proc/self/mountinfo");
    assert!(line.contains(" ro,") && line.contains("noexec") && line.contains("size=128k"), "{line}");
}

fn read_only_with_something_in_it(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    let list = array![
        object! { destination: "/tmp", "type": "tmpfs", options: ["ro"] },
        object! { destination: "/tmp/in", "type": "tmpfs" },
    ];
    change(t, &c, "add", &list).ok();
    assert_eq!(c.exec_out(&[], "touch /tmp/in/x && ! touch /tmp/x 2>/dev/null && ls /tmp"), "in");
}

/// For which mount(2) is needed, and the container's procfs, which may be anything, is not.
fn more_words_than_fit_into_one(t: &Sandbox) {
    let lower = t.path(&"l".repeat(200)).join("l".repeat(100));
    let mut c = t.container();
    c.config["mounts"] = array![];
    c.started();
    let words = format!("lowerdir={0}/one:{0}/two", lower.display());
    let overlay = object! { destination: "/tmp", "type": "overlay", options: [words, "ro", "nosuid"] };
    // The paths are the container's, and there are no such directories yet.
    change(t, &c, "add", &array![overlay.clone()]).fails(&["mount mounts[0] on /tmp: No such file"]);
    for name in ["one/1", "two/2"] {
        c.mkdir(lower.join(name).to_str().expect("path"));
    }
    change(t, &c, "add", &array![overlay]).ok();
    assert_eq!(c.exec_out(&[], "ls /tmp"), "1\n2");
}

fn links_of_the_image_stay_inside(t: &Sandbox) {
    let guard = t.guard();
    let mut c = t.container();
    c.symlink("/outside", &guard.dir).symlink("/up", "../../../../../../etc").mkdir("/real");
    c.mkdir(guard.dir.to_str().expect("path"));
    c.started();
    let source = source(t);
    change(t, &c, "add", &array![bind("/outside", &source, &[]), bind("/up", &source, &[])]).ok();
    guard.is_unchanged();
    let inside = format!("cat {}/file /etc/file", guard.dir.display());
    assert_eq!(c.exec_out(&[], &inside), "of the host\nof the host");
    assert!(fs::metadata("/etc/file").is_err());
}

fn host_sees_nothing(t: &Sandbox) {
    let mut c = t.container();
    c.config["linux"]["rootfsPropagation"] = "rslave".into();
    c.started();
    change(t, &c, "add", &array![bind("/tmp", &source(t), &[])]).ok();
    let host = read("/proc/self/mountinfo");
    assert!(!host.contains(&c.id), "{host}");
}

fn paused_container(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    c.about("pause", &[]).ok();
    change(t, &c, "add", &array![bind("/tmp", &source(t), &[])]).ok();
    assert_eq!(c.status(), "paused");
    c.about("resume", &[]).ok();
    assert_eq!(c.exec_out(&[], "cat /tmp/file"), "of the host");
}

fn created_container(t: &Sandbox) {
    let mut c = t.container();
    c.sh("cat /tmp/file >/dev/shm/copy; exec sleep 600").created();
    change(t, &c, "add", &array![bind("/tmp", &source(t), &[])]).ok();
    c.start().ok();
    crate::support::eventually("the file is copied", || {
        c.exec(&[], &["cat", "/dev/shm/copy"]).stdout() == "of the host\n"
    });
}

fn container_with_a_user_namespace(t: &Sandbox) {
    let mut c = t.container();
    c.with_user_namespace().started();
    let list = array![
        bind("/tmp", &source(t), &["ro"]),
        object! { destination: "/dev/shm", "type": "tmpfs", options: ["mode=750"] },
    ];
    change(t, &c, "add", &list).ok();
    assert_eq!(c.exec_out(&[], "cat /tmp/file; stat -c '%u %a' /dev/shm"), "of the host\n0 750");
    change(t, &c, "remove", &list).ok();
    assert_eq!(c.exec_out(&[], "ls /tmp"), "");
}

fn removal_in_reverse_order(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    let list = array![
        object! { destination: "/tmp", "type": "tmpfs" },
        object! { destination: "/tmp/below", "type": "tmpfs" },
    ];
    change(t, &c, "add", &list).ok();
    // In use, and away all the same.
    let running = t.spawn(&mut c.exec_command(&["--cwd", "/tmp/below"], &["sleep", "600"]));
    crate::support::eventually("it runs", || c.exec_out(&[], "ps").contains("sleep 600"));
    change(t, &c, "remove", &list).ok();
    assert_eq!(c.exec_out(&[], COUNT), "0");
    let again = change(t, &c, "remove", &list);
    again.fails(&["umount2 [1], /tmp/below: No such file or directory"]);
    change(t, &c, "remove", &array![object! { destination: "/tmp" }])
        .fails(&["umount2 [0], /tmp: Invalid argument (nothing is mounted there)"]);
    drop(running);
}

fn mistakes_name_their_place(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    let good = bind("/tmp", &source(t), &[]);
    for (bad, words) in [
        (object! { "type": "tmpfs" }, "mounts.json [1].destination: is required"),
        (bind("/x", "", &[]), "mounts.json [1].source: is required for a bind mount"),
        (bind("/x", "/x", &["size=1"]), "mounts.json [1].options: \"size\" is for a file system"),
        (object! { destination: "/x", "type": "cgroup" }, "mounts.json [1].type: the cgroups can only be mounted"),
        (object! { destination: "/", "type": "tmpfs" }, "mounts.json [1].destination: a mount over the root"),
        (object! { destination: 1 }, "mounts.json [1].destination: "),
        (bind("/x", "/nowhere/at/all", &[]), "open the source of mounts[1], /nowhere/at/all: No such file"),
    ] {
        let ran = change(t, &c, "add", &array![good.clone(), bad]);
        ran.fails(&[words]);
        assert_eq!(ran.stderr().lines().count(), 1, "{ran}");
        // Nothing has changed.
        assert_eq!(c.exec_out(&[], "grep -c ' /tmp ' /proc/self/mountinfo || true"), "0");
    }
    change(t, &c, "add", &object! { destination: "/x" }).fails(&["mounts.json"]);
    let late = array![good, object! { destination: "/dev/shm", "type": "tmpfs", options: ["nonsense"] }];
    change(t, &c, "add", &late).fails(&["mounts[1] on /dev/shm, option nonsense"]);
}

fn root_stays(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    symlink("/", c.inside("/link")).expect("symlink");
    for place in ["/link", "/tmp/../link"] {
        change(t, &c, "remove", &array![object! { destination: place }]).fails(&["it is the container's root"]);
    }
    assert_eq!(c.exec_out(&[], "echo here"), "here");
}

fn stopped_container(t: &Sandbox) {
    let mut c = t.container();
    c.args(&["/bin/true"]).run_with(&["--keep"]).ok();
    change(t, &c, "add", &array![]).fails(&["container not running"]);
    c.id = t.new_id();
    change(t, &c, "add", &array![]).fails(&["does not exist"]);
}

fn command_line(t: &Sandbox) {
    let mut c = t.container();
    c.started();
    t.rt(&["mounts", "change", &c.id, "-"]).fails_with(64, &["unknown command `mounts change`"]);
    t.rt(&["mounts", "add", &c.id]).is_refused();
    t.rt(&["mounts", "add", &c.id, "/nowhere"]).fails(&["read /nowhere: No such file or directory"]);
}
