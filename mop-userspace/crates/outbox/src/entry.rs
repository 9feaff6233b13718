//! What lies in an outbox.

/// What a record is worth when there is no room for all: a lane of its own each, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Lane {
    /// What became of all other records: small, and without it nothing can be proven.
    Operations = 0,
    /// Security findings.
    Security = 1,
    /// Calls that violate their contract.
    Violations = 2,
    /// Reports that are owed, and counts.
    Data = 3,
    /// Calls with nothing wrong.
    Samples = 4,
    /// What never leaves the node.
    Local = 5,
}

impl Lane {
    /// All lanes, the most important first.
    pub const ALL: [Self; 6] = [
        Self::Operations,
        Self::Security,
        Self::Violations,
        Self::Data,
        Self::Samples,
        Self::Local,
    ];

    /// Its name in folders, headers and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Operations => "operations",
            Self::Security => "security",
            Self::Violations => "violations",
            Self::Data => "data",
            Self::Samples => "samples",
            Self::Local => "local",
        }
    }

    /// The lane of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.name() == name)
    }

    /// The lane of a number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| *lane as u8 == number)
    }

    /// False for what never leaves the node.
    pub fn is_forwarded(self) -> bool {
        self != Self::Local
    }
}

/// A record to be put into an outbox.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// Where it goes.
    pub lane: Lane,
    /// Kind of record, such as `quality.report`.
    pub kind: &'a str,
    /// Identifies it everywhere: the same record made again has the same.
    pub id: &'a str,
    /// The record itself; the outbox does not look into it.
    pub payload: &'a [u8],
}

/// A record in an outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it lies.
    pub lane: Lane,
    /// Which opening of the outbox it was put in by: grows with each.
    pub epoch: u64,
    /// Its place in its lane: counts up by one, across epochs.
    pub sequence: u64,
    /// When it was put in, in milliseconds since 1970.
    pub time_ms: u64,
    /// Kind of record.
    pub kind: Box<str>,
    /// Identifies it everywhere.
    pub id: Box<str>,
    /// Why it was set aside; empty unless it was.
    pub note: Box<str>,
    /// The record itself.
    pub payload: Vec<u8>,
}
