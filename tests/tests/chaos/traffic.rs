//! Real calls to a real server, which must go on whatever happens to what observes them.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};
use mop_tests::{Certificates, Nginx, bound, curl_options, run, until};
use serde_json::Value;

/// Calls without a break, until it is stopped.
pub(crate) struct Traffic {
    counts: Arc<Counts>,
    thread: JoinHandle<()>,
    host: String,
    // After the calls to it.
    _nginx: Nginx,
}

#[derive(Default)]
struct Counts {
    is_over: AtomicBool,
    answered: AtomicUsize,
    failed: AtomicUsize,
}

impl Traffic {
    /// Starts a server, whose answers violate their contract, and calls to it.
    pub(crate) fn start(folder: &Path, certificates: &Certificates, seed: u64) -> Result<Self> {
        let nginx = Nginx::builder(folder)
            .tls(certificates)
            .location("/", "default_type application/json; return 200 '{}';")
            .start()?;
        let host = format!("chaos-{seed:x}.example");
        let counts = Arc::new(Counts::default());
        let url = format!("https://localhost:{}{PATH}?page=[1-{CALLS_AT_ONCE}]", nginx.port());
        let options = curl_options(certificates);
        let thread = thread::Builder::new().name("traffic".to_owned()).spawn({
            let (counts, host) = (Arc::clone(&counts), host.clone());
            move || {
                while !counts.is_over.load(Ordering::Acquire) {
                    let mut command = bound("curl");
                    command.arg("--disable").args(&options);
                    command.args(["--header", &format!("host: {host}")]);
                    command.args(["--write-out", "%{http_code}\n", "--output", "/dev/null"]);
                    let answered = match run(command.arg(&url), CALL_LIMIT) {
                        Ok(output) => {
                            let codes = String::from_utf8_lossy(&output.stdout).into_owned();
                            codes.lines().filter(|code| *code == "200").count()
                        }
                        Err(_) => 0,
                    };
                    counts.failed.fetch_add(CALLS_AT_ONCE - answered, Ordering::AcqRel);
                    counts.answered.fetch_add(answered, Ordering::AcqRel);
                }
            }
        })?;
        Ok(Self { counts, thread, host, _nginx: nginx })
    }

    /// Waits until at least so many more calls were answered, and gives how many of them were begun
    /// after this.
    pub(crate) fn wait_for_calls(&self, wanted: usize) -> Result<usize> {
        let answered = || self.counts.answered.load(Ordering::Acquire);
        let before = answered();
        // Those that are under way now began before.
        let wanted = wanted + CALLS_AT_ONCE;
        until("calls", CALL_LIMIT, || answered() >= before + wanted)?;
        Ok(answered() - before - CALLS_AT_ONCE)
    }

    /// Of some records, the reports about these calls as their client saw them: one for each.
    pub(crate) fn reports(&self, records: Vec<Value>) -> Vec<Value> {
        let is_ours = |record: &Value| {
            record["kind"] == "quality.report"
                && record["role"] == "client"
                && record["counterpart"] == *self.host
        };
        records.into_iter().filter(is_ours).collect()
    }

    /// Ends the calls. Says how many failed, if any.
    pub(crate) fn stop(&self) -> Result<Option<String>> {
        self.counts.is_over.store(true, Ordering::Release);
        until("the last call", CALL_LIMIT, || self.thread.is_finished())
            .context("the calls do not end")?;
        let failed = self.counts.failed.load(Ordering::Acquire);
        Ok((failed > 0).then(|| format!("{failed} calls of the observed application failed")))
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.counts.is_over.store(true, Ordering::Release);
    }
}

/// An operation that every participant has, and whose answer has required members.
const PATH: &str = "/open-insurance/resources/v3/resources";
/// On one connection, one after the other.
const CALLS_AT_ONCE: usize = 20;
const CALL_LIMIT: Duration = Duration::from_secs(60);
