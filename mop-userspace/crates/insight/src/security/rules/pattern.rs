//! Texts of rules with their wildcards: `*` is any bytes, `?` is one character.
//!
//! `\*` and `\?` are the characters themselves, `\\` is one backslash, and a backslash before
//! anything else is itself.

use std::fmt::Write as _;

/// A text that whole values are compared with.
///
/// Runs of any bytes do not follow each other, nor do literals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pattern(Vec<Part>);

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Any number of bytes.
    AnyBytes,
    /// These bytes.
    Literal(Vec<u8>),
    /// One character; never a byte that is not UTF-8.
    OneCharacter,
}

/// Patterns that need no regular expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Simple<'a> {
    /// Any value.
    Any,
    /// The value is empty.
    Empty,
    /// The value has the literal at the place.
    Literal { literal: &'a [u8], is_at_start: bool, is_at_end: bool },
}

impl Pattern {
    /// Reads a text with wildcards and escapes.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut pattern = Self::default();
        let mut rest = text.chars().peekable();
        while let Some(character) = rest.next() {
            let character = match (character, rest.peek()) {
                ('*', _) => {
                    pattern.push(Part::AnyBytes);
                    continue;
                }
                ('?', _) => {
                    pattern.push(Part::OneCharacter);
                    continue;
                }
                ('\\', Some('*' | '?' | '\\')) => rest.next().unwrap_or(character),
                _ => character,
            };
            pattern.push(Part::Literal(character.encode_utf8(&mut [0; 4]).as_bytes().to_vec()));
        }
        pattern
    }

    /// These bytes, without wildcards.
    #[must_use]
    pub fn literal(bytes: &[u8]) -> Self {
        let mut pattern = Self::default();
        if !bytes.is_empty() {
            pattern.push(Part::Literal(bytes.to_vec()));
        }
        pattern
    }

    /// The same with any bytes before and after it, where wanted.
    #[must_use]
    pub fn within(self, before: bool, after: bool) -> Self {
        let mut pattern = Self::default();
        if before {
            pattern.push(Part::AnyBytes);
        }
        for part in self.0 {
            pattern.push(part);
        }
        if after {
            pattern.push(Part::AnyBytes);
        }
        pattern
    }

    /// Its parts.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// Its bytes, when it has no wildcard.
    #[must_use]
    pub fn as_literal(&self) -> Option<&[u8]> {
        match self.0.as_slice() {
            [] => Some(&[]),
            [Part::Literal(literal)] => Some(literal),
            _ => None,
        }
    }

    /// The same without regular expression, where that is possible.
    pub(super) fn as_simple(&self) -> Option<Simple<'_>> {
        let simple = |literal, is_at_start, is_at_end| {
            Some(Simple::Literal { literal, is_at_start, is_at_end })
        };
        match self.0.as_slice() {
            [] => Some(Simple::Empty),
            [Part::AnyBytes] => Some(Simple::Any),
            [Part::Literal(literal)] => simple(literal, true, true),
            [Part::Literal(literal), Part::AnyBytes] => simple(literal, true, false),
            [Part::AnyBytes, Part::Literal(literal)] => simple(literal, false, true),
            [Part::AnyBytes, Part::Literal(literal), Part::AnyBytes] => {
                simple(literal, false, false)
            }
            _ => None,
        }
    }

    /// The same as a regular expression over bytes.
    pub(super) fn to_regex(&self, is_cased: bool) -> String {
        let mut regex = String::from(r"\A");
        for part in &self.0 {
            match part {
                Part::AnyBytes => regex.push_str("(?s-u:.)*"),
                Part::OneCharacter => regex.push_str("(?s:.)"),
                Part::Literal(literal) => {
                    regex.push_str(if is_cased { "(?-u:" } else { "(?i-u:" });
                    for byte in literal {
                        // Writing to a text does not fail.
                        let _ = write!(regex, r"\x{byte:02x}");
                    }
                    regex.push(')');
                }
            }
        }
        regex.push_str(r"\z");
        regex
    }

    fn push(&mut self, part: Part) {
        match (self.0.last_mut(), part) {
            (Some(Part::AnyBytes), Part::AnyBytes) => {}
            (Some(Part::Literal(literal)), Part::Literal(more)) => literal.extend(more),
            (_, part) => self.0.push(part),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_are_read() {
        let literal = |text: &str| Part::Literal(text.as_bytes().to_vec());
        for (text, expected) in [
            ("", vec![]),
            ("a**b", vec![literal("a"), Part::AnyBytes, literal("b")]),
            (r"\*a\?", vec![literal("*a?")]),
            (r"a\\*", vec![literal(r"a\"), Part::AnyBytes]),
            (r"C:\dir\", vec![literal(r"C:\dir\")]),
            (r"\\\*", vec![literal(r"\*")]),
            ("?*", vec![Part::OneCharacter, Part::AnyBytes]),
        ] {
            assert_eq!(Pattern::parse(text).parts(), expected, "{text}");
        }
    }

    /// By trying everything; over characters.
    fn naive(parts: &[Part], value: &[char]) -> bool {
        let Some((part, rest)) = parts.split_first() else { return value.is_empty() };
        match part {
            Part::AnyBytes => (0..=value.len()).any(|length| naive(rest, &value[length..])),
            Part::OneCharacter => !value.is_empty() && naive(rest, &value[1..]),
            Part::Literal(literal) => {
                let literal: Vec<char> = std::str::from_utf8(literal).unwrap().chars().collect();
                value.len() >= literal.len()
                    && value.iter().zip(&literal).all(|(a, b)| a.eq_ignore_ascii_case(b))
                    && naive(rest, &value[literal.len()..])
            }
        }
    }

    proptest! {
        #[test]
        fn the_regular_expression_is_the_pattern(text in r"[abAé*?\\]{0,10}", value in "[abBé*?]{0,10}") {
            let pattern = Pattern::parse(&text);
            let regex = regex::bytes::Regex::new(&pattern.to_regex(false)).unwrap();
            let characters: Vec<char> = value.chars().collect();
            prop_assert_eq!(
                regex.is_match(value.as_bytes()),
                naive(pattern.parts(), &characters),
                "{} and {}", text, value
            );
        }
    }
}
