//! Settings (RFC 9113 section 6.5).

use super::FrameError;

/// The payload of `SETTINGS`.
///
/// ```text
/// | Identifier (16) | Value (32) | ...
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings<'a> {
    payload: &'a [[u8; SETTING_BYTES]],
}

/// One setting, with a value in its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Bytes of the table of header compression that its receiver keeps.
    HeaderTableSize(u32),
    /// Whether the server may push.
    EnablePush(bool),
    /// Streams that the other end may have open at once.
    MaxConcurrentStreams(u32),
    /// Content of a stream that may be sent at first; `< 2^31`.
    InitialWindowSize(u32),
    /// Bytes of the payload of a frame; from 2^14 to 2^24 - 1.
    MaxFrameSize(u32),
    /// Bytes of the fields of one message, with 32 more for each.
    MaxHeaderListSize(u32),
    /// Of an extension: ignored by those who do not know it.
    Unknown {
        /// Which one.
        identifier: u16,
        /// Anything.
        value: u32,
    },
}

impl<'a> Settings<'a> {
    pub(super) fn parse(payload: &'a [u8]) -> Result<Self, FrameError> {
        match payload.as_chunks() {
            (payload, []) => Ok(Self { payload }),
            _ => Err(FrameError::WrongLength),
        }
    }

    /// The settings in their order, in which each one replaces earlier ones of its kind.
    pub fn iter(&self) -> impl Iterator<Item = Result<Setting, FrameError>> + use<'a> {
        self.payload.iter().map(|bytes| Setting::parse(*bytes))
    }
}

impl Setting {
    fn parse(bytes: [u8; SETTING_BYTES]) -> Result<Self, FrameError> {
        let [i0, i1, v0, v1, v2, v3] = bytes;
        let value = u32::from_be_bytes([v0, v1, v2, v3]);
        let setting = match u16::from_be_bytes([i0, i1]) {
            0x1 => Self::HeaderTableSize(value),
            0x2 => match value {
                0 => Self::EnablePush(false),
                1 => Self::EnablePush(true),
                2.. => return Err(FrameError::SettingOutOfRange),
            },
            0x3 => Self::MaxConcurrentStreams(value),
            0x4 if value > MAX_WINDOW_BYTES => return Err(FrameError::WindowTooLarge),
            0x4 => Self::InitialWindowSize(value),
            0x5 if !(super::INITIAL_MAX_FRAME_BYTES..=super::MAX_FRAME_BYTES).contains(&value) => {
                return Err(FrameError::SettingOutOfRange);
            }
            0x5 => Self::MaxFrameSize(value),
            0x6 => Self::MaxHeaderListSize(value),
            identifier => Self::Unknown { identifier, value },
        };
        Ok(setting)
    }
}

const SETTING_BYTES: usize = 6;

/// Flow control counts with 31 bits (RFC 9113 section 6.9.1).
const MAX_WINDOW_BYTES: u32 = u32::MAX >> 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_by_section_6_5_2() {
        let above = MAX_WINDOW_BYTES + 1;
        for (identifier, value, expected) in [
            (0x1, u32::MAX, Ok(Setting::HeaderTableSize(u32::MAX))),
            (0x2, 0, Ok(Setting::EnablePush(false))),
            (0x2, 1, Ok(Setting::EnablePush(true))),
            (0x2, 2, Err(FrameError::SettingOutOfRange)),
            (0x3, 0, Ok(Setting::MaxConcurrentStreams(0))),
            (0x4, MAX_WINDOW_BYTES, Ok(Setting::InitialWindowSize(MAX_WINDOW_BYTES))),
            (0x4, above, Err(FrameError::WindowTooLarge)),
            (0x5, 16_383, Err(FrameError::SettingOutOfRange)),
            (0x5, 16_384, Ok(Setting::MaxFrameSize(16_384))),
            (0x5, 16_777_215, Ok(Setting::MaxFrameSize(16_777_215))),
            (0x5, 16_777_216, Err(FrameError::SettingOutOfRange)),
            (0x6, 7, Ok(Setting::MaxHeaderListSize(7))),
            (0x8, 1, Ok(Setting::Unknown { identifier: 0x8, value: 1 })),
        ] {
            let mut payload = u16::to_be_bytes(identifier).to_vec();
            payload.extend_from_slice(&u32::to_be_bytes(value));
            let settings = Settings::parse(&payload).unwrap();
            assert_eq!(settings.iter().collect::<Vec<_>>(), [expected], "{identifier} {value}");
        }
    }
}
