//! Decodes the header blocks of one direction of a connection.

use super::{
    dynamic_table::{ENTRY_OVERHEAD, Name, Table},
    error::HpackError,
    field::Field,
    field_list::{Extent, FieldList},
    reader::Reader,
    static_table,
};
use crate::limits;

/// Decoder of one direction, which decodes its blocks in their order.
///
/// Of a connection that is seen [from its start](Self::from_start) every field is
/// [known](Field::Known). One that was [joined midway](Self::joined_midway) has a table whose
/// entries were not seen: fields that refer to them are [unknown](Field::Unknown), or their
/// [names are](Field::UnknownName). What is said to be known is exact, for entries are counted from
/// the newest one: those that came since the join have the same index as in the sender's table,
/// whatever was there before. As the sender replaces its entries, what is unknown goes away.
///
/// A block that is missing, or a part of one, makes the table unknown again:
/// [`forget`](Self::forget).
#[derive(Debug)]
pub struct Decoder {
    table: Table,
}

/// What is done with a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Indexing {
    Incremental,
    Never,
    Without,
}

impl Decoder {
    /// For a direction whose first block will be decoded.
    #[must_use]
    pub fn from_start() -> Self {
        Self { table: Table::from_start() }
    }

    /// For a direction that may have carried blocks before.
    #[must_use]
    pub fn joined_midway() -> Self {
        Self { table: Table::unknown() }
    }

    /// Takes note that blocks, or parts of one, were missed: as if joined here.
    pub fn forget(&mut self) {
        self.table.forget();
    }

    /// Takes note of the `SETTINGS_HEADER_TABLE_SIZE` that the other direction carried. From then
    /// on a larger table is an error, as it is to the receiver of the blocks.
    ///
    /// The sender of the blocks follows it from where it acknowledges these settings, and that is
    /// where this is to be called. Without it, any size is allowed: what is kept has a
    /// [limit](limits::MAX_HPACK_TABLE_BYTES) in any case, and what a table has beyond it is
    /// unknown.
    pub fn offer_table_size(&mut self, bytes: u32) {
        self.table.offer(bytes);
    }

    /// Decodes a whole block, and passes its fields on in their order.
    ///
    /// # Errors
    ///
    /// When the block is broken, maybe after some of its fields were passed on. The table is
    /// forgotten then: a receiver ends the connection, and what the sender has in mind is not
    /// known.
    pub fn decode(
        &mut self,
        block: &[u8],
        mut sink: impl FnMut(Field<'_>),
    ) -> Result<Extent, HpackError> {
        let extent = self.fields(block, &mut sink);
        if extent.is_err() {
            self.table.forget();
        }
        extent
    }

    /// True when no entry of the sender's table is unknown for not having been seen: an index
    /// beyond the entries is an error then.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.table.is_whole()
    }

    /// Memory held.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.table.memory()
    }

    fn fields(
        &mut self,
        block: &[u8],
        sink: &mut impl FnMut(Field<'_>),
    ) -> Result<Extent, HpackError> {
        let mut reader = Reader::new(block);
        let mut list = FieldList::default();
        let mut has_fields = false;
        while let Some(first) = reader.first() {
            let (prefix_bits, indexing) = match first {
                0x80.. => {
                    let index = reader.integer(first, 7)?;
                    self.indexed(index, &mut list, sink)?;
                    has_fields = true;
                    continue;
                }
                0x40.. => (6, Indexing::Incremental),
                0x20.. => {
                    if has_fields {
                        return Err(HpackError::SizeUpdateBehindField);
                    }
                    self.table.resize(reader.integer(first, 5)?)?;
                    continue;
                }
                0x10.. => (4, Indexing::Never),
                0x00.. => (4, Indexing::Without),
            };
            let index = reader.integer(first, prefix_bits)?;
            self.literal(index, indexing, &mut reader, &mut list, sink)?;
            has_fields = true;
            if list.is_exhausted() {
                self.table.forget();
                return Ok(Extent::Limited);
            }
        }
        Ok(list.extent())
    }

    #[inline]
    fn indexed(
        &self,
        index: u32,
        list: &mut FieldList,
        sink: &mut impl FnMut(Field<'_>),
    ) -> Result<(), HpackError> {
        let (name, value) = match self.look_up(index)? {
            Found::Static((name, value)) => (Some(name.as_bytes()), value.as_bytes()),
            Found::Entry(index) => match self.table.entry(index) {
                Some(entry) => self.table.texts(entry),
                None => (None, &[][..]),
            },
            Found::Unknown => {
                if list.admits(ENTRY_OVERHEAD) {
                    sink(Field::Unknown);
                }
                return Ok(());
            }
        };
        if list.admits(size(name, value)) {
            sink(field(name, value, false));
        }
        Ok(())
    }

    #[inline]
    fn literal(
        &mut self,
        index: u32,
        indexing: Indexing,
        reader: &mut Reader<'_>,
        list: &mut FieldList,
        sink: &mut impl FnMut(Field<'_>),
    ) -> Result<(), HpackError> {
        let mut coded_bytes = 0;
        let name = if index == 0 {
            let name = reader.string()?;
            coded_bytes += name.bytes.len();
            Name::Coded(name)
        } else {
            match self.look_up(index)? {
                Found::Static((name, _value)) => Name::Static(name),
                Found::Entry(index) => Name::Entry(index),
                Found::Unknown => Name::Unknown,
            }
        };
        let value = reader.string()?;
        coded_bytes += value.bytes.len();
        if coded_bytes > limits::MAX_FIELD_LIST_BYTES {
            list.cut();
            if indexing == Indexing::Incremental {
                self.table.insert_unseen();
            }
            return Ok(());
        }
        let decoded = self.table.decode(name, value)?;
        let (name, value) = self.table.texts(decoded);
        if list.admits(size(name, value)) {
            sink(field(name, value, indexing == Indexing::Never));
        }
        if indexing == Indexing::Incremental {
            self.table.insert(decoded);
        }
        Ok(())
    }

    /// What is at an index of both tables together (RFC 7541 section 2.3.3).
    #[inline]
    fn look_up(&self, index: u32) -> Result<Found, HpackError> {
        let index = (index as usize).checked_sub(1).ok_or(HpackError::IndexZero)?;
        if let Some(entry) = static_table::ENTRIES.get(index) {
            return Ok(Found::Static(*entry));
        }
        let index = index - static_table::ENTRIES.len();
        if index < self.table.len() {
            Ok(Found::Entry(index))
        } else if self.table.is_whole() {
            Err(HpackError::IndexBeyondTable)
        } else {
            Ok(Found::Unknown)
        }
    }
}

/// Where an index leads to.
enum Found {
    Static((&'static str, &'static str)),
    Entry(usize),
    Unknown,
}

fn size(name: Option<&[u8]>, value: &[u8]) -> usize {
    name.map_or(0, <[u8]>::len) + value.len() + ENTRY_OVERHEAD
}

fn field<'a>(name: Option<&'a [u8]>, value: &'a [u8], is_never_indexed: bool) -> Field<'a> {
    match name {
        Some(name) => Field::Known { name, value, is_never_indexed },
        None => Field::UnknownName { value, is_never_indexed },
    }
}
