//! The options of a mount. The table is the only place that knows their names.

use core::ffi::CStr;

use super::{Datum, Propagation};
use crate::error::{Error, Result};
use crate::sys::memory::{self, Growing};
use crate::sys::mount::{MountAttr, attr, propagation};

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
pub(super) mod flag {
    pub(in super::super) const COPY_UP: u8 = 1 << 0;
    pub(in super::super) const REMOUNT: u8 = 1 << 1;
    pub(in super::super) const COPY_SYMLINK: u8 = 1 << 2;
    pub(in super::super) const SRC_NOFOLLOW: u8 = 1 << 3;
    pub(in super::super) const DEST_NOFOLLOW: u8 = 1 << 4;
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

/// The words that a mount at this destination is given if it has none of its own.
pub(super) fn defaults(destination: &str) -> &'static [&'static str] {
    DEFAULTS.iter().find(|(path, _)| *path == destination).map_or(&[][..], |(_, words)| words)
}

/// What the option words of one mount add up to.
pub(super) struct Collected<'a> {
    pub(super) bind: Option<bool>,
    /// Whether in all of the tree, and the ids, if they are given in the option.
    pub(super) idmap: Option<(bool, Option<&'a str>)>,
    pub(super) flags: u8,
    pub(super) attr: MountAttr,
    pub(super) attr_recursive: MountAttr,
    pub(super) propagation: Growing<'a, Propagation>,
    pub(super) supers: Growing<'a, &'static CStr>,
    pub(super) data: Growing<'a, Datum<'a>>,
}

/// What goes with what, among the options that stand for themselves.
pub(super) fn check_flags(kind: &str, all: &Collected<'_>, bind: bool, destination: &str) -> Result<(), &'static str> {
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

pub(super) fn collect<'a>(index: usize, words: &[&'a str]) -> Result<Collected<'a>> {
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
