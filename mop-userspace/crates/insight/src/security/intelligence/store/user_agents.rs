//! User agents: equal to an indicator, or with the name of a tool in them.
//!
//! Indicators are both whole fields (`Mozilla/5.0 (…) …`) and names (`sqlmap`). A short one that is
//! no beginning of a browser's field is also looked for inside of others, all in one pass.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::texts::{HashKey, TextTable, TextTableBuilder};

/// User agents that are being collected.
#[derive(Default)]
pub(super) struct UserAgentsBuilder {
    whole: TextTableBuilder,
    words: Vec<(Box<str>, u32)>,
}

/// User agents, ready to be looked up.
pub(super) struct UserAgents {
    whole: TextTable,
    /// Its patterns have the places of `numbers`; none without patterns.
    words: Option<AhoCorasick>,
    numbers: Box<[u32]>,
}

impl UserAgentsBuilder {
    /// Adds one in lower case.
    pub(super) fn add(&mut self, text: &str, number: u32) -> Option<()> {
        let is_word = text.len() <= MAX_WORD_BYTES && !text.starts_with(BROWSERS);
        if is_word && self.words.len() < MAX_WORDS {
            self.words.push((text.into(), number));
            return Some(());
        }
        self.whole.add(text, number)
    }

    pub(super) fn build(self, key: HashKey) -> (UserAgents, usize) {
        let Self { whole, words } = self;
        let automaton = (!words.is_empty()).then(|| {
            AhoCorasick::builder()
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .match_kind(MatchKind::Standard)
                .build(words.iter().map(|(word, _)| &**word))
        });
        // It is refused where it would have 2^31 states; MAX_WORDS of MAX_WORD_BYTES have fewer.
        let automaton = automaton.and_then(Result::ok);
        let (whole, left_out) = whole.build(key);
        let numbers = words.into_iter().map(|(_, number)| number).collect();
        (UserAgents { whole, words: automaton, numbers }, left_out)
    }
}

impl UserAgents {
    /// Gives the numbers of all that a field is or holds, each once, at most
    /// [`MAX_MATCHES`](super::MAX_MATCHES) that it holds. Beyond [`MAX_FIELD_BYTES`] it is not read.
    pub(super) fn find(&self, field: &str, mut found: impl FnMut(u32)) {
        let end =
            (0..=field.len().min(MAX_FIELD_BYTES)).rev().find(|it| field.is_char_boundary(*it));
        let field = field.get(..end.unwrap_or(0)).unwrap_or_default().to_ascii_lowercase();
        self.whole.find(&field, &mut found);
        let Some(words) = &self.words else { return };
        let mut seen = Vec::new();
        for word in words.find_overlapping_iter(&field).take(MAX_OCCURRENCES) {
            let Some(number) = self.numbers.get(word.pattern().as_usize()) else { continue };
            if !seen.contains(number) {
                seen.push(*number);
                found(*number);
                if seen.len() == super::MAX_MATCHES {
                    return;
                }
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.whole.len() + self.numbers.len()
    }

    pub(super) fn bytes(&self) -> usize {
        let words = self.words.as_ref().map_or(0, AhoCorasick::memory_usage);
        self.whole.bytes() + words + size_of_val(&*self.numbers)
    }
}

/// What fields of browsers begin with: as a word it would be in nearly all of them.
const BROWSERS: &str = "mozilla/";
/// Names of tools are shorter; whole fields are longer.
const MAX_WORD_BYTES: usize = 32;
/// The automaton has a state for each byte of its words, some 20 bytes each.
const MAX_WORDS: usize = 8192;
/// Fields of browsers have 100 to 300 bytes.
const MAX_FIELD_BYTES: usize = 2048;
/// A hostile field repeats a word: what comes then is not looked at.
const MAX_OCCURRENCES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tools_are_found_inside_and_whole_fields_only_whole() {
        let mut builder = UserAgentsBuilder::default();
        let long = "agent of some long name/1.0 (x11; linux x86_64)";
        for (text, number) in [("sqlmap", 1), ("map/", 2), ("mozilla/4.0", 3), (long, 4)] {
            builder.add(text, number).unwrap();
        }
        let (agents, left_out) = builder.build(HashKey::new([1; 16]));
        assert_eq!((left_out, agents.len()), (0, 4));
        let find = |text: &str| {
            let mut found = Vec::new();
            agents.find(text, |number| found.push(number));
            found.sort_unstable();
            found
        };
        assert_eq!(find("SQLMAP/1.7 sqlmap/2"), [1, 2]);
        assert_eq!(find("Mozilla/4.0"), [3]);
        assert!(find("Mozilla/4.0 (X11)").is_empty());
        assert_eq!(find(&long.to_uppercase()), [4]);
        assert!(find(&format!("{long}.")).is_empty());
        assert!(find(&"é".repeat(5000)).is_empty());
    }
}
