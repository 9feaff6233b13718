//! One look at a value: which decoders could change it. Most values hold nothing that any of them
//! looks for, and cost no more than this.

use super::decode::base64::MIN_RUN_BYTES;

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

    /// Looks at each byte once.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut marks = 0;
        let (mut run, mut second_last, mut last) = (0_usize, 0, 0);
        for byte in bytes {
            run = match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'+' | b'/' => run + 1,
                b'\r' | b'\n' => run,
                _ => 0,
            };
            if run == MIN_RUN_BYTES {
                marks |= Self::BASE64;
            }
            marks |= match (last, byte) {
                (_, b'\\') => Self::BACKSLASH | Self::DOTS,
                (_, 0) => Self::NULL,
                (_, b'%') => Self::PERCENT,
                (_, b'&') => Self::REFERENCE,
                (_, b'+') => Self::PLUS,
                (b'/', b'/') if second_last != b':' => Self::DOTS,
                (b'/', b'.') => Self::DOTS,
                (b'/', b'*') | (_, b'\t' | b'\n' | b'\r' | 0x0b | 0x0c) | (b' ', b' ') => {
                    Self::FILLING
                }
                (_, 0xc0..) => Self::WIDE,
                _ => 0,
            };
            (second_last, last) = (last, *byte);
        }
        Self(marks)
    }

    /// Whether one of these was found.
    pub(super) fn any(self, marks: u16) -> bool {
        self.0 & marks != 0
    }
}

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
