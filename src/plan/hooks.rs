//! `hooks`: programs to run at points of the container's life. What they do is theirs; what they are is checked here.

use core::ffi::CStr;
use core::fmt;

use super::cstr;
use crate::error::{Error, Quoted, Result};
use crate::json::Map;
use crate::spec;
use crate::sys::memory::{self, Growing};

/// A point in the container's life, in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The namespaces and mounts are made, the root is not changed yet; by the runtime.
    Prestart,
    /// Right after it.
    CreateRuntime,
    /// Right after that, by init, in the container's namespaces, with the host's root still to be seen.
    CreateContainer,
    /// Just before init becomes the user's program, in the container.
    StartContainer,
    /// Just after it; by the runtime.
    Poststart,
    /// Nothing but the state is left; by the runtime.
    Poststop,
}

/// What the config calls them, and what the container's status is then: the lifecycle of runtime.md.
pub static STAGES: [(&str, &str); 6] = [
    ("prestart", "creating"),
    ("createRuntime", "creating"),
    ("createContainer", "creating"),
    ("startContainer", "created"),
    ("poststart", "running"),
    ("poststop", "stopped"),
];

/// All of them.
#[derive(Clone, Copy, Default)]
pub struct Hooks<'a> {
    stages: [&'a [Hook<'a>]; 6],
    /// The files that take what they write to standard output and standard error.
    pub output: [Option<&'a CStr>; 2],
}

/// One program.
#[derive(Clone, Copy)]
pub struct Hook<'a> {
    /// Absolute.
    pub path: &'a CStr,
    /// Its words, its own name first.
    pub args: &'a [&'static CStr],
    /// All of its environment: neither the runtime's nor the container's is its business (CVE-2025-23266).
    pub env: &'a [&'static CStr],
    /// Seconds after which it is killed.
    pub timeout: Option<u32>,
}

impl<'a> Hooks<'a> {
    /// Those of one stage, in their order.
    #[must_use]
    pub fn of(&self, stage: Stage) -> &'a [Hook<'a>] {
        self.stages[stage as usize]
    }

    /// Stage by stage.
    pub fn all(&self) -> impl Iterator<Item = &'a [Hook<'a>]> {
        self.stages.into_iter()
    }

    /// Whether there is any in one of these stages.
    #[must_use]
    pub fn any(&self, stages: &[Stage]) -> bool {
        stages.iter().any(|stage| !self.of(*stage).is_empty())
    }

    /// Whether there is none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stages.iter().all(|stage| stage.is_empty())
    }

    /// Whether any has to find the container as it is made.
    #[must_use]
    pub fn during_create(&self) -> bool {
        self.any(&[Stage::Prestart, Stage::CreateRuntime, Stage::CreateContainer])
    }

    /// Whether `start` has to wait for the moment at which the user's program takes over.
    #[must_use]
    pub fn during_start(&self) -> bool {
        self.any(&[Stage::StartContainer, Stage::Poststart])
    }
}

/// The plan of them.
///
/// # Errors
/// What the config has wrong, with its path.
pub fn plan<'a>(hooks: Option<&spec::Hooks<'a>>, annotations: &Map<'_, &str>) -> Result<Hooks<'a>> {
    let mut planned = Hooks::default();
    let Some(hooks) = hooks else { return Ok(planned) };
    let spec::Hooks { prestart, create_runtime, create_container, start_container, poststart, poststop } = *hooks;
    let lists = [prestart, create_runtime, create_container, start_container, poststart, poststop];
    for ((place, list), (name, _)) in planned.stages.iter_mut().zip(&lists).zip(&STAGES) {
        let mut all = Growing::new();
        for (index, hook) in list.iter().enumerate() {
            all.push(self::hook(hook, format_args!("hooks.{name}[{index}]"))?);
        }
        *place = all.finish();
    }
    if !planned.is_empty() {
        for (place, name) in planned.output.iter_mut().zip(["run.oci.hooks.stdout", "run.oci.hooks.stderr"]) {
            if let Some(path) = annotations.get(name) {
                *place = Some(absolute(path, format_args!("annotations[{}]", Quoted(name)))?);
            }
        }
    }
    Ok(planned)
}

fn hook<'a>(hook: &spec::Hook<'a>, field: fmt::Arguments<'_>) -> Result<Hook<'a>> {
    let path = absolute(hook.path.unwrap_or_default(), format_args!("{field}.path"))?;
    let mut args = words(hook.args, format_args!("{field}.args"))?;
    if args.is_empty() {
        args = memory::copy(&[path]);
    }
    let timeout = match hook.timeout {
        None => None,
        Some(seconds) if seconds > 0 => Some(u32::try_from(seconds).unwrap_or(u32::MAX)),
        Some(seconds) => {
            return Err(Error::config(
                format_args!("{field}.timeout"),
                format_args!("{seconds} is not greater than 0"),
            ));
        }
    };
    Ok(Hook { path, args, env: words(hook.env, format_args!("{field}.env"))?, timeout })
}

fn words<'a>(list: Option<&[&str]>, field: fmt::Arguments<'_>) -> Result<&'a [&'static CStr]> {
    let mut words = Growing::new();
    for (index, text) in list.unwrap_or_default().iter().enumerate() {
        words.push(cstr(text, format_args!("{field}[{index}]"))?);
    }
    Ok(words.finish())
}

fn absolute(path: &str, field: fmt::Arguments<'_>) -> Result<&'static CStr> {
    if path.starts_with('/') {
        return cstr(path, field);
    }
    Err(Error::config(field, format_args!("{} is not an absolute path", Quoted(path))))
}
