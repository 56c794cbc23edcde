//! The entry point; everything else is in the library.

#![no_std]
#![no_main]
#![allow(unsafe_code)]

isopod::entry!(main);

fn main(start: &isopod::sys::start::Start) -> i32 {
    for word in start.args {
        isopod::warn!("{:?}", word.as_cstr());
    }
    0
}
