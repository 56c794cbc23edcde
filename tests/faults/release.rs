//! The release binary has none of this.

use std::fs;

use crate::case;
use crate::order::{Fault, Order};
use crate::support::{Case, Sandbox};

/// With the release binary.
pub fn cases() -> Vec<Case> {
    vec![case!(no_faults_in_the_release_binary)]
}

/// With the test build, or the others would say nothing.
pub fn counter_cases() -> Vec<Case> {
    vec![case!(faults_are_in_the_test_build)]
}

/// The variable that orders them.
const VARIABLE: &[u8] = b"ISOPOD_FAULTS";
/// EPERM from the very first call.
const FIRST_CALL: Fault = Fault { role: 1, number: 1, errno: 1 };

fn contains(path: &std::path::Path, wanted: &[u8]) -> bool {
    fs::read(path).expect("a program").windows(wanted.len()).any(|window| window == wanted)
}

fn no_faults_in_the_release_binary(t: &Sandbox) {
    assert!(!contains(&t.runtime.path, VARIABLE), "{}", t.runtime.path.display());
    // Nor does it look at it: with an order for its very first call it works as without one.
    let order = Order::new(t.path("order"));
    order.give(Some(FIRST_CALL));
    t.spawn(order.rule(&mut t.command(&["list"]))).wait().ok();
    assert_eq!((order.has_happened(), order.calls()), (false, vec![]));
}

fn faults_are_in_the_test_build(t: &Sandbox) {
    assert!(contains(&t.runtime.path, VARIABLE));
    let order = Order::new(t.path("order"));
    order.give(Some(FIRST_CALL));
    t.spawn(order.rule(&mut t.command(&["list"]))).wait().fails(&["Operation not permitted"]);
    assert!(order.has_happened());
}
