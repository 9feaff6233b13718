//! Patterns that do not compile, that need a slow engine, or that do not say what they seem to.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use super::{Code, Context, Report};
use crate::{
    pattern::{Engine, Pattern, PatternError},
    places::Kind,
};

/// Patterns of one document, each compiled once: the same few stand in hundreds of places.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    compiled: RefCell<BTreeMap<String, Rc<Result<Pattern, PatternError>>>>,
}

impl Patterns {
    pub(super) fn compiled(&self, source: &str) -> Rc<Result<Pattern, PatternError>> {
        if let Some(known) = self.compiled.borrow().get(source) {
            return Rc::clone(known);
        }
        let compiled = Rc::new(Pattern::compile(source));
        let mut kept = self.compiled.borrow_mut();
        if kept.len() < MAX_KEPT_PATTERNS {
            kept.insert(source.to_owned(), Rc::clone(&compiled));
        }
        compiled
    }

    /// Whether a text matches; `None` when the pattern does not compile or gives up.
    pub(super) fn matches(&self, source: &str, text: &str) -> Option<bool> {
        self.compiled(source).as_ref().as_ref().ok()?.is_match(text).ok()
    }
}

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    for node in context.nodes(Kind::Schema) {
        let Some(pattern) = node.text("pattern") else { continue };
        let at = node.at("pattern");
        match &*context.patterns.compiled(pattern) {
            Ok(compiled) if compiled.engine() == Engine::Linear => {}
            Ok(_) => {
                let detail = "it needs the backtracking engine".to_owned();
                report.add(Code::PatternNeedsBacktracking, &at, detail);
            }
            Err(error) => {
                report.add(Code::PatternDoesNotCompile, &at, error.to_string());
                continue;
            }
        }
        if has_octal_escape(pattern) {
            let detail = "it has an octal escape, which most engines refuse".to_owned();
            report.add(Code::PatternDoesNotCompile, &at, detail);
        }
        if is_half_anchored(pattern) {
            let detail = "an anchor holds for some of the alternatives only".to_owned();
            report.add(Code::UnanchoredAlternation, &at, detail);
        }
        let refuses = |text| context.patterns.matches(pattern, text) == Some(false);
        if node.text("format") == Some("date-time") && !refuses(SECONDS) && refuses(FRACTION) {
            let detail = "a fraction of a second is refused".to_owned();
            report.add(Code::DateTimePatternTooNarrow, &at, detail);
        }
        // Whoever lists accented letters means names.
        if !pattern.is_ascii()
            && !refuses(PLAIN_NAME)
            && let Some(name) = NAMES.into_iter().find(|name| refuses(name))
        {
            report.add(Code::NamePatternTooNarrow, &at, format!("it refuses {name:?}"));
        }
    }
}

/// Whether there is a `\0` before a digit: Annex B of ECMA-262 reads it as a control character,
/// its `u` flag and other engines not at all.
fn has_octal_escape(pattern: &str) -> bool {
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\\'
            && characters.next() == Some('0')
            && characters.peek().is_some_and(char::is_ascii_digit)
        {
            return true;
        }
    }
    false
}

/// Whether some alternatives of the whole pattern begin or end with an anchor and others do not.
fn is_half_anchored(pattern: &str) -> bool {
    let alternatives = alternatives(pattern);
    let differs = |has: fn(&str) -> bool| {
        let anchored = alternatives.iter().filter(|alternative| has(alternative)).count();
        anchored > 0 && anchored < alternatives.len()
    };
    differs(|alternative| alternative.starts_with('^')) || differs(ends_with_anchor)
}

fn ends_with_anchor(alternative: &str) -> bool {
    let Some(before) = alternative.strip_suffix('$') else { return false };
    let escapes = before.chars().rev().take_while(|character| *character == '\\').count();
    escapes.is_multiple_of(2)
}

/// The parts between the `|` that stand in no group and no class.
fn alternatives(pattern: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut groups = 0_usize;
    let mut in_class = false;
    let mut is_escaped = false;
    for (at, character) in pattern.char_indices() {
        if is_escaped {
            is_escaped = false;
            continue;
        }
        match character {
            '\\' => is_escaped = true,
            ']' => in_class = false,
            _ if in_class => {}
            '[' => in_class = true,
            '(' => groups += 1,
            ')' => groups = groups.saturating_sub(1),
            '|' if groups == 0 => {
                parts.extend(pattern.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(pattern.get(start..));
    parts
}

/// Compiled patterns that are kept; all published documents together have 138 different ones.
const MAX_KEPT_PATTERNS: usize = 1024;

const SECONDS: &str = "2021-05-21T08:30:00Z";
const FRACTION: &str = "2021-05-21T08:30:00.123Z";

const PLAIN_NAME: &str = "Maria da Silva";

/// Shapes of names of people and municipalities: apostrophe, hyphen, and letters beyond the
/// commonest accents.
const NAMES: [&str; 4] = ["Alta Floresta d'Oeste", "Xangri-lá", "Àlvaro Müller", "São Luís"];

#[cfg(test)]
mod tests {
    use super::is_half_anchored;

    #[test]
    fn anchors_of_some_alternatives_only_are_seen() {
        for (pattern, expected) in [
            (r"\d{8}|^NA$", true),
            (r"^([0-9]{8,11})|^NA$", true),
            (r"^[A-Z]{2}|\d{11}$", true),
            (r"^\d{11}$|^NA$", false),
            (r"^(\d{8}|NA)$", false),
            (r"\d{8}|NA", false),
            (r"^[|$]+$", false),
            (r"^a\|b$", false),
            (r"^a\$|^b$", true),
        ] {
            assert_eq!(is_half_anchored(pattern), expected, "{pattern}");
        }
    }
}
