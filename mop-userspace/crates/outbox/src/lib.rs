//! The outbox: records on their way out, on disk, and how far each sink has come.

mod entry;
mod outbox;

pub use entry::{Draft, Entry, Lane};
pub use outbox::{Admission, Feed, Keep, Options, Outbox, OutboxError, Stats};
