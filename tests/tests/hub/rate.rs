//! How fast a hub is. Not a test: run it with
//! `cargo test -p mop-tests --test hub -- --ignored --nocapture rate`.

use std::time::Instant;

use anyhow::Result;

use crate::{
    records::{Node, Record},
    rig::{Hub, Rig},
};

#[test]
#[ignore = "a measurement"]
fn rate() -> Result<()> {
    const RECORDS: usize = 60_000;
    let rig = Rig::start()?;
    for (name, hubs) in [("one", 1), ("two", 2)] {
        let place = rig.place(name, "")?;
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
        let hubs: Vec<Hub> = (0..hubs).map(|_| place.hub()).collect::<Result<_>>()?;
        place.await_records(RECORDS)?;
        let rate = RECORDS as f64 / start.elapsed().as_secs_f64();
        println!("{RECORDS} records of 2 KB, hubs: {name}: {rate:.0}/s");
        for hub in hubs {
            hub.stop()?;
        }
    }
    Ok(())
}
