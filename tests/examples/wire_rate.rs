//! Rate of the parser on one core, against plain httparse on the same bytes; JSON lines.
//!
//! Both sides get the same requests and responses with bodies of 2 KiB. MOP reassembles streams from
//! segments, frames messages, pairs them and keeps the books; httparse reads the heads and nothing
//! else, so its rate is the floor of what any observer has to spend.

use std::{
    env,
    hint::black_box,
    time::{Duration, Instant},
};

use mop_common::{Direction, HoleCause, SegmentHead};
use mop_wire::{FlowTable, Options};
use serde_json::json;

fn main() {
    let quick = env::args().any(|argument| argument == "--quick");
    let time = if quick { Duration::from_millis(300) } else { Duration::from_secs(3) };
    let call = Call::new();
    // Interleaved, and the best of each: the machine is shared.
    let mut rates = [(0.0, 0.0); 3];
    for _ in 0..ROUNDS {
        let round = [
            measure(time, || call.through_httparse()),
            measure(time, || call.through_mop(false)),
            measure(time, || call.through_mop(true)),
        ];
        for (best, rate) in rates.iter_mut().zip(round) {
            if rate > best.0 {
                *best = (rate, rate * call.bytes() as f64 / 1e6);
            }
        }
    }
    for (subject, (exchanges, megabytes)) in SUBJECTS.iter().zip(rates) {
        println!(
            "{}",
            json!({
                "figure": "wire_rate", "subject": subject,
                "exchanges_per_s": exchanges.round(), "mb_per_s": megabytes.round(),
                "ratio_to_httparse": (exchanges / rates[0].0 * 1000.0).round() / 1000.0,
            })
        );
    }
}

/// A request and its response, as bytes.
struct Call {
    request: Vec<u8>,
    response: Vec<u8>,
}

impl Call {
    fn new() -> Self {
        let body = "x".repeat(BODY_BYTES);
        Self {
            request: b"GET /open-insurance/customers/v2/personal/identifications HTTP/1.1\r\n\
                Host: api.participante.example\r\nUser-Agent: synthetic-client/1.0\r\n\
                Accept: application/json\r\nAuthorization: Bearer synthetic-token\r\n\
                x-fapi-interaction-id: 00000000-0000-4000-8000-000000000001\r\n\r\n"
                .to_vec(),
            response: format!(
                "HTTP/1.1 200 OK\r\nServer: synthetic\r\nContent-Type: application/json; \
                 charset=utf-8\r\nContent-Length: {BODY_BYTES}\r\nConnection: keep-alive\r\n\
                 x-fapi-interaction-id: 00000000-0000-4000-8000-000000000001\r\n\r\n{body}"
            )
            .into_bytes(),
        }
    }

    fn bytes(&self) -> usize {
        self.request.len() + self.response.len()
    }

    /// Reads both heads of every call.
    fn through_httparse(&self) -> usize {
        for _ in 0..CALLS {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut request = httparse::Request::new(&mut headers);
            black_box(
                request.parse(black_box(&self.request)).is_ok_and(|status| status.is_complete()),
            );
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut response = httparse::Response::new(&mut headers);
            black_box(
                response.parse(black_box(&self.response)).is_ok_and(|status| status.is_complete()),
            );
        }
        CALLS
    }

    /// Gives every call as two segments of one of sixteen connections.
    fn through_mop(&self, digest_bodies: bool) -> usize {
        let mut table = FlowTable::new(Options { digest_bodies, ..Options::default() });
        let mut exchanges = 0;
        let mut complete = |exchange: mop_wire::Exchange| {
            exchanges += usize::from(exchange.completeness.is_complete());
            black_box(exchange);
        };
        let mut time_ns = 0;
        for connection in 1..=CONNECTIONS {
            table.open(connection, [0; 2], true, &mut complete);
        }
        for call in 0..CALLS as u64 {
            let connection = call % CONNECTIONS + 1;
            let before = call / CONNECTIONS;
            for (direction, bytes) in
                [(Direction::Read, &self.request), (Direction::Write, &self.response)]
            {
                time_ns += 1_000;
                let head = SegmentHead {
                    connection,
                    position: before * bytes.len() as u64,
                    ktime_ns: time_ns,
                    cpu_sequence: time_ns / 1_000,
                    len_total: bytes.len() as u32,
                    len_captured: bytes.len() as u32,
                    cpu: 0,
                    direction: direction as u8,
                    cause: HoleCause::None as u8,
                    flags: 0,
                    caller: 0,
                };
                table.segment(&head, bytes, &mut complete);
            }
            table.watermark(time_ns, &mut complete);
        }
        table.finish(&mut complete);
        assert_eq!(exchanges, CALLS, "the parser lost calls, so its rate means nothing");
        exchanges
    }
}

/// Calls a second.
fn measure(time: Duration, mut calls: impl FnMut() -> usize) -> f64 {
    let begin = Instant::now();
    let mut done = 0;
    while begin.elapsed() < time {
        done += calls();
    }
    done as f64 / begin.elapsed().as_secs_f64()
}

const SUBJECTS: [&str; 3] = ["httparse_heads_only", "mop_wire", "mop_wire_with_digests"];
const ROUNDS: usize = 3;
const CALLS: usize = 16_000;
const CONNECTIONS: u64 = 16;
const BODY_BYTES: usize = 2048;
