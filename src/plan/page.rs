//! Two forms of one content: a page for people, with aligned columns, or JSON, with a name for each column. Whoever
//! fills it says everything once, so that neither form can lack what the other has.

use core::fmt;

use crate::error::escape;
use crate::json::{Style, Writer};
use crate::sys;
use crate::sys::memory;

/// What stands in a column.
pub(super) enum Value<'v> {
    /// Nothing at all if it is empty.
    Text(&'v str),
    Number(u64),
    /// JSON has a list, people the words with blanks between them.
    Words(&'v [&'v str]),
    /// For JSON true or false; for people this phrase, if it is true.
    Flag(bool, &'static str),
}

/// The page.
pub(super) struct Page<'w> {
    form: Form<'w>,
    /// Of the section: its name, unless it has been printed, and its columns.
    name: &'static str,
    columns: &'static str,
    open: bool,
}

enum Form<'w> {
    People(&'w mut dyn fmt::Write, fmt::Result),
    Json(Writer<'w>),
}

/// Where the first column begins.
const MARGIN: usize = 16;

impl<'w> Page<'w> {
    /// An empty one that is written to `out`.
    pub(super) fn new(out: &'w mut dyn fmt::Write, as_json: bool) -> Page<'w> {
        let form = if as_json {
            let mut writer = Writer::new(out, Style::Pretty);
            writer.open(b'{');
            Form::Json(writer)
        } else {
            Form::People(out, Ok(()))
        };
        Page { form, name: "", columns: "", open: false }
    }

    /// Begins a list of rows. Their columns have names, with a blank between them, and are as wide as it says behind the
    /// name: `path:20 owner`.
    pub(super) fn section(&mut self, name: &'static str, columns: &'static str) {
        self.close();
        (self.name, self.columns, self.open) = (name, columns, true);
        if let Form::Json(writer) = &mut self.form {
            writer.name(name).open(b'[');
        }
    }

    fn close(&mut self) {
        if let Form::Json(writer) = &mut self.form
            && self.open
        {
            writer.close(b']');
        }
        self.open = false;
    }

    /// One row of the section, which may lack its last columns.
    pub(super) fn row(&mut self, values: &[Value<'_>]) {
        match &mut self.form {
            Form::Json(writer) => {
                writer.open(b'{');
                columns(self.columns).zip(values).for_each(|((name, _), value)| member(writer, name, value));
                writer.close(b'}');
            }
            Form::People(out, result) => {
                let name = core::mem::take(&mut self.name);
                *result = result.and_then(|()| print(*out, name, self.columns, values));
            }
        }
    }

    /// A value that is alone.
    pub(super) fn one(&mut self, name: &'static str, value: Value<'_>) {
        self.close();
        match &mut self.form {
            Form::Json(writer) => member(writer, name, &value),
            Form::People(out, result) => *result = result.and_then(|()| print(*out, name, name, &[value])),
        }
    }

    /// The end.
    ///
    /// # Errors
    /// If `out` did not take everything.
    pub(super) fn finish(mut self) -> fmt::Result {
        self.close();
        match self.form {
            Form::Json(mut writer) => {
                writer.close(b'}');
                writer.finish()
            }
            Form::People(_, result) => result,
        }
    }
}

/// The names of columns, and how wide they are.
fn columns(columns: &'static str) -> impl Iterator<Item = (&'static str, usize)> {
    columns.split(' ').map(|column| {
        let (name, width) = column.split_once(':').unwrap_or((column, ""));
        (name, sys::natural(width).unwrap_or(0))
    })
}

fn member(writer: &mut Writer<'_>, name: &str, value: &Value<'_>) {
    match value {
        Value::Text("") => {}
        Value::Text(text) => writer.member(name, *text),
        Value::Number(number) => writer.member(name, *number),
        Value::Words(words) => writer.member(name, *words),
        Value::Flag(flag, _) => writer.member(name, *flag),
    }
}

/// A line, unless there is nothing in it: the section's name, then the columns.
fn print(out: &mut dyn fmt::Write, name: &str, names: &'static str, values: &[Value<'_>]) -> fmt::Result {
    // Blanks only come before something.
    let mut pending = MARGIN.saturating_sub(name.len()).max(1);
    let mut empty = true;
    for ((_, width), value) in columns(names).zip(values) {
        let text = match value {
            Value::Text(text) => text,
            Value::Number(number) => memory::format(format_args!("{number}")),
            Value::Words(words) => words.iter().enumerate().fold("", |all, (at, word)| {
                memory::format(format_args!("{all}{}{word}", if at == 0 { "" } else { " " }))
            }),
            Value::Flag(true, phrase) => phrase,
            Value::Flag(false, _) => "",
        };
        if text.is_empty() {
            pending += if width > 0 { width + 2 } else { 0 };
            continue;
        }
        if core::mem::take(&mut empty) {
            out.write_str(name)?;
        }
        for _ in 0..pending {
            out.write_str(" ")?;
        }
        // What is written is the caller's: a line feed in it is no new line, and nothing in it moves the cursor.
        text.chars().try_for_each(|character| escape(out, character))?;
        pending = width.saturating_sub(text.chars().count()) + 2;
    }
    if empty { Ok(()) } else { out.write_str("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(fill: impl Fn(&mut Page<'_>)) -> [String; 2] {
        [false, true].map(|as_json| {
            let mut out = String::new();
            let mut page = Page::new(&mut out, as_json);
            fill(&mut page);
            page.finish().expect("written");
            out
        })
    }

    #[test]
    fn the_same_for_people_and_programs() {
        let [text, json] = both(|page| {
            page.one("id", Value::Text("x"));
            page.section("mounts", "on:6 late:4 options n");
            page.row(&[Value::Text("/"), Value::Flag(false, "late"), Value::Words(&["a", "b"])]);
            page.row(&[Value::Text("/longer"), Value::Flag(true, "late"), Value::Text(""), Value::Number(7)]);
            page.section("none", "");
            page.one("rest", Value::Text("a\n\u{1b}[1m\u{e4}"));
        });
        let expected = "id              x\n\
                        mounts          /             a b\n                /longer  late  7\n\
                        rest            a\\n\\u{1b}[1m\u{e4}\n";
        assert_eq!(text, expected);
        let json = jzon::parse(&json).expect("JSON");
        let expected = jzon::object! {
            id: "x",
            mounts: [{ on: "/", late: false, options: ["a", "b"] }, { on: "/longer", late: true, n: 7 }],
            none: [],
            rest: "a\n\u{1b}[1m\u{e4}",
        };
        assert_eq!(json, expected);
    }
}
