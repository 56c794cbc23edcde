//! Names of users, as `/etc/passwd` of the host has them.

#![forbid(unsafe_code)]

use crate::sys::{AsFd, file, memory};

/// The text of `/etc/passwd`.
pub struct Users(&'static str);

impl Users {
    /// Reads it; without it users have only numbers.
    #[must_use]
    pub fn read() -> Users {
        const LIMIT: usize = 4 << 20;
        let text = file::open(c"/etc/passwd").and_then(|passwd| file::read_to_end(passwd.as_fd(), LIMIT));
        Users(text.ok().and_then(|text| core::str::from_utf8(text).ok()).unwrap_or(""))
    }

    /// The user's name, or the number.
    #[must_use]
    pub fn name(&self, uid: u32) -> &'static str {
        let number = memory::format(format_args!("{uid}"));
        let line = self.0.lines().find(|line| line.split(':').nth(2) == Some(number));
        line.and_then(|line| line.split(':').next()).unwrap_or(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let users = Users("root:x:0:0::/:/bin/sh\nbroken\n\na:x:10:1::/:\nb:x:1:10::/:\n");
        assert_eq!([0, 1, 10, 2].map(|uid| users.name(uid)), ["root", "b", "a", "2"]);
        assert_eq!(Users("").name(0), "0");
    }
}
