//! Any course of events against a simple model.
//!
//! Without bounds nothing may be lost: what was committed and not acknowledged is there after every
//! crash, unaltered and in order. With tight bounds the books must be right.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use proptest::prelude::*;

use super::machine::{Fault, Machine};
use crate::{
    Admission, Draft, Entry, Feed, Keep, Lane, Options, Outbox, Stats,
    state::{at, forwarded, slot},
};

#[derive(Clone, Copy, Debug)]
enum Event {
    Append {
        lane: usize,
        bytes: usize,
    },
    Commit,
    /// A sink reads so many entries.
    Next {
        sink: usize,
        entries: usize,
    },
    /// A sink is done with this many of those it has.
    Acknowledge {
        sink: usize,
        entries: usize,
    },
    /// A sink sets aside what it has next, and is done with it.
    Park {
        sink: usize,
    },
    AcknowledgeParked {
        sink: usize,
    },
    Rewind {
        sink: usize,
    },
    Save {
        sink: usize,
    },
    Wait {
        ms: u64,
    },
    SetDay {
        day_ms: u64,
    },
    Refuse(Fault),
    Heal,
    /// Dies after so many bytes of a commit.
    Crash {
        after: u64,
        loses_power: bool,
        seed: u64,
    },
    Close,
}

fn events(most: usize) -> impl Strategy<Value = Vec<Event>> {
    let sink = 0..2_usize;
    let event = prop_oneof![
        12 => (0..6_usize, 0..3000_usize).prop_map(|(lane, bytes)| Event::Append { lane, bytes }),
        6 => Just(Event::Commit),
        6 => (sink.clone(), 1..40_usize).prop_map(|(sink, entries)| Event::Next { sink, entries }),
        6 => (sink.clone(), 1..40_usize)
            .prop_map(|(sink, entries)| Event::Acknowledge { sink, entries }),
        1 => sink.clone().prop_map(|sink| Event::Park { sink }),
        1 => sink.clone().prop_map(|sink| Event::AcknowledgeParked { sink }),
        1 => sink.clone().prop_map(|sink| Event::Rewind { sink }),
        1 => sink.prop_map(|sink| Event::Save { sink }),
        2 => (0..5000_u64).prop_map(|ms| Event::Wait { ms }),
        1 => prop_oneof![Just(0), Just(1_790_003_600_000), Just(1_790_000_000_000)]
            .prop_map(|day_ms| Event::SetDay { day_ms }),
        1 => prop_oneof![
            (0..10_000_u64).prop_map(Fault::Full),
            Just(Fault::ReadOnly),
            Just(Fault::SyncFails),
            Just(Fault::ReadFails),
        ]
        .prop_map(Event::Refuse),
        2 => Just(Event::Heal),
        1 => (0..20_000_u64, any::<bool>(), any::<u64>())
            .prop_map(|(after, loses_power, seed)| Event::Crash { after, loses_power, seed }),
        1 => Just(Event::Close),
    ];
    prop::collection::vec(event, 1..most)
}

struct World {
    machine: Machine,
    options: Options,
    outbox: Option<Outbox>,
    feeds: Vec<Feed>,
    fault: Fault,
    /// Lane and payload of every record that was accepted.
    accepted: BTreeMap<u64, (Lane, Vec<u8>)>,
    /// Those not known to be durable.
    pending: BTreeSet<u64>,
    sinks: [Sink; 2],
    next_id: u64,
    /// Records that were not durable when the power failed: some bytes of some may be there.
    torn: u64,
}

#[derive(Default)]
struct Sink {
    /// Entries given and not acknowledged, in the order given.
    given: Vec<Entry>,
    /// The last sequence given since the sink went back, by lane.
    last: [u64; 6],
    /// Records that it acknowledged.
    done: BTreeSet<u64>,
    /// Durable records that it must still get.
    owed: BTreeSet<u64>,
    /// Records set aside durably.
    parked: BTreeSet<u64>,
}

impl World {
    fn new(options: Options) -> Self {
        let mut world = Self {
            machine: Machine::new(),
            options,
            outbox: None,
            feeds: Vec::new(),
            fault: Fault::None,
            accepted: BTreeMap::new(),
            pending: BTreeSet::new(),
            sinks: Default::default(),
            next_id: 0,
            torn: 0,
        };
        world.open();
        world
    }

    fn open(&mut self) {
        self.feeds.clear();
        drop(self.outbox.take());
        self.fault = Fault::None;
        let outbox = Outbox::open_on(Arc::new(self.machine.clone()), self.options.clone()).unwrap();
        self.feeds = ["one", "two"].map(|sink| outbox.feed(sink).unwrap()).into();
        self.outbox = Some(outbox);
        for sink in &mut self.sinks {
            sink.given.clear();
            sink.last = [0; 6];
        }
    }

    fn outbox(&mut self) -> &mut Outbox {
        self.outbox.as_mut().unwrap()
    }

    fn day_ms(&self) -> u64 {
        use crate::storage::Storage as _;
        self.machine.day_ms()
    }

    fn run(&mut self, event: Event) {
        match event {
            Event::Append { lane, bytes } => self.append(Lane::ALL[lane], bytes),
            Event::Commit => self.commit(),
            Event::Next { sink, entries } => self.read(sink, entries),
            Event::Acknowledge { sink, entries } => self.acknowledge(sink, entries),
            Event::Park { sink } => self.park(sink),
            Event::AcknowledgeParked { sink } => {
                self.feeds[sink].rewind();
                self.went_back(sink);
                if let Some(parked) = self.feeds[sink].next_parked(1).pop() {
                    self.feeds[sink].acknowledge_parked(parked.place);
                    self.sinks[sink].parked.remove(&id_of(&parked.entry));
                }
            }
            Event::Rewind { sink } => {
                self.feeds[sink].rewind();
                self.went_back(sink);
            }
            Event::Save { sink } => self.feeds[sink].save(),
            Event::Wait { ms } => self.machine.wait(ms),
            Event::SetDay { day_ms } => self.machine.set_day(day_ms),
            Event::Refuse(fault) => {
                self.machine.set_fault(fault);
                self.fault = fault;
            }
            Event::Heal => {
                self.machine.set_fault(Fault::None);
                self.fault = Fault::None;
                self.machine.wait(2_000);
                self.commit();
            }
            Event::Crash { after, loses_power, seed } => {
                self.machine.set_fault(Fault::Dies(after));
                self.machine.wait(2_000);
                let day_ms = self.day_ms();
                self.outbox().commit(day_ms);
                self.note_durable();
                self.feeds.clear();
                drop(self.outbox.take());
                self.machine.crash(loses_power, seed);
                self.torn += self.pending.len() as u64;
                self.forget_pending();
                self.open();
            }
            Event::Close => {
                self.feeds.clear();
                let stats = self.outbox.take().unwrap().close();
                if stats.memory_bytes == 0 {
                    self.all_durable();
                }
                self.machine.set_fault(Fault::None);
                self.forget_pending();
                self.open();
            }
        }
        self.check_books();
    }

    fn append(&mut self, lane: Lane, bytes: usize) {
        self.next_id += 1;
        let id = self.next_id;
        let payload: Vec<u8> = (0..bytes).map(|at| (at as u64 * 7 + id) as u8).collect();
        let time_ms = self.day_ms();
        let text = id.to_string();
        let draft = Draft { lane, kind: "kind", id: &text, payload: &payload };
        if matches!(self.outbox().append(draft, time_ms), Admission::Accepted { .. }) {
            self.accepted.insert(id, (lane, payload));
            self.pending.insert(id);
        }
        self.note_durable();
    }

    fn commit(&mut self) {
        let day_ms = self.day_ms();
        self.outbox().commit(day_ms);
        self.note_durable();
    }

    fn note_durable(&mut self) {
        if self.outbox().stats().memory_bytes == 0 {
            self.all_durable();
        }
    }

    fn all_durable(&mut self) {
        for id in std::mem::take(&mut self.pending) {
            let lane = self.accepted[&id].0;
            for sink in self.sinks.iter_mut().filter(|_sink| lane.is_forwarded()) {
                if !sink.done.contains(&id) {
                    sink.owed.insert(id);
                }
            }
        }
    }

    /// What was not durable may be there or not.
    fn forget_pending(&mut self) {
        self.pending.clear();
    }

    fn read(&mut self, sink: usize, entries: usize) {
        let found = self.feeds[sink].next(entries, 20_000);
        assert!(found.len() <= entries);
        for entry in found {
            let (lane, payload) = &self.accepted[&id_of(&entry)];
            assert_eq!((entry.lane, &entry.payload), (*lane, payload), "an entry was altered");
            assert_eq!((&*entry.kind, &*entry.note), ("kind", ""));
            let last = slot(&mut self.sinks[sink].last, entry.lane);
            assert!(entry.sequence > *last, "out of order, or twice");
            *last = entry.sequence;
            self.sinks[sink].given.push(entry);
        }
    }

    fn acknowledge(&mut self, sink: usize, entries: usize) {
        let given = &mut self.sinks[sink].given;
        let done: Vec<Entry> = given.drain(..entries.min(given.len())).collect();
        for lane in forwarded() {
            let last = done.iter().rfind(|entry| entry.lane == lane);
            if let Some(last) = last {
                self.feeds[sink].acknowledge(lane, last.sequence);
            }
        }
        for entry in done {
            self.settle(sink, id_of(&entry));
        }
    }

    fn settle(&mut self, sink: usize, id: u64) {
        self.sinks[sink].owed.remove(&id);
        // From memory, before it was durable: it is not owed when it becomes so.
        self.sinks[sink].done.insert(id);
    }

    fn park(&mut self, sink: usize) {
        if self.sinks[sink].given.is_empty() {
            return;
        }
        let entry = self.sinks[sink].given.remove(0);
        self.feeds[sink].park(&entry, "unroutable");
        self.feeds[sink].acknowledge(entry.lane, entry.sequence);
        let id = id_of(&entry);
        if self.fault == Fault::None && self.outbox().stats().degraded.is_none() {
            self.sinks[sink].parked.insert(id);
        }
        self.settle(sink, id);
    }

    fn went_back(&mut self, sink: usize) {
        self.sinks[sink].given.clear();
        self.sinks[sink].last = [0; 6];
    }

    fn check_books(&mut self) {
        let stats = self.outbox().stats();
        check_books(&stats);
    }

    /// Everything that is owed comes, in order.
    fn check_nothing_is_lost(&mut self) {
        self.run(Event::Heal);
        for sink in 0..2 {
            self.run(Event::Rewind { sink });
            loop {
                let before = self.sinks[sink].given.len();
                self.read(sink, 1000);
                if self.sinks[sink].given.len() == before {
                    break;
                }
            }
            let given: BTreeSet<u64> = self.sinks[sink].given.iter().map(id_of).collect();
            assert_eq!(given.len(), self.sinks[sink].given.len(), "one came twice");
            let missing: Vec<_> = self.sinks[sink].owed.difference(&given).collect();
            assert!(missing.is_empty(), "lost for sink {sink}: {missing:?}");
            let parked = self.feeds[sink].next_parked(10_000);
            let parked: BTreeSet<u64> = parked.iter().map(|it| id_of(&it.entry)).collect();
            let missing: Vec<_> = self.sinks[sink].parked.difference(&parked).collect();
            assert!(missing.is_empty(), "lost among the parked: {missing:?}");
        }
        let stats = self.outbox().stats();
        assert_eq!(stats.degraded, None);
        assert!(stats.damaged <= self.torn, "{} of {}", stats.damaged, self.torn);
    }
}

fn id_of(entry: &Entry) -> u64 {
    entry.id.parse().unwrap()
}

pub(super) fn check_books(stats: &Stats) {
    let appended: u64 = forwarded().map(|lane| *at(&stats.appended, lane)).sum();
    for sink in 0..stats.spooled.len() {
        assert_eq!(
            stats.opened_with[sink] + appended,
            stats.acknowledged[sink]
                + stats.spooled[sink]
                + stats.undelivered_drops[sink]
                + stats.undelivered_damage[sink],
            "sink {sink}: {stats:?}"
        );
    }
}

pub(super) fn options() -> Options {
    Options {
        folder: PathBuf::from("/outbox"),
        max_bytes: 1 << 40,
        max_age: Duration::from_secs(7 * 86_400),
        segment_bytes: 10_000,
        commit_every: Duration::from_millis(50),
        memory_bytes: 1 << 30,
        keep: Keep::UntilDelivered,
        sinks: vec!["one".into(), "two".into()],
        wake: Arc::new(|| {}),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("MOP_OUTBOX_CASES").map_or(CASES, |cases| cases.parse().unwrap()),
        ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_committed_is_ever_lost(
        events in events(120), every_record: bool, keeps: bool,
    ) {
        let mut options = options();
        if every_record {
            options.commit_every = Duration::ZERO;
        }
        if keeps {
            options.keep = Keep::UntilBounds;
        }
        let mut world = World::new(options);
        for event in events {
            world.run(event);
        }
        world.check_nothing_is_lost();
        world.run(Event::Close);
        world.check_nothing_is_lost();
    }

    #[test]
    fn the_books_are_right_within_tight_bounds(
        events in events(200), keeps: bool, memory_bytes in 5_000..40_000_u64,
    ) {
        let mut options =
            Options { max_bytes: 50_000, memory_bytes, max_age: Duration::from_secs(20), ..options() };
        if keeps {
            options.keep = Keep::UntilBounds;
        }
        let mut world = World::new(options);
        for event in events {
            world.run(event);
            let stats = world.outbox().stats();
            prop_assert!(stats.memory_bytes <= memory_bytes, "{:?}", stats);
            prop_assert!(stats.disk_bytes + stats.memory_bytes <= 50_000 + 2048, "{:?}", stats);
        }
    }
}

/// A few seconds' worth on a busy machine; `MOP_OUTBOX_CASES` asks for more.
const CASES: u32 = 400;
