//! What it takes to see security modules at work: profiles of AppArmor that exist for one test, and the policy that
//! scripts/lab loads into SELinux.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::command::behind;
use super::host::read;
use super::sandbox::Sandbox;

/// Why there is no AppArmor to load profiles into.
pub(super) fn no_apparmor() -> Option<String> {
    if !read("/sys/module/apparmor/parameters/enabled").starts_with('Y') {
        return Some("AppArmor is not at work".into());
    }
    let profiles = Path::new("/sys/kernel/security/apparmor/.replace");
    (!profiles.exists()).then(|| "no profile of AppArmor can be loaded".into())
}

/// Why there is no SELinux with the policy of the tests.
pub(super) fn no_selinux() -> Option<String> {
    let context = Path::new("/sys/fs/selinux/context");
    if !context.exists() {
        return Some("SELinux is not at work".into());
    }
    let known = fs::write(context, "isopod_u:isopod_r:container_t:s0").is_ok();
    (!known || read("/sys/fs/selinux/enforce") != "1").then(|| "SELinux has another policy than these tests'".into())
}

/// A profile in the kernel, as long as the test lasts.
pub struct Profile {
    pub name: String,
    file: PathBuf,
}

impl Profile {
    /// Loads one that says only what these rules do. The ABI is one that no parser since 3.0 is without: what it does not
    /// know is not forbidden.
    #[track_caller]
    pub fn load(t: &Sandbox, name: &str, flags: &str, rules: &str) -> Profile {
        let name = format!("isopod-{name}-{}", t.token());
        // What a container has from its caller is at no path that it could see, and perhaps at none.
        let flags = format!("attach_disconnected,mediate_deleted{flags}");
        let file = t.file(&name, &format!("abi <abi/3.0>,\nprofile {name} flags=({flags}) {{\n{rules}\n}}\n"));
        let profile = Profile { name, file };
        assert!(profile.parser("--replace"), "apparmor_parser does not load {}", profile.name);
        profile
    }

    /// One of a container that may do all but look into `/denied`.
    #[track_caller]
    pub fn of_container(t: &Sandbox, name: &str, flags: &str) -> Profile {
        Profile::load(t, name, flags, &format!("{ALL}\ndeny /denied r,"))
    }

    /// One of a runtime, which may do all and execute under any other.
    #[track_caller]
    pub fn of_runtime(t: &Sandbox, name: &str, flags: &str) -> Profile {
        Profile::load(t, name, flags, &format!("{ALL}\nchange_profile -> {{**,&**}},"))
    }

    /// The command under this profile.
    pub fn around(&self, command: &Command) -> Command {
        let script = "printf 'exec %s' \"$0\" >/proc/self/attr/apparmor/exec && exec \"$@\"";
        let mut around = behind(&["/bin/sh", "-c", script, &self.name], command);
        around.stdin(Stdio::null());
        around
    }

    fn parser(&self, action: &str) -> bool {
        let mut parser = Command::new("apparmor_parser");
        parser.args([action, "--skip-cache", "--quiet"]).arg(&self.file);
        parser.status().is_ok_and(|status| status.success())
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        self.parser("--remove");
    }
}

const ALL: &str = "file, capability, network, mount, remount, umount, pivot_root, ptrace, signal, unix, dbus,";
