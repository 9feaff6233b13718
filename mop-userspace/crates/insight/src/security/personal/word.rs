//! Where words and numbers begin and end.

use super::Place;

/// Whether a number may begin here: not within a word, nor after the sign that joins it to digits
/// before.
pub(super) fn begins(place: Place<'_>) -> bool {
    match place.before() {
        [] => true,
        [.., last] if is_of_word(*last) => false,
        [.., digit, b'.' | b',' | b'-' | b'_'] => !digit.is_ascii_digit(),
        _ => true,
    }
}

/// Whether a number may end before these bytes.
pub(super) fn ends(after: &[u8]) -> bool {
    match after {
        [] => true,
        [first, ..] if is_of_word(*first) || *first == b'@' => false,
        [b'.' | b',' | b'-' | b'_' | b'/', next, ..] => !next.is_ascii_digit(),
        _ => true,
    }
}

/// The same for a number without punctuation, which is also within a word when a hyphen joins it to
/// letters, as in identifiers.
pub(super) fn stands_alone(place: Place<'_>, length: usize) -> bool {
    let joins =
        |before: &[u8]| matches!(before, [.., letter, b'-'] if letter.is_ascii_alphanumeric());
    let after = place.rest().get(length..).unwrap_or_default();
    let is_joined = matches!(after, [b'-', letter, ..] if letter.is_ascii_alphanumeric());
    begins(place) && ends(after) && !joins(place.before()) && !is_joined
}

/// Digits at the start of these bytes, at most so many and one more.
pub(super) fn digits(bytes: &[u8], most: usize) -> usize {
    bytes.iter().take(most + 1).take_while(|byte| byte.is_ascii_digit()).count()
}

/// Letters of other alphabets begin with bytes beyond ASCII.
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}
