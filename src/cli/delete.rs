//! `isopod delete ID`.

#![forbid(unsafe_code)]

use super::options::Given;
use super::{Outcome, verbs};
use crate::container::{Context, delete, id};

/// Removes what is left of a container.
pub fn run(context: &Context, given: &Given) -> Outcome {
    delete::delete(context, id::check(given.words[0])?, given.has(&verbs::FORCE))?;
    Ok(0)
}
