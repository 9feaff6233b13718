//! Days that are kept.

use anyhow::{Result, ensure};
use mop_tests::until;

use crate::{
    records::{Node, Record},
    rig::{LIMIT, Rig, succeed},
};

pub(crate) fn kept(rig: &Rig) -> Result<()> {
    let place =
        rig.classic_place("retention", "retention = { record_days = 5, aggregate_days = 10 }")?;
    let partitions = "SELECT inhrelid::regclass::text FROM pg_inherits \
                      WHERE inhparent = 'record'::regclass ORDER BY 1";
    let name = |from_today: i32| Ok::<_, anyhow::Error>(rig.day(from_today)?.replace('-', ""));
    let log = succeed(place.command(&["--migrate-only"]))?;
    ensure!(!log.contains("; 0 steps were missing"), "{log}");
    let log = succeed(place.command(&["--migrate-only"]))?;
    ensure!(log.contains("; 0 steps were missing"), "{log}");
    // Partitions and counts of long ago, as an earlier hub left them.
    let long_ago = rig.day(-20)?;
    place.query(&format!(
        "CREATE TABLE record_{} PARTITION OF record FOR VALUES FROM ('{long_ago}') TO ('{}'); \
         INSERT INTO record (day, id, kind, node, ts, schema, body) \
         VALUES ('{long_ago}', 'old', 'x', 'n', '{long_ago}', '', '{{}}'); \
         INSERT INTO record_hour VALUES ('{long_ago}', 'n', 'x', 1, '{long_ago}', '{long_ago}')",
        name(-20)?,
        rig.day(-19)?,
    ))?;
    let hub = place.hub()?;
    until("the end of the old partition", LIMIT, || {
        place.number("SELECT count(*) FROM record") == 0
            && place.number("SELECT count(*) FROM record_hour") == 0
    })?;
    let found = place.query(partitions)?;
    let ahead = format!("record_{}\nrecord_{}\nrecord_{}", name(0)?, name(1)?, name(2)?);
    ensure!(found == ahead, "{found}");
    // A record of a day that is kept makes its partition; one that is too old is dropped and counted.
    let mut recent = Node::new("node-1", &rig.day(-4)?);
    let recent = recent.reports(3);
    let mut old = Node::new("node-2", &rig.day(-8)?);
    let old = old.reports(2);
    let mut sent: Vec<&Record> = recent.iter().collect();
    sent.extend(&old);
    sent.extend(&recent);
    place.publisher.send(&place.queue, &sent)?;
    place.await_records(3)?;
    place.await_acknowledged()?;
    let found = place.query(partitions)?;
    ensure!(found == format!("record_{}\n{ahead}", name(-4)?), "{found}");
    let log = hub.stop()?;
    ensure!(log.contains("stored 3, there already 3, too old 2"), "{log}");
    Ok(())
}
