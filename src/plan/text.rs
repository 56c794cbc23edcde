//! The plan as a page, a row a step, in the order of the steps: what `isopod plan` prints, for people or as JSON, what
//! `--debug` shows, and what the golden tests compare. Every structure is taken apart whole: what is added to the plan
//! cannot be forgotten here.

use core::ffi::CStr;
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
use super::page::Value::{Flag, Number, Text, Words};
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
        page.one("id", Text(id));
        page.one("state", Text(self.state));
        page.section("annotations", "name value");
        for (name, value) in annotations.iter() {
            page.row(&[Text(name), Text(value)]);
        }
        fill_namespaces(page, namespaces);
        fill_cgroup(page, cgroup, self.cgroups);
        if let Some(score) = process.oom_score_adj {
            page.one("oomScoreAdj", Text(number(score)));
        }
        fill_rdt(page, rdt.as_ref());
        page.section("netDevices", "device:15 name");
        for NetDevice { host, name } in *net_devices {
            page.row(&[Text(host), Text(name)]);
        }
        page.one("keyring", Text(keyring.map_or("", text)));
        let Root { path, readonly, propagation, pivot } = root;
        page.one("root", Text(text(path)));
        let Mounts { steps, idmaps } = mounts;
        fill_idmaps(page, idmaps);
        page.section("mounts", "destination:20 type:8 source:8 options readonlyLate copyUp otherwise");
        steps.iter().for_each(|mount| fill_mount(page, mount));
        page.section("devices", "path:20 type:1 device:7 fileMode:4 owner");
        devices.iter().for_each(|device| fill_device(page, device));
        page.section("links", "path:20 target");
        for (name, target) in &LINKS {
            let path = memory::format(format_args!("/dev/{}", text(name)));
            page.row(&[Text(path), Text(text(target))]);
        }
        page.section("sysctl", "file:32 value");
        for Sysctl { name: _, file, value } in *sysctl {
            page.row(&[Text(text(file)), Text(value)]);
        }
        page.one("loopback", Flag(namespaces.new & kind::NETWORK != 0, "brought up"));
        page.one("hostname", Text(hostname.unwrap_or_default()));
        page.one("domainname", Text(domainname.unwrap_or_default()));
        if let Some(size) = process.terminal {
            let size =
                size.map_or("", |(rows, columns)| memory::format(format_args!("{rows} rows, {columns} columns")));
            page.section("terminal", "path size");
            page.row(&[Text("/dev/console"), Text(size)]);
        }
        page.one("mountLabel", Text(mount_label.map_or("", datum)));
        for (what, paths) in [("maskedPaths", masked_paths), ("readonlyPaths", readonly_paths)] {
            page.section(what, "path");
            paths.iter().for_each(|path| page.row(&[Text(text(path))]));
        }
        page.section("enter", "how readonly propagation");
        page.row(&[
            Text(if *pivot { "pivot_root" } else { "chroot" }),
            Flag(*readonly, "read-only"),
            Text(propagation_name(propagation)),
        ]);
        fill_process(page, process, *preserve_fds);
        if let Some(Listener { path, metadata }) = listener {
            page.section("listener", "path metadata");
            page.row(&[Text(path), Text(metadata.unwrap_or(""))]);
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
                words.iter().for_each(|word| texts.push(text(word)));
                &*texts.finish()
            });
            let timeout = timeout.map_or("", |seconds| memory::format(format_args!("at most {seconds} s")));
            page.row(&[Text(name), Text(text(path)), Words(args), Words(env), Text(timeout)]);
        }
    }
    for (name, path) in ["hooksStdout", "hooksStderr"].into_iter().zip(hooks.output) {
        page.one(name, Text(path.map_or("", text)));
    }
}

fn fill_namespaces(page: &mut Page<'_>, namespaces: &Namespaces<'_>) {
    let Namespaces { new, join, maps, time_offsets } = namespaces;
    page.section("namespaces", "type:8 how:6 path");
    for (name, _) in KINDS.iter().filter(|(_, kind)| new & kind != 0) {
        page.row(&[Text(name), Text("new")]);
    }
    for Join { kind, path, index: _ } in *join {
        page.row(&[Text(name(*kind)), Text("joined"), Text(text(path))]);
    }
    page.section("timeOffsets", "offset");
    for line in time_offsets.unwrap_or("").lines() {
        page.row(&[Text(line)]);
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
            page.row(&[
                Number(u64::from(*inside)),
                Number(u64::from(*outside)),
                Number(u64::from(*size)),
                Text(by),
                Text(own),
            ]);
        }
    }
}

/// In every hierarchy the directory; then what is written, by the names of the files.
fn fill_cgroup(page: &mut Page<'_>, cgroup: &Cgroup<'_>, cgroups: &Cgroups<'_>) {
    let Cgroup { path, limits, unit, delegation } = cgroup;
    let mut path = *path;
    if let Some(Unit { name, subgroup, properties }) = unit {
        page.one("systemdUnit", Text(name));
        page.section("properties", "name:24 value");
        for Property { name, value, optional: _ } in *properties {
            page.row(&[Text(name), Text(memory::format(format_args!("{value}")))]);
        }
        // Where that is shows when systemd has made it.
        path = memory::format(format_args!("/.../{name}/{subgroup}")).trim_end_matches('/');
    }
    let Limits { writes, devices } = limits;
    let hierarchies = if path.is_empty() { &[][..] } else { cgroups.hierarchies() };
    let file = |hierarchy: &Hierarchy<'_>, path: &str, file: &str| {
        memory::format(format_args!("{}{path}/{file}", text(hierarchy.mount)))
    };
    page.section("cgroup", "directory");
    for hierarchy in hierarchies {
        page.row(&[Text(file(hierarchy, path, "").trim_end_matches('/'))]);
    }
    page.section("resources", "file:46 value:12 field otherwise");
    let mut row = |file: &str, value: &str, field: &str, otherwise: &str| {
        page.row(&[Text(file), Text(value), Text(field), Text(otherwise)]);
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
        page.row(&[Text(below), Number(uid.into()), Number(gid.into())]);
    }
    let Some(Devices { rules, program }) = devices else { return };
    page.section("deviceRules", "rule:5 devices");
    for rule in *rules {
        let Rule { allow, kind: _, major: _, minor: _, access: _ } = rule;
        let which = memory::format(format_args!("{rule}"));
        page.row(&[Text(if *allow { "allow" } else { "deny" }), Text(which)]);
    }
    let length = memory::format(format_args!("{} instructions", program.len()));
    page.one("deviceProgram", Text(if program.is_empty() { "" } else { length }));
}

/// User namespaces that exist for the ids of mounts.
fn fill_idmaps(page: &mut Page<'_>, idmaps: &[Ids<'_>]) {
    page.section("idmaps", "map:2 type:4 ids");
    for (place, ids) in (0..).zip(idmaps) {
        let mut row = |kind, ids| page.row(&[Number(place), Text(kind), Text(ids)]);
        match ids {
            Ids::Joined(path) => row("path", text(path)),
            Ids::Maps(Maps { uid, gid }) => {
                for (kind, Map { lines, ranges: _, by: _, own: _ }) in [("uid", uid), ("gid", gid)] {
                    lines.lines().for_each(|line| row(kind, line));
                }
            }
        }
    }
}

fn fill_rdt(page: &mut Page<'_>, rdt: Option<&Rdt<'_>>) {
    let Some(Rdt { group, own, schemata: _, lines, monitoring }) = rdt else { return };
    const OWN: &str = "as long as the container is there";
    page.section("intelRdt", "directory:46 how");
    let mut row = |group: &str, how| page.row(&[Text(memory::format(format_args!("{ROOT}/{group}"))), Text(how)]);
    row(
        group,
        match (own, lines.is_empty()) {
            (true, _) => OWN,
            (false, true) => "has to be there",
            (false, false) => "made if it is not there",
        },
    );
    monitoring.iter().for_each(|monitoring| row(monitoring, OWN));
    page.section("schemata", "line");
    lines.lines().for_each(|line| page.row(&[Text(line)]));
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
        What::Bind { source, recursive, link: _ } => (if *recursive { "rbind" } else { "bind" }, text(source), &[][..]),
        What::Filesystem { fs, source, data, words: _, or_hosts: _ } => (text(fs), text(source), *data),
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
        options.push(memory::format(format_args!("label={}", text(label))));
    }
    page.row(&[
        Text(normal),
        Text(kind),
        Text(source),
        Words(options.as_slice()),
        Flag(*readonly_late, "(ro at the end)"),
        Flag(*copy_up, "(with a copy of what is there)"),
        Text(if or_hosts { "(or the host's)" } else { "" }),
    ]);
}

fn datum(Datum { key, value }: Datum<'_>) -> &str {
    let key = text(key);
    value.map_or(key, |value| memory::format(format_args!("{key}={}", text(value))))
}

fn fill_device(page: &mut Page<'_>, device: &Device<'_>) {
    let Device { path: Path { given: _, normal }, kind, dev, mode, uid, gid } = device;
    let kind = match *kind {
        FileType::BlockDevice => "b",
        FileType::Fifo => "p",
        _ => "c",
    };
    let numbers = memory::format(format_args!("{}:{}", major(*dev), minor(*dev)));
    page.row(&[
        Text(normal),
        Text(kind),
        Text(numbers),
        Text(octal(*mode)),
        Text(memory::format(format_args!("{uid}:{gid}"))),
    ]);
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
        let kind = RESOURCES.get(*resource as usize).unwrap_or(&"?");
        page.row(&[Text(kind), Text(limit(*soft)), Text(limit(*hard))]);
    }
    page.one("cwd", Text(text(cwd)));
    let User { uid, gid, groups, keep_groups, umask } = user;
    page.section("user", "ids additionalGids keepGroups umask");
    let mut more = Growing::new();
    groups.iter().for_each(|group| more.push(number(*group)));
    page.row(&[
        Text(memory::format(format_args!("{uid}:{gid}"))),
        Words(more.as_slice()),
        Flag(*keep_groups, "and the caller's groups"),
        Text(memory::format(format_args!("umask {}", octal(*umask)))),
    ]);
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
        page.row(&[Text(set), Words(names.as_slice())]);
    }
    page.one("noNewPrivileges", Flag(*no_new_privs, "from here on"));
    if let Some(Filter { program, flags }) = seccomp {
        let mut names = Growing::new();
        push_names(&mut names, filter_flag::NAMES, *flags);
        let length = memory::format(format_args!("{} instructions", program.len()));
        page.section("seccomp", "program flags");
        page.row(&[Text(length), Words(names.as_slice())]);
    }
    let Labels { apparmor, selinux } = labels;
    page.one("apparmor", Text(apparmor.map_or("", text)));
    page.one("selinux", Text(selinux.map_or("", text)));
    let last = memory::format(format_args!("3 to {}", u64::from(preserve_fds) + 2));
    page.one("descriptors", Text(if preserve_fds > 0 { last } else { "" }));
    page.section("env", "entry");
    env.iter().for_each(|entry| page.row(&[Text(text(entry))]));
    page.one("listens", Flag(*listens, "LISTEN_PID of its own"));
    page.one("home", Flag(!has_home, "HOME from the container's passwd file"));
    page.one("path", Text(path));
    let mut words = Growing::new();
    args.iter().for_each(|word| words.push(text(word)));
    page.one("args", Words(words.as_slice()));
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
        page.row(&[Text(word(&POLICIES, policy)), Words(words.as_slice())]);
    }
    if let Some(priority) = io_priority {
        let class = word(&IO_CLASSES, priority >> 13);
        page.one("ioPriority", Text(memory::format(format_args!("{class} {}", priority & 7))));
    }
    if let Some(MemoryPolicy { mode, nodes }) = memory {
        let mut words = Growing::new();
        // The flags are above the modes.
        push_names(&mut words, &MEMORY_FLAGS, *mode);
        for node in (0..nodes.len() * 64).filter(|bit| nodes[bit / 64] >> (bit % 64) & 1 != 0) {
            words.push(memory::format(format_args!("node={node}")));
        }
        page.section("memoryPolicy", "mode options");
        page.row(&[Text(word(&MEMORY_MODES, mode & 0xff)), Words(words.as_slice())]);
    }
    page.one("personality", Text(personality.map_or("", |domain| word(&PERSONALITIES, domain))));
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

fn text(string: &CStr) -> &str {
    string.to_str().unwrap_or("?")
}
