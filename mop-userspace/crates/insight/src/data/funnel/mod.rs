//! Consent and quote funnels: which step of which consent is reported when.
//!
//! ```text
//! Signal   (a call showed it) ──┐
//! HookStep (a program told it) ─┼─> one state machine a consent and side ─> FunnelRecord
//! advance  (a time ran out) ────┘      └─ held, with the reason      └─ counted, with the reason
//! ```
//!
//! A step is reported once a step that must come before it was reported (`order.rs`), never with a
//! time before the last one that was reported, and not before [`FunnelOptions::settle_seconds`]
//! have passed. Nothing is invented: a step was seen, was told, is a time that ran out, or is
//! marked as inferred, which is off unless [`Inference::Allowed`].
//!
//! Books: `proposed = reported + known + unreported + held`.
//!
//! Source: `consent-funnel-ingestion` 1.0.5; order: Workshop_PCM.pdf, Workshop_PCM_Fase3.pdf.
//!
//! Memory: at most [`FunnelOptions::max_consents`] consents, [`MAX_HELD_STEPS`] waiting steps on
//! one side of one, [`MAX_HELD_IN_ALL`] in all. No personal data is kept: identifiers of consents,
//! which must be none (portal, standards of identifiers), of organisations, and times.

mod consent;
pub mod derive;
pub mod event;
pub mod hook;
pub mod info;
pub mod journey;
pub mod options;
mod order;
pub mod prevalidate;
mod release;
pub mod rules;
pub mod snapshot;
pub mod step;
mod track;
mod waiting;
mod wire;

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::Arc,
};

use jiff::Timestamp;

use self::{
    consent::Consent,
    event::occurrence_of,
    waiting::{Held, Proposed},
};
pub use self::{
    event::{FunnelRecord, StepEvent},
    hook::{HookRefusal, HookStep},
    options::{ConsentDigest, FunnelCounts, FunnelOptions, History, MAX_CONSENTS},
    rules::FunnelRules,
    step::{FunnelKind, Journey, Side, Step, Visibility},
    track::MAX_HELD_STEPS,
    waiting::{Source, Unreported},
    wire::Inference,
};
use crate::data::signal::Signal;

/// All consents of a node.
pub struct Funnel {
    rules: Arc<FunnelRules>,
    options: FunnelOptions,
    digest: Box<DigestOf>,
    consents: HashMap<ConsentDigest, Box<Consent>>,
    /// When each is to be looked at again.
    due: BTreeSet<(i64, ConsentDigest)>,
    /// In the order in which they are given up: ended ones first, then by their last change.
    age: BTreeSet<(bool, i64, ConsentDigest)>,
    /// Steps that wait, of all consents.
    held: usize,
    counts: FunnelCounts,
}

/// Makes the name under which a consent is looked up; keyed, so that it cannot be guessed.
pub type DigestOf = dyn Fn(&str) -> ConsentDigest + Send + Sync;

impl Funnel {
    /// Begins without any consent.
    #[must_use]
    pub fn new(rules: Arc<FunnelRules>, options: FunnelOptions, digest: Box<DigestOf>) -> Self {
        Self {
            rules,
            options,
            digest,
            consents: HashMap::new(),
            due: BTreeSet::new(),
            age: BTreeSet::new(),
            held: 0,
            counts: FunnelCounts::default(),
        }
    }

    /// Takes what a call showed. Reports come from [`Self::advance`].
    pub fn observe(&mut self, signal: &Signal) {
        if !hook::is_consent(&signal.consent) {
            self.counts.proposed += 1;
            *self.counts.unreported.entry(Unreported::ConsentMalformed).or_default() += 1;
            return;
        }
        let (digest, mut consent) = self.take(&signal.consent);
        let side = Side::of(signal.role);
        let rules = Arc::clone(&self.rules);
        let (is_new, refused) = consent.learn(signal, &rules);
        self.counts.permissions_refused += refused;
        if is_new {
            self.settle_journey(&mut consent);
        }
        let shown = wire::shown(
            &signal.act,
            side,
            consent.was_given,
            self.options.consent_user,
            self.options.inference,
        );
        consent.was_given |= wire::shows_given(&signal.act);
        // The track is there from the first call on: timers report on it.
        consent.track_mut(side).get_or_insert_default();
        for it in shown {
            if !self.is_of_side(&it, side, consent.journey()) {
                continue;
            }
            let source = if it.is_inferred { Source::Inferred } else { Source::Wire };
            let occurrence = if it.step.repeats() { occurrence_of(&signal.exchange) } else { 0 };
            let at = signal.at.as_second().max(0);
            let nanosecond = if it.step.repeats() { nanosecond_of(signal.at) } else { 0 };
            let held = Held { step: it.step, at, nanosecond, info: it.info, source, occurrence };
            self.propose(&mut consent, side, held);
        }
        self.put(digest, consent, None);
    }

    /// Takes what a program told.
    pub fn hook(&mut self, told: HookStep) -> Result<(), HookRefusal> {
        let HookStep { consent: id, side, step, at, info } = told;
        let digest = (self.digest)(&id);
        // A call makes room by forgetting an open consent; a program that is wrong must not.
        let is_full = self.consents.len() >= self.options.max_consents
            && self.age.first().is_none_or(|(is_open, ..)| *is_open);
        if is_full && !self.consents.contains_key(&digest) {
            return Err(HookRefusal::TooMany);
        }
        let (digest, mut consent) = self.take(&id);
        let (at, nanosecond) =
            (at.as_second().max(0), if step.repeats() { nanosecond_of(at) } else { 0 });
        consent.touched = consent.touched.max(at);
        consent.was_given |= matches!(
            step,
            Step::ConsentAuthorized | Step::QuoteRequestAuthorized | Step::ConsentTokenGenerated
        );
        let held = Held { step, at, nanosecond, info, source: Source::Hook, occurrence: 0 };
        let outcome = self.propose(&mut consent, side, held);
        self.put(digest, consent, None);
        match outcome {
            Proposed::Held | Proposed::Known { reported: false } => Ok(()),
            Proposed::Known { reported: true } => Err(HookRefusal::AlreadyReported),
            Proposed::Lost(reason) => Err(match reason {
                Unreported::AfterEnd | Unreported::Contradiction => HookRefusal::ConsentEnded,
                Unreported::NotInJourney | Unreported::PermissionsMixed => {
                    HookRefusal::OtherJourney
                }
                Unreported::TooMany => HookRefusal::TooMany,
                Unreported::ConsentMalformed
                | Unreported::PartiesUnknown
                | Unreported::PermissionsUnknown
                | Unreported::PrerequisiteMissing
                | Unreported::TimeBackwards => HookRefusal::TimeBackwards,
            }),
        }
    }

    /// What became of all steps.
    #[must_use]
    pub fn counts(&self) -> &FunnelCounts {
        &self.counts
    }

    /// Steps that wait.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held
    }

    /// Consents that are remembered.
    #[must_use]
    pub fn consents(&self) -> usize {
        self.consents.len()
    }

    /// The names of all consents.
    #[must_use]
    pub fn digests(&self) -> Vec<ConsentDigest> {
        let mut digests: Vec<_> = self.consents.keys().copied().collect();
        digests.sort_unstable();
        digests
    }

    /// The name under which a consent is looked up.
    #[must_use]
    pub fn digest(&self, consent: &str) -> ConsentDigest {
        (self.digest)(consent)
    }

    /// Whether a call shows a step of this side at all: that the receiving side reads that a
    /// consent was authorized, again and again, is none.
    fn is_of_side(&self, shown: &wire::Shown, side: Side, journey: Option<Journey>) -> bool {
        let has = |journey| {
            let step = wire::in_journey(shown.step, &shown.info, journey, side);
            self.rules.has_step(journey, side, step)
        };
        match journey {
            Some(journey) => has(journey),
            None => Journey::ALL.into_iter().any(has),
        }
    }

    /// Proposes a step to a side, and keeps the books.
    fn propose(&mut self, consent: &mut Consent, side: Side, held: Held) -> Proposed {
        let settings = self.settings(consent, side);
        let room = self.held + consent.held() < MAX_HELD_IN_ALL;
        let track = consent.track_mut(side).get_or_insert_default();
        let outcome = track.propose(held, settings, room);
        self.counts.proposed += 1;
        match outcome {
            Proposed::Held => {}
            Proposed::Known { .. } => self.counts.known += 1,
            Proposed::Lost(reason) => *self.counts.unreported.entry(reason).or_default() += 1,
        }
        outcome
    }

    /// Takes a consent out of the books, or begins it.
    fn take(&mut self, id: &str) -> (ConsentDigest, Box<Consent>) {
        let digest = (self.digest)(id);
        let consent = self.forget(digest).unwrap_or_else(|| Box::new(Consent::new(id.to_owned())));
        (digest, consent)
    }

    fn forget(&mut self, digest: ConsentDigest) -> Option<Box<Consent>> {
        let consent = self.consents.remove(&digest)?;
        self.age.remove(&(!consent.ended(), consent.touched, digest));
        if let Some(due) = consent.due {
            self.due.remove(&(due, digest));
        }
        self.held -= consent.held().min(self.held);
        Some(consent)
    }

    /// Puts a consent back. `looked_at` is the second up to which nothing more can be released.
    fn put(&mut self, digest: ConsentDigest, mut consent: Box<Consent>, looked_at: Option<i64>) {
        while self.consents.len() >= self.options.max_consents.max(1) {
            let Some((_, _, oldest)) = self.age.first().copied() else { break };
            let Some(oldest) = self.forget(oldest) else { break };
            self.give_up(&oldest);
        }
        consent.due = self.due_of(&consent, looked_at);
        self.insert(digest, consent);
    }

    fn insert(&mut self, digest: ConsentDigest, consent: Box<Consent>) {
        if let Some(due) = consent.due {
            self.due.insert((due, digest));
        }
        self.age.insert((!consent.ended(), consent.touched, digest));
        self.held += consent.held();
        self.consents.insert(digest, consent);
    }

    fn give_up(&mut self, consent: &Consent) {
        if consent.ended() {
            self.counts.forgotten_ended += 1;
        } else {
            self.counts.forgotten_open += 1;
        }
        for side in Side::ALL {
            let settings = self.settings(consent, side);
            let reasons = consent.track(side).map(|track| track.give_up(settings));
            for reason in reasons.into_iter().flatten() {
                *self.counts.unreported.entry(reason).or_default() += 1;
            }
        }
    }

    fn settle_journey(&mut self, consent: &mut Consent) {
        for side in Side::ALL {
            let rules = Arc::clone(&self.rules);
            let settings = consent.settings(side, &rules, 0, false);
            let Some(track) = consent.track_mut(side) else { continue };
            let (merged, lost) = track.settle_journey(settings);
            self.counts.known += merged;
            for it in lost {
                *self.counts.unreported.entry(it.reason).or_default() += 1;
            }
        }
    }

    fn settings<'a>(&'a self, consent: &Consent, side: Side) -> waiting::Settings<'a> {
        let takes_over = self.options.history == History::Elsewhere;
        consent.settings(side, &self.rules, self.options.settle_seconds, takes_over)
    }
}

impl fmt::Debug for Funnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, consents, held, counts, .. } = self;
        f.debug_struct("Funnel")
            .field("options", options)
            .field("consents", &consents.len())
            .field("held", held)
            .field("counts", counts)
            .finish_non_exhaustive()
    }
}

/// Part of the second of a time.
fn nanosecond_of(at: Timestamp) -> u32 {
    u32::try_from(at.subsec_nanosecond()).unwrap_or(0)
}

/// Some 100 bytes each.
pub const MAX_HELD_IN_ALL: usize = 200_000;
