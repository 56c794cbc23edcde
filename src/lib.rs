//! isopod, an OCI container runtime: a program that turns a bundle (a root file system and a `config.json`) into
//! running, isolated processes, and the library that it is made of.
//!
//! The rooms, from top to bottom; a room names only rooms below it:
//!
//! | floor | room | what it does |
//! |---|---|---|
//! | 6 | [`cli`] | words in, words out |
//! | 5 | [`container`], [`init`] | the life cycle from outside and from inside |
//! | 4 | [`link`], [`rootfs`], [`cgroup`], [`resctrl`], [`hook`] | perform what the plan says |
//! | 3 | [`plan`], [`seccomp`], [`ebpf`] | decides, without a call; compiles the filter, the device rules |
//! | 2 | [`spec`], [`host`] | the config as written; the facts of this machine |
//! | 1 | [`json`], [`dbus`], [`date`], [`regex`], [`error`], [`log`] | |
//! | 0 | [`sys`] | the one door to the kernel |

#![cfg_attr(not(test), no_std)]
// No panics, and each unsafe block says what makes it sound.
#![cfg_attr(
    not(any(test, fuzzing)),
    deny(clippy::expect_used, clippy::panic, clippy::todo, clippy::unimplemented, clippy::unwrap_used)
)]
#![cfg_attr(not(test), deny(clippy::undocumented_unsafe_blocks))]

pub mod cgroup;
pub mod cli;
pub mod container;
pub mod date;
pub mod dbus;
pub mod ebpf;
pub mod error;
#[cfg(fuzzing)]
pub mod fuzz;
pub mod hook;
pub mod host;
pub mod init;
pub mod json;
pub mod link;
pub mod log;
pub mod plan;
pub mod regex;
pub mod resctrl;
pub mod rootfs;
pub mod seccomp;
pub mod spec;
pub mod sys;

/// How often a test tries something. Under Miri each time takes a thousand times as long.
#[cfg(test)]
pub(crate) const fn rounds(number: usize) -> usize {
    if cfg!(miri) { number / 500 } else { number }
}
