//! Which characters a value has, in one look; whoever needs others than it has is done.

use crate::security::table::by_byte;

/// Characters that a value has: punctuation of ASCII, controls, digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clues(u64);

impl Clues {
    /// Looks at each byte once.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut clues = 0;
        for byte in bytes {
            clues |= TABLE.get(usize::from(*byte)).copied().unwrap_or_default();
        }
        Self(clues)
    }

    /// Whether it has any of these characters.
    #[must_use]
    pub const fn any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }

    /// Whether it has all of these characters.
    #[must_use]
    pub const fn all(self, of: Self) -> bool {
        self.0 & of.0 == of.0
    }

    /// Whether it has no character but these, and letters.
    #[must_use]
    pub const fn is_within(self, of: Self) -> bool {
        self.0 & !of.0 == 0
    }

    /// Exactly these characters of ASCII; every control is one, every digit is one, and letters are
    /// none. For constants.
    #[must_use]
    pub const fn these(mut characters: &[u8]) -> Self {
        let mut clues = 0;
        while let [first, rest @ ..] = characters {
            clues |= bit(*first);
            characters = rest;
        }
        Self(clues)
    }
}

/// The bit of a byte: 32 for punctuation, one each for controls, line ends, digits, spaces and what
/// is not ASCII; none for letters.
const fn bit(byte: u8) -> u64 {
    match byte {
        b'\r' => 1 << 32,
        b'\n' => 1 << 33,
        0 => 1 << 34,
        b' ' => 1 << 35,
        b'0'..=b'9' => 1 << 36,
        0x80.. => 1 << 37,
        0x01..=0x1f | 0x7f => 1 << 38,
        b'A'..=b'Z' | b'a'..=b'z' => 0,
        b'!'..=b'/' => 1 << (byte - b'!'),
        b':'..=b'@' => 1 << (byte - b':' + 15),
        b'['..=b'`' => 1 << (byte - b'[' + 22),
        b'{'..=b'~' => 1 << (byte - b'{' + 28),
    }
}

/// By byte.
static TABLE: [u64; 256] = by_byte!(bit);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_punctuation_mark_has_a_bit_of_its_own() {
        let marks: Vec<u8> = (0..=127_u8).filter(u8::is_ascii_punctuation).collect();
        for mark in &marks {
            assert!(Clues::of(&[b'a', *mark, b'b']).any(Clues::these(&[*mark])), "{mark}");
            let others: Vec<u8> = marks.iter().copied().filter(|other| other != mark).collect();
            assert!(!Clues::of(&others).any(Clues::these(&[*mark])), "{mark}");
        }
        assert!(!Clues::of(b"Maria").any(Clues::of(&marks)));
        assert!(Clues::of(b"a'b--").all(Clues::these(b"'-")));
        assert!(!Clues::of(b"a'b").all(Clues::these(b"'-")));
    }
}
