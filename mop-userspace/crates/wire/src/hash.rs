//! The hash of a connection number.
//!
//! Connections are numbered by our own kernel programs, not by the peer, so the hash need not
//! withstand chosen keys. One multiplication spreads consecutive numbers over the whole word
//! (Fibonacci hashing), and the hash map takes the high bits as well as the low ones.

use std::hash::Hasher;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ConnectionHasher {
    hash: u64,
}

impl Hasher for ConnectionHasher {
    fn finish(&self) -> u64 {
        self.hash
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.hash ^ number).wrapping_mul(GOLDEN_RATIO);
        self.hash = mixed ^ (mixed >> 32);
    }
}

/// 2^64 divided by the golden ratio, made odd.
const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;
