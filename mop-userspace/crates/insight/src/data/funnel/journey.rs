//! Explains one consent: each step of its journey, and why it is not reported, in sentences.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    ConsentDigest, Funnel,
    consent::{Consent, Permissions},
    step::{Journey, Side, Step, Visibility},
    track::Track,
    waiting::{Source, Unreported, Wait},
};

/// One consent, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The name under which it was looked up.
    pub consent: String,
    /// Its journey, when its permissions are known.
    pub journey: Option<Journey>,
    /// What keeps every step back.
    pub unknown: Option<Unreported>,
    /// Each side that was seen.
    pub sides: Vec<SideExplanation>,
}

/// One side of a consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SideExplanation {
    /// The side.
    pub side: Side,
    /// Steps in the order of the document, then those that belong to no journey that is known.
    pub steps: Vec<StepExplanation>,
}

/// One step of one side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StepExplanation {
    /// The step.
    pub step: Step,
    /// Where it stands.
    pub state: StepState,
    /// The same in words.
    pub sentence: String,
}

/// What all steps that wait are waiting for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HeldCounts {
    /// For another step, by that step.
    pub for_step: BTreeMap<Step, u64>,
    /// For something that is not known.
    pub unknown: BTreeMap<Unreported, u64>,
    /// For earlier steps that may still come.
    pub settling: u64,
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum StepState {
    /// Not seen yet, but it can be.
    Awaited,
    /// It waits for another step.
    HeldForStep {
        /// That step.
        prerequisite: Step,
    },
    /// It waits because something is not known.
    HeldUnknown {
        /// What.
        reason: Unreported,
    },
    /// It waits for earlier ones that may still come.
    Settling {
        /// Until this second of the epoch.
        until: i64,
    },
    /// It was seen, and will not be reported.
    Lost {
        /// Why.
        reason: Unreported,
    },
    /// No call shows it; the hook must tell it.
    NeedsHook,
    /// It was reported.
    Reported {
        /// How often.
        times: u32,
        /// Second of the epoch of the last time.
        at: i64,
        /// How it was known.
        source: Source,
    },
    /// Another program reported it before this one took over.
    ReportedElsewhere,
}

impl Funnel {
    /// Explains a consent.
    #[must_use]
    pub fn explain(&self, digest: &ConsentDigest) -> Option<Explanation> {
        let consent = self.consents.get(digest)?;
        let journey = consent.journey();
        let unknown = consent.unknown();
        let sides = Side::ALL.into_iter().filter_map(|side| self.explain_side(consent, side));
        Some(Explanation { consent: digest.to_string(), journey, unknown, sides: sides.collect() })
    }

    /// What all steps that wait are waiting for. Looks at every consent.
    #[must_use]
    pub fn held_counts(&self) -> HeldCounts {
        let mut counts = HeldCounts::default();
        for consent in self.consents.values() {
            for side in Side::ALL {
                let Some(track) = consent.track(side) else { continue };
                let settings = self.settings(consent, side);
                for held in &track.held {
                    let count = match track.wait(held, i64::MIN, settings) {
                        Some(Wait::Prerequisite([first, ..])) => {
                            counts.for_step.entry(first.step).or_default()
                        }
                        Some(Wait::Unknown(reason)) => counts.unknown.entry(reason).or_default(),
                        Some(Wait::Prerequisite([]) | Wait::Settling(_)) | None => {
                            &mut counts.settling
                        }
                    };
                    *count += 1;
                }
            }
        }
        counts
    }

    fn explain_side(&self, consent: &Consent, side: Side) -> Option<SideExplanation> {
        let track = consent.track(side)?;
        let mut steps: Vec<Step> = match &consent.permissions {
            Permissions::Known(journey, _) => self.rules.steps(*journey, side).to_vec(),
            Permissions::Unknown | Permissions::Mixed => Vec::new(),
        };
        for held in &track.held {
            if !steps.contains(&held.step) {
                steps.push(held.step);
            }
        }
        let explain = |step| {
            let state = self.state(consent, track, side, step);
            StepExplanation { step, state, sentence: state.sentence(step, side) }
        };
        Some(SideExplanation { side, steps: steps.into_iter().map(explain).collect() })
    }

    fn state(&self, consent: &Consent, track: &Track, side: Side, step: Step) -> StepState {
        // What waits is the news about a step that was reported before.
        if let Some(held) = track.held.iter().find(|held| held.step == step) {
            // The clock is not asked: what has settled is released at the next turn anyway.
            match track.wait(held, i64::MIN, self.settings(consent, side)) {
                Some(Wait::Prerequisite([first, ..])) => {
                    return StepState::HeldForStep { prerequisite: first.step };
                }
                Some(Wait::Unknown(reason)) => return StepState::HeldUnknown { reason },
                Some(Wait::Settling(until)) => return StepState::Settling { until },
                Some(Wait::Prerequisite([])) | None => {}
            }
        }
        if let Some(reported) = track.reported.iter().rev().find(|it| it.milestone.step == step) {
            let (times, at, source) = (reported.times, reported.at, reported.source);
            return StepState::Reported { times, at, source };
        }
        if let Some(lost) = track.lost.iter().rev().find(|it| it.step == step) {
            return StepState::Lost { reason: lost.reason };
        }
        if track.begun.is_some_and(|begun| step < begun) {
            return StepState::ReportedElsewhere;
        }
        match step.visibility(side) {
            Visibility::Hook => StepState::NeedsHook,
            Visibility::Timer | Visibility::Wire | Visibility::WireInPart => StepState::Awaited,
        }
    }
}

impl StepState {
    /// Whether the step was reported.
    #[must_use]
    pub const fn is_reported(self) -> bool {
        matches!(self, Self::Reported { .. } | Self::ReportedElsewhere)
    }

    /// Whether it was seen and waits.
    #[must_use]
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::HeldForStep { .. } | Self::HeldUnknown { .. } | Self::Settling { .. })
    }

    /// In words.
    #[must_use]
    pub fn sentence(self, step: Step, side: Side) -> String {
        match self {
            Self::Awaited => match step.visibility(side) {
                Visibility::WireInPart => {
                    "Not seen. Some participants' calls do not show it; the hook can tell it."
                        .to_owned()
                }
                Visibility::Timer => "Its time has not come.".to_owned(),
                Visibility::Hook | Visibility::Wire => "Not seen yet.".to_owned(),
            },
            Self::HeldForStep { prerequisite } => {
                let told = match prerequisite.visibility(side) {
                    Visibility::Hook => "no call shows that step: the hook must tell it",
                    Visibility::WireInPart => "that step was not seen; the hook can tell it",
                    Visibility::Timer | Visibility::Wire => "that step was not seen",
                };
                format!("Held: {} must be reported first; {told}.", prerequisite.name())
            }
            Self::HeldUnknown { reason } => format!("Held: {}.", reason.because()),
            Self::Settling { .. } => "Held a moment: an earlier step may still come.".to_owned(),
            Self::Lost { reason } => format!("Not reported: {}.", reason.because()),
            Self::NeedsHook => "No call shows it; the hook must tell it.".to_owned(),
            Self::Reported { source, .. } => match source {
                Source::Hook => "Reported, as a program told it.",
                Source::Inferred => "Reported as inferred from another step.",
                Source::Timer => "Reported when its time ran out.",
                Source::Wire => "Reported, as a call showed it.",
            }
            .to_owned(),
            Self::ReportedElsewhere => {
                "Taken as reported by another program, before this one took over.".to_owned()
            }
        }
    }
}

impl Unreported {
    /// The reason, as the end of a sentence.
    #[must_use]
    pub const fn because(self) -> &'static str {
        match self {
            Self::AfterEnd => "the consent had been rejected, revoked or had expired",
            Self::Contradiction => "it contradicts a step that was reported",
            Self::ConsentMalformed => "the platform does not take such an identifier of a consent",
            Self::NotInJourney => "this journey has no such step on this side",
            Self::PartiesUnknown => "who called whom is not known in full",
            Self::PermissionsUnknown => {
                "the permissions of the consent are not known; its creation was not seen"
            }
            Self::PermissionsMixed => "the permissions belong to more than one journey",
            Self::PrerequisiteMissing => "a step that must come before it was never reported",
            Self::TimeBackwards => "a later step had been reported, and times must not go back",
            Self::TooMany => "more steps waited than memory is set aside for",
        }
    }
}
