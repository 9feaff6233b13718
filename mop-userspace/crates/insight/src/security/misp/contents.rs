//! What a finding and its connection are in an event: attributes and objects.

use std::net::IpAddr;

use super::{
    attribute::{Attribute, AttributeError, NewAttribute, Seen},
    object::{Object, ObjectError, Templates},
    scalar::{ThreatLevel, hexadecimal},
    tag::Rsit,
    vocabulary::Vocabulary,
};
use crate::security::{
    finding::{FindingFacts, Severity},
    uuid::Uuid,
};

/// What was seen of the other end of the connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Network<'t> {
    /// Address of the client.
    pub client: Option<IpAddr>,
    /// Port of the server.
    pub server_port: Option<u16>,
    /// MD5 of its offer.
    pub ja3: Option<[u8; 16]>,
    /// `a_b_c` of its offer.
    pub ja4: Option<&'t str>,
    /// SHA-256 of its certificate.
    pub certificate: Option<[u8; 32]>,
}

/// Attributes of the event itself: rule, reasons, organisations, and how many calls.
pub(super) fn attributes(
    vocabulary: &Vocabulary,
    event: Uuid,
    facts: &FindingFacts,
    network: &Network<'_>,
    seen: Seen,
) -> Result<Vec<Attribute>, AttributeError> {
    let count = facts.count.to_string();
    let ja3 = network.ja3.map(|it| hexadecimal(&it));
    let reason = |comment| ("comment", Some("External analysis"), comment, "");
    let mut wanted = vec![
        ("text", Some("Internal reference"), facts.rule.as_str(), "rule"),
        ("counter", None, count.as_str(), "calls"),
        reason(facts.reason.en.as_str()),
        reason(facts.reason.pt.as_str()),
    ];
    wanted.extend(ja3.as_deref().map(|it| ("ja3-fingerprint-md5", None, it, "")));
    wanted.extend(facts.organisation.as_deref().map(|it| ("target-org", None, it, "")));
    let client = facts.client_organisation.as_deref();
    wanted.extend(client.map(|it| ("text", None, it, "client organisation")));
    let demands = facts.fapi.iter();
    wanted.extend(demands.map(|it| ("text", None, it.as_str(), "security profile")));
    let made = wanted.into_iter().map(|(r#type, category, value, comment)| {
        let new = NewAttribute { r#type, category, value, comment, relation: None };
        Attribute::new(vocabulary, event, new, seen)
    });
    made.collect()
}

/// Objects of the event: the request, the connection, and what its client is known by.
pub(super) fn objects(
    (vocabulary, templates): (&Vocabulary, &Templates),
    event: Uuid,
    facts: &FindingFacts,
    (network, rsit): (&Network<'_>, Option<Rsit>),
    seen: Seen,
) -> Result<Vec<Object>, ObjectError> {
    let make =
        |name, values: &[(&str, &str)]| templates.object(vocabulary, event, name, values, seen);
    let count = facts.count.to_string();
    let address = network.client.map(|it| it.to_canonical().to_string());
    let mut objects = Vec::new();
    let mut request = None;
    if let Some(endpoint) = &facts.endpoint {
        let mut values = vec![("uri", endpoint.as_str())];
        values.extend(facts.method.as_deref().map(|it| ("method", it)));
        let object = make("http-request", &values)?;
        request = Some(object.uuid());
        objects.push(object);
    }
    if let Some(address) = &address {
        let port = network.server_port.map(|it| it.to_string());
        let mut values = vec![("ip-src", address.as_str()), ("count", count.as_str())];
        values.extend(port.as_deref().map(|it| ("dst-port", it)));
        objects.push(make("network-connection", &values)?);
        if rsit == Some(Rsit::BruteForce) {
            let values =
                [("ip-src", address.as_str()), ("total", count.as_str()), ("type", "oauth")];
            objects.push(make("authentication-failure-report", &values)?);
        }
    }
    if let Some(fingerprint) = network.certificate {
        let fingerprint = hexadecimal(&fingerprint);
        objects.push(make("x509", &[("x509-fingerprint-sha256", &fingerprint)])?);
    }
    if let Some(fingerprint) = network.ja4 {
        let mut values = vec![("ja4-type", "JA4"), ("ja4-fingerprint", fingerprint)];
        values.extend(address.as_deref().map(|it| ("ip-src", it)));
        objects.push(make("ja4-plus", &values)?);
    }
    for object in &mut objects {
        if let Some(request) = request {
            object.refer_to(request, seen.at);
        }
    }
    Ok(objects)
}

/// The level of an event; the format has none above high.
pub(super) fn threat_level(severity: Severity) -> ThreatLevel {
    match severity {
        Severity::Informational => ThreatLevel::Undefined,
        Severity::Low => ThreatLevel::Low,
        Severity::Medium => ThreatLevel::Medium,
        Severity::High | Severity::Critical => ThreatLevel::High,
    }
}
