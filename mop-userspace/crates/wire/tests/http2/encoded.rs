//! Header blocks and what is in them.

use mop_wire::http2::hpack::{Decoder, Extent, Field, HpackError};

/// A field as it was encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) name: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) is_never_indexed: bool,
}

/// A field as it was decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    Known(Line),
    UnknownName { value: Vec<u8>, is_never_indexed: bool },
    Unknown,
}

impl Line {
    pub(crate) fn new(name: &[u8], value: &[u8]) -> Self {
        Self { name: name.to_vec(), value: value.to_vec(), is_never_indexed: false }
    }

    /// RFC 7541 section 4.1.
    pub(crate) fn size(&self) -> usize {
        self.name.len() + self.value.len() + 32
    }
}

impl Decoded {
    /// True when it says nothing that is not so.
    pub(crate) fn agrees_with(&self, truth: &Line) -> bool {
        match self {
            Self::Known(line) => line == truth,
            Self::UnknownName { value, is_never_indexed } => {
                (value, *is_never_indexed) == (&truth.value, truth.is_never_indexed)
            }
            Self::Unknown => !truth.is_never_indexed,
        }
    }
}

pub(crate) fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<Decoded>, HpackError> {
    let mut fields = Vec::new();
    let extent = decoder.decode(block, |field| {
        fields.push(match field {
            Field::Known { name, value, is_never_indexed } => {
                Decoded::Known(Line { name: name.into(), value: value.into(), is_never_indexed })
            }
            Field::UnknownName { value, is_never_indexed } => {
                Decoded::UnknownName { value: value.into(), is_never_indexed }
            }
            Field::Unknown => Decoded::Unknown,
        });
    })?;
    assert_eq!(extent, Extent::Whole);
    Ok(fields)
}

pub(crate) fn known(lines: &[Line]) -> Vec<Decoded> {
    lines.iter().cloned().map(Decoded::Known).collect()
}
