//! The one door to the kernel, and the only room with unsafe code. Functions have the kernel's names and argument
//! order and return the kernel's errno; who calls says what it was for (`error::Context`).
//!
//! rustix makes the call where it has it, our own assembly with linux-raw-sys numbers where it has not. Either way the
//! call goes through [`call`], which gives the trace log its line and, in the test build, the fault that is ordered.

#![allow(unsafe_code)]

pub mod arch;
pub mod bpf;
pub mod errno;
pub mod event;
pub mod exe;
#[cfg(feature = "faults")]
pub mod fault;
pub mod fd;
pub mod file;
pub mod listener;
pub mod memory;
pub mod mount;
pub mod namespace;
pub mod netlink;
pub mod process;
mod remount;
pub mod root;
pub mod sched;
pub mod security;
pub mod socket;
pub mod start;
pub mod terminal;
mod text;
pub mod time;

pub use errno::Errno;
pub use fd::{AsFd, BorrowedFd, CWD, OwnedFd};
pub use text::{Names, decimal, hexadecimal, integer, natural, shown, split_last, utf8};

use crate::log;

/// The kernel's answer.
pub type Result<T> = core::result::Result<T, Errno>;

/// Every system call passes here.
#[inline(always)]
fn call<T>(name: &'static str, f: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = trace_begin();
    #[cfg(not(feature = "faults"))]
    let result = f();
    #[cfg(feature = "faults")]
    let result = fault::meet(name).and_then(|()| f());
    if before != 0 {
        trace_end(name, before, result.as_ref().err().copied());
    }
    result
}

/// The same for calls that a signal may interrupt and that must then simply be made again.
#[inline(always)]
fn retry<T>(name: &'static str, mut f: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call(name, &mut f) {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

/// The time, or 0 if nobody wants to know.
#[inline(never)]
fn trace_begin() -> u64 {
    if log::enabled(log::Level::Trace) { time::monotonic_raw() } else { 0 }
}

#[cold]
#[inline(never)]
fn trace_end(name: &'static str, before: u64, errno: Option<Errno>) {
    let micros = (time::monotonic_raw() - before) / 1000;
    let answer = errno.map_or("ok", errno::describe);
    log::log(log::Level::Trace, format_args!("{name}: {answer} ({micros} us)"));
}

/// A raw call whose answer is a number or an errno.
///
/// # Safety
/// The arguments must be what call `number` expects: pointers valid for as long as the kernel uses them.
#[inline(never)]
unsafe fn raw(name: &'static str, number: u32, args: [usize; 6]) -> Result<usize> {
    let [a, b, c, d, e, f] = args;
    call(name, || {
        // SAFETY: the caller's promise.
        let result = unsafe { arch::syscall6(number as usize, a, b, c, d, e, f) };
        #[cfg(feature = "faults")]
        if result == 0 && matches!(name, "clone" | "clone3") {
            fault::born();
        }
        if result < 0 { Err(Errno::from_raw_os_error(-result as i32)) } else { Ok(result as usize) }
    })
}

/// Calls the log sink that `log::set` stored as a pointer.
pub(crate) fn call_sink(sink: *mut (), level: log::Level, message: &str) {
    // SAFETY: only `log::set` makes such a pointer, and from a `Sink`; both are one machine word.
    let sink = unsafe { core::mem::transmute::<*mut (), log::Sink>(sink) };
    sink(level, message);
}
