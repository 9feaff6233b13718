//! The formats of OpenAPI 3.0 and of JSON Schema that say something about a value.
//!
//! A name that neither defines (`date-fullyear`, `double` on a string) asserts nothing: schemas may
//! use any name, and a reader ignores those it does not know. Each format is checked by hand and
//! as its own standard says it, without a regular expression: they are on the path of every value.

mod address;
mod mail;
mod time;
mod uri;

use std::net::{Ipv4Addr, Ipv6Addr};

/// A format whose meaning is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Base64 with padding (RFC 4648, 4).
    Byte,
    /// `full-date` (RFC 3339, 5.6) that is in the calendar.
    Date,
    /// `date-time` (RFC 3339, 5.6) that is in the calendar.
    DateTime,
    /// `Mailbox` (RFC 5321, 4.1.2).
    Email,
    /// The name of a host (RFC 1123, 2.1), without a root dot.
    Hostname,
    /// A signed integer of 32 bits.
    Int32,
    /// A signed integer of 64 bits.
    Int64,
    /// `dotted-quad` (RFC 2673, 3.2).
    Ipv4,
    /// An address of RFC 4291, 2.2, without a zone.
    Ipv6,
    /// `URI` (RFC 3986, 3): with a scheme.
    Uri,
    /// `UUID` (RFC 9562, 4), in either case and of any version.
    Uuid,
}

impl Format {
    /// The format of this name, if it is one that asserts something.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "byte" => Self::Byte,
            "date" => Self::Date,
            "date-time" => Self::DateTime,
            "email" => Self::Email,
            "hostname" => Self::Hostname,
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "uri" => Self::Uri,
            "uuid" => Self::Uuid,
            _ => return None,
        })
    }

    /// Its name in a schema.
    pub fn name(self) -> &'static str {
        match self {
            Self::Byte => "byte",
            Self::Date => "date",
            Self::DateTime => "date-time",
            Self::Email => "email",
            Self::Hostname => "hostname",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Uri => "uri",
            Self::Uuid => "uuid",
        }
    }

    /// Whether a string has this format. A format of integers says nothing about strings.
    pub fn accepts(self, text: &str) -> bool {
        match self {
            Self::Byte => is_base64(text.as_bytes()),
            Self::Date => time::is_date(text.as_bytes()),
            Self::DateTime => time::is_date_time(text.as_bytes()),
            Self::Email => mail::is_mailbox(text),
            Self::Hostname => address::is_hostname(text),
            Self::Int32 | Self::Int64 => true,
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Self::Uri => uri::is_uri(text),
            Self::Uuid => is_uuid(text.as_bytes()),
        }
    }

    /// Whether an integer has this format. A format of strings says nothing about integers.
    pub fn accepts_integer(self, value: i128) -> bool {
        match self {
            Self::Int32 => i32::try_from(value).is_ok(),
            Self::Int64 => i64::try_from(value).is_ok(),
            Self::Byte
            | Self::Date
            | Self::DateTime
            | Self::Email
            | Self::Hostname
            | Self::Ipv4
            | Self::Ipv6
            | Self::Uri
            | Self::Uuid => true,
        }
    }
}

/// RFC 4648, 4. Bits beyond the last byte may be set: 3.5 leaves that to the reader.
fn is_base64(text: &[u8]) -> bool {
    let padded = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    let (digits, _) = text.split_at(text.len() - padded);
    text.len().is_multiple_of(4)
        && padded <= 2
        && digits.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

/// RFC 9562, 4: `4hexOctet "-" 2hexOctet "-" 2hexOctet "-" 2hexOctet "-" 6hexOctet`
fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for name in [
            "byte",
            "date",
            "date-time",
            "email",
            "hostname",
            "int32",
            "int64",
            "ipv4",
            "ipv6",
            "uri",
            "uuid",
        ] {
            assert_eq!(Format::parse(name).map(Format::name), Some(name));
        }
        for name in ["", "DATE", "date-fullyear", "double", "float", "password", "binary", "regex"]
        {
            assert_eq!(Format::parse(name), None, "{name}");
        }
    }

    #[test]
    fn integers_are_in_range() {
        let accepts = |format: Format, value: i128| format.accepts_integer(value);
        assert!(accepts(Format::Int32, (1 << 31) - 1) && accepts(Format::Int32, -(1 << 31)));
        assert!(!accepts(Format::Int32, 1 << 31) && !accepts(Format::Int32, -(1 << 31) - 1));
        assert!(accepts(Format::Int64, (1 << 63) - 1) && accepts(Format::Int64, -(1 << 63)));
        assert!(!accepts(Format::Int64, 1 << 63) && !accepts(Format::Int64, -(1 << 63) - 1));
        assert!(accepts(Format::Date, 1 << 100) && Format::Int32.accepts("text"));
    }

    #[test]
    fn texts_of_one_line_formats() {
        let cases: [(Format, &[&str], &[&str]); 4] = [
            (
                Format::Byte,
                &["", "QQ==", "QUI=", "QUJD", "+/+/", "QR=="],
                &["Q", "QQ", "QQ=", "QQ===", "Q===", "====", "QU=I", "QUJ\n", "-_-_", "QUJDé"],
            ),
            (
                Format::Uuid,
                &["d78fc4e5-37ca-4da3-adf2-9b082bf92280", "D78FC4E5-37CA-0000-0000-9B082BF92280"],
                &[
                    "",
                    "d78fc4e537ca4da3adf29b082bf92280",
                    "{d78fc4e5-37ca-4da3-adf2-9b082bf92280}",
                    "d78fc4e5-37ca-4da3-adf2-9b082bf9228g",
                    "d78fc4e53-7ca-4da3-adf2-9b082bf92280",
                    "d78fc4e5-37ca-4da3-adf2-9b082bf9228é",
                ],
            ),
            (
                Format::Ipv4,
                &["0.0.0.0", "255.255.255.255", "192.0.2.1"],
                &["", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", "1.2.3.4 ", "0x1.2.3.4"],
            ),
            (
                Format::Ipv6,
                &[
                    "::",
                    "::1",
                    "2001:db8::1",
                    "1:2:3:4:5:6:7:8",
                    "::ffff:192.0.2.1",
                    "1:2:3:4:5:6:1.2.3.4",
                ],
                &[
                    "",
                    ":",
                    "1:2:3:4:5:6:7",
                    "1::2::3",
                    "12345::",
                    "::g",
                    "fe80::1%eth0",
                    "::1.2.3",
                    "[::1]",
                ],
            ),
        ];
        for (format, good, bad) in cases {
            good.iter().for_each(|text| assert!(format.accepts(text), "{format:?} {text}"));
            bad.iter().for_each(|text| assert!(!format.accepts(text), "{format:?} {text}"));
        }
    }
}
