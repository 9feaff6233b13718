//! Records of 2 KB put, committed in groups, drained and deleted: the outbox, SQLite and redb in one
//! run, on the file system of the folder that is given.
//!
//! Each subject syncs every group to disk. One JSON object a line; `ratio` is against the outbox.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use mop_outbox::{Draft, Keep, Lane, Options, Outbox};
use redb::{Database, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use rusqlite::Connection;
use serde_json::json;

/// What one subject did.
struct Figures {
    put: Duration,
    drain: Duration,
    written_bytes: u64,
    left_bytes: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let place = PathBuf::from(arguments.next().unwrap_or_else(|| ".".to_owned()));
    let records: u64 = arguments.next().map_or(Ok(RECORDS), |count| count.parse())?;
    let payload: Vec<u8> = (0..PAYLOAD_BYTES).map(|at| b' ' + (at * 31 % 90) as u8).collect();
    for group in GROUPS {
        let mut floor = None;
        for (subject, run) in [
            ("outbox", outbox as fn(&Path, u64, u64, &[u8]) -> Result<Figures, Box<dyn Error>>),
            ("sqlite_wal_full", sqlite),
            ("redb", redb),
        ] {
            let folder = tempfile::tempdir_in(&place)?;
            let figures = run(folder.path(), records, group, &payload)?;
            let rate = records as f64 / figures.put.as_secs_f64();
            let floor = *floor.get_or_insert(rate);
            println!(
                "{}",
                json!({
                    "bench": "outbox",
                    "subject": subject,
                    "records": records,
                    "record_bytes": PAYLOAD_BYTES,
                    "records_a_sync": group,
                    "put_per_second": rate.round(),
                    "drain_per_second": (records as f64 / figures.drain.as_secs_f64()).round(),
                    "write_amplification":
                        round(figures.written_bytes as f64 / (records * PAYLOAD_BYTES as u64) as f64),
                    "left_bytes": figures.left_bytes,
                    "ratio": round(rate / floor),
                })
            );
        }
    }
    timed(&place, records, &payload)
}

/// The outbox as the daemon runs it: a commit every 50 ms, whatever came meanwhile.
fn timed(place: &Path, records: u64, payload: &[u8]) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir_in(place)?;
    let mut outbox = Outbox::open(options(folder.path(), Duration::from_millis(50)))?;
    let before = written_bytes()?;
    let began = Instant::now();
    for number in 0..records {
        append(&mut outbox, number, payload);
        if number % 16 == 0 && outbox.commit_due().is_some_and(|due| due.is_zero()) {
            outbox.commit(now_ms());
        }
    }
    outbox.commit(now_ms());
    let took = began.elapsed();
    let written = written_bytes()? - before;
    println!(
        "{}",
        json!({
            "bench": "outbox",
            "subject": "outbox_every_50_ms",
            "records": records,
            "record_bytes": PAYLOAD_BYTES,
            "put_per_second": (records as f64 / took.as_secs_f64()).round(),
            "write_amplification":
                round(written as f64 / (records * PAYLOAD_BYTES as u64) as f64),
        })
    );
    outbox.close();
    Ok(())
}

fn outbox(
    folder: &Path,
    records: u64,
    group: u64,
    payload: &[u8],
) -> Result<Figures, Box<dyn Error>> {
    let mut outbox = Outbox::open(options(folder, Duration::from_secs(3600)))?;
    let mut feed = outbox.feed("bench").ok_or("a feed")?;
    let before = written_bytes()?;
    let began = Instant::now();
    for number in 0..records {
        append(&mut outbox, number, payload);
        if (number + 1) % group == 0 {
            outbox.commit(now_ms());
        }
    }
    outbox.commit(now_ms());
    let put = began.elapsed();
    let written_bytes = written_bytes()? - before;
    let began = Instant::now();
    let mut drained = 0;
    loop {
        let entries = feed.next(1024, 4 << 20);
        let Some(last) = entries.last() else { break };
        drained += entries.len() as u64;
        feed.acknowledge(last.lane, last.sequence);
        outbox.commit(now_ms());
    }
    feed.save();
    outbox.close();
    let drain = began.elapsed();
    assert_eq!(drained, records, "all come back");
    Ok(Figures { put, drain, written_bytes, left_bytes: size_of(folder)? })
}

fn sqlite(
    folder: &Path,
    records: u64,
    group: u64,
    payload: &[u8],
) -> Result<Figures, Box<dyn Error>> {
    let mut store = Connection::open(folder.join("records.sqlite"))?;
    store.pragma_update(None, "journal_mode", "WAL")?;
    store.pragma_update(None, "synchronous", "FULL")?;
    store.execute("CREATE TABLE record (number INTEGER PRIMARY KEY, id TEXT, payload BLOB)", [])?;
    let before = written_bytes()?;
    let began = Instant::now();
    let mut number = 0;
    while number < records {
        let batch = store.transaction()?;
        {
            let mut insert = batch.prepare_cached("INSERT INTO record VALUES (?1, ?2, ?3)")?;
            for _ in 0..group.min(records - number) {
                insert.execute((number.cast_signed(), id(number), payload))?;
                number += 1;
            }
        }
        batch.commit()?;
    }
    let put = began.elapsed();
    let written_bytes = written_bytes()? - before;
    let began = Instant::now();
    let mut drained = 0;
    loop {
        let batch = store.transaction()?;
        let taken: Vec<(i64, Vec<u8>)> = {
            let mut select = batch
                .prepare_cached("SELECT number, payload FROM record ORDER BY number LIMIT 1024")?;
            let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<Result<_, _>>()?
        };
        let Some((last, _)) = taken.last() else { break };
        drained += taken.len() as u64;
        batch.execute("DELETE FROM record WHERE number <= ?1", [last])?;
        batch.commit()?;
    }
    let drain = began.elapsed();
    assert_eq!(drained, records, "all come back");
    drop(store);
    Ok(Figures { put, drain, written_bytes, left_bytes: size_of(folder)? })
}

fn redb(
    folder: &Path,
    records: u64,
    group: u64,
    payload: &[u8],
) -> Result<Figures, Box<dyn Error>> {
    const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("record");
    let store = Database::create(folder.join("records.redb"))?;
    let before = written_bytes()?;
    let began = Instant::now();
    let mut number = 0;
    while number < records {
        let mut batch = store.begin_write()?;
        batch.set_durability(Durability::Immediate)?;
        {
            let mut table = batch.open_table(RECORDS)?;
            for _ in 0..group.min(records - number) {
                table.insert(number, payload)?;
                number += 1;
            }
        }
        batch.commit()?;
    }
    let put = began.elapsed();
    let written_bytes = written_bytes()? - before;
    let began = Instant::now();
    let mut drained = 0;
    loop {
        let taken: Vec<u64> = {
            let read = store.begin_read()?;
            let table = read.open_table(RECORDS)?;
            table
                .iter()?
                .take(1024)
                .map(|row| row.map(|(key, value)| (key.value(), value.value().len()).0))
                .collect::<Result<_, _>>()?
        };
        if taken.is_empty() {
            break;
        }
        drained += taken.len() as u64;
        let batch = store.begin_write()?;
        {
            let mut table = batch.open_table(RECORDS)?;
            for key in taken {
                table.remove(key)?;
            }
        }
        batch.commit()?;
    }
    let drain = began.elapsed();
    assert_eq!(drained, records, "all come back");
    drop(store);
    Ok(Figures { put, drain, written_bytes, left_bytes: size_of(folder)? })
}

fn options(folder: &Path, commit_every: Duration) -> Options {
    Options {
        folder: folder.join("outbox"),
        max_bytes: 8 << 30,
        max_age: Duration::from_secs(86_400),
        segment_bytes: 16 << 20,
        commit_every,
        memory_bytes: 64 << 20,
        keep: Keep::UntilDelivered,
        sinks: vec!["bench".to_owned()],
        wake: Arc::new(|| {}),
    }
}

fn append(outbox: &mut Outbox, number: u64, payload: &[u8]) {
    let id = id(number);
    outbox.append(Draft { lane: Lane::Data, kind: "data.call", id: &id, payload }, now_ms());
}

fn id(number: u64) -> String {
    format!("00c0ffee-{number:x}/data")
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}

/// Bytes that this process had written to the disk.
fn written_bytes() -> Result<u64, Box<dyn Error>> {
    let io = fs::read_to_string("/proc/self/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.ok_or("no write_bytes")?.trim().parse()?)
}

fn size_of(folder: &Path) -> Result<u64, Box<dyn Error>> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() {
            size_of(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(bytes)
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// 400 MB of records: more than the caches of a disk hide.
const RECORDS: u64 = 200_000;
const PAYLOAD_BYTES: usize = 2048;
/// The second is what a busy node gathers in a few milliseconds.
const GROUPS: [u64; 2] = [64, 512];
