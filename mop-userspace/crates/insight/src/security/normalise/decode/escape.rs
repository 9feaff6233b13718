//! Escapes that name a character by its code: `\u003c`, `\u{3c}`, `%u003c`, `\x3c`.
//!
//! `\x` gives a byte, not a character, so that a UTF-8 sequence may be written with several.

use super::{hex, hex_digits, push_character};

/// Decodes one layer of escapes.
pub fn decode(input: &[u8], output: &mut Vec<u8>) -> bool {
    let mut changed = false;
    let mut rest = input;
    while let [byte, after @ ..] = rest {
        rest = after;
        let length = match byte {
            b'\\' | b'%' => escape(*byte, after, output),
            _ => None,
        };
        if let Some(length) = length {
            rest = after.get(length..).unwrap_or_default();
            changed = true;
        } else {
            output.push(*byte);
        }
    }
    changed
}

/// Writes what an escape stands for; returns its length after the first character.
fn escape(lead: u8, after: &[u8], output: &mut Vec<u8>) -> Option<usize> {
    match (lead, after) {
        (b'\\', [b'x' | b'X', digits @ ..]) => {
            output.push(u8::try_from(hex_digits(digits, 2)?).ok()?);
            Some(3)
        }
        (b'\\', [b'u', b'{', digits @ ..]) => braced(digits, output).map(|length| length + 2),
        (_, [b'u' | b'U', digits @ ..]) => {
            let code = hex_digits(digits, 4)?;
            if let Some(low) = low_surrogate(lead, code, digits) {
                push_character(0x1_0000 + ((code - HIGH) << 10) + (low - LOW), output)?;
                return Some(11);
            }
            push_character(code, output)?;
            Some(5)
        }
        _ => None,
    }
}

/// The second half of a pair, when both halves are there.
fn low_surrogate(lead: u8, code: u32, digits: &[u8]) -> Option<u32> {
    if !(HIGH..LOW).contains(&code) {
        return None;
    }
    let second = digits.get(4..)?;
    let [next, b'u' | b'U', digits @ ..] = second else { return None };
    let low = hex_digits(digits, 4)?;
    (*next == lead && (LOW..=LAST).contains(&low)).then_some(low)
}

fn braced(digits: &[u8], output: &mut Vec<u8>) -> Option<usize> {
    let length =
        digits.iter().take(MAX_BRACED_DIGITS).take_while(|it| it.is_ascii_hexdigit()).count();
    if length == 0 || digits.get(length) != Some(&b'}') {
        return None;
    }
    let code = digits
        .iter()
        .take(length)
        .try_fold(0_u32, |code, digit| Some(code.checked_mul(16)? + hex(Some(digit))?))?;
    push_character(code, output)?;
    Some(length + 1)
}

/// The first of the high and of the low surrogates, and the last (Unicode, section 23.6).
const HIGH: u32 = 0xd800;
const LOW: u32 = 0xdc00;
const LAST: u32 = 0xdfff;

/// Six digits name every character; two more for zeros.
const MAX_BRACED_DIGITS: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(input: &str) -> Vec<u8> {
        let mut output = Vec::new();
        let _changed = decode(input.as_bytes(), &mut output);
        output
    }

    #[test]
    fn known_answers() {
        for (input, expected) in [
            (r"\u003cscript\u003E", "<script>"),
            ("%u003cscript%U003E", "<script>"),
            (r"\x3cb\X3e", "<b>"),
            (r"\u{3c}\u{00003e}", "<>"),
            (r"\ud83d\ude00", "😀"),
            (r"\xc3\xa9", "é"),
            (r"\ud83d", r"\ud83d"),
            (r"\ud83d%ude00", r"\ud83d%ude00"),
            (r"\u{}\u{110000}\u{zz}\u12\x1", r"\u{}\u{110000}\u{zz}\u12\x1"),
            ("%41", "%41"),
            (r"C:\users", r"C:\users"),
        ] {
            assert_eq!(decoded(input), expected.as_bytes(), "{input}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(plain in "\\PC{0,40}", lead in prop::sample::select(vec!['\\', '%'])) {
            let encoded: String =
                plain.encode_utf16().map(|unit| format!("{lead}u{unit:04x}")).collect();
            prop_assert_eq!(decoded(&encoded), plain.as_bytes());
            let bytes: String = plain.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
            prop_assert_eq!(decoded(&bytes), plain.as_bytes());
        }
    }
}
