//! Sequences that lax readers take for ASCII: overlong UTF-8, full-width forms (U+FF01 to U+FF5E),
//! wide spaces, and the letters, digits and full stops that names of hosts are mapped from (UTS #46).
//!
//! Overlong sequences are no UTF-8 (RFC 3629, section 3), which is why they pass filters before a
//! lax reader.

/// Folds such sequences to the ASCII character that they are taken for.
pub fn decode(input: &[u8], output: &mut Vec<u8>) -> bool {
    let mut changed = false;
    let mut rest = input;
    while let [byte, after @ ..] = rest {
        rest = after;
        let folded = if *byte < 0xc0 { None } else { fold(*byte, after) };
        if let Some((folded, length)) = folded {
            output.push(folded);
            rest = after.get(length..).unwrap_or_default();
            changed = true;
        } else {
            output.push(*byte);
        }
    }
    changed
}

/// The character, and how many bytes follow the first.
fn fold(first: u8, after: &[u8]) -> Option<(u8, usize)> {
    let low = |byte: u8| byte & 0x3f;
    match (first, after) {
        (0xc0 | 0xc1, [second @ 0x80..=0xbf, ..]) => Some(((first & 1) << 6 | low(*second), 1)),
        (0xe0, [second @ 0x80..=0x81, third @ 0x80..=0xbf, ..])
        | (0xf0, [0x80, second @ 0x80..=0x81, third @ 0x80..=0xbf, ..]) => {
            let length = if first == 0xe0 { 2 } else { 3 };
            Some(((second & 1) << 6 | low(*third), length))
        }
        // U+00A0, U+3000, U+2028 and U+2029.
        (0xc2, [0xa0, ..]) => Some((b' ', 1)),
        (0xe3, [0x80, 0x80, ..]) => Some((b' ', 2)),
        (0xe2, [0x80, 0xa8 | 0xa9, ..]) => Some((b'\n', 2)),
        // The full stops U+3002 and U+FF61.
        (0xe3, [0x80, 0x82, ..]) | (0xef, [0xbd, 0xa1, ..]) => Some((b'.', 2)),
        // In circles: 1 to 9 from U+2460 on, A to Z and a to z from U+24B6 on, and 0.
        (0xe2, [0x91, third @ 0xa0..=0xa8, ..]) => Some((third - 0xa0 + b'1', 2)),
        (0xe2, [0x92, third @ 0xb6..=0xbf, ..]) => Some((third - 0xb6 + b'A', 2)),
        (0xe2, [0x93, third @ 0x80..=0x8f, ..]) => Some((third - 0x80 + b'K', 2)),
        (0xe2, [0x93, third @ 0x90..=0xa9, ..]) => Some((third - 0x90 + b'a', 2)),
        (0xe2, [0x93, 0xaa, ..]) => Some((b'0', 2)),
        (0xf0, [0x9d, third @ 0x90..=0x9f, fourth @ 0x80..=0xbf, ..]) => {
            mathematical(u16::from(third - 0x90) << 6 | u16::from(low(*fourth))).map(|it| (it, 3))
        }
        // U+FF01 is `!`, in two blocks of 64.
        (0xef, [0xbc, third @ 0x81..=0xbf, ..]) => Some((third - 0x81 + b'!', 2)),
        (0xef, [0xbd, third @ 0x80..=0x9e, ..]) => Some((third - 0x80 + b'`', 2)),
        _ => None,
    }
}

/// Mathematical letters and digits, counted from U+1D400 on: thirteen alphabets, and at the end five
/// times ten digits.
fn mathematical(number: u16) -> Option<u8> {
    let (at, first) = match number {
        0..LETTERS => match number % 52 {
            at @ 0..26 => (at, b'A'),
            at => (at - 26, b'a'),
        },
        DIGITS..=0x3ff => ((number - DIGITS) % 10, b'0'),
        _ => return None,
    };
    u8::try_from(at).ok().map(|at| first + at)
}

/// Letters in thirteen alphabets, from U+1D400 on.
const LETTERS: u16 = 13 * 52;
/// U+1D7CE, the first digit.
const DIGITS: u16 = 0x3ce;

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(input: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        let _changed = decode(input, &mut output);
        output
    }

    #[test]
    fn full_width_forms_are_folded() {
        let wide: String = (0xff01..=0xff5e).filter_map(char::from_u32).collect();
        let plain: Vec<u8> = (b'!'..=b'~').collect();
        assert_eq!(decoded(wide.as_bytes()), plain);
        assert_eq!(decoded("a\u{3000}b\u{a0}c\u{2028}d".as_bytes()), b"a b c\nd");
    }

    #[test]
    fn letters_of_names_of_hosts_are_folded() {
        for (text, plain) in [
            ("①②③④⑤⑥⑦⑧⑨⓪", "1234567890"),
            ("ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "localhost"),
            ("ⒶⒿⓀⓏ", "AJKZ"),
            ("127。0｡0.1", "127.0.0.1"),
            ("𝐀𝐙𝐚𝐳𝑨𝙖𝚣", "AZazAaz"),
            ("𝟎𝟗𝟘𝟿", "0909"),
        ] {
            assert_eq!(decoded(text.as_bytes()), plain.as_bytes(), "{text}");
        }
        for text in ["𝛀", "⓫"] {
            assert_eq!(decoded(text.as_bytes()), text.as_bytes(), "{text}");
        }
    }

    #[test]
    fn overlong_forms_are_folded() {
        for plain in 0..0x80_u8 {
            let last = 0x80 | plain & 0x3f;
            let top = plain >> 6;
            assert_eq!(decoded(&[0xc0 | top, last]), [plain]);
            assert_eq!(decoded(&[0xe0, 0x80 | top, last]), [plain]);
            assert_eq!(decoded(&[0xf0, 0x80, 0x80 | top, last]), [plain]);
        }
    }

    #[test]
    fn words_of_the_language_stay() {
        for text in ["D'Ávila", "Embu-Guaçu", "São João del-Rei", "日本", "\u{ff5f}"] {
            assert_eq!(decoded(text.as_bytes()), text.as_bytes(), "{text}");
        }
        assert_eq!(decoded(&[0xc0]), [0xc0]);
        assert_eq!(decoded(&[0xe0, 0x80]), [0xe0, 0x80]);
    }
}
