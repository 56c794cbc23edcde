//! What a value can be: text, number, truth, list, map, object; and each of them absent.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::object::{self, Each, Members, Object};
use super::syntax;
use super::trail::{Step, Trail};
use crate::sys::memory::{self, Growing};

/// What can be read from JSON. This is serde's `Deserialize` with a trail that is laid when it fails: serde-json-core
/// does not say where it stood.
pub trait Value<'a>: Copy + 'a {
    /// The kind of value, for "expected KIND".
    const KIND: &'static str;

    /// Reads one. An error has no content: `trail` has it.
    fn read<D: Deserializer<'a>>(from: D, trail: &mut Trail<'a>) -> Result<Self, D::Error>;
}

/// Hands the trail through serde.
pub(super) struct Seed<'t, 'a, T> {
    trail: &'t mut Trail<'a>,
    value: PhantomData<T>,
}

impl<'t, 'a, T> Seed<'t, 'a, T> {
    pub(super) fn new(trail: &'t mut Trail<'a>) -> Self {
        Seed { trail, value: PhantomData }
    }
}

impl<'a, T: Value<'a>> DeserializeSeed<'a> for Seed<'_, 'a, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<T, D::Error> {
        T::read(from, self.trail)
    }
}

/// A string as it is meant: the text's own bytes, unless there are escapes in them.
pub(super) fn plain(raw: &str) -> &str {
    if raw.as_bytes().contains(&b'\\') { syntax::unescape(raw) } else { raw }
}

impl<'a> Value<'a> for &'a str {
    const KIND: &'static str = "a string";

    fn read<D: Deserializer<'a>>(from: D, _: &mut Trail<'a>) -> Result<Self, D::Error> {
        <&str>::deserialize(from).map(plain)
    }
}

macro_rules! scalars {
    ($($Type:ty: $kind:literal,)*) => {
        $(impl<'a> Value<'a> for $Type {
            const KIND: &'static str = $kind;

            fn read<D: Deserializer<'a>>(from: D, _: &mut Trail<'a>) -> Result<Self, D::Error> {
                <$Type>::deserialize(from)
            }
        })*
    };
}

scalars! {
    bool: "true or false",
    u16: "an integer from 0 to 65535",
    u32: "an integer from 0 to 4294967295",
    u64: "an integer from 0 to 18446744073709551615",
    i32: "an integer from -2147483648 to 2147483647",
    i64: "an integer from -9223372036854775808 to 9223372036854775807",
}

impl<'a, T: Value<'a>> Value<'a> for Option<T> {
    const KIND: &'static str = T::KIND;

    fn read<D: Deserializer<'a>>(from: D, trail: &mut Trail<'a>) -> Result<Self, D::Error> {
        from.deserialize_option(Seed::<T>::new(trail))
    }
}

impl<'a, T: Value<'a>> Visitor<'a> for Seed<'_, 'a, T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::KIND)
    }

    fn visit_none<E>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'a>>(self, from: D) -> Result<Option<T>, D::Error> {
        T::read(from, self.trail).map(Some)
    }
}

/// An object that lies in the arena, so that nobody moves it.
impl<'a, T: Object<'a>> Value<'a> for &'a T {
    const KIND: &'static str = "an object";

    fn read<D: Deserializer<'a>>(from: D, trail: &mut Trail<'a>) -> Result<Self, D::Error> {
        let object = memory::keep(T::default());
        object::fill(object, from, trail)?;
        Ok(object)
    }
}

/// A list in the arena; absent is empty.
pub type List<'a, T> = &'a [T];

impl<'a, T: Value<'a>> Value<'a> for List<'a, T> {
    const KIND: &'static str = "an array";

    fn read<D: Deserializer<'a>>(from: D, trail: &mut Trail<'a>) -> Result<Self, D::Error> {
        Option::<Items<'a, T>>::read(from, trail).map(|items| items.map_or(&[][..], |items| items.0))
    }
}

/// A list that is there.
#[derive(Clone, Copy)]
struct Items<'a, T>(&'a [T]);

impl<'a, T: Value<'a>> Value<'a> for Items<'a, T> {
    const KIND: &'static str = "an array";

    fn read<D: Deserializer<'a>>(from: D, trail: &mut Trail<'a>) -> Result<Self, D::Error> {
        from.deserialize_seq(Collect { trail, items: Growing::<T>::new() }).map(Items)
    }
}

struct Collect<'t, 'a, T: Copy> {
    trail: &'t mut Trail<'a>,
    items: Growing<'a, T>,
}

impl<'a, T: Value<'a>> Visitor<'a> for Collect<'_, 'a, T> {
    type Value = &'a [T];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut access: A) -> Result<&'a [T], A::Error> {
        loop {
            self.trail.expect(T::KIND);
            match access.next_element_seed(Seed::<T>::new(self.trail)) {
                Ok(Some(item)) => self.items.push(item),
                Ok(None) => return Ok(self.items.finish()),
                Err(error) => {
                    self.trail.push(Step::Index(self.items.len()));
                    return Err(error);
                }
            }
        }
    }
}

/// The members of an object whose names are data, in the order of the text. Of two with one name the last one counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Map<'a, T>(&'a [(&'a str, T)]);

impl<T> Default for Map<'_, T> {
    fn default() -> Self {
        Map(&[])
    }
}

impl<'a, T> Deref for Map<'a, T> {
    type Target = &'a [(&'a str, T)];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T: Copy> Map<'_, T> {
    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<T> {
        self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }
}

impl<'a, T: Value<'a>> Value<'a> for Map<'a, T> {
    const KIND: &'static str = "an object";

    fn read<D: Deserializer<'a>>(from: D, trail: &mut Trail<'a>) -> Result<Self, D::Error> {
        Option::<Entries<'a, T>>::read(from, trail).map(|entries| entries.map_or(Map(&[]), |entries| Map(entries.0)))
    }
}

/// A map that is there.
#[derive(Clone, Copy)]
struct Entries<'a, T>(&'a [(&'a str, T)]);

impl<'a, T: Value<'a>> Value<'a> for Entries<'a, T> {
    const KIND: &'static str = "an object";

    fn read<D: Deserializer<'a>>(from: D, trail: &mut Trail<'a>) -> Result<Self, D::Error> {
        let mut entries = Growing::new();
        object::each(from, trail, &mut entries)?;
        let all = entries.finish();
        // Leave out what is named again further on.
        let mut used = 0;
        for i in 0..all.len() {
            if !all[i + 1..].iter().any(|(key, _)| *key == all[i].0) {
                all[used] = all[i];
                used += 1;
            }
        }
        Ok(Entries(&all[..used]))
    }
}

impl<'a, T: Value<'a>> Each<'a> for &mut Growing<'a, (&'a str, T)> {
    fn member<A: MapAccess<'a>>(&mut self, key: &'a str, from: &mut Members<'_, 'a, A>) -> Result<(), A::Error> {
        if let Some(value) = from.value::<Option<T>>()? {
            self.push((key, value));
        }
        Ok(())
    }
}
