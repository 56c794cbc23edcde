//! `isopod list`: a table for people, JSON for engines, names for scripts.

#![forbid(unsafe_code)]

use core::fmt::{Display, Formatter};

use super::options::{Given, invalid};
use super::owner::Users;
use super::{Outcome, misuse, report, verbs};
use crate::container::Context;
use crate::container::list::{Summary, list};
use crate::sys::memory;
use crate::writer::Writer;

/// Prints all containers.
pub fn run(context: &Context, given: &Given) -> Outcome {
    let as_json = match given.value(&verbs::FORMAT) {
        None => false,
        Some(word) => match word.to_bytes() {
            b"table" => false,
            b"json" => true,
            _ => return Err(misuse(invalid(&verbs::FORMAT, word, "it is table or json"))),
        },
    };
    let all = list(context)?;
    let text = if given.has(&verbs::QUIET) {
        memory::format(format_args!("{}", Names(all)))
    } else if as_json {
        json(all)
    } else {
        memory::format(format_args!("{}", Table(all)))
    };
    report::print(text)?;
    Ok(0)
}

struct Names(&'static [Summary]);

impl Display for Names {
    fn fmt(&self, f: &mut Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|container| writeln!(f, "{}", container.id))
    }
}

/// crun's table, column for column.
struct Table(&'static [Summary]);

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> core::fmt::Result {
        let width = self.0.iter().map(|container| container.id.len()).max().unwrap_or(0).max(4);
        let users = if self.0.is_empty() { None } else { Some(Users::read()) };
        writeln!(f, "{:width$} {:10}{:9}{:40}{:31}OWNER", "NAME", "PID", "STATUS", "BUNDLE PATH", "CREATED")?;
        for Summary { id, pid, status, state } in self.0 {
            let owner = users.as_ref().map_or("", |users| users.name(state.owner));
            let (status, bundle, created) = (status.name(), state.bundle, state.created);
            writeln!(f, "{id:width$} {pid:<10}{status:8} {bundle:39} {created:30} {owner}")?;
        }
        Ok(())
    }
}

fn json(all: &[Summary]) -> &'static str {
    let users = Users::read();
    let mut json = Writer::pretty();
    json.array(|json| {
        for container in all {
            json.object(|json| {
                json.key("id").text(container.id);
                json.key("pid").number(container.pid);
                json.key("status").text(container.status.name());
                json.key("bundle").text(container.state.bundle);
                json.key("created").text(container.state.created);
                json.key("owner").text(users.name(container.state.owner));
            });
        }
    });
    memory::format(format_args!("{}\n", json.finish()))
}
