//! `process.rlimits`: setrlimit(2) by the names of the spec.

use crate::error::{Error, Quoted, Result};
use crate::spec;
use crate::sys::Names;
use crate::sys::memory::Growing;

/// One limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rlimit {
    /// RLIMIT_* of asm-generic/resource.h.
    pub resource: u32,
    pub soft: u64,
    pub hard: u64,
    /// Its place in `process.rlimits`, for errors.
    pub index: usize,
}

/// In the kernel's order: asm-generic/resource.h. The spec's names have `RLIMIT_` in front.
pub static RESOURCES: Names =
    Names("CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME");

/// The plan of them.
///
/// # Errors
/// What the config has wrong, with its path: an unknown name, one that comes twice (config.md: "the runtime MUST
/// generate an error"), a soft limit above the hard one.
pub fn plan<'a>(rlimits: &[spec::Rlimit<'a>]) -> Result<&'a [Rlimit]> {
    let mut limits: Growing<'a, Rlimit> = Growing::new();
    for (index, rlimit) in rlimits.iter().enumerate() {
        let wrong = |field: &str, why: core::fmt::Arguments<'_>| {
            Error::config(format_args!("process.rlimits[{index}].{field}"), why)
        };
        let Some(word) = rlimit.kind else { return Err(wrong("type", format_args!("is required"))) };
        let resource = word.strip_prefix("RLIMIT_").and_then(|bare| RESOURCES.place(bare));
        let Some(resource) = resource else {
            return Err(wrong("type", format_args!("unknown value {}", Quoted(word))));
        };
        let required = |field: &str, value: Option<u64>| value.ok_or_else(|| wrong(field, format_args!("is required")));
        let (soft, hard) = (required("soft", rlimit.soft)?, required("hard", rlimit.hard)?);
        if soft > hard {
            return Err(wrong("soft", format_args!("{soft} is above the hard limit {hard}")));
        }
        let resource = resource as u32;
        if limits.as_slice().iter().any(|other| other.resource == resource) {
            return Err(wrong("type", format_args!("{} is there twice", Quoted(word))));
        }
        limits.push(Rlimit { resource, soft, hard, index });
    }
    Ok(limits.finish())
}
