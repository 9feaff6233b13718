//! Sink of an OpenTelemetry collector: OTLP/HTTP in its JSON encoding.
//!
//! Each record is a log record: the body is the record as key-value list, `event.name` its kind,
//! `mop.record.id` its id. Numbers of whole units are `intValue` in a string, as the encoding of
//! 64-bit integers in Protobuf's JSON has it. Metrics are pushed beside it, see [`metrics`].
//!
//! A collector that refuses some records of a batch says how many, not which, and must not be sent
//! the batch again: the whole batch is set aside then, with the reason `rejected_in_part`, so that
//! nothing is lost.

mod logs;
pub(crate) mod metrics;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use mop_outbox::Entry;
use reqwest::RequestBuilder;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Confirmation, Sink, Trouble, Verdict,
    http::{Answer, Client, Pace, Reach, Secret, check_url, ports_of},
    task,
    webhook::wants,
};
use crate::failure::Failure;

/// Its section of the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OtlpConfiguration {
    /// Base URL; `/v1/logs` and `/v1/metrics` are added.
    pub(crate) endpoint: String,
    /// Header fields of each request, such as those that authorise it. Never shown.
    pub(crate) headers: BTreeMap<String, Secret>,
    /// Send records as logs.
    pub(crate) logs: bool,
    /// Send metrics this often; nothing for none.
    #[serde(with = "crate::configuration::duration::or_zero")]
    pub(crate) metrics_every: Duration,
    /// Records of one request, at most.
    pub(crate) batch: usize,
    /// Kinds of records that are sent; see the webhook.
    pub(crate) kinds: Vec<String>,
    /// Roots to trust beside those of the system.
    pub(crate) ca_file: Option<PathBuf>,
    /// The environment is not asked.
    pub(crate) proxy: Option<String>,
    #[serde(with = "crate::configuration::duration")]
    pub(crate) connect_timeout: Duration,
    #[serde(with = "crate::configuration::duration")]
    pub(crate) request_timeout: Duration,
}

/// Sends records to a collector.
pub(crate) struct Otlp {
    kinds: Vec<String>,
    logs: bool,
    batch: usize,
    shared: Arc<Shared>,
}

struct Shared {
    sender: Sender,
    pace: Pace,
}

/// What both signals are sent with.
#[derive(Clone)]
struct Sender {
    client: Client,
    endpoint: String,
    headers: BTreeMap<String, Secret>,
    resource: Value,
}

impl Default for OtlpConfiguration {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            headers: BTreeMap::new(),
            logs: true,
            metrics_every: Duration::from_secs(60),
            batch: 200,
            kinds: Vec::new(),
            ca_file: None,
            proxy: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(15),
        }
    }
}

impl OtlpConfiguration {
    /// TCP ports that it connects to; `None` when they cannot be told.
    pub(crate) fn ports(&self) -> Option<Vec<u16>> {
        ports_of([&*self.endpoint], self.proxy.as_deref())
    }

    /// Files that it names: they are read at the start and again later.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.ca_file.iter()
    }

    /// Says what is wrong with it.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let wrong = |text: &str| Failure::configuration(format!("sinks.otlp: {text}"));
        check_url("sinks.otlp.endpoint", &self.endpoint)?;
        if !(1..=MAX_BATCH).contains(&self.batch) {
            return Err(wrong("batch is from 1 to 2000"));
        }
        if self.connect_timeout.is_zero() || self.request_timeout.is_zero() {
            return Err(wrong("connect_timeout and request_timeout are longer than nothing"));
        }
        for (name, value) in &self.headers {
            if reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_err()
                || reqwest::header::HeaderValue::from_str(value.reveal()).is_err()
            {
                return Err(wrong(&format!("the header {name:?} cannot be sent")));
            }
        }
        Ok(())
    }

    fn sender(&self, node: &str) -> Result<Sender, Failure> {
        Ok(Sender {
            client: Client::new(Reach {
                ca_file: self.ca_file.as_deref(),
                proxy: self.proxy.as_deref(),
                connect_timeout: self.connect_timeout,
                request_timeout: self.request_timeout,
            })?,
            endpoint: self.endpoint.trim_end_matches('/').to_owned(),
            headers: self.headers.clone(),
            resource: resource(node),
        })
    }
}

impl Otlp {
    pub(crate) fn new(configuration: &OtlpConfiguration, node: &str) -> Result<Self, Failure> {
        configuration.check()?;
        Ok(Self {
            kinds: configuration.kinds.clone(),
            logs: configuration.logs,
            batch: configuration.batch,
            shared: Arc::new(Shared { sender: configuration.sender(node)?, pace: Pace::default() }),
        })
    }
}

impl Sink for Otlp {
    fn name(&self) -> &'static str {
        "otlp"
    }

    fn takes(&self, entry: &Entry) -> bool {
        self.logs && entry.lane.is_forwarded() && wants(&self.kinds, &entry.kind)
    }

    fn window(&self) -> usize {
        self.shared.pace.window(WINDOW)
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn connect(&mut self) -> BoxFuture<'_, Result<(), Trouble>> {
        Box::pin(self.shared.pace.wait_ok())
    }

    fn send(&mut self, batch: Vec<Entry>) -> BoxFuture<'_, Result<Confirmation, Trouble>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            shared.pace.wait().await;
            let request =
                shared.sender.request("/v1/logs", &logs::request(&shared.sender.resource, &batch));
            Ok(task::confirm(async move { shared.deliver(request, batch.len()).await }))
        })
    }
}

impl Shared {
    async fn deliver(
        &self,
        request: RequestBuilder,
        records: usize,
    ) -> Result<Vec<Verdict>, Trouble> {
        let answer = self.sender.client.send(request).await.inspect_err(|_| self.pace.broke())?;
        self.verdict(&answer).map(|verdict| vec![verdict; records])
    }

    fn verdict(&self, answer: &Answer) -> Result<Verdict, Trouble> {
        match self.pace.verdict(answer, "the records")? {
            Verdict::Delivered if rejected(&answer.body, "rejectedLogRecords") > 0 => {
                Ok(Verdict::Parked("rejected_in_part"))
            }
            verdict => Ok(verdict),
        }
    }
}

impl Sender {
    fn request(&self, path: &str, body: &Value) -> RequestBuilder {
        let request = self.client.post(&format!("{}{path}", self.endpoint));
        let headers = self.headers.iter();
        headers
            .fold(request, |request, (name, value)| request.header(name, value.reveal()))
            .header("content-type", "application/json")
            .body(body.to_string())
    }
}

/// What sends: one process on one node.
fn resource(node: &str) -> Value {
    let started = jiff::Timestamp::now().as_millisecond();
    let instance = format!("{node}-{}-{started}", std::process::id());
    json!({ "attributes": [
        attribute("service.name", "mop"),
        attribute("service.version", env!("CARGO_PKG_VERSION")),
        attribute("service.instance.id", &instance),
        attribute("host.name", node),
    ] })
}

/// What made the telemetry.
fn scope() -> Value {
    json!({ "name": "mop", "version": env!("CARGO_PKG_VERSION") })
}

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// How many a collector refused of what it took as a whole. What it says beyond a number is of no use
/// to a program.
fn rejected(body: &[u8], field: &str) -> u64 {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else { return 0 };
    match &answer["partialSuccess"][field] {
        Value::Number(number) => number.as_u64().unwrap_or_default(),
        Value::String(text) => text.parse().unwrap_or_default(),
        _ => 0,
    }
}

/// Batches on their way at once.
const WINDOW: usize = 4;
/// Collectors take 4 MiB by default: 2,000 records of 2 KB.
const MAX_BATCH: usize = 2000;

#[cfg(test)]
mod tests;
