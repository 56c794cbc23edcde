//! Lists of processors and memory nodes: as bits they are what the list says, and what is written into a cpuset is a
//! list that the kernel reads the same way.

#![no_main]

use std::collections::BTreeSet;

use isopod::plan::{resources, scheduling};
use isopod::spec;
use isopod_fuzz::{HOSTS, good, with_text};

/// What the list says, by its own words.
fn meaning(list: &str, limit: u32) -> Option<BTreeSet<u32>> {
    let mut all = BTreeSet::new();
    for part in list.split(',') {
        let number = |text: &str| {
            let text = text.trim_ascii();
            (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| text.parse::<u32>().ok())
                .flatten()
        };
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        if first > last || last >= limit {
            return None;
        }
        all.extend(first..=last);
    }
    Some(all)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    with_text(data, |text| {
        let affinity = spec::ExecCpuAffinity { initial: Some(text), last: None };
        let process = spec::Process { exec_cpu_affinity: Some(affinity), ..spec::Process::default() };
        let bits = good(scheduling::plan(&process)).map(|planned| planned.affinity.initial.unwrap_or_default());
        let expected = if text.trim_ascii().is_empty() { Some(BTreeSet::new()) } else { meaning(text, 8192) };
        let found = bits.map(|words| {
            let number = |(at, word): (usize, &u64)| {
                let word = *word;
                (0..64).filter(move |bit| word >> bit & 1 != 0).map(move |bit| at as u32 * 64 + bit)
            };
            words.iter().enumerate().flat_map(number).collect::<BTreeSet<u32>>()
        });
        assert_eq!(found, expected, "{text:?}");

        let cpu = spec::Cpu { cpus: Some(text), ..spec::Cpu::default() };
        let given = spec::Resources { cpu: Some(&cpu), ..spec::Resources::default() };
        for cgroups in &HOSTS[..2] {
            let Some(limits) = good(resources::limits(&given, cgroups)) else { continue };
            for write in limits.writes.iter().filter(|write| write.file == "cpuset.cpus") {
                let value = write.value.trim();
                assert!(
                    value
                        .split([',', '-'])
                        .all(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())),
                    "{value:?}"
                );
            }
        }
    });
});
