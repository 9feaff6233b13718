//! Records from files.

use anyhow::{Result, ensure};

use crate::{
    cases::equal_recount,
    records::{Node, Record},
    rig::{Rig, succeed},
};

pub(crate) fn equals_live(rig: &Rig) -> Result<()> {
    let day = rig.day(-1)?;
    let mut node = Node::new("node-1", &day);
    let mut records = node.summaries(400);
    records.extend(node.reports(300));
    let all: Vec<&Record> = records.iter().collect();

    let live = rig.place("live", "")?;
    let hub = live.hub()?;
    live.publisher.send(&live.queue, &all)?;
    live.await_records(700)?;
    hub.stop()?;

    // Two files that overlap, in a folder, and one of them once more.
    let filled = rig.classic_place("filled", "batch_messages = 33")?;
    filled.journal("first.jsonl", &all[..450])?;
    let second = filled.journal("second.jsonl", &all[300..])?;
    let folder = filled.folder().display().to_string();
    let log = succeed(filled.command(&["backfill", "--node", "node-1", &folder]))?;
    ensure!(log.contains("Received 850, stored 700, there already 150"), "{log}");
    let second = second.display().to_string();
    let log = succeed(filled.command(&["backfill", "--node", "node-1", &second]))?;
    ensure!(log.contains("stored 0, there already 400"), "{log}");

    let rows = "SELECT md5(string_agg(concat_ws(' ', day, id, kind, node, ts, schema, body), '|' \
                ORDER BY day, id)) FROM record";
    ensure!(live.query(rows)? == filled.query(rows)?, "the records differ");
    equal_recount(&live, &records)?;
    equal_recount(&filled, &records)?;
    let codes = "SELECT md5(string_agg(c::text, '|' ORDER BY c::text)) \
                 FROM quality_codes_by_hour AS c";
    ensure!(live.query(codes)? == filled.query(codes)?, "the codes differ");

    // What comes live after its back-fill changes no count, but moves the positions.
    let hub = filled.hub()?;
    filled.publisher.send(&filled.queue, &all)?;
    filled.await_acknowledged()?;
    filled.await_records(700)?;
    equal_recount(&filled, &records)?;
    ensure!(filled.query("SELECT sum(count) FROM positions")? == "700");
    hub.stop()?;
    lines_that_are_refused(rig)
}

fn lines_that_are_refused(rig: &Rig) -> Result<()> {
    let place = rig.place("lines", "")?;
    let mut node = Node::new("node-1", &rig.day(0)?);
    let mut records = node.reports(3);
    records[1].body = "{\"kind\":\"quality.report\"".to_owned();
    let mut local = records[0].clone();
    local.body = "{\"kind\":\"exchange\",\"exchange\":\"e\"}".to_owned();
    let lines: Vec<&Record> = records.iter().chain([&local]).collect();
    let file = place.journal("lines.jsonl", &lines)?.display().to_string();
    let output = place.command(&["backfill", &file]).output()?;
    let log = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(1), "{log}");
    ensure!(log.contains("lines.jsonl:2: not taken: not_json"), "{log}");
    ensure!(log.contains("stored 2") && log.contains("Passed by 1 lines"), "{log}");
    Ok(())
}
