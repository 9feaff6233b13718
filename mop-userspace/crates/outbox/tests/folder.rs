//! An outbox in a real folder: what is put in comes out, in order, after restarts too.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mop_outbox::{Admission, Draft, Entry, Keep, Lane, Options, Outbox, OutboxError};

const NOW_MS: u64 = 4_000_000_000_000;

fn options(folder: &Path) -> Options {
    Options {
        folder: folder.to_owned(),
        max_bytes: 64 << 20,
        max_age: Duration::from_secs(7 * 86_400),
        segment_bytes: 64 << 10,
        commit_every: Duration::from_millis(50),
        memory_bytes: 8 << 20,
        keep: Keep::UntilDelivered,
        sinks: vec!["broker".into(), "server".into()],
        wake: Arc::new(|| {}),
    }
}

fn put(outbox: &mut Outbox, lane: Lane, id: usize) {
    let payload = vec![b'x'; 100 + id % 400];
    let id = format!("{}-{id}", lane.name());
    let draft = Draft { lane, kind: "test.record", id: &id, payload: &payload };
    assert_eq!(outbox.append(draft, NOW_MS), Admission::Accepted);
}

fn ids(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| entry.id.to_string()).collect()
}

fn expected(lane: Lane, ids: impl IntoIterator<Item = usize>) -> Vec<String> {
    ids.into_iter().map(|id| format!("{}-{id}", lane.name())).collect()
}

#[test]
fn important_lanes_come_first_and_each_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut outbox = Outbox::open(options(folder.path())).unwrap();
    for id in 0..50 {
        for lane in Lane::ALL.into_iter().rev() {
            put(&mut outbox, lane, id);
        }
    }
    let mut feed = outbox.feed("broker").unwrap();
    assert!(outbox.feed("nobody").is_none());
    assert_eq!(feed.next(10, 1 << 20), [], "nothing is durable yet");
    assert_eq!(outbox.commit(NOW_MS), 300);
    let mut given = Vec::new();
    loop {
        let entries = feed.next(7, 1 << 20);
        if entries.is_empty() {
            break;
        }
        given.extend(ids(&entries));
    }
    let wanted: Vec<_> =
        Lane::ALL.into_iter().take(5).flat_map(|lane| expected(lane, 0..50)).collect();
    assert_eq!(given, wanted);
}

#[test]
fn what_was_not_acknowledged_is_given_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut outbox = Outbox::open(options(folder.path())).unwrap();
    let first_epoch = outbox.stats().epoch;
    (0..1000).for_each(|id| put(&mut outbox, Lane::Data, id));
    outbox.commit(NOW_MS);
    let mut feed = outbox.feed("broker").unwrap();
    let entries = feed.next(600, usize::MAX);
    assert_eq!(entries.len(), 600);
    feed.acknowledge(Lane::Data, entries[399].sequence);
    feed.rewind();
    assert_eq!(ids(&feed.next(1, 1)), expected(Lane::Data, [400]));
    feed.save();
    drop(feed);
    // As after `kill -9`: nothing is closed.
    drop(outbox);
    let mut outbox = Outbox::open(options(folder.path())).unwrap();
    assert!(outbox.stats().epoch > first_epoch);
    (1000..1010).for_each(|id| put(&mut outbox, Lane::Data, id));
    outbox.commit(NOW_MS);
    let mut feed = outbox.feed("broker").unwrap();
    let entries = feed.next(usize::MAX, usize::MAX);
    assert_eq!(ids(&entries), expected(Lane::Data, 400..1010));
    let sequences: Vec<_> = entries.iter().map(|entry| entry.sequence).collect();
    assert_eq!(sequences, (401..1011).collect::<Vec<_>>());
    assert_eq!(entries[0].epoch, first_epoch);
    assert_eq!(entries[609].epoch, outbox.stats().epoch);
    let stats = outbox.stats();
    assert_eq!(stats.spooled, [610, 1010]);
    assert_eq!(stats.opened_with, [600, 1000]);
    assert_eq!(stats.oldest_ms, Some(NOW_MS));
}

#[test]
fn it_empties_when_all_is_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let mut outbox = Outbox::open(options(folder.path())).unwrap();
    for id in 0..5000 {
        put(&mut outbox, Lane::ALL[id % 5], id);
    }
    outbox.commit(NOW_MS);
    for sink in ["broker", "server"] {
        let mut feed = outbox.feed(sink).unwrap();
        for entry in feed.next(usize::MAX, usize::MAX) {
            feed.acknowledge(entry.lane, entry.sequence);
        }
        feed.save();
    }
    let stats = outbox.close();
    assert_eq!(stats.acknowledged, [5000, 5000]);
    assert!(stats.disk_bytes < 1 << 20, "{stats:?}");
    let on_disk = bytes_of(folder.path());
    assert!(on_disk < 1 << 20, "{on_disk} bytes are left");
    // And the sequences go on.
    let mut outbox = Outbox::open(options(folder.path())).unwrap();
    put(&mut outbox, Lane::Data, 1);
    outbox.commit(NOW_MS);
    let entries = outbox.feed("broker").unwrap().next(9, usize::MAX);
    assert_eq!(entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [1001]);
}

#[test]
fn parked_entries_are_as_they_were_and_stay_until_they_are_done_with() {
    let folder = tempfile::tempdir().unwrap();
    let mut outbox = Outbox::open(options(folder.path())).unwrap();
    (0..4).for_each(|id| put(&mut outbox, Lane::Security, id));
    outbox.commit(NOW_MS);
    let mut feed = outbox.feed("broker").unwrap();
    let entries = feed.next(4, usize::MAX);
    for entry in &entries {
        feed.park(entry, "unroutable");
        feed.acknowledge(entry.lane, entry.sequence);
    }
    assert_eq!(outbox.stats().parked, [4, 0]);
    let parked = feed.next_parked(2);
    assert_eq!(feed.next_parked(9).len(), 2);
    assert_eq!(&*parked[0].entry.note, "unroutable");
    assert_eq!(Entry { note: "".into(), ..parked[0].entry.clone() }, entries[0]);
    feed.acknowledge_parked(parked[1].place);
    feed.save();
    drop(feed);
    drop(outbox);
    let outbox = Outbox::open(options(folder.path())).unwrap();
    assert_eq!(outbox.stats().parked, [3, 0]);
    let mut feed = outbox.feed("broker").unwrap();
    let left: Vec<_> = feed.next_parked(9).into_iter().map(|it| it.entry.id).collect();
    assert_eq!(left, ["security-0".into(), "security-2".into(), "security-3".into()]);
    assert_eq!(feed.next(9, usize::MAX), []);
}

#[test]
fn there_is_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(options(folder.path())).unwrap();
    let second = Outbox::open(options(folder.path()));
    assert!(matches!(second, Err(OutboxError::Locked { .. })), "{second:?}");
    drop(outbox);
    Outbox::open(options(folder.path())).unwrap();
}

#[test]
fn the_least_important_go_first_when_there_is_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut outbox =
        Outbox::open(Options { max_bytes: 256 << 10, ..options(folder.path()) }).unwrap();
    for lane in [Lane::Security, Lane::Samples, Lane::Data] {
        for id in 0..200 {
            put(&mut outbox, lane, id);
        }
        outbox.commit(NOW_MS);
    }
    let mut refused = 0;
    for id in 0..2000 {
        let payload = [b'x'; 300];
        let id = id.to_string();
        let draft = Draft { lane: Lane::Violations, kind: "k", id: &id, payload: &payload };
        if outbox.append(draft, NOW_MS) == Admission::Shed {
            refused += 1;
        }
        if id.ends_with('0') {
            outbox.commit(NOW_MS);
        }
        assert!(outbox.stats().disk_bytes <= 256 << 10);
    }
    let stats = outbox.stats();
    let [_, security, violations, data, samples, _] = stats.held;
    assert_eq!((security, data, samples), (200, 0, 0), "{stats:?}");
    assert_eq!(stats.shed, [0, 0, refused, 200, 200, 0]);
    assert_eq!(violations + refused, 2000);
    assert_eq!(stats.undelivered_drops, [refused + 400, refused + 400]);
    let entries = outbox.feed("server").unwrap().next(usize::MAX, usize::MAX);
    assert_eq!(entries.len() as u64, 200 + violations);
    assert!(bytes_of(folder.path()) < (256 << 10) + 16_384);
}

#[test]
fn the_oldest_of_its_own_lane_go_when_it_is_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let mut outbox = Outbox::open(Options {
        max_bytes: 256 << 10,
        keep: Keep::UntilBounds,
        sinks: Vec::new(),
        ..options(folder.path())
    })
    .unwrap();
    for id in 0..5000 {
        put(&mut outbox, Lane::Local, id);
        if id % 10 == 0 {
            outbox.commit(NOW_MS);
        }
    }
    let stats = outbox.stats();
    assert_eq!(stats.held[5] + stats.shed[5], 5000);
    assert!(stats.held[5] > 300, "{stats:?}");
    assert_eq!(stats.spooled, Vec::<u64>::new());
}

#[test]
fn a_folder_that_cannot_be_made_is_no_reason_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("file");
    fs::write(&blocked, "").unwrap();
    let error = Outbox::open(options(&blocked.join("outbox"))).unwrap_err();
    assert!(error.to_string().contains("file/outbox"), "{error}");
}

#[test]
fn a_commit_is_due_when_something_waits() {
    let woken = Arc::new(AtomicU64::new(0));
    let folder = tempfile::tempdir().unwrap();
    let wake = {
        let woken = Arc::clone(&woken);
        Arc::new(move || {
            woken.fetch_add(1, Ordering::Relaxed);
        })
    };
    let mut outbox = Outbox::open(Options { wake, ..options(folder.path()) }).unwrap();
    assert_eq!(outbox.commit_due(), None);
    put(&mut outbox, Lane::Data, 1);
    assert!(outbox.commit_due().unwrap() <= Duration::from_millis(50));
    outbox.commit(NOW_MS);
    assert_eq!(woken.load(Ordering::Relaxed), 1);
    let large = vec![0; 1 << 20];
    let draft = Draft { lane: Lane::Data, kind: "k", id: "i", payload: &large };
    outbox.append(draft, NOW_MS);
    assert_eq!(outbox.commit_due(), Some(Duration::ZERO));
}

fn bytes_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| match entry.metadata().unwrap() {
            metadata if metadata.is_dir() => bytes_of(&entry.path()),
            metadata => metadata.len(),
        })
        .sum()
}
