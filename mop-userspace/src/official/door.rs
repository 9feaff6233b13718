//! The compatibility door: takes what applications send that were made for the official client.
//!
//! `POST /v1/anonymize/data` takes the copy of one message: method, path and kind in header fields,
//! the body as it was. The copy is judged and reported as an observed message is, but for the header
//! fields that it does not have (`unjudged: headers_not_seen`), and becomes a message for the
//! official server when that sink is configured.
//!
//! Answers are those of the official client, version 1.0.6, with these choices:
//! - **202** once the copy was judged and its records were handed to the output; never 200, which
//!   says that the server has the message: delivery is the outbox's, later. The client does the same
//!   while the server is down.
//! - **400** in two forms, as the client has them: an array of strings for a missing header or a body
//!   that is no JSON, an object for a header of a wrong value or a body that is no object.
//! - **503** with `Retry-After` when as many copies as fit are being judged, and when it is not known
//!   yet which attributes may leave: the client keeps the raw message in its queue then, which
//!   `mop` never does.
//! - No value of a request is in an answer, but for the header fields of the contract, which the
//!   client echoes too.
//!
//! A body that is no JSON: the client's documents say both that it counts as `{}` and that it is
//! refused. It is refused, as nothing true can be said of it. An absent one is taken.

mod answer;
mod copy;
mod worker;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header::CONTENT_LENGTH},
    response::Response,
    routing::{get, post},
};
use crossbeam_channel::{Sender, TrySendError};
use futures_util::StreamExt as _;
use tokio::sync::{Semaphore, oneshot};

use super::message::{NotMade, OfficialSource};
use crate::{failure::Failure, pipeline::Reporter};

use copy::{Copy, Refusal};
use worker::Job;
pub(crate) use worker::Judged;

/// Where copies come in.
pub(crate) struct Door {
    /// `None` once it is closed.
    queue: Mutex<Option<Sender<Job>>>,
    /// One for each copy that is read or judged: bounds their memory.
    places: Semaphore,
    source: Option<Arc<OfficialSource>>,
    pub(crate) counts: DoorCounts,
}

/// What became of calls of the door.
#[derive(Debug, Default)]
pub(crate) struct DoorCounts {
    /// Answered with 202.
    pub(crate) accepted: AtomicU64,
    /// Answered with 4xx.
    pub(crate) refused: AtomicU64,
    /// Answered with 503: no place.
    pub(crate) turned_away: AtomicU64,
    /// Answered with 5xx for another reason.
    pub(crate) failed: AtomicU64,
}

/// The routes of the door, for the admin listener.
pub(crate) fn routes(door: Arc<Door>) -> Router {
    Router::new()
        .route("/v1/anonymize/data", post(data))
        // Where the client has it, with its context path; the others for those who left that away.
        .route("/v1/anonymize/actuator/health", get(health))
        .route("/v1/anonymize/health", get(health))
        .route("/actuator/health", get(health))
        .with_state(door)
}

impl Door {
    /// Starts the thread that judges copies with this reporter. It ends after [`Door::close`], and
    /// gives the reporter back. `source` is what messages for the official server are made with.
    pub(crate) fn start(
        reporter: Reporter,
        source: Option<Arc<OfficialSource>>,
    ) -> Result<(Arc<Self>, JoinHandle<Reporter>), Failure> {
        let (queue, jobs) = crossbeam_channel::bounded(PLACES);
        let worker = std::thread::Builder::new()
            .name("mop-door".to_owned())
            .spawn(move || worker::run(reporter, &jobs))
            .map_err(|error| Failure::runtime(format!("cannot start a thread: {error}")))?;
        let door = Self {
            queue: Mutex::new(Some(queue)),
            places: Semaphore::new(PLACES),
            source,
            counts: DoorCounts::default(),
        };
        Ok((Arc::new(door), worker))
    }

    /// Takes no more copies. Those that were handed over are judged.
    pub(crate) fn close(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Has a copy judged.
    async fn judge(&self, copy: Copy) -> Result<Judged, Refusal> {
        if let Some(source) = &self.source
            && source.policies.current().is_none()
        {
            return Err(Refusal::NoFieldPolicy);
        }
        let (reply, judged) = oneshot::channel();
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let queue = queue.ok_or(Refusal::Closed)?;
        match queue.try_send(Job { copy, reply }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(Refusal::Full),
            Err(TrySendError::Disconnected(_)) => return Err(Refusal::Closed),
        }
        // The worker answers, or it is gone and the sender with it.
        let judged = judged.await.map_err(|_| Refusal::Closed)?;
        match judged.message {
            Err(NotMade::NoFieldPolicy) => Err(Refusal::NoFieldPolicy),
            Err(NotMade::TooLarge) => Err(Refusal::TooLarge),
            Ok(_) | Err(NotMade::Incomplete | NotMade::NotKept | NotMade::Unreadable) => Ok(judged),
        }
    }

    fn is_open(&self) -> bool {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn count(&self, status: StatusCode) {
        let DoorCounts { accepted, refused, turned_away, failed } = &self.counts;
        let count = match status.as_u16() {
            202 => accepted,
            503 => turned_away,
            400..=499 => refused,
            _ => failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

async fn data(State(door): State<Arc<Door>>, request: Request) -> Response {
    let answer = match take(&door, request).await {
        Ok((copy, judged)) => answer::accepted(&copy, &judged),
        Err(refusal) => answer::refused(&refusal),
    };
    door.count(answer.status());
    answer
}

async fn take(door: &Door, request: Request) -> Result<(copy::Head, Judged), Refusal> {
    let (parts, body) = request.into_parts();
    let head = copy::Head::of(&parts.headers)?;
    let place = door.places.try_acquire().map_err(|_| Refusal::Full)?;
    let read = tokio::time::timeout(READ_LIMIT, read_body(&parts.headers, body));
    let body = read.await.map_err(|_| Refusal::Slow)??;
    let copy = Copy::new(head.clone(), body)?;
    let judged = door.judge(copy).await?;
    drop(place);
    Ok((head, judged))
}

async fn read_body(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Refusal> {
    let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > MAX_COPY_BYTES as u64) {
        return Err(Refusal::TooLarge);
    }
    let mut bytes = Vec::new();
    let mut stream = body.into_data_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Refusal::Slow)?;
        if bytes.len() + chunk.len() > MAX_COPY_BYTES {
            return Err(Refusal::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

async fn health(State(door): State<Arc<Door>>) -> Response {
    let fields = door.source.as_ref().map(|source| source.policies.current().is_some());
    answer::health(door.is_open(), fields)
}

/// Of one copy: what is kept of an observed message, too.
const MAX_COPY_BYTES: usize = 8 << 20;
/// Copies that are read or judged at once: 128 MiB at worst.
const PLACES: usize = 16;
/// The sender is on this machine or beside it.
const READ_LIMIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
