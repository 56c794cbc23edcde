//! JSON: reading without a heap, and writing.
//!
//! What is read borrows from the text; what cannot be borrowed (lists, strings with escapes) lies in the arena. So
//! every value is `Copy` and lives as long as the text. A member that is `null` is the same as an absent one, unknown
//! members are ignored, and an error says where: by line and column if the text is no JSON, else by the path of the
//! value.
//!
//! A text is read twice: first it is checked, strictly, so that an error has its line; then the types say where each
//! value belongs (`Value`), and one code in `read` puts it there. (serde with serde-json-core did that once. It
//! is lenient, so that the first reading was ours anyway; it has no path for its errors; and what led it was longer than
//! what took its place.)

#![forbid(unsafe_code)]

mod object;
mod read;
mod syntax;
mod trail;
mod value;
mod writer;

pub use object::Map;
pub(crate) use object::object;
pub use read::{Failed, Read};
pub(crate) use value::option;
pub use value::{Items, List, Value};
pub use writer::{Raw, Style, Write, Writer, text};

use crate::error::Result;

/// Reads a value from the text of `config.json`.
///
/// # Errors
/// If the text is no JSON, or a value in it is not of the type that belongs there.
pub fn from_slice<'a, T: Value<'a> + Default>(text: &'a [u8]) -> Result<T> {
    from_document("config.json", text)
}

/// The same for another document, whose name begins the errors.
///
/// # Errors
/// As `from_slice`.
pub fn from_document<'a, T: Value<'a> + Default>(name: &'static str, text: &'a [u8]) -> Result<T> {
    let mut value = T::default();
    read::document(name, text, &mut value)?;
    Ok(value)
}

#[cfg(test)]
mod tests;
