//! The counts of a `quality.summary` record.
//!
//! Reports of calls are samples: every violating call, but of the clean ones one in so many. Only
//! summaries count every call, once, so aggregates are made from nothing else. A summary that
//! cannot be read is refused as a whole, not stored without being counted: whoever reads the
//! aggregates could not know what is missing from them.

use jiff::Timestamp;
use serde_json::Value;

/// Counts of one stretch of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Start of the hour, in UTC, in which the window begins.
    pub(crate) hour: Timestamp,
    pub(crate) series: Series,
    pub(crate) counts: Counts,
    pub(crate) codes: Vec<(CodeKey, i64)>,
    pub(crate) reasons: Vec<(String, i64)>,
}

/// What is counted. Empty texts stand for what is not there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Series {
    pub(crate) counterpart: String,
    pub(crate) api: String,
    pub(crate) api_version: String,
    pub(crate) method: String,
    pub(crate) template: String,
    pub(crate) operation_id: String,
}

/// Calls: calls = conforming + violating + unjudged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) calls: i64,
    pub(crate) conforming: i64,
    pub(crate) violating: i64,
    pub(crate) unjudged: i64,
    pub(crate) violating_as_published: i64,
    pub(crate) other_codes: i64,
}

/// What was wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CodeKey {
    pub(crate) direction: String,
    pub(crate) code: String,
    pub(crate) attribute: String,
}

impl Summary {
    /// Kind of the records that count.
    pub(crate) const KIND: &str = "quality.summary";

    /// Reads a record; `None` when it is not of the form that its schema describes.
    pub(crate) fn read(record: &Value) -> Option<Self> {
        let start: Timestamp = record.pointer("/window/start")?.as_str()?.parse().ok()?;
        let hour = start.as_second().div_euclid(SECONDS_PER_HOUR) * SECONDS_PER_HOUR;
        let series = Series {
            counterpart: text(record.get("counterpart"), MAX_NAME_BYTES)?,
            api: text(record.get("api"), MAX_NAME_BYTES)?,
            api_version: text(record.get("api_version"), MAX_WORD_BYTES)?,
            method: text(record.get("method"), MAX_WORD_BYTES)?,
            template: text(record.get("template"), MAX_PATH_BYTES)?,
            operation_id: text(record.get("operation_id"), MAX_NAME_BYTES)?,
        };
        let counts = Counts {
            calls: count(record.get("calls"))?,
            conforming: count(record.get("conforming"))?,
            violating: count(record.get("violating"))?,
            unjudged: count(record.get("unjudged"))?,
            violating_as_published: count(record.get("violating_as_published"))?,
            other_codes: count(record.get("other_codes"))?,
        };
        if counts.calls != counts.conforming + counts.violating + counts.unjudged {
            return None;
        }
        let codes = list(record.get("codes"), |code| {
            let key = CodeKey {
                direction: text(code.get("direction"), MAX_WORD_BYTES)?,
                code: text(code.get("code"), MAX_NAME_BYTES)?,
                attribute: text(code.get("attribute"), MAX_PATH_BYTES)?,
            };
            Some((key, count(code.get("calls"))?))
        })?;
        let reasons = list(record.get("unjudged_reasons"), |reason| {
            Some((text(reason.get("reason"), MAX_WORD_BYTES)?, count(reason.get("calls"))?))
        })?;
        Some(Self { hour: Timestamp::from_second(hour).ok()?, series, counts, codes, reasons })
    }
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        let Self { calls, conforming, violating, unjudged, violating_as_published, other_codes } =
            other;
        self.calls += calls;
        self.conforming += conforming;
        self.violating += violating;
        self.unjudged += unjudged;
        self.violating_as_published += violating_as_published;
        self.other_codes += other_codes;
    }
}

fn text(value: Option<&Value>, max_bytes: usize) -> Option<String> {
    match value {
        None | Some(Value::Null) => Some(String::new()),
        Some(Value::String(text)) if text.len() <= max_bytes => Some(text.clone()),
        Some(_) => None,
    }
}

fn count(value: Option<&Value>) -> Option<i64> {
    value?.as_i64().filter(|count| (0..=MAX_COUNT).contains(count))
}

fn list<T>(value: Option<&Value>, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    let items = value?.as_array()?;
    if items.len() > MAX_ITEMS {
        return None;
    }
    items.iter().map(read).collect()
}

const SECONDS_PER_HOUR: i64 = 3600;
/// All texts of a key together stay below the 2,704 bytes of an index entry of PostgreSQL.
const MAX_NAME_BYTES: usize = 256;
const MAX_WORD_BYTES: usize = 64;
const MAX_PATH_BYTES: usize = 1024;
/// Nine million of such counts fit into 64 bits.
const MAX_COUNT: i64 = 1_000_000_000_000;
/// As the schema has it.
const MAX_ITEMS: usize = 512;

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// A summary as a node makes it.
    pub(in super::super) fn record() -> Value {
        json!({
            "kind": "quality.summary", "schema_version": 1, "id": "r/0/1795518000/summary/0",
            "window": { "start": "2026-11-24T12:30:00Z", "end": "2026-11-24T13:00:00Z" },
            "counterpart": "api.example", "api": "consents", "api_version": "3.0.0",
            "method": "POST", "template": "/open-insurance/consents/v3/consents",
            "operation_id": null, "calls": 10, "conforming": 6, "violating": 3, "unjudged": 1,
            "violating_as_published": 4, "other_codes": 0,
            "unjudged_reasons": [{ "reason": "incomplete", "calls": 1 }],
            "codes": [{ "direction": "request", "code": "body.required", "attribute": "data",
                        "calls": 3 }],
        })
    }

    #[test]
    fn a_summary_is_counted_in_the_hour_in_which_its_window_begins() {
        let summary = Summary::read(&record()).expect("a summary");
        assert_eq!(summary.hour.to_string(), "2026-11-24T12:00:00Z");
        assert_eq!(summary.series.operation_id, "");
        assert_eq!(summary.counts.calls, 10);
        assert_eq!(summary.codes.len(), 1);
        assert_eq!(summary.reasons, [("incomplete".to_owned(), 1)]);
    }

    #[test]
    fn what_does_not_add_up_is_not_counted() {
        for (pointer, value) in [
            ("/calls", json!(11)),
            ("/calls", json!(-1)),
            ("/calls", json!("10")),
            ("/calls", json!(u64::MAX)),
            ("/window/start", json!("noon")),
            ("/counterpart", json!(["x"])),
            ("/counterpart", json!("x".repeat(1000))),
            ("/codes", json!({})),
            ("/codes/0/calls", json!(null)),
            ("/unjudged_reasons", json!(null)),
        ] {
            let mut record = record();
            *record.pointer_mut(pointer).expect("it is there") = value;
            assert_eq!(Summary::read(&record), None, "{pointer}");
        }
    }
}
