//! Records as nodes make them, and what they add up to.

use std::collections::BTreeMap;

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use mop_insight::security::finding::{Finding, FindingFacts, Owasp, Reason, Severity};
use serde_json::{Value, json};

/// A record and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    pub(crate) node: String,
    pub(crate) stream: &'static str,
    pub(crate) epoch: i64,
    pub(crate) sequence: i64,
    pub(crate) body: String,
}

/// Makes the records of one node, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    /// A day whose records are kept, such as `2026-11-24`.
    pub(crate) day: String,
    pub(crate) epoch: i64,
    next: BTreeMap<&'static str, i64>,
    seed: u64,
}

/// Calls, conforming, violating, unjudged, by hour and operation.
pub(crate) type Counts = BTreeMap<(String, String), [i64; 4]>;

impl Record {
    pub(crate) fn properties(&self) -> BasicProperties {
        let mut headers = FieldTable::default();
        let schema = format!("{}/1", self.kind);
        for (name, value) in [
            ("x-mop-node", AMQPValue::LongString(self.node.as_str().into())),
            ("x-mop-epoch", AMQPValue::LongLongInt(self.epoch)),
            ("x-mop-sequence", AMQPValue::LongLongInt(self.sequence)),
            ("x-mop-stream", AMQPValue::LongString(self.stream.into())),
            ("x-mop-schema", AMQPValue::LongString(schema.as_str().into())),
        ] {
            headers.insert(name.into(), value);
        }
        BasicProperties::default()
            .with_message_id(self.id.as_str().into())
            .with_type(self.kind.into())
            .with_content_type("application/json".into())
            .with_headers(headers)
    }
}

impl Node {
    pub(crate) fn new(name: &str, day: &str) -> Self {
        let seed = name.bytes().fold(7, |seed, byte| seed * 31 + u64::from(byte));
        Self { name: name.to_owned(), day: day.to_owned(), epoch: 1, next: BTreeMap::new(), seed }
    }

    /// Its outbox was opened again.
    pub(crate) fn restart(&mut self) {
        self.epoch += 1;
    }

    /// Its outbox was lost, and a new one was made.
    pub(crate) fn begin_anew(&mut self) {
        self.restart();
        self.next.clear();
    }

    /// Reports of calls.
    pub(crate) fn reports(&mut self, count: usize) -> Vec<Record> {
        (0..count).map(|_| self.report()).collect()
    }

    /// Counts of calls.
    pub(crate) fn summaries(&mut self, count: usize) -> Vec<Record> {
        (0..count).map(|_| self.summary()).collect()
    }

    /// A finding of so many calls in an hour.
    pub(crate) fn finding(&mut self, rule: &str, client: &str, hour: u8, calls: u64) -> Record {
        let number = self.random(1 << 40);
        let (minute, second) = (self.random(60), self.random(60));
        let at = format!("{}T{hour:02}:{minute:02}:{second:02}.25Z", self.day);
        let at = at.parse().expect("a time");
        let finding = Finding::new(FindingFacts {
            rule: rule.to_owned(),
            title: rule.to_owned(),
            severity: Severity::High,
            paranoia: 1,
            owasp: vec![Owasp::Api2],
            fapi: Vec::new(),
            organisation: Some("00000000-0000-4000-8000-000000000001".to_owned()),
            client_organisation: Some(client.to_owned()),
            side: None,
            method: Some("POST".to_owned()),
            endpoint: Some("/token".to_owned()),
            exchange: Some(format!("{}/{number:x}", self.name)),
            places: Vec::new(),
            count: calls,
            first_seen: at,
            last_seen: at,
            reason: Reason { en: "Refused.".to_owned(), pt: "Recusado.".to_owned() },
        });
        let finding = finding.expect("a finding");
        let body = serde_json::to_value(&finding).expect("JSON");
        self.record("security.finding", "data", finding.id, &body)
    }

    fn report(&mut self) -> Record {
        let number = self.random(1 << 40);
        let (hour, minute) = (self.random(24), self.random(60));
        let ts = format!("{}T{hour:02}:{minute:02}:07.5Z", self.day);
        let id = format!("{}/{number:x}/quality", self.name);
        let body = json!({
            "kind": "quality.report", "schema_version": 1, "id": id, "exchange": "e", "ts": ts,
            "role": "server", "counterpart": null, "api": "consents", "api_version": "3.0.0",
            "method": "POST", "template": "/open-insurance/consents/v3/consents",
            "operation_id": "consentsPostConsents", "unrouted": null, "status": 201,
            "verdict": "conforming",
            "published": { "conforming": true, "total": 0, "violations": [] },
            "corrected": { "conforming": true, "total": 0, "violations": [] },
            "rules": [], "unjudged": [],
        });
        self.record("quality.report", "samples", id, &body)
    }

    fn summary(&mut self) -> Record {
        let number = self.random(1 << 40);
        let hour = self.random(24);
        let operation = self.random(5);
        let [conforming, violating, unjudged] = [(); 3].map(|()| self.random(50));
        let id = format!("{}/{number:x}/summary", self.name);
        let body = json!({
            "kind": "quality.summary", "schema_version": 1, "id": id,
            "window": { "start": format!("{}T{hour:02}:30:00Z", self.day),
                        "end": format!("{}T{hour:02}:59:59Z", self.day) },
            "counterpart": null, "api": "consents", "api_version": "3.0.0", "method": "GET",
            "template": format!("/operation/{operation}"), "operation_id": "x",
            "calls": conforming + violating + unjudged, "conforming": conforming,
            "violating": violating, "unjudged": unjudged, "violating_as_published": violating,
            "unjudged_reasons": if unjudged > 0 {
                json!([{ "reason": "incomplete", "calls": unjudged }])
            } else {
                json!([])
            },
            "codes": if violating > 0 {
                json!([{ "direction": "response", "code": "body.required", "attribute": "data",
                         "calls": violating }])
            } else {
                json!([])
            },
            "other_codes": 0,
        });
        self.record("quality.summary", "data", id, &body)
    }

    fn record(
        &mut self,
        kind: &'static str,
        stream: &'static str,
        id: String,
        body: &Value,
    ) -> Record {
        let next = self.next.entry(stream).or_insert(1);
        let sequence = *next;
        *next += 1;
        let (node, epoch) = (self.name.clone(), self.epoch);
        Record { id, kind, node, stream, epoch, sequence, body: body.to_string() }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed % below
    }
}

/// What the summaries among these records add up to.
pub(crate) fn recount(records: &[Record]) -> Counts {
    let mut counts = Counts::new();
    for record in records.iter().filter(|record| record.kind == "quality.summary") {
        let body: Value = serde_json::from_str(&record.body).expect("made here");
        let start = body["window"]["start"].as_str().expect("made here");
        let template = body["template"].as_str().expect("made here");
        let key = (start[..13].replace('T', " "), template.to_owned());
        let sums = counts.entry(key).or_default();
        let names = ["calls", "conforming", "violating", "unjudged"];
        for (sum, name) in sums.iter_mut().zip(names) {
            *sum += body[name].as_i64().expect("made here");
        }
    }
    counts
}
