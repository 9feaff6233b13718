//! Ranges of addresses: `10.0.0.0/8`, `fd00::/8`, or one address.

use std::{net::IpAddr, str::FromStr};

use thiserror::Error;

/// All addresses that have the same first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    base: u128,
    /// Bits of the mask, counted in 128.
    mask: u128,
}

/// Why a text is no range.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not an address, nor an address and a number of bits, such as 10.0.0.0/8")]
pub struct NotARange;

impl AddressRange {
    /// Whether an address is in it. An IPv4 address is the same as its form in IPv6.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        bits(address) & self.mask == self.base
    }
}

impl FromStr for AddressRange {
    type Err = NotARange;

    fn from_str(text: &str) -> Result<Self, NotARange> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_not_one| NotARange)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let length: u32 = match length {
            Some(length) => length.parse().map_err(|_not_a_number| NotARange)?,
            None => width,
        };
        if length > width {
            return Err(NotARange);
        }
        let host_bits = width - length;
        let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
        Ok(Self { base: bits(address) & mask, mask })
    }
}

/// The address as 128 bits; IPv4 in its IPv6 form.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_contain_their_addresses() {
        for (range, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.1.2.3", "::ffff:10.1.2.3", "10.1.2.4"),
            ("10.1.2.3/31", "10.1.2.2", "10.1.2.4"),
            ("fd00::/8", "fdff::1", "10.0.0.1"),
            ("::/0", "10.0.0.1", ""),
            ("0.0.0.0/0", "10.0.0.1", "fd00::1"),
        ] {
            let range: AddressRange = range.parse().unwrap();
            assert!(range.contains(inside.parse().unwrap()));
            assert!(outside.is_empty() || !range.contains(outside.parse().unwrap()));
        }
        for text in ["", "10.0.0.0/33", "10.0.0.0/", "a/8", "::/129"] {
            assert_eq!(text.parse::<AddressRange>(), Err(NotARange), "{text}");
        }
    }
}
