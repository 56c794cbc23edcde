//! What can be read, and where it goes.

use super::object::Object;
use super::read::{Failed, Items, Members};
use crate::sys::memory::Growing;

/// What can be read from JSON.
pub trait Value<'a>: Copy {
    /// Where it goes, now that there is one.
    fn slot(&mut self) -> Slot<'_, 'a>;
}

/// A place for a value of some kind.
pub enum Slot<'s, 'a> {
    Text(&'s mut &'a str),
    Bool(&'s mut bool),
    U16(&'s mut u16),
    U32(&'s mut u32),
    U64(&'s mut u64),
    I32(&'s mut i32),
    I64(&'s mut i64),
    /// Filled in place.
    Object(&'s mut dyn Object<'a>),
    /// An object that has to be made first.
    Build(&'s mut dyn Build<'a>),
    List(&'s mut dyn Collect<'a>),
}

/// Makes something out of an object.
pub trait Build<'a> {
    /// Fills an object with the members and keeps it.
    ///
    /// # Errors
    /// If the filling fails.
    fn build(&mut self, members: &mut dyn Members<'a>) -> Result<(), Failed>;
}

/// Makes something out of an array.
pub trait Collect<'a> {
    /// Takes the items, one after the other, and keeps them.
    ///
    /// # Errors
    /// If the taking fails.
    fn collect(&mut self, items: &mut dyn Items<'a>) -> Result<(), Failed>;
}

/// `Value` for a type that is made empty and filled in place, and for its `Option`. (One impl for the options of all
/// types would be in the way of `Option<&Object>`, which is made otherwise.)
macro_rules! value {
    ($a:lifetime $Type:ty, $place:ident => $slot:expr $(, $T:ident)?) => {
        impl<$a $(, $T: $crate::json::Value<$a> + Default)?> $crate::json::Value<$a> for $Type {
            fn slot(&mut self) -> $crate::json::Slot<'_, $a> {
                let $place = self;
                $slot
            }
        }

        impl<$a $(, $T: $crate::json::Value<$a> + Default)?> $crate::json::Value<$a> for Option<$Type> {
            fn slot(&mut self) -> $crate::json::Slot<'_, $a> {
                let $place = self.insert(Default::default());
                $slot
            }
        }
    };
}
pub(crate) use value;

value!('a &'a str, place => Slot::Text(place));
value!('a bool, place => Slot::Bool(place));
value!('a u16, place => Slot::U16(place));
value!('a u32, place => Slot::U32(place));
value!('a u64, place => Slot::U64(place));
value!('a i32, place => Slot::I32(place));
value!('a i64, place => Slot::I64(place));
value!('a List<'a, T>, place => Slot::List(place), T);

/// A list; absent is empty.
pub type List<'a, T> = &'a [T];

impl<'a, T: Value<'a> + Default> Collect<'a> for List<'a, T> {
    fn collect(&mut self, items: &mut dyn Items<'a>) -> Result<(), Failed> {
        let mut list = Growing::new();
        let mut item = T::default();
        while items.next(item.slot())? {
            list.push(item);
            item = T::default();
        }
        *self = list.finish();
        Ok(())
    }
}
