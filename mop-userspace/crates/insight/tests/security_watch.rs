//! From what calls show to what is told: once, together, by points, and of whom.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod common;

use std::sync::Arc;

use common::Made;
use jiff::{SignedDuration, Timestamp};
use mop_insight::{
    data::{
        call::{Ends, Method, Span},
        digest::{Key, Subject},
        once::Sighting,
        signal::Parties,
    },
    security::{
        finding::Finding,
        inspector::{Against, Hit, Inspection, Inspector, PassedOver},
        pseudonym::{Class, Pseudonymiser},
        rules::{RuleSet, parse_documents},
        watch::{About, Caller, Noticed, Seen, SeenCall, Shown, Watch, WatchSettings},
    },
};
use mop_wire::Role;

const RULES: &str = r"
title: A
name: a
logsource: {category: webserver}
detection: {s: {url.path: /open-insurance/a}, condition: s}
level: high
mop: {paranoia: 1, owasp: API1:2023, reason: {en: why, pt: por}}
---
title: B
name: b
logsource: {category: webserver}
detection: {s: {url.path: /open-insurance/b}, condition: s}
level: medium
mop: {paranoia: 3}
---
title: C
name: c
logsource: {category: webserver}
detection: {s: {url.path: /open-insurance/c}, condition: s}
level: informational
mop: {paranoia: 1}
";

struct Rig {
    watch: Watch,
    rules: Arc<RuleSet>,
    noticed: Vec<Noticed>,
    made: u64,
}

impl Rig {
    fn new(change: impl FnOnce(&mut WatchSettings)) -> Self {
        let documents = parse_documents("t.yml", RULES).unwrap();
        let mut settings = WatchSettings::new(Key::new([7; 32]));
        change(&mut settings);
        Self {
            watch: Watch::new(settings, None),
            rules: Arc::new(RuleSet::compile(&documents).unwrap()),
            noticed: Vec::new(),
            made: 0,
        }
    }

    /// A call that matches these rules, by their numbers.
    fn seen(&mut self, second: i64, client: &str, rules: &[usize]) -> Seen {
        self.made += 1;
        let key = Key::new([7; 32]);
        let start = Timestamp::from_second(1_700_000_000 + second).unwrap();
        let start_ns = u64::try_from(second).unwrap() * 1_000_000_000 + self.made;
        let exchange = Arc::<str>::from(format!("e{}", self.made));
        let sighting = Sighting {
            exchange: Arc::clone(&exchange),
            interaction: Some(key.digest(Subject::Interaction, &self.made.to_be_bytes())),
            method: Method::Get,
            path: key.digest(Subject::Path, b"/a"),
            status: Some(200),
            role: Role::Server,
            connection: self.made,
            span: Span { start_ns, end_ns: start_ns + 1_000_000 },
            ends: Ends::default(),
            process: None,
            server: None,
        };
        let parties =
            Parties { client_organisation: Some(client.to_owned()), ..Parties::default() };
        let shown = Shown {
            call: SeenCall {
                exchange,
                role: Role::Server,
                start,
                end: start,
                method: Some("GET"),
                endpoint: Some("/open-insurance/x".to_owned()),
                parties,
                client: Some(key.digest(Subject::Observed, client.as_bytes())),
                caller: Caller::default(),
                about: About::default(),
            },
            inspection: Inspection {
                hits: rules.iter().map(|rule| Hit { rule: *rule, places: Vec::new() }).collect(),
                ..Inspection::default()
            },
            rules: Arc::clone(&self.rules),
            facts: None,
        };
        Seen {
            sighting,
            end: start,
            passed_over: PassedOver::default(),
            shown: Some(Box::new(shown)),
        }
    }

    fn call(&mut self, second: i64, client: &str, rules: &[usize]) {
        let seen = self.seen(second, client, rules);
        self.watch.observe(seen, &mut self.noticed);
    }

    fn told(&mut self) -> Vec<Finding> {
        self.watch.finish(&mut self.noticed);
        self.noticed.drain(..).map(|noticed| noticed.finding).collect()
    }
}

fn of(findings: &[Finding], rule: &str) -> Vec<(u64, Option<String>)> {
    let of_rule = findings.iter().filter(|finding| finding.facts.rule == rule);
    of_rule.map(|finding| (finding.facts.count, finding.facts.exchange.clone())).collect()
}

#[test]
fn many_findings_of_one_rule_and_client_are_told_together() {
    let mut rig = Rig::new(|settings| {
        settings.told_singly = 3;
        settings.points = u32::MAX;
    });
    for second in 0..10 {
        rig.call(second, "one", &[0]);
    }
    rig.call(10, "another", &[0]);
    let findings = rig.told();
    let told = of(&findings, "a");
    assert_eq!(told.len(), 5, "three, one of another client, and the rest");
    assert_eq!(told.iter().map(|(count, _)| count).sum::<u64>(), 11);
    assert_eq!(told.last(), Some(&(7, None)));
    let rest = findings.iter().find(|finding| finding.facts.count == 7).unwrap();
    let length = rest.facts.last_seen.duration_since(rest.facts.first_seen);
    assert_eq!(length, SignedDuration::from_secs(6));
    assert_eq!(rest.facts.reason.pt, "por");
    let ids: std::collections::HashSet<_> = findings.iter().map(|finding| &finding.id).collect();
    assert_eq!(ids.len(), findings.len());
}

#[test]
fn a_finding_is_about_the_consent_and_token_that_all_of_its_calls_have() {
    let pseudonymiser = Pseudonymiser::new(Key::new([7; 32]));
    let identifier = |class, value: &str| pseudonymiser.identifier(class, value);
    let consent = identifier(Class::Consent, "urn:mop:c");
    assert!(consent.is_some());
    let mut rig = Rig::new(|settings| {
        settings.told_singly = 1;
        settings.points = 8;
    });
    for second in 0..4 {
        let mut seen = rig.seen(second, "one", &[0]);
        let token = identifier(Class::Token, &format!("token {second}"));
        seen.shown.as_mut().unwrap().call.about = About { consent, token };
        rig.watch.observe(seen, &mut rig.noticed);
    }
    rig.watch.finish(&mut rig.noticed);
    let about = |rule: &str| -> Vec<_> {
        let of_rule = rig.noticed.iter().filter(|it| it.finding.facts.rule == rule);
        of_rule.map(|it| (it.finding.facts.count, it.about)).collect()
    };
    let first = About { consent, token: identifier(Class::Token, "token 0") };
    assert_eq!(about("a"), [(1, first), (3, About { consent, token: None })]);
    // What follows from several calls is about none of them.
    assert_eq!(about("mop_client_points"), [(1, About::default())]);
}

#[test]
fn what_is_too_suspicious_or_only_counted_is_not_told() {
    let made =
        [Made::new("GET", "/open-insurance/b", 200), Made::new("GET", "/open-insurance/c", 200)];
    for (paranoia, told) in [(1, vec![]), (3, vec!["b"])] {
        let mut rig = Rig::new(|settings| settings.paranoia = paranoia);
        let key = Key::new([7; 32]);
        let mut inspector = Inspector::new(Arc::clone(&rig.rules), key, false, paranoia);
        for (number, made) in made.iter().enumerate() {
            let call = made.call();
            let observed = made.observed(&call.exchange);
            let against = Against::default();
            let mut inspection = inspector.inspect(&made.exchange, &call, &observed, against);
            let mut seen = rig.seen(0, "one", &[]);
            seen.passed_over = std::mem::take(&mut inspection.passed_over);
            seen.shown.as_mut().unwrap().inspection = inspection;
            seen.sighting.connection = number as u64;
            rig.watch.observe(seen, &mut rig.noticed);
        }
        let findings = rig.told();
        let rules: Vec<_> = findings.iter().map(|it| it.facts.rule.as_str()).collect();
        assert_eq!(rules, told);
        assert_eq!(rig.watch.counts().beyond_paranoia, u64::from(paranoia == 1));
    }
}

#[test]
fn a_call_that_shows_nothing_is_plain_unless_somebody_is_known_to_make_it() {
    let mut rig = Rig::new(|_| {});
    let parties = |client: Option<&str>| Parties {
        client_organisation: client.map(str::to_owned),
        ..Parties::default()
    };
    let inspection =
        |rules: &[usize], rig: &mut Rig| rig.seen(0, "one", rules).shown.unwrap().inspection;
    let nothing = inspection(&[], &mut rig);
    assert!(Seen::is_plain(&nothing, None, &parties(None)));
    assert!(!Seen::is_plain(&nothing, None, &parties(Some("one"))));
    assert!(!Seen::is_plain(&inspection(&[2], &mut rig), None, &parties(None)));
    // It stands for its call all the same, and begins the time of watching.
    let plain = Seen { shown: None, ..rig.seen(0, "one", &[]) };
    rig.watch.observe(plain, &mut rig.noticed);
    rig.call(90_000, "one", &[]);
    assert_eq!(of(&rig.told(), "mop_first_seen_client").len(), 1);
    assert_eq!(rig.watch.counts().calls, 2);
}

#[test]
fn points_of_a_client_are_summed_in_their_window_and_told_once() {
    let mut rig = Rig::new(|settings| {
        settings.points = 8;
        settings.points_window = SignedDuration::from_secs(60);
    });
    // Four points each: too slow, then fast enough.
    for second in [0, 100, 200] {
        rig.call(second, "one", &[0]);
    }
    for second in [300, 301, 302, 303] {
        rig.call(second, "one", &[0]);
    }
    rig.call(304, "another", &[0]);
    assert_eq!(of(&rig.told(), "mop_client_points"), [(1, None)]);
}

#[test]
fn who_is_new_after_a_day_is_told_once() {
    let mut rig = Rig::new(|_| {});
    rig.call(0, "one", &[]);
    rig.call(10, "two", &[]);
    for second in [90_000, 90_001] {
        rig.call(second, "three", &[]);
    }
    rig.call(90_002, "one", &[]);
    assert_eq!(of(&rig.told(), "mop_first_seen_client"), [(1, Some("e3".to_owned()))]);
}

#[test]
fn who_is_known_is_known_after_a_restart() {
    let mut before = Rig::new(|_| {});
    before.call(0, "one", &[]);
    before.call(90_000, "two", &[]);
    assert_eq!(of(&before.told(), "mop_first_seen_client").len(), 1);
    let kept = before.watch.snapshot();
    assert_eq!(kept.profile, None);
    let mut after = Rig::new(|_| {});
    after.watch.restore_clients(&kept.clients).unwrap();
    assert_eq!(after.watch.snapshot().clients, kept.clients);
    for organisation in ["one", "two", "three"] {
        after.call(90_010, organisation, &[]);
    }
    // Who is new is told without another day of learning.
    assert_eq!(of(&after.told(), "mop_first_seen_client").len(), 1);
    assert_eq!(after.watch.counts().clients.known, 3);
    for damaged in [&kept.clients[1..], b"", b"{}", br#"{"version":2,"since":null,"known":[]}"#] {
        assert!(after.watch.restore_clients(damaged).is_err());
    }
}

#[test]
fn a_call_that_is_seen_twice_is_looked_at_once() {
    let mut rig = Rig::new(|_| {});
    let outer = rig.seen(0, "one", &[0]);
    let mut inner = rig.seen(0, "one", &[0]);
    // Passed on by a proxy on this node: within the other's time, from this node.
    inner.sighting.interaction = outer.sighting.interaction;
    let Span { start_ns, end_ns } = outer.sighting.span;
    inner.sighting.span = Span { start_ns: start_ns + 10, end_ns: end_ns - 10 };
    let address = |text: &str| Some(text.parse().unwrap());
    inner.sighting.ends =
        Ends { local: address("127.0.0.1:8080"), remote: address("127.0.0.1:40000") };
    let mut outer = outer;
    outer.sighting.ends =
        Ends { local: address("192.0.2.1:443"), remote: address("192.0.2.9:50000") };
    rig.watch.observe(inner, &mut rig.noticed);
    rig.watch.observe(outer, &mut rig.noticed);
    let counts_before = rig.watch.counts();
    assert_eq!((counts_before.calls, counts_before.hops), (2, 0), "nothing is settled yet");
    let findings = rig.told();
    assert_eq!(of(&findings, "a"), [(1, Some("e1".to_owned()))]);
}
