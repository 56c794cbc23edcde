//! Stand-in for json::Writer until that is there.
use crate::sys::memory::{Growing, format};

pub struct Writer {
    out: Growing<'static, u8>,
    depth: usize,
    pretty: bool,
    first: bool,
    after_key: bool,
}

impl Writer {
    pub fn compact() -> Self {
        Writer { out: Growing::new(), depth: 0, pretty: false, first: true, after_key: false }
    }
    pub fn pretty() -> Self {
        Writer { pretty: true, ..Self::compact() }
    }
    fn raw(&mut self, s: &str) {
        for b in s.bytes() {
            self.out.push(b)
        }
    }
    fn line(&mut self) {
        if self.pretty {
            self.raw("\n");
            for _ in 0..self.depth {
                self.raw("  ")
            }
        }
    }
    fn item(&mut self) {
        if self.after_key {
            self.after_key = false;
            return;
        }
        if !self.first {
            self.raw(",")
        }
        if self.depth > 0 {
            self.line()
        }
        self.first = false;
    }
    pub fn open(&mut self, c: &str) {
        self.item();
        self.raw(c);
        self.depth += 1;
        self.first = true
    }
    pub fn close(&mut self, c: &str) {
        self.depth -= 1;
        if !self.first {
            self.line()
        }
        self.raw(c);
        self.first = false
    }
    pub fn object(&mut self, f: impl FnOnce(&mut Self)) {
        self.open("{");
        f(self);
        self.close("}")
    }
    pub fn array(&mut self, f: impl FnOnce(&mut Self)) {
        self.open("[");
        f(self);
        self.close("]")
    }
    pub fn key(&mut self, k: &str) -> &mut Self {
        self.text(k);
        self.raw(if self.pretty { ": " } else { ":" });
        self.after_key = true;
        self
    }
    pub fn text(&mut self, t: &str) {
        self.item();
        self.raw("\"");
        for c in t.chars() {
            match c {
                '"' => self.raw("\\\""),
                '\\' => self.raw("\\\\"),
                '\n' => self.raw("\\n"),
                c if c < ' ' => self.raw(format(format_args!("\\u{:04x}", c as u32))),
                c => {
                    let mut b = [0; 4];
                    let s: &str = c.encode_utf8(&mut b);
                    self.raw(s)
                }
            }
        }
        self.raw("\"")
    }
    pub fn number(&mut self, n: impl Into<i128>) {
        self.item();
        self.raw(format(format_args!("{}", n.into())))
    }
    pub fn truth(&mut self, b: bool) {
        self.item();
        self.raw(if b { "true" } else { "false" })
    }
    pub fn finish(self) -> &'static str {
        core::str::from_utf8(self.out.finish()).unwrap_or("")
    }
}
