//! What the tests of the built program stand on: a runtime under test, a sandbox for each test, containers made of busybox.
//!
//! Nothing here knows what is asserted; nothing in `conformance/` and `attacks/` knows how a process is started or cleaned up after.

mod agent;
mod case;
mod command;
mod container;
mod denied;
mod deny;
mod host;
mod label;
mod probe;
mod runtime;
mod sandbox;
mod systemd;
mod terminal;
mod user;

pub use agent::Agent;
pub use case::{BREACH, Case, Need, Outcome, outcome, seen, trial};
pub use command::{Ran, Running, behind, eventually, refused_in_one_line};
pub use container::{Container, copy_program, default_config};
pub use denied::Denied;
pub use deny::{deny, with_key};
pub use host::{Tmpfs, controller, linux, read, unified};
pub use label::Profile;
pub use probe::path as probe_path;
pub use runtime::{Kind, Runtime};
pub use sandbox::{Guard, Sandbox};
pub use systemd::{Mood, Systemd};
pub use terminal::{ConsoleSocket, Pty};
pub use user::User;

/// A line of a module's table: the function under its own name, ready for `.needs(..)` and `.differs(..)`.
#[macro_export]
macro_rules! case {
    ($body:ident) => {
        $crate::support::Case::new(concat!(module_path!(), "::", stringify!($body)), $body)
    };
}

/// What lasts for one run of the tests, and is undone at its end.
pub struct Session {
    _hugetlb: Option<host::HugetlbOnV1>,
}

impl Session {
    pub fn begin(runtime: &Runtime) -> Session {
        case::collect_panics();
        let crun = runtime.kind == Kind::Crun;
        Session { _hugetlb: crun.then(host::HugetlbOnV1::mount).flatten() }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        probe::remove();
        user::remove();
    }
}
