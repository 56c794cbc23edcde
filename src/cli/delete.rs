//! `isopod delete ID`.

#![forbid(unsafe_code)]

use super::options::Given;
use super::{Outcome, regex, verbs};
use crate::container::{Context, delete, id};

/// Removes what is left of a container, or of several.
pub fn run(context: &Context, given: &Given) -> Outcome {
    let force = given.has(&verbs::FORCE);
    if given.has(&verbs::REGEX) {
        regex::each(context, given.words[0], |id| delete::delete(context, id, force))?;
    } else {
        delete::delete(context, id::check(given.words[0])?, force)?;
    }
    Ok(0)
}
