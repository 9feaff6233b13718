//! Records of findings obey their schema, and nothing that is wrong becomes one.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod published;

use jiff::Timestamp;
use mop_insight::{
    data::funnel::Side,
    security::finding::{
        Finding, FindingError, FindingFacts, MAX_ITEMS, Owasp, Part, Place, Reason, Severity,
    },
};
use serde_json::json;

fn facts() -> FindingFacts {
    FindingFacts {
        rule: "mop.injection.sql".into(),
        title: "SQL in a field of a request".into(),
        severity: Severity::High,
        paranoia: 1,
        owasp: vec![Owasp::Api10, Owasp::Api1],
        fapi: vec!["single-use request_uri".into()],
        organisation: Some("f1f1".into()),
        client_organisation: None,
        side: Some(Side::Server),
        method: Some("POST".into()),
        endpoint: Some("/open-insurance/consents/v3/consents".into()),
        exchange: Some("7-1".into()),
        places: vec![
            Place::field(Part::RequestBody, "data/permissions/*"),
            Place::field(Part::Query, "52998224725"),
            Place::whole(Part::Path),
        ],
        count: 3,
        first_seen: "2026-11-24T12:00:00Z".parse().unwrap(),
        last_seen: "2026-11-24T12:00:01.25Z".parse().unwrap(),
        reason: Reason { en: "It reads as SQL.".into(), pt: "Lê-se como SQL.".into() },
    }
}

#[test]
fn records_obey_their_schema() {
    let schema = published::record_schema("security.finding");
    let none = FindingFacts {
        owasp: vec![],
        fapi: vec![],
        organisation: None,
        side: None,
        method: None,
        endpoint: None,
        exchange: None,
        places: vec![],
        last_seen: facts().first_seen,
        ..facts()
    };
    for facts in [facts(), none] {
        let finding = Finding::new(facts).unwrap();
        let value = serde_json::to_value(&finding).unwrap();
        assert!(schema.is_valid(&value), "{value}");
        assert!(!value.to_string().contains("52998224725"));
        assert_eq!(serde_json::from_value::<Finding>(value.clone()).unwrap(), finding);
        // The check itself can fail.
        for (name, wrong) in [
            ("value", json!("x")),
            ("places", json!(["request.body:52998224725 x"])),
            ("severity", json!("page")),
            ("id", json!("x")),
        ] {
            let mut broken = value.clone();
            broken[name] = wrong;
            assert!(!schema.is_valid(&broken), "{name}");
        }
    }
}

#[test]
fn every_class_and_every_part_obeys_the_schema() {
    let schema = published::record_schema("security.finding");
    let all = [
        Owasp::Api1,
        Owasp::Api2,
        Owasp::Api3,
        Owasp::Api4,
        Owasp::Api5,
        Owasp::Api6,
        Owasp::Api7,
        Owasp::Api8,
        Owasp::Api9,
        Owasp::Api10,
    ];
    for owasp in all {
        for part in Part::ALL {
            let places = vec![Place::field(part, "a/b[c].d-e_f*$")];
            let finding = Finding::new(FindingFacts { owasp: vec![owasp], places, ..facts() });
            let value = serde_json::to_value(finding.unwrap()).unwrap();
            assert!(schema.is_valid(&value), "{value}");
            assert_eq!(value["owasp"][0], owasp.name());
        }
    }
}

#[test]
fn a_finding_that_is_told_twice_is_one() {
    let id = |facts| Finding::new(facts).unwrap().id;
    assert_eq!(id(facts()), id(FindingFacts { count: 9, ..facts() }));
    let others = [
        FindingFacts { rule: "other".into(), ..facts() },
        FindingFacts { exchange: None, ..facts() },
        FindingFacts { side: Some(Side::Client), ..facts() },
        FindingFacts { client_organisation: Some("f1f1".into()), organisation: None, ..facts() },
        FindingFacts { first_seen: Timestamp::UNIX_EPOCH, ..facts() },
    ];
    for other in others {
        assert_ne!(id(facts()), id(other));
    }
}

#[test]
fn what_is_wrong_is_no_record() {
    let error = |facts| Finding::new(facts).unwrap_err();
    let many = vec![Place::whole(Part::Path); MAX_ITEMS + 1];
    assert_eq!(error(FindingFacts { count: 0, ..facts() }), FindingError::Empty);
    let late = Timestamp::MAX;
    assert_eq!(error(FindingFacts { first_seen: late, ..facts() }), FindingError::Empty);
    assert_eq!(error(FindingFacts { paranoia: 5, ..facts() }), FindingError::Paranoia);
    let method = Some("52998224725".to_owned());
    assert_eq!(error(FindingFacts { method, ..facts() }), FindingError::Method);
    assert_eq!(error(FindingFacts { places: many, ..facts() }), FindingError::TooMany("places"));
    let rule = "a\nb".to_owned();
    assert_eq!(error(FindingFacts { rule, ..facts() }), FindingError::Text("rule"));
}
