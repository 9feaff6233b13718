//! Idempotency keys: one key, one body.

use serde::{Deserialize, Serialize};

use super::{check::Check, facts::Verb, memory::Memory, state::Judge, when::Moment};
use crate::{
    data::digest::Digest,
    security::finding::{Part, Place},
};

/// Keys of clients, with the body that each came with first.
#[derive(Debug)]
pub(super) struct IdempotencyKeys(pub(super) Memory<(Digest, Digest), Sent>);

/// A body, and when its call was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sent {
    #[serde(with = "super::snapshot::hex")]
    body: Digest,
    end: Moment,
}

impl IdempotencyKeys {
    pub(super) fn new(limit: usize) -> Self {
        Self(Memory::new(limit))
    }

    pub(super) fn evicted(&self) -> u64 {
        self.0.evicted
    }

    /// Judges the key of a call that created something.
    pub(super) fn judge(&mut self, judge: &mut Judge<'_>, party: Option<Digest>) {
        let facts = judge.facts;
        if facts.verb != Verb::Post || !facts.is_success() {
            return;
        }
        let (Some(party), Some(key), Some(body)) =
            (party, facts.headers.idempotency_key, facts.sent.digest)
        else {
            return;
        };
        let window_s = judge.checks.seconds(Check::IdempotencyKeyReused, "window_s");
        if let Some(first) = self.0.get(&(party, key)).copied()
            && judge.start().is_near(first.end, window_s)
        {
            // Calls at the same time may be one, seen at a proxy and behind it, rewritten.
            let is_later = judge.start().is_after(first.end, 0, super::LEEWAY_SECONDS);
            if first.body != body && is_later {
                let place = Place::field(Part::RequestHeader, "x-idempotency-key");
                judge.tell(Check::IdempotencyKeyReused, [place]);
            }
            return;
        }
        self.0.insert((party, key), Sent { body, end: judge.end() });
    }
}
