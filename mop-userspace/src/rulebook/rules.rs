//! The rules of one run: loaded once, and watched while it lasts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use signal_hook::consts::SIGHUP;

use super::{RuleArguments, RuleBook, RuleBooks, watcher};
use crate::{
    failure::Failure,
    observe::spawn,
    quality::{Inspector, QualityArguments},
    security::SecurityConfiguration,
};

/// Rules in use, and the thread that watches their files.
pub(crate) struct Rules {
    /// `None`: calls are neither judged nor inspected.
    books: Option<Arc<RuleBooks>>,
    is_judged: bool,
    stop: Arc<AtomicBool>,
    watcher: Option<JoinHandle<()>>,
}

impl Rules {
    /// Reads and compiles the rules.
    pub(crate) fn load(
        arguments: &QualityArguments,
        security: &SecurityConfiguration,
    ) -> Result<Self, Failure> {
        let is_judged = !arguments.no_quality;
        let books = if !is_judged && !security.enabled {
            None
        } else {
            Some(Arc::new(RuleBooks::new(RuleBook::load(&arguments.rules)?)))
        };
        Ok(Self { books, is_judged, stop: Arc::default(), watcher: None })
    }

    /// Reads them again from now on whenever their files change, and at SIGHUP.
    pub(crate) fn watch(&mut self, arguments: &RuleArguments) -> Result<(), Failure> {
        // Without rules to be read again, the signal must still not end the process.
        let asked = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGHUP, Arc::clone(&asked))
            .map_err(|error| Failure::runtime(format!("cannot listen for signals: {error}")))?;
        let Some(books) = self.books.clone() else { return Ok(()) };
        let (arguments, stop) = (arguments.clone(), Arc::clone(&self.stop));
        self.watcher = Some(spawn("mop-rules", move || {
            watcher::watch(&books, &arguments, &asked, &stop);
        })?);
        Ok(())
    }

    /// The rules in use; `None`: calls are neither judged nor inspected.
    pub(crate) fn books(&self) -> Option<Arc<RuleBooks>> {
        self.books.clone()
    }

    /// The rules that calls are judged by; `None`: they are not.
    pub(crate) fn judging_books(&self) -> Option<Arc<RuleBooks>> {
        self.books.clone().filter(|_| self.is_judged)
    }

    /// A judge for one worker.
    pub(crate) fn inspector(
        &self,
        arguments: &QualityArguments,
        report_clean: u32,
        worker: String,
    ) -> Option<Inspector> {
        Some(Inspector::new(self.judging_books()?, arguments, report_clean, worker))
    }

    /// Ends the watching.
    pub(crate) fn stop(self) -> Result<(), Failure> {
        self.stop.store(true, Ordering::Release);
        match self.watcher.map(JoinHandle::join) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(_)) => Err(Failure::runtime("the thread that watches rules panicked")),
        }
    }
}
