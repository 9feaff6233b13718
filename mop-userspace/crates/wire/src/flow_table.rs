//! All connections of one shard worker: segments and control events in, exchanges out.
//!
//! Invariants: `connections.len() <= max_connections`; after every call the bytes held are at most
//! `max_buffered_bytes`; `listed` holds each connection that waits for something.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, hash_map},
    hash::BuildHasherDefault,
};

use mop_common::{Direction, HoleCause, SegmentHead, flags};

use crate::{
    connection::Connection,
    context::{Context, End},
    excerpt::Excerpt,
    exchange::{Exchange, Hole},
    hash::OwnKeyHasher,
    limits,
    stamp::Stamp,
    stats::FlowStats,
    stream::Chunk,
};

/// What a flow table keeps and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Content bytes kept of one message; longer content is counted, not kept.
    pub retain_body_bytes: usize,
    /// Of which responses only the beginning is kept; `None`: of those that are longer.
    pub excerpt: Option<Excerpt>,
    /// Compute the SHA-256 of each content.
    pub digest_bodies: bool,
    /// Connections known at the same time; the least recently active one makes room.
    pub max_connections: usize,
    /// Bytes held over all connections: waiting pieces, partial heads, and the messages of
    /// unfinished exchanges.
    pub max_buffered_bytes: usize,
}

/// All connections of one shard worker.
#[derive(Debug)]
pub struct FlowTable {
    options: Options,
    connections: HashMap<u64, Connection, BuildHasherDefault<OwnKeyHasher>>,
    /// Connections that the watermark may move on.
    listed: Vec<u64>,
    /// The least recently active connection, found lazily: each connection has one entry, whose
    /// key is at most its `last_active`.
    by_activity: BinaryHeap<Reverse<(u64, u64)>>,
    activity: u64,
    buffered: usize,
    watermark_ns: u64,
    stats: FlowStats,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retain_body_bytes: limits::DEFAULT_RETAIN_BODY_BYTES,
            excerpt: None,
            digest_bodies: false,
            max_connections: limits::DEFAULT_MAX_CONNECTIONS,
            max_buffered_bytes: limits::DEFAULT_MAX_BUFFERED_BYTES,
        }
    }
}

impl FlowTable {
    /// A table without connections.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            connections: HashMap::default(),
            listed: Vec::new(),
            by_activity: BinaryHeap::new(),
            activity: 0,
            buffered: 0,
            watermark_ns: 0,
            stats: FlowStats::default(),
        }
    }

    /// Takes note of a connection. `origins` are the first observed positions, in the order of
    /// [`Direction::ALL`]; `from_start`: they are the first bytes of the connection. Opening a
    /// known connection again changes nothing.
    pub fn open(
        &mut self,
        connection: u64,
        origins: [u64; 2],
        from_start: bool,
        out: &mut impl FnMut(Exchange),
    ) {
        if !self.connections.contains_key(&connection) {
            self.add(connection, Connection::new(Some(origins), from_start), out);
        }
    }

    /// Takes a segment. A connection that is not known is opened by it: its stream then begins
    /// with the first segment, in each direction.
    pub fn segment(&mut self, head: &SegmentHead, bytes: &[u8], out: &mut impl FnMut(Exchange)) {
        let Some((direction, chunk, tail)) = self.read_head(head, bytes) else {
            self.stats.invalid_segments += 1;
            self.stats.skip(bytes.len() as u64);
            return;
        };
        self.activity += 1;
        let activity = self.activity;
        let take = |connection: &mut Connection, cx: &mut Context<'_>| {
            connection.last_active = activity;
            connection.segment(direction, chunk, tail, cx);
        };
        if self.with(head.connection, out, take) {
            return;
        }
        if head.ktime_ns < self.watermark_ns {
            // A straggler of a connection that was dropped must not open it again.
            self.stats.skip(chunk.bytes.len() as u64);
            return;
        }
        self.add(head.connection, Connection::new(None, false), out);
        self.with(head.connection, out, take);
    }

    /// Takes note that one direction has no byte beyond `final_position`.
    pub fn end(
        &mut self,
        connection: u64,
        direction: Direction,
        final_position: u64,
        at_ns: u64,
        out: &mut impl FnMut(Exchange),
    ) {
        self.with(connection, out, |connection, cx| {
            connection.end_at(direction, final_position, at_ns);
            connection.proceed(cx);
        });
    }

    /// Takes note that no direction has a byte beyond its final position. The connection is
    /// dropped when every byte up to there arrived or was given up.
    pub fn close(
        &mut self,
        connection: u64,
        final_positions: [u64; 2],
        at_ns: u64,
        out: &mut impl FnMut(Exchange),
    ) {
        self.with(connection, out, |connection, cx| {
            for (direction, position) in Direction::ALL.into_iter().zip(final_positions) {
                connection.end_at(direction, position, at_ns);
            }
            connection.proceed(cx);
        });
    }

    /// Ends a connection whose final positions are not known, since its process died.
    pub fn abandon(&mut self, connection: u64, out: &mut impl FnMut(Exchange)) {
        if let Some(gone) = self.remove(connection) {
            self.finish_one(connection, gone, End::Abandoned, out);
        }
    }

    /// Promises that every segment stamped before this time was delivered, so that what is missing
    /// before it is lost for good. Costs as much as connections wait for something.
    pub fn watermark(&mut self, ktime_ns: u64, out: &mut impl FnMut(Exchange)) {
        if ktime_ns <= self.watermark_ns {
            return;
        }
        self.watermark_ns = ktime_ns;
        for connection in std::mem::take(&mut self.listed) {
            if let Some(waiting) = self.connections.get_mut(&connection) {
                waiting.is_listed = false;
                self.with(connection, out, |connection, cx| connection.proceed(cx));
            }
        }
    }

    /// Reports everything that is left; the observer stops.
    pub fn finish(&mut self, out: &mut impl FnMut(Exchange)) {
        self.watermark(u64::MAX, out);
        let mut left: Vec<_> = self.connections.keys().copied().collect();
        left.sort_unstable();
        for connection in left {
            if let Some(gone) = self.remove(connection) {
                self.finish_one(connection, gone, End::Stopped, out);
            }
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> FlowStats {
        FlowStats {
            connections: self.connections.len(),
            buffered_bytes: self.buffered,
            ..self.stats
        }
    }

    /// Works on one connection and keeps the books about it; false when it is not known.
    fn with(
        &mut self,
        id: u64,
        out: &mut dyn FnMut(Exchange),
        work: impl FnOnce(&mut Connection, &mut Context<'_>),
    ) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        let before = connection.buffered();
        let mut cx = Context {
            connection: id,
            options: &self.options,
            stats: &mut self.stats,
            watermark_ns: self.watermark_ns,
            force: false,
            is_stuck: false,
            out,
        };
        work(connection, &mut cx);
        let after = connection.buffered();
        self.buffered = (self.buffered + after).saturating_sub(before);
        if connection.is_over() {
            if let Some(gone) = self.remove(id) {
                self.finish_one(id, gone, End::Closed, out);
            }
        } else if !connection.is_listed && connection.waits() {
            connection.is_listed = true;
            self.listed.push(id);
            // Entries of connections that are gone make up at most half of the list.
            if self.listed.len() > 2 * self.connections.len() + STALE_SLACK {
                self.listed.retain(|id| self.connections.contains_key(id));
            }
        }
        if self.buffered > self.options.max_buffered_bytes {
            self.make_room(out);
        }
        true
    }

    fn add(&mut self, id: u64, mut connection: Connection, out: &mut dyn FnMut(Exchange)) {
        while self.connections.len() >= self.options.max_connections.max(1) {
            let Some(oldest) = self.least_recently_active() else { break };
            self.evict(oldest, out);
        }
        self.activity += 1;
        connection.last_active = self.activity;
        self.by_activity.push(Reverse((self.activity, id)));
        self.connections.insert(id, connection);
        self.stats.opened += 1;
        // Entries of connections that are gone make up at most half of the heap.
        if self.by_activity.len() > 2 * self.connections.len() + STALE_SLACK {
            let entry = |(id, held): (&u64, &Connection)| Reverse((held.last_active, *id));
            self.by_activity = self.connections.iter().map(entry).collect();
        }
    }

    fn remove(&mut self, id: u64) -> Option<Connection> {
        let hash_map::Entry::Occupied(entry) = self.connections.entry(id) else { return None };
        let connection = entry.remove();
        self.buffered = self.buffered.saturating_sub(connection.buffered());
        if self.connections.capacity() > SHRINK_ABOVE
            && self.connections.len() < self.connections.capacity() / 8
        {
            self.connections.shrink_to(self.connections.len() * 2);
            self.listed.shrink_to_fit();
            self.by_activity.shrink_to_fit();
        }
        Some(connection)
    }

    fn finish_one(
        &mut self,
        id: u64,
        mut connection: Connection,
        how: End,
        out: &mut dyn FnMut(Exchange),
    ) {
        self.stats.closed += 1;
        let mut cx = Context {
            connection: id,
            options: &self.options,
            stats: &mut self.stats,
            watermark_ns: self.watermark_ns,
            force: false,
            is_stuck: false,
            out,
        };
        connection.finish(how, &mut cx);
    }

    fn evict(&mut self, id: u64, out: &mut dyn FnMut(Exchange)) {
        if let Some(gone) = self.remove(id) {
            self.stats.evicted += 1;
            self.finish_one(id, gone, End::Stopped, out);
        }
    }

    /// Removes the heap entry of the connection that was active longest ago.
    fn least_recently_active(&mut self) -> Option<u64> {
        while let Some(Reverse((activity, id))) = self.by_activity.pop() {
            match self.connections.get(&id) {
                Some(connection) if connection.last_active == activity => return Some(id),
                Some(connection) => self.by_activity.push(Reverse((connection.last_active, id))),
                None => {}
            }
        }
        None
    }

    /// Empties the fullest connections until a part of the room is free, so that the search for
    /// them is not repeated with every segment.
    fn make_room(&mut self, out: &mut dyn FnMut(Exchange)) {
        let goal = self.options.max_buffered_bytes / 8 * 7;
        let mut by_size: Vec<_> =
            self.connections.iter().map(|(id, held)| (Reverse(held.buffered()), *id)).collect();
        by_size.sort_unstable();
        for (Reverse(before), id) in by_size {
            if self.buffered <= goal {
                return;
            }
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            let mut cx = Context {
                connection: id,
                options: &self.options,
                stats: &mut self.stats,
                watermark_ns: self.watermark_ns,
                force: false,
                is_stuck: false,
                out,
            };
            connection.shed(&mut cx);
            self.stats.shed += 1;
            let after = connection.buffered();
            self.buffered = (self.buffered + after).saturating_sub(before);
            if connection.is_over() {
                if let Some(gone) = self.remove(id) {
                    self.finish_one(id, gone, End::Closed, out);
                }
            } else if after > before / 2 {
                // What cannot be emptied has to go.
                self.evict(id, out);
            }
        }
    }

    /// Direction, bytes in their place, and the missing bytes behind them; `None` when the head
    /// contradicts itself.
    fn read_head<'a>(
        &self,
        head: &SegmentHead,
        bytes: &'a [u8],
    ) -> Option<(Direction, Chunk<'a>, Option<Hole>)> {
        let direction = Direction::from_number(head.direction)?;
        let SegmentHead { position, ktime_ns, len_total, len_captured, caller, .. } = *head;
        position.checked_add(u64::from(len_total))?;
        let captured = usize::try_from(len_captured.min(len_total)).ok()?;
        let bytes = bytes.get(..captured).unwrap_or(bytes);
        let at = Stamp { ktime_ns, caller };
        let chunk = Chunk { position, bytes, at, call_start: head.flags & flags::CALL_START != 0 };
        let missing = u64::from(len_total) - bytes.len() as u64;
        let cause = match HoleCause::from_number(head.cause) {
            // Bytes are missing, whatever the head says.
            None | Some(HoleCause::None) => HoleCause::Fault,
            Some(cause) => cause,
        };
        let tail = Hole { position: position + bytes.len() as u64, bytes: missing, cause };
        Some((direction, chunk, (missing > 0).then_some(tail)))
    }
}

/// Stale entries that are not worth a sweep.
const STALE_SLACK: usize = 64;

/// Room for connections that is kept even when few are known.
const SHRINK_ABOVE: usize = 1024;
