//! Where records go: what the consumer needs of a database.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;

use super::{message::Arrival, refusal::Refusal};
use crate::sinks::Trouble;

/// Keeps records, each once, however often it is stored.
pub(crate) trait Store: Send {
    /// Its name, for people.
    fn name(&self) -> &'static str;

    /// Makes whatever is needed to store. Called at the start and after each trouble.
    fn connect(&mut self) -> BoxFuture<'_, Result<(), Trouble>>;

    /// Stores a batch. When it returns, all of it is durable. After a trouble nothing is known of it, and
    /// the same batch is stored again.
    fn store<'s>(&'s mut self, batch: &'s Batch) -> BoxFuture<'s, Result<Vec<Fate>, Trouble>>;

    /// Where to go on in a stream; `None` for its beginning.
    fn offset<'s>(&'s mut self, queue: &'s str) -> BoxFuture<'s, Result<Option<i64>, Trouble>>;

    /// Removes what is too old and prepares for what will come.
    fn maintain(&mut self) -> BoxFuture<'_, Result<(), Trouble>>;
}

/// What is stored at once.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) arrivals: Vec<Arrival>,
    /// Messages that were not even read, by queue and reason.
    pub(crate) refused: BTreeMap<(String, Refusal), i64>,
    /// Where to go on in streams after this batch.
    pub(crate) offsets: BTreeMap<String, i64>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// It was there already.
    Duplicate,
    /// It is of a day whose records are no longer kept.
    Expired,
    /// It is stored.
    New,
    /// It will never be stored.
    Refused(Refusal),
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.arrivals.is_empty() && self.refused.is_empty() && self.offsets.is_empty()
    }
}
