//! Calls and their messages, for tests.

use std::sync::Arc;

use jiff::Timestamp;
use mop_contract::{Call, ContractBuilder, Judge};
use mop_wire::{
    Anomalies, Body, Completeness, Ending, Exchange, Headers, Request, Response, Role, Seen,
    Timing, Version,
};

use super::message::{OfficialMessages, OfficialSource, Source};

/// Field lines.
pub(crate) fn headers(lines: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in lines {
        headers.push(name, value.as_bytes());
    }
    headers
}

/// A whole call with one body for both its messages.
pub(crate) fn exchange(role: Role, target: &str, fields: &[(&str, &str)], body: &[u8]) -> Exchange {
    Exchange {
        connection: 7,
        sequence: 1,
        role,
        timing: Timing {
            request_start_ns: 1_000_000_000,
            request_end_ns: 1_000_000_000,
            response_start_ns: 1_250_000_000,
            response_end_ns: 1_300_000_000,
        },
        completeness: Completeness {
            request: Seen::default(),
            response: Seen::default(),
            ending: Ending::Complete,
            resynchronised: false,
        },
        request: Some(Request {
            method: "PATCH".into(),
            target: target.to_owned(),
            version: Version::Http11,
            headers: headers(fields),
            body: Body::whole(body.to_vec(), false),
            anomalies: Anomalies::default(),
        }),
        response: Some(Response {
            status: 201,
            version: Version::Http11,
            headers: headers(fields),
            body: Body::whole(body.to_vec(), false),
            anomalies: Anomalies::default(),
        }),
        interim: Vec::new(),
    }
}

/// The record of a call's message, as it lies in the outbox.
pub(crate) fn record(shared: &Arc<OfficialSource>, exchange: &Exchange, id: &str) -> String {
    let contract = ContractBuilder::default().build();
    let call = Call::of(exchange).expect("a request");
    let judgement = Judge::default().judge(&contract, call, &mut ());
    let source = Source { exchange, id, ts: Timestamp::UNIX_EPOCH, told: None };
    let mut messages = OfficialMessages::new(Arc::clone(shared));
    let message = messages.make(source, &judgement, &[]).expect("made").expect("wanted");
    serde_json::to_string(&message).expect("JSON")
}
