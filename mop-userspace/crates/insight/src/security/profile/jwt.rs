//! Signed tokens: header and claims, of which only what is judged is kept.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mop_contract::json::{Reader, Value};

use super::facts::{Algorithm, Audience, Jwt, JwtKind};
use crate::data::digest::{Digest, Key, Subject};

/// Reads tokens one after the other.
#[derive(Default)]
pub(super) struct JwtReader(Reader);

impl JwtReader {
    /// A token, when it is a signed one (RFC 7515, section 7.1): three parts, the first two of JSON.
    pub(super) fn read(
        &mut self,
        token: &str,
        kind: JwtKind,
        key: &Key,
        audiences: &[String],
    ) -> Option<Jwt> {
        let (header, claims) = parts(token)?;
        let (algorithm, has_key_id) = {
            let json = self.0.read(&header).ok()?;
            let root = json.root();
            // What has no algorithm is not a token but something else with two dots.
            let algorithm = root.member("alg")?.as_str()?;
            (Algorithm::parse(algorithm), root.member("kid").is_some())
        };
        let json = self.0.read(&claims).ok()?;
        let root = json.root();
        root.members().next()?;
        let number = |name: &str| root.member(name).and_then(seconds);
        Some(Jwt {
            kind,
            algorithm,
            has_key_id,
            identifier: identifier(root, key),
            audience: audience(root, audiences),
            has_expiry: root.member("exp").is_some_and(|exp| exp.as_number().is_some()),
            expires_s: number("exp"),
            issued_s: number("iat"),
            not_before_s: number("nbf"),
            binding: binding(root),
        })
    }

    /// What a function makes of the claims of a signed token.
    pub(super) fn claims<R>(
        &mut self,
        token: &str,
        make: impl FnOnce(Value<'_>) -> R,
    ) -> Option<R> {
        let (_header, claims) = parts(token)?;
        let json = self.0.read(&claims).ok()?;
        Some(make(json.root()))
    }
}

impl Algorithm {
    fn parse(name: &str) -> Self {
        let starts = |with: &str| {
            name.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
        };
        match name {
            "PS256" => Self::Ps256,
            _ if name.eq_ignore_ascii_case("none") => Self::None,
            _ if starts("HS") => Self::Symmetric,
            _ => Self::Other,
        }
    }
}

/// Header and claims.
fn parts(token: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let mut parts = token.split('.');
    let (header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    Some((decode(header)?, decode(claims)?))
}

fn identifier(claims: Value<'_>, key: &Key) -> Option<Digest> {
    let text = |name: &str| claims.member(name).and_then(Value::as_str);
    let jti = text("jti").filter(|jti| !jti.is_empty())?;
    // With the length of the first, so that no two pairs are the same bytes.
    let issuer = text("iss").unwrap_or_default();
    let named = format!("{}:{issuer}{jti}", issuer.len());
    Some(key.digest(Subject::Assertion, named.as_bytes()))
}

fn audience(claims: Value<'_>, own: &[String]) -> Audience {
    let Some(audience) = claims.member("aud") else { return Audience::Absent };
    let is_own = |name: &str| {
        let name = name.trim_end_matches('/');
        own.iter().any(|own| own.trim_end_matches('/') == name)
    };
    let (mut is_any, mut is_mine) = (false, false);
    for name in audience.as_str().into_iter().chain(audience.elements().filter_map(Value::as_str)) {
        is_any = true;
        is_mine |= is_own(name);
    }
    match (is_any, is_mine) {
        (false, _) => Audience::Absent,
        (true, true) => Audience::Own,
        (true, false) if own.is_empty() => Audience::Unknown,
        (true, false) => Audience::Foreign,
    }
}

/// `NumericDate` (RFC 7519, section 2): seconds, perhaps with a fraction.
pub(super) fn seconds(value: Value<'_>) -> Option<i64> {
    let text = value.as_number()?.text;
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    whole.parse().ok()
}

fn binding(claims: Value<'_>) -> Option<[u8; 32]> {
    let thumbprint = claims.member("cnf")?.member("x5t#S256")?.as_str()?;
    let bytes = URL_SAFE_NO_PAD.decode(thumbprint.trim_end_matches('=')).ok()?;
    bytes.try_into().ok()
}

/// Request objects and access tokens have some 4 KB.
const MAX_TOKEN_BYTES: usize = 64 << 10;
