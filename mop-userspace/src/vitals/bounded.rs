//! Counts by words that come from elsewhere: never more than so many different ones.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Counts by word. Words beyond the limit are counted together, as [`OTHER`].
///
/// Each different word is a time series that somebody stores for months, and words of outside
/// origin may be made up without end.
#[derive(Debug, Default)]
pub(crate) struct BoundedCounts {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    by_word: BTreeMap<Box<str>, u64>,
    /// How often a word was counted as [`OTHER`].
    dropped: u64,
}

impl BoundedCounts {
    pub(crate) fn add(&self, word: &str, count: u64) {
        let mut counts = self.lock();
        if let Some(sum) = counts.by_word.get_mut(word) {
            *sum += count;
            return;
        }
        let word = if counts.by_word.len() < MAX_WORDS {
            word
        } else {
            counts.dropped += count;
            OTHER
        };
        *counts.by_word.entry(Box::from(word)).or_default() += count;
    }

    /// All words and their counts.
    pub(crate) fn all(&self) -> Vec<(Box<str>, u64)> {
        self.lock().by_word.iter().map(|(word, count)| (word.clone(), *count)).collect()
    }

    /// Counts that have lost their own word.
    pub(crate) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Counts are whole after every statement.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What takes the place of words beyond the limit.
pub(crate) const OTHER: &str = "other";

/// The project's own words for one purpose are fewer than ten.
const MAX_WORDS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_beyond_the_limit_share_a_count() {
        let counts = BoundedCounts::default();
        for number in 0..3 * MAX_WORDS {
            counts.add(&format!("word-{number}"), 1);
            counts.add("word-0", 1);
        }
        let all = counts.all();
        assert_eq!(all.len(), MAX_WORDS + 1);
        assert_eq!(all.iter().map(|(_, count)| count).sum::<u64>(), 6 * MAX_WORDS as u64);
        assert!(all.contains(&(OTHER.into(), 2 * MAX_WORDS as u64)));
        assert_eq!(counts.dropped(), 2 * MAX_WORDS as u64);
    }
}
