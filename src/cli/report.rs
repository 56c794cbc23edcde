//! The only place that prints: results on standard output, messages on standard error or into the log.
//!
//! A message is one line and one write(2), so that lines of several processes (the runtime and the container's init,
//! many runtimes with one log) never mix. The sink keeps its state in statics, because init inherits those.

#![forbid(unsafe_code)]

use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use crate::date::Timestamp;
use crate::error::{Context as _, Error, Result};
use crate::json::{self, Style};
use crate::log::{self, Level};
use crate::sys::fd::{self, BorrowedFd};
use crate::sys::file::{self, Mode, OFlags};
use crate::sys::{CWD, memory};

const STANDARD_OUTPUT: i32 = 1;
const STANDARD_ERROR: i32 = 2;

/// Where messages go.
static DESTINATION: AtomicI32 = AtomicI32::new(STANDARD_ERROR);
/// Whether they go there as JSON.
static JSON: AtomicBool = AtomicBool::new(false);

/// Sends messages up to `level` to the end of a file, if one is given, and as JSON, if wanted.
///
/// # Errors
/// If the file cannot be opened.
pub fn configure(level: Level, path: Option<&CStr>, json: bool) -> Result<()> {
    if let Some(path) = path {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOCTTY;
        let opened = file::openat(CWD, path, flags, Mode::from_raw_mode(0o600));
        // It stays open to the very end: whoever still runs may have something to say.
        let log = opened.context_with("open log", format_args!("{}", path.to_bytes().escape_ascii()))?;
        DESTINATION.store(log.leak(), Ordering::Relaxed);
    }
    JSON.store(json, Ordering::Relaxed);
    log::set(level, sink);
    Ok(())
}

/// The sink of `log`.
fn sink(level: Level, message: &str) {
    let line = if JSON.load(Ordering::Relaxed) {
        json_line(level, message, Timestamp::now())
    } else if DESTINATION.load(Ordering::Relaxed) == STANDARD_ERROR {
        plain_line(level, message)
    } else {
        memory::format(format_args!("{}: {}", Timestamp::now(), plain_line(level, message)))
    };
    // A log that cannot be written is no reason to stop a container.
    let _ = file::write_all(destination(), line.as_bytes());
}

/// One line, whatever is in the message: a file may be called anything.
fn plain_line(level: Level, message: &str) -> &'static str {
    let printable = memory::copy(message.as_bytes());
    printable.iter_mut().filter(|byte| byte.is_ascii_control()).for_each(|byte| *byte = b'?');
    let message = core::str::from_utf8(printable).unwrap_or(message);
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
    fd::inherited(DESTINATION.load(Ordering::Relaxed))
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
    if DESTINATION.load(Ordering::Relaxed) == STANDARD_ERROR {
        return true;
    }
    match (file::fstat(destination()), file::fstat(fd::standard(STANDARD_ERROR))) {
        (Ok(log), Ok(stderr)) => (log.st_dev, log.st_ino) == (stderr.st_dev, stderr.st_ino),
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
    fn lines() {
        let time = Timestamp { seconds: 0, nanos: 1000 };
        assert_eq!(plain_line(Level::Warning, "x"), "isopod: warning: x\n");
        assert_eq!(
            json_line(Level::Error, "a \"b\"\n\u{1}é", time),
            "{\"msg\":\"a \\\"b\\\"\\n\\u0001é\",\"level\":\"error\",\"time\":\"1970-01-01T00:00:00.000001Z\"}\n"
        );
    }
}
