//! Words beside a number, which say what it is.

use super::Place;

/// A word to be looked for, whatever its case.
#[derive(Clone, Copy)]
pub(super) enum Word {
    /// Anywhere, for words that no other contains.
    Inside(&'static str),
    /// As a word of its own, or as one of several whose capitals part them (`areaCode`).
    Whole(&'static str),
}

/// Whether the name of a place, or what stands before it, holds one of these words.
pub(super) fn beside(place: Place<'_>, words: &[Word]) -> bool {
    place.name.is_some_and(|name| mentions(name.as_bytes(), words))
        || mentions(window(place.before()), words)
}

/// The last bytes before a value, as far as they can be its key.
fn window(before: &[u8]) -> &[u8] {
    let start = before.len().saturating_sub(KEY_BYTES);
    let near = before.get(start..).unwrap_or_default();
    let end_of_other = near
        .iter()
        .rposition(|byte| matches!(byte, b',' | b';' | b'&' | b'{' | b'}' | b'|' | b'\n' | b'.'));
    end_of_other.and_then(|at| near.get(at..)).unwrap_or(near)
}

fn mentions(text: &[u8], words: &[Word]) -> bool {
    words.iter().any(|word| {
        let (Word::Inside(letters) | Word::Whole(letters)) = word;
        text.windows(letters.len()).enumerate().any(|(at, window)| {
            window.eq_ignore_ascii_case(letters.as_bytes())
                && (matches!(word, Word::Inside(_)) || is_whole(text, at, at + letters.len()))
        })
    })
}

/// Whether a word is not the part of a longer one.
fn is_whole(text: &[u8], start: usize, end: usize) -> bool {
    let parts = |left: Option<&u8>, right: Option<&u8>| match (left, right) {
        (Some(left), Some(right)) => {
            !left.is_ascii_alphabetic()
                || !right.is_ascii_alphabetic()
                || left.is_ascii_lowercase() && right.is_ascii_uppercase()
        }
        _ => true,
    };
    let before = start.checked_sub(1).and_then(|at| text.get(at));
    let last = end.checked_sub(1).and_then(|at| text.get(at));
    parts(before, text.get(start)) && parts(last, text.get(end))
}

/// `"cpfCnpjDoSegurado": {"numero": "` has some thirty.
pub const KEY_BYTES: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole_where_they_must_be() {
        let words = [Word::Inside("cpf"), Word::Whole("pis"), Word::Whole("id")];
        for (text, expected) in [
            ("cpf", true),
            ("numeroCPF", true),
            ("numerocpf", true),
            ("PIS/PASEP", true),
            ("nr_pis", true),
            ("piso", false),
            ("policyId", true),
            ("identification", false),
            ("valid", false),
            ("", false),
        ] {
            assert_eq!(mentions(text.as_bytes(), &words), expected, "{text}");
        }
    }

    #[test]
    fn another_value_ends_what_is_beside() {
        for (text, expected) in [
            ("cpf: ", true),
            ("{\"cpf\":\"", true),
            ("/cpf/", true),
            ("cpf=1&id=", false),
            ("{\"cpf\":null,\"id\":\"", false),
            ("CPF recusado. Protocolo ", false),
            ("the cpf is said to be somewhere else than here: ", false),
        ] {
            assert_eq!(
                mentions(window(text.as_bytes()), &[Word::Inside("cpf")]),
                expected,
                "{text}"
            );
        }
    }
}
