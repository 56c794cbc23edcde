//! D-Bus, as much of it as it takes to ask systemd for something: values and messages as bytes (`wire`), values as
//! people write them (`text`), and a connection that says who we are, sends a call and waits for what comes back
//! (`bus`). It follows the D-Bus Specification, version 0.43.

#![forbid(unsafe_code)]

pub mod bus;
pub mod text;
pub mod wire;

pub use bus::{Bus, Refusal};
pub use wire::{Call, Value};
