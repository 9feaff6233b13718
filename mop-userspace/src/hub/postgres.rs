//! Records in PostgreSQL: one transaction a batch.
//!
//! A record, its part of the counts and its place in its stream are in the same transaction, and
//! only a record that is new counts. So a message that comes again, for whatever reason and from
//! whichever hub, changes nothing.
//!
//! Several hubs may store at once. Each takes its locks in the same order: records by day and id,
//! counts by their keys, positions by stream. Should two meet in a deadlock all the same, the one that
//! the database gives up begins again.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Range,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::future::BoxFuture;
use jiff::{Timestamp, civil::Date};
use tokio_postgres::{Client, Error, Transaction};

use super::{
    aggregates,
    configuration::RetentionConfiguration,
    database::{Database, Problem, problem, trouble},
    message::Arrival,
    migrations, misp,
    partitions::{KeptDays, Partitions},
    positions,
    refusal::Refusal,
    store::{Batch, Fate, Store},
    vitals::{HubVitals, add},
};
use crate::sinks::Trouble;

/// A store in PostgreSQL.
pub(crate) struct PostgresStore {
    database: Database,
    retention: RetentionConfiguration,
    migrate: bool,
    /// Findings are queued for MISP.
    relays: bool,
    vitals: Arc<HubVitals>,
    client: Option<Client>,
    partitions: Partitions,
}

impl PostgresStore {
    pub(crate) fn new(
        database: Database,
        retention: RetentionConfiguration,
        migrate: bool,
        relays: bool,
        vitals: Arc<HubVitals>,
    ) -> Self {
        Self {
            database,
            retention,
            migrate,
            relays,
            vitals,
            client: None,
            partitions: Partitions::default(),
        }
    }

    async fn open(&mut self) -> Result<(), Trouble> {
        self.client = None;
        self.partitions.forget();
        let mut client = self.database.connect().await?;
        if self.migrate {
            migrations::migrate(&self.database, &mut client).await?;
        } else {
            migrations::check(&client).await?;
        }
        self.client = Some(client);
        Ok(())
    }

    /// Stores a batch, in parts when something in it cannot be stored.
    async fn store_all(&mut self, batch: &Batch) -> Result<Vec<Fate>, Trouble> {
        let kept = KeptDays::today(self.retention);
        let mut fates = vec![Fate::Expired; batch.arrivals.len()];
        let mut parts: Vec<Range<usize>> = Vec::new();
        parts.push(0..batch.arrivals.len());
        let mut refused: BTreeMap<(String, Refusal), i64> = batch.refused.clone();
        let mut tries = 0;
        while let Some(part) = parts.pop() {
            let arrivals = batch.arrivals.get(part.clone()).unwrap_or_default();
            match self.transact(arrivals, kept).await {
                Ok(found) => {
                    for (fate, found) in fates.iter_mut().skip(part.start).zip(found) {
                        *fate = found;
                    }
                }
                Err(Problem::Data) if part.len() <= 1 => {
                    for fate in fates.iter_mut().skip(part.start).take(1) {
                        *fate = Fate::Refused(Refusal::Database);
                    }
                }
                Err(Problem::Data) => {
                    let middle = part.start + part.len() / 2;
                    parts.push(middle..part.end);
                    parts.push(part.start..middle);
                }
                Err(Problem::Retry) if tries < MAX_TRIES => {
                    tries += 1;
                    add(&self.vitals.retries, 1);
                    self.partitions.forget();
                    parts.push(part);
                    tokio::time::sleep(RETRY_AFTER * tries).await;
                }
                Err(Problem::Retry) => {
                    return Err(Trouble::passing(
                        "contention",
                        "other transactions are in the way",
                    ));
                }
                Err(Problem::Trouble(trouble)) => return Err(trouble),
            }
        }
        for (arrival, fate) in batch.arrivals.iter().zip(&fates) {
            if let Fate::Refused(reason) = fate {
                *refused.entry((arrival.source.to_string(), *reason)).or_default() += 1;
            }
        }
        if !refused.is_empty() || !batch.offsets.is_empty() {
            self.note(&refused, &batch.offsets).await.map_err(|error| trouble(&error))?;
        }
        Ok(fates)
    }

    async fn transact(
        &mut self,
        arrivals: &[Arrival],
        kept: KeptDays,
    ) -> Result<Vec<Fate>, Problem> {
        let Some(client) = &mut self.client else {
            return Err(Problem::Trouble(Trouble::passing("lost", "there is no connection")));
        };
        let days = arrivals.iter().map(|arrival| arrival.day);
        let wanted = days.filter(|day| kept.first <= *day && *day <= kept.last);
        self.partitions.ensure(client, wanted).await.map_err(|error| problem(&error))?;
        let stored = store_part(client, arrivals, kept, self.relays);
        let limited = tokio::time::timeout(TRANSACTION_LIMIT, stored).await;
        let (fates, moved) = limited
            .map_err(|_elapsed| {
                Problem::Trouble(Trouble::passing("silent", "the database does not answer"))
            })?
            .map_err(|error| problem(&error))?;
        add(&self.vitals.batches, 1);
        self.vitals.gaps_opened.fetch_add(moved.opened, Ordering::Relaxed);
        self.vitals.gaps_filled.fetch_add(moved.filled, Ordering::Relaxed);
        Ok(fates)
    }

    async fn note(
        &mut self,
        refused: &BTreeMap<(String, Refusal), i64>,
        offsets: &BTreeMap<String, i64>,
    ) -> Result<(), Error> {
        let Some(client) = &mut self.client else { return Ok(()) };
        let transaction = client.transaction().await?;
        let queues: Vec<&str> = refused.keys().map(|(queue, _)| &**queue).collect();
        let reasons: Vec<&str> = refused.keys().map(|(_, reason)| reason.name()).collect();
        let messages: Vec<i64> = refused.values().copied().collect();
        transaction
            .execute(
                "INSERT INTO rejection_hour AS had (hour, queue, reason, messages) \
                 SELECT date_trunc('hour', now()), * \
                 FROM unnest($1::text[], $2::text[], $3::int8[]) \
                 ON CONFLICT (hour, queue, reason) \
                 DO UPDATE SET messages = had.messages + excluded.messages",
                &[&queues, &reasons, &messages],
            )
            .await?;
        let queues: Vec<&String> = offsets.keys().collect();
        let next: Vec<i64> = offsets.values().copied().collect();
        transaction
            .execute(
                "INSERT INTO queue_offset AS had (queue, next_offset) \
                 SELECT * FROM unnest($1::text[], $2::int8[]) ON CONFLICT (queue) \
                 DO UPDATE SET next_offset = greatest(had.next_offset, excluded.next_offset)",
                &[&queues, &next],
            )
            .await?;
        transaction.commit().await
    }

    async fn clean(&mut self) -> Result<(), Error> {
        let kept = KeptDays::today(self.retention);
        let Some(client) = &mut self.client else { return Ok(()) };
        self.partitions.maintain(client, kept).await?;
        let RetentionConfiguration { record_days, aggregate_days, ledger_days, position_days } =
            self.retention;
        for (sql, days) in [
            ("DELETE FROM quality_hour WHERE hour < $1", aggregate_days),
            ("DELETE FROM quality_hour_code WHERE hour < $1", aggregate_days),
            ("DELETE FROM quality_hour_reason WHERE hour < $1", aggregate_days),
            ("DELETE FROM record_hour WHERE hour < $1", aggregate_days),
            ("DELETE FROM rejection_hour WHERE hour < $1", aggregate_days),
            ("DELETE FROM ledger WHERE ts < $1", ledger_days),
            ("DELETE FROM gap WHERE coalesce(filled_at, opened_at) < $1", position_days),
            ("DELETE FROM stream_position WHERE last_received_at < $1", position_days),
            ("DELETE FROM misp_queue WHERE day < ($1::timestamptz)::date", record_days),
            ("DELETE FROM misp_event WHERE day < ($1::timestamptz)::date", record_days),
        ] {
            let span = jiff::SignedDuration::from_hours(24 * i64::from(days));
            let before = Timestamp::now().saturating_sub(span).unwrap_or(Timestamp::UNIX_EPOCH);
            client.execute(sql, &[&before]).await?;
        }
        Ok(())
    }
}

impl Store for PostgresStore {
    fn name(&self) -> &'static str {
        "PostgreSQL"
    }

    fn connect(&mut self) -> BoxFuture<'_, Result<(), Trouble>> {
        Box::pin(self.open())
    }

    fn store<'s>(&'s mut self, batch: &'s Batch) -> BoxFuture<'s, Result<Vec<Fate>, Trouble>> {
        Box::pin(self.store_all(batch))
    }

    fn offset<'s>(&'s mut self, queue: &'s str) -> BoxFuture<'s, Result<Option<i64>, Trouble>> {
        Box::pin(async move {
            let Some(client) = &self.client else { return Ok(None) };
            let row = client
                .query_opt("SELECT next_offset FROM queue_offset WHERE queue = $1", &[&queue])
                .await
                .map_err(|error| trouble(&error))?;
            row.map(|row| row.try_get(0).map_err(|error| trouble(&error))).transpose()
        })
    }

    fn maintain(&mut self) -> BoxFuture<'_, Result<(), Trouble>> {
        Box::pin(async { self.clean().await.map_err(|error| trouble(&error)) })
    }
}

async fn store_part(
    client: &mut Client,
    arrivals: &[Arrival],
    kept: KeptDays,
    relays: bool,
) -> Result<(Vec<Fate>, positions::Moved), Error> {
    let transaction = client.transaction().await?;
    let mut fates: Vec<Fate> = arrivals
        .iter()
        .map(|arrival| match arrival.day {
            day if day < kept.first => Fate::Expired,
            day if day > kept.last => Fate::Refused(Refusal::FutureDay),
            _ => Fate::Duplicate,
        })
        .collect();
    // Within the batch, too, the first one counts.
    let mut firsts: HashMap<(Date, &str), usize> = HashMap::new();
    for (at, (arrival, fate)) in arrivals.iter().zip(&fates).enumerate() {
        if *fate == Fate::Duplicate {
            firsts.entry((arrival.day, &arrival.id)).or_insert(at);
        }
    }
    let mut order: Vec<usize> = firsts.values().copied().collect();
    order.sort_unstable_by_key(|at| arrivals.get(*at).map(|arrival| (arrival.day, &arrival.id)));
    let candidates: Vec<&Arrival> = order.iter().filter_map(|at| arrivals.get(*at)).collect();
    let new = insert(&transaction, &candidates).await?;
    for at in order {
        if let (Some(arrival), Some(fate)) = (arrivals.get(at), fates.get_mut(at))
            && new.contains(&(arrival.day, arrival.id.clone()))
        {
            *fate = Fate::New;
        }
    }
    find_conflicts(&transaction, arrivals, &mut fates).await?;
    let with_fate = arrivals.iter().zip(&fates);
    let added: Vec<&Arrival> = with_fate
        .clone()
        .filter_map(|(arrival, fate)| (*fate == Fate::New).then_some(arrival))
        .collect();
    aggregates::add(&transaction, &added).await?;
    if relays {
        misp::queue::add(&transaction, &added).await?;
    }
    // What is refused has not arrived.
    let arrived: Vec<&Arrival> = with_fate
        .filter_map(|(arrival, fate)| (!matches!(fate, Fate::Refused(_))).then_some(arrival))
        .collect();
    let moved = positions::advance(&transaction, &arrived).await?;
    transaction.commit().await?;
    Ok((fates, moved))
}

/// Inserts records, sorted by day and id. Gives the keys of those that are new.
async fn insert(
    transaction: &Transaction<'_>,
    arrivals: &[&Arrival],
) -> Result<HashSet<(Date, String)>, Error> {
    if arrivals.is_empty() {
        return Ok(HashSet::new());
    }
    let place = |arrival: &Arrival| arrival.place.clone();
    let days: Vec<Date> = arrivals.iter().map(|arrival| arrival.day).collect();
    let ids: Vec<&str> = arrivals.iter().map(|arrival| &*arrival.id).collect();
    let kinds: Vec<&str> = arrivals.iter().map(|arrival| &*arrival.kind).collect();
    let nodes: Vec<&str> = arrivals.iter().map(|arrival| &*arrival.node).collect();
    let times: Vec<Timestamp> = arrivals.iter().map(|arrival| arrival.ts).collect();
    let epochs: Vec<Option<i64>> =
        arrivals.iter().map(|arrival| Some(place(arrival)?.epoch)).collect();
    let streams: Vec<Option<String>> =
        arrivals.iter().map(|arrival| Some(place(arrival)?.stream)).collect();
    let sequences: Vec<Option<i64>> =
        arrivals.iter().map(|arrival| Some(place(arrival)?.sequence)).collect();
    let schemas: Vec<&str> = arrivals.iter().map(|arrival| &*arrival.schema).collect();
    let bodies: Vec<&str> = arrivals.iter().map(|arrival| &*arrival.body).collect();
    let rows = transaction
        .query(
            INSERT,
            &[
                &days, &ids, &kinds, &nodes, &times, &epochs, &streams, &sequences, &schemas,
                &bodies,
            ],
        )
        .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Tells the same record come again from another record with the same key.
async fn find_conflicts(
    transaction: &Transaction<'_>,
    arrivals: &[Arrival],
    fates: &mut [Fate],
) -> Result<(), Error> {
    let again: Vec<usize> = (0..)
        .zip(&*fates)
        .filter_map(|(at, fate)| (*fate == Fate::Duplicate).then_some(at))
        .collect();
    if again.is_empty() {
        return Ok(());
    }
    let of = |at: &usize| arrivals.get(*at);
    let days: Vec<Date> = again.iter().filter_map(of).map(|arrival| arrival.day).collect();
    let ids: Vec<&str> = again.iter().filter_map(of).map(|arrival| &*arrival.id).collect();
    let bodies: Vec<&str> = again.iter().filter_map(of).map(|arrival| &*arrival.body).collect();
    let rows = transaction
        .query(
            "SELECT came.at FROM unnest($1::date[], $2::text[], $3::text[]) \
             WITH ORDINALITY AS came (day, id, body, at) \
             JOIN record ON record.day = came.day AND record.id = came.id \
             WHERE record.body <> came.body::jsonb",
            &[&days, &ids, &bodies],
        )
        .await?;
    for row in rows {
        let at: i64 = row.try_get(0)?;
        let at = usize::try_from(at - 1).ok().and_then(|at| again.get(at));
        if let Some(fate) = at.and_then(|at| fates.get_mut(*at)) {
            *fate = Fate::Refused(Refusal::Conflict);
        }
    }
    Ok(())
}

const INSERT: &str = "INSERT INTO record \
    (day, id, kind, node, ts, epoch, stream, sequence, schema, body) \
    SELECT day, id, kind, node, ts, epoch, stream, sequence, schema, body::jsonb \
    FROM unnest($1::date[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::int8[], \
                $7::text[], $8::int8[], $9::text[], $10::text[]) \
    AS came (day, id, kind, node, ts, epoch, stream, sequence, schema, body) \
    ON CONFLICT (day, id) DO NOTHING RETURNING day, id";
/// Two hubs that meet do so a few times at most.
const MAX_TRIES: u32 = 10;
/// Longer with each try: the other one needs some tens of milliseconds.
const RETRY_AFTER: Duration = Duration::from_millis(20);
/// A batch takes some tens of milliseconds; one of 10,000 records some seconds.
const TRANSACTION_LIMIT: Duration = Duration::from_secs(60);
