//! The JSON reader against serde_json: the same texts are JSON, and the same values come out. What comes out can be
//! written and read again.

#![no_main]

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use isopod::json::{self, Failed, Map, Read, Style};
use isopod_fuzz::{good, with};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// An object of which nothing is wanted.
#[derive(Clone, Copy, Default)]
struct Anything;

impl<'a> json::Value<'a> for Anything {
    fn read(&mut self, from: &mut Read<'a>) -> Result<(), Failed> {
        from.object(self)
    }
}

/// The members of an object as we mean them: the last of a name counts, and null is as if it were not there.
struct Members<T>(BTreeMap<String, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Members<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Collect<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Collect<T> {
            type Value = Members<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Members<T>, A::Error> {
                let mut all = BTreeMap::new();
                while let Some((name, value)) = from.next_entry::<String, Option<T>>()? {
                    if let Some(value) = value {
                        all.insert(name, value);
                    }
                }
                Ok(Members(all))
            }
        }
        from.deserialize_map(Collect(PhantomData))
    }
}

fn theirs<'de, T: Deserialize<'de>>(data: &'de [u8]) -> Option<T> {
    let mut from = serde_json::Deserializer::from_slice(data);
    from.disable_recursion_limit();
    let value = T::deserialize(&mut from).ok()?;
    from.end().ok()?;
    Some(value)
}

fn depth(data: &[u8]) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0usize, 0, false, false);
    for byte in data {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Ours against theirs, for values of one type.
fn compare<'a, T, U>(data: &'a [u8], same: impl Fn(&T, &U) -> bool)
where
    Map<'a, T>: json::Value<'a> + Default,
    T: Copy + fmt::Debug + 'a,
    U: for<'de> Deserialize<'de> + fmt::Debug,
{
    let ours = good(json::from_slice::<Map<'a, T>>(data));
    let theirs = theirs::<Members<U>>(data);
    match (ours, theirs) {
        (None, None) => {}
        (Some(ours), Some(Members(theirs))) => {
            assert_eq!(ours.len(), theirs.len());
            for (name, value) in ours.iter() {
                let other = &theirs[*name];
                assert!(same(value, other), "{name:?}: {value:?}, {other:?}");
            }
        }
        (ours, theirs) => panic!("{:?}, {:?}", ours.is_some(), theirs.is_some()),
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    with(|| {
        let ours = json::from_slice::<Anything>(data);
        let is_object = data.trim_ascii_start().starts_with(b"{");
        let deep = depth(data) > 100;
        let expected = theirs::<serde_json::Value>(data).is_some() && is_object;
        if !deep {
            assert_eq!(good(ours).is_some(), expected);
            compare::<&str, String>(data, |ours, theirs| ours == theirs);
            compare::<bool, bool>(data, |ours, theirs| ours == theirs);
            compare::<&[&str], Vec<String>>(data, |ours, theirs| ours == theirs);
            // To serde_json -0 is no integer.
            if !data.windows(2).any(|two| two == b"-0") {
                compare::<u16, u16>(data, |ours, theirs| ours == theirs);
                compare::<u64, u64>(data, |ours, theirs| ours == theirs);
                compare::<i64, i64>(data, |ours, theirs| ours == theirs);
                compare::<Map<'_, i32>, Inner>(data, |ours, theirs| {
                    ours.len() == theirs.0.len() && ours.iter().all(|(name, value)| theirs.0[*name] == *value)
                });
            }
        }
        if let Ok(text) = std::str::from_utf8(data) {
            for style in [Style::Compact, Style::Pretty] {
                let written = json::text(style, |w| w.value(text));
                assert_eq!(serde_json::from_str::<String>(written).expect(written), text);
            }
        }
    });
});

/// An object in an object.
#[derive(Debug)]
struct Inner(BTreeMap<String, i32>);

impl<'de> Deserialize<'de> for Inner {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Members::deserialize(from).map(|Members(all)| Inner(all))
    }
}
