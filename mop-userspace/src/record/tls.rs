//! What a record says of the handshake of TLS.

use std::borrow::Cow;

use mop_wire::tls::{CipherSuite, ProtocolVersion};
use serde::Serialize;

use crate::hellos::{ClientFacts, TlsFacts};

/// What both sides of a connection said in clear text.
#[derive(Debug, Serialize)]
pub(crate) struct TlsRecord<'a> {
    /// `TLS 1.3`; its number for versions without a name.
    version: Option<Cow<'static, str>>,
    /// Name of the registry; its number for suites without one.
    cipher: Option<Cow<'static, str>>,
    /// Name of the server that the client asked for.
    sni: Option<&'a str>,
    /// An encrypted hello came along: then `sni` may be the name of a front.
    ech: bool,
    /// The application protocol that the server chose, where that is told in clear text.
    alpn: Option<&'a str>,
    /// Those that the client offered.
    alpn_offered: &'a [String],
    /// Fingerprint of the client's software.
    ja4: Option<&'a str>,
}

impl<'a> From<&'a TlsFacts> for TlsRecord<'a> {
    fn from(facts: &'a TlsFacts) -> Self {
        let TlsFacts { version, cipher_suite, alpn, client } = facts;
        let name = |name: Option<&'static str>, number: u16| {
            name.map_or_else(|| Cow::Owned(format!("0x{number:04x}")), Cow::Borrowed)
        };
        let client = client.as_ref();
        let offered = client.map(|ClientFacts { alpn, .. }| alpn.as_slice());
        Self {
            version: version.map(|it: ProtocolVersion| name(it.name(), it.0)),
            cipher: cipher_suite.map(|it: CipherSuite| name(it.name(), it.0)),
            sni: client.and_then(|client| client.server_name.as_deref()),
            ech: client.is_some_and(|client| client.has_encrypted_hello),
            alpn: alpn.as_deref(),
            alpn_offered: offered.unwrap_or_default(),
            ja4: client.map(|client| client.ja4.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_known_is_said_by_name() {
        let facts = TlsFacts {
            version: Some(ProtocolVersion::TLS_1_2),
            cipher_suite: Some(CipherSuite(0xc02f)),
            alpn: Some("h2".to_owned()),
            client: Some(ClientFacts {
                server_name: Some("localhost".to_owned()),
                has_encrypted_hello: true,
                alpn: vec!["h2".to_owned()],
                ja3: [0; 16],
                ja4: "t12d010100_aaaaaaaaaaaa_bbbbbbbbbbbb".to_owned(),
            }),
        };
        let record = serde_json::to_value(TlsRecord::from(&facts)).expect("JSON");
        let said = json!({
            "version": "TLS 1.2",
            "cipher": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "sni": "localhost",
            "ech": true,
            "alpn": "h2",
            "alpn_offered": ["h2"],
            "ja4": "t12d010100_aaaaaaaaaaaa_bbbbbbbbbbbb",
        });
        assert_eq!(record, said);
    }

    #[test]
    fn what_has_no_name_is_a_number_and_what_is_not_known_is_null() {
        let facts = TlsFacts {
            version: Some(ProtocolVersion(0x7f1c)),
            cipher_suite: Some(CipherSuite(0x1234)),
            ..TlsFacts::default()
        };
        let record = serde_json::to_value(TlsRecord::from(&facts)).expect("JSON");
        assert_eq!(record["version"], "0x7f1c");
        assert_eq!(record["cipher"], "0x1234");
        assert!(record["sni"].is_null() && record["ja4"].is_null());
    }
}
