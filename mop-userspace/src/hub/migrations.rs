//! The tables, and how they came to be: numbered steps, each applied once, in one transaction.
//!
//! An advisory lock lets several hubs start at once: one applies a step, the others see that it is
//! done. A step that was released is never changed; the next one changes what it made.

use tokio_postgres::Client;

use super::database::{Database, trouble};
use crate::sinks::Trouble;

/// Brings the tables up to date. Gives the number of steps that were missing.
pub(crate) async fn migrate(database: &Database, client: &mut Client) -> Result<usize, Trouble> {
    let mut applied = 0;
    for (number, (name, sql)) in (1..).zip(MIGRATIONS) {
        if apply(database, client, number, name, sql).await.map_err(|error| trouble(&error))? {
            applied += 1;
        }
    }
    check(client).await?;
    Ok(applied)
}

/// Whether the tables are those that this program knows.
pub(crate) async fn check(client: &Client) -> Result<(), Trouble> {
    let newest = client
        .query_one("SELECT coalesce(max(number), 0) FROM schema_migration", &[])
        .await
        .and_then(|row| row.try_get::<_, i32>(0));
    let newest = match newest {
        Ok(newest) => usize::try_from(newest).unwrap_or(0),
        Err(error) if error.code().is_some() => 0,
        Err(error) => return Err(trouble(&error)),
    };
    if newest < MIGRATIONS.len() {
        return Err(Trouble::lasting(
            "schema",
            "the tables are missing or older than this program; run `mop hub --migrate-only` as their \
             owner",
        ));
    }
    if newest > MIGRATIONS.len() {
        return Err(Trouble::lasting(
            "schema",
            "the tables are newer than this program; use a newer one",
        ));
    }
    Ok(())
}

async fn apply(
    database: &Database,
    client: &mut Client,
    number: i32,
    name: &str,
    sql: &str,
) -> Result<bool, tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    transaction
        .batch_execute(&format!(
            "SET LOCAL statement_timeout TO 0; SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"
        ))
        .await?;
    let schema = database.schema();
    // `IF NOT EXISTS` wants the right to create one also where it exists.
    let exists = transaction
        .query_opt("SELECT 1 FROM pg_namespace WHERE nspname = $1", &[&schema])
        .await?
        .is_some();
    if !exists {
        transaction.batch_execute(&format!("CREATE SCHEMA \"{schema}\"")).await?;
    }
    transaction
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS schema_migration (number integer PRIMARY KEY, \
             name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())",
        )
        .await?;
    let is_new = transaction
        .execute(
            "INSERT INTO schema_migration (number, name) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            &[&number, &name],
        )
        .await?
        > 0;
    if is_new {
        transaction.batch_execute(sql).await?;
    }
    transaction.commit().await?;
    Ok(is_new)
}

/// Of everything that is to be done by one hub at a time: "mop" and a number.
pub(crate) const ADVISORY_LOCK: i64 = 0x006d_6f70_0000_0001;

const MIGRATIONS: [(&str, &str); 4] = [
    ("records", include_str!("migrations/0001_records.sql")),
    ("quality", include_str!("migrations/0002_quality.sql")),
    ("positions", include_str!("migrations/0003_positions.sql")),
    ("misp", include_str!("migrations/0004_misp.sql")),
];
