//! What others pull: strict documents of the core format, stable identifiers, and every value in
//! the list of hashes.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, HashSet};

use md5::{Digest as _, Md5};
use mop_insight::data::digest::Key;
use mop_insight::security::{
    finding::{Finding, FindingFacts, Owasp, Part, Place, Reason, Severity},
    intelligence::{
        indicator::Kind,
        read::{FeedReader, Manifest, PlainOptions, accepted::AcceptedTypes},
    },
    misp::{
        attribute::{Attribute, AttributeError, NewAttribute, Seen},
        event::{MAX_ATTRIBUTES, MAX_PSEUDONYMS, Organisation},
        feed::{Feed, FeedFile, FeedOptions, MAX_EVENTS, Network},
        marking::Marking,
        object::{ObjectError, Templates},
        scalar::{Distribution, Instant, Seconds},
        tag::{Pap, Rsit, Tlp},
        vocabulary::{TypeError, Vocabulary},
    },
    pseudonym::{Class, Epoch, Pseudonym, Pseudonymiser},
    uuid::Uuid,
};
use proptest::{collection::vec, prelude::*};
use serde_json::Value;

const NOW: i64 = 1_795_520_690;
const JA4: &str = "t13d1516h2_8daaf6152771_02713d6af862";

fn finding(rule: &str, client: &str, day: u8, count: u64) -> Finding {
    let time = |hour| format!("2026-11-{day:02}T{hour}:00:00Z").parse().unwrap();
    Finding::new(FindingFacts {
        rule: rule.into(),
        title: "Codes are tried at the token endpoint".into(),
        severity: Severity::Medium,
        paranoia: 1,
        owasp: vec![Owasp::Api2],
        fapi: vec![],
        organisation: Some("target".into()),
        client_organisation: Some(client.into()),
        side: None,
        method: Some("POST".into()),
        endpoint: Some("/token".into()),
        exchange: None,
        places: vec![Place::whole(Part::RequestBody)],
        count,
        first_seen: time(10),
        last_seen: time(11),
        reason: Reason { en: "Many are refused.".into(), pt: "Muitos são recusados.".into() },
    })
    .unwrap()
}

fn network() -> Network<'static> {
    Network {
        client: Some("198.51.100.7".parse().unwrap()),
        server_port: Some(443),
        ja3: Some([0xab; 16]),
        ja4: Some(JA4),
        certificate: Some([0xcd; 32]),
        ..Network::default()
    }
}

fn feed() -> Feed {
    let uuid = Uuid::parse("2ed6657d-e927-568b-95e1-2665a8aea6a2").unwrap();
    let options = FeedOptions {
        organisation: Organisation { name: "made up".into(), uuid },
        tlp: Tlp::Amber,
        pap: Pap::Green,
        distribution: Distribution::Community,
    };
    let vocabulary = Vocabulary::published().unwrap();
    let templates = Templates::published(&vocabulary).unwrap();
    Feed::new(options, vocabulary, templates)
}

fn file<'t>(files: &'t [FeedFile], name: &str) -> &'t FeedFile {
    files.iter().find(|it| it.name == name).unwrap()
}

fn json(file: &FeedFile) -> Value {
    serde_json::from_slice(&file.content).unwrap()
}

/// Attributes of an event and of its objects.
fn attributes(event: &Value) -> Vec<&Value> {
    let own = event["Attribute"].as_array().unwrap().iter();
    let objects = event["Object"].as_array().unwrap().iter();
    own.chain(objects.flat_map(|it| it["Attribute"].as_array().unwrap())).collect()
}

/// The core format: which members an element may have (all texts but flags and lists).
fn check_strict(element: &Value, allowed: &[&str]) {
    let flags = ["to_ids", "published", "deleted", "disable_correlation"];
    for (name, value) in element.as_object().unwrap() {
        assert!(allowed.contains(&name.as_str()), "{name}");
        let is_right = match name.as_str() {
            name if flags.contains(&name) => value.is_boolean(),
            "Tag" | "Attribute" | "Object" | "ObjectReference" => {
                let items = value.as_array().unwrap();
                let distinct: HashSet<_> = items.iter().map(Value::to_string).collect();
                distinct.len() == items.len()
            }
            "Orgc" => value.is_object(),
            _ => value.is_string(),
        };
        assert!(is_right, "{name}: {value}");
    }
}

fn check_event(event: &Value) {
    let times =
        ["timestamp", "first_seen", "last_seen", "distribution", "deleted", "comment", "uuid"];
    let with = |names: &[&'static str]| [&times, names].concat();
    let of_event = [
        "uuid",
        "info",
        "date",
        "timestamp",
        "publish_timestamp",
        "published",
        "threat_level_id",
        "analysis",
        "distribution",
        "extends_uuid",
        "Orgc",
        "Tag",
        "Attribute",
        "Object",
    ];
    check_strict(event, &of_event);
    check_strict(&event["Orgc"], &["name", "uuid"]);
    for tag in event["Tag"].as_array().unwrap() {
        check_strict(tag, &["name", "colour"]);
    }
    for object in event["Object"].as_array().unwrap() {
        let names = [
            "name",
            "meta-category",
            "description",
            "template_uuid",
            "template_version",
            "ObjectReference",
            "Attribute",
        ];
        check_strict(object, &with(&names));
        for reference in object["ObjectReference"].as_array().unwrap() {
            let names = ["object_uuid", "referenced_uuid", "relationship_type"];
            check_strict(reference, &with(&names));
        }
    }
    let mut uuids = HashSet::new();
    for attribute in attributes(event) {
        let names =
            ["type", "category", "value", "to_ids", "disable_correlation", "object_relation"];
        check_strict(attribute, &with(&names));
        assert!(uuids.insert(attribute["uuid"].to_string()), "an identifier twice");
    }
}

/// What a puller relies on: the index names every event with its time, and every value is in the
/// list of hashes.
fn check_files(files: &[FeedFile]) {
    let manifest = json(file(files, "manifest.json"));
    let hashes = String::from_utf8(file(files, "hashes.csv").content.clone()).unwrap();
    let hashes: HashSet<_> = hashes.lines().collect();
    let mut expected = HashSet::new();
    assert_eq!(manifest.as_object().unwrap().len() + 2, files.len());
    for (uuid, described) in manifest.as_object().unwrap() {
        let content = json(file(files, &format!("{uuid}.json")));
        let event = &content["Event"];
        check_event(event);
        for name in ["uuid", "timestamp", "info", "date", "analysis", "threat_level_id", "Orgc"] {
            let expected =
                if name == "uuid" { &Value::from(uuid.as_str()) } else { &described[name] };
            assert_eq!(&event[name], expected);
        }
        for attribute in attributes(event) {
            let value = attribute["value"].as_str().unwrap();
            let is_composite = attribute["type"].as_str().unwrap().contains('|');
            let parts = if is_composite { value.split('|').collect() } else { vec![value] };
            for part in parts {
                let digest = Md5::digest(part);
                let hash: String = digest.iter().map(|it| format!("{it:02x}")).collect();
                expected.insert(format!("{hash},{uuid}"));
            }
        }
    }
    let expected: HashSet<_> = expected.iter().map(String::as_str).collect();
    assert_eq!(hashes, expected);
}

#[test]
fn an_event_is_of_a_rule_a_client_and_a_day() {
    let mut feed = feed();
    let mut add = |rule, client, day| {
        feed.add(&finding(rule, client, day, 1), &network(), &Marking::default(), NOW).unwrap()
    };
    let first = add("r", "c", 24);
    assert_eq!(add("r", "c", 24), first);
    let others = [add("s", "c", 24), add("r", "d", 24), add("r", "c", 25)];
    assert_eq!(others.iter().chain([&first]).collect::<HashSet<_>>().len(), 4);
    check_files(&feed.files());
    feed.forget_before("2026-11-25");
    assert_eq!(feed.events().count(), 1);
}

#[test]
fn an_event_has_what_was_seen() {
    let mut feed = feed();
    let marking = Marking { rsit: Some(Rsit::BruteForce), ..Marking::default() };
    let uuid = feed.add(&finding("r", "c", 24, 20), &network(), &marking, NOW).unwrap();
    let files = feed.files();
    check_files(&files);
    let content = json(file(&files, &format!("{uuid}.json")));
    let event = &content["Event"];
    assert_eq!(event["date"], "2026-11-24");
    assert_eq!(event["threat_level_id"], "2");
    let names = |list: &Value| -> Vec<String> {
        let items = list.as_array().unwrap().iter();
        items.map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        names(&event["Object"]),
        ["http-request", "network-connection", "authentication-failure-report", "x509", "ja4-plus"]
    );
    assert_eq!(
        names(&event["Tag"]),
        [
            "tlp:amber",
            "PAP:GREEN",
            "rsit:intrusion-attempts=\"brute-force\"",
            "owasp:api=\"API2:2023\""
        ]
    );
    let values: BTreeMap<_, _> = attributes(event)
        .iter()
        .filter_map(|it| Some((it["object_relation"].as_str()?, it["value"].as_str()?)))
        .collect();
    assert_eq!(values["uri"], "/token");
    assert_eq!(values["total"], "20");
    assert_eq!(values["ja4-fingerprint"], JA4);
    assert_eq!(values["x509-fingerprint-sha256"], "cd".repeat(32));
    let request = &event["Object"][0]["uuid"];
    assert_eq!(&event["Object"][1]["ObjectReference"][0]["referenced_uuid"], request);
}

#[test]
fn further_findings_are_merged_and_nothing_else_changes_a_timestamp() {
    let mut feed = feed();
    let uuid = feed.add(&finding("r", "c", 24, 20), &network(), &Marking::default(), NOW).unwrap();
    let before = feed.files();
    assert_eq!(before, feed.files(), "equal states are equal bytes");
    let mut later = finding("r", "c", 24, 22);
    later.facts.first_seen = "2026-11-24T09:00:00Z".parse().unwrap();
    later.facts.severity = Severity::Critical;
    // The clock goes back: the time grows all the same.
    feed.add(&later, &network(), &Marking::default(), NOW - 1000).unwrap();
    let after = feed.files();
    check_files(&after);
    let name = format!("{uuid}.json");
    assert_ne!(file(&before, &name).etag, file(&after, &name).etag);
    assert_ne!(file(&before, "manifest.json").etag, file(&after, "manifest.json").etag);
    assert_ne!(file(&before, "hashes.csv").etag, file(&after, "hashes.csv").etag);
    let (old, new) = (json(file(&before, &name)), json(file(&after, &name)));
    assert_eq!(old["Event"]["timestamp"], NOW.to_string());
    assert_eq!(new["Event"]["timestamp"], (NOW + 1).to_string());
    assert_eq!(new["Event"]["threat_level_id"], "1");
    let counters: Vec<_> = attributes(&new["Event"])
        .into_iter()
        .filter(|it| it["type"] == "counter")
        .map(|it| (it["value"].clone(), it["first_seen"].clone(), it["last_seen"].clone()))
        .collect();
    assert_eq!(counters.len(), 2);
    for (value, first, last) in counters {
        assert_eq!(value, "42");
        assert_eq!(first, "2026-11-24T09:00:00.000000+00:00");
        assert_eq!(last, "2026-11-24T11:00:00.000000+00:00");
    }
    let uuids = |event: &Value| -> Vec<Value> {
        attributes(event).iter().map(|it| it["uuid"].clone()).collect()
    };
    assert_eq!(uuids(&old["Event"]), uuids(&new["Event"]));
    // Another event leaves this one as it is.
    feed.add(&finding("s", "c", 24, 1), &network(), &Marking::default(), NOW + 5).unwrap();
    assert_eq!(file(&feed.files(), &name), file(&after, &name));
}

#[test]
fn an_event_is_bounded() {
    let mut feed = feed();
    for number in 0..1000_u32 {
        let client = Some(std::net::Ipv4Addr::from_bits(number).into());
        let network = Network { client, ..network() };
        feed.add(&finding("r", "c", 24, 1), &network, &Marking::default(), NOW).unwrap();
    }
    let event = feed.events().next().unwrap();
    assert!(event.all_attributes().count() <= MAX_ATTRIBUTES);
    assert!(feed.left_out() > 0);
    check_files(&feed.files());
}

#[test]
fn what_is_written_is_read_again() {
    let mut feed = feed();
    let uuid = feed.add(&finding("r", "c", 24, 20), &network(), &Marking::default(), NOW).unwrap();
    let files = feed.files();
    let types = AcceptedTypes::published().unwrap();
    let plain = PlainOptions { form: None, confidence: 50 };
    let reader = FeedReader { types: &types, source: "own".into(), read_at: 0, plain };
    let batch = reader.misp(&file(&files, &format!("{uuid}.json")).content).unwrap();
    assert_eq!(batch.unreadable, 0);
    assert!(batch.indicators.iter().all(|it| it.event == Some(uuid)));
    let kinds: HashSet<_> = batch.indicators.iter().map(|it| it.value.kind()).collect();
    let all = [Kind::Address, Kind::Ja3, Kind::Ja4, Kind::Path, Kind::X509Sha256];
    assert_eq!(kinds, all.into_iter().collect());
    let manifest = Manifest::parse(&file(&files, "manifest.json").content).unwrap();
    assert_eq!(manifest.wanted(|_| Some(NOW)).count(), 0);
    assert_eq!(manifest.wanted(|_| Some(NOW - 1)).collect::<Vec<_>>(), [uuid]);
}

#[test]
fn a_feed_goes_on_after_a_restart_as_if_there_was_none() {
    let mut whole = feed();
    let marking = Marking { rsit: Some(Rsit::BruteForce), ..Marking::default() };
    let uuid = whole.add(&finding("r", "c", 24, 20), &network(), &marking, NOW).unwrap();
    whole.add(&finding("r", "c", 24, 2), &network(), &Marking::default(), NOW + 60).unwrap();
    let files = whole.files();
    let name = format!("{uuid}.json");
    let mut restored = feed();
    assert_eq!(restored.restore(&file(&files, &name).content), Ok(uuid));
    assert_eq!(restored.files(), files);
    for feed in [&mut whole, &mut restored] {
        feed.add(&finding("r", "c", 24, 7), &network(), &marking, NOW + 90).unwrap();
    }
    assert_eq!(restored.files(), whole.files());

    let written = String::from_utf8(file(&files, &name).content.clone()).unwrap();
    for (from, to) in [
        ("\"type\":\"http-method\"", "\"type\":\"phone-number\""),
        ("\"value\":\"/token\"", "\"value\":\"/other\""),
        ("\"name\":\"x509\"", "\"name\":\"made-up\""),
        ("\"name\":\"made up\"", "\"name\":\"another\""),
        ("\"timestamp\":\"1795520750\"", "\"timestamp\":\"soon\""),
    ] {
        assert!(written.contains(from), "{from}");
        let mut feed = feed();
        assert!(feed.restore(written.replace(from, to).as_bytes()).is_err(), "{to}");
        assert_eq!(feed.events().count(), 0);
    }
}

fn seen() -> Seen {
    let time = Instant("2026-11-24T12:00:00Z".parse().unwrap());
    Seen { first: time, last: time, at: Seconds(NOW) }
}

#[test]
fn a_type_of_personal_data_cannot_be_built() {
    let vocabulary = Vocabulary::published().unwrap();
    let make = |r#type, category, value| {
        let new = NewAttribute { r#type, category, value, comment: "", relation: None };
        Attribute::new(&vocabulary, Uuid::from_bytes([1; 16]), new, seen())
    };
    for personal in [
        "email",
        "email-src",
        "phone-number",
        "identity-card-number",
        "cc-number",
        "full-name",
        "first-name",
        "last-name",
        "date-of-birth",
        "bank-account-nr",
        "target-user",
        "cookie",
    ] {
        let error = make(personal, None, "x").unwrap_err();
        assert_eq!(error, AttributeError::Type(TypeError::Never), "{personal}");
    }
    assert_eq!(make("sha512", None, "x"), Err(AttributeError::Type(TypeError::Unknown)));
    assert_eq!(make("uri", Some("Person"), "/x"), Err(AttributeError::Type(TypeError::Category)));
    let long = "x".repeat(5000);
    for wrong in ["", " ", "a\nb", &long] {
        assert_eq!(make("uri", None, wrong), Err(AttributeError::Value));
    }
    let made = make("ip-src|port", None, "198.51.100.7|443").unwrap();
    assert_eq!(made.parts().collect::<Vec<_>>(), ["198.51.100.7", "443"]);
    let whole = make("text", None, "a|b").unwrap();
    assert_eq!(whole.parts().collect::<Vec<_>>(), ["a|b"]);
}

#[test]
fn an_object_is_as_its_template_says() {
    let vocabulary = Vocabulary::published().unwrap();
    let templates = Templates::published(&vocabulary).unwrap();
    let make = |name, values: &[(&str, &str)]| {
        templates.object(&vocabulary, Uuid::from_bytes([1; 16]), name, values, seen())
    };
    let report = "authentication-failure-report";
    let whole = [("total", "5"), ("type", "oauth"), ("ip-src", "198.51.100.7")];
    let object = make(report, &whole).unwrap();
    let written = serde_json::to_value(&object).unwrap();
    assert_eq!(written["template_uuid"], "9b39afe0-9809-4fe0-8a0b-4cec2b140dd2");
    assert_eq!(written["template_version"], "4");
    let more = make(report, &[("total", "6"), whole[1], whole[2]]).unwrap();
    assert_eq!(object.uuid(), more.uuid(), "a counter is no part of the identity");
    assert_eq!(make(report, &whole[..2]), Err(ObjectError::Missing));
    assert_eq!(make(report, &whole[1..]), Err(ObjectError::Missing));
    assert_eq!(make("http-request", &[("method", "GET")]), Err(ObjectError::Missing));
    assert_eq!(make("http-request", &[("cookie", "x")]), Err(ObjectError::Relation));
    assert_eq!(make("x509", &[whole[0]]), Err(ObjectError::Relation));
    assert_eq!(make("made-up", &whole), Err(ObjectError::Template));
    let denied = Vocabulary::parse(
        include_str!("../../../../rules/security/misp/types.json"),
        &["ip-src".to_owned()],
    )
    .unwrap();
    assert!(Templates::published(&denied).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_event_is_refused_or_harmless(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), is_cut in any::<bool>(),
    ) {
        let mut feed = feed();
        let uuid = feed.add(&finding("r", "c", 24, 20), &network(), &Marking::default(), NOW).unwrap();
        let mut bytes = file(&feed.files(), &format!("{uuid}.json")).content.clone();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        if is_cut {
            bytes.truncate(place);
        }
        let _ = feed.restore(&bytes);
        feed.add(&finding("r", "c", 24, 20), &network(), &Marking::default(), NOW).unwrap();
        prop_assert!(!feed.files().is_empty());
    }

    #[test]
    fn every_feed_is_strict_and_complete(
        findings in vec((0_u8..3, 0_u8..3, 1_u8..4, 1_u64..100, any::<u8>(), -5_i64..5), 1..30),
    ) {
        let mut feed = feed();
        let mut counts = BTreeMap::new();
        let mut times: BTreeMap<Uuid, i64> = BTreeMap::new();
        for (rule, client, day, count, address, shift) in findings {
            let finding = finding(&format!("r{rule}"), &format!("c{client}"), day, count);
            let network = Network {
                client: Some(std::net::Ipv4Addr::new(198, 51, 100, address % 4).into()),
                ..Network::default()
            };
            let uuid = feed.add(&finding, &network, &Marking::default(), NOW + shift).unwrap();
            *counts.entry(uuid).or_insert(0) += count;
            let time = feed.events().find(|it| it.uuid() == uuid).unwrap().timestamp();
            let before = times.insert(uuid, time);
            prop_assert!(before.is_none_or(|before| before < time), "a time that does not grow");
        }
        check_files(&feed.files());
        for event in feed.events() {
            let total = event.all_attributes().find(|it| {
                it.type_name() == "counter" && it.relation().is_none()
            });
            prop_assert_eq!(total.unwrap().value(), counts[&event.uuid()].to_string());
        }
    }
}

/// A folder as [`mop_insight::security::misp::feed::Changes`] make it.
fn apply(folder: &mut BTreeMap<String, FeedFile>, feed: &mut Feed) {
    let changes = feed.changes();
    let last = changes.files.last().map(|it| it.name.as_str());
    assert!(last.is_none_or(|it| it == "manifest.json"), "the index is written last");
    for file in changes.files {
        folder.insert(file.name.clone(), file);
    }
    for name in changes.removed {
        assert!(folder.remove(&name).is_some(), "{name} was never there");
    }
}

#[test]
fn changes_make_a_folder_what_the_feed_is() {
    let mut feed = feed();
    let mut folder = BTreeMap::new();
    let all = |feed: &Feed| -> BTreeMap<String, FeedFile> {
        feed.files().into_iter().map(|it| (it.name.clone(), it)).collect()
    };
    assert!(!feed.is_behind() && feed.changes().files.is_empty());
    for (rule, day) in [("r", 24), ("s", 24), ("r", 25)] {
        feed.add(&finding(rule, "c", day, 1), &network(), &Marking::default(), NOW).unwrap();
    }
    apply(&mut folder, &mut feed);
    assert_eq!(folder, all(&feed));
    feed.add(&finding("s", "c", 24, 1), &network(), &Marking::default(), NOW).unwrap();
    let changes = feed.changes();
    assert_eq!(changes.files.len(), 3, "one event, and both lists");
    for file in changes.files {
        folder.insert(file.name.clone(), file);
    }
    assert_eq!(folder, all(&feed));
    // One that comes and goes between two looks was never there.
    feed.add(&finding("t", "c", 25, 1), &network(), &Marking::default(), NOW).unwrap();
    feed.forget_before("2026-11-25");
    apply(&mut folder, &mut feed);
    assert_eq!(folder, all(&feed));
    assert_eq!(folder.len(), 4);
    assert!(!feed.is_behind());
}

#[test]
fn a_rule_narrows_what_the_participant_allows_and_widens_nothing() {
    let tags = |tlp, pap| {
        let mut feed = feed();
        let marking = Marking { tlp, pap, ..Marking::default() };
        let uuid = feed.add(&finding("r", "c", 24, 1), &network(), &marking, NOW).unwrap();
        let content = json(file(&feed.files(), &format!("{uuid}.json")));
        let tag = |at: usize| content["Event"]["Tag"][at]["name"].as_str().unwrap().to_owned();
        (tag(0), tag(1), content["Event"]["distribution"].as_str().unwrap().to_owned())
    };
    let expected = |tlp: &str, pap: &str, distribution: &str| {
        (tlp.to_owned(), pap.to_owned(), distribution.to_owned())
    };
    assert_eq!(tags(None, None), expected("tlp:amber", "PAP:GREEN", "1"));
    let wide = tags(Some(Tlp::Clear), Some(Pap::Clear));
    assert_eq!(wide, expected("tlp:amber", "PAP:GREEN", "1"));
    let narrow = tags(Some(Tlp::Red), Some(Pap::Amber));
    assert_eq!(narrow, expected("tlp:red", "PAP:AMBER", "0"));
}

#[test]
fn pseudonyms_are_told_with_their_key_and_leave_room_for_the_rest() {
    let mut feed = feed();
    for number in 0..100 {
        let pseudonyms = [pseudonym(number), pseudonym(1000)];
        let network = Network { pseudonyms: &pseudonyms, ..network() };
        feed.add(&finding("r", "c", 24, 1), &network, &Marking::default(), NOW).unwrap();
    }
    let uuid = feed.events().next().unwrap().uuid();
    let content = json(file(&feed.files(), &format!("{uuid}.json")));
    let attributes = content["Event"]["Attribute"].as_array().unwrap();
    let told: Vec<_> = attributes.iter().filter(|it| it["type"] == "anonymised").collect();
    assert_eq!((told.len(), feed.left_out()), (MAX_PSEUDONYMS, 101 - MAX_PSEUDONYMS as u64));
    let first = told.first().unwrap();
    assert_eq!(first["value"], pseudonym(0).to_hex());
    assert_eq!(first["comment"], pseudonym(0).described());
    check_files(&feed.files());
    // Each finding has a few at most.
    let pseudonyms: Vec<_> = (0..9).map(pseudonym).collect();
    let network = Network { pseudonyms: &pseudonyms, ..Network::default() };
    let uuid = feed.add(&finding("s", "c", 24, 1), &network, &Marking::default(), NOW).unwrap();
    let event = feed.events().find(|it| it.uuid() == uuid).unwrap();
    let told = event.all_attributes().filter(|it| it.type_name() == "anonymised").count();
    assert_eq!(told, 4);
}

fn pseudonym(number: u64) -> Pseudonym {
    let pseudonymiser = Pseudonymiser::new(Key::new([5; 32]));
    let epoch = Epoch::of("2026-11-24T10:00:00Z".parse().unwrap());
    pseudonymiser.pseudonym(Class::Consent, &format!("urn:mop:{number}"), epoch).unwrap()
}

#[test]
fn types_that_are_not_let_out_cost_no_event() {
    let denied = ["ip-src", "anonymised", "user-agent"].map(str::to_owned);
    let options = || FeedOptions {
        organisation: Organisation { name: "made up".into(), uuid: Uuid::from_bytes([9; 16]) },
        tlp: Tlp::Amber,
        pap: Pap::Green,
        distribution: Distribution::Community,
    };
    let all = Vocabulary::published().unwrap();
    let templates = Templates::published(&all).unwrap();
    let vocabulary = Vocabulary::without(&denied).unwrap();
    let mut feed = Feed::new(options(), vocabulary, templates.clone());
    let marking = Marking { rsit: Some(Rsit::BruteForce), ..Marking::default() };
    let pseudonym = pseudonym(1);
    let network = Network { user_agent: Some("curl/8"), pseudonyms: &[pseudonym], ..network() };
    feed.add(&finding("r", "c", 24, 20), &network, &marking, NOW).unwrap();
    let event = feed.events().next().unwrap();
    assert!(event.all_attributes().all(|it| !denied.contains(&it.type_name().to_owned())));
    let names: Vec<_> = event.objects().iter().map(|it| it.name().to_owned()).collect();
    assert_eq!(names, ["http-request", "network-connection", "x509", "ja4-plus"]);
    check_files(&feed.files());

    let mut open = Feed::new(options(), all, templates);
    open.add(&finding("r", "c", 24, 20), &network, &marking, NOW).unwrap();
    let values: Vec<_> = open
        .events()
        .flat_map(|it| it.all_attributes())
        .filter(|it| denied.contains(&it.type_name().to_owned()))
        .map(|it| it.value().to_owned())
        .collect();
    assert!(values.contains(&pseudonym.to_hex()) && values.contains(&"curl/8".to_owned()));
    // What was let out before is not read again by a feed that does not.
    let (uuid, content) = {
        let event = open.events().next().unwrap().uuid();
        (event, file(&open.files(), &format!("{event}.json")).content.clone())
    };
    assert!(feed.restore(&content).is_err(), "{uuid}");
}

#[test]
fn a_user_agent_with_personal_data_is_not_told() {
    for (user_agent, is_told) in [
        ("Mozilla/5.0 (X11; Linux x86_64)", true),
        ("bot (mailto:ana.lima@seguradora.example)", false),
        ("cpf 529.982.247-25", false),
        ("a\u{1}b", false),
        ("", false),
        (&*"x".repeat(5000), false),
    ] {
        let mut feed = feed();
        let network = Network { user_agent: Some(user_agent), ..network() };
        feed.add(&finding("r", "c", 24, 1), &network, &Marking::default(), NOW).unwrap();
        let mut types = feed.events().flat_map(|it| it.all_attributes()).map(|it| it.type_name());
        assert_eq!(types.any(|it| it == "user-agent"), is_told, "{user_agent}");
    }
}

#[test]
fn one_event_too_many_costs_the_oldest() {
    let mut feed = feed();
    let nothing = Network::default();
    let marking = Marking::default();
    let oldest = feed.add(&finding("r", "oldest", 1, 1), &nothing, &marking, NOW).unwrap();
    for number in 0..MAX_EVENTS {
        let finding = finding("r", &format!("c{number}"), 24, 1);
        feed.add(&finding, &nothing, &marking, NOW).unwrap();
    }
    assert_eq!(feed.events().count(), MAX_EVENTS);
    assert!(feed.events().all(|it| it.uuid() != oldest));
}
