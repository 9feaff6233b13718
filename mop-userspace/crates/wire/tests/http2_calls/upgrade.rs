//! HTTP/2 that a request of HTTP/1 asked for (RFC 7540, section 3.2).

use mop_common::Direction::{Read, Write};
use mop_wire::{Ending, Version};

use crate::common::Script;

const ASKS: &str = "POST /first HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                    Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 2\r\n\r\nhi";
const AGREES: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
const BEFORE: [&str; 2] =
    ["GET /zero HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"];

#[test]
fn the_request_that_asks_is_the_first_stream() {
    for pieces in [1, 7, usize::MAX] {
        for answer_first in [false, true] {
            let mut script = Script::default();
            script.read(BEFORE[0]).write(BEFORE[1]).read(ASKS);
            let server = [
                AGREES.as_bytes().to_vec(),
                frame(4, 0, 0, b""),
                frame(1, 4, 1, b"\x88"),
                frame(0, 1, 1, b"answer"),
            ]
            .concat();
            let preface = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, b"")].concat();
            let (first, second) = if answer_first {
                ((Write, server), (Read, preface))
            } else {
                ((Read, preface), (Write, server))
            };
            // The client waits for the 101 in truth; lanes may bring it in another order.
            script.say_in_pieces(first.0, first.1, pieces);
            script.say_in_pieces(second.0, second.1, pieces);
            script.read(frame(1, 5, 3, b"\x82\x04\x02/b"));
            script.write(frame(1, 5, 3, b"\x8d"));
            let (exchanges, stats) = script.run();
            let seen: Vec<_> = exchanges
                .iter()
                .map(|exchange| {
                    let request = exchange.request.as_ref().unwrap();
                    let response = exchange.response.as_ref().unwrap();
                    (exchange.sequence, request.target.as_str(), request.version, response.status)
                })
                .collect();
            assert_eq!(
                seen,
                [
                    (0, "/zero", Version::Http11, 204),
                    (1, "/first", Version::Http11, 200),
                    (2, "/b", Version::Http2, 404)
                ]
            );
            assert!(
                exchanges.iter().all(|exchange| exchange.completeness.ending == Ending::Complete)
            );
            let first = &exchanges[1];
            assert_eq!(first.interim, [101]);
            assert_eq!(first.request.as_ref().unwrap().body.bytes, b"hi");
            assert_eq!(first.response.as_ref().unwrap().body.bytes, b"answer");
            assert_eq!((stats.http2_connections, stats.malformed), (1, 0));
        }
    }
}

#[test]
fn promises_and_requests_are_numbered_apart() {
    let mut script = Script::default();
    let preface = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, b"")].concat();
    script.read([preface, frame(1, 5, 1, b"\x82\x04\x02/a")].concat());
    let promise = |id: u8| frame(5, 4, 1, &[0, 0, 0, id, 0x82, 0x04, 2, b'/', b'p']);
    script.write([frame(4, 0, 0, b""), promise(2), promise(4), promise(6)].concat());
    script.write(frame(1, 5, 1, b"\x88"));
    for id in [2, 4, 6] {
        script.write(frame(1, 5, id, b"\x8d"));
    }
    script.read(frame(1, 5, 3, b"\x82\x04\x02/b")).write(frame(1, 5, 3, b"\x88"));
    let (exchanges, _) = script.run();
    let targets: Vec<_> =
        exchanges.iter().map(|one| one.request.as_ref().unwrap().target.as_str()).collect();
    assert_eq!(targets, ["/a", "/p", "/p", "/p", "/b"]);
    assert!(exchanges.iter().all(|one| one.completeness.is_complete()));
}

#[test]
fn a_client_that_answers_is_not_taken_for_the_server() {
    let mut script = Script::default();
    let preface = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, b"")].concat();
    script.read([preface, frame(1, 5, 1, b"\x88"), frame(1, 5, 3, b"\x82\x04\x02/b")].concat());
    script.write([frame(4, 0, 0, b""), frame(1, 5, 3, b"\x8d")].concat());
    let (exchanges, stats) = script.run();
    let [exchange] = &exchanges[..] else { panic!("{exchanges:?}") };
    assert!(exchange.completeness.is_complete());
    assert_eq!(exchange.response.as_ref().unwrap().status, 404);
    assert_eq!(stats.malformed, 1);
}

#[test]
fn who_does_not_agree_stays_with_http1() {
    let mut script = Script::default();
    script.read(ASKS).write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    script.read(BEFORE[0]).write(BEFORE[1]);
    let (exchanges, stats) = script.run();
    assert!(exchanges.iter().all(|exchange| exchange.completeness.is_complete()));
    assert_eq!((exchanges.len(), stats.http2_connections), (2, 0));
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}
