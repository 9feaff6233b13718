//! Events by where they belong, and which record each is of.

use std::collections::BTreeMap;

use mop_outbox::Entry;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::sinks::Verdict;

/// Whether records of this kind hold events for the platform.
pub(super) fn is_event(kind: &str) -> bool {
    matches!(kind, CALL | FUNNEL)
}

/// Entries on their way to verdicts.
pub(super) struct Batches<'e> {
    waiting: BTreeMap<&'static str, Vec<(usize, &'e RawValue)>>,
    verdicts: Vec<Verdict>,
}

/// Events that go into one request.
pub(super) struct Batch<'e> {
    /// Where it goes.
    pub(super) path: &'static str,
    /// What the platform calls each event, as far as it has a name.
    pub(super) correlations: Vec<Option<String>>,
    events: Vec<(usize, &'e RawValue)>,
}

/// What is read of a record.
#[derive(Deserialize)]
struct Read<'e> {
    side: Side,
    /// Of a funnel's step.
    funnel: Option<Funnel>,
    #[serde(borrow)]
    event: &'e RawValue,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Side {
    Client,
    Server,
}

#[derive(Clone, Copy, Deserialize)]
enum Funnel {
    #[serde(rename = "v2")]
    Consent,
    #[serde(rename = "cotacao")]
    Quote,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    correlation_id: String,
}

impl<'e> Batches<'e> {
    pub(super) fn new(entries: &'e [Entry]) -> Self {
        let mut waiting: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (place, entry) in entries.iter().enumerate() {
            if let Some((path, event)) = read(entry) {
                waiting.entry(path).or_default().push((place, event));
            }
        }
        // What cannot be read stays at this.
        Self { waiting, verdicts: vec![Verdict::Parked("unreadable"); entries.len()] }
    }

    /// The next batch to be sent.
    pub(super) fn next(&mut self) -> Option<Batch<'e>> {
        let (path, events) = self.waiting.pop_first()?;
        let name = |event: &RawValue| {
            serde_json::from_str::<Named>(event.get()).ok().map(|named| named.correlation_id)
        };
        let correlations = events.iter().map(|(_, event)| name(event)).collect();
        Some(Batch { path, correlations, events })
    }

    /// Notes what became of a batch.
    pub(super) fn settle(&mut self, batch: &Batch<'_>, verdicts: &[Verdict]) {
        for ((place, _), verdict) in batch.events.iter().zip(verdicts) {
            if let Some(slot) = self.verdicts.get_mut(*place) {
                *slot = *verdict;
            }
        }
    }

    pub(super) fn into_verdicts(self) -> Vec<Verdict> {
        self.verdicts
    }
}

impl Batch<'_> {
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// What is signed.
    pub(super) fn body(&self, organisation_id: &str) -> Vec<u8> {
        let bytes: usize = self.events.iter().map(|(_, event)| event.get().len() + 1).sum();
        let mut body = Vec::with_capacity(bytes + 100);
        body.extend_from_slice(br#"{"organisationId":"#);
        // Writing text into memory does not fail.
        let _written = serde_json::to_writer(&mut body, organisation_id);
        body.extend_from_slice(br#","events":["#);
        for (number, (_, event)) in self.events.iter().enumerate() {
            if number > 0 {
                body.push(b',');
            }
            body.extend_from_slice(event.get().as_bytes());
        }
        body.extend_from_slice(b"]}");
        body
    }
}

fn read(entry: &Entry) -> Option<(&'static str, &RawValue)> {
    let Read { side, funnel, event } = serde_json::from_slice(&entry.payload).ok()?;
    let path = match (&*entry.kind, funnel, side) {
        (CALL, None, Side::Server) => "/report-api/v1/server-batch",
        (CALL, None, Side::Client) => "/report-api/v1/client-batch",
        (FUNNEL, Some(Funnel::Consent), Side::Server) => "/event-api/v2/server-batch",
        (FUNNEL, Some(Funnel::Consent), Side::Client) => "/event-api/v2/client-batch",
        (FUNNEL, Some(Funnel::Quote), Side::Server) => {
            "/event-api/v1/cotacao-contratacao/server-batch"
        }
        (FUNNEL, Some(Funnel::Quote), Side::Client) => {
            "/event-api/v1/cotacao-contratacao/client-batch"
        }
        _ => return None,
    };
    Some((path, event))
}

/// One event a call.
const CALL: &str = "data.call";
/// One step of a consent or a quote.
const FUNNEL: &str = "data.funnel";
