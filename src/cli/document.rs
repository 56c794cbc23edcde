//! JSON that a command reads from a file, or from standard input.

use core::ffi::CStr;

use crate::error::{Context as _, Escaped, Result};
use crate::sys::{AsFd, fd, file, memory};

/// No document is as long as this.
const LONGEST: usize = 16 << 20;

/// Its name, for errors, and its text; `-` is standard input.
///
/// # Errors
/// If it cannot be read.
pub(super) fn read(file: &'static CStr) -> Result<(&'static str, &'static [u8])> {
    const STANDARD_INPUT: i32 = 0;
    let (name, text) = if file == c"-" {
        ("standard input", file::read_to_end(fd::standard(STANDARD_INPUT), LONGEST))
    } else {
        let name = memory::format(format_args!("{}", Escaped(file.to_bytes())));
        (name, file::open(file).and_then(|file| file::read_to_end(file.as_fd(), LONGEST)))
    };
    Ok((name, text.context("read", name)?))
}
