//! The command line: words become options and words, and no word is lost or made up. The first byte chooses the verb,
//! words end with a line feed.

#![no_main]

use std::ffi::CStr;

use isopod::cli::options::parse;
use isopod::cli::verbs::{COMMON, VERBS};
use isopod_fuzz::{cstr, good, with};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [first, rest @ ..] = data else { return };
    with(|| {
        let verb = &VERBS[usize::from(*first) % VERBS.len()];
        let words: Vec<&'static CStr> = rest.split(|byte| *byte == b'\n').map(cstr).collect();
        let Some(given) = good(parse([verb.options, COMMON], &words, verb.order)) else { return };
        for word in given.words {
            assert!(words.contains(word), "{word:?}");
        }
        for option in verb.options.iter().chain(COMMON) {
            for value in given.values(option) {
                let known = |word: &&CStr| word.to_bytes().ends_with(value.to_bytes());
                assert!(given.has(option) && words.iter().any(known), "{value:?}");
            }
        }
    });
});
