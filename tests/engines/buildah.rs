//! buildah: commands in a working container, and images built of a Containerfile.

use crate::engine::{Engine, IMAGE, Kind};
use crate::{host, podman};
use libtest_mimic::Trial;
use std::fs;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

const NEEDS: &[&str] = &["buildah", "busybox", "timeout", "setsid", "tar"];

pub(crate) fn trials() -> Vec<Trial> {
    macro_rules! tests {
        ($($test:ident),*) => {
            vec![$(host::trial(format!("buildah::{}", stringify!($test)), NEEDS, || None, || $test(shared()))),*]
        };
    }
    tests![
        run,
        run_options,
        run_input,
        run_at_a_terminal,
        run_with_volumes,
        run_writes_to_the_image,
        bud,
        bud_that_fails,
        errors,
        nothing_left_behind
    ]
}

/// After the last test, for the shared store.
pub(crate) fn clean_up() {
    if let Some(buildah) = SHARED.get() {
        remove(buildah);
    }
}

static SHARED: OnceLock<Engine> = OnceLock::new();

fn shared() -> &'static Engine {
    SHARED.get_or_init(new)
}

fn new() -> Engine {
    let dir = host::new_dir("buildah");
    podman::configure(&dir, "");
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let mut client = vec!["buildah".to_owned()];
    client.extend(["--root".to_owned(), path("root"), "--runroot".to_owned(), path("run")]);
    client.extend(["--storage-driver", "vfs"].map(str::to_owned));
    let env = vec![
        ("CONTAINERS_CONF", dir.join("containers.conf")),
        ("TMPDIR", dir.clone()),
        ("BUILDAH_RUNTIME", host::runtime()),
        ("BUILDAH_ISOLATION", "oci".into()),
    ];
    host::make_image(&dir);
    let cgroup = dir.file_name().unwrap().to_str().unwrap().to_owned();
    let buildah = Engine { kind: Kind::Podman, dir, cgroup, client, env, always: Vec::new() };
    fs::write(buildah.dir.join("Scratch"), "FROM scratch\nADD rootfs.tar /\n").unwrap();
    let words = ["bud", "--quiet", "--tag", IMAGE, "--file", "Scratch", buildah.dir.to_str().unwrap()];
    buildah.ok(&words);
    buildah
}

fn remove(buildah: &Engine) {
    buildah.call(&["rm", "--all"]);
    let dir = buildah.dir.to_str().unwrap();
    host::eventually(|| host::processes_with(dir).is_empty());
    host::remove_dir(&buildah.dir);
}

/// A new working container; gives its name.
fn from(buildah: &Engine) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("work-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    buildah.ok(&["from", "--pull-never", "--name", &name, IMAGE]);
    name
}

fn run(buildah: &Engine) {
    let name = from(buildah);
    assert_eq!(buildah.ok(&["run", &name, "echo", "hello"]), "hello\n");
    assert_eq!(buildah.call(&["run", &name, "sh", "-c", "exit 42"]).status, 42);
    buildah.ok(&["rm", &name]);
}

fn run_options(buildah: &Engine) {
    let name = from(buildah);
    let options =
        ["--user", "ada", "--workingdir", "/srv", "--env", "MORE=x", "--hostname", "box", "--network", "none"];
    let script = "id -u; pwd; echo $MORE; hostname; ls /sys/class/net";
    let said = buildah.ok(&[&["run"], &options[..], &[&name, "--", "sh", "-c", script]].concat());
    assert_eq!(said, "1234\n/srv\nx\nbox\nlo\n");
    let words = ["run", "--cap-drop", "CAP_CHOWN", &name, "grep", "CapBnd", "/proc/self/status"];
    let bounding = buildah.ok(&words);
    let bounding = u64::from_str_radix(bounding.trim_start_matches("CapBnd:").trim(), 16).unwrap();
    assert!(bounding != 0 && bounding & 1 == 0, "{bounding:x}");
    buildah.ok(&["rm", &name]);
}

fn run_input(buildah: &Engine) {
    let name = from(buildah);
    let text = "a line of input\n".repeat(1 << 12);
    let output = host::output(&buildah.command(&["run", &name, "cat"]), text.as_bytes());
    assert!((output.status, output.stdout == text) == (0, true), "{}", output.stderr);
    buildah.ok(&["rm", &name]);
}

fn run_at_a_terminal(buildah: &Engine) {
    let name = from(buildah);
    let script = "tty; while test \"$(stty size)\" != '31 99'; do sleep 0.05; done; read line; echo got $line; exit 7";
    let output = host::at_terminal(&buildah.command(&["run", "-t", &name, "sh", "-c", script]), "typed\n");
    assert_eq!(output.status, 7, "{output:?}");
    assert!(output.stdout.contains("/dev/pts/0") && output.stdout.contains("got typed"), "{output:?}");
    buildah.ok(&["rm", &name]);
}

fn run_with_volumes(buildah: &Engine) {
    let (name, dir) = (from(buildah), buildah.dir.join("volume"));
    fs::create_dir(&dir).unwrap();
    let script = "echo kept >/data/file; touch /fixed/file 2>&1; grep -c ' /scratch tmpfs ' /proc/mounts";
    let (data, fixed) = (format!("{}:/data", dir.display()), format!("{}:/fixed:ro", dir.display()));
    let options = ["run", "-v", &data, "-v", &fixed, "--mount", "type=tmpfs,destination=/scratch", &name];
    let said = buildah.ok(&[&options[..], &["sh", "-c", script]].concat());
    assert_eq!(said, "touch: /fixed/file: Read-only file system\n1\n");
    assert_eq!(fs::read_to_string(dir.join("file")).unwrap(), "kept\n");
    buildah.ok(&["rm", &name]);
}

fn run_writes_to_the_image(buildah: &Engine) {
    let name = from(buildah);
    buildah.ok(&["run", &name, "sh", "-c", "echo kept >/srv/file"]);
    buildah.ok(&["commit", "--quiet", "--rm", &name, "committed"]);
    let words = ["from", "--pull-never", "--name", "of-committed", "committed"];
    buildah.ok(&words);
    assert_eq!(buildah.ok(&["run", "of-committed", "cat", "/srv/file"]), "kept\n");
    buildah.ok(&["rm", "of-committed"]);
    buildah.ok(&["rmi", "committed"]);
}

fn build(buildah: &Engine, name: &str, text: &str) -> host::Output {
    let dir = buildah.dir.join(name);
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("Containerfile"), text).unwrap();
    buildah.call(&["bud", "--quiet", "--network", "none", "--tag", name, dir.to_str().unwrap()])
}

fn bud(buildah: &Engine) {
    let text = "FROM busybox\nRUN echo built >/built && test $(id -u) = 0\nUSER ada\nRUN test $(id -u) = 1234\n\
                WORKDIR /srv\nENV NAME=value\nRUN [\"/bin/sh\", \"-c\", \"test $PWD = /srv && test $NAME = value\"]\n\
                RUN --mount=type=tmpfs,target=/scratch grep -q ' /scratch tmpfs ' /proc/mounts\n";
    let output = build(buildah, "built", text);
    assert_eq!(output.status, 0, "{output:?}");
    buildah.ok(&["from", "--pull-never", "--name", "of-built", "built"]);
    assert_eq!(buildah.ok(&["run", "of-built", "cat", "/built"]), "built\n");
    buildah.ok(&["rm", "of-built"]);
    buildah.ok(&["rmi", "built"]);
}

/// With the status of the RUN that failed.
fn bud_that_fails(buildah: &Engine) {
    build(buildah, "failing", "FROM busybox\nRUN exit 3\n").fails(3, &["RUN exit 3", "exit status 3"]);
    build(buildah, "absent", "FROM busybox\nRUN [\"/bin/missing\"]\n").fails(1, &["RUN /bin/missing", "o such file"]);
}

/// buildah 1.28 has one status for whatever the runtime could not start; its message is the runtime's.
fn errors(buildah: &Engine) {
    let name = from(buildah);
    for program in ["/bin/missing", "missing", "/etc/passwd", "/etc"] {
        buildah.call(&["run", &name, program]).fails(1, &[program]);
    }
    buildah.call(&["run", "--workingdir", "/etc/passwd", &name, "true"]).fails(1, &["/etc/passwd"]);
    buildah.ok(&["rm", &name]);
}

fn nothing_left_behind(_: &Engine) {
    let buildah = new();
    let name = from(&buildah);
    buildah.ok(&["run", &name, "true"]);
    buildah.call(&["run", &name, "/bin/missing"]);
    buildah.ok(&["rm", &name]);
    let dir = buildah.dir.to_str().unwrap();
    assert!(host::eventually(|| host::processes_with(dir).is_empty()), "{:?}", host::processes_with(dir));
    let mut mounts = host::mounts_below(&buildah.dir);
    mounts.retain(|point| *point != buildah.dir.join("root/vfs"));
    assert_eq!(mounts, Vec::<std::path::PathBuf>::new());
    remove(&buildah);
}
