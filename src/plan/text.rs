//! The plan as a page, a row a step, in the order of the steps: what `isopod plan` prints, for people or as JSON, what
//! `--debug` shows, and what the golden tests compare. Every structure is taken apart whole: what is added to the plan
//! cannot be forgotten here.

use crate::sys::shown;
use core::fmt::{self, Display, Formatter};

use super::device::{Device, LINKS};
use super::hooks::{Hook, Hooks, STAGES};
use super::identity::{Capabilities, User};
use super::idmap::{Idmap, Ids};
use super::label::Labels;
use super::limits::{RESOURCES, Rlimit};
use super::mount::{Change, Datum, Link, Mount, Mounts, Propagation, What};
use super::namespace::{By, Join, KINDS, Map, Maps, Namespaces, name};
use super::netdevice::NetDevice;
use super::page::Page;
use super::process::Process;
use super::rdt::{ROOT, Rdt};
use super::resources::delegate::Delegation;
use super::resources::{COUNTED, Cgroup, Devices, Limits, Otherwise, Write};
use super::scheduling::{
    FLAGS, IO_CLASSES, MEMORY_FLAGS, MEMORY_MODES, MemoryPolicy, PERSONALITIES, POLICIES, Scheduling,
};
use super::seccomp::Listener;
use super::sysctl::Sysctl;
use super::systemd::{Property, Unit};
use super::{Path, Plan, Root};
use crate::ebpf::Rule;
use crate::host::{Cgroups, Hierarchy};
use crate::seccomp::Filter;
use crate::sys::file::{FileType, major, minor};
use crate::sys::memory::{self, Growing};
use crate::sys::mount::{MountAttr, attr, propagation};
use crate::sys::namespace::kind;
use crate::sys::sched::SchedAttr;
use crate::sys::security::filter_flag;

/// The plan, to be printed: `Display` for people, `{:#}` as JSON.
pub struct Shown<'p> {
    pub plan: &'p Plan<'p>,
    /// Where cgroups are on this machine.
    pub cgroups: &'p Cgroups<'p>,
    /// The directory of the container's state; empty if that does not matter.
    pub state: &'p str,
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let as_json = f.alternate();
        let mut page = Page::new(f, as_json);
        self.fill(&mut page);
        page.finish()
    }
}

impl Shown<'_> {
    fn fill(&self, page: &mut Page<'_>) {
        let Plan {
            id,
            namespaces,
            cgroup,
            root,
            mounts,
            devices,
            net_devices,
            masked_paths,
            mount_label,
            readonly_paths,
            hostname,
            domainname,
            sysctl,
            keyring,
            process,
            rdt,
            preserve_fds,
            annotations,
            hooks,
            listener,
        } = self.plan;
        page.one("id").text(id);
        page.one("state").text(self.state);
        page.section("annotations", "name value");
        for (name, value) in annotations.iter() {
            page.row().text(name).text(value);
        }
        fill_namespaces(page, namespaces);
        fill_cgroup(page, cgroup, self.cgroups);
        if let Some(score) = process.oom_score_adj {
            page.one("oomScoreAdj").text(number(score));
        }
        fill_rdt(page, rdt.as_ref());
        page.section("netDevices", "device:15 name");
        for NetDevice { host, name } in *net_devices {
            page.row().text(host).text(name);
        }
        page.one("keyring").text(keyring.map_or("", shown));
        let Root { path, readonly, propagation, pivot } = root;
        page.one("root").path(path);
        let Mounts { steps, idmaps } = mounts;
        fill_idmaps(page, idmaps);
        page.section("mounts", "destination:20 type:8 source:8 options readonlyLate copyUp otherwise");
        steps.iter().for_each(|mount| fill_mount(page, mount));
        page.section("devices", "path:20 type:1 device:7 fileMode:4 owner");
        devices.iter().for_each(|device| fill_device(page, device));
        page.section("links", "path:20 target");
        for (name, target) in &LINKS {
            let path = memory::format(format_args!("/dev/{}", shown(name)));
            page.row().text(path).path(target);
        }
        page.section("sysctl", "file:32 value");
        for Sysctl { name: _, file, value } in *sysctl {
            page.row().path(file).text(value);
        }
        page.one("loopback").flag(namespaces.new & kind::NETWORK != 0, "brought up");
        page.one("hostname").text(hostname.unwrap_or_default());
        page.one("domainname").text(domainname.unwrap_or_default());
        if let Some(size) = process.terminal {
            let size =
                size.map_or("", |(rows, columns)| memory::format(format_args!("{rows} rows, {columns} columns")));
            page.section("terminal", "path size");
            page.row().text("/dev/console").text(size);
        }
        page.one("mountLabel").text(mount_label.map_or("", datum));
        for (what, paths) in [("maskedPaths", masked_paths), ("readonlyPaths", readonly_paths)] {
            page.section(what, "path");
            for path in *paths {
                page.row().path(path);
            }
        }
        page.section("enter", "how readonly propagation");
        page.row()
            .text(if *pivot { "pivot_root" } else { "chroot" })
            .flag(*readonly, "read-only")
            .text(propagation_name(propagation));
        fill_process(page, process, *preserve_fds);
        if let Some(Listener { path, metadata }) = listener {
            page.section("listener", "path metadata");
            page.row().text(path).text(metadata.unwrap_or(""));
        }
        fill_hooks(page, hooks);
    }
}

/// By their stages, which are not all at the end.
fn fill_hooks(page: &mut Page<'_>, hooks: &Hooks<'_>) {
    page.section("hooks", "stage:15 path args env timeout");
    for (stage, (name, _)) in hooks.all().zip(STAGES) {
        for Hook { path, args, env, timeout } in stage {
            let [args, env] = [args, env].map(|words| {
                let mut texts = Growing::new();
                words.iter().for_each(|word| texts.push(shown(word)));
                &*texts.finish()
            });
            let timeout = timeout.map_or("", |seconds| memory::format(format_args!("at most {seconds} s")));
            page.row().text(name).path(path).words(args).words(env).text(timeout);
        }
    }
    for (name, path) in ["hooksStdout", "hooksStderr"].into_iter().zip(hooks.output) {
        page.one(name).text(path.map_or("", shown));
    }
}

fn fill_namespaces(page: &mut Page<'_>, namespaces: &Namespaces<'_>) {
    let Namespaces { new, join, maps, time_offsets } = namespaces;
    page.section("namespaces", "type:8 how:6 path");
    for (name, _) in KINDS.iter().filter(|(_, kind)| new & kind != 0) {
        page.row().text(name).text("new");
    }
    for Join { kind, path, index: _ } in *join {
        page.row().text(name(*kind)).text("joined").path(path);
    }
    page.section("timeOffsets", "offset");
    for line in time_offsets.unwrap_or("").lines() {
        page.row().text(line);
    }
    let Some(Maps { uid, gid }) = maps else { return };
    for (field, map, helper) in [("uidMappings", uid, "newuidmap"), ("gidMappings", gid, "newgidmap")] {
        let Map { lines: _, ranges, by, own } = map;
        let by = match by {
            By::Runtime => "the runtime",
            By::RuntimeWithoutGroups => "the runtime, setgroups denied",
            By::Helper => helper,
        };
        let own = own.map_or("", |own| memory::format(format_args!("or 0 {own} 1")));
        page.section(field, "containerID:10 hostID:10 size:10 by otherwise");
        for [inside, outside, size] in *ranges {
            page.row()
                .number(u64::from(*inside))
                .number(u64::from(*outside))
                .number(u64::from(*size))
                .text(by)
                .text(own);
        }
    }
}

/// In every hierarchy the directory; then what is written, by the names of the files.
fn fill_cgroup(page: &mut Page<'_>, cgroup: &Cgroup<'_>, cgroups: &Cgroups<'_>) {
    let Cgroup { path, limits, unit, delegation } = cgroup;
    let mut path = *path;
    if let Some(Unit { name, subgroup, properties }) = unit {
        page.one("systemdUnit").text(name);
        page.section("properties", "name:24 value");
        for Property { name, value, optional: _ } in *properties {
            page.row().text(name).format(format_args!("{value}"));
        }
        // Where that is shows when systemd has made it.
        path = memory::format(format_args!("/.../{name}/{subgroup}")).trim_end_matches('/');
    }
    let Limits { writes, devices } = limits;
    let hierarchies = if path.is_empty() { &[][..] } else { cgroups.hierarchies() };
    let file = |hierarchy: &Hierarchy<'_>, path: &str, file: &str| {
        memory::format(format_args!("{}{path}/{file}", shown(hierarchy.mount)))
    };
    page.section("cgroup", "directory");
    for hierarchy in hierarchies {
        page.row().text(file(hierarchy, path, "").trim_end_matches('/'));
    }
    page.section("resources", "file:46 value:12 field otherwise");
    let mut row = |file: &str, value: &str, field: &str, otherwise: &str| {
        page.row().text(file).text(value).text(field).text(otherwise);
    };
    for hierarchy in hierarchies {
        let v2 = matches!(cgroups, Cgroups::V2(_));
        if v2 {
            let needed = |controller: &str| writes.iter().any(|write| write.controller() == controller);
            let wanted = |controller: &&str| COUNTED.contains(controller) || needed(controller);
            let all = hierarchy.controllers.split(' ').filter(wanted);
            let all = all.fold("", |all, one| {
                memory::format(format_args!("{all}{}+{one}", if all.is_empty() { "" } else { " " }))
            });
            let parents = path.match_indices('/').map(|(end, _)| &path[..end]);
            for parent in parents.filter(|_| !all.is_empty()) {
                row(file(hierarchy, parent, "cgroup.subtree_control"), all, "", "what is not on");
            }
        } else if hierarchy.controls("cpuset") {
            for name in ["cpuset.cpus", "cpuset.mems"] {
                if !writes.iter().any(|write| write.file == name) {
                    row(file(hierarchy, path, name), "", "", "as the cgroup above it");
                }
            }
        }
        let mine = |write: &&Write<'_>| {
            let controller = write.controller();
            hierarchy.controls(controller) || hierarchy.unified && controller == "cgroup"
        };
        for Write { field, file: name, value, otherwise } in writes.iter().filter(mine) {
            let otherwise = match otherwise {
                Otherwise::Fail => "",
                Otherwise::Skip => "if it is there",
                Otherwise::Instead { file, value } => memory::format(format_args!("or {file} {value}")),
            };
            row(file(hierarchy, path, name), value, field, otherwise);
        }
    }
    if let Some(Delegation { below, owner }) = delegation {
        let (uid, gid) = owner.unwrap_or((0, 0));
        page.section("delegation", "below uid gid");
        let below = if below.is_empty() { "." } else { below };
        page.row().text(below).number(uid.into()).number(gid.into());
    }
    let Some(Devices { rules, program }) = devices else { return };
    page.section("deviceRules", "rule:5 devices");
    for rule in *rules {
        let Rule { allow, kind: _, major: _, minor: _, access: _ } = rule;
        let which = memory::format(format_args!("{rule}"));
        page.row().text(if *allow { "allow" } else { "deny" }).text(which);
    }
    let length = memory::format(format_args!("{} instructions", program.len()));
    page.one("deviceProgram").text(if program.is_empty() { "" } else { length });
}

/// User namespaces that exist for the ids of mounts.
fn fill_idmaps(page: &mut Page<'_>, idmaps: &[Ids<'_>]) {
    page.section("idmaps", "map:2 type:4 ids");
    for (place, ids) in (0..).zip(idmaps) {
        match ids {
            Ids::Joined(path) => {
                page.row().number(place).text("path").path(path);
            }
            Ids::Maps(Maps { uid, gid }) => {
                for (kind, Map { lines, ranges: _, by: _, own: _ }) in [("uid", uid), ("gid", gid)] {
                    for line in lines.lines() {
                        page.row().number(place).text(kind).text(line);
                    }
                }
            }
        }
    }
}

fn fill_rdt(page: &mut Page<'_>, rdt: Option<&Rdt<'_>>) {
    let Some(Rdt { group, own, schemata: _, lines, monitoring }) = rdt else { return };
    const OWN: &str = "as long as the container is there";
    page.section("intelRdt", "directory:46 how");
    let how = match (own, lines.is_empty()) {
        (true, _) => OWN,
        (false, true) => "has to be there",
        (false, false) => "made if it is not there",
    };
    page.row().format(format_args!("{ROOT}/{group}")).text(how);
    if let Some(group) = monitoring {
        page.row().format(format_args!("{ROOT}/{group}")).text(OWN);
    }
    page.section("schemata", "line");
    for line in lines.lines() {
        page.row().text(line);
    }
}

fn fill_mount(page: &mut Page<'_>, mount: &Mount<'_>) {
    let Mount {
        index: _,
        destination: Path { given: _, normal },
        what,
        changes,
        attr,
        idmap,
        label,
        copy_up,
        nofollow,
        readonly_late,
        role: _,
    } = mount;
    let (kind, source, data) = match what {
        What::Bind { source, recursive, link: _ } => {
            (if *recursive { "rbind" } else { "bind" }, shown(source), &[][..])
        }
        What::Filesystem { fs, source, data, words: _, or_hosts: _ } => (shown(fs), shown(source), *data),
        What::Cgroup => ("cgroup", "", &[][..]),
        What::Remount { data } => ("remount", "", *data),
    };
    let (link, or_hosts) = match *what {
        What::Bind { link, .. } => (link, false),
        What::Filesystem { or_hosts, .. } => (Link::Follow, or_hosts),
        _ => (Link::Follow, false),
    };
    let mut options = Growing::new();
    if matches!(what, What::Filesystem { .. } | What::Cgroup) {
        attr_words(&mut options, false, &MountAttr { attr_set: *attr, ..MountAttr::default() });
    }
    for Change { recursive, attr } in *changes {
        attr_words(&mut options, *recursive, attr);
    }
    data.iter().for_each(|given| options.push(datum(*given)));
    for (given, word) in
        [(link == Link::Copy, "copy-symlink"), (link == Link::Mount, "src-nofollow"), (*nofollow, "dest-nofollow")]
    {
        if given {
            options.push(word);
        }
    }
    if let Some(Idmap { place, recursive }) = idmap {
        options.push(memory::format(format_args!("{}idmap={place}", if *recursive { "r" } else { "" })));
    }
    if let Some(label) = label {
        options.push(memory::format(format_args!("label={}", shown(label))));
    }
    page.row()
        .text(normal)
        .text(kind)
        .text(source)
        .words(options.as_slice())
        .flag(*readonly_late, "(ro at the end)")
        .flag(*copy_up, "(with a copy of what is there)")
        .text(if or_hosts { "(or the host's)" } else { "" });
}

fn datum(Datum { key, value }: Datum<'_>) -> &str {
    let key = shown(key);
    value.map_or(key, |value| memory::format(format_args!("{key}={}", shown(value))))
}

fn fill_device(page: &mut Page<'_>, device: &Device<'_>) {
    let Device { path: Path { given: _, normal }, kind, dev, mode, uid, gid } = device;
    let kind = match *kind {
        FileType::BlockDevice => "b",
        FileType::Fifo => "p",
        _ => "c",
    };
    let numbers = memory::format(format_args!("{}:{}", major(*dev), minor(*dev)));
    page.row().text(normal).text(kind).text(numbers).text(octal(*mode)).format(format_args!("{uid}:{gid}"));
}

fn fill_process(page: &mut Page<'_>, process: &Process<'_>, preserve_fds: u32) {
    let Process {
        args,
        env,
        path,
        listens,
        has_home,
        cwd,
        terminal: _,
        user,
        capabilities,
        rlimits,
        no_new_privs,
        scheduling,
        labels,
        seccomp,
        oom_score_adj: _,
    } = process;
    fill_scheduling(page, scheduling);
    page.section("rlimits", "type:10 soft:10 hard");
    for Rlimit { resource, soft, hard, index: _ } in *rlimits {
        let kind = RESOURCES.at(*resource as usize).unwrap_or("?");
        page.row().text(kind).text(limit(*soft)).text(limit(*hard));
    }
    page.one("cwd").path(cwd);
    let User { uid, gid, groups, keep_groups, umask } = user;
    page.section("user", "ids additionalGids keepGroups umask");
    let mut more = Growing::new();
    groups.iter().for_each(|group| more.push(number(*group)));
    page.row()
        .format(format_args!("{uid}:{gid}"))
        .words(more.as_slice())
        .flag(*keep_groups, "and the caller's groups")
        .format(format_args!("umask {}", octal(*umask)));
    let Capabilities { bounding, effective, inheritable, permitted, ambient } = capabilities;
    page.section("capabilities", "set:11 names");
    for (set, bits) in [
        ("bounding", bounding),
        ("effective", effective),
        ("inheritable", inheritable),
        ("permitted", permitted),
        ("ambient", ambient),
    ] {
        let mut names = Growing::new();
        Capabilities::names(*bits).for_each(|name| names.push(memory::format(format_args!("{name}"))));
        page.row().text(set).words(names.as_slice());
    }
    page.one("noNewPrivileges").flag(*no_new_privs, "from here on");
    if let Some(Filter { program, flags }) = seccomp {
        let mut names = Growing::new();
        push_names(&mut names, filter_flag::NAMES, *flags);
        let length = memory::format(format_args!("{} instructions", program.len()));
        page.section("seccomp", "program flags");
        page.row().text(length).words(names.as_slice());
    }
    let Labels { apparmor, selinux } = labels;
    page.one("apparmor").text(apparmor.map_or("", shown));
    page.one("selinux").text(selinux.map_or("", shown));
    let last = memory::format(format_args!("3 to {}", u64::from(preserve_fds) + 2));
    page.one("descriptors").text(if preserve_fds > 0 { last } else { "" });
    page.section("env", "entry");
    for entry in *env {
        page.row().path(entry);
    }
    page.one("listens").flag(*listens, "LISTEN_PID of its own");
    page.one("home").flag(!has_home, "HOME from the container's passwd file");
    page.one("path").text(path);
    let mut words = Growing::new();
    args.iter().for_each(|word| words.push(shown(word)));
    page.one("args").words(words.as_slice());
}

fn fill_scheduling(page: &mut Page<'_>, scheduling: &Scheduling<'_>) {
    // The affinity is only for `exec`.
    let Scheduling { scheduler, io_priority, affinity: _, memory, personality } = scheduling;
    if let Some(attr) = scheduler {
        let SchedAttr { size: _, policy, flags, nice, priority, runtime, deadline, period, util_min, util_max } = *attr;
        let mut words = Growing::new();
        let numbers = [
            ("priority", u64::from(priority)),
            ("runtime", runtime),
            ("deadline", deadline),
            ("period", period),
            ("util_min", u64::from(util_min)),
            ("util_max", u64::from(util_max)),
        ];
        for (name, number) in numbers.into_iter().filter(|(_, number)| *number != 0) {
            words.push(memory::format(format_args!("{name}={number}")));
        }
        if nice != 0 {
            words.push(memory::format(format_args!("nice={nice}")));
        }
        push_names(&mut words, &FLAGS, flags as u32);
        page.section("scheduler", "policy options");
        page.row().text(word(&POLICIES, policy)).words(words.as_slice());
    }
    if let Some(priority) = io_priority {
        let class = word(&IO_CLASSES, priority >> 13);
        page.one("ioPriority").format(format_args!("{class} {}", priority & 7));
    }
    if let Some(MemoryPolicy { mode, nodes }) = memory {
        let mut words = Growing::new();
        // The flags are above the modes.
        push_names(&mut words, &MEMORY_FLAGS, *mode);
        for node in (0..nodes.len() * 64).filter(|bit| nodes[bit / 64] >> (bit % 64) & 1 != 0) {
            words.push(memory::format(format_args!("node={node}")));
        }
        page.section("memoryPolicy", "mode options");
        page.row().text(word(&MEMORY_MODES, mode & 0xff)).words(words.as_slice());
    }
    page.one("personality").text(personality.map_or("", |domain| word(&PERSONALITIES, domain)));
}

fn word(table: &'static [(&str, u32)], number: u32) -> &'static str {
    table.iter().find(|(_, known)| *known == number).map_or("?", |(name, _)| name)
}

fn push_names<'a>(words: &mut Growing<'a, &'a str>, table: &'static [(&str, u32)], bits: u32) {
    table.iter().filter(|(_, bit)| bits & bit != 0).for_each(|(name, _)| words.push(*name));
}

/// An attribute, and what says that it is not there.
#[rustfmt::skip]
static ATTRIBUTES: &[(u64, &str, &str)] = &[
    (attr::RDONLY, "ro", "rw"), (attr::NOSUID, "nosuid", "suid"), (attr::NODEV, "nodev", "dev"),
    (attr::NOEXEC, "noexec", "exec"), (attr::NODIRATIME, "nodiratime", "diratime"),
    (attr::NOSYMFOLLOW, "nosymfollow", "symfollow"),
    // Of this group one is chosen; to be cleared and not set says nothing about it.
    (attr::NOATIME, "noatime", ""), (attr::STRICTATIME, "strictatime", ""),
];

/// In the words of the config: with an `r` in front for the whole tree.
fn attr_words<'a>(words: &mut Growing<'a, &'a str>, recursive: bool, change: &MountAttr) {
    let MountAttr { attr_set, attr_clr, propagation: kind, userns_fd: _ } = change;
    let mut push = |word: &'static str| {
        words.push(if recursive { memory::format(format_args!("r{word}")) } else { word });
    };
    for (bit, there, not_there) in ATTRIBUTES {
        if attr_set & bit != 0 {
            push(there);
        } else if attr_clr & bit != 0 && !not_there.is_empty() {
            push(not_there);
        }
    }
    // To clear the whole group and set none of it is to choose the one whose value is 0.
    if attr_clr & attr::ATIME != 0 && attr_set & attr::ATIME == 0 {
        push("relatime");
    }
    if *kind != 0 {
        words.push(propagation_name(&Propagation { kind: *kind, recursive }));
    }
}

fn propagation_name(propagation: &Propagation) -> &'static str {
    let Propagation { kind, recursive } = propagation;
    let name = match *kind {
        propagation::SHARED => "rshared",
        propagation::SLAVE => "rslave",
        propagation::UNBINDABLE => "runbindable",
        _ => "rprivate",
    };
    if *recursive { name } else { &name[1..] }
}

fn number(number: impl Display) -> &'static str {
    memory::format(format_args!("{number}"))
}

fn octal(mode: u32) -> &'static str {
    memory::format(format_args!("{mode:04o}"))
}

fn limit(limit: u64) -> &'static str {
    if limit == u64::MAX { "unlimited" } else { number(limit) }
}
