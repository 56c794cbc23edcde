use super::*;
use crate::sys::memory;

object! {
    /// One member of each kind.
    pub struct Sample<'a> {
        text: Option<&'a str> = "text",
        flag: Option<bool> = "flag",
        small: Option<u16> = "small",
        id: Option<u32> = "id",
        large: Option<u64> = "large",
        nice: Option<i32> = "nice",
        limit: Option<i64> = "limit",
        words: List<'a, &'a str> = "words",
        ids: Option<List<'a, u32>> = "ids",
        map: Map<'a, &'a str> = "map",
        child: Option<&'a Sample<'a>> = "child",
        inner: Option<Inner> = "inner",
        children: List<'a, Sample<'a>> = "children",
        by_name: Map<'a, Inner> = "by/name",
    }
}

object! {
    /// An object by value.
    pub struct Inner {
        n: Option<u32> = "n",
    }
}

fn read(text: &str) -> Sample<'_> {
    from_slice(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn error(text: &[u8]) -> String {
    let error = from_slice::<Sample<'_>>(text).err();
    let error = error.unwrap_or_else(|| panic!("accepted: {}", text.escape_ascii()));
    error.to_string().strip_prefix("config.json").unwrap().trim_start_matches([' ', ':']).to_owned()
}

#[test]
fn every_kind() {
    let sample = read(
        r#" { "text": "a", "flag": true, "small": 65535, "id": 4294967295, "large": 18446744073709551615,
        "nice": -2147483648, "limit": -9223372036854775808, "words": ["x", ""], "ids": [], "map": {"k": "v"},
        "child": {"child": {"id": 0}}, "inner": {"n": 1}, "children": [{}, {"id": 2}], "by\/name": {"a": {"n": 3}} } "#,
    );
    let leaf = Sample { id: Some(0), ..Sample::default() };
    let expected = Sample {
        text: Some("a"),
        flag: Some(true),
        small: Some(u16::MAX),
        id: Some(u32::MAX),
        large: Some(u64::MAX),
        nice: Some(i32::MIN),
        limit: Some(i64::MIN),
        words: &["x", ""],
        ids: Some(&[]),
        child: Some(&Sample { child: Some(&leaf), ..Sample::default() }),
        inner: Some(Inner { n: Some(1) }),
        children: &[Sample::default(), Sample { id: Some(2), ..Sample::default() }],
        map: sample.map,
        by_name: sample.by_name,
    };
    assert_eq!(sample, expected);
    assert_eq!(sample.map[..], [("k", "v")]);
    assert_eq!(sample.by_name.get("a"), Some(Inner { n: Some(3) }));
    assert_eq!(sample.by_name.get("b"), None);
}

#[test]
fn null_is_absent() {
    let text = r#"{"text":null,"flag":null,"small":null,"id":null,"large":null,"nice":null,"limit":null,"words":null,
        "ids":null,"map":null,"child":null,"inner":null,"children":null,"by/name":null,"other":null}"#;
    assert_eq!(read(text), Sample::default());
    assert_eq!(read("{}"), Sample::default());
    assert_eq!(read(r#"{"map":{"a":null,"b":"c"}}"#).map[..], [("b", "c")]);
    assert_eq!(error(br#"{"words":["a",null]}"#), "words[1]: expected a string, found null");
    assert_eq!(error(b"null"), "expected an object, found null");
}

#[test]
fn the_bounds_of_integers() {
    let sample =
        read(r#"{"small":0,"id":0,"large":9223372036854775808,"nice":2147483647,"limit":9223372036854775807}"#);
    assert_eq!((sample.small, sample.id, sample.nice), (Some(0), Some(0), Some(i32::MAX)));
    assert_eq!((sample.large, sample.limit), (Some(1 << 63), Some(i64::MAX)));
    let sample = read(r#"{"nice":-0,"limit":-0}"#);
    assert_eq!((sample.nice, sample.limit), (Some(0), Some(0)));
    for (name, numbers) in [
        ("small", &["-1", "-0", "65536", "4294967296", "18446744073709551616", "-9223372036854775809"][..]),
        ("id", &["-1", "-0", "4294967296", "18446744073709551616", "-9223372036854775809"]),
        ("large", &["-1", "-0", "18446744073709551616", "18446744073709551625", "99999999999999999999"]),
        ("nice", &["2147483648", "-2147483649", "4294967295", "18446744073709551616", "-9223372036854775809"]),
        ("limit", &["9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616"]),
    ] {
        for number in numbers.iter().chain(&["0e0", "-0.0", "1e1", "1E-1", "1e999999999999"]) {
            let error = error(format!(r#"{{"{name}":{number}}}"#).as_bytes());
            assert!(error.starts_with(&format!("{name}: expected an integer from ")), "{error}");
            assert!(error.ends_with(&format!(", found {number}")), "{error}");
        }
    }
}

#[test]
fn the_last_of_two_counts() {
    let sample = read(r#"{"id":1,"words":["a"],"map":{"x":"1","y":"2","x":"3"},"id":2,"words":["b"]}"#);
    assert_eq!((sample.id, sample.words), (Some(2), &["b"][..]));
    assert_eq!(sample.map[..], [("x", "3"), ("y", "2")]);
    // It comes instead of the first, not in addition; but null is as if it were not there.
    let sample =
        read(r#"{"inner":{"n":1},"child":{"id":1,"flag":true},"inner":{},"child":{"id":2},"ids":[1],"ids":null}"#);
    let child = Sample { id: Some(2), ..Sample::default() };
    assert_eq!((sample.inner, sample.child, sample.ids), (Some(Inner::default()), Some(&child), Some(&[1][..])));
    // The error is about the one that is wrong.
    assert_eq!(error(br#"{"id":1,"id":"x"}"#), "id: expected an integer from 0 to 4294967295, found a string");
}

#[test]
fn strings() {
    for (written, meant) in [
        ("", ""),
        ("plain", "plain"),
        ("\u{e4}\u{20ac}\u{1f600}\u{7f}", "\u{e4}\u{20ac}\u{1f600}\u{7f}"),
        (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r"\u0041\u00e4\u20AC\u0000", "A\u{e4}\u{20ac}\0"),
        (r"a\uD83D\uDE00b", "a\u{1f600}b"),
        (r"\uffff\ue000\ud7ff", "\u{ffff}\u{e000}\u{d7ff}"),
        (r"\\u0041", r"\u0041"),
        // As Go writes what would mean something to HTML or JavaScript.
        (r"\u003ca\u003e\u0026\u2028\u2029\ufffd", "<a>&\u{2028}\u{2029}\u{fffd}"),
        (r"\ud800\udc00\uDBFF\uDFFF", "\u{10000}\u{10ffff}"),
        (r#"\\\""#, r#"\""#),
        (r"\\", r"\"),
    ] {
        let text =
            format!(r#"{{"text":"{written}","words":["{written}","{written}"],"map":{{"{written}":"{written}"}}}}"#);
        let sample = read(&text);
        assert_eq!(sample.text, Some(meant));
        assert_eq!(sample.words, [meant, meant]);
        assert_eq!(sample.map[..], [(meant, meant)]);
    }
    let text = r#"{"t\u0065xt":"x","\u0069d":7}"#;
    assert_eq!((read(text).text, read(text).id), (Some("x"), Some(7)));
    // What needs no change is not copied.
    let text = r#"{"text":"here"}"#;
    assert!(text.as_bytes().as_ptr_range().contains(&read(text).text.unwrap().as_ptr()));
}

#[test]
fn what_is_unknown_is_ignored() {
    for value in [
        "0",
        "-0",
        "1.5",
        "-1e400",
        "1E+3",
        "\"\\u0000\"",
        "true",
        "false",
        "null",
        "[]",
        "{}",
        "[[], [1, {}], \"]\"]",
        r#"{"id": "x", "a": {"}": [1.0 , 2e1 ]}}"#,
    ] {
        assert_eq!(read(&format!("{{\"x\":{value},\"id\":7,\"y\": {value} }}")).id, Some(7), "{value}");
    }
}

#[test]
fn wrong_kinds_are_errors_with_their_path() {
    const U16: &str = "an integer from 0 to 65535";
    const U32: &str = "an integer from 0 to 4294967295";
    const U64: &str = "an integer from 0 to 18446744073709551615";
    const I32: &str = "an integer from -2147483648 to 2147483647";
    const I64: &str = "an integer from -9223372036854775808 to 9223372036854775807";
    for (text, path, expected, found) in [
        ("[]", "", "an object", "an array"),
        (" 5 ", "", "an object", "5"),
        (r#"{"text":5}"#, "text", "a string", "5"),
        (r#"{"text":["a"]}"#, "text", "a string", "an array"),
        (r#"{"flag":"true"}"#, "flag", "true or false", "a string"),
        (r#"{"flag": 1 }"#, "flag", "true or false", "1"),
        (r#"{"small":65536}"#, "small", U16, "65536"),
        (r#"{"id":4294967296}"#, "id", U32, "4294967296"),
        (r#"{"id":-1}"#, "id", U32, "-1"),
        (r#"{"id":"1"}"#, "id", U32, "a string"),
        (r#"{"id":true}"#, "id", U32, "true"),
        (r#"{"id":1.0}"#, "id", U32, "1.0"),
        (r#"{"id" : 1e3, "text":"x"}"#, "id", U32, "1e3"),
        (r#"{"large":18446744073709551616}"#, "large", U64, "18446744073709551616"),
        (r#"{"nice":2147483648}"#, "nice", I32, "2147483648"),
        (r#"{"nice":-2147483649}"#, "nice", I32, "-2147483649"),
        (r#"{"limit":9223372036854775808}"#, "limit", I64, "9223372036854775808"),
        (r#"{"limit":0.5}"#, "limit", I64, "0.5"),
        (r#"{"limit":{}}"#, "limit", I64, "an object"),
        (r#"{"words":"a"}"#, "words", "an array", "a string"),
        (r#"{"words":{}}"#, "words", "an array", "an object"),
        (r#"{"words":["a","b", {} ]}"#, "words[2]", "a string", "an object"),
        (r#"{"ids":[5,6.5,"x"]}"#, "ids[1]", U32, "6.5"),
        (r#"{"ids":[5,6,7.5]}"#, "ids[2]", U32, "7.5"),
        (r#"{"ids":[5,[6]]}"#, "ids[1]", U32, "an array"),
        (r#"{"map":[]}"#, "map", "an object", "an array"),
        (r#"{"map":{"a":"b","net.x":1}}"#, r#"map["net.x"]"#, "a string", "1"),
        (r#"{"map":{"":1}}"#, r#"map[""]"#, "a string", "1"),
        (r#"{"map":{"\u0041":1}}"#, r#"map["\u0041"]"#, "a string", "1"),
        (r#"{"child":{"child":{"inner":{"n":"x"}}}}"#, "child.child.inner.n", U32, "a string"),
        (r#"{"child":[]}"#, "child", "an object", "an array"),
        (r#"{"inner":3}"#, "inner", "an object", "3"),
        (r#"{"children":[{},{"children":[{"id":-5}]}]}"#, "children[1].children[0].id", U32, "-5"),
        (r#"{"children":[{},"x"]}"#, "children[1]", "an object", "a string"),
        (r#"{"by/name":{"a":{"n":[]}}}"#, r#"["by/name"].a.n"#, U32, "an array"),
    ] {
        let separator = if path.is_empty() { "" } else { ": " };
        assert_eq!(error(text.as_bytes()), format!("{path}{separator}expected {expected}, found {found}"), "{text}");
    }
    let long = format!(r#"{{"id":{}}}"#, "9".repeat(1000));
    assert!(error(long.as_bytes()).ends_with("found a long number"));
}

#[test]
fn what_is_no_json_is_an_error_with_its_place() {
    for (text, expected) in [
        ("", "line 1 column 1: the text ends too early"),
        (" \n\t", "line 2 column 2: the text ends too early"),
        ("{", "line 1 column 2: the text ends too early"),
        ("{\"id\":1", "line 1 column 8: the text ends too early"),
        ("{\"id\"", "line 1 column 6: the text ends too early"),
        ("{\"id\":", "line 1 column 7, in id: the text ends too early"),
        ("{id:1}", "line 1 column 2: expected a member's name in quotes"),
        ("{\"id\":1,}", "line 1 column 9: expected a member's name in quotes"),
        ("{\"id\" 1}", "line 1 column 7: expected a colon"),
        ("{\"id\":1 \"x\":2}", "line 1 column 9: expected a comma or a closing brace"),
        ("{,}", "line 1 column 2: expected a member's name in quotes"),
        ("{\"words\":[,\"a\"]}", "line 1 column 11, in words[0]: expected a value"),
        ("{\"words\":[\"a\",]}", "line 1 column 15, in words[1]: expected a value"),
        ("{\"words\":[\"a\" \"b\"]}", "line 1 column 15, in words: expected a comma or a closing bracket"),
        ("{\"words\":[\"a\"}", "line 1 column 14, in words: expected a comma or a closing bracket"),
        ("{\n \"x\": {\n  \"\u{e4}\": nul\n", "line 3 column 8, in x[\"\u{e4}\"]: expected a value"),
        ("{\"a\":\"\0\"}", "line 1 column 7, in a: control character in a string"),
        ("{\"a\":1\0}", "line 1 column 7: expected a comma or a closing brace"),
        ("{}\0", "line 1 column 3: something follows the end of the document"),
        ("{}\u{feff}", "line 1 column 3: something follows the end of the document"),
        ("{}// words", "line 1 column 3: something follows the end of the document"),
        ("/* words */{}", "line 1 column 1: expected a value"),
        ("{\"a\":'b'}", "line 1 column 6, in a: expected a value"),
        ("{\u{a0}}", "line 1 column 2: expected a member's name in quotes"),
        ("{\"a\":-01}", "line 1 column 9, in a: number with a leading zero"),
        ("{\"a\":00}", "line 1 column 8, in a: number with a leading zero"),
        ("{\"a\":0x1}", "line 1 column 7: expected a comma or a closing brace"),
        ("{\"a\":1e+}", "line 1 column 9, in a: expected a digit"),
        ("{\"a\":--1}", "line 1 column 7, in a: expected a digit"),
        ("{\"a\":Infinity}", "line 1 column 6, in a: expected a value"),
        ("{\"a\":True}", "line 1 column 6, in a: expected a value"),
        ("{} x", "line 1 column 4: something follows the end of the document"),
        ("{}{}", "line 1 column 3: something follows the end of the document"),
        ("{\"a\":\"\n\"}", "line 1 column 7, in a: control character in a string"),
        ("{\"a\":\"\\x\"}", "line 1 column 7, in a: unknown escape"),
        ("{\"a\":\"\\u12g4\"}", "line 1 column 7, in a: expected four hexadecimal digits after \\u"),
        ("{\"a\":\"\\u123", "line 1 column 7, in a: expected four hexadecimal digits after \\u"),
        ("{\"a\":\"\\ud800\"}", "line 1 column 7, in a: half a surrogate pair"),
        ("{\"a\":\"\\ud800\\u0041\"}", "line 1 column 7, in a: half a surrogate pair"),
        ("{\"a\":\"\\udfff\"}", "line 1 column 7, in a: half a surrogate pair"),
        ("{\"a\":\"\\udbffx\"}", "line 1 column 7, in a: half a surrogate pair"),
        ("{\"a\":\"\\udbff\\n\"}", "line 1 column 7, in a: half a surrogate pair"),
        ("{\"a\":\"\\ud800\\ud800\"}", "line 1 column 7, in a: half a surrogate pair"),
        ("{\"a\":\"\\ud800\\udc0\"}", "line 1 column 7, in a: half a surrogate pair"),
        ("{\"\\ud800\":1}", "line 1 column 3: half a surrogate pair"),
        ("{\"a\":\"\\udc00\\ud800\"}", "line 1 column 7, in a: half a surrogate pair"),
        ("{\"a\\q\":1}", "line 1 column 4: unknown escape"),
        ("{\"a\":01}", "line 1 column 8, in a: number with a leading zero"),
        ("{\"a\":-}", "line 1 column 7, in a: expected a digit"),
        ("{\"a\":1.}", "line 1 column 8, in a: expected a digit"),
        ("{\"a\":1e}", "line 1 column 8, in a: expected a digit"),
        ("{\"a\":.5}", "line 1 column 6, in a: expected a value"),
        ("{\"a\":+1}", "line 1 column 6, in a: expected a value"),
        ("{\"a\":NaN}", "line 1 column 6, in a: expected a value"),
        ("{\"a\":nullx}", "line 1 column 10: expected a comma or a closing brace"),
        ("\u{feff}{}", "line 1 column 1: expected a value"),
    ] {
        assert_eq!(error(text.as_bytes()), expected, "{text}");
    }
    // Bytes that begin nothing, end too early, go on too long, are half a surrogate pair or beyond the last character.
    for bytes in ["\\xff", "\\x80", "\\xc3", "\\xe2\\x82", "\\xc0\\x80", "\\xed\\xa0\\x80", "\\xf4\\x90\\x80\\x80"] {
        let bytes = bytes.split("\\x").skip(1).map(|byte| u8::from_str_radix(byte, 16).unwrap());
        let text: Vec<u8> = b"{\"a\": \"".iter().copied().chain(bytes).chain(*b"\"}").collect();
        assert_eq!(error(&text), "line 1 column 8: not UTF-8", "{}", text.escape_ascii());
    }
}

#[test]
fn depth_is_bounded() {
    for (open, close) in [("[", "]"), ("{\"x\":", "}")] {
        let nested = |n: usize| format!("{{\"x\":{}1{},\"id\":5}}", open.repeat(n), close.repeat(n));
        assert_eq!(read(&nested(syntax::DEEPEST - 2)).id, Some(5));
        assert!(error(nested(syntax::DEEPEST - 1).as_bytes()).ends_with(": nested too deep"));
        assert!(error(open.repeat(3_000_000).as_bytes()).ends_with(": nested too deep"));
    }
    let own = format!("{}{}{}", "{\"child\":".repeat(100), "{}", "}".repeat(100));
    assert!(read(&own).child.is_some());
}

/// A random number, for tests that need no more than to be different each time round.
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

#[test]
fn agrees_with_jzon_on_what_is_json() {
    const PIECES: [&str; 30] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"id\"",
        "\"x\"",
        "\"",
        "\\",
        "1",
        "0",
        "-",
        ".",
        "e",
        "+",
        "true",
        "null",
        " ",
        "\n",
        "\\u",
        "d83d",
        "\\ude00",
        "\\n",
        "\u{1}",
        "\u{e4}",
        "\"words\"",
        "[]",
        "{}",
        "\"a\":1",
    ];
    let mut state = 1;
    let mut good = 0;
    for _ in 0..crate::rounds(200_000) {
        let n = 1 + random(&mut state) % 8;
        let text: String = (0..n).map(|_| PIECES[random(&mut state) % PIECES.len()]).collect();
        let text = if random(&mut state).is_multiple_of(2) { format!("{{\"x\":{text}}}") } else { text };
        let theirs = jzon::parse(&text).is_ok();
        good += usize::from(theirs);
        assert_eq!(syntax::check(text.as_bytes()).is_ok(), theirs, "{text:?}");
    }
    assert!(good > crate::rounds(1000));
}

#[test]
fn damaged_texts_never_panic() {
    let text = r#"{"text":"a\ud83d\ude00\n","flag":true,"id":12,"limit":-5,"words":["x","\u0041"],"map":{"k\t":"v"},
        "child":{"inner":{"n":1}},"children":[{"ids":[1,2]},{}],"by\/name":{"a":{"n":3}},"other":[1.5,{"a":null}]}"#;
    for end in 0..text.len() {
        assert!(from_slice::<Sample<'_>>(&text.as_bytes()[..end]).is_err());
    }
    let mut state = 7;
    for _ in 0..crate::rounds(100_000) {
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..1 + random(&mut state) % 3 {
            let at = random(&mut state) % bytes.len();
            match random(&mut state) % 3 {
                0 => bytes[at] = random(&mut state) as u8,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, b"{}[],:\"\\1.en"[random(&mut state) % 12]),
            }
        }
        let _ = from_slice::<Sample<'_>>(memory::copy(&bytes));
    }
}

#[test]
fn errors_of_other_documents_have_their_name() {
    let error = from_document::<Sample<'_>>("process.json", b"{\"id\":\"x\"}").unwrap_err();
    assert!(error.to_string().starts_with("process.json id: expected"));
    let error = from_document::<Sample<'_>>("process.json", b"{").unwrap_err();
    assert!(error.to_string().starts_with("process.json line 1 column 2: "));
}

#[test]
fn other_documents_than_objects() {
    assert_eq!(from_slice::<List<'_, u32>>(b"[1, 2]").unwrap(), [1, 2]);
    assert_eq!(from_slice::<Map<'_, bool>>(b"{\"a\":true}").unwrap()[..], [("a", true)]);
    assert_eq!(from_slice::<&str>(b"\"a\"").unwrap(), "a");
    assert_eq!(from_slice::<u32>(b" 1 ").unwrap(), 1);
    assert!(from_slice::<u32>(b"1.5").is_err());
}

#[test]
fn written_compact_and_pretty() {
    let write = |w: &mut Writer<'_>| {
        w.object(|w| {
            w.member("ociVersion", "1.0.0");
            w.member("pid", 5u32);
            w.member("low", i64::MIN);
            w.member("on", true);
            w.member("absent", None::<u32>);
            w.member("empty", List::<u32>::default());
            w.name("none").object(|_| ());
            w.member("list", ["a", "b"].as_slice());
            w.name("nested").array(|w| {
                w.object(|w| w.member("x", Some(1u64)));
                w.value(None::<u32>);
            });
        });
    };
    assert_eq!(
        text(Style::Compact, write),
        concat!(
            r#"{"ociVersion":"1.0.0","pid":5,"low":-9223372036854775808,"on":true,"empty":[],"none":{},"#,
            r#""list":["a","b"],"nested":[{"x":1},null]}"#
        )
    );
    assert_eq!(
        text(Style::Pretty, write),
        r#"{
  "ociVersion": "1.0.0",
  "pid": 5,
  "low": -9223372036854775808,
  "on": true,
  "empty": [],
  "none": {},
  "list": [
    "a",
    "b"
  ],
  "nested": [
    {
      "x": 1
    },
    null
  ]
}"#
    );
    assert_eq!(text(Style::Pretty, |w| w.value("x")), "\"x\"");
}

#[test]
fn written_strings_come_back() {
    let every: String = (0..0x300).chain([0x2028, 0xffff, 0x1f600]).filter_map(char::from_u32).collect();
    for string in ["", "a\"b\\c/d", "\u{1}\n\u{1f}", &every] {
        let written = text(Style::Compact, |w| w.object(|w| w.member(string, string)));
        assert_eq!(from_slice::<Map<'_, &str>>(written.as_bytes()).unwrap()[..], [(string, string)]);
        assert_eq!(jzon::parse(written).unwrap()[string], string);
    }
    assert_eq!(
        text(Style::Compact, |w| w.value("\"\\/\u{8}\u{c}\n\r\t\u{1}\u{7f}\u{e4}")),
        "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\u{7f}\u{e4}\""
    );
}

#[test]
fn a_sink_that_is_full_is_noticed() {
    struct Full(usize);
    impl core::fmt::Write for Full {
        fn write_str(&mut self, piece: &str) -> core::fmt::Result {
            self.0 = self.0.checked_sub(piece.len()).ok_or(core::fmt::Error)?;
            Ok(())
        }
    }
    for (room, expected) in [(7, true), (6, false)] {
        let mut sink = Full(room);
        let mut writer = Writer::new(&mut sink, Style::Compact);
        writer.object(|w| w.member("a", 1u32));
        assert_eq!(writer.finish().is_ok(), expected);
    }
}
