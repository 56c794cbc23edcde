//! `isopod ps ID [PS-ARGUMENT...]`: the processes of a container, in crun's form, or with arguments in that of ps(1).

#![forbid(unsafe_code)]

use core::fmt::{Display, Formatter};

use super::options::Given;
use super::{Outcome, report};
use crate::container::{Context, id, ps};
use crate::json::{self, Style};
use crate::sys::memory;

/// Prints the numbers of a container's processes, or what ps(1) has to say of them.
pub fn run(context: &Context, given: &Given) -> Outcome {
    let as_json = super::as_json(given)?;
    let id = id::check(given.words[0])?;
    let pids = ps::pids(context, id)?;
    let text = if as_json {
        memory::format(format_args!("{}\n", json::text(Style::Pretty, |w| w.value(pids))))
    } else if let [_, args @ ..] = given.words
        && !args.is_empty()
    {
        ps::ps(context, pids, args)?
    } else {
        memory::format(format_args!("{}", Table(pids)))
    };
    report::print(text)?;
    Ok(0)
}

struct Table(&'static [i32]);

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> core::fmt::Result {
        writeln!(f, "PID")?;
        self.0.iter().try_for_each(|pid| writeln!(f, "{pid}"))
    }
}
