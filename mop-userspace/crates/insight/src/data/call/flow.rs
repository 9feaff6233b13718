//! The authorization flow, as it shows in calls: OAuth 2.0 (RFC 6749) with pushed requests
//! (RFC 9126), PKCE (RFC 7636), responses as JWT (JARM), introspection (RFC 7662) and revocation
//! (RFC 7009), by the security profile of the ecosystem.
//!
//! Authorization servers choose their paths, so a step is known by what it carries. A call of some
//! other flow that looks alike does no harm: none of its digests leads to a consent.

use jiff::Timestamp;
use mop_contract::route::{path_of, query_of};
use mop_wire::{Request, Response, Role};

use super::{
    Method,
    body::{Bodies, Fields},
    redirect, token_endpoint,
};
use crate::data::{
    consent::ConsentId,
    digest::{Digest, Key, Subject},
    signal::Act,
    tokens::{FLOW_SECONDS, Handle, Lesson, Need},
};

/// One step of the flow.
#[derive(Debug)]
pub(super) struct Flow {
    /// What it teaches.
    pub(super) lesson: Option<Lesson>,
    /// Digests that lead to its consent.
    pub(super) keys: Vec<Digest>,
    /// The consent that it names itself.
    pub(super) consent: Option<ConsentId>,
    /// What happened.
    pub(super) acts: Vec<Act>,
    /// For which side that speaks.
    pub(super) side: Role,
    /// Whether it happened when the request began, and not when the answer ended.
    pub(super) at_start: bool,
}

/// Both messages of a call, and what digests are made with.
#[derive(Clone, Copy)]
pub(super) struct Step<'e> {
    pub(super) role: Role,
    pub(super) method: Method,
    pub(super) request: &'e Request,
    pub(super) response: &'e Response,
    pub(super) key: &'e Key,
    /// When the answer ended.
    pub(super) end: Timestamp,
}

impl Flow {
    /// A step of this side that teaches nothing and did nothing yet.
    pub(super) fn of(side: Role) -> Self {
        Self {
            lesson: None,
            keys: Vec::new(),
            consent: None,
            acts: Vec::new(),
            side,
            at_start: false,
        }
    }
}

impl Step<'_> {
    /// The step that a call is, if it is one.
    pub(super) fn read(self, bodies: &mut Bodies) -> Option<Flow> {
        let form = match self.method {
            Method::Post => bodies.form(&self.request.headers, &self.request.body),
            _ => None,
        };
        let form = form.as_deref().map(Fields::parse);
        let query = query_of(&self.request.target).map(Fields::parse);
        if let Some(form) = &form
            && let Some(flow) = token_endpoint::read(self, form, bodies)
        {
            return Some(flow);
        }
        if self.role != Role::Server {
            return None;
        }
        // What only browsers do: they call the authorization server and the receiver's web server.
        let sent = form.as_ref().or(query.as_ref());
        let asks = sent.is_some_and(|sent| sent.one("request_uri").is_some());
        let came_back = sent.and_then(|sent| redirect::Outcome::read(sent, bodies, self.key));
        let location = self.location();
        let redirected =
            location.as_ref().and_then(|to| redirect::Outcome::of_location(to, bodies, self.key));
        match (redirected, came_back) {
            // The same outcome is passed on: still the receiver's web server.
            (Some(redirected), Some(came_back)) if redirected == came_back => {
                Some(came_back.returned(self))
            }
            (Some(redirected), _) => {
                let mut flow = redirected.issued(self, sent);
                if asks {
                    flow.acts.insert(0, Act::AuthorizationRequested);
                }
                Some(flow)
            }
            (None, Some(came_back)) => Some(came_back.returned(self)),
            (None, None) if asks && self.response.status < 400 => {
                let mut flow = Flow::of(Role::Server);
                flow.keys = self.asked_with(sent);
                flow.acts.push(Act::AuthorizationRequested);
                flow.at_start = true;
                Some(flow)
            }
            (None, None) => location.and_then(|to| redirect::sent_to_login(&to, self)),
        }
    }

    /// Where a redirect leads to.
    fn location(self) -> Option<String> {
        if !matches!(self.response.status, 301..=303 | 307 | 308) {
            return None;
        }
        let location = self.response.headers.first("location")?;
        let location = std::str::from_utf8(location).ok()?;
        (location.len() <= MAX_LOCATION_BYTES).then(|| location.to_owned())
    }

    /// Digests of what a browser asked for the login page with.
    pub(super) fn asked_with(self, sent: Option<&Fields<'_>>) -> Vec<Digest> {
        let of = |name, subject| {
            let value = sent.and_then(|sent| sent.one(name));
            value.map(|value| self.key.digest(subject, value.as_bytes()))
        };
        [of("request_uri", Subject::RequestUri), of("state", Subject::State)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// A digest of something that lives as long as a flow.
    pub(super) fn handle(self, subject: Subject, value: &str) -> Handle {
        Handle {
            digest: self.key.digest(subject, value.as_bytes()),
            need: Need::Flow,
            expires_s: self.end.as_second() + FLOW_SECONDS,
        }
    }

    /// Whether the last segment of the path has this in it, in any case.
    pub(super) fn last_segment_has(self, word: &str) -> bool {
        let segment = path_of(&self.request.target).rsplit('/').next().unwrap_or_default();
        segment.to_ascii_lowercase().contains(word)
    }
}

/// A redirect with an encrypted id token in its fragment has some 4 KB.
const MAX_LOCATION_BYTES: usize = 32 << 10;
