//! Strings as RFC 8259, section 7, writes them.

use super::reader::UnreadableKind;

/// Number of bytes before the first that ends a plain run: a quote, a backslash or a control
/// character; the length of `bytes` when there is none.
///
/// Sixteen bytes a step: most names and values end within the first, so that one branch tells.
#[inline]
pub(super) fn plain_run(bytes: &[u8]) -> usize {
    let mut at = 0;
    let (steps, rest) = bytes.as_chunks::<16>();
    for step in steps {
        let word = u128::from_le_bytes(*step);
        let (low, high) = (special_bytes(word as u64), special_bytes((word >> 64) as u64));
        if low | high != 0 {
            let within =
                if low != 0 { low.trailing_zeros() / 8 } else { 8 + high.trailing_zeros() / 8 };
            return at + within as usize;
        }
        at += 16;
    }
    at + rest.iter().take_while(|byte| !is_special(**byte)).count()
}

/// Reads one escape after its backslash: the character, and how many bytes it took.
pub(super) fn escape(after: &[u8]) -> Result<(char, usize), UnreadableKind> {
    let plain = match after.first() {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode_escape(after),
        _ => return Err(UnreadableKind::Syntax),
    };
    Ok((plain, 1))
}

fn unicode_escape(after: &[u8]) -> Result<(char, usize), UnreadableKind> {
    let first = four_digits(after.get(1..5)).ok_or(UnreadableKind::Syntax)?;
    if let Some(plain) = char::from_u32(first) {
        return Ok((plain, 5));
    }
    let is_high = (0xD800..0xDC00).contains(&first);
    if !is_high || after.get(5..7) != Some(b"\\u") {
        return Err(UnreadableKind::LoneSurrogate);
    }
    let second = four_digits(after.get(7..11)).ok_or(UnreadableKind::Syntax)?;
    if !(0xDC00..0xE000).contains(&second) {
        return Err(UnreadableKind::LoneSurrogate);
    }
    let pair = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    char::from_u32(pair).map(|pair| (pair, 11)).ok_or(UnreadableKind::LoneSurrogate)
}

fn four_digits(digits: Option<&[u8]>) -> Option<u32> {
    digits?.iter().try_fold(0, |number, digit| Some(number << 4 | char::from(*digit).to_digit(16)?))
}

/// The high bit of every byte that ends a plain run; bits above the first such byte may be wrong.
fn special_bytes(word: u64) -> u64 {
    let quote = word ^ (LOW * b'"' as u64);
    let backslash = word ^ (LOW * b'\\' as u64);
    let zero = |word: u64| word.wrapping_sub(LOW) & !word;
    // Below 0x20: subtracting borrows; bytes of 0x80 and more are no control characters.
    let control = word.wrapping_sub(LOW * 0x20) & !word;
    (zero(quote) | zero(backslash) | control) & HIGH
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

const LOW: u64 = u64::MAX / 0xFF;
const HIGH: u64 = LOW << 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_ends_a_run_exactly_when_it_is_special() {
        for special in 0..=u8::MAX {
            for place in 0..35 {
                let mut bytes = [b'a'; 35];
                bytes[place] = special;
                let expected = if is_special(special) { place } else { 35 };
                assert_eq!(plain_run(&bytes), expected, "{special} at {place}");
            }
        }
    }

    #[test]
    fn high_bytes_before_a_quote_do_not_end_the_run() {
        assert_eq!(plain_run("São Paulo, açaí\"".as_bytes()), "São Paulo, açaí".len());
    }
}
