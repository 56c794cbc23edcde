//! The table of verbs and options. The parser, the help texts and whatever else describes the command line read this
//! table, so none of them can disagree.

#![forbid(unsafe_code)]

use super::options::{Given, Kind, Opt, Order};
use super::{Outcome, create, delete, kill, list, run, spec, start, state};
use crate::container::Context;

/// A verb.
pub struct Verb {
    /// The word on the command line.
    pub name: &'static str,
    /// One line of help.
    pub summary: &'static str,
    /// The words that follow it.
    pub words: Words,
    /// Its options.
    pub options: &'static [Opt],
    /// Whether options may follow the words.
    pub order: Order,
    /// What it does; the result is the exit code.
    pub run: fn(&Context, &Given) -> Outcome,
}

/// The words that a verb takes.
pub struct Words {
    /// At least so many.
    pub min: usize,
    /// At most so many.
    pub max: usize,
    /// How help calls them.
    pub names: &'static str,
}

const NONE: Words = Words { min: 0, max: 0, names: "" };
const ID: Words = Words { min: 1, max: 1, names: "ID" };

/// All verbs, in the order of a container's life.
pub static VERBS: &[Verb] = &[
    Verb {
        name: "spec",
        summary: "write a config.json to start from",
        words: NONE,
        options: &[SPEC_BUNDLE, SPEC_FILE, SPEC_ROOTLESS],
        order: Order::Anywhere,
        run: spec::run,
    },
    Verb {
        name: "run",
        summary: "create a container, start it, wait for its end",
        words: ID,
        options: &[
            BUNDLE,
            CONFIG,
            CONSOLE_SOCKET,
            DETACH,
            KEEP,
            NO_NEW_KEYRING,
            NO_PIVOT,
            NO_SUBREAPER,
            PID_FILE,
            PRESERVE_FDS,
        ],
        order: Order::Anywhere,
        run: run::run,
    },
    Verb {
        name: "create",
        summary: "make a container, ready to be started",
        words: ID,
        options: &[BUNDLE, CONFIG, CONSOLE_SOCKET, NO_NEW_KEYRING, NO_PIVOT, NO_SUBREAPER, PID_FILE, PRESERVE_FDS],
        order: Order::Anywhere,
        run: create::run,
    },
    Verb {
        name: "start",
        summary: "execute the process of a created container",
        words: ID,
        options: &[],
        order: Order::Anywhere,
        run: start::run,
    },
    Verb {
        name: "state",
        summary: "print what is known about a container",
        words: ID,
        options: &[],
        order: Order::Anywhere,
        run: state::run,
    },
    Verb {
        name: "list",
        summary: "print all containers",
        words: NONE,
        options: &[FORMAT, QUIET],
        order: Order::Anywhere,
        run: list::run,
    },
    Verb {
        name: "kill",
        summary: "send a signal to a container (default: TERM)",
        words: Words { min: 1, max: 2, names: "ID [SIGNAL]" },
        options: &[ALL, REGEX],
        order: Order::Anywhere,
        run: kill::run,
    },
    Verb {
        name: "delete",
        summary: "remove what is left of a container",
        words: ID,
        options: &[FORCE],
        order: Order::Anywhere,
        run: delete::run,
    },
];

/// The verb of this name.
#[must_use]
pub fn find(name: &[u8]) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.name.as_bytes() == name)
}

const fn flag(long: &'static str, short: &'static str, help: &'static str) -> Opt {
    Opt { long, short, kind: Kind::Flag, help }
}

const fn value(long: &'static str, short: &'static str, name: &'static str, help: &'static str) -> Opt {
    Opt { long, short, kind: Kind::Value(name), help }
}

/// Options that stand before the verb.
#[rustfmt::skip]
pub static GLOBAL: &[Opt] = &[ROOT, LOG, LOG_FORMAT, LOG_LEVEL, DEBUG, CGROUP_MANAGER, SYSTEMD_CGROUP, ROOTLESS, VERSION];
/// Options that stand anywhere.
pub static COMMON: &[Opt] = &[HELP, USAGE];

// Each option is said once; the verbs ask for its value by the same name.
pub const ROOT: Opt = value("root", "", "DIR", "where containers' states are kept");
pub const LOG: Opt = value("log", "", "FILE", "append messages to FILE, or file:FILE");
pub const LOG_FORMAT: Opt = value("log-format", "", "FORMAT", "text or json");
pub const LOG_LEVEL: Opt = value("log-level", "", "LEVEL", "error, warning, debug or trace");
pub const DEBUG: Opt = flag("debug", "", "the same as --log-level=debug");
pub const CGROUP_MANAGER: Opt = value("cgroup-manager", "", "NAME", "cgroupfs or disabled");
pub const SYSTEMD_CGROUP: Opt = flag("systemd-cgroup", "", "not supported yet");
pub const ROOTLESS: Opt = value("rootless", "", "WORD", "true, false or auto; found out anyway");
pub const VERSION: Opt = flag("version", "vV", "print version, commit and features");
pub const HELP: Opt = flag("help", "h?", "print this text");
pub const USAGE: Opt = flag("usage", "", "print how the command is called");

pub const BUNDLE: Opt = value("bundle", "b", "DIR", "where config.json and rootfs are (default: .)");
pub const CONFIG: Opt = value("config", "f", "FILE", "read this instead of the bundle's config.json");
pub const CONSOLE_SOCKET: Opt = value("console-socket", "", "SOCKET", "send the terminal's descriptor there");
pub const DETACH: Opt = flag("detach", "d", "return when the container has started");
pub const KEEP: Opt = flag("keep", "", "leave the ended container for delete");
pub const NO_NEW_KEYRING: Opt = flag("no-new-keyring", "", "stay in the caller's session keyring");
pub const NO_PIVOT: Opt = flag("no-pivot", "", "MS_MOVE instead of pivot_root, as on a ramdisk");
pub const NO_SUBREAPER: Opt = flag("no-subreaper", "", "accepted and ignored");
pub const PID_FILE: Opt = value("pid-file", "", "FILE", "write the pid of the container's init there");
pub const PRESERVE_FDS: Opt = value("preserve-fds", "", "N", "pass on N descriptors from 3 on");

pub const FORMAT: Opt = value("format", "f", "FORMAT", "table or json");
pub const QUIET: Opt = flag("quiet", "q", "print names only");

pub const ALL: Opt = flag("all", "a", "signal all processes, not only init");
pub const REGEX: Opt = flag("regex", "r", "not supported yet");

pub const FORCE: Opt = flag("force", "f", "kill it if it runs; an absent one is no error");

pub const SPEC_BUNDLE: Opt = value("bundle", "b", "DIR", "where to write (default: .)");
pub const SPEC_FILE: Opt = value("file", "f", "FILE", "write to this file, even if it exists");
pub const SPEC_ROOTLESS: Opt = flag("rootless", "", "for a user who is not root");

#[cfg(test)]
mod tests {
    use super::*;

    /// Within one command line no two options share a name or a letter, and the table is complete.
    #[test]
    fn names_and_letters_are_unique() {
        let tables = VERBS.iter().map(|verb| verb.options).chain([GLOBAL]);
        for table in tables {
            let all: Vec<&Opt> = table.iter().chain(COMMON).collect();
            for (at, option) in all.iter().enumerate() {
                assert!(!option.long.is_empty() && !option.help.is_empty());
                for other in &all[..at] {
                    assert_ne!(option.long, other.long);
                    assert!(!option.short.chars().any(|letter| other.short.contains(letter)), "-{}", option.short);
                }
            }
        }
        for (at, verb) in VERBS.iter().enumerate() {
            assert!(verb.words.min <= verb.words.max && !verb.summary.is_empty());
            assert!(VERBS[..at].iter().all(|other| other.name != verb.name));
        }
    }

    /// The page in `docs` has the table's commands and options, each where it belongs, and no others.
    #[test]
    fn the_manual_page_is_this_table() {
        let page = include_str!("../../docs/isopod.1.md");
        let global = GLOBAL.iter().chain(COMMON).map(term);
        let verbs = VERBS.iter().flat_map(|verb| {
            let heading = match verb.words.names {
                "" => format!("## {}", verb.name),
                names => format!("## {} {}", verb.name, names.replace("ID", "*ID*").replace("SIGNAL", "*SIGNAL*")),
            };
            core::iter::once(heading).chain(verb.options.iter().map(term))
        });
        let expected: Vec<String> = global.chain(verbs).collect();
        assert_eq!(headings_and_options(page), expected);
        let (before, _) = page.split_once("# COMMANDS\n").expect("a section");
        let (_, globals) = before.split_once("# GLOBAL OPTIONS\n").expect("a section");
        assert_eq!(headings_and_options(globals).len(), GLOBAL.len() + COMMON.len());
    }

    /// The lines that name a command, and those that name an option: an explanation follows, after a colon.
    fn headings_and_options(page: &str) -> Vec<&str> {
        let option = |line: &str, next: &str| line.starts_with("**-") && next.starts_with(": ");
        let lines = page.lines().zip(page.lines().skip(1));
        lines.filter(|(line, next)| line.starts_with("## ") || option(line, next)).map(|(line, _)| line).collect()
    }

    /// An option as the manual page has it: `**-b**, **--bundle**=*DIR*`.
    fn term(option: &Opt) -> String {
        let letters: String = option.short.chars().map(|letter| format!("**-{letter}**, ")).collect();
        let value = match option.kind {
            Kind::Flag => String::new(),
            Kind::Value(name) => format!("=*{name}*"),
            Kind::Optional(name) => format!("[=*{name}*]"),
        };
        format!("{letters}**--{}**{value}", option.long)
    }
}
