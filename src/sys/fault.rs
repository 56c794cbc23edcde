//! Faults, in the test build alone (cargo feature `faults`, which no release has): a chosen system call of a chosen
//! process fails with a chosen errno, or the process dies right before it; or all calls of a name fail, whoever makes
//! them. Every call is also written down, so that a sweep over all of them knows which there are.
//!
//! The order and the record are one file, which `ISOPOD_FAULTS` names and every process has mapped: no call of the
//! program's own is needed for them, neither below a seccomp filter nor in another root. Words are of 32 bits, in the
//! machine's order:
//!
//! | word | what |
//! |---|---|
//! | 0 | how often the program was started with this file |
//! | 1, 2 | the role and the number, from 1, of the call that is to fail; 2^32 - 1 as the role: see word 6 |
//! | 3 | its errno, or 4095 for the end of the process; 0 for no fault |
//! | 4 | how often that has happened |
//! | 5 | how many calls were made; the record of each follows from word 16 on, as long as there is room |
//! | 6 to 11 | the name of the call that is denied to every process, each time, filled up with zeros |
//!
//! A record has eight words: role, number, and the name. Roles are decimal: the first start is 1, its third child 13, the
//! second child of that 132, and what was started by execveat(2) in its place is 2.

use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering::Relaxed};

use linux_raw_sys::general::{
    __NR_close, __NR_ioctl, __NR_kill, __NR_mmap, __NR_openat, AT_FDCWD, MAP_SHARED, O_RDWR, PROT_READ, PROT_WRITE,
    SIGKILL,
};

use super::start::Start;
use super::{BorrowedFd, Errno, Result, arch, fd::AsRawFd, process};

const VARIABLE: &str = "ISOPOD_FAULTS";
/// The size of the file.
const SIZE: usize = 1 << 18;
const DEATH: u32 = 4095;
const WORDS: usize = SIZE / 4;
const FIRST: usize = 16;
const RECORD: usize = 8;
/// In place of a role.
const EVERYBODY: u32 = u32::MAX;
/// The words that a name takes.
const NAME: usize = 6;
const DENIED: usize = 6;

/// The file, once it is mapped.
static FILE: AtomicPtr<[AtomicU32; WORDS]> = AtomicPtr::new(core::ptr::null_mut());

/// Who counts: a process, or a thread of one that has a role of its own.
struct Counter {
    role: AtomicU32,
    calls: AtomicU32,
    children: AtomicU32,
}

impl Counter {
    const fn new() -> Counter {
        Counter { role: AtomicU32::new(0), calls: AtomicU32::new(0), children: AtomicU32::new(0) }
    }

    fn meet(&self, name: &'static str) -> Result<()> {
        let Some(file) = file() else { return Ok(()) };
        let role = self.role.load(Relaxed);
        let number = self.calls.fetch_add(1, Relaxed) + 1;
        let place = FIRST + file[5].fetch_add(1, Relaxed) as usize * RECORD;
        if let Some([role_word, number_word, words @ ..]) = file.get(place..place + RECORD) {
            role_word.store(role, Relaxed);
            number_word.store(number, Relaxed);
            for (word, four) in words.iter().zip(in_words(name)) {
                word.store(four, Relaxed);
            }
        }
        let is_meant = match (file[1].load(Relaxed), file[2].load(Relaxed)) {
            (EVERYBODY, _) => file[DENIED..].iter().zip(in_words(name)).all(|(word, four)| word.load(Relaxed) == four),
            one => one == (role, number),
        };
        if !is_meant {
            return Ok(());
        }
        match file[3].load(Relaxed) {
            0 => Ok(()),
            errno => {
                file[4].fetch_add(1, Relaxed);
                if errno == DEATH { die() } else { Err(Errno::from_raw_os_error(errno as i32)) }
            }
        }
    }

    fn begin(&self, role: u32) {
        self.role.store(role, Relaxed);
        self.calls.store(0, Relaxed);
        self.children.store(0, Relaxed);
    }
}

/// A name as the file has it.
fn in_words(name: &str) -> [u32; NAME] {
    let mut words = [0; NAME];
    for (word, bytes) in words.iter_mut().zip(name.as_bytes().chunks(4)) {
        let mut four = [0; 4];
        four[..bytes.len()].copy_from_slice(bytes);
        *word = u32::from_ne_bytes(four);
    }
    words
}

static PROCESS: Counter = Counter::new();
static THREAD: Counter = Counter::new();

fn file() -> Option<&'static [AtomicU32; WORDS]> {
    // SAFETY: null, or a mapping of that size which is never taken away, of words that any process may change.
    unsafe { FILE.load(Relaxed).as_ref() }
}

/// Maps the file, if the variable names one.
pub fn begin(start: &Start) {
    let Some(path) = start.var(VARIABLE) else { return };
    // SAFETY: a string, and numbers; a new mapping touches no memory that anyone has.
    let address = unsafe {
        let open = [AT_FDCWD as usize, path.as_ptr() as usize, O_RDWR as usize];
        let fd = arch::syscall6(__NR_openat as usize, open[0], open[1], open[2], 0, 0, 0);
        let rights = (PROT_READ | PROT_WRITE) as usize;
        let address = arch::syscall6(__NR_mmap as usize, 0, SIZE, rights, MAP_SHARED as usize, fd as usize, 0);
        arch::syscall6(__NR_close as usize, fd as usize, 0, 0, 0, 0, 0);
        address
    };
    if address > 0 {
        FILE.store(address as *mut [AtomicU32; WORDS], Relaxed);
        PROCESS.begin(file().map_or(0, |file| file[0].fetch_add(1, Relaxed) + 1));
    }
}

/// What every call passes before it is made.
pub(super) fn meet(name: &'static str) -> Result<()> {
    if matches!(name, "clone" | "clone3") {
        PROCESS.children.fetch_add(1, Relaxed);
    }
    PROCESS.meet(name)
}

/// The same for a call whose failure has another form: the kernel's answer in its place.
pub(super) fn answer(name: &'static str) -> Option<isize> {
    meet(name).err().map(|errno| -errno.raw_os_error() as isize)
}

/// In a child that was just born.
pub(super) fn born() {
    PROCESS.begin(PROCESS.role.load(Relaxed) * 10 + PROCESS.children.load(Relaxed));
}

/// Before a thread is made that calls past the trace log.
pub(super) fn thread() {
    THREAD.begin(PROCESS.role.load(Relaxed) * 10 + PROCESS.children.load(Relaxed));
}

/// The same as `answer` in that thread.
pub(super) fn answer_in_thread(name: &'static str) -> Option<isize> {
    THREAD.meet(name).err().map(|errno| -errno.raw_os_error() as isize)
}

/// setns(2) under the name of what it is given: a kernel may take namespaces and not yet know of pidfds there.
pub(super) fn setns(given: BorrowedFd<'_>) -> &'static str {
    const NS_GET_NSTYPE: usize = 0xb703;
    // SAFETY: takes numbers.
    let kind = unsafe { arch::syscall6(__NR_ioctl as usize, given.as_raw_fd() as usize, NS_GET_NSTYPE, 0, 0, 0, 0) };
    if kind < 0 { "setns(pidfd)" } else { "setns" }
}

/// SIGKILL; the first process of a pid namespace does not get its own.
fn die() -> ! {
    // SAFETY: takes numbers.
    unsafe { arch::syscall6(__NR_kill as usize, process::getpid() as usize, SIGKILL as usize, 0, 0, 0, 0) };
    process::exit(128 + SIGKILL as i32)
}
