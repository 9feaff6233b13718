//! Bits that flipped and files that were cut off: nothing altered comes out, and the rest does.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{
    machine::{Machine, Random},
    model::{check_books, options},
};
use crate::{Draft, Lane, Options, Outbox, storage::Storage as _};

const RECORDS: u64 = 40;

fn tiny() -> Options {
    Options { segment_bytes: 4096, ..options() }
}

/// A machine with some segments, a cursor and a parked entry, and the records by id.
fn world() -> (Machine, BTreeMap<String, Vec<u8>>) {
    let machine = Machine::new();
    let mut records = BTreeMap::new();
    for part in 0..2 {
        let mut outbox = Outbox::open_on(Arc::new(machine.clone()), tiny()).unwrap();
        for id in part * RECORDS / 2..(part + 1) * RECORDS / 2 {
            let (name, payload) = (id.to_string(), vec![id as u8; 200 + id as usize]);
            let draft = Draft { lane: Lane::Data, kind: "kind", id: &name, payload: &payload };
            outbox.append(draft, machine.day_ms());
            outbox.commit(machine.day_ms());
            records.insert(name, payload);
        }
        let mut feed = outbox.feed("one").unwrap();
        let entries = feed.next(2, usize::MAX);
        feed.park(&entries[0], "why");
        feed.acknowledge(Lane::Data, entries[1].sequence);
        feed.save();
        drop(feed);
        outbox.close();
    }
    (machine, records)
}

/// Opens and reads everything; gives how many records came and how many are counted as lost.
fn check(machine: &Machine, records: &BTreeMap<String, Vec<u8>>, what: &str) -> (u64, u64) {
    let outbox = Outbox::open_on(Arc::new(machine.clone()), tiny()).unwrap();
    let mut read = 0;
    for sink in ["one", "two"] {
        let mut feed = outbox.feed(sink).unwrap();
        let mut last = 0;
        read = 0;
        loop {
            let entries = feed.next(3, usize::MAX);
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                assert_eq!(records.get(&*entry.id), Some(&entry.payload), "{what}");
                assert_eq!((&*entry.kind, entry.lane), ("kind", Lane::Data), "{what}");
                assert!(entry.sequence > last, "{what}");
                last = entry.sequence;
                read += 1;
            }
        }
        for parked in feed.next_parked(100) {
            assert_eq!(records.get(&*parked.entry.id), Some(&parked.entry.payload), "{what}");
        }
    }
    let stats = outbox.stats();
    check_books(&stats);
    assert_eq!(stats.spooled[1], read, "{what}: {stats:?}");
    (read, stats.damaged)
}

#[test]
fn a_flipped_bit_costs_at_most_what_it_hit() {
    let (machine, records) = world();
    let mut random = Random(7);
    for (path, bytes) in machine.files() {
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << random.below(8);
            let copy = machine.copy();
            copy.replace(&path, damaged);
            let what = format!("{} at {at}", path.display());
            let (read, lost) = check(&copy, &records, &what);
            assert!(read >= RECORDS - 1, "{what}: {read} read");
            assert_eq!(read + lost, RECORDS, "{what}: {read} read, {lost} counted");
        }
    }
}

#[test]
fn a_file_that_is_cut_off_costs_its_end() {
    let (machine, records) = world();
    for (path, bytes) in machine.files() {
        for end in 0..bytes.len() {
            let copy = machine.copy();
            copy.replace(&path, bytes[..end].to_vec());
            let what = format!("{} cut at {end}", path.display());
            let (read, lost) = check(&copy, &records, &what);
            assert_eq!(read + lost, RECORDS, "{what}: {read} read, {lost} counted");
            assert!(read >= RECORDS - 16, "{what}: {read} read");
        }
    }
}

#[test]
fn noise_in_place_of_a_file_is_survived() {
    let (machine, records) = world();
    let mut random = Random(11);
    for (path, bytes) in machine.files() {
        for round in 0..50 {
            let copy = machine.copy();
            let mut noise = bytes.clone();
            let from = random.below(bytes.len());
            let to = from + random.below(bytes.len() - from + 1);
            for byte in noise.get_mut(from..to).unwrap_or_default() {
                *byte = random.below(256) as u8;
            }
            copy.replace(&path, noise);
            let what = format!("{} noise {round}: {from}..{to}", path.display());
            check(&copy, &records, &what);
            // What was repaired is well at the next opening.
            check(&copy, &records, &what);
        }
    }
}

#[test]
fn a_segment_whose_header_is_gone_is_set_aside_and_counted() {
    let (machine, records) = world();
    let (path, bytes) = segments(&machine).remove(0);
    let mut headless = bytes;
    headless[..128].fill(0);
    machine.replace(&path, headless);
    let (read, lost) = check(&machine, &records, "no header");
    assert!(lost > 1 && read + lost == RECORDS, "{read} read, {lost} lost");
    let aside = machine.files().into_iter().filter(|(path, _)| is_named(path, "damaged")).count();
    assert_eq!(aside, 1);
}

fn segments(machine: &Machine) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files = machine.files();
    files.retain(|(path, _)| path.starts_with("/outbox/data") && is_named(path, "segment"));
    files
}

fn is_named(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}
