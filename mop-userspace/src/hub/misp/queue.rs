//! The tables between the store and the relay.

use jiff::civil::Date;
use mop_insight::security::finding::RECORD_KIND;
use serde::Deserialize;
use tokio_postgres::{Client, Error, Transaction};

use crate::hub::message::Arrival;

/// Which event a finding is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// In UTC.
    pub(super) day: Date,
    pub(super) rule: String,
    /// Empty when it is not known.
    pub(super) client: String,
}

/// A finding that waits.
pub(super) struct Waiting {
    pub(super) id: String,
    /// None when the record is no longer kept.
    pub(super) body: Option<String>,
}

#[derive(Default, Deserialize)]
struct Named {
    rule: String,
    client_organisation: Option<String>,
}

/// Queues those of new records that are findings.
pub(in crate::hub) async fn add(
    transaction: &Transaction<'_>,
    new: &[&Arrival],
) -> Result<(), Error> {
    let findings: Vec<_> = new.iter().filter(|arrival| arrival.kind == RECORD_KIND).collect();
    if findings.is_empty() {
        return Ok(());
    }
    let days: Vec<Date> = findings.iter().map(|arrival| arrival.day).collect();
    let ids: Vec<&str> = findings.iter().map(|arrival| &*arrival.id).collect();
    let (rules, clients): (Vec<String>, Vec<String>) =
        findings.iter().map(|arrival| names(&arrival.body)).unzip();
    transaction
        .execute(
            "INSERT INTO misp_queue (day, id, rule, client) \
             SELECT * FROM unnest($1::date[], $2::text[], $3::text[], $4::text[]) \
             ON CONFLICT DO NOTHING",
            &[&days, &ids, &rules, &clients],
        )
        .await
        .map(drop)
}

/// Rule and client; nothing of a record that is no finding, which the relay then refuses.
fn names(body: &str) -> (String, String) {
    let Named { rule, client_organisation } = serde_json::from_str(body).unwrap_or_default();
    let client = client_organisation.unwrap_or_default();
    if rule.len() > MAX_NAME_BYTES || client.len() > MAX_NAME_BYTES {
        return (String::new(), String::new());
    }
    (rule, client)
}

/// Has this connection relay, alone among all hubs. False when another one does.
pub(super) async fn lock(client: &Client) -> Result<bool, Error> {
    let lock = "SELECT pg_try_advisory_lock(hashtext(current_schema()), $1)";
    client.query_one(lock, &[&LOCK]).await?.try_get(0)
}

/// Lets events that were refused be tried once more.
pub(super) async fn forgive(client: &Client) -> Result<(), Error> {
    let forgive = "UPDATE misp_event SET refused = NULL WHERE refused IS NOT NULL";
    client.execute(forgive, &[]).await.map(drop)
}

/// How many findings wait.
pub(super) async fn length(client: &Client) -> Result<u64, Error> {
    let count: i64 = client.query_one("SELECT count(*) FROM misp_queue", &[]).await?.try_get(0)?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Events with findings that wait, after one and in their order, but not those that were refused.
pub(super) async fn keys(client: &Client, after: Option<&Key>) -> Result<Vec<Key>, Error> {
    let (day, rule, name) = match after {
        Some(Key { day, rule, client }) => (Some(*day), rule.as_str(), client.as_str()),
        None => (None, "", ""),
    };
    let rows = client
        .query(
            "SELECT DISTINCT day, rule, client FROM misp_queue \
             LEFT JOIN misp_event USING (day, rule, client) \
             WHERE refused IS NULL \
             AND ($1::date IS NULL OR (day, rule, client) > ($1::date, $2::text, $3::text)) \
             ORDER BY day, rule, client LIMIT $4",
            &[&day, &rule, &name, &MAX_KEYS],
        )
        .await?;
    rows.iter()
        .map(|row| Ok(Key { day: row.try_get(0)?, rule: row.try_get(1)?, client: row.try_get(2)? }))
        .collect()
}

/// Findings of an event that wait, not all when they are many.
pub(super) async fn waiting(client: &Client, key: &Key) -> Result<Vec<Waiting>, Error> {
    let Key { day, rule, client: name } = key;
    let rows = client
        .query(
            "SELECT queued.id, record.body::text FROM misp_queue AS queued \
             LEFT JOIN record ON record.day = queued.day AND record.id = queued.id \
             WHERE queued.day = $1 AND queued.rule = $2 AND queued.client = $3 \
             ORDER BY queued.id LIMIT $4",
            &[day, rule, name, &MAX_FINDINGS],
        )
        .await?;
    rows.iter().map(|row| Ok(Waiting { id: row.try_get(0)?, body: row.try_get(1)? })).collect()
}

/// An event as MISP was told of it last.
pub(super) async fn content(client: &Client, key: &Key) -> Result<Option<String>, Error> {
    let Key { day, rule, client: name } = key;
    let sql = "SELECT content FROM misp_event WHERE day = $1 AND rule = $2 AND client = $3";
    let row = client.query_opt(sql, &[day, rule, name]).await?;
    row.map_or(Ok(None), |row| row.try_get(0))
}

/// Keeps what MISP was told, and takes the findings out, in one statement.
pub(super) async fn settle(
    client: &Client,
    key: &Key,
    ids: &[&str],
    content: &str,
) -> Result<(), Error> {
    let Key { day, rule, client: name } = key;
    client
        .execute(
            "WITH told AS (DELETE FROM misp_queue WHERE day = $1 AND id = ANY($4)) \
             INSERT INTO misp_event (day, rule, client, content) VALUES ($1, $2, $3, $5) \
             ON CONFLICT (day, rule, client) \
             DO UPDATE SET content = excluded.content, refused = NULL, changed_at = now()",
            &[day, rule, name, &ids, &content],
        )
        .await
        .map(drop)
}

/// Takes findings out that can be in no event.
pub(super) async fn remove(client: &Client, key: &Key, ids: &[&str]) -> Result<(), Error> {
    let sql = "DELETE FROM misp_queue WHERE day = $1 AND id = ANY($2)";
    client.execute(sql, &[&key.day, &ids]).await.map(drop)
}

/// Lets an event rest that MISP will never take as it is.
pub(super) async fn refuse(client: &Client, key: &Key, reason: &str) -> Result<(), Error> {
    let Key { day, rule, client: name } = key;
    client
        .execute(
            "INSERT INTO misp_event (day, rule, client, refused) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (day, rule, client) \
             DO UPDATE SET refused = excluded.refused, changed_at = now()",
            &[day, rule, name, &reason],
        )
        .await
        .map(drop)
}

/// The second half of the lock's name; the first is the schema.
const LOCK: i32 = 2;
/// Of one look: what is left comes with the next one.
const MAX_KEYS: i64 = 64;
/// Of one telling: its bodies have some 2 KB each.
const MAX_FINDINGS: i64 = 500;
/// As in a finding. An index entry of PostgreSQL has at most 2,704 bytes.
const MAX_NAME_BYTES: usize = 512;
