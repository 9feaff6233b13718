//! How fast a hub is. Not a test: run it with
//! `cargo test -p mop-tests --test hub -- --ignored --nocapture rate`.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::{
    records::{Node, Record},
    rig::Rig,
};

#[test]
#[ignore = "a measurement"]
fn rate() -> Result<()> {
    const RECORDS: usize = 60_000;
    let rig = Rig::start()?;
    for (name, more) in [("batches", ""), ("large", "batch_messages = 2000")] {
        let place = rig.place(name, more)?;
        let mut node = Node::new("node-1", &rig.day(0)?);
        let mut records = node.summaries(RECORDS / 10);
        records.extend(node.reports(RECORDS - RECORDS / 10));
        for record in &mut records {
            // 2 KB, as the reports of calls with some violations have.
            let fill = 2000_usize.saturating_sub(record.body.len());
            record.body.insert_str(1, &format!("\"fill\":\"{}\",", "x".repeat(fill)));
        }
        let all: Vec<&Record> = records.iter().collect();
        place.publisher.send(&place.queue, &all)?;
        let start = Instant::now();
        let hub = place.hub()?;
        place.await_records(RECORDS)?;
        let seconds = start.elapsed().as_secs_f64();
        let log = hub.stop()?;
        ensure!(log.contains(&format!("stored {RECORDS}")), "{log}");
        let rate = RECORDS as f64 / seconds;
        println!("{name}: {RECORDS} records in {seconds:.1} s: {rate:.0}/s; {log}");
    }
    Ok(())
}
