//! The parser of the command line. It knows the rules and no option: those are in the table of `verbs`.
//!
//! Long options may be cut to any unique prefix and take their value as `--opt=value` or `--opt value`; short ones may
//! be bundled, the last of a bundle takes its value as `-bDIR` or `-b DIR`; `--` ends the options. Values stay the
//! kernel's C strings: nothing is copied.

#![forbid(unsafe_code)]

use core::ffi::CStr;

use crate::error::{Error, Escaped, Result};
use crate::sys::memory::{self, Growing, format};

/// An option as the table describes it, in one text as help and manual have it: the letters that mean the same, if there
/// are any, its name, how its value is called if it takes one, and what it does: `-b --bundle=DIR where ...`. To take that
/// apart where it is needed is half the size of a table of the parts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Opt(pub &'static str);

impl Opt {
    /// The letters that mean the same; help shows the first.
    #[must_use]
    pub fn short(self) -> &'static str {
        self.parts().0
    }

    /// The name after `--`.
    #[must_use]
    pub fn long(self) -> &'static str {
        let form = self.parts().1;
        form.split(['=', '[']).next().unwrap_or(form)
    }

    /// Whether it takes a value.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self.parts().1.split_once('=') {
            None => Kind::Flag,
            Some((name, value)) if name.ends_with('[') => Kind::Optional(value.trim_end_matches(']')),
            Some((_, value)) => Kind::Value(value),
        }
    }

    /// One line of help.
    #[must_use]
    pub fn help(self) -> &'static str {
        self.parts().2
    }

    fn parts(self) -> (&'static str, &'static str, &'static str) {
        let (first, rest) = self.0.split_once(' ').unwrap_or((self.0, ""));
        if let Some(form) = first.strip_prefix("--") {
            return ("", form, rest);
        }
        let (form, help) = rest.split_once(' ').unwrap_or((rest, ""));
        (first.trim_start_matches('-'), form.trim_start_matches('-'), help)
    }
}

/// Whether an option takes a value, and how help calls that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// None.
    Flag,
    /// Always one.
    Value(&'static str),
    /// One only if it is attached: `--tty=false`, `-tno`.
    Optional(&'static str),
}

/// Where options may stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Also behind words, as callers of runc write it: `delete ID --force`.
    Anywhere,
    /// Only before the first word; what follows that belongs to somebody else (a verb, a command to execute).
    BeforeWords,
}

/// What the command line said.
pub struct Given {
    options: &'static [(Opt, Option<&'static CStr>)],
    /// What is no option.
    pub words: &'static [&'static CStr],
}

impl Given {
    /// Whether the option was given.
    #[must_use]
    pub fn has(&self, option: &Opt) -> bool {
        self.options.iter().any(|(given, _)| given == option)
    }

    /// The option's value; the last one counts.
    #[must_use]
    pub fn value(&self, option: &Opt) -> Option<&'static CStr> {
        self.options.iter().rev().find(|(given, _)| given == option).and_then(|(_, value)| *value)
    }

    /// All values of an option that may be given several times, in their order.
    pub fn values(&self, option: &Opt) -> impl Iterator<Item = &'static CStr> {
        let option = *option;
        self.options.iter().filter(move |(given, _)| *given == option).filter_map(|(_, value)| *value)
    }

    /// The same as text.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub fn text(&self, option: &Opt) -> Result<Option<&'static str>> {
        let Some(value) = self.value(option) else { return Ok(None) };
        let text = value.to_str().map_err(|_| invalid(option, value, "it is not UTF-8"))?;
        Ok(Some(text))
    }
}

/// ``--opt: invalid value `x`: WHY``.
#[cold]
#[must_use]
pub fn invalid(option: &Opt, value: &CStr, why: &'static str) -> Error {
    Error::says(format_args!("--{}: invalid value `{}`: {why}", option.long(), Escaped(value.to_bytes())))
}

/// Splits words into options of the table and the rest.
///
/// # Errors
/// Usage errors: unknown or ambiguous options, missing or unwanted values.
pub fn parse(tables: [&'static [Opt]; 2], words: &[&'static CStr], order: Order) -> Result<Given> {
    let mut parser = Parser { tables, todo: words, options: Growing::new() };
    let mut rest = Growing::new();
    while let Some(word) = parser.next_word() {
        match word.to_bytes() {
            b"--" => break,
            [b'-', b'-', ..] => parser.long(tail(word, 2))?,
            [b'-', _, ..] => parser.bundle(tail(word, 1))?,
            _ => {
                rest.push(word);
                if order == Order::BeforeWords {
                    break;
                }
            }
        }
    }
    for word in parser.todo {
        rest.push(*word);
    }
    Ok(Given { options: parser.options.finish(), words: rest.finish() })
}

struct Parser<'w> {
    tables: [&'static [Opt]; 2],
    todo: &'w [&'static CStr],
    options: Growing<'static, (Opt, Option<&'static CStr>)>,
}

impl Parser<'_> {
    fn next_word(&mut self) -> Option<&'static CStr> {
        let (first, rest) = self.todo.split_first()?;
        self.todo = rest;
        Some(first)
    }

    fn known(&self) -> impl Iterator<Item = Opt> {
        let [own, common] = self.tables;
        own.iter().chain(common).copied()
    }

    /// `word` is what follows `--`.
    fn long(&mut self, word: &'static CStr) -> Result<()> {
        let bytes = word.to_bytes();
        let (name, attached) = match bytes.iter().position(|byte| *byte == b'=') {
            Some(at) => (&bytes[..at], Some(tail(word, at + 1))),
            None => (bytes, None),
        };
        let option = self.by_prefix(name)?;
        let value = match (option.kind(), attached) {
            (Kind::Flag, Some(_)) => return Err(complain("the option `--", option.long(), "` takes no value")),
            (Kind::Value(_), None) => match self.next_word() {
                None => return Err(complain("the option `--", option.long(), "` needs a value")),
                following => following,
            },
            (_, attached) => attached,
        };
        self.options.push((option, value));
        Ok(())
    }

    /// The option of this name, or the only one that starts like that.
    fn by_prefix(&self, name: &[u8]) -> Result<Opt> {
        if let Some(exact) = self.known().find(|option| option.long().as_bytes() == name) {
            return Ok(exact);
        }
        let matching = || self.known().filter(|option| option.long().as_bytes().starts_with(name));
        let Some(found) = matching().next() else {
            return Err(complain("unknown option `--", Escaped(name), "`"));
        };
        if matching().nth(1).is_none() {
            return Ok(found);
        }
        let candidates = matching().fold("", |before, option| format(format_args!("{before} --{}", option.long())));
        Err(Error::says(format_args!("the option `--{}` is ambiguous:{candidates}", Escaped(name))))
    }

    /// `word` is what follows the single `-`.
    fn bundle(&mut self, word: &'static CStr) -> Result<()> {
        for (at, letter) in word.to_bytes().iter().enumerate() {
            let Some(option) = self.known().find(|option| option.short().as_bytes().contains(letter)) else {
                return Err(complain("unknown option `-", Escaped(&[*letter]), "`"));
            };
            let attached = Some(tail(word, at + 1)).filter(|value| !value.is_empty());
            let value = match (option.kind(), attached) {
                (Kind::Flag, _) => None,
                (Kind::Value(_), None) => match self.next_word() {
                    None => return Err(complain("the option `-", Escaped(&[*letter]), "` needs a value")),
                    following => following,
                },
                (_, attached) => attached,
            };
            self.options.push((option, value));
            if !matches!(option.kind(), Kind::Flag) {
                break;
            }
        }
        Ok(())
    }
}

#[cold]
fn complain(before: &str, what: impl core::fmt::Display, after: &str) -> Error {
    Error::says(format_args!("{before}{what}{after}"))
}

/// The C string without its first bytes.
pub(super) fn tail(word: &'static CStr, from: usize) -> &'static CStr {
    CStr::from_bytes_with_nul(&word.to_bytes_with_nul()[from..]).unwrap_or(c"")
}

/// The path without slashes at its end.
pub(super) fn without_slashes(path: &'static CStr) -> &'static CStr {
    let bytes = path.to_bytes();
    match bytes.iter().rposition(|byte| *byte != b'/') {
        Some(last) if last + 1 < bytes.len() => {
            let copy = memory::copy(&bytes[..last + 2]);
            copy[last + 1] = 0;
            CStr::from_bytes_with_nul(copy).unwrap_or(path)
        }
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static OWN: [Opt; 5] = [
        Opt("-b --bundle=DIR where"),
        Opt("-d --detach at once"),
        Opt("--no-pivot without"),
        Opt("--no-pivot-at-all neither"),
        Opt("-t --tty[=YES] with"),
    ];
    static COMMON: [Opt; 1] = [Opt("-h? --help this text")];

    /// What was given in one line: `bundle=x detach | words`.
    fn shown(words: &[&'static CStr], order: Order) -> String {
        match parse([&OWN, &COMMON], words, order) {
            Err(error) => format!("! {error}"),
            Ok(given) => {
                let mut line = String::new();
                for (option, value) in given.options {
                    line += option.long();
                    if let Some(value) = value {
                        line += "=";
                        line += value.to_str().expect("UTF-8");
                    }
                    line += " ";
                }
                line += "|";
                for word in given.words {
                    line += " ";
                    line += word.to_str().expect("UTF-8");
                }
                line
            }
        }
    }

    #[test]
    fn every_way_to_write_an_option() {
        let table: &[(&[&'static CStr], &str)] = &[
            (&[], "|"),
            (&[c"--bundle=x", c"id"], "bundle=x | id"),
            (&[c"--bundle", c"x", c"id"], "bundle=x | id"),
            (&[c"--bundle=", c"id"], "bundle= | id"),
            (&[c"--bun", c"--detach", c"id"], "bundle=--detach | id"),
            (&[c"-b", c"x"], "bundle=x |"),
            (&[c"-bx"], "bundle=x |"),
            (&[c"-dbx"], "detach bundle=x |"),
            (&[c"-db", c"x", c"-h"], "detach bundle=x help |"),
            (&[c"-?"], "help |"),
            (&[c"--no-pivot"], "no-pivot |"),
            (&[c"--no-pivot-"], "no-pivot-at-all |"),
            (&[c"-t", c"id"], "tty | id"),
            (&[c"-tno", c"--tty=false", c"--tty", c"id"], "tty=no tty=false tty | id"),
            (&[c"id", c"-d", c"--", c"-d", c"--x"], "detach | id -d --x"),
            (&[c"-", c"-d"], "detach | -"),
        ];
        for (words, expected) in table {
            assert_eq!(shown(words, Order::Anywhere), *expected, "{words:?}");
        }
    }

    #[test]
    fn what_follows_the_first_word_can_be_left_alone() {
        assert_eq!(shown(&[c"-d", c"id", c"-d", c"--", c"x"], Order::BeforeWords), "detach | id -d -- x");
        assert_eq!(shown(&[c"-d", c"--", c"-x"], Order::BeforeWords), "detach | -x");
    }

    #[test]
    fn mistakes_are_named() {
        let table: &[(&[&'static CStr], &str)] = &[
            (&[c"--nope"], "! unknown option `--nope`"),
            (&[c"-dx"], "! unknown option `-x`"),
            (&[c"-\xff"], "! unknown option `-\\xff`"),
            (&[c"--no"], "! the option `--no` is ambiguous: --no-pivot --no-pivot-at-all"),
            (&[c"--detach=1"], "! the option `--detach` takes no value"),
            (&[c"--bundle"], "! the option `--bundle` needs a value"),
            (&[c"-b"], "! the option `-b` needs a value"),
            (&[c"--=x"], "! the option `--` is ambiguous: --bundle --detach --no-pivot --no-pivot-at-all --tty --help"),
        ];
        for (words, expected) in table {
            assert_eq!(shown(words, Order::Anywhere), *expected, "{words:?}");
        }
    }

    #[test]
    fn an_option_has_four_parts() {
        let parts = |text| (Opt(text).short(), Opt(text).long(), Opt(text).kind(), Opt(text).help());
        assert_eq!(parts("-b --bundle=DIR where = it is"), ("b", "bundle", Kind::Value("DIR"), "where = it is"));
        assert_eq!(parts("--user=UID[:GID] who"), ("", "user", Kind::Value("UID[:GID]"), "who"));
        assert_eq!(parts("-t --tty[=no] [it]"), ("t", "tty", Kind::Optional("no"), "[it]"));
        assert_eq!(parts("-vV --version print"), ("vV", "version", Kind::Flag, "print"));
    }

    #[test]
    fn slashes_at_the_end_go() {
        for (path, without) in [(c"/a/", c"/a"), (c"/a//", c"/a"), (c"/a", c"/a"), (c"/", c"/"), (c"", c"")] {
            assert_eq!(without_slashes(path), without);
        }
    }

    #[test]
    fn the_last_value_counts() {
        let given = parse([&OWN, &COMMON], &[c"-ba", c"-bb"], Order::Anywhere).expect("good");
        assert_eq!(given.value(&OWN[0]), Some(c"b"));
        assert!(given.has(&OWN[0]) && !given.has(&OWN[1]));
        assert_eq!(given.text(&OWN[0]).expect("UTF-8"), Some("b"));
    }
}
