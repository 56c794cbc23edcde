//! Init as seen from outside. A pid alone says little, for numbers are reused: with the time at which the process
//! started it names one process for ever, and signals go through a descriptor of that process only.

#![forbid(unsafe_code)]

use crate::error::{Context as _, Error, Result};
pub use crate::sys::process::SIGKILL;
use crate::sys::{self, AsFd, BorrowedFd, CWD, Errno, OwnedFd, file, memory, process, time, utf8};

/// How long a killed process may take to end before we give up: it can hang in the kernel, on a dead NFS server say.
const PATIENCE_MS: u32 = 10_000;

/// What `/proc/PID/stat` says of a process: proc_pid_stat(5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stat {
    /// Field 3: `R` running, `Z` zombie, ...
    pub letter: u8,
    /// Field 20: how many threads it has left.
    pub threads: u32,
    /// Field 22: when it started, in clock ticks since boot.
    pub start_time: u64,
    /// Field 33: the signals from 1 to 31 that it ignores, bit 0 for the first.
    pub ignored: u32,
}

/// Which freezer may hold a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freezer {
    /// It runs.
    None,
    /// It sleeps, and so do those that version 2 has frozen.
    NoneOrV2,
    /// It looks like one that version 1 has frozen (`D`), or is stopped (`T`), frozen or not.
    Any,
}

impl Stat {
    /// Of the process with this number now; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(pid: i32) -> Result<Option<Stat>> {
        Stat::read(memory::format(format_args!("/proc/{pid}/stat")))
    }

    /// Of this process.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn own() -> Result<Stat> {
        Stat::read("/proc/self/stat")?.ok_or(Errno::NOENT).context("read", "/proc/self/stat")
    }

    fn read(path: &'static str) -> Result<Option<Stat>> {
        // One read gives it whole: the kernel makes the line at once, and it is never as long as this.
        let mut line = [0; 1024];
        let read = memory::cstr(path).ok_or(Errno::INVAL).and_then(file::open);
        match read.and_then(|stat| file::read(stat.as_fd(), &mut line)) {
            Ok(n) => Stat::parse(&line[..n]).map(Some).ok_or(Errno::BADMSG).context("read", path),
            Err(Errno::NOENT | Errno::SRCH) => Ok(None),
            Err(errno) => Err(errno).context("read", path),
        }
    }

    pub(crate) fn parse(line: &[u8]) -> Option<Stat> {
        // The name, in parentheses, is the process's own choice and may hold blanks and parentheses: the last one
        // ends it. Field 3 follows.
        let after_name = line.iter().rposition(|byte| *byte == b')')? + 1;
        let mut fields = utf8(&line[after_name..])?.split_ascii_whitespace();
        let letter = *fields.next()?.as_bytes().first()?;
        let threads = sys::natural(fields.nth(20 - 4)?)?;
        let start_time = sys::natural(fields.nth(22 - 21)?)?;
        let ignored = sys::natural(fields.nth(33 - 23)?)?;
        Some(Stat { letter, threads, start_time, ignored })
    }

    /// Whether it is the process that started then, and runs.
    #[must_use]
    pub fn is_of(&self, start_time: u64) -> bool {
        self.start_time == start_time && !self.has_ended()
    }

    /// What its letter tells of the freezers of cgroups.
    #[must_use]
    pub fn freezer(&self) -> Freezer {
        match self.letter {
            b'R' => Freezer::None,
            b'S' => Freezer::NoneOrV2,
            _ => Freezer::Any,
        }
    }

    /// Whether it runs no more: a zombie, or being taken away. A process whose first thread has ended while others go
    /// on looks like a zombie too.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        match self.letter {
            b'Z' => self.threads <= 1,
            b'X' | b'x' => true,
            _ => false,
        }
    }
}

/// When a process started: what is to be remembered of it beside its number.
///
/// # Errors
/// If it has ended.
pub fn start_time(pid: i32) -> Result<u64> {
    let stat = Stat::of(pid)?.ok_or(Errno::SRCH).context_with("read", format_args!("/proc/{pid}/stat"))?;
    Ok(stat.start_time)
}

/// A process that is certainly the one meant.
pub struct Process {
    pid: i32,
    pidfd: OwnedFd,
    /// What it was when it was opened.
    pub stat: Stat,
}

impl Process {
    /// The process that had this number and started at this time; `None` if it has ended. The descriptor is made
    /// first: if the number still means the same process afterwards, so does the descriptor.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(pid: i32, start_time: u64) -> Result<Option<Process>> {
        if pid <= 0 {
            return Ok(None);
        }
        let pidfd = match process::pidfd_open(pid) {
            Ok(pidfd) => pidfd,
            // The number of none, or (by the kernel's version) of a thread, also of one that is being taken away.
            Err(Errno::SRCH | Errno::NOENT | Errno::INVAL) => return Ok(None),
            Err(errno) => return Err(errno).context_with("pidfd_open", format_args!("{pid}")),
        };
        let stat = Stat::of(pid)?.filter(|stat| stat.is_of(start_time));
        Ok(stat.map(|stat| Process { pid, pidfd, stat }))
    }

    /// Its descriptor, to wait for its end.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Its descriptor.
    #[must_use]
    pub fn into_pidfd(self) -> OwnedFd {
        self.pidfd
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// ESRCH if it has ended meanwhile.
    pub fn signal(&self, signal: u32) -> Result<()> {
        process::pidfd_send_signal(self.pidfd.as_fd(), signal)
            .context_with("signal", format_args!("process {}", self.pid))
    }

    /// Waits until it is gone, at most so many milliseconds, and until a file of the kernel's that notifies says
    /// something new. Whether it is gone.
    ///
    /// # Errors
    /// The kernel's.
    pub fn wait_or(&self, other: Option<BorrowedFd<'_>>, milliseconds: u32) -> Result<bool, Errno> {
        time::wait_either(self.pidfd.as_fd(), other, milliseconds)
    }

    /// Waits until it is gone, as it will be when it has been killed.
    ///
    /// # Errors
    /// If it does not end.
    pub fn wait(&self) -> Result<()> {
        match time::wait_readable(self.pidfd.as_fd(), Some(PATIENCE_MS)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::says(format_args!("process {}: still there 10 s after SIGKILL", self.pid))),
            Err(errno) => Err(errno).context_with("wait for", format_args!("process {}", self.pid)),
        }
    }
}

/// Writes to a file of a process in the host's procfs.
pub(super) fn put_proc(pid: i32, name: &str, value: &str) -> Result<()> {
    let path = memory::format(format_args!("/proc/{pid}/{name}"));
    let write = || {
        let path = memory::cstr(path).ok_or(Errno::INVAL)?;
        file::put(CWD, path, value.as_bytes())
    };
    write().context("write", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_process_cannot_lie() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 3 18 4242 23 24 25 26 27 28 29 30 31 32 4096 34\n";
        for name in ["sh", "a b", ") Z (", "x) R 1 2 3", ""] {
            let line = format!("17 ({name}) {rest}");
            let stat = Stat::parse(line.as_bytes());
            assert_eq!(stat, Some(Stat { letter: b'S', threads: 3, start_time: 4242, ignored: 4096 }), "{line}");
        }
        for bad in ["", "1 (x", "1 (x)", "1 (x) S", "1 (x) S 1 2 3"] {
            assert_eq!(Stat::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn zombies_have_ended_unless_a_thread_goes_on() {
        let stat = |letter, threads| Stat { letter, threads, start_time: 1, ignored: 0 };
        assert!(stat(b'Z', 1).has_ended() && stat(b'X', 0).has_ended());
        assert!(!stat(b'Z', 2).has_ended() && !stat(b'T', 1).has_ended());
    }

    #[test]
    fn only_the_very_process_is_found() {
        let pid = process::getpid();
        let stat = Stat::of(pid).expect("readable").expect("we run");
        assert!(Process::open(pid, stat.start_time).expect("readable").is_some());
        assert!(Process::open(pid, stat.start_time + 1).expect("readable").is_none());
        assert!(Process::open(0, 0).expect("readable").is_none());
        assert!(Stat::of(i32::MAX).expect("readable").is_none());
    }
}
