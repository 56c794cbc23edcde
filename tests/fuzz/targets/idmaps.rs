//! Id maps: what is planned the kernel takes (user_namespaces(7)), and for every id of the config there is a mapping.

#![no_main]

use isopod::host::caller::{Caller, Range};
use isopod::plan::identity;
use isopod::plan::namespace::{self, Map};
use isopod::spec;
use isopod_fuzz::{good, with};
use libfuzzer_sys::arbitrary::{self, Arbitrary};

/// Of a user and of a group.
type Ids = [u32; 2];

#[derive(Arbitrary, Debug)]
struct Input {
    uid: Vec<Mapping>,
    gid: Vec<Mapping>,
    ids: Ids,
    groups: Vec<u32>,
    caller: Option<(Ids, [Option<[u32; 2]>; 2])>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Mapping {
    inside: Option<u32>,
    outside: Option<u32>,
    size: Option<u32>,
}

fn mappings(list: &[Mapping]) -> Vec<spec::IdMapping> {
    let one = |map: &Mapping| spec::IdMapping { container_id: map.inside, host_id: map.outside, size: map.size };
    list.iter().map(one).collect()
}

libfuzzer_sys::fuzz_target!(|input: Input| {
    with(|| {
        let (uid, gid) = (mappings(&input.uid), mappings(&input.gid));
        let namespace = spec::Namespace { kind: Some("user"), ..spec::Namespace::default() };
        let namespaces = [namespace];
        let linux =
            spec::Linux { namespaces: &namespaces, uid_mappings: &uid, gid_mappings: &gid, ..spec::Linux::default() };
        let user = spec::User {
            uid: Some(input.ids[0]),
            gid: Some(input.ids[1]),
            additional_gids: &input.groups,
            ..spec::User::default()
        };
        let Some(user) = good(identity::user(&user)) else { return };
        // As /etc/subuid is read: a range has an end, and the last number is no id.
        let range = |range: Option<[u32; 2]>| {
            let [first, count] = range?;
            (count > 0 && first.checked_add(count).is_some()).then_some(Range { first, count })
        };
        let caller = input
            .caller
            .filter(|(ids, _)| !ids.contains(&u32::MAX) && ids[0] != 0)
            .map(|(ids, more)| Caller { uid: ids[0], gid: ids[1], subuid: range(more[0]), subgid: range(more[1]) });
        let Some(planned) = good(namespace::plan(&linux, caller.as_ref(), &user)) else { return };
        let maps = planned.maps.expect("a new user namespace has maps");
        check(&maps.uid, &[input.ids[0]], caller.is_none() || !uid.is_empty());
        let groups: Vec<u32> = input.groups.iter().copied().chain([input.ids[1]]).collect();
        check(&maps.gid, &groups, caller.is_none() || !gid.is_empty());
    });
});

fn check(map: &Map<'_>, ids: &[u32], own_words: bool) {
    assert!(!map.ranges.is_empty() && map.ranges.len() <= 340 && map.lines.len() < 4096);
    let text: String = map.ranges.iter().map(|[a, b, c]| format!("{a} {b} {c}\n")).collect();
    assert_eq!(text, map.lines);
    for (at, [inside, outside, size]) in map.ranges.iter().enumerate() {
        assert!(*size > 0 && inside.checked_add(*size).is_some() && outside.checked_add(*size).is_some());
        for [other_inside, other_outside, other_size] in &map.ranges[..at] {
            let meet = |a: u32, b: u32| a < b + other_size && b < a + size;
            assert!(!meet(*inside, *other_inside), "{text}");
            // Somebody's own id may be in what the administrator has given him: that is for the helper to say.
            assert!(!own_words || !meet(*outside, *other_outside), "{text}");
        }
    }
    for id in ids {
        assert!(map.ranges.iter().any(|[inside, _, size]| (*inside..inside + size).contains(id)), "{id}: {text}");
    }
}
