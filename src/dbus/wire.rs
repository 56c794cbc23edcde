//! Values and messages as bytes: the marshalling of the D-Bus Specification, little-endian. What is written comes from
//! us; what is read comes from somebody else, and is only looked at within its bounds.

use crate::sys::memory::Growing;
use crate::sys::utf8;

/// Whatever a message can say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value<'a> {
    /// Any number, by the letter of its type: `y` `b` `n` `q` `i` `u` `x` `t` `d`. Of a negative number the bits
    /// that its type has; of a double the bits of IEEE 754.
    Number(u8, u64),
    /// A string `s`, an object path `o` or a signature `g`.
    Text(u8, &'a str),
    /// Elements of one type, whose signature comes first: there may be none to tell it.
    Array(&'a str, &'a [Value<'a>]),
    /// `(...)`.
    Struct(&'a [Value<'a>]),
    /// `{...}`, of a key and a value; only in an array.
    Entry(&'a [Value<'a>]),
    /// A value that brings its own type.
    Variant(&'a Value<'a>),
}

impl<'a> Value<'a> {
    /// `s`.
    #[must_use]
    pub const fn string(text: &'a str) -> Value<'a> {
        Value::Text(b's', text)
    }

    /// `b`.
    #[must_use]
    pub const fn bool(value: bool) -> Value<'a> {
        Value::Number(b'b', value as u64)
    }

    /// `t`.
    #[must_use]
    pub const fn u64(value: u64) -> Value<'a> {
        Value::Number(b't', value)
    }
}

/// A method to be called.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// Whom: a name on the bus.
    pub destination: &'a str,
    /// The object.
    pub path: &'a str,
    /// The method's interface.
    pub interface: &'a str,
    /// The method.
    pub member: &'a str,
    /// Its arguments.
    pub arguments: &'a [Value<'a>],
}

/// How a type is aligned.
fn alignment(letter: u8) -> usize {
    match letter {
        b'y' | b'g' | b'v' => 1,
        b'n' | b'q' => 2,
        b'x' | b't' | b'd' | b'(' | b'{' => 8,
        _ => 4,
    }
}

/// Bytes to be sent.
pub struct Output(Growing<'static, u8>);

impl Output {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Output {
        Output(Growing::new())
    }

    fn bytes(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0.push(*byte));
    }

    fn align(&mut self, to: usize) {
        while !self.0.len().is_multiple_of(to) {
            self.0.push(0);
        }
    }

    fn set(&mut self, at: usize, value: usize) {
        self.0.as_mut_slice()[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
    }

    /// The type of a value, as in a signature.
    fn signature(&mut self, value: &Value<'_>) {
        match value {
            Value::Number(letter, _) | Value::Text(letter, _) => self.0.push(*letter),
            Value::Array(element, _) => {
                self.0.push(b'a');
                self.bytes(element.as_bytes());
            }
            Value::Struct(members) | Value::Entry(members) => {
                let [open, close] = if matches!(value, Value::Struct(_)) { [b'(', b')'] } else { [b'{', b'}'] };
                self.0.push(open);
                members.iter().for_each(|member| self.signature(member));
                self.0.push(close);
            }
            Value::Variant(_) => self.0.push(b'v'),
        }
    }

    fn put(&mut self, value: &Value<'_>) {
        match value {
            Value::Number(letter, bits) => {
                // A boolean takes four bytes.
                let size = alignment(*letter);
                self.align(size);
                self.bytes(&bits.to_le_bytes()[..size]);
            }
            Value::Text(letter, text) => {
                if *letter == b'g' {
                    self.0.push(text.len() as u8);
                } else {
                    self.align(4);
                    self.bytes(&(text.len() as u32).to_le_bytes());
                }
                self.bytes(text.as_bytes());
                self.0.push(0);
            }
            Value::Array(element, values) => {
                self.align(4);
                let at = self.0.len();
                self.bytes(&[0; 4]);
                // That is not counted, but there even if no element follows.
                self.align(alignment(element.bytes().next().unwrap_or(0)));
                let start = self.0.len();
                values.iter().for_each(|value| self.put(value));
                self.set(at, self.0.len() - start);
            }
            Value::Struct(members) | Value::Entry(members) => {
                self.align(8);
                members.iter().for_each(|member| self.put(member));
            }
            Value::Variant(value) => {
                // Its length is one byte. Nobody here makes a longer one.
                self.put(&Value::Text(b'g', signatures(core::slice::from_ref(value))));
                self.put(value);
            }
        }
    }

    /// Appends the message of a method call.
    pub fn call(&mut self, serial: u32, call: &Call<'_>) {
        let mut message = Output::new();
        // Little-endian, a method call, no flags, version 1 of the protocol; the length of the arguments comes later.
        message.bytes(&[b'l', METHOD_CALL, 0, 1, 0, 0, 0, 0]);
        message.bytes(&serial.to_le_bytes());
        let fields = [
            (field::PATH, Value::Text(b'o', call.path)),
            (field::INTERFACE, Value::string(call.interface)),
            (field::MEMBER, Value::string(call.member)),
            (field::DESTINATION, Value::string(call.destination)),
            (field::SIGNATURE, Value::Text(b'g', signatures(call.arguments))),
        ];
        let at = message.0.len();
        message.bytes(&[0; 4]);
        for (code, value) in &fields {
            message.align(8);
            message.0.push(*code);
            message.put(&Value::Variant(value));
        }
        message.set(at, message.0.len() - at - 4);
        message.align(8);
        let start = message.0.len();
        call.arguments.iter().for_each(|argument| message.put(argument));
        message.set(4, message.0.len() - start);
        self.bytes(message.0.as_slice());
    }

    /// All of it.
    #[must_use]
    pub fn finish(self) -> &'static [u8] {
        self.0.finish()
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

/// The types of values, in the arena.
#[must_use]
pub fn signatures(values: &[Value<'_>]) -> &'static str {
    let mut output = Output::new();
    values.iter().for_each(|value| output.signature(value));
    utf8(output.finish()).unwrap_or("")
}

/// Types of messages.
const METHOD_CALL: u8 = 1;
/// What a method returns.
pub const METHOD_RETURN: u8 = 2;
/// Why a method failed.
pub const ERROR: u8 = 3;
/// Something happened.
pub const SIGNAL: u8 = 4;

/// Fields of a header.
mod field {
    pub(super) const PATH: u8 = 1;
    pub(super) const INTERFACE: u8 = 2;
    pub(super) const MEMBER: u8 = 3;
    pub(super) const ERROR_NAME: u8 = 4;
    pub(super) const REPLY_SERIAL: u8 = 5;
    pub(super) const DESTINATION: u8 = 6;
    pub(super) const SENDER: u8 = 7;
    pub(super) const SIGNATURE: u8 = 8;
}

/// How much of a message tells its length.
pub const HEAD: usize = 16;

/// The specification's limit, 128 MiB.
const LONGEST: usize = 1 << 27;

/// A message that came. What its header does not say is empty.
#[derive(Clone, Copy, Default, Debug)]
pub struct Message<'a> {
    /// What it is: `METHOD_RETURN`, ...
    pub kind: u8,
    /// Which call it answers.
    pub reply_serial: u32,
    /// The method or the signal.
    pub member: &'a str,
    /// The name of an error.
    pub error: &'a str,
    /// Whose it is.
    pub sender: &'a str,
    /// The types of what it says.
    pub signature: &'a str,
    /// What it says.
    pub body: Input<'a>,
}

/// Bytes of somebody else's, to be read one value after the other. Each reading is `None` if they are not such a value.
#[derive(Clone, Copy, Default, Debug)]
pub struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..)?.get(..count)?;
        self.at += count;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// A number of four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.align(4);
        self.take(4).map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// A string, an object path or, `short`, a signature.
    fn text(&mut self, short: bool) -> Option<&'a str> {
        let length = if short { usize::from(self.u8()?) } else { self.u32()? as usize };
        let text = self.take(length)?;
        (self.u8()? == 0).then_some(())?;
        utf8(text)
    }

    /// A string or an object path.
    pub fn string(&mut self) -> Option<&'a str> {
        self.text(false)
    }

    /// A variant with a string in it.
    pub fn variant_string(&mut self) -> Option<&'a str> {
        (self.text(true)? == "s").then(|| self.string())?
    }
}

/// The length of a message that begins so.
#[must_use]
pub fn length(head: &[u8]) -> Option<usize> {
    let mut head = Input { bytes: head, at: 0 };
    // Whoever is on this machine has its byte order.
    (head.u8()? == b'l').then_some(())?;
    head.take(2)?;
    (head.u8()? == 1).then_some(())?;
    let body = head.u32()? as usize;
    head.u32()?;
    let fields = head.u32()? as usize;
    Some((HEAD + fields).next_multiple_of(8) + body).filter(|length| *length <= LONGEST)
}

/// Reads a message. What follows the header may be cut short.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Message<'_>> {
    length(bytes)?;
    let mut input = Input { bytes, at: 1 };
    let mut message = Message { kind: input.u8()?, ..Message::default() };
    input.at = HEAD - 4;
    let end = input.u32()? as usize + HEAD;
    while input.at < end {
        input.align(8);
        let code = input.u8()?;
        // No field has any other type.
        match input.text(true)? {
            "u" => {
                let number = input.u32()?;
                if code == field::REPLY_SERIAL {
                    message.reply_serial = number;
                }
            }
            kind @ ("s" | "o" | "g") => {
                let text = input.text(kind == "g")?;
                match code {
                    field::MEMBER => message.member = text,
                    field::ERROR_NAME => message.error = text,
                    field::SENDER => message.sender = text,
                    field::SIGNATURE => message.signature = text,
                    _ => {}
                }
            }
            _ => return None,
        }
    }
    // What is aligned in the message is so in its body, too.
    message.body = Input { bytes: bytes.get(end.next_multiple_of(8)..).unwrap_or(&[]), at: 0 };
    Some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marshalled(value: &Value<'_>) -> Vec<u8> {
        let mut output = Output::new();
        output.put(value);
        output.finish().to_vec()
    }

    /// The specification's own examples, and one of each type.
    #[test]
    fn values() {
        let foo = Value::string("foo");
        for (value, kind, bytes) in [
            (Value::Number(b'y', 0x1ff), "y", b"\xff".to_vec()),
            (Value::bool(true), "b", vec![1, 0, 0, 0]),
            (Value::Number(b'n', -2i64 as u64), "n", vec![0xfe, 0xff]),
            (Value::Number(b'i', -2i64 as u64), "i", vec![0xfe, 0xff, 0xff, 0xff]),
            (Value::u64(5), "t", vec![5, 0, 0, 0, 0, 0, 0, 0]),
            (Value::Number(b'd', 1.5f64.to_bits()), "d", 1.5f64.to_le_bytes().to_vec()),
            (foo, "s", b"\x03\0\0\0foo\0".to_vec()),
            (Value::Text(b'o', "/a"), "o", b"\x02\0\0\0/a\0".to_vec()),
            (Value::Text(b'g', "a{sv}"), "g", b"\x05a{sv}\0".to_vec()),
            (Value::Variant(&foo), "v", b"\x01s\0\0\x03\0\0\0foo\0".to_vec()),
            (
                Value::Struct(&[Value::Number(b'y', 1), Value::u64(2)]),
                "(yt)",
                b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0".to_vec(),
            ),
            // The length does not count the padding before the first element, which is there without one, too.
            (Value::Array("t", &[Value::u64(5)]), "at", b"\x08\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0".to_vec()),
            (Value::Array("(sv)", &[]), "a(sv)", b"\0\0\0\0\0\0\0\0".to_vec()),
            (
                Value::Array("u", &[Value::Number(b'u', 1), Value::Number(b'u', 2)]),
                "au",
                b"\x08\0\0\0\x01\0\0\0\x02\0\0\0".to_vec(),
            ),
            (
                Value::Array("{sy}", &[Value::Entry(&[Value::string("k"), Value::Number(b'y', 9)])]),
                "a{sy}",
                b"\x07\0\0\0\0\0\0\0\x01\0\0\0k\0\x09".to_vec(),
            ),
        ] {
            assert_eq!((signatures(&[value]), marshalled(&value)), (kind, bytes), "{value:?}");
        }
    }

    #[test]
    fn a_call_as_the_specification_lays_it_out() {
        let mut output = Output::new();
        let call = Call {
            destination: "a.b",
            path: "/c",
            interface: "d.e",
            member: "F",
            arguments: &[Value::string("x"), Value::bool(false)],
        };
        output.call(7, &call);
        let bytes = output.finish();
        let expected = [
            b"l\x01\0\x01".as_slice(),
            b"\x0c\0\0\0",
            b"\x07\0\0\0",
            b"\x48\0\0\0",
            b"\x01\x01o\0\x02\0\0\0/c\0\0\0\0\0\0",
            b"\x02\x01s\0\x03\0\0\0d.e\0\0\0\0\0",
            b"\x03\x01s\0\x01\0\0\0F\0\0\0\0\0\0\0",
            b"\x06\x01s\0\x03\0\0\0a.b\0\0\0\0\0",
            b"\x08\x01g\0\x02sb\0",
            b"\x01\0\0\0x\0\0\0",
            b"\0\0\0\0",
        ]
        .concat();
        assert_eq!(bytes, expected);
        assert_eq!(length(bytes), Some(bytes.len()));
        let message = parse(bytes).expect("a message");
        assert_eq!((message.kind, message.member, message.signature), (METHOD_CALL, "F", "sb"));
        let mut body = message.body;
        assert_eq!((body.string(), body.u32(), body.u32()), (Some("x"), Some(0), None));
    }

    /// JobRemoved, as systemd 257 sends it.
    fn job_removed() -> Vec<u8> {
        let mut output = Output::new();
        output.bytes(&[b'l', SIGNAL, 1, 1, 0, 0, 0, 0]);
        output.bytes(&9u32.to_le_bytes());
        output.put(&Value::Array(
            "(yv)",
            &[
                Value::Struct(&[
                    Value::Number(b'y', 1),
                    Value::Variant(&Value::Text(b'o', "/org/freedesktop/systemd1")),
                ]),
                Value::Struct(&[Value::Number(b'y', 3), Value::Variant(&Value::string("JobRemoved"))]),
                Value::Struct(&[Value::Number(b'y', 7), Value::Variant(&Value::string(":1.1"))]),
                Value::Struct(&[Value::Number(b'y', 8), Value::Variant(&Value::Text(b'g', "uoss"))]),
                Value::Struct(&[Value::Number(b'y', 5), Value::Variant(&Value::Number(b'u', 77))]),
            ],
        ));
        output.align(8);
        let start = output.0.len();
        for value in
            [Value::Number(b'u', 4), Value::Text(b'o', "/job/4"), Value::string("x.scope"), Value::string("done")]
        {
            output.put(&value);
        }
        output.set(4, output.0.len() - start);
        output.finish().to_vec()
    }

    #[test]
    fn a_signal_is_read() {
        let bytes = job_removed();
        assert_eq!(length(&bytes[..HEAD]), Some(bytes.len()));
        let message = parse(&bytes).expect("a message");
        assert_eq!(
            (message.kind, message.member, message.sender, message.signature, message.reply_serial),
            (SIGNAL, "JobRemoved", ":1.1", "uoss", 77)
        );
        let mut body = message.body;
        assert_eq!((body.u32(), body.string()), (Some(4), Some("/job/4")));
        assert_eq!((body.string(), body.string(), body.string()), (Some("x.scope"), Some("done"), None));
        let mut variant = Input { bytes: b"\x01s\0\0\x03\0\0\0foo\0", at: 0 };
        assert_eq!(variant.variant_string(), Some("foo"));
        assert_eq!(Input { bytes: b"\x01u\0\0\x03\0\0\0", at: 0 }.variant_string(), None);
    }

    /// Whatever a peer sends, it is read within its bounds: cut anywhere, and with any byte changed to anything.
    #[test]
    fn hostile_bytes() {
        let read = |bytes: &[u8]| {
            if let Some(length) = length(&bytes[..bytes.len().min(HEAD)]) {
                assert!(length <= LONGEST);
            }
            if let Some(message) = parse(bytes) {
                let mut body = message.body;
                let _ = (body.u32(), body.string(), body.variant_string(), body.string(), body.u32());
            }
        };
        let good = job_removed();
        for end in 0..good.len() {
            read(&good[..end]);
        }
        for at in 0..good.len() {
            for byte in (0..=255).step_by(if cfg!(miri) { 85 } else { 1 }) {
                let mut bad = good.clone();
                bad[at] = byte;
                read(&bad);
            }
        }
        for at in (0..good.len() - 4).step_by(4) {
            let mut bad = good.clone();
            bad[at..at + 4].copy_from_slice(&[0xff; 4]);
            read(&bad);
        }
        // Another byte order, another protocol, and a length over the limit.
        for (at, bytes) in [(0, &b"B"[..]), (3, b"\x02"), (4, b"\0\0\0\x08"), (12, b"\0\0\0\x08")] {
            let mut bad = good.clone();
            bad[at..at + bytes.len()].copy_from_slice(bytes);
            assert_eq!((length(&bad), parse(&bad).is_none()), (None, true), "{at}");
        }
    }
}
