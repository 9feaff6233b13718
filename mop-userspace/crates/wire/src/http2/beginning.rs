//! How a connection begins (RFC 9113, section 3.4).

use super::frame::{Flags, FrameHead, Kind, PREFACE, StreamId};

/// What the first bytes of one direction are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// Too few to tell; at most as many as the preface has.
    Unknown,
    /// The preface of a client.
    Client,
    /// The settings of a server.
    Server,
    /// No HTTP/2.
    Other,
}

impl Beginning {
    pub(crate) fn of(bytes: impl Iterator<Item = u8>) -> Self {
        let mut first = [0; PREFACE.len()];
        let mut count = 0;
        for (place, byte) in first.iter_mut().zip(bytes) {
            *place = byte;
            count += 1;
        }
        let bytes = first.get(..count).unwrap_or_default();
        if PREFACE.starts_with(bytes) {
            return if count < PREFACE.len() { Self::Unknown } else { Self::Client };
        }
        // The settings of any server are shorter than 64 KiB, and no text begins with a null byte.
        match (bytes, FrameHead::split(bytes)) {
            ([0, ..], None) => Self::Unknown,
            ([0, ..], Some((head, _))) => {
                let FrameHead { payload_bytes, kind, flags, stream } = head;
                let is_settings = kind == Kind::Settings
                    && flags == Flags(0)
                    && stream == StreamId::CONNECTION
                    && payload_bytes.is_multiple_of(6);
                if is_settings { Self::Server } else { Self::Other }
            }
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell() {
        let of = |bytes: &[u8]| Beginning::of(bytes.iter().copied());
        assert_eq!(of(b""), Beginning::Unknown);
        assert_eq!(of(b"P"), Beginning::Unknown);
        assert_eq!(of(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"), Beginning::Unknown);
        assert_eq!(of(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0"), Beginning::Client);
        assert_eq!(of(b"PO"), Beginning::Other);
        assert_eq!(of(b"PRI * HTTP/1.1"), Beginning::Other);
        assert_eq!(of(b"HTTP/1.1 200 OK"), Beginning::Other);
        assert_eq!(of(b"\0\0\x12\x04\0\0\0"), Beginning::Unknown);
        assert_eq!(of(b"\0\0\x12\x04\0\0\0\0\0\0"), Beginning::Server);
        assert_eq!(of(b"\0\0\x11\x04\0\0\0\0\0"), Beginning::Other);
        assert_eq!(of(b"\0\0\x12\x03\0\0\0\0\0"), Beginning::Other);
    }
}
