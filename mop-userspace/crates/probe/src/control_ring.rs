//! The ring of control events from user space: a BPF ring buffer, read in place.
//!
//! It is read with nothing but the descriptor and the size of the map. A loader's own reader asks
//! the kernel for the size with a call that needs rights, which the process that reads may not have.
//!
//! Layout and protocol, from `kernel/bpf/ringbuf.c`:
//!
//! ```text
//! page 0      consumer position, written by the reader
//! page 1      producer position, written by the kernel
//! page 2 …    data; its pages are mapped twice in a row, so that no record is ever cut in two
//! record      length and two flags (32 bits) | page number (32 bits) | bytes, padded to 8
//! ```
//!
//! Invariant: consumer position <= producer position, both multiples of 8.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::atomic::{Ordering, fence},
};

use rustix::mm::ProtFlags;

use crate::shared_memory::SharedMemory;

/// A mapped ring.
pub(crate) struct ControlRing {
    descriptor: OwnedFd,
    consumer: SharedMemory,
    /// The producer's page and the data behind it.
    produced: SharedMemory,
    /// Size of the data, a power of two.
    bytes: u64,
    position: u64,
    /// Room was given back since the ring was last seen empty.
    gave_room: bool,
}

/// What a drain of the ring gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DrainedControl {
    /// Records handed out.
    pub(crate) records: usize,
    /// Nothing is left. Otherwise a record is being written, and whole ones may stand behind it.
    pub(crate) is_clear: bool,
}

impl ControlRing {
    /// Maps a ring of `bytes` bytes.
    ///
    /// # Errors
    ///
    /// When the size is none of a ring, or the kernel refuses the mapping.
    pub(crate) fn map(descriptor: OwnedFd, bytes: u32) -> io::Result<Self> {
        let page = rustix::param::page_size();
        let length = usize::try_from(bytes).map_err(io::Error::other)?;
        if !length.is_power_of_two() || length < page {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the size of a ring"));
        }
        let read_write = ProtFlags::READ | ProtFlags::WRITE;
        let consumer = SharedMemory::map(&descriptor, page, 0, read_write)?;
        let produced =
            SharedMemory::map(&descriptor, page + 2 * length, page as u64, ProtFlags::READ)?;
        let position = consumer.number(0).load(Ordering::Acquire);
        let bytes = u64::from(bytes);
        Ok(Self { descriptor, consumer, produced, bytes, position, gave_room: false })
    }

    /// What becomes readable when the kernel wakes the reader.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Hands every record that is whole to `take`, up to the first that is being written.
    pub(crate) fn drain(&mut self, mut take: impl FnMut(&[u8])) -> DrainedControl {
        let mut drained = DrainedControl { records: 0, is_clear: true };
        while let Some(offset) = self.next_record() {
            // Pairs with the exchange in `bpf_ringbuf_commit`: the bytes are whole once it is seen.
            let header = self.produced.number(offset).load(Ordering::Acquire);
            // Its lower half, on this little-endian machine, holds length and flags.
            let header = u32::try_from(header & u64::from(u32::MAX)).unwrap_or(BUSY);
            if header & BUSY != 0 {
                drained.is_clear = false;
                break;
            }
            let length = header & !(BUSY | DISCARDED);
            if header & DISCARDED == 0
                && let Some(bytes) =
                    self.produced.bytes(offset + HEADER_BYTES, length.try_into().unwrap_or(0))
            {
                take(bytes);
            }
            let claimed = (HEADER_BYTES as u64 + u64::from(length)).next_multiple_of(8);
            // The kernel writes no such record. Going on behind all that is there costs records,
            // and not the daemon.
            self.position = if claimed > self.bytes {
                self.produced.number(0).load(Ordering::Acquire)
            } else {
                self.position + claimed
            };
            // Pairs with the load in `__bpf_ringbuf_reserve`: the bytes were read before the room
            // is used again.
            self.consumer.number(0).store(self.position, Ordering::Release);
            self.gave_room = true;
            drained.records += 1;
        }
        drained
    }

    /// Where in the mapping the next record begins; `None` when there is none.
    fn next_record(&mut self) -> Option<usize> {
        // Pairs with the release in `__bpf_ringbuf_reserve`: the header is written before.
        let mut producer = self.produced.number(0).load(Ordering::Acquire);
        if producer <= self.position && std::mem::take(&mut self.gave_room) {
            // Either this sees a record that comes now, or its producer sees that the reader has
            // caught up, and wakes it.
            fence(Ordering::SeqCst);
            producer = self.produced.number(0).load(Ordering::Acquire);
        }
        if producer <= self.position {
            return None;
        }
        let offset = usize::try_from(self.position & (self.bytes - 1)).ok()?;
        Some(rustix::param::page_size() + offset)
    }
}

/// The record is being written.
pub(crate) const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;
const HEADER_BYTES: usize = 8;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "what a test set up itself is there")]
pub(crate) mod tests {
    use std::{fs::File, os::unix::fs::FileExt as _};

    use super::*;

    /// A file that is laid out like a ring; without the second mapping of its data, which the test
    /// imitates by a second copy.
    pub(crate) struct Imitation {
        file: File,
        page: u64,
        produced: u64,
    }

    impl Imitation {
        pub(crate) fn new() -> Self {
            let file = tempfile::tempfile().unwrap();
            let page = rustix::param::page_size() as u64;
            file.set_len(2 * page + 2 * u64::from(BYTES)).unwrap();
            Self { file, page, produced: 0 }
        }

        pub(crate) fn ring(&self) -> ControlRing {
            ControlRing::map(self.file.try_clone().unwrap().into(), BYTES).unwrap()
        }

        pub(crate) fn write(&self, at: u64, bytes: &[u8]) {
            for copy in [0, u64::from(BYTES)] {
                let at = 2 * self.page + at + copy;
                if at + bytes.len() as u64 <= 2 * self.page + 2 * u64::from(BYTES) {
                    self.file.write_all_at(bytes, at).unwrap();
                }
            }
        }

        pub(crate) fn record(&mut self, flags: u32, bytes: &[u8]) {
            let at = self.produced % u64::from(BYTES);
            self.write(at + 8, bytes);
            self.write(at, &(flags | bytes.len() as u32).to_ne_bytes());
            self.produced += (8 + bytes.len() as u64).next_multiple_of(8);
            self.file.write_all_at(&self.produced.to_ne_bytes(), self.page).unwrap();
        }
    }

    fn drained(ring: &mut ControlRing) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        ring.drain(|bytes| found.push(bytes.to_vec()));
        found
    }

    #[test]
    fn records_come_in_order_and_their_room_goes_back() {
        let mut imitation = Imitation::new();
        let mut ring = imitation.ring();
        assert_eq!(drained(&mut ring), Vec::<Vec<u8>>::new());
        // More than the ring holds, one after the other: it goes round several times.
        for number in 0..2_000u32 {
            let bytes = number.to_ne_bytes().repeat(1 + number as usize % 9);
            imitation.record(0, &bytes);
            assert_eq!(drained(&mut ring), [bytes]);
        }
        let mut consumer = [0; 8];
        imitation.file.read_exact_at(&mut consumer, 0).unwrap();
        assert_eq!(u64::from_ne_bytes(consumer), imitation.produced);
    }

    #[test]
    fn a_record_that_is_being_written_is_waited_for_and_a_discarded_one_is_passed_over() {
        let mut imitation = Imitation::new();
        let mut ring = imitation.ring();
        imitation.record(DISCARDED, b"thrown away");
        imitation.record(0, b"whole");
        let began = imitation.produced;
        imitation.record(BUSY, b"half");
        imitation.record(0, b"behind it");
        assert_eq!(drained(&mut ring), [b"whole"]);
        assert_eq!(ring.drain(|_| ()), DrainedControl { records: 0, is_clear: false });
        imitation.write(began, &4u32.to_ne_bytes());
        assert_eq!(drained(&mut ring), [b"half".to_vec(), b"behind it".to_vec()]);
        assert_eq!(ring.drain(|_| ()), DrainedControl { records: 0, is_clear: true });
    }

    #[test]
    fn a_length_beyond_the_ring_is_no_read_outside_of_it() {
        let mut imitation = Imitation::new();
        let mut ring = imitation.ring();
        imitation.record(0, b"x");
        imitation.write(0, &(u32::MAX >> 2).to_ne_bytes());
        assert_eq!(drained(&mut ring), Vec::<Vec<u8>>::new());
        imitation.record(0, b"the next one");
        assert_eq!(drained(&mut ring), [b"the next one"]);
    }

    #[test]
    fn a_size_that_no_ring_has_is_refused() {
        let imitation = Imitation::new();
        for bytes in [0, 1, 4095, 4097, 12288] {
            assert!(ControlRing::map(imitation.file.try_clone().unwrap().into(), bytes).is_err());
        }
    }

    const BYTES: u32 = 1 << 16;
}
