//! Decoders: one for each way in which a text may be written differently.
//!
//! Each reads bytes once, from left to right, looks ahead by a constant number of them, appends at
//! most as many bytes as it reads, and says whether what it wrote differs. Bytes that are not of
//! its encoding pass as they are; only [`base64`] leaves out what is around what it finds.

pub mod ascii;
pub mod base64;
pub mod escape;
pub mod html;
pub mod null;
pub mod path;
pub mod percent;
pub mod script;
pub mod squash;

/// Value of a hexadecimal digit.
fn hex(byte: Option<&u8>) -> Option<u32> {
    char::from(*byte?).to_digit(16)
}

/// Value of exactly so many hexadecimal digits at the start of these bytes.
fn hex_digits(bytes: &[u8], count: usize) -> Option<u32> {
    let digits = bytes.get(..count)?;
    digits.iter().try_fold(0, |value, digit| Some(value << 4 | hex(Some(digit))?))
}

/// Appends a character as UTF-8; half a surrogate pair is none.
fn push_character(code: u32, output: &mut Vec<u8>) -> Option<()> {
    let character = char::from_u32(code)?;
    output.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Decoder = fn(&[u8], &mut Vec<u8>) -> bool;

    const DECODERS: [(&str, Decoder); 10] = [
        ("ascii", ascii::decode),
        ("escape", escape::decode),
        ("html", html::decode),
        ("null", null::decode),
        ("path", |input, output| path::normalise(input, path::Parameters::Kept, output)),
        ("path without parameters", |input, output| {
            path::normalise(input, path::Parameters::Removed, output)
        }),
        ("percent", |input, output| percent::decode(input, percent::Plus::Plus, output)),
        ("form", |input, output| percent::decode(input, percent::Plus::Space, output)),
        ("script", script::decode),
        ("squash", squash::decode),
    ];

    /// Bytes that the decoders look for, beside any.
    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            prop::sample::select(vec![
                "%", "%2", "%u", "%u00", "&#", "&#x", "&lt", ";", "\\", "\\u", "\\x", "\\u{", "/",
                "//", "/*", "*/", "/*!", "..", "../", "\\..\\", "+", "=", "ZXZh", "\r\n",
                "\u{ff1c}",
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..4),
            Just(vec![0xc0, 0xaf]),
            Just(vec![0]),
        ];
        prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn no_decoder_writes_more_than_it_reads(input in hostile(), before in any::<Vec<u8>>()) {
            for (name, decoder) in DECODERS {
                let mut output = before.clone();
                let changed = decoder(&input, &mut output);
                let (kept, written) = output.split_at(before.len());
                prop_assert_eq!(kept, &before[..], "{}", name);
                prop_assert!(written.len() <= input.len(), "{}", name);
                prop_assert_eq!(changed, written != input, "{}", name);
            }
        }
    }
}
