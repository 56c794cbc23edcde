//! JSON: reading through serde and serde-json-core without a heap, and writing.
//!
//! What is read borrows from the text; what cannot be borrowed (lists, strings with escapes) lies in the arena. So
//! every value is `Copy` and lives as long as the text. A member that is `null` is the same as an absent one, unknown
//! members are ignored, and an error says where: by line and column if the text is no JSON, else by the path of the
//! value.
//!
//! Derived `Deserialize` would put a copy of serde-json-core into each of its types, 120 KiB for `spec`. So the types
//! only say where a value belongs (`Value`, `Object`), and one visitor in `read` serves all of them, in a quarter of
//! that.

#![forbid(unsafe_code)]

mod object;
mod read;
mod syntax;
mod trail;
mod value;
mod writer;

pub(crate) use object::object;
pub use object::{Map, Object};
pub use read::{Failed, Items, Members};
pub(crate) use value::value;
pub use value::{List, Slot, Value};
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
    read::document(name, text, value.slot())?;
    Ok(value)
}

#[cfg(test)]
mod tests;
