//! Sink of the metrics platform (PCM): transactional events and steps of funnels, signed, in batches.
//!
//! Records of kind `data.call` and `data.funnel` hold the event as the platform wants it. It is passed
//! through as it was written: the platform knows an event again by its members, so that one that is
//! sent twice counts once. A batch is `{"organisationId":…,"events":[…]}`, signed as a JWS and posted as
//! `application/jwt`; there is no other authentication.
//!
//! | what | where |
//! |---|---|
//! | calls (`ingestion.yaml` 1.0.13) | `/report-api/v1/{server,client}-batch` |
//! | steps of consents (`consent-funnel-ingestion.yaml` 1.0.5) | `/event-api/v2/{server,client}-batch` |
//! | steps of quotes (the same) | `/event-api/v1/cotacao-contratacao/{server,client}-batch` |
//!
//! Answers: 200, all were taken; 207, some were: those that are `DISCARDED` are set aside with what
//! was wrong; 401, the key is not in the directory, which somebody has to see to while the records
//! wait; 413 and other 4xx, the batch as a whole was refused: it is sent again in halves, down to
//! single events, so that only what is refused is set aside; 408, 429 and 5xx, later.

mod batch;
mod configuration;
mod verdicts;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use mop_outbox::{Entry, Lane};

use super::{
    Confirmation, Sink, Trouble, Verdict,
    http::{Client, Meaning, Pace, Signer},
    task,
};
use crate::{
    data::tally::{Sent, SharedMade},
    failure::Failure,
};

use batch::Batches;
pub(crate) use configuration::PcmConfiguration;

/// Sends to the platform.
pub(crate) struct Pcm {
    batch: usize,
    every: Duration,
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    url: String,
    organisation_id: String,
    signer: Signer,
    pace: Pace,
    /// Events of one request, at most, and for how many events this holds: less than usual after a
    /// batch was refused as a whole.
    cut: Cut,
    /// What became of events, for the report.
    sent: Mutex<Option<Sent>>,
    /// The outbox that they come from.
    outbox: Option<PathBuf>,
    made: SharedMade,
    /// When the next batch may go, so that many calls make one request.
    next: Mutex<Option<Instant>>,
}

/// A limit of the length of batches that passes.
#[derive(Debug, Default)]
struct Cut {
    length: AtomicUsize,
    events: AtomicUsize,
}

impl Pcm {
    /// What becomes of the events of an outbox is kept beside it.
    pub(crate) fn new(
        configuration: &PcmConfiguration,
        outbox: Option<&Path>,
        made: SharedMade,
    ) -> Result<Self, Failure> {
        configuration.check()?;
        Ok(Self {
            batch: configuration.batch,
            every: configuration.every,
            shared: Arc::new(Shared {
                client: configuration.client()?,
                url: configuration.url.trim_end_matches('/').to_owned(),
                organisation_id: configuration.organisation_id.trim().to_owned(),
                signer: configuration.signer()?,
                pace: Pace::default(),
                cut: Cut::default(),
                sent: Mutex::default(),
                outbox: outbox.map(Path::to_owned),
                made,
                next: Mutex::default(),
            }),
        })
    }
}

impl Sink for Pcm {
    fn name(&self) -> &'static str {
        "pcm"
    }

    fn takes(&self, entry: &Entry) -> bool {
        batch::is_event(&entry.kind)
    }

    /// One request at a time: 5,000 events a round trip are more than any participant has.
    fn window(&self) -> usize {
        let is_due = self.shared.next().is_none_or(|next| next <= Instant::now());
        usize::from(is_due)
    }

    fn batch(&self) -> usize {
        self.shared.cut.of(self.batch)
    }

    fn connect(&mut self) -> BoxFuture<'_, Result<(), Trouble>> {
        Box::pin(async move {
            self.shared.pace.wait().await;
            self.shared.signer.reload().map_err(|problem| Trouble::lasting("key", problem))
        })
    }

    fn send(&mut self, batch: Vec<Entry>) -> BoxFuture<'_, Result<Confirmation, Trouble>> {
        let shared = Arc::clone(&self.shared);
        // What is left over from a full batch is not let wait.
        let is_full = batch.len() >= self.batch();
        *shared.next() = (!is_full).then(|| Instant::now() + self.every);
        Box::pin(async move {
            shared.pace.wait().await;
            shared.signer.reload().map_err(|problem| Trouble::lasting("key", problem))?;
            Ok(task::confirm(async move { shared.deliver(&batch).await }))
        })
    }

    fn decided(&mut self, entry: &Entry, verdict: Verdict) {
        self.shared.counts(|sent| sent.decided(entry, verdict));
    }

    fn acknowledges(&mut self, lane: Lane, sequence: u64) {
        self.shared.counts(|sent| sent.acknowledges(lane, sequence));
    }

    fn unparks(&mut self, parked: &[(u64, Entry)]) {
        self.shared.counts(|sent| sent.unparks(parked));
    }
}

impl Shared {
    /// Sends the events by where they belong, and gives one verdict a record, in order.
    async fn deliver(&self, entries: &[Entry]) -> Result<Vec<Verdict>, Trouble> {
        let mut batches = Batches::new(entries);
        let mut is_first = true;
        while let Some(batch) = batches.next() {
            let answer = self.post(batch.path, &batch.body(&self.organisation_id)).await;
            if is_first && answer.as_ref().map_or_else(Trouble::may_have_arrived, |_| true) {
                self.counts(|sent| sent.sent(entries));
            }
            let verdicts = match answer {
                Ok(answer) => self.verdicts(&batch.correlations, &answer)?,
                // What others of this batch came to is known, and is kept.
                Err(trouble) if !is_first => vec![Verdict::Again(trouble.reason); batch.len()],
                Err(trouble) => return Err(trouble),
            };
            is_first = false;
            batches.settle(&batch, &verdicts);
        }
        Ok(batches.into_verdicts())
    }

    async fn post(&self, path: &str, body: &[u8]) -> Result<super::http::Answer, Trouble> {
        let token = self.signer.sign(body).map_err(|problem| Trouble::lasting("key", problem))?;
        let request = self
            .client
            .post(&format!("{}{path}", self.url))
            .header("content-type", "application/jwt")
            .header("accept", "application/json")
            .body(token);
        self.client.send(request).await.inspect_err(|_| self.pace.broke())
    }

    fn verdicts(
        &self,
        correlations: &[Option<String>],
        answer: &super::http::Answer,
    ) -> Result<Vec<Verdict>, Trouble> {
        let events = correlations.len();
        if answer.meaning() == Meaning::Unauthorised {
            self.pace.broke();
            return Err(Trouble::lasting(
                "unauthorised",
                format!(
                    "the platform does not accept the signature (status {}): is the certificate of this key \
                     registered for signing at the level of the organisation, in the same environment?",
                    answer.status
                ),
            ));
        }
        match self.pace.verdict(answer, "the events")? {
            Verdict::Delivered => match verdicts::of_items(answer, correlations) {
                Some(verdicts) => {
                    self.cut.pass(events);
                    Ok(verdicts)
                }
                // It took some of them and nobody knows which: one by one it has to say.
                None if events > 1 => Ok(self.halve(events)),
                None => Ok(vec![Verdict::Parked("answer_unreadable"); events]),
            },
            Verdict::Parked(_) if events > 1 => Ok(self.halve(events)),
            verdict @ (Verdict::Parked(_) | Verdict::Again(_)) => {
                self.cut.pass(events);
                Ok(vec![verdict; events])
            }
        }
    }

    /// Opened when it is used first: until then whoever has the outbox may be at work on it.
    fn counts(&self, count: impl FnOnce(&mut Sent)) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        count(sent.get_or_insert_with(|| Sent::open(self.outbox.as_deref(), self.made.clone())));
    }

    fn halve(&self, events: usize) -> Vec<Verdict> {
        self.cut.begin(events);
        *self.next() = None;
        vec![Verdict::Again("refused_together"); events]
    }

    fn next(&self) -> MutexGuard<'_, Option<Instant>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cut {
    fn of(&self, usual: usize) -> usize {
        if self.events.load(Ordering::Relaxed) == 0 {
            return usual;
        }
        self.length.load(Ordering::Relaxed).clamp(1, usual)
    }

    /// So many events were refused together.
    fn begin(&self, events: usize) {
        self.length.store((events / 2).max(1), Ordering::Relaxed);
        self.events.fetch_max(events, Ordering::Relaxed);
    }

    /// So many events were answered one by one.
    fn pass(&self, events: usize) {
        let left = |count: usize| Some(count.saturating_sub(events));
        let _was = self.events.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
    }
}

#[cfg(test)]
mod tests;
