//! DER (ITU-T X.690): one element after the other, definite lengths only.
//!
//! ```text
//! identifier (1 byte) | length (1 byte, or 0x80 + n and n bytes, n <= 3) | content
//! ```
//!
//! Nothing is copied and nothing recurses; what does not fit is [`Malformed`].

use thiserror::Error;

/// The rest of a content that is read element by element.
#[derive(Clone, Copy)]
pub struct Elements<'a>(&'a [u8]);

/// One element.
#[derive(Clone, Copy)]
pub struct Element<'a> {
    /// Identifier octet: class, form and number of the tag.
    pub tag: u8,
    /// Content octets.
    pub content: &'a [u8],
}

/// The bytes are not DER, or not of the structure that was asked for.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not the DER structure that was expected")]
pub struct Malformed;

impl<'a> Elements<'a> {
    /// Reads the elements of these bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Identifier octet of the next element.
    #[must_use]
    pub fn peek(self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element, whatever it is.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when there is none, or it does not fit.
    pub fn any(&mut self) -> Result<Element<'a>, Malformed> {
        let [tag, first, rest @ ..] = self.0 else { return Err(Malformed) };
        // A tag number of 31 or more is in further octets; no structure that is read here has one.
        if tag & 0x1f == 0x1f {
            return Err(Malformed);
        }
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x83 => {
                let (octets, rest) =
                    rest.split_at_checked(usize::from(first - 0x80)).ok_or(Malformed)?;
                let length =
                    octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
                // The shortest form is the only one (X.690, section 10.1).
                if length < 0x80 || octets.first() == Some(&0) {
                    return Err(Malformed);
                }
                (length, rest)
            }
            _ => return Err(Malformed),
        };
        let (content, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(Element { tag: *tag, content })
    }

    /// The content of the next element, which must have this tag.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    pub fn content(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        let element = self.any()?;
        if element.tag == tag { Ok(element.content) } else { Err(Malformed) }
    }

    /// The elements of the next one, which must have this tag.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    pub fn inside(&mut self, tag: u8) -> Result<Self, Malformed> {
        self.content(tag).map(Self)
    }
}

impl Element<'_> {
    /// Characters of a string of the types that names are made of; `None` for other types, for
    /// bytes that are not of the type, and beyond [`MAX_TEXT_BYTES`].
    #[must_use]
    pub fn text(self) -> Option<String> {
        if self.content.len() > MAX_TEXT_BYTES {
            return None;
        }
        match self.tag {
            UTF8_STRING => String::from_utf8(self.content.to_vec()).ok(),
            NUMERIC_STRING | PRINTABLE_STRING | IA5_STRING => {
                let text = std::str::from_utf8(self.content).ok()?;
                text.is_ascii().then(|| text.to_owned())
            }
            // By its standard T.61; by use, and by what other readers do, Latin 1.
            TELETEX_STRING => Some(self.content.iter().map(|byte| char::from(*byte)).collect()),
            BMP_STRING => {
                let (pairs, rest) = self.content.as_chunks::<2>();
                let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
                rest.is_empty().then(|| String::from_utf16(&units).ok())?
            }
            _ => None,
        }
    }
}

/// `SEQUENCE`
pub const SEQUENCE: u8 = 0x30;
/// `SET`
pub const SET: u8 = 0x31;
/// `INTEGER`
pub const INTEGER: u8 = 0x02;
/// `OBJECT IDENTIFIER`
pub const OBJECT_IDENTIFIER: u8 = 0x06;
/// `UTF8String`
pub const UTF8_STRING: u8 = 0x0c;
/// `NumericString`
pub const NUMERIC_STRING: u8 = 0x12;
/// `PrintableString`
pub const PRINTABLE_STRING: u8 = 0x13;
/// `TeletexString`
pub const TELETEX_STRING: u8 = 0x14;
/// `IA5String`
pub const IA5_STRING: u8 = 0x16;
/// `UTCTime`
pub const UTC_TIME: u8 = 0x17;
/// `GeneralizedTime`
pub const GENERALIZED_TIME: u8 = 0x18;
/// `BMPString`
pub const BMP_STRING: u8 = 0x1e;

/// Names of certificates have at most 64 characters by RFC 5280, appendix A.1; some issuers go
/// beyond.
pub const MAX_TEXT_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_have_one_form_only() {
        let read = |bytes: &[u8]| Elements::new(bytes).any().map(|element| element.content.len());
        assert_eq!(read(&[4, 0]), Ok(0));
        assert_eq!(read(&[4, 1, 9]), Ok(1));
        let mut long = vec![4, 0x81, 0x80];
        long.resize(3 + 0x80, 0);
        assert_eq!(read(&long), Ok(0x80));
        for bytes in [
            &[][..],
            &[4],
            &[4, 1],
            &[4, 0x80, 0, 0],
            &[4, 0x81, 1, 0],
            &[4, 0x82, 0, 0x80],
            &[4, 0x84, 0, 0, 0, 1, 0],
            &[0x1f, 1, 0],
        ] {
            assert_eq!(read(bytes), Err(Malformed), "{bytes:?}");
        }
    }

    proptest! {
        /// What is written is read, and any cut of it is refused or ends before the cut.
        #[test]
        fn elements_are_read_as_they_were_written(
            elements in prop::collection::vec(
                (0_u8..0x1f, prop::collection::vec(any::<u8>(), 0..300)), 1..8),
            cut in 0_usize..2400,
        ) {
            let mut bytes = Vec::new();
            for (tag, content) in &elements {
                write(&mut bytes, *tag, content);
            }
            let mut reader = Elements::new(&bytes);
            for (tag, content) in &elements {
                let element = reader.any().unwrap();
                prop_assert_eq!((element.tag, element.content), (*tag, &content[..]));
            }
            prop_assert!(reader.is_empty());
            let mut reader = Elements::new(&bytes[..cut.min(bytes.len())]);
            for (tag, content) in &elements {
                let Ok(element) = reader.any() else { break };
                prop_assert_eq!((element.tag, element.content), (*tag, &content[..]));
            }
        }
    }

    fn write(bytes: &mut Vec<u8>, tag: u8, content: &[u8]) {
        bytes.push(tag);
        match content.len() {
            short @ 0..0x80 => bytes.push(short as u8),
            long @ 0x80..0x100 => bytes.extend([0x81, long as u8]),
            longer => bytes.extend([0x82, (longer >> 8) as u8, longer as u8]),
        }
        bytes.extend_from_slice(content);
    }
}
