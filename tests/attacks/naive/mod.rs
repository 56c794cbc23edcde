//! A runtime that makes every mistake of the list: it follows the image's links with the host's rights, believes the
//! image's procfs, passes on what it has open, and so on. Each attack is also carried out on it, and has to succeed:
//! a test that cannot tell such a runtime from isopod proves nothing.
//!
//! It is this very program, called by another name. It understands only what the attacks need, and is for nothing else.

mod life;
mod process;
mod root;

use std::ffi::CString;
use std::path::PathBuf;

use nix::libc;

/// The options of a command line, and what is no option.
pub(super) struct Words {
    pub(super) root: PathBuf,
    options: Vec<(String, String)>,
    pub(super) rest: Vec<String>,
}

/// Options that take no word.
const SWITCHES: &[&str] = &["--force", "--no-pivot", "--detach", "--no-new-keyring", "--all", "-d", "-t"];

impl Words {
    fn parse(words: impl Iterator<Item = String>) -> Words {
        let mut parsed = Words { root: "/run/naive".into(), options: Vec::new(), rest: Vec::new() };
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            // The first word is the verb; for `exec` the words of the command begin after the id.
            let command = parsed.rest.first().is_some_and(|verb| verb == "exec") && parsed.rest.len() > 1;
            if command || !word.starts_with('-') {
                parsed.rest.push(word);
            } else if word == "--root" {
                parsed.root = words.next().unwrap_or_default().into();
            } else if SWITCHES.contains(&word.as_str()) {
                parsed.options.push((word, String::new()));
            } else if let Some((name, value)) = word.split_once('=') {
                parsed.options.push((name.into(), value.into()));
            } else {
                let value = words.next().unwrap_or_default();
                parsed.options.push((word, value));
            }
        }
        parsed
    }

    pub(super) fn option(&self, names: &[&str]) -> Option<&str> {
        self.options.iter().find(|(name, _)| names.contains(&name.as_str())).map(|(_, value)| value.as_str())
    }

    pub(super) fn id(&self) -> &str {
        self.rest.get(1).map_or("", String::as_str)
    }

    /// Whatever the name is made of.
    pub(super) fn state(&self) -> PathBuf {
        self.root.join(self.id())
    }
}

/// Becomes the runtime.
pub(super) fn main(words: impl Iterator<Item = String>) -> ! {
    if std::env::args().nth(1).is_some_and(|word| word == "--version") {
        println!("naive 0");
        std::process::exit(0)
    }
    let words = Words::parse(words);
    let done = match words.rest.first().map(String::as_str) {
        Some("run") => life::run(&words),
        Some("create") => life::create(&words).map(|_| 0),
        Some("start") => life::start(&words),
        Some("state") => life::state(&words),
        Some("kill") => life::kill(&words),
        Some("delete") => life::delete(&words),
        Some("exec") => life::exec(&words),
        Some("spec") => life::spec(),
        Some("list") => Ok(0),
        other => Err(format!("unknown: {other:?}")),
    };
    std::process::exit(done.unwrap_or_else(|error| {
        eprintln!("naive: {error}");
        1
    }))
}

pub(super) type Done<T> = Result<T, String>;

pub(super) fn c(text: impl Into<Vec<u8>>) -> CString {
    CString::new(text).unwrap_or_default()
}

/// The result of a call, with errno in words.
pub(super) fn checked(what: &str, result: libc::c_int) -> Done<libc::c_int> {
    if result < 0 { Err(format!("{what}: {}", std::io::Error::last_os_error())) } else { Ok(result) }
}
