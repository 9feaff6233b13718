//! Lists: one value a line, or comma-separated values (RFC 4180) with or without names of columns.

use super::{Batch, FeedReader, ReadError, misp::time, text};
use crate::security::uuid::Uuid;

/// Places of the columns that are read.
#[derive(Clone, Copy, Default)]
struct Columns {
    value: usize,
    r#type: Option<usize>,
    to_ids: Option<usize>,
    event: Option<usize>,
    last_seen: Option<usize>,
    expires: Option<usize>,
}

impl FeedReader<'_> {
    /// Reads one value a line. What follows ` #` or begins with `#`, `;` or `//` is a comment.
    ///
    /// # Errors
    ///
    /// [`ReadError::TooLong`] and [`ReadError::Text`].
    pub fn freetext(&self, bytes: &[u8]) -> Result<Batch, ReadError> {
        let mut batch = Batch::default();
        for (place, line) in (1..).zip(text(bytes)?.lines()) {
            let value = line.split(" #").next().unwrap_or_default().trim();
            if !is_comment(value) {
                self.put_plain(&mut batch, place, value, self.plain_entry());
            }
        }
        Ok(batch)
    }

    /// Reads comma-separated values, one record a line. With a first line that names a column
    /// `value`, the columns `type`, `to_ids`, `event_uuid`, `last_seen` or `date`, and `expires`
    /// count too; otherwise the first column is the value.
    ///
    /// # Errors
    ///
    /// [`ReadError::TooLong`] and [`ReadError::Text`].
    pub fn csv(&self, bytes: &[u8]) -> Result<Batch, ReadError> {
        let mut batch = Batch::default();
        let mut columns = None;
        for (place, line) in (1..).zip(text(bytes)?.lines()) {
            if is_comment(line.trim()) {
                continue;
            }
            let Some(fields) = fields(line) else {
                batch.unreadable(place);
                continue;
            };
            match columns {
                Some(columns) => self.record(&mut batch, place, &fields, columns),
                None => {
                    let named = Columns::named(&fields);
                    columns = Some(named.unwrap_or_default());
                    if named.is_none() {
                        self.record(&mut batch, place, &fields, Columns::default());
                    }
                }
            }
        }
        Ok(batch)
    }

    fn record(&self, batch: &mut Batch, place: usize, fields: &[String], columns: Columns) {
        let field = |at: Option<usize>| at.and_then(|at| fields.get(at)).map(|it| it.trim());
        let Some(value) = field(Some(columns.value)) else { return batch.unreadable(place) };
        let mut entry = self.plain_entry();
        entry.event = field(columns.event).and_then(Uuid::parse);
        entry.last_seen = field(columns.last_seen).and_then(day_or_time).unwrap_or(self.read_at);
        entry.expires = field(columns.expires).and_then(day_or_time);
        let is_weak = matches!(field(columns.to_ids), Some("0" | "false"));
        match field(columns.r#type) {
            None => {
                entry.confidence /= 1 + u8::from(is_weak);
                self.put_plain(batch, place, value, entry);
            }
            Some(name) => {
                let Some(accepted) = self.types.of(name, None) else {
                    batch.unknown_types += 1;
                    return;
                };
                entry.confidence = accepted.confidence / (1 + u8::from(is_weak));
                self.take(batch, place, (value, &accepted.forms), entry);
            }
        }
    }
}

impl Columns {
    fn named(fields: &[String]) -> Option<Self> {
        let place = |names: &[&str]| {
            fields
                .iter()
                .position(|it| names.iter().any(|name| it.trim().eq_ignore_ascii_case(name)))
        };
        Some(Self {
            value: place(&["value", "indicator", "ioc"])?,
            r#type: place(&["type"]),
            to_ids: place(&["to_ids"]),
            event: place(&["event_uuid"]),
            last_seen: place(&["last_seen", "date"]),
            expires: place(&["expires"]),
        })
    }
}

/// Nothing, or a comment.
fn is_comment(line: &str) -> bool {
    line.is_empty() || line.starts_with(['#', ';']) || line.starts_with("//")
}

/// Seconds since 1970 of a time, or of a day's begin (UTC).
fn day_or_time(text: &str) -> Option<i64> {
    time(text).or_else(|| {
        let day: jiff::civil::Date = text.parse().ok()?;
        Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
    })
}

/// The fields of a record; none where a quotation does not end.
fn fields(line: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = Some(line);
    while let Some(text) = rest {
        if fields.len() == MAX_FIELDS {
            return None;
        }
        let Some(quoted) = text.strip_prefix('"') else {
            let (field, after) = match text.split_once(',') {
                Some((field, after)) => (field, Some(after)),
                None => (text, None),
            };
            fields.push(field.to_owned());
            rest = after;
            continue;
        };
        let (mut field, mut text) = (String::new(), quoted);
        loop {
            let (before, after) = text.split_once('"')?;
            field.push_str(before);
            match after.strip_prefix('"') {
                Some(after) => {
                    field.push('"');
                    text = after;
                }
                None if after.is_empty() => {
                    rest = None;
                    break;
                }
                None => {
                    rest = Some(after.strip_prefix(',')?);
                    break;
                }
            }
        }
        fields.push(field);
    }
    Some(fields)
}

/// MISP exports 10 to 30.
const MAX_FIELDS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_split_as_rfc_4180_says() {
        assert_eq!(fields(r#"a,"b,""c""",,d"#).unwrap(), ["a", r#"b,"c""#, "", "d"]);
        assert_eq!(fields("").unwrap(), [""]);
        for wrong in ["\"a", "\"a\"b", &",".repeat(MAX_FIELDS)] {
            assert_eq!(fields(wrong), None);
        }
    }
}
