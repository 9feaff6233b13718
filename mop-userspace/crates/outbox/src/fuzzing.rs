//! Bodies of the fuzz targets: any bytes in, no panic and no broken invariant out.
//!
//! They live here and not in `fuzz/`, so that an ordinary test can replay the corpus on a stable
//! compiler without a sanitizer.
#![expect(clippy::panic, reason = "a fuzz target reports by panicking")]

use crate::{
    cursor::decode_cursors,
    entry::Draft,
    format::{HEADER_BYTES, Header, encode_entry, parse_entry},
    lane::{FIRST_SEQUENCE, MAX_SEQUENCE},
    recovery::content,
    scan::{Scan, Step},
};

/// Reads the bytes as a segment. Every entry must be, byte for byte, what the writer makes of its
/// fields; sequences must grow; the books of bytes and of sequences must be right.
pub fn fuzz_segment(data: &[u8]) {
    let header = Header::decode(data);
    if let Some(header) = header {
        let again = Header::decode(&header.encode());
        check(again == Some(header), "a header does not come back");
    }
    let (salt, first) = header.map_or((0, FIRST_SEQUENCE), |it| (it.salt, it.first));
    let mut scan = Scan::new(data, HEADER_BYTES.min(data.len()), salt, first, MAX_SEQUENCE);
    let (mut at, mut last) = (HEADER_BYTES.min(data.len()), None);
    let (mut entries, mut missing) = (0, 0);
    loop {
        match scan.step() {
            Step::Entry { at: begin, missing: gap, entry } => {
                check(begin == at, "bytes were passed over");
                check(last.is_none_or(|last| entry.sequence > last), "a sequence does not grow");
                let draft = Draft {
                    lane: entry.lane,
                    kind: entry.kind,
                    id: entry.id,
                    payload: entry.payload,
                };
                let mut written = Vec::new();
                let (sequence, time) = (entry.sequence, entry.time_ms);
                let fits =
                    encode_entry(&mut written, salt, sequence, time, &draft, entry.note, b"");
                let same = data.get(begin..begin + entry.bytes) == Some(&written);
                check(!fits || same, "an entry is not what the writer makes of it");
                at += entry.bytes;
                last = Some(sequence);
                entries += 1;
                missing += gap;
            }
            Step::Damage { at: begin, bytes } => {
                check(begin == at && bytes > 0, "damage without bytes");
                at += bytes;
            }
            Step::Tail { at: begin } => {
                check(begin == at && begin < data.len(), "a tail without bytes");
                break;
            }
            Step::End { at: begin } => {
                check(begin == at, "an end elsewhere");
                break;
            }
        }
    }
    if let Some(header) = header {
        let content = content(data, &header, MAX_SEQUENCE);
        let lost: u64 = content.missing.iter().map(|range| range.end - range.start).sum();
        check(content.entries == entries && lost == missing, "two readers differ");
        check(content.end - header.first == entries + lost, "sequences do not add up");
    }
}

/// Reads the bytes as one entry and as cursors.
pub fn fuzz_entry(data: &[u8]) {
    if let Ok(entry) = parse_entry(data, 0) {
        check(entry.bytes <= data.len(), "an entry is longer than its bytes");
    }
    let largest = decode_cursors(data).into_iter().max();
    check(largest <= Some(MAX_SEQUENCE), "a cursor is out of bounds");
}

/// A segment of the given payloads: what corpora begin with.
pub fn segment(salt: u32, first: u64, payloads: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Header {
        place: crate::format::Place::Lane(crate::Lane::Data),
        salt,
        epoch: 1,
        first,
        previous_end: first,
        previous_newest_ms: 0,
        begun_ms: 0,
        previous_sequences: 0,
    }
    .encode()
    .to_vec();
    for (sequence, payload) in (first..).zip(payloads) {
        let draft = Draft { lane: crate::Lane::Data, kind: "kind", id: "id", payload };
        encode_entry(&mut bytes, salt, sequence, 1000 + sequence, &draft, "", b"");
    }
    bytes
}

fn check(holds: bool, what: &str) {
    if !holds {
        panic!("{what}");
    }
}
