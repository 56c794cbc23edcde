//! What a profile means, rule by rule, without a compiler: the first lines of `src/seccomp.rs` as a program.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::bpf::{Call, I386, X32, X86_64};
use crate::profile::{Arg, OPS, Profile, Rule};

/// The numbers of a call, without the bit that marks x32.
#[derive(Clone, Copy, Default)]
pub struct Numbers {
    pub x86_64: Option<u32>,
    pub x86: Option<u32>,
    pub x32: Option<u32>,
}

static TABLE: LazyLock<Vec<(&str, Numbers)>> = LazyLock::new(|| {
    let rows = include_str!("../../src/seccomp/table.rs").lines();
    let row = |line: &'static str| {
        let (name, numbers) = line.strip_prefix("    (\"")?.strip_suffix("),")?.split_once("\", ")?;
        let mut numbers = numbers.split(", ").map(|number| number.parse().ok());
        Some((name, Numbers { x86_64: numbers.next()?, x86: numbers.next()?, x32: numbers.next()? }))
    };
    rows.filter_map(row).collect()
});

/// The names that the table has, and those of machines that we do not know.
pub fn names() -> &'static [&'static str] {
    static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| TABLE.iter().map(|(name, _)| *name).collect());
    &NAMES
}

/// The numbers of a name, by the generated table.
pub fn numbers(name: &str) -> Numbers {
    static BY_NAME: LazyLock<HashMap<&str, Numbers>> = LazyLock::new(|| TABLE.iter().copied().collect());
    BY_NAME.get(name).copied().unwrap_or_default()
}

/// socketcall(2) and ipc(2) of x86: linux/net.h, linux/ipc.h.
const SOCKETCALL: (u32, [&str; 21]) = (
    102,
    [
        "",
        "socket",
        "bind",
        "connect",
        "listen",
        "accept",
        "getsockname",
        "getpeername",
        "socketpair",
        "send",
        "recv",
        "sendto",
        "recvfrom",
        "shutdown",
        "setsockopt",
        "getsockopt",
        "sendmsg",
        "recvmsg",
        "accept4",
        "recvmmsg",
        "sendmmsg",
    ],
);
const IPC: (u32, [&str; 25]) = (
    117,
    [
        "",
        "semop",
        "semget",
        "semctl",
        "semtimedop",
        "",
        "",
        "",
        "",
        "",
        "",
        "msgsnd",
        "msgrcv",
        "msgget",
        "msgctl",
        "",
        "",
        "",
        "",
        "",
        "",
        "shmat",
        "shmdt",
        "shmget",
        "shmctl",
    ],
);

/// What the filter has to answer. Instead of the default it may also be ENOSYS, if the call `is_newer`.
pub fn answer(profile: &Profile, call: &Call) -> u32 {
    let listed = |arch| profile.arches.contains(&arch);
    let default = profile.default.number();
    let is_x32 = call.arch == X86_64 && call.number >= X32;
    let known = match call.arch {
        I386 => listed("X86"),
        // A tracer puts -1 in the place of a call that is not to be made.
        X86_64 => !is_x32 || listed("X32") || call.number == u32::MAX,
        _ => false,
    };
    if !known {
        return 0;
    }
    let narrow = is_x32 || call.arch == I386;
    let rules = || profile.rules.iter().filter(|rule| rule.action.number() != default);
    let is_it = |rule: &&Rule| {
        rule.names.iter().any(|name| {
            let Numbers { x86_64, x86, x32 } = numbers(name);
            match call.arch {
                I386 => x86 == Some(call.number),
                _ if is_x32 => x32.map(|number| number | X32) == Some(call.number),
                _ => x86_64 == Some(call.number),
            }
        })
    };
    let conditional = |args: &[Arg]| args.iter().any(|arg| !holds_always(arg, narrow));
    let always = |rule: &&Rule| is_it(rule) && rule.alternatives().iter().any(|args| !conditional(args));
    if let Some(rule) = rules().find(always) {
        return rule.action.number();
    }
    for rule in rules() {
        if is_it(&rule) && rule.alternatives().iter().any(|args| args.iter().all(|arg| holds(arg, call, narrow))) {
            return rule.action.number();
        }
        let through = |(number, names): (u32, &[&str])| {
            let name = names.get(call.args[0] as usize).filter(|name| !name.is_empty());
            let named = name.is_some_and(|name| rule.names.iter().any(|one| one == name));
            let others = |args: &[Arg]| args.iter().filter(|arg| arg.index != 0).all(|arg| holds(arg, call, narrow));
            call.arch == I386 && call.number == number && named && rule.alternatives().iter().any(|args| others(args))
        };
        if through((SOCKETCALL.0, &SOCKETCALL.1)) || through((IPC.0, &IPC.1)) {
            return rule.action.number();
        }
    }
    default
}

/// A condition on no bits is none.
fn holds_always(arg: &Arg, narrow: bool) -> bool {
    OPS[arg.op] == "MASKED_EQ" && (arg.value == 0 || narrow && arg.value as u32 == 0)
}

fn holds(arg: &Arg, call: &Call, narrow: bool) -> bool {
    let cut = |number: u64| if narrow { number & 0xffff_ffff } else { number };
    let (told, value, two) = (cut(call.args[arg.index as usize]), cut(arg.value), cut(arg.value_two));
    match OPS[arg.op] {
        "NE" => told != value,
        "LT" => told < value,
        "LE" => told <= value,
        "EQ" => told == value,
        "GE" => told >= value,
        "GT" => told > value,
        _ => told & value == two & value,
    }
}

/// By runc's words: larger than the largest number of the architecture that the profile mentions.
pub fn is_newer(profile: &Profile, call: &Call) -> bool {
    let permissive = matches!(profile.default.name, "ALLOW" | "LOG" | "TRACE");
    let largest = |number: fn(Numbers) -> Option<u32>, base| {
        let names = profile.rules.iter().flat_map(|rule| &rule.names);
        names.filter_map(|name| number(numbers(name))).max().map(|number| number | base).filter(|number| *number > 0)
    };
    if permissive || profile.default.errno == Some(38) {
        return false;
    }
    let x86_64 = largest(|numbers| numbers.x86_64, 0);
    let x32 = profile.arches.contains(&"X32").then(|| largest(|numbers| numbers.x32, X32)).flatten();
    let newest = match (call.arch, x86_64, x32) {
        (I386, ..) if !profile.arches.contains(&"X86") => None,
        (I386, ..) => largest(|numbers| numbers.x86, 0),
        (X86_64, Some(plain), Some(x32)) => Some(if call.number & X32 == 0 { plain } else { x32 }),
        (X86_64, plain, x32) => plain.or(x32),
        _ => None,
    };
    newest.is_some_and(|newest| call.number > newest)
}
