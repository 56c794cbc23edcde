//! `run` without `--detach`: the runtime stays, hands signals on to the container, reaps what dies, and relays between
//! the caller's terminal and the container's. Idle, it is one blocked system call.

use super::notify::Notify;
use crate::error::{Context, Errno, Error, Result};
use crate::sys::event::{PollFd, PollFlags, poll};
use crate::sys::process::{self, SIGCHLD, SignalSet};
use crate::sys::{AsFd, BorrowedFd, OwnedFd, fd, file, terminal, time};
use crate::warn;

const SIGPIPE: u32 = 13;
const SIGWINCH: u32 = 28;
/// Every signal that can be blocked.
pub(super) const ALL: SignalSet = SignalSet::MAX;

/// The container's init, as its parent sees it.
pub(super) struct Init {
    pub pid: i32,
    pub pidfd: OwnedFd,
}

impl Init {
    /// Reaps whatever has ended; the exit code of init, if that was it.
    fn reap(&self) -> Result<Option<i32>> {
        loop {
            match process::wait(-1, false) {
                Ok(Some((pid, status))) if pid == self.pid => return Ok(Some(process::exit_code(status))),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                Err(errno) => return Err(errno).context("wait4", "for the container's init"),
            }
        }
    }

    /// Handles the signals that have come; the exit code of init, if it has ended. `resized` is what to do when the
    /// caller's terminal has another size.
    fn read_signals(&self, signals: &OwnedFd, resized: &dyn Fn()) -> Result<Option<i32>> {
        let mut code = None;
        while let Some(signal) = process::read_signal(signals.as_fd()).context("read", "signals")? {
            match signal {
                SIGCHLD if code.is_none() => code = self.reap()?,
                SIGCHLD => {}
                SIGWINCH => resized(),
                // Our own: whoever read what the container writes has gone.
                SIGPIPE => {}
                signal => self.forward(signal),
            }
        }
        Ok(code)
    }

    /// A signal that came to us is meant for the container; that it has just ended shows when it is reaped.
    fn forward(&self, signal: u32) {
        let _ = process::pidfd_send_signal(self.pidfd.as_fd(), signal);
    }
}

/// Waits for the end of the container without a terminal. All signals are blocked.
pub(super) fn supervise(init: &Init, notify: Option<&Notify>) -> Result<i32> {
    if let Some(notify) = notify
        && let Some(code) = until_ready(init, notify)?
    {
        return Ok(code);
    }
    // If it has ended before we look, SIGCHLD is there: it is blocked since before the clone.
    loop {
        match process::wait_signal(ALL).context("rt_sigtimedwait", "")? {
            SIGCHLD => {
                if let Some(code) = init.reap()? {
                    return Ok(code);
                }
            }
            signal => init.forward(signal),
        }
    }
}

/// The same until the container says that it is ready; its exit code, if it never does.
fn until_ready(init: &Init, notify: &Notify) -> Result<Option<i32>> {
    let signals = process::signalfd(ALL).context("signalfd4", "")?;
    // It may have ended before we looked.
    let mut code = init.reap()?;
    while code.is_none() {
        if time::wait_two(notify.fd(), signals.as_fd()).context("poll", "")? {
            if notify.is_ready(init.pid) {
                return Ok(None);
            }
        } else {
            code = init.read_signals(&signals, &|| {})?;
        }
    }
    Ok(code)
}

/// The same with the container's terminal, whose other side is `master`.
pub(super) fn relay(init: &Init, master: &OwnedFd, notify: Option<&Notify>) -> Result<i32> {
    let signals = process::signalfd(ALL).context("signalfd4", "")?;
    let caller = CallersTerminal::take(master.as_fd());
    let mut relay = Relay::new(master.as_fd(), notify);
    let result = relay.run(init, &signals);
    // What the container wrote last is out; now the terminal is the caller's again.
    drop(caller);
    if let Some(errno) = relay.output.lost.filter(|errno| *errno != Errno::PIPE) {
        warn!("{}, output is lost", Error::errno("relay", "the container's terminal", errno));
    }
    result
}

/// The caller's terminal in raw mode, if standard input is one: keys go to the container as they are.
struct CallersTerminal(Option<terminal::Termios>);

impl CallersTerminal {
    fn take(master: BorrowedFd<'_>) -> CallersTerminal {
        let stdin = fd::standard(0);
        let Ok(before) = terminal::attributes(stdin) else { return CallersTerminal(None) };
        copy_size(master);
        match terminal::set_attributes(stdin, &terminal::raw(&before)) {
            Ok(()) => CallersTerminal(Some(before)),
            Err(_) => CallersTerminal(None),
        }
    }
}

impl Drop for CallersTerminal {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = terminal::set_attributes(fd::standard(0), before);
        }
    }
}

/// How large the caller's terminal is (rows, columns), if standard input is one.
pub(super) fn caller_size() -> Option<(u16, u16)> {
    terminal::winsize(fd::standard(0)).ok().map(|size| (size.ws_row, size.ws_col))
}

/// The container's terminal is as large as the caller's; if standard input is no terminal, as it was.
fn copy_size(master: BorrowedFd<'_>) {
    if let Ok(size) = terminal::winsize(fd::standard(0)) {
        let _ = terminal::set_winsize(master, size);
    }
}

/// One direction: what was read and is not written yet.
struct Flow {
    buffer: [u8; 4096],
    start: usize,
    end: usize,
    open: bool,
    /// Why something was, the first time.
    lost: Option<Errno>,
}

impl Flow {
    const fn new() -> Flow {
        Flow { buffer: [0; 4096], start: 0, end: 0, open: true, lost: None }
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Reads once, when there is nothing left to write. The end, which a pty says by EIO, closes the flow, and so does an
    /// error.
    fn fill(&mut self, from: BorrowedFd<'_>) {
        match file::read(from, &mut self.buffer) {
            Ok(n) if n > 0 => (self.start, self.end) = (0, n),
            Err(Errno::AGAIN) => {}
            Ok(_) | Err(Errno::IO) => self.open = false,
            Err(errno) => {
                self.open = false;
                self.lost = self.lost.or(Some(errno));
            }
        }
    }

    /// Writes once, what goes.
    fn drain(&mut self, to: BorrowedFd<'_>) {
        match file::write(to, &self.buffer[self.start..self.end]) {
            Ok(n) => self.start += n,
            Err(Errno::AGAIN) => {}
            // Nobody takes it: it is lost, as with any pipe.
            Err(errno) => {
                (self.start, self.end) = (0, 0);
                self.lost = self.lost.or(Some(errno));
            }
        }
    }
}

/// Both directions.
struct Relay<'fd> {
    master: BorrowedFd<'fd>,
    input: Flow,
    output: Flow,
    /// As long as the container may say that it is ready.
    notify: Option<&'fd Notify>,
}

impl<'fd> Relay<'fd> {
    fn new(master: BorrowedFd<'fd>, notify: Option<&'fd Notify>) -> Relay<'fd> {
        // A container that does not read its terminal must not keep us from writing its output.
        let _ = fd::set_nonblocking(master);
        Relay { master, input: Flow::new(), output: Flow::new(), notify }
    }

    /// Until init has ended and its last output is written.
    fn run(&mut self, init: &Init, signals: &OwnedFd) -> Result<i32> {
        // It may have ended before we looked.
        let mut code = init.reap()?;
        loop {
            if let Some(code) = code {
                // Others may hold the terminal open; what is in it now is all that we wait for.
                self.flush();
                return Ok(code);
            }
            let [signalled, stdin, master, stdout, notified] = self.wait(signals)?;
            if signalled {
                code = init.read_signals(signals, &|| copy_size(self.master))?;
            }
            if notified && self.notify.is_some_and(|notify| notify.is_ready(init.pid)) {
                self.notify = None;
            }
            if stdin {
                self.input.fill(fd::standard(0));
            }
            if master {
                self.master_ready();
            }
            if stdout {
                self.output.drain(fd::standard(1));
            }
        }
    }

    /// Waits until something can be done: a signal is there, input can be read, the master can be read or written,
    /// output can be written.
    fn wait(&self, signals: &OwnedFd) -> Result<[bool; 5]> {
        let wanted = |condition, flags| if condition { flags } else { PollFlags::empty() };
        let master = wanted(self.output.open && self.output.is_empty(), PollFlags::IN)
            | wanted(!self.input.is_empty(), PollFlags::OUT);
        let interests = [
            (signals.as_fd(), PollFlags::IN),
            (fd::standard(0), wanted(self.input.open && self.input.is_empty(), PollFlags::IN)),
            (self.master, master),
            (fd::standard(1), wanted(!self.output.is_empty(), PollFlags::OUT)),
            (self.notify.map_or(self.master, Notify::fd), wanted(self.notify.is_some(), PollFlags::IN)),
        ];
        // What we do not ask for is left out altogether, since poll(2) reports a hang-up unasked, again and again.
        let mut fds = heapless::Vec::<PollFd<'_>, 5>::new();
        for (fd, flags) in interests {
            if !flags.is_empty() {
                let _ = fds.push(PollFd::from_borrowed_fd(fd, flags));
            }
        }
        poll(&mut fds, None).context("poll", "")?;
        let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
        Ok(interests.map(|(_, flags)| !flags.is_empty() && ready.next().unwrap_or(false)))
    }

    fn master_ready(&mut self) {
        if !self.input.is_empty() {
            self.input.drain(self.master);
        }
        if self.output.open && self.output.is_empty() {
            self.output.fill(self.master);
        }
    }

    /// Writes what the terminal still holds. The master does not block, so this ends.
    fn flush(&mut self) {
        loop {
            while !self.output.is_empty() {
                self.output.drain(fd::standard(1));
            }
            if !self.output.open {
                return;
            }
            self.output.fill(self.master);
            if self.output.is_empty() {
                return;
            }
        }
    }
}
