//! The thread that keeps the names of pods up to date.

use std::{
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    Directory, KubernetesConfiguration,
    event::Event,
    lines::Lines,
    pod::Pod,
    server::{Freshness, Listed, Refusal, Server},
    vitals::WorkloadVitals,
};
use crate::{
    configuration::Configuration,
    failure::Failure,
    observe::spawn,
    sinks::{
        Trouble,
        backoff::Backoff,
        http::{Client, Stream},
    },
    vitals::Vitals,
};

/// The running thread.
pub(crate) struct Keeper {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
    directory: Arc<Directory>,
    vitals: Arc<WorkloadVitals>,
}

/// Its work.
struct Work {
    configuration: KubernetesConfiguration,
    server: Server,
    directory: Arc<Directory>,
    vitals: Arc<WorkloadVitals>,
    /// From where a watch goes on; `None`: all pods have to be listed first.
    version: Option<String>,
    /// Where the next list may be from.
    freshness: Freshness,
    backoff: Backoff,
    /// Troubles without anything that worked between them.
    in_a_row: u32,
    /// What was said of a trouble, so that it is said once.
    told: Option<String>,
}

impl Keeper {
    /// Starts it where the configuration has the section.
    ///
    /// # Errors
    ///
    /// Nothing says where the API server is, or a thread cannot be started.
    pub(crate) fn start_if_configured(
        configuration: &Configuration,
        vitals: &Vitals,
    ) -> Result<Option<Self>, Failure> {
        let Some(section) = &configuration.kubernetes else { return Ok(None) };
        Self::start(section, &configuration.node.name(), vitals).map(Some)
    }

    fn start(
        configuration: &KubernetesConfiguration,
        node: &str,
        vitals: &Vitals,
    ) -> Result<Self, Failure> {
        let server = Server::new(configuration, node)?;
        let (directory, own) = (Arc::<Directory>::default(), Arc::<WorkloadVitals>::default());
        let (told, counted) = (Arc::clone(&directory), Arc::clone(&own));
        vitals.add_families(move || counted.families(&told));
        let work = Work {
            configuration: configuration.clone(),
            server,
            directory: Arc::clone(&directory),
            vitals: Arc::clone(&own),
            version: None,
            freshness: Freshness::AtHand,
            backoff: Backoff::default(),
            in_a_row: 0,
            told: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Failure::runtime)?;
        let (stop, stopped) = oneshot::channel();
        let thread = spawn("mop-kubernetes", move || {
            runtime.block_on(async {
                tokio::select! {
                    () = work.run() => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { stop, thread, directory, vitals: own })
    }

    /// Who is who.
    pub(crate) fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory)
    }

    /// Waits for the first list, so that the first calls have names; at most for a moment: whoever
    /// observes does not wait for a cluster.
    pub(crate) fn wait_for_names(&self) {
        let until = Instant::now() + FIRST_LIST;
        while !self.vitals.is_current.load(Ordering::Relaxed) {
            if Instant::now() >= until || self.thread.is_finished() {
                eprintln!("mop: observing begins without the names of pods; they come later");
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Ends it, whatever it is waiting for.
    pub(crate) fn stop(self) {
        drop(self.stop);
        // A panic costs names, and has been told.
        let _ = self.thread.join();
    }
}

/// Asks once, for the doctor: how many pods there are.
///
/// # Errors
///
/// Why nobody answers, in one sentence.
pub(crate) fn ask_once(
    configuration: &KubernetesConfiguration,
    node: &str,
) -> Result<(usize, Arc<Directory>), String> {
    let server = Server::new(configuration, node).map_err(|failure| failure.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let listed = runtime.block_on(async {
        let client = server.client()?;
        server.list(&client, Freshness::AtHand).await
    });
    let pods = match listed {
        Ok(Listed { pods, .. }) => pods,
        Err(Refusal::Expired) => return Err("it says that the list is too old".to_owned()),
        Err(Refusal::Trouble(trouble)) => return Err(trouble.detail),
    };
    let directory = Arc::<Directory>::default();
    let found = pods.len();
    let facts = pods.into_iter().filter_map(|pod| pod.into_facts(&configuration.labels));
    directory.replace(facts.collect(), Instant::now());
    Ok((found, directory))
}

impl Work {
    async fn run(mut self) {
        loop {
            let wait = match self.step().await {
                Ok(()) => continue,
                Err(Refusal::Expired) => {
                    self.version = None;
                    self.freshness = Freshness::Newest;
                    let expired = "what happened since the last time is not known any more";
                    self.fail(&Trouble::passing("expired", expired))
                }
                Err(Refusal::Trouble(trouble)) => self.fail(&trouble),
            };
            self.directory.forget(Instant::now(), self.configuration.keep_deleted);
            tokio::time::sleep(wait).await;
        }
    }

    /// Lists all pods where that is needed, and hears of changes until the server ends that.
    async fn step(&mut self) -> Result<(), Refusal> {
        // Made again each time: certificates are replaced while this runs.
        let client = self.server.client()?;
        let version = match self.version.take() {
            Some(version) => version,
            None => self.list(&client).await?,
        };
        let version = self.version.insert(version).clone();
        self.watch(&client, &version).await
    }

    async fn list(&mut self, client: &Client) -> Result<String, Refusal> {
        self.vitals.lists.fetch_add(1, Ordering::Relaxed);
        let Listed { pods, version } = self.server.list(client, self.freshness).await?;
        self.freshness = Freshness::AtHand;
        let found = pods.len();
        let shown = &self.configuration.labels;
        let facts: Vec<_> = pods.into_iter().filter_map(|pod| pod.into_facts(shown)).collect();
        let nameless = (found - facts.len()) as u64;
        let beyond = self.directory.replace(facts, Instant::now());
        self.vitals.refused.fetch_add(nameless + beyond, Ordering::Relaxed);
        self.is_up_to_date();
        Ok(version)
    }

    async fn watch(&mut self, client: &Client, version: &str) -> Result<(), Refusal> {
        self.vitals.watches.fetch_add(1, Ordering::Relaxed);
        let began = Instant::now();
        let stream = self.server.watch(client, version, watch_time()).await?;
        self.is_up_to_date();
        let heard = self.hear_all(stream).await;
        if began.elapsed() >= SHORT_WATCH {
            self.backoff.reset();
            self.in_a_row = 0;
            return heard;
        }
        heard.and_then(|()| Err(Trouble::passing("lost", "it ends each watch at once").into()))
    }

    /// Hears of changes until the server ends that.
    async fn hear_all(&mut self, mut stream: Stream) -> Result<(), Refusal> {
        let mut lines = Lines::default();
        loop {
            let piece = tokio::time::timeout(FORGET_EVERY, stream.next()).await;
            self.directory.forget(Instant::now(), self.configuration.keep_deleted);
            // Nothing happens for a while.
            let Ok(piece) = piece else { continue };
            let Some(bytes) = piece? else { return Ok(()) };
            lines.take(&bytes, |line| self.hear(line)).inspect_err(|_refusal| {
                // What it had to say is not known, so everything has to be asked again.
                self.version = None;
            })?;
        }
    }

    /// Takes in what is told of a pod.
    fn hear(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let (kind, version) = match Event::parse(line)? {
            Event::Bookmark { version } => ("bookmark", version),
            Event::Gone(pod) => {
                let Pod { metadata, .. } = *pod;
                self.directory.remove(&metadata.uid, Instant::now());
                ("gone", metadata.resource_version)
            }
            Event::There(mut pod) => {
                let version = std::mem::take(&mut pod.metadata.resource_version);
                let facts = pod.into_facts(&self.configuration.labels);
                let is_taken = facts.is_some_and(|facts| self.directory.put(facts));
                self.vitals.refused.fetch_add(u64::from(!is_taken), Ordering::Relaxed);
                ("there", version)
            }
            Event::Expired => {
                self.vitals.count_event("error");
                return Err(Refusal::Expired);
            }
            Event::Failed(status) => {
                self.vitals.count_event("error");
                let text = format!("it ends the watch with status {status}");
                return Err(Trouble::passing("server_error", text).into());
            }
        };
        self.vitals.count_event(kind);
        if !version.is_empty() && version.len() <= MAX_VERSION_BYTES {
            self.version = Some(version);
        }
        Ok(())
    }

    fn is_up_to_date(&mut self) {
        self.vitals.is_current.store(true, Ordering::Relaxed);
        if self.told.take().is_some() {
            eprintln!("mop: the names of pods are up to date again.");
        }
    }

    /// Notes a trouble and says how long to wait. It is said once, and not when it is the first: what
    /// stands between cuts connections now and then.
    fn fail(&mut self, trouble: &Trouble) -> Duration {
        self.vitals.troubles.add(trouble.reason, 1);
        self.vitals.is_current.store(false, Ordering::Relaxed);
        self.in_a_row = self.in_a_row.saturating_add(1);
        if trouble.is_lasting || self.in_a_row > 1 {
            let text = trouble.to_string();
            if self.told.as_ref() != Some(&text) {
                eprintln!("mop: the names of pods are not kept up to date: {text}");
                self.told = Some(text);
            }
        }
        self.backoff.after_failure(trouble.is_lasting)
    }
}

/// How long a watch is open: of each another time, so that the nodes of a cluster do not all come back
/// at once.
fn watch_time() -> Duration {
    use std::hash::{BuildHasher as _, RandomState};
    let random = RandomState::new().hash_one(0) % WATCH_SPREAD_SECONDS;
    WATCH + Duration::from_secs(random)
}

/// As long as the clients of Kubernetes' own libraries: five to ten minutes.
const WATCH: Duration = Duration::from_secs(300);
const WATCH_SPREAD_SECONDS: u64 = 300;

/// A watch that ends sooner, and told nothing, is none.
const SHORT_WATCH: Duration = Duration::from_secs(5);

/// How often pods are forgotten that have been gone for long enough.
const FORGET_EVERY: Duration = Duration::from_secs(10);

/// A list comes in a part of a second.
const FIRST_LIST: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// They have some ten digits.
const MAX_VERSION_BYTES: usize = 4 << 10;
