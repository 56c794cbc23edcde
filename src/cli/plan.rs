//! `isopod plan`: what `run` would do, and nothing of it is done.

#![forbid(unsafe_code)]

use super::options::Given;
use super::{Outcome, create, report, verbs};
use crate::container::{self, Context};

/// Prints the plan.
pub fn run(context: &Context, given: &Given) -> Outcome {
    let id = if given.words.is_empty() { "ID" } else { create::id(given)? };
    let request = create::request(id, given)?;
    let text = container::decide::explain(context, &request, given.has(&verbs::JSON))?;
    report::print(text)?;
    Ok(0)
}
