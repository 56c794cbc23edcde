//! `isopod pause ID` and `isopod resume ID`.

#![forbid(unsafe_code)]

use super::Outcome;
use super::options::Given;
use crate::container::{self, Context, id};

/// Stops all processes of a container.
pub fn run(context: &Context, given: &Given) -> Outcome {
    container::pause::pause(context, id::check(given.words[0])?)?;
    Ok(0)
}

/// Lets them go on.
pub fn resume(context: &Context, given: &Given) -> Outcome {
    container::pause::resume(context, id::check(given.words[0])?)?;
    Ok(0)
}
