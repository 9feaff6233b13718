//! One look at a value: which decoders could change it. Most values hold nothing that any of them
//! looks for, and cost no more than this.

use super::decode::base64::MIN_RUN_BYTES;
use crate::security::table::by_byte;

/// What a value holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks(u16);

impl Marks {
    /// A backslash.
    pub(super) const BACKSLASH: u16 = 1;
    /// A run that may be base64.
    pub(super) const BASE64: u16 = 1 << 1;
    /// Dot segments or several slashes, other than after a scheme.
    pub(super) const DOTS: u16 = 1 << 2;
    /// A comment, or white space other than single spaces.
    pub(super) const FILLING: u16 = 1 << 3;
    /// A null byte.
    pub(super) const NULL: u16 = 1 << 4;
    /// `%`
    pub(super) const PERCENT: u16 = 1 << 5;
    /// `+`
    pub(super) const PLUS: u16 = 1 << 6;
    /// `&`
    pub(super) const REFERENCE: u16 = 1 << 7;
    /// The start of a sequence of several bytes.
    pub(super) const WIDE: u16 = 1 << 8;

    /// A character of base64; only while looking.
    const OF_RUN: u16 = 1 << 9;
    /// A line end, which does not end a run; only while looking.
    const LINE_END: u16 = 1 << 10;

    /// Looks at each byte once.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut marks = 0;
        let (mut run, mut longest_run, mut second_last, mut last) = (0_usize, 0_usize, 0, 0);
        for byte in bytes {
            let class = CLASSES.get(usize::from(*byte)).copied().unwrap_or_default();
            marks |= class;
            if class & Self::OF_RUN != 0 {
                run += 1;
                longest_run = longest_run.max(run);
            } else if class & Self::LINE_END == 0 {
                run = 0;
            }
            if matches!(last, b'/' | b' ') {
                marks |= match (last, byte) {
                    (b'/', b'/') if second_last != b':' => Self::DOTS,
                    (b'/', b'.') => Self::DOTS,
                    (b'/', b'*') | (b' ', b' ') => Self::FILLING,
                    _ => 0,
                };
            }
            (second_last, last) = (last, *byte);
        }
        if longest_run >= MIN_RUN_BYTES {
            marks |= Self::BASE64;
        }
        Self(marks & !(Self::OF_RUN | Self::LINE_END))
    }

    const fn class(byte: u8) -> u16 {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'/' => Self::OF_RUN,
            b'+' => Self::OF_RUN | Self::PLUS,
            b'\r' | b'\n' => Self::FILLING | Self::LINE_END,
            b'\t' | 0x0b | 0x0c => Self::FILLING,
            b'\\' => Self::BACKSLASH | Self::DOTS,
            0 => Self::NULL,
            b'%' => Self::PERCENT,
            b'&' => Self::REFERENCE,
            0xc0.. => Self::WIDE,
            _ => 0,
        }
    }

    /// Whether nothing was found.
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether one of these was found.
    pub(super) fn any(self, marks: u16) -> bool {
        self.0 & marks != 0
    }
}

/// By byte.
static CLASSES: [u16; 256] = by_byte!(Marks::class);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mark_is_seen() {
        for (text, expected) in [
            ("", 0),
            ("Maria da Gloria", 0),
            ("https://a.pt", 0),
            ("a\\b", Marks::BACKSLASH | Marks::DOTS),
            ("abcdefgh", Marks::BASE64),
            ("a/../b", Marks::DOTS),
            ("a//b", Marks::DOTS),
            ("a  b", Marks::FILLING),
            ("a/*b", Marks::FILLING),
            ("a\tb", Marks::FILLING),
            ("a\0", Marks::NULL),
            ("100%", Marks::PERCENT),
            ("a+b", Marks::PLUS),
            ("a&b", Marks::REFERENCE),
            ("Guaçu", Marks::WIDE),
        ] {
            assert_eq!(Marks::of(text.as_bytes()).0, expected, "{text}");
        }
    }
}
