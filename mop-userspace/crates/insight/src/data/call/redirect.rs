//! Redirects of the flow: to the login page, and back with a code or an error.
//!
//! What comes back is `code` or `error` with `state`, in a query, a fragment or a form, or all of
//! them as claims of `response` (JARM). An encrypted response tells nothing.

use mop_contract::route::query_of;
use mop_wire::Role;

use super::{
    body::{Bodies, Fields, text},
    flow::{Flow, Step},
};
use crate::data::{
    digest::{Digest, Key, Subject},
    identity::host,
    signal::Act,
    tokens::Lesson,
};

/// How an authorization request ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Digest of the code, or the error.
    result: Result<Digest, String>,
    state: Option<Digest>,
}

impl Outcome {
    /// From the parameters of a request.
    pub(super) fn read(sent: &Fields<'_>, bodies: &mut Bodies, key: &Key) -> Option<Self> {
        if let Some(response) = sent.one("response") {
            return bodies
                .claims(response, |claims| {
                    Self::new(
                        text(claims, "/code", MAX_CODE_BYTES).as_deref(),
                        text(claims, "/error", MAX_ERROR_BYTES).as_deref(),
                        text(claims, "/state", MAX_CODE_BYTES).as_deref(),
                        key,
                    )
                })
                .flatten();
        }
        // Without a state it is no answer of this profile, and there is nothing to join it by.
        sent.one("state")?;
        Self::new(sent.one("code"), sent.one("error"), sent.one("state"), key)
    }

    /// From where a redirect leads to.
    pub(super) fn of_location(location: &str, bodies: &mut Bodies, key: &Key) -> Option<Self> {
        let fragment = location.split_once('#').map(|(_, fragment)| fragment);
        [query_of(location), fragment]
            .into_iter()
            .flatten()
            .find_map(|parameters| Self::read(&Fields::parse(parameters), bodies, key))
    }

    fn new(
        code: Option<&str>,
        error: Option<&str>,
        state: Option<&str>,
        key: &Key,
    ) -> Option<Self> {
        let result = match (code, error) {
            (Some(code), None) if code.len() <= MAX_CODE_BYTES => {
                Ok(key.digest(Subject::Code, code.as_bytes()))
            }
            (None, Some(error)) if is_error(error) => Err(error.to_owned()),
            _ => return None,
        };
        Some(Self {
            result,
            state: state.map(|state| key.digest(Subject::State, state.as_bytes())),
        })
    }

    /// The authorization server sends the browser back with it.
    pub(super) fn issued(self, step: Step<'_>, asked: Option<&Fields<'_>>) -> Flow {
        let mut keys = step.asked_with(asked);
        keys.extend(self.state);
        let mut flow = Flow::of(Role::Server);
        match self.result {
            Ok(code) => {
                flow.lesson = Some(lesson(&keys, code, step));
                flow.acts.push(Act::CodeIssued);
            }
            Err(error) => flow.acts.push(Act::AuthorizationRefused(error)),
        }
        flow.keys = keys;
        flow
    }

    /// The browser comes back to the receiving side with it.
    pub(super) fn returned(self, step: Step<'_>) -> Flow {
        let mut flow = Flow::of(Role::Client);
        flow.at_start = true;
        flow.keys.extend(self.state);
        flow.acts.push(Act::RedirectedBack { is_success: self.result.is_ok() });
        if let Ok(code) = self.result {
            flow.lesson = Some(lesson(&flow.keys, code, step));
            flow.keys.push(code);
        }
        flow
    }
}

/// A receiver's web server sends the browser to the login page of another host.
pub(super) fn sent_to_login(location: &str, step: Step<'_>) -> Option<Flow> {
    let fields = Fields::parse(query_of(location)?);
    let request_uri = fields.one("request_uri")?;
    fields.one("client_id")?;
    let (to, _path) = host::of_url(location)?;
    let own = step.request.headers.first("host").and_then(|own| std::str::from_utf8(own).ok());
    if own.and_then(host::of_authority).is_none_or(|own| own == to) {
        return None;
    }
    let mut flow = Flow::of(Role::Client);
    flow.keys = vec![step.key.digest(Subject::RequestUri, request_uri.as_bytes())];
    flow.acts.push(Act::AuthorizationRequested);
    Some(flow)
}

fn lesson(from: &[Digest], code: Digest, step: Step<'_>) -> Lesson {
    let mut handle = step.handle(Subject::Code, "");
    handle.digest = code;
    Lesson { from: from.to_vec(), handles: vec![handle], ..Lesson::default() }
}

/// `error` of RFC 6749, section 4.1.2.1, and its extensions: words, not sentences.
fn is_error(error: &str) -> bool {
    error.len() <= MAX_ERROR_BYTES
        && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Codes and states are some 40 characters, or tokens of their own.
const MAX_CODE_BYTES: usize = 4096;

/// The longest registered one has 31 characters.
const MAX_ERROR_BYTES: usize = 64;
