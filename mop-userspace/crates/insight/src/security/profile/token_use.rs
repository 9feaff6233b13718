//! Access tokens: how long they live, whose they are, and to which consent they lead.

use serde::{Deserialize, Serialize};

use super::{
    check::Check,
    facts::{Facts, JwtKind, Links, Step},
    memory::Memory,
    state::Judge,
    when::Moment,
};
use crate::{
    data::{
        digest::{Digest, Key, Subject},
        funnel::Side,
    },
    security::finding::{Part, Place},
};

/// What is known of tokens.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) tokens: Memory<Digest, Token>,
    /// The consent of a token, code or other handle; `None` when different ones claim it.
    pub(super) links: Memory<Digest, Option<Digest>>,
}

/// What is known of a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Token {
    /// When it was granted, and for how many seconds.
    issued: Option<(Moment, i64)>,
    revoked: Option<Moment>,
    /// Digest of the certificate that it belongs to.
    #[serde(with = "super::snapshot::optional_hex")]
    certificate: Option<Digest>,
    /// Digest of that certificate's organisation.
    #[serde(with = "super::snapshot::optional_hex")]
    organisation: Option<Digest>,
}

impl Tokens {
    pub(super) fn new(limit: usize) -> Self {
        Self { tokens: Memory::new(limit), links: Memory::new(limit) }
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn evicted(&self) -> u64 {
        self.tokens.evicted + self.links.evicted
    }

    /// The consent that a token leads to.
    pub(super) fn consent(&self, token: Digest) -> Option<Digest> {
        self.links.get(&token).copied().flatten()
    }

    /// Judges the token of a call, and learns of it.
    pub(super) fn judge(&mut self, judge: &mut Judge<'_>, key: &Key) {
        if let Some(links) = &judge.facts.links {
            self.learn(links, judge);
        }
        if let Some(Step::Token { token: Some(token), expires_in_s, .. }) = judge.facts.step {
            let mut granted = Token {
                issued: expires_in_s.map(|seconds| (judge.end(), seconds)),
                ..Token::default()
            };
            granted.bind(judge, key);
            self.tokens.insert(token, granted);
        }
        let Some(token) = judge.facts.token.filter(|_| judge.facts.endpoint.is_some()) else {
            return;
        };
        if judge.facts.is_success()
            && let Some(known) = self.tokens.get(&token)
        {
            known.judge_times(judge);
        }
        judge_binding(judge);
        let Some(known) = self.tokens.entry(token, Token::default) else { return };
        if known.is_of_other(judge, key) {
            let place = Place::field(Part::RequestHeader, "authorization");
            judge.tell(Check::TokenOtherCertificate, [place, Place::whole(Part::Certificate)]);
        } else if judge.facts.is_success() {
            known.bind(judge, key);
        }
    }

    fn learn(&mut self, links: &Links, judge: &Judge<'_>) {
        for token in &links.revoked {
            if let Some(known) = self.tokens.entry(*token, Token::default) {
                known.revoked = Some(judge.end());
            }
        }
        let mut by_handles = links.from.iter().filter_map(|handle| self.links.get(handle).copied());
        let consent = match links.consent {
            Some(consent) => Some(consent),
            // All that is known of them must agree.
            None => by_handles.next().and_then(|first| {
                by_handles.all(|other| other == first).then_some(first).flatten()
            }),
        };
        let Some(consent) = consent else { return };
        for handle in &links.handles {
            let is_other = self.links.get(&handle.digest).is_some_and(|it| *it != Some(consent));
            self.links.insert(handle.digest, (!is_other).then_some(consent));
        }
    }
}

impl Token {
    fn judge_times(&self, judge: &mut Judge<'_>) {
        let start = judge.start();
        let place = || [Place::field(Part::RequestHeader, "authorization")];
        let leeway_s = judge.checks.seconds(Check::TokenExpiredAccepted, "leeway_s");
        let is_over = self.issued.is_some_and(|(at, lives_s)| {
            // The server's clock rounds, and the call may have been on its way.
            start.is_after(at, lives_s.saturating_add(leeway_s), leeway_s)
        });
        if is_over {
            judge.tell(Check::TokenExpiredAccepted, place());
        }
        let leeway_s = judge.checks.seconds(Check::TokenRevokedAccepted, "leeway_s");
        if self.revoked.is_some_and(|at| start.is_after(at, 0, leeway_s)) {
            judge.tell(Check::TokenRevokedAccepted, place());
        }
    }

    /// Takes the certificate of a call as the one that the token belongs to, if none is known.
    fn bind(&mut self, judge: &Judge<'_>, key: &Key) {
        if judge.is_inner || self.certificate.is_some() || self.organisation.is_some() {
            return;
        }
        (self.certificate, self.organisation) = bearer(judge.facts, key);
    }

    /// Whether it is known to belong to another certificate than that of the call.
    fn is_of_other(&self, judge: &Judge<'_>, key: &Key) -> bool {
        if judge.is_inner {
            return false;
        }
        let (certificate, organisation) = bearer(judge.facts, key);
        match (self.certificate, certificate) {
            (Some(bound), Some(shown)) => bound != shown,
            // A proxy may forward the subject alone.
            _ => match (self.organisation, organisation) {
                (Some(bound), Some(shown)) => bound != shown,
                _ => false,
            },
        }
    }
}

/// Digests of the client's certificate and of its organisation, where a participant is known to
/// have called: certificates of hops inside of an organisation name none.
fn bearer(facts: &Facts, key: &Key) -> (Option<Digest>, Option<Digest>) {
    let digest = |value: &[u8]| key.digest(Subject::Party, value);
    let shown = facts.shown().filter(|_| facts.side == Side::Server);
    let Some((shown, organisation)) = shown.and_then(|it| Some((it, it.organisation.as_ref()?)))
    else {
        return (None, None);
    };
    let certificate = shown.fingerprint.as_ref().map(|fingerprint| digest(fingerprint));
    (certificate, Some(digest(organisation.as_bytes())))
}

/// What the token itself says of its certificate (RFC 8705, section 3.1).
fn judge_binding(judge: &mut Judge<'_>) {
    let facts = judge.facts;
    let shown = facts.shown().filter(|shown| shown.organisation.is_some());
    let shown = shown.and_then(|shown| shown.fingerprint);
    let bound = facts
        .jwts
        .iter()
        .filter(|jwt| jwt.kind == JwtKind::AccessToken)
        .find_map(|jwt| jwt.binding);
    if let (Some(shown), Some(bound)) = (shown, bound)
        && shown != bound
        && !judge.is_inner
    {
        judge.tell(
            Check::TokenBindingMismatch,
            [Place::field(Part::Token, "cnf"), Place::whole(Part::Certificate)],
        );
    }
}
