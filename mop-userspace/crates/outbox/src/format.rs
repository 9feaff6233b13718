//! The bytes of a segment: a header, twice, and entries behind it. No I/O, no clock, no randomness.
//!
//! All numbers are little-endian.
//!
//! ```text
//! header (64 bytes, written twice)          entry
//!  0  magic "MOPOUTBX"                       0  length of what follows the checksum (u32)
//!  8  version (u8), lane (u8), zero (u16)    4  CRC-32 of the length and of what follows (u32)
//! 12  salt (u32)                             8  sequence (u64)
//! 16  epoch (u64)                           16  time in ms since 1970 (u64)
//! 24  first sequence (u64)                  24  lane (u8)
//! 32  end of the segment before (u64)       25  lengths: kind (u8), note (u8), id (u16)
//! 40  time of its newest entry (u64)        29  kind, id, note, payload
//! 48  time of the first entry (u64)
//! 56  zero (u32)
//! 60  CRC-32 of the 60 bytes before (u32)
//! ```
//!
//! - The salt begins the checksum of every entry. It is random, so that neither an older file in the
//!   same blocks nor a payload made by somebody can pass for an entry of this segment.
//! - `end of the segment before <= first sequence`; sequences in between were dropped on purpose.
//! - `29 <= 8 + length <= MAX_ENTRY_BYTES`, so a run of zeros is no entry.

use crate::entry::{Draft, Entry, Lane};

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) place: Place,
    pub(crate) salt: u32,
    pub(crate) epoch: u64,
    pub(crate) first: u64,
    /// One after the last sequence of the segment before.
    pub(crate) previous_end: u64,
    pub(crate) previous_newest_ms: u64,
    pub(crate) begun_ms: u64,
}

/// Where a segment lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a lane of the outbox.
    Lane(Lane),
    /// Among what was set aside for one sink, from any lane.
    Parked,
}

/// An entry as it lies in its segment; its checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawEntry<'a> {
    pub(crate) sequence: u64,
    pub(crate) time_ms: u64,
    pub(crate) lane: Lane,
    pub(crate) kind: &'a str,
    pub(crate) id: &'a str,
    pub(crate) note: &'a str,
    pub(crate) payload: &'a [u8],
    /// Of all its bytes.
    pub(crate) bytes: usize,
}

/// Why no entry begins somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The bytes end too early: so many are needed from its start.
    Short(usize),
    /// This is no entry.
    Damaged,
}

impl Header {
    /// Both copies.
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let Self { place, salt, epoch, first, previous_end, previous_newest_ms, begun_ms } = *self;
        let mut copy = Vec::with_capacity(HEADER_COPY_BYTES);
        copy.extend_from_slice(MAGIC);
        copy.extend_from_slice(&[VERSION, place.number(), 0, 0]);
        copy.extend_from_slice(&salt.to_le_bytes());
        for number in [epoch, first, previous_end, previous_newest_ms, begun_ms] {
            copy.extend_from_slice(&number.to_le_bytes());
        }
        copy.extend_from_slice(&[0; 4]);
        let checksum = crc32fast::hash(&copy);
        copy.extend_from_slice(&checksum.to_le_bytes());
        let mut both = [0; HEADER_BYTES];
        for (to, from) in both.iter_mut().zip(copy.iter().cycle()) {
            *to = *from;
        }
        both
    }

    /// Of the start of a file; the second copy counts when the first is damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        bytes.chunks_exact(HEADER_COPY_BYTES).take(2).find_map(Self::decode_copy)
    }

    fn decode_copy(copy: &[u8]) -> Option<Self> {
        let (content, checksum) = copy.split_last_chunk::<4>()?;
        let mut rest = Fields(content);
        let whole = crc32fast::hash(content) == u32::from_le_bytes(*checksum)
            && rest.take(MAGIC.len())? == MAGIC
            && rest.u8()? == VERSION;
        if !whole {
            return None;
        }
        let place = Place::from_number(rest.u8()?)?;
        rest.take(2)?;
        let header = Self {
            place,
            salt: rest.u32()?,
            epoch: rest.u64()?,
            first: rest.u64()?,
            previous_end: rest.u64()?,
            previous_newest_ms: rest.u64()?,
            begun_ms: rest.u64()?,
        };
        (header.previous_end <= header.first).then_some(header)
    }
}

impl Place {
    fn number(self) -> u8 {
        match self {
            Self::Lane(lane) => lane as u8,
            Self::Parked => PARKED,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        match number {
            PARKED => Some(Self::Parked),
            number => Lane::from_number(number).map(Self::Lane),
        }
    }
}

/// Bytes that an entry takes; `None` when it is beyond the limits.
pub(crate) fn entry_bytes(draft: &Draft<'_>, note: &str, prefix: &[u8]) -> Option<usize> {
    let fits = draft.payload.len() <= MAX_PAYLOAD_BYTES
        && draft.kind.len() <= MAX_KIND_BYTES
        && draft.id.len() <= MAX_ID_BYTES
        && note.len() <= MAX_NOTE_BYTES
        && prefix.len() <= MAX_PREFIX_BYTES;
    let texts = draft.kind.len() + draft.id.len() + note.len();
    fits.then(|| FIXED_BYTES + texts + prefix.len() + draft.payload.len())
}

/// Appends an entry to a buffer. Its payload is the prefix and the draft's payload. False, and
/// nothing appended, when it is beyond the limits.
pub(crate) fn encode_entry(
    into: &mut Vec<u8>,
    salt: u32,
    sequence: u64,
    time_ms: u64,
    draft: &Draft<'_>,
    note: &str,
    prefix: &[u8],
) -> bool {
    let Some(bytes) = entry_bytes(draft, note, prefix) else { return false };
    let numbers = (
        u32::try_from(bytes - CHECKED_FROM),
        u8::try_from(draft.kind.len()),
        u8::try_from(note.len()),
        u16::try_from(draft.id.len()),
    );
    let (Ok(length), Ok(kind), Ok(note_length), Ok(id)) = numbers else { return false };
    let start = into.len();
    into.reserve(bytes);
    for part in [
        &length.to_le_bytes()[..],
        &[0; 4],
        &sequence.to_le_bytes(),
        &time_ms.to_le_bytes(),
        &[draft.lane as u8, kind, note_length],
        &id.to_le_bytes(),
        draft.kind.as_bytes(),
        draft.id.as_bytes(),
        note.as_bytes(),
        prefix,
        draft.payload,
    ] {
        into.extend_from_slice(part);
    }
    if let Some(entry) = into.get_mut(start..) {
        let checksum = checksum(entry, salt).unwrap_or_default();
        if let Some(place) = entry.get_mut(4..CHECKED_FROM) {
            place.copy_from_slice(&checksum.to_le_bytes());
        }
    }
    true
}

/// The entry at the start of these bytes.
pub(crate) fn parse_entry(bytes: &[u8], salt: u32) -> Result<RawEntry<'_>, Fault> {
    let total = plausible_bytes(bytes)?;
    let entry = bytes.get(..total).ok_or(Fault::Short(total))?;
    let stored = entry.get(4..CHECKED_FROM).and_then(|bytes| bytes.try_into().ok());
    if checksum(entry, salt) != stored.map(u32::from_le_bytes) {
        return Err(Fault::Damaged);
    }
    read_fields(entry).ok_or(Fault::Damaged)
}

/// Bytes of the entry that may begin here, as its length says: what the checksum is worth trying on.
pub(crate) fn plausible_bytes(bytes: &[u8]) -> Result<usize, Fault> {
    let Some((length, _)) = bytes.split_first_chunk::<4>() else {
        return Err(Fault::Short(FIXED_BYTES));
    };
    let total = (u32::from_le_bytes(*length) as usize).saturating_add(CHECKED_FROM);
    if (FIXED_BYTES..=MAX_ENTRY_BYTES).contains(&total) { Ok(total) } else { Err(Fault::Damaged) }
}

/// The sequence of the entry that may begin here.
pub(crate) fn plausible_sequence(bytes: &[u8]) -> Option<u64> {
    bytes.get(CHECKED_FROM..CHECKED_FROM + 8)?.try_into().ok().map(u64::from_le_bytes)
}

impl RawEntry<'_> {
    /// A copy that stands for itself.
    pub(crate) fn to_entry(self, epoch: u64) -> Entry {
        let Self { sequence, time_ms, lane, kind, id, note, payload, bytes: _ } = self;
        Entry {
            lane,
            epoch,
            sequence,
            time_ms,
            kind: kind.into(),
            id: id.into(),
            note: note.into(),
            payload: payload.to_vec(),
        }
    }
}

fn checksum(entry: &[u8], salt: u32) -> Option<u32> {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(entry.get(..4)?);
    hasher.update(entry.get(CHECKED_FROM..)?);
    Some(hasher.finalize())
}

fn read_fields(entry: &[u8]) -> Option<RawEntry<'_>> {
    let mut rest = Fields(entry.get(CHECKED_FROM..)?);
    let (sequence, time_ms) = (rest.u64()?, rest.u64()?);
    let lane = Lane::from_number(rest.u8()?)?;
    let (kind, note, id) = (rest.u8()?.into(), rest.u8()?.into(), rest.u16()?.into());
    Some(RawEntry {
        sequence,
        time_ms,
        lane,
        kind: rest.text(kind)?,
        id: rest.text(id)?,
        note: rest.text(note)?,
        payload: rest.0,
        bytes: entry.len(),
    })
}

/// Bytes that are read one field after the other.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.number().map(u64::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.number().map(u32::from_le_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.number().map(u16::from_le_bytes)
    }

    fn u8(&mut self) -> Option<u8> {
        self.number().map(u8::from_le_bytes)
    }

    fn text(&mut self, bytes: usize) -> Option<&'a str> {
        str::from_utf8(self.take(bytes)?).ok()
    }

    fn number<const BYTES: usize>(&mut self) -> Option<[u8; BYTES]> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*number)
    }
}

/// Both copies of the header.
pub(crate) const HEADER_BYTES: usize = 2 * HEADER_COPY_BYTES;
const HEADER_COPY_BYTES: usize = 64;
const MAGIC: &[u8; 8] = b"MOPOUTBX";
const VERSION: u8 = 1;
/// Stands where the lane's number would.
const PARKED: u8 = 255;

/// What every entry has before its texts.
pub(crate) const FIXED_BYTES: usize = 29;
/// The checksum covers all behind it, and the length before it.
const CHECKED_FROM: usize = 8;
/// A record is a summary: kilobytes. A length beyond this one is damage, not a record.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 16 << 20;
/// As much as its length field can say.
pub(crate) const MAX_KIND_BYTES: usize = u8::MAX as usize;
/// As much as its length field can say.
pub(crate) const MAX_NOTE_BYTES: usize = u8::MAX as usize;
/// Ids are digests or short names; a page is generous.
pub(crate) const MAX_ID_BYTES: usize = 4096;
/// What parked entries carry before their payload.
pub(crate) const MAX_PREFIX_BYTES: usize = 16;
const MAX_ENTRY_BYTES: usize = FIXED_BYTES
    + MAX_KIND_BYTES
    + MAX_ID_BYTES
    + MAX_NOTE_BYTES
    + MAX_PREFIX_BYTES
    + MAX_PAYLOAD_BYTES;

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        place: Place::Lane(Lane::Security),
        salt: 0x1234_5678,
        epoch: 1_790_000_000,
        first: 42,
        previous_end: 40,
        previous_newest_ms: 7,
        begun_ms: 9,
    };

    fn draft(payload: &[u8]) -> Draft<'_> {
        Draft { lane: Lane::Data, kind: "data.call", id: "an-id", payload }
    }

    #[test]
    fn a_header_survives_damage_of_either_copy() {
        let bytes = HEADER.encode();
        assert_eq!(Header::decode(&bytes), Some(HEADER));
        for at in 0..HEADER_BYTES {
            let mut damaged = bytes;
            damaged[at] ^= 0x10;
            assert_eq!(Header::decode(&damaged), Some(HEADER), "{at}");
            damaged[(at + HEADER_COPY_BYTES) % HEADER_BYTES] ^= 1;
            assert_eq!(Header::decode(&damaged), None, "{at}");
        }
        assert_eq!(Header::decode(&bytes[..HEADER_COPY_BYTES]), Some(HEADER));
        assert_eq!(Header::decode(&bytes[..HEADER_COPY_BYTES - 1]), None);
    }

    #[test]
    fn an_entry_comes_back_as_it_was_put_in() {
        let mut bytes = Vec::new();
        assert!(encode_entry(&mut bytes, 5, 77, 88, &draft(b"payload"), "why", b"pre"));
        assert_eq!(entry_bytes(&draft(b"payload"), "why", b"pre"), Some(bytes.len()));
        let entry = parse_entry(&bytes, 5).unwrap();
        assert_eq!((entry.sequence, entry.time_ms, entry.lane), (77, 88, Lane::Data));
        assert_eq!((entry.kind, entry.id, entry.note), ("data.call", "an-id", "why"));
        assert_eq!((entry.payload, entry.bytes), (&b"prepayload"[..], bytes.len()));
    }

    #[test]
    fn no_flipped_bit_and_no_other_salt_passes() {
        let mut bytes = Vec::new();
        encode_entry(&mut bytes, 5, 77, 88, &draft(b"{\"a\":1}"), "", b"");
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(parse_entry(&damaged, 5).is_err(), "bit {bit}");
        }
        assert_eq!(parse_entry(&bytes, 6), Err(Fault::Damaged));
        for end in 4..bytes.len() {
            assert_eq!(parse_entry(&bytes[..end], 5), Err(Fault::Short(bytes.len())), "{end}");
        }
        assert_eq!(parse_entry(&[0; 4096], 5), Err(Fault::Damaged));
    }

    #[test]
    fn what_is_beyond_the_limits_is_not_written() {
        let payload = vec![0; MAX_PAYLOAD_BYTES + 1];
        let long = "x".repeat(MAX_ID_BYTES + 1);
        for bad in [
            draft(&payload),
            Draft { id: &long, ..draft(b"") },
            Draft { kind: &long[..MAX_KIND_BYTES + 1], ..draft(b"") },
        ] {
            let mut bytes = Vec::new();
            assert!(!encode_entry(&mut bytes, 0, 1, 1, &bad, "", b""));
            assert!(bytes.is_empty());
        }
        let mut bytes = Vec::new();
        assert!(encode_entry(&mut bytes, 0, 1, 1, &draft(&payload[1..]), "", b""));
        assert!(parse_entry(&bytes, 0).is_ok());
    }
}
