//! A receiver for tests, in the same process, and a small driver of sinks.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use mop_outbox::{Entry, Lane};

use crate::sinks::{Sink, Trouble, Verdict};

/// What was received.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// How a request is answered: status, header fields, body; `None` for no answer at all.
pub(crate) type Answering =
    Box<dyn FnMut(&Received) -> Option<(u16, Vec<(&'static str, String)>, String)> + Send>;

/// A receiver on loopback.
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    received: Mutex<Vec<Received>>,
    answering: tokio::sync::Mutex<Answering>,
}

impl Stub {
    pub(crate) async fn start(answering: Answering) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            received: Mutex::default(),
            answering: tokio::sync::Mutex::new(answering),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Self { address, shared, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("not poisoned").clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let received = Received { method, path, headers, body };
    shared.received.lock().expect("not poisoned").push(received.clone());
    let answer = (shared.answering.lock().await)(&received);
    let Some((status, headers, body)) = answer else {
        // Longer than any limit of time in a test.
        std::future::pending::<()>().await;
        unreachable!()
    };
    let mut response = (StatusCode::from_u16(status).expect("a status"), body).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().expect("a value"));
    }
    response
}

/// An entry of an outbox.
pub(crate) fn entry(sequence: u64, kind: &str, payload: &str) -> Entry {
    Entry {
        lane: Lane::Data,
        epoch: 1,
        sequence,
        time_ms: 1_796_126_400_000,
        kind: kind.into(),
        id: format!("e{sequence}/{kind}").into(),
        note: "".into(),
        payload: payload.as_bytes().to_vec(),
    }
}

/// What became of entries.
#[derive(Debug, Default)]
pub(crate) struct Driven {
    pub(crate) delivered: Vec<u64>,
    pub(crate) parked: Vec<(u64, &'static str)>,
    pub(crate) again: usize,
    pub(crate) troubles: Vec<Trouble>,
}

/// Sends entries through a sink until each has a verdict that stays, or too many troubles came.
pub(crate) async fn drive(
    sink: &mut impl Sink,
    entries: Vec<Entry>,
    max_troubles: usize,
) -> Driven {
    let mut driven = Driven::default();
    let mut waiting: VecDeque<Entry> =
        entries.into_iter().filter(|entry| sink.takes(entry)).collect();
    let mut must_connect = true;
    while !waiting.is_empty() && driven.troubles.len() < max_troubles {
        if must_connect {
            if let Err(trouble) = sink.connect().await {
                driven.troubles.push(trouble);
                continue;
            }
            must_connect = false;
        }
        let mut flying = Vec::new();
        for _ in 0..sink.window() {
            let size = sink.batch().min(waiting.len());
            let batch: Vec<Entry> = waiting.drain(..size).collect();
            if batch.is_empty() {
                break;
            }
            let sent = sink.send(batch.clone()).await;
            flying.push((batch, sent));
        }
        for (batch, sent) in flying.into_iter() {
            let verdicts = match sent {
                Ok(confirmation) => confirmation.await,
                Err(trouble) => Err(trouble),
            };
            match verdicts {
                Ok(verdicts) => {
                    assert_eq!(verdicts.len(), batch.len(), "one verdict a record");
                    for (entry, verdict) in batch.into_iter().zip(verdicts) {
                        match verdict {
                            Verdict::Delivered => driven.delivered.push(entry.sequence),
                            Verdict::Parked(reason) => driven.parked.push((entry.sequence, reason)),
                            Verdict::Again(_) => {
                                driven.again += 1;
                                waiting.push_back(entry);
                            }
                        }
                    }
                }
                Err(trouble) => {
                    driven.troubles.push(trouble);
                    must_connect = true;
                    waiting.extend(batch);
                }
            }
        }
    }
    driven.delivered.sort_unstable();
    driven
}

/// Makes a key for signatures.
pub(crate) fn rsa_key(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(name);
    let made = std::process::Command::new("openssl")
        .args([
            "genpkey",
            "-quiet",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
            "-out",
        ])
        .arg(&file)
        .status();
    assert!(made.expect("openssl runs").success());
    file
}

/// The first Python that has these modules; the system's own has what packages install.
pub(crate) fn python_with(modules: &str) -> Option<&'static str> {
    ["/usr/bin/python3", "python3"].into_iter().find(|python| {
        let mut command = std::process::Command::new(python);
        command.args(["-c", &format!("import {modules}")]).stderr(std::process::Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

/// Long enough for a loaded machine, where an answer is awaited; short, where none will come.
pub(crate) const LONG: Duration = Duration::from_secs(20);
pub(crate) const SHORT: Duration = Duration::from_millis(300);
