//! The visitor that leads serde-json-core through a text. There is one for all types: it asks the object where the
//! next value belongs. And it keeps the path, for serde-json-core says neither where it stood nor what it wanted.

use core::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::object::Object;
use super::syntax;
use super::trail::{Step, Trail};
use super::value::Slot;
use crate::error::Result as Checked;

/// A value is not what it should be; what and where is noted elsewhere.
pub struct Failed;

/// Where the items of an array come from.
pub trait Items<'a> {
    /// Puts the next one there, if there is one.
    ///
    /// # Errors
    /// If it is of another kind than the slot.
    fn next(&mut self, slot: Slot<'_, 'a>) -> Result<bool, Failed>;
}

/// Where the members of an object come from.
pub trait Members<'a> {
    /// Puts all of them where the object wants them.
    ///
    /// # Errors
    /// If one is of another kind than its slot.
    fn fill(&mut self, object: &mut dyn Object<'a>) -> Result<(), Failed>;
}

/// Reads a whole text; errors begin with `name`.
pub(super) fn document<'a>(name: &'static str, text: &'a [u8], slot: Slot<'_, 'a>) -> Checked<()> {
    // serde-json-core is lenient, and recurses as deep as the text does. After this check it cannot go wrong, but for
    // values of the wrong type.
    syntax::check(text).map_err(|error| error.doing(name))?;
    let mut trail = Trail::default();
    let mut from = serde_json_core::de::Deserializer::new(text, None);
    match (Read { slot, trail: &mut trail }).deserialize(&mut from) {
        Ok(()) if from.end().is_ok() => Ok(()),
        _ => Err(trail.mismatch(text).doing(name)),
    }
}

/// Reads a value into its place.
struct Read<'s, 't, 'a> {
    slot: Slot<'s, 'a>,
    trail: &'t mut Trail<'a>,
}

impl<'a> DeserializeSeed<'a> for Read<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<(), D::Error> {
        self.trail.begin(kind(&self.slot));
        match self.slot {
            Slot::Text(place) => *place = <&str>::deserialize(from).map(syntax::plain)?,
            Slot::Bool(place) => *place = Deserialize::deserialize(from)?,
            Slot::U16(place) => *place = Deserialize::deserialize(from)?,
            Slot::U32(place) => *place = Deserialize::deserialize(from)?,
            Slot::U64(place) => *place = Deserialize::deserialize(from)?,
            Slot::I32(place) => *place = Deserialize::deserialize(from)?,
            Slot::I64(place) => *place = Deserialize::deserialize(from)?,
            Slot::Object(_) | Slot::Build(_) => from.deserialize_map(self)?,
            Slot::List(_) => from.deserialize_seq(self)?,
        }
        Ok(())
    }
}

/// What is expected at a place.
fn kind(slot: &Slot<'_, '_>) -> &'static str {
    match slot {
        Slot::Text(_) => "a string",
        Slot::Bool(_) => "true or false",
        Slot::U16(_) => "an integer from 0 to 65535",
        Slot::U32(_) => "an integer from 0 to 4294967295",
        Slot::U64(_) => "an integer from 0 to 18446744073709551615",
        Slot::I32(_) => "an integer from -2147483648 to 2147483647",
        Slot::I64(_) => "an integer from -9223372036854775808 to 9223372036854775807",
        Slot::Object(_) | Slot::Build(_) => "an object",
        Slot::List(_) => "an array",
    }
}

impl<'a> Visitor<'a> for Read<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(kind(&self.slot))
    }

    fn visit_map<A: MapAccess<'a>>(self, access: A) -> Result<(), A::Error> {
        let mut members = Map { access, trail: self.trail };
        match self.slot {
            Slot::Object(object) => members.fill(object),
            Slot::Build(build) => build.build(&mut members),
            _ => Err(Failed),
        }
        .map_err(|Failed| A::Error::custom(""))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, access: A) -> Result<(), A::Error> {
        let mut items = Array { access, index: 0, trail: self.trail };
        match self.slot {
            Slot::List(list) => list.collect(&mut items),
            _ => Err(Failed),
        }
        .map_err(|Failed| A::Error::custom(""))
    }
}

struct Map<'t, 'a, A> {
    access: A,
    trail: &'t mut Trail<'a>,
}

impl<'a, A: MapAccess<'a>> Members<'a> for Map<'_, 'a, A> {
    fn fill(&mut self, object: &mut dyn Object<'a>) -> Result<(), Failed> {
        let mut name = "";
        loop {
            // The text is known to be correct. So if there is something else than a next name or the end, the last
            // value was taken for an integer and goes on: it has a fraction or an exponent.
            let result = match self.access.next_key() {
                Ok(None) => return Ok(()),
                Ok(Some(next)) => {
                    name = next;
                    self.access.next_value_seed(Member { object, name, trail: self.trail })
                }
                Err(error) => Err(error),
            };
            if result.is_err() {
                self.trail.push(Step::Name(name));
                return Err(Failed);
            }
        }
    }
}

struct Array<'t, 'a, A> {
    access: A,
    index: usize,
    trail: &'t mut Trail<'a>,
}

impl<'a, A: SeqAccess<'a>> Items<'a> for Array<'_, 'a, A> {
    fn next(&mut self, slot: Slot<'_, 'a>) -> Result<bool, Failed> {
        let begun = self.trail.begun();
        let result = self.access.next_element_seed(Read { slot, trail: self.trail });
        if result.is_err() {
            // As above: if no item was begun, it is the one before that goes on.
            let before = usize::from(self.trail.begun() == begun);
            self.trail.push(Step::Index(self.index - before));
        }
        self.index += 1;
        result.map(|item| item.is_some()).map_err(|_| Failed)
    }
}

/// Reads the value of a member into its place in the object.
struct Member<'o, 't, 'a> {
    object: &'o mut dyn Object<'a>,
    name: &'a str,
    trail: &'t mut Trail<'a>,
}

impl<'a> DeserializeSeed<'a> for Member<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_option(self)
    }
}

impl<'a> Visitor<'a> for Member<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'a>>(self, from: D) -> Result<(), D::Error> {
        match self.object.member(syntax::plain(self.name)) {
            Some(slot) => Read { slot, trail: self.trail }.deserialize(from),
            None => IgnoredAny::deserialize(from).map(drop),
        }
    }
}
