//! `isopod completion SHELL`: what completes a command line, written from the table of verbs.

#![forbid(unsafe_code)]

use core::fmt::{Display, Formatter, Result};

use super::options::{Given, Kind, Opt};
use super::verbs::{COMMON, GLOBAL, VERBS, Verb};
use super::{Outcome, misuse, report};
use crate::container::Context;
use crate::error::{Error, Escaped};
use crate::sys::memory;

/// Prints the script for a shell.
pub fn run(_: &Context, given: &Given) -> Outcome {
    let word = given.words[0].to_bytes();
    let script: &dyn Display = match word {
        b"bash" => &Bash,
        b"zsh" => &Zsh,
        b"fish" => &Fish,
        _ => {
            let message = format_args!("completion: invalid shell `{}`: it is bash, zsh or fish", Escaped(word));
            return Err(misuse(Error::says(message)));
        }
    };
    report::print(memory::format(format_args!("{script}")))?;
    Ok(0)
}

/// Whether the verb is about containers that exist.
fn takes_id(verb: &Verb) -> bool {
    verb.takes_id() && !matches!(verb.name, "run" | "create")
}

struct Bash;

impl Display for Bash {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(
            "_isopod() {\n  local words each verb= word=${COMP_WORDS[COMP_CWORD]}\n  \
             for each in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n    case $each in\n    ",
        )?;
        for (at, verb) in VERBS.iter().enumerate() {
            write!(f, "{}{}", if at == 0 { "" } else { "|" }, verb.name)?;
        }
        f.write_str(") verb=$each; break;;\n    esac\n  done\n  case $verb in\n")?;
        f.write_str("  '') words='")?;
        VERBS.iter().try_for_each(|verb| write!(f, "{} ", verb.name))?;
        options(f, GLOBAL)?;
        f.write_str("';;\n")?;
        for verb in VERBS {
            write!(f, "  {}) words=\"", verb.name)?;
            options(f, verb.options)?;
            f.write_str(if takes_id(verb) { " $(isopod list -q 2>/dev/null)\";;\n" } else { "\";;\n" })?;
        }
        f.write_str("  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\n")?;
        f.write_str("complete -o default -F _isopod isopod\n")
    }
}

fn options(f: &mut Formatter<'_>, options: &[Opt]) -> Result {
    for (at, option) in options.iter().chain(COMMON).enumerate() {
        write!(f, "{}--{}", if at == 0 { "" } else { " " }, option.long())?;
    }
    Ok(())
}

/// zsh understands bash's form.
struct Zsh;

impl Display for Zsh {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "#compdef isopod\nautoload -U +X bashcompinit && bashcompinit\n{Bash}")
    }
}

struct Fish;

impl Display for Fish {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let global = "__fish_use_subcommand";
        for verb in VERBS {
            writeln!(f, "complete -c isopod -f -n {global} -a {} -d '{}'", verb.name, Quoted(verb.summary))?;
        }
        fish_options(f, global, GLOBAL)?;
        for verb in VERBS {
            let seen = memory::format(format_args!("'__fish_seen_subcommand_from {}'", verb.name));
            fish_options(f, seen, verb.options)?;
            if takes_id(verb) {
                writeln!(f, "complete -c isopod -f -n {seen} -a '(isopod list -q 2>/dev/null)'")?;
            }
        }
        Ok(())
    }
}

fn fish_options(f: &mut Formatter<'_>, when: &str, options: &[Opt]) -> Result {
    for option in options {
        write!(f, "complete -c isopod -n {when} -l {}", option.long())?;
        if let Some(letter) = option.short().chars().next() {
            write!(f, " -s {letter}")?;
        }
        let value = if matches!(option.kind(), Kind::Value(_)) { " -r" } else { "" };
        writeln!(f, "{value} -d '{}'", Quoted(option.help()))?;
    }
    Ok(())
}

/// Text between fish's single quotes.
struct Quoted(&'static str);

impl Display for Quoted {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.0.split('\'').enumerate().try_for_each(|(at, piece)| {
            f.write_str(if at == 0 { "" } else { "\\'" })?;
            f.write_str(piece)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_and_option_is_there() {
        for script in [Bash.to_string(), Zsh.to_string(), Fish.to_string()] {
            for verb in VERBS {
                assert!(script.contains(verb.name), "{}", verb.name);
                for option in verb.options.iter().chain(GLOBAL) {
                    assert!(script.contains(option.long()), "{}", option.long());
                }
            }
        }
        assert_eq!(Quoted("the bundle's").to_string(), "the bundle\\'s");
    }
}
