//! Words and marks of ASCII, whatever the case of their letters.

/// What follows the word that the text begins with.
pub(super) fn after<'a>(text: &'a [u8], word: &str) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(word.len())?;
    start.eq_ignore_ascii_case(word.as_bytes()).then_some(rest)
}

/// Whether the text begins with one of these.
pub(super) fn begins(text: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| after(text, word).is_some())
}

/// Whether the text ends with one of these.
pub(super) fn ends(text: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| {
        let start = text.len().checked_sub(word.len());
        start.and_then(|start| text.get(start..)).is_some_and(|end| is(end, word))
    })
}

/// Whether the text is this word.
pub(super) fn is(text: &[u8], word: &str) -> bool {
    text.eq_ignore_ascii_case(word.as_bytes())
}

/// Whether the text is one of these words.
pub(super) fn is_one_of(text: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| is(text, word))
}

/// Whether the word is anywhere in the text. Linear in the text for a word of bounded length.
pub(super) fn contains(text: &[u8], word: &str) -> bool {
    let Some(first) = word.bytes().next() else { return false };
    text.iter().enumerate().any(|(at, byte)| {
        byte.eq_ignore_ascii_case(&first)
            && text.get(at..).is_some_and(|rest| after(rest, word).is_some())
    })
}

/// Whether the byte is of a name in most languages.
pub(super) const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The name that the text begins with, at most [`MAX_WORD_BYTES`] of it, and what follows.
pub(super) fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let length = text.iter().take(MAX_WORD_BYTES).take_while(|byte| is_word(**byte)).count();
    text.split_at_checked(length).unwrap_or((text, &[]))
}

/// The name that the text ends with, at most [`MAX_WORD_BYTES`] of it.
pub(super) fn word_before(text: &[u8]) -> &[u8] {
    let bytes = text.iter().rev().take(MAX_WORD_BYTES);
    let length = bytes.take_while(|byte| is_word(**byte)).count();
    text.get(text.len() - length..).unwrap_or_default()
}

/// The text without white space and controls at its start, at most [`MAX_SPACE_BYTES`] of them.
pub(super) fn skip_space(text: &[u8]) -> &[u8] {
    let length = text.iter().take(MAX_SPACE_BYTES).take_while(|byte| **byte <= b' ').count();
    text.get(length..).unwrap_or_default()
}

/// The text without white space and controls at its end, at most [`MAX_SPACE_BYTES`] of them.
pub(super) fn skip_space_before(text: &[u8]) -> &[u8] {
    let bytes = text.iter().rev().take(MAX_SPACE_BYTES);
    let length = bytes.take_while(|byte| **byte <= b' ').count();
    text.get(..text.len() - length).unwrap_or_default()
}

/// At most so much of the text.
pub(super) fn head(text: &[u8], most_bytes: usize) -> &[u8] {
    text.get(..most_bytes).unwrap_or(text)
}

/// Each of these marks, with what stands before it and after it.
pub(super) fn marks(
    text: &[u8],
    is_mark: impl Fn(u8) -> bool,
) -> impl Iterator<Item = (&[u8], u8, &[u8])> {
    text.iter().enumerate().filter(move |(_, byte)| is_mark(**byte)).filter_map(
        move |(at, byte)| {
            let (before, rest) = text.split_at_checked(at)?;
            Some((before, *byte, rest.get(1..)?))
        },
    )
}

/// The lowest of the levels that there are.
pub(super) fn least(levels: impl IntoIterator<Item = Option<u8>>) -> Option<u8> {
    let mut least: Option<u8> = None;
    for level in levels {
        let Some(level) = level else { continue };
        if level <= 1 {
            return Some(level);
        }
        least = Some(least.map_or(level, |least| least.min(level)));
    }
    least
}

/// No name that is looked for is longer; so looking back from each mark stays linear.
const MAX_WORD_BYTES: usize = 48;
/// Filling beyond this is folded in another view of the value.
const MAX_SPACE_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_both_directions() {
        assert_eq!(after(b"ScRipt>", "script"), Some(&b">"[..]));
        assert_eq!(after(b"scr", "script"), None);
        assert!(ends(b"a.PHP", &["php"]) && !ends(b"p", &["php"]));
        assert!(contains(b"xx ALERT(", "alert") && !contains(b"aler", "alert"));
        assert_eq!(word(b"ab_1.c"), (&b"ab_1"[..], &b".c"[..]));
        assert_eq!(word_before(b"x.ab_1"), b"ab_1");
        assert_eq!(skip_space(b" \t\nx "), b"x ");
        assert_eq!(skip_space_before(b" x\n "), b" x");
        let found: Vec<_> = marks(b"a=b", |byte| byte == b'=').collect();
        assert_eq!(found, [(&b"a"[..], b'=', &b"b"[..])]);
        assert_eq!(least([None, Some(3), Some(2), None]), Some(2));
        assert_eq!(least([None, None]), None);
    }
}
