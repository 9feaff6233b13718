//! Short text where it stands: addresses, numbers and digests of calls that nobody keeps cost no
//! allocation.

use std::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr},
};

use crate::hexadecimal::digits;

/// Text of at most [`ROOM`] bytes.
#[derive(Clone, Copy)]
pub(crate) struct ShortText {
    bytes: [u8; ROOM],
    length: usize,
}

impl ShortText {
    /// A number as it is written.
    pub(crate) fn decimal(number: u64) -> Self {
        let mut text = Self::default();
        text.push_decimal(number);
        text
    }

    /// An address as it is written.
    pub(crate) fn address(address: IpAddr) -> Self {
        let mut text = Self::default();
        match address {
            // Nearly all are such, and those who format in general take ten times as long.
            IpAddr::V4(address) => text.push_dotted(address),
            IpAddr::V6(address) => {
                let _fits = write!(text, "{address}");
            }
        }
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

    fn push_dotted(&mut self, address: Ipv4Addr) {
        let [first, rest @ ..] = address.octets();
        self.push_decimal(first.into());
        for octet in rest {
            self.push(b".");
            self.push_decimal(octet.into());
        }
    }

    fn push_decimal(&mut self, number: u64) {
        let mut digits = [b'0'; DECIMAL_DIGITS];
        let mut left = number;
        let mut length = 0;
        for digit in digits.iter_mut().rev() {
            *digit += u8::try_from(left % 10).unwrap_or_default();
            left /= 10;
            length += 1;
            if left == 0 {
                break;
            }
        }
        self.push(digits.get(DECIMAL_DIGITS - length..).unwrap_or_default());
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

/// Of the greatest number.
const DECIMAL_DIGITS: usize = 20;

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn addresses_and_numbers_are_written_as_everywhere() {
        let addresses = [
            IpAddr::from([0, 0, 0, 0]),
            IpAddr::from([10, 20, 130, 255]),
            IpAddr::from(Ipv6Addr::LOCALHOST),
            IpAddr::from(Ipv4Addr::LOCALHOST.to_ipv6_mapped()),
            IpAddr::from([0xffff_u16; 8]),
        ];
        for address in addresses {
            assert_eq!(ShortText::address(address).as_str(), address.to_string());
        }
        for number in [0, 7, 10, 99, 100, 65_535, 10_000_000_000_000_000_000, u64::MAX] {
            assert_eq!(ShortText::decimal(number).as_str(), number.to_string());
        }
    }

    #[test]
    fn what_has_no_room_is_left_out() {
        assert_eq!(ShortText::default().as_str(), "");
        assert_eq!(ShortText::hexadecimal(&[0xa0; 32]).as_str(), "a0".repeat(32));
        assert_eq!(ShortText::hexadecimal(&[1; 33]).as_str(), "01".repeat(32));
    }
}
