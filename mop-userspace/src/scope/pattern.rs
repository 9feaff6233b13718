//! A pattern of a name: itself, or with `*` for any letters, also none.

/// Its pieces between the stars, of which there is one more than stars.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pieces: Vec<Box<str>>,
}

impl Pattern {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// What would be right.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > MAX_BYTES || text.chars().any(char::is_control) {
            return Err(format!(
                "a name of 1 to {MAX_BYTES} bytes is wanted; * stands for any letters"
            ));
        }
        Ok(Self { pieces: text.split('*').map(Box::from).collect() })
    }

    /// Whether a name is one of those; in linear time.
    pub(super) fn matches(&self, name: &str) -> bool {
        let (first, last, between) = match self.pieces.as_slice() {
            [] => return false,
            [whole] => return **whole == *name,
            [first, between @ .., last] => (first, last, between),
        };
        let Some(mut rest) = name.strip_prefix(&**first) else { return false };
        for piece in between {
            // The first place is as good as any later one: what follows has only more room.
            let Some((_, behind)) = rest.split_once(&**piece) else { return false };
            rest = behind;
        }
        rest.ends_with(&**last)
    }
}

/// As long as the longest name of Kubernetes (RFC 1123, section 2.1).
const MAX_BYTES: usize = 253;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::parse(pattern).expect("a pattern").matches(name)
    }

    #[test]
    fn stars_stand_for_any_letters() {
        for (pattern, name, expected) in [
            ("api", "api", true),
            ("api", "api-1", false),
            ("api-*", "api-1", true),
            ("api-*", "api-", true),
            ("*", "", true),
            ("*-canary", "api-canary", true),
            ("*-canary", "api-canary-1", false),
            ("a*b*c", "a-bb-c", true),
            ("a*b*c", "a-c", false),
            ("aa*aa", "aaa", false),
            ("aa*aa", "aaaa", true),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        for wrong in ["", "a\nb", &"x".repeat(254)] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    /// The same by going back wherever it could have gone on otherwise.
    fn matches_slowly(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|skip| matches_slowly(rest, &name[skip..])),
            Some((letter, rest)) => {
                name.first() == Some(letter) && matches_slowly(rest, &name[1..])
            }
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_slow_way(pattern in "[ab*]{1,8}", name in "[ab]{0,10}") {
            let expected = matches_slowly(pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(matches(&pattern, &name), expected);
        }
    }
}
