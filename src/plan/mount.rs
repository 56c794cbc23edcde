//! `mounts[]`: each entry becomes one step: where the tree comes from, which attributes it has before it is attached,
//! and where it goes.

mod options;

use core::ffi::CStr;

pub use self::options::option_names;
use self::options::{Collected, check_flags, collect, flag};
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
        if step.is_sys_for_reading() && !after.iter().any(|later| later.is_cgroups_of(step)) {
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
        let is_sys = |source: &CStr| {
            let path = utf8(source.to_bytes()).and_then(path_below_root);
            source.to_bytes().starts_with(b"/") && path.is_some_and(|path| path.normal == "/sys")
        };
        matches!(self.what, What::Bind { source, recursive: true, .. } if is_sys(source))
            && self.attr & attr::RDONLY != 0
    }

    /// Whether it goes over the cgroups of a `/sys`.
    fn is_cgroups_of(&self, sys: &Mount<'_>) -> bool {
        self.destination.normal.strip_prefix(sys.destination.normal) == Some("/fs/cgroup")
    }

    /// Whether what the host mounts later is to be there, too.
    #[must_use]
    pub fn hears_of_the_host(&self) -> bool {
        self.changes.iter().any(|change| change.attr.propagation == propagation::SLAVE)
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

fn one<'a>(
    index: usize,
    mount: &spec::Mount<'a>,
    around: &Surroundings<'_, 'a>,
    idmaps: &mut Growing<'a, Ids<'a>>,
) -> Result<Mount<'a>> {
    let wrong =
        |field: &str, why: core::fmt::Arguments<'_>| Error::config(format_args!("mounts[{index}].{field}"), why);
    let destination = destination(index, mount)?;
    let words = match &mount.options {
        Some(words) => &words[..],
        None => options::defaults(destination.normal),
    };
    let kind = mount.kind.unwrap_or("");
    let mut collected = collect(index, words)?;
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
                // Whoever has a disk for reading does not replay its journal either. What the kernel makes up by itself may
                // be one for all.
                let is_on_disk = mount.source.is_some_and(|source| source.starts_with('/')) && kind != "tmpfs";
                if is_on_disk && collected.attr.attr_set & attr::RDONLY != 0 {
                    collected.supers.push(c"ro");
                }
                let data = data(collected.supers, collected.data, context);
                let or_hosts = kind == "sysfs" && around.namespaces.has(kind::USER);
                filesystem(index, mount, kind, data, [label.is_none() && idmap.is_none() && !copy_up, or_hosts])?
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
            if collected.propagation.is_empty() {
                collected.propagation.push(around.propagation);
            }
            let propagation = cut_off(collected.propagation, recursive, around.namespaces.has(kind::USER));
            let attrs = [(true, collected.attr_recursive), (false, collected.attr)];
            changes(&attrs, propagation, recursive)
        }
    };
    let nofollow = collected.flags & flag::DEST_NOFOLLOW != 0;
    Ok(Mount { index, destination, what, changes, attr, idmap, label, copy_up, nofollow, readonly_late: false, role })
}

/// A tree of the host is its mounts' peer: what is mounted in the one appears in the other. It stays so if a word says
/// `shared`, but not for a user namespace, as it would be if the whole mount namespace had been copied into that. All
/// else of it, which other words may leave as it is, follows the host and is not followed.
fn cut_off<'a>(words: Growing<'a, Propagation>, tree: bool, user_namespace: bool) -> &'a [Propagation] {
    let is_shared = words.as_slice().iter().any(|word| word.kind == propagation::SHARED);
    let is_all = !tree || words.as_slice().iter().any(|word| word.recursive);
    if if is_shared { !user_namespace } else { is_all } {
        return words.finish();
    }
    let mut all = Growing::new();
    all.push(Propagation { kind: propagation::SLAVE, recursive: true });
    words.as_slice().iter().for_each(|word| all.push(*word));
    all.finish()
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
    if words.is_none() && !fits(source, data) {
        return Err(Error::config(
            format_args!("mounts[{index}].options"),
            format_args!(
                "a value of more than 255 bytes goes only with others that have no comma, 4095 bytes in all, \
                 and not with tmpcopyup or ids of its own"
            ),
        ));
    }
    Ok(What::Filesystem { fs: cstr(kind, format_args!("mounts[{index}].type"))?, source, data, words, or_hosts })
}

/// Whether fsconfig(2) takes all its words.
#[must_use]
pub fn fits(source: &CStr, data: &[Datum<'_>]) -> bool {
    let is_long = |value: &CStr| value.count_bytes() > 255;
    !is_long(source) && !data.iter().any(|datum| is_long(datum.key) || datum.value.is_some_and(is_long))
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
}
