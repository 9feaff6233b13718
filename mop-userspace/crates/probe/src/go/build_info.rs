//! What a Go program says about its toolchain.
//!
//! ```text
//! offset  0: "\xff Go buildinf:"
//!        14: size of a pointer
//!        15: flags; 2: the strings follow inline (Go 1.18 and newer)
//!        16: address of the version string's header (Go 1.17 and older)
//!        32: length of the version as a varint, the version (Go 1.18 and newer)
//! ```
//!
//! Source: <https://go.dev/src/debug/buildinfo/buildinfo.go>.

use std::fmt;

use super::image::{Among, Image, WORD_BYTES};

/// Version of a Go toolchain; the patch level makes no difference here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The 1 in `go1.19.8`.
    pub major: u32,
    /// The 19 in `go1.19.8`.
    pub minor: u32,
}

impl Version {
    /// Reads `go1.19.8`, `go1.21rc2`, `go1.22.3 X:boringcrypto` and `devel go1.23-ab12cd …`.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = text.strip_prefix(b"devel ").unwrap_or(text);
        let (major, rest) = leading_number(text.strip_prefix(b"go")?)?;
        let (minor, _) = leading_number(rest.strip_prefix(b".")?)?;
        Some(Self { major, minor })
    }

    /// Whether functions get their arguments in registers, which on x86-64 they do since Go 1.17.
    ///
    /// Source: <https://go.dev/s/regabi>.
    #[must_use]
    pub fn has_register_abi(self) -> bool {
        self >= FIRST_WITH_REGISTERS
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { major, minor } = self;
        write!(f, "Go {major}.{minor}")
    }
}

/// That a program says something about its toolchain.
pub(super) struct BuildInfo {
    /// `None` when it is not understood.
    pub(super) version: Option<Version>,
}

/// `None` when the program has nothing that looks like it.
pub(super) fn find(image: &Image<'_>) -> Option<BuildInfo> {
    let is_there = |&address: &u64| image.from(address).is_some_and(|it| it.starts_with(&MAGIC));
    let by_section = image.section(SECTION).filter(is_there);
    let address =
        by_section.or_else(|| image.search(MAGIC, ALIGNMENT, Among::WritableSegments).next())?;
    let text = version_text(image, address);
    Some(BuildInfo { version: text.and_then(Version::parse) })
}

fn version_text<'data>(image: &Image<'data>, address: u64) -> Option<&'data [u8]> {
    let bytes = image.from(address)?;
    let flags = *bytes.get(FLAGS_OFFSET)?;
    if flags & STRINGS_INLINE != 0 {
        let (length, text) = short_varint(bytes.get(STRINGS_OFFSET..)?)?;
        return text.get(..length);
    }
    if flags & BIG_ENDIAN != 0 || usize::from(*bytes.get(POINTER_SIZE_OFFSET)?) != WORD_BYTES {
        return None;
    }
    let [header] = image.words(address.checked_add(VERSION_POINTER_OFFSET)?)?;
    let [start, length] = image.words(header)?;
    let length = usize::try_from(length).ok().filter(|&length| length <= MAX_VERSION_BYTES)?;
    image.from(start)?.get(..length)
}

/// A number of at most two bytes in the encoding of Go's `encoding/binary`, and what follows it.
/// Longer ones are beyond [`MAX_VERSION_BYTES`].
fn short_varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        return Some((usize::from(first), rest));
    }
    let (&second, rest) = rest.split_first()?;
    (second < 0x80).then(|| (usize::from(first & 0x7f) | usize::from(second) << 7, rest))
}

fn leading_number(text: &[u8]) -> Option<(u32, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = text.split_at_checked(digits)?;
    Some((str::from_utf8(number).ok()?.parse().ok()?, rest))
}

/// Its section.
pub(super) const SECTION: &str = ".go.buildinfo";

const MAGIC: [u8; 14] = *b"\xff Go buildinf:";

/// The linker aligns it, and Go's own reader looks nowhere else.
const ALIGNMENT: usize = 16;

const POINTER_SIZE_OFFSET: usize = 14;
const FLAGS_OFFSET: usize = 15;
const VERSION_POINTER_OFFSET: u64 = 16;
const STRINGS_OFFSET: usize = 32;

const BIG_ENDIAN: u8 = 1;
const STRINGS_INLINE: u8 = 2;

/// The longest ones, with a commit, a date and experiments, have about a hundred.
const MAX_VERSION_BYTES: usize = 1024;

const FIRST_WITH_REGISTERS: Version = Version { major: 1, minor: 17 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_every_form_are_read() {
        for (text, expected) in [
            ("go1.19.8", Some((1, 19))),
            ("go1.20", Some((1, 20))),
            ("go1.21rc2", Some((1, 21))),
            ("go1.22.3 X:boringcrypto", Some((1, 22))),
            ("devel go1.23-ab12cd Mon Jan 1 00:00:00 2024 +0000", Some((1, 23))),
            ("go2.0", Some((2, 0))),
            ("devel +ab12cd", None),
            ("go1", None),
            ("go1.", None),
            ("go1.99999999999", None),
            ("1.19", None),
            ("", None),
        ] {
            let expected = expected.map(|(major, minor)| Version { major, minor });
            assert_eq!(Version::parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn registers_carry_arguments_since_1_17() {
        let has = |major, minor| Version { major, minor }.has_register_abi();
        assert_eq!([has(1, 16), has(1, 17), has(1, 27), has(2, 0)], [false, true, true, true]);
    }

    #[test]
    fn lengths_are_varints() {
        assert_eq!(short_varint(&[5, 1]), Some((5, &[1][..])));
        assert_eq!(short_varint(&[0x81, 1, 7]), Some((129, &[7][..])));
        assert_eq!(short_varint(&[0x81, 0x81, 1]), None);
        assert_eq!(short_varint(&[0x81]), None);
        assert_eq!(short_varint(&[]), None);
    }
}
