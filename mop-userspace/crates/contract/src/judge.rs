//! Judges the messages of a call against the operation that it means.
//!
//! Two readings of the contract are applied: as published, and with its known defects corrected.
//! Each body is read once for both. What cannot be judged says why, and is never guessed at: a
//! body that was not seen whole, or that two readers would understand differently, has no
//! violations and is no proof of conformity either.

mod content;
mod parameters;

use mop_wire::{Body, Ending, Exchange, Headers};

use crate::{
    contract::Contract,
    json::{Reader, UnreadableKind, Value},
    operation::{Operation, OperationId, Rules, Status},
    route::Unrouted,
    schema::SchemaId,
    violation::{Direction, Severity, Violation},
};

pub use content::MAX_PLAIN_BYTES;

/// Judges calls one after the other, in the same buffers.
#[derive(Default)]
pub struct Judge {
    request_json: Reader,
    response_json: Reader,
    parameter: Reader,
}

/// A call to be judged: what was seen of it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Method of the request.
    pub method: &'a str,
    /// Target of the request.
    pub target: &'a str,
    /// The request, when it was seen whole.
    pub request: Option<Message<'a>>,
    /// Status and response, when it was seen whole.
    pub response: Option<(u16, Message<'a>)>,
    /// Whether something of the call is missing.
    pub incomplete: bool,
}

/// One message of a call.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Its field lines.
    pub headers: &'a Headers,
    /// Its content.
    pub body: &'a Body,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The operation that was called.
    pub operation: Result<OperationId, Unrouted>,
    /// Against the contract as it was published.
    pub published: Reading,
    /// Against the contract with its known defects corrected.
    pub corrected: Reading,
    /// What could not be judged.
    pub unjudged: Vec<Unjudged>,
}

/// The result of one reading of the contract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What is wrong, at most [`MAX_REPORTED`].
    pub violations: Vec<Violation>,
    /// Defects in all, repetitions and those that are not reported included.
    pub total: u32,
}

/// A message, or its body, that could not be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unjudged {
    /// Which message.
    pub direction: Direction,
    /// Why.
    pub reason: UnjudgedReason,
}

/// Why something could not be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UnjudgedReason {
    /// The content coding is unknown, broken, or unfolds beyond its limits.
    ContentCoding,
    /// A name is given twice in an object.
    DuplicateName,
    /// Some bytes of the call were not seen.
    Incomplete,
    /// A copy of the message was handed over, without the header fields that it had.
    HeadersNotSeen,
    /// Half a surrogate pair in a string.
    LoneSurrogate,
    /// Not JSON, where the contract describes JSON.
    NotJson,
    /// Declared in a form that is not described by a schema of JSON.
    NotJsonByContract,
    /// The body was seen but is larger than what is kept.
    NotKept,
    /// A number that no double holds.
    NumberTooLarge,
    /// The status of the response is not declared, so that nothing says what belongs to it.
    StatusUndeclared,
    /// Nested too deep.
    TooDeep,
    /// Longer than what is read.
    TooLong,
    /// More values than are read.
    TooManyValues,
    /// Judging it reached the limit of work.
    WorkLimit,
}

/// A body that was judged, for those who look at its attributes.
#[derive(Clone, Copy)]
pub struct JudgedBody<'a> {
    /// The operation.
    pub operation: OperationId,
    /// Which message.
    pub direction: Direction,
    /// The status by which the contract chose the schema; `None` for requests.
    pub status: Option<Status>,
    /// The corrected schema.
    pub schema: SchemaId,
    /// The body.
    pub value: Value<'a>,
    /// What is wrong in it, by the corrected reading.
    pub violations: &'a [Violation],
}

/// Is shown what is read while a call is judged.
pub trait Visitor {
    /// A body that was judged.
    fn body(&mut self, body: JudgedBody<'_>) {
        let _ = body;
    }

    /// The bodies of a call, as far as they are JSON, once both messages were judged.
    fn bodies(
        &mut self,
        operation: &Operation,
        request: Option<Value<'_>>,
        response: Option<Value<'_>>,
    ) {
        let _ = (operation, request, response);
    }
}

/// Looks at nothing.
impl Visitor for () {}

impl Judge {
    /// Judges a call.
    pub fn judge(
        &mut self,
        contract: &Contract,
        call: Call<'_>,
        visitor: &mut impl Visitor,
    ) -> Judgement {
        self.judge_seen(contract, call, Seen::Wire, visitor)
    }

    /// Judges messages that an application handed over as copies. The header fields that come with
    /// a copy are not those of the message: nothing is said about fields, media type and cookies,
    /// nor about a query that the copied target does not have.
    pub fn judge_copy(
        &mut self,
        contract: &Contract,
        call: Call<'_>,
        visitor: &mut impl Visitor,
    ) -> Judgement {
        self.judge_seen(contract, call, Seen::Copy, visitor)
    }

    fn judge_seen(
        &mut self,
        contract: &Contract,
        call: Call<'_>,
        seen: Seen,
        visitor: &mut impl Visitor,
    ) -> Judgement {
        let (route, operation) = match contract.route(call.method, call.target) {
            Ok(found) => found,
            Err(unrouted) => return Judgement::unrouted(unrouted),
        };
        let id = route.operation;
        let mut judgement = Judgement {
            operation: Ok(id),
            published: Reading::default(),
            corrected: Reading::default(),
            unjudged: Vec::new(),
        };
        if call.incomplete {
            judgement.unjudged(Direction::Request, UnjudgedReason::Incomplete);
            judgement.unjudged(Direction::Response, UnjudgedReason::Incomplete);
            return judgement;
        }
        let Self { request_json, response_json, parameter } = self;
        let readings = [&*operation.published, &*operation.corrected];
        let same = std::ptr::eq(readings[0], readings[1]);
        let plain_request = call.request.map(content::plain);
        let plain_response = call.response.map(|(_, message)| content::plain(message));
        let request_body = plain_request.as_ref().map(|plain| content::read(plain, request_json));
        let response_body =
            plain_response.as_ref().map(|plain| content::read(plain, response_json));
        if let (Some(message), Some(body)) = (call.request, &request_body) {
            let judged = |rules: &Rules| {
                let mut found = Found::new(contract, parameter, Direction::Request, seen);
                found.request(rules, &route.parameters, call.target, message);
                found.request_body(rules, message, body);
                found.finish()
            };
            judgement.add(Direction::Request, id, readings, same, judged, visitor, body);
        }
        if let (Some((status, message)), Some(body)) = (call.response, &response_body) {
            let judged = |rules: &Rules| {
                let mut found = Found::new(contract, parameter, Direction::Response, seen);
                found.response(rules, call.method, status, message, body);
                found.finish()
            };
            judgement.add(Direction::Response, id, readings, same, judged, visitor, body);
        }
        let request = request_body.as_ref().and_then(content::Content::json);
        let response = response_body.as_ref().and_then(content::Content::json);
        visitor.bodies(operation, request, response);
        judgement
    }
}

impl<'a> Call<'a> {
    /// What was seen of an exchange; `None` without a request, since nothing says what was meant.
    #[must_use]
    pub fn of(exchange: &'a Exchange) -> Option<Self> {
        let request = exchange.request.as_ref()?;
        let completeness = &exchange.completeness;
        let nothing_missing =
            completeness.request.missing_bytes == 0 && completeness.response.missing_bytes == 0;
        let has_ended = matches!(completeness.ending, Ending::Complete | Ending::Upgraded);
        Some(Self {
            method: &request.method,
            target: &request.target,
            request: Some(Message { headers: &request.headers, body: &request.body }),
            response: exchange.response.as_ref().map(|response| {
                (response.status, Message { headers: &response.headers, body: &response.body })
            }),
            incomplete: !(nothing_missing && has_ended),
        })
    }
}

impl Judgement {
    /// Whether everything was judged and nothing is wrong by the corrected reading.
    #[must_use]
    pub fn is_conforming(&self) -> bool {
        self.operation.is_ok() && self.unjudged.is_empty() && self.corrected.is_conforming()
    }

    fn unrouted(unrouted: Unrouted) -> Self {
        Self {
            operation: Err(unrouted),
            published: Reading::default(),
            corrected: Reading::default(),
            unjudged: Vec::new(),
        }
    }

    fn unjudged(&mut self, direction: Direction, reason: UnjudgedReason) {
        let unjudged = Unjudged { direction, reason };
        if !self.unjudged.contains(&unjudged) {
            self.unjudged.push(unjudged);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "private; both messages of a call share it")]
    fn add(
        &mut self,
        direction: Direction,
        operation: OperationId,
        [published, corrected]: [&Rules; 2],
        same: bool,
        mut judged: impl FnMut(&Rules) -> FoundParts,
        visitor: &mut impl Visitor,
        body: &content::Content<'_>,
    ) {
        let first = judged(published);
        let second = if same { None } else { Some(judged(corrected)) };
        let parts = second.as_ref().unwrap_or(&first);
        if let (Some((schema, status)), Some(value)) = (parts.body, body.json()) {
            let violations = parts.reading.violations.as_slice();
            visitor.body(JudgedBody { operation, direction, status, schema, value, violations });
        }
        for reason in first.unjudged.iter().chain(second.iter().flat_map(|parts| &parts.unjudged)) {
            self.unjudged(direction, *reason);
        }
        self.corrected.append(match second {
            Some(second) => second.reading,
            None => first.reading.clone(),
        });
        self.published.append(first.reading);
    }
}

impl Reading {
    /// Whether nothing is wrong; what is only worth knowing does not count.
    #[must_use]
    pub fn is_conforming(&self) -> bool {
        !self.violations.iter().any(|violation| violation.severity == Severity::Error)
    }

    fn append(&mut self, other: Self) {
        self.total = self.total.saturating_add(other.total);
        let room = MAX_REPORTED.saturating_sub(self.violations.len());
        self.violations.extend(other.violations.into_iter().take(room));
    }
}

impl UnjudgedReason {
    /// Its name in records and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ContentCoding => "content_coding",
            Self::DuplicateName => "duplicate_name",
            Self::HeadersNotSeen => "headers_not_seen",
            Self::Incomplete => "incomplete",
            Self::LoneSurrogate => "lone_surrogate",
            Self::NotJson => "not_json",
            Self::NotJsonByContract => "not_json_by_contract",
            Self::NotKept => "not_kept",
            Self::NumberTooLarge => "number_too_large",
            Self::StatusUndeclared => "status_undeclared",
            Self::TooDeep => "too_deep",
            Self::TooLong => "too_long",
            Self::TooManyValues => "too_many_values",
            Self::WorkLimit => "work_limit",
        }
    }
}

impl From<UnreadableKind> for UnjudgedReason {
    fn from(kind: UnreadableKind) -> Self {
        match kind {
            UnreadableKind::DuplicateName => Self::DuplicateName,
            UnreadableKind::LoneSurrogate => Self::LoneSurrogate,
            UnreadableKind::NotUtf8 | UnreadableKind::Syntax => Self::NotJson,
            UnreadableKind::NumberTooLarge => Self::NumberTooLarge,
            UnreadableKind::TooDeep => Self::TooDeep,
            UnreadableKind::TooLong => Self::TooLong,
            UnreadableKind::TooManyValues => Self::TooManyValues,
        }
    }
}

/// How messages came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// From whoever received or sent them: method, target and body only.
    Copy,
    /// As they were on the wire.
    Wire,
}

/// What one reading finds in one message, while it is being judged.
struct Found<'c, 'r> {
    contract: &'c Contract,
    parameter: &'r mut Reader,
    direction: Direction,
    seen: Seen,
    parts: FoundParts,
}

/// What one reading found in one message.
#[derive(Default)]
struct FoundParts {
    reading: Reading,
    unjudged: Vec<UnjudgedReason>,
    /// The schema of the body, when it was judged, and the status that chose it.
    body: Option<(SchemaId, Option<Status>)>,
}

impl<'c, 'r> Found<'c, 'r> {
    fn new(
        contract: &'c Contract,
        parameter: &'r mut Reader,
        direction: Direction,
        seen: Seen,
    ) -> Self {
        let mut parts = FoundParts::default();
        if seen == Seen::Copy {
            parts.unjudged.push(UnjudgedReason::HeadersNotSeen);
        }
        Self { contract, parameter, direction, seen, parts }
    }

    fn finish(self) -> FoundParts {
        self.parts
    }

    fn push(&mut self, violation: Violation) {
        let reading = &mut self.parts.reading;
        reading.total = reading.total.saturating_add(violation.occurrences);
        if reading.violations.len() < MAX_REPORTED {
            reading.violations.push(violation);
        }
    }
}

/// Violations of one call that are reported by one reading.
pub const MAX_REPORTED: usize = 2 * crate::check::MAX_VIOLATIONS;
