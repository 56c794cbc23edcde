//! The instructions: entering the kernel and starting a process. Nothing here knows what a call means.

use core::arch::asm;

/// Enters the kernel with six arguments; a negative result is an errno, as the kernel gives it.
///
/// # Safety
/// The arguments must be what call `number` expects: pointers valid for as long as the kernel uses them.
#[inline(always)]
pub(in crate::sys) unsafe fn syscall6(
    number: usize,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> isize {
    let result: isize;
    // SAFETY: the ABI of x86-64 Linux: rcx and r11 are clobbered, memory may be; the caller vouches for the rest.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// clone(2): a thread on a stack of its own (its upper end, aligned to 16 bytes) that runs `f`, which never returns. The
/// id of the thread; a negative result is an errno.
///
/// # Safety
/// `flags` must be those of a thread; the stack and what `argument` points to must stay as long as it runs.
pub(in crate::sys) unsafe fn thread(
    flags: usize,
    stack: usize,
    f: extern "C" fn(usize) -> !,
    argument: usize,
) -> isize {
    let result: isize;
    // SAFETY: as in `syscall6`. The thread returns from the call on its own stack, where nothing of ours is, so it
    // touches none before it is in `f`: the two registers are its only memory.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") linux_raw_sys::general::__NR_clone as isize => result,
            in("rdi") flags, in("rsi") stack, in("rdx") 0, in("r10") 0, in("r8") 0,
            in("r12") argument, in("r13") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Where the kernel jumps to: the stack pointer is the address of argc; align it and go on in Rust.
#[macro_export]
#[doc(hidden)]
macro_rules! start_in_assembly {
    () => {
        core::arch::global_asm!(
            ".globl _start",
            ".type _start, @function",
            "_start:",
            "xor ebp, ebp",
            "mov rdi, rsp",
            "and rsp, -16",
            "call isopod_start",
            "ud2",
        );
    };
}

/// Where the stack ends now.
#[inline(always)]
pub fn stack_pointer() -> *const usize {
    let top;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rsp", out(reg) top, options(nomem, nostack, preserves_flags)) };
    top
}

/// Copies `n` bytes upwards; the microcode does it as fast as anything that we would write (ERMS).
///
/// # Safety
/// Both ranges must be valid, and `to` must not lie within `from..from + n` behind its start.
#[inline(always)]
pub unsafe fn copy_up(to: *mut u8, from: *const u8, n: usize) {
    // SAFETY: the direction flag is clear by the ABI; the caller vouches for the ranges.
    unsafe {
        asm!("rep movsb", inout("rcx") n => _, inout("rdi") to => _, inout("rsi") from => _,
             options(nostack, preserves_flags));
    }
}

/// Copies `n` bytes downwards, for ranges that overlap the wrong way.
///
/// # Safety
/// Both ranges must be valid.
#[inline(always)]
pub unsafe fn copy_down(to: *mut u8, from: *const u8, n: usize) {
    // SAFETY: the flag is set and cleared within the block; the pointers start at the last byte of ranges that the
    // caller vouches for (wrapping, so that n = 0 computes no invalid pointer).
    unsafe {
        asm!("std", "rep movsb", "cld",
             inout("rcx") n => _,
             inout("rdi") to.wrapping_add(n).wrapping_sub(1) => _,
             inout("rsi") from.wrapping_add(n).wrapping_sub(1) => _,
             options(nostack));
    }
}

/// Fills `n` bytes.
///
/// # Safety
/// The range must be valid.
#[inline(always)]
pub unsafe fn fill(to: *mut u8, byte: u8, n: usize) {
    // SAFETY: as in `copy_up`.
    unsafe {
        asm!("rep stosb", inout("rcx") n => _, inout("rdi") to => _, in("al") byte,
             options(nostack, preserves_flags));
    }
}
