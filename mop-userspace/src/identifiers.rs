//! What exchanges are named by: the run of the observer, the connection, and the number on it.

use std::{fmt::Write as _, sync::Arc};

use mop_wire::Exchange;

/// Names the exchanges of a run.
#[derive(Debug)]
pub(crate) struct Identifiers {
    run: String,
    /// Where one is written before it has a place of its own.
    written: String,
}

impl Identifiers {
    pub(crate) fn of_run(run: impl Into<String>) -> Self {
        Self { run: run.into(), written: String::new() }
    }

    /// The identifier of an exchange, which all that is told of it shares.
    pub(crate) fn of(&mut self, exchange: &Exchange) -> Arc<str> {
        let Self { run, written } = self;
        written.clear();
        // A string has room for all that is written.
        let _whole = write!(written, "{run}-{:x}-{}", exchange.connection, exchange.sequence);
        Arc::from(written.as_str())
    }

    /// The identifier of a copy that an application handed over, by its number in this run.
    pub(crate) fn of_copy(&self, number: u64) -> String {
        format!("{}-door-{number}", self.run)
    }
}
