//! A request that waits for its response, and a response that is being read.

use crate::{
    exchange::{Completeness, Ending, Exchange, Request, Response, Role, Timing, text_bytes},
    http1::framing::Asked,
    message::Message,
    stamp::Stamp,
};

/// A request from the end of its head, or from where it was lost, until its exchange is reported.
#[derive(Debug)]
pub(crate) struct Outstanding {
    /// `None` when the head was never read whole.
    pub(crate) head: Option<Request>,
    pub(crate) asked: Asked,
    pub(crate) message: Message,
    /// No byte of it is to come: it ended, or was given up.
    pub(crate) over: bool,
    /// No response to it is to come: it was answered, or the answer was given up.
    pub(crate) settled: bool,
    /// Why the exchange cannot be complete; the first reason stands.
    pub(crate) failure: Option<Ending>,
    /// It was found by searching, so that requests before it may be missing.
    pub(crate) after_search: bool,
    /// Its response was attributed by time, and proof is still to come.
    pub(crate) tentative: bool,
    pub(crate) interim: Vec<u16>,
    /// Stream bytes of the interim responses.
    pub(crate) interim_bytes: u64,
    pub(crate) response: Option<Box<Answer>>,
}

/// A response from its first byte on.
#[derive(Debug)]
pub(crate) struct Answer {
    /// `None` until the head was read whole.
    pub(crate) head: Option<Response>,
    pub(crate) message: Message,
    /// The connection changed its protocol with it.
    pub(crate) upgraded: bool,
    /// It answers no request that was seen.
    pub(crate) orphan: bool,
    /// Bytes of its head.
    pub(crate) head_bytes: u64,
}

impl Outstanding {
    pub(crate) fn new(head: Option<Request>, message: Message, after_search: bool) -> Self {
        let asked = head.as_ref().map_or(Asked::Other, |head| Asked::by_method(&head.method));
        Self {
            head,
            asked,
            message,
            over: false,
            settled: false,
            failure: None,
            after_search,
            tentative: false,
            interim: Vec::new(),
            interim_bytes: 0,
            response: None,
        }
    }

    /// Takes note of why the exchange cannot be complete.
    pub(crate) fn fail(&mut self, ending: Ending) {
        self.failure.get_or_insert(ending);
    }

    /// Memory held.
    pub(crate) fn buffered(&self) -> usize {
        let head = self.head.as_ref().map_or(0, |head| {
            text_bytes(&head.method) + head.target.capacity() + head.headers.bytes()
        });
        let response = self.response.as_ref().map_or(0, |answer| answer.buffered());
        size_of::<Self>() + head + self.message.buffered() + response
    }

    /// The exchange as it stands. `ending` counts when nothing failed before.
    pub(crate) fn into_exchange(self, connection: u64, role: Role, ending: Ending) -> Exchange {
        let Self {
            head,
            asked: _,
            message,
            over: _,
            settled: _,
            failure,
            after_search: _,
            tentative,
            interim,
            interim_bytes,
            response,
        } = self;
        let mut exchange = Exchange {
            connection,
            sequence: 0,
            role,
            timing: Timing {
                request_start_ns: message.start.ktime_ns,
                request_end_ns: message.end_ns(),
                response_start_ns: 0,
                response_end_ns: 0,
            },
            request: head.map(|head| Request { body: message.body, ..head }),
            response: None,
            interim,
            completeness: Completeness {
                request: message.seen,
                response: crate::Seen::default(),
                ending: failure.unwrap_or(ending),
                resynchronised: tentative,
            },
        };
        if let Some(answer) = response {
            answer.put_into(&mut exchange);
        }
        let framed = &mut exchange.completeness.response.framed_bytes;
        *framed = framed.saturating_add(interim_bytes);
        exchange
    }
}

impl Answer {
    pub(crate) fn new(start: Stamp, orphan: bool) -> Self {
        let message = Message::new(start);
        Self { head: None, message, upgraded: false, orphan, head_bytes: 0 }
    }

    /// True when it may answer a HEAD that was not seen, and so have no body in spite of its head.
    pub(crate) fn may_be_bodiless(&self) -> bool {
        self.orphan && self.message.seen.framed_bytes == self.head_bytes
    }

    /// The exchange of a response whose request was not seen.
    pub(crate) fn into_exchange(self, connection: u64, role: Role, ending: Ending) -> Exchange {
        let mut exchange = Exchange {
            connection,
            sequence: 0,
            role,
            request: None,
            response: None,
            interim: Vec::new(),
            timing: Timing::default(),
            completeness: Completeness {
                request: crate::Seen::default(),
                response: crate::Seen::default(),
                ending,
                resynchronised: false,
            },
        };
        self.put_into(&mut exchange);
        exchange
    }

    /// Memory held.
    pub(crate) fn buffered(&self) -> usize {
        let head = self.head.as_ref().map_or(0, |head| head.headers.bytes());
        size_of::<Self>() + head + self.message.buffered()
    }

    fn put_into(self, exchange: &mut Exchange) {
        let Self { head, message, upgraded: _, orphan: _, head_bytes: _ } = self;
        exchange.timing.response_start_ns = message.start.ktime_ns;
        exchange.timing.response_end_ns = message.end_ns();
        exchange.completeness.response = message.seen;
        exchange.response = head.map(|head| Response { body: message.body, ..head });
    }
}
