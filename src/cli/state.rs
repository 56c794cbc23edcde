//! `isopod state ID`: what the runtime specification calls the state, and what crun adds to it.

#![forbid(unsafe_code)]

use super::options::Given;
use super::owner::Users;
use super::{Outcome, report};
use crate::container::{Context, SPEC_VERSION, id, list};
use crate::sys::memory;
use crate::writer::Writer;

/// Prints a container's state.
pub fn run(context: &Context, given: &Given) -> Outcome {
    let container = list::summary(context, id::check(given.words[0])?)?;
    let state = &container.state;
    let mut json = Writer::pretty();
    json.object(|json| {
        json.key("ociVersion").text(SPEC_VERSION);
        json.key("id").text(container.id);
        json.key("pid").number(container.pid);
        json.key("status").text(container.status.name());
        json.key("bundle").text(state.bundle);
        json.key("rootfs").text(state.rootfs);
        json.key("created").text(state.created);
        json.key("owner").text(Users::read().name(state.owner));
        if !state.annotations.is_empty() {
            json.key("annotations").object(|json| {
                for (key, value) in state.annotations.iter() {
                    json.key(key).text(value);
                }
            });
        }
    });
    report::print(memory::format(format_args!("{}\n", json.finish())))?;
    Ok(0)
}
