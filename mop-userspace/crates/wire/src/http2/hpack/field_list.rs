//! How much of a block is passed on, and how much is decoded at all.

use crate::limits;

/// How much of a block its fields are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Extent {
    /// All of it.
    Whole,
    /// Its beginning: it has more than [`limits::MAX_FIELD_LIST_BYTES`].
    Limited,
}

/// The fields of one block, counted as `SETTINGS_MAX_HEADER_LIST_SIZE` counts them (RFC 9113
/// section 6.5.2).
#[derive(Debug, Default)]
pub(super) struct FieldList {
    bytes: usize,
    is_cut: bool,
}

impl FieldList {
    /// True when a field of this size is passed on; none is behind one that was not.
    pub(super) fn admits(&mut self, field_bytes: usize) -> bool {
        self.bytes = self.bytes.saturating_add(field_bytes);
        self.is_cut |= self.bytes > limits::MAX_FIELD_LIST_BYTES;
        !self.is_cut
    }

    /// Takes note of a field that is too large to be decoded.
    pub(super) fn cut(&mut self) {
        self.is_cut = true;
    }

    /// True when not even the table is worth decoding more.
    pub(super) fn is_exhausted(&self) -> bool {
        self.bytes > limits::MAX_FIELD_LIST_WORK_BYTES
    }

    pub(super) fn extent(&self) -> Extent {
        if self.is_cut { Extent::Limited } else { Extent::Whole }
    }
}
