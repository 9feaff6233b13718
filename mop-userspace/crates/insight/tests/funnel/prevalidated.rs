//! What the platform would refuse of a step is told before it is sent.

use mop_contract::json::Reader;
use mop_insight::data::{
    event::prevalidate::Breach,
    funnel::{FunnelRules, Side, prevalidate::prevalidate, step::FunnelKind},
};
use serde_json::{Value, json};

fn good() -> Value {
    json!({
        "consentId": "urn:seguradora:C1",
        "step": "consent-rejected",
        "correlationId": "c",
        "additionalInfo": { "rejected-by": "user" },
        "timestamp": "2026-11-24T12:00:00Z",
        "clientOrgId": "1fb79963-4bff-4204-9370-93aceb8a2f0d",
        "clientSSId": "2a59c2a3-529f-41c6-97e3-77395e9951ca",
        "serverOrgId": "ff66b95a-d817-4fbe-949a-c5912e240189",
        "serverASId": "f8cd7b48-197d-419b-8680-f42226111b6f",
        "permissions": ["RESOURCES_READ"],
    })
}

fn fields(event: &Value, funnel: FunnelKind, side: Side) -> Vec<&'static str> {
    let bytes = serde_json::to_vec(event).unwrap();
    let mut reader = Reader::default();
    let read = reader.read(&bytes).unwrap();
    let rules = FunnelRules::published().unwrap();
    let breaches = prevalidate(read.root(), funnel, side, &rules);
    breaches.into_iter().map(|Breach { field, .. }| field).collect()
}

#[test]
fn a_good_step_passes_where_it_belongs_only() {
    assert_eq!(fields(&good(), FunnelKind::V2, Side::Server), [""; 0]);
    assert_eq!(fields(&good(), FunnelKind::V2, Side::Client), ["step"]);
    assert_eq!(fields(&good(), FunnelKind::Quote, Side::Server), ["step", "permissions"]);
}

#[test]
fn each_fault_is_named_by_its_field() {
    for (field, value, named) in [
        ("consentId", json!("C1"), "consentId"),
        ("consentId", Value::Null, "consentId"),
        ("step", json!("user-logged-in"), "step"),
        ("correlationId", json!(""), "correlationId"),
        ("additionalInfo", json!({ "rejected-by": "nobody" }), "additionalInfo"),
        ("additionalInfo", json!({ "rejected-by": "user", "more": "x" }), "additionalInfo"),
        ("additionalInfo", json!([]), "additionalInfo"),
        ("timestamp", json!("2026-11-24T12:00:00.000Z"), "timestamp"),
        ("clientOrgId", json!("ff66b95a-d817-4fbe-949a-c5912e240189"), "clientOrgId"),
        ("clientSSId", json!("x"), "clientSSId"),
        ("permissions", json!([]), "permissions"),
        ("permissions", json!(["RESOURCES_READ", "NO_SUCH_READ"]), "permissions"),
        ("permissions", json!("RESOURCES_READ"), "permissions"),
    ] {
        let mut event = good();
        event[field] = value;
        assert_eq!(fields(&event, FunnelKind::V2, Side::Server), [named], "{field}");
        event.as_object_mut().unwrap().remove(field);
        let missed: &[&str] = if field == "additionalInfo" { &[] } else { &[field] };
        assert_eq!(fields(&event, FunnelKind::V2, Side::Server), missed, "{field} is missing");
    }
    assert_eq!(fields(&json!([]), FunnelKind::V2, Side::Server), ["event"]);
}
