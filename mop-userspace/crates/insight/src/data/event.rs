//! The transactional event: `eventBody` of the ingestion interface, version 1.0.13, valid by
//! construction.
//!
//! | field | here |
//! |---|---|
//! | `fapiInteractionId` | as the call carries it; must be there except in phase 1 |
//! | `endpoint` | template of [`super::endpoint`] |
//! | `url` | path from `/open-insurance/` on, as sent, without query |
//! | `statusCode` | 100 to 599; 408 when the observed client gave up waiting |
//! | `correlationId` | one of its own for each call, the same whenever it is made of the same call |
//! | `additionalInfo.consentId` | must be there for success outside of phase 1 |
//! | `timestamp` | first byte of the request, UTC, whole seconds and `Z`: 20 characters |
//! | `processTimespan` | first byte of the request to last of the answer, milliseconds, at least 1 |
//! | `clientOrgId`, `clientSSId` | must be there except in phase 1 |
//! | `serverOrgId`, `serverASId` | must be there |
//! | `endpointUriPrefix` | `https://host`; left out when the host is no name with a dot |
//!
//! Where the platform's documents contradict each other, this is the reading that all of them
//! accept: no milliseconds in `timestamp` (its `maxLength` is 20), no path in `endpointUriPrefix`
//! (its `pattern` allows none), a `correlationId` for each call (it is part of the platform's key
//! of idempotency, as `timestamp` is, so an event that is sent again must be the same bytes).
//! What is missing makes the call [`Unreportable`], not the event malformed.

pub mod prevalidate;
pub mod record;
pub mod rules;

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{call::Call, consent::ConsentId, identity::directory_id, signal::Parties};

/// The body of an event, in the order in which it is written.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    fapi_interaction_id: Option<String>,
    /// Template of the endpoint.
    pub endpoint: String,
    url: String,
    /// Status, 408 for a client that gave up.
    pub status_code: u16,
    /// Method.
    pub http_method: &'static str,
    correlation_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_info: Option<AdditionalInfo>,
    timestamp: String,
    /// Milliseconds, at least 1.
    pub process_timespan: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_org_id: Option<String>,
    #[serde(rename = "clientSSId", skip_serializing_if = "Option::is_none")]
    client_ss_id: Option<String>,
    server_org_id: String,
    #[serde(rename = "serverASId")]
    server_as_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_uri_prefix: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct AdditionalInfo {
    consent_id: String,
}

/// Why no valid event can be made of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unreportable {
    /// No answer was seen, and the observed process is not known to have waited in vain.
    AnswerUnseen,
    /// Who called is not known.
    ClientOrganisationUnknown,
    /// Which software statement called is not known.
    ClientSoftwareStatementUnknown,
    /// Its consent is not known.
    ConsentUnknown,
    /// Its path is not in the platform's list, or it is none that the platform takes.
    EndpointUnlisted,
    /// It carries no identifier of an interaction, or a malformed one.
    InteractionAbsent,
    /// Its method is none of the platform's.
    MethodUnlisted,
    /// The authorisation server that was called is not known.
    ServerAuthorisationServerUnknown,
    /// The organisation that was called is not known.
    ServerOrganisationUnknown,
    /// Its status is beyond 599.
    StatusUnlisted,
    /// It began in no year that a timestamp can say.
    TimestampUnlisted,
}

impl EventBody {
    /// The event of a call.
    ///
    /// # Errors
    ///
    /// Every reason why there is none.
    pub fn new(
        call: &Call,
        parties: &Parties,
        consent: Option<&ConsentId>,
    ) -> Result<Self, Vec<Unreportable>> {
        let mut reasons = Vec::new();
        let mut want = |is_there: bool, otherwise: Unreportable| {
            if !is_there {
                reasons.push(otherwise);
            }
        };
        let endpoint = call.endpoint.as_ref().ok();
        let is_open = endpoint.is_some_and(|endpoint| endpoint.group.is_open_data());
        let id = |id: &Option<String>| id.as_deref().and_then(directory_id);
        let client_org_id = id(&parties.client_organisation);
        let client_ss_id = id(&parties.client_software_statement);
        let server_org_id = id(&parties.server_organisation);
        let server_as_id = id(&parties.server_authorisation_server);
        let status = call.status();
        let timestamp = timestamp(call.start);
        want(endpoint.is_some() && is_url(call.path.as_str()), Unreportable::EndpointUnlisted);
        want(call.method.name().is_some(), Unreportable::MethodUnlisted);
        want(status.is_some(), Unreportable::AnswerUnseen);
        want(
            status.is_none_or(|status| (100..=599).contains(&status)),
            Unreportable::StatusUnlisted,
        );
        want(is_open || call.interaction.is_some(), Unreportable::InteractionAbsent);
        want(consent.is_some() || !call.needs_consent(), Unreportable::ConsentUnknown);
        want(is_open || client_org_id.is_some(), Unreportable::ClientOrganisationUnknown);
        want(is_open || client_ss_id.is_some(), Unreportable::ClientSoftwareStatementUnknown);
        want(server_org_id.is_some(), Unreportable::ServerOrganisationUnknown);
        want(server_as_id.is_some(), Unreportable::ServerAuthorisationServerUnknown);
        want(timestamp.is_some(), Unreportable::TimestampUnlisted);
        match (endpoint, call.method.name(), status, server_org_id, server_as_id, timestamp) {
            (
                Some(endpoint),
                Some(http_method),
                Some(status_code),
                Some(server_org_id),
                Some(server_as_id),
                Some(timestamp),
            ) if reasons.is_empty() => Ok(Self {
                fapi_interaction_id: call.interaction.as_ref().map(|it| it.id.clone()),
                endpoint: endpoint.template.clone(),
                url: call.path.as_str().to_owned(),
                status_code,
                http_method,
                correlation_id: correlation_id(call),
                additional_info: consent
                    .map(|consent| AdditionalInfo { consent_id: consent.as_str().to_owned() }),
                timestamp,
                process_timespan: call.duration_ms().max(1),
                client_org_id,
                client_ss_id,
                server_org_id,
                server_as_id,
                endpoint_uri_prefix: call.host.as_deref().and_then(uri_prefix),
            }),
            _ => Err(reasons),
        }
    }
}

impl Unreportable {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::AnswerUnseen,
        Self::ClientOrganisationUnknown,
        Self::ClientSoftwareStatementUnknown,
        Self::ConsentUnknown,
        Self::EndpointUnlisted,
        Self::InteractionAbsent,
        Self::MethodUnlisted,
        Self::ServerAuthorisationServerUnknown,
        Self::ServerOrganisationUnknown,
        Self::StatusUnlisted,
        Self::TimestampUnlisted,
    ];

    /// Its name in records and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AnswerUnseen => "answer_unseen",
            Self::ClientOrganisationUnknown => "client_organisation_unknown",
            Self::ClientSoftwareStatementUnknown => "client_software_statement_unknown",
            Self::ConsentUnknown => "consent_unknown",
            Self::EndpointUnlisted => "endpoint_unlisted",
            Self::InteractionAbsent => "interaction_absent",
            Self::MethodUnlisted => "method_unlisted",
            Self::ServerAuthorisationServerUnknown => "server_authorisation_server_unknown",
            Self::ServerOrganisationUnknown => "server_organisation_unknown",
            Self::StatusUnlisted => "status_unlisted",
            Self::TimestampUnlisted => "timestamp_unlisted",
        }
    }
}

/// What kind of call it is of; neither its path nor its consent.
impl std::fmt::Debug for EventBody {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("EventBody")
            .field("endpoint", &self.endpoint)
            .field("http_method", &self.http_method)
            .field("status_code", &self.status_code)
            .finish_non_exhaustive()
    }
}

/// `YYYY-MM-DDThh:mm:ssZ`.
fn timestamp(at: Timestamp) -> Option<String> {
    let civil = TimeZone::UTC.to_datetime(at);
    (1..=9999).contains(&civil.year()).then(|| civil.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// A UUID made of the identity of the exchange: in the layout of version 5 of RFC 9562 (name-based),
/// with SHA-256 in the place of SHA-1.
///
/// The identifier of an exchange may come again after a restart, so its time, its span on the
/// kernel's clock and its digests are part of the name.
fn correlation_id(call: &Call) -> String {
    let mut hash = Sha256::new();
    hash.update(NAMESPACE);
    hash.update(call.exchange.as_bytes());
    hash.update([0]);
    hash.update(call.start.as_nanosecond().to_be_bytes());
    hash.update(call.span.start_ns.to_be_bytes());
    hash.update(call.connection.to_be_bytes());
    hash.update(call.path.as_str().as_bytes());
    hash.update([0]);
    hash.update(call.interaction.as_ref().map_or("", |interaction| &interaction.id).as_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let (first, _rest) = digest.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
    let version_and_variant = 0x5 << 76 | 0b10 << 62;
    let mask: u128 = 0xf << 76 | 0b11 << 62;
    let number = u128::from_be_bytes(*first) & !mask | version_and_variant;
    let digits = format!("{number:032x}");
    let group = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [group(0, 8), group(8, 12), group(12, 16), group(16, 20), group(20, 32)].join("-")
}

/// `https://host`; `None` when the host is not `([a-zA-Z0-9-]+\.)+[a-zA-Z-]{2,}`.
fn uri_prefix(host: &str) -> Option<String> {
    let (labels, last) = host.rsplit_once('.')?;
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_last =
        last.len() >= 2 && last.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
    (is_last && labels.split('.').all(is_label)).then(|| format!("https://{host}"))
}

/// `^/[a-zA-Z-]{2,}(/.*)?$`, in which `.` is any character but a line end.
fn is_url(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    let first = rest.split('/').next().unwrap_or_default();
    first.len() >= 2
        && first.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
        && !path.contains(['\n', '\r', '\u{2028}', '\u{2029}'])
}

/// Of these identifiers, so that no other use of the same hash makes the same.
const NAMESPACE: &[u8] = b"mop.data.call/1\0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_host_with_a_dot() {
        assert_eq!(uri_prefix("api.a-b.example"), Some("https://api.a-b.example".into()));
        for host in ["localhost", "10.0.0.1", "a..example", "a_b.example", "fd00::1", "x.e1"] {
            assert_eq!(uri_prefix(host), None, "{host}");
        }
    }

    #[test]
    fn a_timestamp_has_twenty_characters() {
        let at = |text: &str| timestamp(text.parse().unwrap());
        assert_eq!(at("2026-11-24T12:00:00.999-03:00"), Some("2026-11-24T15:00:00Z".into()));
        assert_eq!(at("0001-01-01T00:00:00Z"), Some("0001-01-01T00:00:00Z".into()));
    }
}
