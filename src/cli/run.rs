//! `isopod run ID`: create, start and, unless detached, wait; the exit code is the container's.

#![forbid(unsafe_code)]

use super::options::Given;
use super::{Outcome, create};
use crate::container::{self, Context};

/// Runs a container.
pub fn run(context: &Context, given: &Given) -> Outcome {
    Ok(container::create::run(context, &create::request(create::id(given)?, given)?)?)
}
