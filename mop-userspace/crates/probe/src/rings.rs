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
    data: Vec<DataRing>,
    control: RingBuf<MapData>,
}

struct DataRing {
    ring: RingBuf<MapData>,
    /// When the last record that was read was stamped.
    last_ktime_ns: u64,
    /// Nothing was there, and no ring has given anything since.
    is_empty: bool,
}

/// What a drain gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Records handed out.
    pub records: usize,
    /// Every ring was seen empty: all that the kernel submitted before the drain began was handed
    /// out.
    pub emptied: bool,
}

impl Rings {
    pub(crate) fn new(data: Vec<RingBuf<MapData>>, control: RingBuf<MapData>) -> Self {
        let data = data
            .into_iter()
            .map(|ring| DataRing { ring, last_ktime_ns: 0, is_empty: false })
            .collect();
        Self { data, control }
    }

    /// Hands what is in the rings to `sink`, until each was seen empty or at least `limit` records
    /// were read.
    ///
    /// A thread that moves to another CPU leaves the earlier part of its stream in the ring of the
    /// former one. So the rings are read in small turns, always that whose records are oldest.
    pub fn drain(&mut self, sink: &mut impl RecordSink, limit: usize) -> Drained {
        let Self { data, control } = self;
        let mut records = drain_control(control, sink);
        for ring in data.iter_mut() {
            ring.is_empty = false;
        }
        while records < limit {
            let oldest =
                data.iter_mut().filter(|ring| !ring.is_empty).min_by_key(|ring| ring.last_ktime_ns);
            let Some(ring) = oldest else { return Drained { records, emptied: true } };
            let read = ring.turn(control, sink);
            records += read;
            if read > 0 {
                // Meanwhile the thread may have moved back to a CPU whose ring was empty.
                for ring in data.iter_mut() {
                    ring.is_empty = false;
                }
            }
        }
        Drained { records, emptied: false }
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
            .map(|data| &data.ring)
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

impl DataRing {
    /// Reads until nothing is left or enough was read for one turn.
    fn turn(&mut self, control: &mut RingBuf<MapData>, sink: &mut impl RecordSink) -> usize {
        let mut records = 0;
        let mut bytes_read = 0;
        while bytes_read < TURN_BYTES {
            let Some(item) = self.ring.next() else {
                self.is_empty = records == 0;
                break;
            };
            // The event that explains a segment was submitted before it, so it is visible now.
            records += drain_control(control, sink);
            bytes_read += item.len();
            records += 1;
            if let Some((head, bytes)) = split(&item) {
                self.last_ktime_ns = head.ktime_ns;
                sink.segment(&head, bytes);
            }
        }
        records
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

/// Two segments of the largest size class: rings are read in step to within that much.
const TURN_BYTES: usize = 128 << 10;
