//! `linux.seccomp` and the annotations that change what becomes of it.

use crate::error::{Error, Quoted, Result};
use crate::json::Map;
use crate::seccomp::{self, Filter, Unknown};
use crate::spec;
use crate::sys::security::filter_flag::{TSYNC, WAIT_KILLABLE_RECV};

/// What the config calls the action that needs somebody to listen.
const NOTIFY: &str = "SCMP_ACT_NOTIFY";

/// Who gets the descriptor over which SCMP_ACT_NOTIFY notifies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listener<'a> {
    /// The socket, absolute.
    pub path: &'a str,
    /// What is passed on to it as it is.
    pub metadata: Option<&'a str>,
}

/// The filter, if there is to be one, and whom it notifies, if it notifies. `receiver` is the last fallback for that.
///
/// # Errors
/// What the profile has wrong, with its path.
pub fn plan<'a>(
    profile: Option<&spec::Seccomp<'a>>,
    annotations: &Map<'a, &'a str>,
    receiver: &'a str,
) -> Result<(Option<Filter<'static>>, Option<Listener<'a>>)> {
    const ANNOTATION: &str = "run.oci.seccomp.receiver";
    // A filter that is compiled already comes instead of the profile, of which the listener and the flags are left.
    let data = annotations.get("run.oci.seccomp_bpf_data");
    let fail = annotations.get("run.oci.seccomp_fail_unknown_syscall").is_some_and(|value| value != "0");
    let mut filter = match (data, profile) {
        (Some(data), _) => Filter {
            program: seccomp::from_base64(data)?,
            flags: seccomp::flags(profile.and_then(|profile| profile.flags))?,
        },
        (None, Some(profile)) => seccomp::compile(profile, if fail { Unknown::Refuse } else { Unknown::Skip })?,
        (None, None) => return Ok((None, None)),
    };
    let profile = profile.copied().unwrap_or_default();
    let path = profile.listener_path.unwrap_or("");
    let metadata = profile.listener_metadata.filter(|metadata| !metadata.is_empty());
    if path.is_empty() && metadata.is_some() {
        return Err(Error::config(
            format_args!("linux.seccomp.listenerMetadata"),
            format_args!("is for the listener, and there is no listenerPath"),
        ));
    }
    if !filter.notifies() {
        // This one goes only with a listener.
        filter.flags &= !WAIT_KILLABLE_RECV;
        return Ok((Some(filter), None));
    }
    // This one does not, nor is it wanted: there is one thread.
    filter.flags &= !TSYNC;
    let found = [
        ("linux.seccomp.listenerPath", path),
        ("annotations[\"run.oci.seccomp.receiver\"]", annotations.get(ANNOTATION).unwrap_or("")),
        ("RUN_OCI_SECCOMP_RECEIVER", receiver),
    ];
    match found.into_iter().find(|(_, path)| !path.is_empty()) {
        Some((field, path)) if path.starts_with('/') => {
            super::cstr(path, format_args!("{field}"))?;
            Ok((Some(filter), Some(Listener { path, metadata })))
        }
        Some((field, path)) => {
            Err(Error::config(format_args!("{field}"), format_args!("{} is not absolute", Quoted(path))))
        }
        None => {
            Err(Error::config(format_args!("linux.seccomp.listenerPath"), format_args!("is required for {NOTIFY}")))
        }
    }
}
