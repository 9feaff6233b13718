//! The report balances at every moment, whatever crashed, and never when something is missing.

use std::{path::Path, sync::Arc, time::Duration};

use mop_insight::data::{
    analyst::{Edge, Outcome},
    call::{Answer, Method},
    endpoint::NotListed,
    event::Unreportable,
    reconciliation::Report,
    signal::Parties,
};
use mop_outbox::{Admission, Draft, Entry, Feed, Keep, Options, Outbox};
use mop_wire::Role;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::sinks::Verdict;

/// A node with an outbox and both tallies.
struct Node {
    folder: tempfile::TempDir,
    running: Option<RunningNode>,
    made: u64,
}

struct RunningNode {
    outbox: Outbox,
    feed: Feed,
    made: SharedMade,
    sent: Sent,
}

impl Node {
    fn new() -> Self {
        let mut node =
            Self { folder: tempfile::tempdir().expect("a folder"), running: None, made: 0 };
        node.start();
        node
    }

    fn start(&mut self) {
        let folder = self.folder.path();
        let outbox = Outbox::open(Options {
            folder: folder.to_owned(),
            max_bytes: 64 << 20,
            max_age: Duration::from_secs(86_400),
            segment_bytes: 64 << 10,
            commit_every: Duration::ZERO,
            memory_bytes: 1 << 20,
            keep: Keep::UntilDelivered,
            sinks: vec![SINK.to_owned()],
            wake: Arc::new(|| {}),
        })
        .expect("an outbox");
        repair(folder, Timestamp::now());
        let made = SharedMade::default();
        *made.lock() = Made::open(Some(folder), Timestamp::now());
        self.running = Some(RunningNode {
            feed: outbox.feed(SINK).expect("a feed"),
            outbox,
            sent: Sent::open(Some(folder), made.clone()),
            made,
        });
    }

    /// Everything in memory is gone.
    fn crash(&mut self) {
        self.running = None;
        self.start();
    }

    fn running(&mut self) -> &mut RunningNode {
        self.running.as_mut().expect("it runs")
    }

    /// A record as the module makes it, in the outbox or nowhere.
    fn make(&mut self, day: u8, is_put: bool) {
        self.made += 1;
        let id = format!("e{}/call", self.made);
        // Long, so that segments end soon.
        let payload = record(day, &"x".repeat(8 << 10)).to_string();
        let node = self.running();
        node.made.lock().forwarded(CALL, &id, payload.as_bytes());
        if is_put {
            let draft = Draft { lane: LANE, kind: CALL, id: &id, payload: payload.as_bytes() };
            let now = u64::try_from(Timestamp::now().as_millisecond()).expect("now");
            assert!(matches!(node.outbox.append(draft, now), Admission::Accepted { .. }));
            node.outbox.commit(now);
        }
    }

    fn keep(&mut self) {
        self.running().made.lock().keep(Timestamp::now());
    }

    /// The platform takes and discards; a crash may come before the outbox is told.
    fn settle(&mut self, most: usize, discards: u8, is_killed: bool) {
        let node = self.running();
        let entries = node.feed.next(most, 1 << 20);
        node.sent.sent(&entries);
        let Some(last) = entries.last().map(|entry| entry.sequence) else { return };
        for entry in &entries {
            let verdict = match (discards > 0 && entry.sequence % 3 == 0, discards) {
                (true, 1) => Verdict::Parked("discarded_url"),
                (true, _) => Verdict::Parked("too_large"),
                (false, _) => Verdict::Delivered,
            };
            node.sent.decided(entry, verdict);
            if let Verdict::Parked(reason) = verdict {
                node.feed.park(entry, reason);
            }
        }
        node.sent.acknowledges(LANE, last);
        if is_killed {
            return self.crash();
        }
        node.feed.acknowledge(LANE, last);
        node.feed.save();
    }

    fn unpark(&mut self, is_killed: bool) {
        let node = self.running();
        let parked: Vec<(u64, Entry)> =
            node.feed.next_parked(1).into_iter().map(|it| (it.place, it.entry)).collect();
        node.sent.unparks(&parked);
        if is_killed {
            return self.crash();
        }
        for (place, _) in parked {
            node.feed.acknowledge_parked(place);
        }
        node.feed.rewind();
    }

    fn report(&self) -> Report {
        report(self.folder.path())
    }
}

fn report(outbox: &Path) -> Report {
    let reading = Reading::of(outbox, || {}).expect("readable").expect("counted");
    Report::of(reading.entries, jiff::civil::Date::MIN, jiff::civil::Date::MAX)
}

fn record(day: u8, filling: &str) -> serde_json::Value {
    json!({
        "kind": CALL, "side": "server", "filling": filling,
        "event": { "endpoint": "/e", "timestamp": format!("2026-11-{day:02}T12:00:00Z") },
    })
}

#[test]
fn a_record_is_counted_under_its_day_side_and_endpoint() {
    let subject = subject_of(CALL, record(7, "").to_string().as_bytes()).expect("a call");
    assert_eq!((subject.day, subject.side), (jiff::civil::date(2026, 11, 7), Side::Server));
    assert_eq!(subject.endpoint, "/e");
    let step = json!({
        "side": "client",
        "event": { "step": "consent-created", "timestamp": "2026-11-08T02:59:59Z" },
    });
    let subject = subject_of(FUNNEL, step.to_string().as_bytes()).expect("a step");
    assert_eq!(subject.day, jiff::civil::date(2026, 11, 7), "it is the day before in Brasilia");
    assert_eq!((subject.side, &*subject.endpoint), (Side::Client, "consent-created"));
    for (kind, text) in [("quality.report", step.to_string()), (CALL, step.to_string())] {
        assert_eq!(subject_of(kind, text.as_bytes()), None);
    }
    assert_eq!(subject_of(CALL, b"?"), None);
}

fn edge(exchange: &str) -> Outcome {
    Outcome::Edge(Box::new(Edge {
        exchange: exchange.into(),
        role: Role::Server,
        at: "2026-11-07T12:00:00Z".parse().expect("a time"),
        microseconds: None,
        method: Method::Get,
        answer: Answer::Unseen,
        endpoint: Err(NotListed::Unlisted),
        unlisted: None,
        parties: Parties::default(),
        report: None,
        client_certificate_end: None,
    }))
}

#[test]
fn a_call_is_observed_once_and_something_becomes_of_it() {
    let mut node = Node::new();
    let unlisted =
        |exchange: &str| Outcome::Unlisted { exchange: exchange.into(), why: NotListed::Unlisted };
    let unreportable = Outcome::Unreportable {
        exchange: "e2".into(),
        reasons: vec![Unreportable::ConsentUnknown, Unreportable::InteractionAbsent],
        unjoined: None,
    };
    let made = node.running().made.clone();
    for outcome in [edge("e1"), unlisted("e1"), edge("e2"), unreportable] {
        made.lock().outcome(&outcome);
    }
    made.write(Timestamp::now());
    let report = node.report();
    assert!(report.is_balanced, "{report}");
    assert_eq!(report.total.observed, 2);
    let reasons: Vec<_> = report.total.not_reportable.keys().map(Reason::as_str).collect();
    assert_eq!(reasons, ["consent_unknown", "endpoint_unlisted"]);
    // What becomes of another call, or of the same one again, is nothing that became of this one.
    for outcome in [edge("e3"), unlisted("e4"), unlisted("e1")] {
        made.lock().outcome(&outcome);
    }
    made.write(Timestamp::now());
    assert!(!node.report().is_balanced);
}

#[test]
fn a_day_of_a_node_adds_up() {
    let mut node = Node::new();
    (0..10).for_each(|_| node.make(7, true));
    assert_eq!(node.report().total.waiting, 10);
    node.settle(6, 1, false);
    let total = node.report().total;
    assert_eq!((total.reported, total.sent, total.accepted, total.waiting), (10, 6, 4, 4));
    assert_eq!(total.discarded.values().sum::<u64>(), 2);
    node.unpark(false);
    node.settle(100, 2, false);
    let report = node.report();
    assert!(report.is_balanced, "{report}");
    let total = &report.total;
    assert_eq!((total.accepted, total.parked, total.waiting), (8, 1, 0));
    assert_eq!(total.discarded.values().sum::<u64>(), 1);
}

#[test]
fn what_never_reached_the_outbox_is_missed() {
    let mut node = Node::new();
    node.make(7, true);
    node.make(7, false);
    node.keep();
    node.keep();
    let report = node.report();
    assert!(!report.is_balanced, "{report}");
    assert_eq!((report.total.reported, report.total.waiting), (2, 1));
    node.crash();
    assert!(!node.report().is_balanced, "a restart hides nothing");
}

#[test]
fn an_outbox_that_was_never_counted_is_taken_over() {
    let mut node = Node::new();
    (0..9).for_each(|_| node.make(7, true));
    node.settle(6, 1, false);
    std::fs::remove_dir_all(node.folder.path().join(FOLDER)).expect("removed");
    assert!(Reading::of(node.folder.path(), || {}).expect("readable").is_none());
    node.crash();
    let report = node.report();
    assert!(report.is_balanced, "{report}");
    // Those that were delivered before are nobody's knowledge.
    assert_eq!((report.total.reported, report.total.accepted, report.total.waiting), (5, 0, 3));
}

#[test]
fn a_tally_that_is_behind_the_outbox_catches_up() {
    let mut node = Node::new();
    (0..9).for_each(|_| node.make(7, true));
    node.settle(2, 0, false);
    let sent = node.folder.path().join(FOLDER).join(SENT);
    let old = std::fs::read(&sent).expect("kept");
    node.settle(4, 1, false);
    std::fs::write(&sent, old).expect("written");
    let report = node.report();
    assert!(!report.is_balanced, "what was settled is not taken for what waits: {report}");
    node.crash();
    let report = node.report();
    assert!(report.is_balanced, "{report}");
    let total = report.total;
    assert_eq!((total.accepted, total.waiting), (4, 3));
    assert_eq!(total.discarded.values().sum::<u64>(), 2);
}

#[test]
fn a_damaged_tally_is_said_and_does_not_balance_by_chance() {
    let mut node = Node::new();
    (0..4).for_each(|_| node.make(7, true));
    node.settle(3, 0, false);
    node.keep();
    node.keep();
    std::fs::write(node.folder.path().join(FOLDER).join(MADE), b"{").expect("written");
    node.crash();
    let report = node.report();
    assert!(!report.is_balanced, "{report}");
}

#[derive(Clone, Debug)]
enum Happening {
    Make(u8),
    Keep,
    Settle(usize, u8, bool),
    Unpark(bool),
    Crash,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => (1..4_u8).prop_map(Happening::Make),
        2 => Just(Happening::Keep),
        3 => (1..8_usize, 0..3_u8, prop::bool::weighted(0.3))
            .prop_map(|(most, discards, is_killed)| Happening::Settle(most, discards, is_killed)),
        1 => prop::bool::weighted(0.3).prop_map(Happening::Unpark),
        1 => Just(Happening::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn it_balances_at_every_moment(happenings in prop::collection::vec(happening(), 1..50)) {
        let mut node = Node::new();
        for happening in happenings {
            match happening {
                Happening::Make(day) => node.make(day, true),
                Happening::Keep => node.keep(),
                Happening::Settle(most, discards, is_killed) => {
                    node.settle(most, discards, is_killed);
                }
                Happening::Unpark(is_killed) => node.unpark(is_killed),
                Happening::Crash => node.crash(),
            }
            let report = node.report();
            prop_assert!(report.is_balanced, "{}", report);
            prop_assert_eq!(report.total.reported, node.made);
        }
    }
}
