//! JSON: reading through serde and serde-json-core without a heap, and writing.
//!
//! What is read borrows from the text; what cannot be borrowed (lists, strings with escapes) lies in the arena. So
//! every value is `Copy` and lives as long as the text. `null` is the same as absent, unknown members are ignored,
//! and an error says where: by line and column if the text is no JSON, else by the path of the value.

#![forbid(unsafe_code)]

mod object;
mod syntax;
mod trail;
mod value;

pub(crate) use object::object;
#[doc(hidden)]
pub use object::read_object;
pub use object::{Members, Object};
pub use trail::Trail;
pub use value::{List, Map, Value};

use serde_json_core::de::Deserializer;

use crate::error::{Error, Result};

/// Reads a value from the text of `config.json`.
pub fn from_slice<'a, T: Value<'a>>(text: &'a [u8]) -> Result<T> {
    from_document("config.json", text)
}

/// Reads a value from a text whose errors begin with this name.
pub fn from_document<'a, T: Value<'a>>(name: &'static str, text: &'a [u8]) -> Result<T> {
    // serde-json-core is lenient, and recurses as deep as the text does. After this check it cannot go wrong, but for
    // values of the wrong type.
    syntax::check(text).map_err(|error| Error { doing: name, ..error })?;
    let mut trail = Trail::new();
    let mut from = Deserializer::new(text, None);
    match T::read(&mut from, &mut trail) {
        Ok(value) if from.end().is_ok() => Ok(value),
        _ => Err(Error { doing: name, ..trail.error(text, T::KIND) }),
    }
}

#[cfg(test)]
mod tests;
