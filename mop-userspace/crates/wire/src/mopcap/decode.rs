//! Reads captures from bytes in any split.

use super::{
    HEADER_BYTES, KIND_CLOCK, KIND_CONTROL, KIND_LIBRARY, KIND_SEGMENT, KIND_WATERMARK, MAGIC,
    RECORD_HEAD_BYTES, Record, SUMMED_HEAD_BYTES, VERSION, crc32::Crc32, payload::Fields,
};
use crate::limits;

/// Takes bytes, gives records.
///
/// Invariants: `used <= buffer.len()`; when [`Decoder::next_record`] said `None`, what is left in
/// the buffer is less than one record, hence at most the largest one and its head.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Bytes of the buffer that were read already.
    used: usize,
    /// Offset of the first unread byte in the capture.
    offset: u64,
    has_header: bool,
    /// Where and why decoding stopped for good.
    failed: Option<DecodeError>,
}

/// A capture could not be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("capture is not readable at byte {offset}: {fault}")]
pub struct DecodeError {
    /// Where the header or the record begins.
    pub offset: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The sum does not fit the bytes.
    #[error("checksum does not match")]
    Checksum,
    /// The fields do not fit the record.
    #[error("record fields do not fit its length")]
    Fields,
    /// The file does not begin like a capture.
    #[error("not a capture file")]
    Magic,
    /// The record is longer than [`limits::MAX_CAPTURE_RECORD_BYTES`].
    #[error("record of {0} bytes exceeds the limit")]
    TooLarge(u32),
    /// The file ends inside the header or a record.
    #[error("file ends inside a record")]
    Truncated,
    /// The file is of another version.
    #[error("unknown version {0}")]
    Version(u16),
}

impl Decoder {
    /// A decoder at the beginning of a capture.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the capture. Call [`Decoder::next_record`] until it gives nothing
    /// before the next push, so that the buffer stays small.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.used.min(self.buffer.len()));
        self.used = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next record; `None` when more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]; the same one from then on.
    pub fn next_record(&mut self) -> Result<Option<Record>, DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let offset = self.offset;
        self.read_record().map_err(|fault| {
            let error = DecodeError { offset, fault };
            // An unknown record may have been skipped before the faulty one.
            let error = DecodeError { offset: self.offset.max(offset), ..error };
            self.failed = Some(error);
            error
        })
    }

    /// Takes note that the capture ends here.
    ///
    /// # Errors
    ///
    /// [`Fault::Truncated`] when it ends inside a record, or what [`Decoder::next_record`] said.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.unread().is_empty() && self.has_header {
            return Ok(());
        }
        Err(DecodeError { offset: self.offset, fault: Fault::Truncated })
    }

    /// Offset of the first byte that was not read.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    fn read_record(&mut self) -> Result<Option<Record>, Fault> {
        if !self.has_header {
            let Some(header) = self.unread().first_chunk::<HEADER_BYTES>() else {
                let unread = self.unread();
                let same = unread.iter().zip(MAGIC).all(|(byte, magic)| *byte == magic);
                return if same { Ok(None) } else { Err(Fault::Magic) };
            };
            check_header(*header)?;
            self.has_header = true;
            self.advance(HEADER_BYTES);
        }
        loop {
            let unread = self.unread();
            let Some((head, rest)) = unread.split_first_chunk::<RECORD_HEAD_BYTES>() else {
                return Ok(None);
            };
            let [kind, _, _, _, a, b, c, d, sum @ ..] = *head;
            let length = u32::from_le_bytes([a, b, c, d]);
            let bytes = usize::try_from(length).unwrap_or(usize::MAX);
            if bytes > limits::MAX_CAPTURE_RECORD_BYTES {
                return Err(Fault::TooLarge(length));
            }
            let Some(payload) = rest.get(..bytes) else { return Ok(None) };
            let mut actual = Crc32::new();
            actual.update(head.get(..SUMMED_HEAD_BYTES).unwrap_or_default());
            actual.update(payload);
            if actual.finish() != u32::from_le_bytes(sum) {
                return Err(Fault::Checksum);
            }
            let record = parse(kind, payload)?;
            self.advance(RECORD_HEAD_BYTES + bytes);
            if record.is_some() {
                return Ok(record);
            }
        }
    }

    fn unread(&self) -> &[u8] {
        self.buffer.get(self.used..).unwrap_or_default()
    }

    fn advance(&mut self, bytes: usize) {
        self.used += bytes;
        self.offset += bytes as u64;
    }
}

fn check_header(header: [u8; HEADER_BYTES]) -> Result<(), Fault> {
    let mut fields = Fields::new(&header);
    if fields.array() != Some(MAGIC) {
        return Err(Fault::Magic);
    }
    match fields.u16() {
        Some(VERSION) => Ok(()),
        version => Err(Fault::Version(version.unwrap_or_default())),
    }
}

/// The record of this kind; `None` when the kind is unknown.
fn parse(kind: u8, payload: &[u8]) -> Result<Option<Record>, Fault> {
    let mut fields = Fields::new(payload);
    let record = match kind {
        KIND_SEGMENT => {
            let head = fields.segment_head().ok_or(Fault::Fields)?;
            return Ok(Some(Record::Segment { head, bytes: fields.rest().to_vec() }));
        }
        KIND_LIBRARY => {
            let id = fields.u64().ok_or(Fault::Fields)?;
            let Ok(name) = str::from_utf8(fields.rest()) else { return Err(Fault::Fields) };
            return Ok(Some(Record::Library { id, name: name.to_owned() }));
        }
        KIND_CONTROL => fields.control().map(Record::Control),
        KIND_WATERMARK => fields.u64().map(|ktime_ns| Record::Watermark { ktime_ns }),
        KIND_CLOCK => {
            fields.i64().map(|utc_minus_monotonic_ns| Record::Clock { utc_minus_monotonic_ns })
        }
        _ => return Ok(None),
    };
    if !fields.rest().is_empty() {
        return Err(Fault::Fields);
    }
    record.map(Some).ok_or(Fault::Fields)
}
