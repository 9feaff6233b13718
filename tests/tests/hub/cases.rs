//! What a hub does with records while nothing goes wrong around it. One broker and one database serve
//! all cases; each has queues and tables of its own.

use anyhow::{Context, Result, ensure};
use mop_tests::{run, until};

use crate::{
    backfill, gaps, poison,
    records::{Node, Record, recount},
    retention,
    rig::{LIMIT, Place, Rig},
};

#[test]
fn hubs_store_each_record_once() -> Result<()> {
    let rig = Rig::start()?;
    type Case = fn(&Rig) -> Result<()>;
    let cases: [(&str, Case); 10] = [
        ("records that are sent twice are stored and counted once", sent_twice),
        ("several hubs share a queue", shared),
        ("ledger records are kept byte for byte", ledger),
        ("streams of the broker are read once", stream),
        ("gaps are found and filled", gaps::found_and_filled),
        ("gaps between epochs are found", gaps::between_epochs),
        ("messages that make no sense are set aside", poison::set_aside),
        ("bytes that cannot be read stop nobody for good", poison::unreadable),
        ("records are kept as long as is wanted", retention::kept),
        ("a back-fill equals what came live", backfill::equals_live),
    ];
    for (name, case) in cases {
        case(&rig).context(name)?;
    }
    Ok(())
}

fn sent_twice(rig: &Rig) -> Result<()> {
    let place = rig.classic_place("twice", "")?;
    let mut node = Node::new("node-1", &rig.day(0)?);
    let mut records = node.summaries(700);
    records.extend(node.reports(300));
    let hub = place.hub()?;
    let once: Vec<&Record> = records.iter().collect();
    // Once more all of it, from the end to the beginning.
    let again: Vec<&Record> = records.iter().rev().collect();
    place.publisher.send(&place.queue, &once)?;
    place.publisher.send(&place.queue, &again)?;
    place.await_records(records.len())?;
    place.await_acknowledged()?;
    equal_recount(&place, &records)?;
    let codes = place.number("SELECT sum(calls) FROM quality_codes_by_hour");
    let violating = place.number("SELECT sum(violating) FROM quality_by_hour");
    ensure!(codes == violating && codes > 0, "{codes} by code, {violating} in all");
    let reasons = place.number("SELECT sum(calls) FROM quality_reasons_by_hour");
    let unjudged = place.number("SELECT sum(unjudged) FROM quality_by_hour");
    ensure!(reasons == unjudged && reasons > 0, "{reasons} by reason, {unjudged} in all");
    let (status, is_missing) = place.status()?;
    ensure!(!is_missing && status["missing"] == 0, "{status}");
    ensure!(status["records"][1]["records"] == 700, "{status}");
    let log = hub.stop()?;
    ensure!(log.contains("Received 2000, stored 1000, there already 1000"), "{log}");
    Ok(())
}

fn shared(rig: &Rig) -> Result<()> {
    let place = rig.place("shared", "batch_messages = 50")?;
    let day = rig.day(0)?;
    let mut nodes: Vec<Node> =
        (0..4).map(|number| Node::new(&format!("node-{number}"), &day)).collect();
    let records: Vec<Record> = (0..4)
        .flat_map(|_| nodes.iter_mut().flat_map(|node| node.summaries(250)).collect::<Vec<_>>())
        .collect();
    // Three that start at once also make the tables at once.
    let hubs = [place.hub()?, place.hub()?, place.hub()?];
    // Copies one after the other, so that different hubs have the same record at the same time.
    let copies: Vec<&Record> = records.iter().flat_map(|record| [record; 3]).collect();
    place.publisher.send(&place.queue, &copies)?;
    place.await_records(records.len())?;
    until("no message", LIMIT, || {
        place.publisher.depth(&place.queue).is_ok_and(|depth| depth == 0)
    })?;
    equal_recount(&place, &records)?;
    ensure!(place.query("SELECT count(*), sum(count), sum(missing) FROM positions")? == "4|4000|0");
    let mut busy = 0;
    for hub in hubs {
        let log = hub.stop()?;
        ensure!(!log.contains("refused:") || log.contains("refused: none"), "{log}");
        busy += usize::from(!log.contains("Received 0,"));
    }
    ensure!(busy > 1, "one hub did all the work");
    Ok(())
}

fn ledger(rig: &Rig) -> Result<()> {
    let place = rig.place("ledger", "")?;
    let mut node = Node::new("node-1", &rig.day(0)?);
    let mut records = node.reports(2);
    for (number, record) in records.iter_mut().enumerate() {
        record.kind = "ops.ledger";
        record.stream = "operations";
        // jsonb would sort the names and drop the blanks.
        record.body = format!(
            r#"{{ "kind":"ops.ledger", "id":"{}","to":"{}T00:0{number}:00Z", "b":1.50, "number":{}, "node":"{}" }}"#,
            record.id,
            node.day,
            number + 9,
            record.node
        );
    }
    let hub = place.hub()?;
    place.publisher.send(&place.queue, &[&records[0], &records[1], &records[0]])?;
    place.await_records(2)?;
    let kept = String::from_utf8(run(&mut place.command(&["ledger"]), LIMIT)?.stdout)?;
    ensure!(kept == format!("{}\n{}\n", records[0].body, records[1].body), "{kept}");
    hub.stop().map(drop)
}

fn stream(rig: &Rig) -> Result<()> {
    let place = rig.place("stream", "")?;
    let kind = lapin::types::AMQPValue::LongString("stream".into());
    place.publisher.declare("s.stream", &[("x-queue-type", kind)])?;
    let text = std::fs::read_to_string(&place.configuration)?;
    let queues = format!("queues = [\"{}\"]", place.queue);
    let text = text.replace(&queues, "queues = []\nstreams = [\"s.stream\"]");
    std::fs::write(&place.configuration, text)?;
    let mut node = Node::new("node-1", &rig.day(0)?);
    let records = node.summaries(120);
    let all: Vec<&Record> = records.iter().collect();
    place.publisher.send("s.stream", &all[..100])?;
    let hub = place.hub()?;
    place.await_records(100)?;
    let next = || place.number("SELECT next_offset FROM queue_offset");
    until("the offset", LIMIT, || next() == 100)?;
    hub.stop()?;
    place.publisher.send("s.stream", &all[100..])?;
    let hub = place.hub()?;
    place.await_records(120)?;
    until("the offset", LIMIT, || next() == 120)?;
    let log = hub.stop()?;
    ensure!(log.contains("Received 20,"), "{log}");
    equal_recount(&place, &records)
}

/// The counts of the database are those of the records.
pub(crate) fn equal_recount(place: &Place<'_>, records: &[Record]) -> Result<()> {
    let (found, wanted) = (place.counts()?, recount(records));
    ensure!(!wanted.is_empty() && found == wanted, "{found:?} instead of {wanted:?}");
    Ok(())
}
