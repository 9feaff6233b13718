//! What a TLS connection says of itself in clear text: the two hello messages of its handshake.
//!
//! They are the first bytes of each direction, in every version from SSL 3.0 to TLS 1.3 (RFC 8446,
//! section 4.1; RFC 5246, section 7.4.1), whatever library makes them: what the client offers, and
//! which version and cipher suite the server chose. Everything behind them is encrypted, or of no use
//! here. A first hello that the server answers with `HelloRetryRequest` counts: version and cipher
//! suite of that answer are those of the connection (RFC 8446, section 4.1.4).
//!
//! Values of GREASE (RFC 8701) are in no list. Nothing is guessed: a message that is not exactly as
//! the documents say is refused, and nothing is known then.

mod cipher_suites;
mod client_hello;
mod fingerprints;
mod reader;
mod record;
mod server_hello;

pub use client_hello::ClientHello;
pub use server_hello::ServerHello;

use self::reader::Reader;

/// The hello of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hello {
    /// The client's.
    Client(ClientHello),
    /// The server's.
    Server(ServerHello),
}

/// Why a stream does not begin with a hello that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// The first bytes are no handshake record of TLS; a hello in the form of SSL 2.0 is none.
    #[error("not a handshake record")]
    NotHandshake,
    /// The first message is no hello.
    #[error("not a hello message")]
    NotHello,
    /// Lengths or contents contradict the format.
    #[error("malformed hello")]
    Malformed,
    /// The message is longer than [`crate::limits::MAX_HELLO_BYTES`].
    #[error("hello of {0} bytes exceeds the limit")]
    TooLarge(usize),
}

/// A version of the protocol, as a number of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProtocolVersion(pub u16);

/// A cipher suite, as a number of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CipherSuite(pub u16);

/// Reads the hello that a direction of a connection begins with; `None` when more bytes are needed.
/// What follows it is not looked at.
///
/// # Errors
///
/// [`HelloError`], which more bytes do not change.
pub fn read_hello(stream: &[u8]) -> Result<Option<Hello>, HelloError> {
    let Some(message) = record::first_message(stream)? else { return Ok(None) };
    let mut body = Reader::new(&message.body);
    match message.kind {
        record::CLIENT_HELLO => ClientHello::read(&mut body).map(Hello::Client).map(Some),
        record::SERVER_HELLO => ServerHello::read(&mut body).map(Hello::Server).map(Some),
        _ => Err(HelloError::NotHello),
    }
}

impl ProtocolVersion {
    /// TLS 1.2.
    pub const TLS_1_2: Self = Self(0x0303);
    /// TLS 1.3.
    pub const TLS_1_3: Self = Self(0x0304);

    /// Its name; `None` for numbers that no version has.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self.0 {
            0x0300 => Some("SSL 3.0"),
            0x0301 => Some("TLS 1.0"),
            0x0302 => Some("TLS 1.1"),
            0x0303 => Some("TLS 1.2"),
            0x0304 => Some("TLS 1.3"),
            _ => None,
        }
    }
}

impl CipherSuite {
    /// Its name in the registry; `None` for those that are not in the table of this crate.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        cipher_suites::name(self.0)
    }
}

/// Whether a value is one that clients put into lists so that servers keep ignoring what they do not
/// know (RFC 8701, section 2): two equal bytes whose lower half is 10.
const fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixteen_values_of_grease_are_told_apart() {
        assert_eq!((0..=u16::MAX).filter(|value| is_grease(*value)).count(), 16);
        assert!(is_grease(0x0a0a) && is_grease(0xfafa));
        assert!(!is_grease(0x0a1a) && !is_grease(0x1301));
    }

    #[test]
    fn versions_and_suites_have_the_names_of_the_registry() {
        assert_eq!(ProtocolVersion(0x0302).name(), Some("TLS 1.1"));
        assert_eq!(ProtocolVersion(0x0305).name(), None);
        assert_eq!(CipherSuite(0x1301).name(), Some("TLS_AES_128_GCM_SHA256"));
        assert_eq!(CipherSuite(0x5600).name(), None);
    }
}
