//! The program for device rules answers as the rules do, and the kernel would load it.

#![no_main]

use isopod::ebpf::oracle::{Question, all_is_reached, evaluate, run};
use isopod::ebpf::{Kind, Rule, compile};
use isopod_fuzz::with;
use libfuzzer_sys::arbitrary::{self, Arbitrary};

#[derive(Arbitrary, Debug)]
struct One {
    allow: bool,
    kind: u8,
    major: Option<u8>,
    minor: Option<u32>,
    access: u8,
}

#[derive(Arbitrary, Debug)]
struct Asked {
    block: bool,
    access: u8,
    major: u8,
    minor: u32,
}

libfuzzer_sys::fuzz_target!(|input: (Vec<One>, Vec<Asked>)| {
    with(|| {
        let rule = |one: &One| Rule {
            allow: one.allow,
            kind: [Kind::All, Kind::Block, Kind::Char][usize::from(one.kind % 3)],
            major: one.major.map(u32::from),
            minor: one.minor,
            access: 1 + one.access % 7,
        };
        let rules: Vec<Rule> = input.0.iter().map(rule).collect();
        let program = compile(&rules);
        all_is_reached(program);
        let asked = input.1.iter().map(|one| Question {
            kind: if one.block { 1 } else { 2 },
            access: 1 + one.access % 7,
            major: one.major.into(),
            minor: one.minor,
        });
        // And the devices that the rules name.
        let named = rules.iter().map(|rule| Question {
            kind: if rule.kind == Kind::Block { 1 } else { 2 },
            access: rule.access,
            major: rule.major.unwrap_or(0),
            minor: rule.minor.unwrap_or(0),
        });
        for question in asked.chain(named) {
            assert_eq!(run(program, question), evaluate(&rules, question), "{question:?} of {rules:?}");
        }
    });
});
