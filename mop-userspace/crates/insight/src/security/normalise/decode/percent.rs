//! Percent-encoding (RFC 3986, section 2.1), and `+` for a space in forms and queries
//! (`application/x-www-form-urlencoded`).

use super::hex;

/// What `+` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plus {
    /// Itself.
    Plus,
    /// A space, as in forms.
    Space,
}

/// Decodes one layer; what is no pair of hexadecimal digits stays as it is.
pub fn decode(input: &[u8], plus: Plus, output: &mut Vec<u8>) -> bool {
    let mut changed = false;
    let mut rest = input;
    while let [byte, after @ ..] = rest {
        rest = after;
        let decoded = match byte {
            b'%' => pair(after),
            b'+' if plus == Plus::Space => Some((b' ', after)),
            _ => None,
        };
        if let Some((decoded, after)) = decoded {
            output.push(decoded);
            rest = after;
            changed = true;
        } else {
            output.push(*byte);
        }
    }
    changed
}

fn pair(after: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, after @ ..] = after else { return None };
    let value = hex(Some(high))? << 4 | hex(Some(low))?;
    Some((u8::try_from(value).ok()?, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(input: &[u8], plus: Plus) -> Vec<u8> {
        let mut output = Vec::new();
        let _changed = decode(input, plus, &mut output);
        output
    }

    #[test]
    fn known_answers() {
        for (input, plus, expected) in [
            ("%27%20or%201%3D1", Plus::Plus, "' or 1=1"),
            ("a+b%2Bc", Plus::Space, "a b+c"),
            ("a+b", Plus::Plus, "a+b"),
            ("%2527", Plus::Plus, "%27"),
            ("100%", Plus::Plus, "100%"),
            ("%4", Plus::Plus, "%4"),
            ("%zz%41", Plus::Plus, "%zzA"),
            ("%+1", Plus::Plus, "%+1"),
            ("%%41", Plus::Plus, "%A"),
        ] {
            assert_eq!(decoded(input.as_bytes(), plus), expected.as_bytes(), "{input}");
        }
        assert_eq!(decoded(b"%ff%00", Plus::Plus), [0xff, 0]);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(plain in any::<Vec<u8>>()) {
            let encoded: String = plain.iter().map(|byte| format!("%{byte:02x}")).collect();
            prop_assert_eq!(decoded(encoded.as_bytes(), Plus::Space), plain);
        }
    }
}
