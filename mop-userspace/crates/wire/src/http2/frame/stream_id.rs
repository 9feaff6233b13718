//! Numbers of streams (RFC 9113 section 5.1.1).

/// Which stream a frame is about: 31 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u32);

impl StreamId {
    /// The connection as a whole.
    pub const CONNECTION: Self = Self(0);

    /// Without the reserved bit, which receivers ignore.
    #[must_use]
    pub fn from_bits(bits: u32) -> Self {
        Self(bits & MASK)
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }

    /// Streams that clients open have odd numbers.
    #[must_use]
    pub fn is_of_client(self) -> bool {
        self.0 % 2 == 1
    }

    /// Streams that servers open have even numbers.
    #[must_use]
    pub fn is_of_server(self) -> bool {
        self.0 != 0 && self.0.is_multiple_of(2)
    }
}

const MASK: u32 = u32::MAX >> 1;
