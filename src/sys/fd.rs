//! Descriptors: owned ones are closed once, after `drop`; borrowed ones cannot outlive what they borrow from.
//!
//! What is dropped is not closed at once but with the next few dozen, by close_range(2) where the numbers follow each
//! other: a start makes about a hundred descriptors, and most of our programs end before there is anything to close.
//! Where somebody waits for the end of a pipe or a lock, `close` closes at once.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

use linux_raw_sys::general::{__NR_close, __NR_close_range};
pub use rustix::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
pub use rustix::fs::CWD;

use super::file::{Mode, OFlags};
use super::memory::{self, Growing};
use super::{Result, call, utf8};

/// A descriptor by number, without the check for -1 that `BorrowedFd::borrow_raw` makes each time.
///
/// # Safety
/// It is open as long as the borrow lives, or, at worst, closed: then calls answer EBADF.
#[inline(always)]
const unsafe fn borrow<'fd>(number: RawFd) -> BorrowedFd<'fd> {
    const { assert!(size_of::<BorrowedFd<'_>>() == size_of::<RawFd>()) };
    // SAFETY: that type is transparent over the number.
    unsafe { core::mem::transmute::<RawFd, BorrowedFd<'fd>>(number) }
}

/// A descriptor of ours.
#[derive(Debug)]
pub struct OwnedFd(RawFd);

impl OwnedFd {
    /// A descriptor that the kernel has just made for us.
    ///
    /// # Safety
    /// Nobody else owns the number.
    #[must_use]
    pub(super) unsafe fn from_raw(number: RawFd) -> OwnedFd {
        OwnedFd(if number < 3 { above_standard(number) } else { number })
    }

    /// Another descriptor of the same: fcntl(2), F_DUPFD_CLOEXEC.
    ///
    /// # Errors
    /// EMFILE.
    pub fn try_clone(&self) -> Result<OwnedFd> {
        call("fcntl", || rustix::io::fcntl_dupfd_cloexec(self.as_fd(), 3)).map(OwnedFd::from)
    }

    /// Closes it now.
    pub fn close(self) {
        close_run(self.0, self.0);
        core::mem::forget(self);
    }

    /// Leaves it open for good.
    pub fn leak(self) -> RawFd {
        let number = self.0;
        core::mem::forget(self);
        number
    }
}

impl From<rustix::fd::OwnedFd> for OwnedFd {
    fn from(fd: rustix::fd::OwnedFd) -> OwnedFd {
        // SAFETY: it was that one's.
        unsafe { OwnedFd::from_raw(rustix::fd::IntoRawFd::into_raw_fd(fd)) }
    }
}

/// The kernel gives the lowest number that is free. If that is one of the standard descriptors, our caller has closed it,
/// and a file of ours would become somebody's standard error: it gets another number, and /dev/null this one.
#[cold]
fn above_standard(number: RawFd) -> RawFd {
    let moved = super::call("fcntl", || rustix::io::fcntl_dupfd_cloexec(inherited(number), 3));
    let moved = moved.unwrap_or_else(|errno| crate::log::die("move a descriptor from", "the standard ones", errno));
    // SAFETY: a name for it is there now that is not of ours.
    unsafe { close_one(number) };
    let null = || rustix::fs::open(c"/dev/null", OFlags::RDWR, Mode::empty());
    match super::call("openat", null) {
        Ok(null) => drop(rustix::fd::IntoRawFd::into_raw_fd(null)),
        Err(errno) => crate::log::die("open", "/dev/null", errno),
    }
    rustix::fd::IntoRawFd::into_raw_fd(moved)
}

impl AsFd for OwnedFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: ours, and closed only by `drop` or `close`, which a borrow forbids.
        unsafe { borrow(self.0) }
    }
}

impl Drop for OwnedFd {
    fn drop(&mut self) {
        DONE.put(self.0);
    }
}

/// The descriptors that are done with.
struct Done {
    /// Held for a few instructions; only tests have threads.
    busy: AtomicBool,
    numbers: UnsafeCell<heapless::Vec<RawFd, 48>>,
}

// SAFETY: `busy` guards the list.
unsafe impl Sync for Done {}

static DONE: Done = Done { busy: AtomicBool::new(false), numbers: UnsafeCell::new(heapless::Vec::new()) };

impl Done {
    fn with(&self, f: impl FnOnce(&mut heapless::Vec<RawFd, 48>)) {
        while self.busy.swap(true, Ordering::Acquire) {
            core::hint::spin_loop();
        }
        // SAFETY: `busy` is ours.
        f(unsafe { &mut *self.numbers.get() });
        self.busy.store(false, Ordering::Release);
    }

    fn put(&self, number: RawFd) {
        self.with(|numbers| {
            if numbers.push(number).is_err() {
                close_all(numbers);
                // There is room now.
                let _ = numbers.push(number);
            }
        });
    }
}

/// Closes everything that was dropped: before we wait for long, or give the process to somebody else.
pub fn close_dropped() {
    DONE.with(close_all);
}

fn close_all(numbers: &mut heapless::Vec<RawFd, 48>) {
    memory::sort(numbers);
    let mut rest = &numbers[..];
    while let [first, ..] = *rest {
        // As long as one number follows the other it is one run.
        let length = (first..).zip(rest).take_while(|(expected, number)| expected == *number).count();
        close_run(first, first + length as RawFd - 1);
        rest = &rest[length..];
    }
    numbers.clear();
}

/// Closes descriptors that are ours and that nobody borrows any more.
fn close_run(first: RawFd, last: RawFd) {
    if first != last {
        let args = [first as usize, last as usize, 0, 0, 0, 0];
        // SAFETY: all in the range were dropped.
        if unsafe { super::raw("close_range", __NR_close_range, args) }.is_ok() {
            return;
        }
        // Before Linux 5.9, or where somebody forbids it: one by one.
    }
    for number in first..=last {
        // SAFETY: as above.
        unsafe { close_one(number) };
    }
}

/// EINTR or not, the number is free afterwards: close(2).
///
/// # Safety
/// Nobody borrows it any more.
unsafe fn close_one(number: RawFd) {
    // SAFETY: the caller's.
    let _ = unsafe { super::raw("close", __NR_close, [number as usize, 0, 0, 0, 0, 0]) };
}

/// The standard descriptors, 0, 1 and 2: the caller of the program vouches for them.
#[must_use]
pub fn standard(number: RawFd) -> BorrowedFd<'static> {
    debug_assert!((0..3).contains(&number));
    // SAFETY: at worst the descriptor is closed, and calls on it answer EBADF: nothing of ours has these numbers.
    unsafe { borrow(number) }
}

/// A descriptor that we have by number because the caller of the program passed it (`--preserve-fds`).
#[must_use]
pub fn inherited(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: as in `standard`: at worst EBADF.
    unsafe { borrow(number) }
}

/// dup3(2) onto a standard descriptor, without close-on-exec.
///
/// # Errors
/// EBADF.
pub fn dup_to_standard(fd: impl AsFd, number: RawFd) -> Result<()> {
    let from = fd.as_fd().as_raw_fd();
    if from == number {
        return call("fcntl", || rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty()));
    }
    // SAFETY: what had the number was standard input, output or error, which nobody of ours owns.
    unsafe { super::raw("dup3", linux_raw_sys::general::__NR_dup3, [from as usize, number as usize, 0, 0, 0, 0]) }
        .map(drop)
}

/// Closes every descriptor there is, the standard ones too: for a process that does nothing from now on but wait.
///
/// # Errors
/// Some are still open, since the kernel neither closes nor lists them.
pub fn close_everything() -> Result<()> {
    // SAFETY: nothing is borrowed by who only waits.
    if unsafe { super::raw("close_range", __NR_close_range, [0, u32::MAX as usize, 0, 0, 0, 0]) }.is_ok() {
        return Ok(());
    }
    let mut open = Growing::new();
    each_open(|number| {
        open.push(number);
        Ok(())
    })?;
    for number in open.finish() {
        // SAFETY: as above.
        unsafe { close_one(*number) };
    }
    Ok(())
}

/// Marks everything from `first` on close-on-exec, whoever left it open.
///
/// # Errors
/// The kernel's.
pub fn cloexec_from(first: u32) -> Result<()> {
    match close_range_cloexec(first) {
        Err(_) => each_open(|number| if number >= first as RawFd { set_cloexec(number, true) } else { Ok(()) }),
        done => done,
    }
}

/// Every open descriptor, as the kernel lists them: for where close_range(2) is not there (before Linux 5.9; with its flag
/// 5.11), or where somebody forbids it.
fn each_open(mut f: impl FnMut(RawFd) -> Result<()>) -> Result<()> {
    let list = super::file::openat(CWD, c"/proc/self/fd", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
    super::file::each_entry(list.as_fd(), |name, _| {
        utf8(name.to_bytes()).and_then(super::natural).map_or(Ok(()), &mut f)
    })
}

/// close_range(2) from `first` on: close-on-exec for whatever was open before us.
///
/// # Errors
/// ENOSYS before Linux 5.9, EINVAL before 5.11.
fn close_range_cloexec(first: u32) -> Result<()> {
    /// linux/close_range.h
    const CLOSE_RANGE_CLOEXEC: usize = 4;
    // SAFETY: closes nothing now.
    unsafe {
        super::raw(
            "close_range",
            linux_raw_sys::general::__NR_close_range,
            [first as usize, u32::MAX as usize, CLOSE_RANGE_CLOEXEC, 0, 0, 0],
        )
    }
    .map(drop)
}

/// O_NONBLOCK, on a description that is ours alone.
///
/// # Errors
/// EBADF.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> Result<()> {
    let flags = call("fcntl", || rustix::fs::fcntl_getfl(fd))?;
    call("fcntl", || rustix::fs::fcntl_setfl(fd, flags | rustix::fs::OFlags::NONBLOCK))
}

/// F_GETFD: whether a descriptor is open, and would be after execve(2).
#[must_use]
pub fn is_inherited(number: RawFd) -> bool {
    call("fcntl", || rustix::io::fcntl_getfd(inherited(number))).is_ok_and(|flags| flags.is_empty())
}

/// Sets close-on-exec on one inherited descriptor, by number.
///
/// # Errors
/// EBADF.
pub fn set_cloexec(number: RawFd, on: bool) -> Result<()> {
    let flags = if on { rustix::io::FdFlags::CLOEXEC } else { rustix::io::FdFlags::empty() };
    call("fcntl", || rustix::io::fcntl_setfd(inherited(number), flags))
}

/// A list of descriptors of any length, some places empty; closes them when dropped.
#[derive(Default)]
pub struct FdList(Growing<'static, RawFd>);

impl FdList {
    const NONE: RawFd = -1;

    /// Appends a descriptor, or an empty place.
    pub fn push(&mut self, fd: Option<OwnedFd>) {
        self.0.push(fd.map_or(FdList::NONE, OwnedFd::leak));
    }

    /// The descriptor at a place.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<BorrowedFd<'_>> {
        let fd = *self.0.as_slice().get(index)?;
        // SAFETY: ours until `take` or `drop`, which need the list mutably.
        (fd != FdList::NONE).then(|| unsafe { borrow(fd) })
    }

    /// Another descriptor of what is at a place.
    #[must_use]
    pub fn duplicate(&self, index: usize) -> Option<OwnedFd> {
        let fd = self.get(index)?;
        call("fcntl", || rustix::io::fcntl_dupfd_cloexec(fd, 3)).ok().map(OwnedFd::from)
    }

    /// All that are there.
    pub fn iter(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        (0..self.0.len()).filter_map(|index| self.get(index))
    }

    /// Exchanges the descriptor at a place for another, and closes it.
    pub fn replace(&mut self, index: usize, fd: OwnedFd) {
        if let Some(old) = self.take(index) {
            old.close();
        }
        if let Some(place) = self.0.as_mut_slice().get_mut(index) {
            *place = fd.leak();
        }
    }

    /// Takes the descriptor at a place out.
    pub fn take(&mut self, index: usize) -> Option<OwnedFd> {
        let place = self.0.as_mut_slice().get_mut(index)?;
        let fd = core::mem::replace(place, FdList::NONE);
        // SAFETY: it was an `OwnedFd` when it came, and is not here any more.
        (fd != FdList::NONE).then(|| unsafe { OwnedFd::from_raw(fd) })
    }
}

impl Drop for FdList {
    fn drop(&mut self) {
        for index in 0..self.0.len() {
            drop(self.take(index));
        }
    }
}
