//! Each call once: proxies, tries that are repeated, and both sides on one node.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::{collections::BTreeMap, sync::Arc};

use common::{Made, analyse, events};
use jiff::{SignedDuration, Timestamp};
use mop_insight::data::{
    analyst::Outcome,
    call::{Ends, Method, Observed, Span},
    digest::{Digest, Key, Subject},
    once::{OnceWindow, Place, Settled, Sighting},
};
use mop_wire::Role;
use proptest::prelude::*;

const CONSENTS: &str = "/open-insurance/consents/v3/consents/urn:a:1";
const PUBLIC: &str = "198.51.100.7:40112";

fn call(at: i64, takes: u64, connection: u64) -> Made {
    Made::new("GET", CONSENTS, 404).takes(takes).at(at, connection)
}

/// A proxy on the node that takes the call, what it sends on, and the application behind it.
fn through_proxy(at: i64, connection: u64) -> Vec<Made> {
    vec![
        call(at, 100, connection).ends("10.0.0.1:443", PUBLIC),
        call(at + 1, 98, connection + 1).client().ends("10.0.0.1:50000", "10.0.0.2:8080"),
        call(at + 2, 96, connection + 2).ends("10.0.0.2:8080", "10.0.0.1:50000"),
    ]
}

#[test]
fn a_call_through_a_proxy_is_one() {
    let sightings = through_proxy(0, 1);
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1], [1, 0, 2], [2, 0, 1]] {
        let made: Vec<Made> = order.iter().map(|at| sightings[*at].clone()).collect();
        let (outcomes, counts) = analyse(&made);
        let events = events(&outcomes);
        assert_eq!((events.len(), counts.hops), (1, 2), "{order:?}");
        assert_eq!((events[0].hops, events[0].side), (2, Role::Server));
        let edge = events[0].exchange.clone();
        let is_linked =
            |outcome: &Outcome| !matches!(outcome, Outcome::Hop { of, .. } if **of != *edge);
        assert!(outcomes.iter().all(is_linked), "{outcomes:?}");
    }
}

#[test]
fn a_second_try_is_a_second_call() {
    let mut made = through_proxy(0, 1);
    made.extend(through_proxy(200, 11));
    let (outcomes, counts) = analyse(&made);
    assert_eq!((events(&outcomes).len(), counts.hops), (2, 4));
    let ids: std::collections::HashSet<_> =
        events(&outcomes).iter().map(|it| serde_json::to_string(&it.event).unwrap()).collect();
    assert_eq!(ids.len(), 2);
}

#[test]
fn two_tries_at_once_from_one_address_are_two_calls() {
    let made = vec![
        call(0, 100, 1).ends("10.0.0.1:443", PUBLIC),
        call(10, 50, 2).ends("10.0.0.1:443", "198.51.100.7:40113"),
    ];
    assert_eq!(events(&analyse(&made).0).len(), 2);
}

#[test]
fn a_proxy_that_tries_twice_has_two_hops() {
    let mut failed = call(1, 20, 2).ends("127.0.0.1:8080", "127.0.0.1:50001");
    failed.exchange.response.as_mut().unwrap().status = 502;
    let made = vec![
        failed,
        call(30, 20, 3).ends("127.0.0.1:8080", "127.0.0.1:50002"),
        call(0, 100, 1).ends("10.0.0.1:443", PUBLIC),
    ];
    let (outcomes, counts) = analyse(&made);
    assert_eq!((events(&outcomes).len(), counts.hops), (1, 2));
}

#[test]
fn a_proxy_on_the_way_out_is_another_process() {
    let made = |inner_process| {
        let mut outer = call(0, 100, 1).client().ends("10.0.0.1:50000", "203.0.113.9:443");
        let mut inner = call(1, 98, 2).client().ends("10.0.0.1:50001", "203.0.113.9:443");
        outer.process = Some(10);
        inner.process = inner_process;
        [inner, outer]
    };
    assert_eq!(events(&analyse(&made(Some(11))).0).len(), 1);
    // The same process has two tries at once; and who is unknown is judged by address.
    assert_eq!(events(&analyse(&made(Some(10))).0).len(), 2);
    assert_eq!(events(&analyse(&made(None)).0).len(), 2);
}

#[test]
fn both_sides_of_a_call_report() {
    let made = vec![
        call(0, 100, 1).client().ends("10.0.0.9:50000", "10.0.0.1:443"),
        call(1, 98, 2).ends("10.0.0.1:443", "10.0.0.9:50000"),
    ];
    let (outcomes, _) = analyse(&made);
    let sides: Vec<_> = events(&outcomes).iter().map(|event| event.side).collect();
    assert_eq!(sides, [Role::Client, Role::Server]);
}

#[test]
fn a_call_to_another_organisation_is_no_hop() {
    // The server asks another brand the same, under the same interaction, while it answers.
    let onward = call(1, 98, 2)
        .client()
        .without("Host")
        .header("Host", "other.example")
        .ends("10.0.0.1:50000", "203.0.113.9:443");
    let own = call(0, 100, 1).ends("10.0.0.1:443", PUBLIC);
    let mut addresses = common::addresses();
    let other = serde_json::json!([{ "OrganisationId": common::CLIENT, "AuthorisationServers": [{
        "AuthorisationServerId": common::AUTHORISATION,
        "OpenIDDiscoveryDocument": "https://other.example/",
    }] }]);
    addresses.directory =
        mop_insight::data::identity::directory::Directory::parse(other.to_string().as_bytes())
            .unwrap();
    let mut analyst = common::analyst();
    analyst.replace_addresses(Arc::new(addresses));
    let (_, counts) = common::analyse_by(&mut analyst, &[own, onward]);
    assert_eq!(counts.hops, 0);
}

#[test]
fn open_data_without_interaction_needs_a_caller_on_the_node() {
    let open = |at, takes, connection| {
        Made::new("GET", "/open-insurance/channels/v2/branches", 200)
            .without("x-fapi-interaction-id")
            .takes(takes)
            .at(at, connection)
    };
    let (outcomes, counts) = analyse(&[
        open(0, 100, 1).ends("10.0.0.1:443", PUBLIC),
        open(5, 90, 2).ends("10.0.0.1:443", "203.0.113.5:1"),
        open(10, 80, 3).ends("10.0.0.1:8080", "10.0.0.1:50000"),
    ]);
    assert_eq!((events(&outcomes).len(), counts.hops), (2, 1));
}

#[test]
fn a_busy_path_without_interactions_shows_its_hops() {
    let open = |number: i64, after_ms, takes_ms, connection| {
        Made::new("GET", "/open-insurance/channels/v2/branches", 200)
            .without("x-fapi-interaction-id")
            .takes(takes_ms)
            .at(number * 3 + after_ms, connection)
    };
    // 333 calls a second, each seen at a proxy and behind it; the inner sighting comes first.
    let calls = (0..1000).flat_map(|number| {
        [
            open(number, 1, 8, 2).ends("10.0.0.1:8080", "10.0.0.1:50000"),
            open(number, 0, 10, 1).ends("10.0.0.1:443", PUBLIC),
        ]
    });
    let calls: Vec<Made> = calls.collect();
    let (outcomes, counts) = analyse(&calls);
    assert_eq!((events(&outcomes).len(), counts.hops), (1000, 1000));
}

#[derive(Clone, Debug)]
struct Seen {
    interaction: u8,
    start: u64,
    length: u64,
    role: Role,
    caller: u8,
}

fn seen() -> impl Strategy<Value = Seen> {
    (0_u8..3, 0_u64..200, 0_u64..100, any::<bool>(), 0_u8..3).prop_map(
        |(interaction, start, length, is_client, caller)| Seen {
            interaction,
            start,
            length,
            role: if is_client { Role::Client } else { Role::Server },
            caller,
        },
    )
}

fn sighting(number: usize, seen: &Seen) -> Sighting {
    let key = Key::new([0; 32]);
    let digest = |byte: u8| -> Digest { key.digest(Subject::Interaction, &[byte]) };
    let start_ns = 1_000_000_000 + seen.start * 1_000_000;
    Sighting {
        exchange: number.to_string().into(),
        interaction: Some(digest(seen.interaction)),
        method: Method::Get,
        path: key.digest(Subject::Path, b"/"),
        status: Some(200),
        role: seen.role,
        connection: number as u64,
        span: Span { start_ns, end_ns: start_ns + seen.length * 1_000_000 },
        ends: Ends {
            local: "10.0.0.1:443".parse().ok(),
            remote: format!("198.51.100.{}:1", seen.caller).parse().ok(),
        },
        process: None,
        server: Some("x".to_owned()),
    }
}

fn settle(sightings: &[Sighting], limit: usize) -> BTreeMap<Arc<str>, Place> {
    let mut window = OnceWindow::new(SignedDuration::from_secs(2), limit);
    let mut places = BTreeMap::new();
    let mut put = |settled: Settled<Arc<str>>| {
        assert!(places.insert(settled.item, settled.place).is_none(), "given out twice");
    };
    let now = Timestamp::UNIX_EPOCH;
    for sighting in sightings {
        let item = sighting.exchange.clone();
        window.see(sighting.clone(), item, now).into_iter().for_each(&mut put);
        assert!(window.len() <= limit);
        assert!(window.take_due(now + SignedDuration::from_secs(1)).is_none());
    }
    while let Some(settled) = window.take_due(now + SignedDuration::from_secs(2)) {
        put(settled);
    }
    // All is given out, and some time later all is forgotten.
    assert!(window.take_due(now + SignedDuration::from_secs(9)).is_none());
    assert!(window.is_empty());
    places
}

proptest! {
    /// A sighting is a hop exactly when some other one contains it, whatever their order; and the
    /// hops that are linked to a call really are its own.
    #[test]
    fn hops_are_those_that_another_contains(
        seen in prop::collection::vec(seen(), 1..12),
        order in any::<prop::sample::Index>(),
    ) {
        let sightings: Vec<Sighting> =
            seen.iter().enumerate().map(|(number, seen)| sighting(number, seen)).collect();
        let mut shuffled = sightings.clone();
        shuffled.rotate_left(order.index(sightings.len()));
        let places = settle(&shuffled, 1000);
        prop_assert_eq!(places.len(), sightings.len());
        for inner in &sightings {
            let outer: Vec<&Sighting> =
                sightings.iter().filter(|outer| inner.is_hop_of(outer)).collect();
            match &places[&inner.exchange] {
                Place::Edge { .. } => prop_assert!(outer.is_empty(), "{:?}", inner),
                Place::Hop { of, is_late } => {
                    // It leads outward, to a call that is told with it.
                    prop_assert!(!outer.is_empty() && !is_late, "{:?}", inner);
                    prop_assert!(matches!(places[of], Place::Edge { .. }), "{:?}", inner);
                }
            }
            prop_assert!(!inner.is_hop_of(inner));
            prop_assert!(outer.iter().all(|outer| !outer.is_hop_of(inner)), "both ways");
        }
    }

    /// A full window gives every sighting out once all the same.
    #[test]
    fn a_full_window_loses_nothing(seen in prop::collection::vec(seen(), 1..40), limit in 1_usize..8) {
        let sightings: Vec<Sighting> =
            seen.iter().enumerate().map(|(number, seen)| sighting(number, seen)).collect();
        prop_assert_eq!(settle(&sightings, limit).len(), sightings.len());
    }
}

#[test]
fn a_client_that_is_stamped_late_is_no_hop_of_what_its_server_does() {
    let client = "198.51.100.7:40112";
    let by = |made: Made, process| Made { process: Some(process), ..made };
    let mut made = vec![
        by(call(0, 100, 1).ends("10.0.0.1:443", client), 10),
        by(call(1, 98, 2).client().ends("10.0.0.1:50000", "10.0.0.2:8080"), 10),
        by(call(2, 96, 3).ends("10.0.0.2:8080", "10.0.0.1:50000"), 11),
        // Its write returned when all the others had begun, and it read before they had returned.
        by(call(10, 80, 4).client().ends(client, "10.0.0.1:443"), 12),
    ];
    for _ in 0..made.len() {
        made.rotate_left(1);
        let (outcomes, counts) = analyse(&made);
        let sides: Vec<_> = events(&outcomes).iter().map(|it| (it.side, it.hops)).collect();
        assert_eq!(sides.len(), 2, "{outcomes:?}");
        assert!(
            sides.contains(&(Role::Server, 2)) && sides.contains(&(Role::Client, 1)),
            "{sides:?}"
        );
        assert_eq!(counts.hops, 2);
    }
}

/// What a window gives out, in its order; time goes on by these milliseconds before each sighting.
fn given(sightings: &[(i64, Sighting)]) -> Vec<(Arc<str>, Place)> {
    let mut window = OnceWindow::new(SignedDuration::from_secs(2), 100);
    let (mut given, mut now) = (Vec::new(), Timestamp::UNIX_EPOCH);
    for (wait_ms, sighting) in sightings {
        now += SignedDuration::from_millis(*wait_ms);
        while let Some(settled) = window.take_due(now) {
            given.push((settled.item, settled.place));
        }
        assert!(window.see(sighting.clone(), sighting.exchange.clone(), now).is_empty());
    }
    while let Some(settled) = window.take_first() {
        given.push((settled.item, settled.place));
    }
    assert_eq!(window.waiting(), 0);
    given
}

/// Seen by a server, from this caller, for so long.
fn by_server(number: usize, start: u64, length: u64, caller: u8) -> Sighting {
    sighting(number, &Seen { interaction: 0, start, length, role: Role::Server, caller })
}

fn hop(of: &str) -> Place {
    Place::Hop { of: of.into(), is_late: false }
}

fn edge(hops: u32) -> Place {
    Place::Edge { hops, apart: Vec::new() }
}

#[test]
fn hops_are_given_out_before_their_call_though_they_came_after_it() {
    let sightings = [
        (0, by_server(1, 0, 100, 1)),
        (1900, by_server(2, 10, 80, 2)),
        (200, by_server(3, 500, 1, 1)),
    ];
    let given = given(&sightings);
    let expected = [("2", hop("1")), ("1", edge(1)), ("3", edge(0))];
    assert_eq!(given, expected.map(|(id, place)| (id.into(), place)));
}

#[test]
fn a_hop_leads_to_the_edge_through_every_proxy() {
    // Behind the second proxy the caller has the first one's address again.
    let sightings = [by_server(3, 20, 60, 1), by_server(2, 10, 80, 2), by_server(1, 0, 100, 1)];
    assert!(!sightings[0].is_hop_of(&sightings[2]));
    let given = given(&sightings.map(|sighting| (0, sighting)));
    let expected = [("3", hop("1")), ("2", hop("1")), ("1", edge(1))];
    assert_eq!(given, expected.map(|(id, place)| (id.into(), place)));
}

#[test]
fn a_hop_of_a_hop_that_was_given_out_comes_with_its_call() {
    let sightings = [by_server(0, 43, 54, 1), by_server(1, 0, 92, 0), by_server(2, 43, 0, 0)];
    let given = given(&sightings.map(|sighting| (0, sighting)));
    let expected = [("0", hop("1")), ("2", hop("1")), ("1", edge(1))];
    assert_eq!(given, expected.map(|(id, place)| (id.into(), place)));
}

#[test]
fn what_comes_too_late_says_so() {
    let late = given(&[(0, by_server(1, 0, 100, 1)), (2500, by_server(2, 10, 80, 2))]);
    assert_eq!(late[1], ("2".into(), Place::Hop { of: "1".into(), is_late: true }));
    let apart = given(&[(0, by_server(2, 10, 80, 2)), (2500, by_server(1, 0, 100, 1))]);
    assert_eq!(apart[1].1, Place::Edge { hops: 1, apart: vec!["2".into()] });
}

#[test]
fn without_interactions_calls_side_by_side_in_one_process_are_two() {
    let seen = |number, start, length, process| {
        let mut sighting = by_server(number, start, length, 1);
        (sighting.interaction, sighting.process) = (None, Some(process));
        sighting.ends.remote = "127.0.0.1:40112".parse().ok();
        sighting
    };
    let outer = seen(1, 0, 100, 7);
    assert!(!seen(2, 10, 80, 7).is_hop_of(&outer));
    assert!(seen(2, 10, 80, 8).is_hop_of(&outer));
    let unknown = Sighting { process: None, ..seen(2, 10, 80, 7) };
    assert!(unknown.is_hop_of(&outer));
}

#[test]
fn where_nobody_is_known_a_proxy_passes_on_to_private_addresses_only() {
    let is_hop = |remote: &str, outer_server: Option<&str>, inner_server: Option<&str>| {
        let server = |it: Option<&str>| it.map(str::to_owned);
        let outer = Sighting { server: server(outer_server), ..by_server(1, 0, 100, 1) };
        let inner = Seen { interaction: 0, start: 10, length: 80, role: Role::Client, caller: 0 };
        let mut inner = Sighting { server: server(inner_server), ..sighting(2, &inner) };
        inner.ends.remote = remote.parse().ok();
        inner.is_hop_of(&outer)
    };
    for inside in ["127.0.0.1:80", "10.1.2.3:80", "100.64.0.9:80", "10.0.0.1:80", "[fd00::1]:80"] {
        assert!(is_hop(inside, None, None), "{inside}");
    }
    for outside in ["203.0.113.9:443", "100.128.0.1:80", "[2001:db8::1]:443"] {
        assert!(!is_hop(outside, None, None), "{outside}");
        assert!(is_hop(outside, Some("x"), Some("x")), "{outside}");
    }
    assert!(!is_hop("10.1.2.3:80", None, Some("y")), "another organisation is called");
}

#[test]
fn a_proxy_belongs_to_the_side_that_it_serves() {
    // Both sides are on the node: what the proxy sends on is of the call that it took.
    let client = "198.51.100.7:40112";
    let by = |made: Made, process| Made { process: Some(process), ..made };
    let made = [
        by(call(3, 96, 3).ends("10.0.0.2:8080", "10.0.0.1:50000"), 11),
        by(call(2, 98, 2).client().ends("10.0.0.1:50000", "10.0.0.2:8080"), 10),
        by(call(1, 100, 1).ends("10.0.0.1:443", client), 10),
        by(call(0, 102, 4).client().ends(client, "10.0.0.1:443"), 12),
    ];
    let (outcomes, _) = analyse(&made);
    let server = events(&outcomes).into_iter().find(|it| it.side == Role::Server).unwrap();
    let server = server.exchange.clone();
    let hops = outcomes.iter().filter(|it| matches!(it, Outcome::Hop { .. })).count();
    let is_of_server =
        |outcome: &Outcome| !matches!(outcome, Outcome::Hop { of, .. } if **of != *server);
    assert!(hops == 2 && outcomes.iter().all(is_of_server), "{outcomes:?}");
}

#[test]
fn an_exchange_is_told_from_others_without_a_call_as_with_one() {
    let addresses = common::addresses();
    let mut all = through_proxy(0, 1);
    all.push(call(5, 10, 9).without("x-fapi-interaction-id").ends("10.0.0.1:443", PUBLIC));
    for made in all {
        let call = made.call();
        let observed = Observed {
            exchange: &call.exchange,
            start: made.start,
            ends: call.ends,
            process: made.process,
            peer_certificate: None,
            own_certificate: None,
            connection_end_ns: None,
        };
        let (parties, _) = addresses.parties(&call);
        let key = common::settings().key;
        let read = Sighting::read(&made.exchange, &observed, &addresses, &key).unwrap();
        assert_eq!(read, Sighting::of(&call, parties.server_organisation));
    }
}
