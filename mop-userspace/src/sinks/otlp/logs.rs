//! Records as log records of OTLP.

use mop_outbox::{Entry, Lane};
use serde_json::{Map, Value, json};

use super::{attribute, scope};

/// The request of a batch (`ExportLogsServiceRequest`).
pub(super) fn request(resource: &Value, batch: &[Entry]) -> Value {
    let records: Vec<Value> = batch.iter().map(log_record).collect();
    json!({ "resourceLogs": [{
        "resource": resource,
        "scopeLogs": [{ "scope": scope(), "logRecords": records }],
    }] })
}

fn log_record(entry: &Entry) -> Value {
    let put_in = u128::from(entry.time_ms) * 1_000_000;
    let record: Option<Value> = serde_json::from_slice(&entry.payload).ok();
    let happened = record.as_ref().and_then(|record| {
        let text = record["ts"].as_str()?;
        u128::try_from(text.parse::<jiff::Timestamp>().ok()?.as_nanosecond()).ok()
    });
    let (number, text) = severity(entry.lane);
    let body = match &record {
        Some(record) => any_value(record, MAX_DEPTH),
        // Not JSON: as its text.
        None => json!({ "stringValue": String::from_utf8_lossy(&entry.payload) }),
    };
    json!({
        "timeUnixNano": happened.unwrap_or(put_in).to_string(),
        "observedTimeUnixNano": put_in.to_string(),
        "severityNumber": number,
        "severityText": text,
        "body": body,
        "attributes": [
            attribute("event.name", &entry.kind),
            attribute("mop.record.id", &entry.id),
            attribute("mop.lane", entry.lane.name()),
        ],
        "eventName": &*entry.kind,
    })
}

/// A value of JSON as an `AnyValue`.
fn any_value(value: &Value, depth: usize) -> Value {
    match value {
        Value::Null => Value::Object(Map::new()),
        Value::Bool(boolean) => json!({ "boolValue": boolean }),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => json!({ "intValue": integer.to_string() }),
            (None, Some(double)) if !number.is_u64() => json!({ "doubleValue": double }),
            _ => json!({ "stringValue": number.to_string() }),
        },
        Value::String(text) => json!({ "stringValue": text }),
        Value::Array(_) | Value::Object(_) if depth == 0 => {
            json!({ "stringValue": value.to_string() })
        }
        Value::Array(elements) => {
            let values: Vec<Value> =
                elements.iter().map(|element| any_value(element, depth - 1)).collect();
            json!({ "arrayValue": { "values": values } })
        }
        Value::Object(members) => {
            let values: Vec<Value> = members
                .iter()
                .map(|(key, value)| json!({ "key": key, "value": any_value(value, depth - 1) }))
                .collect();
            json!({ "kvlistValue": { "values": values } })
        }
    }
}

/// `SeverityNumber` and its short name.
fn severity(lane: Lane) -> (u8, &'static str) {
    match lane {
        Lane::Security | Lane::Violations => (13, "WARN"),
        Lane::Operations | Lane::Data | Lane::Samples | Lane::Local => (9, "INFO"),
    }
}

/// Records have six levels; readers of Protobuf allow a hundred, of which each of ours takes three.
const MAX_DEPTH: usize = 16;
