//! Patterns that do not compile, that need a slow engine, or that do not say what they seem to.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use super::{Code, Context, Report};
use crate::places::Kind;

/// What engines make of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternVerdict {
    /// It runs in time linear in the text.
    Linear,
    /// It has look-around or back references, which need the backtracking engine.
    NeedsBacktracking,
    /// No engine compiles it.
    Refused,
}

/// Engines for patterns, as the search for defects asks them.
pub trait PatternCheck {
    /// Whether and how a pattern compiles.
    fn verdict(&self, pattern: &str) -> PatternVerdict;
    /// Whether a text matches anywhere; `None` when the pattern does not compile or gives up.
    fn matches(&self, pattern: &str, text: &str) -> Option<bool>;
}

/// The linear engine, and behind it the backtracking one. What was compiled is kept, for one
/// document has the same few patterns in hundreds of places.
#[derive(Debug, Default)]
pub struct Engines {
    compiled: RefCell<BTreeMap<String, Rc<Compiled>>>,
}

#[derive(Debug)]
enum Compiled {
    Backtracking(fancy_regex::Regex),
    Linear(regex::Regex),
    Refused,
}

impl Engines {
    fn compiled(&self, pattern: &str) -> Rc<Compiled> {
        if let Some(known) = self.compiled.borrow().get(pattern) {
            return Rc::clone(known);
        }
        let compiled = Rc::new(Compiled::of(pattern));
        let mut kept = self.compiled.borrow_mut();
        if kept.len() < MAX_KEPT_PATTERNS {
            kept.insert(pattern.to_owned(), Rc::clone(&compiled));
        }
        compiled
    }
}

impl Compiled {
    fn of(pattern: &str) -> Self {
        if pattern.len() > MAX_PATTERN_BYTES {
            return Self::Refused;
        }
        if let Ok(compiled) = regex::Regex::new(pattern) {
            return Self::Linear(compiled);
        }
        fancy_regex::Regex::new(pattern).map_or(Self::Refused, Self::Backtracking)
    }
}

impl PatternCheck for Engines {
    fn verdict(&self, pattern: &str) -> PatternVerdict {
        match &*self.compiled(pattern) {
            Compiled::Backtracking(_) => PatternVerdict::NeedsBacktracking,
            Compiled::Linear(_) => PatternVerdict::Linear,
            Compiled::Refused => PatternVerdict::Refused,
        }
    }

    fn matches(&self, pattern: &str, text: &str) -> Option<bool> {
        match &*self.compiled(pattern) {
            Compiled::Backtracking(compiled) => compiled.is_match(text).ok(),
            Compiled::Linear(compiled) => Some(compiled.is_match(text)),
            Compiled::Refused => None,
        }
    }
}

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    for node in context.nodes(Kind::Schema) {
        let Some(pattern) = node.text("pattern") else { continue };
        let at = node.at("pattern");
        match context.patterns.verdict(pattern) {
            PatternVerdict::Linear => {}
            PatternVerdict::NeedsBacktracking => {
                let detail = "it needs the backtracking engine".to_owned();
                report.add(Code::PatternNeedsBacktracking, &at, detail);
            }
            PatternVerdict::Refused => {
                report.add(Code::PatternDoesNotCompile, &at, "no engine takes it".to_owned());
                continue;
            }
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

/// A pattern longer than that is refused unread; the longest published one has 219 bytes.
const MAX_PATTERN_BYTES: usize = 16 << 10;

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
