//! Integers and strings of a header block (RFC 7541 section 5).

use super::error::HpackError;

/// What is left of a block.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// A string as it is in the block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coded<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) is_huffman: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(block: &'a [u8]) -> Self {
        Self { rest: block }
    }

    /// The byte that begins the next field; none at the end of the block.
    #[inline]
    pub(super) fn first(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// Section 5.1: an integer that begins in the low bits of a byte that was read.
    ///
    /// ```text
    /// | ? | ? | ? | 1   1   1   1   1 |   prefix, here of 5 bits; all ones: the rest follows
    /// | 1 |    Value - 31, low bits   |
    /// | 0 |   Value - 31, high bits   |
    /// ```
    #[inline]
    pub(super) fn integer(&mut self, first: u8, prefix_bits: u32) -> Result<u32, HpackError> {
        let prefix = (1 << prefix_bits) - 1;
        let value = u32::from(first) & prefix;
        if value < prefix { Ok(value) } else { self.long_integer(value) }
    }

    /// Section 5.2: a string with its length and its coding.
    ///
    /// ```text
    /// | H |    String Length (7+)     |
    /// |  String Data (Length octets)  |
    /// ```
    #[inline]
    pub(super) fn string(&mut self) -> Result<Coded<'a>, HpackError> {
        let first = self.first().ok_or(HpackError::Truncated)?;
        let length = self.integer(first, 7)? as usize;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(HpackError::Truncated)?;
        self.rest = rest;
        Ok(Coded { bytes, is_huffman: first & 0x80 != 0 })
    }

    fn long_integer(&mut self, prefix: u32) -> Result<u32, HpackError> {
        let mut value = u64::from(prefix);
        for shift in (0..MAX_INTEGER_BITS).step_by(7) {
            let byte = self.first().ok_or(HpackError::Truncated)?;
            value += u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_too_large| HpackError::IntegerTooLarge);
            }
        }
        Err(HpackError::IntegerTooLarge)
    }
}

/// Bits behind the prefix, in five bytes: as many as 32 bits need.
const MAX_INTEGER_BITS: u32 = 35;

#[cfg(test)]
mod tests {
    use super::*;

    fn integer(bytes: &[u8], prefix_bits: u32) -> Result<(u32, usize), HpackError> {
        let mut reader = Reader::new(bytes);
        let first = reader.first().unwrap();
        reader.integer(first, prefix_bits).map(|value| (value, reader.rest.len()))
    }

    #[test]
    fn integers_by_section_5_1() {
        for (bytes, prefix_bits, expected) in [
            (&[0b1110_1010][..], 5, Ok((10, 0))),
            (&[0b1111_1111, 0b1001_1010, 0b0000_1010, 7], 5, Ok((1337, 1))),
            (&[42], 8, Ok((42, 0))),
            (&[0x7f, 0], 7, Ok((127, 0))),
            (&[0x7f, 0x80, 0x80, 0x80, 0x80, 0], 7, Ok((127, 0))),
            (&[0x0f, 0xf0, 0xff, 0xff, 0xff, 0x0f], 4, Ok((u32::MAX, 0))),
            (&[0x0f, 0xf1, 0xff, 0xff, 0xff, 0x0f], 4, Err(HpackError::IntegerTooLarge)),
            (&[0x7f, 0x80, 0x80, 0x80, 0x80, 0x80, 0], 7, Err(HpackError::IntegerTooLarge)),
            (&[0x7f, 0xff, 0xff, 0xff, 0xff, 0x7f], 7, Err(HpackError::IntegerTooLarge)),
            (&[0x7f, 0x80], 7, Err(HpackError::Truncated)),
            (&[0x7f], 7, Err(HpackError::Truncated)),
        ] {
            assert_eq!(integer(bytes, prefix_bits), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn strings_end_within_the_block() {
        let read = |bytes| {
            Reader::new(bytes).string().map(|Coded { bytes, is_huffman }| (bytes, is_huffman))
        };
        assert_eq!(read(b"\x02abc"), Ok((&b"ab"[..], false)));
        assert_eq!(read(b"\x83abc"), Ok((&b"abc"[..], true)));
        assert_eq!(read(b"\x00"), Ok((&b""[..], false)));
        for bytes in [&b""[..], b"\x02a", b"\x7f", b"\x7f\xff\xff\xff\xff\x07a"] {
            assert_eq!(read(bytes), Err(HpackError::Truncated), "{bytes:x?}");
        }
    }
}
