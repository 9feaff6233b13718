//! Bytes as digits.

/// Digits in lower case, two a byte.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    text.extend(bytes.iter().flat_map(|byte| digits(*byte)).map(char::from));
    text
}

/// Both digits of a byte, in lower case.
pub(crate) fn digits(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 0x0f].map(|half| match half {
        0..=9 => b'0' + half,
        _ => b'a' + (half - 10),
    })
}

#[cfg(test)]
mod tests {
    use super::hexadecimal;

    #[test]
    fn each_byte_is_two_digits() {
        assert_eq!(hexadecimal(&[0x00, 0x09, 0xa0, 0xff]), "0009a0ff");
        assert_eq!(hexadecimal(&[]), "");
    }
}
