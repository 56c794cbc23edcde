//! The processes of a container.

#![forbid(unsafe_code)]

use core::ffi::CStr;

use super::Context;
use super::state_dir::{Lock, StateDir};
use crate::error::{Context as _, Error, Quoted, Result};
use crate::log;
use crate::sys::memory::{self, Growing};
use crate::sys::{self, AsFd, Errno, fd, file, process, utf8};

/// The numbers of all processes in the container's cgroup and below, sorted; none if it has stopped.
///
/// # Errors
/// If there is no such container, or it has no cgroup of its own.
pub fn pids(context: &Context, id: &'static str) -> Result<&'static [i32]> {
    let dir = StateDir::open(context, id, Lock::None)?;
    let Some(state) = dir.read()?.filter(|state| state.pid > 0) else { return Ok(&[]) };
    if state.cgroup_path.is_empty() {
        return Err(Error::says(format_args!("list the processes of container `{id}`: {}", super::NO_CGROUPS)));
    }
    let pids = memory::copy(super::cgroup_of(state)?.pids()?);
    memory::sort(pids);
    Ok(pids)
}

/// What ps(1) of the host says with these arguments, without the lines about processes of others. It is found by the
/// column `PID`, which the arguments must not take away.
///
/// # Errors
/// If ps(1) is not there or does not like its arguments.
pub fn ps(context: &Context, pids: &[i32], args: &[&'static CStr]) -> Result<&'static str> {
    let text = output(context, args)?;
    let header = text.lines().next().unwrap_or("");
    let Some(column) = header.split_ascii_whitespace().position(|title| title == "PID") else {
        return Err(Error::says(format_args!("ps: no column PID in {}", Quoted(header))));
    };
    let mut kept = Growing::new();
    for (number, line) in text.lines().enumerate() {
        let pid = line.split_ascii_whitespace().nth(column).and_then(sys::natural);
        if number == 0 || pid.is_some_and(|pid: i32| pids.contains(&pid)) {
            kept.push(line);
            kept.push("\n");
        }
    }
    let kept = memory::joined(kept.as_slice()).and_then(|text| utf8(text.to_bytes()));
    kept.ok_or_else(|| Error::because("read", "ps", "it printed a NUL"))
}

/// Runs ps(1) and takes what it prints.
fn output(context: &Context, args: &[&'static CStr]) -> Result<&'static str> {
    const PS: [&CStr; 2] = [c"/bin/ps", c"/usr/bin/ps"];
    const LONGEST: usize = 256 << 20;
    const STANDARD_OUTPUT: i32 = 1;

    let mut words = Growing::new();
    words.push(c"ps");
    args.iter().for_each(|word| words.push(word));
    let args = process::Vector::new(words.as_slice());
    let mut env = Growing::new();
    context.start.env.iter().for_each(|word| env.push(word.as_cstr()));
    let env = process::Vector::new(env.as_slice());
    let (read, write) = file::pipe().context("pipe", "")?;
    let pid = match process::clone3(0, None).context("clone3", "for ps")? {
        process::Clone::Parent { pid, .. } => pid,
        process::Clone::Child => {
            let failed = match fd::dup_to_standard(write.as_fd(), STANDARD_OUTPUT) {
                Ok(()) => PS.iter().fold(Errno::NOENT, |_, path| process::execve(path, &args, &env)),
                Err(errno) => errno,
            };
            log::die("execute", "ps", failed)
        }
    };
    // Its end is the end of what it prints.
    write.close();
    let text = file::read_to_end(read.as_fd(), LONGEST).context("read from", "ps")?;
    match process::wait(pid, true).context("wait for", "ps")? {
        Some((_, 0)) => utf8(text).ok_or_else(|| Error::because("read from", "ps", "it is not UTF-8")),
        ended => {
            let code = ended.map_or(0, |(_, status)| process::exit_code(status));
            Err(Error::because("run", "ps", memory::format(format_args!("exit code {code}"))))
        }
    }
}
