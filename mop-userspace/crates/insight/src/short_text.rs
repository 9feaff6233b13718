//! Short text where it stands: addresses, numbers and digests of calls that nobody keeps cost no
//! allocation.

use std::fmt::{Display, Write};

use crate::hexadecimal::digits;

/// Text of at most [`ROOM`] bytes.
#[derive(Clone, Copy)]
pub(crate) struct ShortText {
    bytes: [u8; ROOM],
    length: usize,
}

impl ShortText {
    /// What is written of a thing, as far as there is room for it.
    pub(crate) fn of(thing: impl Display) -> Self {
        let mut text = Self::default();
        let _cut = write!(text, "{thing}");
        text
    }

    /// Digits in lower case, two a byte.
    pub(crate) fn hexadecimal(bytes: &[u8]) -> Self {
        let mut text = Self::default();
        for pair in bytes.iter().map(|byte| digits(*byte)) {
            text.push(&pair);
        }
        text
    }

    pub(crate) fn as_str(&self) -> &str {
        let written = self.bytes.get(..self.length).unwrap_or_default();
        std::str::from_utf8(written).unwrap_or_default()
    }

    /// Adds bytes, if there is room for them all.
    fn push(&mut self, bytes: &[u8]) -> bool {
        let end = self.length + bytes.len();
        let Some(room) = self.bytes.get_mut(self.length..end) else { return false };
        room.copy_from_slice(bytes);
        self.length = end;
        true
    }
}

impl Default for ShortText {
    fn default() -> Self {
        Self { bytes: [0; ROOM], length: 0 }
    }
}

impl Write for ShortText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.push(text.as_bytes()) { Ok(()) } else { Err(std::fmt::Error) }
    }
}

/// SHA-256 in hexadecimal digits; an address of version 6 has 39 at most.
const ROOM: usize = 64;

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv6Addr};

    use super::*;

    #[test]
    fn the_longest_things_that_are_written_fit() {
        let address = IpAddr::from(Ipv6Addr::from([0xffff; 8]));
        assert_eq!(ShortText::of(address).as_str(), address.to_string());
        assert_eq!(ShortText::of(u64::MAX).as_str(), "18446744073709551615");
        assert_eq!(ShortText::hexadecimal(&[0xa0; 32]).as_str(), "a0".repeat(32));
        assert_eq!(ShortText::default().as_str(), "");
    }

    #[test]
    fn what_has_no_room_is_left_out() {
        assert_eq!(ShortText::of("é".repeat(33)).as_str(), "");
        assert_eq!(ShortText::hexadecimal(&[1; 33]).as_str(), "01".repeat(32));
    }
}
