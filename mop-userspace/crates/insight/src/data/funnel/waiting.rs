//! The words of the state machine: a step that waits, was reported or is lost, and why.

use serde::{Deserialize, Serialize};

use super::{
    info::AdditionalInfo,
    order::Milestone,
    rules::FunnelRules,
    step::{Journey, Side, Step},
};

/// A step that was released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reported {
    pub(crate) milestone: Milestone,
    /// Second of the last time.
    pub(crate) at: i64,
    pub(crate) times: u32,
    pub(crate) source: Source,
}

/// A step that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Held {
    pub(crate) step: Step,
    /// Second at which it happened.
    pub(crate) at: i64,
    /// Part of that second; only steps that repeat are told apart by it.
    #[serde(default)]
    pub(crate) nanosecond: u32,
    pub(crate) info: AdditionalInfo,
    pub(crate) source: Source,
    /// Tells repetitions apart; 0 for steps that do not repeat.
    pub(crate) occurrence: u64,
}

impl Held {
    /// Its place among others. Accesses and what renews their tokens are in the order in which they happened; of the rest, several
    /// are of one call, or told in whole seconds, and are in the order of the journey.
    pub(crate) fn place(&self) -> (i64, Step, u32, Step, u64) {
        let stage = match self.step {
            Step::ResourceAccessed => Step::RefreshTokenUsed,
            step => step,
        };
        (self.at, stage, self.nanosecond, self.step, self.occurrence)
    }
}

/// A step that will not be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lost {
    pub(crate) step: Step,
    pub(crate) at: i64,
    pub(crate) reason: Unreported,
}

/// How a step became known, least certain first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// It was concluded from another step.
    Inferred,
    /// A time passed.
    Timer,
    /// A call showed it.
    Wire,
    /// A program told it.
    Hook,
}

/// Why a step is not reported and will not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unreported {
    /// The consent was rejected, revoked or had expired before.
    AfterEnd,
    /// It contradicts a step that was reported: a rejection of what was authorized.
    Contradiction,
    /// The consent's identifier is not one that the platform takes.
    ConsentMalformed,
    /// The journey has no such step on this side.
    NotInJourney,
    /// Who called whom never became known.
    PartiesUnknown,
    /// The permissions never became known, or none is one that the platform takes.
    PermissionsUnknown,
    /// The permissions belong to more than one journey.
    PermissionsMixed,
    /// A step that must come before was never reported.
    PrerequisiteMissing,
    /// A later step had been reported.
    TimeBackwards,
    /// More steps waited than memory is set aside for.
    TooMany,
}

impl Unreported {
    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AfterEnd => "after_end",
            Self::Contradiction => "contradiction",
            Self::ConsentMalformed => "consent_malformed",
            Self::NotInJourney => "not_in_journey",
            Self::PartiesUnknown => "parties_unknown",
            Self::PermissionsUnknown => "permissions_unknown",
            Self::PermissionsMixed => "permissions_mixed",
            Self::PrerequisiteMissing => "prerequisite_missing",
            Self::TimeBackwards => "time_backwards",
            Self::TooMany => "too_many",
        }
    }
}

/// What became of a step that was proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proposed {
    /// It waits.
    Held,
    /// It was known; what it added was taken over, if it still waits.
    Known { reported: bool },
    /// It will not be reported.
    Lost(Unreported),
}

/// What a track must know of its consent.
#[derive(Clone, Copy)]
pub(crate) struct Settings<'a> {
    pub(crate) rules: &'a FunnelRules,
    pub(crate) side: Side,
    pub(crate) journey: Option<Journey>,
    pub(crate) settle_seconds: i64,
    /// Whether another program reported the steps before the first that is seen here.
    pub(crate) takes_over: bool,
    /// What keeps every step of the consent back: something that is not known.
    pub(crate) unknown: Option<Unreported>,
}

/// What keeps a step back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// One of these must be reported first.
    Prerequisite(&'static [Milestone]),
    /// Something earlier may still come; until this second.
    Settling(i64),
    /// Something is not known.
    Unknown(Unreported),
}
