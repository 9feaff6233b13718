//! From an exchange to a [`Call`].

use std::{net::SocketAddr, sync::Arc};

use jiff::Timestamp;
use mop_contract::route::path_of;
use mop_wire::{Exchange, Headers, Role};

use super::{
    Call, Completeness, Ends, INTERACTION, Interaction, Method, Token, WEBHOOK_INTERACTION,
    acts::{self, Found},
    answered,
    bearer::bearer,
    body::Bodies,
    flow::{Flow, Step},
    host_of, identity, interaction_id, later,
    self_report::{self, Known},
    token_endpoint,
};
use crate::data::{
    consent_join::JoinedBy,
    digest::{Key, Subject},
    endpoint::{NotListed, PcmEndpoints, regulated_path},
    event::rules::Exclusions,
    identity::{certificate::CertificateFacts, forwarded::ForwardedCertificate},
};

/// What an extractor works with.
#[derive(Debug)]
pub struct ExtractorSettings {
    /// Key of all digests.
    pub key: Key,
    /// Endpoints of the metrics platform.
    pub endpoints: Arc<PcmEndpoints>,
    /// Header in which a proxy forwards the client's certificate.
    pub forwarded: Option<ForwardedCertificate>,
    /// Calls that are none of the ecosystem's.
    pub exclusions: Exclusions,
    /// A client that ends its connection without an answer after less than this did not time out:
    /// it was stopped, or it was refused.
    pub shortest_time_out_ms: u64,
}

/// Makes calls of exchanges. One for each worker: it keeps its buffers.
pub struct Extractor {
    settings: Arc<ExtractorSettings>,
    bodies: Bodies,
}

/// What is known of an exchange beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// Its identifier in its own record.
    pub exchange: &'a Arc<str>,
    /// First byte of its request.
    pub start: Timestamp,
    /// Ends of its connection.
    pub ends: Ends,
    /// Identifier of the observed process on this node.
    pub process: Option<u32>,
    /// Certificate that the other side showed in the handshake.
    pub peer_certificate: Option<&'a CertificateFacts>,
    /// Certificate that the observed process showed.
    pub own_certificate: Option<&'a CertificateFacts>,
    /// When its connection ended, `CLOCK_MONOTONIC` nanoseconds, if it did and that was seen.
    pub connection_end_ns: Option<u64>,
}

/// Why an exchange is no call that is of use here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Passed {
    /// The head of its request was not seen.
    RequestUnseen,
    /// It is not regulated, and no step of the authorization flow.
    Unregulated,
}

impl Extractor {
    /// An extractor with these settings.
    #[must_use]
    pub fn new(settings: Arc<ExtractorSettings>) -> Self {
        Self { settings, bodies: Bodies::default() }
    }

    /// Makes a call of an exchange.
    ///
    /// # Errors
    ///
    /// [`Passed`] when it is none that is of use.
    pub fn extract(
        &mut self,
        exchange: &Exchange,
        observed: &Observed<'_>,
    ) -> Result<Call, Passed> {
        self.read(exchange, observed, false)
    }

    /// Makes a call of any exchange whose request was seen.
    ///
    /// # Errors
    ///
    /// [`Passed::RequestUnseen`].
    pub fn extract_any(
        &mut self,
        exchange: &Exchange,
        observed: &Observed<'_>,
    ) -> Result<Call, Passed> {
        self.read(exchange, observed, true)
    }

    fn read(
        &mut self,
        exchange: &Exchange,
        observed: &Observed<'_>,
        is_any: bool,
    ) -> Result<Call, Passed> {
        let request = exchange.request.as_ref().ok_or(Passed::RequestUnseen)?;
        let settings = Arc::clone(&self.settings);
        let key = &settings.key;
        self.bodies.is_unread = false;
        let method = Method::parse(&request.method);
        let path = path_of(&request.target);
        let found = settings.endpoints.find(&request.target);
        let (answer, span, is_span_exact) =
            answered::read(exchange, observed.connection_end_ns, settings.shortest_time_out_ms);
        let end = later(observed.start, span);
        let is_regulated = !matches!(found, Err(NotListed::Unregulated));
        let flow = match &exchange.response {
            Some(response) if found.is_err() => {
                let role = exchange.role;
                Step { role, method, request, response, key, end }.read(&mut self.bodies)
            }
            _ => None,
        };
        let is_of_use = is_regulated || flow.is_some();
        if !is_of_use && !is_any {
            return Err(Passed::Unregulated);
        }
        let act = match &found {
            Ok(found) => acts::read(exchange, &found.endpoint, method, &mut self.bodies),
            Err(_) => Found::default(),
        };
        let report = match &found {
            Err(NotListed::Unlisted) => {
                let span = is_span_exact.then_some(span);
                let connection_end_ns = observed.connection_end_ns;
                let known = Known { method, span, connection_end_ns };
                self_report::read(exchange, known, &mut self.bodies)
            }
            _ => None,
        };
        let flow = flow.unwrap_or_else(|| Flow::of(exchange.role));
        let by_path = found.as_ref().ok().and_then(|found| found.consent.clone());
        let by_body = act.consent.or(flow.consent);
        let named = by_path
            .map(|consent| (consent, JoinedBy::Path))
            .or_else(|| by_body.map(|consent| (consent, JoinedBy::Body)));
        let token = if is_regulated { self.token(&request.headers, key) } else { None };
        let mut keys = flow.keys;
        keys.extend(token.as_ref().map(|token| token.digest));
        let mut acts = flow.acts;
        acts.extend(act.act);
        let regulated = regulated_path(path).unwrap_or_default();
        let interface = found.as_ref().map_or("", |found| found.endpoint.interface.as_str());
        let Ends { local, remote } = observed.ends;
        let caller = if exchange.role == Role::Server { remote } else { local };
        let completeness = &exchange.completeness;
        Ok(Call {
            exchange: Arc::clone(observed.exchange),
            connection: exchange.connection,
            role: exchange.role,
            side: flow.side,
            start: observed.start,
            span,
            is_span_exact,
            method,
            host: host_of(&request.target, &request.headers),
            prefix: path
                .strip_suffix(regulated)
                .filter(|_| is_regulated)
                .unwrap_or_default()
                .into(),
            path_digest: key.digest(
                Subject::Path,
                if regulated.is_empty() { path } else { regulated }.as_bytes(),
            ),
            answer,
            interaction: interaction(exchange, interface, key),
            client: identity::client(
                exchange.role,
                &request.headers,
                observed,
                settings.forwarded.as_ref(),
            ),
            token,
            named,
            keys,
            lesson: flow.lesson,
            acts,
            acts_at: if flow.at_start { observed.start } else { end },
            report,
            ends: observed.ends,
            process: observed.process,
            exclusion: settings.exclusions.of(
                path,
                request.headers.first("user-agent"),
                caller.map(|caller: SocketAddr| caller.ip()),
            ),
            seen: Completeness {
                is_complete: completeness.is_complete(),
                missing_bytes: completeness.request.missing_bytes
                    + completeness.response.missing_bytes,
                is_body_unread: self.bodies.is_unread,
            },
            is_of_use,
            path: found.as_ref().map_or(regulated, |found| found.path).into(),
            endpoint: found.map(|found| found.endpoint),
        })
    }

    /// The bearer token of a request.
    fn token(&mut self, headers: &Headers, key: &Key) -> Option<Token> {
        let token = bearer(headers)?;
        Some(Token {
            digest: key.digest(Subject::Token, token.as_bytes()),
            hint: token_endpoint::claimed_consent(token, &mut self.bodies),
        })
    }
}

impl std::fmt::Debug for Extractor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Extractor")
    }
}

impl Passed {
    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RequestUnseen => "request_unseen",
            Self::Unregulated => "unregulated",
        }
    }
}

/// Identifier of the interaction, which is named otherwise in calls of webhooks.
fn interaction(exchange: &Exchange, interface: &str, key: &Key) -> Option<Interaction> {
    let webhook = (interface == "webhook").then_some(WEBHOOK_INTERACTION);
    let names = [INTERACTION, webhook.unwrap_or(INTERACTION)];
    let id = interaction_id(exchange, &names)?.to_owned();
    let digest = key.digest(Subject::Interaction, id.as_bytes());
    Some(Interaction { id, digest })
}

/// Clients wait for seconds; the ecosystem's slowest limit is four.
pub const DEFAULT_SHORTEST_TIME_OUT_MS: u64 = 1000;
