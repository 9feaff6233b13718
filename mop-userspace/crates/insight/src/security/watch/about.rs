//! Whom a call is about: what pseudonyms of it are made of.

use mop_wire::Exchange;

use crate::{
    data::call::{Call, bearer},
    security::pseudonym::{Class, Epoch, Identifier, Pseudonym, Pseudonymiser},
};

/// The consent that a call names and the token that it carries, as digests under the root of
/// pseudonyms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The consent, when path or body name it. Claims of a token that nobody checked do not.
    pub consent: Option<Identifier>,
    /// The bearer token of a regulated call.
    pub token: Option<Identifier>,
}

impl About {
    /// Of a call and the exchange that it was made of, which has the token.
    #[must_use]
    pub fn of(pseudonymiser: &Pseudonymiser, call: &Call, exchange: &Exchange) -> Self {
        let consent = call.named.as_ref().map(|(consent, _by)| consent.as_str());
        let request = exchange.request.as_ref().filter(|_| call.token.is_some());
        let token = request.and_then(|request| bearer(&request.headers));
        Self {
            consent: consent.and_then(|it| pseudonymiser.identifier(Class::Consent, it)),
            token: token.and_then(|it| pseudonymiser.identifier(Class::Token, it)),
        }
    }

    /// What two calls are about both.
    pub(super) fn common(self, other: Self) -> Self {
        Self {
            consent: self.consent.filter(|_| self.consent == other.consent),
            token: self.token.filter(|_| self.token == other.token),
        }
    }

    /// Its pseudonyms in a month.
    #[must_use]
    pub fn pseudonyms(self, pseudonymiser: &Pseudonymiser, epoch: Epoch) -> Vec<Pseudonym> {
        let Self { consent, token } = self;
        consent.into_iter().chain(token).map(|it| pseudonymiser.of(it, epoch)).collect()
    }
}
