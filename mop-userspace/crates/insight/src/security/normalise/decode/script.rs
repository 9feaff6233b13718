//! Backslash escapes of scripts and shells: `\n`, `\'`, `\101`, `\` before a line end, and a
//! backslash before a character that needs none (`al\ert`, `c\at`).

/// Decodes one layer of escapes.
pub fn decode(input: &[u8], output: &mut Vec<u8>) -> bool {
    let mut changed = false;
    let mut rest = input;
    while let [byte, after @ ..] = rest {
        rest = after;
        let [next, ..] = after else {
            output.push(*byte);
            break;
        };
        if *byte != b'\\' {
            output.push(*byte);
            continue;
        }
        changed = true;
        let length = escape(*next, after, output);
        rest = after.get(length..).unwrap_or_default();
    }
    changed
}

/// Writes what an escape stands for; returns its length after the backslash.
fn escape(next: u8, after: &[u8], output: &mut Vec<u8>) -> usize {
    let written = match next {
        b'0'..=b'7' => return octal(after, output),
        // A line that goes on.
        b'\n' => return 1,
        b'\r' => return 1 + usize::from(after.get(1) == Some(&b'\n')),
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        other => other,
    };
    output.push(written);
    1
}

/// At most three digits, and at most 255 (ECMA-262, annex B.1.2).
fn octal(after: &[u8], output: &mut Vec<u8>) -> usize {
    let mut value = 0_u8;
    let mut length = 0;
    for digit in after.iter().take(3).take_while(|digit| (b'0'..=b'7').contains(digit)) {
        let Some(longer) = value.checked_mul(8) else { break };
        value = longer | (digit - b'0');
        length += 1;
    }
    output.push(value);
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        for (input, expected) in [
            (r"\'\x", "'x"),
            (r#"\" or \n1"#, "\" or \n1"),
            (r"al\ert", "alert"),
            (r"\141\154ert", "alert"),
            (r"\400", " 0"),
            ("al\\\nert\\\r\nx", "alertx"),
            (r"\\n", r"\n"),
            (r"end\", r"end\"),
            ("plain", "plain"),
        ] {
            let mut output = Vec::new();
            let changed = decode(input.as_bytes(), &mut output);
            assert_eq!(output, expected.as_bytes(), "{input}");
            assert_eq!(changed, input != expected, "{input}");
        }
    }
}
