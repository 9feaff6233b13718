//! Bytes as digits.

/// Digits in lower case, two a byte.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(DIGITS.get(usize::from(half)).copied().unwrap_or_default());
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0x0f));
    }
    text
}

const DIGITS: [u8; 16] = *b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::hexadecimal;

    #[test]
    fn each_byte_is_two_digits() {
        assert_eq!(hexadecimal(&[0x00, 0x09, 0xa0, 0xff]), "0009a0ff");
        assert_eq!(hexadecimal(&[]), "");
    }
}
