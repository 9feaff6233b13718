//! What holds for every conversation, in every order, and with every loss.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use common::{
    CONNECTION, Script, Segment, TICK_NS,
    conversation::{conversations, shuffle},
    summaries,
};
use mop_common::{Direction, SegmentHead, flags};
use mop_wire::{Exchange, FlowStats, FlowTable, Options, limits};
use proptest::prelude::*;

/// When the watermark moves.
#[derive(Clone, Copy, Debug)]
enum Watermark {
    /// Never, before all was delivered.
    AtTheEnd,
    /// After each segment, as far as the promise allows.
    AtOnce,
}

fn deliver(
    script: &Script,
    segments: &[Segment],
    watermark: Watermark,
) -> (Vec<Exchange>, FlowStats) {
    let mut table = FlowTable::new(Options { digest_bodies: true, ..Options::default() });
    let mut exchanges = Vec::new();
    let out = &mut |exchange| exchanges.push(exchange);
    table.open(CONNECTION, [0; 2], true, out);
    // The earliest stamp among the segments from each one on.
    let mut earliest: Vec<_> = segments.iter().map(|segment| segment.head.ktime_ns).collect();
    for index in (1..earliest.len()).rev() {
        earliest[index - 1] = earliest[index - 1].min(earliest[index]);
    }
    for (index, Segment { head, bytes }) in segments.iter().enumerate() {
        table.segment(head, bytes, out);
        if let (Watermark::AtOnce, Some(ktime_ns)) = (watermark, earliest.get(index + 1)) {
            table.watermark(*ktime_ns, out);
        }
    }
    table.close(CONNECTION, script.positions, script.clock_ns + TICK_NS, out);
    table.watermark(script.clock_ns + 2 * TICK_NS, out);
    assert_eq!(table.stats().connections, 0, "closed and complete, but still there");
    assert_eq!(table.stats().buffered_bytes, 0);
    table.finish(out);
    (exchanges, table.stats())
}

/// Every byte that arrived is in an exchange or counted as skipped; every other is in a hole.
fn check_books(
    exchanges: &[Exchange],
    stats: &FlowStats,
    arrived: u64,
    missing: u64,
) -> Result<(), TestCaseError> {
    let framed: u64 = exchanges
        .iter()
        .flat_map(|exchange| [&exchange.completeness.request, &exchange.completeness.response])
        .map(|seen| seen.framed_bytes - seen.missing_bytes)
        .sum();
    prop_assert_eq!(framed + stats.skipped_bytes, arrived);
    prop_assert_eq!(stats.hole_bytes.iter().sum::<u64>(), missing);
    prop_assert_eq!(stats.exchanges, exchanges.len() as u64);
    let incomplete = exchanges.iter().filter(|exchange| !exchange.completeness.is_complete());
    prop_assert_eq!(stats.incomplete, incomplete.count() as u64);
    Ok(())
}

fn bytes(segments: &[Segment]) -> u64 {
    segments.iter().map(|segment| segment.bytes.len() as u64).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_of_delivery_does_not_matter(
        conversation in conversations(4),
        keys in prop::collection::vec(any::<u32>(), 1..64),
        reach in 1..200_usize,
    ) {
        let script = conversation.script();
        let (expected, stats) = script.run();
        prop_assert_eq!(expected.len(), conversation.len());
        for exchange in &expected {
            prop_assert!(exchange.completeness.is_complete());
            prop_assert!(conversation.contains(exchange), "{:?}", exchange);
        }
        check_books(&expected, &stats, bytes(&script.segments), 0)?;
        let mut segments = script.segments.clone();
        let (whole, _) = deliver(&script, &segments, Watermark::AtOnce);
        shuffle(&mut segments, &keys, reach);
        for watermark in [Watermark::AtTheEnd, Watermark::AtOnce] {
            let (exchanges, stats) = deliver(&script, &segments, watermark);
            prop_assert_eq!(&exchanges, &whole);
            check_books(&exchanges, &stats, bytes(&segments), 0)?;
        }
    }

    #[test]
    fn one_lost_segment_never_makes_a_wrong_exchange(
        conversation in conversations(3),
        keys in prop::collection::vec(any::<u32>(), 1..64),
        reach in 1..20_usize,
    ) {
        let script = conversation.script();
        for lost in 0..script.segments.len() {
            let mut segments = script.segments.clone();
            let missing = segments.remove(lost).bytes.len() as u64;
            shuffle(&mut segments, &keys, reach);
            for watermark in [Watermark::AtTheEnd, Watermark::AtOnce] {
                let (exchanges, stats) = deliver(&script, &segments, watermark);
                check_books(&exchanges, &stats, bytes(&segments), missing)?;
                for exchange in &exchanges {
                    if exchange.completeness.is_complete() {
                        prop_assert!(
                            conversation.contains(exchange),
                            "without segment {}: {:?}", lost, summaries(&exchanges)
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn many_lost_segments_never_make_a_wrong_exchange_of_calls_in_turn(
        conversation in conversations(1),
        lost in prop::collection::vec(prop::bool::weighted(0.1), 1..97),
    ) {
        let script = conversation.script();
        let mut lost = lost.iter().cycle();
        let (gone, left): (Vec<_>, Vec<_>) =
            script.segments.iter().cloned().partition(|_| *lost.next().unwrap());
        for watermark in [Watermark::AtTheEnd, Watermark::AtOnce] {
            let (exchanges, stats) = deliver(&script, &left, watermark);
            check_books(&exchanges, &stats, bytes(&left), bytes(&gone))?;
            for exchange in &exchanges {
                if exchange.completeness.is_complete() {
                    prop_assert!(conversation.contains(exchange), "{:?}", summaries(&exchanges));
                }
            }
        }
    }

    #[test]
    fn calls_of_several_threads_are_never_paired_wrongly(
        turns in prop::collection::vec(turns(), 2..100),
        lost in prop::collection::vec(prop::bool::weighted(0.1), 1..97),
        callers_are_known in prop::bool::weighted(0.8),
    ) {
        let script = script_of(&turns, callers_are_known);
        let mut lost = lost.iter().cycle();
        let left: Vec<_> =
            script.segments.iter().filter(|_| !*lost.next().unwrap()).cloned().collect();
        for watermark in [Watermark::AtTheEnd, Watermark::AtOnce] {
            let (exchanges, _) = deliver(&script, &left, watermark);
            for exchange in exchanges.iter().filter(|it| it.completeness.is_complete()) {
                let target = exchange.request.as_ref().map(|request| request.target.as_str());
                let status = exchange.response.as_ref().map(|response| response.status);
                let answer = status.map(|status| format!("/{}", status - FIRST_STATUS));
                prop_assert_eq!(target, answer.as_deref(), "{:?}", summaries(&exchanges));
            }
        }
    }

    #[test]
    fn hostile_segments_cost_bounded_memory(
        segments in prop::collection::vec(hostile_segments(), 1..200),
        max_buffered_bytes in 1_000..20_000_usize,
        max_connections in 1..5_usize,
    ) {
        let options = Options {
            max_buffered_bytes,
            max_connections,
            retain_body_bytes: 1_000,
            ..Options::default()
        };
        let mut table = FlowTable::new(options);
        let out = &mut |_| ();
        for (head, bytes, watermark) in &segments {
            table.segment(head, bytes, out);
            prop_assert!(table.stats().buffered_bytes <= max_buffered_bytes);
            prop_assert!(table.stats().connections <= max_connections);
            if let Some(ktime_ns) = watermark {
                table.watermark(*ktime_ns, out);
            }
        }
        table.finish(out);
        prop_assert_eq!(table.stats().buffered_bytes, 0);
        prop_assert_eq!(table.stats().connections, 0);
    }
}

/// One call of a client, whose threads take over from each other.
#[derive(Clone, Debug)]
struct Turn {
    writer: usize,
    reader: usize,
    /// How long the write takes to return once the request is on its way.
    write_returns_after_ns: u64,
    answer_comes_after_ns: u64,
    rests_ns: u64,
}

fn turns() -> impl Strategy<Value = Turn> {
    let late = prop_oneof![3 => 0..2_000_u64, 1 => 0..limits::STAMP_SLACK_NS];
    (0..2_usize, 0..2_usize, late, 1_000..50_000_u64, 1_000..30_000_u64).prop_map(
        |(writer, reader, write_returns_after_ns, answer_comes_after_ns, rests_ns)| Turn {
            writer,
            reader,
            write_returns_after_ns,
            answer_comes_after_ns,
            rests_ns,
        },
    )
}

/// The calls one after the other: each begins when the response of the one before has been read. A thread
/// that writes may be held up before its call returns, while another one reads the response and goes on.
fn script_of(turns: &[Turn], callers_are_known: bool) -> Script {
    let mut script = Script::default();
    let mut now_ns = 0;
    let mut is_free_at_ns = [0_u64; 2];
    let mut written_at_ns = 0;
    // As the kernel side does: a number for each time that another one takes over.
    let mut returns = Vec::new();
    for (number, turn) in turns.iter().enumerate() {
        let entered_ns = now_ns.max(is_free_at_ns[turn.writer]);
        // Two writes do not overtake each other: what they wrote would be in disorder.
        written_at_ns = (entered_ns + turn.write_returns_after_ns).max(written_at_ns + 1);
        is_free_at_ns[turn.writer] = written_at_ns;
        let answered_ns = entered_ns + turn.answer_comes_after_ns;
        let read_ns = answered_ns.max(is_free_at_ns[turn.reader] + 1);
        is_free_at_ns[turn.reader] = read_ns;
        now_ns = read_ns + turn.rests_ns;
        let request = format!("GET /{number} HTTP/1.1\r\n\r\n");
        let status = FIRST_STATUS + number as u16;
        let response = format!("HTTP/1.1 {status} A\r\nContent-Length: 0\r\n\r\n");
        returns.push((written_at_ns, turn.writer, Direction::Write, request));
        returns.push((read_ns, turn.reader, Direction::Read, response));
    }
    returns.sort_by_key(|(ktime_ns, ..)| *ktime_ns);
    let (mut callers, mut last) = (0, None);
    for (ktime_ns, thread, direction, bytes) in returns {
        callers += u16::from(last.replace(thread) != Some(thread));
        script.caller = if callers_are_known { callers } else { 0 };
        script.clock_ns = ktime_ns - script.tick_ns.min(ktime_ns);
        script.tick_ns = ktime_ns - script.clock_ns;
        script.say(direction, bytes);
        script.tick_ns = TICK_NS;
    }
    script
}

/// Of the first call's response; the others count on.
const FIRST_STATUS: u16 = 200;

/// Enough for each run of the tests; `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    asked.unwrap_or(100)
}

fn hostile_segments() -> impl Strategy<Value = (SegmentHead, Vec<u8>, Option<u64>)> {
    let words = prop_oneof![
        Just("GET / HTTP/1.1\r\n"),
        Just("POST /a HTTP/1.1\r\n"),
        Just("HTTP/1.1 200 OK\r\n"),
        Just("HEAD / HTTP/1.0\r\n"),
        Just("\r\n"),
        Just("\n"),
        Just("Content-Length: 5\r\n"),
        Just("Transfer-Encoding: chunked\r\n"),
        Just("Upgrade: x\r\n"),
        Just("CONNECT a HTTP/1.1\r\n"),
        Just("5\r\nhello\r\n"),
        Just("0\r\n\r\n"),
        Just("ffffffffffffffff\r\n"),
        Just("HTTP/1.1 101 X\r\n"),
        Just("Content-Length: 18446744073709551615\r\n"),
        Just("\0\u{ff}"),
        Just("H"),
        Just("HTTP/1.1 100 Continue\r\n\r\n"),
    ];
    let bytes = prop::collection::vec(words, 0..8).prop_map(|words| words.concat().into_bytes());
    let position = prop_oneof![0..400_u64, Just(u64::MAX - 3), any::<u64>()];
    let missing = prop_oneof![4 => Just(0_u32), 1 => 0..50_u32, 1 => any::<u32>()];
    (
        bytes,
        position,
        missing,
        0..100_u64,
        1..7_u64,
        0..3_u8,
        any::<u8>(),
        any::<bool>(),
        prop::option::weighted(0.2, 0..100_u64),
    )
        .prop_map(
            |(
                bytes,
                position,
                missing,
                ktime_ns,
                connection,
                direction,
                cause,
                starts,
                watermark,
            )| {
                let len_captured = bytes.len() as u32;
                let head = SegmentHead {
                    connection,
                    position,
                    ktime_ns,
                    cpu_sequence: 0,
                    len_total: len_captured.saturating_add(missing),
                    len_captured,
                    cpu: 0,
                    direction,
                    cause: cause % 12,
                    flags: if starts { flags::CALL_START } else { 0 },
                    caller: 0,
                };
                (head, bytes, watermark)
            },
        )
}

#[test]
fn a_body_of_a_gibibyte_takes_constant_memory() {
    let mut table = FlowTable::new(Options::default());
    let mut exchanges = Vec::new();
    let out = &mut |exchange| exchanges.push(exchange);
    let mut script = Script::default();
    let length = 1_u64 << 30;
    script
        .read("GET / HTTP/1.1\r\n\r\n")
        .write(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"));
    table.open(CONNECTION, [0; 2], true, out);
    for Segment { head, bytes } in &script.segments {
        table.segment(head, bytes, out);
    }
    let piece = vec![b'x'; 64 << 10];
    let mut head = script.segments[1].head;
    head.position = script.positions[1];
    head.len_total = piece.len() as u32;
    head.len_captured = head.len_total;
    for _ in 0..length / piece.len() as u64 {
        head.ktime_ns += 1;
        table.segment(&head, &piece, out);
        head.position += piece.len() as u64;
        assert!(table.stats().buffered_bytes < 3 * limits::DEFAULT_RETAIN_BODY_BYTES);
    }
    assert_eq!(exchanges.len(), 1);
    let body = &exchanges[0].response.as_ref().unwrap().body;
    assert_eq!((body.length, body.bytes.len()), (length, limits::DEFAULT_RETAIN_BODY_BYTES));
    assert!(exchanges[0].completeness.is_complete());
}

#[test]
fn memory_returns_after_ten_thousand_connections() {
    let mut table = FlowTable::new(Options::default());
    let mut count = 0;
    let out = &mut |_| count += 1;
    let mut script = Script::default();
    script
        .read("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody")
        .write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    for connection in 0..10_000 {
        table.open(connection, [0; 2], true, out);
        for Segment { head, bytes } in &script.segments {
            table.segment(&SegmentHead { connection, ..*head }, bytes, out);
        }
    }
    assert_eq!(table.stats().connections, 10_000);
    // An idle connection costs its parser and the place for one request.
    let idle = table.stats().buffered_bytes / 10_000;
    assert!(idle < 1_500, "{idle} bytes per idle connection");
    for connection in 0..10_000 {
        table.close(connection, script.positions, 1_000, out);
    }
    assert_eq!(table.stats().connections, 0);
    assert_eq!(table.stats().buffered_bytes, 0);
    assert_eq!(count, 10_000);
}

#[test]
fn the_least_recently_active_connection_makes_room() {
    let mut table = FlowTable::new(Options { max_connections: 2, ..Options::default() });
    let mut connections = Vec::new();
    let out = &mut |exchange: Exchange| connections.push(exchange.connection);
    let mut script = Script::default();
    script.read("GET / HTTP/1.1\r\n\r\n");
    let Segment { head, bytes } = &script.segments[0];
    for connection in [1, 2] {
        table.open(connection, [0; 2], true, out);
        table.segment(&SegmentHead { connection, ..*head }, bytes, out);
    }
    let again = SegmentHead { connection: 1, position: head.end(), ..*head };
    table.segment(&again, bytes, out);
    table.open(3, [0; 2], true, out);
    assert_eq!(table.stats().evicted, 1);
    assert_eq!(connections, [2]);
}

#[test]
fn too_much_behind_a_gap_makes_it_a_hole() {
    let mut table = FlowTable::new(Options::default());
    let out = &mut |_| ();
    table.open(CONNECTION, [0; 2], true, out);
    let mut script = Script::default();
    script.lose(Direction::Read, "x");
    for _ in 0..=limits::MAX_REORDER_PIECES {
        script.read("y");
    }
    for Segment { head, bytes } in &script.segments {
        table.segment(head, bytes, out);
    }
    let stats = table.stats();
    assert_eq!(stats.hole_bytes_by(mop_common::HoleCause::ReorderLimit), 1);
    assert_eq!(stats.skipped_bytes, limits::MAX_REORDER_PIECES as u64 + 1);
}
