//! Looks for news of sources, and builds the next generation beside the one in use.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

use jiff::Timestamp;
use mop_insight::security::intelligence::read::accepted::AcceptedTypes;
use tokio::runtime::Runtime;

use super::{
    IndicatorStores, IntelligenceConfiguration,
    configuration::SourceSection,
    copies::Copies,
    load::{self, load},
    stores::Look,
};
use crate::{
    failure::Failure,
    observe::spawn,
    sinks::http::{Client, Reach},
};

/// Indicators in use, and the thread that renews them.
pub(crate) struct Indicators {
    configuration: IntelligenceConfiguration,
    stores: Arc<IndicatorStores>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The work of that thread.
struct Renewal {
    configuration: IntelligenceConfiguration,
    stores: Arc<IndicatorStores>,
    runtime: Runtime,
    clients: BTreeMap<String, Client>,
    /// What local files were, and whether they have changed since they were read.
    seen: Vec<(PathBuf, u64, Option<SystemTime>)>,
    is_changed: bool,
    refresh_at: Instant,
    /// Looks that failed in a row.
    failures: u32,
    built_at: Instant,
    /// What was said of each source and of a generation, so that it is said once.
    told: BTreeMap<String, String>,
}

impl Indicators {
    /// Reads what is here; remote sources that were never fetched are empty until the first look.
    ///
    /// # Errors
    ///
    /// A local source, a copy or a warninglist that cannot be read.
    pub(crate) fn open(configuration: &IntelligenceConfiguration) -> Result<Self, Failure> {
        let loaded = load(configuration, Timestamp::now().as_second())?;
        Ok(Self {
            configuration: configuration.clone(),
            stores: Arc::new(IndicatorStores::new(loaded)),
            stop: Arc::default(),
            thread: None,
        })
    }

    /// Renews them from now on.
    ///
    /// # Errors
    ///
    /// A CA file or a proxy that cannot be used, or a thread that cannot be started.
    pub(crate) fn watch(&mut self) -> Result<(), Failure> {
        let mut renewal = Renewal::new(&self.configuration, Arc::clone(&self.stores))?;
        let stop = Arc::clone(&self.stop);
        self.thread = Some(spawn("mop-indicators", move || {
            while !stop.load(Ordering::Acquire) {
                renewal.look(Instant::now(), &stop);
                std::thread::sleep(LOOK_EVERY);
            }
        })?);
        Ok(())
    }

    /// The generation in use.
    pub(crate) fn stores(&self) -> Arc<IndicatorStores> {
        Arc::clone(&self.stores)
    }

    /// Ends the renewal; a look that is under way is given up.
    ///
    /// # Errors
    ///
    /// The thread panicked.
    pub(crate) fn stop(self) -> Result<(), Failure> {
        self.stop.store(true, Ordering::Release);
        match self.thread.map(JoinHandle::join) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(_)) => Err(Failure::runtime("the thread of indicators panicked")),
        }
    }
}

impl Renewal {
    fn new(
        configuration: &IntelligenceConfiguration,
        stores: Arc<IndicatorStores>,
    ) -> Result<Self, Failure> {
        let mut clients = BTreeMap::new();
        for source in configuration.sources.iter().filter(|source| source.url.is_some()) {
            let client = Client::new(Reach {
                ca_file: source.ca_file.as_deref(),
                proxy: source.proxy.as_deref(),
                connect_timeout: CONNECT_TIMEOUT,
                request_timeout: REQUEST_TIMEOUT,
            });
            let context = format!("security.intelligence: the source {}", source.name);
            clients.insert(
                source.name.clone(),
                client.map_err(|failure| failure.in_context(&context))?,
            );
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self {
            configuration: configuration.clone(),
            stores,
            runtime: runtime.map_err(Failure::runtime)?,
            clients,
            seen: fingerprint(configuration),
            is_changed: false,
            refresh_at: Instant::now(),
            failures: 0,
            built_at: Instant::now(),
            told: BTreeMap::new(),
        })
    }

    /// Does what is due.
    fn look(&mut self, now: Instant, stop: &AtomicBool) {
        let mut is_due = false;
        if now >= self.refresh_at && !self.clients.is_empty() {
            is_due = self.refresh(stop);
        }
        let seen = fingerprint(&self.configuration);
        if seen != self.seen {
            // Whoever copies files is given time to finish: they must have rested for one look.
            self.seen = seen;
            self.is_changed = true;
        } else {
            is_due |= std::mem::take(&mut self.is_changed);
        }
        // What a list still has is as fresh as the list, which says so by being there.
        is_due |= now.saturating_duration_since(self.built_at) >= BUILD_EVERY;
        if is_due && !stop.load(Ordering::Acquire) {
            self.build(now);
        }
    }

    /// Looks at remote sources; whether there is anything new.
    fn refresh(&mut self, stop: &AtomicBool) -> bool {
        let (mut is_new, mut has_failed) = (false, false);
        let Some(folder) = self.configuration.folder.clone() else { return false };
        for source in self.configuration.sources.clone() {
            let Some(client) = self.clients.get(&source.name).cloned() else { continue };
            if stop.load(Ordering::Acquire) {
                return false;
            }
            let copies = Copies::of(&folder, &source.name);
            let look = self.runtime.block_on(async {
                tokio::select! {
                    look = look_at(&copies, &source, &client) => look,
                    () = stopped(stop) => Err("it was stopped".to_owned()),
                }
            });
            match look {
                Ok(look) => {
                    is_new |= look == Look::Fetched;
                    self.stores.looked(look);
                    self.told.remove(&source.name);
                }
                Err(text) => {
                    has_failed = true;
                    self.stores.looked(Look::Failed);
                    self.tell(&source.name, &format!("the source {}: {text}", source.name));
                }
            }
        }
        self.failures = if has_failed { self.failures.saturating_add(1) } else { 0 };
        let wait = if has_failed {
            let factor = 1_u32.checked_shl(self.failures.saturating_sub(1)).unwrap_or(u32::MAX);
            FIRST_RETRY.saturating_mul(factor).min(self.configuration.refresh)
        } else {
            self.stores.refreshed(Timestamp::now().as_second());
            self.configuration.refresh
        };
        self.refresh_at = Instant::now() + wait;
        is_new
    }

    fn build(&mut self, now: Instant) {
        self.built_at = now;
        match load(&self.configuration, Timestamp::now().as_second()) {
            Ok(loaded) => {
                eprintln!("Indicators were read again: {}.", loaded.store.counts().taken);
                self.stores.replace(loaded);
                self.told.remove(GENERATION);
            }
            Err(failure) => {
                self.stores.refuse();
                self.tell(GENERATION, &format!("they stay as they were: {failure}"));
            }
        }
    }

    fn tell(&mut self, about: &str, text: &str) {
        let before = self.told.insert(about.to_owned(), text.to_owned());
        if before.as_deref() != Some(text) {
            eprintln!("mop: indicators: {text}");
        }
    }
}

async fn look_at(copies: &Copies, source: &SourceSection, client: &Client) -> Result<Look, String> {
    let types = AcceptedTypes::published().map_err(|error| error.to_string())?;
    let reader = load::reader(source, &types, 0);
    copies.refresh(source, client, &reader).await
}

async fn stopped(stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// All local files, with what tells that one was changed.
fn fingerprint(
    configuration: &IntelligenceConfiguration,
) -> Vec<(PathBuf, u64, Option<SystemTime>)> {
    let local = configuration.sources.iter().filter(|source| source.path.is_some());
    // What cannot be listed now is said when it is read.
    let files = local.flat_map(|source| load::files(configuration, source).unwrap_or_default());
    let lists = configuration.warninglists.iter();
    let lists = lists.flat_map(|folder| load::warninglist_files(folder).unwrap_or_default());
    let facts = files.chain(lists).map(|file| {
        let facts = fs::metadata(&file).ok();
        let length = facts.as_ref().map_or(0, fs::Metadata::len);
        (file, length, facts.and_then(|facts| facts.modified().ok()))
    });
    facts.collect()
}

const GENERATION: &str = "";
/// Costs a `stat` a file.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So that lists without times, which are as old as their reading, do not fade.
const BUILD_EVERY: Duration = Duration::from_secs(86_400);
const FIRST_RETRY: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Of one document: 256 MiB at a megabyte a second.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
