//! Messages that cannot be taken.

use anyhow::{Result, ensure};
use lapin::{BasicProperties, types::AMQPValue};
use mop_tests::until;

use crate::{
    records::{Node, Record},
    rig::{LIMIT, Rig},
};

pub(crate) fn set_aside(rig: &Rig) -> Result<()> {
    let place = rig.place("poison", "max_message_kib = 16")?;
    let mut node = Node::new("node-1", &rig.day(0)?);
    let good = node.reports(20);
    let sample = node.summaries(1).remove(0);
    let with = |change: fn(&mut Record)| {
        let mut record = sample.clone();
        change(&mut record);
        (record.properties(), record.body.into_bytes())
    };
    let mut future = Node::new("node-1", &rig.day(30)?).reports(1).remove(0);
    future.stream = "future";
    // The same identifier as a good one, and another content.
    let mut conflict = good[7].clone();
    conflict.body = conflict.body.replace("conforming", "violating");
    conflict.sequence = 1000;
    let long = "x".repeat(20_000);
    let messages = [
        ("headers", (BasicProperties::default(), b"{}".to_vec())),
        ("id", with(|record| record.id = "another".to_owned())),
        ("not_json", with(|record| record.body = "{".to_owned())),
        ("not_json", with(|record| record.body = record.body.replace("\"x\"", "\"\\u0000\""))),
        ("headers", with(|record| record.sequence = -1)),
        ("shape", with(|record| record.body = record.body.replace("\"calls\":", "\"talks\":"))),
        ("future_day", (future.properties(), future.body.into_bytes())),
        ("conflict", (conflict.properties(), conflict.body.into_bytes())),
        ("too_large", (sample.properties(), long.into_bytes())),
        // JSON with an exponent that no numeric of the database has.
        (
            "database",
            with(|record| {
                record.body = record.body.replace("{\"api\"", "{\"n\":1e-200000,\"api\"")
            }),
        ),
    ];
    let hub = place.hub()?;
    let mut mixed: Vec<(BasicProperties, &[u8])> = Vec::new();
    for record in &good {
        mixed.push((record.properties(), record.body.as_bytes()));
    }
    for (number, (_, (properties, body))) in messages.iter().enumerate() {
        let at = if number == 7 { mixed.len() } else { number * 2 };
        mixed.insert(at, (properties.clone(), body));
    }
    place.publisher.send_raw(&place.queue, &mixed)?;
    place.await_records(good.len())?;
    let dead = || place.publisher.depth("dead.poison").unwrap_or(0);
    until("all dead letters", LIMIT, || dead() == 10)?;
    let mut wanted: Vec<String> = Vec::new();
    for (reason, _) in &messages {
        wanted.push((*reason).to_owned());
    }
    wanted.sort();
    let counted = "SELECT reason FROM rejection_hour, generate_series(1, messages) ORDER BY 1";
    let found = place.query(counted)?;
    ensure!(found == wanted.join("\n"), "{found}");
    let (status, is_missing) = place.status()?;
    ensure!(!is_missing, "what was refused has moved a position: {status}");
    let log = hub.stop()?;
    ensure!(!log.contains("xxxx"), "a value is in the log");
    ensure!(log.contains("1 conflict, 1 database"), "{log}");
    Ok(())
}

/// A header of a type that the client does not know ends the connection before anybody could reject the
/// message. The broker gives it again, until it was given too often.
pub(crate) fn unreadable(rig: &Rig) -> Result<()> {
    let place = rig.place("unreadable", "")?;
    let text = |text: &str| AMQPValue::LongString(text.into());
    place.publisher.declare(
        "q.limited",
        &[
            ("x-queue-type", text("quorum")),
            ("x-delivery-limit", AMQPValue::LongInt(3)),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text("dead.unreadable")),
        ],
    )?;
    let configuration = std::fs::read_to_string(&place.configuration)?;
    std::fs::write(&place.configuration, configuration.replace(&place.queue, "q.limited"))?;
    let mut node = Node::new("node-1", &rig.day(0)?);
    let good = node.reports(50);
    let all: Vec<&Record> = good.iter().collect();
    place.publisher.send("q.limited", &all[..25])?;
    publish_unreadable(&rig.broker.url(), "q.limited")?;
    place.publisher.send("q.limited", &all[25..])?;
    let hub = place.hub()?;
    place.await_records(50)?;
    let dead = || place.publisher.depth("dead.unreadable").unwrap_or(0);
    until("the dead letter", LIMIT, || dead() == 1)?;
    let log = hub.stop()?;
    ensure!(log.contains("unreadable"), "{log}");
    Ok(())
}

/// No client of this language makes such a message: another one does.
fn publish_unreadable(url: &str, queue: &str) -> Result<()> {
    use std::{
        io::{Read as _, Write as _},
        net::TcpStream,
        time::Duration,
    };

    let address = url.rsplit('@').next().unwrap_or_default();
    let mut socket = TcpStream::connect(address.split('/').next().unwrap_or_default())?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    let frame = |kind: u8, channel: u16, payload: &[u8]| {
        let mut frame = vec![kind];
        frame.extend(channel.to_be_bytes());
        frame.extend(u32::try_from(payload.len()).unwrap_or(0).to_be_bytes());
        frame.extend(payload);
        frame.push(0xce);
        frame
    };
    let short = |text: &str| {
        let mut bytes = vec![u8::try_from(text.len()).unwrap_or(0)];
        bytes.extend(text.as_bytes());
        bytes
    };
    let answer = |socket: &mut TcpStream| -> Result<()> {
        let mut head = [0; 7];
        socket.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
        let mut rest = vec![0; usize::try_from(length)? + 1];
        Ok(socket.read_exact(&mut rest)?)
    };
    socket.write_all(b"AMQP\0\0\x09\x01")?;
    answer(&mut socket)?;
    // connection.start-ok, tune-ok, open; channel.open; confirm.select.
    let mut start = vec![0, 10, 0, 11, 0, 0, 0, 0];
    start.extend(short("PLAIN"));
    start.extend(12_u32.to_be_bytes());
    start.extend(b"\0guest\0guest");
    start.extend(short("en_US"));
    socket.write_all(&frame(1, 0, &start))?;
    answer(&mut socket)?;
    socket.write_all(&frame(1, 0, &[0, 10, 0, 31, 0, 1, 0, 2, 0, 0, 0, 0]))?;
    let mut open = vec![0, 10, 0, 40];
    open.extend(short("/"));
    open.extend([0, 0]);
    socket.write_all(&frame(1, 0, &open))?;
    answer(&mut socket)?;
    socket.write_all(&frame(1, 1, &[0, 20, 0, 10, 0]))?;
    answer(&mut socket)?;
    socket.write_all(&frame(1, 1, &[0, 85, 0, 10, 0]))?;
    answer(&mut socket)?;
    // basic.publish, and a message id that is no text.
    let mut publish = vec![0, 60, 0, 40, 0, 0];
    publish.extend(short(""));
    publish.extend(short(queue));
    publish.push(0);
    socket.write_all(&frame(1, 1, &publish))?;
    let mut head = vec![0, 60, 0, 0];
    head.extend(2_u64.to_be_bytes());
    head.extend([0x00, 0x80, 2, 0xff, 0xfe]);
    socket.write_all(&frame(2, 1, &head))?;
    socket.write_all(&frame(3, 1, b"{}"))?;
    // The confirmation.
    answer(&mut socket)?;
    Ok(())
}
