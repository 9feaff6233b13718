//! Numbers that follow from a seed.

/// xorshift64: no quality is asked for, only the same sequence everywhere.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        // Zero is followed by nothing but zeros.
        Self { state: seed.max(1) }
    }

    /// A number below the bound; zero if there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state % bound.max(1) as u64) as usize
    }

    /// One of them.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_in_every_run() {
        let mut random = Random::new(7);
        let numbers: Vec<_> = (0..8).map(|_| random.below(1000)).collect();
        assert_eq!(numbers, NUMBERS_OF_SEVEN);
    }

    #[test]
    fn every_number_below_the_bound_comes_and_no_other() {
        for seed in [0, 1, u64::MAX] {
            let mut random = Random::new(seed);
            let mut seen = [false; 10];
            for _ in 0..1000 {
                seen[random.below(10)] = true;
            }
            assert_eq!(seen, [true; 10], "seed {seed}");
            assert_eq!(random.below(0), 0);
        }
    }

    #[test]
    fn everything_is_picked() {
        let mut random = Random::new(7);
        let picked: String = (0..100).map(|_| *random.pick(&['a', 'b', 'c'])).collect();
        assert!("abc".chars().all(|character| picked.contains(character)), "{picked}");
    }

    const NUMBERS_OF_SEVEN: [usize; 8] = [327, 652, 743, 107, 850, 125, 265, 748];
}
