//! The plan as text, a line a step, in the order of the steps: what `isopod plan` prints and the golden tests compare.

use core::fmt::{self, Display, Formatter};

use super::Plan;
use super::hooks::STAGES;
use super::identity::Capabilities;
use super::limits::RESOURCES;
use super::mount::{Change, Mount, What};
use super::namespace::{KINDS, name};
use super::scheduling::{FLAGS, IO_CLASSES, MEMORY_FLAGS, MEMORY_MODES, PERSONALITIES, POLICIES};
use crate::sys::file::{FileType, major, minor};
use crate::sys::mount::{MountAttr, attr, propagation};
use crate::sys::security::filter_flag;

impl Display for Plan<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "container {}", self.id)?;
        self.fmt_namespaces(f)?;
        self.fmt_cgroup(f)?;
        self.fmt_filesystem(f)?;
        self.fmt_process(f)?;
        self.fmt_hooks(f)
    }
}

impl Plan<'_> {
    fn fmt_namespaces(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let new = KINDS.iter().filter(|(_, kind)| self.namespaces.new & kind != 0).map(|(name, _)| *name);
        line(f, "new namespaces", new)?;
        for join in self.namespaces.join {
            writeln!(f, "join {} namespace {}", name(join.kind), text(join.path))?;
        }
        if let Some(maps) = &self.namespaces.maps {
            for (kind, lines) in [("uid", maps.uid), ("gid", maps.gid)] {
                for map in lines.lines() {
                    writeln!(f, "map {kind} {map}")?;
                }
            }
        }
        self.namespaces.time_offsets.map_or("", |text| text).lines().try_for_each(|line| writeln!(f, "clock {line}"))
    }

    fn fmt_hooks(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (stage, (name, _)) in self.hooks.all().zip(STAGES) {
            for hook in stage {
                write!(f, "hook {name} {}", text(hook.path))?;
                if let Some(seconds) = hook.timeout {
                    write!(f, " for {seconds} s")?;
                }
                line(f, ":", hook.env.iter().chain(hook.args).map(|word| text(word)))?;
            }
        }
        for (number, path) in (1..).zip(self.hooks.output) {
            if let Some(path) = path {
                writeln!(f, "output {number} of hooks to {}", text(path))?;
            }
        }
        Ok(())
    }

    fn fmt_cgroup(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(unit) = self.cgroup.unit {
            writeln!(f, "cgroup {:?} of systemd unit {}", unit.subgroup, unit.name)?;
            for property in unit.properties {
                writeln!(f, "property {} {}", property.name, property.value)?;
            }
        } else if self.cgroup.path.is_empty() {
            return writeln!(f, "no cgroup");
        } else {
            writeln!(f, "cgroup {}", self.cgroup.path)?;
        }
        let limits = &self.cgroup.limits;
        for write in limits.writes {
            writeln!(f, "write {} {}", write.file, write.value)?;
        }
        if let Some(devices) = &limits.devices {
            for rule in devices.rules {
                writeln!(f, "{} device {rule}", if rule.allow { "allow" } else { "deny" })?;
            }
            writeln!(f, "device program of {} instructions", devices.program.len())?;
        }
        Ok(())
    }

    fn fmt_filesystem(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(keyring) = self.keyring {
            writeln!(f, "session keyring {}", text(keyring))?;
        }
        writeln!(f, "root {}", text(self.root.path))?;
        for mount in self.mounts {
            writeln!(f, "{mount}")?;
        }
        for device in self.devices {
            let kind = match device.kind {
                FileType::BlockDevice => 'b',
                FileType::Fifo => 'p',
                _ => 'c',
            };
            let (major, minor) = (major(device.dev), minor(device.dev));
            write!(f, "device {} {kind} {major}:{minor} {:04o}", device.path.normal, device.mode)?;
            writeln!(f, " {}:{}", device.uid, device.gid)?;
        }
        for sysctl in self.sysctl {
            writeln!(f, "sysctl {} = {}", text(sysctl.file), sysctl.value)?;
        }
        for (what, name) in [("hostname", self.hostname), ("domainname", self.domainname)] {
            if let Some(name) = name {
                writeln!(f, "{what} {name}")?;
            }
        }
        for (what, paths) in [("mask", self.masked_paths), ("read-only", self.readonly_paths)] {
            for path in paths {
                writeln!(f, "{what} {}", text(path))?;
            }
        }
        let how = if self.root.pivot { "pivot_root" } else { "chroot" };
        let readonly = if self.root.readonly { ", read-only" } else { "" };
        let (kind, recursive) = (self.root.propagation.kind, self.root.propagation.recursive);
        writeln!(f, "{how}{readonly}, {}{}", if recursive { "r" } else { "" }, propagation_name(kind))
    }

    fn fmt_process(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let process = &self.process;
        match process.terminal {
            Some(Some((rows, columns))) => writeln!(f, "terminal of {rows} rows, {columns} columns")?,
            Some(None) => writeln!(f, "terminal")?,
            None => {}
        }
        for limit in process.rlimits {
            let name = RESOURCES.get(limit.resource as usize).unwrap_or(&"?");
            writeln!(f, "limit {name} {} {}", limit.soft, limit.hard)?;
        }
        if let Some(score) = process.oom_score_adj {
            writeln!(f, "oom_score_adj {score}")?;
        }
        self.fmt_scheduling(f)?;
        for (module, label) in [("apparmor", process.labels.apparmor), ("selinux", process.labels.selinux)] {
            if let Some(label) = label {
                writeln!(f, "{module} {}", text(label))?;
            }
        }
        writeln!(f, "cwd {}", text(process.cwd))?;
        write!(f, "user {}:{}", process.user.uid, process.user.gid)?;
        for group in process.user.groups {
            write!(f, " +{group}")?;
        }
        writeln!(f, ", umask {:04o}", process.user.umask)?;
        let sets = &process.capabilities;
        for (name, set) in [
            ("bounding", sets.bounding),
            ("effective", sets.effective),
            ("inheritable", sets.inheritable),
            ("permitted", sets.permitted),
            ("ambient", sets.ambient),
        ] {
            write!(f, "{name} capabilities")?;
            for name in Capabilities::names(set) {
                write!(f, " {name}")?;
            }
            writeln!(f)?;
        }
        if process.no_new_privs {
            writeln!(f, "no new privileges")?;
        }
        if let Some(filter) = &self.process.seccomp {
            write!(f, "seccomp filter of {} instructions", filter.program.len())?;
            let flags = filter_flag::NAMES.iter().filter(|(_, flag)| filter.flags & flag != 0).map(|(name, _)| *name);
            line(f, if filter.flags == 0 { "" } else { ", flags" }, flags)?;
        }
        if self.preserve_fds > 0 {
            writeln!(f, "keep descriptors 3 to {}", 2 + self.preserve_fds)?;
        }
        for entry in process.env {
            writeln!(f, "env {}", text(entry))?;
        }
        if !process.has_home {
            writeln!(f, "env HOME from the container's passwd file")?;
        }
        line(f, "exec", process.args.iter().map(|word| text(word)))
    }
}

impl Plan<'_> {
    fn fmt_scheduling(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let scheduling = &self.process.scheduling;
        if let Some(attr) = scheduling.scheduler {
            write!(f, "scheduler {}", word(&POLICIES, attr.policy))?;
            let numbers = [("runtime", attr.runtime), ("deadline", attr.deadline), ("period", attr.period)];
            for (name, number) in [("priority", u64::from(attr.priority))].iter().chain(&numbers) {
                if *number != 0 {
                    write!(f, " {name} {number}")?;
                }
            }
            if attr.nice != 0 {
                write!(f, " nice {}", attr.nice)?;
            }
            line(f, "", words(&FLAGS, attr.flags as u32))?;
        }
        if let Some(priority) = scheduling.io_priority {
            writeln!(f, "io priority {} {}", word(&IO_CLASSES, priority >> 13), priority & 7)?;
        }
        if let Some(policy) = &scheduling.memory {
            // The flags are above the modes.
            write!(f, "memory policy {}", word(&MEMORY_MODES, policy.mode & 0xff))?;
            line(f, "", words(&MEMORY_FLAGS, policy.mode))?;
            for node in (0..policy.nodes.len() * 64).filter(|bit| policy.nodes[bit / 64] >> (bit % 64) & 1 != 0) {
                writeln!(f, "memory node {node}")?;
            }
        }
        if let Some(domain) = scheduling.personality {
            writeln!(f, "personality {}", word(&PERSONALITIES, domain))?;
        }
        Ok(())
    }
}

fn word(table: &'static [(&str, u32)], number: u32) -> &'static str {
    table.iter().find(|(_, known)| *known == number).map_or("?", |(name, _)| name)
}

fn words(table: &'static [(&str, u32)], bits: u32) -> impl Iterator<Item = &'static str> {
    table.iter().filter(move |(_, bit)| bits & bit != 0).map(|(name, _)| *name)
}

impl Display for Mount<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let to = self.destination.normal;
        match self.what {
            What::Bind { source, recursive } => {
                let how = if recursive { "rbind" } else { "bind" };
                write!(f, "{how} {} on {to}", text(source))?;
            }
            What::Filesystem { fs, source, data, .. } => {
                write!(f, "mount {} from {} on {to}", text(fs), text(source))?;
                fmt_attr(f, &MountAttr { attr_set: self.attr, ..MountAttr::default() })?;
                for datum in data {
                    write!(f, " {}", text(datum.key))?;
                    if let Some(value) = datum.value {
                        write!(f, "={}", text(value))?;
                    }
                }
                if self.readonly_late {
                    f.write_str(", +ro at the end")?;
                }
                if self.copy_up {
                    f.write_str(", with a copy of what is there")?;
                }
            }
            What::Cgroup => {
                write!(f, "mount the cgroups on {to}")?;
                fmt_attr(f, &MountAttr { attr_set: self.attr, ..MountAttr::default() })?;
            }
        }
        for Change { recursive, attr } in self.changes {
            write!(f, "{}", if *recursive { ", all of it" } else { "," })?;
            fmt_attr(f, attr)?;
        }
        Ok(())
    }
}

#[rustfmt::skip]
static ATTRIBUTES: &[(u64, &str)] = &[
    (attr::RDONLY, "ro"), (attr::NOSUID, "nosuid"), (attr::NODEV, "nodev"), (attr::NOEXEC, "noexec"),
    (attr::NOATIME, "noatime"), (attr::STRICTATIME, "strictatime"), (attr::NODIRATIME, "nodiratime"),
    (attr::NOSYMFOLLOW, "nosymfollow"),
];

fn fmt_attr(f: &mut Formatter<'_>, attr: &MountAttr) -> fmt::Result {
    for (sign, bits) in [("+", attr.attr_set), ("-", attr.attr_clr & !attr.attr_set & !attr::ATIME)] {
        for (bit, name) in ATTRIBUTES {
            if bits & bit != 0 {
                write!(f, " {sign}{name}")?;
            }
        }
    }
    // To clear the whole group and set none of it is to choose the one whose value is 0.
    if attr.attr_clr & attr::ATIME != 0 && attr.attr_set & attr::ATIME == 0 {
        f.write_str(" +relatime")?;
    }
    if attr.propagation != 0 {
        write!(f, " {}", propagation_name(attr.propagation))?;
    }
    Ok(())
}

fn propagation_name(kind: u64) -> &'static str {
    match kind {
        propagation::SHARED => "shared",
        propagation::SLAVE => "slave",
        propagation::UNBINDABLE => "unbindable",
        _ => "private",
    }
}

fn line<'a>(f: &mut Formatter<'_>, what: &str, words: impl Iterator<Item = &'a str>) -> fmt::Result {
    f.write_str(what)?;
    for word in words {
        write!(f, " {word}")?;
    }
    writeln!(f)
}

fn text(string: &core::ffi::CStr) -> &str {
    string.to_str().unwrap_or("?")
}
