//! What the server chose.

use super::{
    CipherSuite, HelloError, ProtocolVersion,
    client_hello::{
        ALPN, RANDOM_BYTES, SUPPORTED_VERSIONS, extensions, protocol_names, session_id,
    },
    reader::Reader,
};

/// A `ServerHello` (RFC 8446, section 4.1.3; RFC 5246, section 7.4.1.3), or a `HelloRetryRequest`,
/// whose choices are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHello {
    /// The version of the connection.
    pub version: ProtocolVersion,
    /// The cipher suite of the connection.
    pub cipher_suite: CipherSuite,
    /// The application protocol that was chosen, where it is told in clear text: up to TLS 1.2.
    pub alpn: Option<String>,
}

impl ServerHello {
    /// From the body of the message.
    pub(super) fn read(body: &mut Reader<'_>) -> Result<Self, HelloError> {
        let legacy_version = ProtocolVersion(body.u16()?);
        let _random = body.bytes(RANDOM_BYTES)?;
        session_id(body)?;
        let cipher_suite = CipherSuite(body.u16()?);
        let _compression = body.u8()?;
        let mut selected = None;
        let mut alpn = None;
        for extension in extensions(body)? {
            match extension {
                (SUPPORTED_VERSIONS, mut content) => {
                    selected = Some(ProtocolVersion(content.u16()?));
                    content.finish()?;
                }
                (ALPN, content) => alpn = protocol_names(content)?.into_iter().next(),
                _ => {}
            }
        }
        let version = selected.unwrap_or(legacy_version);
        // TLS 1.3 and later is chosen by the extension, and nothing else is (RFC 8446, section 4.2.1).
        let is_possible = match selected {
            Some(version) => version >= ProtocolVersion::TLS_1_3,
            None => version.name().is_some() && version < ProtocolVersion::TLS_1_3,
        };
        if !is_possible {
            return Err(HelloError::Malformed);
        }
        let alpn = alpn.filter(|_| version < ProtocolVersion::TLS_1_3);
        Ok(Self { version, cipher_suite, alpn: alpn.and_then(|name| name.text()) })
    }
}
