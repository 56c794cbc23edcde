//! What can be read, and where it goes.

use super::read::{Failed, Read};
use crate::sys::memory::{self, Growing};

/// What can be read from JSON: it is made empty and filled in place.
pub trait Value<'a> {
    /// Takes the next value of the text.
    ///
    /// # Errors
    /// If that is not of this kind.
    fn read(&mut self, from: &mut Read<'a>) -> Result<(), Failed>;

    /// If it is an object: where the value of the member of this name goes; `None` if nobody wants it. Not called for
    /// `null`.
    fn member(&mut self, _name: &'a str) -> Option<&mut dyn Value<'a>> {
        None
    }
}

/// `Value` for the `Option` of a type. (One impl for all types would be in the way of `Option<&T>`, which is read
/// otherwise.)
macro_rules! option {
    ($a:lifetime $Type:ty $(, $T:ident)?) => {
        impl<$a $(, $T: $crate::json::Value<$a> + Copy + Default)?> $crate::json::Value<$a> for Option<$Type> {
            fn read(&mut self, from: &mut $crate::json::Read<$a>) -> Result<(), $crate::json::Failed> {
                self.insert(Default::default()).read(from)
            }
        }
    };
}
pub(crate) use option;

option!('a &'a str);
option!('a bool);
option!('a List<'a, T>, T);

impl<'a> Value<'a> for &'a str {
    fn read(&mut self, from: &mut Read<'a>) -> Result<(), Failed> {
        *self = from.string()?;
        Ok(())
    }
}

impl<'a> Value<'a> for bool {
    fn read(&mut self, from: &mut Read<'a>) -> Result<(), Failed> {
        *self = from.boolean()?;
        Ok(())
    }
}

macro_rules! integers {
    ($($Type:ty)*) => {
        $(impl<'a> Value<'a> for $Type {
            fn read(&mut self, from: &mut Read<'a>) -> Result<(), Failed> {
                *self = from.integer(<$Type>::MIN as i64, <$Type>::MAX as u64)? as $Type;
                Ok(())
            }
        }
        option!('a $Type);)*
    };
}

integers! { u16 u32 u64 i32 i64 }

/// A value that lies in the arena, so that nobody has to move it.
impl<'a, T: Value<'a> + Copy + Default + 'a> Value<'a> for Option<&'a T> {
    fn read(&mut self, from: &mut Read<'a>) -> Result<(), Failed> {
        let value = memory::keep(T::default());
        value.read(from)?;
        *self = Some(value);
        Ok(())
    }
}

/// A list; absent is empty.
pub type List<'a, T> = &'a [T];

impl<'a, T: Value<'a> + Copy + Default> Value<'a> for List<'a, T> {
    fn read(&mut self, from: &mut Read<'a>) -> Result<(), Failed> {
        let mut items = Growing::<T>::new();
        from.array(&mut items)?;
        *self = items.finish();
        Ok(())
    }
}

/// Where the items of an array go.
pub trait Items<'a> {
    /// The place of one more.
    fn item(&mut self) -> &mut dyn Value<'a>;
}

impl<'a, T: Value<'a> + Copy + Default> Items<'a> for Growing<'_, T> {
    fn item(&mut self) -> &mut dyn Value<'a> {
        self.place(T::default())
    }
}
