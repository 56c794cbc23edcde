//! `isopod start ID`.

#![forbid(unsafe_code)]

use super::Outcome;
use super::options::Given;
use crate::container::{Context, id, start};

/// Lets a created container execute its process.
pub fn run(context: &Context, given: &Given) -> Outcome {
    start::start(context, id::check(given.words[0])?)?;
    Ok(0)
}
