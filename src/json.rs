//! JSON: reading through serde and serde-json-core without a heap, and writing.
//!
//! What is read borrows from the text; what cannot be borrowed (lists, strings with escapes) lies in the arena. So
//! every value is `Copy` and lives as long as the text. A member that is `null` is the same as an absent one, unknown
//! members are ignored, and an error says where: by line and column if the text is no JSON, else by the path of the
//! value.
//!
//! Derived `Deserialize` would put a copy of serde-json-core into each of its types, some 100 KiB for `spec`. So the
//! types only say where a value belongs (`Value`, `Object`), and one visitor in `read` serves all of them.

#![forbid(unsafe_code)]

mod object;
mod read;
mod syntax;
mod trail;
mod value;

pub(crate) use object::object;
pub use object::{Map, Object};
pub use read::{Failed, Items, Members};
pub(crate) use value::value;
pub use value::{List, Slot, Value};

use crate::error::Result;

/// Reads a value from the text of `config.json`.
pub fn from_slice<'a, T: Value<'a> + Default>(text: &'a [u8]) -> Result<T> {
    from_document("config.json", text)
}

/// Reads a value from a text; errors begin with `name`.
pub fn from_document<'a, T: Value<'a> + Default>(name: &'static str, text: &'a [u8]) -> Result<T> {
    let mut value = T::default();
    read::document(name, text, value.slot())?;
    Ok(value)
}

#[cfg(test)]
mod tests;
