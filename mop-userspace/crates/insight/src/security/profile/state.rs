//! The profile: what calls did so far, and what the next one breaks.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    activity::Activity,
    assertion::Assertions,
    breach::Breach,
    check::Check,
    checks::Checks,
    consents::Consents,
    facts::{Facts, Step},
    idempotency::IdempotencyKeys,
    memory::Memory,
    operations::{Operations, Permissions},
    single,
    token_use::Tokens,
    transport,
    when::Moment,
};
use crate::{
    data::{
        digest::{Digest, Key, Subject},
        signal::Parties,
    },
    security::finding::Place,
};

/// What a profile works with.
#[derive(Clone, Debug)]
pub struct ProfileSettings {
    /// Key of all digests; that of the facts.
    pub key: Key,
    /// Methods of the interfaces.
    pub operations: Arc<Operations>,
    /// Permissions that paths need; those of the reader.
    pub permissions: Arc<Permissions>,
    /// Tokens that are remembered, and as many links from tokens to consents.
    pub max_tokens: usize,
    /// Consents that are remembered.
    pub max_consents: usize,
    /// Identifiers of tokens that are used once.
    pub max_assertions: usize,
    /// Idempotency keys.
    pub max_idempotency_keys: usize,
    /// Clients, addresses and operations that calls are counted for.
    pub max_parties: usize,
}

/// The state of the checks.
#[derive(Debug)]
pub struct Profile {
    checks: Arc<Checks>,
    pub(super) settings: ProfileSettings,
    pub(super) tokens: Tokens,
    pub(super) consents: Consents,
    pub(super) assertions: Assertions,
    pub(super) idempotency: IdempotencyKeys,
    activity: Activity,
    /// When something of a certificate was told last.
    told: Memory<(Check, Digest), i64>,
}

/// How full the memories are, and what had to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProfileCounts {
    /// Tokens that are remembered.
    pub tokens: u64,
    /// Consents that are remembered.
    pub consents: u64,
    /// Entries of all memories that had to go because there was no room.
    pub evicted: u64,
}

/// What judges a call: the checks, its facts, and where breaches go.
pub(super) struct Judge<'a> {
    pub(super) checks: &'a Checks,
    pub(super) facts: &'a Facts,
    /// Organisation that called, by all that is known.
    pub(super) client: Option<&'a str>,
    /// Whether the calling organisation is known to be the called one: a hop inside of it.
    pub(super) is_inner: bool,
    pub(super) breaches: &'a mut Vec<Breach>,
}

impl ProfileSettings {
    /// Settings with the default limits.
    #[must_use]
    pub fn new(key: Key, operations: Arc<Operations>, permissions: Arc<Permissions>) -> Self {
        Self {
            key,
            operations,
            permissions,
            max_tokens: DEFAULT_TOKENS,
            max_consents: DEFAULT_CONSENTS,
            max_assertions: DEFAULT_ASSERTIONS,
            max_idempotency_keys: DEFAULT_IDEMPOTENCY_KEYS,
            max_parties: DEFAULT_PARTIES,
        }
    }
}

impl Profile {
    /// A profile that remembers nothing yet.
    #[must_use]
    pub fn new(checks: Arc<Checks>, settings: ProfileSettings) -> Self {
        Self {
            tokens: Tokens::new(settings.max_tokens),
            consents: Consents::new(settings.max_consents),
            assertions: Assertions::new(settings.max_assertions),
            idempotency: IdempotencyKeys::new(settings.max_idempotency_keys),
            activity: Activity::new(settings.max_parties),
            told: Memory::new(settings.max_parties),
            checks,
            settings,
        }
    }

    /// Judges by other checks from now on; what is remembered stays.
    pub fn replace_checks(&mut self, checks: Arc<Checks>) {
        self.checks = checks;
    }

    /// Takes a call in; what it breaks is added at the end, whatever the paranoia of its check.
    /// Calls come in the order in which they
    /// ended, or nearly so: one that comes late teaches late, and nothing else.
    pub fn observe(&mut self, facts: &Facts, parties: &Parties, breaches: &mut Vec<Breach>) {
        let shown = facts.shown().and_then(|shown| shown.organisation.as_deref());
        let client = parties.client_organisation.as_deref().or(shown);
        let checks = Arc::clone(&self.checks);
        let mut judge = Judge {
            checks: &checks,
            facts,
            client,
            is_inner: client.is_some() && client == parties.server_organisation.as_deref(),
            breaches,
        };
        let Self { settings, .. } = self;
        let key = settings.key.clone();
        transport::judge(&mut judge, &mut self.told, &key);
        single::judge(&mut judge, &settings.operations);
        self.assertions.judge(&mut judge);
        let party = party(facts, client, &key);
        self.idempotency.judge(&mut judge, party);
        self.tokens.judge(&mut judge, &key);
        let linked = facts.token.and_then(|token| self.tokens.consent(token));
        self.consents.judge(&mut judge, linked, &settings.permissions);
        self.activity.judge(&mut judge, party, &key);
    }

    /// How full it is.
    #[must_use]
    pub fn counts(&self) -> ProfileCounts {
        let Self { tokens, consents, assertions, idempotency, activity, told, .. } = self;
        ProfileCounts {
            tokens: tokens.len() as u64,
            consents: consents.len() as u64,
            evicted: tokens.evicted()
                + consents.evicted()
                + assertions.evicted()
                + idempotency.evicted()
                + activity.evicted()
                + told.evicted,
        }
    }
}

impl Judge<'_> {
    /// Tells a breach of this call alone.
    pub(super) fn tell<const N: usize>(&mut self, check: Check, places: [Place; N]) {
        self.tell_many(check, places.into(), 1, self.facts.start);
    }

    /// Tells a breach that several calls make.
    pub(super) fn tell_many(
        &mut self,
        check: Check,
        places: Vec<Place>,
        count: u64,
        first_seen: Timestamp,
    ) {
        if self.checks.rule(check, self.facts.side).is_none() {
            return;
        }
        let last_seen = self.facts.start.max(first_seen);
        self.breaches.push(Breach { check, places, count, first_seen, last_seen });
    }

    /// When the call began.
    pub(super) fn start(&self) -> Moment {
        let facts = self.facts;
        Moment { wall_s: facts.start.as_second(), kernel_ns: known(facts.start_ns) }
    }

    /// When it was over.
    pub(super) fn end(&self) -> Moment {
        let facts = self.facts;
        let elapsed_s = facts.end_ns.saturating_sub(facts.start_ns) / 1_000_000_000;
        let elapsed_s = i64::try_from(elapsed_s).unwrap_or_default();
        let wall_s = facts.start.as_second().saturating_add(elapsed_s);
        Moment { wall_s, kernel_ns: known(facts.end_ns) }
    }

    /// Whether it was answered as its client wanted: with success, and where it is a step of the
    /// flow, with what was asked for.
    pub(super) fn is_accepted(&self) -> bool {
        match self.facts.step {
            Some(Step::Token { is_granted, .. }) => is_granted,
            Some(Step::Pushed { is_accepted, .. } | Step::Authorization { is_accepted, .. }) => {
                is_accepted
            }
            None => self.facts.is_success(),
        }
    }

    /// Whether it is one that the profile demands mutual TLS for.
    pub(super) fn is_mutual(&self) -> bool {
        let is_step = matches!(self.facts.step, Some(Step::Token { .. } | Step::Pushed { .. }));
        self.facts.is_protected() || is_step
    }
}

/// Time 0 of the kernel's clock means that the part was not seen.
fn known(ns: u64) -> Option<u64> {
    (ns != 0).then_some(ns)
}

/// Whom calls are counted for: the organisation, else the address.
fn party(facts: &Facts, client: Option<&str>, key: &Key) -> Option<Digest> {
    let name = match (client, facts.address) {
        (Some(organisation), _) => format!("organisation {organisation}"),
        (None, Some(address)) => format!("address {address}"),
        (None, None) => return None,
    };
    Some(key.digest(Subject::Party, name.as_bytes()))
}

/// Access tokens live for 15 minutes: 70 a second; 20 MB with their links.
const DEFAULT_TOKENS: usize = 65_536;
/// Consents live for a year, and only those of late are of interest; 20 MB.
const DEFAULT_CONSENTS: usize = 65_536;
/// They live for an hour at most: 18 a second; 5 MB.
const DEFAULT_ASSERTIONS: usize = 65_536;
/// Creations of a day; 5 MB.
const DEFAULT_IDEMPOTENCY_KEYS: usize = 65_536;
/// The ecosystem has some hundreds of participants; addresses may be many more.
const DEFAULT_PARTIES: usize = 16_384;
