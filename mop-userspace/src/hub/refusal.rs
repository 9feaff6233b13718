//! Why messages are not taken: few words, for metrics, tables and people.

/// Why a message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Refusal {
    /// Another record with the same key and other content was there before it.
    Conflict,
    /// It is said to be compressed or the like.
    ContentEncoding,
    /// The database will not have it.
    Database,
    /// It is of a day that has not come yet.
    FutureDay,
    /// Node, epoch, sequence or stream are missing or are not what they should be.
    Headers,
    /// The identifier is missing, too long, or another one than in the record.
    Id,
    /// The kind is missing, too long, or another one than in the record.
    Kind,
    /// It is not a JSON object, or one that no database takes.
    NotJson,
    /// It does not count as its schema says.
    Shape,
    /// It has no time.
    Time,
    /// It is larger than allowed.
    TooLarge,
}

impl Refusal {
    /// All reasons.
    pub(crate) const ALL: [Self; 11] = [
        Self::Conflict,
        Self::ContentEncoding,
        Self::Database,
        Self::FutureDay,
        Self::Headers,
        Self::Id,
        Self::Kind,
        Self::NotJson,
        Self::Shape,
        Self::Time,
        Self::TooLarge,
    ];

    /// Its name in metrics and tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::ContentEncoding => "content_encoding",
            Self::Database => "database",
            Self::FutureDay => "future_day",
            Self::Headers => "headers",
            Self::Id => "id",
            Self::Kind => "kind",
            Self::NotJson => "not_json",
            Self::Shape => "shape",
            Self::Time => "time",
            Self::TooLarge => "too_large",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_name() {
        let mut names: Vec<&str> = Refusal::ALL.map(Refusal::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Refusal::ALL.len());
    }
}
