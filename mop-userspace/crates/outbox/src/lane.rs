//! What a lane holds: segments on disk, and chunks in memory that are not on disk yet.
//!
//! Invariants: sequences count up by one within a segment, but for those known to be missing, and
//! within the chunks; `segment.end <= next segment.first`; the last `segment.end <= first chunk.first`;
//! the last `chunk.end == next`.

use std::{collections::VecDeque, ops::Range, path::PathBuf, sync::Arc};

use crate::{
    entry::Draft,
    format::{HEADER_BYTES, encode_entry},
};

/// A lane.
#[derive(Debug)]
pub(crate) struct LaneState {
    pub(crate) segments: VecDeque<Segment>,
    /// Not synced yet. They are kept until they are, because after a failed sync nobody knows what
    /// the disk has.
    pub(crate) pending: VecDeque<Arc<Chunk>>,
    /// The sequence of the next entry.
    pub(crate) next: u64,
}

/// A file of entries, as far as it is synced.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    /// Tells it from every other one of this opening.
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    pub(crate) salt: u32,
    pub(crate) epoch: u64,
    pub(crate) first: u64,
    /// One after its last entry.
    pub(crate) end: u64,
    /// Length of the part that counts.
    pub(crate) bytes: u64,
    pub(crate) newest_ms: u64,
    pub(crate) marks: Vec<Mark>,
    /// Sequences that were found damaged: in order, none twice.
    pub(crate) missing: Vec<Range<u64>>,
}

/// Where in a segment or chunk an entry begins: every so many bytes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) sequence: u64,
    pub(crate) at: u64,
    pub(crate) time_ms: u64,
}

/// Encoded entries on their way to disk.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) bytes: Vec<u8>,
    pub(crate) first: u64,
    /// One after its last entry.
    pub(crate) end: u64,
    pub(crate) marks: Vec<Mark>,
    pub(crate) newest_ms: u64,
}

impl LaneState {
    pub(crate) fn new() -> Self {
        Self { segments: VecDeque::new(), pending: VecDeque::new(), next: FIRST_SEQUENCE }
    }

    /// Appends an entry to the last chunk, or to a new one when that is full or being written.
    /// Gives its length, or nothing when it is beyond the limits of the format.
    pub(crate) fn push(
        &mut self,
        draft: &Draft<'_>,
        time_ms: u64,
        salt: u32,
        chunk_bytes: usize,
        spare: &mut Vec<Vec<u8>>,
    ) -> Option<u64> {
        let sequence = self.next;
        let open = self.pending.back_mut().and_then(Arc::get_mut);
        let open = open.filter(|chunk| chunk.bytes.len() < chunk_bytes);
        let bytes = if let Some(chunk) = open {
            chunk.push(draft, time_ms, salt, sequence)?
        } else {
            let mut chunk = Chunk::new(sequence, spare.pop().unwrap_or_default());
            let bytes = chunk.push(draft, time_ms, salt, sequence)?;
            self.pending.push_back(Arc::new(chunk));
            bytes
        };
        self.next += 1;
        Some(bytes as u64)
    }

    /// How many entries there are with these sequences.
    pub(crate) fn present(&self, sequences: Range<u64>) -> u64 {
        let from = self.segments.partition_point(|segment| segment.end <= sequences.start);
        let segments = self.segments.range(from..).take_while(|it| it.first < sequences.end);
        let stored: u64 = segments.map(|segment| segment.present(&sequences)).sum();
        let first = self.pending.front().map_or(self.next, |chunk| chunk.first);
        stored + overlap(&(first..self.next), &sequences)
    }

    /// All entries.
    pub(crate) fn held(&self) -> u64 {
        self.present(0..u64::MAX)
    }

    /// The segment that has the entry with this sequence, or the first one with later entries.
    pub(crate) fn segment_from(&self, sequence: u64) -> Option<&Segment> {
        self.segments.get(self.segments.partition_point(|segment| segment.end <= sequence))
    }

    /// About when the first entry from this sequence on was put in; never later than it was.
    pub(crate) fn oldest_ms(&self, sequence: u64) -> Option<u64> {
        if let Some(segment) = self.segment_from(sequence) {
            return Some(mark_before(&segment.marks, sequence)?.time_ms);
        }
        let chunk = self.pending.iter().find(|chunk| chunk.end > sequence)?;
        Some(mark_before(&chunk.marks, sequence)?.time_ms)
    }
}

impl Segment {
    /// How many of these entries it has.
    pub(crate) fn present(&self, sequences: &Range<u64>) -> u64 {
        let missing: u64 = self.missing.iter().map(|range| overlap(range, sequences)).sum();
        overlap(&(self.first..self.end), sequences).saturating_sub(missing)
    }

    /// The last mark at or before a sequence.
    pub(crate) fn mark(&self, sequence: u64) -> Mark {
        let begin = Mark { sequence: self.first, at: HEADER_BYTES as u64, time_ms: 0 };
        mark_before(&self.marks, sequence).filter(|mark| mark.sequence <= sequence).unwrap_or(begin)
    }

    /// Notes sequences as missing; gives those that were not known to be.
    pub(crate) fn add_missing(&mut self, sequences: Range<u64>) -> Vec<Range<u64>> {
        let mut news = Vec::new();
        let mut start = sequences.start.max(self.first);
        let end = sequences.end.min(self.end);
        for known in &self.missing {
            if start < known.start.min(end) {
                news.push(start..known.start.min(end));
            }
            start = start.max(known.end);
        }
        if start < end {
            news.push(start..end);
        }
        self.missing.extend(news.iter().cloned());
        self.missing.sort_by_key(|range| range.start);
        news
    }
}

impl Chunk {
    fn new(first: u64, mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self { bytes, first, end: first, marks: Vec::new(), newest_ms: 0 }
    }

    fn push(&mut self, draft: &Draft<'_>, time_ms: u64, salt: u32, sequence: u64) -> Option<usize> {
        let at = self.bytes.len();
        if !encode_entry(&mut self.bytes, salt, sequence, time_ms, draft, "", b"") {
            return None;
        }
        let is_far = |mark: &Mark| at as u64 >= mark.at + MARK_BYTES;
        if self.marks.last().is_none_or(is_far) {
            self.marks.push(Mark { sequence, at: at as u64, time_ms });
        }
        self.end = sequence + 1;
        self.newest_ms = self.newest_ms.max(time_ms);
        Some(self.bytes.len() - at)
    }

    /// When its first entry was put in.
    pub(crate) fn begun_ms(&self) -> u64 {
        self.marks.first().map_or(0, |mark| mark.time_ms)
    }

    pub(crate) fn entries(&self) -> u64 {
        self.end - self.first
    }
}

/// The last mark at or before a sequence, or else the first one.
fn mark_before(marks: &[Mark], sequence: u64) -> Option<Mark> {
    let behind = marks.partition_point(|mark| mark.sequence <= sequence);
    marks.get(behind.saturating_sub(1)).copied()
}

/// How many numbers two ranges share.
pub(crate) fn overlap(one: &Range<u64>, other: &Range<u64>) -> u64 {
    one.end.min(other.end).saturating_sub(one.start.max(other.start))
}

/// A cursor of 0 is before it.
pub(crate) const FIRST_SEQUENCE: u64 = 1;
/// At a million records a second it is reached in 292,000 years.
pub(crate) const MAX_SEQUENCE: u64 = 1 << 63;
/// As much as is read again when a feed goes back.
pub(crate) const MARK_BYTES: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(sequences: Range<u64>) -> Segment {
        Segment {
            number: 0,
            path: PathBuf::new(),
            salt: 0,
            epoch: 0,
            first: sequences.start,
            end: sequences.end,
            bytes: 0,
            newest_ms: 0,
            marks: Vec::new(),
            missing: Vec::new(),
        }
    }

    #[test]
    fn what_is_missing_is_counted_once() {
        let mut segment = segment(10..20);
        assert_eq!(segment.add_missing(12..14), [12..14]);
        assert_eq!(segment.add_missing(11..16), [11..12, 14..16]);
        assert_eq!(segment.add_missing(5..30), [10..11, 16..20]);
        assert_eq!(segment.present(&(0..u64::MAX)), 0);
    }

    #[test]
    fn entries_between_segments_are_not_there() {
        let mut lane = LaneState::new();
        lane.segments.extend([segment(1..10), segment(20..30)]);
        lane.next = 30;
        assert_eq!(lane.held(), 19);
        assert_eq!(lane.present(5..25), 10);
        assert_eq!(lane.segment_from(12).map(|segment| segment.first), Some(20));
        assert_eq!(lane.segment_from(30).map(|segment| segment.first), None);
    }
}
