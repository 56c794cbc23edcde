//! The one error: what was being done, on what, and why it failed. It is made where that is known best, said once,
//! and printed once, by `cli::report`. It names no other room.

use core::fmt;

pub use crate::sys::errno::Errno;
use crate::sys::memory;

/// What failed, on what, and the reason: `DOING SUBJECT: REASON`. Small and `Copy`; its texts are literals or live in
/// the arena.
#[derive(Clone, Copy)]
pub struct Error {
    /// The operation, as a person would say it, or the kernel's name of the call: "mount", "openat2", "config.json".
    pub doing: &'static str,
    /// The object: a path, a name, the path of a config field. Empty if the operation says it all.
    pub subject: &'static str,
    /// Why, in words; empty if the errno says it all.
    pub because: &'static str,
    /// The kernel's answer, if the kernel gave one.
    pub errno: Option<Errno>,
    /// What the user can do about it; empty if we do not know.
    pub hint: &'static str,
}

/// The result of anything that can fail.
pub type Result<T, E = Error> = core::result::Result<T, E>;

impl Error {
    /// The kernel refused.
    #[cold]
    #[must_use]
    pub fn errno(doing: &'static str, subject: &str, errno: Errno) -> Error {
        Error { doing, subject: memory::text(subject), because: "", errno: Some(errno), hint: "" }
    }

    /// We refuse, and say why.
    #[cold]
    #[must_use]
    pub fn because(doing: &'static str, subject: &str, because: &'static str) -> Error {
        Error { doing, subject: memory::text(subject), because, errno: None, hint: "" }
    }

    /// The whole message in one piece, where engines or people expect a certain wording.
    #[cold]
    #[must_use]
    pub fn says(message: fmt::Arguments<'_>) -> Error {
        Error { doing: memory::format(message), subject: "", because: "", errno: None, hint: "" }
    }

    /// A field of the config is wrong: `path` is its way from the top, as in `process.rlimits[3].type`.
    #[cold]
    #[must_use]
    pub fn config(path: fmt::Arguments<'_>, because: fmt::Arguments<'_>) -> Error {
        Error {
            doing: "config.json",
            subject: memory::format(path),
            because: memory::format(because),
            errno: None,
            hint: "",
        }
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(self, hint: &'static str) -> Error {
        Error { hint, ..self }
    }

    /// The same with the kernel's answer.
    #[must_use]
    pub fn with(self, errno: Errno) -> Error {
        Error { errno: Some(errno), ..self }
    }

    /// Whether the kernel's answer was this one.
    #[must_use]
    pub fn is(&self, errno: Errno) -> bool {
        self.errno == Some(errno)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.doing)?;
        if !self.subject.is_empty() {
            f.write_str(if self.doing.is_empty() { "" } else { " " })?;
            f.write_str(self.subject)?;
        }
        if !self.because.is_empty() {
            f.write_str(": ")?;
            f.write_str(self.because)?;
        }
        if let Some(errno) = self.errno {
            f.write_str(": ")?;
            f.write_str(crate::sys::errno::describe(errno))?;
        }
        if !self.hint.is_empty() {
            f.write_str(" (")?;
            f.write_str(self.hint)?;
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

    #[inline]
    fn context_with(self, doing: &'static str, subject: fmt::Arguments<'_>) -> Result<T> {
        match self {
            Ok(value) => Ok(value),
            Err(errno) => Err(Error::errno(doing, memory::format(subject), errno)),
        }
    }
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
