//! Yes, no, or not known: Kleene's logic of three values, in which "and" is the least and "or" the most.

/// An answer, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Answer {
    No,
    Unknown,
    Yes,
}

impl Answer {
    /// Yes when all are; of none, yes.
    pub(super) fn all(answers: impl IntoIterator<Item = Self>) -> Self {
        answers.into_iter().min().unwrap_or(Self::Yes)
    }

    /// Yes when any is; of none, no.
    pub(super) fn any(answers: impl IntoIterator<Item = Self>) -> Self {
        answers.into_iter().max().unwrap_or(Self::No)
    }
}

impl From<bool> for Answer {
    fn from(is_so: bool) -> Self {
        if is_so { Self::Yes } else { Self::No }
    }
}

impl From<Option<bool>> for Answer {
    fn from(is_so: Option<bool>) -> Self {
        is_so.map_or(Self::Unknown, Self::from)
    }
}
