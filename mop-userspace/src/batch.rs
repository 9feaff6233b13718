//! Batches: how records travel from the capture thread to a worker.
//!
//! One hand-over carries hundreds of records in one allocation, which goes back to the capture
//! thread to be filled again.

use mop_common::{ControlEvent, SegmentHead};

/// Records in the order in which they are to be processed.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    items: Vec<Item>,
    bytes: Vec<u8>,
}

/// One record; the bytes of segments stand one after the other in [`Batch::bytes`].
#[derive(Clone, Copy, Debug)]
enum Item {
    Segment(SegmentHead),
    Control(ControlEvent),
    Watermark(u64),
}

/// A record as it is read from a batch.
#[derive(Debug)]
pub(crate) enum Entry<'batch> {
    /// Bytes of a stream.
    Segment(SegmentHead, &'batch [u8]),
    /// Something happened to a connection or process.
    Control(&'batch ControlEvent),
    /// Every segment stamped before this time was delivered.
    Watermark(u64),
}

impl Batch {
    pub(crate) fn push_segment(&mut self, head: &SegmentHead, bytes: &[u8]) {
        let mut head = *head;
        head.len_captured = u32::try_from(bytes.len()).unwrap_or(0);
        let length = self.bytes.len() + bytes.len();
        if (KEEP_BYTES / 2..=KEEP_BYTES).contains(&length) && length > self.bytes.capacity() {
            // Doubled, it would be larger than what is kept, and copied when it is cleared.
            self.bytes.reserve_exact(KEEP_BYTES - self.bytes.len());
        }
        self.bytes.extend_from_slice(bytes);
        self.items.push(Item::Segment(head));
    }

    pub(crate) fn push_control(&mut self, event: &ControlEvent) {
        self.items.push(Item::Control(*event));
    }

    pub(crate) fn push_watermark(&mut self, ktime_ns: u64) {
        self.items.push(Item::Watermark(ktime_ns));
    }

    pub(crate) fn clear(&mut self) {
        self.items.clear();
        self.bytes.clear();
        // One huge batch must not hold its memory for ever.
        self.bytes.shrink_to(KEEP_BYTES);
        self.items.shrink_to(KEEP_ITEMS);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// True when it is time to hand the batch over.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL_BYTES || self.items.len() >= FULL_ITEMS
    }

    /// The records, in order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut rest = self.bytes.as_slice();
        self.items.iter().map(move |item| match item {
            Item::Segment(head) => {
                let length = usize::try_from(head.len_captured).unwrap_or(usize::MAX);
                let (bytes, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                rest = behind;
                Entry::Segment(*head, bytes)
            }
            Item::Control(event) => Entry::Control(event),
            Item::Watermark(ktime_ns) => Entry::Watermark(*ktime_ns),
        })
    }
}

/// Large enough that a hand-over costs nothing per record, small enough to stay in a cache.
const FULL_BYTES: usize = 512 << 10;
const FULL_ITEMS: usize = 4096;

/// A full batch may have grown by one segment of 64 KiB beyond [`FULL_BYTES`].
const KEEP_BYTES: usize = FULL_BYTES + (64 << 10);
const KEEP_ITEMS: usize = FULL_ITEMS + 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn head(position: u64) -> SegmentHead {
        SegmentHead {
            connection: 1,
            position,
            ktime_ns: 0,
            cpu_sequence: 0,
            len_total: 3,
            len_captured: 3,
            cpu: 0,
            direction: 0,
            cause: 0,
            flags: 0,
            caller: 0,
        }
    }

    #[test]
    fn records_come_out_as_they_went_in() {
        let mut batch = Batch::default();
        batch.push_segment(&head(0), b"abc");
        batch.push_control(&ControlEvent { connection: 7, ..ControlEvent::EMPTY });
        batch.push_segment(&head(3), b"");
        batch.push_segment(&head(6), b"def");
        batch.push_watermark(9);
        let seen: Vec<String> = batch
            .entries()
            .map(|entry| match entry {
                Entry::Segment(head, bytes) => format!("{} {bytes:?}", head.position),
                Entry::Control(event) => format!("control {}", event.connection),
                Entry::Watermark(ktime_ns) => format!("watermark {ktime_ns}"),
            })
            .collect();
        assert_eq!(
            seen,
            ["0 [97, 98, 99]", "control 7", "3 []", "6 [100, 101, 102]", "watermark 9"]
        );
        batch.clear();
        assert!(batch.is_empty());
        assert_eq!(batch.entries().count(), 0);
    }
}
