//! A conversation on one connection, as segments.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod conversation;

use mop_common::{Direction, HoleCause, SegmentHead, flags};
use mop_wire::{Exchange, FlowStats, FlowTable, Options};

pub(crate) const CONNECTION: u64 = 7;

/// Nanoseconds between two segments: more than the times of a client may be off.
pub(crate) const TICK_NS: u64 = 2 * mop_wire::limits::STAMP_SLACK_NS;

#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) head: SegmentHead,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) segments: Vec<Segment>,
    pub(crate) positions: [u64; 2],
    pub(crate) clock_ns: u64,
    /// Nanoseconds between two segments.
    pub(crate) tick_ns: u64,
    /// Who makes the calls from here on.
    pub(crate) caller: u16,
}

impl Default for Script {
    fn default() -> Self {
        Self { segments: Vec::new(), positions: [0; 2], clock_ns: 0, tick_ns: TICK_NS, caller: 0 }
    }
}

impl Script {
    /// One call that moved these bytes.
    pub(crate) fn say(&mut self, direction: Direction, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.segment(direction, bytes.as_ref(), flags::CALL_START, 0)
    }

    /// One call that moved these bytes in segments of at most this size.
    pub(crate) fn say_in_pieces(
        &mut self,
        direction: Direction,
        bytes: impl AsRef<[u8]>,
        piece: usize,
    ) -> &mut Self {
        let mut call_start = flags::CALL_START;
        for piece in bytes.as_ref().chunks(piece.max(1)) {
            self.segment(direction, piece, call_start, 0);
            call_start = 0;
        }
        self
    }

    /// A call whose last bytes could not be captured.
    pub(crate) fn say_part(
        &mut self,
        direction: Direction,
        bytes: impl AsRef<[u8]>,
        missing: u32,
    ) -> &mut Self {
        self.segment(direction, bytes.as_ref(), flags::CALL_START, missing)
    }

    /// A call that never reached user space.
    pub(crate) fn lose(&mut self, direction: Direction, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.clock_ns += self.tick_ns;
        self.positions[direction.index()] += bytes.as_ref().len() as u64;
        self
    }

    pub(crate) fn read(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.say(Direction::Read, bytes)
    }

    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.say(Direction::Write, bytes)
    }

    fn segment(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        flags: u16,
        missing: u32,
    ) -> &mut Self {
        self.clock_ns += self.tick_ns;
        let position = self.positions[direction.index()];
        let len_captured = bytes.len() as u32;
        let len_total = len_captured + missing;
        self.positions[direction.index()] += u64::from(len_total);
        let cause = if missing > 0 { HoleCause::ZeroCopy } else { HoleCause::None };
        let head = SegmentHead {
            connection: CONNECTION,
            position,
            ktime_ns: self.clock_ns,
            cpu_sequence: 0,
            len_total,
            len_captured,
            cpu: 0,
            direction: direction as u8,
            cause: cause as u8,
            flags,
            caller: self.caller,
        };
        self.segments.push(Segment { head, bytes: bytes.to_vec() });
        self
    }

    /// Delivers everything in order and closes the connection.
    pub(crate) fn run(&self) -> (Vec<Exchange>, FlowStats) {
        self.run_with(Options::default())
    }

    pub(crate) fn run_with(&self, options: Options) -> (Vec<Exchange>, FlowStats) {
        let mut table = FlowTable::new(options);
        let mut exchanges = Vec::new();
        let out = &mut |exchange| exchanges.push(exchange);
        table.open(CONNECTION, [0; 2], true, out);
        for Segment { head, bytes } in &self.segments {
            table.segment(head, bytes, out);
            table.watermark(head.ktime_ns, out);
        }
        table.close(CONNECTION, self.positions, self.clock_ns + self.tick_ns, out);
        table.finish(out);
        (exchanges, table.stats())
    }
}

/// Method, target, status, ending; `-` for what was not seen.
pub(crate) fn summary(exchange: &Exchange) -> String {
    let request = exchange.request.as_ref().map_or("-".to_owned(), |request| {
        format!("{} {} {}", request.method, request.target, text(&request.body.bytes))
    });
    let response = exchange.response.as_ref().map_or("-".to_owned(), |response| {
        format!("{} {}", response.status, text(&response.body.bytes))
    });
    let mark = if exchange.completeness.resynchronised { " (resynchronised)" } else { "" };
    format!("{request} > {response}: {}{mark}", exchange.completeness.ending.name())
}

pub(crate) fn summaries(exchanges: &[Exchange]) -> Vec<String> {
    exchanges.iter().map(summary).collect()
}

fn text(bytes: &[u8]) -> String {
    format!("'{}'", String::from_utf8_lossy(bytes))
}
