//! What a finding and its connection are in an event: attributes and objects.

use std::net::IpAddr;

use super::{
    attribute::{Attribute, AttributeError, MAX_VALUE_BYTES, NewAttribute, Seen},
    marking::Marking,
    object::{Object, ObjectError, Templates},
    scalar::ThreatLevel,
    vocabulary::Vocabulary,
};
use crate::{
    hexadecimal::hexadecimal,
    security::{
        finding::{FindingFacts, Severity},
        personal,
        pseudonym::Pseudonym,
        uuid::Uuid,
    },
};

/// What was seen of the other end of the connection. Has no `Debug`: it holds what was received.
#[derive(Clone, Copy, Default)]
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
    /// The field `User-Agent`. It is hostile: one with personal data, secrets or control characters
    /// is not told.
    pub user_agent: Option<&'t str>,
    /// Whom it is about, where one and the same must be known again.
    pub pseudonyms: &'t [Pseudonym],
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
    let pseudonyms = network.pseudonyms.iter().take(MAX_PSEUDONYMS);
    let pseudonyms: Vec<_> = pseudonyms.map(|it| (it.to_hex(), it.described())).collect();
    let pseudonyms = pseudonyms.iter();
    wanted.extend(pseudonyms.map(|(value, what)| (PSEUDONYM, None, value.as_str(), what.as_str())));
    // What the participant does not let out is left out, and not the whole event with it.
    let wanted = wanted.into_iter().filter(|(r#type, ..)| !vocabulary.is_never(r#type));
    let made = wanted.map(|(r#type, category, value, comment)| {
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
    (network, marking): (&Network<'_>, &Marking),
    seen: Seen,
) -> Result<Vec<Object>, ObjectError> {
    let mut objects = Vec::new();
    let mut make = |name, values: &[(&str, &str)]| {
        let let_out: Vec<_> = values
            .iter()
            .copied()
            .filter(|(relation, _)| {
                let r#type = templates.type_of(name, relation);
                !r#type.is_some_and(|it| vocabulary.is_never(it))
            })
            .collect();
        match templates.object(vocabulary, event, name, &let_out, seen) {
            Ok(object) => {
                let uuid = object.uuid();
                objects.push(object);
                Ok(Some(uuid))
            }
            // Without what is not let out, there is no such object.
            Err(ObjectError::Missing) if let_out.len() < values.len() => Ok(None),
            Err(error) => Err(error),
        }
    };
    let count = facts.count.to_string();
    let address = network.client.map(|it| it.to_canonical().to_string());
    let mut request = None;
    if let Some(endpoint) = facts.endpoint.as_deref().filter(|it| is_clean(it)) {
        let mut values = vec![("uri", endpoint)];
        values.extend(facts.method.as_deref().map(|it| ("method", it)));
        let user_agent = network.user_agent.filter(|it| is_clean(it) && is_product(it));
        values.extend(user_agent.map(|it| ("user-agent", it)));
        request = make("http-request", &values)?;
    }
    if let Some(address) = &address {
        let port = network.server_port.map(|it| it.to_string());
        let mut values = vec![("ip-src", address.as_str()), ("count", count.as_str())];
        values.extend(port.as_deref().map(|it| ("dst-port", it)));
        make("network-connection", &values)?;
        if marking.is_authentication_failure() {
            let values =
                [("ip-src", address.as_str()), ("total", count.as_str()), ("type", "oauth")];
            make("authentication-failure-report", &values)?;
        }
    }
    if let Some(fingerprint) = network.certificate {
        let fingerprint = hexadecimal(&fingerprint);
        make("x509", &[("x509-fingerprint-sha256", &fingerprint)])?;
    }
    if let Some(fingerprint) = network.ja4 {
        let mut values = vec![("ja4-type", "JA4"), ("ja4-fingerprint", fingerprint)];
        values.extend(address.as_deref().map(|it| ("ip-src", it)));
        make("ja4-plus", &values)?;
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

/// Whether a text of the network may be told at all.
fn is_clean(text: &str) -> bool {
    let mut is_clean = !text.trim().is_empty()
        && text.len() <= MAX_VALUE_BYTES
        && !text.chars().any(char::is_control);
    if is_clean {
        personal::scan(text.as_bytes(), None, &mut |_| is_clean = false);
    }
    is_clean
}

/// Whether what a caller says that it is has the form of a product with its version (RFC 9110, section
/// 10.1.5) and no more: the field is free text, and attacks and values of others stand in it as well.
fn is_product(text: &str) -> bool {
    let is_of_product = |byte: u8| byte.is_ascii_alphanumeric() || b" ._-".contains(&byte);
    let is_versioned = text.split_once('/').is_some_and(|(product, version)| {
        product.starts_with(|first: char| first.is_ascii_alphabetic())
            && product.len() <= MAX_PRODUCT_BYTES
            && product.bytes().all(is_of_product)
            && version.starts_with(|first: char| first.is_ascii_digit())
    });
    is_versioned
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && !text.bytes().any(|byte| b"'\"<>{}\\`$|".contains(&byte))
}

/// `Fuzz Faster U Fool`, and twice as much.
const MAX_PRODUCT_BYTES: usize = 40;

/// Type of pseudonyms.
pub(super) const PSEUDONYM: &str = "anonymised";

/// Of one finding: it is about a consent and a token.
const MAX_PSEUDONYMS: usize = 4;
