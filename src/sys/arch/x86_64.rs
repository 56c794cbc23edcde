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

/// Where the kernel jumps to, with the address of argc in the stack pointer. The kernel puts the program anywhere, and
/// nobody but we ourselves can tell its pointers: until that is done no Rust may run. Their places are in a table of
/// the form DT_RELR (the System V ABI, "relative relocation table"): an even entry is the place of one pointer, an odd
/// one says with its bits which of the 63 words behind the places so far are pointers. Then align the stack, and go on
/// in Rust.
#[macro_export]
#[doc(hidden)]
macro_rules! start_in_assembly {
    () => {
        core::arch::global_asm!(
            ".globl _start",
            ".hidden __ehdr_start",
            ".hidden _DYNAMIC",
            ".type _start, @function",
            "_start:",
            "xor ebp, ebp",
            "mov rdi, rsp",
            "and rsp, -16",
            // rsi: where we are; rbx: the table, relative to it; rcx: its size.
            "lea rsi, [rip + __ehdr_start]",
            "lea rdx, [rip + _DYNAMIC]",
            "xor ebx, ebx",
            "xor ecx, ecx",
            "2:",
            "mov rax, [rdx]",
            "cmp rax, 36", // DT_RELR
            "cmove rbx, [rdx + 8]",
            "cmp rax, 35", // DT_RELRSZ
            "cmove rcx, [rdx + 8]",
            "add rdx, 16",
            "test rax, rax", // DT_NULL
            "jnz 2b",
            "add rbx, rsi",
            "add rcx, rbx",
            // rbx: the entry; rcx: the end of the table; rdx: the word behind the places so far.
            "3:",
            "cmp rbx, rcx",
            "jae 7f",
            "mov rax, [rbx]",
            "add rbx, 8",
            "test al, 1",
            "jnz 4f",
            "lea rdx, [rax + rsi]",
            "add [rdx], rsi",
            "add rdx, 8",
            "jmp 3b",
            "4:",
            "mov r8, rdx",
            "add rdx, 63 * 8",
            "5:",
            "shr rax",
            "jz 3b",
            "test al, 1",
            "jz 6f",
            "add [r8], rsi",
            "6:",
            "add r8, 8",
            "jmp 5b",
            "7:",
            "call isopod_start",
            "ud2",
        );
    };
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
