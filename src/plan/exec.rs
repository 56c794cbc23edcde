//! `exec`: one more process of a container. It starts from the process of the config, as the state has kept it, or from
//! a document of the same form; the command line changes that; and what comes out is planned as any process is.

use core::ffi::CStr;

use super::identity;
use super::process::{self, Process};
use crate::error::{Error, Result};
use crate::host::Security;
use crate::spec;
use crate::sys;
use crate::sys::memory::{self, Growing};

/// What the command line says of the process.
#[derive(Clone, Copy, Default)]
pub struct Request<'a> {
    /// The words of its command line; none if a document has them.
    pub args: &'a [&'static CStr],
    /// `NAME=value`, added to the environment; they win.
    pub env: &'a [&'a str],
    /// Capabilities that it has beside those of the config: a bit each.
    pub capabilities: u64,
    /// Its user and group instead of the config's; then it has none of the config's other groups.
    pub user: Option<Ids>,
    /// More groups.
    pub groups: &'a [u32],
    pub cwd: Option<&'a str>,
    pub terminal: Option<bool>,
    pub no_new_privs: bool,
    /// LISTEN_FDS of the caller's environment.
    pub listen_fds: u32,
    /// `process.apparmorProfile` and `process.selinuxLabel` instead of the config's.
    pub apparmor: Option<&'a str>,
    pub selinux: Option<&'a str>,
    /// What the host can confine by; only looked at if there is a label.
    pub security: Security,
}

/// A user and a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ids {
    pub uid: u32,
    pub gid: u32,
}

/// `UID` or `UID:GID`, in decimal, as one would write the numbers: nothing that another parser could read as another
/// number, and above all nothing that becomes 0 because it is none (CVE-2026-30892). Without a group it is group 0.
#[must_use]
pub fn ids(text: &str) -> Option<Ids> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, "0"));
    Some(Ids { uid: id(uid)?, gid: id(gid)? })
}

/// One id, in decimal.
#[must_use]
pub fn id(text: &str) -> Option<u32> {
    /// The kernel's "no id".
    const NONE: u32 = u32::MAX;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { sys::natural(text).filter(|id| *id != NONE) } else { None }
}

/// The plan of the process. `config` is what the container was created with; `given` the document that the caller has
/// instead, `document` its name for errors.
///
/// # Errors
/// What is wrong with either, or not supported.
pub fn plan<'a>(
    config: &spec::Process<'a>,
    given: Option<(&'static str, &spec::Process<'a>)>,
    request: &Request<'a>,
) -> Result<Process<'a>> {
    let (document, mut wanted) = match given {
        Some((document, given)) => (document, or_of_config(given, config)),
        None => ("exec:", spec::Process { args: &[], terminal: None, console_size: None, ..*config }),
    };
    if let Some(cwd) = request.cwd {
        wanted.cwd = Some(cwd);
    }
    if let Some(terminal) = request.terminal {
        wanted.terminal = Some(terminal);
    }
    if request.no_new_privs {
        wanted.no_new_privileges = Some(true);
    }
    wanted.apparmor_profile = request.apparmor.or(wanted.apparmor_profile);
    wanted.selinux_label = request.selinux.or(wanted.selinux_label);
    wanted.env = both(wanted.env, request.env);
    let mut user = wanted.user.unwrap_or_default();
    if let Some(Ids { uid, gid }) = request.user {
        user = spec::User { uid: Some(uid), gid: Some(gid), additional_gids: &[], ..user };
    }
    user.additional_gids = both(user.additional_gids, request.groups);
    wanted.user = Some(user);

    let planned = if request.args.is_empty() {
        process::plan(&wanted, request.listen_fds, request.security)
    } else {
        process::with_args(&wanted, memory::copy(request.args), request.listen_fds, request.security)
    };
    let mut planned = planned.map_err(|error: Error| error.doing(document))?;
    // Never inheritable, and so not ambient: a file with inheritable capabilities would give what nobody asked for
    // (CVE-2022-29162).
    let identity::Capabilities { bounding, effective, permitted, .. } = &mut planned.capabilities;
    for set in [bounding, effective, permitted] {
        *set |= request.capabilities;
    }
    Ok(planned)
}

/// What a document leaves open is as in the config; but whether there is a terminal and whether privileges can be
/// gained is its own affair, and so are the words.
fn or_of_config<'a>(given: &spec::Process<'a>, config: &spec::Process<'a>) -> spec::Process<'a> {
    spec::Process {
        user: given.user.or(config.user),
        env: if given.env.is_empty() { config.env } else { given.env },
        cwd: given.cwd.filter(|cwd| !cwd.is_empty()).or(config.cwd),
        capabilities: given.capabilities.or(config.capabilities),
        rlimits: if given.rlimits.is_empty() { config.rlimits } else { given.rlimits },
        oom_score_adj: given.oom_score_adj.or(config.oom_score_adj),
        apparmor_profile: given.apparmor_profile.or(config.apparmor_profile),
        selinux_label: given.selinux_label.or(config.selinux_label),
        ..*given
    }
}

pub(super) fn both<'a, T: Copy + 'a>(first: &'a [T], then: &[T]) -> &'a [T] {
    if then.is_empty() {
        return first;
    }
    let mut all = Growing::new();
    first.iter().chain(then).for_each(|item| all.push(*item));
    all.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The matrix of CVE-2026-30892: uid 0 only where a zero is written.
    #[test]
    fn ids_are_what_is_written_or_nothing() {
        for (text, expected) in [
            ("1", Some((1, 0))),
            ("1:2", Some((1, 2))),
            ("0", Some((0, 0))),
            ("0:0", Some((0, 0))),
            ("4294967294", Some((4_294_967_294, 0))),
            ("4294967294:4294967294", Some((4_294_967_294, 4_294_967_294))),
            ("", None),
            (":", None),
            ("1:", None),
            (":2", None),
            ("abc", None),
            ("1abc", None),
            ("1:abc", None),
            (" 1", None),
            ("1 ", None),
            ("1: 2", None),
            ("+1", None),
            ("-1", None),
            ("1:-2", None),
            ("0x10", None),
            ("010", None),
            ("00", None),
            ("4294967295", None),
            ("4294967296", None),
            ("1:4294967295", None),
            ("99999999999999999999", None),
            ("1:2:3", None),
            ("\u{661}", None),
        ] {
            assert_eq!(ids(text), expected.map(|(uid, gid)| Ids { uid, gid }), "{text:?}");
        }
    }

    const CAPABILITIES: spec::Capabilities<'_> = spec::Capabilities {
        bounding: &["CAP_KILL"],
        effective: &["CAP_KILL"],
        inheritable: &[],
        permitted: &["CAP_KILL"],
        ambient: &[],
    };

    const CONFIG: spec::Process<'_> = spec::Process {
        terminal: Some(true),
        console_size: Some(spec::ConsoleSize { height: Some(3), width: Some(4) }),
        user: Some(spec::User { uid: Some(5), gid: Some(6), umask: Some(0o77), additional_gids: &[7] }),
        args: &["init"],
        env: &["A=1", "HOME=/h"],
        cwd: Some("/cwd"),
        capabilities: Some(&CAPABILITIES),
        rlimits: &[],
        no_new_privileges: Some(true),
        apparmor_profile: None,
        oom_score_adj: Some(9),
        scheduler: None,
        selinux_label: None,
        io_priority: None,
        exec_cpu_affinity: None,
    };

    fn words(list: &[&'static CStr]) -> Vec<&'static str> {
        list.iter().map(|word| word.to_str().expect("UTF-8")).collect()
    }

    #[test]
    fn the_config_is_what_it_starts_from() {
        let planned = plan(&CONFIG, None, &Request { args: &[c"x"], ..Request::default() }).expect("good");
        assert_eq!((words(planned.args), words(planned.env)), (vec!["x"], vec!["A=1", "HOME=/h"]));
        assert_eq!((planned.cwd, planned.terminal, planned.no_new_privs), (c"/cwd", None, true));
        let user = &planned.user;
        assert_eq!((user.uid, user.gid, user.groups, user.umask), (5, 6, &[7][..], 0o77));
        assert_eq!((planned.capabilities.bounding, planned.oom_score_adj), (1 << 5, Some(9)));
    }

    #[test]
    fn the_command_line_changes_it() {
        let request = Request {
            args: &[c"x", c"\xff"],
            env: &["B=2", "A=3"],
            capabilities: 1,
            user: Some(Ids { uid: 1, gid: 2 }),
            groups: &[8, 9],
            cwd: Some("/d"),
            terminal: Some(true),
            no_new_privs: true,
            ..Request::default()
        };
        let planned = plan(&CONFIG, None, &request).expect("good");
        assert_eq!(planned.args, [c"x", c"\xff"]);
        assert_eq!(words(planned.env), ["HOME=/h", "B=2", "A=3"]);
        assert_eq!((planned.cwd, planned.terminal), (c"/d", Some(None)));
        assert_eq!((planned.user.uid, planned.user.gid, planned.user.groups), (1, 2, &[8, 9][..]));
        let caps = &planned.capabilities;
        assert_eq!((caps.bounding, caps.effective, caps.permitted, caps.inheritable), (33, 33, 33, 0));
        assert_eq!(caps.ambient, 0);
        let planned = plan(&CONFIG, None, &Request { user: None, ..request }).expect("good");
        assert_eq!((planned.user.uid, planned.user.groups), (5, &[7, 8, 9][..]));
    }

    #[test]
    fn a_document_leaves_the_rest_to_the_config() {
        let given = spec::Process { args: &["y"], ..spec::Process::default() };
        let planned = plan(&CONFIG, Some(("x", &given)), &Request::default()).expect("good");
        assert_eq!((words(planned.args), words(planned.env)), (vec!["y"], vec!["A=1", "HOME=/h"]));
        assert_eq!((planned.cwd, planned.terminal, planned.no_new_privs), (c"/cwd", None, false));
        assert_eq!((planned.user.uid, planned.capabilities.effective), (5, 1 << 5));
        let none = spec::Process { cwd: Some("relative"), ..given };
        let error = plan(&CONFIG, Some(("x.json", &none)), &Request::default()).map_err(|error| error.to_string());
        assert_eq!(error.err().as_deref(), Some("x.json process.cwd: \"relative\" is not absolute"));
    }
}
