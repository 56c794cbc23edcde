//! The log sink: who speaks decides the level, `cli::report` decides where it goes and how it looks. Until then, and
//! in the library's tests, only warnings and errors are printed, as plain text on standard error.
//!
//! The sink is a function and a level, set once before anything is cloned, so that the container's side logs the same
//! way.

use core::fmt;
use core::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

use crate::error::Errno;
use crate::sys::{self, memory};

/// How much is said; a message is printed if its level is not above the one chosen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Level {
    /// What makes the command fail.
    Error = 0,
    /// What does not stop us, and says so.
    Warning = 1,
    /// What was decided and done.
    Debug = 2,
    /// Every system call with its result and time: `--log-level=trace`.
    Trace = 3,
}

/// Where messages go.
pub type Sink = fn(Level, &str);

// Zeroed, as all our variables are: so the program's writable pages are nowhere in its file (`sys::exe`).
static LEVEL: AtomicU8 = AtomicU8::new(Level::Error as u8);
static SINK: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Chooses level and destination.
pub fn set(level: Level, sink: Sink) {
    LEVEL.store(level as u8, Ordering::Relaxed);
    SINK.store(sink as *mut (), Ordering::Relaxed);
}

/// Whether messages of this level are printed.
#[inline]
#[must_use]
pub fn enabled(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}

/// Says it; formatting costs nothing unless somebody listens.
pub fn log(level: Level, message: fmt::Arguments<'_>) {
    if enabled(level) {
        emit(level, memory::format(message));
    }
}

#[cold]
fn emit(level: Level, message: &str) {
    let sink = SINK.load(Ordering::Relaxed);
    // The calls that write a line have no line of their own, or there would be no end of them.
    let listened = LEVEL.swap(Level::Error as u8, Ordering::Relaxed);
    if sink.is_null() {
        let line = memory::format(format_args!("isopod: {}: {message}\n", level.name()));
        sys::file::write_all_stderr(line.as_bytes());
    } else {
        sys::call_sink(sink, level, message);
    }
    LEVEL.store(listened, Ordering::Relaxed);
}

impl Level {
    /// The word in the JSON log's `level` key and in front of text lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }
}

/// `warn!("cgroup.freeze: {}, ignored", ...)`.
#[macro_export]
macro_rules! warn {
    ($($words:tt)*) => { $crate::log::log($crate::log::Level::Warning, format_args!($($words)*)) };
}

/// `debug!("joined {}", ...)`.
#[macro_export]
macro_rules! debug {
    ($($words:tt)*) => { $crate::log::log($crate::log::Level::Debug, format_args!($($words)*)) };
}

/// The end, where no error can be returned any more.
#[cold]
pub fn die(doing: &'static str, subject: &str, errno: Errno) -> ! {
    sys::file::write_all_stderr(b"isopod: error: ");
    for piece in [doing, " ", subject, ": ", sys::errno::describe(errno), "\n"] {
        sys::file::write_all_stderr(piece.as_bytes());
    }
    sys::process::exit(1)
}

/// A defect of ours: say where, and end. A table of the places in the source would be 16 KiB of the binary, so only a
/// debug build has it; another one names the addresses that led here, which a build of the same commit with its symbols
/// (`CARGO_PROFILE_RELEASE_STRIP=none`) explains.
#[cold]
pub fn panic(info: &core::panic::PanicInfo<'_>, callers: impl Iterator<Item = usize>) -> ! {
    sys::file::write_all_stderr(b"isopod: error: internal: a defect of isopod");
    let mut digits = [0; 20];
    if cfg!(debug_assertions) {
        if let Some(place) = info.location() {
            for piece in [" at ", place.file(), ":", sys::decimal(u64::from(place.line()), &mut digits)] {
                sys::file::write_all_stderr(piece.as_bytes());
            }
        }
    } else {
        for address in callers {
            sys::file::write_all_stderr(b" ");
            sys::file::write_all_stderr(sys::hexadecimal(address as u64, &mut digits).as_bytes());
        }
    }
    sys::file::write_all_stderr(b"\n");
    sys::process::exit(1)
}
