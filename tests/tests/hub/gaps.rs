//! Sequences that are missing.

use anyhow::{Result, ensure};
use mop_tests::until;

use crate::{
    records::{Node, Record},
    rig::{LIMIT, Rig, succeed},
};

pub(crate) fn found_and_filled(rig: &Rig) -> Result<()> {
    let place = rig.place("gaps", "")?;
    let mut node = Node::new("node-1", &rig.day(0)?);
    let records = node.reports(30);
    let of = |range: std::ops::Range<usize>| records[range].iter().collect::<Vec<&Record>>();
    let hub = place.hub()?;
    // Sequences 11 to 15 and 21 are lost on their way.
    place.publisher.send(&place.queue, &[of(0..10), of(15..20), of(21..30)].concat())?;
    place.await_records(24)?;
    let gaps = "SELECT first, last, place FROM gaps ORDER BY first";
    ensure!(place.query(gaps)? == "11|15|within\n21|21|within", "{}", place.query(gaps)?);
    let (status, is_missing) = place.status()?;
    ensure!(is_missing && status["missing"] == 6, "{status}");
    ensure!(status["gaps"][0]["first"] == 11 && status["gaps"][0]["node"] == "node-1", "{status}");
    let output = place.command(&["status", "--older-than", "1h"]).output()?;
    ensure!(output.status.success(), "young gaps are not passed over");
    // Some come late after all, and some twice.
    place.publisher.send(&place.queue, &[of(12..14), of(12..14), of(20..21)].concat())?;
    place.await_records(27)?;
    ensure!(place.query(gaps)? == "11|12|within\n15|15|within", "{}", place.query(gaps)?);
    let position = "SELECT first, last, count, missing FROM positions";
    ensure!(place.query(position)? == "1|30|27|3", "{}", place.query(position)?);
    // One comes from the journal of the node, which tells where its records stood.
    let file = place.placed_journal("node-1.jsonl", &of(9..12))?.display().to_string();
    let backfill = place.command(&["backfill", "--node", "node-1", &file]);
    ensure!(succeed(backfill)?.contains("stored 2, there already 1"));
    ensure!(place.query(gaps)? == "15|15|within", "{}", place.query(gaps)?);
    place.publisher.send(&place.queue, &of(14..15))?;
    place.await_records(30)?;
    ensure!(place.query(gaps)?.is_empty());
    ensure!(place.query(position)? == "1|30|30|0");
    let filled = "SELECT sum(last_sequence - first_sequence + 1) FROM gap \
                  WHERE filled_at IS NOT NULL";
    ensure!(place.query(filled)? == "6");
    ensure!(!place.status()?.1, "something is still missing");
    hub.stop().map(drop)
}

pub(crate) fn between_epochs(rig: &Rig) -> Result<()> {
    let place = rig.place("epochs", "")?;
    let day = rig.day(0)?;
    let hub = place.hub()?;
    let mut node = Node::new("node-1", &day);
    let first = node.reports(10);
    node.restart();
    let second = node.reports(10);
    node.restart();
    let third = node.reports(10);
    // A node whose outbox was made anew counts from one again, and one that the hub gets to know late is
    // not said to have lost what was before.
    let mut anew = Node::new("node-2", &day);
    let before = anew.reports(5);
    anew.begin_anew();
    let after = anew.reports(3);
    let mut late = Node::new("node-3", &day);
    let late = late.reports(5);
    let mut sent: Vec<&Record> = Vec::new();
    // The last two of the first epoch and the first three of the third are lost.
    sent.extend(&first[..8]);
    sent.extend(&second);
    sent.extend(&third[3..]);
    sent.extend(&before);
    sent.extend(&after);
    sent.extend(&late[3..]);
    place.publisher.send(&place.queue, &sent)?;
    place.await_records(sent.len())?;
    let gaps = "SELECT node, epoch, first, last, place FROM gaps ORDER BY node, first";
    let found = place.query(gaps)?;
    ensure!(found == "node-1|2|9|10|between\nnode-1|3|21|23|between", "{found}");
    let late: Vec<&Record> = first[8..].iter().chain(&third[..3]).collect();
    place.publisher.send(&place.queue, &late)?;
    until("no gap", LIMIT, || place.query(gaps).is_ok_and(|gaps| gaps.is_empty()))?;
    hub.stop().map(drop)
}
