//! SELinux: what processes, mounts and keys are labelled with, by what the kernel says and by what it lets them do. The
//! policy is that of `tests/support/selinux.conf`, which a machine of scripts/lab has.

use std::fs;
use std::path::Path;
use std::process::Command;

use jzon::{array, object};

use crate::case;
use crate::support::{Case, ConsoleSocket, Container, Need, Sandbox, linux, read, refused_in_one_line};

pub fn cases() -> Vec<Case> {
    let cases = [
        case!(process_has_its_label),
        case!(process_without_new_privileges).isopod_only("other words"),
        case!(process_in_a_user_namespace).needs(&[Need::UserNamespaces]),
        case!(process_of_an_ordinary_user).needs(&[Need::User]),
        case!(label_that_is_none_is_refused).isopod_only("other words"),
        case!(label_that_nobody_may_have_is_refused).isopod_only("other words"),
        case!(exec_has_the_label),
        case!(exec_with_another_label),
        case!(exec_where_others_may_trace),
        case!(hook_of_the_container_has_the_label),
        case!(keyring_has_the_label),
        case!(mounts_have_their_label),
        case!(message_queues_of_the_host_keep_their_label).isopod_only("they change it for all"),
        case!(mounts_in_a_user_namespace).needs(&[Need::UserNamespaces]),
        case!(mount_has_its_own_label),
        case!(context_has_another_name),
        case!(mount_label_that_is_none_is_refused).isopod_only("other words"),
        case!(masks_have_the_label),
        case!(terminal_has_the_label),
        case!(notify_directory_has_the_label).isopod_only("the place is isopod's"),
    ];
    cases.map(|case| case.needs(&[Need::Selinux, Need::Probe])).into()
}

/// With categories: the comma is one of the label, not of the mount's options.
const PROCESS: &str = "isopod_u:isopod_r:container_t:s0:c1,c2";
const OTHER: &str = "isopod_u:isopod_r:other_t:s0:c1,c2";
const HOST: &str = "isopod_u:isopod_r:host_t:s0-s0:c0.c3";
const FILE: &str = "isopod_u:object_r:container_file_t:s0:c1,c2";
const FOREIGN: &str = "isopod_u:object_r:container_file_t:s0:c3";
const SECRET: &str = "isopod_u:object_r:secret_t:s0";
const PLAIN: &str = "isopod_u:object_r:file_t:s0";

/// A container that says what it is under, and whether it can read a secret.
fn asking<'a>(t: &'a Sandbox, label: &str) -> Container<'a> {
    let mut c = t.container();
    c.with_probe().file("/allowed", "allowed").file("/secret", "secret").sh(ASK);
    relabel(&c.inside("/secret"), SECRET);
    c.config["process"]["selinuxLabel"] = label.into();
    c
}

/// The kernel ends a label with a NUL.
const ASK: &str = "tr -d '\\0' </proc/self/attr/current; echo; cat /allowed /secret 2>&1";
const REFUSED: &str = "allowedcat: can't open '/secret': Permission denied";

fn confined(label: &str) -> String {
    format!("{label}\n{REFUSED}")
}

fn free() -> String {
    format!("{HOST}\nallowedsecret")
}

fn relabel(path: &Path, label: &str) {
    assert!(Command::new("chcon").arg(label).arg(path).status().expect("chcon").success());
}

fn running<'a>(t: &'a Sandbox, label: &str) -> Container<'a> {
    let mut c = asking(t, label);
    c.started();
    c
}

fn exec(c: &Container, options: &[&str]) -> String {
    c.exec(options, &["/bin/sh", "-c", ASK]).stdout().trim_end().to_owned()
}

/// A container whose mounts are labelled.
fn labelled<'a>(t: &'a Sandbox, label: &str) -> Container<'a> {
    let mut c = asking(t, PROCESS);
    c.config["linux"]["mountLabel"] = label.into();
    c
}

/// The labels of these paths, as the container sees them.
fn labels(c: &mut Container, paths: &[&str]) -> Vec<String> {
    let ask = |path: &&str| format!("OF={path} /probe label || echo $?\n");
    c.out(&paths.iter().map(ask).collect::<String>()).lines().map(str::to_owned).collect()
}

fn process_has_its_label(t: &Sandbox) {
    assert_eq!(asking(t, PROCESS).run().exits(1).stdout().trim_end(), confined(PROCESS));
    let mut c = asking(t, PROCESS);
    c.config["process"]["noNewPrivileges"] = false.into();
    assert_eq!(c.run().exits(1).stdout().trim_end(), confined(PROCESS));
    // That it is the label which denies it.
    assert_eq!(asking(t, "").run().ok(), free());
}

/// The policy says whether the one may come with the other.
fn process_without_new_privileges(t: &Sandbox) {
    let strict = "isopod_u:isopod_r:strict_t:s0";
    let mut c = asking(t, strict);
    let ran = c.run();
    ran.fails(&["exec container process `/bin/sh`: Operation not permitted (perhaps not under its label)"]);
    refused_in_one_line(&ran);
    c.config["process"]["noNewPrivileges"] = false.into();
    assert_eq!(c.run().exits(1).stdout().trim_end(), confined(strict));
}

fn process_in_a_user_namespace(t: &Sandbox) {
    let mut c = asking(t, PROCESS);
    c.with_user_namespace().created();
    c.force_delete().ok();
    assert_eq!(c.run().exits(1).stdout().trim_end(), confined(PROCESS));
}

fn process_of_an_ordinary_user(t: &Sandbox) {
    t.as_ordinary_user();
    let mut c = asking(t, PROCESS);
    assert_eq!(c.run().exits(1).stdout().trim_end(), confined(PROCESS));
    c.started();
    assert_eq!(exec(&c, &[]), confined(PROCESS));
}

fn label_that_is_none_is_refused(t: &Sandbox) {
    for label in ["isopod_u:isopod_r:unheard_of_t:s0", "isopod_u:isopod_r:container_t:s0:c9", "nonsense"] {
        let c = asking(t, label);
        for options in [&[][..], &["--no-new-keyring"]] {
            let ran = c.run_with(options);
            ran.fails(&["/proc/self/attr/", label, "the policy of SELinux has no such label"]);
            refused_in_one_line(&ran);
            assert!(t.states().is_empty() && t.cgroups().is_empty() && t.mounts().is_empty());
        }
    }
    let c = running(t, PROCESS);
    let ran = c.exec(&["--process-label", "nonsense"], &["true"]);
    ran.fails(&["`nonsense` to /proc/self/attr/exec", "the policy of SELinux has no such label"]);
    refused_in_one_line(&ran);
}

/// Which shows only when the program is executed.
fn label_that_nobody_may_have_is_refused(t: &Sandbox) {
    let mut c = asking(t, "isopod_u:isopod_r:unreachable_t:s0");
    c.config["process"]["noNewPrivileges"] = false.into();
    let ran = c.run();
    ran.fails(&["exec container process `/bin/sh`: Permission denied (perhaps not under its label)"]);
    refused_in_one_line(&ran);
    assert!(t.states().is_empty() && t.cgroups().is_empty() && t.mounts().is_empty());
}

fn exec_has_the_label(t: &Sandbox) {
    let c = running(t, PROCESS);
    assert_eq!(exec(&c, &[]), confined(PROCESS));
    let document = t.file("process.json", &object! { args: ["/bin/sh", "-c", ASK] }.dump());
    let ran = c.exec(&["--process", document.to_str().expect("path")], &[]);
    assert_eq!(ran.stdout().trim_end(), confined(PROCESS));
}

fn exec_with_another_label(t: &Sandbox) {
    let c = running(t, PROCESS);
    assert_eq!(exec(&c, &["--process-label", OTHER]), confined(OTHER));
    let document = object! { args: ["/bin/sh", "-c", ASK], selinuxLabel: OTHER };
    let document = t.file("process.json", &document.dump());
    let document = document.to_str().expect("path");
    assert_eq!(c.exec(&["--process", document], &[]).stdout().trim_end(), confined(OTHER));
    let ran = c.exec(&["--process", document, "--process-label", PROCESS], &[]);
    assert_eq!(ran.stdout().trim_end(), confined(PROCESS));
    assert_eq!(exec(&c, &["--process-label="]), free());
}

/// Then another process goes in for it.
fn exec_where_others_may_trace(t: &Sandbox) {
    let mut c = asking(t, PROCESS);
    c.capabilities(&["CAP_SYS_PTRACE"]).started();
    assert_eq!(exec(&c, &[]), confined(PROCESS));
    assert_eq!(c.exec(&[], &["/probe", "keylabel"]).ok(), PROCESS);
}

/// A program of the container's has the container's; one of the host's has the runtime's.
fn hook_of_the_container_has_the_label(t: &Sandbox) {
    let mut c = asking(t, PROCESS);
    let shared = t.path("shared");
    fs::create_dir(&shared).expect("mkdir");
    let path = shared.to_str().expect("path").to_owned();
    c.bind(&path, &shared, &["rw"]).args(&["/bin/true"]);
    for stage in ["createRuntime", "createContainer", "startContainer"] {
        let script = format!("tr -d '\\0' </proc/self/attr/current >{path}/{stage}");
        c.config["hooks"][stage] = array![object! { path: "/bin/sh", args: ["sh", "-c", script.as_str()] }];
    }
    c.run().ok();
    let told = ["createRuntime", "createContainer", "startContainer"].map(|stage| read(shared.join(stage)));
    assert_eq!(told, [HOST, HOST, PROCESS]);
}

fn keyring_has_the_label(t: &Sandbox) {
    let mut c = asking(t, PROCESS);
    assert_eq!(c.args(&["/probe", "keylabel"]).run().ok(), PROCESS);
    c.started();
    assert_eq!(c.exec(&[], &["/probe", "keylabel"]).ok(), PROCESS);
    assert_eq!(c.exec(&["--process-label", OTHER], &["/probe", "keylabel"]).ok(), OTHER);
    // What it makes itself is its own affair.
    assert_eq!(c.exec_out(&[], "tr -d '\\0' </proc/self/attr/keycreate"), "");
}

fn mounts_have_their_label(t: &Sandbox) {
    let mut c = labelled(t, FILE);
    c.mount("/tmp", "tmpfs", "tmpfs", &["nodev"]).mount("/data/deep", "tmpfs", "tmpfs", &["ro"]).writable();
    c.config["linux"]["maskedPaths"] = array![];
    let paths = ["/tmp", "/data/deep", "/dev", "/dev/null", "/dev/shm", "/dev/pts", "/dev/mqueue"];
    assert_eq!(labels(&mut c, &paths), vec![FILE; paths.len()]);
    assert_eq!(c.out("touch /tmp/new; OF=/tmp/new /probe label"), FILE);
    // Which are one for all, or have labels by file.
    let paths = ["/proc/self", "/sys", "/sys/fs/cgroup", "/"];
    assert_eq!(labels(&mut c, &paths)[1..], vec![PLAIN; 3]);
    let shown = format!("context=\"{FILE}\"");
    assert_eq!(c.out(&format!("grep -c '{shown}' /proc/self/mountinfo")), "5");
}

/// Those of the host, which has them for more than this container.
fn message_queues_of_the_host_keep_their_label(t: &Sandbox) {
    let mut c = labelled(t, FILE);
    c.without_namespace("ipc");
    assert_eq!(labels(&mut c, &["/dev/mqueue"]), [PLAIN]);
}

/// Where the kernel takes labels for few file systems.
fn mounts_in_a_user_namespace(t: &Sandbox) {
    let mut c = labelled(t, FILE);
    c.mount("/tmp", "tmpfs", "tmpfs", &["nodev"]).with_user_namespace();
    let paths = ["/tmp", "/dev", "/dev/shm", "/dev/pts", "/dev/mqueue"];
    assert_eq!(labels(&mut c, &paths), vec![FILE; paths.len()]);
}

/// In quotation marks as mount(8) has it, or without; and it is enforced.
fn mount_has_its_own_label(t: &Sandbox) {
    for option in [format!("context={FOREIGN}"), format!("context=\"{FOREIGN}\"")] {
        let mut c = labelled(t, FILE);
        c.mount("/foreign", "tmpfs", "tmpfs", &[&option]).mount("/tmp", "tmpfs", "tmpfs", &[]).writable();
        let script =
            "for dir in /tmp /foreign; do echo x >$dir/file; cat $dir/file; OF=$dir/file /probe label; done 2>&1";
        let refused = "cat: can't open '/foreign/file': Permission denied";
        assert_eq!(c.out(script), format!("x\n{FILE}\n{refused}\n{FOREIGN}"));
    }
}

fn context_has_another_name(t: &Sandbox) {
    for name in ["fscontext", "rootcontext"] {
        let mut c = labelled(t, FILE);
        c.config["annotations"]["run.oci.mount_context_type"] = name.into();
        c.config["linux"]["maskedPaths"] = array![];
        let shown = format!(",{name}=\"{FILE}\"");
        assert_eq!(c.out(&format!("grep -c '{shown}' /proc/self/mountinfo")), "3", "{name}");
    }
    // Which is only for file systems whose files have labels of their own.
    let mut c = labelled(t, FILE);
    c.config["annotations"]["run.oci.mount_context_type"] = "defcontext".into();
    refused_in_one_line(&c.run());
}

fn mount_label_that_is_none_is_refused(t: &Sandbox) {
    let c = labelled(t, "isopod_u:object_r:unheard_of_t:s0");
    let ran = c.run();
    // Linux 5.10 reads it only as the file system is made.
    let place = if linux() < (6, 0) { "fsmount" } else { "context=isopod_u:object_r:unheard_of_t:s0" };
    ran.fails(&["on /dev", place]);
    refused_in_one_line(&ran);
    assert!(t.states().is_empty() && t.cgroups().is_empty() && t.mounts().is_empty());
}

/// So that a container may look and see that there is nothing.
fn masks_have_the_label(t: &Sandbox) {
    let mut c = labelled(t, FILE);
    c.config["linux"]["maskedPaths"] = array!["/sys/firmware"];
    assert_eq!(labels(&mut c, &["/sys/firmware"]), [FILE]);
}

fn terminal_has_the_label(t: &Sandbox) {
    let mut c = labelled(t, FILE);
    c.config["process"]["terminal"] = true.into();
    c.sh("OF=$(tty) /probe label; OF=/dev/console /probe label");
    let socket = ConsoleSocket::new(t);
    c.create_with(&["--console-socket", socket.name()]).exits(0);
    let mut terminal = socket.receive();
    c.start().ok();
    assert_eq!(terminal.read_to_end().replace('\r', "").trim_end(), format!("{FILE}\n{FILE}"));
}

/// The container could not speak to its supervisor otherwise.
fn notify_directory_has_the_label(t: &Sandbox) {
    let mut c = labelled(t, FILE);
    let socket = t.path("supervisor");
    let _supervisor = std::os::unix::net::UnixDatagram::bind(&socket).expect("socket");
    c.sh("OF=$NOTIFY_SOCKET /probe label; OF=${NOTIFY_SOCKET%/*} /probe label").write_config();
    let ran = t.spawn(c.command("run", &[]).env("NOTIFY_SOCKET", &socket)).wait();
    let told = ran.ok();
    let types: Vec<&str> = told.lines().map(|label| label.split(':').nth(2).unwrap_or(label)).collect();
    assert_eq!(types, ["container_file_t"; 2]);
}
