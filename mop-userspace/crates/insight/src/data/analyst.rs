//! The one place where calls become events and signals: who called, which consent, once each.
//!
//! ```text
//! observe(call) ── lesson ──▶ token store
//!       │
//!       ▼ wait `settle`: is it a hop of another?             once
//!       ▼ wait `join_wait`, if its token is not known yet    consent join
//!       ▼
//! event, or why there is none; signals
//! ```
//!
//! Time is the calls' own and what [`Analyst::advance`] is told, whichever is later. One thread
//! owns an analyst; workers hand their calls to it. The books balance:
//! `calls = events + unreportable + excluded + hops + flow + unlisted + held`.

mod consents;
mod counts;
mod edge;
mod outcome;
mod parties;

use std::{collections::VecDeque, sync::Arc};

use jiff::{SignedDuration, Timestamp};

use self::consents::Join;
pub use self::{counts::AnalystCounts, edge::Edge, outcome::Outcome, parties::Addresses};
use super::{
    call::Call,
    consent::ConsentId,
    consent_join::{self, JoinQueue, JoinedBy, Unjoined},
    digest::{Digest, Key},
    event::{EventBody, record::DataEvent, rules::Exclusion},
    once::{self, OnceWindow, Place, Settled, Sighting},
    signal::{Parties, TokenKind},
    tokens::{self, Lesson, SnapshotError, Taught, TokenStore},
};

/// What an analyst works with.
#[derive(Clone, Debug)]
pub struct AnalystSettings {
    /// Key of the digests in the calls: the extractors' own.
    pub key: Key,
    /// Who is who.
    pub addresses: Arc<Addresses>,
    /// How long a sighting waits for one that contains it.
    pub settle: SignedDuration,
    /// How long a call waits after that for its token to be learnt.
    pub join_wait: SignedDuration,
    /// Digests of tokens, at most.
    pub token_limit: usize,
    /// Sightings, at most.
    pub once_limit: usize,
    /// Calls that wait for their token, and steps of the flow that wait for one before, at most.
    pub join_limit: usize,
}

/// Makes events and signals of calls.
#[derive(Debug)]
pub struct Analyst {
    settings: AnalystSettings,
    store: TokenStore,
    once: OnceWindow<Pending>,
    waiting: JoinQueue<Pending>,
    lessons: JoinQueue<Lesson>,
    /// Tokens that were revoked, and when that is learnt: calls that were made before may still come.
    revocations: VecDeque<(Timestamp, Digest)>,
    counts: AnalystCounts,
    now: Timestamp,
}

/// A call on its way.
#[derive(Debug)]
struct Pending {
    call: Box<Call>,
    parties: Parties,
    hops: u32,
    /// What was known when it came: a token may be revoked, and forgotten, a moment later.
    first: Belonged,
}

/// Where a call's token was known to belong.
#[derive(Debug, Default)]
struct Belonged {
    consent: Option<(ConsentId, JoinedBy)>,
    token: Option<TokenKind>,
}

impl AnalystSettings {
    /// Usual waits and limits.
    #[must_use]
    pub fn new(key: Key, addresses: Arc<Addresses>) -> Self {
        Self {
            key,
            addresses,
            settle: once::DEFAULT_SETTLE,
            join_wait: DEFAULT_JOIN_WAIT,
            token_limit: tokens::DEFAULT_LIMIT,
            once_limit: once::DEFAULT_LIMIT,
            join_limit: consent_join::DEFAULT_HELD,
        }
    }
}

impl Analyst {
    /// An analyst that knows nothing yet.
    #[must_use]
    pub fn new(settings: AnalystSettings) -> Self {
        Self {
            store: TokenStore::new(settings.token_limit),
            once: OnceWindow::new(settings.settle, settings.once_limit),
            waiting: JoinQueue::new(settings.join_limit),
            lessons: JoinQueue::new(settings.join_limit),
            revocations: VecDeque::new(),
            counts: AnalystCounts::default(),
            now: Timestamp::UNIX_EPOCH,
            settings,
        }
    }

    /// Takes a call in.
    pub fn observe(&mut self, mut call: Call, outcomes: &mut Vec<Outcome>) {
        self.advance(call.end(), outcomes);
        self.counts.calls += 1;
        if let Some(mut lesson) = call.lesson.take() {
            self.postpone(std::mem::take(&mut lesson.revoked));
            self.learn(lesson, outcomes);
            if call.acts.is_empty() && call.endpoint.is_err() {
                self.counts.flow += 1;
                return;
            }
        }
        let (parties, gaps) = self.settings.addresses.parties(&call);
        for gap in gaps.into_iter().flatten() {
            *self.counts.gaps.entry(gap).or_default() += 1;
        }
        let sighting = Sighting::of(&call, parties.server_organisation.clone());
        let first = self.belongs(&call);
        let pending = Pending { call: Box::new(call), parties, hops: 0, first };
        let hurried = self.once.see(sighting, pending, self.now);
        hurried.into_iter().for_each(|settled| self.settled(settled, outcomes));
    }

    /// The time has come this far.
    pub fn advance(&mut self, now: Timestamp, outcomes: &mut Vec<Outcome>) {
        self.now = self.now.max(now);
        while let Some(settled) = self.once.take_due(self.now) {
            self.settled(settled, outcomes);
        }
        while let Some(pending) = self.waiting.take_due(self.now) {
            self.conclude(pending, Unjoined::TokenUnknown, outcomes);
        }
        while self.lessons.take_due(self.now).is_some() {
            self.counts.lessons_lost += 1;
        }
        while let Some((due, digest)) = self.revocations.front().copied()
            && due <= self.now
        {
            self.revocations.pop_front();
            self.revoke(digest);
        }
        self.store.advance(self.now);
    }

    /// Nothing comes any more: gives everything out.
    pub fn finish(&mut self, outcomes: &mut Vec<Outcome>) {
        while let Some(settled) = self.once.take_first() {
            self.settled(settled, outcomes);
        }
        while let Some(pending) = self.waiting.take_first() {
            self.conclude(pending, Unjoined::TokenUnknown, outcomes);
        }
        while self.lessons.take_first().is_some() {
            self.counts.lessons_lost += 1;
        }
        for (_, digest) in std::mem::take(&mut self.revocations) {
            self.revoke(digest);
        }
    }

    /// Other tenants, or a newer list of participants, from now on.
    pub fn replace_addresses(&mut self, addresses: Arc<Addresses>) {
        self.settings.addresses = addresses;
    }

    /// What was learnt of tokens, as bytes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        self.store.snapshot(&self.settings.key)
    }

    /// Takes what another analyst had learnt, in place of what this one has.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`]; nothing is changed then.
    pub fn restore(&mut self, bytes: &[u8], now: Timestamp) -> Result<(), SnapshotError> {
        let limit = self.settings.token_limit;
        self.store = TokenStore::restore(bytes, &self.settings.key, limit, now)?;
        Ok(())
    }

    /// Learns what the analyst of another node of the participant had learnt, such as one beside
    /// the authorization server; calls that waited for it go on. The key must be the same.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`]; nothing is changed then.
    pub fn absorb(
        &mut self,
        bytes: &[u8],
        now: Timestamp,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<(), SnapshotError> {
        let limit = self.settings.token_limit;
        let other = TokenStore::restore(bytes, &self.settings.key, limit, now)?;
        let digests = self.store.absorb(other);
        self.spread(digests, Vec::new(), outcomes);
        Ok(())
    }

    /// What happened, since the start.
    #[must_use]
    pub fn counts(&self) -> AnalystCounts {
        let mut counts = self.counts.clone();
        counts.held = (self.once.waiting() + self.waiting.len()) as u64;
        counts.once = self.once.counts;
        counts.store = self.store.counts;
        counts.tokens = self.store.len() as u64;
        counts
    }

    /// Processes of a node are read independently: what one showed before a revocation may come after
    /// it, by as long as a call is waited for.
    fn postpone(&mut self, revoked: Vec<Digest>) {
        let due = self.due(self.settings.settle + self.settings.join_wait);
        for digest in revoked {
            if self.revocations.len() >= self.settings.join_limit
                && let Some((_, oldest)) = self.revocations.pop_front()
            {
                self.revoke(oldest);
            }
            self.revocations.push_back((due, digest));
        }
    }

    fn revoke(&mut self, digest: Digest) {
        let _revoked =
            self.store.learn(&Lesson { revoked: vec![digest], ..Lesson::default() }, self.now);
    }

    /// Learns, and whatever waited for what was learnt.
    fn learn(&mut self, lesson: Lesson, outcomes: &mut Vec<Outcome>) {
        self.spread(Vec::new(), vec![lesson], outcomes);
    }

    /// Goes on with whatever waits for these digests, and with these lessons.
    fn spread(
        &mut self,
        mut digests: Vec<Digest>,
        mut lessons: Vec<Lesson>,
        outcomes: &mut Vec<Outcome>,
    ) {
        loop {
            for digest in std::mem::take(&mut digests) {
                lessons.extend(self.lessons.release(digest));
                for pending in self.waiting.release(digest) {
                    self.join(pending, outcomes);
                }
            }
            let Some(lesson) = lessons.pop() else { return };
            match self.store.learn(&lesson, self.now) {
                Taught::Learnt(learnt) => digests = learnt,
                Taught::Waits => {
                    let due = self.due(self.settings.settle + self.settings.join_wait);
                    let from = lesson.from.clone();
                    let displaced = self.lessons.hold(lesson, from, due);
                    self.counts.lessons_lost += u64::from(displaced.is_some());
                }
                Taught::Contradicts => {}
            }
        }
    }

    fn settled(&mut self, settled: Settled<Pending>, outcomes: &mut Vec<Outcome>) {
        let Settled { item: mut pending, place } = settled;
        match place {
            Place::Hop { of, is_late: _ } => {
                self.counts.hops += 1;
                outcomes.push(Outcome::Hop { exchange: pending.call.exchange, of });
            }
            Place::Edge { hops, apart: _ } => {
                pending.hops = hops;
                self.join(pending, outcomes);
            }
        }
    }

    /// Concludes a call, or lets it wait for its token.
    fn join(&mut self, pending: Pending, outcomes: &mut Vec<Outcome>) {
        let call = &pending.call;
        let needs = call.needs_consent() || !call.acts.is_empty();
        let is_unknown = pending.first.consent.is_none() && matches!(self.find(call), Join::Waits);
        if needs && exclusion(&pending).is_none() && is_unknown {
            let due = self.due(self.settings.join_wait);
            let keys = call.keys.clone();
            if let Some(displaced) = self.waiting.hold(pending, keys, due) {
                self.conclude(displaced, Unjoined::Overflow, outcomes);
            }
            return;
        }
        self.conclude(pending, Unjoined::TokenUnknown, outcomes);
    }

    /// Gives out what a call is.
    fn conclude(&mut self, pending: Pending, otherwise: Unjoined, outcomes: &mut Vec<Outcome>) {
        let exclusion = exclusion(&pending);
        let join = self.find(&pending.call);
        let Pending { mut call, parties, hops, first } = pending;
        if let Some(why) = exclusion {
            *self.counts.excluded.entry(why).or_default() += 1;
            outcomes.push(Outcome::Excluded { exchange: call.exchange, why });
            return;
        }
        let (consent, joined, unjoined) = match join {
            Join::Joined(consent, by) => (Some(consent), Some(by), None),
            _ if let Some((consent, by)) = first.consent => (Some(consent), Some(by), None),
            Join::Waits => (None, None, Some(otherwise)),
            Join::Unjoined(why) => (None, None, Some(why)),
        };
        if call.needs_consent() {
            let joins = &mut self.counts.joins;
            match (joined, unjoined) {
                (Some(by), _) => *joins.joined.entry(by).or_default() += 1,
                (None, Some(why)) => *joins.unjoined.entry(why).or_default() += 1,
                (None, None) => {}
            }
        }
        let is_flow = !call.acts.is_empty() && call.endpoint.is_err();
        self.signal(&mut call, &parties, consent.as_ref(), first.token, outcomes);
        if is_flow {
            self.counts.flow += 1;
            return;
        }
        outcomes.push(Outcome::Edge(Box::new(Edge::of(&mut call, &parties))));
        let endpoint = match &call.endpoint {
            Ok(endpoint) => endpoint,
            Err(why) => {
                *self.counts.unlisted.entry(*why).or_default() += 1;
                outcomes.push(Outcome::Unlisted { exchange: call.exchange, why: *why });
                return;
            }
        };
        // Open data is nobody's: a token that was sent all the same does not make it a consent's.
        let is_open = endpoint.group.is_open_data();
        let consent = consent.as_ref().filter(|_| !is_open);
        match EventBody::new(&call, &parties, consent) {
            Ok(event) => {
                self.counts.event(call.role);
                let joined = joined.filter(|_| !is_open);
                outcomes.push(Outcome::Event(Box::new(DataEvent::new(&call, event, joined, hops))));
            }
            Err(reasons) => {
                self.counts.unreportable_calls += 1;
                for reason in &reasons {
                    *self.counts.unreportable.entry(*reason).or_default() += 1;
                }
                let unjoined = unjoined.filter(|_| call.needs_consent());
                outcomes.push(Outcome::Unreportable {
                    exchange: Arc::clone(&call.exchange),
                    reasons,
                    unjoined,
                });
            }
        }
    }

    fn due(&self, wait: SignedDuration) -> Timestamp {
        self.now.checked_add(wait).unwrap_or(Timestamp::MAX)
    }
}

/// Why a call is not reported.
fn exclusion(pending: &Pending) -> Option<Exclusion> {
    let Parties { client_organisation, server_organisation, .. } = &pending.parties;
    let is_own = client_organisation.is_some() && client_organisation == server_organisation;
    pending.call.exclusion.or_else(|| is_own.then_some(Exclusion::SelfCall))
}

/// A token is used within milliseconds; what is not told by then was not seen.
pub const DEFAULT_JOIN_WAIT: SignedDuration = SignedDuration::from_secs(5);
