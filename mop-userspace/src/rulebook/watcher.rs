//! Replaces the generation in use when its files change.

use std::{
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{RuleArguments, RuleBook, files};

/// The generation in use.
pub(crate) struct RuleBooks {
    current: RwLock<Arc<RuleBook>>,
    generation: AtomicU64,
    /// Generations that were refused.
    refused: AtomicU64,
}

impl RuleBooks {
    pub(crate) fn new(book: RuleBook) -> Self {
        Self {
            current: RwLock::new(Arc::new(book)),
            generation: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Number of the generation: a cheap way to see that there is a new one.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Generations that were refused because of a bad file.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The generation in use.
    pub(crate) fn current(&self) -> Arc<RuleBook> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tries to make a new generation; a bad file keeps the old one.
    fn reload(&self, arguments: &RuleArguments) {
        match RuleBook::load(arguments) {
            Ok(book) => {
                let operations = book.contract.operations().len();
                let detections = book.detections.rules().count();
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(book);
                self.generation.fetch_add(1, Ordering::Release);
                eprintln!(
                    "Rules were read again: {operations} operations, {detections} detections."
                );
            }
            Err(failure) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                eprintln!("Rules were not changed, since the new ones are bad: {failure}");
            }
        }
    }
}

/// Looks at the files until told to stop. `asked` is set by SIGHUP.
pub(super) fn watch(
    books: &RuleBooks,
    arguments: &RuleArguments,
    asked: &AtomicBool,
    stop: &AtomicBool,
) {
    let RuleArguments { rules, contracts, without_rule: _, detections } = arguments;
    let paths: Vec<PathBuf> = rules.iter().chain(contracts).chain(detections).cloned().collect();
    let mut seen = files::fingerprint(&paths);
    let mut pending = false;
    while !stop.load(Ordering::Acquire) {
        std::thread::sleep(LOOK_EVERY);
        let now = files::fingerprint(&paths);
        if now != seen {
            // Whoever copies files is given time to finish: they must have rested for one look.
            seen = now;
            pending = true;
        } else if std::mem::take(&mut pending) || asked.swap(false, Ordering::AcqRel) {
            books.reload(arguments);
        }
    }
}

/// Costs a `stat` a file.
const LOOK_EVERY: Duration = Duration::from_secs(1);
