//! How far each stream of each node has come, kept in the database.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Error, Transaction};

use super::{
    gaps::{Changes, Gap, Position, Span},
    message::Arrival,
};

/// How many sequences were found missing, and how many of those came after all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moved {
    pub(crate) opened: u64,
    pub(crate) filled: u64,
}

/// Moves the positions to where these records are, whether they are new or came again.
pub(crate) async fn advance(
    transaction: &Transaction<'_>,
    arrived: &[&Arrival],
) -> Result<Moved, Error> {
    let mut sequences: BTreeMap<Key<'_>, BTreeSet<i64>> = BTreeMap::new();
    for arrival in arrived {
        if let Some(place) = &arrival.place {
            let key = Key { node: &arrival.node, stream: &place.stream, epoch: place.epoch };
            sequences.entry(key).or_default().insert(place.sequence);
        }
    }
    if sequences.is_empty() {
        return Ok(Moved::default());
    }
    let keys: Vec<Key<'_>> = sequences.keys().copied().collect();
    let runs: Vec<Vec<Span>> = sequences.into_values().map(Span::runs).collect();
    let reached = lock(transaction, &keys).await?;
    let mut gaps = open_gaps(transaction, &keys, &runs, &reached).await?;
    let mut moved = Moved::default();
    let mut spans = Vec::with_capacity(keys.len());
    let mut changes = Vec::with_capacity(keys.len());
    for (at, runs) in runs.iter().enumerate() {
        let before = reached.get(at).copied().flatten();
        let mut position = Position::new(before, gaps.remove(&at).unwrap_or_default());
        for run in runs {
            position.arrive(*run);
        }
        let (after, changed) = position.finish();
        let sum = |lengths: i64| u64::try_from(lengths).unwrap_or(0);
        moved.opened += sum(changed.opened.iter().map(|span| span.length()).sum());
        moved.filled += sum(changed.filled.iter().map(|(_, span)| span.length()).sum());
        spans.push(after);
        changes.push(changed);
    }
    write_gaps(transaction, &keys, &changes).await?;
    write_positions(transaction, &keys, &spans, &changes).await?;
    Ok(moved)
}

/// A stream of a node in one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    node: &'a str,
    stream: &'a str,
    epoch: i64,
}

/// Columns of keys.
fn columns<'a>(keys: &[Key<'a>]) -> (Vec<&'a str>, Vec<&'a str>, Vec<i64>) {
    (
        keys.iter().map(|key| key.node).collect(),
        keys.iter().map(|key| key.stream).collect(),
        keys.iter().map(|key| key.epoch).collect(),
    )
}

/// Takes the positions, in their order, until the end of the transaction.
async fn lock(transaction: &Transaction<'_>, keys: &[Key<'_>]) -> Result<Vec<Option<Span>>, Error> {
    let (nodes, streams, epochs) = columns(keys);
    transaction
        .execute(
            "INSERT INTO stream_position (node, stream, epoch) \
             SELECT * FROM unnest($1::text[], $2::text[], $3::int8[]) ON CONFLICT DO NOTHING",
            &[&nodes, &streams, &epochs],
        )
        .await?;
    let rows = transaction
        .query(
            "SELECT at, first_sequence, last_sequence FROM stream_position AS had \
             JOIN unnest($1::text[], $2::text[], $3::int8[]) WITH ORDINALITY \
             AS came (node, stream, epoch, at) \
             ON had.node = came.node AND had.stream = came.stream AND had.epoch = came.epoch \
             ORDER BY at FOR UPDATE OF had",
            &[&nodes, &streams, &epochs],
        )
        .await?;
    let mut reached = vec![None; keys.len()];
    for row in rows {
        let first: Option<i64> = row.try_get(1)?;
        let last: Option<i64> = row.try_get(2)?;
        if let (Some(first), Some(last), Some(span)) =
            (first, last, reached.get_mut(index(row.try_get(0)?)))
        {
            *span = Some(Span { first, last });
        }
    }
    Ok(reached)
}

/// The open gaps that the arrivals may touch, by key.
async fn open_gaps(
    transaction: &Transaction<'_>,
    keys: &[Key<'_>],
    runs: &[Vec<Span>],
    reached: &[Option<Span>],
) -> Result<BTreeMap<usize, Vec<Gap>>, Error> {
    let mut late: Vec<(usize, Key<'_>, Span)> = Vec::new();
    for (at, ((key, runs), reached)) in keys.iter().zip(runs).zip(reached).enumerate() {
        if let (Some(first), Some(last), Some(reached)) = (runs.first(), runs.last(), reached)
            && first.first <= reached.last
        {
            late.push((at, *key, Span { first: first.first, last: last.last }));
        }
    }
    let mut gaps: BTreeMap<usize, Vec<Gap>> = BTreeMap::new();
    if late.is_empty() {
        return Ok(gaps);
    }
    let (nodes, streams, epochs) =
        columns(&late.iter().map(|(_, key, _)| *key).collect::<Vec<Key<'_>>>());
    let firsts: Vec<i64> = late.iter().map(|(_, _, span)| span.first).collect();
    let lasts: Vec<i64> = late.iter().map(|(_, _, span)| span.last).collect();
    let rows = transaction
        .query(
            "SELECT at, gap, first_sequence, last_sequence FROM gap AS had \
             JOIN unnest($1::text[], $2::text[], $3::int8[], $4::int8[], $5::int8[]) \
             WITH ORDINALITY AS came (node, stream, epoch, first, last, at) \
             ON had.node = came.node AND had.stream = came.stream AND had.epoch = came.epoch \
             AND had.first_sequence <= came.last AND had.last_sequence >= came.first \
             WHERE had.filled_at IS NULL",
            &[&nodes, &streams, &epochs, &firsts, &lasts],
        )
        .await?;
    for row in rows {
        if let Some((at, _, _)) = late.get(index(row.try_get(0)?)) {
            let span = Span { first: row.try_get(2)?, last: row.try_get(3)? };
            gaps.entry(*at).or_default().push(Gap { row: Some(row.try_get(1)?), span });
        }
    }
    Ok(gaps)
}

async fn write_gaps(
    transaction: &Transaction<'_>,
    keys: &[Key<'_>],
    changes: &[Changes],
) -> Result<(), Error> {
    let touched: Vec<i64> =
        changes.iter().flat_map(|change| change.touched.iter().copied()).collect();
    let mut rows: Vec<(Key<'_>, Option<i64>, Span, bool)> = Vec::new();
    for (key, change) in keys.iter().zip(changes) {
        let Changes { touched: _, filled, left, opened } = change;
        rows.extend(filled.iter().map(|(row, span)| (*key, Some(*row), *span, true)));
        rows.extend(left.iter().map(|(row, span)| (*key, Some(*row), *span, false)));
        rows.extend(opened.iter().map(|span| (*key, None, *span, false)));
    }
    if rows.is_empty() {
        return Ok(());
    }
    let (nodes, streams, epochs) =
        columns(&rows.iter().map(|(key, _, _, _)| *key).collect::<Vec<Key<'_>>>());
    let before: Vec<Option<i64>> = rows.iter().map(|(_, row, _, _)| *row).collect();
    let firsts: Vec<i64> = rows.iter().map(|(_, _, span, _)| span.first).collect();
    let lasts: Vec<i64> = rows.iter().map(|(_, _, span, _)| span.last).collect();
    let are_filled: Vec<bool> = rows.iter().map(|(_, _, _, is_filled)| *is_filled).collect();
    // What is left of a gap is as old as the gap.
    transaction
        .execute(
            "WITH touched AS (DELETE FROM gap WHERE gap = ANY ($1::int8[]) RETURNING gap, opened_at) \
             INSERT INTO gap (node, stream, epoch, first_sequence, last_sequence, opened_at, \
                              filled_at) \
             SELECT node, stream, epoch, first, last, coalesce(touched.opened_at, now()), \
                    CASE WHEN is_filled THEN now() END \
             FROM unnest($2::text[], $3::text[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], \
                         $8::bool[]) \
             AS came (node, stream, epoch, before, first, last, is_filled) \
             LEFT JOIN touched ON touched.gap = came.before",
            &[&touched, &nodes, &streams, &epochs, &before, &firsts, &lasts, &are_filled],
        )
        .await?;
    Ok(())
}

async fn write_positions(
    transaction: &Transaction<'_>,
    keys: &[Key<'_>],
    spans: &[Option<Span>],
    changes: &[Changes],
) -> Result<(), Error> {
    let (nodes, streams, epochs) = columns(keys);
    let firsts: Vec<Option<i64>> = spans.iter().map(|span| Some((*span)?.first)).collect();
    let lasts: Vec<Option<i64>> = spans.iter().map(|span| Some((*span)?.last)).collect();
    let missing: Vec<i64> = changes.iter().map(Changes::missing).collect();
    transaction
        .execute(
            "UPDATE stream_position AS had \
             SET first_sequence = came.first, last_sequence = came.last, \
                 missing = had.missing + came.missing, last_received_at = now() \
             FROM unnest($1::text[], $2::text[], $3::int8[], $4::int8[], $5::int8[], $6::int8[]) \
             AS came (node, stream, epoch, first, last, missing) \
             WHERE had.node = came.node AND had.stream = came.stream AND had.epoch = came.epoch",
            &[&nodes, &streams, &epochs, &firsts, &lasts, &missing],
        )
        .await?;
    Ok(())
}

/// From the database's count, which begins at one.
fn index(at: i64) -> usize {
    usize::try_from(at - 1).unwrap_or(usize::MAX)
}
