//! Which names a container may have. The name becomes a file name below `--root`, part of a cgroup's and of a keyring's,
//! so it must be able to mean nothing else there.

#![forbid(unsafe_code)]

use core::ffi::CStr;

use crate::error::{Error, Escaped, Result};

/// A file name's own limit.
pub const MAX: usize = 255;

/// The word as a container's name.
///
/// # Errors
/// If it is none; the message says why.
pub fn check(word: &CStr) -> Result<&str> {
    let invalid = |why| Error::says(format_args!("invalid container ID `{}`: {why}", Escaped(word.to_bytes())));
    let bytes = word.to_bytes();
    if bytes.is_empty() {
        return Err(Error::says(format_args!("empty container ID")));
    }
    if bytes.len() > MAX {
        return Err(invalid("it is longer than 255 bytes"));
    }
    if bytes[0] == b'.' {
        return Err(invalid("it starts with a dot"));
    }
    if let Some(bad) = bytes.iter().find(|byte| !byte.is_ascii_alphanumeric() && !b"_+-.".contains(byte)) {
        return Err(Error::says(format_args!(
            "invalid character `{}` in the container ID `{}`",
            Escaped(&[*bad]),
            Escaped(bytes)
        )));
    }
    word.to_str().map_err(|_| invalid("it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_nothing_else() {
        for good in [c"a", c"0", c"_x", c"+x", c"-x", c"a.b", c"a..b", c"A-b_c+d.e"] {
            assert_eq!(check(good).ok(), good.to_str().ok());
        }
        for (bad, message) in [
            (c"", "empty container ID"),
            (c".", "invalid container ID `.`: it starts with a dot"),
            (c"..", "invalid container ID `..`: it starts with a dot"),
            (c".x", "invalid container ID `.x`: it starts with a dot"),
            (c"a/b", "invalid character `/` in the container ID `a/b`"),
            (c"a\n", "invalid character `\\n` in the container ID `a\\n`"),
            (c"\xc3\xa9", "invalid character `\\xc3` in the container ID `\u{e9}`"),
        ] {
            assert_eq!(check(bad).map_err(|error| error.to_string()), Err(message.to_owned()));
        }
        let long = std::ffi::CString::new("x".repeat(256)).expect("no NUL");
        assert!(check(&long).is_err());
        let longest = std::ffi::CString::new("x".repeat(255)).expect("no NUL");
        assert!(check(&longest).is_ok());
    }
}
