//! Names of users, as `/etc/passwd` of the host has them.

#![forbid(unsafe_code)]

use crate::sys::{AsFd, file, memory, utf8};

/// Answers with names; the text of `/etc/passwd`, read when a name is asked for that we do not know.
#[derive(Default)]
pub struct Users(Option<&'static str>);

impl Users {
    /// The user's name, or the number if there is none.
    #[must_use]
    pub fn name(&mut self, uid: u32) -> &'static str {
        if uid == 0 {
            return "root";
        }
        let number = memory::format(format_args!("{uid}"));
        let line = self.0.get_or_insert_with(read).lines().find(|line| line.split(':').nth(2) == Some(number));
        line.and_then(|line| line.split(':').next()).unwrap_or(number)
    }
}

/// Without the file users have only numbers.
fn read() -> &'static str {
    const LIMIT: usize = 4 << 20;
    let text = file::open(c"/etc/passwd").and_then(|passwd| file::read_to_end(passwd.as_fd(), LIMIT));
    text.ok().and_then(|text| utf8(text)).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let mut users = Users(Some("broken\n\na:x:10:1::/:\nb:x:1:10::/:\n"));
        assert_eq!([0, 1, 10, 2].map(|uid| users.name(uid)), ["root", "b", "a", "2"]);
        assert_eq!(Users(Some("")).name(1), "1");
    }
}
