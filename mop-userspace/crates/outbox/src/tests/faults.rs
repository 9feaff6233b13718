//! Disks that refuse, one way at a time, and clocks that leap.

use std::{sync::Arc, time::Duration};

use super::{
    machine::{Fault, Machine},
    model::{check_books, options},
};
use crate::{Admission, Draft, Feed, Keep, Lane, Options, Outbox, storage::Storage as _};

fn open(machine: &Machine, options: Options) -> Outbox {
    Outbox::open_on(Arc::new(machine.clone()), options).unwrap()
}

fn put(outbox: &mut Outbox, machine: &Machine, lane: Lane, ids: std::ops::Range<u64>) -> u64 {
    let mut refused = 0;
    for id in ids {
        let (id, payload) = (id.to_string(), [7; 500]);
        let draft = Draft { lane, kind: "kind", id: &id, payload: &payload };
        refused += u64::from(outbox.append(draft, machine.day_ms()) == Admission::Shed);
    }
    refused
}

fn read(feed: &mut Feed) -> Vec<u64> {
    feed.next(usize::MAX, usize::MAX).iter().map(|entry| entry.id.parse().unwrap()).collect()
}

#[test]
fn while_the_disk_refuses_memory_holds_records_and_feeds_get_them() {
    for fault in [Fault::Full(0), Fault::Full(1000), Fault::ReadOnly, Fault::SyncFails] {
        let machine = Machine::new();
        let mut outbox = open(&machine, options());
        put(&mut outbox, &machine, Lane::Data, 0..10);
        assert_eq!(outbox.commit(machine.day_ms()), 10);
        machine.set_fault(fault);
        put(&mut outbox, &machine, Lane::Data, 10..30);
        assert_eq!(outbox.commit(machine.day_ms()), 0, "{fault:?}");
        let stats = outbox.stats();
        assert!(stats.degraded.is_some() && stats.memory_bytes > 20 * 500, "{fault:?}: {stats:?}");
        let mut feed = outbox.feed("one").unwrap();
        assert_eq!(read(&mut feed), (0..30).collect::<Vec<_>>(), "{fault:?}");
        // It is not tried again at once, and then it is.
        machine.set_fault(Fault::None);
        assert_eq!(outbox.commit(machine.day_ms()), 0, "{fault:?}");
        machine.wait(2_000);
        assert_eq!(outbox.commit(machine.day_ms()), 20, "{fault:?}");
        let stats = outbox.stats();
        assert_eq!((stats.degraded, stats.memory_bytes), (None, 0), "{fault:?}");
        assert_eq!(read(&mut feed), [0; 0], "nothing is given twice");
        // What could not be synced was written again, elsewhere.
        drop((feed, outbox));
        machine.crash(true, 1);
        let outbox = open(&machine, options());
        assert_eq!(read(&mut outbox.feed("two").unwrap()), (0..30).collect::<Vec<_>>());
        assert_eq!(outbox.stats().damaged, 0, "{fault:?}");
    }
}

#[test]
fn an_outbox_opens_on_a_disk_that_cannot_be_written() {
    let machine = Machine::new();
    let mut outbox = open(&machine, options());
    put(&mut outbox, &machine, Lane::Data, 0..10);
    outbox.close();
    for fault in [Fault::ReadOnly, Fault::Full(0), Fault::SyncFails] {
        machine.set_fault(fault);
        let mut outbox = open(&machine, options());
        assert!(outbox.stats().degraded.is_some(), "{fault:?}");
        put(&mut outbox, &machine, Lane::Data, 10..20);
        outbox.commit(machine.day_ms());
        assert_eq!(
            read(&mut outbox.feed("one").unwrap()),
            (0..20).collect::<Vec<_>>(),
            "{fault:?}"
        );
        check_books(&outbox.stats());
        machine.set_fault(Fault::None);
    }
    // A folder that is not there and cannot be made: it can later.
    let machine = Machine::new();
    machine.set_fault(Fault::ReadOnly);
    let mut outbox = open(&machine, options());
    put(&mut outbox, &machine, Lane::Data, 0..5);
    assert_eq!(outbox.commit(machine.day_ms()), 0);
    machine.set_fault(Fault::None);
    machine.wait(2_000);
    assert_eq!(outbox.commit(machine.day_ms()), 5);
}

#[test]
fn what_is_delivered_from_memory_makes_room_in_it() {
    let machine = Machine::new();
    let mut outbox = open(&machine, Options { memory_bytes: 40_000, ..options() });
    machine.set_fault(Fault::Full(0));
    let mut feeds = ["one", "two"].map(|sink| outbox.feed(sink).unwrap());
    for round in 0..20 {
        assert_eq!(put(&mut outbox, &machine, Lane::Data, round * 20..round * 20 + 20), 0);
        outbox.commit(machine.day_ms());
        for feed in &mut feeds {
            for entry in feed.next(usize::MAX, usize::MAX) {
                feed.acknowledge(entry.lane, entry.sequence);
            }
        }
        outbox.commit(machine.day_ms());
    }
    let stats = outbox.stats();
    assert_eq!((stats.undelivered_drops, stats.acknowledged), (vec![0, 0], vec![400, 400]));
}

#[test]
fn memory_is_bounded_and_loses_the_least_important() {
    let machine = Machine::new();
    let mut outbox = open(&machine, Options { memory_bytes: 40_000, ..options() });
    machine.set_fault(Fault::ReadOnly);
    outbox.commit(machine.day_ms());
    put(&mut outbox, &machine, Lane::Samples, 0..100);
    put(&mut outbox, &machine, Lane::Security, 100..150);
    let refused = put(&mut outbox, &machine, Lane::Samples, 150..160);
    outbox.commit(machine.day_ms());
    let stats = outbox.stats();
    assert!(stats.memory_bytes <= 40_000);
    assert_eq!(stats.held[1], 50, "{stats:?}");
    assert_eq!(stats.held[4] + stats.shed[4], 110);
    assert!(refused > 0 && stats.undelivered_drops == [stats.shed[4]; 2], "{stats:?}");
    check_books(&stats);
}

#[test]
fn leaps_of_the_clock_cost_nothing() {
    const DAY_MS: u64 = 86_400_000;
    for keep in [Keep::UntilDelivered, Keep::UntilBounds] {
        let machine = Machine::new();
        let max_age = Duration::from_secs(3600);
        let options = Options { max_age, keep, ..options() };
        let mut outbox = open(&machine, options.clone());
        let begun = machine.day_ms();
        let leaps = [begun + 2 * 3_600_000, begun - DAY_MS, 0, begun + 900 * DAY_MS, begun];
        for (round, day_ms) in (0..).zip(leaps) {
            machine.set_day(day_ms);
            put(&mut outbox, &machine, Lane::Data, round * 20..round * 20 + 20);
            machine.wait(1_000);
            outbox.commit(machine.day_ms());
            assert_eq!(outbox.stats().held[3], (round + 1) * 20, "{day_ms}");
        }
        // Time that really passes does make them old, but for those that claim the future.
        machine.wait(3 * 3_600_000);
        put(&mut outbox, &machine, Lane::Data, 100..101);
        outbox.commit(machine.day_ms());
        machine.wait(1_000);
        outbox.commit(machine.day_ms());
        let stats = outbox.stats();
        assert!(stats.expired[3] >= 60, "{stats:?}");
        assert_eq!(stats.undelivered_drops, [stats.expired[3]; 2]);
        check_books(&stats);
    }
}

#[test]
fn a_disk_that_cannot_be_read_is_waited_for_and_then_given_up() {
    let machine = Machine::new();
    let mut outbox = open(&machine, options());
    put(&mut outbox, &machine, Lane::Data, 0..5);
    outbox.commit(machine.day_ms());
    let mut feed = outbox.feed("one").unwrap();
    machine.set_fault(Fault::ReadFails);
    assert_eq!(read(&mut feed), [0; 0]);
    machine.wait(29_000);
    assert_eq!(read(&mut feed), [0; 0]);
    machine.set_fault(Fault::None);
    assert_eq!(read(&mut feed), [0, 1, 2, 3, 4]);
    feed.rewind();
    machine.set_fault(Fault::ReadFails);
    read(&mut feed);
    machine.wait(30_000);
    assert_eq!(read(&mut feed), [0; 0]);
    let stats = outbox.stats();
    assert_eq!((stats.damaged, stats.undelivered_damage.as_slice()), (5, &[5, 5][..]));
    check_books(&stats);
}

#[test]
fn sequences_go_on_when_all_files_of_a_lane_went() {
    let machine = Machine::new();
    let mut outbox = open(&machine, Options { max_bytes: 50_000, ..options() });
    put(&mut outbox, &machine, Lane::Samples, 0..30);
    outbox.commit(machine.day_ms());
    put(&mut outbox, &machine, Lane::Security, 0..92);
    outbox.commit(machine.day_ms());
    assert_eq!(outbox.stats().held[4], 0);
    drop(outbox);
    machine.crash(true, 3);
    let mut outbox = open(&machine, options());
    put(&mut outbox, &machine, Lane::Samples, 30..31);
    outbox.commit(machine.day_ms());
    let entries = outbox.feed("one").unwrap().next(usize::MAX, usize::MAX);
    assert_eq!(entries.last().map(|entry| (entry.lane, entry.sequence)), Some((Lane::Samples, 31)));
}

#[test]
fn parked_entries_are_bounded() {
    let machine = Machine::new();
    let mut outbox = open(&machine, Options { max_bytes: 16 * 40_000, ..options() });
    let mut feed = outbox.feed("one").unwrap();
    put(&mut outbox, &machine, Lane::Data, 0..200);
    outbox.commit(machine.day_ms());
    for entry in feed.next(usize::MAX, usize::MAX) {
        feed.park(&entry, &"é".repeat(200));
        feed.acknowledge(entry.lane, entry.sequence);
    }
    let stats = outbox.stats();
    assert_eq!(stats.parked[0] + stats.parked_dropped[0], 200);
    assert!((20..=60).contains(&stats.parked[0]), "{stats:?}");
    let parked = feed.next_parked(1000);
    assert_eq!(parked.len() as u64, stats.parked[0]);
    assert_eq!(&*parked.last().unwrap().entry.id, "199");
    assert_eq!(&*parked[0].entry.note, "é".repeat(127));
    for it in parked {
        feed.acknowledge_parked(it.place);
    }
    feed.save();
    drop((feed, outbox));
    assert_eq!(open(&machine, options()).stats().parked, [0, 0]);
}
