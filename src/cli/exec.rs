//! `isopod exec ID COMMAND...`: one more process in a container.

#![forbid(unsafe_code)]

use core::ffi::CStr;

use super::options::{Given, Opt, invalid};
use super::{Failure, Outcome, create, misuse, verbs};
use crate::container::exec::{self, ExecRequest};
use crate::container::{Context, id};
use crate::error::{Error, Result};
use crate::plan::exec::{Ids, Request};
use crate::plan::{self, identity};
use crate::sys::memory::Growing;
use crate::sys::utf8;

/// Executes the command; the exit code is its own.
pub fn run(context: &Context, given: &Given) -> Outcome {
    Ok(exec::exec(context, &request(given)?)?)
}

fn request(given: &Given) -> Result<ExecRequest, Failure> {
    let document = given.value(&verbs::PROCESS);
    let args = &given.words[1..];
    match (document, args) {
        (None, []) => return Err(misuse(Error::says(format_args!("`exec` requires a minimum of 2 arguments")))),
        (Some(_), [_, ..]) => {
            return Err(misuse(Error::says(format_args!("cannot specify both --process and a command"))));
        }
        _ => {}
    }
    Ok(ExecRequest {
        id: id::check(given.words[0])?,
        document,
        process: process(given, args).map_err(misuse)?,
        cgroup: cgroup(given).map_err(misuse)?,
        console_socket: given.value(&verbs::CONSOLE_SOCKET),
        pid_file: given.value(&verbs::EXEC_PID_FILE),
        pidfd_socket: given.value(&verbs::PIDFD_SOCKET),
        preserve_fds: create::preserve_fds(given)?,
        detach: given.has(&verbs::EXEC_DETACH),
        ignore_paused: given.has(&verbs::IGNORE_PAUSED),
    })
}

fn process(given: &Given, args: &'static [&'static CStr]) -> Result<Request<'static>> {
    let capabilities = each(given, &verbs::CAP, "unknown capability", identity::capability)?;
    Ok(Request {
        listen_fds: 0,
        args,
        env: each(given, &verbs::ENV, "it is not UTF-8", Some)?,
        capabilities: capabilities.iter().fold(0, |set, bit| set | 1 << bit),
        user: user(given)?,
        groups: each(given, &verbs::ADDITIONAL_GIDS, "it is a group id", plan::exec::id)?,
        cwd: cwd(given)?,
        terminal: terminal(given),
        no_new_privs: given.has(&verbs::NO_NEW_PRIVS),
        apparmor: given.text(&verbs::APPARMOR)?,
        selinux: given.text(&verbs::PROCESS_LABEL)?,
        ..Request::default()
    })
}

/// The values of an option that may be given several times.
fn each<T: Copy + 'static>(
    given: &Given,
    option: &Opt,
    why: &'static str,
    read: impl Fn(&'static str) -> Option<T>,
) -> Result<&'static [T]> {
    let mut values = Growing::new();
    for value in given.values(option) {
        values.push(utf8(value.to_bytes()).and_then(&read).ok_or_else(|| invalid(option, value, why))?);
    }
    Ok(values.finish())
}

fn user(given: &Given) -> Result<Option<Ids>> {
    let Some(value) = given.value(&verbs::USER) else { return Ok(None) };
    let ids = utf8(value.to_bytes()).and_then(plan::exec::ids);
    ids.map(Some).ok_or_else(|| invalid(&verbs::USER, value, "invalid USERSPEC specified"))
}

fn cwd(given: &Given) -> Result<Option<&'static str>> {
    match (given.text(&verbs::CWD)?, given.value(&verbs::CWD)) {
        (Some(cwd), Some(value)) if !cwd.starts_with('/') => Err(invalid(&verbs::CWD, value, "it is not absolute")),
        (cwd, _) => Ok(cwd),
    }
}

/// `--tty`, `--tty=false`, `-tno`: any other attached word means yes.
fn terminal(given: &Given) -> Option<bool> {
    given.has(&verbs::TTY).then(|| !matches!(given.value(&verbs::TTY).map(CStr::to_bytes), Some(b"false" | b"no")))
}

/// A path below the container's cgroup, without slashes at its ends; none if it is that itself.
fn cgroup(given: &Given) -> Result<Option<&'static str>> {
    let (Some(path), Some(value)) = (given.text(&verbs::EXEC_CGROUP)?, given.value(&verbs::EXEC_CGROUP)) else {
        return Ok(None);
    };
    if path.split('/').any(|part| part == "..") {
        return Err(invalid(&verbs::EXEC_CGROUP, value, "`..` components are not allowed"));
    }
    Ok(Some(path.trim_matches('/')).filter(|path| !path.is_empty() && *path != "."))
}
