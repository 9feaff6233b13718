//! A set of characters, as ranges of code points.
//!
//! Every class of a pattern, escaped or bracketed, becomes one of these, so that what a class
//! means is settled here and not left to an engine whose own `\s`, `\w` or `[a&&b]` differ.
//!
//! Ranges are sorted, apart (a gap of at least one code point between two of them) and free of
//! surrogates, which no text has.

/// A set of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Set {
    ranges: Vec<(u32, u32)>,
}

impl Set {
    pub(super) fn of(ranges: &[(u32, u32)]) -> Self {
        let mut set = Self { ranges: ranges.to_vec() };
        set.settle();
        set
    }

    pub(super) fn one(code_point: u32) -> Self {
        Self::of(&[(code_point, code_point)])
    }

    /// `\d`
    pub(super) fn digits() -> Self {
        Self::of(&[('0' as u32, '9' as u32)])
    }

    /// `\w`
    pub(super) fn word() -> Self {
        Self::of(&[
            ('0' as u32, '9' as u32),
            ('A' as u32, 'Z' as u32),
            ('_' as u32, '_' as u32),
            ('a' as u32, 'z' as u32),
        ])
    }

    /// `\s`: `WhiteSpace` and `LineTerminator` (ECMA-262, 12.2 and 12.3). Has U+FEFF, which
    /// Unicode's `White_Space` has not, and lacks U+0085, which it has.
    pub(super) fn white_space() -> Self {
        Self::of(&[
            (0x09, 0x0d),
            (0x20, 0x20),
            (0xa0, 0xa0),
            (0x1680, 0x1680),
            (0x2000, 0x200a),
            (0x2028, 0x2029),
            (0x202f, 0x202f),
            (0x205f, 0x205f),
            (0x3000, 0x3000),
            (0xfeff, 0xfeff),
        ])
    }

    /// `.`: anything but a line terminator.
    pub(super) fn dot() -> Self {
        Self::of(&[(0x0a, 0x0a), (0x0d, 0x0d), (0x2028, 0x2029)]).complement()
    }

    pub(super) fn extend(&mut self, other: &Self) {
        self.ranges.extend_from_slice(&other.ranges);
        self.settle();
    }

    pub(super) fn complement(&self) -> Self {
        let mut ranges = Vec::with_capacity(self.ranges.len() + 1);
        let mut next = 0;
        for &(first, last) in &self.ranges {
            if first > next {
                ranges.push((next, first - 1));
            }
            next = last + 1;
        }
        if next <= LAST_CODE_POINT {
            ranges.push((next, LAST_CODE_POINT));
        }
        Self::of(&ranges)
    }

    pub(super) fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    fn settle(&mut self) {
        let mut ranges: Vec<_> =
            self.ranges.iter().flat_map(|&range| without_surrogates(range)).collect();
        ranges.sort_unstable();
        self.ranges.clear();
        for (first, last) in ranges {
            match self.ranges.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => self.ranges.push((first, last)),
            }
        }
    }
}

fn without_surrogates((first, last): (u32, u32)) -> impl Iterator<Item = (u32, u32)> {
    let below = (first, last.min(FIRST_SURROGATE - 1));
    let above = (first.max(LAST_SURROGATE + 1), last);
    [below, above].into_iter().filter(|(first, last)| first <= last)
}

const FIRST_SURROGATE: u32 = 0xd800;
const LAST_SURROGATE: u32 = 0xdfff;
const LAST_CODE_POINT: u32 = char::MAX as u32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_merged_and_lose_surrogates() {
        let set = Set::of(&[(5, 9), (1, 3), (4, 4), (8, 8), (0xd7ff, 0xe000), (0xdc00, 0xdc01)]);
        assert_eq!(set.ranges(), [(1, 9), (0xd7ff, 0xd7ff), (0xe000, 0xe000)]);
    }

    #[test]
    fn a_complement_of_a_complement_is_the_set() {
        for set in [Set::default(), Set::white_space(), Set::dot(), Set::word(), Set::one(0)] {
            assert_eq!(set.complement().complement(), set);
            let mut all = set.complement();
            all.extend(&set);
            assert_eq!(all, Set::default().complement());
        }
    }
}
