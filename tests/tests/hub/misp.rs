//! Findings of several nodes, told to a MISP that fails now and then, by a hub that is killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use mop_tests::{Script, misp_server, skip, until};
use serde_json::Value;

use crate::{
    records::{Node, Record},
    rig::{LIMIT, Place, Rig},
};

/// What an event is to say: its calls, and the hours in which there were some.
#[derive(Debug, Default, PartialEq)]
struct Expected {
    calls: u64,
    hours: BTreeSet<u8>,
}

/// By rule, client organisation and day.
type Events = BTreeMap<(String, String, String), Expected>;

#[test]
fn findings_of_all_nodes_are_told_to_misp_once() -> Result<()> {
    const TEST: &str = "findings_of_all_nodes_are_told_to_misp_once";
    let Some(server) = misp_server(KEY)? else {
        skip(TEST, "Python has no pymisp or no jsonschema (cargo xtask setup --with-tests)");
        return Ok(());
    };
    let rig = Rig::start()?;
    let place = rig.classic_place("misp", "")?;
    let key = place.folder().join("misp.key");
    fs::write(&key, format!("{KEY}\n"))?;
    place.configure(&format!(
        "batch_messages = 40\n[hub.misp]\nurl = \"http://127.0.0.1:{}/\"\nkey_file = \"{}\"\n\
         organisation = \"Seguradora Exemplo\"\n\
         organisation_uuid = \"2ed6657d-e927-568b-95e1-2665a8aea6a2\"\npublish = true\n",
        server.port(),
        key.display(),
    ))?;
    // Two nodes that saw the same clients on the same day, and two of the day before.
    let (today, yesterday) = (rig.day(0)?, rig.day(-1)?);
    let mut nodes =
        [("node-1", &today), ("node-2", &today), ("node-3", &yesterday), ("node-4", &yesterday)]
            .map(|(name, day)| Node::new(name, day));
    let mut expected = Events::new();
    let records = findings(&mut nodes, &mut expected);
    let unwanted: Vec<Record> =
        (0..3).map(|hour| nodes[0].finding("Unwanted", "c-1", hour, 1)).collect();
    let (first, second) = records.split_at(records.len() / 2);

    // An outage before the first word, and answers that get lost.
    fail(&server, "500", 3)?;
    let hub = place.hub()?;
    send(&place, first)?;
    send(&place, first)?;
    hub.await_word("mop: MISP:")?;
    until("the first events", LIMIT, || told(&server).is_ok_and(|count| count > 0))?;
    fail(&server, "lose", 2)?;
    send(&place, &unwanted)?;
    send(&place, second)?;
    until("lost answers", LIMIT, || count(&server, "lose").is_ok_and(|count| count == 2))?;
    hub.kill9()?;

    fail(&server, "429", 1)?;
    let hub = place.hub()?;
    // All of it once more, and new ones of events that are told already.
    send(&place, second)?;
    let late = findings(&mut nodes, &mut expected);
    send(&place, &late)?;
    until("a pause that was asked for", LIMIT, || {
        count(&server, "429").is_ok_and(|count| count == 1)
    })?;
    fail(&server, "drop", 2)?;
    place.await_acknowledged()?;
    let waiting = || place.number("SELECT count(*) FROM misp_queue WHERE rule <> 'Unwanted'");
    let stored = || place.number("SELECT count(*) FROM record");
    let all = i64::try_from(records.len() + late.len() + unwanted.len())?;
    until("an empty queue", LIMIT, || stored() == all && waiting() == 0)
        .with_context(|| format!("{} wait\n{}", waiting(), hub.log()))?;

    let state = state(&server)?;
    ensure!(state["problems"] == Value::Array(Vec::new()), "{}", state["problems"]);
    ensure!(found(&state)? == expected, "{state}");
    ensure!(state["counts"]["added"] == expected.len(), "{}", state["counts"]);
    let published = |event: &Value| event["published"] == true;
    ensure!(events(&state)?.all(published), "not all are published");
    // What is refused for good stays, with the reason, and is not tried again and again.
    let reason = place.query("SELECT refused FROM misp_event WHERE rule = 'Unwanted'")?;
    ensure!(reason.starts_with("status 403"), "{reason}");
    let refusals = hub.log().matches("MISP will not take it").count();
    ensure!(refusals == 1, "{refusals} refusals\n{}", hub.log());
    let log = hub.stop()?;
    ensure!(!log.contains(KEY), "the key is in the log");
    Ok(())
}

/// Some of each node for each rule and client.
fn findings(nodes: &mut [Node], expected: &mut Events) -> Vec<Record> {
    let mut records = Vec::new();
    for (rule, client, hour) in [
        ("rule_a", "c-1", 1),
        ("rule_a", "c-1", 1),
        ("rule_a", "c-1", 2),
        ("rule_a", "c-2", 23),
        ("rule_b", "c-1", 0),
    ] {
        for (number, node) in (1..).zip(&mut *nodes) {
            records.push(node.finding(rule, client, hour, number));
            let key = (rule.to_owned(), client.to_owned(), node.day.clone());
            let event = expected.entry(key).or_default();
            event.calls += number;
            event.hours.insert(hour);
        }
    }
    records
}

/// What the server has.
fn found(state: &Value) -> Result<Events> {
    let mut found = Events::new();
    for event in events(state)? {
        let attributes = event["Attribute"].as_array().context("attributes")?;
        let value = |comment: &str| {
            let is_it = |it: &&Value| it["comment"] == comment;
            let found = attributes.iter().find(is_it)?;
            found["value"].as_str().map(str::to_owned)
        };
        let rule = value("rule").context("a rule")?;
        let client = value("client organisation").context("a client")?;
        let calls = value("calls").context("calls")?.parse()?;
        let uuid = event["uuid"].as_str().context("an identifier")?;
        let sightings = state["sightings"][uuid].as_object().context("sightings")?;
        // Which hours they are of does not show in identifiers; how many there are does.
        let hours = match (&*rule, &*client, sightings.len()) {
            ("rule_a", "c-1", 2) => BTreeSet::from([1, 2]),
            ("rule_a", "c-2", 1) => BTreeSet::from([23]),
            ("rule_b", "c-1", 1) => BTreeSet::from([0]),
            (_, _, count) => anyhow::bail!("{count} sightings of {rule} and {client}"),
        };
        let day = event["date"].as_str().context("a date")?.to_owned();
        let before = found.insert((rule, client, day), Expected { calls, hours });
        ensure!(before.is_none(), "two events: {before:?}");
    }
    Ok(found)
}

fn events(state: &Value) -> Result<impl Iterator<Item = &Value>> {
    Ok(state["events"].as_object().context("events")?.values())
}

fn send(place: &Place<'_>, records: &[Record]) -> Result<()> {
    place.publisher.send(&place.queue, &records.iter().collect::<Vec<_>>())
}

fn told(server: &Script) -> Result<usize> {
    Ok(events(&state(server)?)?.count())
}

fn count(server: &Script, what: &str) -> Result<u64> {
    Ok(state(server)?["counts"][what].as_u64().unwrap_or(0))
}

fn state(server: &Script) -> Result<Value> {
    get(server, "/state")
}

fn fail(server: &Script, how: &str, times: u32) -> Result<()> {
    get(server, &format!("/fail/{how}/{times}")).map(drop)
}

fn get(server: &Script, path: &str) -> Result<Value> {
    let mut connection = TcpStream::connect(("127.0.0.1", server.port()))?;
    connection.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(connection, "GET {path} HTTP/1.1\r\nHost: misp\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("an answer")?;
    Ok(serde_json::from_str(body)?)
}

const KEY: &str = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0";
