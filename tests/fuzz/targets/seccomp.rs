//! A seccomp profile, compiled: whatever the call and its arguments, the filter answers as the rules say.

#![no_main]

use isopod_fuzz::bpf::{self, AARCH64, Call, I386, X32, X86_64};
use isopod_fuzz::meaning::{self, Numbers};
use isopod_fuzz::profile::{Action, Arg, Profile, Rule};
use isopod_fuzz::with;
use libfuzzer_sys::arbitrary::{Result, Unstructured};

const ENOSYS: u32 = 0x0005_0000 | 38;

fn action(u: &mut Unstructured<'_>) -> Result<Action> {
    let name = *u.choose(&["ALLOW", "ERRNO", "KILL", "KILL_PROCESS", "LOG", "TRACE", "TRAP"])?;
    let errno = if matches!(name, "ERRNO" | "TRACE") && u.arbitrary()? { Some(u.int_in_range(0..=40)?) } else { None };
    Ok(Action { name, errno })
}

fn value(u: &mut Unstructured<'_>) -> Result<u64> {
    Ok(match u.int_in_range(0..=4)? {
        0 => u.int_in_range(0..=24)?,
        1 => 1 << u.int_in_range(0..=63)?,
        2 => u64::from(u.arbitrary::<u32>()?),
        3 => !u64::from(u.arbitrary::<u8>()?),
        _ => u.arbitrary()?,
    })
}

fn rule(u: &mut Unstructured<'_>, pool: &[&str]) -> Result<Rule> {
    let names = (0..u.int_in_range(1..=4)?).map(|_| Ok((*u.choose(pool)?).to_owned())).collect::<Result<_>>()?;
    let action = action(u)?;
    let args = (0..u.int_in_range(0..=3)?).map(|_| {
        Ok(Arg { index: u.int_in_range(0..=5)?, op: u.int_in_range(0..=6)?, value: value(u)?, value_two: value(u)? })
    });
    let args = args.collect::<Result<_>>()?;
    Ok(Rule { names, action, args })
}

fn profile(u: &mut Unstructured<'_>) -> Result<Profile> {
    let all = meaning::names();
    let default = action(u)?;
    let mut arches = vec!["X86_64"];
    for arch in ["X86", "X32"] {
        if u.arbitrary()? {
            arches.push(arch);
        }
    }
    let pool = (0..u.int_in_range(1..=16)?).map(|_| Ok(all[u.choose_index(all.len())?])).collect::<Result<Vec<_>>>()?;
    let rules = (0..u.int_in_range(0..=24)?).map(|_| rule(u, &pool)).collect::<Result<_>>()?;
    Ok(Profile { default, arches, rules })
}

/// The numbers that the profile names, and those beside them.
fn calls(profile: &Profile) -> Vec<(u32, u32)> {
    let mut calls = vec![(X86_64, 0), (X86_64, 600), (X86_64, X32), (X86_64, u32::MAX), (I386, 102), (I386, 117)];
    calls.extend([(I386, 600), (AARCH64, 0)]);
    for name in profile.rules.iter().flat_map(|rule| &rule.names) {
        let Numbers { x86_64, x86, x32 } = meaning::numbers(name);
        let numbers = [(X86_64, x86_64, 0), (I386, x86, 0), (X86_64, x32, X32)];
        for (arch, number, base) in numbers.into_iter().filter_map(|(arch, number, base)| Some((arch, number?, base))) {
            calls.extend([(arch, base | number), (arch, base | (number + 1)), (arch, base | number.saturating_sub(1))]);
        }
    }
    calls.sort_unstable();
    calls.dedup();
    calls
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut u = Unstructured::new(data);
    let Ok(profile) = profile(&mut u) else { return };
    with(|| {
        let program = match profile.compile() {
            Ok(filter) => filter.program,
            Err(error) => panic!("{error}\n{}", profile.json()),
        };
        let values = profile.interesting_values();
        let mut at = u.arbitrary::<u32>().unwrap_or(0) as usize;
        for (arch, number) in calls(&profile) {
            let probe = bpf::run(program, &Call::new(arch, number, [0; 6]));
            let rounds = if probe.looked_at_arguments { 20 } else { 1 };
            for _ in 0..rounds {
                let args = std::array::from_fn(|_| {
                    at = at.wrapping_mul(0x9e37_79b1).wrapping_add(0x1234_5677) & 0xffff_ffff;
                    values[(at >> 7) % values.len()]
                });
                let call = Call::new(arch, number, args);
                let (told, expected) = (bpf::run(program, &call).answer, meaning::answer(&profile, &call));
                assert!(
                    told == expected || told == ENOSYS && meaning::is_newer(&profile, &call),
                    "{call:x?}: {told:#x}, the rules say {expected:#x}\n{}\n{}",
                    profile.json(),
                    bpf::listing(program)
                );
            }
        }
    });
});
