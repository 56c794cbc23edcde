//! `isopod state ID`: what the runtime specification calls the state, and what crun adds to it.

#![forbid(unsafe_code)]

use super::options::Given;
use super::owner::Users;
use super::{Outcome, report};
use crate::container::{Context, SPEC_VERSION, id, list};
use crate::json::{self, Style};
use crate::sys::memory;

/// Prints a container's state.
pub fn run(context: &Context, given: &Given) -> Outcome {
    let container = list::summary(context, id::check(given.words[0])?)?;
    let state = &container.state;
    let text = json::text(Style::Pretty, |w| {
        w.object(|w| {
            w.member("ociVersion", SPEC_VERSION);
            w.member("id", container.id);
            w.member("pid", container.pid);
            w.member("status", container.status.name());
            w.member("bundle", state.bundle);
            w.member("rootfs", state.rootfs);
            w.member("created", state.created);
            w.member("systemd-scope", Some(state.systemd_scope).filter(|scope| !scope.is_empty()));
            w.member("owner", Users::default().name(state.owner));
            w.member("annotations", Some(state.annotations).filter(|annotations| !annotations.is_empty()));
        });
    });
    report::print(memory::format(format_args!("{text}\n")))?;
    Ok(0)
}
