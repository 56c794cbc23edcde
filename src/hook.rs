//! Running hooks, from either side: those of the runtime's namespaces by the runtime, those of the container's by init.
//!
//! A hook gets the container's state on standard input and nothing else: no descriptor, no variable, no ignored signal
//! of ours. Of what it writes the last line is kept, to say why it failed. Who runs it waits for its own end, not for
//! what it may have left running, which finds its standard output closed afterwards.

#![forbid(unsafe_code)]

use core::convert::Infallible;
use core::ffi::CStr;

use crate::error::{Context, Errno, Error, Result};
use crate::plan::hooks::{Hook, Hooks, STAGES, Stage};
use crate::sys::event::{PollFd, PollFlags, poll};
use crate::sys::file::{self, Mode, OFlags};
use crate::sys::process::{self, Clone, Vector};
use crate::sys::{AsFd, BorrowedFd, CWD, OwnedFd, fd, memory, shown, time, utf8};
use crate::warn;

/// What hooks are given.
#[derive(Clone, Copy)]
pub struct Runner<'a> {
    /// Which there are.
    pub hooks: Hooks<'a>,
    /// The container's state as a JSON object, without what changes: status and pid.
    state: &'a str,
    /// The bundle: where they start, if it can be reached.
    bundle: &'static CStr,
    /// Open files instead of the pipe that we read, for as long as we live.
    output: [Option<BorrowedFd<'static>>; 2],
}

/// What a hook must not outlive.
enum Expired {
    /// Its `timeout`.
    Time,
    /// The container that it is run for.
    Container,
}

/// Why a hook failed.
struct Failed {
    /// As a shell would say it.
    code: i32,
    error: Error,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed { code: 1, error }
    }
}

impl<'a> Runner<'a> {
    /// Opens what the hooks write to.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(hooks: Hooks<'a>, state: &'a str, bundle: &'static CStr) -> Result<Runner<'a>> {
        let mut output = [None, None];
        for (file, path) in output.iter_mut().zip(hooks.output) {
            let Some(path) = path else { continue };
            let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOCTTY;
            let opened = file::openat(CWD, path, flags, Mode::from_raw_mode(0o700));
            let opened = opened.context("open for the output of hooks", shown(path))?;
            *file = Some(fd::inherited(opened.leak()));
        }
        Ok(Runner { hooks, state, bundle, output })
    }

    /// The bundle's path.
    #[must_use]
    pub fn bundle(&self) -> &'static CStr {
        self.bundle
    }

    /// Runs the hooks of a stage, one after the other, until one fails. `pid` is init as they see it; `confine` is the
    /// last thing that is done in each before it is executed.
    ///
    /// # Errors
    /// The first failure.
    pub fn run(&self, stage: Stage, pid: i32, confine: &dyn Fn() -> Result<()>) -> Result<()> {
        let mut all = self.hooks.of(stage).iter();
        all.try_for_each(|hook| self.run_one(hook, stage, pid, confine)).map_err(|failed| failed.error)
    }

    /// Runs all `poststop` hooks, whatever they do: there is nothing left that could fail.
    pub fn run_poststop(&self) {
        for hook in self.hooks.of(Stage::Poststop) {
            if let Err(Failed { code, error }) = self.run_one(hook, Stage::Poststop, 0, &|| Ok(())) {
                warn!("poststop hook failed with exit code {code}: {error}");
            }
        }
    }

    fn run_one(&self, hook: &Hook<'_>, stage: Stage, pid: i32, confine: &dyn Fn() -> Result<()>) -> Result<(), Failed> {
        let name = shown(hook.path);
        let (_, status) = STAGES[stage as usize];
        let head = memory::format(format_args!("{{\"status\":\"{status}\",\"pid\":{pid},"));
        let mut input = [head, self.state.strip_prefix('{').unwrap_or_default()].map(str::as_bytes);
        let words = (Vector::new(hook.args), Vector::new(hook.env));
        let cannot = |errno| Error::errno("run the hook", name, errno);

        // We keep their ends open, too: nobody hears of the other's end, and nothing but the hook's own end counts.
        let (stdin, feed) = file::pipe().map_err(cannot)?;
        let (output, stdout) = file::pipe().map_err(cannot)?;
        for end in [&feed, &output] {
            fd::set_nonblocking(end.as_fd()).map_err(cannot)?;
        }
        // Whoever deletes the container meanwhile ends that, and waits for us.
        let init = match stage {
            Stage::Prestart | Stage::CreateRuntime => process::pidfd_open(pid).ok(),
            _ => None,
        };
        // Our caller may have ignored it, and then there would be nothing to wait for.
        process::reset_signal(process::SIGCHLD);
        let (pid, pidfd) = match process::fork().map_err(cannot)? {
            Clone::Parent { pid, pidfd } => (pid, pidfd),
            Clone::Child => {
                let Err(error) = self.become_hook(hook, stage, words, &stdin, &stdout, confine);
                let _ = file::write_all(stdout.as_fd(), memory::format(format_args!("{error}")).as_bytes());
                process::exit(127)
            }
        };

        let mut feed = Some(feed);
        let mut last = LastLine::default();
        let mut deadline = hook.timeout.map(|seconds| time::monotonic_raw() + u64::from(seconds) * 1_000_000_000);
        let mut expired = None;
        loop {
            if let Some(pipe) = feed.take_if(|pipe| !write_some(pipe.as_fd(), &mut input)) {
                // Only now it sees the end.
                pipe.close();
            }
            let more = feed.as_ref().map_or(pidfd.as_fd(), AsFd::as_fd);
            let init = init.as_ref().filter(|_| expired.is_none()).map_or(pidfd.as_fd(), AsFd::as_fd);
            let wanted = [
                (pidfd.as_fd(), PollFlags::IN),
                (output.as_fd(), PollFlags::IN),
                (more, PollFlags::OUT),
                (init, PollFlags::IN),
            ];
            let mut fds = wanted.map(|(fd, events)| PollFd::from_borrowed_fd(fd, events));
            let left = deadline.map(|end| end.saturating_sub(time::monotonic_raw()).div_ceil(1_000_000));
            let any = poll(&mut fds, left.map(|left| u32::try_from(left).unwrap_or(u32::MAX))).map_err(cannot)?;
            last.read(output.as_fd());
            if !fds[0].revents().is_empty() {
                break;
            }
            let why = match any {
                false => Expired::Time,
                true if !fds[3].revents().is_empty() => Expired::Container,
                true => continue,
            };
            if expired.is_none() {
                // With whatever it has started, as long as that has not gone its own way.
                let _ = process::kill(-pid, process::SIGKILL);
                let _ = process::pidfd_send_signal(pidfd.as_fd(), process::SIGKILL);
                (expired, deadline) = (Some(why), None);
            }
        }
        let status = process::wait(pid, true).map_err(cannot)?.map_or(0, |(_, status)| status);
        last.read(output.as_fd());
        let (code, signal) = (process::exit_code(status), status & 0x7f);
        let why = match (expired, signal) {
            (Some(Expired::Time), _) => memory::format(format_args!("timeout expired for `{name}`")),
            (Some(Expired::Container), _) => {
                return Err(Error::because("run the hook", name, "the container has ended meanwhile").into());
            }
            (None, 0) if code == 0 => return Ok(()),
            (None, 0) => memory::format(format_args!("error executing hook `{name}` (exit code: {code})")),
            (None, signal) => memory::format(format_args!("error executing hook `{name}` (signal: {signal})")),
        };
        Err(Failed { code, error: Error::because(why, "", last.text()) })
    }

    /// From the fork to execve(2).
    fn become_hook(
        &self,
        hook: &Hook<'_>,
        stage: Stage,
        (args, env): (Vector, Vector),
        stdin: &OwnedFd,
        stdout: &OwnedFd,
        confine: &dyn Fn() -> Result<()>,
    ) -> Result<Infallible> {
        let prepare = || {
            // A session of its own, to be killed as one.
            process::setsid()?;
            (1..=64).for_each(process::reset_signal);
            process::set_signal_mask(0);
            process::umask(0o022);
            if stage != Stage::StartContainer && process::chdir(self.bundle).is_err() {
                // Gone, or behind a directory that the container's root may not enter.
                process::chdir(c"/")?;
            }
            fd::dup_to_standard(stdin, 0)?;
            for (number, file) in (1..).zip(&self.output) {
                fd::dup_to_standard(file.unwrap_or(stdout.as_fd()), number)?;
            }
            // Those that the container keeps are not the hook's.
            fd::cloexec_from(3)
        };
        prepare().context("prepare", "the hook")?;
        confine()?;
        Err(process::execve(hook.path, &args, &env)).context("execve", shown(hook.path))
    }
}

/// Writes as much as the pipe takes; false when there is no more.
fn write_some(pipe: BorrowedFd<'_>, pieces: &mut [&[u8]]) -> bool {
    for piece in pieces {
        while !piece.is_empty() {
            match file::write(pipe, piece) {
                Ok(n) => *piece = &piece[n..],
                Err(errno) => return errno == Errno::AGAIN,
            }
        }
    }
    false
}

/// The last line that is not empty, or as much of its beginning as there is room for.
#[derive(Default)]
struct LastLine {
    bytes: heapless::Vec<u8, 512>,
    ended: bool,
}

impl LastLine {
    /// Takes in what has come.
    fn read(&mut self, pipe: BorrowedFd<'_>) {
        let mut buffer = [0; 1024];
        while let Ok(n @ 1..) = file::read(pipe, &mut buffer) {
            buffer[..n].iter().for_each(|byte| self.push(*byte));
        }
    }

    fn push(&mut self, byte: u8) {
        if byte == b'\n' {
            self.ended = true;
            return;
        }
        if core::mem::take(&mut self.ended) {
            self.bytes.clear();
        }
        // What is longer is cut.
        let _ = self.bytes.push(byte);
    }

    fn text(&self) -> &str {
        match core::str::from_utf8(&self.bytes) {
            Ok(text) => text,
            Err(error) => utf8(&self.bytes[..error.valid_up_to()]).unwrap_or(""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_says_something() {
        for (written, expected) in
            [("", ""), ("a", "a"), ("a\nb", "b"), ("a\nb\n\n", "b"), ("\n\na\n", "a"), ("é\u{1}\n", "é\u{1}")]
        {
            let mut last = LastLine::default();
            written.bytes().for_each(|byte| last.push(byte));
            assert_eq!(last.text(), expected, "{written:?}");
        }
        let mut last = LastLine::default();
        format!("{}é", "x".repeat(511)).bytes().for_each(|byte| last.push(byte));
        assert_eq!(last.text(), "x".repeat(511));
    }
}
