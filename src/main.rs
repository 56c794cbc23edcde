//! The entry point; everything else is in the library.

#![no_std]
#![no_main]
#![allow(unsafe_code)]

isopod::entry!(isopod::cli::main);
