//! The state machine of one consent on one side: what was reported, what waits, what is lost.
//!
//! Invariants:
//! - a step is released only when one of its prerequisites was released before, or none is needed;
//! - times of released steps never go backwards;
//! - a step that does not repeat is released at most once.
//!
//! A step waits for [`Settings::settle_seconds`] after it happened, since calls are seen in the
//! order in which they end: what happened earlier may still come.

use serde::{Deserialize, Serialize};

use super::{
    order::{Milestone, prerequisites},
    step::Step,
    waiting::{Held, Lost, Proposed, Reported, Settings, Source, Unreported, Wait},
    wire::{in_journey, info_in_journey},
};

/// One side of a consent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Track {
    /// What was released, in the order of its first time.
    pub(crate) reported: Vec<Reported>,
    /// What waits, by time and step.
    pub(crate) held: Vec<Held>,
    /// What will never be reported; at most [`MAX_LOST`].
    pub(crate) lost: Vec<Lost>,
    /// Second of the last step that was released.
    last: Option<i64>,
    /// Steps before this one were reported by another program.
    pub(crate) begun: Option<Step>,
    /// The last repeated steps, so that one that is told twice is reported once.
    recent: Vec<(Step, i64, u64)>,
}

impl Track {
    /// Takes a step. `room` is whether memory is left for one more.
    pub(crate) fn propose(&mut self, held: Held, settings: Settings<'_>, room: bool) -> Proposed {
        let held = match self.admit(held, settings) {
            Ok(held) => held,
            Err(lost) => return self.lose(lost),
        };
        if let Some(known) = self.known(&held) {
            return known;
        }
        let lose = |reason| Lost { step: held.step, at: held.at, reason };
        if self.ended() && !is_way_back(&held) {
            return self.lose(lose(Unreported::AfterEnd));
        }
        // A program that tells of a step with a later time than what waits for it would keep that
        // back for ever; it is told so and can correct the time.
        if self.last.is_some_and(|last| held.at < last)
            || (held.source == Source::Hook && self.is_waited_for(&held, settings))
        {
            return self.lose(lose(Unreported::TimeBackwards));
        }
        if !room || self.held.len() >= MAX_HELD_STEPS {
            return self.lose(lose(Unreported::TooMany));
        }
        if held.step.repeats() {
            if self.recent.len() >= MAX_RECENT {
                self.recent.remove(0);
            }
            self.recent.push((held.step, held.at, held.occurrence));
        }
        if settings.takes_over && self.begun.is_none() && self.is_empty() {
            self.begun = Some(held.step);
        }
        self.insert(held);
        Proposed::Held
    }

    /// Names what waits as the journey does, now that it is known. What it does not have is lost;
    /// what has the same name now is one step. The number of the latter, and the lost.
    pub(crate) fn settle_journey(&mut self, settings: Settings<'_>) -> (u64, Vec<Lost>) {
        let (mut merged, mut lost) = (0, Vec::new());
        for held in std::mem::take(&mut self.held) {
            match self.admit(held, settings) {
                // What repeats is known by its own mark already, and has not changed its name.
                Ok(held) if held.step.repeats() => self.insert(held),
                Ok(held) => match self.known(&held) {
                    Some(_) => merged += 1,
                    None => self.insert(held),
                },
                Err(it) => lost.push(it),
            }
        }
        self.remember(&lost);
        (merged, lost)
    }

    /// Releases one step that nothing keeps back at this second, the earliest first, and says what
    /// is lost by that.
    pub(crate) fn release(
        &mut self,
        now: i64,
        settings: Settings<'_>,
    ) -> Option<(Held, Vec<Lost>)> {
        let position = self.held.iter().position(|it| self.wait(it, now, settings).is_none())?;
        let step = self.held.remove(position);
        let milestone = Milestone::of(step.step, &step.info);
        let (at, source) = (step.at, step.source);
        match self.reported.iter_mut().find(|it| it.milestone == milestone) {
            Some(reported) => {
                reported.at = at;
                reported.times = reported.times.saturating_add(1);
            }
            None => self.reported.push(Reported { milestone, at, times: 1, source }),
        }
        self.last = Some(at);
        Some((step, self.sweep(settings)))
    }

    /// The next second at which something that settles may be released.
    pub(crate) fn due(&self, settings: Settings<'_>) -> Option<i64> {
        self.held.first().map(|it| it.at.saturating_add(settings.settle_seconds))
    }

    /// The first second after `now` at which a step has settled.
    pub(crate) fn due_after(&self, now: i64, settings: Settings<'_>) -> Option<i64> {
        let settled = self.held.iter().map(|it| it.at.saturating_add(settings.settle_seconds));
        settled.filter(|due| *due > now).min()
    }

    /// What keeps a step back; nothing when it can be released.
    pub(crate) fn wait(&self, held: &Held, now: i64, settings: Settings<'_>) -> Option<Wait> {
        if let Some(unknown) = settings.unknown {
            return Some(Wait::Unknown(unknown));
        }
        let Some(journey) = settings.journey else {
            return Some(Wait::Unknown(Unreported::PermissionsUnknown));
        };
        let needed = prerequisites(journey, settings.side, held.step, &held.info);
        let is_met = |it: &Milestone| {
            self.was_reported(*it) || self.begun.is_some_and(|begun| it.step < begun)
        };
        if !needed.is_empty() && !needed.iter().any(is_met) {
            return Some(Wait::Prerequisite(needed));
        }
        let settled = held.at.saturating_add(settings.settle_seconds);
        (settled > now).then_some(Wait::Settling(settled))
    }

    /// Why what still waits is not reported, when the consent is given up.
    pub(crate) fn give_up(&self, settings: Settings<'_>) -> Vec<Unreported> {
        self.held
            .iter()
            .map(|held| match self.wait(held, i64::MAX, settings) {
                Some(Wait::Unknown(reason)) => reason,
                Some(Wait::Prerequisite(_) | Wait::Settling(_)) | None => {
                    Unreported::PrerequisiteMissing
                }
            })
            .collect()
    }

    /// Whether a rejection, revocation or expiry was reported.
    pub(crate) fn ended(&self) -> bool {
        self.reported.iter().any(|it| it.milestone.step.ends())
    }

    pub(crate) fn was_reported(&self, milestone: Milestone) -> bool {
        self.reported.iter().any(|it| it.milestone == milestone)
    }

    fn is_empty(&self) -> bool {
        self.held.is_empty() && self.reported.is_empty()
    }

    /// The step under its name in the journey, if the journey has it.
    fn admit(&self, mut held: Held, settings: Settings<'_>) -> Result<Held, Lost> {
        let Some(journey) = settings.journey else { return Ok(held) };
        // What a program tells is named by it; what a call shows is named by us.
        if held.source != Source::Hook {
            let step = in_journey(held.step, &held.info, journey, settings.side);
            if step != held.step {
                held.info = info_in_journey(step, held.info);
                held.step = step;
                held.occurrence = if step.repeats() { held.occurrence } else { 0 };
            }
        }
        let lost = |reason| Lost { step: held.step, at: held.at, reason };
        if !settings.rules.has_step(journey, settings.side, held.step) {
            return Err(lost(Unreported::NotInJourney));
        }
        if self.contradicts(held.step) {
            return Err(lost(Unreported::Contradiction));
        }
        Ok(held)
    }

    /// Whether a step is known already. One that waits takes the earlier time, the better source
    /// and what is new in the other.
    fn known(&mut self, held: &Held) -> Option<Proposed> {
        if held.step.repeats() {
            let mark = (held.step, held.at, held.occurrence);
            let waits = self.held.iter().any(|it| (it.step, it.at, it.occurrence) == mark);
            return (waits || self.recent.contains(&mark))
                .then_some(Proposed::Known { reported: !waits });
        }
        let milestone = Milestone::of(held.step, &held.info);
        if self.was_reported(milestone) {
            return Some(Proposed::Known { reported: true });
        }
        let is_possible = self.last.is_none_or(|last| held.at >= last);
        if held.source == Source::Hook && !is_possible {
            // The program learns that its time cannot be.
            return None;
        }
        let same = |it: &Held| Milestone::of(it.step, &it.info) == milestone;
        let position = self.held.iter().position(same)?;
        let mut known = self.held.remove(position);
        known.info.complete(&held.info);
        // The earlier of two times is nearer to the event: both are of what showed it afterwards.
        // What was concluded adds nothing to what was told or seen.
        if is_possible && held.source != Source::Inferred {
            known.at = known.at.min(held.at);
            known.source = known.source.max(held.source);
        }
        self.insert(known);
        Some(Proposed::Known { reported: false })
    }

    /// Takes out what can no longer be reported: it would go back in time, or after the end.
    fn sweep(&mut self, settings: Settings<'_>) -> Vec<Lost> {
        let mut lost = Vec::new();
        for held in std::mem::take(&mut self.held) {
            match self.hopeless(&held, settings) {
                Some(reason) => lost.push(Lost { step: held.step, at: held.at, reason }),
                None => self.held.push(held),
            }
        }
        self.remember(&lost);
        lost
    }

    /// Why a step that waits will never be reported.
    fn hopeless(&self, held: &Held, settings: Settings<'_>) -> Option<Unreported> {
        if self.last.is_some_and(|last| held.at < last) {
            return Some(match self.wait(held, i64::MAX, settings) {
                Some(Wait::Prerequisite(_)) => Unreported::PrerequisiteMissing,
                Some(Wait::Unknown(_) | Wait::Settling(_)) | None => Unreported::TimeBackwards,
            });
        }
        if self.contradicts(held.step) {
            return Some(Unreported::Contradiction);
        }
        (self.ended() && !is_way_back(held)).then_some(Unreported::AfterEnd)
    }

    /// Whether a step that happened before this one waits for it.
    fn is_waited_for(&self, held: &Held, settings: Settings<'_>) -> bool {
        let milestone = Milestone::of(held.step, &held.info);
        self.held.iter().any(|it| match self.wait(it, i64::MAX, settings) {
            Some(Wait::Prerequisite(needed)) => it.at < held.at && needed.contains(&milestone),
            Some(Wait::Unknown(_) | Wait::Settling(_)) | None => false,
        })
    }

    /// What was authorized is not rejected any more.
    fn contradicts(&self, step: Step) -> bool {
        let authorized = Milestone { step: Step::ConsentAuthorized, is_failure: false };
        step == Step::ConsentRejected && self.was_reported(authorized)
    }

    fn lose(&mut self, lost: Lost) -> Proposed {
        self.remember(&[lost]);
        Proposed::Lost(lost.reason)
    }

    /// Keeps the first for the explanation.
    fn remember(&mut self, lost: &[Lost]) {
        let room = MAX_LOST.saturating_sub(self.lost.len());
        self.lost.extend(lost.iter().take(room));
    }

    fn insert(&mut self, held: Held) {
        let position = self.held.partition_point(|it| it.place() <= held.place());
        self.held.insert(position, held);
    }
}

/// Coming back without a code is what may follow on a rejection.
fn is_way_back(held: &Held) -> bool {
    held.step == Step::UserRedirectedBack && held.info.is_failure()
}

/// Steps that wait on one side of a consent: a whole retrieval of a customer's data, 36 endpoints
/// and their pages, while the hook has not told of the login.
pub const MAX_HELD_STEPS: usize = 512;
/// Lost steps that are kept for the explanation; all are counted.
const MAX_LOST: usize = 16;
/// Repeated steps that are recognised: what a restart shows again is within a batch.
const MAX_RECENT: usize = 64;
