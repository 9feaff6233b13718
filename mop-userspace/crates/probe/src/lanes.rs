//! The lanes from user space: reads records in place, in memory shared with the kernel.
//!
//! The layout and the protocol are those of [`mop_common::lane`].

use std::{io, os::fd::AsFd, sync::atomic::Ordering};

use mop_common::{
    SegmentHead,
    lane::{ELEMENT_BYTES, ELEMENT_STRIDE, LaneState, RECORD_ALIGN, RecordHead},
    limits,
};
use rustix::mm::ProtFlags;

use crate::shared_memory::SharedMemory;

/// All lanes of an observer.
pub(crate) struct Lanes {
    states: SharedMemory,
    elements: SharedMemory,
    elements_per_lane: u64,
    lanes: Vec<Lane>,
}

/// Where reading of one lane stands.
struct Lane {
    number: u64,
    /// Position of the next record; what the kernel side sees of it may be older.
    tail: u64,
    /// When the last record that was read was stamped.
    last_ktime_ns: u64,
}

/// What one look at a lane gave.
pub(crate) enum Next<'lanes> {
    /// A record, whole.
    Record(SegmentHead, &'lanes [u8]),
    /// A record that does not make sense: it was skipped.
    Skipped,
    /// Nothing that could be read.
    Nothing {
        /// No record is being written either.
        is_empty: bool,
    },
}

impl Lanes {
    /// Maps the memory of `lanes` lanes of `elements_per_lane` elements (a power of two).
    ///
    /// # Errors
    ///
    /// When the kernel refuses the mapping.
    pub(crate) fn map(
        states: &impl AsFd,
        elements: &impl AsFd,
        lanes: u32,
        elements_per_lane: u32,
    ) -> io::Result<Self> {
        let states_bytes = limits::MAX_LANES as usize * size_of::<LaneState>();
        let element_count = lanes as usize * elements_per_lane as usize;
        Ok(Self {
            states: SharedMemory::map(states, states_bytes, 0, ProtFlags::READ | ProtFlags::WRITE)?,
            elements: SharedMemory::map(
                elements,
                element_count * ELEMENT_STRIDE,
                0,
                ProtFlags::READ,
            )?,
            elements_per_lane: u64::from(elements_per_lane),
            lanes: (0..u64::from(lanes))
                .map(|number| Lane { number, tail: 0, last_ktime_ns: 0 })
                .collect(),
        })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// When the last record that was read from a lane was stamped.
    pub(crate) fn last_ktime_ns(&self, lane: usize) -> u64 {
        self.lanes.get(lane).map_or(u64::MAX, |lane| lane.last_ktime_ns)
    }

    /// Whether the next record of a lane is there, whole.
    pub(crate) fn has_next(&self, lane: usize) -> bool {
        self.lanes.get(lane).is_some_and(|lane| {
            let commit = self.elements.number(lane.offset(self.elements_per_lane));
            commit.load(Ordering::Acquire) == lane.tail.wrapping_add(1)
        })
    }

    /// The next record of a lane.
    pub(crate) fn next(&mut self, lane: usize) -> Next<'_> {
        let Self { states, elements, elements_per_lane, lanes } = self;
        let Some(lane) = lanes.get_mut(lane) else { return Next::Nothing { is_empty: true } };
        let offset = lane.offset(*elements_per_lane);
        let commit = elements.number(offset).load(Ordering::Acquire);
        if commit != lane.tail.wrapping_add(1) {
            let head = states.number(lane.head_offset()).load(Ordering::Acquire);
            return Next::Nothing { is_empty: head == lane.tail };
        }
        let Some(record) = elements.bytes(offset, ELEMENT_STRIDE - lane.offset_in_element()) else {
            return Next::Nothing { is_empty: false };
        };
        let Some((claimed, head, payload)) = split(record) else {
            // The kernel side never writes such a record. Go on at the next line, so that a fault
            // costs records and not the daemon.
            lane.tail = lane.tail.wrapping_add(RECORD_ALIGN as u64);
            return Next::Skipped;
        };
        lane.tail = lane.tail.wrapping_add(claimed);
        lane.last_ktime_ns = head.ktime_ns;
        Next::Record(head, payload)
    }

    /// Gives the room of everything that was read back to the kernel side. No record of the lane
    /// may be in use any more, which the borrow in [`Next`] sees to.
    pub(crate) fn release(&mut self, lane: usize) {
        let Self { states, lanes, .. } = self;
        if let Some(lane) = lanes.get(lane) {
            states.number(lane.tail_offset()).store(lane.tail, Ordering::Release);
        }
    }
}

impl Lane {
    fn offset_in_element(&self) -> usize {
        // The element size is a power of two that fits a usize.
        self.tail as usize & (ELEMENT_BYTES - 1)
    }

    fn offset(&self, elements_per_lane: u64) -> usize {
        let element = (self.tail / ELEMENT_BYTES as u64) & (elements_per_lane - 1);
        let element = (self.number * elements_per_lane + element) as usize;
        element * ELEMENT_STRIDE + self.offset_in_element()
    }

    fn head_offset(&self) -> usize {
        self.number as usize * size_of::<LaneState>() + std::mem::offset_of!(LaneState, head)
    }

    fn tail_offset(&self) -> usize {
        self.number as usize * size_of::<LaneState>() + std::mem::offset_of!(LaneState, tail)
    }
}

/// What the record claims, its segment and the captured bytes.
fn split(record: &[u8]) -> Option<(u64, SegmentHead, &[u8])> {
    let (head, rest) = record.split_at_checked(size_of::<RecordHead>())?;
    // SAFETY: the slice is as long as the type, which consists of integers without padding, so
    // every bit pattern is a value; the read does not need alignment.
    let RecordHead { commit: _, claimed, segment } =
        unsafe { head.as_ptr().cast::<RecordHead>().read_unaligned() };
    let is_sound = claimed >= RECORD_ALIGN as u64
        && claimed.is_multiple_of(RECORD_ALIGN as u64)
        && claimed <= RecordHead::claim(limits::MAX_SEGMENT as u64)
        && u64::from(segment.len_captured) <= claimed - RECORD_ALIGN as u64;
    if !is_sound {
        return None;
    }
    Some((claimed, segment, rest.get(..segment.len_captured as usize)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(claimed: u64, captured: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(1u64.to_ne_bytes());
        bytes.extend(claimed.to_ne_bytes());
        bytes.extend([0; 32]);
        bytes.extend(captured.to_ne_bytes());
        bytes.extend(captured.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(vec![7; captured as usize + 64]);
        bytes
    }

    #[test]
    fn a_sound_record_is_split() {
        let bytes = record(128, 3);
        let (claimed, head, payload) = split(&bytes).expect("sound");
        assert_eq!((claimed, head.len_captured, payload), (128, 3, &[7, 7, 7][..]));
    }

    #[test]
    fn an_unsound_record_is_refused() {
        for (claimed, captured) in [(0, 0), (63, 0), (64, 1), (128, 65), (1 << 40, 1), (65, 0)] {
            assert!(split(&record(claimed, captured)).is_none(), "{claimed} {captured}");
        }
        assert!(split(&[0; 10]).is_none());
    }
}
