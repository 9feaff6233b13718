//! One small change of an input.

use std::ops::Range;

use crate::Random;

/// Changes the bytes once: a bit, a byte more, a run of bytes less, the rest of another entry of
/// the corpus, a run of zeros, a run twice, or another digit.
///
/// Once in a while there is nothing to change, and the bytes stay what they are.
///
/// # Panics
///
/// If the corpus is empty.
pub fn mutate(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len());
    let run = run(at, bytes.len(), random);
    match random.below(8) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => bytes.insert(random.below(bytes.len() + 1), random.below(256) as u8),
        2 => {
            // A byte of the corpus means something to the target: a separator, a sign, a length.
            let other = random.pick(corpus);
            if let Some(byte) = other.get(random.below(other.len())) {
                bytes.insert(random.below(bytes.len() + 1), *byte);
            }
        }
        3 => drop(bytes.drain(run)),
        4 => {
            let other = random.pick(corpus);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[random.below(other.len())..]);
        }
        5 => bytes[run].fill(0),
        6 => {
            let part = bytes[run].to_vec();
            bytes.splice(at..at, part);
        }
        _ => {
            change_digit(bytes, random);
        }
    }
}

/// Changes an ASCII digit to another one; false if there is none.
pub(crate) fn change_digit(bytes: &mut [u8], random: &mut Random) -> bool {
    let count = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    let mut digits = bytes.iter_mut().filter(|byte| byte.is_ascii_digit());
    let Some(digit) = digits.nth(random.below(count)) else { return false };
    *digit = b'0' + (*digit - b'0' + 1 + random.below(9) as u8) % 10;
    true
}

/// From a position to at most [`MAX_RUN`] bytes behind it, and not behind the end.
fn run(at: usize, length: usize, random: &mut Random) -> Range<usize> {
    // Short ones are as likely as long ones: an input may be a word or a segment of records.
    let longest = 1 << random.below(MAX_RUN.ilog2() as usize + 1);
    at..(at + 1 + random.below(longest)).min(length)
}

/// A few fields of a text, or most of a binary header.
const MAX_RUN: usize = 64;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_mutation_happens() {
        let corpus = [b"abc-012".to_vec(), b"wxyz".to_vec()];
        let mut random = Random::new(7);
        let made: BTreeSet<Vec<u8>> = (0..20_000)
            .map(|_| {
                let mut bytes = corpus[0].clone();
                mutate(&mut bytes, &corpus, &mut random);
                bytes
            })
            .collect();
        for (change, text) in [
            ("bit", &b"abb-012"[..]),
            ("byte in front", b"\xffabc-012"),
            ("byte behind", b"abc-012\xff"),
            ("byte of the corpus", b"abcz-012"),
            ("run less", b"a012"),
            ("splice", b"abcyz"),
            ("zeros", b"ab\0\0\x0012"),
            ("run twice", b"abcabc-012"),
            ("digit", b"abc-712"),
        ] {
            assert!(made.contains(text), "{change}");
        }
    }

    #[test]
    fn empty_inputs_and_entries_can_be_mutated() {
        let mut random = Random::new(7);
        for corpus in [vec![Vec::new()], vec![Vec::new(), b"a".to_vec()]] {
            for _ in 0..1000 {
                let mut bytes = Vec::new();
                mutate(&mut bytes, &corpus, &mut random);
                assert!(bytes.len() <= 1, "{bytes:?}");
            }
        }
    }

    #[test]
    fn a_digit_becomes_every_other_digit() {
        let mut random = Random::new(7);
        let mut seen = BTreeSet::new();
        for _ in 0..1000 {
            let mut bytes = *b"a5z";
            assert!(change_digit(&mut bytes, &mut random));
            assert_eq!((bytes[0], bytes[2]), (b'a', b'z'));
            seen.insert(bytes[1]);
        }
        assert_eq!(Vec::from_iter(seen), b"012346789");
        assert!(!change_digit(&mut b"abc".to_owned(), &mut random));
        assert!(!change_digit(&mut [], &mut random));
    }

    #[test]
    fn a_run_stays_within_the_bytes() {
        let mut random = Random::new(7);
        let lengths: BTreeSet<_> = (0..20_000).map(|_| run(3, 1000, &mut random).len()).collect();
        assert_eq!(lengths, (1..=MAX_RUN).collect());
        assert_eq!(run(3, 4, &mut random), 3..4);
        assert_eq!(run(0, 0, &mut random), 0..0);
    }
}
