//! Writes captures into a buffer.

use mop_common::{ControlEvent, SegmentHead};

use super::{
    HEADER_BYTES, KIND_CLOCK, KIND_CONTROL, KIND_LIBRARY, KIND_SEGMENT, KIND_WATERMARK, MAGIC,
    Record, SUMMED_HEAD_BYTES, VERSION, crc32::Crc32, payload,
};
use crate::limits;

/// Appends a capture to a buffer, which the owner may empty at any time between two calls.
#[derive(Debug, Default)]
pub struct Encoder {
    has_header: bool,
    payload: Vec<u8>,
}

/// Why a record could not be written; nothing of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The record is larger than [`limits::MAX_CAPTURE_RECORD_BYTES`].
    #[error("capture record of {0} bytes exceeds the limit")]
    TooLarge(usize),
}

impl Encoder {
    /// An encoder that begins a new capture.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a record of any kind.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLarge`].
    pub fn record(&mut self, record: &Record, to: &mut Vec<u8>) -> Result<(), EncodeError> {
        match record {
            Record::Segment { head, bytes } => self.segment(head, bytes, to),
            Record::Control(event) => self.control(event, to),
            Record::Watermark { ktime_ns } => self.watermark(*ktime_ns, to),
            Record::Clock { utc_minus_monotonic_ns } => self.clock(*utc_minus_monotonic_ns, to),
            Record::Library { id, name } => self.library(*id, name, to),
        }
    }

    /// Appends a segment.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLarge`].
    pub fn segment(
        &mut self,
        head: &SegmentHead,
        bytes: &[u8],
        to: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.payload.clear();
        payload::put_segment_head(&mut self.payload, head);
        self.put(KIND_SEGMENT, bytes, to)
    }

    /// Appends a control event.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLarge`].
    pub fn control(&mut self, event: &ControlEvent, to: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.payload.clear();
        payload::put_control(&mut self.payload, event);
        self.put(KIND_CONTROL, &[], to)
    }

    /// Appends a watermark.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLarge`].
    pub fn watermark(&mut self, ktime_ns: u64, to: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.payload.clear();
        self.put(KIND_WATERMARK, &ktime_ns.to_le_bytes(), to)
    }

    /// Appends the offset from `CLOCK_MONOTONIC` to UTC.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLarge`].
    pub fn clock(
        &mut self,
        utc_minus_monotonic_ns: i64,
        to: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.payload.clear();
        self.put(KIND_CLOCK, &utc_minus_monotonic_ns.to_le_bytes(), to)
    }

    /// Appends the name of a library.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLarge`].
    pub fn library(&mut self, id: u64, name: &str, to: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.payload.clear();
        self.payload.extend_from_slice(&id.to_le_bytes());
        self.put(KIND_LIBRARY, name.as_bytes(), to)
    }

    /// Appends a record whose payload is `self.payload` and then `tail`.
    fn put(&mut self, kind: u8, tail: &[u8], to: &mut Vec<u8>) -> Result<(), EncodeError> {
        let bytes = self.payload.len() + tail.len();
        let length = u32::try_from(bytes)
            .ok()
            .filter(|_| bytes <= limits::MAX_CAPTURE_RECORD_BYTES)
            .ok_or(EncodeError::TooLarge(bytes))?;
        if !self.has_header {
            self.has_header = true;
            let mut header = [0; HEADER_BYTES];
            let begin = MAGIC.into_iter().chain(VERSION.to_le_bytes());
            for (to, from) in header.iter_mut().zip(begin) {
                *to = from;
            }
            to.extend_from_slice(&header);
        }
        let [a, b, c, d] = length.to_le_bytes();
        let head: [u8; SUMMED_HEAD_BYTES] = [kind, 0, 0, 0, a, b, c, d];
        let mut sum = Crc32::new();
        for part in [&head[..], &self.payload, tail] {
            sum.update(part);
        }
        to.extend_from_slice(&head);
        to.extend_from_slice(&sum.finish().to_le_bytes());
        to.extend_from_slice(&self.payload);
        to.extend_from_slice(tail);
        Ok(())
    }
}
