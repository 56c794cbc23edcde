//! The binary under test.

use std::path::PathBuf;
use std::process::Command;

use super::command::spawn;
use super::denied::Denied;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Isopod,
    Crun,
    Runc,
    /// The one of `tests/attacks/naive`, which defends nothing.
    Naive,
}

pub struct Runtime {
    pub path: PathBuf,
    pub kind: Kind,
    /// A call that it does without, if it can.
    pub denied: Option<&'static Denied>,
}

impl Runtime {
    /// `RUNTIME` names it, by path or by a name on PATH; else it is the one that cargo built for this test.
    pub fn chosen() -> Runtime {
        let path = match std::env::var("RUNTIME") {
            Ok(name) => absolute(&name),
            Err(_) => PathBuf::from(env!("CARGO_BIN_EXE_isopod")),
        };
        Runtime::at(path)
    }

    pub fn at(path: PathBuf) -> Runtime {
        let kind = kind(&path);
        Runtime { path, kind, denied: None }
    }
}

fn absolute(name: &str) -> PathBuf {
    let found = if name.contains('/') {
        std::fs::canonicalize(name).ok()
    } else {
        let path = std::env::var("PATH").unwrap_or_default();
        path.split(':').map(|dir| PathBuf::from(dir).join(name)).find(|file| file.is_file())
    };
    found.unwrap_or_else(|| panic!("RUNTIME={name}: no such program"))
}

/// The first word of `--version` is the name that a runtime gives itself.
fn kind(path: &PathBuf) -> Kind {
    match spawn(Command::new(path).arg("--version")).wait().stdout().split_whitespace().next() {
        Some("crun") => Kind::Crun,
        Some("runc") => Kind::Runc,
        Some("naive") => Kind::Naive,
        _ => Kind::Isopod,
    }
}
