//! `mounts[]`: each entry becomes one step: where the tree comes from, which attributes it has before it is attached,
//! and where it goes. The table of options is the only place that knows their names.

use core::ffi::CStr;

use super::idmap::{self, Idmap, Ids};
use super::namespace::Namespaces;
use super::{Path, cstr, path_below_root};
use crate::error::{Error, Quoted, Result};
use crate::spec;
use crate::sys::memory::{self, Growing};
use crate::sys::mount::{MountAttr, attr, propagation};
use crate::sys::namespace::kind;
use crate::sys::{shown, utf8};

/// One mount to be made.
#[derive(Clone, Copy)]
pub struct Mount<'a> {
    /// Its place in `mounts`, for errors.
    pub index: usize,
    /// Where it goes, as the config says it; resolved in the rootfs when it is made.
    pub destination: Path<'a>,
    /// What is mounted.
    pub what: What<'a>,
    /// What is changed about the detached tree, in this order.
    pub changes: &'a [Change],
    /// MOUNT_ATTR_* that a new file system is mounted with.
    pub attr: u64,
    /// The ids in it are others: by which user namespace, from the plan's list, and whether in all of the tree.
    pub idmap: Option<Idmap>,
    /// The label of its root, for a file system that takes none as an option.
    pub label: Option<&'a CStr>,
    /// Whether what lies at the destination is copied into the new file system first: `tmpcopyup`.
    pub copy_up: bool,
    /// Whether a symbolic link at the destination is mounted upon, not followed: `dest-nofollow`.
    pub nofollow: bool,
    /// Whether it becomes read-only only at the end, since something has to be made in it before.
    pub readonly_late: bool,
    /// The special part that the destination plays for what comes later.
    pub role: Role,
}

/// One mount_setattr(2), on the mount or on its whole tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    pub recursive: bool,
    pub attr: MountAttr,
}

/// What is mounted.
#[derive(Clone, Copy)]
pub enum What<'a> {
    /// A tree of the host: `bind` or, recursive, `rbind`. A relative source is one of the bundle.
    Bind { source: &'a CStr, recursive: bool, link: Link },
    /// A file system of its own.
    Filesystem {
        fs: &'a CStr,
        source: &'a CStr,
        data: &'a [Datum<'a>],
        /// The data as mount(2) takes it, if it can.
        words: Option<&'a CStr>,
        /// Whether the host's does, where the kernel refuses a new one: a sysfs in a user namespace.
        or_hosts: bool,
    },
    /// The container's cgroups, in whatever layout the host has.
    Cgroup,
    /// What is mounted there already, with other options.
    Remount { data: &'a [Datum<'a>] },
}

/// What becomes of a bind mount's source that is a symbolic link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// What it points to is mounted.
    Follow,
    /// It is itself mounted: `src-nofollow`.
    Mount,
    /// One like it is made at the destination: `copy-symlink`.
    Copy,
}

/// An option that the file system understands, not we: `size=64k`, or a flag.
#[derive(Clone, Copy)]
pub struct Datum<'a> {
    pub key: &'a CStr,
    pub value: Option<&'a CStr>,
}

/// MS_SHARED and its kin, for one mount or its tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Propagation {
    pub kind: u64,
    pub recursive: bool,
}

/// Destinations that later steps come back to by descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// `/`: what comes later goes into this.
    Root,
    /// `/dev`: the device nodes are made in it.
    Dev,
    /// `/proc`.
    Proc,
    /// `/sys`.
    Sys,
    /// Anything else.
    Other,
}

/// What an option word means.
#[derive(Clone, Copy)]
enum Meaning {
    /// Says nothing.
    Nothing,
    /// Sets attributes after clearing others (the opposite, or the rest of the group).
    Attr {
        set: u64,
        clear: u64,
        recursive: bool,
    },
    Propagation(Propagation),
    Bind {
        recursive: bool,
    },
    Idmap {
        recursive: bool,
    },
    /// One of `flag`.
    Flag(u8),
    /// A flag of the file system (a superblock flag, for fsconfig), given or taken back.
    Super {
        flag: &'static CStr,
        on: bool,
    },
}

/// Options that stand for themselves.
mod flag {
    pub(super) const COPY_UP: u8 = 1 << 0;
    pub(super) const REMOUNT: u8 = 1 << 1;
    pub(super) const COPY_SYMLINK: u8 = 1 << 2;
    pub(super) const SRC_NOFOLLOW: u8 = 1 << 3;
    pub(super) const DEST_NOFOLLOW: u8 = 1 << 4;
}

const fn set(bits: u64) -> Meaning {
    Meaning::Attr { set: bits, clear: 0, recursive: false }
}
const fn clear(bits: u64) -> Meaning {
    Meaning::Attr { set: 0, clear: bits, recursive: false }
}
/// The access time options are one group of which one holds.
const fn atime(bits: u64) -> Meaning {
    Meaning::Attr { set: bits, clear: attr::ATIME, recursive: false }
}
const fn recursive(meaning: Meaning) -> Meaning {
    match meaning {
        Meaning::Attr { set, clear, .. } => Meaning::Attr { set, clear, recursive: true },
        other => other,
    }
}
const fn propagate(kind: u64, recursive: bool) -> Meaning {
    Meaning::Propagation(Propagation { kind, recursive })
}
const fn on(flag: &'static CStr) -> Meaning {
    Meaning::Super { flag, on: true }
}
const fn off(flag: &'static CStr) -> Meaning {
    Meaning::Super { flag, on: false }
}

/// Every option that is ours (config.md, "Linux mount options"); all other words are the file system's.
#[rustfmt::skip]
static OPTIONS: &[(&str, Meaning)] = &[
    ("defaults", Meaning::Nothing),
    ("bind", Meaning::Bind { recursive: false }),
    ("rbind", Meaning::Bind { recursive: true }),

    ("ro", set(attr::RDONLY)), ("rw", clear(attr::RDONLY)),
    ("nosuid", set(attr::NOSUID)), ("suid", clear(attr::NOSUID)),
    ("nodev", set(attr::NODEV)), ("dev", clear(attr::NODEV)),
    ("noexec", set(attr::NOEXEC)), ("exec", clear(attr::NOEXEC)),
    ("nodiratime", set(attr::NODIRATIME)), ("diratime", clear(attr::NODIRATIME)),
    ("nosymfollow", set(attr::NOSYMFOLLOW)), ("symfollow", clear(attr::NOSYMFOLLOW)),
    ("noatime", atime(attr::NOATIME)), ("atime", atime(attr::RELATIME)),
    ("relatime", atime(attr::RELATIME)), ("norelatime", atime(attr::STRICTATIME)),
    ("strictatime", atime(attr::STRICTATIME)), ("nostrictatime", atime(attr::RELATIME)),

    ("rro", recursive(set(attr::RDONLY))), ("rrw", recursive(clear(attr::RDONLY))),
    ("rnosuid", recursive(set(attr::NOSUID))), ("rsuid", recursive(clear(attr::NOSUID))),
    ("rnodev", recursive(set(attr::NODEV))), ("rdev", recursive(clear(attr::NODEV))),
    ("rnoexec", recursive(set(attr::NOEXEC))), ("rexec", recursive(clear(attr::NOEXEC))),
    ("rnodiratime", recursive(set(attr::NODIRATIME))), ("rdiratime", recursive(clear(attr::NODIRATIME))),
    ("rnosymfollow", recursive(set(attr::NOSYMFOLLOW))), ("rsymfollow", recursive(clear(attr::NOSYMFOLLOW))),
    ("rnoatime", recursive(atime(attr::NOATIME))), ("ratime", recursive(atime(attr::RELATIME))),
    ("rrelatime", recursive(atime(attr::RELATIME))), ("rnorelatime", recursive(atime(attr::STRICTATIME))),
    ("rstrictatime", recursive(atime(attr::STRICTATIME))), ("rnostrictatime", recursive(atime(attr::RELATIME))),

    ("shared", propagate(propagation::SHARED, false)), ("rshared", propagate(propagation::SHARED, true)),
    ("slave", propagate(propagation::SLAVE, false)), ("rslave", propagate(propagation::SLAVE, true)),
    ("private", propagate(propagation::PRIVATE, false)), ("rprivate", propagate(propagation::PRIVATE, true)),
    ("unbindable", propagate(propagation::UNBINDABLE, false)),
    ("runbindable", propagate(propagation::UNBINDABLE, true)),

    ("sync", on(c"sync")), ("async", off(c"sync")),
    ("dirsync", on(c"dirsync")),
    ("mand", on(c"mand")), ("nomand", off(c"mand")),
    ("lazytime", on(c"lazytime")), ("nolazytime", off(c"lazytime")),
    ("iversion", on(c"iversion")), ("noiversion", off(c"iversion")),
    // What the kernel says about a failing mount, fsopen(2) tells us, not the kernel log.
    ("silent", Meaning::Nothing), ("loud", Meaning::Nothing),

    // These are one for the whole file system anyway.
    ("rsync", on(c"sync")), ("rasync", off(c"sync")), ("rdirsync", on(c"dirsync")),
    ("rmand", on(c"mand")), ("rnomand", off(c"mand")),

    ("remount", Meaning::Flag(flag::REMOUNT)),
    ("idmap", Meaning::Idmap { recursive: false }), ("ridmap", Meaning::Idmap { recursive: true }),
    ("tmpcopyup", Meaning::Flag(flag::COPY_UP)),
    ("copy-symlink", Meaning::Flag(flag::COPY_SYMLINK)),
    ("src-nofollow", Meaning::Flag(flag::SRC_NOFOLLOW)), ("dest-nofollow", Meaning::Flag(flag::DEST_NOFOLLOW)),
];

/// What a mount is given when its `options` are absent (not when they are empty): what every engine writes for these.
#[rustfmt::skip]
static DEFAULTS: &[(&str, &[&str])] = &[
    ("/dev", &["noexec", "strictatime", "mode=755"]),
    ("/dev/shm", &["noexec", "nosuid", "nodev", "mode=1777", "size=65536k"]),
    ("/dev/mqueue", &["noexec", "nosuid", "nodev"]),
    ("/dev/pts", &["noexec", "nosuid", "newinstance", "ptmxmode=0666", "mode=620"]),
    ("/sys", &["noexec", "nosuid", "nodev"]),
    ("/sys/fs/cgroup", &["noexec", "nosuid", "strictatime"]),
    ("/dev/cgroup", &["noexec", "nosuid", "strictatime"]),
];

/// The names of all options, for the table's other readers.
pub fn option_names() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|(name, _)| *name)
}

/// What mounts depend on beside their own options.
pub struct Surroundings<'s, 'a> {
    /// Of the rootfs; a bind mount without a word on propagation gets the same.
    pub propagation: Propagation,
    pub linux: &'s spec::Linux<'a>,
    pub namespaces: &'s Namespaces<'a>,
    /// `linux.mountLabel`, as an option of a file system.
    pub label: Option<Datum<'a>>,
    /// Whether the caller has rights over the file systems of the host.
    pub is_root: bool,
}

/// All of them.
#[derive(Clone, Copy, Default)]
pub struct Mounts<'a> {
    /// In their order.
    pub steps: &'a [Mount<'a>],
    /// The user namespaces whose ids some of them show.
    pub idmaps: &'a [Ids<'a>],
}

/// The plan of all of them.
///
/// # Errors
/// What the config has wrong, with its path.
pub fn plan<'a>(mounts: &[spec::Mount<'a>], around: &Surroundings<'_, 'a>) -> Result<Mounts<'a>> {
    let mut steps = Growing::new();
    let mut idmaps = Growing::new();
    for (index, mount) in mounts.iter().enumerate() {
        steps.push(one(index, mount, around, &mut idmaps)?);
    }
    let steps = steps.finish();
    for at in 0..steps.len() {
        let (before, after) = steps.split_at_mut(at + 1);
        let step = &mut before[at];
        let is_filled = step.copy_up || step.role == Role::Dev || after.iter().any(|later| later.is_below(step));
        let is_remount = matches!(step.what, What::Remount { .. });
        step.readonly_late = (is_filled && step.is_tmpfs() || is_remount) && step.attr & attr::RDONLY != 0;
        if step.readonly_late {
            step.attr &= !attr::RDONLY;
        }
        if step.is_sys_for_reading() && !after.iter().any(|later| later.destination.normal == "/sys/fs/cgroup") {
            step.changes = with_all_read_only(step.changes);
        }
    }
    Ok(Mounts { steps, idmaps: idmaps.finish() })
}

/// The tree below goes with it.
#[cold]
fn with_all_read_only<'a>(before: &[Change]) -> &'a [Change] {
    let mut changes = Growing::new();
    for change in before {
        changes.push(*change);
    }
    changes.push(Change { recursive: true, attr: MountAttr { attr_set: attr::RDONLY, ..MountAttr::default() } });
    changes.finish()
}

impl Mount<'_> {
    /// Whether it goes into what the other is mounted on.
    fn is_below(&self, other: &Mount<'_>) -> bool {
        let rest = self.destination.normal.strip_prefix(other.destination.normal);
        rest.is_some_and(|rest| rest.starts_with('/') || other.role == Role::Root)
    }

    /// The host's `/sys` with all that is mounted below, to be read. Its cgroups would still be written to, by a user who
    /// owns some of them (CVE-2023-25809).
    fn is_sys_for_reading(&self) -> bool {
        matches!(self.what, What::Bind { source, recursive: true, .. } if source == c"/sys")
            && self.attr & attr::RDONLY != 0
    }

    /// Whether mount points can be made in it at all.
    fn is_tmpfs(&self) -> bool {
        matches!(self.what, What::Filesystem { fs, .. } if fs == c"tmpfs")
    }
}

/// Where it goes.
///
/// # Errors
/// What is wrong with the place.
pub fn destination<'a>(index: usize, mount: &spec::Mount<'_>) -> Result<Path<'a>> {
    let wrong = |why: &str| Error::config(format_args!("mounts[{index}].destination"), format_args!("{why}"));
    let given = mount.destination.filter(|path| !path.is_empty()).ok_or_else(|| wrong("is required"))?;
    path_below_root(given).ok_or_else(|| wrong("contains a NUL byte"))
}

/// What the option words of one mount add up to.
struct Collected<'a> {
    bind: Option<bool>,
    /// Whether in all of the tree, and the ids, if they are given in the option.
    idmap: Option<(bool, Option<&'a str>)>,
    flags: u8,
    attr: MountAttr,
    attr_recursive: MountAttr,
    propagation: Growing<'a, Propagation>,
    supers: Growing<'a, &'static CStr>,
    data: Growing<'a, Datum<'a>>,
}

fn one<'a>(
    index: usize,
    mount: &spec::Mount<'a>,
    around: &Surroundings<'_, 'a>,
    idmaps: &mut Growing<'a, Ids<'a>>,
) -> Result<Mount<'a>> {
    let wrong =
        |field: &str, why: core::fmt::Arguments<'_>| Error::config(format_args!("mounts[{index}].{field}"), why);
    let destination = destination(index, mount)?;
    let defaults = DEFAULTS.iter().find(|(path, _)| *path == destination.normal).map_or(&[][..], |(_, words)| words);
    let words = match &mount.options {
        Some(words) => &words[..],
        None => defaults,
    };
    let kind = mount.kind.unwrap_or("");
    let collected = collect(index, words)?;
    let bind = collected.bind.or((kind == "bind").then_some(false));
    let is_remount = collected.flags & flag::REMOUNT != 0;
    let role = match destination.normal {
        _ if is_remount => Role::Other,
        "/" => Role::Root,
        "/dev" => Role::Dev,
        "/proc" => Role::Proc,
        "/sys" => Role::Sys,
        _ => Role::Other,
    };
    let copy_up = collected.flags & flag::COPY_UP != 0;
    check_flags(kind, &collected, bind.is_some(), destination.normal)
        .map_err(|why| wrong("options", format_args!("{why}")))?;
    let idmap = idmap::plan(index, mount, collected.idmap, around, idmaps)?;
    let mut label = None;
    let what = if is_remount {
        What::Remount { data: data(collected.supers, collected.data, None) }
    } else if let Some(recursive) = bind {
        bind_source(index, mount, recursive, &collected)?
    } else {
        match kind {
            "" => return Err(wrong("type", format_args!("is required unless the mount is a bind mount"))),
            "cgroup" | "cgroup2" => cgroups(&collected).map_err(|why| wrong("options", format_args!("{why}")))?,
            _ => {
                let context = around.label.filter(|_| !matches!(kind, "proc" | "sysfs" | "mqueue"));
                // Those of the host are labelled as the host likes.
                if kind == "mqueue" && around.namespaces.has(kind::IPC) {
                    label = around.label.and_then(|label| label.value);
                }
                let data = data(collected.supers, collected.data, context);
                let or_hosts = kind == "sysfs" && around.namespaces.has(kind::USER);
                filesystem(index, mount, kind, data, [label.is_none(), or_hosts])?
            }
        }
    };
    if role == Role::Proc && !may_be_proc(&what) {
        return Err(wrong("destination", format_args!("only procfs may be mounted on /proc")));
    }
    if role == Role::Root && matches!(what, What::Cgroup) {
        return Err(wrong("destination", format_args!("the cgroups cannot be mounted on /")));
    }
    let attr = collected.attr_recursive.attr_set & !collected.attr.attr_clr | collected.attr.attr_set;
    let changes = match what {
        // A new file system is one mount, with its attributes from the start and private.
        What::Filesystem { .. } => changes(&[], collected.propagation.as_slice(), false),
        What::Cgroup => &[],
        What::Remount { .. } => {
            let mut top = collected.attr;
            // At the end, for something may have to be made in there before.
            top.attr_set &= !attr::RDONLY;
            changes(&[(true, collected.attr_recursive), (false, top)], collected.propagation.as_slice(), true)
        }
        What::Bind { recursive, .. } => {
            let default = [around.propagation];
            let given = collected.propagation.as_slice();
            let attrs = [(true, collected.attr_recursive), (false, collected.attr)];
            changes(&attrs, if given.is_empty() { &default } else { given }, recursive)
        }
    };
    let nofollow = collected.flags & flag::DEST_NOFOLLOW != 0;
    Ok(Mount { index, destination, what, changes, attr, idmap, label, copy_up, nofollow, readonly_late: false, role })
}

/// As few calls as give the same: a change of propagation goes with one of attributes where both are about the same
/// mounts. If the tree is only one mount, all are.
fn changes<'a>(attrs: &[(bool, MountAttr)], propagation: &[Propagation], tree: bool) -> &'a [Change] {
    let mut changes: Growing<'a, Change> = Growing::new();
    for (recursive, attr) in attrs {
        if !attr.is_empty() {
            changes.push(Change { recursive: *recursive && tree, attr: *attr });
        }
    }
    for Propagation { kind, recursive } in propagation {
        let recursive = *recursive && tree;
        match changes.as_mut_slice().last_mut() {
            Some(last) if last.recursive == recursive && last.attr.propagation == 0 => last.attr.propagation = *kind,
            _ => changes.push(Change { recursive, attr: MountAttr { propagation: *kind, ..MountAttr::default() } }),
        }
    }
    changes.finish()
}

/// A procfs, or the host's own: what lies there answers for the kernel (CVE-2019-16884).
fn may_be_proc(what: &What<'_>) -> bool {
    match what {
        What::Filesystem { fs, .. } => *fs == c"proc",
        What::Bind { source, .. } => *source == c"/proc",
        What::Cgroup => false,
        What::Remount { .. } => true,
    }
}

/// What goes with what, among the options that stand for themselves.
fn check_flags(kind: &str, all: &Collected<'_>, bind: bool, destination: &str) -> Result<(), &'static str> {
    let has = |flags: u8| all.flags & flags != 0;
    let (copy_up, links) = (has(flag::COPY_UP), flag::COPY_SYMLINK | flag::SRC_NOFOLLOW);
    let rules = [
        (copy_up && (bind || kind != "tmpfs"), "tmpcopyup can be used only with tmpfs"),
        (copy_up && destination == "/", "tmpcopyup on `/` is not supported"),
        (
            has(flag::COPY_SYMLINK) && has(flag::SRC_NOFOLLOW | flag::DEST_NOFOLLOW),
            "`copy-symlink` is mutually exclusive with `src-nofollow` and `dest-nofollow`",
        ),
        (has(links) && !bind, "`copy-symlink` and `src-nofollow` are for bind mounts"),
        (
            has(flag::REMOUNT) && (all.idmap.is_some() || has(!flag::REMOUNT)),
            "`remount` goes with none of the others that stand for themselves",
        ),
    ];
    rules.iter().find(|(broken, _)| *broken).map_or(Ok(()), |(_, why)| Err(*why))
}

fn collect<'a>(index: usize, words: &[&'a str]) -> Result<Collected<'a>> {
    let mut all = Collected {
        bind: None,
        idmap: None,
        flags: 0,
        attr: MountAttr::default(),
        attr_recursive: MountAttr::default(),
        propagation: Growing::new(),
        supers: Growing::new(),
        data: Growing::new(),
    };
    for (at, word) in words.iter().copied().enumerate() {
        let wrong = |why| Error::config(format_args!("mounts[{index}].options[{at}]"), why);
        let meaning = OPTIONS.iter().find(|(name, _)| *name == word).map(|(_, meaning)| *meaning);
        match meaning {
            Some(Meaning::Nothing) => {}
            Some(Meaning::Attr { set, clear, recursive }) => {
                // The last word on an attribute wins; one about the whole tree is also about its top, which gets its
                // own words after it.
                forget(&mut all.attr, set | clear);
                let attr = if recursive { &mut all.attr_recursive } else { &mut all.attr };
                forget(attr, set | clear);
                attr.attr_set |= set;
                attr.attr_clr |= clear;
            }
            Some(Meaning::Propagation(propagation)) => all.propagation.push(propagation),
            Some(Meaning::Bind { recursive }) => all.bind = Some(recursive || all.bind == Some(true)),
            Some(Meaning::Idmap { recursive }) => all.idmap = Some((recursive, None)),
            Some(Meaning::Flag(flag)) => all.flags |= flag,
            Some(Meaning::Super { flag, on: true }) => all.supers.push(flag),
            Some(Meaning::Super { flag, on: false }) => {
                let mut kept = Growing::new();
                all.supers.as_slice().iter().copied().filter(|given| *given != flag).for_each(|given| kept.push(given));
                all.supers = kept;
            }
            // buildah writes an empty word for no option.
            None if word.is_empty() => {}
            // Comments for user space: mount(8).
            None if word.starts_with("x-") || word.starts_with("X-") => {}
            None => {
                let (key, value) = match word.split_once('=') {
                    Some((name @ ("idmap" | "ridmap"), ids)) => {
                        all.idmap = Some((name == "ridmap", Some(ids)));
                        continue;
                    }
                    Some((key, value)) => (key, Some(value)),
                    None => (word, None),
                };
                let nul = || wrong(format_args!("contains a NUL byte"));
                all.data.push(Datum {
                    key: memory::cstr(key).ok_or_else(nul)?,
                    value: value.map(|value| memory::cstr(unquoted(key, value)).ok_or_else(nul)).transpose()?,
                });
            }
        }
    }
    Ok(all)
}

/// In a list of options, a context of SELinux is quoted, for it has commas; this is none.
fn unquoted<'a>(key: &str, value: &'a str) -> &'a str {
    let quoted = || value.strip_prefix('"')?.strip_suffix('"');
    if key.ends_with("context") { quoted().unwrap_or(value) } else { value }
}

fn forget(attr: &mut MountAttr, bits: u64) {
    attr.attr_set &= !bits;
    attr.attr_clr &= !bits;
}

/// The cgroups as they are: no option of theirs can be chosen, and nothing that is mounted in there reaches the host.
fn cgroups<'a>(all: &Collected<'_>) -> Result<What<'a>, &'static str> {
    if !all.supers.is_empty() || !all.data.is_empty() {
        return Err("a mount of the cgroups takes no options of the file system");
    }
    if all.propagation.as_slice().iter().any(|change| change.kind == propagation::SHARED) {
        return Err("a mount of the cgroups cannot be shared");
    }
    Ok(What::Cgroup)
}

fn bind_source<'a>(index: usize, mount: &spec::Mount<'a>, recursive: bool, all: &Collected<'a>) -> Result<What<'a>> {
    let Some(source) = mount.source.filter(|path| !path.is_empty()) else {
        return Err(Error::config(
            format_args!("mounts[{index}].source"),
            format_args!("is required for a bind mount"),
        ));
    };
    if let Some(word) = all.supers.as_slice().first().or(all.data.as_slice().first().map(|datum| &datum.key)) {
        let word = shown(word);
        return Err(Error::config(
            format_args!("mounts[{index}].options"),
            format_args!("{} is for a file system, a bind mount cannot have it", Quoted(word)),
        ));
    }
    let link = match all.flags {
        flags if flags & flag::COPY_SYMLINK != 0 => Link::Copy,
        flags if flags & flag::SRC_NOFOLLOW != 0 => Link::Mount,
        _ => Link::Follow,
    };
    Ok(What::Bind { source: cstr(source, format_args!("mounts[{index}].source"))?, recursive, link })
}

fn filesystem<'a>(
    index: usize,
    mount: &spec::Mount<'a>,
    kind: &'a str,
    data: &'a [Datum<'a>],
    [at_once, or_hosts]: [bool; 2],
) -> Result<What<'a>> {
    let source = cstr(mount.source.unwrap_or(kind), format_args!("mounts[{index}].source"))?;
    let words = words(data).filter(|_| at_once);
    if words.is_none() && (is_long(source) || data.iter().any(Datum::is_long)) {
        return Err(Error::config(
            format_args!("mounts[{index}].options"),
            format_args!("a value of more than 255 bytes goes only with others that have no comma, 4095 bytes in all"),
        ));
    }
    Ok(What::Filesystem { fs: cstr(kind, format_args!("mounts[{index}].type"))?, source, data, words, or_hosts })
}

/// More than fsconfig(2) takes.
#[must_use]
pub fn is_long(value: &CStr) -> bool {
    value.count_bytes() > 255
}

impl Datum<'_> {
    /// More than fsconfig(2) takes.
    #[must_use]
    pub fn is_long(&self) -> bool {
        is_long(self.key) || self.value.is_some_and(is_long)
    }
}

/// What the file system is told: its own words, the flags that it shares with all, and its label, unless it has one.
fn data<'a>(
    supers: Growing<'a, &'static CStr>,
    mut data: Growing<'a, Datum<'a>>,
    label: Option<Datum<'a>>,
) -> &'a [Datum<'a>] {
    supers.as_slice().iter().for_each(|flag| data.push(Datum { key: flag, value: None }));
    if let Some(label) = label
        && !data.as_slice().iter().any(|datum| datum.key == label.key)
    {
        data.push(label);
    }
    data.finish()
}

/// `key=value,flag`, unless a comma in a value would be taken for the end of it, or it is all too long.
fn words<'a>(data: &[Datum<'_>]) -> Option<&'a CStr> {
    /// A page, with the NUL: mount(2).
    const LIMIT: usize = 4095;
    let mut pieces = Growing::new();
    for datum in data {
        let (key, value) = (utf8(datum.key.to_bytes())?, datum.value.map_or(Some(""), |value| utf8(value.to_bytes()))?);
        if value.contains(',') {
            return None;
        }
        let separator = if pieces.is_empty() { "" } else { "," };
        let equals = if datum.value.is_some() { "=" } else { "" };
        for piece in [separator, key, equals, value] {
            pieces.push(piece);
        }
    }
    memory::joined(pieces.as_slice()).filter(|words| words.count_bytes() <= LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attrs(words: &[&str]) -> (u64, u64) {
        let all = collect(0, words).expect("good options");
        (all.attr.attr_set, all.attr.attr_clr)
    }

    #[test]
    fn the_last_of_two_opposites_wins() {
        assert_eq!(attrs(&["ro", "rw"]), (0, attr::RDONLY));
        assert_eq!(attrs(&["rw", "ro"]), (attr::RDONLY, 0));
        assert_eq!(attrs(&["nosuid", "nodev", "suid"]), (attr::NODEV, attr::NOSUID));
        assert_eq!(attrs(&["noatime", "strictatime"]), (attr::STRICTATIME, attr::ATIME));
        assert_eq!(attrs(&["strictatime", "relatime"]), (0, attr::ATIME));
        assert_eq!(attrs(&["noatime", "ro"]), (attr::NOATIME | attr::RDONLY, attr::ATIME));
    }

    #[test]
    fn recursive_words_are_apart() {
        let all = collect(0, &["rro", "nosuid"]).expect("good options");
        assert_eq!((all.attr.attr_set, all.attr_recursive.attr_set), (attr::NOSUID, attr::RDONLY));
        let all = collect(0, &["rro", "rw"]).expect("good options");
        assert_eq!((all.attr.attr_clr, all.attr_recursive.attr_set), (attr::RDONLY, attr::RDONLY));
        let all = collect(0, &["ro", "rrw"]).expect("good options");
        assert_eq!((all.attr.attr_set, all.attr_recursive.attr_clr), (0, attr::RDONLY));
    }

    #[test]
    fn one_mount_needs_one_call() {
        let private = Propagation { kind: propagation::PRIVATE, recursive: true };
        let attrs = [(false, MountAttr { attr_set: attr::RDONLY, ..MountAttr::default() })];
        assert_eq!(changes(&attrs, &[private], false).len(), 1);
        assert_eq!(changes(&attrs, &[private], true).len(), 2);
        let shared = Propagation { kind: propagation::SHARED, recursive: false };
        let slave = Propagation { kind: propagation::SLAVE, recursive: false };
        let kinds: Vec<_> = changes(&[], &[slave, shared], true).iter().map(|change| change.attr.propagation).collect();
        assert_eq!(kinds, [propagation::SLAVE, propagation::SHARED]);
    }

    #[test]
    fn unknown_words_are_the_file_systems() {
        let all = collect(0, &["size=64k", "noswap", "X-mount.mkdir", "sync", "async"]).expect("good options");
        let data: Vec<_> = all.data.as_slice().iter().map(|datum| (datum.key, datum.value)).collect();
        assert_eq!(data, [(c"size", Some(c"64k")), (c"noswap", None)]);
        assert!(all.supers.is_empty());
    }

    #[test]
    fn no_name_stands_twice() {
        let mut names: Vec<_> = OPTIONS.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
