//! The ways from the kernel to user space: lanes for segments, and a ring for control events.

use std::time::{Duration, Instant};

use mop_common::{ControlEvent, SegmentHead};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    control_ring::{ControlRing, DrainedControl},
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
    /// Since when an event that is being written has hidden those behind it.
    hidden_since: Option<Instant>,
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
        Self { lanes, control, idle, hidden_since: None }
    }

    /// Hands what is there to `sink`, until every lane was seen empty or at least `limit` records
    /// were read.
    ///
    /// A thread that moves to another CPU leaves the earlier part of its stream in the lane of the
    /// former one. So the lanes are read in small turns, always that whose records are oldest.
    pub fn drain(&mut self, sink: &mut impl RecordSink, limit: usize) -> Drained {
        let mut records = drain_control(&mut self.control, sink).records;
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
        let Self { lanes, control, hidden_since, .. } = self;
        let mut turn = Drained { records: 0, emptied: false };
        let mut bytes_read = 0;
        while bytes_read < TURN_BYTES {
            // The event that explains a segment was submitted before it: it is visible, unless it
            // stands behind one that another CPU is writing.
            if lanes.has_next(lane) {
                if drain_control(control, sink).is_clear {
                    *hidden_since = None;
                } else if hidden_since.get_or_insert_with(Instant::now).elapsed() < PATIENCE {
                    break;
                }
            }
            match lanes.next(lane) {
                Next::Record(head, bytes) => {
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

fn drain_control(control: &mut ControlRing, sink: &mut impl RecordSink) -> DrainedControl {
    control.drain(|record| {
        if record.len() >= size_of::<ControlEvent>() {
            // SAFETY: the record is long enough; the type consists of integers without padding,
            // so every bit pattern is a value; the read does not need alignment.
            let event = unsafe { record.as_ptr().cast::<ControlEvent>().read_unaligned() };
            sink.control(&event);
        }
    })
}

/// Writing an event takes a microsecond, unless its CPU is taken away meanwhile. In this time a busy
/// lane fills by a part; then segments are worth more than what explains them.
const PATIENCE: Duration = Duration::from_millis(20);

/// Two segments of the largest size: lanes are read in step to within that much, and their room
/// goes back to the kernel as often.
const TURN_BYTES: usize = 128 << 10;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "what a test set up itself is there")]
mod tests {
    use std::{fs::File, os::unix::fs::FileExt as _};

    use mop_common::{
        lane::{ELEMENT_STRIDE, LaneState},
        limits,
    };

    use super::*;
    use crate::control_ring::{BUSY, tests::Imitation};

    /// What a drain handed out, in order: `true` for an event, `false` for a segment.
    #[derive(Default)]
    struct Order(Vec<bool>);

    impl RecordSink for Order {
        fn segment(&mut self, _head: &SegmentHead, _bytes: &[u8]) {
            self.0.push(false);
        }

        fn control(&mut self, _event: &ControlEvent) {
            self.0.push(true);
        }
    }

    /// A lane with one segment without bytes.
    fn lanes_with_a_segment() -> Lanes {
        let (states, elements) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let states_bytes = limits::MAX_LANES as usize * size_of::<LaneState>();
        states.set_len(states_bytes as u64).unwrap();
        elements.set_len(ELEMENT_STRIDE as u64).unwrap();
        let number = |file: &File, value: u64, at: u64| {
            file.write_all_at(&value.to_ne_bytes(), at).unwrap();
        };
        number(&states, CLAIMED, std::mem::offset_of!(LaneState, head) as u64);
        number(&elements, 1, 0);
        number(&elements, CLAIMED, 8);
        Lanes::map(&states, &elements, 1, 1).unwrap()
    }

    #[test]
    fn a_segment_waits_for_an_event_behind_one_that_is_being_written() {
        let event = [0; size_of::<ControlEvent>()];
        let mut imitation = Imitation::new();
        let mut rings = Rings::new(lanes_with_a_segment(), imitation.ring());
        imitation.record(BUSY, &event);
        imitation.record(0, &event);
        let mut order = Order::default();
        let drained = rings.drain(&mut order, 10);
        assert_eq!(drained, Drained { records: 0, emptied: false });
        imitation.write(0, &(event.len() as u32).to_ne_bytes());
        let drained = rings.drain(&mut order, 10);
        assert_eq!(drained, Drained { records: 3, emptied: true });
        assert_eq!(order.0, [true, true, false]);
    }

    #[test]
    fn a_segment_does_not_wait_for_ever() {
        let mut imitation = Imitation::new();
        let mut rings = Rings::new(lanes_with_a_segment(), imitation.ring());
        imitation.record(BUSY, &[0; size_of::<ControlEvent>()]);
        let mut order = Order::default();
        while order.0.is_empty() {
            rings.drain(&mut order, 10);
        }
        assert_eq!(order.0, [false]);
    }

    const CLAIMED: u64 = 64;
}
