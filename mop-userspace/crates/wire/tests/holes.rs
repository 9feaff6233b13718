//! What is lost: which exchanges it costs, and that none is paired wrongly behind it.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use common::{CONNECTION, Script, Segment, TICK_NS, summaries};
use mop_common::Direction::{Read, Write};
use mop_wire::{FlowTable, Options};

const GET: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn holes_inside_content_keep_the_boundaries() {
    let mut script = Script::default();
    script
        .read("POST /a HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")
        .lose(Read, "defg")
        .read("hij")
        .write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nab")
        .lose(Write, "cdef")
        .write("\r\n1\r\ng\r\n0\r\n\r\n")
        .read(GET)
        .say_part(Write, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", 100)
        .read(GET)
        .write(OK);
    let (exchanges, stats) = script.run();
    assert_eq!(
        summaries(&exchanges),
        [
            "POST /a 'abc' > 200 'ab': complete",
            "GET /a '' > 200 '': complete",
            "GET /a '' > 200 'ok': complete",
        ]
    );
    let complete: Vec<_> = exchanges.iter().map(|e| e.completeness.is_complete()).collect();
    assert_eq!(complete, [false, false, true]);
    let body = &exchanges[0].request.as_ref().unwrap().body;
    assert_eq!((body.length, body.missing), (10, 4));
    assert_eq!(exchanges[1].completeness.response.holes[0].bytes, 100);
    assert_eq!(stats.hole_bytes.iter().sum::<u64>(), 4 + 4 + 100);
    assert_eq!(stats.resynchronisations, 0);
}

#[test]
fn a_lost_request_does_not_shift_the_pairing() {
    let mut script = Script::default();
    script.read("GET /1 HTTP/1.1\r\n\r\n").write("HTTP/1.1 201 A\r\nContent-Length: 0\r\n\r\n");
    script
        .lose(Read, "GET /2 HTTP/1.1\r\n\r\n")
        .write("HTTP/1.1 202 A\r\nContent-Length: 0\r\n\r\n");
    for number in 3..7 {
        script.read(format!("GET /{number} HTTP/1.1\r\n\r\n"));
        script.write(format!("HTTP/1.1 20{number} A\r\nContent-Length: 0\r\n\r\n"));
    }
    let (exchanges, stats) = script.run();
    assert_eq!(
        summaries(&exchanges),
        [
            "GET /1 '' > 201 '': complete",
            "- > 202 '': request_unseen",
            "GET /3 '' > -: lost_in_hole",
            "- > 203 '': request_unseen",
            "GET /4 '' > 204 '': complete (resynchronised)",
            "GET /5 '' > 205 '': complete",
            "GET /6 '' > 206 '': complete",
        ]
    );
    assert_eq!(stats.hole_bytes.iter().sum::<u64>(), 19);
}

#[test]
fn a_lost_response_does_not_shift_the_pairing() {
    let mut script = Script::default();
    for number in 1..6 {
        script.read(format!("GET /{number} HTTP/1.1\r\n\r\n"));
        let response = format!("HTTP/1.1 20{number} A\r\nContent-Length: 0\r\n\r\n");
        if number == 2 {
            script.lose(Write, response);
        } else {
            script.write(response);
        }
    }
    assert_eq!(
        summaries(&script.run().0),
        [
            "GET /1 '' > 201 '': complete",
            "GET /2 '' > -: lost_in_hole",
            "GET /3 '' > -: lost_in_hole",
            "- > 203 '': request_unseen",
            "GET /4 '' > 204 '': complete (resynchronised)",
            "GET /5 '' > 205 '': complete",
        ]
    );
}

#[test]
fn a_last_response_that_was_lost_is_not_said_to_be_cut() {
    let last = "HTTP/1.1 202 A\r\nContent-Length: 0\r\n\r\n";
    for (is_lost, expected) in
        [(true, "GET /2 '' > -: lost_in_hole"), (false, "GET /2 '' > -: response_cut")]
    {
        let mut script = Script::default();
        script.read("GET /1 HTTP/1.1\r\n\r\n").write(OK).read("GET /2 HTTP/1.1\r\n\r\n");
        if is_lost {
            script.lose(Write, last);
        }
        let (exchanges, stats) = script.run();
        assert_eq!(summaries(&exchanges), ["GET /1 '' > 200 'ok': complete", expected]);
        let missing = if is_lost { last.len() as u64 } else { 0 };
        assert_eq!(stats.hole_bytes.iter().sum::<u64>(), missing);
    }
}

#[test]
fn requests_before_a_hole_keep_their_responses() {
    let mut script = Script::default();
    script
        .read("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n")
        .lose(Read, "GET /3 HTTP/1.1\r\n\r\n")
        .read("GET /4 HTTP/1.1\r\n\r\n");
    for number in 1..5 {
        script.write(format!("HTTP/1.1 20{number} A\r\nContent-Length: 0\r\n\r\n"));
    }
    assert_eq!(
        summaries(&script.run().0),
        [
            "GET /1 '' > 201 '': complete",
            "GET /2 '' > 202 '': complete",
            "GET /4 '' > -: lost_in_hole",
            "- > 203 '': request_unseen",
            "- > 204 '': request_unseen",
        ]
    );
}

#[test]
fn a_quick_client_is_followed_again_at_once_when_one_caller_makes_its_calls() {
    let complete_of = |callers: [u16; 2]| {
        let mut script = Script { tick_ns: 10_000, ..Script::default() };
        for number in 0..50 {
            let response = format!("HTTP/1.1 2{number:02} A\r\nContent-Length: 0\r\n\r\n");
            script.caller = callers[0];
            script.write(format!("GET /{number} HTTP/1.1\r\n\r\n"));
            script.caller = callers[1];
            if number % 10 == 5 {
                script.lose(Read, response);
            } else {
                script.read(response);
            }
        }
        let (exchanges, stats) = script.run();
        assert_eq!(stats.limit_reached, 0, "requests pile up");
        exchanges.iter().filter(|exchange| exchange.completeness.is_complete()).count()
    };
    // Each hole takes the call whose response it took, and the one behind.
    assert_eq!(complete_of([7, 7]), 50 - 2 * 5);
    // Those before the first hole: who makes the others may have been held up anywhere.
    assert_eq!(complete_of([0, 0]), 5);
    assert_eq!(complete_of([7, 8]), 5);
}

#[test]
fn what_comes_while_a_gap_is_waited_for_is_not_lost_with_it() {
    const CALLS: usize = 700;
    for (requests, answers) in [(Read, Write), (Write, Read)] {
        let mut script = Script { tick_ns: 10_000, caller: 7, ..Script::default() };
        for number in 0..CALLS {
            script.say(requests, format!("GET /{number} HTTP/1.1\r\n\r\n"));
            let response = format!("HTTP/1.1 {} A\r\nContent-Length: 0\r\n\r\n", 200 + number);
            if number % 100 == 50 {
                script.lose(answers, response);
            } else {
                script.say(answers, response);
            }
        }
        let mut table = FlowTable::new(Options::default());
        let mut exchanges = Vec::new();
        let out = &mut |exchange| exchanges.push(exchange);
        table.open(CONNECTION, [0; 2], true, out);
        for (index, Segment { head, bytes }) in script.segments.iter().enumerate() {
            table.segment(head, bytes, out);
            // Rarely, as it really comes.
            if index % 600 == 599 {
                table.watermark(head.ktime_ns, out);
            }
        }
        table.close(CONNECTION, script.positions, script.clock_ns, out);
        table.finish(out);
        assert_eq!(table.stats().limit_reached, 0);
        let complete = exchanges.iter().filter(|exchange| exchange.completeness.is_complete());
        let mut count = 0;
        for exchange in complete {
            let response = exchange.response.as_ref().unwrap();
            let target = format!("/{}", response.status - 200);
            assert_eq!(exchange.request.as_ref().unwrap().target, target);
            count += 1;
        }
        assert_eq!(count, CALLS - 2 * CALLS / 100, "requests are {requests:?}");
    }
}

#[test]
fn behind_a_gap_a_request_may_still_be_stamped_later_than_its_response() {
    let mut script = Script::default();
    script.write(GET).read("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
    script.read([b'x'; 50]).lose(Read, [b'x'; 25]).read([b'x'; 25]);
    script.tick_ns = 10_000;
    for _ in 0..3 {
        script.write(GET).read(OK);
    }
    // Delivered as their lanes are read: those of both directions, one after the other.
    for pair in script.segments[4..].chunks_mut(2) {
        let written_ns = pair[0].head.ktime_ns;
        pair[0].head.ktime_ns = pair[1].head.ktime_ns;
        pair[1].head.ktime_ns = written_ns;
    }
    let mut table = FlowTable::new(Options::default());
    let mut exchanges = Vec::new();
    let out = &mut |exchange| exchanges.push(exchange);
    table.open(CONNECTION, [0; 2], true, out);
    for Segment { head, bytes } in &script.segments {
        table.segment(head, bytes, out);
    }
    table.watermark(script.clock_ns + TICK_NS, out);
    table.close(CONNECTION, script.positions, script.clock_ns, out);
    table.finish(out);
    let complete = exchanges.iter().filter(|exchange| exchange.completeness.is_complete());
    assert_eq!(complete.count(), 3, "{:?}", summaries(&exchanges));
    assert_eq!(exchanges.len(), 4);
}

#[test]
fn a_client_that_pipelines_after_a_hole_is_not_paired_by_time() {
    let mut script = Script::default();
    script
        .lose(Read, "GET /0 HTTP/1.1\r\n\r\n")
        .write("HTTP/1.1 200 A\r\nContent-Length: 0\r\n\r\n")
        .read("GET /1 HTTP/1.1\r\n\r\n")
        .write("HTTP/1.1 201 A\r\nContent-Length: 0\r\n\r\n")
        .read("GET /2 HTTP/1.1\r\n\r\n")
        .read("HEAD /3 HTTP/1.1\r\n\r\n")
        .write("HTTP/1.1 202 A\r\nContent-Length: 0\r\n\r\n")
        .read("POST /4 HTTP/1.1\r\n\r\n")
        .write("HTTP/1.1 203 A\r\nContent-Length: 9\r\n\r\n")
        .write("HTTP/1.1 204 A\r\n\r\n");
    let (exchanges, _) = script.run();
    let complete: Vec<_> =
        exchanges.iter().filter(|exchange| exchange.completeness.is_complete()).collect();
    assert!(complete.is_empty(), "{:?}", summaries(&exchanges));
}
