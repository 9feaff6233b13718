//! Sink of an HTTP(S) endpoint of the participant's own: records as JSON, several in one POST.
//!
//! | header | what it is |
//! |---|---|
//! | `Content-Type` | `application/x-ndjson`, a record a line, or `application/json`, an array |
//! | `Idempotency-Key` | the same for the same records in the same order: 32 hexadecimal digits of a hash of their ids |
//! | `X-MOP-Node` | the node that sends |
//! | `X-MOP-Records` | how many records the body has |
//! | `Authorization` | `Bearer …`, from a file, when one is configured |
//! | `X-MOP-Timestamp` | seconds since 1970, when requests are signed |
//! | `X-MOP-Signature` | `sha256=` and HMAC-SHA-256 in hexadecimal of `timestamp.body`, when a key is configured |
//!
//! A batch that is sent again may be cut differently, so a receiver has to recognise records by their
//! `id`, not batches by their key. A receiver checks the signature over the bytes as they came, and
//! refuses timestamps that are too old for it. 2xx: taken. 401 and 403: somebody has to see to it. 408,
//! 429 and 5xx: later. Any other 4xx refuses the batch: its records are sent one by one then, so that
//! only what is refused is set aside.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use mop_outbox::Entry;
use reqwest::RequestBuilder;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    Confirmation, Sink, Trouble, Verdict,
    http::{Answer, Client, Pace, Reach, SecretFile, check_url, ports_of},
    task,
};
use crate::{failure::Failure, official::message};

/// Its section of the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WebhookConfiguration {
    pub(crate) url: String,
    pub(crate) format: WebhookFormat,
    /// Records of one POST, at most.
    pub(crate) batch: usize,
    /// Kinds of records that are sent, such as `quality.report` or `quality.*`. Empty: all, but for
    /// those that are made for the official server.
    pub(crate) kinds: Vec<String>,
    /// File with a bearer token in one line.
    pub(crate) bearer_token_file: Option<SecretFile>,
    /// File with the key of signatures in one line.
    pub(crate) signature_key_file: Option<SecretFile>,
    /// Roots to trust beside those of the system.
    pub(crate) ca_file: Option<PathBuf>,
    /// The environment is not asked.
    pub(crate) proxy: Option<String>,
    #[serde(with = "crate::configuration::duration")]
    pub(crate) connect_timeout: Duration,
    #[serde(with = "crate::configuration::duration")]
    pub(crate) request_timeout: Duration,
}

/// The form of a body.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WebhookFormat {
    /// An array of JSON.
    Array,
    /// JSON Lines.
    #[default]
    Ndjson,
}

/// Sends to a webhook.
pub(crate) struct Webhook {
    kinds: Vec<String>,
    batch: usize,
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    url: String,
    node: String,
    format: WebhookFormat,
    bearer_token: Option<SecretFile>,
    signature_key: Option<SecretFile>,
    pace: Pace,
    /// Records that are sent one by one, because a batch with them was refused.
    singly: AtomicUsize,
}

impl Default for WebhookConfiguration {
    fn default() -> Self {
        Self {
            url: String::new(),
            format: WebhookFormat::default(),
            batch: 100,
            kinds: Vec::new(),
            bearer_token_file: None,
            signature_key_file: None,
            ca_file: None,
            proxy: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(15),
        }
    }
}

impl WebhookConfiguration {
    /// TCP ports that it connects to; `None` when they cannot be told.
    pub(crate) fn ports(&self) -> Option<Vec<u16>> {
        ports_of([&*self.url], self.proxy.as_deref())
    }

    /// Files that it names: they are read at the start and again later.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let secrets = self.bearer_token_file.iter().chain(&self.signature_key_file);
        secrets.map(|file| &file.0).chain(&self.ca_file)
    }

    /// Says what is wrong with it.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let wrong = |text: &str| Failure::configuration(format!("sinks.webhook: {text}"));
        check_url("sinks.webhook.url", &self.url)?;
        if !(1..=MAX_BATCH).contains(&self.batch) {
            return Err(wrong("batch is from 1 to 1000"));
        }
        if self.connect_timeout.is_zero() || self.request_timeout.is_zero() {
            return Err(wrong("connect_timeout and request_timeout are longer than nothing"));
        }
        for file in self.bearer_token_file.iter().chain(&self.signature_key_file) {
            file.read().map_err(|problem| wrong(&problem))?;
        }
        Ok(())
    }
}

impl Webhook {
    /// `node` is told to the receiver.
    pub(crate) fn new(configuration: &WebhookConfiguration, node: &str) -> Result<Self, Failure> {
        configuration.check()?;
        let WebhookConfiguration {
            url,
            format,
            batch,
            kinds,
            bearer_token_file,
            signature_key_file,
            ca_file,
            proxy,
            connect_timeout,
            request_timeout,
        } = configuration.clone();
        let client = Client::new(Reach {
            ca_file: ca_file.as_deref(),
            proxy: proxy.as_deref(),
            connect_timeout,
            request_timeout,
        })?;
        Ok(Self {
            kinds,
            batch,
            shared: Arc::new(Shared {
                client,
                url,
                node: node.to_owned(),
                format,
                bearer_token: bearer_token_file,
                signature_key: signature_key_file,
                pace: Pace::default(),
                singly: AtomicUsize::new(0),
            }),
        })
    }
}

impl Sink for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn takes(&self, entry: &Entry) -> bool {
        entry.lane.is_forwarded() && wants(&self.kinds, &entry.kind)
    }

    fn window(&self) -> usize {
        self.shared.pace.window(WINDOW)
    }

    fn batch(&self) -> usize {
        if self.shared.singly.load(Ordering::Relaxed) > 0 { 1 } else { self.batch }
    }

    fn connect(&mut self) -> BoxFuture<'_, Result<(), Trouble>> {
        Box::pin(self.shared.pace.wait_ok())
    }

    fn send(&mut self, batch: Vec<Entry>) -> BoxFuture<'_, Result<Confirmation, Trouble>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            shared.pace.wait().await;
            let request = shared.request(&batch, Timestamp::now())?;
            Ok(task::confirm(async move { shared.deliver(request, batch.len()).await }))
        })
    }
}

impl Shared {
    fn request(&self, batch: &[Entry], now: Timestamp) -> Result<RequestBuilder, Trouble> {
        let body = body(self.format, batch);
        let mut request = self
            .client
            .post(&self.url)
            .header(
                "content-type",
                match self.format {
                    WebhookFormat::Array => "application/json",
                    WebhookFormat::Ndjson => "application/x-ndjson",
                },
            )
            .header("idempotency-key", idempotency_key(batch))
            .header("x-mop-node", &self.node)
            .header("x-mop-records", batch.len());
        let secret =
            |file: &SecretFile| file.read().map_err(|problem| Trouble::lasting("secret", problem));
        if let Some(file) = &self.bearer_token {
            let token = secret(file)?;
            let token = std::str::from_utf8(&token).map_err(|_quotes_the_token| {
                Trouble::lasting("secret", "the bearer token is no text")
            })?;
            request = request.bearer_auth(token);
        }
        if let Some(file) = &self.signature_key {
            let timestamp = now.as_second().to_string();
            let signature = signature(&secret(file)?, &timestamp, &body);
            request =
                request.header("x-mop-timestamp", timestamp).header("x-mop-signature", signature);
        }
        Ok(request.body(body))
    }

    async fn deliver(
        &self,
        request: RequestBuilder,
        records: usize,
    ) -> Result<Vec<Verdict>, Trouble> {
        let answer = self.client.send(request).await.inspect_err(|_| self.pace.broke())?;
        self.verdict(&answer, records).map(|verdict| vec![verdict; records])
    }

    fn verdict(&self, answer: &Answer, records: usize) -> Result<Verdict, Trouble> {
        let verdict = self.pace.verdict(answer, "the records")?;
        match verdict {
            Verdict::Parked(_) if records > 1 => {
                self.singly.store(records, Ordering::Relaxed);
                return Ok(Verdict::Again("refused_together"));
            }
            Verdict::Delivered | Verdict::Parked(_) => self.sent_singly(records),
            Verdict::Again(_) => {}
        }
        Ok(verdict)
    }

    fn sent_singly(&self, records: usize) {
        let left = |count: usize| Some(count.saturating_sub(records));
        let _was = self.singly.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
    }
}

/// Whether a kind is among those that are wanted.
pub(super) fn wants(kinds: &[String], kind: &str) -> bool {
    if kinds.is_empty() {
        return kind != message::KIND;
    }
    kinds.iter().any(|wanted| match wanted.strip_suffix('*') {
        Some(beginning) => kind.starts_with(beginning),
        None => wanted == kind,
    })
}

fn body(format: WebhookFormat, batch: &[Entry]) -> Vec<u8> {
    let bytes: usize = batch.iter().map(|entry| entry.payload.len() + 1).sum();
    let mut body = Vec::with_capacity(bytes + 2);
    if format == WebhookFormat::Array {
        body.push(b'[');
    }
    for (place, entry) in batch.iter().enumerate() {
        if format == WebhookFormat::Array && place > 0 {
            body.push(b',');
        }
        body.extend_from_slice(entry.payload.trim_ascii_end());
        if format == WebhookFormat::Ndjson {
            body.push(b'\n');
        }
    }
    if format == WebhookFormat::Array {
        body.push(b']');
    }
    body
}

fn idempotency_key(batch: &[Entry]) -> String {
    let mut hash = Sha256::new();
    for entry in batch {
        hash.update(entry.id.as_bytes());
        hash.update(b"\n");
    }
    hex(hash.finalize().get(..16).unwrap_or_default())
}

fn signature(key: &[u8], timestamp: &str, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).expect("invariant: HMAC takes keys of any length");
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    format!("sha256={}", hex(&mac.finalize().into_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Batches on their way at once.
const WINDOW: usize = 4;
/// A thousand records of 2 KB are 2 MB, more than many receivers take.
const MAX_BATCH: usize = 1000;

#[cfg(test)]
mod tests;
