//! What goes wrong around a hub: nothing is lost, and nothing counts twice.

use anyhow::{Context, Result, ensure};
use mop_tests::until;

use crate::{
    cases::equal_recount,
    records::{Node, Record},
    rig::{LIMIT, Place, Rig},
};

/// So many that a fault falls among them.
const RECORDS: usize = 6000;

#[test]
fn a_hub_that_is_killed_loses_nothing() -> Result<()> {
    let rig = Rig::start()?;
    let place = rig.place("killed", "batch_messages = 40")?;
    let records = publish(&rig, &place)?;
    let stored = || place.number("SELECT count(*) FROM record");
    for kill in 1..=5_i64 {
        let hub = place.hub()?;
        let wanted = kill * i64::try_from(RECORDS)? / 8;
        until("some records", LIMIT, || stored() >= wanted).with_context(|| hub.log())?;
        hub.kill9()?;
        ensure!(stored() < i64::try_from(RECORDS)?, "nothing was left to be killed");
    }
    let hub = place.hub()?;
    complete(&place, &records)?;
    hub.stop().map(drop)
}

#[test]
fn a_hub_waits_out_its_database() -> Result<()> {
    let mut rig = Rig::start()?;
    let mut node = Node::new("node-1", &rig.day(0)?);
    let mut records = node.summaries(RECORDS);
    let mut hub;
    {
        let place = rig.place("database", "batch_messages = 40")?;
        place.send(&records)?;
        hub = place.hub()?;
        until("some records", LIMIT, || place.number("SELECT count(*) FROM record") > 100)?;
    }
    rig.database.kill9()?;
    // However much was stored by then: there is something to store.
    let more = node.summaries(100);
    rig.again("database")?.send(&more)?;
    records.extend(more);
    hub.await_word("mop: PostgreSQL:")?;
    ensure!(hub.process.running(), "{}", hub.log());
    rig.database.restart()?;
    let place = rig.again("database")?;
    until("more records", LIMIT, || place.number("SELECT count(*) FROM record") > 1000)?;
    drop(place);
    rig.database.restart()?;
    let place = rig.again("database")?;
    complete(&place, &records)?;
    hub.stop().map(drop)
}

#[test]
fn a_hub_waits_out_its_broker() -> Result<()> {
    let mut rig = Rig::start()?;
    let (records, mut hub);
    {
        let place = rig.place("broker", "batch_messages = 40")?;
        records = publish(&rig, &place)?;
        hub = place.hub()?;
        until("some records", LIMIT, || place.number("SELECT count(*) FROM record") > 100)?;
    }
    rig.broker.settle()?;
    rig.broker.kill9()?;
    hub.await_word("mop: the broker:")?;
    ensure!(hub.process.running(), "{}", hub.log());
    rig.broker.restart()?;
    let place = rig.again("broker")?;
    complete(&place, &records).with_context(|| hub.log())?;
    hub.stop().map(drop)
}

#[test]
fn a_hub_that_cannot_reach_anything_still_ends_when_asked() -> Result<()> {
    let mut rig = Rig::start()?;
    let hub;
    {
        let place = rig.place("nobody", "")?;
        hub = place.hub()?;
        hub.await_word("Consuming")?;
    }
    rig.database.stop()?;
    rig.broker.kill9()?;
    hub.await_word("mop: the broker:")?;
    hub.stop().map(drop)
}

fn publish(rig: &Rig, place: &Place<'_>) -> Result<Vec<Record>> {
    let mut node = Node::new("node-1", &rig.day(0)?);
    let records = node.summaries(RECORDS);
    place.send(&records)?;
    Ok(records)
}

fn complete(place: &Place<'_>, records: &[Record]) -> Result<()> {
    place.await_records(records.len())?;
    equal_recount(place, records)?;
    let position = place.query("SELECT first, last, count, missing FROM positions")?;
    ensure!(position == format!("1|{0}|{0}|0", records.len()), "{position}");
    ensure!(!place.status()?.1, "something is missing");
    Ok(())
}
