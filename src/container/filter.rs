//! `seccomp.bpf` beside the state: the container's filter as it was installed, so that `exec` needs neither the config
//! nor the compiler. The flags of seccomp(2) come first, then the instructions, all in the machine's byte order.

#![forbid(unsafe_code)]

use core::ffi::CStr;

use crate::container::state_dir::StateDir;
use crate::error::{Context, Errno, Error, Result};
use crate::seccomp::Filter;
use crate::sys::file::{self, Mode, OFlags};
use crate::sys::memory::{self, Growing};
use crate::sys::security::SockFilter;
use crate::sys::{AsFd, OwnedFd};

const NAME: &CStr = c"seccomp.bpf";
/// The kernel takes no more than 4096 instructions of 8 bytes.
const LIMIT: usize = 4 + 4096 * 8;

/// Keeps the filter of a container that is being made.
pub(super) fn save(dir: &StateDir, filter: &Filter<'_>) -> Result<()> {
    let bytes = memory::slice(4 + filter.program.len() * 8, 0u8);
    bytes[..4].copy_from_slice(&filter.flags.to_ne_bytes());
    for (place, instruction) in bytes[4..].chunks_exact_mut(8).zip(filter.program) {
        place[..2].copy_from_slice(&instruction.code.to_ne_bytes());
        place[2..4].copy_from_slice(&[instruction.jt, instruction.jf]);
        place[4..].copy_from_slice(&instruction.k.to_ne_bytes());
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    file::openat(dir.fd(), NAME, flags, Mode::from_raw_mode(0o600))
        .and_then(|file: OwnedFd| file::write_all(file.as_fd(), bytes))
        .context("write", "seccomp.bpf")
}

/// The filter of a container; none if it has none. `certain` is whether it has one: of a state that an older isopod has
/// written nobody knows.
pub(super) fn load(dir: &StateDir, certain: bool) -> Result<Option<Filter<'static>>> {
    let file = match file::openat(dir.fd(), NAME, OFlags::RDONLY | OFlags::NOFOLLOW, Mode::empty()) {
        Err(Errno::NOENT) if !certain => return Ok(None),
        file => file.context("open", "seccomp.bpf")?,
    };
    let bytes = file::read_to_end(file.as_fd(), LIMIT).context("read", "seccomp.bpf")?;
    // A filter that cannot be read must not be a filter that is missing.
    parse(bytes).map(Some).ok_or_else(|| Error::because("read", "seccomp.bpf", "is not what we wrote"))
}

fn parse(bytes: &[u8]) -> Option<Filter<'static>> {
    let (flags, rest) = bytes.split_first_chunk::<4>()?;
    if rest.is_empty() || rest.len() % 8 != 0 {
        return None;
    }
    let mut program = Growing::new();
    for instruction in rest.chunks_exact(8) {
        let [a, b, jt, jf, k @ ..] = instruction.first_chunk::<8>()?;
        program.push(SockFilter { code: u16::from_ne_bytes([*a, *b]), jt: *jt, jf: *jf, k: u32::from_ne_bytes(*k) });
    }
    Some(Filter { program: program.finish(), flags: u32::from_ne_bytes(*flags) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_filters_are_filters() {
        for bad in [&b""[..], b"123", b"1234", b"12345678", b"1234567890123"] {
            assert!(parse(bad).is_none(), "{bad:?}");
        }
        let one = parse(&[4, 0, 0, 0, 6, 0, 1, 2, 0, 0, 0xff, 0x7f]).expect("one instruction");
        assert_eq!((one.flags, one.program.len(), one.program[0].k), (4, 1, 0x7fff_0000));
        assert_eq!((one.program[0].code, one.program[0].jt, one.program[0].jf), (6, 1, 2));
    }
}
