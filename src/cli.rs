//! Words in, words out: the command line is parsed by one table, a verb is called, its failure is reported once.

#![forbid(unsafe_code)]

pub mod completion;
pub mod create;
pub mod delete;
mod document;
pub mod events;
pub mod exec;
pub mod features;
pub mod help;
pub mod kill;
pub mod list;
pub mod mounts;
pub mod options;
pub mod owner;
pub mod pause;
pub mod plan;
pub mod ps;
mod regex;
pub mod report;
pub mod run;
pub mod spec;
pub mod start;
pub mod state;
pub mod update;
pub mod verbs;

use core::ffi::CStr;

use crate::container::{Context, Manager};
use crate::error::{Error, Escaped, Result};
use crate::host;
use crate::log::Level;
use crate::sys::start::Start;
use crate::sys::{memory, utf8};
use help::{Help, Usage, Version};
use options::{Given, Opt, Order, invalid, parse};
use report::Log;
use verbs::Verb;

/// The exit code of a command that failed.
const FAILURE: i32 = 1;
/// The exit code of a command line that makes no sense: EX_USAGE of sysexits.h, as GNU argp has it.
const MISUSE: i32 = 64;

/// Why a command ends without having done its work.
pub struct Failure {
    error: Error,
    code: i32,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { error, code: FAILURE }
    }
}

/// The command line is at fault.
#[cold]
pub fn misuse(error: Error) -> Failure {
    Failure { error, code: MISUSE }
}

/// What a verb ends with: an exit code, or a failure.
pub type Outcome = Result<i32, Failure>;

/// From the kernel's words to the exit code.
#[must_use]
pub fn main(start: &Start) -> i32 {
    let outcome = if start.secure {
        // Who starts us chooses options, environment and descriptors: a process with more rights than he has must not
        // listen to him.
        Err(Error::says(format_args!("refusing to run set-user-id, set-group-id or with file capabilities")).into())
    } else {
        command(start)
    };
    outcome.unwrap_or_else(|failure| {
        report::error(&failure.error);
        failure.code
    })
}

fn command(start: &Start) -> Outcome {
    let words = memory::slice(start.args.len(), c"");
    for (word, given) in words.iter_mut().zip(start.args) {
        *word = given.as_cstr();
    }
    let global = parse([verbs::GLOBAL, verbs::COMMON], words.get(1..).unwrap_or(&[]), Order::BeforeWords);
    let global = global.map_err(misuse)?;
    if global.has(&verbs::VERSION) {
        return page(format_args!("{Version}"));
    }
    if let Some(outcome) = explain(&global, None) {
        return outcome;
    }
    let settings = Settings::read(&global).map_err(misuse)?;
    report::configure(settings.level, settings.log, settings.json)?;
    let Some((name, words)) = global.words.split_first() else {
        return Err(misuse(Error::says(format_args!("please specify a command")).hint("isopod --help lists them")));
    };
    let Some(verb) = verbs::find(name.to_bytes()) else {
        return Err(misuse(Error::says(format_args!("unknown command `{}`", Escaped(name.to_bytes())))));
    };
    let given = parse([verb.options, verbs::COMMON], words, verb.order).map_err(misuse)?;
    if let Some(outcome) = explain(&given, Some(verb)) {
        return outcome;
    }
    count(verb, given.words.len()).map_err(misuse)?;
    if verb.takes_id()
        && let Ok(id) = given.words[0].to_str()
    {
        report::about(id);
    }
    let context = Context { root: root(start, global.value(&verbs::ROOT)), manager: settings.manager, start: *start };
    (verb.run)(&context, &given)
}

/// Prints help if it was asked for.
fn explain(given: &Given, verb: Option<&'static Verb>) -> Option<Outcome> {
    if given.has(&verbs::HELP) {
        Some(page(format_args!("{}", Help(verb))))
    } else if given.has(&verbs::USAGE) {
        Some(page(format_args!("{}", Usage(verb))))
    } else {
        None
    }
}

fn page(text: core::fmt::Arguments<'_>) -> Outcome {
    report::print(memory::format(text))?;
    Ok(0)
}

/// Whether the verb got as many words as it wants.
fn count(verb: &Verb, words: usize) -> Result<()> {
    let (least, most) = verb.bounds();
    let (bound, number) = match words {
        0 if verb.takes_id() => return Err(Error::says(format_args!("please specify a ID for the container"))),
        few if few < least => ("minimum", least),
        many if many > most => ("maximum", most),
        _ => return Ok(()),
    };
    Err(Error::says(format_args!("`{}` requires a {bound} of {number} arguments", verb.name)))
}

/// What the global options say.
struct Settings {
    manager: Manager,
    level: Level,
    /// Where messages go, if not to standard error.
    log: Option<Log>,
    /// Whether they are JSON.
    json: bool,
}

impl Settings {
    fn read(global: &Given) -> Result<Settings> {
        if let Some(word) = global.value(&verbs::ROOTLESS)
            && !matches!(word.to_bytes(), b"true" | b"false" | b"auto")
        {
            return Err(invalid(&verbs::ROOTLESS, word, "it is true, false or auto"));
        }
        let manager = match value(global, &verbs::CGROUP_MANAGER) {
            None if global.has(&verbs::SYSTEMD_CGROUP) => Manager::Systemd,
            None => Manager::Cgroupfs,
            Some((b"cgroupfs", _)) => Manager::Cgroupfs,
            Some((b"disabled", _)) => Manager::Disabled,
            Some((b"systemd", _)) => Manager::Systemd,
            Some((_, word)) => return Err(invalid(&verbs::CGROUP_MANAGER, word, "unknown cgroup manager specified")),
        };
        let level = match value(global, &verbs::LOG_LEVEL) {
            None if global.has(&verbs::DEBUG) => Level::Debug,
            None => Level::Warning,
            Some((b"error", _)) => Level::Error,
            Some((b"warning", _)) => Level::Warning,
            Some((b"debug", _)) => Level::Debug,
            Some((b"trace", _)) => Level::Trace,
            Some((_, word)) => return Err(invalid(&verbs::LOG_LEVEL, word, "it is error, warning, debug or trace")),
        };
        let json = match value(global, &verbs::LOG_FORMAT) {
            None | Some((b"text", _)) => false,
            Some((b"json", _)) => true,
            Some((_, word)) => return Err(invalid(&verbs::LOG_FORMAT, word, "unknown log format type")),
        };
        let log = global.value(&verbs::LOG).map(log).transpose()?;
        Ok(Settings { manager, level, log, json })
    }
}

/// The option's value, also as bytes, for a match.
fn value(given: &Given, option: &Opt) -> Option<(&'static [u8], &'static CStr)> {
    given.value(option).map(|word| (word.to_bytes(), word))
}

/// What `--format` says.
fn as_json(given: &Given) -> Result<bool, Failure> {
    match value(given, &verbs::FORMAT) {
        None | Some((b"table", _)) => Ok(false),
        Some((b"json", _)) => Ok(true),
        Some((_, word)) => Err(misuse(invalid(&verbs::FORMAT, word, "it is table or json"))),
    }
}

/// `PATH`, or `SCHEME:REST`; a path with a colon in it needs the scheme.
fn log(word: &'static CStr) -> Result<Log> {
    let bytes = word.to_bytes();
    let Some(colon) = bytes.iter().position(|byte| *byte == b':') else { return Ok(Log::File(word)) };
    let rest = options::tail(word, colon + 1);
    match &bytes[..colon] {
        b"file" => Ok(Log::File(rest)),
        b"journald" => Ok(Log::Journal),
        b"syslog" => match rest.to_str() {
            Ok(name) => Ok(Log::Syslog(name)),
            Err(_) => Err(invalid(&verbs::LOG, word, "it is not UTF-8")),
        },
        _ => Err(invalid(&verbs::LOG, word, "unknown log type")),
    }
}

/// Where states are kept: where the user says; for root /run/isopod; for others, also for "root" of a user namespace,
/// the directory that is made for a session.
fn root(start: &Start, given: Option<&'static CStr>) -> &'static CStr {
    const OF_THE_SYSTEM: &CStr = c"/run/isopod";
    match given {
        // With a slash behind it, a symbolic link would be followed.
        Some(path) => options::without_slashes(path),
        None => match start.var("XDG_RUNTIME_DIR").and_then(|dir| utf8(dir.to_bytes())).filter(|dir| !dir.is_empty()) {
            Some(dir) if !is_real_root(start) => memory::joined(&[dir, "/isopod"]).unwrap_or(OF_THE_SYSTEM),
            _ => OF_THE_SYSTEM,
        },
    }
}

/// Whether we are root, and not only in a user namespace of somebody else.
fn is_real_root(start: &Start) -> bool {
    start.euid == 0 && !host::in_user_namespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted() {
        let verb = |name: &str| verbs::find(name.as_bytes()).expect("a verb");
        let complaint = |name, words| count(verb(name), words).map_err(|error| error.to_string()).err();
        assert_eq!(complaint("run", 1), None);
        assert_eq!(complaint("run", 0).as_deref(), Some("please specify a ID for the container"));
        assert_eq!(complaint("delete", 2).as_deref(), Some("`delete` requires a maximum of 1 arguments"));
        assert_eq!(complaint("list", 1).as_deref(), Some("`list` requires a maximum of 0 arguments"));
        assert_eq!(complaint("kill", 2), None);
    }

    #[test]
    fn logs_have_a_kind() {
        for (word, expected) in [
            (c"/x", Log::File(c"/x")),
            (c"file:/a:b", Log::File(c"/a:b")),
            (c"journald:x", Log::Journal),
            (c"syslog:", Log::Syslog("")),
            (c"syslog:name", Log::Syslog("name")),
        ] {
            assert_eq!(log(word).ok(), Some(expected), "{word:?}");
        }
        assert!(log(c"/a:b").is_err() && log(c"syslog:\xff").is_err());
    }
}
