//! Events of calls to every endpoint of the metrics platform, held against the platform's own
//! schema and against the record's.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod common;

use std::fs;

use common::{CONSENT, Made, analyse, document, endpoints, events};
use mop_contract::{
    ContractBuilder,
    check::Checker,
    json::{Json, Reader},
};
use mop_insight::data::{
    analyst::Outcome,
    endpoint::source,
    event::{Unreportable, prevalidate::prevalidate},
};
use mop_wire::{Ending, Role};
use serde_json::{Value, json};

/// One successful call to each endpoint, by both sides, with the consent in its path, its body or
/// its token.
fn calls() -> Vec<Made> {
    let token = common::signed(&json!({ "scope": format!("openid consent:{CONSENT}") }));
    let mut calls = Vec::new();
    for (number, endpoint) in endpoints().endpoints().iter().enumerate() {
        let mut path = endpoint.template.replace("{consentId}", CONSENT);
        while let (Some(from), Some(to)) = (path.find('{'), path.find('}')) {
            path.replace_range(from..=to, "v1");
        }
        let at = number as i64 * 50;
        let made = Made::new("GET", &format!("{path}?page=1"), 200)
            .header("Authorization", &format!("Bearer {token}"));
        calls.push(made.clone().at(at, number as u64 * 2));
        calls.push(made.client().at(at + 20, number as u64 * 2 + 1));
    }
    calls
}

#[test]
fn events_of_every_endpoint_obey_the_platform() {
    let Some(document) = document("events_of_every_endpoint_obey_the_platform", "ingestion") else {
        return;
    };
    let mut builder = ContractBuilder::default();
    builder.add(&document, None);
    let contract = builder.build();
    let (route, operation) = contract.route("POST", "/report-api/v1/server-event").unwrap();
    assert!(route.parameters.is_empty());
    let schema = operation.published.request_body.as_ref().unwrap().content[0].schema.unwrap();
    let endpoints = endpoints();
    let (outcomes, counts) = analyse(&calls());
    assert_eq!((counts.server_events, counts.client_events), (328, 328), "{counts:?}");
    let (mut reader, mut broken) = (Reader::default(), Reader::default());
    for event in events(&outcomes) {
        let text = serde_json::to_string(&event.event).unwrap();
        let json = reader.read(text.as_bytes()).unwrap();
        let mut checker = Checker::new(contract.schemas(), text.len());
        assert!(checker.is_valid(schema, json.root()).unwrap(), "{text}");
        assert_eq!(prevalidate(json.root(), &endpoints), [], "{text}");
        // The test would notice: every field, spoilt, is refused by the platform or by the rules.
        let fields: Value = serde_json::from_str(&text).unwrap();
        for name in fields.as_object().unwrap().keys() {
            let mut fields = fields.clone();
            fields[name] = json!({ "x": "" });
            let text = fields.to_string();
            let json: Json<'_> = broken.read(text.as_bytes()).unwrap();
            let mut checker = Checker::new(contract.schemas(), text.len());
            let is_valid = checker.is_valid(schema, json.root()).unwrap();
            assert!(!is_valid || name == "additionalInfo", "{text}");
            assert!(is_valid || !prevalidate(json.root(), &endpoints).is_empty(), "{text}");
        }
    }
}

#[test]
fn records_have_the_form_that_the_schema_says() {
    let path = common::root().join("rules/schemas/data.call.schema.json");
    let schema: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let validator =
        jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap();
    let (outcomes, _) = analyse(&calls());
    let mut ids = std::collections::HashSet::new();
    for event in events(&outcomes) {
        let record = serde_json::to_value(event).unwrap();
        let errors: Vec<_> = validator.iter_errors(&record).map(|it| it.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?} in {record}");
        assert!(ids.insert(record["event"]["correlationId"].to_string()), "{record}");
    }
    // And again, to the byte.
    let (again, _) = analyse(&calls());
    let bytes = |outcomes: &[Outcome]| {
        events(outcomes).iter().map(|it| serde_json::to_string(it).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(bytes(&again), bytes(&outcomes));
}

#[test]
fn the_list_of_endpoints_is_the_document_s() {
    let Some(document) = document("the_list_of_endpoints_is_the_document_s", "ingestion") else {
        return;
    };
    let path = common::root().join("rules/opin/pcm/endpoints.json");
    let file = serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
    assert_eq!(serde_json::to_value(source::derive(&document).unwrap()).unwrap(), file);
}

#[test]
fn an_event_says_what_was_on_the_wire() {
    let made =
        Made::new("GET", &format!("/brand/open-insurance/consents/v3/consents/{CONSENT}"), 404);
    let (outcomes, _) = analyse(&[made]);
    let event = serde_json::to_value(&events(&outcomes)[0].event).unwrap();
    let correlation = event["correlationId"].clone();
    assert_eq!(
        event,
        json!({
            "fapiInteractionId": common::INTERACTION,
            "endpoint": "/open-insurance/consents/v3/consents/{consentId}",
            "url": format!("/open-insurance/consents/v3/consents/{CONSENT}"),
            "statusCode": 404,
            "httpMethod": "GET",
            "correlationId": correlation,
            "additionalInfo": { "consentId": CONSENT },
            "timestamp": "2026-11-24T12:00:00Z",
            "processTimespan": 12,
            "clientOrgId": common::CLIENT,
            "clientSSId": common::STATEMENT,
            "serverOrgId": common::SERVER,
            "serverASId": common::AUTHORISATION,
            "endpointUriPrefix": format!("https://{}", common::HOST),
        })
    );
}

#[test]
fn what_is_missing_is_a_reason_and_no_event() {
    let resources = "/open-insurance/resources/v3/resources";
    let base = || Made::new("GET", resources, 403);
    let with_host = |host| base().without("Host").header("Host", host);
    let unanswered = |mut made: Made| {
        made.exchange.response = None;
        made.exchange.completeness.ending = Ending::ResponseCut;
        made
    };
    for (made, reason) in [
        (Made::new("GET", resources, 200), Unreportable::ConsentUnknown),
        (Made::new("OPTIONS", resources, 403), Unreportable::MethodUnlisted),
        (Made::new("GET", resources, 999), Unreportable::StatusUnlisted),
        (base().without("x-fapi-interaction-id"), Unreportable::InteractionAbsent),
        (
            base().without("x-fapi-interaction-id").header("x-fapi-interaction-id", "a b"),
            Unreportable::InteractionAbsent,
        ),
        (with_host("other.example"), Unreportable::ServerOrganisationUnknown),
        (with_host("other.example").client(), Unreportable::ServerAuthorisationServerUnknown),
        (unanswered(base()), Unreportable::AnswerUnseen),
        (unanswered(base().client()), Unreportable::AnswerUnseen),
    ] {
        let (outcomes, _) = analyse(std::slice::from_ref(&made));
        let [Outcome::Edge(_), Outcome::Unreportable { reasons, .. }] = &outcomes[..] else {
            panic!("{reason:?}: {outcomes:?}");
        };
        assert!(reasons.contains(&reason), "{reason:?}: {reasons:?}");
    }
}

#[test]
fn a_client_that_waited_in_vain_reports_408() {
    let mut made = Made::new("GET", "/open-insurance/resources/v3/resources", 200).client();
    made.exchange.response = None;
    made.exchange.completeness.ending = Ending::ResponseCut;
    let start_ns = made.exchange.timing.request_start_ns;
    made.connection_end_ns = Some(start_ns + 4_000_000_000);
    let (outcomes, _) = analyse(&[made.clone()]);
    let event = serde_json::to_value(&events(&outcomes)[0].event).unwrap();
    assert_eq!((&event["statusCode"], &event["processTimespan"]), (&json!(408), &json!(4000)));
    // A refusal comes at once, and part of an answer is no time-out.
    made.connection_end_ns = Some(start_ns + 2_000_000);
    assert_eq!(events(&analyse(&[made.clone()]).0).len(), 0);
    made.connection_end_ns = Some(start_ns + 4_000_000_000);
    made.exchange.completeness.response.framed_bytes = 10;
    assert_eq!(events(&analyse(&[made]).0).len(), 0);
}

#[test]
fn an_answer_that_was_lost_in_a_hole_is_reported_as_what_was_seen() {
    let mut made = Made::new("GET", "/open-insurance/channels/v2/branches", 200);
    made.exchange.completeness.ending = Ending::LostInHole;
    made.exchange.completeness.response.missing_bytes = 4096;
    made.exchange.timing.response_end_ns = 0;
    let (outcomes, _) = analyse(&[made]);
    let record = serde_json::to_value(events(&outcomes)[0]).unwrap();
    // Until the first byte of the answer.
    assert_eq!(record["event"]["processTimespan"], 11);
    assert_eq!(
        record["completeness"],
        json!({ "complete": false, "missing_bytes": 4096, "duration_exact": false, "body_unread": false })
    );
}

#[test]
fn open_data_needs_neither_caller_nor_consent() {
    let made = Made::new("GET", "/open-insurance/channels/v2/branches", 200)
        .without("x-fapi-interaction-id");
    let mut extractor =
        mop_insight::data::call::Extractor::new(std::sync::Arc::new(common::settings()));
    let call = extractor
        .extract(
            &made.exchange,
            &mop_insight::data::call::Observed {
                exchange: &"x".into(),
                start: made.start,
                ends: mop_insight::data::call::Ends::default(),
                process: None,
                peer_certificate: None,
                own_certificate: None,
                connection_end_ns: None,
            },
        )
        .unwrap();
    let mut outcomes = Vec::new();
    let mut analyst = common::analyst();
    analyst.observe(call, &mut outcomes);
    analyst.finish(&mut outcomes);
    let event = serde_json::to_value(events(&outcomes)[0]).unwrap();
    for field in ["fapiInteractionId", "clientOrgId", "clientSSId", "additionalInfo"] {
        assert_eq!(event["event"].get(field), None, "{event}");
    }
    assert_eq!(event["joined"], Value::Null);
}

#[test]
fn a_body_that_is_not_whole_is_told_and_not_guessed() {
    let answer = json!({ "data": { "consentId": CONSENT, "permissions": ["RESOURCES_READ"] } });
    let made = Made::new("POST", "/open-insurance/consents/v3/consents", 201).answers(&answer);
    assert_eq!(events(&analyse(std::slice::from_ref(&made)).0).len(), 1);
    let mut cut = made;
    let response = cut.exchange.response.as_mut().unwrap();
    response.body.length += 1;
    response.body.missing = 1;
    cut.exchange.completeness.response.missing_bytes = 1;
    let call = cut.call();
    assert!(call.seen.is_body_unread && !call.seen.is_complete);
    assert_eq!((&call.named, &call.acts[..]), (&None, &[][..]));
    let (outcomes, counts) = analyse(&[cut]);
    assert_eq!(events(&outcomes).len(), 0);
    assert_eq!(counts.unreportable[&Unreportable::ConsentUnknown], 1);
}

#[test]
fn calls_to_oneself_and_pings_are_left_out() {
    let mut own = Made::new("GET", "/open-insurance/channels/v2/branches", 200);
    let mut addresses = common::addresses();
    addresses.tenants.servers[0].organisation = common::CLIENT.into();
    let mut analyst = common::analyst();
    analyst.replace_addresses(std::sync::Arc::new(addresses));
    let (outcomes, counts) = common::analyse_by(&mut analyst, std::slice::from_ref(&own));
    assert!(matches!(outcomes[..], [Outcome::Excluded { .. }]), "{outcomes:?}");
    assert_eq!(counts.excluded.len(), 1);
    own.exchange.role = Role::Server;
    let mut settings = common::settings();
    settings.exclusions.user_agents.push("probe".into());
    let mut extractor = mop_insight::data::call::Extractor::new(std::sync::Arc::new(settings));
    let call = own.header("User-Agent", "Probe/1").call_by(&mut extractor).unwrap();
    assert!(call.exclusion.is_some());
}

#[test]
fn calls_beyond_the_list_are_counted() {
    let unlisted = Made::new("GET", "/open-insurance/discovery/v1/status", 200);
    let other = Made::new("GET", "/open-insurance/consents/v9/consents", 200);
    let (outcomes, counts) = analyse(&[unlisted, other]);
    let [Outcome::Edge(_), Outcome::Unlisted { .. }, Outcome::Edge(_), Outcome::Unlisted { .. }] =
        &outcomes[..]
    else {
        panic!("{outcomes:?}");
    };
    assert_eq!(counts.unlisted.values().sum::<u64>(), 2);
    let unregulated = Made::new("GET", "/health", 200);
    let mut extractor =
        mop_insight::data::call::Extractor::new(std::sync::Arc::new(common::settings()));
    assert!(unregulated.call_by(&mut extractor).is_err());
}

#[test]
fn rules_are_told_in_words() {
    let endpoints = endpoints();
    let mut reader = Reader::default();
    let mut told = |event: Value| {
        let text = event.to_string();
        let json = reader.read(text.as_bytes()).unwrap();
        let breaches = prevalidate(json.root(), &endpoints);
        breaches.iter().map(|it| format!("{} {}", it.field, it.words)).collect::<Vec<_>>()
    };
    assert_eq!(told(json!([])), ["event must be an object"]);
    assert_eq!(told(json!({})).len(), 12);
    let event = json!({
        "endpoint": "/open-insurance/resources/v3/resources", "url": "/open-insurance/x?y",
        "statusCode": 200, "httpMethod": "get", "correlationId": "1",
        "timestamp": "2026-11-24T12:00:00.000Z", "processTimespan": 0, "fapiInteractionId": "a",
        "clientOrgId": common::CLIENT, "clientSSId": common::STATEMENT,
        "serverOrgId": common::CLIENT, "serverASId": common::AUTHORISATION,
        "endpointUriPrefix": "https://api.example/",
    });
    assert_eq!(
        told(event),
        [
            "processTimespan must be a whole number of milliseconds, 1 or more",
            "url must be a path without query",
            "httpMethod must be GET, POST, PUT, DELETE or PATCH",
            "timestamp must be yyyy-mm-ddThh:mm:ssZ, 20 characters",
            "endpointUriPrefix must be https:// and a host, without port, path or slash at its end",
            "additionalInfo.consentId is missing, and the call succeeded outside of phase 1",
            "clientOrgId must not be the organisation that was called",
        ]
    );
}
