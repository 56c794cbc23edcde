//! `/etc/passwd` of a container, which is an attacker's, and `/etc/passwd` and `/etc/subuid` of the host.

#![no_main]

use isopod_fuzz::with;

libfuzzer_sys::fuzz_target!(|input: (u32, &[u8])| {
    let (uid, table) = input;
    with(|| {
        let home = isopod::fuzz::home(table, uid);
        // The first line of enough fields with the number in the third; a name is never looked at.
        let expected = table.split(|byte| *byte == b'\n').find_map(|line| {
            let fields: Vec<&str> = std::str::from_utf8(line).ok()?.split(':').collect();
            let is_number = fields.get(2)?.bytes().all(|byte| byte.is_ascii_digit());
            (is_number && fields[2].parse() == Ok(uid) && !fields.get(5)?.is_empty()).then(|| fields[5])
        });
        assert_eq!(home, expected);
        assert!(!home.is_some_and(|home| home.contains(['\n', ':'])));

        for line in std::str::from_utf8(table).unwrap_or("").lines() {
            if let Some(name) = isopod::fuzz::name(line, uid) {
                assert!(line.starts_with(name) && !name.is_empty() && !name.contains(':'));
            }
            if let Some(range) = isopod::fuzz::range(line, "user", uid) {
                assert!(range.count > 0 && range.first.checked_add(range.count).is_some());
                let owner = line.split(':').next().unwrap_or("");
                assert!(owner == "user" || owner.parse() == Ok(uid));
            }
        }
    });
});
