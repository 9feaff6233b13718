//! Decoding of Huffman-coded strings (RFC 7541 section 5.2).

use super::{
    error::HpackError,
    huffman_code::{END, MAX_BITS, MIN_BITS, Symbols, long_symbol},
};

/// Room that the text of a coded string needs: [`decode`] writes eight bytes at a time.
pub(super) fn room(coded_bytes: usize) -> usize {
    coded_bytes * 8 / MIN_BITS + 8
}

/// Writes the text to the beginning of `plain`, and returns its length.
///
/// `room(coded.len()) <= plain.len()`; what has no room is not written.
pub(super) fn decode(coded: &[u8], plain: &mut [u8]) -> Result<usize, HpackError> {
    let mut bits = Bits { window: 0, count: 0 };
    let mut text = Text { plain, length: 0 };
    let mut rest = coded;
    while let Some(next) = rest.first_chunk() {
        let taken = bits.fill(u64::from_be_bytes(*next));
        rest = rest.get(taken..).unwrap_or_default();
        // There are 56 bits now, which is enough for four look-ups. One that finds a longer code
        // changes nothing, so that nothing has to be decided before all four are done.
        let mut bytes = 0;
        let mut count = 0;
        let mut symbols = Symbols::default();
        for _ in 0..4 {
            symbols = Symbols::of(bits.window);
            bytes |= symbols.bytes() << (8 * count);
            count += symbols.count();
            bits.skip(symbols.bits());
        }
        text.push(bytes, count);
        if symbols.count() == 0 && bits.count >= MAX_BITS {
            bits.long(&mut text)?;
        }
    }
    end(bits, coded, rest.len(), &mut text)?;
    Ok(text.length)
}

/// Decodes the last bytes, of which `left < 8` are not in the window yet, and checks the padding.
fn end(mut bits: Bits, coded: &[u8], left: usize, text: &mut Text<'_>) -> Result<(), HpackError> {
    let mut left = left as u32;
    let last = match coded.last_chunk() {
        Some(last) => u64::from_be_bytes(*last),
        None => coded.iter().fold(0, |last, byte| last << 8 | u64::from(*byte)),
    };
    // What of them is left, at the upper end.
    let mut next = last.checked_shl(u64::BITS - 8 * left).unwrap_or_default();
    loop {
        let taken = left.min((u64::BITS - 1 - bits.count) / 8);
        bits.window |= next >> bits.count;
        bits.count += 8 * taken;
        next <<= 8 * taken;
        left -= taken;
        let mut symbols = Symbols::of(bits.window);
        while symbols.bits() <= bits.count {
            if symbols.count() > 0 {
                text.push(symbols.bytes(), symbols.count());
                bits.skip(symbols.bits());
            } else if long_symbol(bits.window).1 <= bits.count {
                bits.long(text)?;
            } else {
                break;
            }
            symbols = Symbols::of(bits.window);
        }
        if left == 0 {
            // Of two symbols, the second one may be padding.
            if symbols.count() > 1 && symbols.first_bits() <= bits.count {
                text.push(symbols.bytes(), 1);
                bits.skip(symbols.first_bits());
            }
            let is_padding = bits.count < 8 && bits.window.leading_ones() >= bits.count;
            return if is_padding { Ok(()) } else { Err(HpackError::HuffmanPadding) };
        }
    }
}

/// Bits that are not decoded yet, from the upper end of the window on.
///
/// Behind them is what follows them in the string, or nothing but zeros: so it can be filled
/// up by `|` without looking where.
struct Bits {
    window: u64,
    count: u32,
}

impl Bits {
    /// Takes whole bytes of the next eight; returns how many.
    #[inline]
    fn fill(&mut self, next: u64) -> usize {
        self.window |= next >> self.count;
        let taken = (u64::BITS - 1 - self.count) / 8;
        self.count += 8 * taken;
        taken as usize
    }

    #[inline]
    fn skip(&mut self, bits: u32) {
        self.window <<= bits;
        self.count -= bits;
    }

    /// Decodes a code that is too long for a look-up.
    #[cold]
    fn long(&mut self, text: &mut Text<'_>) -> Result<(), HpackError> {
        let (symbol, bits) = long_symbol(self.window);
        if symbol == END {
            return Err(HpackError::EndOfStringCode);
        }
        text.push(u64::from(symbol), 1);
        self.skip(bits);
        Ok(())
    }
}

/// What was decoded.
struct Text<'a> {
    plain: &'a mut [u8],
    length: usize,
}

impl Text<'_> {
    /// Adds up to eight symbols, the first one in the lowest byte.
    #[inline]
    fn push(&mut self, symbols: u64, count: u32) {
        let place = self.plain.get_mut(self.length..).and_then(<[u8]>::first_chunk_mut);
        if let Some(place) = place {
            *place = symbols.to_le_bytes();
        }
        self.length += count as usize;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http2::hpack::huffman_code::codes;

    /// Codes of RFC 7541 appendix B: the first and the last one of each length, and the end.
    const CODES: [(u16, u32, u32); 42] = [
        (48, 0x0, 5),
        (116, 0x9, 5),
        (32, 0x14, 6),
        (117, 0x2d, 6),
        (58, 0x5c, 7),
        (122, 0x7b, 7),
        (38, 0xf8, 8),
        (90, 0xfd, 8),
        (33, 0x3f8, 10),
        (63, 0x3fc, 10),
        (39, 0x7fa, 11),
        (124, 0x7fc, 11),
        (35, 0xffa, 12),
        (62, 0xffb, 12),
        (0, 0x1ff8, 13),
        (126, 0x1ffd, 13),
        (94, 0x3ffc, 14),
        (125, 0x3ffd, 14),
        (60, 0x7ffc, 15),
        (123, 0x7ffe, 15),
        (92, 0x7fff0, 19),
        (208, 0x7fff2, 19),
        (128, 0xfffe6, 20),
        (226, 0xfffed, 20),
        (153, 0x1fffdc, 21),
        (230, 0x1fffe8, 21),
        (129, 0x3fffd2, 22),
        (233, 0x3fffeb, 22),
        (1, 0x7fffd8, 23),
        (239, 0x7ffff4, 23),
        (9, 0xffffea, 24),
        (237, 0xfffff5, 24),
        (199, 0x1ffffec, 25),
        (235, 0x1ffffef, 25),
        (192, 0x3ffffe0, 26),
        (255, 0x3ffffee, 26),
        (203, 0x7ffffde, 27),
        (254, 0x7fffff0, 27),
        (2, 0xfffffe2, 28),
        (249, 0xffffffe, 28),
        (10, 0x3ffffffc, 30),
        (END, 0x3fffffff, 30),
    ];

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, HpackError> {
        let mut plain = vec![0xaa; room(coded.len())];
        let length = decode(coded, &mut plain)?;
        assert!(length + 8 <= plain.len(), "there was no room for eight bytes");
        plain.truncate(length);
        Ok(plain)
    }

    /// The codes one after the other, and ones up to the end of the byte.
    fn coded(codes: &[(u32, u32)]) -> Vec<u8> {
        let mut bits: Vec<_> = codes
            .iter()
            .flat_map(|(code, bits)| (0..*bits).rev().map(move |bit| (code >> bit & 1) as u8))
            .collect();
        bits.resize(bits.len().next_multiple_of(8), 1);
        bits.chunks(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | bit)).collect()
    }

    /// One bit after the other.
    fn decoded_slowly(coded: &[u8]) -> Result<Vec<u8>, HpackError> {
        let codes: std::collections::HashMap<_, _> = codes().collect();
        let mut plain = Vec::new();
        let (mut code, mut bits) = (0_u32, 0);
        for bit in coded.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)) {
            (code, bits) = (code << 1 | u32::from(bit), bits + 1);
            match codes.get(&(code, bits)) {
                Some(&END) => return Err(HpackError::EndOfStringCode),
                Some(symbol) => {
                    plain.push(*symbol as u8);
                    (code, bits) = (0, 0);
                }
                None => {}
            }
        }
        let is_padding = bits < 8 && code == (1 << bits) - 1;
        if is_padding { Ok(plain) } else { Err(HpackError::HuffmanPadding) }
    }

    #[test]
    fn codes_are_those_of_appendix_b() {
        let codes: Vec<_> = codes().collect();
        assert_eq!(codes.len(), 257);
        for (symbol, code, bits) in CODES {
            assert!(codes.contains(&((code, bits), symbol)), "{symbol}");
        }
    }

    #[test]
    fn every_symbol_is_decoded_between_any_others() {
        for (code, symbol) in codes().filter(|code| code.1 != END) {
            for before in 0..20 {
                for behind in 0..3 {
                    let mut codes = vec![(0x3, 5); before];
                    codes.push(code);
                    codes.extend(vec![(0x1ff9, 13); behind]);
                    let mut text = vec![b'a'; before];
                    text.push(symbol as u8);
                    text.extend(vec![b'$'; behind]);
                    assert_eq!(decoded(&coded(&codes)), Ok(text), "{symbol} {before} {behind}");
                }
            }
        }
    }

    #[test]
    fn padding_by_section_5_2() {
        for (bytes, expected) in [
            (&b""[..], Ok(&b""[..])),
            (b"\x1f", Ok(b"a")),
            (b"\x1e", Err(HpackError::HuffmanPadding)),
            (b"\x18", Err(HpackError::HuffmanPadding)),
            (b"\x1f\xff", Err(HpackError::HuffmanPadding)),
            (b"\xff", Err(HpackError::HuffmanPadding)),
            (b"\xff\xff\xff", Err(HpackError::HuffmanPadding)),
            (b"\xff\xff\xff\xff", Err(HpackError::EndOfStringCode)),
            (b"\x1f\xff\xff\xff\xff", Err(HpackError::EndOfStringCode)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff", Err(HpackError::EndOfStringCode)),
        ] {
            assert_eq!(decoded(bytes), expected.map(<[u8]>::to_vec), "{bytes:x?}");
        }
    }

    /// Mostly those of texts.
    fn symbols() -> impl Strategy<Value = usize> {
        prop_oneof![8 => 32..127_usize, 1 => 0..256_usize]
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_as_bit_by_bit(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(decoded(&bytes), decoded_slowly(&bytes));
        }

        #[test]
        fn texts_with_a_damaged_end_are_decoded_as_bit_by_bit(
            symbols in prop::collection::vec(symbols(), 0..60),
            end in prop_oneof![Just(0_u8), Just(1), any::<u8>()],
        ) {
            let codes: Vec<_> = codes().collect();
            let code = |symbol: usize| codes.iter().find(|code| usize::from(code.1) == symbol);
            let text: Vec<_> = symbols.into_iter().map(|symbol| code(symbol).unwrap().0).collect();
            let mut bytes = coded(&text);
            if let Some(last) = bytes.last_mut() {
                *last ^= end;
            }
            prop_assert_eq!(decoded(&bytes), decoded_slowly(&bytes));
        }
    }
}
