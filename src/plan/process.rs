//! `process`: what is executed, with which words, where, and as whom.

use crate::sys::utf8;
use core::ffi::CStr;

use super::cstr;
use super::identity::{self, Capabilities, User};
use super::label::{self, Labels};
use super::limits::{self, Rlimit};
use super::scheduling::{self, Scheduling};
use crate::error::{Error, Quoted, Result};
use crate::host::Security;
use crate::seccomp::Filter;
use crate::spec;
use crate::sys::memory::{self, Growing};

/// The process of the container.
#[derive(Clone, Copy)]
pub struct Process<'a> {
    /// The words of the command line; at least one.
    pub args: &'a [&'static CStr],
    /// `NAME=value`, each name once.
    pub env: &'a [&'static CStr],
    /// Whether LISTEN_PID belongs to it too, which only the process itself knows.
    pub listens: bool,
    /// Where a bare name is looked for.
    pub path: &'a str,
    /// Whether `env` has HOME; if not, it comes from the container's passwd file.
    pub has_home: bool,
    pub cwd: &'a CStr,
    /// A terminal of its own, of this size (rows, columns) if the config says one.
    pub terminal: Option<Option<(u16, u16)>>,
    pub user: User<'a>,
    pub capabilities: Capabilities,
    pub rlimits: &'a [Rlimit],
    pub no_new_privs: bool,
    /// What stands between the process and the kernel.
    pub seccomp: Option<Filter<'a>>,
    pub oom_score_adj: Option<i32>,
    pub scheduling: Scheduling<'a>,
    pub labels: Labels<'a>,
}

/// What execvp(3) uses without PATH.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The plan of it. `listen_fds` is what the caller's LISTEN_FDS said.
///
/// # Errors
/// What the config has wrong, with its path.
pub fn plan<'a>(process: &spec::Process<'a>, listen_fds: u32, security: Security) -> Result<Process<'a>> {
    let mut args = Growing::new();
    for (index, word) in process.args.iter().enumerate() {
        args.push(cstr(word, format_args!("process.args[{index}]"))?);
    }
    if args.is_empty() {
        return Err(required("args"));
    }
    with_args(process, args.finish(), listen_fds, security)
}

#[cold]
fn required(field: &str) -> Error {
    Error::config(format_args!("process.{field}"), format_args!("is required"))
}

/// The same with other words, which need not be UTF-8.
///
/// # Errors
/// As with `plan`.
pub fn with_args<'a>(
    process: &spec::Process<'a>,
    args: &'a [&'static CStr],
    listen_fds: u32,
    security: Security,
) -> Result<Process<'a>> {
    let cwd = process.cwd.filter(|cwd| !cwd.is_empty()).ok_or_else(|| required("cwd"))?;
    if !cwd.starts_with('/') {
        return Err(Error::config(format_args!("process.cwd"), format_args!("{} is not absolute", Quoted(cwd))));
    }
    if let Some(score) = process.oom_score_adj.filter(|score| !(-1000..=1000).contains(score)) {
        return Err(Error::config(format_args!("process.oomScoreAdj"), format_args!("{score} is not in -1000..1000")));
    }
    let env = environment(process.env, listen_fds)?;
    Ok(Process {
        args,
        env,
        listens: listen_fds > 0,
        path: variable(env, "PATH").unwrap_or(DEFAULT_PATH),
        has_home: variable(env, "HOME").is_some(),
        cwd: cstr(cwd, format_args!("process.cwd"))?,
        terminal: terminal(process)?,
        user: identity::user(&process.user.unwrap_or_default())?,
        capabilities: identity::capabilities(process.capabilities),
        rlimits: limits::plan(process.rlimits)?,
        no_new_privs: process.no_new_privileges.unwrap_or(false),
        seccomp: None,
        oom_score_adj: process.oom_score_adj,
        scheduling: scheduling::plan(process)?,
        labels: label::plan(process, security)?,
    })
}

/// Rows and columns, if a terminal is wanted and a size is given.
fn terminal(process: &spec::Process<'_>) -> Result<Option<Option<(u16, u16)>>> {
    if process.terminal != Some(true) {
        return Ok(None);
    }
    let Some(size) = process.console_size else { return Ok(Some(None)) };
    let number = |field: &str, value: Option<u64>| {
        let wrong = |why: core::fmt::Arguments<'_>| Error::config(format_args!("process.consoleSize.{field}"), why);
        let value = value.ok_or_else(|| wrong(format_args!("is required")))?;
        u16::try_from(value).map_err(|_| wrong(format_args!("{value} is above 65535")))
    };
    Ok(Some(Some((number("height", size.height)?, number("width", size.width)?))))
}

/// The environment, each name once (the last one wins, as with setenv(3)), and what socket activation adds,
/// sd_listen_fds(3).
fn environment<'a>(env: &[&str], listen_fds: u32) -> Result<&'a [&'static CStr]> {
    let mut kept: Growing<'a, &'static CStr> = Growing::new();
    for (index, entry) in env.iter().enumerate() {
        let later = env[index + 1..].iter().any(|other| name(other) == name(entry));
        let ours = listen_fds > 0 && matches!(name(entry), "LISTEN_FDS" | "LISTEN_PID");
        if !later && !ours {
            kept.push(cstr(entry, format_args!("process.env[{index}]"))?);
        }
    }
    if listen_fds > 0 {
        let count = memory::format(format_args!("LISTEN_FDS={listen_fds}"));
        kept.push(cstr(count, format_args!("process.env"))?);
    }
    Ok(kept.finish())
}

fn name(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(name, _)| name)
}

/// The value of a variable.
fn variable<'a>(env: &[&'static CStr], wanted: &str) -> Option<&'a str> {
    env.iter().filter_map(|entry| utf8(entry.to_bytes())).find_map(|entry| match entry.split_once('=') {
        Some((name, value)) if name == wanted => Some(value),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(env: &[&str], listen_fds: u32) -> Vec<String> {
        let env = environment(env, listen_fds).expect("no NUL bytes");
        env.iter().map(|entry| entry.to_str().expect("UTF-8").to_owned()).collect()
    }

    #[test]
    fn the_last_of_a_name_wins() {
        assert_eq!(words(&["A=1", "B=2", "A=3", "C"], 0), ["B=2", "A=3", "C"]);
    }

    #[test]
    fn socket_activation_has_its_own_variables() {
        assert_eq!(words(&["LISTEN_PID=77", "A=1"], 2), ["A=1", "LISTEN_FDS=2"]);
        assert_eq!(words(&["LISTEN_PID=77"], 0), ["LISTEN_PID=77"]);
    }

    #[test]
    fn variables() {
        let env = environment(&["PATHS=/x", "PATH=/bin:/y", "EMPTY="], 0).expect("no NUL bytes");
        assert_eq!(variable(env, "PATH"), Some("/bin:/y"));
        assert_eq!(variable(env, "EMPTY"), Some(""));
        assert_eq!(variable(env, "HOME"), None);
    }
}
