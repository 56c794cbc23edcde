//! The only place that prints: results on standard output, messages on standard error or into the log.
//!
//! A message is one line and one write(2), so that lines of several processes (the runtime and the container's init,
//! many runtimes with one log) never mix. The sink keeps its state in statics, because init inherits those.

#![forbid(unsafe_code)]

use core::ffi::CStr;
use core::fmt::{Display, Formatter};
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use crate::date::Timestamp;
use crate::error::{Context as _, Error, Escaped, Result};
use crate::json::{self, Style};
use crate::log::{self, Level};
use crate::sys::fd::{self, BorrowedFd};
use crate::sys::file::{self, Mode, OFlags};
use crate::sys::memory::{self, Once};
use crate::sys::{CWD, OwnedFd, socket, utf8};

const STANDARD_OUTPUT: i32 = 1;
const STANDARD_ERROR: i32 = 2;

/// The log's descriptor; 0, which a log never has, is for standard error.
static DESTINATION: AtomicI32 = AtomicI32::new(0);
/// Whether they go there as JSON.
static JSON: AtomicBool = AtomicBool::new(false);
/// What `--log` says.
static LOG: Once<Log> = Once::new();
/// Which container the command is about.
static CONTAINER: Once<&str> = Once::new();

/// Where messages can go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Log {
    /// To the end of a file.
    File(&'static CStr),
    /// To journald.
    Journal,
    /// To syslogd, under this name; an empty one stands for the container's.
    Syslog(&'static str),
}

impl Log {
    fn open(self) -> Result<OwnedFd> {
        let (path, opened) = match self {
            Log::File(path) => {
                let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOCTTY;
                (path, file::openat(CWD, path, flags, Mode::from_raw_mode(0o600)))
            }
            Log::Journal => (JOURNAL, socket::connect_datagram(JOURNAL)),
            Log::Syslog(_) => (SYSLOG, socket::connect_datagram(SYSLOG)),
        };
        opened.context_with("open log", format_args!("{}", Escaped(path.to_bytes())))
    }
}

const JOURNAL: &CStr = c"/run/systemd/journal/socket";
const SYSLOG: &CStr = c"/dev/log";

/// Sends messages up to `level` to a log, if one is given, and as JSON, if wanted and if it is a file.
///
/// # Errors
/// If the log cannot be opened.
pub fn configure(level: Level, log: Option<Log>, json: bool) -> Result<()> {
    if let Some(log) = log {
        // It stays open to the very end: whoever still runs may have something to say.
        DESTINATION.store(log.open()?.leak(), Ordering::Relaxed);
        LOG.set(log);
    }
    JSON.store(json, Ordering::Relaxed);
    log::set(level, sink);
    Ok(())
}

/// The sink of `log`.
fn sink(level: Level, message: &str) {
    let line = match LOG.get() {
        Some(Log::Journal) => journal_entry(level, message, container()),
        Some(Log::Syslog(name)) => syslog_line(level, message, name),
        Some(Log::File(_)) | None => file_line(level, message),
    };
    // A log that cannot be written is no reason to stop a container.
    let _ = file::write_all(destination(), line.as_bytes());
}

fn container() -> &'static str {
    CONTAINER.get().unwrap_or("")
}

fn file_line(level: Level, message: &str) -> &'static str {
    if JSON.load(Ordering::Relaxed) {
        json_line(level, message, Timestamp::now())
    } else if DESTINATION.load(Ordering::Relaxed) == 0 {
        plain_line(level, message)
    } else {
        memory::format(format_args!("{}: {}", Timestamp::now(), plain_line(level, message)))
    }
}

/// The container that the command is about, for logs that say so.
pub fn about(container: &'static str) {
    CONTAINER.set(container);
}

/// syslog(3)'s number for a level.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warning => 4,
        Level::Debug | Level::Trace => 7,
    }
}

/// journald's own protocol: a field in a line. One that has lines itself would need a length before it; a message of
/// ours has none, and if it had, they become blanks.
fn journal_entry(level: Level, message: &str, container: &str) -> &'static str {
    let message = OneLine(message);
    let id = if container.is_empty() { "" } else { memory::format(format_args!("ID={container}\n")) };
    memory::format(format_args!("PRIORITY={}\nSYSLOG_IDENTIFIER=isopod\nMESSAGE={message}\n{id}", priority(level)))
}

/// `<PRIORITY>NAME: MESSAGE`, in facility "user"; whoever receives it adds the time.
fn syslog_line(level: Level, message: &str, name: &str) -> &'static str {
    const USER: u8 = 1 << 3;
    let name = [name, container(), "isopod"].into_iter().find(|name| !name.is_empty()).unwrap_or("");
    memory::format(format_args!("<{}>{name}: {}", USER | priority(level), OneLine(message)))
}

struct OneLine<'m>(&'m str);

impl Display for OneLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> core::fmt::Result {
        self.0.split('\n').enumerate().try_for_each(|(at, line)| {
            f.write_str(if at == 0 { "" } else { " " })?;
            f.write_str(line)
        })
    }
}

/// One line, whatever is in the message: a file may be called anything.
fn plain_line(level: Level, message: &str) -> &'static str {
    let printable = memory::copy(message.as_bytes());
    printable.iter_mut().filter(|byte| byte.is_ascii_control()).for_each(|byte| *byte = b'?');
    let message = utf8(printable).unwrap_or(message);
    memory::format(format_args!("isopod: {}: {message}\n", level.name()))
}

/// Engines read `msg`, `level` and `time`, in crun's order.
fn json_line(level: Level, message: &str, time: Timestamp) -> &'static str {
    let line = json::text(Style::Compact, |w| {
        w.object(|w| {
            w.member("msg", message);
            w.member("level", level.name());
            w.member("time", memory::format(format_args!("{time}")));
        });
    });
    memory::format(format_args!("{line}\n"))
}

fn destination() -> BorrowedFd<'static> {
    match DESTINATION.load(Ordering::Relaxed) {
        0 => fd::standard(STANDARD_ERROR),
        log => fd::inherited(log),
    }
}

/// Says why a command failed: in the log, for engines, and in plain words on standard error, for people, unless that
/// is where the log goes anyway.
pub fn error(error: &Error) {
    let message = memory::format(format_args!("{error}"));
    sink(Level::Error, message);
    if !logs_to_standard_error() {
        file::write_all_stderr(plain_line(Level::Error, message).as_bytes());
    }
}

/// Whether the log is standard error, be it opened again by a name (`--log /dev/stderr`, or `2> FILE --log FILE`).
fn logs_to_standard_error() -> bool {
    if DESTINATION.load(Ordering::Relaxed) == 0 {
        return true;
    }
    match (file::fstat(destination()), file::fstat(fd::standard(STANDARD_ERROR))) {
        (Ok(log), Ok(stderr)) => file::is_same(&log, &stderr),
        _ => false,
    }
}

/// Prints a command's result.
///
/// # Errors
/// The kernel's: a full disk, say. A result that nobody gets is a failure.
pub fn print(text: &str) -> Result<()> {
    file::write_all(fd::standard(STANDARD_OUTPUT), text.as_bytes()).context("write", "standard output")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams() {
        assert_eq!(
            journal_entry(Level::Error, "a\nMESSAGE=b", "c1"),
            "PRIORITY=3\nSYSLOG_IDENTIFIER=isopod\nMESSAGE=a MESSAGE=b\nID=c1\n"
        );
        assert_eq!(journal_entry(Level::Debug, "x", ""), "PRIORITY=7\nSYSLOG_IDENTIFIER=isopod\nMESSAGE=x\n");
        assert_eq!(syslog_line(Level::Warning, "x\ny", "name"), "<12>name: x y");
    }

    #[test]
    fn lines() {
        let time = Timestamp { seconds: 0, nanos: 1000 };
        assert_eq!(plain_line(Level::Warning, "x"), "isopod: warning: x\n");
        assert_eq!(
            json_line(Level::Error, "a \"b\"\n\u{1}é", time),
            "{\"msg\":\"a \\\"b\\\"\\n\\u0001é\",\"level\":\"error\",\"time\":\"1970-01-01T00:00:00.000001Z\"}\n"
        );
    }
}
