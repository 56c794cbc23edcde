//! The table of verbs and options. The parser, the help texts and whatever else describes the command line read this
//! table, so none of them can disagree.

#![forbid(unsafe_code)]

use super::options::{Given, Opt, Order};
use super::{
    Outcome, completion, create, delete, events, exec, features, kill, list, mounts, pause, plan, ps, run, spec, start,
    state, update,
};
use crate::container::Context;

/// A verb.
pub struct Verb {
    /// The word on the command line.
    pub name: &'static str,
    /// One line of help.
    pub summary: &'static str,
    /// The words that follow it, as help calls them: `ID [SIGNAL]`.
    pub words: &'static str,
    /// Its options.
    pub options: &'static [Opt],
    /// Whether options may follow the words.
    pub order: Order,
    /// What it does; the result is the exit code.
    pub run: fn(&Context, &Given) -> Outcome,
}

impl Verb {
    /// Whether its first word is the name of a container.
    #[must_use]
    pub fn takes_id(&self) -> bool {
        self.words.starts_with("ID")
    }

    /// At least and at most so many words follow it.
    #[must_use]
    pub fn bounds(&self) -> (usize, usize) {
        let words = || self.words.split_ascii_whitespace();
        let least = words().filter(|word| !word.starts_with('[')).count();
        (least, if self.words.ends_with("...]") { usize::MAX } else { words().count() })
    }
}

/// All verbs, in the order of a container's life.
pub static VERBS: &[Verb] = &[
    Verb {
        name: "spec",
        summary: "write a config.json to start from",
        words: "",
        options: &[SPEC_BUNDLE, SPEC_FILE, SPEC_ROOTLESS],
        order: Order::Anywhere,
        run: spec::run,
    },
    Verb {
        name: "plan",
        summary: "print what run would do, and do nothing",
        words: "[ID]",
        options: &[BUNDLE, CONFIG, JSON, NO_NEW_KEYRING, NO_PIVOT, PRESERVE_FDS],
        order: Order::Anywhere,
        run: plan::run,
    },
    Verb {
        name: "run",
        summary: "create a container, start it, wait for its end",
        words: "ID",
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
            PIDFD_SOCKET,
            PRESERVE_FDS,
        ],
        order: Order::Anywhere,
        run: run::run,
    },
    Verb {
        name: "create",
        summary: "make a container, ready to be started",
        words: "ID",
        options: &[
            BUNDLE,
            CONFIG,
            CONSOLE_SOCKET,
            NO_NEW_KEYRING,
            NO_PIVOT,
            NO_SUBREAPER,
            PID_FILE,
            PIDFD_SOCKET,
            PRESERVE_FDS,
        ],
        order: Order::Anywhere,
        run: create::run,
    },
    Verb {
        name: "start",
        summary: "execute the process of a created container",
        words: "ID",
        options: &[],
        order: Order::Anywhere,
        run: start::run,
    },
    Verb {
        name: "exec",
        summary: "execute a command in a container",
        words: "ID [COMMAND...]",
        options: &[
            ADDITIONAL_GIDS,
            APPARMOR,
            CAP,
            EXEC_CGROUP,
            CONSOLE_SOCKET,
            CWD,
            EXEC_DETACH,
            ENV,
            IGNORE_PAUSED,
            NO_NEW_PRIVS,
            EXEC_PID_FILE,
            PIDFD_SOCKET,
            PRESERVE_FDS,
            PROCESS,
            PROCESS_LABEL,
            TTY,
            USER,
        ],
        // What follows the id is the command, options included.
        order: Order::BeforeWords,
        run: exec::run,
    },
    Verb {
        name: "state",
        summary: "print what is known about a container",
        words: "ID",
        options: &[],
        order: Order::Anywhere,
        run: state::run,
    },
    Verb {
        name: "list",
        summary: "print all containers",
        words: "",
        options: &[FORMAT, QUIET],
        order: Order::Anywhere,
        run: list::run,
    },
    Verb {
        name: "ps",
        summary: "print the processes of a container",
        words: "ID [PS-ARGUMENT...]",
        options: &[FORMAT],
        order: Order::BeforeWords,
        run: ps::run,
    },
    Verb {
        name: "events",
        summary: "print what a container uses, in runc's form",
        words: "ID",
        options: &[INTERVAL, STATS],
        order: Order::Anywhere,
        run: events::run,
    },
    Verb {
        name: "pause",
        summary: "stop all processes of a container",
        words: "ID",
        options: &[],
        order: Order::Anywhere,
        run: pause::run,
    },
    Verb {
        name: "resume",
        summary: "let the processes of a paused container go on",
        words: "ID",
        options: &[],
        order: Order::Anywhere,
        run: pause::resume,
    },
    Verb {
        name: "update",
        summary: "change the limits of a container",
        words: "ID",
        options: LIMITS,
        order: Order::Anywhere,
        run: update::run,
    },
    Verb {
        name: "mounts",
        summary: "mount something in a container, or unmount it",
        words: "add|remove ID FILE",
        options: &[],
        order: Order::Anywhere,
        run: mounts::run,
    },
    Verb {
        name: "kill",
        summary: "send a signal to a container (default: TERM)",
        words: "ID [SIGNAL]",
        options: &[ALL, REGEX],
        order: Order::Anywhere,
        run: kill::run,
    },
    Verb {
        name: "delete",
        summary: "remove what is left of a container",
        words: "ID",
        options: &[FORCE, REGEX],
        order: Order::Anywhere,
        run: delete::run,
    },
    Verb {
        name: "features",
        summary: "print what is understood of a config",
        words: "",
        options: &[],
        order: Order::Anywhere,
        run: features::run,
    },
    Verb {
        name: "completion",
        summary: "print what completes command lines in a shell",
        words: "bash|zsh|fish",
        options: &[],
        order: Order::Anywhere,
        run: completion::run,
    },
];

/// The verb of this name.
#[must_use]
pub fn find(name: &[u8]) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.name.as_bytes() == name)
}

/// Options that stand before the verb.
#[rustfmt::skip]
pub static GLOBAL: &[Opt] = &[ROOT, LOG, LOG_FORMAT, LOG_LEVEL, DEBUG, CGROUP_MANAGER, SYSTEMD_CGROUP, ROOTLESS, VERSION];
/// Those of `update`, in the order of `linux.resources`.
#[rustfmt::skip]
pub static LIMITS: &[Opt] = &[
    RESOURCES, MEMORY, MEMORY_RESERVATION, MEMORY_SWAP, KERNEL_MEMORY, KERNEL_MEMORY_TCP, CPU_SHARE, CPU_QUOTA,
    CPU_PERIOD, CPU_BURST, CPU_RT_RUNTIME, CPU_RT_PERIOD, CPU_IDLE, CPUSET_CPUS, CPUSET_MEMS, PIDS_LIMIT, BLKIO_WEIGHT,
    L3_CACHE_SCHEMA, MEM_BW_SCHEMA,
];
/// Options that stand anywhere.
pub static COMMON: &[Opt] = &[HELP, USAGE];

// Each option is said once, as help shows it; the verbs ask for its value by the same name.
pub const ROOT: Opt = Opt("--root=DIR where containers' states are kept");
pub const LOG: Opt = Opt("--log=FILE FILE, file:FILE, journald: or syslog:NAME");
pub const LOG_FORMAT: Opt = Opt("--log-format=FORMAT text or json");
pub const LOG_LEVEL: Opt = Opt("--log-level=LEVEL error, warning, debug or trace");
pub const DEBUG: Opt = Opt("--debug the same as --log-level=debug");
pub const CGROUP_MANAGER: Opt = Opt("--cgroup-manager=NAME cgroupfs, systemd or disabled");
pub const SYSTEMD_CGROUP: Opt = Opt("--systemd-cgroup --cgroup-manager=systemd");
pub const ROOTLESS: Opt = Opt("--rootless=WORD true, false or auto; found out anyway");
pub const VERSION: Opt = Opt("-vV --version print version, commit and features");
pub const HELP: Opt = Opt("-h? --help print this text");
pub const USAGE: Opt = Opt("--usage print how the command is called");

pub const BUNDLE: Opt = Opt("-b --bundle=DIR where config.json and rootfs are (default: .)");
pub const CONFIG: Opt = Opt("-f --config=FILE read this instead of the bundle's config.json");
pub const CONSOLE_SOCKET: Opt = Opt("--console-socket=SOCKET send the terminal's descriptor there");
pub const DETACH: Opt = Opt("-d --detach return when the container has started");
pub const JSON: Opt = Opt("--json for programs");
pub const KEEP: Opt = Opt("--keep leave the ended container for delete");
pub const NO_NEW_KEYRING: Opt = Opt("--no-new-keyring stay in the caller's session keyring");
pub const NO_PIVOT: Opt = Opt("--no-pivot MS_MOVE instead of pivot_root, as on a ramdisk");
pub const NO_SUBREAPER: Opt = Opt("--no-subreaper accepted and ignored");
pub const PID_FILE: Opt = Opt("--pid-file=FILE write the pid of the container's init there");
pub const PRESERVE_FDS: Opt = Opt("--preserve-fds=N pass on N descriptors from 3 on");

pub const ADDITIONAL_GIDS: Opt = Opt("-g --additional-gids=GID one more group; may be repeated");
pub const APPARMOR: Opt = Opt("--apparmor=PROFILE under this profile of AppArmor");
pub const CAP: Opt = Opt("-c --cap=NAME one more capability; may be repeated");
pub const EXEC_CGROUP: Opt = Opt("--cgroup=PATH a cgroup below the container's");
pub const CWD: Opt = Opt("--cwd=DIR the working directory");
pub const EXEC_DETACH: Opt = Opt("-d --detach return when the command is executed");
pub const ENV: Opt = Opt("-e --env=NAME=VALUE one more variable; may be repeated");
pub const IGNORE_PAUSED: Opt = Opt("--ignore-paused wait in a paused container until it goes on");
pub const NO_NEW_PRIVS: Opt = Opt("--no-new-privs it and its children never gain privileges");
pub const EXEC_PID_FILE: Opt = Opt("--pid-file=FILE write the pid of the command there");
pub const PIDFD_SOCKET: Opt = Opt("--pidfd-socket=SOCKET send a pidfd of the process there");
pub const PROCESS: Opt = Opt("-p --process=FILE what to execute, as config.json has it");
pub const PROCESS_LABEL: Opt = Opt("--process-label=LABEL under this label of SELinux");
pub const TTY: Opt = Opt("-t --tty[=no] with a terminal of its own");
pub const USER: Opt = Opt("-u --user=UID[:GID] as this user, and group 0 or GID");

pub const FORMAT: Opt = Opt("-f --format=FORMAT table or json");
pub const QUIET: Opt = Opt("-q --quiet print names only");

pub const ALL: Opt = Opt("-a --all signal all processes, not only init");
pub const REGEX: Opt = Opt("-r --regex ID is a regular expression; failures are warnings");

pub const FORCE: Opt = Opt("-f --force kill it if it runs; an absent one is no error");

pub const INTERVAL: Opt = Opt("--interval=TIME between two lines, as in 1m30s (default: 5s)");
pub const STATS: Opt = Opt("--stats print one line and end");

pub const RESOURCES: Opt = Opt("-r --resources=FILE take all from JSON as in linux.resources");
pub const MEMORY: Opt = Opt("--memory=BYTES limit, as in 64m; -1: none");
pub const MEMORY_RESERVATION: Opt = Opt("--memory-reservation=BYTES what is left to it when memory is short");
pub const MEMORY_SWAP: Opt = Opt("--memory-swap=BYTES limit of memory and swap together");
pub const KERNEL_MEMORY: Opt = Opt("--kernel-memory=BYTES ignored with a warning");
pub const KERNEL_MEMORY_TCP: Opt = Opt("--kernel-memory-tcp=BYTES ignored with a warning");
pub const CPU_SHARE: Opt = Opt("--cpu-share=N share beside others, 2 to 262144");
pub const CPU_QUOTA: Opt = Opt("--cpu-quota=US microseconds of each period; -1: all");
pub const CPU_PERIOD: Opt = Opt("--cpu-period=US how long a period is");
pub const CPU_BURST: Opt = Opt("--cpu-burst=US what can be saved up beyond the quota");
pub const CPU_RT_RUNTIME: Opt = Opt("--cpu-rt-runtime=US for real-time processes, of each period");
pub const CPU_RT_PERIOD: Opt = Opt("--cpu-rt-period=US how long such a period is");
pub const CPU_IDLE: Opt = Opt("--cpu-idle=0|1 1: only when nobody else wants to run");
pub const CPUSET_CPUS: Opt = Opt("--cpuset-cpus=LIST processors, as in 0-3,7");
pub const CPUSET_MEMS: Opt = Opt("--cpuset-mems=LIST memory nodes");
pub const PIDS_LIMIT: Opt = Opt("--pids-limit=N processes; -1: any number");
pub const BLKIO_WEIGHT: Opt = Opt("--blkio-weight=N share of disks, 10 to 1000");
pub const L3_CACHE_SCHEMA: Opt = Opt("--l3-cache-schema=SCHEMA of its class of service, as in L3:0=ff");
pub const MEM_BW_SCHEMA: Opt = Opt("--mem-bw-schema=SCHEMA of its class of service, as in MB:0=50");

pub const SPEC_BUNDLE: Opt = Opt("-b --bundle=DIR where to write (default: .)");
pub const SPEC_FILE: Opt = Opt("-f --file=FILE write to this file, even if it exists");
pub const SPEC_ROOTLESS: Opt = Opt("--rootless for a user who is not root");

#[cfg(test)]
mod tests {
    use super::super::options::Kind;
    use super::*;

    #[test]
    fn how_many_words() {
        for (words, bounds) in [
            ("", (0, 0)),
            ("[ID]", (0, 1)),
            ("ID", (1, 1)),
            ("add|remove ID FILE", (3, 3)),
            ("ID [X...]", (1, usize::MAX)),
        ] {
            assert_eq!(Verb { words, ..VERBS[0] }.bounds(), bounds, "{words}");
        }
    }

    /// Within one command line no two options share a name or a letter, and the table is complete.
    #[test]
    fn names_and_letters_are_unique() {
        let tables = VERBS.iter().map(|verb| verb.options).chain([GLOBAL]);
        for table in tables {
            let all: Vec<&Opt> = table.iter().chain(COMMON).collect();
            for (at, option) in all.iter().enumerate() {
                assert!(!option.long().is_empty() && !option.help().is_empty());
                for other in &all[..at] {
                    assert_ne!(option.long(), other.long());
                    assert!(
                        !option.short().chars().any(|letter| other.short().contains(letter)),
                        "-{}",
                        option.short()
                    );
                }
            }
        }
        for (at, verb) in VERBS.iter().enumerate() {
            assert!(!verb.summary.is_empty());
            assert!(VERBS[..at].iter().all(|other| other.name != verb.name));
        }
    }

    /// The page in `docs` has the table's commands and options, each where it belongs, and no others.
    #[test]
    fn the_manual_page_is_this_table() {
        let page = include_str!("../../docs/isopod.1.md");
        let global = GLOBAL.iter().chain(COMMON).map(term);
        let verbs = VERBS.iter().flat_map(|verb| {
            let heading = match verb.words {
                "" => format!("## {}", verb.name),
                names => {
                    let placeholders = ["ID", "SIGNAL", "PS-ARGUMENT", "COMMAND", "FILE"];
                    let shown = |names: String, word: &&str| names.replace(word, &format!("*{word}*"));
                    format!("## {} {}", verb.name, placeholders.iter().fold(names.to_owned(), shown))
                }
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
        let letters: String = option.short().chars().map(|letter| format!("**-{letter}**, ")).collect();
        let value = match option.kind() {
            Kind::Flag => String::new(),
            Kind::Value(name) => format!("=*{name}*"),
            Kind::Optional(name) => format!("[=*{name}*]"),
        };
        format!("{letters}**--{}**{value}", option.long())
    }
}
