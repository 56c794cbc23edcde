//! From the kernel's first instruction to `main`: argv, envp, the auxiliary vector; and what a program without libc
//! must bring along: `memcpy` and its kin, a panic handler.

use core::ffi::{CStr, c_char};

use linux_raw_sys::auxvec::{AT_EGID, AT_EUID, AT_GID, AT_NULL, AT_PHDR, AT_PHNUM, AT_SECURE, AT_UID};
use linux_raw_sys::elf_uapi::Elf64_Phdr;

/// What the kernel put on the stack of a new process.
#[derive(Clone, Copy, Default)]
pub struct Start {
    /// The words of the command line, the program's own name first.
    pub args: &'static [Word],
    /// The environment, `NAME=value` each.
    pub env: &'static [Word],
    /// The effective user id at the start.
    pub euid: u32,
    /// Whether all user and group ids at the start were root's, but for more groups.
    pub is_root: bool,
    /// Whether the program gained privileges by being executed (set-user-id, file capabilities): getauxval(3).
    pub secure: bool,
    /// The program headers of our file, as they are in memory.
    pub(super) headers: &'static [Elf64_Phdr],
}

/// One word of the command line or the environment, as the kernel left it: a C string that lives as long as we do.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Word(*const c_char);

// SAFETY: the string is never written to after the start.
unsafe impl Sync for Word {}

impl Word {
    /// The word as a C string.
    #[must_use]
    pub fn as_cstr(self) -> &'static CStr {
        // SAFETY: only `Start::read` makes one, from a pointer of the kernel's to a string that it terminated.
        unsafe { CStr::from_ptr(self.0) }
    }
}

impl Start {
    /// Reads the initial stack (the System V ABI of the machine, "process initialization").
    ///
    /// # Safety
    /// `stack` must be the stack pointer that the kernel gave the process.
    #[must_use]
    pub unsafe fn read(stack: *const usize) -> Start {
        // SAFETY: the kernel wrote argc, argv with a null, envp with a null, then the vector with AT_NULL at its end.
        unsafe {
            let argc = *stack;
            let argv = stack.add(1);
            let envp = argv.add(argc + 1);
            let mut envc = 0;
            while *envp.add(envc) != 0 {
                envc += 1;
            }
            let mut aux = envp.add(envc + 1);
            let (mut euid, mut is_root, mut secure) = (0, true, false);
            let (mut headers, mut header_count) = (core::ptr::NonNull::dangling().as_ptr(), 0);
            while *aux != AT_NULL as usize {
                let value = *aux.add(1);
                if let AT_UID | AT_EUID | AT_GID | AT_EGID = *aux as u32 {
                    is_root &= value == 0;
                }
                match *aux as u32 {
                    AT_EUID => euid = value as u32,
                    AT_SECURE => secure = value != 0,
                    AT_PHDR => headers = value as *mut Elf64_Phdr,
                    AT_PHNUM => header_count = value,
                    _ => {}
                }
                aux = aux.add(2);
            }
            Start {
                args: core::slice::from_raw_parts(argv.cast(), argc),
                env: core::slice::from_raw_parts(envp.cast(), envc),
                euid,
                is_root,
                secure,
                headers: core::slice::from_raw_parts(headers, header_count),
            }
        }
    }

    /// The value of a variable of the environment.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&'static CStr> {
        self.env.iter().find_map(|word| {
            let text = word.as_cstr();
            let rest = text.to_bytes().strip_prefix(name.as_bytes())?;
            if rest.first() != Some(&b'=') {
                return None;
            }
            CStr::from_bytes_with_nul(&text.to_bytes_with_nul()[name.len() + 1..]).ok()
        })
    }
}

/// The addresses in `code` on the stack from `top` on: most of them are where the active functions return to.
///
/// # Safety
/// `top` was the stack pointer of an active function, and `code` is where the program is.
pub unsafe fn callers(top: *const usize, code: core::ops::Range<usize>) -> impl Iterator<Item = usize> {
    // SAFETY: below all frames of this program are its arguments and its environment, or those of a thread's start,
    // which are more than that; the words are no object of ours.
    let words = (0..64).map(move |i| unsafe { top.add(i).read_volatile() });
    words.filter(move |word| code.contains(word)).take(8)
}

/// Gives a program its entry point, a panic handler, and the functions that the compiler calls by name. For the
/// binary only: under `cargo test` the standard library has its own.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        $crate::start_in_assembly!();

        #[unsafe(no_mangle)]
        extern "C" fn isopod_start(stack: *const usize) -> ! {
            // SAFETY: called once, by `_start`, with the stack pointer that the kernel gave.
            let start = unsafe { $crate::sys::start::Start::read(stack) };
            #[cfg(feature = "faults")]
            $crate::sys::fault::begin(&start);
            $crate::sys::process::exit($main(&start))
        }

        #[panic_handler]
        fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
            unsafe extern "C" {
                static code_start: u8;
                static code_end: u8;
            }
            let code = (&raw const code_start).addr()..(&raw const code_end).addr();
            // SAFETY: both are as they should be.
            $crate::log::panic(info, unsafe { $crate::sys::start::callers($crate::sys::arch::stack_pointer(), code) })
        }

        /// Debug builds name it though nothing unwinds.
        #[cfg(debug_assertions)]
        #[unsafe(no_mangle)]
        extern "C" fn rust_eh_personality() {}

        #[cfg(debug_assertions)]
        #[unsafe(no_mangle)]
        extern "C" fn _Unwind_Resume() {}

        // SAFETY (all five): the contracts of the C standard's functions of these names, which the compiler keeps.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
            unsafe { $crate::sys::arch::copy_up(to, from, n) };
            to
        }
        #[unsafe(no_mangle)]
        unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
            if (to as usize).wrapping_sub(from as usize) < n {
                unsafe { $crate::sys::arch::copy_down(to, from, n) };
            } else {
                unsafe { $crate::sys::arch::copy_up(to, from, n) };
            }
            to
        }
        #[unsafe(no_mangle)]
        unsafe extern "C" fn memset(to: *mut u8, byte: i32, n: usize) -> *mut u8 {
            unsafe { $crate::sys::arch::fill(to, byte as u8, n) };
            to
        }
        #[unsafe(no_mangle)]
        unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
            let mut i = 0;
            while i < n {
                let (x, y) = unsafe { (a.add(i).read(), b.add(i).read()) };
                if x != y {
                    return i32::from(x) - i32::from(y);
                }
                i += 1;
            }
            0
        }
        #[unsafe(no_mangle)]
        unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
            unsafe { memcmp(a, b, n) }
        }
        #[unsafe(no_mangle)]
        unsafe extern "C" fn strlen(text: *const u8) -> usize {
            let mut n = 0;
            while unsafe { text.add(n).read() } != 0 {
                n += 1;
            }
            n
        }
    };
}
