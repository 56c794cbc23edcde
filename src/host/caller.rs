//! Who calls, if it is not root: what he may use of the ids of this machine.

use core::ffi::CStr;

use crate::error::{Context, Errno, Result};
use crate::sys::{self, AsFd, file, process, shown, utf8};

/// A user without privileges.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// His user id.
    pub uid: u32,
    /// His group id.
    pub gid: u32,
    /// More user ids that are his: the first range that `/etc/subuid` has for him.
    pub subuid: Option<Range>,
    /// The same of groups: `/etc/subgid`.
    pub subgid: Option<Range>,
}

/// Ids from the first on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    pub first: u32,
    pub count: u32,
}

impl Caller {
    /// The caller with this effective user id, or `None` if he is root (be it of a user namespace that we are in).
    ///
    /// # Errors
    /// The kernel's, reading the files.
    pub fn find(uid: u32) -> Result<Option<Caller>> {
        if uid == 0 {
            return Ok(None);
        }
        let name = table(c"/etc/passwd")?.lines().find_map(|line| name_of(line, uid)).unwrap_or("");
        let range = |path| Ok(table(path)?.lines().find_map(|line| range_of(line, name, uid)));
        Ok(Some(Caller {
            uid,
            gid: process::getegid(),
            subuid: range(c"/etc/subuid")?,
            subgid: range(c"/etc/subgid")?,
        }))
    }
}

/// A table of the system; an empty one if it is not there or not text.
fn table(path: &CStr) -> Result<&'static str> {
    const LIMIT: usize = 16 << 20;
    match file::open(path).and_then(|file| file::read_to_end(file.as_fd(), LIMIT)) {
        Ok(text) => Ok(utf8(text).unwrap_or("")),
        Err(Errno::NOENT | Errno::ACCESS) => Ok(""),
        Err(errno) => Err(errno).context("read", shown(path)),
    }
}

/// The name in a line of passwd(5), if it is that of the user.
pub(crate) fn name_of(line: &str, uid: u32) -> Option<&str> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    (sys::natural(fields.nth(1)?) == Some(uid)).then_some(name)
}

/// The range in a line of subuid(5), if it is the user's, who is there by name or by number.
pub(crate) fn range_of(line: &str, name: &str, uid: u32) -> Option<Range> {
    let mut fields = line.split(':');
    let owner = fields.next().filter(|owner| !owner.is_empty())?;
    let range = Range { first: sys::natural(fields.next()?)?, count: sys::natural(fields.next()?.trim_ascii_end())? };
    let is_his = owner == name || sys::natural(owner) == Some(uid);
    // Ids that there are; the last number is none.
    (is_his && range.count > 0 && range.first.checked_add(range.count).is_some()).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_number() {
        assert_eq!(name_of("user:x:1000:100::/home/user:/bin/sh", 1000), Some("user"));
        assert_eq!(name_of("user:x:1000:100::/home/user:/bin/sh", 100), None);
        assert_eq!(name_of(":x:1000:", 1000), None);
        assert_eq!(name_of("1000", 1000), None);
        assert_eq!(name_of("+user:x:+1000:100::/home/user:/bin/sh", 1000), None, "NIS, not a number");
    }

    #[test]
    fn ranges_have_an_owner() {
        let range = |line| range_of(line, "user", 1000).map(|range| (range.first, range.count));
        assert_eq!(range("user:100000:65536"), Some((100_000, 65536)));
        assert_eq!(range("1000:100000:65536\t"), Some((100_000, 65536)));
        for other in
            ["users:1:1", "root:1:1", "", ":1:1", "user:1", "user:1:0", "user:x:1", "user:4294967295:1", "user:+1:1"]
        {
            assert_eq!(range(other), None, "{other}");
        }
        assert_eq!(range_of(":1:1", "", 1000), None, "somebody without a name");
    }

    #[test]
    fn root_has_all_ids() {
        assert_eq!(Caller::find(0).expect("readable"), None);
        let caller = Caller::find(54321).expect("readable").expect("a caller");
        assert_eq!(caller.uid, 54321);
    }
}
