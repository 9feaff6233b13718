//! What a call to an interface did to a consent or a quote.
//!
//! By the published interfaces: consents v2.7.0 and v3.0.0; quotes v1 and v2, whose requests carry
//! `data.consentId`, and whose paths end alike below each branch (`/request`,
//! `/request/{consentId}`, `/request/{consentId}/quote-status`, `/lead/…`).

use jiff::Timestamp;
use mop_contract::json::Value;
use mop_wire::Exchange;

use super::{
    Method,
    body::{Bodies, text},
};
use crate::data::{
    consent::ConsentId,
    endpoint::Endpoint,
    signal::{Act, MAX_PERMISSIONS},
};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The consent that a body names.
    pub(super) consent: Option<ConsentId>,
    /// What happened to the call's consent.
    pub(super) act: Option<Act>,
}

/// Reads what a call to an endpoint did. Bodies are looked at only where they tell something.
pub(super) fn read(
    exchange: &Exchange,
    endpoint: &Endpoint,
    method: Method,
    bodies: &mut Bodies,
) -> Found {
    let (Some(request), Some(response)) = (&exchange.request, &exchange.response) else {
        return Found::default();
    };
    let path = endpoint.operation_path();
    let answer = |bodies: &mut Bodies, make: &dyn Fn(Value<'_>) -> Found| {
        bodies.json(&response.headers, &response.body, make).unwrap_or_default()
    };
    match (endpoint.interface.as_str(), method, response.status) {
        ("consents", Method::Post, 201) if path == "/consents" => {
            answer(bodies, &|body| created(body, endpoint.version))
        }
        ("consents", Method::Get, 200) => answer(bodies, &consent_read),
        ("consents", Method::Delete, 204) => Found::of(Act::ConsentDeleted),
        (interface, _, 200..=299) if is_quote(interface) && !path.starts_with("/raffle/") => {
            match method {
                Method::Post if path.ends_with("/request") => {
                    let consent = bodies.json(&request.headers, &request.body, consent).flatten();
                    let mut found = answer(bodies, &|body| {
                        Found::of(Act::QuoteRequested { status: short(body, "/data/status") })
                    });
                    found.consent = consent;
                    found
                }
                Method::Get if path.ends_with("/quote-status") => answer(bodies, &status_read),
                Method::Patch => {
                    let sent = bodies.json(&request.headers, &request.body, |body| {
                        (short(body, "/data/status"), text(body, QUOTE, MAX_ID_BYTES))
                    });
                    let Some((Some(status), sent_quote)) = sent else { return Found::default() };
                    answer(bodies, &|body| {
                        Found::of(Act::QuoteAnswered {
                            status: status.clone(),
                            quote: text(body, QUOTE, MAX_ID_BYTES).or_else(|| sent_quote.clone()),
                            has_redirect: has_redirect(body),
                        })
                    })
                }
                _ => Found::default(),
            }
        }
        _ => Found::default(),
    }
}

impl Found {
    fn of(act: Act) -> Self {
        Self { consent: None, act: Some(act) }
    }
}

fn created(body: Value<'_>, version: u8) -> Found {
    let act =
        Act::ConsentCreated { permissions: permissions(body), expires: expires(body), version };
    Found { consent: consent(body), act: Some(act) }
}

fn consent_read(body: Value<'_>) -> Found {
    let Some(status) = short(body, "/data/status") else { return Found::default() };
    Found::of(Act::ConsentRead {
        status,
        permissions: permissions(body),
        expires: expires(body),
        rejected_by: short(body, "/data/rejection/rejectedBy"),
        rejection_code: short(body, "/data/rejection/reason/code"),
    })
}

fn status_read(body: Value<'_>) -> Found {
    let Some(status) = short(body, "/data/status") else { return Found::default() };
    // An answer may offer several quotes; only one that is the only one is the consent's.
    let mut quotes = body.pointer("/data/quoteInfo/quotes").into_iter().flat_map(Value::elements);
    let only = quotes.next().filter(|_| quotes.next().is_none());
    let quote = only.and_then(|only| text(only, "/insurerQuoteId", MAX_ID_BYTES));
    Found::of(Act::QuoteStatusRead { status, quote })
}

fn consent(body: Value<'_>) -> Option<ConsentId> {
    body.pointer("/data/consentId").and_then(Value::as_str).and_then(ConsentId::parse)
}

fn permissions(body: Value<'_>) -> Vec<String> {
    let list = body.pointer("/data/permissions").into_iter().flat_map(Value::elements);
    list.take(MAX_PERMISSIONS)
        .filter_map(Value::as_str)
        .filter(|permission| permission.len() <= MAX_WORD_BYTES)
        .map(str::to_owned)
        .collect()
}

fn expires(body: Value<'_>) -> Option<Timestamp> {
    body.pointer("/data/expirationDateTime")?.as_str()?.parse().ok()
}

fn has_redirect(body: Value<'_>) -> bool {
    ["/data/links/redirect", "/data/redirectLink"].iter().any(|pointer| {
        body.pointer(pointer).and_then(Value::as_str).is_some_and(|link| !link.is_empty())
    })
}

fn short(body: Value<'_>, pointer: &str) -> Option<String> {
    text(body, pointer, MAX_WORD_BYTES)
}

/// Interfaces of quotes and of contracting that have a quote.
fn is_quote(interface: &str) -> bool {
    interface.starts_with("quote-") || interface == "contract-life-pension"
}

const QUOTE: &str = "/data/insurerQuoteId";

/// The longest word of an enumeration has 53 characters.
const MAX_WORD_BYTES: usize = 128;

/// `maxLength` of `insurerQuoteId` is 60; more is room for those that ignore it.
const MAX_ID_BYTES: usize = 256;
