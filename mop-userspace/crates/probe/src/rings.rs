//! The ways from the kernel to user space: lanes for segments, and a ring for control events.

use std::time::Duration;

use mop_common::{ControlEvent, SegmentHead};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    control_ring::ControlRing,
    lanes::{Lanes, Next},
};

/// Takes the records of a drain.
pub trait RecordSink {
    /// Bytes of a stream. They lie in a lane and are overwritten after the call.
    fn segment(&mut self, head: &SegmentHead, bytes: &[u8]);

    /// Something happened to a connection or process. Called before any segment that the kernel
    /// emitted later.
    fn control(&mut self, event: &ControlEvent);
}

/// All ways from the kernel of an observer, for one reading thread.
pub struct Rings {
    lanes: Lanes,
    control: ControlRing,
    /// Per lane: nothing was there, and no lane has given anything since.
    idle: Vec<bool>,
}

/// What a drain gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Records handed out.
    pub records: usize,
    /// Every lane was seen empty: all that the kernel emitted before the drain began was handed
    /// out.
    pub emptied: bool,
}

impl Rings {
    pub(crate) fn new(lanes: Lanes, control: ControlRing) -> Self {
        let idle = vec![false; lanes.len()];
        Self { lanes, control, idle }
    }

    /// Hands what is there to `sink`, until every lane was seen empty or at least `limit` records
    /// were read.
    ///
    /// A thread that moves to another CPU leaves the earlier part of its stream in the lane of the
    /// former one. So the lanes are read in small turns, always that whose records are oldest.
    pub fn drain(&mut self, sink: &mut impl RecordSink, limit: usize) -> Drained {
        let mut records = drain_control(&mut self.control, sink);
        let mut all_empty = true;
        self.idle.fill(false);
        while records < limit {
            let oldest = (0..self.lanes.len())
                .filter(|&lane| self.idle.get(lane) == Some(&false))
                .min_by_key(|&lane| self.lanes.last_ktime_ns(lane));
            let Some(lane) = oldest else { return Drained { records, emptied: all_empty } };
            let turn = self.turn(lane, sink);
            records += turn.records;
            if turn.records > 0 {
                // Meanwhile the thread may have moved back to a CPU whose lane was empty.
                self.idle.fill(false);
                all_empty = true;
            } else {
                if let Some(idle) = self.idle.get_mut(lane) {
                    *idle = true;
                }
                all_empty &= turn.emptied;
            }
        }
        Drained { records, emptied: false }
    }

    /// Reads a lane until nothing is left or enough was read for one turn.
    fn turn(&mut self, lane: usize, sink: &mut impl RecordSink) -> Drained {
        let Self { lanes, control, .. } = self;
        let mut turn = Drained { records: 0, emptied: false };
        let mut bytes_read = 0;
        while bytes_read < TURN_BYTES {
            match lanes.next(lane) {
                Next::Record(head, bytes) => {
                    // The event that explains a segment was submitted before it: it is visible.
                    drain_control(control, sink);
                    sink.segment(&head, bytes);
                    bytes_read += bytes.len() + SegmentHead::SIZE;
                    turn.records += 1;
                }
                Next::Skipped => turn.records += 1,
                Next::Nothing { is_empty } => {
                    turn.emptied = is_empty;
                    break;
                }
            }
        }
        if turn.records > 0 {
            lanes.release(lane);
        }
        turn
    }

    /// Waits until the kernel wakes the reader: a lane fills, or a process begins. Records that
    /// the kernel did not find worth a wake-up are there after `timeout` at the latest.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to wait.
    pub fn wait(&self, timeout: Duration) -> std::io::Result<()> {
        let descriptor = self.control.descriptor();
        let mut descriptors = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
        let timeout = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        match poll(&mut descriptors, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn drain_control(control: &mut ControlRing, sink: &mut impl RecordSink) -> usize {
    control.drain(|record| {
        if record.len() >= size_of::<ControlEvent>() {
            // SAFETY: the record is long enough; the type consists of integers without padding,
            // so every bit pattern is a value; the read does not need alignment.
            let event = unsafe { record.as_ptr().cast::<ControlEvent>().read_unaligned() };
            sink.control(&event);
        }
    })
}

/// Two segments of the largest size: lanes are read in step to within that much, and their room
/// goes back to the kernel as often.
const TURN_BYTES: usize = 128 << 10;
