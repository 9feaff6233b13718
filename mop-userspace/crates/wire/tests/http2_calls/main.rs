//! Calls of a real client and a real server over HTTP/2, in every order, from every point on, and
//! with every loss.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod talk;
mod upgrade;

use common::{CONNECTION, Script, Segment, TICK_NS};
use mop_common::Direction;
use mop_corpus::Random;
use mop_wire::{Ending, Excerpt, Exchange, FlowStats, FlowTable, Headers, Options, Version};
use talk::{Call, Message, calls, talk};

/// Conversations of each test.
const ROUNDS: u64 = 12;

#[test]
fn every_call_is_reported_as_both_ends_know_it() {
    for seed in 1..=ROUNDS {
        let mut random = Random::new(seed);
        let calls = calls(1 + random.below(30), &mut random);
        let script = script(&talk(&calls, 1 + random.below(6)), &mut random);
        let (exchanges, stats) = deliver(&script, &script.segments, [0; 2], true);
        check_books(&exchanges, &stats, &script.segments, 0);
        assert_eq!(exchanges.len(), calls.len(), "seed {seed}");
        for exchange in &exchanges {
            let call = of(exchange, &calls).unwrap();
            let expected = if call.is_reset { Ending::Reset } else { Ending::Complete };
            assert_eq!(exchange.completeness.ending, expected, "{call:?}");
            compare(exchange, call);
        }
    }
}

#[test]
fn the_order_of_lanes_does_not_matter() {
    for seed in 1..=ROUNDS {
        let mut random = Random::new(seed ^ 0xff00);
        let calls = calls(1 + random.below(20), &mut random);
        let script = script(&talk(&calls, 4), &mut random);
        let mut segments = script.segments.clone();
        for at in 1..segments.len() {
            segments.swap(at, at - random.below(at.min(6)));
        }
        let (exchanges, stats) = deliver(&script, &segments, [0; 2], true);
        check_books(&exchanges, &stats, &segments, 0);
        assert_eq!(exchanges.len(), calls.len(), "seed {seed}");
        for exchange in &exchanges {
            compare(exchange, of(exchange, &calls).unwrap());
        }
    }
}

#[test]
fn a_connection_that_is_joined_midway_gives_all_bodies_and_no_guess() {
    let (mut unknown, mut healed) = (0, 0);
    for seed in 1..=ROUNDS {
        let mut random = Random::new(seed ^ 0x00ff);
        let calls = calls(40, &mut random);
        let log = talk(&calls, 1);
        for _ in 0..6 {
            let joined = random.below(log.len());
            let origins = positions(&log[..joined]);
            let script = script(&log[joined..], &mut random);
            let (exchanges, stats) = deliver(&script, &script.segments, origins, false);
            check_books(&exchanges, &stats, &script.segments, 0);
            let mut last = None;
            for exchange in &exchanges {
                let Some(call) = of(exchange, &calls) else {
                    // Its target is unknown, or it began before the join.
                    assert_ne!(exchange.completeness.ending, Ending::Complete, "{exchange:?}");
                    continue;
                };
                last = Some(call.path.as_str());
                match exchange.completeness.ending {
                    Ending::Complete => {
                        healed += 1;
                        compare(exchange, call);
                    }
                    Ending::FieldsUnknown => {
                        unknown += 1;
                        compare_known(exchange, call);
                    }
                    Ending::Reset => assert!(call.is_reset),
                    Ending::RequestUnseen | Ending::LostInHole => {}
                    ending => panic!("seed {seed}: {ending:?} {exchange:?}"),
                }
            }
            if joined < log.len() / 2 {
                assert_eq!(last, Some(calls[39].path.as_str()), "seed {seed} from {joined}");
            }
        }
    }
    assert!(unknown > 1000 && healed > 50, "{unknown} {healed}");
}

#[test]
fn what_is_lost_never_makes_a_wrong_call() {
    let (mut complete, mut incomplete) = (0, 0);
    for seed in 1..=ROUNDS {
        let mut random = Random::new(seed ^ 0xf0f0);
        let calls = calls(25, &mut random);
        let log = talk(&calls, 1 + random.below(4));
        for _ in 0..12 {
            let script = script(&log, &mut random);
            let mut segments = script.segments.clone();
            let mut missing = 0;
            for _ in 0..=random.below(3) {
                let lost = segments.remove(random.below(segments.len()));
                missing += lost.bytes.len() as u64;
            }
            let (exchanges, stats) = deliver(&script, &segments, [0; 2], true);
            check_books(&exchanges, &stats, &segments, missing);
            for exchange in &exchanges {
                if exchange.completeness.is_complete() {
                    complete += 1;
                    compare(exchange, of(exchange, &calls).unwrap());
                } else {
                    incomplete += 1;
                    if let (Ending::FieldsUnknown, Some(call)) =
                        (exchange.completeness.ending, of(exchange, &calls))
                    {
                        compare_known(exchange, call);
                    }
                }
            }
        }
    }
    assert!(complete > 1000 && incomplete > 100, "{complete} {incomplete}");
}

#[test]
fn what_comes_while_a_gap_is_waited_for_is_not_lost_with_it() {
    const CALLS: usize = 2_500;
    let mut random = Random::new(0x0f0f);
    let mut calls = calls(CALLS, &mut random);
    for call in &mut calls {
        // So small that the gap is waited for, and not given up for the room that the rest takes.
        call.request.content.truncate(40);
        call.response.content.truncate(40);
    }
    let mut script = Script { tick_ns: 10_000, ..Script::default() };
    for (direction, bytes) in talk(&calls, 3) {
        script.say(direction, bytes);
    }
    for round in 0..8 {
        let mut segments = script.segments.clone();
        // Early, so that more comes behind it than streams may be open.
        let direction = Direction::ALL[round % 2] as u8;
        let after = random.below(segments.len() / 20);
        let is_in = |segment: &Segment| segment.head.direction == direction;
        let lost = segments.iter().skip(after).position(is_in).unwrap() + after;
        let lost = segments.remove(lost);
        let missing = lost.bytes.len() as u64;
        let (at_once, _) = deliver(&script, &segments, [0; 2], true);
        let mut table = FlowTable::new(Options { digest_bodies: true, ..Options::default() });
        let mut exchanges = Vec::new();
        let out = &mut |exchange| exchanges.push(exchange);
        table.open(CONNECTION, [0; 2], true, out);
        for Segment { head, bytes } in &segments {
            table.segment(head, bytes, out);
        }
        table.close(CONNECTION, script.positions, script.clock_ns, out);
        table.finish(out);
        check_books(&exchanges, &table.stats(), &segments, missing);
        assert_eq!(table.stats().limit_reached, 0);
        let complete = |exchanges: &[Exchange]| {
            let complete = exchanges.iter().filter(|exchange| exchange.completeness.is_complete());
            complete.inspect(|exchange| compare(exchange, of(exchange, &calls).unwrap())).count()
        };
        assert_eq!(complete(&exchanges), complete(&at_once));
    }
}

#[test]
fn of_responses_that_nobody_reads_the_beginning_is_kept() {
    let excerpt = Excerpt { unless_path_has: "1", bytes: 10 };
    let (mut cut, mut whole) = (0, 0);
    for seed in 1..=ROUNDS {
        let mut random = Random::new(seed);
        let calls = calls(1 + random.below(30), &mut random);
        let script = script(&talk(&calls, 1 + random.below(6)), &mut random);
        let options = Options { excerpt: Some(excerpt), ..Options::default() };
        let (exchanges, _) = deliver_with(&script, &script.segments, ([0; 2], true), options);
        for exchange in &exchanges {
            let call = of(exchange, &calls).unwrap();
            let Some(response) = exchange.response.as_ref().filter(|_| !call.is_reset) else {
                continue;
            };
            let path = call.path.split('?').next().unwrap();
            let is_cut =
                !path.contains('1') && response.headers.first("content-encoding").is_none();
            let content = &call.response.content;
            let kept = if is_cut { &content[..content.len().min(10)] } else { &content[..] };
            assert!(response.body.bytes == kept, "{call:?}");
            assert_eq!(response.body.length, content.len() as u64);
            cut += usize::from(kept.len() < content.len());
            whole += usize::from(!is_cut && kept.len() > 10);
        }
    }
    assert!(cut > 20 && whole > 20, "{cut} {whole}");
}

/// The writes as segments of other sizes.
fn script(log: &[(Direction, Vec<u8>)], random: &mut Random) -> Script {
    let mut script = Script::default();
    for (direction, bytes) in log {
        let piece = *random.pick(&[usize::MAX, 16 << 10, 4096, 700, 33]);
        script.say_in_pieces(*direction, bytes, piece.max(bytes.len() / 64));
    }
    script
}

fn positions(log: &[(Direction, Vec<u8>)]) -> [u64; 2] {
    Direction::ALL.map(|of| {
        let bytes = log.iter().filter(|(direction, _)| *direction == of);
        bytes.map(|(_, bytes)| bytes.len() as u64).sum()
    })
}

fn deliver(
    script: &Script,
    segments: &[Segment],
    origins: [u64; 2],
    from_start: bool,
) -> (Vec<Exchange>, FlowStats) {
    deliver_with(script, segments, (origins, from_start), Options::default())
}

fn deliver_with(
    script: &Script,
    segments: &[Segment],
    (origins, from_start): ([u64; 2], bool),
    options: Options,
) -> (Vec<Exchange>, FlowStats) {
    let mut table = FlowTable::new(Options { digest_bodies: true, ..options });
    let mut exchanges = Vec::new();
    let out = &mut |exchange| exchanges.push(exchange);
    table.open(CONNECTION, origins, from_start, out);
    let mut earliest: Vec<_> = segments.iter().map(|segment| segment.head.ktime_ns).collect();
    for index in (1..earliest.len()).rev() {
        earliest[index - 1] = earliest[index - 1].min(earliest[index]);
    }
    for (index, Segment { head, bytes }) in segments.iter().enumerate() {
        let mut head = *head;
        head.position += origins[usize::from(head.direction)];
        table.segment(&head, bytes, out);
        if let Some(ktime_ns) = earliest.get(index + 1) {
            table.watermark(*ktime_ns, out);
        }
    }
    let ends = [0, 1].map(|of| origins[of] + script.positions[of]);
    table.close(CONNECTION, ends, script.clock_ns + TICK_NS, out);
    table.watermark(script.clock_ns + 2 * TICK_NS, out);
    assert_eq!(table.stats().connections, 0, "closed and complete, but still there");
    assert_eq!(table.stats().buffered_bytes, 0);
    (exchanges, table.stats())
}

/// Every byte that arrived is in an exchange or counted as skipped; every other is in a hole.
fn check_books(exchanges: &[Exchange], stats: &FlowStats, segments: &[Segment], missing: u64) {
    let arrived: u64 = segments.iter().map(|segment| segment.bytes.len() as u64).sum();
    let framed: u64 = exchanges
        .iter()
        .flat_map(|exchange| [&exchange.completeness.request, &exchange.completeness.response])
        .map(|seen| seen.framed_bytes - seen.missing_bytes)
        .sum();
    assert_eq!(framed + stats.skipped_bytes, arrived, "{stats:?}");
    assert_eq!(stats.hole_bytes.iter().sum::<u64>(), missing);
    assert_eq!(stats.exchanges, exchanges.len() as u64);
}

/// The call of an exchange, by its target or by the number in its fields.
fn of<'c>(exchange: &Exchange, calls: &'c [Call]) -> Option<&'c Call> {
    let target = &exchange.request.as_ref()?.target;
    calls.iter().find(|call| call.path == *target)
}

fn compare(exchange: &Exchange, call: &Call) {
    let request = exchange.request.as_ref().unwrap();
    assert_eq!((&*request.method, request.version), (call.method, Version::Http2));
    assert_eq!(request.headers.first("host"), Some(&b"api.example.com"[..]));
    compare_fields(&request.headers, &call.request.fields);
    compare_content(&request.body, &call.request);
    // What the server gives up it may give up before its head was sent.
    if call.is_reset && exchange.response.is_none() {
        return;
    }
    let response = exchange.response.as_ref().unwrap();
    assert_eq!(response.status, call.status);
    compare_fields(&response.headers, &call.response.fields);
    if !call.is_reset {
        compare_content(&response.body, &call.response);
    }
}

fn compare_content(body: &mop_wire::Body, message: &Message) {
    assert!(body.is_whole());
    assert_eq!(body.length, message.content.len() as u64);
    assert!(body.bytes == message.content, "other content");
    assert_eq!(body.trailers.len(), message.trailers.len());
    compare_fields(&body.trailers, &message.trailers);
}

/// All fields of the call are there, those of one name in their order, and none but what the
/// libraries add.
fn compare_fields(headers: &Headers, fields: &[(&'static str, String)]) {
    for (name, _) in fields {
        let expected = fields.iter().filter(|(other, _)| other == name);
        let expected: Vec<_> = expected.map(|(_, value)| value.as_bytes()).collect();
        assert_eq!(headers.values(name).collect::<Vec<_>>(), expected, "{name}");
    }
    for (name, _) in headers.iter() {
        let is_added = matches!(name, "host" | "date" | "content-length");
        assert!(is_added || fields.iter().any(|(known, _)| *known == name), "{name}");
    }
}

/// Nothing of what is known is wrong, and the content is there.
fn compare_known(exchange: &Exchange, call: &Call) {
    let request = exchange.request.as_ref().unwrap();
    assert!(request.method.is_empty() || request.method == call.method);
    let known = |headers: &Headers, fields: &[(&'static str, String)]| {
        for (name, value) in headers.iter() {
            let is_right = fields.iter().any(|(n, v)| *n == name && v.as_bytes() == value);
            assert!(is_right || matches!(name, "host" | "date" | "content-length"), "{name}");
        }
    };
    known(&request.headers, &call.request.fields);
    assert!(request.body.missing > 0 || request.body.bytes == call.request.content);
    let response = exchange.response.as_ref().unwrap();
    assert!(response.status == 0 || response.status == call.status);
    known(&response.headers, &call.response.fields);
    assert!(response.body.missing > 0 || response.body.bytes == call.response.content);
}
