//! One stream: a request and the response to it (RFC 9113, section 5.1).

use std::borrow::Cow;

use super::section::{Kind, Section};
use crate::{
    exchange::{
        Completeness, Ending, Exchange, Request, Response, Role, Seen, Timing, Version, text_bytes,
    },
    flow_table::Options,
    headers::Headers,
    limits,
    message::Message,
    stamp::Stamp,
};

/// A stream that has not been reported.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) request: Half,
    pub(super) response: Half,
    request_head: Option<RequestHead>,
    response_head: Option<ResponseHead>,
    interim: Vec<u16>,
    /// It carries another protocol after a successful CONNECT (section 8.5).
    is_tunnel: bool,
}

/// One side of a stream.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) message: Message,
    pub(super) state: State,
    /// Frames of it may have passed unseen.
    pub(super) is_lossy: bool,
    has_begun: bool,
    has_head: bool,
    /// Length of the content by its field.
    content_length: Option<u64>,
    unknown_fields: u32,
    is_cut: bool,
}

/// Where a side stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Open,
    /// Its last frame was seen.
    Ended,
    Failed(Ending),
}

#[derive(Debug)]
struct RequestHead {
    method: Cow<'static, str>,
    target: String,
    version: Version,
    headers: Headers,
}

#[derive(Debug)]
struct ResponseHead {
    status: u16,
    headers: Headers,
}

/// The side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

impl Stream {
    /// A stream whose request may have passed unseen, or not.
    pub(super) fn new(is_request_lossy: bool) -> Self {
        Self {
            request: Half::new(is_request_lossy),
            response: Half::new(false),
            request_head: None,
            response_head: None,
            interim: Vec::new(),
            is_tunnel: false,
        }
    }

    /// A stream whose request came over HTTP/1, as this exchange without a response.
    pub(super) fn of_request(exchange: Exchange) -> Self {
        let Exchange { request, interim, timing, completeness, .. } = exchange;
        let mut stream = Self { interim, ..Self::new(false) };
        let half = &mut stream.request;
        (half.has_begun, half.state) = (true, State::Ended);
        half.message.start = Stamp::at(timing.request_start_ns);
        half.message.last = Stamp::at(timing.request_end_ns);
        half.message.whole = true;
        half.message.seen = completeness.request;
        stream.response.message.seen = completeness.response;
        if let Some(Request { method, target, version, headers, body, anomalies: _ }) = request {
            half.has_head = true;
            half.message.body = body;
            stream.request_head = Some(RequestHead { method, target, version, headers });
        }
        stream
    }

    pub(super) fn half(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        }
    }

    /// Takes a field section of one side.
    pub(super) fn section(
        &mut self,
        side: Side,
        mut section: Section,
        is_last: bool,
        options: &Options,
    ) {
        let half = self.half(side);
        let kind = section.kind();
        half.unknown_fields = half.unknown_fields.saturating_add(section.unknown_fields);
        half.is_cut |= section.is_cut;
        let is_head = match kind {
            Kind::Request | Kind::Response => !half.has_head,
            Kind::Interim(status) => {
                if self.interim.len() < limits::MAX_INTERIM_RESPONSES {
                    self.interim.push(status);
                }
                return;
            }
            // Whether it is a head that cannot be read, or trailers, is told by what came before.
            Kind::Unknown => !half.has_head && !half.is_lossy,
            Kind::Trailers => false,
        };
        if !is_head {
            if is_last {
                half.end(section.headers(), options);
            }
            return;
        }
        half.has_head = true;
        half.content_length = section.content_length();
        // All that follows a head is seen from here on.
        half.is_lossy = false;
        if is_last {
            half.end(Headers::default(), options);
        }
        match side {
            Side::Request => {
                let target = match (section.path.take(), &section.authority) {
                    (Some(path), _) => path,
                    (None, Some(authority)) => authority.clone(),
                    (None, None) => String::new(),
                };
                let method = section.method.take().unwrap_or_default();
                let headers = section.headers();
                let version = Version::Http2;
                self.request_head = Some(RequestHead { method, target, version, headers });
            }
            Side::Response => {
                let status = section.status.unwrap_or_default();
                self.is_tunnel = (200..300).contains(&status)
                    && self.request_head.as_ref().is_some_and(|head| head.method == "CONNECT");
                self.response_head = Some(ResponseHead { status, headers: section.headers() });
                self.keep_beginning(options);
            }
        }
    }

    /// Keeps the beginning only of the response whose head was read, if that is enough of it. Where fields
    /// are unknown, so may be what was asked for, or a coding.
    fn keep_beginning(&mut self, options: &Options) {
        let Self { request, response, request_head, response_head, .. } = self;
        let (Some(excerpt), Some(asked), Some(head)) =
            (options.excerpt, request_head.as_ref(), response_head.as_ref())
        else {
            return;
        };
        let is_known = request.unknown_fields == 0 && response.unknown_fields == 0;
        let may_exceed = response.content_length.is_none_or(|it| it > excerpt.bytes as u64);
        if is_known && may_exceed && excerpt.is_of(&asked.target, &head.headers) {
            response.message.keep_beginning(excerpt.bytes);
        }
    }

    /// When its last frame so far was seen.
    pub(super) fn last_ns(&self) -> u64 {
        self.request.message.last.ktime_ns.max(self.response.message.last.ktime_ns)
    }

    /// How it ended, when nothing more of it is to come.
    pub(super) fn ending(&self) -> Option<Ending> {
        if self.is_tunnel {
            return Some(Ending::Upgraded);
        }
        let Self { request, response, .. } = self;
        for half in [request, response] {
            if let State::Failed(ending) = half.state {
                return Some(ending);
            }
        }
        let is_over = |half: &Half| half.state == State::Ended || half.is_lossy;
        if !is_over(request) || !is_over(response) || request.is_lossy && response.is_lossy {
            return None;
        }
        Some(if request.is_lossy && !request.has_head {
            Ending::RequestUnseen
        } else if request.is_lossy || response.is_lossy {
            Ending::LostInHole
        } else if !request.has_head || !response.has_head {
            // Content comes behind a head (section 8.1).
            Ending::Malformed
        } else if request.is_cut || response.is_cut {
            Ending::LimitReached
        } else if request.unknown_fields > 0 || response.unknown_fields > 0 {
            Ending::FieldsUnknown
        } else {
            Ending::Complete
        })
    }

    /// Nothing more of it is to come. A receiver that has the whole content may leave before the
    /// frame that ends the stream.
    pub(super) fn close(&mut self, options: &Options) {
        for half in [&mut self.request, &mut self.response] {
            if half.state != State::Ended && (half.is_filled() || self.is_tunnel) {
                half.end(Headers::default(), options);
            }
        }
    }

    /// How it ends when its connection does.
    pub(super) fn ending_with_connection(&self) -> Ending {
        match self.ending() {
            Some(ending) => ending,
            None if self.request.is_lossy || self.response.is_lossy => Ending::LostInHole,
            None if !self.request.has_head => Ending::RequestUnseen,
            None if self.request.state == State::Ended => Ending::ResponseCut,
            None => Ending::RequestCut,
        }
    }

    pub(super) fn forget_content(&mut self) {
        self.request.message.forget_content();
        self.response.message.forget_content();
    }

    /// Memory held.
    pub(super) fn buffered(&self) -> usize {
        let heads = self.request_head.as_ref().map_or(0, |head| {
            text_bytes(&head.method) + head.target.capacity() + head.headers.bytes()
        }) + self.response_head.as_ref().map_or(0, |head| head.headers.bytes());
        size_of::<Self>()
            + heads
            + self.request.message.buffered()
            + self.response.message.buffered()
    }

    pub(super) fn into_exchange(self, connection: u64, role: Role, ending: Ending) -> Exchange {
        let Self { request, response, request_head, response_head, interim, is_tunnel: _ } = self;
        let (request_end_ns, response_end_ns) =
            (request.message.end_ns(), response.message.end_ns());
        let timing = Timing {
            request_start_ns: request.message.start.ktime_ns,
            request_end_ns,
            response_start_ns: response.message.start.ktime_ns,
            response_end_ns,
        };
        let (request_seen, request_body) = request.into_parts();
        let (response_seen, response_body) = response.into_parts();
        Exchange {
            connection,
            sequence: 0,
            role,
            request: request_head.map(|RequestHead { method, target, version, headers }| Request {
                method,
                target,
                version,
                headers,
                body: request_body,
                anomalies: crate::Anomalies::default(),
            }),
            response: response_head.map(|ResponseHead { status, headers }| Response {
                status,
                version: Version::Http2,
                headers,
                body: response_body,
                anomalies: crate::Anomalies::default(),
            }),
            interim,
            timing,
            completeness: Completeness {
                request: request_seen,
                response: response_seen,
                ending,
                resynchronised: false,
            },
        }
    }
}

impl Half {
    fn new(is_lossy: bool) -> Self {
        Self {
            message: Message::new(Stamp::default()),
            state: State::Open,
            is_lossy,
            has_begun: false,
            has_head: false,
            content_length: None,
            unknown_fields: 0,
            is_cut: false,
        }
    }

    /// A frame of it begins.
    pub(super) fn begin(&mut self, ktime_ns: u64) {
        if !self.has_begun {
            self.has_begun = true;
            self.message.start = Stamp::at(ktime_ns);
        }
    }

    /// Its last frame was seen.
    pub(super) fn end(&mut self, trailers: Headers, options: &Options) {
        self.state = State::Ended;
        self.message.end(trailers, options);
    }

    /// It cannot be followed any further, unless it is over.
    pub(super) fn fail(&mut self, ending: Ending) {
        if self.state != State::Ended {
            self.state = State::Failed(ending);
        }
    }

    /// Frames of it may have passed unseen, unless it is over.
    pub(super) fn lose(&mut self) {
        if self.state != State::Ended {
            self.is_lossy = true;
            self.message.forget_content();
        }
    }

    /// Content that follows these next bytes of it, as far as its field says.
    pub(super) fn content_to_come(&self, bytes: usize) -> u64 {
        let so_far = self.message.body.length.saturating_add(bytes as u64);
        self.content_length.unwrap_or(0).saturating_sub(so_far)
    }

    /// Whether the content has the length that its field says (section 8.1.1).
    fn is_filled(&self) -> bool {
        let Message { body, .. } = &self.message;
        !self.is_lossy && body.missing == 0 && self.content_length == Some(body.length)
    }

    fn into_parts(self) -> (Seen, crate::Body) {
        let Message { body, seen, .. } = self.message;
        (Seen { unknown_fields: self.unknown_fields, ..seen }, body)
    }
}
