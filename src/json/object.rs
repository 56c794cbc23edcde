//! Objects: structs whose members all have a name and may all be absent.

use core::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::trail::{Step, Trail};
use super::value::{Seed, Value, plain};

/// A struct that is read from an object; `object!` writes the code.
pub trait Object<'a>: Copy + Default + 'a {
    /// Reads the value of the member that was just named, or ignores it.
    fn set<A: MapAccess<'a>>(&mut self, key: &str, from: &mut Members<'_, 'a, A>) -> Result<(), A::Error>;
}

/// Where a member's value comes from.
pub struct Members<'t, 'a, A> {
    access: A,
    trail: &'t mut Trail<'a>,
}

impl<'a, A: MapAccess<'a>> Members<'_, 'a, A> {
    /// The value of the member that was just named.
    #[inline]
    pub fn value<T: Value<'a>>(&mut self) -> Result<T, A::Error> {
        self.trail.expect(T::KIND);
        self.access.next_value_seed(Seed::new(self.trail))
    }

    /// Skips it.
    #[inline]
    pub fn ignore(&mut self) -> Result<(), A::Error> {
        self.access.next_value::<IgnoredAny>().map(|_| ())
    }
}

/// Calls `member` for each member of the object, with its name as the text spells it and the way to its value.
pub(super) fn each<'a, D, F>(from: D, trail: &mut Trail<'a>, member: F) -> Result<(), D::Error>
where
    D: Deserializer<'a>,
    F: Each<'a>,
{
    from.deserialize_map(Walk { trail, member })
}

/// What `each` calls.
pub(super) trait Each<'a> {
    fn member<A: MapAccess<'a>>(&mut self, key: &'a str, from: &mut Members<'_, 'a, A>) -> Result<(), A::Error>;
}

struct Walk<'t, 'a, F> {
    trail: &'t mut Trail<'a>,
    member: F,
}

impl<'a, F: Each<'a>> Visitor<'a> for Walk<'_, 'a, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, access: A) -> Result<(), A::Error> {
        let mut members = Members { access, trail: self.trail };
        let mut key = "";
        loop {
            // In correct JSON, to find no next key means that the last value was an integer with something behind it:
            // a fraction or an exponent.
            let result = match members.access.next_key::<&'a str>() {
                Ok(None) => return Ok(()),
                Ok(Some(next)) => {
                    key = next;
                    self.member.member(plain(key), &mut members)
                }
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                members.trail.push(Step::Key(key));
                return Err(error);
            }
        }
    }
}

/// Fills an object in place.
pub(super) fn fill<'a, T: Object<'a>, D: Deserializer<'a>>(
    object: &mut T,
    from: D,
    trail: &mut Trail<'a>,
) -> Result<(), D::Error> {
    each(from, trail, Fill(object))
}

struct Fill<'o, T>(&'o mut T);

impl<'a, T: Object<'a>> Each<'a> for Fill<'_, T> {
    fn member<A: MapAccess<'a>>(&mut self, key: &'a str, from: &mut Members<'_, 'a, A>) -> Result<(), A::Error> {
        self.0.set(key, from)
    }
}

/// An object by value.
#[doc(hidden)]
pub fn read_object<'a, T: Object<'a>, D: Deserializer<'a>>(from: D, trail: &mut Trail<'a>) -> Result<T, D::Error> {
    let mut object = T::default();
    fill(&mut object, from, trail)?;
    Ok(object)
}

/// A struct that is read from an object, each field with the member's name. `Option` and lists may be absent.
macro_rules! object {
    ($(#[$doc:meta])* pub struct $Name:ident { $($fields:tt)* }) => {
        $crate::json::object! { @ 'a [$(#[$doc])*] $Name [] $($fields)* }
    };
    ($(#[$doc:meta])* pub struct $Name:ident<$a:lifetime> { $($fields:tt)* }) => {
        $crate::json::object! { @ $a [$(#[$doc])*] $Name [<$a>] $($fields)* }
    };
    (@ $a:lifetime [$($doc:tt)*] $Name:ident [$($life:tt)*]
        $($(#[$note:meta])* $field:ident: $Type:ty = $key:literal,)*) => {
        $($doc)*
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub struct $Name $($life)* {
            $($(#[$note])* pub $field: $Type,)*
        }

        impl<$a> $crate::json::Object<$a> for $Name $($life)* {
            fn set<A: ::serde::de::MapAccess<$a>>(
                &mut self,
                key: &str,
                from: &mut $crate::json::Members<'_, $a, A>,
            ) -> Result<(), A::Error> {
                match key {
                    $($key => self.$field = from.value()?,)*
                    _ => from.ignore()?,
                }
                Ok(())
            }
        }

        impl<$a> $crate::json::Value<$a> for $Name $($life)* {
            const KIND: &'static str = "an object";

            fn read<D: ::serde::Deserializer<$a>>(
                from: D,
                trail: &mut $crate::json::Trail<$a>,
            ) -> Result<Self, D::Error> {
                $crate::json::read_object(from, trail)
            }
        }
    };
}
pub(crate) use object;
