//! Indicators of made-up feeds: what is read, found, lowered and forgotten.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use mop_insight::security::{
    intelligence::{
        decay::Decay,
        indicator::{Indicator, Kind, Value},
        read::{Batch, FeedReader, Manifest, PlainOptions, ReadError, accepted::AcceptedTypes},
        store::{MAX_EQUAL, Match, Store, StoreBuilder, StoreOptions, texts::HashKey},
        value::Form,
        warninglist::{WarninglistError, Warninglists, WarninglistsBuilder},
    },
    uuid::Uuid,
};

const NOW: i64 = 1_795_520_690;
const KEY: HashKey = HashKey::new([3; 16]);
const EVENT: &str = "2ed6657d-e927-568b-95e1-2665a8aea6a2";

const FEED_EVENT: &str = r#"{"Event": {
    "uuid": "2ed6657d-e927-568b-95e1-2665a8aea6a2", "timestamp": "1795520000", "info": "made up",
    "Attribute": [
        {"type": "ip-dst|port", "value": "198.51.100.7|443", "to_ids": true, "timestamp": "1795510000"},
        {"type": "domain|ip", "value": "Bad.Example|2001:db8::7", "to_ids": "1"},
        {"type": "url", "value": "hxxps://bad[.]example/Login?x=1", "to_ids": false},
        {"type": "filename", "value": "a.exe", "to_ids": true},
        {"type": "ip-src", "value": "198.51.100.300", "to_ids": true},
        {"type": "ip-src", "value": "198.51.100.9", "to_ids": true, "deleted": true},
        {"type": "ip-src", "value": 5}
    ],
    "Object": [
        {"name": "ja4-plus", "Attribute": [
            {"type": "text", "object_relation": "ja4-type", "value": "JA4"},
            {"type": "text", "object_relation": "ja4-fingerprint", "to_ids": true,
             "value": "t13d1516h2_8daaf6152771_02713d6af862", "last_seen": "2026-11-01T00:00:00.000000+00:00"}
        ]},
        {"name": "old", "deleted": true, "Attribute": [{"type": "ip-src", "value": "192.0.2.1"}]}
    ]}}"#;

fn read(
    take: impl FnOnce(&FeedReader<'_>) -> Result<Batch, ReadError>,
) -> Result<Batch, ReadError> {
    let types = AcceptedTypes::published().unwrap();
    let plain = PlainOptions { form: None, confidence: 50 };
    take(&FeedReader { types: &types, source: "made up".into(), read_at: NOW, plain })
}

fn told(batch: &Batch) -> Vec<(Kind, u8, i64)> {
    batch.indicators.iter().map(|it| (it.value.kind(), it.confidence, it.last_seen)).collect()
}

fn no_warnings() -> Warninglists {
    WarninglistsBuilder::default().build(KEY)
}

fn store(indicators: &[Indicator], warninglists: Warninglists) -> Store {
    let decay = Decay::new(1000, 1.0, 10).unwrap();
    let options = StoreOptions { decay, warned_percent: 25, key: KEY };
    let mut builder = StoreBuilder::new(options, warninglists);
    indicators.iter().for_each(|it| builder.add(it));
    builder.build()
}

fn indicator(form: Form, text: &str) -> Indicator {
    Indicator {
        value: Value::parse(form, text).unwrap(),
        source: "made up".into(),
        event: Uuid::parse(EVENT),
        confidence: 80,
        last_seen: NOW,
        expires: None,
    }
}

#[test]
fn an_event_of_a_feed_is_read() {
    let batch = read(|it| it.misp(FEED_EVENT.as_bytes())).unwrap();
    assert_eq!(
        told(&batch),
        [
            (Kind::Address, 70, 1_795_510_000),
            (Kind::Domain, 70, 1_795_520_000),
            (Kind::Address, 70, 1_795_520_000),
            (Kind::Url, 45, 1_795_520_000),
            (Kind::Ja4, 60, 1_793_491_200),
        ]
    );
    assert!(batch.indicators.iter().all(|it| it.event == Uuid::parse(EVENT)));
    assert_eq!(batch.indicators[3].value, Value::Url("bad.example/Login?x=1".into()));
    assert_eq!((batch.unknown_types, batch.deleted, batch.unreadable), (2, 2, 2));
    assert_eq!(batch.first_unreadable, Some(5));
}

#[test]
fn answers_of_a_search_are_read() {
    let attributes = r#"{"response": {"Attribute": [
        {"type": "hostname", "value": "c2.bad.example", "to_ids": true, "timestamp": "1795510000",
         "Event": {"uuid": "2ed6657d-e927-568b-95e1-2665a8aea6a2", "info": "x"}},
        {"type": "x509-fingerprint-sha1", "to_ids": true, "timestamp": 1795510001,
         "value": "da39a3ee5e6b4b0d3255bfef95601890afd80709"}]}}"#;
    let batch = read(|it| it.misp(attributes.as_bytes())).unwrap();
    let expected = [(Kind::Hostname, 80, 1_795_510_000), (Kind::X509Sha1, 90, 1_795_510_001)];
    assert_eq!(told(&batch), expected);
    assert_eq!(batch.indicators[0].event, Uuid::parse(EVENT));
    let events = format!(r#"{{"response": [{FEED_EVENT}, {FEED_EVENT}]}}"#);
    assert_eq!(read(|it| it.misp(events.as_bytes())).unwrap().indicators.len(), 10);
}

#[test]
fn lists_are_read() {
    let lines = "\u{feff}# made up\n198.51.100.7 # a host\r\n\n; x\n// y\nhxxp://bad[.]example/a\nnot one\n";
    let batch = read(|it| it.freetext(lines.as_bytes())).unwrap();
    assert_eq!(told(&batch), [(Kind::Address, 50, NOW), (Kind::Url, 50, NOW)]);
    assert_eq!((batch.unreadable, batch.first_unreadable), (1, Some(7)));

    let table = "type,value,to_ids,event_uuid,date,expires\n\
        ip-src,198.51.100.0/24,1,2ed6657d-e927-568b-95e1-2665a8aea6a2,2026-11-01,2026-12-01\n\
        user-agent,\"Evil \"\"bot\"\", 1.0\",0,,,\n\
        md5,d41d8cd98f00b204e9800998ecf8427e,1,,,\n\
        \"broken,1\n";
    let batch = read(|it| it.csv(table.as_bytes())).unwrap();
    assert_eq!(told(&batch), [(Kind::Network, 70, 1_793_491_200), (Kind::UserAgent, 30, NOW)]);
    assert_eq!(batch.indicators[0].expires, Some(1_796_083_200));
    assert_eq!(batch.indicators[1].value, Value::UserAgent("evil \"bot\", 1.0".into()));
    assert_eq!((batch.unknown_types, batch.first_unreadable), (1, Some(5)));

    let bare = read(|it| it.csv(b"bad.example,x\n/admin.php,y\n")).unwrap();
    assert_eq!(told(&bare), [(Kind::Domain, 50, NOW), (Kind::Path, 50, NOW)]);

    let lines = format!(
        "{{\"source\":\"s\",\"uuid\":\"{EVENT}\",\"value\":\"bad.example\",\"severity\":7}}\n\nnonsense\n\
         {{\"source\":\"s\",\"uuid\":\"\",\"value\":\"d41d8cd98f00b204e9800998ecf8427e\",\"severity\":10}}\n"
    );
    let batch = read(|it| it.kunai(lines.as_bytes())).unwrap();
    assert_eq!(told(&batch), [(Kind::Domain, 70, NOW)]);
    assert_eq!((batch.unreadable, batch.first_unreadable), (2, Some(3)));
}

#[test]
fn a_manifest_says_what_to_fetch() {
    let text = format!(
        r#"{{"{EVENT}": {{"timestamp": "10", "info": "x", "Orgc": {{}}}},
            "2ed6657d-e927-568b-95e1-2665a8aea6a3": {{"timestamp": 20}},
            "../../etc/passwd": {{"timestamp": 30}}, "2ed6657d-e927-568b-95e1-2665a8aea6a4": 5}}"#
    );
    let manifest = Manifest::parse(text.as_bytes()).unwrap();
    assert_eq!((manifest.events.len(), manifest.unreadable), (2, 2));
    let known = Uuid::parse(EVENT).unwrap();
    let wanted = |since: i64| {
        manifest.wanted(|it| (it == known).then_some(since)).collect::<Vec<_>>().contains(&known)
    };
    assert_eq!([wanted(9), wanted(10), wanted(11)], [true, false, false]);
}

#[test]
fn errors_tell_the_place_and_no_value() {
    let secret = "s3cr3t";
    for (text, error) in [
        (format!("{{\"Event\":\n\"{secret}\"}}"), ReadError::Format { line: 2, column: 8 }),
        (format!("{{\"{secret}"), ReadError::Syntax { line: 1, column: 8 }),
        ("{}".to_owned(), ReadError::Format { line: 1, column: 1 }),
    ] {
        let found = read(|it| it.misp(text.as_bytes())).unwrap_err();
        assert_eq!(found, error);
        assert!(!format!("{found} {found:?}").contains(secret));
    }
    assert_eq!(read(|it| it.freetext(b"ab\xff")).unwrap_err(), ReadError::Text(2));
}

#[test]
fn each_kind_of_field_is_looked_up() {
    let sha256 = "ab".repeat(32);
    let all = [
        indicator(Form::Address, "198.51.100.0/24"),
        indicator(Form::Address, "198.51.100.7"),
        indicator(Form::Address, "2001:db8::/32"),
        indicator(Form::Domain, "bad.example"),
        indicator(Form::Hostname, "one.worse.example"),
        indicator(Form::Url, "https://bad.example/Login"),
        indicator(Form::Path, "/shell.php"),
        indicator(Form::Path, "/a?cmd=id"),
        indicator(Form::UserAgent, "EvilBot"),
        indicator(Form::Ja3, "d41d8cd98f00b204e9800998ecf8427e"),
        indicator(Form::Ja4, "t13d1516h2_8daaf6152771_02713d6af862"),
        indicator(Form::X509Sha1, "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        indicator(Form::X509Sha256, &sha256),
    ];
    let store = store(&all, no_warnings());
    assert_eq!(store.counts().taken, all.len());
    assert!(store.bytes() > 0);
    let kinds = |found: Vec<Match>| found.iter().map(|it| it.kind).collect::<Vec<_>>();
    let address = |text: &str| kinds(store.address(text.parse().unwrap(), NOW));
    assert_eq!(address("198.51.100.7"), [Kind::Address, Kind::Network]);
    assert_eq!(address("::ffff:198.51.100.8"), [Kind::Network]);
    assert_eq!(address("198.51.101.0"), []);
    assert_eq!(address("2001:db8:ffff::1"), [Kind::Network]);
    assert_eq!(address("2001:db9::"), []);
    assert_eq!(kinds(store.host("A.B.Bad.Example.:8443", NOW)), [Kind::Domain]);
    assert_eq!(kinds(store.host("one.worse.example", NOW)), [Kind::Hostname]);
    assert_eq!(kinds(store.host("x.one.worse.example", NOW)), []);
    assert_eq!(kinds(store.host("notbad.example", NOW)), []);
    assert_eq!(kinds(store.url("BAD.example:443", "/Login", NOW)), [Kind::Url]);
    assert_eq!(kinds(store.url("bad.example", "/login", NOW)), []);
    assert_eq!(kinds(store.path("/shell.php?x=1", NOW)), [Kind::Path]);
    assert_eq!(kinds(store.path("/a?cmd=id", NOW)), [Kind::Path]);
    assert_eq!(kinds(store.path("/a", NOW)), []);
    assert_eq!(kinds(store.user_agent("Mozilla/5.0 evilbot/2", NOW)), [Kind::UserAgent]);
    assert_eq!(kinds(store.ja4(b"t13d1516h2_8daaf6152771_02713d6af862", NOW)), [Kind::Ja4]);
    assert_eq!(kinds(store.certificate_sha256(&[0xab; 32], NOW)), [Kind::X509Sha256]);
    assert_eq!(kinds(store.certificate_sha1(&[0xab; 20], NOW)), []);
    assert_eq!(kinds(store.ja3(&[0; 16], NOW)), []);
    let found = store.certificate_sha256(&[0xab; 32], NOW)[0];
    let origin = store.origin(found.id).unwrap();
    assert_eq!((origin.source, origin.event), ("made up", Uuid::parse(EVENT)));
    assert_eq!(origin.kind, Kind::X509Sha256);
}

#[test]
fn confidence_fades_and_ends() {
    let mut ends = indicator(Form::Domain, "ends.example");
    ends.expires = Some(NOW + 100);
    let store = store(&[indicator(Form::Domain, "bad.example"), ends], no_warnings());
    let at = |host, age| store.host(host, NOW + age).first().map(|it| it.confidence);
    assert_eq!([at("bad.example", -50), at("bad.example", 500)], [Some(80), Some(40)]);
    assert_eq!([at("bad.example", 870), at("bad.example", 1000)], [Some(10), None]);
    assert_eq!([at("ends.example", 99), at("ends.example", 100)], [Some(72), None]);
}

#[test]
fn warninglists_lower_confidence() {
    let mut lists = WarninglistsBuilder::default();
    let networks = br#"{"name":"n","type":"cidr","list":["198.51.100.0/24","203.0.113.9","x"]}"#;
    let taken = lists.add(networks).unwrap();
    assert_eq!((taken.entries, taken.unreadable), (2, 1));
    lists.add(br#"{"type":"hostname","list":[".good.example","www.fine.example"]}"#).unwrap();
    lists.add(br#"{"type":"string","list":["/Health"]}"#).unwrap();
    let refused = lists.add(br#"{"type":"regex","list":["(a+)+"]}"#);
    assert_eq!(refused, Err(WarninglistError::Type));
    assert!(matches!(lists.add(b"{"), Err(WarninglistError::Syntax { line: 1, .. })));
    let lists = lists.build(KEY);
    assert_eq!(lists.entries(), 5);
    let warns = |form, text| lists.warn_of(&Value::parse(form, text).unwrap());
    assert!(warns(Form::Address, "198.51.100.128/25") && warns(Form::Address, "203.0.113.9"));
    assert!(!warns(Form::Address, "198.51.0.0/16"), "wider than the list's");
    assert!(warns(Form::Domain, "a.good.example") && warns(Form::Domain, "good.example"));
    assert!(!warns(Form::Domain, "fine.example") && !warns(Form::Domain, "notgood.example"));
    assert!(warns(Form::Url, "http://www.fine.example:8080/x") && warns(Form::Path, "/health"));
    let all = [indicator(Form::Domain, "a.good.example"), indicator(Form::Domain, "bad.example")];
    let store = store(&all, lists);
    assert_eq!(store.counts().warned, 1);
    let confidence = |host| store.host(host, NOW)[0].confidence;
    assert_eq!([confidence("a.good.example"), confidence("bad.example")], [20, 80]);
}

#[test]
fn a_feed_that_repeats_itself_is_bounded() {
    for (form, text) in [
        (Form::Address, "198.51.100.7"),
        (Form::Domain, "bad.example"),
        (Form::Ja3, "d41d8cd98f00b204e9800998ecf8427e"),
    ] {
        let many = vec![indicator(form, text); 1000];
        let store = store(&many, no_warnings());
        let counts = store.counts();
        assert_eq!((counts.taken, counts.refused), (MAX_EQUAL, 1000 - MAX_EQUAL), "{text}");
        assert!(store.host("bad.example", NOW).len() <= MAX_EQUAL);
    }
}
