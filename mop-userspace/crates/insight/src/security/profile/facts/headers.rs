//! What the field lines of a call say.

use crate::data::digest::Digest;

/// What the field lines of both messages say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderFacts {
    /// `x-fapi-interaction-id` of the request.
    pub interaction_sent: InteractionId,
    /// That of the response.
    pub interaction_returned: InteractionId,
    /// Digest of client, operation and `x-idempotency-key`.
    pub idempotency_key: Option<Digest>,
    /// `Retry-After`
    pub retry_after: RetryAfter,
    /// Fields that responses must have and this one does not, or not as they must be.
    pub missing_security: Vec<&'static str>,
}

/// An interaction id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InteractionId {
    /// There is none.
    #[default]
    Absent,
    /// It has characters or a length that no interface allows.
    Malformed,
    /// Digest of one that some interfaces allow, and that is no UUID.
    Named(Digest),
    /// Digest of a UUID.
    Uuid(Digest),
}

/// `Retry-After` of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetryAfter {
    /// There is none.
    #[default]
    Absent,
    /// A date, or what cannot be read.
    Other,
    /// So many seconds.
    Seconds(u32),
}
