//! The seccomp compiler against libseccomp, seccompiler and the kernel: whatever the call and its arguments, the same answer.
//!
//! `cargo test --test seccomp`; a test that needs libseccomp's headers, or a C compiler, says so and is ignored where
//! they are missing.

// A test program has no interface, so all that is public in it is public to itself.
#![allow(unreachable_pub)]

mod bpf;
mod cases;
mod chance;
mod meaning;
mod peers;
mod profile;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use peers::{KERNEL, LIBSECCOMP, Peer};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = vec![
        test("default_profiles_make_small_filters", &[], cases::default_profiles_make_small_filters),
        test("default_profiles_compile_quickly", &[], cases::default_profiles_compile_quickly),
        test("too_long_a_filter_is_an_error", &[], cases::too_long_a_filter_is_an_error),
        test("newer_calls_do_not_exist", &[], cases::newer_calls_do_not_exist),
        test("random_profiles_as_seccompiler", &[], cases::random_profiles_as_seccompiler),
        test("random_profiles_as_they_are_meant", &[], cases::random_profiles_as_they_are_meant),
        test("names_have_the_same_numbers", &[&LIBSECCOMP], cases::names_have_the_same_numbers),
        test("default_profiles_as_libseccomp", &[&LIBSECCOMP], cases::default_profiles_as_libseccomp),
        test("random_profiles_as_libseccomp", &[&LIBSECCOMP], cases::random_profiles_as_libseccomp),
        test("large_profiles_as_libseccomp", &[&LIBSECCOMP], cases::large_profiles_as_libseccomp),
        test("the_kernel_agrees", &[&KERNEL], cases::the_kernel_agrees),
    ];
    let conclusion = libtest_mimic::run(&arguments, trials);
    peers::remove();
    conclusion.exit_code()
}

fn test(name: &'static str, needs: &[&'static Peer], body: fn()) -> Trial {
    match needs.iter().find_map(|peer| peer.as_ref().err()) {
        Some(why) => Trial::test(name, || Ok(())).with_kind(why).with_ignored_flag(true),
        None => Trial::test(name, move || {
            body();
            Ok(())
        }),
    }
}
