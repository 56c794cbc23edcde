//! A seccomp filter with a listener: seccomp_unotify(2). Who installs it may not be able to tell anybody afterwards, for
//! the filter holds from that moment, and the very call that would pass the listener on may be one that waits for it. So
//! a second thread, made before and not under the filter, shares our descriptors, sends the listener away, closes it and
//! ends. A thread rather than a process: nobody has to wait for it, and it goes when we go, or execute something.
//!
//! (pidfd_getfd(2) by the one who shall have it would need no helper, but the right to trace us, which Yama, or a user
//! namespace, may not give, and a word that we may not be able to say.)

use core::sync::atomic::{AtomicI32, Ordering};

use linux_raw_sys::general::{
    __NR_close, __NR_exit, __NR_sched_yield, __NR_sendmsg, CLONE_FILES, CLONE_FS, CLONE_SIGHAND, CLONE_SYSVSEM,
    CLONE_THREAD, CLONE_VM,
};

use super::fd::AsRawFd;
use super::security::{SockFilter, filter_flag, seccomp_set_mode_filter};
use super::{BorrowedFd, Errno, Result, arch, memory};

/// The listener, for the thread; `PENDING` before it is there, `NONE` if it never will be. When the thread is done,
/// `DONE`, less the errno if it could not send it.
static LISTENER: AtomicI32 = AtomicI32::new(PENDING);
/// Zero, as all our variables are at the start (`sys::exe`); no listener has this number, for standard input is open.
const PENDING: i32 = 0;
const NONE: i32 = -1;
const DONE: i32 = -2;

/// Installs the filter, and sends its listener with a byte over a connected socket; then nobody here has it. That it has
/// arrived is for the other side to say.
///
/// # Errors
/// As `seccomp_set_mode_filter`; EAGAIN if there may be no second thread.
pub fn install(flags: u32, program: &[SockFilter], socket: BorrowedFd<'_>, word: u8) -> Result<()> {
    const STACK: usize = 8192;
    const FLAGS: u32 = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    let order = (socket.as_raw_fd() as usize) << 8 | usize::from(word);
    let stack = memory::slice(STACK / 16, 0u128);
    LISTENER.store(PENDING, Ordering::Release);
    let top = stack.as_ptr_range().end as usize;
    super::call("clone", || {
        #[cfg(feature = "faults")]
        super::fault::thread();
        // SAFETY: a thread that makes system calls and touches nothing but `LISTENER` and its stack, which stays for good:
        // memory is never given back.
        match unsafe { arch::thread(FLAGS as usize, top, pass_on, order) } {
            failed @ ..0 => Err(Errno::from_raw_os_error(-failed as i32)),
            _ => Ok(()),
        }
    })?;
    // Of TSYNC there is no need, and it would put the other thread under the filter too.
    let flags = flags & !filter_flag::TSYNC | filter_flag::NEW_LISTENER;
    let installed = seccomp_set_mode_filter(flags, program);
    LISTENER.store(installed.map_or(NONE, |number| number as i32), Ordering::Release);
    // It must be gone before we execute anything, and there is no call by which we could wait.
    let done = loop {
        match LISTENER.load(Ordering::Acquire) {
            NONE.. => core::hint::spin_loop(),
            done => break done,
        }
    };
    installed?;
    if done == DONE { Ok(()) } else { Err(Errno::from_raw_os_error(DONE - done)) }
}

/// `struct msghdr`, with one part and one control message.
#[repr(C)]
struct Message {
    name: [usize; 2],
    parts: *const [usize; 2],
    count: usize,
    control: *const Control,
    length: usize,
    flags: usize,
}

/// `struct cmsghdr` with a descriptor.
#[repr(C)]
struct Control {
    length: usize,
    level: i32,
    kind: i32,
    descriptor: i32,
    padding: i32,
}

const _: () = assert!(size_of::<Message>() == 56 && size_of::<Control>() == 24);

/// The thread. It calls the kernel past the trace log, which is not made for two.
extern "C" fn pass_on(order: usize) -> ! {
    const SOL_SOCKET: i32 = 1;
    const SCM_RIGHTS: i32 = 1;
    const MSG_NOSIGNAL: usize = 0x4000;
    let (socket, word) = (order >> 8, order as u8);
    // SAFETY: each call below takes numbers, or `message`, which lives here with all that it points to.
    let call = |number: u32, a: usize, b: usize, c: usize| unsafe { arch::syscall6(number as usize, a, b, c, 0, 0, 0) };
    let listener = loop {
        match LISTENER.load(Ordering::Acquire) {
            // A system call's time, not more.
            PENDING => call(__NR_sched_yield, 0, 0, 0),
            listener => break listener,
        };
    };
    let mut sent = 0;
    if listener != NONE {
        let parts = [core::ptr::from_ref(&word) as usize, 1];
        let control = Control { length: 20, level: SOL_SOCKET, kind: SCM_RIGHTS, descriptor: listener, padding: 0 };
        let length = size_of::<Control>();
        let message =
            Message { name: [0; 2], parts: &raw const parts, count: 1, control: &raw const control, length, flags: 0 };
        #[cfg(feature = "faults")]
        let call = |number: u32, a: usize, b: usize, c: usize| {
            let name = if number == __NR_close { "close" } else { "sendmsg" };
            super::fault::answer_in_thread(name).unwrap_or_else(|| call(number, a, b, c))
        };
        sent = call(__NR_sendmsg, socket, core::ptr::from_ref(&message) as usize, MSG_NOSIGNAL).min(0);
        call(__NR_close, listener as usize, 0, 0);
    }
    LISTENER.store(DONE + sent as i32, Ordering::Release);
    loop {
        call(__NR_exit, 0, 0, 0);
    }
}
