//! Base64 (RFC 4648, sections 4 and 5), found inside other text.
//!
//! A run of at least [`MIN_RUN_BYTES`] characters of either alphabet, with or without padding and
//! with line ends inside, counts when what it decodes to is mostly printable text; ordinary words
//! are such runs, and what they decode to is not. A slash is of the alphabet and also separates
//! segments of a path, so the pieces between slashes are tried when the whole is nothing.

use crate::security::table::by_byte;

/// Writes what the runs decode to, one after the other with a space between; says whether there was
/// any. The text around them is left out.
pub fn decode(input: &[u8], output: &mut Vec<u8>) -> bool {
    let before = output.len();
    let mut rest = input;
    while let Some(start) = rest.iter().position(|byte| sextet(*byte).is_some()) {
        rest = rest.get(start..).unwrap_or_default();
        let end = rest.iter().position(|byte| !is_of_run(*byte)).unwrap_or(rest.len());
        let Some((run, after)) = rest.split_at_checked(end) else { break };
        rest = after;
        if !decode_run(run, before, output) {
            for piece in run.split(|byte| matches!(byte, b'/' | b'\r' | b'\n')) {
                if piece.len() < run.len() {
                    let _found = decode_run(piece, before, output);
                }
            }
        }
    }
    output.len() > before
}

/// Writes what one run decodes to, if it is text.
fn decode_run(run: &[u8], before: usize, output: &mut Vec<u8>) -> bool {
    if run.len() < MIN_RUN_BYTES {
        return false;
    }
    let end = output.len();
    if end > before {
        output.push(b' ');
    }
    let mut text = Text::of(run.len());
    let (mut bits, mut held, mut characters) = (0_u32, 0_u32, 0_usize);
    for value in run.iter().filter_map(|byte| sextet(*byte)) {
        characters += 1;
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            let [.., byte] = (bits >> held).to_be_bytes();
            output.push(byte);
            if !text.take(byte) {
                break;
            }
        }
    }
    // One character alone has six bits, which are no byte.
    let is_text = characters >= MIN_RUN_BYTES && characters % 4 != 1 && text.is_text();
    if !is_text {
        output.truncate(end);
    }
    is_text
}

/// Whether bytes are mostly printable UTF-8; said as soon as they are not.
struct Text {
    /// Bytes that the run holds at most.
    most: usize,
    taken: usize,
    strange: usize,
    /// Null bytes up to a half are of UTF-16, as shells take it, and are neither.
    nulls: usize,
    /// Bytes that must follow the first of a sequence.
    due: u8,
}

impl Text {
    fn of(run: usize) -> Self {
        Self { most: run / 4 * 3 + 2, taken: 0, strange: 0, nulls: 0, due: 0 }
    }

    /// Takes a byte; `false` when the whole can be no text any more.
    fn take(&mut self, byte: u8) -> bool {
        self.taken += 1;
        if self.due > 0 {
            if byte & 0xc0 == 0x80 {
                self.due -= 1;
                return true;
            }
            self.strange += 1;
            self.due = 0;
        }
        match byte {
            0 => self.nulls += 1,
            b'\t' | b'\n' | b'\r' | b' '..=b'~' => {}
            0xc2..=0xdf => self.due = 1,
            0xe0..=0xef => self.due = 2,
            0xf0..=0xf4 => self.due = 3,
            _ => self.strange += 1,
        }
        self.strange * MAX_STRANGE_SHARE <= self.most
    }

    fn is_text(&self) -> bool {
        let characters = self.taken - self.nulls;
        let strange = self.strange + usize::from(self.due > 0);
        self.nulls <= characters && strange * MAX_STRANGE_SHARE <= characters
    }
}

/// Value of a character of either alphabet.
fn sextet(byte: u8) -> Option<u8> {
    SEXTETS.get(usize::from(byte)).copied().filter(|value| *value < 64)
}

fn is_of_run(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n') || sextet(byte).is_some()
}

const fn value(byte: u8) -> u8 {
    match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => 64,
    }
}

/// By byte; 64 for what is of neither alphabet.
static SEXTETS: [u8; 256] = by_byte!(value);

/// Shorter runs hold five bytes or less, which is no attack, while many short words decode to
/// something printable by chance.
pub const MIN_RUN_BYTES: usize = 8;

/// One byte in ten may be no text; none where there are less than ten.
const MAX_STRANGE_SHARE: usize = 10;

#[cfg(test)]
mod tests {
    use ::base64::{
        Engine as _,
        engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
    };
    use proptest::prelude::*;

    use super::*;

    fn decoded(input: &[u8]) -> Option<String> {
        let mut output = Vec::new();
        let found = decode(input, &mut output);
        found.then(|| String::from_utf8_lossy(&output).into_owned())
    }

    #[test]
    fn known_answers() {
        for (input, expected) in [
            ("PHNjcmlwdD4=", Some("<script>")),
            ("PHNjcmlwdD4", Some("<script>")),
            ("x=PHNjcmlwdD4=&y=JyBvciAxPTE", Some("<script> ' or 1=1")),
            ("/api/v1/PHNjcmlwdD4/x", Some("<script>")),
            ("data:text/html;base64,PHNjcmlwdD4=", Some("<script>")),
            ("PHNj\r\ncmlw\r\ndD4=", Some("<script>")),
            ("Zm9v", None),
            ("insurance policyholder seguradora", None),
            ("/open-insurance/consents/v3/consents", None),
            ("", None),
        ] {
            assert_eq!(decoded(input.as_bytes()).as_deref(), expected, "{input}");
        }
        let utf16: Vec<u8> = "whoami /all".bytes().flat_map(|byte| [byte, 0]).collect();
        assert!(decoded(STANDARD.encode(utf16).as_bytes()).is_some());
        assert_eq!(decoded(STANDARD.encode([7; 30]).as_bytes()), None);
    }

    proptest! {
        #[test]
        fn text_is_found_in_every_alphabet(plain in "[ -~é]{6,60}", around in "[ ,:.]{0,5}") {
            for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
                let text = format!("{around}{}{around}", engine.encode(&plain));
                prop_assert_eq!(decoded(text.as_bytes()), Some(plain.clone()));
            }
        }

        #[test]
        fn less_is_written_than_read(input in any::<Vec<u8>>(), text in "[A-Za-z0-9+/=\r\n_-]{0,80}") {
            for input in [&input[..], text.as_bytes()] {
                let mut output = Vec::new();
                let found = decode(input, &mut output);
                prop_assert!(output.len() <= input.len());
                prop_assert_eq!(found, !output.is_empty());
            }
        }
    }
}
