//! Two forms of one content: a page for people, with aligned columns, or JSON, with a name for each column. Whoever
//! fills it says everything once, so that neither form can lack what the other has.

use core::ffi::CStr;
use core::fmt;

use crate::error::escape;
use crate::json::{Style, Writer};
use crate::sys::{self, memory, shown};

/// What stands in a column.
#[derive(Clone, Copy)]
enum Value<'v> {
    Text(&'v str),
    Number(u64),
    Words(&'v [&'v str]),
    Flag(bool, &'static str),
}

/// The page.
pub(super) struct Page<'w> {
    form: Form<'w>,
    /// Of the section: its name, unless it has been printed, its columns, and whether there can be more rows.
    name: &'static str,
    columns: &'static str,
    open: bool,
    row: Option<Row>,
}

enum Form<'w> {
    People(&'w mut dyn fmt::Write, fmt::Result),
    Json(Writer<'w>),
}

/// A row that is being filled.
struct Row {
    /// What begins the line.
    name: &'static str,
    /// The columns that are still to come.
    columns: &'static str,
    /// One of several: for JSON an object.
    listed: bool,
    /// Blanks only come before something.
    blanks: usize,
    empty: bool,
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
        Page { form, name: "", columns: "", open: false, row: None }
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

    /// Begins a row of the section, which may lack its last columns.
    pub(super) fn row(&mut self) -> &mut Self {
        self.close_row();
        if let Form::Json(writer) = &mut self.form {
            writer.open(b'{');
        }
        let name = core::mem::take(&mut self.name);
        self.begin(name, self.columns, true)
    }

    /// Begins a value that is alone.
    pub(super) fn one(&mut self, name: &'static str) -> &mut Self {
        self.close();
        self.begin(name, name, false)
    }

    fn begin(&mut self, name: &'static str, columns: &'static str, listed: bool) -> &mut Self {
        let blanks = MARGIN.saturating_sub(name.len()).max(1);
        self.row = Some(Row { name, columns, listed, blanks, empty: true });
        self
    }

    /// The next column: nothing at all if it is empty.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.put(Value::Text(text))
    }

    /// The same of the kernel's form of it.
    pub(super) fn path(&mut self, path: &CStr) -> &mut Self {
        self.text(shown(path))
    }

    /// The same of pieces.
    pub(super) fn format(&mut self, text: fmt::Arguments<'_>) -> &mut Self {
        self.text(memory::format(text))
    }

    /// The next column: a number.
    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        self.put(Value::Number(number))
    }

    /// The next column: JSON has a list, people the words with blanks between them.
    pub(super) fn words(&mut self, words: &[&str]) -> &mut Self {
        self.put(Value::Words(words))
    }

    /// The next column: for JSON true or false; for people this phrase, if it is true.
    pub(super) fn flag(&mut self, flag: bool, phrase: &'static str) -> &mut Self {
        self.put(Value::Flag(flag, phrase))
    }

    fn put(&mut self, value: Value<'_>) -> &mut Self {
        let Some(row) = &mut self.row else { return self };
        let (column, rest) = row.columns.split_once(' ').unwrap_or((row.columns, ""));
        row.columns = rest;
        let (name, width) = column.split_once(':').unwrap_or((column, ""));
        match &mut self.form {
            Form::Json(writer) => match value {
                Value::Text("") => {}
                Value::Text(text) => writer.member(name, text),
                Value::Number(number) => writer.member(name, number),
                Value::Words(words) => writer.member(name, words),
                Value::Flag(flag, _) => writer.member(name, flag),
            },
            Form::People(out, result) => {
                *result = result.and_then(|()| row.print(*out, sys::natural(width).unwrap_or(0), value));
            }
        }
        self
    }

    fn close_row(&mut self) {
        match (self.row.take(), &mut self.form) {
            (Some(Row { listed: true, .. }), Form::Json(writer)) => writer.close(b'}'),
            (Some(Row { empty: false, .. }), Form::People(out, result)) => {
                *result = result.and_then(|()| out.write_str("\n"));
            }
            _ => {}
        }
    }

    fn close(&mut self) {
        self.close_row();
        if let Form::Json(writer) = &mut self.form
            && self.open
        {
            writer.close(b']');
        }
        self.open = false;
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

impl Row {
    /// For people: a line that is empty is none.
    fn print(&mut self, out: &mut dyn fmt::Write, width: usize, value: Value<'_>) -> fmt::Result {
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
            self.blanks += if width > 0 { width + 2 } else { 0 };
            return Ok(());
        }
        if core::mem::take(&mut self.empty) {
            out.write_str(self.name)?;
        }
        for _ in 0..self.blanks {
            out.write_str(" ")?;
        }
        // What is written is the caller's: a line feed in it is no new line, and nothing in it moves the cursor.
        text.chars().try_for_each(|character| escape(out, character))?;
        self.blanks = width.saturating_sub(text.chars().count()) + 2;
        Ok(())
    }
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
            page.one("id").text("x");
            page.section("mounts", "on:6 late:4 options n");
            page.row().text("/").flag(false, "late").words(&["a", "b"]);
            page.row().text("/longer").flag(true, "late").text("").number(7);
            page.section("none", "");
            page.one("rest").text("a\n\u{1b}[1m\u{e4}");
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
