//! Sink of the official MOP server: signs each message and sends it.
//!
//! A record of kind `official.message` holds the claims of a message but for `orgId`, `iat` and
//! `exp`, which are added when it is sent, so that a token is never older than its sending. The
//! claims are passed through as they were written. Answers: 2xx, the server has it; 401 and 403, the
//! key is not in the participant's JWKS in the directory or not for this organisation, which somebody
//! has to see to while the records wait; 408, 429 and 5xx, later; any other 4xx, the server refuses
//! this message and it is set aside.
//!
//! Duplicates: when an answer is lost, the message is sent again with the same `mopReportId`, by which
//! the server has to recognise it.

mod claims;

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use mop_outbox::Entry;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Confirmation, Sink, Trouble, Verdict,
    http::{Answer, Client, Meaning, Pace, Reach, Signer, check_url, ports_of},
    task,
};
use crate::{
    failure::Failure,
    official::{
        field_policy::FieldPolicies,
        message::{Identity, KIND, OfficialSource},
    },
};

use claims::claims;

/// Its section of the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MopServerConfiguration {
    /// Where messages are sent: `…/process`.
    pub(crate) process_url: String,
    /// Where the lists of attributes are: `…/anonymization-fields?schema=Consent`.
    pub(crate) fields_url: String,
    /// Private RSA key in PEM (PKCS#8 or PKCS#1). Read again when the file changes.
    pub(crate) key_file: PathBuf,
    /// The key's id in the participant's JWKS in the directory.
    pub(crate) kid: String,
    /// The participant's organisation id.
    pub(crate) organisation_id: String,
    /// Software statement id of this participant's client, when there is one only.
    pub(crate) software_statement_id: String,
    /// Authorisation server id of this participant, when there is one only.
    pub(crate) authorisation_server_id: String,
    /// What messages say about the environment: `production` or `sandbox`.
    pub(crate) environment: String,
    /// What messages say about the version of their maker. Empty: that of `mop`.
    pub(crate) version: String,
    /// Roots to trust beside those of the system.
    pub(crate) ca_file: Option<PathBuf>,
    /// Proxy for both URLs. The environment is not asked.
    pub(crate) proxy: Option<String>,
    #[serde(with = "crate::configuration::duration")]
    pub(crate) connect_timeout: Duration,
    #[serde(with = "crate::configuration::duration")]
    pub(crate) request_timeout: Duration,
    /// How long the lists of attributes are used before the server is asked again.
    pub(crate) fields_seconds: u64,
    /// Where the last good lists are kept. Without it: beside the outbox.
    pub(crate) fields_file: Option<PathBuf>,
}

/// Sends to the official server.
pub(crate) struct MopServer {
    shared: Arc<Shared>,
    source: Arc<OfficialSource>,
    fields_url: String,
    refresher: Option<task::Running>,
}

struct Shared {
    client: Client,
    process_url: String,
    signer: Signer,
    organisation_id: String,
    pace: Pace,
}

/// What is read of a record.
#[derive(Deserialize)]
struct Read<'a> {
    #[serde(borrow)]
    message: &'a RawValue,
}

impl Default for MopServerConfiguration {
    fn default() -> Self {
        Self {
            process_url: String::new(),
            fields_url: String::new(),
            key_file: PathBuf::new(),
            kid: String::new(),
            organisation_id: String::new(),
            software_statement_id: String::new(),
            authorisation_server_id: String::new(),
            environment: "production".to_owned(),
            version: String::new(),
            ca_file: None,
            proxy: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(15),
            // What the official client does.
            fields_seconds: 1800,
            fields_file: None,
        }
    }
}

impl MopServerConfiguration {
    /// TCP ports that it connects to; `None` when they cannot be told.
    pub(crate) fn ports(&self) -> Option<Vec<u16>> {
        ports_of([&*self.process_url, &self.fields_url], self.proxy.as_deref())
    }

    /// Files that it names: they are read at the start and again later.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.key_file).chain(&self.ca_file)
    }

    /// Says what is wrong with it.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let wrong = |text: &str| Err(Failure::configuration(format!("sinks.mop_server: {text}")));
        for (key, value) in [
            ("process_url", &self.process_url),
            ("fields_url", &self.fields_url),
            ("kid", &self.kid),
            ("organisation_id", &self.organisation_id),
            ("environment", &self.environment),
        ] {
            if value.trim().is_empty() {
                return wrong(&format!("{key} is missing"));
            }
        }
        check_url("sinks.mop_server.process_url", &self.process_url)?;
        check_url("sinks.mop_server.fields_url", &self.fields_url)?;
        if !(MIN_FIELDS_SECONDS..=MAX_FIELDS_SECONDS).contains(&self.fields_seconds) {
            return wrong("fields_seconds is from 10 to 86400");
        }
        if self.connect_timeout.is_zero() || self.request_timeout.is_zero() {
            return wrong("connect_timeout and request_timeout are longer than nothing");
        }
        self.signer()?;
        Ok(())
    }

    /// What messages are made with; its policies are kept fresh by the sink that is made of it.
    pub(crate) fn source(&self) -> Arc<OfficialSource> {
        let version = match self.version.trim() {
            "" => env!("CARGO_PKG_VERSION"),
            version => version,
        };
        let identity = Identity {
            version: version.to_owned(),
            environment: self.environment.clone(),
            organisation_id: self.organisation_id.clone(),
            software_statement_id: self.software_statement_id.clone(),
            authorisation_server_id: self.authorisation_server_id.clone(),
        };
        let max_age = Duration::from_secs(self.fields_seconds);
        OfficialSource::new(identity, FieldPolicies::new(self.fields_file.clone(), max_age))
    }

    fn signer(&self) -> Result<Signer, Failure> {
        Signer::new(&self.key_file, &self.kid)
            .map_err(|problem| Failure::configuration(format!("sinks.mop_server: {problem}")))
    }

    fn client(&self) -> Result<Client, Failure> {
        Client::new(Reach {
            ca_file: self.ca_file.as_deref(),
            proxy: self.proxy.as_deref(),
            connect_timeout: self.connect_timeout,
            request_timeout: self.request_timeout,
        })
    }
}

impl MopServer {
    /// `source` is what the messages that it will get are made with.
    pub(crate) fn new(
        configuration: &MopServerConfiguration,
        source: Arc<OfficialSource>,
    ) -> Result<Self, Failure> {
        configuration.check()?;
        Ok(Self {
            shared: Arc::new(Shared {
                client: configuration.client()?,
                process_url: configuration.process_url.clone(),
                signer: configuration.signer()?,
                organisation_id: configuration.organisation_id.trim().to_owned(),
                pace: Pace::default(),
            }),
            source,
            fields_url: configuration.fields_url.clone(),
            refresher: None,
        })
    }

    /// Asks for the lists of attributes now.
    #[cfg(test)]
    pub(crate) async fn refresh_fields(&self) -> Result<(), Trouble> {
        self.source.policies.refresh(&self.shared.client, &self.fields_url).await
    }

    /// Keeps the lists of attributes fresh from now on, until the sink is closed or dropped. Messages
    /// cannot be made without them, so this begins before there is anything to send.
    pub(crate) fn keep_fields_fresh(&mut self) {
        if self.refresher.is_some() {
            return;
        }
        let mut was_good = true;
        let report = move |trouble: Option<Trouble>| {
            let is_good = trouble.is_none();
            // Once when it begins, not at each try.
            if let (Some(trouble), true) = (trouble, was_good) {
                eprintln!("mop: the anonymization fields cannot be had: {trouble}");
            }
            was_good = is_good;
        };
        self.refresher = Some(task::Running::spawn(Arc::clone(&self.source.policies).keep_fresh(
            self.shared.client.clone(),
            self.fields_url.clone(),
            report,
        )));
    }
}

impl Sink for MopServer {
    fn name(&self) -> &'static str {
        "mop_server"
    }

    fn takes(&self, entry: &Entry) -> bool {
        &*entry.kind == KIND
    }

    fn window(&self) -> usize {
        self.shared.pace.window(WINDOW)
    }

    fn batch(&self) -> usize {
        1
    }

    /// Nothing to be made: connections are the client's. But a key that cannot be used is found here.
    fn connect(&mut self) -> BoxFuture<'_, Result<(), Trouble>> {
        Box::pin(async move {
            self.keep_fields_fresh();
            self.shared.pace.wait().await;
            self.shared.signer.reload().map_err(|problem| Trouble::lasting("key", problem))
        })
    }

    fn send(&mut self, batch: Vec<Entry>) -> BoxFuture<'_, Result<Confirmation, Trouble>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            shared.pace.wait().await;
            shared.signer.reload().map_err(|problem| Trouble::lasting("key", problem))?;
            Ok(task::confirm(async move {
                let mut verdicts = Vec::with_capacity(batch.len());
                for entry in batch {
                    verdicts.push(shared.deliver(&entry).await?);
                }
                Ok(verdicts)
            }))
        })
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        self.refresher = None;
        Box::pin(std::future::ready(()))
    }
}

impl Shared {
    async fn deliver(&self, entry: &Entry) -> Result<Verdict, Trouble> {
        let Ok(Read { message }) = serde_json::from_slice(&entry.payload) else {
            return Ok(Verdict::Parked("unreadable"));
        };
        let mut tries = 0;
        loop {
            tries += 1;
            let now = jiff::Timestamp::now();
            let Some(claims) = claims(message.get(), &self.organisation_id, now) else {
                return Ok(Verdict::Parked("unreadable"));
            };
            let token = self
                .signer
                .sign(claims.as_bytes())
                .map_err(|problem| Trouble::lasting("key", problem))?;
            let request = self
                .client
                .post(&self.process_url)
                .header("content-type", "application/jwt")
                .header("accept", "application/json")
                .body(token);
            let answer = self.client.send(request).await.inspect_err(|_| self.pace.broke())?;
            let verdict = self.verdict(&answer)?;
            if !matches!(verdict, Verdict::Again(_))
                || tries == TRIES
                || answer.retry_after.is_some()
            {
                return Ok(verdict);
            }
            tokio::time::sleep(TRY_AGAIN_AFTER * tries).await;
        }
    }

    fn verdict(&self, answer: &Answer) -> Result<Verdict, Trouble> {
        if answer.meaning() != Meaning::Unauthorised {
            return self.pace.verdict(answer, "the messages");
        }
        self.pace.broke();
        Err(Trouble::lasting(
            "unauthorised",
            format!(
                "the server does not accept the signature (status {}): is the key with this kid in the \
                 participant's JWKS, in the same environment?",
                answer.status
            ),
        ))
    }
}

/// Messages on their way at once: one takes a round trip of some ten milliseconds.
const WINDOW: usize = 8;
/// To send one again costs the others behind it a pause. A failure that comes alone is over with the
/// next try.
const TRIES: u32 = 3;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(50);
const MIN_FIELDS_SECONDS: u64 = 10;
const MAX_FIELDS_SECONDS: u64 = 86_400;

#[cfg(test)]
mod tests;
