//! Sinks: where records go from the outbox.
//!
//! A sink knows how to connect, how to send one batch and what an answer means. All the rest — the
//! window of deliveries in flight, order, retries, what is set aside, how far the outbox is read —
//! is the pump's, the same for every sink.

pub(crate) mod backoff;
pub(crate) mod configured;
pub(crate) mod forwarder;
pub(crate) mod http;
pub(crate) mod mop_server;
pub(crate) mod otlp;
pub(crate) mod pcm;
mod progress;
mod pump;
pub(crate) mod rabbitmq;
pub(crate) mod task;
pub(crate) mod trouble;
pub(crate) mod webhook;

use futures_util::future::BoxFuture;
use mop_outbox::{Entry, Lane};

pub(crate) use trouble::{Trouble, Verdict};

/// Where records go.
pub(crate) trait Sink: Send {
    /// Its name in the configuration, in metrics and in the outbox.
    fn name(&self) -> &'static str;

    /// False for records that this sink does not want: they pass it by.
    fn takes(&self, entry: &Entry) -> bool;

    /// Batches that may be on their way at once.
    fn window(&self) -> usize;

    /// Records of one batch, at most.
    fn batch(&self) -> usize;

    /// Makes whatever is needed to send. Called before the first batch and after each trouble.
    fn connect(&mut self) -> BoxFuture<'_, Result<(), Trouble>>;

    /// Sends a batch. When it is on its way, gives what resolves to one verdict a record, in order.
    /// Limits of time are the sink's: neither part may wait for ever, unless the other side asked it to
    /// wait.
    fn send(&mut self, batch: Vec<Entry>) -> BoxFuture<'_, Result<Confirmation, Trouble>>;

    /// What became of a record is known, and nothing is done about it yet.
    fn decided(&mut self, _entry: &Entry, _verdict: Verdict) {}

    /// The records of a lane up to a sequence are about to be acknowledged to the outbox.
    fn acknowledges(&mut self, _lane: Lane, _sequence: u64) {}

    /// Records that were set aside were taken after all, by their places there; they are about to be
    /// acknowledged.
    fn unparks(&mut self, _parked: &[(u64, Entry)]) {}

    /// Ends in good order.
    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// What a batch that was sent comes to.
pub(crate) type Confirmation = BoxFuture<'static, Result<Vec<Verdict>, Trouble>>;
