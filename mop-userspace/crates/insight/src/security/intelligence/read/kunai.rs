//! The lines that MISP exports for Kunai: `{"source", "uuid", "value", "severity"}`.

use serde::Deserialize;

use super::{Batch, Entry, FeedReader, ReadError, text};
use crate::security::uuid::Uuid;

#[derive(Deserialize)]
struct Line {
    uuid: Option<String>,
    value: String,
    severity: u8,
}

impl FeedReader<'_> {
    /// Reads lines of JSON. What a value is follows from its form; places are lines.
    ///
    /// # Errors
    ///
    /// [`ReadError::TooLong`] and [`ReadError::Text`]: a line that is not JSON is counted.
    pub fn kunai(&self, bytes: &[u8]) -> Result<Batch, ReadError> {
        let mut batch = Batch::default();
        for (place, line) in (1..).zip(text(bytes)?.lines()) {
            if line.trim().is_empty() {
                continue;
            }
            let Ok(Line { uuid, value, severity }) = serde_json::from_str(line) else {
                batch.unreadable(place);
                continue;
            };
            let entry = Entry {
                event: uuid.as_deref().and_then(Uuid::parse),
                confidence: severity.min(MOST_SEVERE) * (100 / MOST_SEVERE),
                ..self.plain_entry()
            };
            self.put_plain(&mut batch, place, &value, entry);
        }
        Ok(batch)
    }
}

/// Severities are from 0 to 10.
const MOST_SEVERE: u8 = 10;
