//! `isopod list`: a table for people, JSON for engines, names for scripts.

#![forbid(unsafe_code)]

use core::fmt::{Display, Formatter};

use super::options::Given;
use super::owner::Users;
use super::{Outcome, report, verbs};
use crate::container::Context;
use crate::container::list::{Summary, list};
use crate::json::{self, Style};
use crate::sys::memory::{self, Growing};

/// Prints all containers.
pub fn run(context: &Context, given: &Given) -> Outcome {
    let as_json = super::as_json(given)?;
    let all = list(context)?;
    let text = if given.has(&verbs::QUIET) {
        memory::format(format_args!("{}", Names(all)))
    } else if as_json {
        memory::format(format_args!("{}\n", json(all)))
    } else {
        memory::format(format_args!("{}", Table(rows(all))))
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

/// A container and the name of its owner.
type Row = (Summary, &'static str);

fn rows(all: &[Summary]) -> &'static [Row] {
    let mut users = Users::default();
    let mut rows = Growing::new();
    for container in all {
        rows.push((*container, users.name(container.state.owner)));
    }
    rows.finish()
}

/// crun's table, column for column.
struct Table(&'static [Row]);

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> core::fmt::Result {
        let width = self.0.iter().map(|(container, _)| container.id.len()).max().unwrap_or(0).max(4);
        writeln!(f, "{:width$} {:10}{:9}{:40}{:31}OWNER", "NAME", "PID", "STATUS", "BUNDLE PATH", "CREATED")?;
        for (Summary { id, pid, status, state }, owner) in self.0 {
            let (status, bundle, created) = (status.name(), state.bundle, state.created);
            writeln!(f, "{id:width$} {pid:<10}{status:8} {bundle:39} {created:30} {owner}")?;
        }
        Ok(())
    }
}

fn json(all: &[Summary]) -> &'static str {
    json::text(Style::Pretty, |w| {
        w.array(|w| {
            for (container, owner) in rows(all) {
                w.object(|w| {
                    w.member("id", container.id);
                    w.member("pid", container.pid);
                    w.member("status", container.status.name());
                    w.member("bundle", container.state.bundle);
                    w.member("created", container.state.created);
                    w.member("owner", *owner);
                });
            }
        });
    })
}
