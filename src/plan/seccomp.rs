//! `linux.seccomp` and the annotations that change what becomes of it.

use crate::error::{Error, Result};
use crate::json::Map;
use crate::seccomp::{self, Filter, Unknown};
use crate::spec;

/// What the config calls the action that needs somebody to listen.
const NOTIFY: &str = "SCMP_ACT_NOTIFY";

/// The filter, if there is to be one.
///
/// # Errors
/// What the profile has wrong, with its path.
pub fn plan(seccomp: Option<&spec::Seccomp<'_>>, annotations: &Map<'_, &str>) -> Result<Option<Filter<'static>>> {
    // A filter that is compiled already comes instead of the profile, of which only the flags are left.
    if let Some(data) = annotations.get("run.oci.seccomp_bpf_data") {
        let flags = seccomp::flags(seccomp.and_then(|seccomp| seccomp.flags.as_deref()))?;
        return Ok(Some(Filter { program: seccomp::from_base64(data)?, flags, notifies: false }));
    }
    let Some(seccomp) = seccomp else { return Ok(None) };
    let fail = annotations.get("run.oci.seccomp_fail_unknown_syscall").is_some_and(|value| value != "0");
    let filter = seccomp::compile(seccomp, if fail { Unknown::Refuse } else { Unknown::Skip })?;
    let listener = seccomp.listener_path.filter(|path| !path.is_empty());
    if listener.is_none() && seccomp.listener_metadata.is_some_and(|metadata| !metadata.is_empty()) {
        return Err(Error::config(
            format_args!("linux.seccomp.listenerMetadata"),
            format_args!("is for the listener, and there is no listenerPath"),
        ));
    }
    if filter.notifies {
        let index = seccomp.syscalls.iter().position(|syscall| syscall.action == Some(NOTIFY)).unwrap_or(0);
        return Err(Error::config(
            format_args!("linux.seccomp.syscalls[{index}].action"),
            format_args!("{NOTIFY} is not supported yet"),
        ));
    }
    Ok(Some(filter))
}
