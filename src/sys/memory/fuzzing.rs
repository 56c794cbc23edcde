//! The arena of the fuzz targets: each piece is an allocation of its own, so that a sanitizer sees who reads or writes
//! beside it, and all of them are given back after each input. In no other build.

extern crate std;

use std::alloc::{Layout, alloc, dealloc};
use std::sync::Mutex;
use std::vec::Vec;

static PIECES: Mutex<Vec<(usize, Layout)>> = Mutex::new(Vec::new());

/// A piece; none if it would be empty, or larger than there can be.
pub(super) fn take(size: usize, align: usize) -> Option<*mut u8> {
    let layout = Layout::from_size_align(size, align).ok().filter(|layout| layout.size() > 0)?;
    // SAFETY: the size is not 0.
    let place = unsafe { alloc(layout) };
    if place.is_null() {
        super::out_of_memory();
    }
    PIECES.lock().ok()?.push((place as usize, layout));
    Some(place)
}

/// Gives back all that was taken.
///
/// # Safety
/// Nobody may have any of it left.
pub unsafe fn give_back() {
    let Ok(mut pieces) = PIECES.lock() else { return };
    for (place, layout) in pieces.drain(..) {
        // SAFETY: from `take`, with this layout, and forgotten here; nobody uses it any more.
        unsafe { dealloc(place as *mut u8, layout) };
    }
}
