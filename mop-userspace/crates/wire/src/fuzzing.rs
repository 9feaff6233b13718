//! Bodies of the fuzz targets: any bytes in, no panic and no broken invariant out.
//!
//! They live here and not in `fuzz/`, so that an ordinary test can replay the corpus on a stable
//! compiler without a sanitizer.
#![expect(clippy::panic, reason = "a fuzz target reports by panicking")]

use mop_common::{Direction, HoleCause, SegmentHead, flags};

use crate::{
    Excerpt, Exchange, FlowTable, Options,
    content::{Coding, DecodeLimits, decode},
    http2::{
        frame::{FrameHead, INITIAL_MAX_FRAME_BYTES, Kind, Payload, Prefix},
        hpack::{self, Extent, Field},
    },
    limits,
    mopcap::{Decoder, Encoder},
    tls::{Hello, read_hello},
};

/// Reads the bytes as deliveries to a small flow table, and checks its limits and its books.
///
/// A delivery is an operation, a length and as many bytes:
///
/// ```text
/// operation  bits 0-2   0 read, 1 write, 2 watermark, 3 end of read, 4 end of write, 5 close,
///                       6 abandon, 7 deliver what was kept back
///            bit  3     starts a call
///            bit  4     is lost: only its place in the stream is used up
///            bit  5     is kept back
///            bit  6     has missing bytes behind it, as many as its length
///            bit  7     on another connection
/// ```
pub fn fuzz_flow(data: &[u8]) {
    let mut run = Run::new();
    let mut rest = data;
    while let [operation, length, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        run.operation(*operation, bytes);
        rest = tail;
    }
    run.finish();
}

/// Reads the first byte as codings and the rest as a body; checks the limits of decoding.
pub fn fuzz_content(data: &[u8]) {
    let [choice, body @ ..] = data else { return };
    let coding = |number| match number % 3 {
        0 => Coding::Gzip,
        1 => Coding::Deflate,
        _ => Coding::Brotli,
    };
    let codings = [coding(choice & 3), coding(choice >> 2)];
    let used = if choice & 0x80 == 0 { codings.get(..1) } else { codings.get(..) };
    let limits = DecodeLimits { max_plain_bytes: 1 << 20, max_ratio: 100 };
    if let Ok(plain) = decode(used.unwrap_or_default(), body, limits) {
        check(plain.len() <= limits.max_plain_bytes, "decoded more than the limit");
    }
}

/// Reads the bytes as a capture, in pieces whose size the first byte says; what was read must be
/// the same when it is written and read again.
pub fn fuzz_mopcap(data: &[u8]) {
    let [piece, capture @ ..] = data else { return };
    let mut decoder = Decoder::new();
    let mut records = Vec::new();
    for piece in capture.chunks(usize::from(*piece) + 1) {
        decoder.push(piece);
        while let Ok(Some(record)) = decoder.next_record() {
            records.push(record);
        }
    }
    check(decoder.offset() <= capture.len() as u64, "read past the end");
    let mut encoder = Encoder::new();
    let mut again = Vec::new();
    for record in &records {
        check(encoder.record(record, &mut again).is_ok(), "a record that was read is too large");
    }
    let mut decoder = Decoder::new();
    decoder.push(&again);
    for record in records {
        check(decoder.next_record() == Ok(Some(record)), "a record changed");
    }
}

/// Reads the bytes as the beginning of a TLS connection: what is told early must be what is told in the
/// end, and fingerprints must have their form.
pub fn fuzz_tls_hello(data: &[u8]) {
    let whole = read_hello(data);
    for cut in (0..data.len()).step_by(data.len() / CUTS + 1) {
        let early = read_hello(data.get(..cut).unwrap_or_default());
        check(early == Ok(None) || early == whole, "more bytes change what was told");
    }
    if let Ok(Some(Hello::Client(hello))) = whole {
        let ja4 = hello.ja4();
        check(ja4.len() == 36 && ja4.is_ascii(), "a JA4 of another form");
        check(hello.alpn.len() <= limits::MAX_ALPN_NAMES, "too many protocols are kept");
        check(hello.extensions.len() <= limits::MAX_HELLO_EXTENSIONS, "too many extensions");
        let name = hello.server_name.unwrap_or_default();
        check(name.bytes().all(|byte| byte.is_ascii_graphic()), "a name that is none");
    }
}

/// Reads the bytes as header blocks of one direction, each with its length in front; an observer
/// that joins midway must say nothing else than one that was there from the start.
///
/// ```text
/// first byte  bits 0-3  blocks that the later one missed
///             bit  4    a small table was offered
/// ```
pub fn fuzz_hpack(data: &[u8]) {
    let [choice, rest @ ..] = data else { return };
    let mut early = hpack::Decoder::from_start();
    let mut late = hpack::Decoder::joined_midway();
    if choice & 0x10 != 0 {
        early.offer_table_size(SMALL_TABLE_BYTES);
        late.offer_table_size(SMALL_TABLE_BYTES);
    }
    let mut missed = choice & 0xf;
    let mut rest = rest;
    while let [length, tail @ ..] = rest {
        let (block, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = tail;
        let (truth, extent) = fields(&mut early, block);
        let Ok(extent) = extent else { break };
        if missed > 0 {
            missed -= 1;
            continue;
        }
        let (told, late_extent) = fields(&mut late, block);
        check(late_extent.is_ok(), "the later observer sees an error where there is none");
        if extent == Extent::Whole && late_extent == Ok(Extent::Whole) {
            check(told.len() == truth.len(), "the later observer sees other fields");
        }
        for (told, truth) in told.iter().zip(truth) {
            let ((told_name, told_value), (name, value)) = (told, truth);
            check(told_name.is_none() || *told_name == name, "another name");
            check(told_value.is_none() || *told_value == value, "another value");
        }
    }
}

/// Reads the bytes as frames; what is read of their beginnings must fit their payloads.
pub fn fuzz_http2_frames(data: &[u8]) {
    let mut rest = data;
    while let Some((head, tail)) = FrameHead::split(rest) {
        let (payload, tail) = tail.split_at((head.payload_bytes as usize).min(tail.len()));
        rest = tail;
        let is_good = head.check(INITIAL_MAX_FRAME_BYTES).is_ok();
        let parsed = Payload::parse(&head, payload);
        let beginning = payload.get(..head.prefix_bytes()).unwrap_or(payload);
        let prefix = Prefix::parse(&head, beginning);
        check(prefix == Prefix::parse(&head, payload), "the beginning is not enough");
        let Ok(prefix) = prefix else {
            check(parsed.is_err(), "a payload with a bad beginning");
            continue;
        };
        let behind = prefix.content_bytes + u32::from(prefix.padding_bytes);
        let whole = beginning.len() as u64 + u64::from(behind);
        check(whole == u64::from(head.payload_bytes), "the parts are not the whole");
        match parsed {
            Ok(
                Payload::Data { content: part }
                | Payload::Headers { fragment: part, .. }
                | Payload::PushPromise { fragment: part, .. }
                | Payload::Continuation { fragment: part },
            ) => check(part.len() == prefix.content_bytes as usize, "another length"),
            Ok(Payload::Settings(settings)) => {
                check(settings.iter().count() * 6 == payload.len(), "settings are left out");
            }
            Ok(_) => {}
            Err(_) => {
                let is_cut = payload.len() < head.payload_bytes as usize;
                // All other rules are about the head, or about its beginning.
                let is_window = head.kind == Kind::WindowUpdate;
                check(is_cut || is_window || !is_good, "a good head with a bad payload");
            }
        }
    }
}

/// What a decoder tells of a field: name and value, as far as they are known.
type Told = (Option<Vec<u8>>, Option<Vec<u8>>);

fn fields(
    decoder: &mut hpack::Decoder,
    block: &[u8],
) -> (Vec<Told>, Result<Extent, hpack::HpackError>) {
    let mut told = Vec::new();
    let mut bytes = 0;
    let extent = decoder.decode(block, |field| {
        let (name, value) = match field {
            Field::Known { name, value, .. } => (Some(name.to_vec()), Some(value.to_vec())),
            Field::UnknownName { value, .. } => (None, Some(value.to_vec())),
            Field::Unknown => (None, None),
        };
        bytes += [&name, &value].into_iter().flatten().map(Vec::len).sum::<usize>() + 32;
        told.push((name, value));
    });
    check(bytes <= limits::MAX_FIELD_LIST_BYTES, "passes on more than the limit");
    check(decoder.buffered() <= MAX_DECODER_BYTES, "a decoder holds more than the limit");
    (told, extent)
}

struct Run {
    table: FlowTable,
    positions: [[u64; 2]; 2],
    clock_ns: u64,
    kept: Vec<(SegmentHead, Vec<u8>)>,
    delivered: u64,
    framed: u64,
}

impl Run {
    fn new() -> Self {
        let options = Options {
            retain_body_bytes: 64,
            excerpt: Some(Excerpt { unless_path_has: "/a", bytes: 8 }),
            digest_bodies: true,
            max_connections: 2,
            max_buffered_bytes: MAX_BUFFERED_BYTES,
        };
        let mut table = FlowTable::new(options);
        table.open(1, [0; 2], true, &mut |_| ());
        Self {
            table,
            positions: [[0; 2]; 2],
            clock_ns: 1,
            kept: Vec::new(),
            delivered: 0,
            framed: 0,
        }
    }

    fn operation(&mut self, operation: u8, bytes: &[u8]) {
        self.clock_ns += 1;
        let other = operation & 0x80 != 0;
        let connection = if other { 2 } else { 1 };
        let [read, write] = self.positions.get(usize::from(other)).copied().unwrap_or_default();
        let now = self.clock_ns;
        let Self { table, framed, .. } = self;
        let out = &mut |exchange: Exchange| *framed += seen(&exchange);
        match operation & 7 {
            0 | 1 => self.bytes(operation, connection, bytes),
            2 => table.watermark(now.saturating_sub(bytes.len() as u64), out),
            3 => table.end(connection, Direction::Read, read, now, out),
            4 => table.end(connection, Direction::Write, write, now, out),
            5 => table.close(connection, [read, write], now, out),
            6 => table.abandon(connection, out),
            _ => self.deliver_kept(),
        }
        let held = self.table.stats().buffered_bytes;
        check(held <= MAX_BUFFERED_BYTES, "holds more than the limit");
    }

    fn bytes(&mut self, operation: u8, connection: u64, bytes: &[u8]) {
        let direction = if operation & 1 == 0 { Direction::Read } else { Direction::Write };
        let positions = self.positions.get_mut(usize::from(connection == 2));
        let Some(position) = positions.and_then(|both| both.get_mut(direction.index())) else {
            return;
        };
        let len_captured = u32::from(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
        let len_total = if operation & 0x40 == 0 { len_captured } else { 2 * len_captured };
        let head = SegmentHead {
            connection,
            position: *position,
            ktime_ns: self.clock_ns,
            cpu_sequence: 0,
            len_total,
            len_captured,
            cpu: 0,
            direction: direction as u8,
            cause: HoleCause::Fault as u8,
            flags: if operation & 8 == 0 { 0 } else { flags::CALL_START },
            caller: (bytes.len() % CALLERS) as u16,
        };
        *position += u64::from(len_total);
        if operation & 0x10 != 0 {
            return;
        }
        if operation & 0x20 != 0 {
            self.kept.push((head, bytes.to_vec()));
            return;
        }
        self.deliver(&head, bytes);
    }

    fn deliver_kept(&mut self) {
        while let Some((head, bytes)) = self.kept.pop() {
            self.deliver(&head, &bytes);
        }
    }

    fn deliver(&mut self, head: &SegmentHead, bytes: &[u8]) {
        self.delivered += bytes.len() as u64;
        let Self { table, framed, .. } = self;
        table.segment(head, bytes, &mut |exchange| *framed += seen(&exchange));
    }

    fn finish(mut self) {
        self.deliver_kept();
        let Self { mut table, mut framed, delivered, .. } = self;
        table.finish(&mut |exchange| framed += seen(&exchange));
        let stats = table.stats();
        let accounted = framed + stats.skipped_bytes + stats.duplicate_bytes;
        check(accounted == delivered, "bytes are not accounted for");
        check(stats.buffered_bytes == 0 && stats.connections == 0, "something is left");
    }
}

/// Bytes of the exchange that arrived; checks that its parts agree with each other.
fn seen(exchange: &Exchange) -> u64 {
    let Exchange { request, response, completeness, .. } = exchange;
    check(request.is_some() || response.is_some(), "an empty exchange");
    let bodies = [request.as_ref().map(|r| &r.body), response.as_ref().map(|r| &r.body)];
    for (body, seen) in bodies.into_iter().zip([&completeness.request, &completeness.response]) {
        check(seen.missing_bytes <= seen.framed_bytes, "more is missing than there is");
        if let Some(body) = body {
            check(body.bytes.len() as u64 <= body.length, "more is kept than there is");
            check(body.missing <= seen.missing_bytes, "the missing bytes do not add up");
            check(body.length <= seen.framed_bytes, "the body is longer than the message");
        }
    }
    if completeness.is_complete() {
        check(request.is_some() && response.is_some(), "complete without a part");
        check(
            bodies.iter().flatten().all(|body| body.sha256.is_some()),
            "complete without a digest",
        );
    }
    [&completeness.request, &completeness.response]
        .into_iter()
        .map(|seen| seen.framed_bytes - seen.missing_bytes)
        .sum()
}

fn check(holds: bool, otherwise: &str) {
    if !holds {
        panic!("{otherwise}");
    }
}

const MAX_BUFFERED_BYTES: usize = 16 << 10;

/// Who makes calls: somebody unknown, and some others.
const CALLERS: usize = 3;

/// Beginnings of a hello that are read as well.
const CUTS: usize = 32;

const SMALL_TABLE_BYTES: u32 = 256;

/// The table with its entries, as much room for the texts of one block, and the rest of growing.
const MAX_DECODER_BYTES: usize = 4 * limits::MAX_HPACK_TABLE_BYTES;
