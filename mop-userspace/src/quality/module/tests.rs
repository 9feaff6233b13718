//! Sightings in any order, with any limits: each is a call or a hop, and nothing stays behind.

use std::sync::{Arc, LazyLock};

use clap::Parser as _;
use mop_contract::{Judgement, Reading, violation::Direction};
use mop_insight::data::{
    call::{Ends, Method, Span},
    digest::{Key, Subject},
};
use mop_wire::Role;
use proptest::prelude::*;

use super::{
    super::{
        inspector::{DEFAULT_WINDOW, Outcome},
        judged::FoundRule,
        records::ViolationRecord,
        window::OpenWindow,
    },
    *,
};
use crate::{
    cli::{Arguments, Command},
    rulebook::{RuleBook, RuleBooks},
};

/// A sighting that is made up.
#[derive(Clone, Debug)]
struct Seen {
    interaction: u8,
    start_ms: u64,
    length_ms: u64,
    is_client: bool,
    caller: u8,
    late_ms: u64,
    is_wrong: bool,
}

static BOOKS: LazyLock<Arc<RuleBooks>> = LazyLock::new(|| {
    let arguments = Arguments::parse_from(["mop", "replay", "x"]);
    let Command::Replay(arguments) = arguments.command else { panic!("a replay") };
    let book = RuleBook::load(&arguments.quality.rules).expect("the built-in rules");
    Arc::new(RuleBooks::new(book))
});

impl Seen {
    /// A call of this caller that is answered within these milliseconds.
    fn at(start_ms: u64, length_ms: u64, caller: u8) -> Self {
        Self {
            interaction: 0,
            start_ms,
            length_ms,
            is_client: false,
            caller,
            late_ms: 0,
            is_wrong: false,
        }
    }

    fn sighting(&self, number: usize) -> Sighting {
        let key = Key::new([0; 32]);
        let start_ns = 1_000_000_000 + self.start_ms * 1_000_000;
        Sighting {
            exchange: number.to_string().into(),
            interaction: Some(key.digest(Subject::Interaction, &[self.interaction])),
            method: Method::Get,
            path: key.digest(Subject::Path, b"/"),
            status: Some(200),
            role: if self.is_client { Role::Client } else { Role::Server },
            connection: number as u64,
            span: Span { start_ns, end_ns: start_ns + self.length_ms * 1_000_000 },
            ends: Ends {
                local: "10.0.0.1:443".parse().ok(),
                remote: format!("198.51.100.{}:1", self.caller).parse().ok(),
            },
            process: None,
            server: None,
        }
    }

    fn judged(&self, number: usize) -> Box<JudgedCall> {
        let book = BOOKS.current();
        let routed = book.contract.route("GET", "/open-insurance/resources/v3/resources");
        let operation = routed.map(|(route, _)| route.operation);
        let wrong = FoundRule {
            direction: Direction::Response,
            is_error: true,
            record: ViolationRecord {
                violation: "wrong".to_owned(),
                code: "test.wrong".to_owned(),
                severity: "error",
                attribute: "a".to_owned(),
                direction: "response",
                location: "body:/a".to_owned(),
                keyword: None,
                schema_path: None,
                expected: None,
                occurrences: 1,
            },
        };
        Box::new(JudgedCall {
            id: number.to_string(),
            ts: Timestamp::UNIX_EPOCH,
            role: if self.is_client { Role::Client } else { Role::Server },
            layer: None,
            workload: None,
            counterpart: None,
            status: Some(200),
            judgement: Judgement {
                operation,
                published: Reading::default(),
                corrected: Reading::default(),
                unjudged: Vec::new(),
            },
            rules: self.is_wrong.then_some(wrong).into_iter().collect(),
            bodies: Vec::new(),
            outcome: if self.is_wrong { Outcome::Violating } else { Outcome::Conforming },
            book,
            message: None,
        })
    }

    /// When it comes.
    fn end(&self) -> Timestamp {
        let ms = i64::try_from(self.start_ms + self.length_ms + self.late_ms).expect("small");
        Timestamp::from_millisecond(ms).expect("in range")
    }
}

fn module(most_sightings: usize, most_bytes: usize) -> Module {
    let window = OpenWindow::new(DEFAULT_WINDOW, "test".to_owned());
    Module::with_limits(Reports::new(Arc::clone(&BOOKS), window, 1), most_sightings, most_bytes)
}

/// Takes them in as they come, and gives what was counted.
fn counted(mut module: Module, seen: &[Seen]) -> InspectorCounts {
    let mut coming: Vec<(usize, &Seen)> = seen.iter().enumerate().collect();
    coming.sort_by_key(|(_, seen)| seen.end());
    for (number, seen) in coming {
        module.take(seen.sighting(number), seen.judged(number), seen.end(), None);
    }
    module.finish(None);
    assert_eq!(module.held_bytes, 0, "memory that nothing is held with");
    assert!(module.hops.is_empty(), "hops that wait for no call");
    module.counts()
}

fn seen() -> impl Strategy<Value = Seen> {
    let times = (0_u64..4000, 0_u64..500, 0_u64..3000);
    (0_u8..3, times, any::<bool>(), 0_u8..3, any::<bool>()).prop_map(
        |(interaction, (start_ms, length_ms, late_ms), is_client, caller, is_wrong)| Seen {
            interaction,
            start_ms,
            length_ms,
            is_client,
            caller,
            late_ms,
            is_wrong,
        },
    )
}

proptest! {
    /// The books balance, whatever the order and however little room there is.
    #[test]
    fn every_sighting_is_a_call_or_a_hop(
        seen in prop::collection::vec(seen(), 1..60),
        most_sightings in prop_oneof![1_usize..8, Just(1000)],
        most_bytes in prop_oneof![1_usize..20_000, Just(1 << 30)],
    ) {
        let counts = counted(module(most_sightings, most_bytes), &seen);
        let calls: u64 = counts.verdicts().iter().sum();
        prop_assert_eq!(calls + counts.hops, seen.len() as u64);
        prop_assert!(counts.differing_hops <= counts.hops && counts.lone_hops <= counts.hops);
    }
}

#[test]
fn a_call_that_is_wrong_everywhere_is_wrong_once() {
    let seen =
        [Seen::at(0, 100, 7), Seen::at(10, 50, 8)].map(|seen| Seen { is_wrong: true, ..seen });
    let counts = counted(module(100, 1 << 20), &seen);
    assert_eq!((counts.violating, counts.hops, counts.differing_hops), (1, 1, 0));
}

#[test]
fn what_is_wrong_behind_the_edge_alone_is_counted_apart() {
    let inner = Seen { is_wrong: true, ..Seen::at(10, 50, 8) };
    let counts = counted(module(100, 1 << 20), &[Seen::at(0, 100, 7), inner]);
    assert_eq!((counts.conforming, counts.hops, counts.differing_hops), (1, 1, 1));
    assert_eq!((counts.violating, counts.lone_hops), (0, 0));
}

#[test]
fn a_hop_that_comes_when_its_call_was_reported_is_told_by_itself() {
    let late = Seen { is_wrong: true, late_ms: 2500, ..Seen::at(10, 50, 8) };
    let counts = counted(module(100, 1 << 20), &[Seen::at(0, 100, 7), late]);
    assert_eq!((counts.conforming, counts.hops, counts.lone_hops), (1, 1, 1));
}

#[test]
fn a_call_that_comes_when_its_hop_was_reported_is_counted_as_split() {
    let slow = Seen { late_ms: 2500, ..Seen::at(0, 100, 7) };
    let counts = counted(module(100, 1 << 20), &[slow, Seen::at(10, 50, 8)]);
    assert_eq!((counts.conforming, counts.hops, counts.apart), (2, 0, 1));
}

#[test]
fn where_there_is_no_room_calls_are_reported_at_once() {
    let seen: Vec<Seen> = (0..50).map(|at| Seen::at(at * 10, 1, 7)).collect();
    for (most_sightings, most_bytes) in [(4, 1 << 20), (1000, 3000)] {
        let counts = counted(module(most_sightings, most_bytes), &seen);
        assert_eq!(counts.conforming, 50);
        assert!(counts.hurried > 30, "{counts:?}");
    }
}

#[test]
fn what_is_seen_once_waits_no_longer_than_it_has_to() {
    let mut module = module(100, 1 << 20);
    let seen = Seen::at(0, 100, 7);
    module.take(seen.sighting(0), seen.judged(0), seen.end(), None);
    module.advance(seen.end() + SignedDuration::from_millis(1999), None);
    assert_eq!(module.counts().conforming, 0);
    module.advance(seen.end() + SETTLE, None);
    assert_eq!(module.counts().conforming, 1);
}
