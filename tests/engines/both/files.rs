//! What a container sees of files: its own root, volumes, tmpfs, devices.

use crate::engine::{Engine, IMAGE};
use std::fs;
use std::path::PathBuf;

pub(crate) fn read_only(engine: &Engine) {
    let output = engine.run(&["--read-only", IMAGE, "touch", "/new"]);
    assert_eq!((output.status, output.last_error()), (1, "touch: /new: Read-only file system"));
}

/// The line of /proc/mounts about a mount point.
pub(crate) fn mount_line(engine: &Engine, options: &[&str], point: &str) -> String {
    let output = engine.run(&[options, &[IMAGE, "grep", &format!(" {point} "), "/proc/mounts"]].concat());
    assert_eq!(output.status, 0, "{output:?}");
    output.stdout
}

pub(crate) fn tmpfs(engine: &Engine) {
    let line = mount_line(engine, &["--tmpfs", "/scratch:size=1m,mode=700"], "/scratch");
    assert!(line.starts_with("tmpfs /scratch tmpfs rw,nosuid,nodev"), "{line}");
    assert!(line.contains("size=1024k") && line.contains("mode=700"), "{line}");
}

pub(crate) fn shm_size(engine: &Engine) {
    let line = mount_line(engine, &["--shm-size", "1m"], "/dev/shm");
    assert!(line.contains("size=1024k"), "{line}");
}

/// A directory of the host, removed with the store.
pub(crate) fn directory(engine: &Engine, name: &str) -> PathBuf {
    let dir = engine.dir.join(name);
    fs::create_dir(&dir).unwrap();
    dir
}

pub(crate) fn volume_read_write(engine: &Engine) {
    let dir = directory(engine, "read-write");
    engine.prints(&["-v", &format!("{}:/data", dir.display()), IMAGE, "sh", "-c", "echo kept >/data/file"], "");
    assert_eq!(fs::read_to_string(dir.join("file")).unwrap(), "kept\n");
}

pub(crate) fn volume_read_only(engine: &Engine) {
    let dir = directory(engine, "read-only");
    fs::write(dir.join("file"), "from the host\n").unwrap();
    let volume = format!("{}:/data:ro", dir.display());
    let output = engine.run(&["-v", &volume, IMAGE, "sh", "-c", "cat /data/file; touch /data/new"]);
    assert_eq!(output.stdout, "from the host\n", "{output:?}");
    assert_eq!((output.status, output.last_error()), (1, "touch: /data/new: Read-only file system"));
}

/// A volume of the engine's, which has the image's content of that place and outlives the container.
pub(crate) fn volume_by_name(engine: &Engine) {
    engine.prints(&["-v", "shelf:/etc", IMAGE, "sh", "-c", "test -f /etc/group && echo kept >/etc/file"], "");
    engine.prints(&["-v", "shelf:/data:ro", IMAGE, "cat", "/data/file"], "kept\n");
    engine.ok(&["volume", "rm", "shelf"]);
}

/// One file over another.
pub(crate) fn volume_of_a_file(engine: &Engine) {
    let dir = directory(engine, "one-file");
    fs::write(dir.join("motd"), "welcome\n").unwrap();
    let mount = format!("type=bind,source={}/motd,target=/etc/group,readonly", dir.display());
    engine.prints(&["--mount", &mount, IMAGE, "cat", "/etc/group"], "welcome\n");
}

/// What is mounted on the host later shows in the container, if the volume is a slave.
pub(crate) fn volume_propagation(engine: &Engine) {
    let dir = directory(engine, "propagation");
    let volume = |how: &str| format!("{}:/data:{how}", dir.display());
    let fields = |how: &str| engine.run(&["-v", &volume(how), IMAGE, "grep", " /data ", "/proc/self/mountinfo"]).stdout;
    assert!(!fields("rprivate").contains("master:"), "{}", fields("rprivate"));
}

pub(crate) fn device(engine: &Engine) {
    engine.prints(
        &["--device", "/dev/fuse:/dev/mine", IMAGE, "stat", "-c", "%F %t:%T", "/dev/mine"],
        "character special file a:e5\n",
    );
}

/// Into a container and out of it, while it runs.
pub(crate) fn copy(engine: &Engine) {
    let dir = directory(engine, "copies");
    fs::write(dir.join("in"), "from the host\n").unwrap();
    engine.sleeper("copied", &[]);
    engine.ok(&["cp", dir.join("in").to_str().unwrap(), "copied:/srv/in"]);
    assert_eq!(engine.ok(&["exec", "copied", "cat", "/srv/in"]), "from the host\n");
    engine.ok(&["cp", "copied:/etc/passwd", dir.join("out").to_str().unwrap()]);
    assert!(fs::read_to_string(dir.join("out")).unwrap().contains("ada:x:1234"));
    engine.remove("copied");
}
