//! The last steps: the program is found, the descriptors are what they should be, and init becomes it.

use core::convert::Infallible;
use core::ffi::CStr;

use super::identity;
use crate::error::{Context, Errno, Error, Result};
use crate::link::Child;
use crate::plan::process::Process;
use crate::sys::file::{self, AtFlags, FileType};
use crate::sys::memory::{self, Growing};
use crate::sys::{AsFd, CWD, OwnedFd, fd, process, shown, time};

/// The directory that we are in must be one of the container: a descriptor that leaked, or a clever cwd, would show
/// as a path that is not below our root (CVE-2024-21626).
#[inline(never)]
pub(super) fn check_cwd() -> Result<()> {
    let mut buffer = [0; 4096];
    match process::getcwd(&mut buffer) {
        Ok([b'/', ..]) | Err(Errno::RANGE) => Ok(()),
        Ok(_) => Err(Error::because("process.cwd", "", "the current working directory is not an absolute path")),
        Err(Errno::NOENT) => {
            Err(Error::because("process.cwd", "", "the working directory is not accessible from the current namespace"))
        }
        Err(errno) => Err(Error::errno("getcwd", "", errno)),
    }
}

/// Everything of ours is close-on-exec already, and so is what the caller left open; those that the process keeps
/// lose that mark.
pub(super) fn keep_descriptors(count: u32) -> Result<()> {
    for number in (3..).take(count as usize) {
        fd::set_cloexec(number, false).map_err(|errno| {
            Error::errno("preserve the descriptor", memory::format(format_args!("{number}")), errno)
        })?;
    }
    Ok(())
}

/// What to execute. If nothing comes before that, a path need not be tried: execve(2) will, and if it fails, `replace` looks
/// why.
pub(super) fn program(process: &Process<'_>, at_once: bool) -> Result<&'static CStr> {
    match process.args {
        [path, ..] if at_once && process.seccomp.is_none() && path.to_bytes().contains(&b'/') => Ok(path),
        _ => find(process),
    }
}

/// Where the program is: as execvp(3) looks, with the container's PATH, and with the words that engines know.
fn find(process: &Process<'_>) -> Result<&'static CStr> {
    let Some(wanted) = process.args.first().copied() else {
        return Err(not_found("", " in $PATH"));
    };
    let word = shown(wanted);
    if word.contains('/') {
        return match file::access_execute(wanted) {
            Ok(()) => regular(wanted).map(|()| wanted),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(not_found(word, "")),
            Err(Errno::ACCESS) => Err(not_executable(wanted)),
            Err(errno) => Err(Error::errno("open", quoted(word), errno)),
        };
    }
    let mut refused = None;
    for directory in process.path.split(':') {
        if word.is_empty() {
            break;
        }
        // An empty part of PATH is the current directory.
        let directory = if directory.is_empty() { "." } else { directory };
        let Some(candidate) = memory::joined(&[directory, "/", word]) else { continue };
        match file::access_execute(candidate) {
            Ok(()) if regular(candidate).is_ok() => return Ok(candidate),
            Err(Errno::ACCESS) if refused.is_none() => refused = Some(candidate),
            _ => {}
        }
    }
    match refused {
        Some(candidate) => Err(not_executable(candidate)),
        None => Err(not_found(word, " in $PATH")),
    }
}

#[cold]
fn quoted(word: &str) -> &'static str {
    memory::format(format_args!("`{word}`"))
}

/// The reasons as Go writes them: from these, engines tell that a program is not there (exit status 127) or cannot be
/// executed (126), and Docker's client does not take strerror(3)'s capital letters for the same words.
const NOT_THERE: &str = "no such file or directory";
const NOT_ALLOWED: &str = "permission denied";

#[cold]
fn not_found(word: &str, place: &str) -> Error {
    Error::because("executable file", memory::format(format_args!("`{word}` not found{place}")), NOT_THERE)
}

#[cold]
fn not_executable(path: &CStr) -> Error {
    let word = shown(path);
    match file::fstatat(CWD, path, AtFlags::empty()) {
        Ok(stat) if stat.st_mode & 0o111 == 0 => the_path(word, "exists but it is not executable"),
        _ => Error::because("open", quoted(word), NOT_ALLOWED),
    }
}

#[cold]
fn the_path(word: &str, is: &str) -> Error {
    Error::because("the path", memory::format(format_args!("`{word}` {is}")), NOT_ALLOWED)
}

fn regular(path: &CStr) -> Result<()> {
    let word = shown(path);
    let stat = file::fstatat(CWD, path, AtFlags::empty()).context("stat", word)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
        return Ok(());
    }
    Err(the_path(word, "is not a regular file"))
}

/// The environment, and what is only known now: HOME, and the number that sd_listen_fds(3) compares with its own.
pub(super) fn environment(process: &Process<'_>, home: Option<&'static CStr>) -> process::Vector {
    let pid = if process.listens {
        memory::cstr(memory::format(format_args!("LISTEN_PID={}", process::getpid())))
    } else {
        None
    };
    let more = [home, pid];
    if more.iter().all(Option::is_none) {
        return process::Vector::new(process.env);
    }
    let mut env = Growing::new();
    process.env.iter().copied().chain(more.into_iter().flatten()).for_each(|entry| env.push(entry));
    process::Vector::new(env.as_slice())
}

/// Waits until somebody has opened the fifo for writing: that, not what is written, is `start`, so that one who dies
/// in between has started the container all the same.
pub(super) fn wait_for_start(fifo: &OwnedFd) -> Result<()> {
    time::wait_readable(fifo.as_fd(), None).context("wait for", "start").map(drop)
}

/// The caller may have ignored signals (bit 0 is the first), which execve(2) would hand on: a Go program does that to
/// SIGPIPE, nohup(1) to SIGHUP. And we have blocked them all.
pub(super) fn reset_signals(ignored: u32, mask: process::SignalSet) {
    for signal in (1..32).filter(|signal| ignored >> (signal - 1) & 1 != 0) {
        process::reset_signal(signal);
    }
    process::set_signal_mask(mask);
}

/// A filter with a listener, of a process without new privileges, is installed while the runtime is there: it passes the
/// listener on, and a listener that nobody wants is its failure.
pub(super) fn install_listened(planned: &Process<'_>, link: &Child) -> Result<()> {
    if planned.no_new_privs && notifies(planned) { identity::install_filter(planned, link) } else { Ok(()) }
}

/// Any other filter of such a process is installed as late as can be: it has to allow nothing of what we do, but execve(2).
pub(super) fn install_last(planned: &Process<'_>, link: &Child) -> Result<()> {
    if planned.no_new_privs && !notifies(planned) { identity::install_filter(planned, link) } else { Ok(()) }
}

fn notifies(planned: &Process<'_>) -> bool {
    planned.seccomp.is_some_and(|filter| filter.notifies())
}

pub(super) fn replace(
    planned: &Process<'_>,
    link: &Child,
    program: &CStr,
    args: &process::Vector,
    env: &process::Vector,
) -> Result<Infallible> {
    install_last(planned, link)?;
    let errno = process::execve(program, args, env);
    if planned.seccomp.is_none() {
        find(planned)?;
    }
    let word = shown(program);
    // The file is there: what is missing is its interpreter.
    let doing = if errno == Errno::NOENT {
        "exec container process (missing dynamic library?)"
    } else {
        "exec container process"
    };
    let error = Error::errno(doing, quoted(word), errno);
    let labelled = planned.labels.apparmor.or(planned.labels.selinux).is_some();
    Err(match errno {
        Errno::PERM | Errno::ACCESS if labelled => error.hint("perhaps not under its label"),
        _ => error,
    })
}
