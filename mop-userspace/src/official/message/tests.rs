//! What a message says of a call, and what it does not.

use std::time::Duration;

use mop_contract::{Call, ContractBuilder, Judge};
use serde_json::{Value, json};

use super::*;
use crate::official::sample::{self, headers};

const INTERACTION_ID: &str = "6f1b2a3c-0000-4000-8000-000000000001";
const MARK: &str = "m4rk";

/// A call with marks wherever a value may not leave.
fn exchange(role: Role) -> Exchange {
    let secret = format!("secret-{MARK}");
    let fields = [
        ("Host", "api.example"),
        ("Authorization", secret.as_str()),
        ("x-fapi-customer-ip-address", secret.as_str()),
        ("Cookie", secret.as_str()),
        ("x-fapi-interaction-id", INTERACTION_ID),
        ("Content-Type", "application/json"),
    ];
    let body = |name: &str| {
        let text = format!(
            r#"{{"data":{{"cpf":"{MARK}","brand":"b","other":"{MARK}","{name}":1}},"meta":{{"brand":"{MARK}"}}}}"#
        );
        Body::whole(text.into_bytes(), false)
    };
    let target = format!("/open-insurance/consents/v3/consents/12345678909?x={MARK}");
    let mut exchange = sample::exchange(role, &target, &fields, b"");
    if let (Some(request), Some(response)) = (&mut exchange.request, &mut exchange.response) {
        request.body = body("asked");
        response.body = body("answered");
        response.headers =
            headers(&[("Set-Cookie", &secret), ("Content-Type", "application/json")]);
    }
    exchange
}

fn source(lists: Option<(&[&str], &[&str])>) -> Arc<OfficialSource> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("fields.json");
    if let Some((anonymized, exposed)) = lists {
        let lists = json!({ "anonymized": anonymized, "exposed": exposed, "timestamp": "t" });
        std::fs::write(&file, lists.to_string()).expect("written");
    }
    let identity = Identity {
        version: "1.2.3".to_owned(),
        environment: "sandbox".to_owned(),
        organisation_id: "org".to_owned(),
        software_statement_id: "ss".to_owned(),
        authorisation_server_id: "as".to_owned(),
    };
    OfficialSource::new(identity, FieldPolicies::new(Some(file), Duration::from_secs(60)))
}

fn known() -> Arc<OfficialSource> {
    source(Some((&["cpf"], &["brand"])))
}

/// The record as JSON.
fn made(
    shared: &Arc<OfficialSource>,
    exchange: &Exchange,
    told: Option<&Told>,
) -> Result<Option<Value>, NotMade> {
    let contract = ContractBuilder::default().build();
    let call = Call::of(exchange);
    let judgement = match call {
        Some(call) => Judge::default().judge(&contract, call, &mut ()),
        None => return Ok(None),
    };
    let ts: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a timestamp");
    let source = Source { exchange, id: "e1", ts, told };
    let mut messages = OfficialMessages::new(Arc::clone(shared));
    let message = messages.make(source, &judgement, &[])?;
    Ok(message.map(|message| serde_json::to_value(message).expect("JSON")))
}

#[test]
fn a_client_tells_the_request_and_a_server_the_response() {
    for (role, name, origin, http_type, status, ids, moment) in [
        (Role::Client, "asked", "client", "request", "", ("ss", ""), "2026-11-24T12:00:00.000Z"),
        (
            Role::Server,
            "answered",
            "server",
            "response",
            "201",
            ("", "as"),
            "2026-11-24T12:00:00.250Z",
        ),
    ] {
        let record = made(&known(), &exchange(role), None).expect("made").expect("wanted");
        assert_eq!(record["kind"], KIND);
        assert_eq!(record["id"], "e1/official");
        let message = &record["message"];
        assert_eq!(message["payload"]["data"]["cpf"].as_str().map(str::len), Some(44));
        assert_eq!(message["payload"]["data"][name], "");
        assert_eq!(message["payload"]["data"]["brand"], "b");
        let trace = &message["trace"];
        assert_eq!(trace["origin"], origin);
        assert_eq!(trace["httpType"], http_type);
        assert_eq!(trace["statusCode"], status);
        assert_eq!((&trace["clientSSId"], &trace["serverASId"]), (&json!(ids.0), &json!(ids.1)));
        assert_eq!(trace["correlationId"], INTERACTION_ID);
        assert_eq!(trace["path"], "/open-insurance/consents/v3/consents/***");
        assert_eq!(trace["operation"], "PATCH");
        assert_eq!(trace["orgId"], "org");
        assert_eq!(message["metadata"]["timestamp"], moment);
        assert_eq!(
            message["metadata"]["initiatedBy"], "mop-client-gateway",
            "the word of the protocol"
        );
        assert_eq!(message["request"]["host"], "api.example");
        assert_eq!(message["privacy"]["anonymizedFields"], json!(["cpf"]));
        assert_eq!(message["privacy"]["exposedFields"], json!(["brand"]));
        assert_eq!(message["request"]["header"]["content-type"], "application/json");
        let text = record.to_string();
        assert!(!text.contains(MARK), "{text}");
    }
    let record = made(&known(), &exchange(Role::Client), None).expect("made").expect("wanted");
    let header = &record["message"]["request"]["header"];
    assert_eq!(header["authorization"], "");
    assert_eq!(header["cookie"], "");
    assert_eq!(header["x-fapi-customer-ip-address"], "");
    assert_eq!(header["x-fapi-interaction-id"], INTERACTION_ID);
}

#[test]
fn keys_are_in_the_order_of_the_client() {
    let mut messages = OfficialMessages::new(known());
    let exchange = exchange(Role::Client);
    let contract = ContractBuilder::default().build();
    let call = Call::of(&exchange).expect("a request");
    let judgement = Judge::default().judge(&contract, call, &mut ());
    let source = Source { exchange: &exchange, id: "e", ts: Timestamp::UNIX_EPOCH, told: None };
    let message = messages.make(source, &judgement, &[]).expect("made").expect("wanted");
    let text = serde_json::to_string(&message).expect("JSON");
    let places =
        ["\"metadata\":", "\"trace\":", "\"request\":{\"method\"", "\"privacy\":", "\"payload\":"]
            .map(|key| text.find(key).expect(key));
    assert!(places.is_sorted(), "{places:?}");
    let places = [
        "correlationId",
        "mopReportId",
        "traceId",
        "path",
        "operation",
        "httpType",
        "statusCode",
        "clientSSId",
        "serverASId",
        "origin",
        "traceOrigin",
        "orgId",
    ]
    .map(|key| text.find(&format!("\"{key}\":")).expect(key));
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn the_same_call_has_the_same_ids_and_another_has_others() {
    let ids = |exchange: &Exchange| {
        let record = made(&known(), exchange, None).expect("made").expect("wanted");
        let trace = &record["message"]["trace"];
        [trace["mopReportId"].clone(), trace["traceId"].clone()]
    };
    let [report, trace] = ids(&exchange(Role::Client));
    assert_eq!([report.clone(), trace.clone()], ids(&exchange(Role::Client)));
    assert_ne!(report, trace);
    assert!(mask::is_uuid(report.as_str().expect("text")), "{report}");
    let at = |ts| derived_id("report", "org", "e1", ts);
    assert_ne!(at(Timestamp::UNIX_EPOCH), at("2026-11-24T12:00:00Z".parse().expect("a time")));
}

#[test]
fn what_an_application_says_goes_before_what_is_known() {
    let told = Told {
        correlation_id: "correlation".to_owned(),
        report_id: Some("report".to_owned()),
        client_ss_id: Some("their-ss".to_owned()),
        trace_origin: Some("CLIENT".to_owned()),
        status_code: Some("202".to_owned()),
        ..Told::default()
    };
    let record =
        made(&known(), &exchange(Role::Client), Some(&told)).expect("made").expect("wanted");
    let trace = &record["message"]["trace"];
    for (key, value) in [
        ("correlationId", "correlation"),
        ("mopReportId", "report"),
        ("clientSSId", "their-ss"),
        ("serverASId", ""),
        ("traceOrigin", "CLIENT"),
        ("statusCode", "202"),
    ] {
        assert_eq!(trace[key], value, "{key}");
    }
}

#[test]
fn an_identifier_that_may_be_anything_is_not_passed_on() {
    let mut exchange = exchange(Role::Client);
    if let Some(request) = &mut exchange.request {
        request.headers = headers(&[
            ("x-fapi-interaction-id", "12345678909"),
            ("accept", "é"),
            ("host", &"h".repeat(600)),
        ]);
    }
    exchange.response = None;
    exchange.completeness.ending = Ending::ResponseCut;
    let record = made(&known(), &exchange, None).expect("made").expect("wanted");
    let message = &record["message"];
    assert_eq!(message["trace"]["correlationId"], message["trace"]["mopReportId"]);
    assert_eq!(
        message["request"]["header"],
        json!({ "x-fapi-interaction-id": "", "accept": "", "host": "" })
    );
    assert_eq!(message["request"]["host"], "");
}

/// Answers with this body instead.
fn with(exchange: &mut Exchange, text: &[u8]) {
    if let Some(response) = &mut exchange.response {
        response.body = Body::whole(text.to_vec(), false);
    }
}

#[test]
fn what_makes_no_message_is_counted_by_cause() {
    let changed = |change: fn(&mut Exchange)| {
        let mut exchange = exchange(Role::Server);
        change(&mut exchange);
        exchange
    };
    let cases: [(NotMade, Exchange); 7] = [
        (NotMade::Incomplete, changed(|exchange| exchange.response = None)),
        (
            NotMade::Incomplete,
            changed(|exchange| exchange.completeness.ending = Ending::ResponseCut),
        ),
        (NotMade::Incomplete, changed(|exchange| exchange.completeness.response.missing_bytes = 1)),
        (
            NotMade::NotKept,
            changed(|exchange| {
                if let Some(response) = &mut exchange.response {
                    response.body.length += 1;
                }
            }),
        ),
        (NotMade::Unreadable, changed(|exchange| with(exchange, b"<html>"))),
        (NotMade::Unreadable, changed(|exchange| with(exchange, br#"{"data":1,"data":2}"#))),
        (
            NotMade::TooLarge,
            changed(|exchange| {
                let element = br#"{"cpf":1},"#;
                let elements = element.repeat(anonymizer::MAX_PAYLOAD_BYTES / 40);
                with(exchange, &[b"{\"data\":[", &elements[..], b"1]}"].concat());
            }),
        ),
    ];
    for (cause, exchange) in &cases {
        let shared = known();
        assert_eq!(made(&shared, exchange, None), Err(*cause));
        let counts: Vec<(NotMade, u64)> =
            shared.not_made().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counts, [(*cause, 1)]);
        assert_eq!(shared.made(), 0);
    }
    let shared = source(None);
    assert_eq!(made(&shared, &exchange(Role::Client), None), Err(NotMade::NoFieldPolicy));
    let shared = known();
    let empty = changed(|exchange| with(exchange, b" "));
    let record = made(&shared, &empty, None).expect("made").expect("wanted");
    assert_eq!(record["message"]["payload"]["data"], json!({}));
    assert_eq!(shared.made(), 1);
}

#[test]
fn a_call_without_contract_is_an_error_and_an_unjudged_one_no_success() {
    let record = made(&known(), &exchange(Role::Client), None).expect("made").expect("wanted");
    let validations = &record["message"]["request"]["validations"];
    assert_eq!(validations["status"], "ERROR");
    assert_eq!(validations["total"], 1);
    assert_eq!(validations["pending"][0]["code"], "route.path_unknown");
    assert_eq!(validations["pending"][0]["severity"], "ERROR");
}
