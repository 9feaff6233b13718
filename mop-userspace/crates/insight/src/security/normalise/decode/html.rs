//! Character references of HTML: `&lt;`, `&#60;`, `&#x3c;` (HTML standard, section 13.5).
//!
//! Only the names of characters that have a meaning in markup, queries or commands are known. A
//! number may lack its semicolon, as browsers allow; a name may not, since `&lt=5` is also how a
//! query goes on.

use super::push_character;

/// Decodes one layer of references.
pub fn decode(input: &[u8], output: &mut Vec<u8>) -> bool {
    let mut changed = false;
    let mut rest = input;
    while let [byte, after @ ..] = rest {
        rest = after;
        let length = if *byte == b'&' { reference(after, output) } else { None };
        if let Some(length) = length {
            rest = after.get(length..).unwrap_or_default();
            changed = true;
        } else {
            output.push(*byte);
        }
    }
    changed
}

/// Writes what a reference stands for; returns its length after the `&`.
fn reference(after: &[u8], output: &mut Vec<u8>) -> Option<usize> {
    match after {
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16, output).map(|length| length + 2),
        [b'#', digits @ ..] => number(digits, 10, output).map(|length| length + 1),
        _ => named(after, output),
    }
}

fn number(digits: &[u8], radix: u32, output: &mut Vec<u8>) -> Option<usize> {
    let mut code = 0_u32;
    let mut length = 0;
    for digit in digits.iter().take(MAX_DIGITS) {
        let Some(value) = char::from(*digit).to_digit(radix) else { break };
        code = code.saturating_mul(radix).saturating_add(value);
        length += 1;
    }
    if length == 0 {
        return None;
    }
    push_character(code, output)?;
    Some(length + usize::from(digits.get(length) == Some(&b';')))
}

fn named(after: &[u8], output: &mut Vec<u8>) -> Option<usize> {
    let window = after.get(..MAX_NAME_BYTES + 1).unwrap_or(after);
    let length = window.iter().position(|byte| *byte == b';')?;
    let name = window.get(..length)?;
    let (_, character) = NAMES.iter().find(|(known, _)| known.as_bytes() == name)?;
    output.push(*character);
    Some(length + 1)
}

/// References by name, with their character; `nbsp` as the space that it looks like.
const NAMES: [(&str, u8); 43] = [
    ("AMP", b'&'),
    ("GT", b'>'),
    ("LT", b'<'),
    ("NewLine", b'\n'),
    ("QUOT", b'"'),
    ("Tab", b'\t'),
    ("amp", b'&'),
    ("apos", b'\''),
    ("ast", b'*'),
    ("bsol", b'\\'),
    ("colon", b':'),
    ("comma", b','),
    ("commat", b'@'),
    ("dollar", b'$'),
    ("equals", b'='),
    ("excl", b'!'),
    ("grave", b'`'),
    ("gt", b'>'),
    ("hat", b'^'),
    ("lbrace", b'{'),
    ("lbrack", b'['),
    ("lcub", b'{'),
    ("lowbar", b'_'),
    ("lpar", b'('),
    ("lsqb", b'['),
    ("lt", b'<'),
    ("midast", b'*'),
    ("nbsp", b' '),
    ("num", b'#'),
    ("percnt", b'%'),
    ("period", b'.'),
    ("plus", b'+'),
    ("quest", b'?'),
    ("quot", b'"'),
    ("rbrace", b'}'),
    ("rbrack", b']'),
    ("rcub", b'}'),
    ("rpar", b')'),
    ("rsqb", b']'),
    ("semi", b';'),
    ("sol", b'/'),
    ("verbar", b'|'),
    ("vert", b'|'),
];

/// The longest name above.
const MAX_NAME_BYTES: usize = 7;

/// Zeros may come first without end (`&#0000060;`); filters have been passed by with some ten.
const MAX_DIGITS: usize = 24;

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
            ("&lt;script&gt;", "<script>"),
            ("&#60;&#x3C;&#X3c;", "<<<"),
            ("&#60script", "<script"),
            ("&#0000000060;", "<"),
            ("java&Tab;script&colon;", "java\tscript:"),
            ("&amp;lt;", "&lt;"),
            ("&#233;&#x1F600;", "é😀"),
            ("a&lt=5&unknown;&", "a&lt=5&unknown;&"),
            ("&#;&#x;&#xD800;&#99999999999;", "&#;&#x;&#xD800;&#99999999999;"),
            ("Tom &amp Jerry", "Tom &amp Jerry"),
        ] {
            assert_eq!(decoded(input), expected.as_bytes(), "{input}");
        }
    }

    #[test]
    fn names_are_sorted_and_fit() {
        assert!(NAMES.is_sorted());
        assert!(NAMES.iter().all(|(name, _)| name.len() <= MAX_NAME_BYTES));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(plain in "\\PC{0,40}", hexadecimal in any::<bool>()) {
            let encoded: String = plain
                .chars()
                .map(u32::from)
                .map(|code| if hexadecimal { format!("&#x{code:x};") } else { format!("&#{code};") })
                .collect();
            prop_assert_eq!(decoded(&encoded), plain.as_bytes());
        }
    }
}
