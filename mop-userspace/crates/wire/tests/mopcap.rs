//! Captures: what was written is read, in any split; damage is found and placed.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use mop_common::{ControlEvent, SegmentHead};
use mop_wire::{
    limits,
    mopcap::{DecodeError, Decoder, EncodeError, Encoder, Fault, Record},
};
use proptest::prelude::*;

/// Length of the file header.
const HEADER_BYTES: usize = 16;

fn records() -> impl Strategy<Value = Record> {
    prop_oneof![
        (
            any::<[u64; 4]>(),
            any::<[u32; 2]>(),
            any::<[u16; 3]>(),
            any::<[u8; 2]>(),
            prop::collection::vec(any::<u8>(), 0..300)
        )
            .prop_map(
                |(
                    [connection, position, ktime_ns, cpu_sequence],
                    [len_total, len_captured],
                    [cpu, flags, caller],
                    [direction, cause],
                    bytes,
                )| {
                    let head = SegmentHead {
                        connection,
                        position,
                        ktime_ns,
                        cpu_sequence,
                        len_total,
                        len_captured,
                        cpu,
                        direction,
                        cause,
                        flags,
                        caller,
                    };
                    Record::Segment { head, bytes }
                }
            ),
        (
            any::<[u64; 8]>(),
            any::<u32>(),
            any::<[u16; 2]>(),
            any::<[u8; 8]>(),
            any::<[[u8; 16]; 3]>()
        )
            .prop_map(
                |(
                    [ktime_ns, connection, process_start_ns, cgroup, read, write, library, socket],
                    tgid,
                    [local_port, remote_port],
                    [kind, layer, family, direction, protocol, from_start, a, b],
                    [local, remote, command],
                )| {
                    Record::Control(ControlEvent {
                        ktime_ns,
                        connection,
                        process_start_ns,
                        cgroup,
                        positions: [read, write],
                        library,
                        socket,
                        tgid,
                        local_port,
                        remote_port,
                        kind,
                        layer,
                        family,
                        direction,
                        protocol,
                        from_start,
                        reserved: [a, b],
                        local,
                        remote,
                        command,
                    })
                }
            ),
        any::<u64>().prop_map(|ktime_ns| Record::Watermark { ktime_ns }),
        any::<i64>().prop_map(|utc_minus_monotonic_ns| Record::Clock { utc_minus_monotonic_ns }),
        (any::<u64>(), "\\PC{0,40}").prop_map(|(id, name)| Record::Library { id, name }),
    ]
}

fn encode(records: &[Record]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    let mut bytes = Vec::new();
    for record in records {
        encoder.record(record, &mut bytes).unwrap();
    }
    bytes
}

fn decode(bytes: &[u8], piece: usize) -> (Vec<Record>, Result<(), DecodeError>) {
    let mut decoder = Decoder::new();
    let mut records = Vec::new();
    for piece in bytes.chunks(piece) {
        decoder.push(piece);
        loop {
            match decoder.next_record() {
                Ok(Some(record)) => records.push(record),
                Ok(None) => break,
                Err(error) => return (records, Err(error)),
            }
        }
    }
    let end = decoder.finish();
    (records, end)
}

#[test]
fn control_events_of_earlier_versions_are_read() {
    let event = ControlEvent { connection: 7, socket: 9, ..ControlEvent::EMPTY };
    let mut capture = Vec::new();
    Encoder::new().control(&event, &mut capture).unwrap();
    // The record without its last field, and with a length and a sum of its own.
    let mut record = capture.split_off(HEADER_BYTES);
    record.truncate(record.len() - 8);
    let length = u32::try_from(record.len() - 12).unwrap();
    record[4..8].copy_from_slice(&length.to_le_bytes());
    let sum = crc32(&[&record[..8], &record[12..]].concat());
    record[8..12].copy_from_slice(&sum.to_le_bytes());
    let mut decoder = Decoder::new();
    decoder.push(&[capture, record].concat());
    let earlier = Record::Control(ControlEvent { socket: 0, ..event });
    assert_eq!(decoder.next_record(), Ok(Some(earlier)));
    assert_eq!(decoder.finish(), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_read(records in prop::collection::vec(records(), 1..20), piece in 1..500_usize) {
        let bytes = encode(&records);
        prop_assert_eq!(decode(&bytes, piece), (records, Ok(())));
    }

    #[test]
    fn a_cut_file_gives_the_records_before_the_cut(
        records in prop::collection::vec(records(), 1..8),
        cut in any::<prop::sample::Index>(),
        piece in 1..500_usize,
    ) {
        let bytes = encode(&records);
        let cut = cut.index(bytes.len());
        let (read, end) = decode(&bytes[..cut], piece);
        prop_assert!(records.starts_with(&read));
        match end {
            Ok(()) if read.is_empty() => prop_assert_eq!(cut, HEADER_BYTES),
            Ok(()) => prop_assert_eq!(&encode(&read)[..], &bytes[..cut]),
            Err(DecodeError { offset, fault }) => {
                prop_assert_eq!(fault, Fault::Truncated);
                prop_assert!(offset <= cut as u64);
            }
        }
    }

    #[test]
    fn a_flipped_bit_is_noticed(
        records in prop::collection::vec(records(), 1..8),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let mut bytes = encode(&records);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let (read, end) = decode(&bytes, 1000);
        prop_assert!(records.starts_with(&read));
        // The reserved bytes of the file header mean nothing yet.
        prop_assert!(end.is_err() || (10..16).contains(&at));
    }
}

#[test]
fn faults_are_named_and_placed() {
    let bytes = encode(&[Record::Watermark { ktime_ns: 1 }, Record::Watermark { ktime_ns: 2 }]);
    assert_eq!(bytes.len(), 16 + 2 * 20);
    let fault_of = |bytes: &[u8]| decode(bytes, 7).1.unwrap_err();
    assert_eq!(fault_of(b"PK"), DecodeError { offset: 0, fault: Fault::Magic });
    assert_eq!(fault_of(b"MOPC"), DecodeError { offset: 0, fault: Fault::Truncated });
    assert_eq!(fault_of(&bytes[..50]), DecodeError { offset: 36, fault: Fault::Truncated });
    let mut damaged = bytes.clone();
    damaged[50] ^= 1;
    assert_eq!(fault_of(&damaged), DecodeError { offset: 36, fault: Fault::Checksum });
    let mut later = bytes.clone();
    later[8] = 9;
    assert_eq!(fault_of(&later), DecodeError { offset: 0, fault: Fault::Version(9) });
    let mut long = bytes.clone();
    long[20..24].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(fault_of(&long), DecodeError { offset: 16, fault: Fault::TooLarge(u32::MAX) });
    assert_eq!(
        fault_of(&bytes[..50]).to_string(),
        "capture is not readable at byte 36: file ends inside a record"
    );
}

#[test]
fn records_of_later_versions_are_skipped() {
    // A record of kind 200 with two bytes, and its CRC-32.
    let mut bytes = encode(&[Record::Watermark { ktime_ns: 1 }]);
    let head = [200, 0, 0, 0, 2, 0, 0, 0];
    let sum = crc32(&[&head[..], b"xy"].concat());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes.extend_from_slice(b"xy");
    assert_eq!(decode(&bytes, 3), (vec![Record::Watermark { ktime_ns: 1 }], Ok(())));
}

#[test]
fn records_above_the_limit_are_not_written() {
    let bytes = vec![0; limits::MAX_CAPTURE_RECORD_BYTES];
    let head = SegmentHead {
        connection: 0,
        position: 0,
        ktime_ns: 0,
        cpu_sequence: 0,
        len_total: 0,
        len_captured: 0,
        cpu: 0,
        direction: 0,
        cause: 0,
        flags: 0,
        caller: 0,
    };
    let mut to = Vec::new();
    let error = Encoder::new().segment(&head, &bytes, &mut to).unwrap_err();
    assert_eq!(error, EncodeError::TooLarge(bytes.len() + SegmentHead::SIZE));
    assert!(to.is_empty());
}

/// Bit by bit, as a second opinion on the table.
fn crc32(bytes: &[u8]) -> u32 {
    let mut state = u32::MAX;
    for byte in bytes {
        state ^= u32::from(*byte);
        for _ in 0..8 {
            state = if state & 1 == 1 { 0xedb8_8320 ^ (state >> 1) } else { state >> 1 };
        }
    }
    !state
}
