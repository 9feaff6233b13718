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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_is_given() {
        let given = |handshake: Handshake<'static>| {
            let mut given = Vec::new();
            handshake.each("00ff", &mut |field, text| given.push((field, text)));
            given
        };
        assert_eq!(given(Handshake::default()), []);
        assert_eq!(Handshake::default().tls(), None);
        let handshake = Handshake {
            version: Some(0x0302),
            cipher: Some(0xc014),
            cipher_name: Some("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"),
            server_name: Some("localhost"),
            ja3: Some([0; 16]),
            ja4: Some("t11d010100_aaaaaaaaaaaa_bbbbbbbbbbbb"),
        };
        assert_eq!(handshake.tls(), Some(Tls { version: 0x0302, cipher: Some(0xc014) }));
        assert_eq!(
            given(handshake),
            [
                (Field::Ja3, &b"00ff"[..]),
                (Field::Ja4, b"t11d010100_aaaaaaaaaaaa_bbbbbbbbbbbb"),
                (Field::TlsCipher, b"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"),
                (Field::TlsServerName, b"localhost"),
                (Field::TlsVersion, b"1.1"),
            ]
        );
    }
}
