//! Why an end gave up a stream or the connection (RFC 9113 section 7).

/// An error code, as it is on the wire; unknown ones have no special meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u32);

impl ErrorCode {
    /// It is no error.
    pub const NO_ERROR: Self = Self(0x0);
    /// An unspecific violation of the protocol.
    pub const PROTOCOL_ERROR: Self = Self(0x1);
    /// The end that says it failed.
    pub const INTERNAL_ERROR: Self = Self(0x2);
    /// Flow control was violated.
    pub const FLOW_CONTROL_ERROR: Self = Self(0x3);
    /// Settings were not acknowledged in time.
    pub const SETTINGS_TIMEOUT: Self = Self(0x4);
    /// A frame for a stream that is half closed.
    pub const STREAM_CLOSED: Self = Self(0x5);
    /// A frame of a wrong size.
    pub const FRAME_SIZE_ERROR: Self = Self(0x6);
    /// The stream was not processed at all.
    pub const REFUSED_STREAM: Self = Self(0x7);
    /// The stream is no longer needed.
    pub const CANCEL: Self = Self(0x8);
    /// Header compression can no longer be followed.
    pub const COMPRESSION_ERROR: Self = Self(0x9);
    /// The connection of a `CONNECT` was reset or closed abnormally.
    pub const CONNECT_ERROR: Self = Self(0xa);
    /// The other end behaves like one that wants to do harm.
    pub const ENHANCE_YOUR_CALM: Self = Self(0xb);
    /// The transport is not secure enough.
    pub const INADEQUATE_SECURITY: Self = Self(0xc);
    /// HTTP/1.1 is needed instead.
    pub const HTTP_1_1_REQUIRED: Self = Self(0xd);

    /// Its name in the register; none of an unknown one.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        NAMES.get(self.0 as usize).copied()
    }
}

impl std::fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "ErrorCode({:#x})", self.0),
        }
    }
}

const NAMES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_names_of_section_7() {
        assert_eq!(format!("{:?}", ErrorCode::NO_ERROR), "NO_ERROR");
        assert_eq!(format!("{:?}", ErrorCode::COMPRESSION_ERROR), "COMPRESSION_ERROR");
        assert_eq!(ErrorCode::HTTP_1_1_REQUIRED.name(), Some("HTTP_1_1_REQUIRED"));
        assert_eq!(ErrorCode(0xe).name(), None);
        assert_eq!(format!("{:?}", ErrorCode(0xe)), "ErrorCode(0xe)");
    }
}
