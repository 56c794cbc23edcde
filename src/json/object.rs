//! Objects: structs, each field a member with a name, and maps, whose names are data.

use core::ops::Deref;

use super::read::{Failed, Read};
use super::value::Value;
use crate::sys::memory::Growing;

/// A struct that is read from an object, and written as one: each field is followed by the member's name. Any member
/// may be absent and leaves the field at its default, so most types are `Option`, `List` or `Map`.
macro_rules! object {
    ($(#[$doc:meta])* pub struct $Name:ident { $($fields:tt)* }) => {
        $crate::json::object! { @ 'a [$(#[$doc])*] $Name [] $($fields)* }
    };
    ($(#[$doc:meta])* pub struct $Name:ident<$a:lifetime> { $($fields:tt)* }) => {
        $crate::json::object! { @ $a [$(#[$doc])*] $Name [<$a>] $($fields)* }
    };
    (@ $a:lifetime [$($doc:tt)*] $Name:ident [$($life:tt)*]
        $($(#[$note:meta])* $field:ident: $Type:ty = $name:literal,)*) => {
        $($doc)*
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub struct $Name $($life)* {
            $($(#[$note])* pub $field: $Type,)*
        }

        impl<$a> $crate::json::Value<$a> for $Name $($life)* {
            fn read(&mut self, from: &mut $crate::json::Read<$a>) -> Result<(), $crate::json::Failed> {
                from.object(self)
            }

            fn member(&mut self, name: &$a str) -> Option<&mut dyn $crate::json::Value<$a>> {
                #[allow(non_camel_case_types)]
                enum Place { $($field),* }
                match $crate::sys::Names(concat!($($name, " "),*)).place(name)? {
                    $(place if place == Place::$field as usize => Some(&mut self.$field),)*
                    _ => None,
                }
            }
        }

        impl $($life)* $crate::json::Write for $Name $($life)* {
            fn write(&self, to: &mut $crate::json::Writer<'_>) {
                to.object(|to| {
                    $(to.member($name, &self.$field);)*
                });
            }
        }

        $crate::json::option!($a $Name $($life)*);
    };
}
pub(crate) use object;

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
        self.0.iter().find(|member| member.0 == name).map(|member| member.1)
    }
}

impl<'a, T: Value<'a> + Copy + Default> Value<'a> for Map<'a, T> {
    fn read(&mut self, from: &mut Read<'a>) -> Result<(), Failed> {
        let mut members = Members::<T>(Growing::new());
        from.object(&mut members)?;
        *self = Map(members.0.finish());
        Ok(())
    }
}

/// A map that is being read.
struct Members<'a, T: Copy>(Growing<'a, (&'a str, T)>);

impl<'a, T: Value<'a> + Copy + Default> Value<'a> for Members<'a, T> {
    fn read(&mut self, from: &mut Read<'a>) -> Result<(), Failed> {
        from.object(self)
    }

    fn member(&mut self, name: &'a str) -> Option<&mut dyn Value<'a>> {
        let place = match self.0.as_slice().iter().position(|member| member.0 == name) {
            Some(place) => {
                let member = self.0.as_mut_slice().get_mut(place)?;
                member.1 = T::default();
                member
            }
            None => self.0.place((name, T::default())),
        };
        Some(&mut place.1)
    }
}
