//! A hash of keys that no peer can choose.
//!
//! Connections are numbered by our own kernel programs, and digests are keyed, so that their hash need
//! not withstand chosen keys. One multiplication for each word spreads it over the whole (Fibonacci
//! hashing), and hash maps take the high bits as well as the low ones.

use std::hash::Hasher;

/// Hashes keys that no peer can choose.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnKeyHasher {
    hash: u64,
}

impl Hasher for OwnKeyHasher {
    fn finish(&self) -> u64 {
        self.hash
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(size_of::<u64>()) {
            let mut word = [0; size_of::<u64>()];
            word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // So that the same words in another order are told apart.
        let mixed = (self.hash.rotate_left(5) ^ number).wrapping_mul(GOLDEN_RATIO);
        self.hash = mixed ^ (mixed >> 32);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }
}

/// 2^64 divided by the golden ratio, made odd.
const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;
