//! Conversations, and the exchanges that must come out of them.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use common::{CONNECTION, Script, TICK_NS, summaries};
use mop_common::Direction::{Read, Write};
use mop_wire::{Anomaly, Ending, Excerpt, FlowTable, Options, Role, limits};

const GET: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Runs a conversation in every cut of its calls into pieces, and expects these exchanges.
#[track_caller]
fn expect(conversation: &[(mop_common::Direction, &str)], expected: &[&str]) {
    for piece in [usize::MAX, 7, 3, 2, 1] {
        let mut script = Script::default();
        for (direction, bytes) in conversation {
            script.say_in_pieces(*direction, bytes, piece);
        }
        let (exchanges, stats) = script.run();
        assert_eq!(summaries(&exchanges), expected, "in pieces of {piece}");
        let seen: u64 = exchanges
            .iter()
            .flat_map(|exchange| [&exchange.completeness.request, &exchange.completeness.response])
            .map(|seen| seen.framed_bytes - seen.missing_bytes)
            .sum();
        let total: u64 = script.positions.iter().sum();
        assert_eq!(seen + stats.skipped_bytes, total, "in pieces of {piece}");
        assert_eq!(stats.buffered_bytes, 0);
        assert_eq!(stats.connections, 0);
    }
}

#[test]
fn keep_alive() {
    expect(
        &[(Read, GET), (Write, OK), (Read, GET), (Write, OK)],
        &["GET /a '' > 200 'ok': complete", "GET /a '' > 200 'ok': complete"],
    );
}

#[test]
fn pipelining() {
    expect(
        &[
            (
                Read,
                "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n\r\nPOST /3 HTTP/1.1\r\nContent-Length: 1\r\n\r\nx",
            ),
            (
                Write,
                "HTTP/1.1 201 A\r\nContent-Length: 0\r\n\r\nHTTP/1.1 202 B\r\nContent-Length: 1\r\n\r\nbHTTP/1.1 204 C\r\n\r\n",
            ),
        ],
        &[
            "GET /1 '' > 201 '': complete",
            "GET /2 '' > 202 'b': complete",
            "POST /3 'x' > 204 '': complete",
        ],
    );
}

#[test]
fn bodies_by_every_framing() {
    for (request, response, expected) in [
        (GET, "HTTP/1.1 200 OK\r\n\r\nup to the end", "GET /a '' > 200 'up to the end': complete"),
        (GET, "HTTP/1.0 200 OK\r\n\r\n", "GET /a '' > 200 '': complete"),
        (
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: u\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\n!\r\n0\r\n\r\n",
            "POST /a 'abcde' > 200 '!': complete",
        ),
        (
            "HEAD /a HTTP/1.1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
            "HEAD /a '' > 200 '': complete",
        ),
        (
            GET,
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            "GET /a '' > 304 '': complete",
        ),
        (
            "PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "PUT /a 'hi' > 200 '': complete",
        ),
    ] {
        expect(&[(Read, request), (Write, response)], &[expected]);
    }
}

#[test]
fn interim_responses_are_listed() {
    let mut script = Script::default();
    script
        .read("PUT /a HTTP/1.1\r\nContent-Length: 2\r\n\r\n")
        .write("HTTP/1.1 100 Continue\r\n\r\n")
        .read("hi")
        .write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let (exchanges, _) = script.run();
    assert_eq!(exchanges[0].interim, [100]);
    assert_eq!(exchanges[0].timing.request_start_ns, TICK_NS);
    assert_eq!(exchanges[0].timing.request_end_ns, 3 * TICK_NS);
    assert_eq!(exchanges[0].timing.response_start_ns, 4 * TICK_NS);
    assert_eq!(exchanges[0].timing.response_end_ns, 4 * TICK_NS);
}

#[test]
fn the_role_follows_from_who_sends_requests() {
    let mut script = Script::default();
    script.write(GET).read(OK);
    assert_eq!(script.run().0[0].role, Role::Client);
    let mut script = Script::default();
    script.read("HEAD / HTTP/1.1\r\n\r\n").write("HTTP/1.1 204 No\r\n\r\n");
    assert_eq!(script.run().0[0].role, Role::Server);
}

#[test]
fn a_response_that_begins_before_the_request_ended() {
    let long = "POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\nab";
    let refused = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n";
    expect(&[(Read, long), (Write, refused), (Read, "cd")], &["POST /a 'abcd' > 413 '': complete"]);
    expect(&[(Read, long), (Write, refused)], &["POST /a 'ab' > 413 '': request_cut"]);
}

#[test]
fn cut_connections() {
    let part = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart";
    expect(&[(Read, GET), (Write, part)], &["GET /a '' > 200 'part': response_cut"]);
    expect(&[(Read, GET), (Write, "HTTP/1.1 20")], &["GET /a '' > -: response_cut"]);
    expect(&[(Read, GET)], &["GET /a '' > -: response_cut"]);
    expect(
        &[(Read, "POST /a HTTP/1.1\r\nContent-Length: 9\r\n\r\npart")],
        &["POST /a 'part' > -: request_cut"],
    );
    expect(&[(Read, "GET /a HT")], &[]);
    expect(&[(Write, OK)], &["- > 200 'ok': request_unseen"]);
}

#[test]
fn other_protocols_end_the_reading() {
    let upgrade = "GET /ws HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    expect(
        &[
            (Read, upgrade),
            (Write, "HTTP/1.1 101 Switching Protocols\r\n\r\n\x01GET / HTTP/1.1\r\n\r\n"),
            (Read, "GET /not HTTP/1.1\r\n\r\n"),
        ],
        &["GET /ws '' > 101 '': upgraded"],
    );
    expect(
        &[(Read, upgrade), (Write, OK), (Read, GET), (Write, OK)],
        &["GET /ws '' > 200 'ok': complete", "GET /a '' > 200 'ok': complete"],
    );
    let connect = "CONNECT a:443 HTTP/1.1\r\n\r\n";
    expect(
        &[(Read, connect), (Write, "HTTP/1.1 200 OK\r\n\r\n\x16\x03"), (Read, "\x16\x03\x01")],
        &["CONNECT a:443 '' > 200 '': upgraded"],
    );
    expect(
        &[
            (Read, connect),
            (Write, "HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno"),
            (Read, GET),
            (Write, OK),
        ],
        &["CONNECT a:443 '' > 407 'no': complete", "GET /a '' > 200 'ok': complete"],
    );
    expect(&[(Read, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0"), (Write, "\0\0\x06")], &[]);
}

#[test]
fn malformed_messages_are_not_followed() {
    let bad = "POST /a HTTP/1.1\r\nContent-Length: x\r\n\r\nGET /b HTTP/1.1\r\n\r\n";
    let refusal = "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n";
    expect(&[(Read, bad), (Write, refusal)], &["POST /a '' > 400 '': malformed"]);
    expect(&[(Read, "GE T / HTTP/1.1\r\n\r\n"), (Write, refusal)], &["- > 400 '': malformed"]);
    expect(
        &[(Read, GET), (Write, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokX")],
        &["GET /a '' > 200 'ok': malformed"],
    );
}

#[test]
fn anomalies_are_named() {
    let mut script = Script::default();
    script
        .read("POST /a HTTP/1.1\nContent-Length: 1\nTransfer-Encoding: chunked\n\n0\r\n\r\n")
        .write(OK);
    let (exchanges, _) = script.run();
    let anomalies: Vec<_> = exchanges[0].request.as_ref().unwrap().anomalies.iter().collect();
    assert_eq!(anomalies, [Anomaly::BareLineFeed, Anomaly::TransferEncodingAndContentLength]);
}

#[test]
fn a_transfer_coding_in_http_1_0_is_the_last_message() {
    expect(
        &[
            (
                Read,
                "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n",
            ),
            (Write, OK),
        ],
        &["POST /a 'x' > 200 'ok': complete"],
    );
}

#[test]
fn a_connection_whose_opening_was_lost_may_end_before_its_bytes_come() {
    for is_lost in [false, true] {
        let mut table = FlowTable::new(Options::default());
        let mut exchanges = Vec::new();
        let out = &mut |exchange| exchanges.push(exchange);
        let mut script = Script::default();
        script.read(GET).write(OK);
        let [request, response] = script.segments.as_slice() else { unreachable!("two calls") };
        table.segment(&request.head, &request.bytes, out);
        table.close(CONNECTION, script.positions, script.clock_ns, out);
        if !is_lost {
            table.segment(&response.head, &response.bytes, out);
        }
        table.watermark(script.clock_ns + TICK_NS, out);
        assert_eq!(table.stats().connections, 0);
        let (expected, missing) = if is_lost {
            ("GET /a '' > -: lost_in_hole", OK.len() as u64)
        } else {
            ("GET /a '' > 200 'ok': complete", 0)
        };
        assert_eq!(table.stats().hole_bytes.iter().sum::<u64>(), missing);
        assert_eq!(summaries(&exchanges), [expected]);
    }
}

#[test]
fn a_connection_joined_midway() {
    let mut script = Script::default();
    script.read("rest of a body").write(OK).read(GET).write(OK).read(GET).write(OK);
    for (skip, expected) in [
        (
            0,
            vec![
                "- > 200 'ok': request_unseen",
                "GET /a '' > 200 'ok': complete (resynchronised)",
                "GET /a '' > 200 'ok': complete",
            ],
        ),
        (2, vec!["GET /a '' > 200 'ok': complete", "GET /a '' > 200 'ok': complete"]),
        (
            3,
            vec!["- > 200 'ok': request_unseen", "GET /a '' > 200 'ok': complete (resynchronised)"],
        ),
    ] {
        let mut table = FlowTable::new(Options::default());
        let mut exchanges = Vec::new();
        let out = &mut |exchange| exchanges.push(exchange);
        for segment in &script.segments[skip..] {
            table.segment(&segment.head, &segment.bytes, out);
            table.watermark(segment.head.ktime_ns, out);
        }
        table.close(CONNECTION, script.positions, script.clock_ns + 1, out);
        table.finish(out);
        assert_eq!(summaries(&exchanges), expected, "from segment {skip}");
    }
}

/// The next request shows that no other came before it; no watermark has to.
#[test]
fn a_busy_connection_joined_midway_is_followed_at_once() {
    for direction in [Read, Write] {
        let mut script = Script::default();
        let calls = 3 * limits::MAX_OUTSTANDING_REQUESTS;
        for _ in 0..calls {
            script.say(direction, GET).say(direction.opposite(), OK);
        }
        let mut table = FlowTable::new(Options::default());
        let mut exchanges = Vec::new();
        for segment in &script.segments[1..] {
            table.segment(&segment.head, &segment.bytes, &mut |exchange| exchanges.push(exchange));
        }
        let complete = exchanges.iter().filter(|exchange| exchange.completeness.is_complete());
        // The response to the request that was not seen is the other one.
        assert_eq!((exchanges.len(), complete.count()), (calls, calls - 1));
        assert_eq!(table.stats().limit_reached, 0);
    }
}

/// A lane whose next record is being written holds up all that stands behind it.
#[test]
fn requests_whose_responses_come_late_wait_for_them() {
    let mut script = Script::default();
    let calls = 3 * limits::MAX_OUTSTANDING_REQUESTS;
    for _ in 0..calls {
        script.read(GET).write(OK);
    }
    script.segments.sort_by_key(|segment| segment.head.direction);
    let mut table = FlowTable::new(Options::default());
    let mut exchanges = Vec::new();
    let out = &mut |exchange| exchanges.push(exchange);
    table.open(CONNECTION, [0; 2], true, out);
    for segment in &script.segments {
        table.segment(&segment.head, &segment.bytes, out);
    }
    assert_eq!(exchanges.len(), calls);
    assert!(exchanges.iter().all(|exchange| exchange.completeness.is_complete()));
}

#[test]
fn what_is_under_way_when_the_observer_stops() {
    let mut script = Script::default();
    script.read(GET).write("HTTP/1.1 200 OK\r\n\r\npart");
    for (abandon, ending) in [(false, Ending::ObserverStopped), (true, Ending::ResponseCut)] {
        let mut table = FlowTable::new(Options::default());
        let mut exchanges = Vec::new();
        let out = &mut |exchange| exchanges.push(exchange);
        for segment in &script.segments {
            table.segment(&segment.head, &segment.bytes, out);
        }
        if abandon {
            table.abandon(CONNECTION, out);
        } else {
            table.finish(out);
        }
        assert_eq!(exchanges[0].completeness.ending, ending);
        assert_eq!(table.stats().connections, 0);
    }
}

#[test]
fn digests_and_retention() {
    let mut script = Script::default();
    script.read(GET).write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
    let options = Options { retain_body_bytes: 2, digest_bodies: true, ..Options::default() };
    let (exchanges, _) = script.run_with(options);
    let body = &exchanges[0].response.as_ref().unwrap().body;
    assert_eq!((&body.bytes[..], body.length), (&b"ab"[..], 3));
    assert!(exchanges[0].completeness.is_complete());
    assert!(!body.is_whole());
    let digest: String = body.sha256.unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn of_a_response_that_nobody_reads_the_beginning_is_kept() {
    let other = "GET /b HTTP/1.1\r\nHost: x\r\n\r\n";
    let long = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    let coded = "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 5\r\n\r\nhello";
    let mut script = Script::default();
    for (request, response) in
        [(other, long), (GET, long), (other, chunked), (other, coded), (other, OK), (GET, chunked)]
    {
        script.read(request).write(response);
    }
    // In their order, whichever was sent first.
    script.read(format!("{other}{GET}")).write(format!("{long}{long}"));
    let excerpt = Some(Excerpt { unless_path_has: "/a", bytes: 3 });
    let (exchanges, _) = script.run_with(Options { excerpt, ..Options::default() });
    let kept: Vec<&[u8]> =
        exchanges.iter().map(|it| &it.response.as_ref().unwrap().body.bytes[..]).collect();
    let whole = &b"hello"[..];
    assert_eq!(kept, [b"hel", whole, b"hel", whole, b"ok", whole, b"hel", whole]);
    for exchange in &exchanges {
        let body = &exchange.response.as_ref().unwrap().body;
        assert!(exchange.completeness.is_complete() && body.missing == 0);
        assert!(body.length == 5 || body.bytes == b"ok");
    }
    // What was asked for is not known.
    let mut script = Script::default();
    script.lose(Read, other).write(long).read(other).write(long);
    let (exchanges, _) = script.run_with(Options { excerpt, ..Options::default() });
    assert!(exchanges[0].request.is_none());
    assert_eq!(exchanges[0].response.as_ref().unwrap().body.bytes, whole);
}

#[test]
fn a_client_may_read_the_response_before_its_write_returned() {
    let mut script = Script::default();
    script.write(GET).read(OK).write(GET).read(OK);
    for pair in script.segments.chunks_mut(2) {
        pair.swap(0, 1);
        pair[0].head.ktime_ns = pair[1].head.ktime_ns;
        pair[1].head.ktime_ns += 100;
    }
    assert_eq!(
        summaries(&script.run().0),
        ["GET /a '' > 200 'ok': complete", "GET /a '' > 200 'ok': complete"]
    );
}

#[test]
fn the_answer_to_an_unseen_head_has_no_body() {
    let mut script = Script::default();
    script
        .lose(Read, "HEAD /a HTTP/1.1\r\n\r\n")
        .write("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n")
        .read(GET)
        .write(OK)
        .read(GET)
        .write(OK);
    assert_eq!(
        summaries(&script.run().0),
        [
            "- > 200 '': request_unseen",
            "GET /a '' > -: lost_in_hole",
            "- > 200 'ok': request_unseen",
            "GET /a '' > 200 'ok': complete (resynchronised)",
        ]
    );
}

#[test]
fn heads_beyond_the_limits() {
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(limits::MAX_HEAD_BYTES));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(limits::MAX_HEADER_LINES + 1));
    let most = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(limits::MAX_HEADER_LINES));
    let refusal = "HTTP/1.1 431 Too Large\r\nContent-Length: 0\r\n\r\n";
    for request in [long, many] {
        for piece in [usize::MAX, 1000] {
            let mut script = Script::default();
            script.say_in_pieces(Read, &request, piece).write(refusal);
            let (exchanges, stats) = script.run();
            assert_eq!(summaries(&exchanges), ["- > 431 '': limit_reached"]);
            assert_eq!(stats.limit_reached, 1);
        }
    }
    expect(&[(Read, &most), (Write, OK)], &["GET / '' > 200 'ok': complete"]);
}

#[test]
fn requests_that_are_never_answered() {
    let mut script = Script::default();
    let requests = limits::MAX_OUTSTANDING_REQUESTS + 8;
    for _ in 0..requests {
        script.read(GET);
    }
    let (exchanges, stats) = script.run();
    let limited =
        exchanges.iter().filter(|e| e.completeness.ending == Ending::LimitReached).count();
    assert_eq!((exchanges.len(), limited), (requests, 8));
    assert_eq!(stats.limit_reached, 8);
}

#[test]
fn a_closed_connection_does_not_wait_for_an_answer_to_connect() {
    let mut table = FlowTable::new(Options::default());
    let mut exchanges = Vec::new();
    let out = &mut |exchange| exchanges.push(exchange);
    let mut script = Script::default();
    script.read("CONNECT a:1 HTTP/1.1\r\n\r\n").read("\x16\x03\x01");
    table.open(CONNECTION, [0; 2], true, out);
    for segment in &script.segments {
        table.segment(&segment.head, &segment.bytes, out);
    }
    assert_eq!(table.stats().connections, 1);
    table.close(CONNECTION, script.positions, script.clock_ns, out);
    assert_eq!(table.stats().connections, 0);
    assert_eq!(summaries(&exchanges), ["CONNECT a:1 '' > -: response_cut"]);
}

#[test]
fn both_directions_may_end_one_by_one() {
    let mut table = FlowTable::new(Options::default());
    let mut exchanges = Vec::new();
    let out = &mut |exchange| exchanges.push(exchange);
    let mut script = Script::default();
    script.read(GET).write("HTTP/1.1 200 OK\r\n\r\nto the end");
    table.open(CONNECTION, [0; 2], true, out);
    table.end(CONNECTION, Read, script.positions[0], TICK_NS, out);
    for segment in &script.segments {
        table.segment(&segment.head, &segment.bytes, out);
    }
    table.open(CONNECTION, [99; 2], true, out);
    table.end(CONNECTION, Write, script.positions[1], script.clock_ns, out);
    assert_eq!(table.stats().connections, 0);
    assert_eq!(summaries(&exchanges), ["GET /a '' > 200 'to the end': complete"]);
}

#[test]
fn a_straggler_does_not_open_its_connection_again() {
    let mut table = FlowTable::new(Options::default());
    let out = &mut |_| ();
    let mut script = Script::default();
    script.read(GET);
    let segment = &script.segments[0];
    table.watermark(segment.head.ktime_ns + 1, out);
    table.segment(&segment.head, &segment.bytes, out);
    let stats = table.stats();
    assert_eq!((stats.connections, stats.skipped_bytes), (0, GET.len() as u64));
}

#[test]
fn a_full_table_empties_its_fullest_connections() {
    let options = Options { max_buffered_bytes: 64 << 10, ..Options::default() };
    let mut table = FlowTable::new(options);
    let mut exchanges = Vec::new();
    let out = &mut |exchange| exchanges.push(exchange);
    let mut script = Script::default();
    let body = "x".repeat(60 << 10);
    script.read(format!("POST /a HTTP/1.1\r\nContent-Length: {}\r\n\r\n", 2 * body.len()));
    script.read(&body).read(&body).write(OK);
    table.open(CONNECTION, [0; 2], true, out);
    for segment in &script.segments {
        table.segment(&segment.head, &segment.bytes, out);
        assert!(table.stats().buffered_bytes <= options.max_buffered_bytes);
    }
    assert_eq!(table.stats().shed, 1);
    // All bytes were seen, but the content is not there to be judged.
    assert!(exchanges[0].completeness.is_complete());
    let body = &exchanges[0].request.as_ref().unwrap().body;
    assert_eq!((body.length, body.bytes.len(), body.is_whole()), (120 << 10, 0, false));
}
