//! Where frames begin, when that is not known: after a join midway, or a hole.

use super::frame::{Flags, FrameHead, Kind};

/// Whether what a call moved begins with a frame and goes on with frames.
///
/// Frames have no mark; but few heads are possible (RFC 9113, sections 4.1 and 6), and senders write
/// whole frames: their first byte is that of a call, and mostly their last byte, too.
pub(crate) fn begins_frames(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let mut whole = 0;
    while let Some((head, after)) = FrameHead::split(rest) {
        if !is_plausible(head) {
            return false;
        }
        match after.get(head.payload_bytes as usize..) {
            Some(next) => rest = next,
            // Content goes over several calls; nothing else is as long.
            None => return whole > 0 || matches!(head.kind, Kind::Data | Kind::Headers),
        }
        whole += 1;
    }
    whole > 0 && (rest.is_empty() || whole > 1)
}

/// Whether a sender may write such a head.
fn is_plausible(head: FrameHead) -> bool {
    let allowed = match head.kind {
        Kind::Data => Flags::END_STREAM.0 | Flags::PADDED.0,
        Kind::Headers => {
            Flags::END_STREAM.0 | Flags::END_HEADERS.0 | Flags::PADDED.0 | Flags::PRIORITY.0
        }
        Kind::PushPromise => Flags::END_HEADERS.0 | Flags::PADDED.0,
        Kind::Continuation => Flags::END_HEADERS.0,
        Kind::Settings | Kind::Ping => Flags::ACK.0,
        Kind::Priority | Kind::ResetStream | Kind::GoAway | Kind::WindowUpdate => 0,
        Kind::Unknown(_) => return false,
    };
    let is_of_fields = matches!(head.kind, Kind::Headers | Kind::PushPromise | Kind::Continuation);
    head.check(MOST_PLAUSIBLE).is_ok()
        && head.flags.0 & !allowed == 0
        && head.stream.number() <= MOST_STREAMS
        && !(is_of_fields && head.payload_bytes == 0)
}

/// What implementations send unless they are told to send more; and four times that.
const MOST_PLAUSIBLE: u32 = 64 << 10;

/// Streams of a connection that is still the same one.
const MOST_STREAMS: u32 = 1 << 28;

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const WINDOW_UPDATE: u8 = 8;

    fn frame(length: u32, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
        let mut bytes = length.to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes
    }

    fn whole(length: u32, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
        let mut bytes = frame(length, kind, flags, stream);
        bytes.resize(bytes.len() + length as usize, b'x');
        bytes
    }

    #[test]
    fn frames_are_told_from_other_bytes() {
        for bytes in [
            whole(12, SETTINGS, 0, 0),
            [whole(4, WINDOW_UPDATE, 0, 0), whole(20, HEADERS, 0x5, 1)].concat(),
            [whole(8, PING, 1, 0), frame(9000, DATA, 0, 3)].concat(),
            [frame(9000, DATA, 1, 3), b"{\"a\":1".to_vec()].concat(),
        ] {
            assert!(begins_frames(&bytes), "{bytes:?}");
        }
        for bytes in [
            b"".to_vec(),
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            b"{\"data\":{\"a\":1}}".to_vec(),
            vec![0; 64],
            whole(12, SETTINGS, 0, 1),
            whole(4, RST_STREAM, 0, 0),
            whole(12, 10, 0, 1),
            [whole(12, HEADERS, 0x5, 1), b"no frame at all".to_vec()].concat(),
            frame(12, SETTINGS, 0, 0),
        ] {
            assert!(!begins_frames(&bytes), "{bytes:?}");
        }
    }
}
