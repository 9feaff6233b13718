//! Readers of indicators: bytes of a feed in, typed indicators out.
//!
//! A feed is not trusted: it is bounded, what cannot be read is counted with the place of the
//! first, and no value gets into an error. What this program does not look for is counted, too: it
//! is no mistake of a feed.

pub mod accepted;
mod kunai;
mod lines;
mod manifest;
mod misp;

use std::sync::Arc;

use thiserror::Error;

use self::accepted::AcceptedTypes;
pub use self::manifest::{Manifest, ManifestEntry};
use super::{
    indicator::{Indicator, Value},
    value::Form,
};
use crate::security::uuid::Uuid;

/// Reads feeds.
#[derive(Clone, Debug)]
pub struct FeedReader<'t> {
    /// Which types are indicators.
    pub types: &'t AcceptedTypes,
    /// Name of the feed.
    pub source: Arc<str>,
    /// Seconds since 1970: for indicators that do not say when they were seen.
    pub read_at: i64,
    /// What is read of lists that say nothing of it.
    pub plain: PlainOptions,
}

/// How a list without types is read.
#[derive(Clone, Copy, Debug)]
pub struct PlainOptions {
    /// What its values are; none infers it of each.
    pub form: Option<Form>,
    /// Confidence in them, from 0 to 100.
    pub confidence: u8,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In the order of the feed.
    pub indicators: Vec<Indicator>,
    /// Attributes of types that are not looked for.
    pub unknown_types: usize,
    /// Deleted attributes.
    pub deleted: usize,
    /// Entries that are not what they should be.
    pub unreadable: usize,
    /// The first of them: a line or an entry, from 1 on.
    pub first_unreadable: Option<usize>,
    /// Entries beyond [`MAX_INDICATORS`].
    pub beyond: usize,
}

/// Why a file is not read at all.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ReadError {
    /// JSON, but not of this format.
    #[error("line {line}, column {column}: not this format")]
    Format {
        /// From 1 on.
        line: usize,
        /// From 1 on.
        column: usize,
    },
    /// Not JSON.
    #[error("line {line}, column {column}: not JSON")]
    Syntax {
        /// From 1 on.
        line: usize,
        /// From 1 on.
        column: usize,
    },
    /// Not text.
    #[error("byte {0}: not UTF-8")]
    Text(usize),
    /// Longer than [`MAX_FILE_BYTES`].
    #[error("it is longer than {MAX_FILE_BYTES} bytes")]
    TooLong,
}

/// What all parts of one entry have in common.
#[derive(Clone, Copy)]
struct Entry {
    event: Option<Uuid>,
    confidence: u8,
    last_seen: i64,
    expires: Option<i64>,
}

impl FeedReader<'_> {
    /// Takes the parts of a composite value; a part that cannot be read is one unreadable entry.
    fn take(
        &self,
        batch: &mut Batch,
        place: usize,
        (value, forms): (&str, &[Option<Form>]),
        entry: Entry,
    ) {
        if let [Some(form)] = forms {
            return self.put(batch, place, Value::parse(*form, value), entry);
        }
        let mut parts = value.split('|');
        for form in forms {
            let part = parts.next();
            if let Some(form) = form {
                self.put(batch, place, part.and_then(|it| Value::parse(*form, it)), entry);
            }
        }
    }

    fn put(&self, batch: &mut Batch, place: usize, value: Option<Value>, entry: Entry) {
        let Some(value) = value else { return batch.unreadable(place) };
        if batch.indicators.len() >= MAX_INDICATORS {
            batch.beyond += 1;
            return;
        }
        let Entry { event, confidence, last_seen, expires } = entry;
        let source = Arc::clone(&self.source);
        batch.indicators.push(Indicator { value, source, event, confidence, last_seen, expires });
    }

    /// A value of a list without types.
    fn put_plain(&self, batch: &mut Batch, place: usize, text: &str, entry: Entry) {
        let value = match self.plain.form {
            Some(form) => Value::parse(form, text),
            None => Value::infer(text),
        };
        self.put(batch, place, value, entry);
    }

    fn plain_entry(&self) -> Entry {
        let confidence = self.plain.confidence.min(100);
        Entry { event: None, confidence, last_seen: self.read_at, expires: None }
    }
}

impl Batch {
    fn unreadable(&mut self, place: usize) {
        self.unreadable += 1;
        self.first_unreadable.get_or_insert(place);
    }
}

impl ReadError {
    fn of_json(error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        if error.is_data() { Self::Format { line, column } } else { Self::Syntax { line, column } }
    }
}

/// The bytes as text, without a byte order mark, if they are not too many.
fn text(bytes: &[u8]) -> Result<&str, ReadError> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err(ReadError::TooLong);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| ReadError::Text(error.valid_up_to()))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// A restSearch answer with a million attributes has some 500 bytes for each.
pub const MAX_FILE_BYTES: usize = 512 << 20;
/// Of one file.
pub const MAX_INDICATORS: usize = 2_000_000;
