//! The client's certificate as a proxy forwards it in a header field, when TLS ends before the
//! observed process.
//!
//! | format | value | written by |
//! |---|---|---|
//! | `url_escaped_pem` | PEM, percent-encoded | nginx `$ssl_client_escaped_cert`, AWS ALB |
//! | `base64_der` | DER in base64 | HAProxy `ssl_c_der,base64` |
//! | `bare_pem` | PEM without its first and last line and line ends; of several, separated by `,`, the first | Traefik `X-Forwarded-Tls-Client-Cert` |
//! | `traefik_info` | `Subject="…";…`, percent-encoded; has no organisation unless its subject does | Traefik `X-Forwarded-Tls-Client-Cert-Info` |
//! | `envoy` | `Cert="…";Subject="…";…`, elements separated by `,` | Envoy `x-forwarded-client-cert` |
//! | `client_cert` | `:base64:` of DER | RFC 9440 |
//! | `subject` | distinguished name | nginx `$ssl_client_s_dn` |
//!
//! A header can be sent by anybody, so it counts only from addresses that are configured. Envoy
//! appends an element for each hop: the last that names an organisation is taken, since what
//! comes before it may have been sent by the client itself, and what comes after it is of the mesh.

use std::net::IpAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mop_contract::route::decode;
use mop_wire::Headers;
use serde::{Deserialize, Serialize};

use super::{
    Gap,
    address::AddressRange,
    certificate::{CertificateFacts, MAX_CERTIFICATE_BYTES, MAX_PEM_BYTES, Subject},
    der::Malformed,
    distinguished_name,
};

/// Where and how the client's certificate is forwarded.
#[derive(Clone, Debug)]
pub struct ForwardedCertificate {
    /// Name of the header field.
    pub header: String,
    /// Its form.
    pub format: Format,
    /// From which addresses it is believed. An empty list believes every address, which is right
    /// only where nothing but the proxy can reach the process.
    pub from: Vec<AddressRange>,
}

/// Form of a forwarded certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// DER in base64.
    Base64Der,
    /// PEM without its first and last line.
    BarePem,
    /// RFC 9440.
    ClientCert,
    /// `x-forwarded-client-cert`.
    Envoy,
    /// A distinguished name.
    Subject,
    /// `X-Forwarded-Tls-Client-Cert-Info`.
    TraefikInfo,
    /// PEM, percent-encoded.
    UrlEscapedPem,
}

impl ForwardedCertificate {
    /// What the header of a request says; `Ok(None)` when it has none.
    ///
    /// # Errors
    ///
    /// [`Gap::ForwarderUntrusted`] and [`Gap::CertificateUnreadable`].
    pub fn read(
        &self,
        headers: &Headers,
        sender: Option<IpAddr>,
    ) -> Result<Option<CertificateFacts>, Gap> {
        let mut values = headers.values(&self.header);
        let Some(value) = values.next().filter(|value| !value.trim_ascii().is_empty()) else {
            return Ok(None);
        };
        let is_trusted = self.from.is_empty()
            || sender.is_some_and(|sender| self.from.iter().any(|range| range.contains(sender)));
        if !is_trusted {
            return Err(Gap::ForwarderUntrusted);
        }
        // Two fields could be read differently by the process and here.
        if values.next().is_some() {
            return Err(Gap::CertificateUnreadable);
        }
        let text = std::str::from_utf8(value).map_err(|_not_utf8| Gap::CertificateUnreadable)?;
        self.format.parse(text.trim()).map(Some).map_err(|Malformed| Gap::CertificateUnreadable)
    }
}

impl Format {
    /// Every form.
    pub const ALL: [Self; 7] = [
        Self::Base64Der,
        Self::BarePem,
        Self::ClientCert,
        Self::Envoy,
        Self::Subject,
        Self::TraefikInfo,
        Self::UrlEscapedPem,
    ];

    /// Reads a value of this form.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    pub fn parse(self, text: &str) -> Result<CertificateFacts, Malformed> {
        if text.len() > MAX_PEM_BYTES {
            return Err(Malformed);
        }
        match self {
            Self::Base64Der => from_base64(text),
            Self::BarePem | Self::UrlEscapedPem => CertificateFacts::from_pem(text),
            Self::ClientCert => from_base64(
                text.strip_prefix(':').and_then(|text| text.strip_suffix(':')).ok_or(Malformed)?,
            ),
            Self::Envoy => envoy(text),
            Self::Subject => distinguished_name::subject(text).map(only_subject),
            Self::TraefikInfo => {
                let text = decode(text).ok_or(Malformed)?;
                let element = Element::parse(&text)?;
                let subject = element.value("Subject").ok_or(Malformed)?;
                distinguished_name::subject(subject).map(only_subject)
            }
        }
    }
}

fn from_base64(text: &str) -> Result<CertificateFacts, Malformed> {
    if text.len() > MAX_CERTIFICATE_BYTES * 4 / 3 + 4 {
        return Err(Malformed);
    }
    CertificateFacts::from_der(&STANDARD.decode(text).map_err(|_not_base64| Malformed)?)
}

fn only_subject(subject: Subject) -> CertificateFacts {
    CertificateFacts { subject, not_after: None, fingerprint: None }
}

/// The last element that names an organisation; when none does, the last.
fn envoy(text: &str) -> Result<CertificateFacts, Malformed> {
    let mut found: Option<CertificateFacts> = None;
    let mut rest = text;
    for _ in 0..MAX_ELEMENTS {
        if rest.trim().is_empty() {
            break;
        }
        let element = Element::parse(rest)?;
        rest = element.rest;
        let facts = match (element.value("Cert"), element.value("Subject")) {
            (Some(certificate), _) => CertificateFacts::from_pem(certificate)?,
            (None, Some(subject)) => only_subject(distinguished_name::subject(subject)?),
            (None, None) => continue,
        };
        if facts.subject.organisation.is_some()
            || found.as_ref().is_none_or(|found| found.subject.organisation.is_none())
        {
            found = Some(facts);
        }
    }
    if rest.trim().is_empty() { found.ok_or(Malformed) } else { Err(Malformed) }
}

/// One element of a list of elements.
struct Element<'t> {
    /// Keys and values.
    pairs: Vec<(String, String)>,
    /// What follows its `,`.
    rest: &'t str,
}

impl<'t> Element<'t> {
    /// Reads up to the first `,` outside of quotes.
    fn parse(text: &'t str) -> Result<Self, Malformed> {
        let mut pairs = Vec::new();
        let mut key = String::new();
        let mut value = String::new();
        let mut in_value = false;
        let mut quoted = false;
        let mut characters = text.char_indices();
        let mut rest = "";
        let mut close = |key: &mut String, value: &mut String| {
            let (key, value) = (std::mem::take(key), std::mem::take(value));
            if pairs.len() < MAX_PAIRS && !key.trim().is_empty() {
                pairs.push((key.trim().to_owned(), value));
            }
        };
        while let Some((at, character)) = characters.next() {
            match (character, quoted) {
                ('"', _) => quoted = !quoted,
                ('\\', true) => value.extend(characters.next().map(|(_, escaped)| escaped)),
                (';', false) => {
                    close(&mut key, &mut value);
                    in_value = false;
                }
                (',', false) => {
                    rest = text.get(at + 1..).unwrap_or_default();
                    break;
                }
                ('=', false) if !in_value => in_value = true,
                (other, _) if in_value => value.push(other),
                (other, _) => key.push(other),
            }
        }
        close(&mut key, &mut value);
        if quoted { Err(Malformed) } else { Ok(Self { pairs, rest }) }
    }

    fn value(&self, key: &str) -> Option<&str> {
        let mut pairs = self.pairs.iter();
        pairs.find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| &**value)
    }
}

/// Proxies in a row, at most.
const MAX_ELEMENTS: usize = 32;

/// Envoy has eight keys.
const MAX_PAIRS: usize = 32;
