//! The Huffman code of strings (RFC 7541 appendix B), as tables that the compiler makes.
//!
//! The code is canonical: shorter codes come before longer ones, and codes of the same length
//! follow each other in the order of their symbols. So the lengths are all there is to know.

/// What the next [`LOOKUP_BITS`] bits are: up to two symbols.
///
/// ```text
/// bits  0-7    bits of all symbols, the lowest ones since all else waits for them
/// bits  8-11   bits of the first symbol
/// bits 12-15   how many symbols; 0: the bits begin a longer code
/// bits 16-23   first symbol
/// bits 24-31   second symbol
/// ```
#[derive(Clone, Copy, Default)]
pub(super) struct Symbols(u32);

/// The codes of one length.
#[derive(Clone, Copy)]
struct Level {
    bits: u32,
    /// The first code that is longer, at the upper end of 32 bits; 2^32 for the longest.
    end: u64,
    /// The first code of this length.
    first: u32,
    /// Where its symbol is in [`BY_CODE`].
    at: usize,
}

impl Symbols {
    /// The symbols of 64 bits that begin with a code.
    #[inline]
    pub(super) fn of(window: u64) -> Self {
        let index = (window >> (u64::BITS - LOOKUP_BITS)) as usize;
        Self(LOOKUP.get(index).copied().unwrap_or_default())
    }

    /// The symbols, the first one in the lowest byte.
    #[inline]
    pub(super) fn bytes(self) -> u64 {
        u64::from(self.0 >> 16)
    }

    #[inline]
    pub(super) fn bits(self) -> u32 {
        self.0 & 0x3f
    }

    #[inline]
    pub(super) fn first_bits(self) -> u32 {
        self.0 >> 8 & 0xf
    }

    #[inline]
    pub(super) fn count(self) -> u32 {
        self.0 >> 12 & 0xf
    }
}

/// The symbol of a code that is longer than [`LOOKUP_BITS`], and how many bits it has.
pub(super) fn long_symbol(window: u64) -> (u16, u32) {
    let window = window >> 32;
    let level = LEVELS.iter().find(|level| window < level.end);
    // The last level ends behind all windows.
    let Some(Level { bits, end: _, first, at }) = level.copied() else { return (END, MAX_BITS) };
    let code = (window >> (u32::BITS - bits)) as usize;
    let symbol = BY_CODE.get(at + code - first as usize);
    (symbol.copied().unwrap_or(END), bits)
}

/// The symbol that ends a string, whose first bits are the padding.
pub(super) const END: u16 = 256;

/// Bits of the longest code.
pub(super) const MAX_BITS: u32 = 30;

/// Bits of the shortest code.
pub(super) const MIN_BITS: usize = 5;

/// Bits that are looked up at once: two of the common symbols, in a table of 16 KiB.
const LOOKUP_BITS: u32 = 12;

/// Bits of the code of each symbol, the end of the string last.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// All symbols in the order of their codes.
static BY_CODE: [u16; 257] = by_code();

/// The codes of each length, from the shortest to the longest.
static LEVELS: [Level; MAX_BITS as usize + 1] = levels();

static LOOKUP: [u32; 1 << LOOKUP_BITS] = lookup();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks the index")]
const fn by_code() -> [u16; 257] {
    let mut symbols = [0; 257];
    let mut count = 0;
    let mut bits = MIN_BITS;
    while bits <= MAX_BITS as usize {
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == bits {
                symbols[count] = symbol as u16;
                count += 1;
            }
            symbol += 1;
        }
        bits += 1;
    }
    symbols
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks the index")]
const fn levels() -> [Level; MAX_BITS as usize + 1] {
    let mut levels = [Level { bits: 0, end: 0, first: 0, at: 0 }; MAX_BITS as usize + 1];
    let symbols = by_code();
    let mut at = 0;
    let mut code = 0;
    let mut bits = 1;
    while bits <= MAX_BITS {
        code <<= 1;
        let first = code;
        let start = at;
        while at < symbols.len() && LENGTHS[symbols[at] as usize] as u32 == bits {
            code += 1;
            at += 1;
        }
        let end = (code as u64) << (u32::BITS - bits);
        levels[bits as usize] = Level { bits, end, first, at: start };
        bits += 1;
    }
    levels
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks the index")]
const fn lookup() -> [u32; 1 << LOOKUP_BITS] {
    let one = one_symbol();
    let mut table = [0; 1 << LOOKUP_BITS];
    let mut index = 0;
    while index < table.len() {
        let (first, first_bits) = one[index];
        // What is behind the first symbol, with zeros for what is not known.
        let (second, second_bits) = one[(index << first_bits) & (table.len() - 1)];
        table[index] = if first_bits == 0 {
            0
        } else if second_bits == 0 || first_bits + second_bits > LOOKUP_BITS {
            first << 16 | 1 << 12 | first_bits << 8 | first_bits
        } else {
            second << 24 | first << 16 | 2 << 12 | first_bits << 8 | (first_bits + second_bits)
        };
        index += 1;
    }
    table
}

/// The symbol that each value begins with and its bits, which are 0 when the code is longer.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks the index")]
const fn one_symbol() -> [(u32, u32); 1 << LOOKUP_BITS] {
    let mut table = [(0, 0); 1 << LOOKUP_BITS];
    let symbols = by_code();
    // In the order of their codes, symbols fill the table without a gap.
    let mut index = 0;
    let mut at = 0;
    while at < symbols.len() {
        let symbol = symbols[at] as u32;
        let bits = LENGTHS[symbol as usize] as u32;
        if bits <= LOOKUP_BITS {
            let end = index + (1 << (LOOKUP_BITS - bits));
            while index < end {
                table[index] = (symbol, bits);
                index += 1;
            }
        }
        at += 1;
    }
    table
}

/// All codes with their bits and symbols.
#[cfg(test)]
pub(super) fn codes() -> impl Iterator<Item = ((u32, u32), u16)> {
    let levels = LEVELS.iter().zip(LEVELS.iter().skip(1).map(|next| next.at).chain([257]));
    levels.flat_map(|(level, end)| {
        (level.first..)
            .zip(BY_CODE.iter().take(end).skip(level.at))
            .map(|(code, symbol)| ((code, level.bits), *symbol))
    })
}
