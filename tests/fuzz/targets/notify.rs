//! Messages to NOTIFY_SOCKET: the container is ready if a line says so, and only then.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let padded = [b"\n", data, b"\n"].concat();
    let expected = padded.windows(9).any(|line| line == b"\nREADY=1\n");
    assert_eq!(isopod::fuzz::says_ready(data), expected);
});
