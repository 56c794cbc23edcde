//! Which hooks a container has, from `create` to `delete`. Those that are run after `create` has ended are kept in the
//! state as the config has them, like its `process`, and planned again.

#![forbid(unsafe_code)]

use core::ffi::CStr;

use super::SPEC_VERSION;
use super::state::State;
use crate::error::{Error, Result};
use crate::hook::Runner;
use crate::json::{self, Style};
use crate::plan::hooks::{self, Hooks};
use crate::spec;
use crate::sys::memory;

/// Runs these hooks of a container; `None` if there are none.
pub(super) fn runner<'a>(hooks: Hooks<'a>, state: &State<'a>) -> Result<Option<Runner<'a>>> {
    if hooks.is_empty() {
        return Ok(None);
    }
    let text = json::text(Style::Compact, |w| {
        w.object(|w| {
            w.member("ociVersion", SPEC_VERSION);
            w.member("id", state.id);
            w.member("bundle", state.bundle);
            w.member("annotations", state.annotations);
        });
    });
    let bundle: &'static CStr =
        memory::cstr(state.bundle).ok_or_else(|| Error::because("run hooks", state.bundle, "contains a NUL byte"))?;
    Runner::new(hooks, text, bundle).map(Some)
}

/// The same for a container that was created before.
pub(super) fn remembered<'a>(state: &State<'a>) -> Result<Option<Runner<'a>>> {
    runner(hooks::plan(state.hooks, &state.annotations)?, state)
}

/// What is to be remembered of the config's hooks.
pub(super) fn later<'a>(hooks: Option<&spec::Hooks<'a>>) -> Option<&'a spec::Hooks<'a>> {
    let spec::Hooks { poststart, poststop, .. } = *hooks?;
    let any = !poststart.is_empty() || !poststop.is_empty();
    any.then(|| &*memory::keep(spec::Hooks { poststart, poststop, ..spec::Hooks::default() }))
}

/// Runs the `poststop` hooks of a container of which nothing but the state is left. One that never had an init had no
/// life that could be over.
pub(super) fn run_poststop(state: &State<'_>) -> Result<()> {
    if state.pid != 0
        && let Some(runner) = remembered(state)?
    {
        runner.run_poststop();
    }
    Ok(())
}
