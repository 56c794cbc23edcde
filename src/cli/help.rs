//! `--help`, `--usage` and `--version`, told by the table of verbs.

#![forbid(unsafe_code)]

use core::fmt::{Display, Formatter, Result};

use super::options::{Kind, Opt};
use super::verbs::{COMMON, GLOBAL, VERBS, Verb};
use crate::sys::memory::format;

/// The column at which explanations start.
const COLUMN: usize = 27;

/// What this build can do, in crun's words.
const FEATURES: &str = "+CGROUPFS +SYSTEMD +CAP +SECCOMP";

/// How the program, or a verb, is called.
pub struct Usage(pub Option<&'static Verb>);

/// The whole text.
pub struct Help(pub Option<&'static Verb>);

/// Name, commit, version of the specification, and what this build can do, in the form that engines parse.
pub struct Version;

impl Display for Usage {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Some(verb) = self.0 else { return writeln!(f, "Usage: isopod [OPTION...] COMMAND [OPTION...]") };
        let blank = if verb.words.is_empty() { "" } else { " " };
        writeln!(f, "Usage: isopod [OPTION...] {} [OPTION...]{blank}{}", verb.name, verb.words)
    }
}

impl Display for Help {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        Usage(self.0).fmt(f)?;
        let options = match self.0 {
            None => {
                writeln!(f, "Runs containers from OCI bundles.\n\nCommands:")?;
                for verb in VERBS {
                    row(f, format(format_args!("{} {}", verb.name, verb.words)), verb.summary)?;
                }
                GLOBAL
            }
            Some(verb) => {
                writeln!(f, "{}", verb.summary)?;
                verb.options
            }
        };
        writeln!(f, "\nOptions:")?;
        options.iter().chain(COMMON).try_for_each(|option| row(f, form(option), option.help()))
    }
}

fn row(f: &mut Formatter<'_>, left: &str, right: &str) -> Result {
    writeln!(f, "  {left:COLUMN$} {right}")
}

/// `-b, --bundle=DIR`.
fn form(option: &Opt) -> &'static str {
    let short = match option.short().chars().next() {
        Some(letter) => format(format_args!("-{letter},")),
        None => "",
    };
    let value = match option.kind() {
        Kind::Flag => "",
        Kind::Value(name) => format(format_args!("={name}")),
        Kind::Optional(name) => format(format_args!("[={name}]")),
    };
    format(format_args!("{short:3} --{}{value}", option.long()))
}

impl Display for Version {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "isopod version {}", env!("CARGO_PKG_VERSION"))?;
        writeln!(f, "commit: {}", env!("ISOPOD_COMMIT"))?;
        writeln!(f, "spec: {}", crate::container::SPEC_VERSION)?;
        writeln!(f, "{FEATURES}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_a_page_of_80_columns() {
        let pages = VERBS.iter().map(Some).chain([None]);
        for page in pages {
            for line in Help(page).to_string().lines() {
                assert!(line.chars().count() <= 80, "{line}");
            }
        }
        assert_eq!(Usage(Some(&VERBS[0])).to_string(), "Usage: isopod [OPTION...] spec [OPTION...]\n");
        assert!(Help(None).to_string().contains("\n      --root=DIR              where"));
    }

    #[test]
    fn version_has_the_lines_that_engines_look_for() {
        let text = Version.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("isopod version ") && lines[1].starts_with("commit: "), "{text}");
        assert_eq!(lines[2], "spec: 1.3.0");
        assert!(lines[3].split(' ').all(|word| word.starts_with('+')));
    }
}
