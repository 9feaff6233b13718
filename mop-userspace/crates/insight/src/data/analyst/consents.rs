//! The consent of a call, and what the call did to it.

use std::sync::Arc;

use jiff::Timestamp;
use mop_wire::Role;

use super::{Analyst, Belonged, Outcome};
use crate::data::{
    call::Call,
    consent::ConsentId,
    consent_join::{JoinedBy, Unjoined},
    signal::{Act, Parties, Signal, TokenKind},
    tokens::{Belonging, Known},
};

/// What is known of a call's consent.
pub(super) enum Join {
    Joined(ConsentId, JoinedBy),
    /// Something may still come.
    Waits,
    Unjoined(Unjoined),
}

impl Analyst {
    /// Where the token of a call belongs, by what is known now.
    pub(super) fn belongs(&self, call: &Call) -> Belonged {
        let consent = match self.find(call) {
            Join::Joined(consent, by) => Some((consent, by)),
            Join::Waits | Join::Unjoined(_) => None,
        };
        Belonged { consent, token: self.token_kind(call) }
    }

    /// The consent of a call, by what is known now.
    pub(super) fn find(&self, call: &Call) -> Join {
        if let Some((consent, by)) = &call.named {
            return Join::Joined(consent.clone(), *by);
        }
        let mut found: Option<(&ConsentId, JoinedBy)> = None;
        let (mut is_client, mut is_ambiguous, mut contradicts) = (false, false, false);
        for key in &call.keys {
            match self.store.find(*key, call.start) {
                Known::Belongs(Belonging::Consent(consent, source)) => match found {
                    Some((other, _)) if other != consent => contradicts = true,
                    Some(_) => {}
                    None => found = Some((consent, JoinedBy::from(*source))),
                },
                Known::Belongs(Belonging::Client) => is_client = true,
                Known::Ambiguous => is_ambiguous = true,
                Known::Unknown => {}
            }
        }
        let hint = call.token.as_ref().and_then(|token| token.hint.as_ref());
        match (found, hint) {
            _ if contradicts => Join::Unjoined(Unjoined::TokenAmbiguous),
            // A `state` that is used twice does not matter where the code is known.
            (Some((consent, by)), _) => Join::Joined(consent.clone(), by),
            _ if is_ambiguous => Join::Unjoined(Unjoined::TokenAmbiguous),
            _ if is_client => Join::Unjoined(Unjoined::ClientCredential),
            (_, Some(hint)) => Join::Joined(hint.clone(), JoinedBy::Claims),
            _ if call.keys.is_empty() => Join::Unjoined(Unjoined::TokenAbsent),
            _ => Join::Waits,
        }
    }

    /// Tells what a call did to its consent.
    pub(super) fn signal(
        &mut self,
        call: &mut Call,
        parties: &Parties,
        consent: Option<&ConsentId>,
        first: Option<TokenKind>,
        outcomes: &mut Vec<Outcome>,
    ) {
        let acts = std::mem::take(&mut call.acts).into_iter();
        let mut said: Vec<(Timestamp, Role, Act)> =
            acts.map(|act| (call.acts_at, call.side, act)).collect();
        if is_resource(call) {
            match self.token_kind(call).or(first) {
                Some(token) => {
                    said.push((call.end(), call.role, Act::ResourceAccessed { token }));
                }
                None => self.counts.token_kind_unknown += 1,
            }
        }
        // A client that is none of the participant's own is a proxy on the way to its own server.
        if call.side == Role::Client
            && call.role == Role::Client
            && parties.client_organisation.is_none()
        {
            self.counts.signals_of_others += said.len() as u64;
            return;
        }
        let Some(consent) = consent else {
            self.counts.signals_unjoined += said.len() as u64;
            return;
        };
        for (at, role, act) in said {
            self.counts.signals += 1;
            outcomes.push(Outcome::Signal(Box::new(Signal {
                consent: consent.as_str().to_owned(),
                at,
                role,
                exchange: Arc::clone(&call.exchange),
                parties: parties.clone(),
                act,
            })));
        }
    }

    /// What kind of token a call carried, if that is known.
    fn token_kind(&self, call: &Call) -> Option<TokenKind> {
        let token = call.token.as_ref()?;
        match self.store.find(token.digest, call.start) {
            Known::Belongs(Belonging::Client) => Some(TokenKind::ClientCredential),
            Known::Belongs(Belonging::Consent(..)) => Some(TokenKind::Consent),
            Known::Ambiguous => None,
            Known::Unknown => token.hint.as_ref().map(|_| TokenKind::Consent),
        }
    }
}

/// Whether it reached what a consent is for: interfaces of phases 2 and 3, but neither the
/// consents themselves nor what servers tell clients.
fn is_resource(call: &Call) -> bool {
    let interface = call.endpoint.as_ref().map_or("", |endpoint| endpoint.interface.as_str());
    call.needs_consent() && !matches!(interface, "consents" | "webhook")
}
