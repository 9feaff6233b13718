//! Generated conversations: calls whose request and response carry the same number, so that a
//! wrong pair is seen.

use mop_common::Direction;
use mop_wire::Exchange;
use proptest::prelude::*;

use super::{Script, Segment};

/// One call and how it stands on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    method: &'static str,
    request: Content,
    interim: bool,
    status: u16,
    response: Content,
}

#[derive(Clone, Copy, Debug)]
enum Content {
    None,
    Length(usize),
    Chunked { bytes: usize, chunk: usize, trailers: bool },
}

/// Calls that overlap: all their responses come before the next burst.
#[derive(Clone, Debug)]
pub(crate) struct Burst {
    calls: Vec<Call>,
    /// For each turn: go on with a response, if one is due, instead of the next request.
    answer_first: Vec<bool>,
}

#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    bursts: Vec<Burst>,
    until_end: Option<usize>,
    /// Sizes of calls and of segments, used in turn.
    call_bytes: Vec<usize>,
    segment_bytes: Vec<usize>,
    requests: Direction,
}

pub(crate) fn conversations(burst: usize) -> impl Strategy<Value = Conversation> {
    (
        prop::collection::vec(bursts(burst), 1..6),
        prop::option::weighted(0.3, 0..300_usize),
        prop::collection::vec(1..600_usize, 1..5),
        prop::collection::vec(prop_oneof![1..12_usize, 12..600_usize], 1..5),
        prop_oneof![Just(Direction::Read), Just(Direction::Write)],
    )
        .prop_map(|(bursts, until_end, call_bytes, segment_bytes, requests)| Conversation {
            bursts,
            until_end,
            call_bytes,
            segment_bytes,
            requests,
        })
}

fn bursts(most: usize) -> impl Strategy<Value = Burst> {
    (prop::collection::vec(calls(), 1..=most), prop::collection::vec(any::<bool>(), 2 * most))
        .prop_map(|(calls, answer_first)| Burst { calls, answer_first })
}

fn calls() -> impl Strategy<Value = Call> {
    let method =
        prop_oneof![Just("GET"), Just("HEAD"), Just("POST"), Just("DELETE"), Just("PATCH")];
    let status = prop_oneof![Just(200_u16), Just(201), Just(204), Just(304), Just(404), Just(500)];
    (method, contents(), prop::bool::weighted(0.2), status, contents()).prop_map(
        |(method, request, interim, status, response)| Call {
            method,
            request,
            interim,
            status,
            response,
        },
    )
}

fn contents() -> impl Strategy<Value = Content> {
    prop_oneof![
        Just(Content::None),
        (0..400_usize).prop_map(Content::Length),
        (0..400_usize, 1..200_usize, any::<bool>())
            .prop_map(|(bytes, chunk, trailers)| Content::Chunked { bytes, chunk, trailers }),
    ]
}

/// The bytes of one message.
struct Wire {
    bytes: Vec<u8>,
    content: Vec<u8>,
}

impl Conversation {
    /// The segments of the conversation.
    pub(crate) fn script(&self) -> Script {
        let mut script = Script::default();
        let mut call_bytes = self.call_bytes.iter().cycle().copied();
        let mut segment_bytes = self.segment_bytes.iter().cycle().copied();
        let mut say = |direction, bytes: &[u8]| {
            let mut rest = bytes;
            while !rest.is_empty() {
                let call = call_bytes.next().unwrap().min(rest.len());
                let (now, later) = rest.split_at(call);
                // A cap on the number of segments keeps the test quick.
                let piece = segment_bytes.next().unwrap().max(call / 40 + 1);
                script.say_in_pieces(direction, now, piece);
                rest = later;
            }
        };
        let mut number = 0;
        for burst in &self.bursts {
            let first = number;
            let mut asked = 0;
            let mut answered = 0;
            let mut turns = burst.answer_first.iter();
            while answered < burst.calls.len() {
                let answer_first = turns.next().copied().unwrap_or(true);
                let all_asked = asked == burst.calls.len();
                if answered < asked && (answer_first || all_asked) {
                    let bytes = burst.calls[answered].response(first + answered).bytes;
                    say(self.requests.opposite(), &bytes);
                    answered += 1;
                } else if !all_asked {
                    say(self.requests, &burst.calls[asked].request(first + asked).bytes);
                    asked += 1;
                }
            }
            number += burst.calls.len();
        }
        if let Some(bytes) = self.until_end {
            say(self.requests, &last_call().request(number).bytes);
            say(self.requests.opposite(), &last_response(number, bytes).bytes);
        }
        script
    }

    /// How many calls there are.
    pub(crate) fn len(&self) -> usize {
        self.bursts.iter().map(|burst| burst.calls.len()).sum::<usize>()
            + usize::from(self.until_end.is_some())
    }

    /// True when the exchange is one of this conversation, to the byte.
    pub(crate) fn contains(&self, exchange: &Exchange) -> bool {
        let (Some(request), Some(response)) = (&exchange.request, &exchange.response) else {
            return false;
        };
        let digits = request.target.strip_prefix('/');
        let Some(number) = digits.and_then(|digits| digits.parse::<usize>().ok()) else {
            return false;
        };
        let calls: Vec<_> = self.bursts.iter().flat_map(|burst| &burst.calls).collect();
        let (method, request_content, response_content) = match (calls.get(number), self.until_end)
        {
            (Some(call), _) => {
                (call.method, call.request(number).content, call.response(number).content)
            }
            (None, Some(bytes)) => {
                (last_call().method, Vec::new(), last_response(number, bytes).content)
            }
            (None, None) => return false,
        };
        request.method == method
            && request.headers.first("x-number") == Some(number.to_string().as_bytes())
            && response.headers.first("x-number") == Some(number.to_string().as_bytes())
            && request.body.bytes == request_content
            && response.body.bytes == response_content
    }
}

impl Call {
    fn request(&self, number: usize) -> Wire {
        let mut wire = Wire::starting(&format!("{} /{number} HTTP/1.1", self.method), number);
        wire.body(self.request, &format!("q{number}."), true);
        wire
    }

    fn response(&self, number: usize) -> Wire {
        let mut bytes = Vec::new();
        if self.interim {
            bytes.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let mut wire = Wire::starting(&format!("HTTP/1.1 {} Text", self.status), number);
        let bodiless = self.method == "HEAD" || matches!(self.status, 204 | 304);
        // A response without framing would end with the connection.
        let content = match self.response {
            Content::None => Content::Length(0),
            content @ (Content::Length(_) | Content::Chunked { .. }) => content,
        };
        wire.body(content, &format!("s{number}."), !bodiless);
        bytes.extend_from_slice(&wire.bytes);
        Wire { bytes, content: wire.content }
    }
}

impl Wire {
    fn starting(line: &str, number: usize) -> Self {
        let bytes = format!("{line}\r\nX-Number: {number}\r\n").into_bytes();
        Self { bytes, content: Vec::new() }
    }

    fn body(&mut self, content: Content, pattern: &str, present: bool) {
        let text = |bytes| pattern.bytes().cycle().take(bytes).collect::<Vec<u8>>();
        match content {
            Content::None => self.bytes.extend_from_slice(b"\r\n"),
            Content::Length(bytes) => {
                self.bytes.extend_from_slice(format!("Content-Length: {bytes}\r\n\r\n").as_bytes());
                if present {
                    self.content = text(bytes);
                    self.bytes.extend_from_slice(&self.content);
                }
            }
            Content::Chunked { bytes, chunk, trailers } => {
                self.bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                if present {
                    self.content = text(bytes);
                    for part in self.content.chunks(chunk) {
                        self.bytes
                            .extend_from_slice(format!("{:x};e=1\r\n", part.len()).as_bytes());
                        self.bytes.extend_from_slice(part);
                        self.bytes.extend_from_slice(b"\r\n");
                    }
                    let trailers = if trailers { "0\r\nX-Sum: 1\r\n\r\n" } else { "0\r\n\r\n" };
                    self.bytes.extend_from_slice(trailers.as_bytes());
                }
            }
        }
    }
}

fn last_call() -> Call {
    Call {
        method: "GET",
        request: Content::None,
        interim: false,
        status: 200,
        response: Content::None,
    }
}

fn last_response(number: usize, bytes: usize) -> Wire {
    let mut wire = Wire::starting("HTTP/1.1 200 Text", number);
    wire.content = format!("s{number}.").bytes().cycle().take(bytes).collect();
    wire.bytes.extend_from_slice(b"\r\n");
    wire.bytes.extend_from_slice(&wire.content);
    wire
}

/// Puts the segments in the order of these keys.
pub(crate) fn shuffle(segments: &mut Vec<Segment>, keys: &[u32], reach: usize) {
    let mut keyed: Vec<_> = std::mem::take(segments)
        .into_iter()
        .enumerate()
        .map(|(index, segment)| {
            let key = keys.get(index % keys.len().max(1)).copied().unwrap_or_default();
            (index + key as usize % reach.max(1), segment)
        })
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    segments.extend(keyed.into_iter().map(|(_, segment)| segment));
}
