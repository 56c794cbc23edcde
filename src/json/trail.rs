//! The way from the top of a text to the value that is wrong.

use core::fmt;

use super::syntax;
use crate::error::Error;
use crate::sys::memory::Growing;

/// One step down.
#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    /// Into the member of this name, which is a piece of the text, escapes and all.
    Key(&'a str),
    /// Into the item of this number.
    Index(usize),
}

/// Laid while a failure is handed up, so from the value to the top; costs nothing before.
pub struct Trail<'a> {
    steps: Growing<'a, Step<'a>>,
    expected: &'static str,
}

impl<'a> Trail<'a> {
    pub(super) fn new() -> Self {
        Trail { steps: Growing::new(), expected: "" }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// What is going to be read.
    pub(super) fn expect(&mut self, kind: &'static str) {
        self.expected = kind;
    }

    /// One step further up.
    #[cold]
    pub(super) fn push(&mut self, step: Step<'a>) {
        self.steps.push(step);
    }

    #[cold]
    pub(super) fn error(&self, text: &'a [u8], top: &'static str) -> Error {
        let expected = if self.expected.is_empty() { top } else { self.expected };
        let found = syntax::found(text, self.steps.as_slice());
        Error::config(format_args!("{self}"), format_args!("expected {expected}, found {found}"))
    }
}

impl fmt::Display for Trail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.steps.as_slice().iter().rev().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if key.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-') => {
                    f.write_str(if i == 0 { "" } else { "." })?;
                    f.write_str(key)?;
                }
                Step::Key(key) => write!(f, "[\"{key}\"]")?,
            }
        }
        Ok(())
    }
}
