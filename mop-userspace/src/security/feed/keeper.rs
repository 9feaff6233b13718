//! Keeps the folder of a feed as the findings are.

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, atomic::Ordering},
};

use jiff::{SignedDuration, Timestamp, ToSpan as _, tz::TimeZone};
use mop_insight::security::{
    finding::Finding,
    misp::{
        feed::{Changes, Feed, FeedOptions, Network},
        marking::Marking,
        object::Templates,
        vocabulary::Vocabulary,
    },
};

use super::{
    FeedConfiguration, FeedVitals,
    folder::{FileName, Folder},
};
use crate::failure::Failure;

/// A finding, and what else is told of it.
#[derive(Clone, Copy)]
pub(crate) struct Told<'t> {
    /// What was found.
    pub(crate) finding: &'t Finding,
    /// What its rule says of it for MISP.
    pub(crate) marking: &'t Marking,
    /// What its caller is known by. The address is told only where the configuration lets it out.
    pub(crate) network: Network<'t>,
}

/// Takes findings, and writes the folder.
pub(crate) struct FeedKeeper {
    feed: Feed,
    folder: Folder,
    keep_days: u16,
    client_addresses: bool,
    /// When the folder was written, or was tried to be.
    tried: Option<Timestamp>,
    /// The folder is not known to be as the feed was: a file could not be written.
    is_torn: bool,
    /// What was said of a folder that cannot be written, so that it is said once.
    told: Option<String>,
    vitals: Arc<FeedVitals>,
}

impl FeedKeeper {
    /// Opens the folder, makes it when it is missing, and reads what an earlier run left there.
    ///
    /// # Errors
    ///
    /// A configuration that makes no sense, or a folder that cannot be read or written.
    pub(crate) fn open(configuration: &FeedConfiguration, now: Timestamp) -> Result<Self, Failure> {
        let section = |text: &dyn std::fmt::Display| {
            Failure::configuration(format!("[security.misp]: {text}"))
        };
        let options = configuration.options();
        let options = options.ok_or_else(|| section(&"organisation_uuid is no UUID"))?;
        let feed = empty(options, &configuration.denied_types).map_err(|error| section(&error))?;
        let path = &configuration.folder;
        let unusable = |error: io::Error| section(&format!("{}: {error}", path.display()));
        let folder = Folder::open(path).map_err(unusable)?;
        let mut keeper = Self {
            feed,
            folder,
            keep_days: configuration.keep_days,
            client_addresses: configuration.client_addresses,
            tried: None,
            is_torn: false,
            told: None,
            vitals: Arc::default(),
        };
        keeper.restore().map_err(unusable)?;
        keeper.forget(now);
        // Lists are there from the start on, so that a puller is not told that there is no feed.
        keeper.is_torn = true;
        keeper.write(now);
        match keeper.told {
            Some(text) => Err(section(&format!("{}: {text}", path.display()))),
            None => Ok(keeper),
        }
    }

    /// Takes a finding into its event. One that cannot be told is counted.
    pub(crate) fn observe(&mut self, told: &Told<'_>, now: Timestamp) {
        let Told { finding, marking, network } = told;
        let client = network.client.filter(|_| self.client_addresses);
        let network = Network { client, ..*network };
        let result = match self.feed.add(finding, &network, marking, now.as_second()) {
            Ok(_event) => &self.vitals.taken,
            Err(_cannot_be_told) => &self.vitals.refused,
        };
        result.fetch_add(1, Ordering::Relaxed);
        self.vitals.left_out.store(self.feed.left_out(), Ordering::Relaxed);
        self.count_events();
    }

    /// Writes what has changed, when that is due, and removes what is too old. To be called about
    /// every second.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        // The clock may have been set back.
        let is_due = self.tried.is_none_or(|tried| now.duration_since(tried).abs() >= WRITE_EVERY);
        if is_due {
            self.forget(now);
            if self.feed.is_behind() || self.is_torn {
                self.write(now);
            }
        }
    }

    /// Writes all that has changed.
    pub(crate) fn finish(&mut self, now: Timestamp) {
        if self.feed.is_behind() || self.is_torn {
            self.write(now);
        }
    }

    /// Its numbers.
    pub(crate) fn vitals(&self) -> Arc<FeedVitals> {
        Arc::clone(&self.vitals)
    }

    fn restore(&mut self) -> io::Result<()> {
        for event in self.folder.events()? {
            let Some(content) = self.folder.read(FileName::Event(event))? else { continue };
            let restored = self.feed.restore(&content);
            if restored != Ok(event) {
                self.vitals.not_restored.fetch_add(1, Ordering::Relaxed);
                let why = restored.map_or_else(|error| error.to_string(), |_| OTHER_NAME.into());
                eprintln!("mop: the feed for MISP: {event}.json is set aside: {why}");
                self.folder.set_aside(event)?;
            }
        }
        Ok(())
    }

    fn forget(&mut self, now: Timestamp) {
        let days = i32::from(self.keep_days).saturating_sub(1);
        let today = now.to_zoned(TimeZone::UTC).date();
        if let Ok(first) = today.checked_sub(days.days()) {
            self.feed.forget_before(&first.to_string());
        }
        self.count_events();
    }

    fn write(&mut self, now: Timestamp) {
        self.tried = Some(now);
        let changes = self.feed.changes();
        let changes = if self.is_torn { self.all() } else { Ok(changes) };
        match changes.and_then(|changes| self.folder.apply(&changes)) {
            Ok((written, removed)) => {
                self.is_torn = false;
                self.told = None;
                self.vitals.written.fetch_add(written, Ordering::Relaxed);
                self.vitals.removed.fetch_add(removed, Ordering::Relaxed);
            }
            Err(error) => {
                self.is_torn = true;
                self.vitals.failures.fetch_add(1, Ordering::Relaxed);
                let text = error.to_string();
                if self.told.as_ref() != Some(&text) {
                    eprintln!("mop: the feed for MISP cannot be written: {text}");
                    self.told = Some(text);
                }
            }
        }
    }

    /// All files of the feed, and all that are in its folder but not in it.
    fn all(&self) -> io::Result<Changes> {
        let files = self.feed.files();
        let names: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let there = self.folder.events()?.into_iter().map(|event| format!("{event}.json"));
        let removed = there.filter(|name| !names.contains(name.as_str())).collect();
        Ok(Changes { removed, files })
    }

    fn count_events(&self) {
        self.vitals.events.store(self.feed.event_count() as u64, Ordering::Relaxed);
    }
}

/// An empty feed; in words why there is none.
fn empty(options: FeedOptions, denied: &[String]) -> Result<Feed, String> {
    let all = Vocabulary::published().map_err(|error| error.to_string())?;
    let templates = Templates::published(&all).map_err(|error| error.to_string())?;
    // A type that is written is denied by a table without it.
    let vocabulary = Vocabulary::without(denied).map_err(|error| error.to_string())?;
    Ok(Feed::new(options, vocabulary, templates))
}

/// A burst of findings is one change, and pullers come some times an hour.
const WRITE_EVERY: SignedDuration = SignedDuration::from_secs(5);
const OTHER_NAME: &str = "it has another event's name";
