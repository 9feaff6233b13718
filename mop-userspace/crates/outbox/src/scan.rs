//! Reads the entries of a segment one after the other, over what is damaged. No I/O.
//!
//! After damage it goes on at the place that the damaged entry's own length points at, or else at
//! the next byte where an entry begins whose checksum is right and whose sequence may come next.
//! Both are bounded: bytes that are looked at for nothing cost a bounded number of checksums.

use crate::format::{
    FIXED_BYTES, Fault, RawEntry, parse_entry, plausible_bytes, plausible_sequence,
};

/// The entries of a segment.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    salt: u32,
    /// The sequence that comes next when nothing is missing.
    expected: u64,
    /// No sequence of the segment is so large: the next segment begins there.
    end: u64,
    /// Bytes that may still be checksummed for nothing.
    budget: usize,
}

/// What stands at a place of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// An entry. `missing` entries before it are not there.
    Entry { at: usize, missing: u64, entry: RawEntry<'a> },
    /// Bytes that are no entry, with entries behind them.
    Damage { at: usize, bytes: usize },
    /// From here on nothing can be read: an entry that was being written, or damage.
    Tail { at: usize },
    /// The end.
    End { at: usize },
}

impl<'a> Scan<'a> {
    /// Entries of these bytes from `at` on: `expected <= their sequences < end`.
    pub(crate) fn new(bytes: &'a [u8], at: usize, salt: u32, expected: u64, end: u64) -> Self {
        Self { bytes, at, salt, expected, end, budget: MAX_WASTED_BYTES }
    }

    /// What comes next. After `Tail` and `End` the same comes again.
    pub(crate) fn step(&mut self) -> Step<'a> {
        let at = self.at;
        let rest = self.bytes.get(at..).unwrap_or_default();
        if rest.is_empty() || self.expected >= self.end {
            return Step::End { at };
        }
        match parse_entry(rest, self.salt) {
            // Written before a failure and written again into the next segment.
            Ok(entry) if entry.sequence >= self.end => Step::End { at },
            Ok(entry) if entry.sequence >= self.expected => {
                let missing = entry.sequence - self.expected;
                self.at += entry.bytes;
                self.expected = entry.sequence.saturating_add(1);
                Step::Entry { at, missing, entry }
            }
            Ok(_) | Err(_) => match self.resume() {
                Some(next) => {
                    self.at = next;
                    Step::Damage { at, bytes: next - at }
                }
                None => Step::Tail { at },
            },
        }
    }

    /// The sequence that comes next when nothing is missing.
    pub(crate) fn expected(&self) -> u64 {
        self.expected
    }

    /// Where the next entry begins behind the damage at the current place.
    fn resume(&mut self) -> Option<usize> {
        let rest = self.bytes.get(self.at..)?;
        if let Ok(length) = plausible_bytes(rest) {
            let next = self.at + length;
            if self.begins_entry(next) {
                return Some(next);
            }
        }
        let last = self.bytes.len().checked_sub(FIXED_BYTES)?;
        (self.at + 1..=last).find(|next| self.begins_entry(*next))
    }

    fn begins_entry(&mut self, at: usize) -> bool {
        let Some(rest) = self.bytes.get(at..) else { return false };
        let Ok(length) = plausible_bytes(rest) else { return false };
        let Some(sequence) = plausible_sequence(rest) else { return false };
        // More entries than fit in between cannot be missing.
        let between = (at - self.at) as u64 / FIXED_BYTES as u64 + 1;
        let possible = self.expected..self.end.min(self.expected.saturating_add(between + 1));
        if length > rest.len() || !possible.contains(&sequence) || length > self.budget {
            return false;
        }
        match parse_entry(rest, self.salt) {
            Ok(_) => true,
            Err(Fault::Damaged | Fault::Short(_)) => {
                self.budget -= length;
                false
            }
        }
    }
}

/// A few times the length of a segment: enough for any accident, and a bound for what was made up.
const MAX_WASTED_BYTES: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Draft, Lane};
    use crate::format::encode_entry;

    const SALT: u32 = 99;

    fn segment(first: u64, payloads: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (sequence, payload) in (first..).zip(payloads) {
            let draft = Draft { lane: Lane::Data, kind: "k", id: "i", payload };
            assert!(encode_entry(&mut bytes, SALT, sequence, 0, &draft, "", b""));
        }
        bytes
    }

    /// Sequences read, entries missing between them, and whether it ended at a tail.
    fn read(bytes: &[u8], expected: u64, end: u64) -> (Vec<u64>, u64, bool) {
        let mut scan = Scan::new(bytes, 0, SALT, expected, end);
        let (mut sequences, mut lost) = (Vec::new(), 0);
        loop {
            match scan.step() {
                Step::Entry { missing, entry, .. } => {
                    sequences.push(entry.sequence);
                    lost += missing;
                }
                Step::Damage { bytes, .. } => assert!(bytes > 0),
                Step::Tail { .. } => return (sequences, lost, true),
                Step::End { .. } => return (sequences, lost, false),
            }
        }
    }

    #[test]
    fn damage_in_the_middle_costs_the_entries_that_it_hit() {
        let bytes = segment(10, &[b"a", b"bb", b"ccc", b"dddd"]);
        let second = FIXED_BYTES + 2 + 1;
        for at in second..second + FIXED_BYTES + 2 + 2 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x41;
            assert_eq!(read(&damaged, 10, u64::MAX), (vec![10, 12, 13], 1, false), "{at}");
        }
    }

    #[test]
    fn a_torn_tail_costs_the_last_entry() {
        let bytes = segment(1, &[b"a", b"bb", b"ccc"]);
        for end in bytes.len() - FIXED_BYTES - 4..bytes.len() {
            assert_eq!(read(&bytes[..end], 1, u64::MAX), (vec![1, 2], 0, true), "{end}");
        }
    }

    #[test]
    fn what_the_next_segment_has_too_is_left_to_it() {
        let bytes = segment(1, &[b"a", b"b", b"c"]);
        assert_eq!(read(&bytes, 1, 3), (vec![1, 2], 0, false));
    }

    #[test]
    fn an_entry_inside_a_payload_is_none() {
        // Somebody who does not know the salt wrote it.
        let mut forged = Vec::new();
        let draft = Draft { lane: Lane::Data, kind: "k", id: "i", payload: b"forged" };
        encode_entry(&mut forged, SALT + 1, 2, 0, &draft, "", b"");
        let mut bytes = segment(1, &[b"a", &forged, b"c"]);
        let second = FIXED_BYTES + 2 + 1;
        bytes[second] ^= 0xff;
        assert_eq!(read(&bytes, 1, u64::MAX), (vec![1, 3], 1, false));
    }

    #[test]
    fn hostile_bytes_cost_a_bounded_number_of_checksums() {
        // Every four bytes claim an entry of one mebibyte with the wanted sequence.
        let length = (1_u32 << 20).to_le_bytes();
        let bytes: Vec<u8> = length.iter().copied().cycle().take(8 << 20).collect();
        let sequence = u64::from_le_bytes([length, length].concat().try_into().unwrap());
        let mut scan = Scan::new(&bytes, 0, SALT, sequence, u64::MAX);
        assert_eq!(scan.step(), Step::Tail { at: 0 });
        assert!(scan.budget < 1 << 20);
    }
}
