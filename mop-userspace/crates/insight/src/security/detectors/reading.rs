//! What several detectors read: words, white space, and the line ends that are smuggled into values.

/// Whether it has this text of ASCII, whatever its case; `text` in small letters.
pub(super) fn contains(bytes: &[u8], text: &[u8]) -> bool {
    after(bytes, text).is_some()
}

/// What follows the first such text.
pub(super) fn after<'a>(bytes: &'a [u8], text: &[u8]) -> Option<&'a [u8]> {
    occurrences(bytes, text).next().map(|(_, after)| after)
}

/// What stands before and behind each such text.
pub(super) fn occurrences<'a>(
    bytes: &'a [u8],
    text: &[u8],
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let first = text.first().copied().unwrap_or_default();
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let ahead = bytes.get(from..)?;
            let at = from + memchr::memchr2(first, first.to_ascii_uppercase(), ahead)?;
            from = at + 1;
            let (before, rest) = bytes.split_at_checked(at)?;
            if let Some(after) = strip(rest, text) {
                return Some((before, after));
            }
        }
    })
}

/// What follows this text of ASCII at the start, whatever its case; `text` in small letters.
pub(super) fn strip<'a>(bytes: &'a [u8], text: &[u8]) -> Option<&'a [u8]> {
    if bytes.first()?.to_ascii_lowercase() != *text.first()? {
        return None;
    }
    let (start, rest) = bytes.split_at_checked(text.len())?;
    start.eq_ignore_ascii_case(text).then_some(rest)
}

/// A word of ASCII letters, digits and these marks at the start, and what follows it.
pub(super) fn word<'a>(bytes: &'a [u8], marks: &[u8]) -> (&'a [u8], &'a [u8]) {
    let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || marks.contains(byte);
    let length = bytes.iter().take_while(|byte| is_of_word(byte)).count();
    bytes.split_at_checked(length).unwrap_or((bytes, &[]))
}

/// Without spaces and tabs at the start. Line ends stay, so that many of them cost no more than their
/// number.
pub(super) fn unspaced(bytes: &[u8]) -> &[u8] {
    let length = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    bytes.get(length..).unwrap_or_default()
}

/// The start of what follows, as far as a test needs it; so that tests at each place of a value take
/// linear time.
pub(super) fn head(bytes: &[u8]) -> &[u8] {
    bytes.get(..MAX_HEAD).unwrap_or(bytes)
}

/// Whether a word is one of these; they are in small letters.
pub(super) fn is_one_of(word: &[u8], words: &[&[u8]]) -> bool {
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// What each line end is before: those that are bytes, and those that an application may yet make of
/// what stands for them, in escapes or as characters whose low byte is one.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    (0..bytes.len()).filter_map(move |at| {
        let (before, rest) = bytes.split_at_checked(at)?;
        let line = match rest {
            [b'\r' | b'\n', line @ ..]
            | [b'\\', b'r' | b'n', line @ ..]
            | [b'%', b'0', b'a' | b'A' | b'd' | b'D', line @ ..]
            | [0xe5, 0x98, 0x8a | 0x8d, line @ ..]
            | [0xe2, 0x80, 0xa8 | 0xa9, line @ ..]
            | [0xc2, 0x85, line @ ..]
            | [0xc4, 0x8a | 0x8d, line @ ..] => line,
            _ => return None,
        };
        Some((before, line))
    })
}

/// Bytes that a test looks ahead; longer than what attacks have between their parts.
const MAX_HEAD: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_whatever_their_case() {
        assert_eq!(after(b"xAbCd", b"abc"), Some(b"d".as_slice()));
        assert_eq!(after(b"ab", b"abc"), None);
        assert_eq!(occurrences(b"aXaxa", b"x").count(), 2);
        assert_eq!(word(b"Set-Cookie: x", b"-"), (b"Set-Cookie".as_slice(), b": x".as_slice()));
    }

    #[test]
    fn line_ends_are_found_in_each_form() {
        for text in ["a\rb", "a\nb", "a\\nb", "a%0ab", "a%0Db", "a\u{560a}b", "a\u{2028}b"] {
            let lines: Vec<_> = lines(text.as_bytes()).collect();
            assert_eq!(lines, [(b"a".as_slice(), b"b".as_slice())], "{text}");
        }
    }
}
