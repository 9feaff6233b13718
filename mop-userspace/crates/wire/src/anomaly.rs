//! What was unusual about the framing of a message that could still be read in exactly one way.
//!
//! These are facts for security rules: several of them are ingredients of request smuggling.

/// One unusual fact.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Anomaly {
    /// A line of the head ended in a bare LF (RFC 9112 section 2.2).
    BareLineFeed = 0,
    /// Several equal `Content-Length` values (RFC 9112 section 6.3, rule 5).
    DuplicateContentLength = 1,
    /// `Content-Length` in a response that has none by its status (RFC 9110 section 8.6).
    ContentLengthNotAllowed = 2,
    /// A field value folded over several lines (RFC 9112 section 5.2).
    ObsFold = 3,
    /// Both framings at once; the transfer coding won (RFC 9112 section 6.3, rule 3).
    TransferEncodingAndContentLength = 4,
    /// A transfer coding in an HTTP/1.0 message (RFC 9112 section 6.1).
    TransferEncodingInHttp10 = 5,
    /// A transfer coding other than `chunked` (RFC 9112 section 7).
    TransferCodingUnknown = 6,
}

impl Anomaly {
    /// Every anomaly, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::BareLineFeed,
        Self::DuplicateContentLength,
        Self::ContentLengthNotAllowed,
        Self::ObsFold,
        Self::TransferEncodingAndContentLength,
        Self::TransferEncodingInHttp10,
        Self::TransferCodingUnknown,
    ];

    /// The name that records and metrics use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BareLineFeed => "bare_line_feed",
            Self::DuplicateContentLength => "duplicate_content_length",
            Self::ContentLengthNotAllowed => "content_length_not_allowed",
            Self::ObsFold => "obs_fold",
            Self::TransferEncodingAndContentLength => "transfer_encoding_and_content_length",
            Self::TransferEncodingInHttp10 => "transfer_encoding_in_http10",
            Self::TransferCodingUnknown => "transfer_coding_unknown",
        }
    }
}

/// A set of anomalies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anomalies {
    bits: u8,
}

impl Anomalies {
    /// Adds one.
    pub fn insert(&mut self, anomaly: Anomaly) {
        self.bits |= 1 << anomaly as u8;
    }

    /// True when it is in the set.
    #[must_use]
    pub const fn contains(self, anomaly: Anomaly) -> bool {
        self.bits & (1 << anomaly as u8) != 0
    }

    /// True when there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// Those in the set, in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = Anomaly> {
        Anomaly::ALL.into_iter().filter(move |anomaly| self.contains(*anomaly))
    }
}
