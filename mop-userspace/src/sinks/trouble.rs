//! What can become of a record at a sink.

use std::fmt::{self, Display};

/// What became of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The other side has it and will keep it.
    Delivered,
    /// The other side will never take it: it is set aside with this reason.
    Parked(&'static str),
    /// Not now, for this reason: it is sent again later, and nothing overtakes it.
    Again(&'static str),
}

/// Why nothing can be sent at the moment. All that was not confirmed is sent again later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// One of few words, for metrics: `refused`, `unreachable`, `lost`, `silent`, `topology`…
    pub(crate) reason: &'static str,
    /// For people; never a value of a message, never a secret.
    pub(crate) detail: String,
    /// True when only somebody's work can end it, so that trying often is no use: a wrong password.
    pub(crate) is_lasting: bool,
}

impl Trouble {
    /// One that may pass by itself.
    pub(crate) fn passing(reason: &'static str, detail: impl Display) -> Self {
        Self { reason, detail: detail.to_string(), is_lasting: false }
    }

    /// False when nothing of what was to be sent can have reached the other side.
    pub(crate) fn may_have_arrived(&self) -> bool {
        !matches!(self.reason, "key" | "misdirected" | "unreachable")
    }

    /// One that somebody has to look after.
    pub(crate) fn lasting(reason: &'static str, detail: impl Display) -> Self {
        Self { reason, detail: detail.to_string(), is_lasting: true }
    }
}

impl Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.reason, self.detail)
    }
}
