//! The arena: the only memory whose amount depends on the input. It grows, is never given back, and lives as long as
//! the process, so what is put there can be borrowed for ever. After `clone3` the child only reads it.
//!
//! The first MiB is part of the program's own zeroed pages, which cost nothing until they are touched: for usual
//! configs no system call is spent on memory at all, and so none can fail when there is something to be undone.

#[cfg(fuzzing)]
pub mod fuzzing;

use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::fmt;
use core::marker::PhantomData;
use core::mem::{MaybeUninit, align_of, size_of};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use linux_raw_sys::general::{__NR_mmap, __NR_munmap, MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE};

const FIRST: usize = 1024 * 1024;
const PAGE: usize = 4096;

struct Arena {
    /// Held for a few instructions; only tests have threads.
    busy: AtomicBool,
    first: UnsafeCell<MaybeUninit<[u8; FIRST]>>,
    /// What is left of the current piece: address of the next free byte and of the end. (0, 0) before first use.
    left: UnsafeCell<(usize, usize)>,
}

// SAFETY: `busy` guards both cells.
unsafe impl Sync for Arena {}

static ARENA: Arena = Arena {
    busy: AtomicBool::new(false),
    first: UnsafeCell::new(MaybeUninit::uninit()),
    left: UnsafeCell::new((0, 0)),
};

impl Arena {
    fn lock(&self) {
        while self.busy.swap(true, Ordering::Acquire) {
            core::hint::spin_loop();
        }
    }

    /// Takes `more` bytes that follow `end`, if that is where the free ones begin.
    fn extend(&self, end: usize, more: usize) -> bool {
        if cfg!(fuzzing) {
            return false;
        }
        self.lock();
        // SAFETY: `busy` is ours, so nobody else looks at the cells.
        let (next, last) = unsafe { &mut *self.left.get() };
        let fits = *next == end && *last - *next >= more && end != 0;
        if fits {
            *next += more;
        }
        self.busy.store(false, Ordering::Release);
        fits
    }

    #[inline(never)]
    fn take(&self, size: usize, align: usize) -> *mut u8 {
        #[cfg(fuzzing)]
        if let Some(place) = fuzzing::take(size, align) {
            return place;
        }
        self.lock();
        // SAFETY: `busy` is ours, so nobody else looks at the cells.
        let (next, end) = unsafe { &mut *self.left.get() };
        if *end == 0 {
            *next = self.first.get() as usize;
            *end = *next + FIRST;
        }
        let mut start = next.next_multiple_of(align);
        if start.checked_add(size).is_none_or(|needed| needed > *end) {
            let piece = size.saturating_add(align).max(16 * PAGE).next_multiple_of(PAGE);
            start = match map(piece) {
                Some(address) => address,
                None => out_of_memory(),
            };
            *end = start + piece;
            start = start.next_multiple_of(align);
        }
        *next = start + size;
        self.busy.store(false, Ordering::Release);
        start as *mut u8
    }
}

fn map(size: usize) -> Option<usize> {
    #[cfg(feature = "faults")]
    super::fault::answer("mmap").map_or(Some(()), |_| None)?;
    // SAFETY: a new anonymous mapping touches no memory that anyone has.
    let result = unsafe {
        super::arch::syscall6(
            __NR_mmap as usize,
            0,
            size,
            (PROT_READ | PROT_WRITE) as usize,
            (MAP_PRIVATE | MAP_ANONYMOUS) as usize,
            usize::MAX,
            0,
        )
    };
    (!(-4095..0).contains(&result)).then_some(result as usize)
}

#[cold]
fn out_of_memory() -> ! {
    crate::log::die("map memory", "for the arena", crate::sys::Errno::NOMEM)
}

/// Puts a value into the arena.
pub fn keep<'a, T: Copy + 'a>(value: T) -> &'a mut T {
    let place = ARENA.take(size_of::<T>(), align_of::<T>()).cast::<T>();
    // SAFETY: fresh, aligned and large enough; nobody else has it, and it is never freed.
    unsafe {
        place.write(value);
        &mut *place
    }
}

/// Room for `n` values, each set to `fill`.
pub fn slice<'a, T: Copy + 'a>(n: usize, fill: T) -> &'a mut [T] {
    let Some(size) = size_of::<T>().checked_mul(n) else { out_of_memory() };
    let place = ARENA.take(size, align_of::<T>()).cast::<T>();
    // SAFETY: as in `keep`; every element is written before the slice exists.
    unsafe {
        for i in 0..n {
            place.add(i).write(fill);
        }
        core::slice::from_raw_parts_mut(place, n)
    }
}

/// A copy of a slice.
pub fn copy<'a, T: Copy + 'a>(from: &[T]) -> &'a mut [T] {
    let place = ARENA.take(size_of_val(from), align_of::<T>()).cast::<T>();
    // SAFETY: as in `keep`; the arena's new piece cannot overlap what already exists.
    unsafe {
        core::ptr::copy_nonoverlapping(from.as_ptr(), place, from.len());
        core::slice::from_raw_parts_mut(place, from.len())
    }
}

/// A copy of a string.
#[must_use]
pub fn text(from: &str) -> &'static str {
    let bytes = copy(from.as_bytes());
    // SAFETY: the bytes of a `str`.
    unsafe { core::str::from_utf8_unchecked(bytes) }
}

/// A copy of a string with a NUL behind it, as the kernel wants it; none if there is a NUL within.
#[must_use]
pub fn cstr(from: &str) -> Option<&'static CStr> {
    joined(&[from])
}

/// The pieces in one C string; none if there is a NUL in any of them.
#[must_use]
pub fn joined(pieces: &[&str]) -> Option<&'static CStr> {
    let length = pieces.iter().map(|piece| piece.len()).sum::<usize>();
    let bytes = slice(length + 1, 0u8);
    let mut at = 0;
    for piece in pieces {
        bytes[at..at + piece.len()].copy_from_slice(piece.as_bytes());
        at += piece.len();
    }
    CStr::from_bytes_with_nul(bytes).ok()
}

/// Formats into the arena, whatever the length.
#[must_use]
pub fn format(args: fmt::Arguments<'_>) -> &'static str {
    if let Some(literal) = args.as_str() {
        return literal;
    }
    struct Count(usize);
    impl fmt::Write for Count {
        fn write_str(&mut self, piece: &str) -> fmt::Result {
            self.0 += piece.len();
            Ok(())
        }
    }
    struct Into(&'static mut [u8], usize);
    impl fmt::Write for Into {
        fn write_str(&mut self, piece: &str) -> fmt::Result {
            // A `Display` that says more the second time is cut, not trusted.
            let n = piece.len().min(self.0.len() - self.1);
            self.0[self.1..self.1 + n].copy_from_slice(&piece.as_bytes()[..n]);
            self.1 += n;
            Ok(())
        }
    }
    let mut length = Count(0);
    let _ = fmt::write(&mut length, args);
    let mut into = Into(slice(length.0, 0u8), 0);
    let _ = fmt::write(&mut into, args);
    let Into(bytes, used) = into;
    core::str::from_utf8(&bytes[..used]).unwrap_or("?")
}

/// Sorts; for lists of a few hundred it is as quick as the standard library's, at a tenth of the code.
pub fn sort<T: Ord + Copy>(items: &mut [T]) {
    // Shell's sort, with gaps of a third each.
    let mut gap = items.len() / 2;
    while gap > 0 {
        for start in gap..items.len() {
            let item = items[start];
            let mut at = start;
            while at >= gap && items[at - gap] > item {
                items[at] = items[at - gap];
                at -= gap;
            }
            items[at] = item;
        }
        gap = if gap > 1 && gap < 4 { 1 } else { gap / 3 };
    }
}

/// A sequence of unknown length that grows in the arena; what it outgrows stays behind there.
pub struct Growing<'a, T: Copy> {
    items: Items,
    kind: PhantomData<&'a mut [T]>,
}

/// Items of whatever type: their number, and for how many there is room at `start`.
struct Items {
    start: NonNull<u8>,
    used: usize,
    room: usize,
}

impl Items {
    /// The place of one more, of this size and alignment, which all of them have. Once for all types.
    #[inline(never)]
    fn add(&mut self, size: usize, align: usize) -> *mut u8 {
        let used = size * self.used;
        if self.used == self.room {
            let room = if self.room == 0 { 4 } else { self.room * 2 };
            let Some(bytes) = size.checked_mul(room) else { out_of_memory() };
            // The same place, if nobody has taken what follows it.
            if !ARENA.extend(self.start.as_ptr() as usize + used, bytes - used) {
                let more = ARENA.take(bytes, align);
                // SAFETY: `used` bytes are at the old place, and the new one, which is elsewhere and not null, has room
                // for more.
                self.start = unsafe {
                    core::ptr::copy_nonoverlapping(self.start.as_ptr(), more, used);
                    NonNull::new_unchecked(more)
                };
            }
            self.room = room;
        }
        self.used += 1;
        // SAFETY: there is room for it.
        unsafe { self.start.as_ptr().add(used) }
    }
}

impl<'a, T: Copy> Growing<'a, T> {
    /// An empty one; takes no memory yet.
    #[must_use]
    pub const fn new() -> Self {
        let items = Items { start: NonNull::<T>::dangling().cast(), used: 0, room: 0 };
        Growing { items, kind: PhantomData }
    }

    /// Appends one.
    #[inline]
    pub fn push(&mut self, item: T) {
        self.place(item);
    }

    /// Appends one, and says where it is until there is another.
    #[inline]
    pub fn place(&mut self, item: T) -> &mut T {
        let place = self.items.add(size_of::<T>(), align_of::<T>()).cast::<T>();
        // SAFETY: a place of its own for one of this type, and ours as long as `self` is borrowed.
        unsafe {
            place.write(item);
            &mut *place
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.used
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.used == 0
    }

    /// What has been pushed so far.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        // SAFETY: the first `used` are written.
        unsafe { core::slice::from_raw_parts(self.items.start.as_ptr().cast(), self.items.used) }
    }

    /// The same, to be changed in place.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: the first `used` are written.
        unsafe { core::slice::from_raw_parts_mut(self.items.start.as_ptr().cast(), self.items.used) }
    }

    /// All of it, for good.
    #[must_use]
    pub fn finish(self) -> &'a mut [T] {
        // SAFETY: the first `used` are written, and `self`, the only owner, ends here.
        unsafe { core::slice::from_raw_parts_mut(self.items.start.as_ptr().cast(), self.items.used) }
    }
}

impl<T: Copy> Default for Growing<'_, T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A value that is set once and then known everywhere.
pub struct Once<T: Copy> {
    /// 0: not set, 1: being set, 2: set.
    stage: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value is written by whoever takes `stage` from 0 to 1, and read only when it is 2.
unsafe impl<T: Copy + Sync> Sync for Once<T> {}

impl<T: Copy> Once<T> {
    /// Not set yet.
    #[must_use]
    pub const fn new() -> Once<T> {
        Once { stage: AtomicU8::new(0), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// Sets it; if it is set already, it stays as it is.
    pub fn set(&self, value: T) {
        if self.stage.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            // SAFETY: the stage is 1 by our doing, so nobody else looks at the value.
            unsafe { (*self.value.get()).write(value) };
            self.stage.store(2, Ordering::Release);
        }
    }

    /// What it was set to.
    #[must_use]
    pub fn get(&self) -> Option<T> {
        // SAFETY: at stage 2 it is written, and is never written again.
        (self.stage.load(Ordering::Acquire) == 2).then(|| unsafe { (*self.value.get()).assume_init() })
    }
}

impl<T: Copy> Default for Once<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A large buffer that can be given back, for input that is read once and thrown away.
pub struct Mapping {
    address: usize,
    size: usize,
}

impl Mapping {
    /// At least `size` zeroed bytes.
    #[must_use]
    pub fn new(size: usize) -> Option<Mapping> {
        let size = size.max(1).next_multiple_of(PAGE);
        Some(Mapping { address: map(size)?, size })
    }

    /// Its bytes.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: mapped by `new`, readable and writable, unmapped only by `drop`.
        unsafe { core::slice::from_raw_parts_mut(self.address as *mut u8, self.size) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: ours, and no borrow of it can be alive.
        unsafe { super::arch::syscall6(__NR_munmap as usize, self.address, self.size, 0, 0, 0, 0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_aligned_and_apart() {
        let a = slice(3, 7u8);
        let b = keep(9u64);
        let length = crate::rounds(100_000);
        let c = slice(length, 1u32);
        assert_eq!((&*a, *b, c.len()), (&[7, 7, 7][..], 9, length));
        assert_eq!(core::ptr::from_ref(b) as usize % 8, 0);
        assert!(c.iter().all(|x| *x == 1));
    }

    #[test]
    fn growing_keeps_order() {
        let mut growing = Growing::new();
        for i in 0..1000 {
            growing.push(i);
        }
        assert_eq!(growing.len(), 1000);
        assert!(growing.finish().iter().copied().eq(0..1000));
    }

    #[test]
    fn sorts() {
        let mut seed = 1u32;
        for length in 0..if cfg!(miri) { 20 } else { 200 } {
            let mut items: Vec<u32> = (0..length)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    seed >> 24
                })
                .collect();
            let mut expected = items.clone();
            expected.sort_unstable();
            sort(&mut items);
            assert_eq!(items, expected);
        }
    }

    #[test]
    fn what_is_set_once_stays() {
        let once = Once::new();
        assert_eq!(once.get(), None);
        once.set(1);
        once.set(2);
        assert_eq!(once.get(), Some(1));
    }

    #[test]
    fn formats_and_joins() {
        assert_eq!(format(format_args!("{}-{}", 1, "b")), "1-b");
        assert_eq!(joined(&["a/", "b"]).map(CStr::to_bytes), Some(&b"a/b"[..]));
        assert_eq!(cstr("a\0b"), None);
    }
}
