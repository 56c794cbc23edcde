//! Objects: structs, each field a member with a name, and maps, whose names are data.

use core::ops::Deref;

use super::read::{Failed, Members};
use super::value::{Build, Slot, Value};
use crate::sys::memory::{self, Growing};

/// What takes in the members of an object, one after the other.
pub trait Object<'a> {
    /// Where the value of the member of this name goes; `None` if nobody wants it. Not called for `null`.
    fn member(&mut self, name: &'a str) -> Option<Slot<'_, 'a>>;
}

/// An object that lies in the arena, so that nobody has to move it.
impl<'a, T: Object<'a> + Copy + Default + 'a> Value<'a> for Option<&'a T> {
    fn slot(&mut self) -> Slot<'_, 'a> {
        Slot::Build(self)
    }
}

impl<'a, T: Object<'a> + Copy + Default + 'a> Build<'a> for Option<&'a T> {
    fn build(&mut self, members: &mut dyn Members<'a>) -> Result<(), Failed> {
        let object = memory::keep(T::default());
        members.fill(object)?;
        *self = Some(object);
        Ok(())
    }
}

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

        impl<$a> $crate::json::Object<$a> for $Name $($life)* {
            fn member(&mut self, name: &$a str) -> Option<$crate::json::Slot<'_, $a>> {
                use $crate::json::Value;
                Some(match name {
                    $($name => self.$field.slot(),)*
                    _ => return None,
                })
            }
        }

        impl $($life)* $crate::json::Write for $Name $($life)* {
            fn write(&self, to: &mut $crate::json::Writer<'_>) {
                to.object(|to| {
                    $(to.member($name, &self.$field);)*
                });
            }
        }

        $crate::json::value!($a $Name $($life)*, place => $crate::json::Slot::Object(place));
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

impl<'a, T: Value<'a> + Default> Value<'a> for Map<'a, T> {
    fn slot(&mut self) -> Slot<'_, 'a> {
        Slot::Build(self)
    }
}

impl<'a, T: Value<'a> + Default> Build<'a> for Map<'a, T> {
    fn build(&mut self, members: &mut dyn Members<'a>) -> Result<(), Failed> {
        let mut entries = Entries { all: Growing::new(), last: None };
        members.fill(&mut entries)?;
        entries.add();
        let all = entries.all.finish();
        let mut used = 0;
        for i in 0..all.len() {
            let named_again = all[i + 1..].iter().any(|later| later.0 == all[i].0);
            if !named_again {
                all[used] = all[i];
                used += 1;
            }
        }
        *self = Map(&all[..used]);
        Ok(())
    }
}

/// A map that is being read.
struct Entries<'a, T: Copy> {
    all: Growing<'a, (&'a str, T)>,
    /// The one whose value is to come.
    last: Option<(&'a str, T)>,
}

impl<T: Copy> Entries<'_, T> {
    fn add(&mut self) {
        if let Some(last) = self.last.take() {
            self.all.push(last);
        }
    }
}

impl<'a, T: Value<'a> + Default> Object<'a> for Entries<'a, T> {
    fn member(&mut self, name: &'a str) -> Option<Slot<'_, 'a>> {
        self.add();
        Some(self.last.insert((name, T::default())).1.slot())
    }
}
