//! Words of the command line: signals, users, sizes, names of containers and capabilities, compiled filters.

#![no_main]

use isopod::container::{id, kill};
use isopod::plan::{exec, identity};
use isopod::{fuzz, seccomp};
use isopod_fuzz::{cstr, good, with};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    with(|| {
        if let Some(number) = kill::signal_number(data) {
            assert!(number <= 64);
            assert_eq!(kill::signal_number(number.to_string().as_bytes()), Some(number));
        }
        if let Some(name) = good(id::check(cstr(data))) {
            assert!((1..=255).contains(&name.len()) && !name.contains(['/', '\n', '\0']) && !name.starts_with('.'));
        }
        let Ok(text) = std::str::from_utf8(data) else { return };
        if let Some(ids) = exec::ids(text) {
            let (uid, gid) = text.split_once(':').unwrap_or((text, "0"));
            assert_eq!((ids.uid.to_string(), ids.gid.to_string()), (uid.into(), gid.into()));
        }
        assert_eq!(
            exec::id(text).map(|id| id.to_string()),
            text.parse().ok().filter(|id: &u32| *id != u32::MAX && id.to_string() == text).map(|_| text.to_owned())
        );
        if let Some(bytes) = fuzz::size(text) {
            assert_eq!(fuzz::size(&bytes.to_string()), Some(bytes));
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            assert!(digits > 0 && (bytes >= 0) != text.starts_with('-') || bytes == 0, "{text:?} {bytes}");
        }
        if let Some(bit) = identity::capability(text) {
            assert!(bit <= 40);
        }
        if let Some(program) = good(seccomp::from_base64(text)) {
            assert!((1..=4096).contains(&program.len()));
            assert_eq!(program.len(), text.trim_end_matches('=').len() * 6 / 64);
        }
    });
});
