//! The way from the top of a text to the value that is wrong.

use core::fmt;

use crate::error::Error;
use crate::sys::memory::Growing;

/// One step down.
#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    /// Into the member of this name, which is a piece of the text, with its escapes.
    Name(&'a str),
    /// Into the item of this number.
    Index(usize),
}

/// What is wrong, and the steps to it: they are laid while the failure is handed up, so from the value to the top, and
/// cost nothing before.
#[derive(Default)]
pub(super) struct Trail<'a> {
    steps: Growing<'a, Step<'a>>,
    expected: &'static str,
    found: &'a str,
}

impl<'a> Trail<'a> {
    /// Here a value is not what it should be.
    #[cold]
    pub(super) fn end(&mut self, expected: &'static str, found: &'a str) {
        (self.expected, self.found) = (expected, found);
    }

    /// It failed; one step up.
    #[cold]
    pub(super) fn push(&mut self, step: Step<'a>) {
        self.steps.push(step);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The value at the end of the trail is not what it should be.
    #[cold]
    pub(super) fn mismatch(&self) -> Error {
        Error::config(format_args!("{self}"), format_args!("expected {}, found {}", self.expected, self.found))
    }
}

impl fmt::Display for Trail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_word =
            |name: &str| !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-');
        for (i, step) in self.steps.as_slice().iter().rev().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Name(name) if is_word(name) => {
                    f.write_str(if i == 0 { "" } else { "." })?;
                    f.write_str(name)?;
                }
                Step::Name(name) => write!(f, "[\"{name}\"]")?,
            }
        }
        Ok(())
    }
}
