//! Which network a host is of, in every way of writing its address that libraries read.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::letters::{ends, is, is_one_of};

/// A network that callers have nothing to do with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    /// A public service that shows who asked for an address.
    Collaborator,
    /// A public name that means an address which it holds.
    Disguised,
    /// A name that only the cluster or the cloud knows.
    Internal,
    /// The host itself.
    Loopback,
    /// Metadata of the cloud.
    Metadata,
    /// Private addresses.
    Private,
}

impl Network {
    /// The network of a host with or without a port; none when it is public or no host.
    pub(super) fn of(authority: &[u8]) -> Option<Self> {
        if let [b'[', rest @ ..] = authority {
            let end = rest.iter().position(|byte| *byte == b']')?;
            return Self::of_v6(rest.get(..end)?);
        }
        let end = authority.iter().position(|byte| *byte == b':');
        let host = end.and_then(|end| authority.get(..end)).unwrap_or(authority);
        let host = host.strip_suffix(b".").unwrap_or(host);
        if host.is_empty() || host.len() > MAX_HOST_BYTES {
            return None;
        }
        let has_port = end.and_then(|end| authority.get(end + 1..)).is_none_or(|port| {
            port.iter().all(u8::is_ascii_digit) && port.len() <= MAX_PORT_DIGITS
        });
        if !has_port {
            return None;
        }
        if host.first().is_some_and(u8::is_ascii_digit) {
            if let Some(address) = v4(host) {
                return Self::of_v4(address);
            }
            if ends(host, DISGUISES) {
                return Some(Self::Disguised);
            }
        }
        Self::of_name(host)
    }

    fn of_name(host: &[u8]) -> Option<Self> {
        if is_one_of(host, METADATA) {
            return Some(Self::Metadata);
        }
        if is(host, "localhost")
            || ends(
                host,
                &[".localhost", "localhost.localdomain", "localtest.me", "lvh.me", "vcap.me"],
            )
            || is_one_of(host, &["ip6-localhost", "localhost4", "localhost6"])
        {
            return Some(Self::Loopback);
        }
        if ends(host, INTERNAL) || is_one_of(host, &["kubernetes", "kubernetes.default"]) {
            return Some(Self::Internal);
        }
        ends(host, COLLABORATORS).then_some(Self::Collaborator)
    }

    fn of_v4(address: Ipv4Addr) -> Option<Self> {
        if METADATA_ADDRESSES.contains(&address.octets()) || address.is_link_local() {
            return Some(Self::Metadata);
        }
        if address.is_loopback() || address.octets().first() == Some(&0) {
            return Some(Self::Loopback);
        }
        address.is_private().then_some(Self::Private)
    }

    fn of_v6(host: &[u8]) -> Option<Self> {
        // Without the zone, which says by which interface.
        let host = host.split(|byte| *byte == b'%').next().unwrap_or_default();
        let address: Ipv6Addr = std::str::from_utf8(host).ok()?.parse().ok()?;
        if let Some(inner) = address.to_ipv4() {
            return Self::of_v4(inner);
        }
        let segments = address.segments();
        // The translated form of an IPv4 address (RFC 6052).
        if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = segments {
            let bits = u32::from(high) << 16 | u32::from(low);
            return Self::of_v4(Ipv4Addr::from_bits(bits));
        }
        if segments.starts_with(&[0xfd00, 0x0ec2]) || address.is_unicast_link_local() {
            return Some(Self::Metadata);
        }
        address.is_unique_local().then_some(Self::Private)
    }
}

/// An address as `inet_aton` reads it: one to four numbers, each decimal, octal or hexadecimal.
fn v4(host: &[u8]) -> Option<Ipv4Addr> {
    let mut parts = [0_u32; 4];
    let mut count = 0_usize;
    for part in host.split(|byte| *byte == b'.') {
        *parts.get_mut(count)? = number(part)?;
        count += 1;
    }
    let (last, first) = parts.get(..count)?.split_last()?;
    let mut bits = 0_u32;
    for part in first {
        bits = bits << 8 | u32::from(u8::try_from(*part).ok()?);
    }
    // The last number fills what is left: `127.1` is `127.0.0.1`.
    let left = u32::try_from(32 - 8 * first.len()).ok()?;
    let fits = left == 32 || *last < 1 << left;
    let bits = bits.checked_shl(left).unwrap_or_default() | last;
    // One number alone is an address only when it is too large for anything that is counted.
    (fits && (count > 1 || *last == 0 || bits >= MIN_LONE_NUMBER))
        .then(|| Ipv4Addr::from_bits(bits))
}

fn number(part: &[u8]) -> Option<u32> {
    let (digits, radix) = match part {
        [b'0', b'x' | b'X', digits @ ..] => (digits, 16),
        [b'0', digits @ ..] if !digits.is_empty() => (digits, 8),
        digits => (digits, 10),
    };
    if digits.is_empty() || digits.len() > MAX_NUMBER_DIGITS {
        return None;
    }
    digits.iter().try_fold(0_u32, |value, digit| {
        value.checked_mul(radix)?.checked_add(char::from(*digit).to_digit(radix)?)
    })
}

/// RFC 1035, section 2.3.4.
const MAX_HOST_BYTES: usize = 253;
const MAX_PORT_DIGITS: usize = 5;
/// `00000000177`
const MAX_NUMBER_DIGITS: usize = 16;
/// 1.0.0.0
const MIN_LONE_NUMBER: u32 = 1 << 24;

/// AWS ECS, Alibaba, Oracle, Azure; the first of all is link-local.
const METADATA_ADDRESSES: [[u8; 4]; 4] =
    [[169, 254, 169, 254], [100, 100, 100, 200], [192, 0, 0, 192], [168, 63, 129, 16]];

const METADATA: &[&str] = &[
    "metadata.google.internal",
    "metadata",
    "metadata.goog",
    "instance-data",
    "metadata.azure.internal",
    "metadata.tencentyun.com",
    "metadata.packet.net",
    "rancher-metadata",
    "instance-data.ec2.internal",
    "alibaba.metadata",
];

const INTERNAL: &[&str] = &[
    ".internal",
    ".local",
    ".localdomain",
    ".svc",
    ".cluster.local",
    ".consul",
    ".intranet",
    ".corp",
    ".lan",
    ".home.arpa",
];

/// Services whose names are the addresses that they hold.
const DISGUISES: &[&str] = &[".nip.io", ".xip.io", ".sslip.io", ".1u.ms", ".rbndr.us"];

const COLLABORATORS: &[&str] = &[
    ".burpcollaborator.net",
    ".oastify.com",
    ".interact.sh",
    ".oast.fun",
    ".oast.pro",
    ".oast.live",
    ".oast.site",
    ".oast.online",
    ".oast.me",
    ".dnslog.cn",
    ".ceye.io",
    ".canarytokens.com",
    "webhook.site",
    ".requestbin.net",
    ".ngrok.io",
    ".ngrok-free.app",
    ".rbndr.us",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_every_notation() {
        for (host, expected) in [
            ("127.0.0.1", Network::Loopback),
            ("127.1", Network::Loopback),
            ("2130706433", Network::Loopback),
            ("0x7f000001", Network::Loopback),
            ("0x7f.0.0.1", Network::Loopback),
            ("0177.0.0.01", Network::Loopback),
            ("017700000001", Network::Loopback),
            ("0", Network::Loopback),
            ("0.0.0.0", Network::Loopback),
            ("[::1]", Network::Loopback),
            ("[::]", Network::Loopback),
            ("[::ffff:127.0.0.1]", Network::Loopback),
            ("[64:ff9b::7f00:1]", Network::Loopback),
            ("LOCALHOST.:80", Network::Loopback),
            ("2852039166", Network::Metadata),
            ("0xa9fea9fe", Network::Metadata),
            ("0251.0376.0251.0376", Network::Metadata),
            ("[::ffff:a9fe:a9fe]", Network::Metadata),
            ("[fd00:ec2::254]", Network::Metadata),
            ("10.1.2.3:8080", Network::Private),
            ("172.31.0.1", Network::Private),
            ("[fd12::1]", Network::Private),
            ("x.svc.cluster.local", Network::Internal),
            ("127.0.0.1.nip.io", Network::Disguised),
        ] {
            assert_eq!(Network::of(host.as_bytes()), Some(expected), "{host}");
        }
        for host in [
            "example.com",
            "8.8.8.8",
            "172.32.0.1",
            "12",
            "1.2.3.4.5",
            "256.1.1.1",
            "[::1",
            "",
            "[2001:db8::1]",
            "127.0.0.1:x",
        ] {
            assert_eq!(Network::of(host.as_bytes()), None, "{host}");
        }
    }
}
