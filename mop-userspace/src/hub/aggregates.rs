//! Counts by the hour, from records that are new.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use tokio_postgres::{Error, Transaction};

use super::{
    message::Arrival,
    summary::{CodeKey, Counts, Series, Summary},
};

/// Adds what these records count, in the order of their keys.
pub(crate) async fn add(transaction: &Transaction<'_>, new: &[&Arrival]) -> Result<(), Error> {
    if new.is_empty() {
        return Ok(());
    }
    add_records(transaction, new).await?;
    add_ledger(transaction, new).await?;
    let summaries: Vec<&Summary> =
        new.iter().filter_map(|arrival| arrival.summary.as_ref()).collect();
    if summaries.is_empty() {
        return Ok(());
    }
    let series = resolve(transaction, &summaries).await?;
    add_quality(transaction, &summaries, &series).await
}

async fn add_records(transaction: &Transaction<'_>, new: &[&Arrival]) -> Result<(), Error> {
    let mut hours: BTreeMap<(Timestamp, &str, &str), (i64, Timestamp)> = BTreeMap::new();
    for arrival in new {
        let hour = arrival.ts.as_second().div_euclid(3600) * 3600;
        let hour = Timestamp::from_second(hour).unwrap_or_default();
        let (records, newest) =
            hours.entry((hour, &arrival.node, &arrival.kind)).or_insert((0, arrival.ts));
        *records += 1;
        *newest = arrival.ts.max(*newest);
    }
    let times: Vec<Timestamp> = hours.keys().map(|(hour, _, _)| *hour).collect();
    let nodes: Vec<&str> = hours.keys().map(|(_, node, _)| *node).collect();
    let kinds: Vec<&str> = hours.keys().map(|(_, _, kind)| *kind).collect();
    let records: Vec<i64> = hours.values().map(|(records, _)| *records).collect();
    let newest: Vec<Timestamp> = hours.values().map(|(_, newest)| *newest).collect();
    transaction
        .execute(
            "INSERT INTO record_hour AS had \
             (hour, node, kind, records, newest_ts, newest_received_at) \
             SELECT *, now() \
             FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::int8[], $5::timestamptz[]) \
             ON CONFLICT (hour, node, kind) DO UPDATE SET \
             records = had.records + excluded.records, \
             newest_ts = greatest(had.newest_ts, excluded.newest_ts), \
             newest_received_at = greatest(had.newest_received_at, excluded.newest_received_at)",
            &[&times, &nodes, &kinds, &records, &newest],
        )
        .await?;
    Ok(())
}

async fn add_ledger(transaction: &Transaction<'_>, new: &[&Arrival]) -> Result<(), Error> {
    let mut entries: Vec<&Arrival> =
        new.iter().copied().filter(|arrival| arrival.kind == LEDGER_KIND).collect();
    if entries.is_empty() {
        return Ok(());
    }
    entries.sort_unstable_by_key(|entry| (entry.day, &entry.id));
    let times: Vec<Timestamp> = entries.iter().map(|entry| entry.ts).collect();
    let ids: Vec<&str> = entries.iter().map(|entry| &*entry.id).collect();
    let records: Vec<&str> = entries.iter().map(|entry| &*entry.body).collect();
    transaction
        .execute(
            // A record without node or number is refused by the table, and so by the hub.
            "INSERT INTO ledger (node, number, id, ts, record) \
             SELECT record::json ->> 'node', (record::json ->> 'number')::int8, id, ts, record \
             FROM unnest($1::timestamptz[], $2::text[], $3::text[]) AS came (ts, id, record) \
             ON CONFLICT DO NOTHING",
            &[&times, &ids, &records],
        )
        .await?;
    Ok(())
}

/// The numbers of these series, made where they are missing.
async fn resolve<'s>(
    transaction: &Transaction<'_>,
    summaries: &[&'s Summary],
) -> Result<HashMap<&'s Series, i64>, Error> {
    let mut wanted: Vec<&Series> = summaries.iter().map(|summary| &summary.series).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut known = find(transaction, &wanted).await?;
    let missing: Vec<&Series> =
        wanted.into_iter().filter(|series| !known.contains_key(series)).collect();
    if !missing.is_empty() {
        let [counterparts, apis, versions, methods, templates, operations] = columns(&missing);
        transaction
            .execute(
                "INSERT INTO quality_series \
                 (counterpart, api, api_version, method, template, operation_id) \
                 SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], \
                                      $6::text[]) ON CONFLICT DO NOTHING",
                &[&counterparts, &apis, &versions, &methods, &templates, &operations],
            )
            .await?;
        known.extend(find(transaction, &missing).await?);
    }
    Ok(known)
}

async fn find<'s>(
    transaction: &Transaction<'_>,
    wanted: &[&'s Series],
) -> Result<HashMap<&'s Series, i64>, Error> {
    let [counterparts, apis, versions, methods, templates, operations] = columns(wanted);
    let rows = transaction
        .query(
            "SELECT wanted.at, series FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], \
                                                  $5::text[], $6::text[]) WITH ORDINALITY \
             AS wanted (counterpart, api, api_version, method, template, operation_id, at) \
             JOIN quality_series USING \
             (counterpart, api, api_version, method, template, operation_id)",
            &[&counterparts, &apis, &versions, &methods, &templates, &operations],
        )
        .await?;
    let mut found = HashMap::new();
    for row in rows {
        let at = usize::try_from(row.try_get::<_, i64>(0)? - 1).unwrap_or(usize::MAX);
        if let Some(series) = wanted.get(at) {
            found.insert(*series, row.try_get(1)?);
        }
    }
    Ok(found)
}

fn columns<'s>(all: &[&'s Series]) -> [Vec<&'s str>; 6] {
    let mut columns: [Vec<&str>; 6] = Default::default();
    for series in all {
        let Series { counterpart, api, api_version, method, template, operation_id } = series;
        let row = [counterpart, api, api_version, method, template, operation_id];
        for (column, text) in columns.iter_mut().zip(row) {
            column.push(text);
        }
    }
    columns
}

async fn add_quality(
    transaction: &Transaction<'_>,
    summaries: &[&Summary],
    series: &HashMap<&Series, i64>,
) -> Result<(), Error> {
    let mut counts: BTreeMap<(Timestamp, i64), Counts> = BTreeMap::new();
    let mut codes: BTreeMap<(Timestamp, i64, &CodeKey), i64> = BTreeMap::new();
    let mut reasons: BTreeMap<(Timestamp, i64, &str), i64> = BTreeMap::new();
    for summary in summaries {
        // All of them were just found or made; a missing one is for the database to refuse.
        let number = series.get(&summary.series).copied().unwrap_or_default();
        counts.entry((summary.hour, number)).or_default().add(&summary.counts);
        for (key, calls) in &summary.codes {
            *codes.entry((summary.hour, number, key)).or_default() += calls;
        }
        for (reason, calls) in &summary.reasons {
            *reasons.entry((summary.hour, number, reason)).or_default() += calls;
        }
    }
    add_counts(transaction, &counts).await?;
    add_codes(transaction, &codes).await?;
    add_reasons(transaction, &reasons).await
}

async fn add_counts(
    transaction: &Transaction<'_>,
    counts: &BTreeMap<(Timestamp, i64), Counts>,
) -> Result<(), Error> {
    let hours: Vec<Timestamp> = counts.keys().map(|(hour, _)| *hour).collect();
    let series: Vec<i64> = counts.keys().map(|(_, series)| *series).collect();
    let column = |pick: fn(&Counts) -> i64| counts.values().map(pick).collect::<Vec<i64>>();
    transaction
        .execute(
            "INSERT INTO quality_hour AS had (hour, series, calls, conforming, violating, unjudged, \
                                              violating_as_published, other_codes) \
             SELECT * FROM unnest($1::timestamptz[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], \
                                  $6::int8[], $7::int8[], $8::int8[]) \
             ON CONFLICT (hour, series) DO UPDATE SET \
             calls = had.calls + excluded.calls, \
             conforming = had.conforming + excluded.conforming, \
             violating = had.violating + excluded.violating, \
             unjudged = had.unjudged + excluded.unjudged, \
             violating_as_published = had.violating_as_published + excluded.violating_as_published, \
             other_codes = had.other_codes + excluded.other_codes",
            &[
                &hours,
                &series,
                &column(|counts| counts.calls),
                &column(|counts| counts.conforming),
                &column(|counts| counts.violating),
                &column(|counts| counts.unjudged),
                &column(|counts| counts.violating_as_published),
                &column(|counts| counts.other_codes),
            ],
        )
        .await?;
    Ok(())
}

async fn add_codes(
    transaction: &Transaction<'_>,
    codes: &BTreeMap<(Timestamp, i64, &CodeKey), i64>,
) -> Result<(), Error> {
    if codes.is_empty() {
        return Ok(());
    }
    let hours: Vec<Timestamp> = codes.keys().map(|(hour, _, _)| *hour).collect();
    let series: Vec<i64> = codes.keys().map(|(_, series, _)| *series).collect();
    let column = |pick: fn(&CodeKey) -> &str| {
        codes.keys().map(|(_, _, key)| pick(key)).collect::<Vec<&str>>()
    };
    let calls: Vec<i64> = codes.values().copied().collect();
    transaction
        .execute(
            "INSERT INTO quality_hour_code AS had \
             (hour, series, direction, code, attribute, calls) \
             SELECT * FROM unnest($1::timestamptz[], $2::int8[], $3::text[], $4::text[], $5::text[], \
                                  $6::int8[]) \
             ON CONFLICT (hour, series, direction, code, attribute) \
             DO UPDATE SET calls = had.calls + excluded.calls",
            &[
                &hours,
                &series,
                &column(|key| &key.direction),
                &column(|key| &key.code),
                &column(|key| &key.attribute),
                &calls,
            ],
        )
        .await?;
    Ok(())
}

async fn add_reasons(
    transaction: &Transaction<'_>,
    reasons: &BTreeMap<(Timestamp, i64, &str), i64>,
) -> Result<(), Error> {
    if reasons.is_empty() {
        return Ok(());
    }
    let hours: Vec<Timestamp> = reasons.keys().map(|(hour, _, _)| *hour).collect();
    let series: Vec<i64> = reasons.keys().map(|(_, series, _)| *series).collect();
    let names: Vec<&str> = reasons.keys().map(|(_, _, reason)| *reason).collect();
    let calls: Vec<i64> = reasons.values().copied().collect();
    transaction
        .execute(
            "INSERT INTO quality_hour_reason AS had (hour, series, reason, calls) \
             SELECT * FROM unnest($1::timestamptz[], $2::int8[], $3::text[], $4::int8[]) \
             ON CONFLICT (hour, series, reason) \
             DO UPDATE SET calls = had.calls + excluded.calls",
            &[&hours, &series, &names, &calls],
        )
        .await?;
    Ok(())
}

/// Kind of the records that tell what became of all others.
const LEDGER_KIND: &str = "ops.ledger";
