//! `state.json`: what is read is what was written, and writing it again changes nothing.

#![no_main]

use isopod::fuzz::{state, state_text};
use isopod_fuzz::{good, with};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    with(|| {
        let Some(read) = good(state(data)) else { return };
        let text = state_text(&read);
        let again = state(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(read, again, "{text}");
        assert_eq!(text, state_text(&again));
        serde_json::from_str::<serde_json::Value>(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    });
});
