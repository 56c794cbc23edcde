//! A filter that somebody else has compiled: annotation `run.oci.seccomp_bpf_data`, `struct sock_filter`s in base64.

use super::program::LONGEST;
use crate::error::{Error, Result};
use crate::sys::memory::Growing;
use crate::sys::security::SockFilter;

/// Takes it apart; whether it is a good program is for the kernel to say.
///
/// # Errors
/// If it is no base64, or not a whole number of instructions.
pub fn from_base64(text: &str) -> Result<&'static [SockFilter]> {
    let wrong =
        |because: &str| Error::config(format_args!("annotations.run.oci.seccomp_bpf_data"), format_args!("{because}"));
    let mut program: Growing<'static, SockFilter> = Growing::new();
    let (mut bytes, mut count) = ([0; 8], 0);
    let (mut bits, mut have) = (0u32, 0);
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 {
        return Err(wrong("is no base64"));
    }
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return Err(wrong("is no base64")),
        };
        bits = bits << 6 | u32::from(value);
        have += 6;
        if have < 8 {
            continue;
        }
        have -= 8;
        bytes[count] = (bits >> have) as u8;
        count += 1;
        if count == bytes.len() {
            let [a, b, jt, jf, k @ ..] = bytes;
            program.push(SockFilter { code: u16::from_le_bytes([a, b]), jt, jf, k: u32::from_le_bytes(k) });
            count = 0;
        }
    }
    match (count, program.len()) {
        (0, 1..=LONGEST) => Ok(program.finish()),
        (0, 0) => Err(wrong("is empty")),
        (0, _) => Err(wrong("has more than 4096 instructions, and the kernel takes no more")),
        _ => Err(wrong("is no sequence of instructions of 8 bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_in_base64() {
        // BPF_RET | BPF_K, SECCOMP_RET_ALLOW; once and twice.
        let allow = SockFilter { code: 6, jt: 0, jf: 0, k: 0x7fff_0000 };
        assert_eq!(from_base64("BgAAAAAA/38=").expect("one"), [allow]);
        assert_eq!(from_base64("BgAAAAAA/38GAAAAAAD/fw==").expect("two"), [allow, allow]);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "====", "BgAA", "BgAAAAAA/38===", "BgAA AAA/38=", "BgAAAAAA/38=BgAAAAAA/38="] {
            let error = from_base64(text).expect_err(text).to_string();
            assert!(error.contains("annotations.run.oci.seccomp_bpf_data"), "{error}");
        }
    }
}
