//! Fields of a call, and the names that rules give them.
//!
//! Names are those of the OpenTelemetry and Elastic conventions; those of the W3C extended log
//! format, which public web rules use, and a few common ones are taken as well.

use std::fmt;

/// A field that the observer has.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// Every decoded part of both messages; where lists of keywords look.
    Anywhere,
    /// Body of a message.
    Body(Side, Body),
    /// Who calls: the organisation, or the certificate, or the address, whichever is known first.
    Client,
    /// Address of the client.
    ClientAddress,
    /// SHA-256 of the client's certificate.
    ClientCertificate,
    /// Subject of the client's certificate.
    ClientSubject,
    /// Id of the organisation that calls.
    ClientOrganisation,
    /// Id of the consent.
    Consent,
    /// How a regulated path stands to the contracts: `operation`, or why it is none of theirs.
    ContractMatch,
    /// The `Cookie` field.
    Cookie,
    /// Duration in milliseconds.
    DurationMs,
    /// A header field, by its name in lower case.
    Header(Side, String),
    /// The values of all header fields.
    Headers(Side),
    /// Host that was called.
    Host,
    /// All that the caller controls of the request: path, query, fields and body, names and values.
    Input,
    /// JA3 of the client.
    Ja3,
    /// JA4 of the client.
    Ja4,
    /// Method.
    Method,
    /// Id of the operation in its contract.
    Operation,
    /// Path without query.
    Path,
    /// Values of the parameters in the path of the operation: identifiers of what is asked for.
    PathParameters,
    /// Query without `?`.
    Query,
    /// Names of the query's parameters.
    QueryNames,
    /// Values of the query's parameters.
    QueryValues,
    /// The `Referer` field.
    Referer,
    /// Path template of the operation.
    Route,
    /// Id of the organisation that is called.
    ServerOrganisation,
    /// Port that was called.
    ServerPort,
    /// Bytes of a message's body.
    Size(Side),
    /// Status code.
    Status,
    /// Cipher suite.
    TlsCipher,
    /// Server name that the client asked for.
    TlsServerName,
    /// Version of TLS.
    TlsVersion,
    /// Path and query.
    Url,
    /// The `User-Agent` field.
    UserAgent,
}

/// A message of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// From the client.
    Request,
    /// From the server.
    Response,
}

/// What is looked at of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Body {
    /// All of it, decoded.
    Content,
    /// Names of members, form fields and elements.
    Names,
    /// Values of members, form fields and elements.
    Values,
}

/// A field as a rule names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldName(String);

impl Field {
    /// Its name in the OpenTelemetry or Elastic conventions.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Header(side, name) => format!("{}{name}", header_prefix(*side)),
            field => {
                let known = NAMES.iter().find(|(_, known)| known == field);
                known.map_or("*", |(name, _)| *name).to_owned()
            }
        }
    }
}

impl FieldName {
    /// Takes a name; the empty one means [`Field::Anywhere`].
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The field of the name, whatever its case; the name when the observer has no such field.
    pub fn resolve(&self) -> Result<Field, &str> {
        let name = self.0.to_ascii_lowercase();
        if name.is_empty() {
            return Ok(Field::Anywhere);
        }
        let known = NAMES.iter().chain(ALIASES).find(|(known, _)| *known == name);
        if let Some((_, field)) = known {
            return Ok(field.clone());
        }
        for side in [Side::Request, Side::Response] {
            if let Some(header) = name.strip_prefix(header_prefix(side))
                && is_token(header)
            {
                return Ok(Field::Header(side, header.to_owned()));
            }
        }
        Err(&self.0)
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn header_prefix(side: Side) -> &'static str {
    match side {
        Side::Request => "http.request.header.",
        Side::Response => "http.response.header.",
    }
}

/// A token of RFC 9110, section 5.6.2, which names of header fields are.
fn is_token(name: &str) -> bool {
    let is_token_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token_byte)
}

/// Names under which fields are told, one a field.
const NAMES: &[(&str, Field)] = &[
    ("http.request.body.content", Field::Body(Side::Request, Body::Content)),
    ("http.request.body.names", Field::Body(Side::Request, Body::Names)),
    ("http.request.body.values", Field::Body(Side::Request, Body::Values)),
    ("http.response.body.content", Field::Body(Side::Response, Body::Content)),
    ("http.response.body.names", Field::Body(Side::Response, Body::Names)),
    ("http.response.body.values", Field::Body(Side::Response, Body::Values)),
    ("opin.client", Field::Client),
    ("client.address", Field::ClientAddress),
    ("tls.client.hash.sha256", Field::ClientCertificate),
    ("tls.client.subject", Field::ClientSubject),
    ("opin.client.organisation_id", Field::ClientOrganisation),
    ("opin.consent.id", Field::Consent),
    ("opin.contract.match", Field::ContractMatch),
    ("http.request.cookie", Field::Cookie),
    ("http.duration_ms", Field::DurationMs),
    ("http.request.headers", Field::Headers(Side::Request)),
    ("http.response.headers", Field::Headers(Side::Response)),
    ("server.address", Field::Host),
    ("http.request.input", Field::Input),
    ("tls.client.ja3", Field::Ja3),
    ("tls.client.ja4", Field::Ja4),
    ("http.request.method", Field::Method),
    ("opin.operation.id", Field::Operation),
    ("url.path", Field::Path),
    ("opin.path.parameters", Field::PathParameters),
    ("url.query", Field::Query),
    ("url.query.names", Field::QueryNames),
    ("url.query.values", Field::QueryValues),
    ("http.request.referrer", Field::Referer),
    ("http.route", Field::Route),
    ("opin.server.organisation_id", Field::ServerOrganisation),
    ("server.port", Field::ServerPort),
    ("http.request.body.size", Field::Size(Side::Request)),
    ("http.response.body.size", Field::Size(Side::Response)),
    ("http.response.status_code", Field::Status),
    ("tls.cipher", Field::TlsCipher),
    ("tls.client.server_name", Field::TlsServerName),
    ("tls.protocol.version", Field::TlsVersion),
    ("url.original", Field::Url),
    ("user_agent.original", Field::UserAgent),
];

/// Further names: W3C extended log format as web and proxy rules use it, and Elastic's variants.
const ALIASES: &[(&str, Field)] = &[
    ("c-ip", Field::ClientAddress),
    ("client.ip", Field::ClientAddress),
    ("source.ip", Field::ClientAddress),
    ("src_ip", Field::ClientAddress),
    ("c-uri", Field::Url),
    ("cs-uri", Field::Url),
    ("url.full", Field::Url),
    ("c-uri-stem", Field::Path),
    ("cs-uri-stem", Field::Path),
    ("c-uri-query", Field::Query),
    ("cs-uri-query", Field::Query),
    ("c-useragent", Field::UserAgent),
    ("cs-user-agent", Field::UserAgent),
    ("cs(user-agent)", Field::UserAgent),
    ("http.user_agent", Field::UserAgent),
    ("http.request.header.user-agent", Field::UserAgent),
    ("http.request.header.cookie", Field::Cookie),
    ("http.request.header.host", Field::Host),
    ("http.request.header.referer", Field::Referer),
    ("cs-host", Field::Host),
    ("c-uri-host", Field::Host),
    ("url.domain", Field::Host),
    ("cs-method", Field::Method),
    ("cs-cookie", Field::Cookie),
    ("cs-cookie-vars", Field::Cookie),
    ("cs(cookie)", Field::Cookie),
    ("cs-referer", Field::Referer),
    ("cs-referrer", Field::Referer),
    ("cs(referer)", Field::Referer),
    ("c-referer", Field::Referer),
    ("sc-status", Field::Status),
    ("http.status_code", Field::Status),
    ("cs-bytes", Field::Size(Side::Request)),
    ("http.request.size", Field::Size(Side::Request)),
    ("http.request.bytes", Field::Size(Side::Request)),
    ("http.request.body.bytes", Field::Size(Side::Request)),
    ("sc-bytes", Field::Size(Side::Response)),
    ("http.response.size", Field::Size(Side::Response)),
    ("http.response.bytes", Field::Size(Side::Response)),
    ("http.response.body.bytes", Field::Size(Side::Response)),
    ("http.request.body", Field::Body(Side::Request, Body::Content)),
    ("http.response.body", Field::Body(Side::Response, Body::Content)),
    ("cs-body", Field::Body(Side::Request, Body::Content)),
    ("sc-body", Field::Body(Side::Response, Body::Content)),
    ("s-port", Field::ServerPort),
    ("time-taken", Field::DurationMs),
    ("duration_ms", Field::DurationMs),
    ("tls.version", Field::TlsVersion),
    ("tls.client.ja3_hash", Field::Ja3),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_lead_to_fields() {
        for (name, field) in NAMES {
            assert_eq!(FieldName::new(name).resolve(), Ok(field.clone()), "{name}");
            assert_eq!(field.name(), *name);
        }
        for (name, field) in [
            ("cs-uri-stem", Field::Path),
            ("CS-Method", Field::Method),
            ("", Field::Anywhere),
            (
                "http.request.header.X-Forwarded-For",
                Field::Header(Side::Request, "x-forwarded-for".to_owned()),
            ),
        ] {
            assert_eq!(FieldName::new(name).resolve(), Ok(field), "{name}");
        }
        for name in
            ["CommandLine", "http.request.header.", "http.request.header.a b", "cs-username"]
        {
            assert_eq!(FieldName::new(name).resolve(), Err(name));
        }
    }

    #[test]
    fn every_alias_names_a_told_field_once() {
        for (place, (alias, field)) in ALIASES.iter().enumerate() {
            assert!(NAMES.iter().any(|(_, known)| known == field), "{alias}");
            let others = ALIASES.iter().take(place).chain(NAMES);
            assert!(others.filter(|(known, _)| known == alias).count() == 0, "{alias}");
        }
    }
}
