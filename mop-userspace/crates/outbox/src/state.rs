//! What writer and feeds share: lanes, how far each sink is, and the books.
//!
//! The books: for every sink, over the lanes that are forwarded,
//! `opened_with + appended = acknowledged + spooled + undelivered_drops + undelivered_damage`.

use std::{ops::Range, path::PathBuf, sync::Arc};

use crate::{
    entry::{Draft, Entry, Lane},
    format::{Fault, entry_bytes, parse_entry},
    lane::{Chunk, LaneState, Mark, Segment},
    outbox::{Admission, Keep},
    stats::Stats,
};

/// Everything but the files.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) lanes: [LaneState; LANES],
    pub(crate) sinks: Vec<SinkState>,
    pub(crate) bounds: Bounds,
    pub(crate) counts: Counts,
    pub(crate) epoch: u64,
    /// Begins the checksums of all entries of this opening.
    pub(crate) salt: u32,
    /// Length of all segments.
    pub(crate) disk_bytes: u64,
    /// Length of damaged files that were set aside.
    pub(crate) aside_bytes: u64,
    /// Length of all chunks.
    pub(crate) pending_bytes: u64,
    /// Files that nobody needs any more, to be removed.
    pub(crate) garbage: Vec<PathBuf>,
    /// Why the disk is not used at the moment. Feeds get entries from memory then.
    pub(crate) degraded: Option<String>,
    /// Buffers to be used again.
    pub(crate) spare: Vec<Vec<u8>>,
}

/// How far a sink is.
#[derive(Clone, Debug)]
pub(crate) struct SinkState {
    /// The last sequence that is done with, by lane; 0 for none.
    pub(crate) cursors: [u64; LANES],
    pub(crate) opened_with: u64,
    pub(crate) acknowledged: u64,
    pub(crate) undelivered_drops: u64,
    pub(crate) undelivered_damage: u64,
    pub(crate) parked: u64,
    pub(crate) parked_dropped: u64,
}

/// What it may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) max_bytes: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) chunk_bytes: usize,
    pub(crate) keep: Keep,
}

/// Counts since it was opened, by lane.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) appended: [u64; LANES],
    pub(crate) shed: [u64; LANES],
    pub(crate) expired: [u64; LANES],
    pub(crate) damaged: u64,
}

/// Where the next entries of a lane are.
#[derive(Debug)]
pub(crate) enum Source {
    /// In a file, up to a length that is synced.
    File(FileSource),
    /// Here they are: the disk is not used at the moment.
    Memory(Vec<Entry>),
    /// Nowhere yet.
    Nothing,
}

/// A segment to be read from.
#[derive(Debug)]
pub(crate) struct FileSource {
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    pub(crate) salt: u32,
    pub(crate) epoch: u64,
    pub(crate) from: Mark,
    pub(crate) end: u64,
    pub(crate) bytes: u64,
}

impl State {
    /// Takes a record into memory.
    pub(crate) fn append(&mut self, draft: &Draft<'_>, time_ms: u64) -> Admission {
        let lane = draft.lane;
        *slot(&mut self.counts.appended, lane) += 1;
        let Some(bytes) = entry_bytes(draft, "", b"") else { return self.refuse(lane) };
        if !self.make_room(lane, bytes as u64) {
            return self.refuse(lane);
        }
        let (salt, chunk_bytes) = (self.salt, self.bounds.chunk_bytes);
        let state = slot(&mut self.lanes, lane);
        let sequence = state.next;
        match state.push(draft, time_ms, salt, chunk_bytes, &mut self.spare) {
            Some(bytes) => {
                self.pending_bytes += bytes;
                Admission::Accepted { sequence }
            }
            None => self.refuse(lane),
        }
    }

    /// Notes that a sink is done with all entries of a lane up to this one.
    pub(crate) fn acknowledge(&mut self, sink: usize, lane: Lane, sequence: u64) {
        let entries = slot(&mut self.lanes, lane);
        let Some(sink) = self.sinks.get_mut(sink) else { return };
        let cursor = slot(&mut sink.cursors, lane);
        // Nobody can be done with what is not there yet.
        let sequence = sequence.min(entries.next - 1);
        if lane.is_forwarded() && sequence > *cursor {
            sink.acknowledged += entries.present(*cursor + 1..sequence + 1);
            *cursor = sequence;
        }
    }

    /// Notes that entries of a segment cannot be read.
    pub(crate) fn lose(&mut self, lane: Lane, number: u64, sequences: Range<u64>) {
        let state = slot(&mut self.lanes, lane);
        let segment = state.segments.iter_mut().find(|segment| segment.number == number);
        let Some(segment) = segment else { return };
        for range in segment.add_missing(sequences) {
            self.counts.damaged += range.end - range.start;
            for sink in self.sinks.iter_mut().filter(|_sink| lane.is_forwarded()) {
                let start = range.start.max(*slot(&mut sink.cursors, lane) + 1);
                sink.undelivered_damage += range.end.saturating_sub(start);
            }
        }
    }

    /// Notes what was synced: chunks from the front of a lane, into its last segment.
    pub(crate) fn publish(&mut self, lane: Lane, chunks: &[Arc<Chunk>]) {
        let state = slot(&mut self.lanes, lane);
        let Some(segment) = state.segments.back_mut() else { return };
        for chunk in chunks {
            let bytes = chunk.bytes.len() as u64;
            segment.marks.extend(
                chunk.marks.iter().map(|mark| Mark { at: mark.at + segment.bytes, ..*mark }),
            );
            segment.bytes += bytes;
            segment.end = chunk.end;
            segment.newest_ms = segment.newest_ms.max(chunk.newest_ms);
            self.disk_bytes += bytes;
            self.pending_bytes -= bytes;
            state.pending.pop_front();
        }
    }

    /// Takes back a buffer that was written.
    pub(crate) fn recycle(&mut self, chunk: Arc<Chunk>) {
        if let Ok(chunk) = Arc::try_unwrap(chunk)
            && self.spare.len() < LANES
            && chunk.bytes.capacity() <= 2 * self.bounds.chunk_bytes
        {
            self.spare.push(chunk.bytes);
        }
    }

    /// Begins a segment behind the last one of its lane. One without entries is replaced by it.
    pub(crate) fn begin_segment(&mut self, lane: Lane, segment: Segment) {
        let state = slot(&mut self.lanes, lane);
        if let Some(last) = state.segments.pop_back_if(|last| last.end == last.first) {
            self.disk_bytes -= last.bytes;
            if last.path != segment.path {
                self.garbage.push(last.path);
            }
        }
        self.disk_bytes += segment.bytes;
        state.segments.push_back(segment);
    }

    /// Where a feed finds what comes at this sequence or later.
    pub(crate) fn source(&self, lane: Lane, position: u64, entries: usize, bytes: usize) -> Source {
        let state = at(&self.lanes, lane);
        if let Some(segment) = state.segment_from(position) {
            return Source::File(FileSource {
                number: segment.number,
                path: segment.path.clone(),
                salt: segment.salt,
                epoch: segment.epoch,
                from: segment.mark(position),
                end: segment.end,
                bytes: segment.bytes,
            });
        }
        if self.degraded.is_none() {
            return Source::Nothing;
        }
        let found = self.from_memory(state, position, entries, bytes);
        if found.is_empty() { Source::Nothing } else { Source::Memory(found) }
    }

    /// The first sequence of a lane that the sink has not acknowledged.
    pub(crate) fn unacknowledged(&self, sink: usize, lane: Lane) -> u64 {
        self.sinks.get(sink).map_or(0, |sink| *at(&sink.cursors, lane)) + 1
    }

    /// The last sequence of a lane that every sink is done with.
    pub(crate) fn done_by_all(&self, lane: Lane) -> u64 {
        let cursors = self.sinks.iter().map(|sink| *at(&sink.cursors, lane));
        if lane.is_forwarded() { cursors.min().unwrap_or(0) } else { 0 }
    }

    /// The books.
    pub(crate) fn stats(&self) -> Stats {
        let per_sink = |value: fn(&SinkState) -> u64| self.sinks.iter().map(value).collect();
        let oldest = |lane: Lane| at(&self.lanes, lane).oldest_ms(self.done_by_all(lane) + 1);
        let Counts { appended, shed, expired, damaged } = self.counts.clone();
        Stats {
            disk_bytes: self.disk_bytes + self.aside_bytes,
            memory_bytes: self.pending_bytes,
            appended,
            held: self.lanes.each_ref().map(LaneState::held),
            shed,
            expired,
            undelivered_drops: per_sink(|sink| sink.undelivered_drops),
            undelivered_damage: per_sink(|sink| sink.undelivered_damage),
            opened_with: per_sink(|sink| sink.opened_with),
            acknowledged: per_sink(|sink| sink.acknowledged),
            spooled: (0..self.sinks.len()).map(|sink| self.spooled(sink)).collect(),
            parked: per_sink(|sink| sink.parked),
            parked_dropped: per_sink(|sink| sink.parked_dropped),
            damaged,
            oldest_ms: forwarded().filter_map(oldest).min(),
            degraded: self.degraded.clone(),
            epoch: self.epoch,
        }
    }

    /// Entries that a sink has not acknowledged.
    pub(crate) fn spooled(&self, sink: usize) -> u64 {
        forwarded()
            .map(|lane| at(&self.lanes, lane).present(self.unacknowledged(sink, lane)..u64::MAX))
            .sum()
    }

    fn refuse(&mut self, lane: Lane) -> Admission {
        *slot(&mut self.counts.shed, lane) += 1;
        for sink in self.sinks.iter_mut().filter(|_sink| lane.is_forwarded()) {
            sink.undelivered_drops += 1;
        }
        Admission::Shed
    }

    fn from_memory(
        &self,
        lane: &LaneState,
        position: u64,
        entries: usize,
        bytes: usize,
    ) -> Vec<Entry> {
        let mut found = Vec::new();
        let mut found_bytes = 0;
        for chunk in lane.pending.iter().skip_while(|chunk| chunk.end <= position) {
            let mut rest = chunk.bytes.as_slice();
            while found.len() < entries && found_bytes < bytes {
                match parse_entry(rest, self.salt) {
                    Ok(entry) => {
                        rest = rest.get(entry.bytes..).unwrap_or_default();
                        if entry.sequence >= position {
                            found_bytes += entry.bytes;
                            found.push(entry.to_entry(self.epoch));
                        }
                    }
                    Err(Fault::Short(_) | Fault::Damaged) => break,
                }
            }
        }
        found
    }
}

/// Lanes that sinks get.
pub(crate) fn forwarded() -> impl Iterator<Item = Lane> {
    Lane::ALL.into_iter().filter(|lane| lane.is_forwarded())
}

/// What belongs to a lane.
pub(crate) fn at<T>(of: &[T; LANES], lane: Lane) -> &T {
    let [operations, security, violations, data, samples, local] = of;
    match lane {
        Lane::Operations => operations,
        Lane::Security => security,
        Lane::Violations => violations,
        Lane::Data => data,
        Lane::Samples => samples,
        Lane::Local => local,
    }
}

/// What belongs to a lane, to be changed.
pub(crate) fn slot<T>(of: &mut [T; LANES], lane: Lane) -> &mut T {
    let [operations, security, violations, data, samples, local] = of;
    match lane {
        Lane::Operations => operations,
        Lane::Security => security,
        Lane::Violations => violations,
        Lane::Data => data,
        Lane::Samples => samples,
        Lane::Local => local,
    }
}

pub(crate) const LANES: usize = Lane::ALL.len();
