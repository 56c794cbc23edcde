//! What is asserted.

use std::time::{Duration, Instant};

use isopod::seccomp::{self, Unknown};
use isopod::sys::security::SockFilter;
use isopod::{json, spec};

use crate::bpf::{self, AARCH64, Call, I386, X32, X86_64};
use crate::chance::Chance;
use crate::meaning::{self, is_newer};
use crate::peers;
use crate::profile::{Action, Arg, Profile, Rule};

const DOCKER: &str = include_str!("profiles/docker.json");
const PODMAN: &str = include_str!("profiles/podman.json");
const ENOSYS: u32 = 0x0005_0000 | 38;

fn numbers() -> impl Iterator<Item = u32> {
    let low = 0..600;
    let edges = [0x3fff_ffff, 0x7fff_ffff, 0x8000_0000, 0xbfff_ffff, 0xc000_0000, 0xffff_fffe, 0xffff_ffff];
    low.clone().chain(low.map(|number| number | X32)).chain(edges)
}

/// Every number on every architecture; with many arguments where there are rules about them.
fn differences(profile: &Profile, ours: &[SockFilter], theirs: &[SockFilter], chance: &mut Chance) -> Option<String> {
    let values = profile.interesting_values();
    let confused = bpf::confused(theirs);
    let is_confused = |call: &Call| {
        let mut found = false;
        bpf::trace(theirs, call, |at| found |= confused.contains(&at));
        found
    };
    for arch in [X86_64, I386, AARCH64] {
        // Not a call of x32 in libseccomp 2.5, but one in the kernel.
        for number in numbers().filter(|number| *number != (X32 | 453)) {
            let probe = Call::new(arch, number, [0; 6]);
            let (a, b) = (bpf::run(ours, &probe), bpf::run(theirs, &probe));
            let rounds = if a.looked_at_arguments || b.looked_at_arguments { 200 } else { 1 };
            for _ in 0..rounds {
                let call = Call::new(arch, number, std::array::from_fn(|_| chance.of(&values)));
                let (a, b) = (bpf::run(ours, &call).answer, bpf::run(theirs, &call).answer);
                // Newer than the profile: our own addition.
                if a != b && !(a == ENOSYS && is_newer(profile, &call)) && !is_confused(&call) {
                    return Some(format!("{call:x?}: {a:#x}, libseccomp {b:#x}"));
                }
            }
        }
    }
    None
}

fn compare(profiles: &mut [Profile], seed: u64) {
    let mut chance = Chance::new(seed);
    // What this version of libseccomp does not know is not compared.
    let known = peers::libseccomp(profiles);
    for (profile, compiled) in profiles.iter_mut().zip(known) {
        for rule in &mut profile.rules {
            rule.names.retain(|name| !compiled.unknown.contains(name));
        }
        profile.rules.retain(|rule| !rule.names.is_empty());
    }
    let (mut wrong, mut refused) = (Vec::new(), 0);
    for (profile, theirs) in profiles.iter().zip(peers::libseccomp(profiles)) {
        assert!(theirs.unknown.is_empty(), "{:?}", theirs.unknown);
        let ours = profile.compile().unwrap_or_else(|error| panic!("{error}\n{}", profile.json()));
        assert!(bpf::confused(ours.program).is_empty(), "{}", bpf::listing(ours.program));
        if !theirs.refused.is_empty() {
            refused += 1;
            continue;
        }
        if let Some(difference) = differences(profile, ours.program, &theirs.program, &mut chance) {
            let (ours, json) = (bpf::listing(ours.program), profile.json());
            wrong.push(format!("{difference}\n{json}\nours:\n{ours}libseccomp's:\n{}", bpf::listing(&theirs.program)));
        }
    }
    wrong.sort_by_key(String::len);
    let first = wrong.first().map_or("", String::as_str);
    let heads: Vec<&str> = wrong.iter().filter_map(|text| text.lines().next()).take(20).collect();
    let (count, all, heads) = (wrong.len(), profiles.len(), heads.join("\n"));
    assert!(wrong.is_empty(), "{count} of {all} profiles differ:\n{heads}\nthe smallest: {first}");
    println!("{all} profiles compared, less {refused} that libseccomp refuses");
    // EEXIST: it cannot have two rules that begin in the same way and end differently.
    assert!(refused * 4 <= all * 3, "libseccomp refuses {refused} of {all}");
}

fn native(text: &str) -> Profile {
    Profile { arches: vec!["X86_64"], ..Profile::from_json(text) }
}

pub fn default_profiles_make_small_filters() {
    for (name, text) in [("docker", DOCKER), ("podman", PODMAN)] {
        let all = Profile::from_json(text).compile().expect("compiles").program.len();
        let filter = native(text).compile().expect("compiles");
        let outcomes = [X86_64, I386]
            .into_iter()
            .flat_map(|arch| numbers().map(move |number| bpf::run(filter.program, &Call::new(arch, number, [0; 6]))));
        let plain = outcomes.filter(|outcome| !outcome.looked_at_arguments);
        let compares = plain.map(|outcome| outcome.compares).max().expect("some");
        println!("{name}: {} instructions, {compares} compares; {all} for all three", filter.program.len());
        assert!(filter.program.len() <= 200, "{name}: {}", filter.program.len());
        assert!(compares <= 12, "{name}: {compares}");
    }
}

pub fn default_profiles_compile_quickly() {
    for (name, text) in [("docker", DOCKER), ("podman", PODMAN)] {
        for profile in [native(text), Profile::from_json(text)] {
            let json = profile.json();
            let parsed = json::from_slice::<spec::Seccomp<'_>>(json.as_bytes()).expect("parses");
            let mut best = Duration::MAX;
            for _ in 0..200 {
                let start = Instant::now();
                seccomp::compile(&parsed, Unknown::Skip).expect("compiles");
                best = best.min(start.elapsed());
            }
            println!("{name}, {} architectures: {best:?}", profile.arches.len());
            // Without optimisation the time says nothing.
            assert!(
                cfg!(debug_assertions) || profile.arches.len() > 1 || best < Duration::from_micros(100),
                "{best:?}"
            );
        }
    }
}

pub fn too_long_a_filter_is_an_error() {
    let arg = |value| Arg { index: 1, op: 3, value, value_two: 0 };
    let rule = |errno| Rule {
        names: vec!["ioctl".into()],
        action: Action { name: "ERRNO", errno: Some(errno) },
        args: vec![arg(u64::from(errno) * 3)],
    };
    let mut profile = Profile {
        default: Action { name: "ALLOW", errno: None },
        arches: vec![],
        rules: (0..1000).map(rule).collect(),
    };
    let program = profile.compile().expect("fits").program;
    for errno in [0, 1, 500, 999] {
        let call = Call::new(X86_64, 16, [0, errno * 3, 0, 0, 0, 0]);
        assert_eq!(bpf::run(program, &call).answer, 0x0005_0000 | errno as u32);
        let call = Call::new(X86_64, 16, [0, errno * 3 + 1, 0, 0, 0, 0]);
        assert_eq!(bpf::run(program, &call).answer, 0x7fff_0000);
    }
    profile.rules = (0..5000).map(rule).collect();
    let error = profile.compile().err().expect("is too long");
    assert!(error.contains("the kernel takes no more than 4096"), "{error}");
}

pub fn newer_calls_do_not_exist() {
    let rule = Rule { names: vec!["openat".into()], action: Action { name: "ALLOW", errno: None }, args: vec![] };
    let mut profile =
        Profile { default: Action { name: "KILL", errno: None }, arches: vec!["X86", "X32"], rules: vec![rule] };
    let answers = |profile: &Profile| {
        let program = profile.compile().expect("compiles").program;
        [(X86_64, 256), (X86_64, 257), (X86_64, 258), (X86_64, X32 | 258), (I386, 295), (I386, 296)]
            .map(|(arch, number)| bpf::run(program, &Call::new(arch, number, [0; 6])).answer)
    };
    assert_eq!(answers(&profile), [0, 0x7fff_0000, ENOSYS, ENOSYS, 0x7fff_0000, ENOSYS]);
    // Not listed, x32 is newer as a whole; x86 is another architecture.
    profile.arches.clear();
    assert_eq!(answers(&profile), [0, 0x7fff_0000, ENOSYS, ENOSYS, 0, 0]);
    // Somebody who sees each call decides himself.
    profile.default = Action { name: "TRACE", errno: None };
    assert_eq!(answers(&profile), [0x7ff0_0001, 0x7fff_0000, 0x7ff0_0001, 0, 0, 0]);
}

/// One profile for each name: the filters tell the number.
pub fn names_have_the_same_numbers() {
    let profile = |name: String| Profile {
        default: Action { name: "ALLOW", errno: None },
        arches: vec!["X86_64", "X86", "X32"],
        rules: vec![Rule { names: vec![name], action: Action { name: "TRAP", errno: None }, args: vec![] }],
    };
    compare(&mut meaning::names().iter().map(|name| profile((*name).to_owned())).collect::<Vec<_>>(), 1);
}

pub fn default_profiles_as_libseccomp() {
    let mut profiles = Vec::new();
    for text in [DOCKER, PODMAN] {
        for arches in [vec!["X86_64"], vec!["X86_64", "X86"], vec!["X86_64", "X32"], vec!["X86_64", "X86", "X32"]] {
            profiles.push(Profile { arches, ..Profile::from_json(text) });
        }
    }
    compare(&mut profiles, 2);
}

pub fn random_profiles_as_libseccomp() {
    let names = meaning::names();
    let mut chance = Chance::new(3);
    compare(&mut (0..3000).map(|_| chance.profile(names)).collect::<Vec<_>>(), 4);
}

/// Hundreds of calls, so that jumps are longer than an instruction allows.
pub fn large_profiles_as_libseccomp() {
    let names = meaning::names();
    let mut chance = Chance::new(5);
    let profile = |_| {
        let mut whole = chance.profile(names);
        let conditional = whole.rules.iter().find(|rule| !rule.args.is_empty()).map(|rule| rule.action);
        for _ in 0..30 {
            let mut more = chance.profile(names);
            for rule in more.rules.iter_mut().filter(|rule| !rule.args.is_empty()) {
                rule.action = conditional.unwrap_or(rule.action);
            }
            if conditional.is_some() {
                whole.rules.append(&mut more.rules);
            }
        }
        whole
    };
    compare(&mut (0..100).map(profile).collect::<Vec<_>>(), 6);
}

/// What seccompiler can express: calls of x86_64, one action beside the default, rules that are all alternatives.
pub fn random_profiles_as_seccompiler() {
    let names = meaning::names();
    let mut chance = Chance::new(8);
    let mut compared = 0;
    for _ in 0..3000 {
        let mut profile = chance.profile(names);
        profile.arches = vec!["X86_64"];
        let Some(action) =
            profile.rules.iter().map(|rule| rule.action).find(|one| one.number() != profile.default.number())
        else {
            continue;
        };
        profile.rules.iter_mut().for_each(|rule| rule.action = action);
        let ours = profile.compile().expect("compiles").program;
        let theirs = peers::seccompiler(&profile, &action, |name| meaning::numbers(name).x86_64);
        let values = profile.interesting_values();
        for number in 0..600 {
            let probe = Call::new(X86_64, number, [0; 6]);
            let conditional = [ours, &theirs].iter().any(|one| bpf::run(one, &probe).looked_at_arguments);
            for _ in 0..if conditional { 200 } else { 1 } {
                let call = Call::new(X86_64, number, std::array::from_fn(|_| chance.of(&values)));
                let (a, b) = (bpf::run(ours, &call).answer, bpf::run(&theirs, &call).answer);
                assert!(
                    a == b || (a == ENOSYS && is_newer(&profile, &call)),
                    "{call:x?}: {a:#x}, seccompiler {b:#x}\n{}\n{}",
                    profile.json(),
                    bpf::listing(ours)
                );
            }
        }
        compared += 1;
    }
    assert!(compared > 2000, "{compared}");
}

/// What the rules say, without a compiler.
pub fn random_profiles_as_they_are_meant() {
    let names = meaning::names();
    let mut chance = Chance::new(9);
    for _ in 0..1000 {
        let profile = chance.profile(names);
        let program = profile.compile().expect("compiles").program;
        let values = profile.interesting_values();
        for arch in [X86_64, I386, AARCH64] {
            for number in numbers() {
                let probe = bpf::run(program, &Call::new(arch, number, [0; 6]));
                for _ in 0..if probe.looked_at_arguments { 50 } else { 1 } {
                    let call = Call::new(arch, number, std::array::from_fn(|_| chance.of(&values)));
                    let (told, meant) = (bpf::run(program, &call).answer, meaning::answer(&profile, &call));
                    assert!(
                        told == meant || told == ENOSYS && is_newer(&profile, &call),
                        "{call:x?}: {told:#x}, it means {meant:#x}\n{}\n{}",
                        profile.json(),
                        bpf::listing(program)
                    );
                }
            }
        }
    }
}

/// The interpreter is right about what a filter means: ours and every call again, in the kernel.
pub fn the_kernel_agrees() {
    let names = meaning::names();
    let mut chance = Chance::new(7);
    let mut profiles: Vec<Profile> = (0..40).map(|_| chance.profile(names)).collect();
    profiles.extend([DOCKER, PODMAN].map(Profile::from_json));
    for profile in &profiles {
        let program = profile.compile().expect("compiles").program;
        let values = profile.interesting_values();
        let mut calls = Vec::new();
        for arch in [X86_64, I386] {
            for number in numbers() {
                let args = std::array::from_fn(|_| chance.of(&values));
                // These are how the program ends, no call at all, and two that no filter ever sees.
                if number == u32::MAX || (arch == X86_64 && [335, 336].contains(&(number & !X32))) {
                    continue;
                }
                if (arch, number, args[0]) != (X86_64, 231, 77) {
                    calls.push(Call::new(arch, number, args));
                }
            }
        }
        for (call, answer) in calls.iter().zip(peers::kernel(program, &calls)) {
            assert_eq!(bpf::run(program, call).answer, answer, "{call:x?}\n{}", profile.json());
        }
    }
}
