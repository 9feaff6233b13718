//! What is dropped: when there is no room, when it is too old, and when every sink has it.

use std::{ops::Range, sync::Arc};

use crate::{
    entry::Lane,
    format::HEADER_BYTES,
    outbox::Keep,
    state::{LANES, State, at, slot},
};

/// Why records are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// Every sink has them.
    Delivered,
    Expired,
    Shed,
}

/// What there is too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Disk,
    Memory,
}

/// What is dropped at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Chunk,
    Segment,
}

impl State {
    /// Makes room for a record of this lane. False when there is nothing to drop for it.
    pub(crate) fn make_room(&mut self, lane: Lane, bytes: u64) -> bool {
        for room in [Room::Memory, Room::Disk] {
            while self.exceeds(room, bytes) {
                if !self.drop_for(lane, room) {
                    return false;
                }
            }
        }
        true
    }

    /// Drops what is too old. `now_ms` does not leap.
    pub(crate) fn expire(&mut self, now_ms: u64, max_age_ms: u64) {
        let limit = now_ms.saturating_sub(max_age_ms);
        for lane in Lane::ALL {
            while let Some((unit, newest_ms)) = self.front(lane, Room::Disk)
                && newest_ms < limit
            {
                self.drop_front(lane, unit, Cause::Expired);
            }
        }
    }

    /// Drops what every sink has, where that is not to be kept. A lane's last segment only when
    /// nothing comes in: to replace it takes longer than to write to it.
    pub(crate) fn drop_delivered(&mut self, also_last: bool) {
        if self.bounds.keep == Keep::UntilBounds || self.sinks.is_empty() {
            return;
        }
        for lane in Lane::ALL {
            while self.is_delivered(lane, Unit::Segment)
                && (at(&self.lanes, lane).segments.len() > 1
                    || (also_last && !self.is_small_rest(lane)))
            {
                self.drop_front(lane, Unit::Segment, Cause::Delivered);
            }
            // Feeds see chunks only while the disk is not used.
            while self.is_delivered(lane, Unit::Chunk) {
                self.drop_front(lane, Unit::Chunk, Cause::Delivered);
            }
        }
    }

    /// Lanes that have no file left to tell the next sequence after a restart.
    pub(crate) fn lanes_without_file(&self) -> impl Iterator<Item = Lane> + use<> {
        let without: [bool; LANES] =
            self.lanes.each_ref().map(|lane| lane.segments.is_empty() && lane.next > 1);
        Lane::ALL.into_iter().filter(move |lane| *at(&without, *lane))
    }

    fn exceeds(&self, room: Room, bytes: u64) -> bool {
        match room {
            Room::Disk => {
                let used = self.disk_bytes + self.aside_bytes + self.pending_bytes;
                used + bytes > self.bounds.max_bytes
            }
            Room::Memory => self.pending_bytes + bytes > self.bounds.memory_bytes,
        }
    }

    /// Drops what is worth least. What every sink has is worth less than what one still needs.
    fn drop_for(&mut self, incoming: Lane, room: Room) -> bool {
        let fronts = Lane::ALL.map(|lane| Some((lane, self.front(lane, room)?.0)));
        let mut occupied = fronts.iter().rev().flatten();
        let delivered = occupied.clone().find(|(lane, unit)| self.is_delivered(*lane, *unit));
        let chosen = delivered.or_else(|| {
            let least = occupied.next()?;
            let keeps_newest = self.bounds.keep == Keep::UntilBounds || !incoming.is_forwarded();
            let is_worth_less = least.0 > incoming || (least.0 == incoming && keeps_newest);
            is_worth_less.then_some(least)
        });
        let Some((lane, unit)) = chosen.copied() else { return false };
        self.drop_front(lane, unit, Cause::Shed);
        true
    }

    /// The oldest of a lane that can be dropped to make room, and the time of its newest entry.
    fn front(&self, lane: Lane, room: Room) -> Option<(Unit, u64)> {
        let lane = at(&self.lanes, lane);
        let segment = lane.segments.front().filter(|_segment| room == Room::Disk);
        // A last segment without entries only tells the next sequence.
        let segment = segment.filter(|it| it.end > it.first || lane.segments.len() > 1);
        let chunk = lane.pending.front();
        segment
            .map(|segment| (Unit::Segment, segment.newest_ms))
            .or_else(|| chunk.map(|chunk| (Unit::Chunk, chunk.newest_ms)))
    }

    /// Whether every sink has the oldest of a lane; never where no sink gets it.
    fn is_delivered(&self, lane: Lane, unit: Unit) -> bool {
        let entries = at(&self.lanes, lane);
        let done = self.done_by_all(lane);
        let is_done = |end: u64| end - 1 <= done && !self.sinks.is_empty() && lane.is_forwarded();
        match unit {
            Unit::Segment if entries.segments.len() == 1 => {
                entries.segments.front().is_some_and(|it| it.end > it.first && is_done(it.end))
            }
            Unit::Segment => {
                entries.segments.front().is_some_and(|it| it.end == it.first || is_done(it.end))
            }
            Unit::Chunk => entries.pending.front().is_some_and(|it| is_done(it.end)),
        }
    }

    /// Whether a lane's last segment is better left alone.
    fn is_small_rest(&self, lane: Lane) -> bool {
        let lane = at(&self.lanes, lane);
        let is_small = lane.segments.back().is_some_and(|last| last.bytes <= SMALL_REST_BYTES);
        is_small || !lane.pending.is_empty()
    }

    fn drop_front(&mut self, lane: Lane, unit: Unit, cause: Cause) {
        let sequences: Range<u64> = {
            let entries = at(&self.lanes, lane);
            match unit {
                Unit::Chunk => entries.pending.front().map(|it| it.first..it.end),
                Unit::Segment => entries.segments.front().map(|it| it.first..it.end),
            }
            .unwrap_or_default()
        };
        let entries = at(&self.lanes, lane);
        let dropped = entries.present(sequences.clone());
        for sink in self.sinks.iter_mut().filter(|_sink| lane.is_forwarded()) {
            let start = sequences.start.max(*at(&sink.cursors, lane) + 1);
            sink.undelivered_drops += entries.present(start..sequences.end.max(start));
        }
        match cause {
            Cause::Delivered => {}
            Cause::Expired => *slot(&mut self.counts.expired, lane) += dropped,
            Cause::Shed => *slot(&mut self.counts.shed, lane) += dropped,
        }
        let entries = slot(&mut self.lanes, lane);
        match unit {
            Unit::Chunk => {
                if let Some(chunk) = entries.pending.pop_front() {
                    self.pending_bytes -= chunk.bytes.len() as u64;
                    drop::<Arc<_>>(chunk);
                }
            }
            Unit::Segment => {
                if let Some(segment) = entries.segments.pop_front() {
                    self.disk_bytes -= segment.bytes;
                    self.garbage.push(segment.path);
                }
            }
        }
    }
}

/// Times the lanes, this is what stays behind when all is delivered: well under a mebibyte.
const SMALL_REST_BYTES: u64 = (64 << 10) + HEADER_BYTES as u64;
