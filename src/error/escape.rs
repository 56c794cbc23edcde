//! The user's words in a message. Whatever is in them, the message stays one line and says what is theirs: nothing ends
//! the line, moves the cursor or turns the direction. The standard library's `{:?}` would do it with tables of all of
//! Unicode, which are one hundredth of the program.

use core::fmt::{self, Display, Formatter, Write};

use crate::sys::hexadecimal;

/// Text, in quotation marks: `"a\nb"`.
pub struct Quoted<'a>(pub &'a str);

/// Bytes that need not be UTF-8: `a\nb\xff`.
pub struct Escaped<'a>(pub &'a [u8]);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        self.0.chars().try_for_each(|character| match character {
            '"' | '\\' => f.write_str("\\").and_then(|()| f.write_char(character)),
            _ => escape(f, character),
        })?;
        f.write_str("\"")
    }
}

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.utf8_chunks().try_for_each(|chunk| {
            chunk.valid().chars().try_for_each(|character| escape(f, character))?;
            chunk.invalid().iter().try_for_each(|byte| {
                f.write_str("\\x")?;
                f.write_str(hexadecimal(u64::from(*byte), &mut [0; 20]))
            })
        })
    }
}

/// A character as it is, unless one would not see it, or would not see others for it.
///
/// # Errors
/// If `out` does not take it.
pub fn escape(out: &mut dyn Write, character: char) -> fmt::Result {
    let escaped = match character {
        '\0' => "\\0",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        // Controls; blanks, marks and joiners of no or any width; variants; tags.
        '\x01'..' ' | '\x7f'..='\u{9f}' | '\u{2000}'..='\u{206f}' | '\u{fe00}'..='\u{feff}' | '\u{e0000}'.. => {
            out.write_str("\\u{")?;
            out.write_str(hexadecimal(u64::from(character), &mut [0; 20]))?;
            "}"
        }
        _ => return out.write_char(character),
    };
    out.write_str(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_hidden() {
        for (text, quoted) in [
            ("", r#""""#),
            ("plain, 'quoted' \u{e4}", "\"plain, 'quoted' \u{e4}\""),
            ("a\n\r\t\0\u{1b}[1m\u{7f}", r#""a\n\r\t\0\u{1b}[1m\u{7f}""#),
            (r#"say "\""#, r#""say \"\\\"""#),
            ("txt.\u{202e}exe", r#""txt.\u{202e}exe""#),
            ("\u{feff}\u{200b}\u{e0041}", r#""\u{feff}\u{200b}\u{e0041}""#),
        ] {
            assert_eq!(Quoted(text).to_string(), quoted);
        }
        assert_eq!(Escaped(b"a\n\\b\x1b'\"\xc3\xa4\xff").to_string(), "a\\n\\b\\u{1b}'\"\u{e4}\\xff");
    }
}
