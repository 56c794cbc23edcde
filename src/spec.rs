//! `config.json` as written, version 1.3 of the OCI runtime specification, as far as Linux goes: the specification's
//! own names, no defaults, no opinion. What is required, which words are known and what goes with what is for `plan`
//! to say; here only the types are checked.
//!
//! Whatever is an `Option`, a list or a map may be absent; a list is an `Option` only where absent and empty differ.
//! `type` and `final` are words of Rust: these members are called `kind` and `last`.

#![forbid(unsafe_code)]

mod hooks;
mod linux;
mod mount;
mod process;
mod resources;
mod seccomp;
pub mod template;

pub use hooks::{Hook, Hooks};
pub use linux::{Device, IntelRdt, Linux, MemoryPolicy, Namespace, NetDevice, Personality, TimeOffset};
pub use mount::{IdMapping, Mount};
pub use process::{Capabilities, ConsoleSize, ExecCpuAffinity, IoPriority, Process, Rlimit, Scheduler, User};
pub use resources::{
    BlockIo, Cpu, DeviceRule, HugepageLimit, InterfacePriority, Memory, Network, Pids, Rdma, Resources, ThrottleDevice,
    WeightDevice,
};
pub use seccomp::{Seccomp, Syscall, SyscallArg};

use crate::error::Result;
use crate::json::{self, List, Map, object};
use crate::sys::memory;

/// Reads `config.json`. The result borrows from the text.
///
/// # Errors
/// If the text is no JSON, or a value in it is not of the type that the specification says.
pub fn parse(text: &[u8]) -> Result<&Spec<'_>> {
    let spec = json::from_slice::<Spec<'_>>(text)?;
    Ok(memory::keep(spec))
}

object! {
    /// The whole document: "Configuration".
    pub struct Spec<'a> {
        /// "Specification version".
        oci_version: Option<&'a str> = "ociVersion",
        root: Option<&'a Root<'a>> = "root",
        /// In the order in which they are to be made.
        mounts: List<'a, Mount<'a>> = "mounts",
        process: Option<&'a Process<'a>> = "process",
        hostname: Option<&'a str> = "hostname",
        /// The NIS domain name of the UTS namespace.
        domainname: Option<&'a str> = "domainname",
        hooks: Option<&'a Hooks<'a>> = "hooks",
        annotations: Map<'a, &'a str> = "annotations",
        linux: Option<&'a Linux<'a>> = "linux",
    }
}

object! {
    /// "Root": the container's root file system.
    pub struct Root<'a> {
        /// Absolute, or relative to the bundle.
        path: Option<&'a str> = "path",
        readonly: Option<bool> = "readonly",
    }
}

#[cfg(test)]
mod tests;
