//! `process.apparmorProfile` and `process.selinuxLabel`: under which rules of a security module the program runs.

use core::ffi::CStr;

use super::cstr;
use crate::error::{Error, Result};
use crate::host::{AppArmor, Security};
use crate::spec;
use crate::sys::memory;

/// What is written into `/proc/self/attr` before execve(2).
#[derive(Clone, Copy, Default)]
pub struct Labels<'a> {
    /// `exec PROFILE` or `stack PROFILE`.
    pub apparmor: Option<&'a CStr>,
    /// The context, of the program and of the session keyring.
    pub selinux: Option<&'a CStr>,
}

/// Whether one of these is a label, so that the plan needs to know of the host's security modules.
#[must_use]
pub fn is_any(labels: &[Option<&str>]) -> bool {
    labels.iter().flatten().any(|label| !label.is_empty())
}

/// The plan of them. A label that nobody would enforce is an error: the container would be less confined than the
/// config says.
///
/// # Errors
/// A security module that is not at work; a label with a NUL byte.
pub fn plan<'a>(process: &spec::Process<'a>, security: Security) -> Result<Labels<'a>> {
    let apparmor = match (process.apparmor_profile.unwrap_or(""), security.apparmor) {
        ("", _) | ("unconfined", AppArmor::Off) => None,
        (_, AppArmor::Off) => return Err(off("process.apparmorProfile", "AppArmor")),
        (profile, confinement) => {
            // A process that is confined and can gain no privileges may only come under more rules, not under others.
            let how = match confinement {
                AppArmor::Bound => "stack",
                AppArmor::Confined if process.no_new_privileges == Some(true) => "stack",
                _ => "exec",
            };
            let command = memory::format(format_args!("{how} {profile}"));
            Some(cstr(command, format_args!("process.apparmorProfile"))?)
        }
    };
    let selinux = selinux("process.selinuxLabel", process.selinux_label, security)?;
    Ok(Labels { apparmor, selinux })
}

/// A context of SELinux; none if the text is absent or empty.
///
/// # Errors
/// SELinux is not at work; a NUL byte.
pub fn selinux(field: &str, label: Option<&str>, security: Security) -> Result<Option<&'static CStr>> {
    match label {
        None | Some("") => Ok(None),
        Some(_) if !security.selinux => Err(off(field, "SELinux")),
        Some(label) => cstr(label, format_args!("{field}")).map(Some),
    }
}

#[cold]
fn off(field: &str, module: &str) -> Error {
    Error::config(format_args!("{field}"), format_args!("{module} is not enabled on this machine"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFF: Security = Security { apparmor: AppArmor::Off, selinux: false };

    fn process<'a>(apparmor: Option<&'a str>, selinux: Option<&'a str>, no_new_privs: bool) -> spec::Process<'a> {
        spec::Process {
            apparmor_profile: apparmor,
            selinux_label: selinux,
            no_new_privileges: Some(no_new_privs),
            ..spec::Process::default()
        }
    }

    #[test]
    fn profiles() {
        for (profile, no_new_privs, apparmor, expected) in [
            (None, true, AppArmor::Off, Ok(None)),
            (Some(""), true, AppArmor::Confined, Ok(None)),
            (Some("unconfined"), false, AppArmor::Off, Ok(None)),
            (Some("unconfined"), false, AppArmor::On, Ok(Some(c"exec unconfined"))),
            (Some("p"), true, AppArmor::On, Ok(Some(c"exec p"))),
            (Some("p"), false, AppArmor::Confined, Ok(Some(c"exec p"))),
            (Some("p"), true, AppArmor::Confined, Ok(Some(c"stack p"))),
            (Some("p"), true, AppArmor::Bound, Ok(Some(c"stack p"))),
            (Some("p"), false, AppArmor::Bound, Ok(Some(c"stack p"))),
            (Some("p"), false, AppArmor::Off, Err("AppArmor is not enabled on this machine")),
            (Some("a\0b"), false, AppArmor::On, Err("contains a NUL byte")),
        ] {
            let found = plan(&process(profile, None, no_new_privs), Security { apparmor, ..OFF });
            let expected = expected.map_err(|why| format!("config.json process.apparmorProfile: {why}"));
            assert_eq!(found.map(|labels| labels.apparmor).map_err(|error| error.to_string()), expected);
        }
    }

    #[test]
    fn contexts() {
        let on = Security { selinux: true, ..OFF };
        let told = |label, security| {
            plan(&process(None, label, false), security).map(|labels| labels.selinux).map_err(|error| error.to_string())
        };
        assert_eq!((told(None, OFF), told(Some(""), OFF)), (Ok(None), Ok(None)));
        assert_eq!(told(Some("a:b:c:s0:c1,c2"), on), Ok(Some(c"a:b:c:s0:c1,c2")));
        let error = "config.json process.selinuxLabel: SELinux is not enabled on this machine";
        assert_eq!(told(Some("a:b:c:s0"), OFF), Err(error.to_owned()));
        assert!(is_any(&[None, Some(""), Some("x")]) && !is_any(&[None, Some("")]));
    }
}
