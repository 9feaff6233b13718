//! The rings that carry records from the kernel to user space.

use std::{
    os::fd::{AsRawFd as _, BorrowedFd},
    time::Duration,
};

use aya::maps::{MapData, RingBuf};
use mop_common::{ControlEvent, SegmentHead};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Takes the records of a drain.
pub trait RecordSink {
    /// Bytes of a stream. They lie in the ring and are overwritten after the call.
    fn segment(&mut self, head: &SegmentHead, bytes: &[u8]);

    /// Something happened to a connection or process. Called before any segment that the kernel
    /// emitted later.
    fn control(&mut self, event: &ControlEvent);
}

/// All rings of an observer, for one reading thread.
pub struct Rings {
    data: Vec<RingBuf<MapData>>,
    control: RingBuf<MapData>,
}

impl Rings {
    pub(crate) fn new(data: Vec<RingBuf<MapData>>, control: RingBuf<MapData>) -> Self {
        Self { data, control }
    }

    /// Hands everything that is in the rings to `sink`, until each was seen empty or `limit`
    /// segments were read. Gives the number of records; below `limit`, every ring was seen empty.
    pub fn drain(&mut self, sink: &mut impl RecordSink, limit: usize) -> usize {
        let Self { data, control } = self;
        let mut records = drain_control(control, sink);
        for ring in data {
            while records < limit {
                let Some(item) = ring.next() else { break };
                // The event that explains a segment was submitted before it, so it is visible now.
                records += drain_control(control, sink);
                if let Some((head, bytes)) = split(&item) {
                    sink.segment(&head, bytes);
                }
                records += 1;
            }
        }
        records
    }

    /// Waits until the kernel wakes the reader: a ring fills, or a process begins. Records that
    /// the kernel did not find worth a wake-up are there after `timeout` at the latest.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to wait.
    pub fn wait(&self, timeout: Duration) -> std::io::Result<()> {
        let mut descriptors: Vec<PollFd<'_>> = self
            .data
            .iter()
            .chain([&self.control])
            .map(|ring| {
                // SAFETY: the descriptor belongs to the ring, which outlives the call.
                let descriptor = unsafe { BorrowedFd::borrow_raw(ring.as_raw_fd()) };
                PollFd::from_borrowed_fd(descriptor, PollFlags::IN)
            })
            .collect();
        let timeout = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        match poll(&mut descriptors, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// How many data rings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// True when there is no data ring.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }
}

fn drain_control(control: &mut RingBuf<MapData>, sink: &mut impl RecordSink) -> usize {
    let mut records = 0;
    while let Some(item) = control.next() {
        if item.len() >= size_of::<ControlEvent>() {
            // SAFETY: the record is long enough; the type consists of integers without padding,
            // so every bit pattern is a value; the read does not need alignment.
            let event = unsafe { item.as_ptr().cast::<ControlEvent>().read_unaligned() };
            sink.control(&event);
        }
        records += 1;
    }
    records
}

/// The head of a record, and the bytes that it says were captured.
fn split(record: &[u8]) -> Option<(SegmentHead, &[u8])> {
    let (head, rest) = record.split_at_checked(SegmentHead::SIZE)?;
    // SAFETY: as in `drain_control`.
    let head = unsafe { head.as_ptr().cast::<SegmentHead>().read_unaligned() };
    let captured = usize::try_from(head.len_captured).ok()?;
    Some((head, rest.get(..captured)?))
}

