//! The seccomp profile, compiled to the program that the kernel runs at every system call: `linux.seccomp`, by the
//! rules that libseccomp made customary. Pure: no system call, no descriptor.
//!
//! A profile is a list of calls, in which large parts of the numbers have the same answer. So the filter searches for
//! the number among ranges of equal answer (`rules`), and looks at arguments only for calls whose rules do: all others
//! the kernel answers from a bitmap, without running the filter. It is written from its end (`program`).
//!
//! libseccomp decides what a profile means where the specification says nothing:
//! - Of the rules for one call, the first without conditions on arguments counts and no other. Only where there is
//!   none do those with conditions: the first one that fits, in the order of the profile (libseccomp has an order of
//!   its own, which matters only if two of them fit the same call and have different actions).
//! - Rules whose action is the default one are left out before.
//! - Calls of an architecture that is not listed kill the thread; the machine's own always is. Architectures that this
//!   machine does not run may be listed, and since no call can come from them, the filter has nothing for them.
//! - x86 and x32 have 32-bit arguments: of a value in the profile, the lower half is compared.
//! - On x86, a rule for a socket or IPC call also holds for the same thing done by socketcall(2) or ipc(2); the first
//!   argument is the number of that thing there, so conditions on it are lost.
//!
//! And runc is followed in this: if the default is to refuse, calls newer than all that the profile mentions fail with
//! ENOSYS, so that programs fall back to what the profile's author knew.

#![forbid(unsafe_code)]

mod program;
mod raw;
mod rules;
mod syscalls;
mod table;

pub use raw::from_base64;

use crate::debug;
use crate::error::{Error, Quoted, Result};
use crate::spec;
use crate::sys::memory::Growing;
use crate::sys::security::{SockFilter, filter_flag};

use rules::{Abi, Calls, Compare, Condition, Rule};

/// What is done with a name that no machine has a call of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unknown {
    Skip,
    Refuse,
}

/// A compiled profile.
#[derive(Clone, Copy)]
pub struct Filter<'a> {
    pub program: &'a [SockFilter],
    /// `filter_flag`s for seccomp(2).
    pub flags: u32,
}

impl Filter<'_> {
    /// Whether an answer of it is SCMP_ACT_NOTIFY, so that somebody has to listen.
    #[must_use]
    pub fn notifies(&self) -> bool {
        self.program.iter().any(|one| one.code == program::RETURN && one.k & answer::KIND == answer::NOTIFY)
    }
}

/// What the config calls the answers, after `SCMP_ACT_`, sorted.
#[rustfmt::skip]
pub static ACTIONS: &[(&str, u32)] = &[
    ("ALLOW", answer::ALLOW), ("ERRNO", answer::ERRNO), ("KILL", answer::KILL_THREAD),
    ("KILL_PROCESS", answer::KILL_PROCESS), ("KILL_THREAD", answer::KILL_THREAD), ("LOG", answer::LOG),
    ("NOTIFY", answer::NOTIFY), ("TRACE", answer::TRACE), ("TRAP", answer::TRAP),
];

/// What it calls the comparisons, after `SCMP_CMP_`, sorted. Of the mask that is 0 here, the config has the value.
#[rustfmt::skip]
static OPERATORS: &[(&str, Compare)] = &[
    ("EQ", Compare::Is { mask: u64::MAX }), ("GE", Compare::AtLeast), ("GT", Compare::Above), ("LE", Compare::AtMost),
    ("LT", Compare::Below), ("MASKED_EQ", Compare::Is { mask: 0 }), ("NE", Compare::IsNot),
];

/// The words for comparisons, after `SCMP_CMP_`, sorted.
pub fn operators() -> impl Iterator<Item = &'static str> {
    OPERATORS.iter().map(|(name, _)| *name)
}

/// What it calls the machines that we know the calls of, after `SCMP_ARCH_`, sorted.
pub static ARCHITECTURES: &[&str] = &["X32", "X86", "X86_64"];

/// The answers of a filter; `linux/seccomp.h`.
pub(crate) mod answer {
    pub(crate) const KILL_PROCESS: u32 = 0x8000_0000;
    pub(crate) const KILL_THREAD: u32 = 0;
    pub(crate) const TRAP: u32 = 0x0003_0000;
    pub(crate) const ERRNO: u32 = 0x0005_0000;
    pub(crate) const NOTIFY: u32 = 0x7fc0_0000;
    pub(crate) const TRACE: u32 = 0x7ff0_0000;
    pub(crate) const LOG: u32 = 0x7ffc_0000;
    pub(crate) const ALLOW: u32 = 0x7fff_0000;
    /// The kind of answer, without its number.
    pub(crate) const KIND: u32 = 0xffff_0000;
}

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// Compiles a profile.
///
/// # Errors
/// What the profile has wrong, with its path; or that it needs more instructions than the kernel takes.
pub fn compile(seccomp: &spec::Seccomp<'_>, unknown: Unknown) -> Result<Filter<'static>> {
    let default = action(&"linux.seccomp.defaultAction", seccomp.default_action)?;
    let default = with_errno(&"linux.seccomp.defaultErrnoRet", default, seccomp.default_errno_ret)?;
    if default == answer::NOTIFY {
        return Err(Error::config(
            format_args!("linux.seccomp.defaultAction"),
            format_args!("SCMP_ACT_NOTIFY cannot be used as the default: who is to answer could not be told"),
        ));
    }
    let (x86, x32) = architectures(seccomp.architectures)?;
    let mut calls = Calls::new(|abi| match abi {
        Abi::X86_64 => true,
        Abi::X86 => x86,
        Abi::X32 => x32,
    });
    for (index, syscall) in seccomp.syscalls.iter().enumerate() {
        let rules = rules(index, syscall)?;
        add(&mut calls, index, syscall, &rules, default, unknown)?;
    }

    // Whoever traces or logs can see for himself what is new.
    let kind = default & answer::KIND;
    let permissive = matches!(kind, answer::ALLOW | answer::LOG | answer::TRACE);
    let newer = (!permissive && seccomp.default_errno_ret != Some(ENOSYS)).then_some(answer::ERRNO | ENOSYS);
    let (program, start) = calls.write(default, newer);
    let program = program.finish(start)?;
    debug!("linux.seccomp: a filter of {} instructions", program.len());
    Ok(Filter { program, flags: flags(seccomp.flags)? })
}

/// The action of an entry and its alternatives, each a list of conditions.
struct Rules {
    answer: u32,
    alternatives: &'static [&'static [Condition]],
}

fn rules(index: usize, syscall: &spec::Syscall<'_>) -> Result<Rules> {
    let path = |field| Path { index, field };
    let answer = action(&path("action"), syscall.action)?;
    let answer = with_errno(&path("errnoRet"), answer, syscall.errno_ret)?;
    if syscall.names.is_empty() {
        return Err(Error::config(format_args!("{}", path("names")), format_args!("must name at least one call")));
    }
    let mut conditions: Growing<'static, Condition> = Growing::new();
    for (number, arg) in syscall.args.iter().enumerate() {
        conditions.push(condition(index, number, arg)?);
    }
    let conditions = &*conditions.finish();
    let repeated = (0..6).any(|argument| conditions.iter().filter(|one| one.index == argument).count() > 1);
    let mut alternatives: Growing<'static, &'static [Condition]> = Growing::new();
    if repeated {
        // Two conditions on one argument are meant as "or".
        conditions.chunks(1).for_each(|one| alternatives.push(one));
    } else {
        alternatives.push(conditions);
    }
    Ok(Rules { answer, alternatives: alternatives.finish() })
}

fn add(
    calls: &mut Calls<'static>,
    index: usize,
    syscall: &spec::Syscall<'_>,
    rules: &Rules,
    default: u32,
    unknown: Unknown,
) -> Result<()> {
    for (number, name) in syscall.names.iter().enumerate() {
        let Some(numbers) = syscalls::find(name) else {
            if unknown == Unknown::Refuse {
                return Err(Error::config(
                    format_args!("linux.seccomp.syscalls[{index}].names[{number}]"),
                    format_args!("invalid seccomp syscall `{name}`"),
                ));
            }
            debug!("linux.seccomp.syscalls[{index}].names[{number}]: unknown seccomp syscall `{name}` ignored");
            continue;
        };
        if rules.answer == answer::NOTIFY && *name == "write" {
            return Err(Error::config(
                format_args!("linux.seccomp.syscalls[{index}].action"),
                format_args!("SCMP_ACT_NOTIFY cannot be used for write: who is to answer could not be told"),
            ));
        }
        let abis = [(Abi::X86_64, numbers.x86_64), (Abi::X86, numbers.x86), (Abi::X32, numbers.x32)];
        for (abi, number) in abis {
            let Some(number) = number else { continue };
            calls.mention(abi, number);
            if rules.answer != default {
                for conditions in rules.alternatives {
                    calls.add(abi, number, Rule { answer: rules.answer, conditions }, None);
                }
            }
        }
        if let Some((number, first)) = numbers.multiplexed.filter(|_| rules.answer != default) {
            for conditions in rules.alternatives {
                calls.add(Abi::X86, number, Rule { answer: rules.answer, conditions }, Some(first));
            }
        }
    }
    Ok(())
}

/// A field of an entry of `syscalls`.
struct Path {
    index: usize,
    field: &'static str,
}

impl core::fmt::Display for Path {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "linux.seccomp.syscalls[{}].{}", self.index, self.field)
    }
}

fn action(path: &dyn core::fmt::Display, name: Option<&str>) -> Result<u32> {
    let Some(name) = name else {
        return Err(Error::config(format_args!("{path}"), format_args!("is required")));
    };
    named(ACTIONS, "SCMP_ACT_", name)
        .ok_or_else(|| Error::config(format_args!("{path}"), format_args!("unknown action {}", Quoted(name))))
}

/// What a word of the config stands for.
fn named<T: Copy>(table: &[(&str, T)], prefix: &str, word: &str) -> Option<T> {
    let word = word.strip_prefix(prefix)?;
    table.iter().find(|(name, _)| *name == word).map(|(_, meaning)| *meaning)
}

/// The number that goes with an action.
fn with_errno(path: &dyn core::fmt::Display, action: u32, errno: Option<u32>) -> Result<u32> {
    if action == answer::ERRNO || action == answer::TRACE {
        return match errno.unwrap_or(EPERM) {
            errno @ 0..=0xffff => Ok(action | errno),
            errno => Err(Error::config(format_args!("{path}"), format_args!("{errno} is above 65535"))),
        };
    }
    match errno {
        None => Ok(action),
        Some(_) => Err(Error::config(
            format_args!("{path}"),
            format_args!(
                "errno value specified for an action that takes none: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE do"
            ),
        )),
    }
}

/// Which of the two others that this machine runs are listed.
fn architectures(list: &[&str]) -> Result<(bool, bool)> {
    static ELSEWHERE: &[&str] = &[
        "ARM",
        "AARCH64",
        "MIPS",
        "MIPS64",
        "MIPS64N32",
        "MIPSEL",
        "MIPSEL64",
        "MIPSEL64N32",
        "PPC",
        "PPC64",
        "PPC64LE",
        "S390",
        "S390X",
        "PARISC",
        "PARISC64",
        "RISCV64",
        "LOONGARCH64",
        "M68K",
        "SH",
        "SHEB",
        "NATIVE",
    ];
    let (mut x86, mut x32) = (false, false);
    for (index, name) in list.iter().enumerate() {
        let known = name.strip_prefix("SCMP_ARCH_").unwrap_or(name);
        let is = |other: &str| known.eq_ignore_ascii_case(other);
        if is("X86") {
            x86 = true;
        } else if is("X32") {
            x32 = true;
        } else if !ARCHITECTURES.iter().chain(ELSEWHERE).any(|other| is(other)) {
            return Err(Error::config(
                format_args!("linux.seccomp.architectures[{index}]"),
                format_args!("seccomp unknown architecture `{name}`"),
            ));
        }
    }
    Ok((x86, x32))
}

fn condition(syscall: usize, number: usize, arg: &spec::SyscallArg<'_>) -> Result<Condition> {
    let wrong = |field: &str, because: core::fmt::Arguments<'_>| {
        Error::config(format_args!("linux.seccomp.syscalls[{syscall}].args[{number}].{field}"), because)
    };
    let required = |field| wrong(field, format_args!("is required"));
    let index = arg.index.ok_or_else(|| required("index"))?;
    if index > 5 {
        return Err(wrong("index", format_args!("{index} is not in 0..5: a call has six arguments")));
    }
    let value = arg.value.ok_or_else(|| required("value"))?;
    let op = arg.op.ok_or_else(|| required("op"))?;
    match named(OPERATORS, "SCMP_CMP_", op) {
        Some(Compare::Is { mask: 0 }) => {
            Ok(Condition { index, compare: Compare::Is { mask: value }, value: arg.value_two.unwrap_or(0) })
        }
        Some(compare) => Ok(Condition { index, compare, value }),
        None => Err(wrong("op", format_args!("unknown operator {}", Quoted(op)))),
    }
}

/// The flags for seccomp(2); without a list, what crun's users have always had.
///
/// # Errors
/// If there is one that nobody knows.
pub fn flags(list: Option<&[&str]>) -> Result<u32> {
    let Some(list) = list else { return Ok(filter_flag::SPEC_ALLOW) };
    let mut flags = 0;
    for (index, name) in list.iter().enumerate() {
        let Some(flag) = named(filter_flag::NAMES, "SECCOMP_FILTER_FLAG_", name) else {
            return Err(Error::config(
                format_args!("linux.seccomp.flags[{index}]"),
                format_args!("unknown seccomp flag {}", Quoted(name)),
            ));
        };
        flags |= flag;
    }
    Ok(flags)
}
