//! A call as figures and alarms are made of it.

use std::sync::Arc;

use jiff::Timestamp;
use mop_wire::Role;

use crate::data::{
    call::{Answer, Call, Method, SelfReport},
    endpoint::{Endpoint, NotListed, unlisted_path},
    signal::Parties,
};

/// A call at the edge: further sightings of it and calls that are none of the ecosystem's have none.
/// It holds nothing of the call's path but the operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// The exchange.
    pub exchange: Arc<str>,
    /// Part of the observed process.
    pub role: Role,
    /// First byte of the request.
    pub at: Timestamp,
    /// First byte of the request to last byte of the answer; none when that was not seen.
    pub microseconds: Option<u64>,
    /// Method.
    pub method: Method,
    /// What came back.
    pub answer: Answer,
    /// The endpoint, or why the platform does not list it.
    pub endpoint: Result<Arc<Endpoint>, NotListed>,
    /// Path of a published operation that the platform does not list.
    pub unlisted: Option<&'static str>,
    /// What the server said of its own operation.
    pub report: Option<SelfReport>,
    /// Who called whom.
    pub parties: Parties,
    /// End of the certificate that the client showed, or that was forwarded.
    pub client_certificate_end: Option<Timestamp>,
}

impl Edge {
    /// Of a call whose parties are known, as far as they are. The report goes with it.
    #[must_use]
    pub(super) fn of(call: &mut Call, parties: &Parties) -> Self {
        Self {
            exchange: Arc::clone(&call.exchange),
            role: call.role,
            at: call.start,
            microseconds: call.is_span_exact.then(|| call.span.microseconds()),
            method: call.method,
            answer: call.answer,
            endpoint: call.endpoint.clone(),
            unlisted: unlisted_path(call.path.as_str()).filter(|_| call.endpoint.is_err()),
            report: call.report.take(),
            parties: parties.clone(),
            client_certificate_end: call.client.as_ref().ok().and_then(|client| client.not_after),
        }
    }

    /// Path template of the operation that was called; none when no published document has it.
    #[must_use]
    pub fn operation(&self) -> Option<&str> {
        match &self.endpoint {
            Ok(endpoint) => Some(&endpoint.template),
            Err(_) => self.unlisted,
        }
    }
}
