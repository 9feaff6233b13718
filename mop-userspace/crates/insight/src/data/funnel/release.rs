//! Releasing steps as time passes.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    Funnel,
    consent::Consent,
    event::FunnelRecord,
    info::{AdditionalInfo, Expiry},
    rules::FunnelRules,
    step::{Side, Step},
    waiting::{Held, Source},
};

impl Funnel {
    /// Lets time pass: the steps that are to be reported now, each consent's in their order.
    pub fn advance(&mut self, now: Timestamp) -> Vec<FunnelRecord> {
        let now = now.as_second();
        let rules = Arc::clone(&self.rules);
        let mut records = Vec::new();
        while let Some((due, digest)) = self.due.first().copied()
            && due <= now
        {
            let Some(mut consent) = self.forget(digest) else {
                // An entry without its consent; there is none, but it must not be met again.
                self.due.remove(&(due, digest));
                continue;
            };
            self.fire_timers(&mut consent, now);
            for side in Side::ALL {
                self.release_side(&mut consent, side, now, &rules, &mut records);
            }
            self.put(digest, consent, Some(now));
        }
        records
    }

    /// The second at which [`Self::advance`] has something to do next.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let (due, _) = self.due.first()?;
        Timestamp::from_second(*due).ok()
    }

    fn release_side(
        &mut self,
        consent: &mut Consent,
        side: Side,
        now: i64,
        rules: &FunnelRules,
        records: &mut Vec<FunnelRecord>,
    ) {
        loop {
            let takes_over = self.options.history == super::History::Elsewhere;
            let settings = consent.settings(side, rules, self.options.settle_seconds, takes_over);
            let Some(track) = consent.track_mut(side) else { return };
            let Some((held, lost)) = track.release(now, settings) else { return };
            for it in lost {
                *self.counts.unreported.entry(it.reason).or_default() += 1;
            }
            let Some(record) = consent.record(&held, side, rules) else { continue };
            self.count(&record, rules);
            records.push(record);
        }
    }

    fn count(&mut self, record: &FunnelRecord, rules: &FunnelRules) {
        let step = record.event.step;
        self.counts.reported += 1;
        self.counts.inferred += u64::from(record.inferred);
        *self.counts.by_step.entry(step).or_default() += 1;
        let info = &record.event.additional_info;
        let lacks = |name: &str| !info.names().any(|it| it == name);
        let mut demanded = rules.demanded(record.funnel, step);
        self.counts.incomplete += u64::from(demanded.any(lacks));
    }

    /// Proposes `consent-expired` when a time has run out, at the second at which it did.
    fn fire_timers(&mut self, consent: &mut Consent, now: i64) {
        let [authorization, validity] = self.deadlines(consent);
        if let Some(deadline) = authorization.filter(|it| *it <= now) {
            consent.timers_fired.authorization = true;
            self.expire(consent, deadline, Expiry::AuthorizationTimeout);
        }
        if let Some(deadline) = validity.filter(|it| *it <= now) {
            consent.timers_fired.validity = true;
            self.expire(consent, deadline, Expiry::MaxDateReached);
        }
    }

    fn expire(&mut self, consent: &mut Consent, at: i64, expiry: Expiry) {
        for side in Side::ALL {
            let has = |it| self.rules.has_step(it, side, Step::ConsentExpired);
            if consent.track(side).is_none() || !consent.journey().is_none_or(has) {
                continue;
            }
            let info = AdditionalInfo { expired_by: Some(expiry), ..AdditionalInfo::default() };
            let step = Step::ConsentExpired;
            let held = Held { step, at, nanosecond: 0, info, source: Source::Timer, occurrence: 0 };
            let _counted = self.propose(consent, side, held);
        }
    }

    /// Seconds at which the time to authorize and the validity run out, if that is still to come.
    fn deadlines(&self, consent: &Consent) -> [Option<i64>; 2] {
        if consent.ended() {
            return [None, None];
        }
        let authorization = match (consent.created, self.options.authorization_seconds) {
            (Some(created), Some(seconds))
                if !consent.was_given && !consent.timers_fired.authorization =>
            {
                Some(created.saturating_add(seconds.max(0)))
            }
            _ => None,
        };
        let expires = consent.expires.map(|it| it.max(0));
        let validity = expires.filter(|_| consent.was_given && !consent.timers_fired.validity);
        [authorization, validity]
    }

    /// When a consent is to be looked at again.
    pub(super) fn due_of(&self, consent: &Consent, looked_at: Option<i64>) -> Option<i64> {
        let steps = Side::ALL.into_iter().filter_map(|side| {
            let settings = self.settings(consent, side);
            let track = consent.track(side)?;
            match looked_at {
                Some(now) => track.due_after(now, settings),
                None => track.due(settings),
            }
        });
        steps.chain(self.deadlines(consent).into_iter().flatten()).min()
    }
}
