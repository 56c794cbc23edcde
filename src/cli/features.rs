//! `isopod features`: what this build understands of a config, in the form of the runtime specification, told by the
//! tables that do the understanding. The machine does not matter for it.

#![forbid(unsafe_code)]

use super::options::Given;
use super::{Outcome, report};
use crate::container::{Context, SPEC_VERSION};
use crate::json::{self, Style, Writer};
use crate::plan::{hooks, identity, mount, namespace, scheduling};
use crate::seccomp::{ACTIONS, ARCHITECTURES, operators};
use crate::sys::memory::{self, Growing};
use crate::sys::security::filter_flag::NAMES;

/// Prints them.
pub fn run(_: &Context, _: &Given) -> Outcome {
    report::print(memory::format(format_args!("{}\n", json::text(Style::Pretty, |w| w.object(features)))))?;
    Ok(0)
}

fn features(w: &mut Writer<'_>) {
    w.member("ociVersionMin", "1.0.0");
    w.member("ociVersionMax", SPEC_VERSION);
    w.name("hooks").array(|w| hooks::STAGES.iter().for_each(|(name, _)| w.value(*name)));
    w.member("mountOptions", sorted(mount::option_names()));
    w.name("linux").object(linux);
    w.name("annotations").object(|w| {
        w.member("org.opencontainers.runc.checkpoint.enabled", "false");
        w.member("run.oci.crun.checkpoint.enabled", "false");
    });
    w.member("potentiallyUnsafeConfigAnnotations", &["org.systemd.property.", "run.oci."][..]);
}

fn linux(w: &mut Writer<'_>) {
    w.member("namespaces", sorted(namespace::KINDS.iter().map(|(name, _)| *name)));
    words(w, "capabilities", |w| identity::CAPABILITIES.iter().for_each(|name| word(w, "CAP_", name)));
    switches(w, "cgroup", &[("v1", true), ("v2", true), ("systemd", true), ("systemdUser", true), ("rdma", true)]);
    w.name("seccomp").object(|w| {
        w.member("enabled", true);
        words(w, "actions", |w| ACTIONS.iter().for_each(|(name, _)| word(w, "SCMP_ACT_", name)));
        words(w, "operators", |w| operators().for_each(|name| word(w, "SCMP_CMP_", name)));
        words(w, "archs", |w| ARCHITECTURES.iter().for_each(|name| word(w, "SCMP_ARCH_", name)));
        for list in ["knownFlags", "supportedFlags"] {
            words(w, list, |w| NAMES.iter().for_each(|(name, _)| word(w, "SECCOMP_FILTER_FLAG_", name)));
        }
    });
    switches(w, "apparmor", &[("enabled", true)]);
    switches(w, "selinux", &[("enabled", true)]);
    switches(w, "intelRdt", &[("enabled", true), ("schemata", true), ("monitoring", true)]);
    w.name("memoryPolicy").object(|w| {
        w.member("modes", sorted(names(&scheduling::MEMORY_MODES)));
        w.member("flags", sorted(names(&scheduling::MEMORY_FLAGS)));
    });
    w.name("mountExtensions").object(|w| switches(w, "idmap", &[("enabled", true)]));
    switches(w, "netDevices", &[("enabled", true)]);
}

fn words(w: &mut Writer<'_>, list: &str, each: impl FnOnce(&mut Writer<'_>)) {
    w.name(list).array(each);
}

#[inline(never)]
fn word(w: &mut Writer<'_>, prefix: &str, name: &str) {
    w.value(memory::format(format_args!("{prefix}{name}")));
}

fn switches(w: &mut Writer<'_>, name: &str, all: &[(&str, bool)]) {
    w.name(name).object(|w| all.iter().for_each(|(name, on)| w.member(name, *on)));
}

fn names(table: &'static [(&str, u32)]) -> impl Iterator<Item = &'static str> {
    table.iter().map(|(name, _)| *name)
}

fn sorted(names: impl Iterator<Item = &'static str>) -> &'static [&'static str] {
    let mut all = Growing::new();
    names.for_each(|name| all.push(name));
    let all = all.finish();
    memory::sort(all);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every field of the specification is there, and what it lists is what the parser of configs takes.
    #[test]
    fn the_shape_of_the_specification() {
        let text = json::text(Style::Pretty, |w| w.object(features));
        let value = jzon::parse(text).expect("JSON");
        let names = |value: &jzon::JsonValue| value.entries().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            names(&value),
            [
                "ociVersionMin",
                "ociVersionMax",
                "hooks",
                "mountOptions",
                "linux",
                "annotations",
                "potentiallyUnsafeConfigAnnotations"
            ]
        );
        assert_eq!(
            names(&value["linux"]),
            [
                "namespaces",
                "capabilities",
                "cgroup",
                "seccomp",
                "apparmor",
                "selinux",
                "intelRdt",
                "memoryPolicy",
                "mountExtensions",
                "netDevices"
            ]
        );
        assert_eq!(value["ociVersionMax"], SPEC_VERSION);
        let list = |value: &jzon::JsonValue| {
            value.members().map(|item| item.as_str().expect("a string").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            list(&value["linux"]["namespaces"]),
            ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"]
        );
        let capabilities = list(&value["linux"]["capabilities"]);
        assert!(capabilities.len() == 41 && capabilities.iter().all(|name| identity::capability(name).is_some()));
        let options = list(&value["mountOptions"]);
        assert!(options.is_sorted());
        for known in ["bind", "rro", "nosuid", "private", "rshared", "tmpcopyup", "sync", "defaults"] {
            assert!(options.iter().any(|name| name == known), "{known}");
        }
        assert!(!options.iter().any(|name| name == "size"), "{options:?}");
    }
}
