//! A series as lines of CSV (RFC 4180), and its scores.
//!
//! In: `timestamp,value` with a header or without one; with a header the two columns may stand
//! anywhere among others. Timestamps are RFC 3339, or local ones such as `2014-04-01 00:00:00`; the
//! time zone of those is not asked for. Fields may be quoted, but hold no commas. Out: the two fields
//! as they came in, the score, and whether an alarm is open, as CSV or as a line of JSON.
//!
//! Errors say what is wrong and not what was there: a file may hold anything.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::Serialize;

use super::{Assessment, Detector, Hysteresis, Reason};

/// A row of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'a> {
    /// The timestamp as it came in.
    pub timestamp: &'a str,
    /// Seconds since 1970, in the time zone of the series.
    pub time: i64,
    /// The value as it came in.
    pub written: &'a str,
    /// The value; it is finite.
    pub value: f64,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// Too few fields.
    #[error("a timestamp and a value with a comma between them are wanted")]
    Fields,
    /// The first field.
    #[error(
        "the timestamp cannot be read: one like 2014-04-01 00:00:00 or 2014-04-01T00:00:00Z is wanted"
    )]
    Timestamp,
    /// The second field.
    #[error("the value is not a number")]
    Number,
    /// The second field.
    #[error("the value is not a finite number")]
    Infinite,
    /// The first line.
    #[error("the header has no column `timestamp`, or none `value`")]
    Header,
}

/// Reads the lines of one series, one after the other, and scores them.
#[derive(Clone, Debug, Default)]
pub struct SeriesScorer {
    detector: Detector,
    alarm: Hysteresis,
    columns: Option<Columns>,
}

/// A row and what the detector says of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredRow<'a> {
    /// The row.
    pub row: Row<'a>,
    /// What the detector says.
    pub assessment: Assessment,
    /// Whether an alarm is open.
    pub alarm: bool,
}

/// Where the fields are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Columns {
    timestamp: usize,
    value: usize,
}

const PLAIN: Columns = Columns { timestamp: 0, value: 1 };

/// The header of [`ScoredRow::to_csv`].
pub const CSV_HEADER: &str = "timestamp,value,anomaly_score,alarm";

#[derive(Serialize)]
struct JsonRow<'a> {
    timestamp: &'a str,
    value: f64,
    anomaly_score: f64,
    alarm: u8,
    expected: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl SeriesScorer {
    /// Scores a line; nothing for the header and for an empty line. After an error the scorer is as
    /// it was before the line.
    pub fn line<'a>(&mut self, line: &'a str) -> Result<Option<ScoredRow<'a>>, RowError> {
        let line = trim(line);
        if line.is_empty() {
            return Ok(None);
        }
        let row = match self.columns {
            Some(columns) => row_in(line, columns)?,
            None => match row_in(line, PLAIN) {
                Ok(row) => {
                    self.columns = Some(PLAIN);
                    row
                }
                // Whoever has no header has a time or a number in the first line.
                Err(error) if looks_like_data(line) => return Err(error),
                Err(_) => {
                    self.columns = Some(Columns::of(line)?);
                    return Ok(None);
                }
            },
        };
        let assessment = self.detector.observe(row.time, row.value);
        self.alarm.step(assessment.urgency, assessment.pressing);
        Ok(Some(ScoredRow { row, assessment, alarm: self.alarm.is_open() }))
    }
}

impl ScoredRow<'_> {
    /// As a line of CSV, without its end.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let Self { row, assessment, alarm } = self;
        let (timestamp, written) = (row.timestamp, row.written);
        format!("{timestamp},{written},{:.6},{}", assessment.score, u8::from(*alarm))
    }

    /// As a line of JSON, without its end.
    ///
    /// # Errors
    ///
    /// None that a row can bring about.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&JsonRow {
            timestamp: unquoted(self.row.timestamp),
            value: self.row.value,
            anomaly_score: (self.assessment.score * SCORE_UNITS).round() / SCORE_UNITS,
            alarm: u8::from(self.alarm),
            expected: self.assessment.expected,
            reason: self.assessment.reason().map(|reason| reason.to_string()),
        })
    }
}

impl Assessment {
    /// Why the value is alarming, when anything speaks against it.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        let Self { seen, expected, .. } = *self;
        self.cause.map(|cause| Reason { cause, expected, seen })
    }
}

impl Columns {
    fn of(header: &str) -> Result<Self, RowError> {
        let position = |name: &str| {
            let mut names = header.split(',');
            names.position(|field| unquoted(field.trim()).eq_ignore_ascii_case(name))
        };
        match (position("timestamp"), position("value")) {
            (Some(timestamp), Some(value)) => Ok(Self { timestamp, value }),
            _ => Err(RowError::Header),
        }
    }
}

/// Reads a line of `timestamp,value`; further fields are passed over.
///
/// # Errors
///
/// What is wrong with the line.
pub fn parse_row(line: &str) -> Result<Row<'_>, RowError> {
    row_in(trim(line), PLAIN)
}

fn row_in(line: &str, columns: Columns) -> Result<Row<'_>, RowError> {
    let field = |column| line.split(',').nth(column).map(str::trim).ok_or(RowError::Fields);
    let (timestamp, written) = (field(columns.timestamp)?, field(columns.value)?);
    let time = parse_time(unquoted(timestamp)).ok_or(RowError::Timestamp)?;
    let value: f64 = unquoted(written).parse().map_err(|_no_number| RowError::Number)?;
    if !value.is_finite() {
        return Err(RowError::Infinite);
    }
    Ok(Row { timestamp, time, written, value })
}

/// Seconds since 1970; a time without a zone counts as if it were in UTC.
fn parse_time(text: &str) -> Option<i64> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp.as_second());
    }
    let civil = text.parse::<DateTime>().ok()?;
    Some(TimeZone::UTC.to_timestamp(civil).ok()?.as_second())
}

fn looks_like_data(line: &str) -> bool {
    line.split(',').any(|field| {
        let field = unquoted(field.trim());
        parse_time(field).is_some() || field.parse::<f64>().is_ok()
    })
}

fn trim(line: &str) -> &str {
    line.trim_start_matches('\u{feff}').trim()
}

fn unquoted(field: &str) -> &str {
    field.strip_prefix('"').and_then(|field| field.strip_suffix('"')).unwrap_or(field)
}

/// Scores have six decimals.
const SCORE_UNITS: f64 = 1e6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_times_and_rfc_3339_are_read() {
        for (text, time) in [
            ("2014-04-01 00:00:00", 1_396_310_400),
            ("2014-04-01 00:00:00.000000", 1_396_310_400),
            ("2014-04-01T00:00:00", 1_396_310_400),
            ("2014-04-01T00:00:00Z", 1_396_310_400),
            ("2014-04-01T00:00:00.25-03:00", 1_396_321_200),
            ("2014-04-01", 1_396_310_400),
        ] {
            assert_eq!(parse_time(text), Some(time), "{text}");
        }
        for text in ["", "yesterday", "2014-13-01 00:00:00", "1396310400", "2014-04-01 25:00"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn rows_come_out_as_they_came_in() {
        let mut scorer = SeriesScorer::default();
        assert_eq!(scorer.line("\u{feff}timestamp,value\r\n"), Ok(None));
        assert_eq!(scorer.line("\n"), Ok(None));
        let row = scorer.line("2014-04-01 00:00:00,-21.0483826823\r\n").unwrap().unwrap();
        assert_eq!(row.to_csv(), "2014-04-01 00:00:00,-21.0483826823,0.000000,0");
        let json = "{\"timestamp\":\"2014-04-01 00:00:00\",\"value\":-21.0483826823,\
                    \"anomaly_score\":0.0,\"alarm\":0,\"expected\":-21.0483826823}";
        assert_eq!(row.to_json().unwrap(), json);
    }

    #[test]
    fn columns_stand_where_the_header_says() {
        let mut scorer = SeriesScorer::default();
        assert_eq!(scorer.line("host,\"Value\",unit,Timestamp"), Ok(None));
        let row = scorer.line("a,3e2,ms,\"2014-04-01T00:00:00Z\"").unwrap().unwrap();
        assert_eq!((row.row.value, row.row.time), (300.0, 1_396_310_400));
        assert_eq!(scorer.line("a,3e2"), Err(RowError::Fields));
    }

    #[test]
    fn bad_lines_are_told_apart() {
        let mut scorer = SeriesScorer::default();
        assert_eq!(scorer.clone().line("time,value"), Err(RowError::Header));
        assert_eq!(scorer.clone().line("2014-04-01 00:00:00"), Err(RowError::Fields));
        assert_eq!(scorer.line("timestamp,value"), Ok(None));
        for (line, error) in [
            ("2014-04-01 00:00:00", RowError::Fields),
            ("1396310400,1", RowError::Timestamp),
            ("2014-04-01 00:00:00,", RowError::Number),
            ("2014-04-01 00:00:00,1.5 ms", RowError::Number),
            ("2014-04-01 00:00:00,NaN", RowError::Infinite),
            ("2014-04-01 00:00:00,inf", RowError::Infinite),
            ("2014-04-01 00:00:00,1e999", RowError::Infinite),
        ] {
            assert_eq!(scorer.line(line), Err(error), "{line}");
        }
    }

    #[test]
    fn an_alarm_is_told_with_its_reason() {
        let mut scorer = SeriesScorer::default();
        for at in 0..600 {
            let line = format!("2014-04-{:02} {:02}:00:00,{}", 1 + at / 24, at % 24, 10 + at % 7);
            assert!(!scorer.line(&line).unwrap().unwrap().alarm);
        }
        let row = scorer.line("2014-04-26 00:00:00,99").unwrap().unwrap();
        assert!(row.alarm && row.to_csv().ends_with(",1"));
        let json = row.to_json().unwrap();
        assert!(json.contains("higher than ever before: the limit was 16, seen 99"), "{json}");
    }
}
