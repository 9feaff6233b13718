//! Signed tokens: algorithm, claims, times, and identifiers that may be used once.

use serde::{Deserialize, Serialize};

use super::{
    check::Check,
    facts::{Algorithm, Audience, Jwt, JwtKind},
    memory::Memory,
    state::Judge,
    when::Moment,
};
use crate::{
    data::{digest::Digest, funnel::Side},
    security::finding::{Part, Place},
};

/// Identifiers that were used, and when that call was over.
#[derive(Debug)]
pub(super) struct Assertions(pub(super) Memory<Used, Moment>);

/// An identifier, of what, and for which side it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Used {
    pub(super) is_server: bool,
    pub(super) is_request: bool,
    #[serde(with = "super::snapshot::hex")]
    pub(super) digest: Digest,
}

impl Assertions {
    pub(super) fn new(limit: usize) -> Self {
        Self(Memory::new(limit))
    }

    pub(super) fn evicted(&self) -> u64 {
        self.0.evicted
    }

    /// Judges the tokens of a call.
    pub(super) fn judge(&mut self, judge: &mut Judge<'_>) {
        for jwt in &judge.facts.jwts {
            let algorithm = match jwt.algorithm {
                Algorithm::None => Some(Check::JwtAlgorithmNone),
                Algorithm::Symmetric => Some(Check::JwtAlgorithmSymmetric),
                Algorithm::Other => Some(Check::JwtAlgorithmOther),
                Algorithm::Ps256 => None,
            };
            if let Some(check) = algorithm {
                judge.tell(check, [Place::field(Part::Token, "alg")]);
            }
            if !judge.is_accepted() {
                continue;
            }
            match jwt.kind {
                JwtKind::AccessToken => times(judge, jwt),
                JwtKind::ClientAssertion | JwtKind::RequestObject => {
                    times(judge, jwt);
                    claims(judge, jwt);
                    self.replay(judge, jwt);
                }
                JwtKind::IdToken => {}
            }
        }
    }

    fn replay(&mut self, judge: &mut Judge<'_>, jwt: &Jwt) {
        let Some(digest) = jwt.identifier else { return };
        let used = Used {
            is_server: judge.facts.side == Side::Server,
            is_request: jwt.kind == JwtKind::RequestObject,
            digest,
        };
        let end = judge.end();
        if let Some(before) = self.0.get(&used).copied() {
            // A proxy and the server behind it show the same call twice, one inside the other.
            let is_later = judge.start().is_after(before, 0, super::LEEWAY_SECONDS);
            let window_s = judge.checks.seconds(Check::JwtReplayed, "window_s");
            if is_later && judge.start().is_near(before, window_s) {
                judge.tell(Check::JwtReplayed, [Place::field(Part::Token, "jti")]);
            }
            if !end.is_after(before, 0, 0) {
                return;
            }
        }
        self.0.insert(used, end);
    }
}

fn times(judge: &mut Judge<'_>, jwt: &Jwt) {
    let now_s = judge.facts.start.as_second();
    let leeway_s = judge.checks.seconds(Check::JwtExpiredAccepted, "leeway_s");
    if jwt.expires_s.is_some_and(|expires_s| now_s.saturating_sub(expires_s) > leeway_s) {
        judge.tell(Check::JwtExpiredAccepted, [Place::field(Part::Token, "exp")]);
    }
    let leeway_s = judge.checks.seconds(Check::JwtIssuedInFuture, "leeway_s");
    for (time, name) in [(jwt.issued_s, "iat"), (jwt.not_before_s, "nbf")] {
        if time.is_some_and(|time_s| time_s.saturating_sub(now_s) > leeway_s) {
            judge.tell(Check::JwtIssuedInFuture, [Place::field(Part::Token, name)]);
            break;
        }
    }
}

fn claims(judge: &mut Judge<'_>, jwt: &Jwt) {
    if !jwt.has_key_id {
        judge.tell(Check::JwtKeyIdMissing, [Place::field(Part::Token, "kid")]);
    }
    let is_single = jwt.kind == JwtKind::ClientAssertion;
    let missing: Vec<Place> = [
        (jwt.audience == Audience::Absent, "aud"),
        (!jwt.has_expiry, "exp"),
        (jwt.identifier.is_none() && is_single, "jti"),
    ]
    .into_iter()
    .filter(|(is_missing, _)| *is_missing)
    .map(|(_, name)| Place::field(Part::Token, name))
    .collect();
    if !missing.is_empty() {
        judge.tell_many(Check::JwtClaimsMissing, missing, 1, judge.facts.start);
    }
    if jwt.audience == Audience::Foreign {
        judge.tell(Check::JwtAudienceForeign, [Place::field(Part::Token, "aud")]);
    }
    let now_s = judge.facts.start.as_second();
    let from_s = jwt.not_before_s.or(jwt.issued_s).unwrap_or(now_s);
    let most_s = judge.checks.seconds(Check::JwtLifetimeLong, "max_s");
    let most_s = most_s.saturating_add(judge.checks.seconds(Check::JwtLifetimeLong, "leeway_s"));
    if jwt.expires_s.is_some_and(|expires_s| expires_s.saturating_sub(from_s) > most_s) {
        judge.tell(Check::JwtLifetimeLong, [Place::field(Part::Token, "exp")]);
    }
}
