//! Decides.

#![forbid(unsafe_code)]

pub mod resources;
