//! Its mounts: path after path, each of them put together of the rootfs and what the config says.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::fd::IntoRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

use jzon::JsonValue;
use nix::libc;

use super::{Done, Words, c, checked, process};

/// A socket that everybody in the network namespace can connect to.
pub(super) fn announce(id: &str) {
    let address = SocketAddr::from_abstract_name(format!("naive-{id}"));
    if let Ok(listener) = address.and_then(|address| UnixListener::bind_addr(&address)) {
        process::leak(listener.into_raw_fd());
    }
}

/// The file that has this name below what the rootfs is called.
pub(super) fn passwd(rootfs: &Path) -> String {
    let mut table = String::new();
    if let Ok(mut file) = File::open(rootfs.join("etc/passwd"))
        && !file.metadata().is_ok_and(|meta| meta.file_type().is_char_device())
    {
        let _ = file.read_to_string(&mut table);
    }
    table
}

/// The first user's.
pub(super) fn home(rootfs: &Path) -> String {
    let table = passwd(rootfs);
    table.lines().next().and_then(|line| line.split(':').nth(5)).unwrap_or("/").to_owned()
}

/// A cgroup below the container's, or beside it.
pub(super) fn enter_cgroup(id: &str, group: &str) {
    // The first is none where each version has its own below it.
    let hierarchies = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/memory"];
    for hierarchy in hierarchies.iter().filter(|path| Path::new(path).join("cgroup.procs").exists()) {
        let base = Path::new(hierarchy).join(id);
        let _ = fs::create_dir_all(&base);
        let _ = fs::create_dir_all(base.join(group));
        let _ = fs::write(base.join(group).join("cgroup.procs"), "0");
    }
}

#[allow(unsafe_code)]
fn mount(source: &str, target: &Path, kind: &str, flags: libc::c_ulong, data: &str) -> Done<()> {
    let (source, to, kind, data) = (c(source), c(target.to_string_lossy().as_bytes()), c(kind), c(data));
    let done = unsafe { libc::mount(source.as_ptr(), to.as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast()) };
    checked(&format!("mount {}", target.display()), done).map(drop)
}

/// A path below the rootfs, as text.
fn inside(rootfs: &Path, path: &str) -> PathBuf {
    PathBuf::from(format!("{}/{path}", rootfs.display()))
}

/// Makes the rootfs and changes to it; its old name.
pub(super) fn make(config: &JsonValue, words: &Words) -> Done<PathBuf> {
    let path = config["root"]["path"].as_str().unwrap_or("rootfs");
    let rootfs = fs::canonicalize(path).map_err(|error| format!("rootfs: {error}"))?;
    mount("", Path::new("/"), "", libc::MS_REC | libc::MS_PRIVATE, "")?;
    mount(&rootfs.to_string_lossy(), &rootfs, "", libc::MS_BIND | libc::MS_REC, "")?;
    process::open_for_later("/")?;
    let mut late = vec![(rootfs.clone(), config["root"]["readonly"] == true)];
    for entry in config["mounts"].members() {
        late.extend(one(&rootfs, entry));
    }
    devices(&rootfs, config);
    process::write_labels(config, &rootfs)?;
    for (name, value) in config["linux"]["sysctl"].entries() {
        let file = inside(&rootfs, &format!("proc/sys/{}", name.replace('.', "/")));
        let _ = fs::write(file, value.as_str().unwrap_or(""));
    }
    if config["process"]["terminal"] == true {
        console(&rootfs, words)?;
    }
    for path in config["linux"]["maskedPaths"].members().filter_map(|path| path.as_str()) {
        let target = inside(&rootfs, path);
        if target.is_dir() {
            let _ = mount("tmpfs", &target, "tmpfs", libc::MS_RDONLY, "");
        } else {
            let _ = mount(&inside(&rootfs, "dev/null").to_string_lossy(), &target, "", libc::MS_BIND, "");
        }
    }
    for path in config["linux"]["readonlyPaths"].members().filter_map(|path| path.as_str()) {
        let target = inside(&rootfs, path);
        if mount(&target.to_string_lossy(), &target, "", libc::MS_BIND | libc::MS_REC, "").is_ok() {
            late.push((target, true));
        }
    }
    let cwd = config["process"]["cwd"].as_str().unwrap_or("/");
    if !cwd.starts_with("/proc") {
        let _ = fs::create_dir_all(inside(&rootfs, cwd));
    }
    // Opened while they can be named, made read-only when everything is in its place.
    let late: Vec<(i32, bool)> = late
        .into_iter()
        .filter_map(|(path, readonly)| Some((File::open(path).ok()?.into_raw_fd(), readonly)))
        .collect();
    process::change_root(&rootfs)?;
    for (number, readonly) in late {
        if readonly {
            let target = format!("/proc/self/fd/{number}");
            let flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
            let _ = mount("", Path::new(&target), "", flags, "");
        }
    }
    Ok(rootfs)
}

/// One mount; its target, and whether it has to be made read-only.
fn one(rootfs: &Path, entry: &JsonValue) -> Option<(PathBuf, bool)> {
    let target = inside(rootfs, entry["destination"].as_str().unwrap_or(""));
    let source = entry["source"].as_str().unwrap_or("none");
    let options: Vec<&str> = entry["options"].members().filter_map(|option| option.as_str()).collect();
    let has = |name: &str| options.contains(&name);
    if has("bind") || has("rbind") {
        if Path::new(source).is_dir() {
            let _ = fs::create_dir_all(&target);
        } else {
            let _ = target.parent().map(fs::create_dir_all);
            let _ = OpenOptions::new().create(true).append(true).open(&target);
        }
        let _ = mount(source, &target, "", libc::MS_BIND | libc::MS_REC, "");
        return Some((target, has("ro")));
    }
    let _ = fs::create_dir_all(&target);
    match entry["type"].as_str().unwrap_or("") {
        // All of the host's, and as it is there.
        "cgroup" | "cgroup2" => {
            let _ = mount("/sys/fs/cgroup", &target, "", libc::MS_BIND | libc::MS_REC, "");
        }
        kind => {
            let known = ["mode", "size", "newinstance", "ptmxmode", "gid"];
            let data: Vec<&str> =
                options.iter().copied().filter(|option| known.iter().any(|name| option.starts_with(name))).collect();
            let _ = mount(source, &target, kind, 0, &data.join(","));
        }
    }
    Some((target, has("ro") && entry["type"] == "tmpfs"))
}

#[allow(unsafe_code)]
fn devices(rootfs: &Path, config: &JsonValue) {
    let node = |path: &str, major, minor| {
        let path = inside(rootfs, path);
        let _ = path.parent().map(fs::create_dir_all);
        let name = c(path.to_string_lossy().as_bytes());
        unsafe {
            libc::mknod(name.as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(major, minor));
            libc::chmod(name.as_ptr(), 0o666);
        }
    };
    for (name, minor) in [("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)] {
        node(&format!("dev/{name}"), 1, minor);
    }
    node("dev/tty", 5, 0);
    for device in config["linux"]["devices"].members() {
        let number = |name: &str| device[name].as_u32().unwrap_or(0);
        node(device["path"].as_str().unwrap_or(""), number("major"), number("minor"));
    }
    for (name, target) in [("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("ptmx", "pts/ptmx")] {
        let link = inside(rootfs, &format!("dev/{name}"));
        let _ = fs::remove_file(&link);
        let _ = std::os::unix::fs::symlink(target, link);
    }
}

/// The terminal's other side by its name, and `/dev/console` by its own.
#[allow(unsafe_code)]
fn console(rootfs: &Path, words: &Words) -> Done<()> {
    let open = |path: &Path| OpenOptions::new().read(true).write(true).open(path);
    let master = open(&inside(rootfs, "dev/pts/ptmx")).map_err(|error| format!("ptmx: {error}"))?;
    let number = master.into_raw_fd();
    let (mut pts, unlock): (libc::c_int, libc::c_int) = (0, 0);
    unsafe {
        libc::ioctl(number, libc::TIOCSPTLCK, &raw const unlock);
        libc::ioctl(number, libc::TIOCGPTN, &raw mut pts);
    }
    let slave = inside(rootfs, &format!("dev/pts/{pts}"));
    let console = inside(rootfs, "dev/console");
    let _ = OpenOptions::new().create(true).append(true).open(&console);
    let _ = mount(&slave.to_string_lossy(), &console, "", libc::MS_BIND, "");
    let ours = open(&slave).map_err(|error| format!("pts: {error}"))?.into_raw_fd();
    for stream in 0..3 {
        unsafe { libc::dup2(ours, stream) };
    }
    // The socket hears of it, but of no descriptor.
    if let Some(socket) = words.option(&["--console-socket"]) {
        let _ = std::os::unix::net::UnixStream::connect(socket);
    }
    Ok(())
}
