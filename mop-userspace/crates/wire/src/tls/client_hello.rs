//! What the client offers.

use super::{HelloError, ProtocolVersion, is_grease, reader::Reader};
use crate::limits::{MAX_ALPN_NAMES, MAX_HELLO_EXTENSIONS};

/// A `ClientHello` (RFC 8446, section 4.1.2; RFC 5246, section 7.4.1.2), as far as it is of use.
///
/// Lists are in the order of the message, without values of GREASE. Nothing in it is secret or of a
/// person: randoms, tickets and keys are not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// The version in front; the highest one for clients that know no `supported_versions`.
    pub legacy_version: ProtocolVersion,
    /// Versions of `supported_versions`, where it is there.
    pub supported_versions: Option<Vec<u16>>,
    /// Cipher suites, signalling values among them.
    pub cipher_suites: Vec<u16>,
    /// Types of the extensions.
    pub extensions: Vec<u16>,
    /// Groups for key exchange (RFC 8446, section 4.2.7).
    pub groups: Vec<u16>,
    /// Point formats (RFC 8422, section 5.1.2).
    pub point_formats: Vec<u8>,
    /// Signature algorithms (RFC 8446, section 4.2.3).
    pub signature_algorithms: Vec<u16>,
    /// Name of the server that is asked for (RFC 6066, section 3), in small letters. The name of a
    /// front when the true one is encrypted: see [`ClientHello::has_encrypted_hello`].
    pub server_name: Option<String>,
    /// Application protocols that are offered (RFC 7301), as far as they are text; at most
    /// [`MAX_ALPN_NAMES`].
    pub alpn: Vec<String>,
    /// An encrypted hello comes along (`encrypted_client_hello`, RFC 9849), or what looks like one.
    pub has_encrypted_hello: bool,
    /// What JA4 says of the first application protocol.
    pub(super) first_alpn: Option<ProtocolName>,
}

/// Name of an application protocol: any bytes, 1 to 255 of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProtocolName(Vec<u8>);

impl ClientHello {
    /// From the body of the message.
    pub(super) fn read(body: &mut Reader<'_>) -> Result<Self, HelloError> {
        let legacy_version = ProtocolVersion(body.u16()?);
        let _random = body.bytes(RANDOM_BYTES)?;
        session_id(body)?;
        let cipher_suites = without_grease(body.long()?.numbers()?);
        let compressions = body.short()?;
        if compressions.is_empty() || legacy_version.0 >> 8 != 3 {
            return Err(HelloError::Malformed);
        }
        let mut hello = Self {
            legacy_version,
            supported_versions: None,
            cipher_suites,
            extensions: Vec::new(),
            groups: Vec::new(),
            point_formats: Vec::new(),
            signature_algorithms: Vec::new(),
            server_name: None,
            alpn: Vec::new(),
            has_encrypted_hello: false,
            first_alpn: None,
        };
        for (kind, content) in extensions(body)? {
            hello.take(kind, content)?;
            if !is_grease(kind) {
                hello.extensions.push(kind);
            }
        }
        Ok(hello)
    }

    /// The highest version that is offered; `None` when there is no version that is known.
    #[must_use]
    pub fn highest_version(&self) -> Option<ProtocolVersion> {
        match &self.supported_versions {
            Some(versions) => versions.iter().copied().max().map(ProtocolVersion),
            None => Some(self.legacy_version),
        }
    }

    fn take(&mut self, kind: u16, mut content: Reader<'_>) -> Result<(), HelloError> {
        match kind {
            SERVER_NAME => self.server_name = server_name(content)?,
            SUPPORTED_GROUPS => self.groups = without_grease(content.long()?.numbers()?),
            EC_POINT_FORMATS => self.point_formats = content.short()?.rest().to_vec(),
            SIGNATURE_ALGORITHMS => {
                self.signature_algorithms = without_grease(content.long()?.numbers()?);
            }
            ALPN => {
                let names = protocol_names(content)?;
                self.alpn =
                    names.iter().filter_map(ProtocolName::text).take(MAX_ALPN_NAMES).collect();
                self.first_alpn = names.into_iter().next();
            }
            SUPPORTED_VERSIONS => {
                let versions = without_grease(content.short()?.numbers()?);
                self.supported_versions = Some(versions);
            }
            ENCRYPTED_CLIENT_HELLO => self.has_encrypted_hello = content.u8()? == OUTER_HELLO,
            _ => {}
        }
        Ok(())
    }
}

impl ProtocolName {
    /// The bytes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name as text; `None` for bytes that nobody can read, as those of GREASE.
    pub(super) fn text(&self) -> Option<String> {
        let is_text = self.0.iter().all(u8::is_ascii_graphic);
        is_text.then(|| String::from_utf8_lossy(&self.0).into_owned())
    }
}

/// The session identifier, which is not kept.
pub(super) fn session_id(body: &mut Reader<'_>) -> Result<(), HelloError> {
    let identifier = body.short()?;
    if identifier.rest().len() > MAX_SESSION_ID_BYTES {
        return Err(HelloError::Malformed);
    }
    Ok(())
}

/// Types and contents of the extensions, which are the last field of both messages and may be absent.
/// None may be there twice.
pub(super) fn extensions<'a>(body: &mut Reader<'a>) -> Result<Vec<(u16, Reader<'a>)>, HelloError> {
    let mut found = Vec::new();
    if body.is_empty() {
        return Ok(found);
    }
    let mut list = body.long()?;
    body.finish()?;
    while !list.is_empty() {
        if found.len() == MAX_HELLO_EXTENSIONS {
            return Err(HelloError::Malformed);
        }
        found.push((list.u16()?, list.long()?));
    }
    let mut kinds: Vec<u16> = found.iter().map(|(kind, _)| *kind).collect();
    kinds.sort_unstable();
    if kinds.array_windows().any(|[one, next]| one == next) {
        return Err(HelloError::Malformed);
    }
    Ok(found)
}

/// Names of application protocols.
pub(super) fn protocol_names(mut content: Reader<'_>) -> Result<Vec<ProtocolName>, HelloError> {
    let mut list = content.long()?;
    content.finish()?;
    let mut names = Vec::new();
    while !list.is_empty() {
        let name = list.short()?.rest();
        if name.is_empty() {
            return Err(HelloError::Malformed);
        }
        // All are read, so that the list is known to be one; those that are of no use are not kept.
        if names.len() < MAX_ALPN_NAMES {
            names.push(ProtocolName(name.to_vec()));
        }
    }
    Ok(names)
}

/// The host name of a list of names.
fn server_name(mut content: Reader<'_>) -> Result<Option<String>, HelloError> {
    let mut list = content.long()?;
    content.finish()?;
    let mut host = None;
    while !list.is_empty() {
        let kind = list.u8()?;
        let name = list.long()?.rest();
        if kind == HOST_NAME && host.is_none() {
            host = Some(name);
        }
    }
    let is_host = |name: &&[u8]| {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
        !name.is_empty() && name.len() <= MAX_HOST_BYTES && name.iter().all(is_part)
    };
    Ok(host.filter(is_host).map(|name| String::from_utf8_lossy(name).to_ascii_lowercase()))
}

fn without_grease(mut values: Vec<u16>) -> Vec<u16> {
    values.retain(|value| !is_grease(*value));
    values
}

pub(super) const RANDOM_BYTES: usize = 32;

// Numbers of the registry of extensions.
pub(super) const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const EC_POINT_FORMATS: u16 = 11;
const SIGNATURE_ALGORITHMS: u16 = 13;
pub(super) const ALPN: u16 = 16;
pub(super) const SUPPORTED_VERSIONS: u16 = 43;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;

/// `ECHClientHelloType.outer`.
const OUTER_HELLO: u8 = 0;
/// `NameType.host_name`.
const HOST_NAME: u8 = 0;
/// RFC 8446, section 4.1.2.
const MAX_SESSION_ID_BYTES: usize = 32;
/// RFC 1035, section 2.3.4.
const MAX_HOST_BYTES: usize = 255;
