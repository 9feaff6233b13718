//! A set of small numbers, in order.

/// Numbers below a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    /// One bit for each.
    words: Vec<u64>,
    limit: usize,
}

impl Numbers {
    /// None yet, of those below a limit.
    pub(super) fn below(limit: usize) -> Self {
        Self { words: vec![0; limit.div_ceil(BITS)], limit }
    }

    /// Whether it is of numbers below this limit.
    pub(super) fn holds(&self, limit: usize) -> bool {
        self.limit == limit
    }

    /// Adds one; what is not below the limit is none.
    pub(super) fn add(&mut self, number: usize) {
        if let Some(word) = self.words.get_mut(number / BITS) {
            *word |= 1 << (number % BITS);
        }
    }

    pub(super) fn clear(&mut self) {
        self.words.fill(0);
    }

    /// All, the smallest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.words.iter().enumerate().flat_map(|(place, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                left &= left.wrapping_sub(1);
                (bit < u64::BITS).then_some(place * BITS + bit as usize)
            })
        })
    }
}

const BITS: usize = u64::BITS as usize;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_once_and_in_order() {
        let mut numbers = Numbers::below(130);
        for number in [129, 0, 63, 64, 0, 5, 1000] {
            numbers.add(number);
        }
        assert_eq!(numbers.iter().collect::<Vec<_>>(), [0, 5, 63, 64, 129]);
        assert!(numbers.holds(130) && !numbers.holds(129));
        numbers.clear();
        assert_eq!(numbers.iter().next(), None);
        assert_eq!(Numbers::default().iter().next(), None);
    }
}
