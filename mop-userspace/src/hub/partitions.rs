//! A partition of the records for each day: made before it is needed, dropped when it is too old.

use std::collections::BTreeSet;

use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use tokio_postgres::{Client, Error};

use super::{configuration::RetentionConfiguration, migrations::ADVISORY_LOCK};

/// The partitions that are known to exist.
#[derive(Debug, Default)]
pub(crate) struct Partitions {
    known: BTreeSet<Date>,
}

/// Days of which records are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeptDays {
    pub(crate) first: Date,
    pub(crate) last: Date,
}

impl KeptDays {
    /// The days that are kept today, with some room for clocks that go ahead.
    pub(crate) fn today(retention: RetentionConfiguration) -> Self {
        Self::at(TimeZone::UTC.to_datetime(Timestamp::now()).date(), retention)
    }

    fn at(today: Date, retention: RetentionConfiguration) -> Self {
        let first = today.saturating_sub(i64::from(retention.record_days).days());
        Self { first, last: today.saturating_add(DAYS_AHEAD.days()) }
    }
}

impl Partitions {
    /// Makes the partitions of these days that are missing.
    pub(crate) async fn ensure(
        &mut self,
        client: &mut Client,
        days: impl IntoIterator<Item = Date>,
    ) -> Result<(), Error> {
        let missing: BTreeSet<Date> =
            days.into_iter().filter(|day| !self.known.contains(day)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let transaction = client.transaction().await?;
        transaction
            .batch_execute(&format!("SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
            .await?;
        for day in &missing {
            let name = name(*day);
            let exists: bool = transaction
                .query_one("SELECT to_regclass($1) IS NOT NULL", &[&name])
                .await?
                .try_get(0)?;
            if exists {
                continue;
            }
            // Made apart and attached, it does not stop those who read and write the others.
            let next = day.saturating_add(1.day());
            transaction
                .batch_execute(&format!(
                    "CREATE TABLE {name} \
                     (LIKE record INCLUDING COMPRESSION INCLUDING DEFAULTS INCLUDING INDEXES); \
                     ALTER TABLE record ATTACH PARTITION {name} \
                     FOR VALUES FROM ('{day}') TO ('{next}')"
                ))
                .await?;
        }
        transaction.commit().await?;
        self.known.extend(missing);
        Ok(())
    }

    /// Looks again before it believes that one exists.
    pub(crate) fn forget(&mut self) {
        self.known.clear();
    }

    /// Makes those of the days to come and drops those that are too old.
    pub(crate) async fn maintain(
        &mut self,
        client: &mut Client,
        kept: KeptDays,
    ) -> Result<(), Error> {
        self.ensure(client, kept.last.series((-1).day()).take(DAYS_AHEAD as usize + 1)).await?;
        let rows = client
            .query(
                "SELECT child.relname FROM pg_inherits \
                 JOIN pg_class AS child ON child.oid = inhrelid \
                 WHERE inhparent = 'record'::regclass",
                &[],
            )
            .await?;
        // A day longer than records are taken: none can be on its way into it.
        let oldest = kept.first.saturating_sub(1.day());
        for row in rows {
            let Some(day) = day_of(row.try_get(0)?) else { continue };
            if day >= oldest {
                continue;
            }
            self.known.remove(&day);
            let transaction = client.transaction().await?;
            transaction
                .batch_execute(&format!(
                    "SET LOCAL lock_timeout TO '{LOCK_LIMIT}'; DROP TABLE IF EXISTS {}",
                    name(day)
                ))
                .await?;
            transaction.commit().await?;
        }
        Ok(())
    }
}

fn name(day: Date) -> String {
    format!("{PREFIX}{}", day.strftime("%Y%m%d"))
}

fn day_of(name: &str) -> Option<Date> {
    Date::strptime("%Y%m%d", name.strip_prefix(PREFIX)?).ok()
}

const PREFIX: &str = "record_";
/// A node whose clock goes ahead by more is refused: its records would be kept for too long.
const DAYS_AHEAD: i64 = 2;
/// Dropping waits for readers, and everybody waits for who waits to drop. Better the next hour.
const LOCK_LIMIT: &str = "2s";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_their_day() {
        let day = jiff::civil::date(2026, 1, 9);
        assert_eq!(name(day), "record_20260109");
        assert_eq!(day_of("record_20260109"), Some(day));
        for other in ["record_hour", "record_2026", "record_20261301", "other"] {
            assert_eq!(day_of(other), None, "{other}");
        }
    }

    #[test]
    fn days_are_kept_as_long_as_is_wanted() {
        let retention = RetentionConfiguration { record_days: 30, ..Default::default() };
        let kept = KeptDays::at(jiff::civil::date(2026, 3, 10), retention);
        assert_eq!(kept.first, jiff::civil::date(2026, 2, 8));
        assert_eq!(kept.last, jiff::civil::date(2026, 3, 12));
    }
}
