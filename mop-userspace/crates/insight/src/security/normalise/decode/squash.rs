//! Filling and case: comments of SQL become a space, runs of white space one space, capital ASCII
//! letters small ones.
//!
//! What a comment of MySQL with a version holds (`/*!50000union*/`) is executed, so it stays.

/// Writes the text without filling, in small letters.
pub fn decode(input: &[u8], output: &mut Vec<u8>) -> bool {
    let before = output.len();
    let mut squash = Squash { output, before, conditional: 0 };
    let mut rest = input;
    // Once no comment ends, none further right does; so the end is looked for once in vain.
    let mut may_end = true;
    while let [byte, after @ ..] = rest {
        rest = after;
        match (byte, after) {
            (b'/', [b'*', b'!', inside @ ..]) => {
                let digits = inside.iter().take(MAX_VERSION_DIGITS);
                let length = digits.take_while(|digit| digit.is_ascii_digit()).count();
                squash.conditional += 1;
                squash.space();
                rest = inside.get(length..).unwrap_or_default();
            }
            (b'/', [b'*', inside @ ..]) if may_end => {
                let end = inside.windows(2).position(|pair| pair == b"*/");
                may_end = end.is_some();
                match end {
                    Some(end) => {
                        squash.space();
                        rest = inside.get(end + 2..).unwrap_or_default();
                    }
                    None => squash.output.push(b'/'),
                }
            }
            (b'*', [b'/', after @ ..]) if squash.conditional > 0 => {
                squash.conditional -= 1;
                squash.space();
                rest = after;
            }
            (b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, _) => squash.space(),
            _ => squash.output.push(byte.to_ascii_lowercase()),
        }
    }
    output.get(before..) != Some(input)
}

struct Squash<'o> {
    output: &'o mut Vec<u8>,
    /// Where this text begins in the output.
    before: usize,
    /// Comments with a version that have not ended.
    conditional: u32,
}

impl Squash<'_> {
    /// A space, unless there is one already.
    fn space(&mut self) {
        if self.output.get(self.before..).and_then(<[u8]>::last) != Some(&b' ') {
            self.output.push(b' ');
        }
    }
}

/// `/*!80000` and `/*!080000` are the forms in use.
const MAX_VERSION_DIGITS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn squashed(input: &str) -> String {
        let mut output = Vec::new();
        let _changed = decode(input.as_bytes(), &mut output);
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn known_answers() {
        for (input, expected) in [
            ("UNION/**/SELECT", "union select"),
            ("a/*x*//*y*/b", "a b"),
            ("/*!50000UNION*/ /*!SELECT*/1", " union select 1"),
            ("a \t\r\n b", "a b"),
            ("a/*open", "a/*open"),
            ("*/a", "*/a"),
            ("/*/", "/*/"),
            ("Ávila", "Ávila"),
        ] {
            assert_eq!(squashed(input), expected, "{input}");
        }
    }

    #[test]
    fn comments_that_never_end_are_looked_at_once() {
        // A quadratic search would take minutes.
        let input = "/*a".repeat(1 << 20);
        assert_eq!(squashed(&input).len(), input.len());
    }
}
