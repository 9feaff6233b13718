//! What the connection of a call said in the handshake of TLS.

use super::{profile::Tls, rules::Field};

/// What both sides said in clear text, where that was seen; what is not known is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handshake<'a> {
    /// Version that the server chose, as a number of the registry.
    pub version: Option<u16>,
    /// Cipher suite that the server chose, as a number of the registry.
    pub cipher: Option<u16>,
    /// Name of the same.
    pub cipher_name: Option<&'a str>,
    /// Name of the server that the client asked for.
    pub server_name: Option<&'a str>,
    /// JA3 of the client.
    pub ja3: Option<[u8; 16]>,
    /// JA4 of the client.
    pub ja4: Option<&'a str>,
}

impl<'a> Handshake<'a> {
    /// What the security profile checks.
    #[must_use]
    pub fn tls(&self) -> Option<Tls> {
        self.version.map(|version| Tls { version, cipher: self.cipher })
    }

    /// What rules look at, as text; `ja3` is the text of [`Handshake::ja3`].
    pub(super) fn each(&self, ja3: &'a str, give: &mut dyn FnMut(Field, &'a [u8])) {
        for (field, text) in [
            (Field::Ja3, self.ja3.map(|_| ja3)),
            (Field::Ja4, self.ja4),
            (Field::TlsCipher, self.cipher_name),
            (Field::TlsServerName, self.server_name),
            (Field::TlsVersion, self.version.and_then(version)),
        ] {
            if let Some(text) = text {
                give(field, text.as_bytes());
            }
        }
    }
}

/// A version as the fields of events have it.
fn version(number: u16) -> Option<&'static str> {
    match number {
        0x0301 => Some("1.0"),
        0x0302 => Some("1.1"),
        0x0303 => Some("1.2"),
        0x0304 => Some("1.3"),
        _ => None,
    }
}
