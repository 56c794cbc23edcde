//! The one error: what was being done, on what, and why it failed. It is made where that is known best, said once,
//! and printed once, by `cli::report`. It names no other room.

mod escape;

use core::fmt;

pub use crate::sys::errno::Errno;
use crate::sys::memory;
pub use escape::{Escaped, Quoted, escape};

/// What failed, on what, and the reason: `DOING SUBJECT: REASON`. One word, so that results are passed in registers;
/// what it says is in the arena.
#[derive(Clone, Copy)]
pub struct Error(&'static Says);

/// What an error says.
#[derive(Clone, Copy)]
struct Says {
    /// The operation, as a person would say it, or the kernel's name of the call: "mount", "openat2", "config.json".
    doing: &'static str,
    /// The object: a path, a name, the path of a config field. Empty if the operation says it all.
    subject: &'static str,
    /// Why, in words; empty if the errno says it all.
    because: &'static str,
    /// The kernel's answer, if the kernel gave one.
    errno: Option<Errno>,
    /// What the user can do about it; empty if we do not know.
    hint: &'static str,
}

/// The result of anything that can fail.
pub type Result<T, E = Error> = core::result::Result<T, E>;

impl Error {
    #[cold]
    #[inline(never)]
    fn new(says: Says) -> Error {
        Error(memory::keep(says))
    }

    /// The kernel refused.
    #[cold]
    #[inline(never)]
    #[must_use]
    pub fn errno(doing: &'static str, subject: &str, errno: Errno) -> Error {
        Error::new(Says { doing, subject: memory::text(subject), because: "", errno: Some(errno), hint: "" })
    }

    /// We refuse, and say why.
    #[cold]
    #[inline(never)]
    #[must_use]
    pub fn because(doing: &'static str, subject: &str, because: &str) -> Error {
        let (subject, because) = (memory::text(subject), memory::text(because));
        Error::new(Says { doing, subject, because, errno: None, hint: "" })
    }

    /// The whole message in one piece, where engines or people expect a certain wording.
    #[cold]
    #[inline(never)]
    #[must_use]
    pub fn says(message: fmt::Arguments<'_>) -> Error {
        Error::new(Says { doing: memory::format(message), subject: "", because: "", errno: None, hint: "" })
    }

    /// A field of the config is wrong: `path` is its way from the top, as in `process.rlimits[3].type`.
    #[cold]
    #[inline(never)]
    #[must_use]
    pub fn config(path: fmt::Arguments<'_>, because: fmt::Arguments<'_>) -> Error {
        let (subject, because) = (memory::format(path), memory::format(because));
        Error::new(Says { doing: "config.json", subject, because, errno: None, hint: "" })
    }

    /// The same with advice.
    #[cold]
    #[inline(never)]
    #[must_use]
    pub fn hint(self, hint: &'static str) -> Error {
        Error::new(Says { hint, ..*self.0 })
    }

    /// The same with the kernel's answer.
    #[cold]
    #[inline(never)]
    #[must_use]
    pub fn with(self, errno: Errno) -> Error {
        Error::new(Says { errno: Some(errno), ..*self.0 })
    }

    /// The same with a reason in words, before the kernel's answer.
    #[cold]
    #[inline(never)]
    #[must_use]
    pub fn with_reason(self, because: &str) -> Error {
        Error::new(Says { because: memory::text(because), ..*self.0 })
    }

    /// The same about another operation, or another document than `config.json`.
    #[cold]
    #[inline(never)]
    #[must_use]
    pub fn doing(self, doing: &'static str) -> Error {
        Error::new(Says { doing, ..*self.0 })
    }

    /// The same about another document than `config.json`, whose top is what is called `top` there.
    #[cold]
    #[inline(never)]
    #[must_use]
    pub fn of_document(self, doing: &'static str, top: &str) -> Error {
        let subject = self.0.subject;
        Error::new(Says { doing, subject: subject.strip_prefix(top).unwrap_or(subject), ..*self.0 })
    }

    /// The kernel's answer, if that was the reason.
    #[must_use]
    pub fn errno_of(&self) -> Option<Errno> {
        self.0.errno
    }

    /// Whether the kernel's answer was this one.
    #[must_use]
    pub fn is(&self, errno: Errno) -> bool {
        self.0.errno == Some(errno)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Says { doing, subject, because, errno, hint } = *self.0;
        f.write_str(doing)?;
        if !subject.is_empty() {
            f.write_str(if doing.is_empty() { "" } else { " " })?;
            f.write_str(subject)?;
        }
        if !because.is_empty() {
            f.write_str(": ")?;
            f.write_str(because)?;
        }
        if let Some(errno) = errno {
            f.write_str(": ")?;
            f.write_str(crate::sys::errno::describe(errno))?;
        }
        if !hint.is_empty() {
            f.write_str(" (")?;
            f.write_str(hint)?;
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Gives a refused system call its operation and object.
pub trait Context<T> {
    /// `DOING SUBJECT: strerror`.
    fn context(self, doing: &'static str, subject: &str) -> Result<T>;
    /// The same with the subject formatted, only if it is needed.
    fn context_with(self, doing: &'static str, subject: fmt::Arguments<'_>) -> Result<T>;
}

impl<T> Context<T> for Result<T, Errno> {
    #[inline]
    fn context(self, doing: &'static str, subject: &str) -> Result<T> {
        self.map_err(|errno| Error::errno(doing, subject, errno))
    }

    fn context_with(self, doing: &'static str, subject: fmt::Arguments<'_>) -> Result<T> {
        self.map_err(|errno| formatted(doing, subject, errno))
    }
}

#[cold]
#[inline(never)]
fn formatted(doing: &'static str, subject: fmt::Arguments<'_>, errno: Errno) -> Error {
    Error::new(Says { doing, subject: memory::format(subject), because: "", errno: Some(errno), hint: "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_names_operation_object_and_reason() {
        let error = Error::errno("open", "/x", Errno::NOENT);
        assert_eq!(format!("{error}"), "open /x: No such file or directory");
        let error = Error::config(format_args!("process.rlimits[{}].type", 3), format_args!("unknown value {:?}", "X"));
        assert_eq!(format!("{error}"), "config.json process.rlimits[3].type: unknown value \"X\"");
        let error = Error::because("run", "", "no").hint("try").with(Errno::PERM);
        assert_eq!(format!("{error}"), "run: no: Operation not permitted (try)");
    }
}
