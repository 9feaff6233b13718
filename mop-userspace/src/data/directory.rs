//! Reads the directory's list of participants again when its file has changed.
//!
//! A list is taken as a whole or not at all: when it is bad, the one before stays in use.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use mop_insight::data::analyst::Addresses;

use super::DataConfiguration;
use crate::vitals::Family;

/// Looks at the file from time to time.
#[derive(Debug)]
pub(super) struct DirectoryWatch {
    configuration: DataConfiguration,
    seen: Option<Fingerprint>,
    due: Instant,
    /// What was said of a bad file, so that it is said once.
    told: Option<String>,
    counts: Arc<DirectoryCounts>,
}

/// What became of lists that were read again.
#[derive(Debug, Default)]
pub(super) struct DirectoryCounts {
    taken: AtomicU64,
    refused: AtomicU64,
}

/// What a file that was written again, or replaced, does not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fingerprint {
    device: u64,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl DirectoryWatch {
    /// To be made before the file is read the first time, so that no change is missed.
    pub(super) fn new(configuration: &DataConfiguration) -> Self {
        let seen = configuration.participants_file.as_deref().and_then(Fingerprint::of);
        Self {
            configuration: configuration.clone(),
            seen,
            due: Instant::now() + LOOK_EVERY,
            told: None,
            counts: Arc::default(),
        }
    }

    /// What happened since the start.
    pub(super) fn counts(&self) -> Arc<DirectoryCounts> {
        Arc::clone(&self.counts)
    }

    /// Who is who from now on, when it is time to look and that has changed.
    pub(super) fn look(&mut self, now: Instant) -> Option<Arc<Addresses>> {
        let file = self.configuration.participants_file.as_deref()?;
        if now < self.due {
            return None;
        }
        self.due = now + LOOK_EVERY;
        // A file that is gone for a moment is being replaced.
        let fingerprint = Fingerprint::of(file)?;
        if self.seen == Some(fingerprint) {
            return None;
        }
        self.seen = Some(fingerprint);
        match self.configuration.addresses() {
            Ok(addresses) => {
                self.counts.taken.fetch_add(1, Ordering::Relaxed);
                self.told = None;
                eprintln!(
                    "The list of participants was read again: {} hosts.",
                    addresses.directory.hosts()
                );
                Some(addresses)
            }
            Err(failure) => {
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
                let text = failure.to_string();
                if self.told.as_ref() != Some(&text) {
                    eprintln!("The list of participants stays as it was: {text}");
                    self.told = Some(text);
                }
                None
            }
        }
    }
}

impl DirectoryCounts {
    pub(super) fn families(&self) -> Vec<Family> {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        vec![
            Family::counter(
                "mop_data_directory_reloads",
                "Times that the list of participants was read again",
            )
            .by("result", [("refused", of(&self.refused)), ("taken", of(&self.taken))]),
        ]
    }
}

impl Fingerprint {
    fn of(file: &Path) -> Option<Self> {
        let facts = fs::metadata(file).ok()?;
        Some(Self {
            device: facts.dev(),
            inode: facts.ino(),
            bytes: facts.len(),
            // Of content or place: a copy that keeps the time of its source is a change too.
            changed: (facts.ctime(), facts.ctime_nsec()),
        })
    }
}

/// The directory changes some times a day; a look costs one system call.
const LOOK_EVERY: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "api.seguradora.example";

    fn list(host: &str) -> String {
        format!(
            r#"[{{"OrganisationId":"00000000-0000-4000-8000-000000000001","AuthorisationServers":[
                {{"AuthorisationServerId":"00000000-0000-4000-8000-000000000002","ApiResources":[
                {{"ApiDiscoveryEndpoints":[{{"ApiEndpoint":"https://{host}/open-insurance/consents/v3/consents"}}]}}]}}]}}]"#
        )
    }

    #[test]
    fn a_list_that_changed_is_taken_and_a_bad_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("participants.json");
        let replace = |text: &str| {
            let new = folder.path().join("new");
            fs::write(&new, text).expect("written");
            fs::rename(&new, &file).expect("replaced");
        };
        replace("[]");
        let configuration =
            DataConfiguration { participants_file: Some(file.clone()), ..Default::default() };
        let mut watch = DirectoryWatch::new(&configuration);
        let mut now = Instant::now();
        let mut look = |watch: &mut DirectoryWatch| {
            now += LOOK_EVERY + Duration::from_secs(1);
            watch.look(now).map(|addresses| addresses.directory.hosts())
        };
        assert_eq!(look(&mut watch), None, "nothing has changed");
        replace(&list(HOST));
        assert_eq!(look(&mut watch), Some(1));
        assert_eq!(look(&mut watch), None, "it was taken");
        replace("{");
        assert_eq!(look(&mut watch), None);
        assert_eq!(look(&mut watch), None, "it was refused");
        fs::remove_file(&file).expect("removed");
        assert_eq!(look(&mut watch), None, "it may come back");
        replace("[]");
        assert_eq!(look(&mut watch), Some(0));
        let counts = watch.counts();
        assert_eq!(counts.taken.load(Ordering::Relaxed), 2);
        assert_eq!(counts.refused.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn it_is_looked_at_now_and_then_only() {
        let mut watch = DirectoryWatch::new(&DataConfiguration {
            participants_file: Some("/no/such/file".into()),
            ..Default::default()
        });
        watch.seen = None;
        assert!(watch.look(Instant::now()).is_none());
        assert!(watch.due > Instant::now() + LOOK_EVERY / 2, "it is not due");
    }
}
