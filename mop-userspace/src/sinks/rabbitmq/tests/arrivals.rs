//! What arrives on a broker that works, by whom, and how fast.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Result, ensure};
use mop_outbox::Entry;
use mop_tests::{Amqp, Broker, Certificates};
use serde_json::json;

use super::{Driver, LIMIT, entries, entry, section};
use crate::sinks::Sink as _;

#[test]
fn records_arrive_with_their_properties_in_queues_of_every_type() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = Broker::start(folder.path())?;
    let client = Amqp::connect(&broker.url())?;
    for queue_type in ["quorum", "classic", "stream"] {
        let exchange = format!("mop-{queue_type}");
        let more = format!(
            "declare = true\nqueue_type = \"{queue_type}\"\namqp_exchange = \"{exchange}\""
        );
        let mut driver = Driver::new(&section(&broker, folder.path(), "guest", "guest", &more)?)?;
        driver.connect().map_err(|trouble| anyhow::anyhow!("{queue_type}: {trouble}"))?;
        // Once more: what is there stays.
        driver.connect().map_err(|trouble| anyhow::anyhow!("{queue_type}: {trouble}"))?;
        driver.delivered(&entries("quality.report", 0, 600))?;
        driver.delivered(&entries("ops.ledger", 600, 3))?;
        driver.delivered(&entries("observe.summary", 603, 2))?;
        driver.delivered(&entries("nobody.wants", 605, 4))?;
        if queue_type == "stream" {
            // A stream is read from its beginning, by a consumer that says so.
            continue;
        }
        let messages = client.drain(&format!("{exchange}.quality"))?;
        ensure!(messages.len() == 600, "{queue_type}: {} of 600", messages.len());
        for (sequence, message) in (0_i64..).zip(&messages) {
            ensure!(message.id == format!("id-{sequence}"), "{queue_type}: not in order");
            ensure!(message.headers["x-mop-sequence"] == sequence);
        }
        let message = &messages[0];
        let expected = BTreeMap::from([
            ("x-mop-epoch".to_owned(), json!(5)),
            ("x-mop-node".to_owned(), json!("node-7")),
            ("x-mop-schema".to_owned(), json!("quality.report/3")),
            ("x-mop-sequence".to_owned(), json!(0)),
            ("x-mop-stream".to_owned(), json!("violations")),
        ]);
        ensure!(message.headers == expected, "{:?}", message.headers);
        ensure!(message.routing_key == "mop.quality.report" && message.exchange == exchange);
        ensure!(message.kind == "quality.report" && message.app == "mop");
        ensure!(message.content_type == "application/json" && message.delivery_mode == Some(2));
        ensure!(message.timestamp == Some(1_700_000_000));
        ensure!(message.body == entry(0, "quality.report", 300).payload);
        ensure!(client.drain(&format!("{exchange}.ops"))?.len() == 5);
        ensure!(client.drain(&format!("{exchange}.unrouted"))?.len() == 4);
    }
    // The broker counts what is in a stream every few seconds.
    mop_tests::until("600 messages in a stream", LIMIT, || {
        broker
            .ctl(&["list_queues", "name", "messages"])
            .is_ok_and(|queues| queues.contains("mop-stream.quality	600"))
    })
}

#[test]
fn the_definitions_give_each_user_what_it_needs_and_no_more() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = Broker::start(folder.path())?;
    let definitions =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/rabbitmq/definitions.json");
    broker.import(&definitions)?;
    let url_of = |user: &str| broker.url_of(user, "of-a-test").replace("%2f", "mop");
    let section = section(&broker, folder.path(), "mop-node", "of-a-test", "")?;
    let section = section.replace("%2f", "mop");
    // As they are imported, nobody can log in with them.
    ensure!(Driver::new(&section)?.connect().is_err_and(|trouble| trouble.reason == "refused"));
    for user in ["mop-node", "mop-hub"] {
        broker.ctl(&["change_password", user, "of-a-test"])?;
    }
    let mut driver = Driver::new(&section)?;
    driver.reconnect()?;
    driver.delivered(&entries("security.finding", 0, 20))?;
    driver.delivered(&entries("nobody.wants", 20, 2))?;
    let hub = Amqp::connect(&url_of("mop-hub"))?;
    ensure!(hub.receive("mop.security", 20, LIMIT)?[7].id == "id-7");
    ensure!(hub.receive("mop.unrouted", 2, LIMIT)?[0].id == "id-20");
    // What is refused for good is not lost.
    driver.delivered(&entries("data.call", 22, 1))?;
    hub.reject("mop.data")?;
    ensure!(hub.receive("mop.dead", 1, LIMIT)?[0].id == "id-22");
    ensure!(hub.publish("mop", "mop.data.call", "a", &json!({}), b"{}").is_err());
    let refused: [fn(&Amqp) -> Result<()>; 3] = [
        |node| node.receive("mop.security", 1, LIMIT).map(drop),
        |node| node.declare_queue("mop.other", &json!({})),
        |node| node.publish("mop", "other", "a", &json!({}), b"{}"),
    ];
    for (number, attempt) in refused.iter().enumerate() {
        let node = Amqp::connect(&url_of("mop-node"))?;
        ensure!(attempt(&node).is_err(), "attempt {number} of the publisher was not refused");
    }
    let policies = broker.ctl(&["list_queues", "-p", "mop", "name", "policy"])?;
    for (queue, policy) in [("mop.ops", "mop-modules"), ("mop.dead", "mop-catching")] {
        ensure!(policies.contains(&format!("{queue}\t{policy}")), "{policies}");
    }
    driver.runtime.block_on(driver.sink.close());
    mop_tests::until("the end of the connection", LIMIT, || {
        broker
            .ctl(&["list_connections", "user"])
            .is_ok_and(|users| users.lines().filter(|user| *user == "mop-node").count() == 0)
    })
}

#[test]
fn a_certificate_is_the_name_and_a_rotated_one_is_taken() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let strangers = Certificates::create(&folder.path().join("strangers"))?;
    let broker = Broker::builder(folder.path()).tls(&certificates).start()?;
    broker.add_user("mop-node", "", [".*", ".*", ".*"])?;
    let own = certificates.issue_client("mop-node")?;
    let other = strangers.issue_client("mop-node")?;
    let lines = |ca_file: PathBuf, host: &str| {
        format!(
            "url = \"amqps://{host}:{}/%2f\"\nauth = \"external\"\nca_file = {ca_file:?}\n\
             certificate_file = {:?}\nkey_file = {:?}\ndeclare = true\n",
            broker.tls_port(),
            own.certificate,
            own.key,
        )
    };
    let mut driver = Driver::new(&lines(certificates.authority(), "127.0.0.1"))?;
    driver.reconnect()?;
    driver.delivered(&entries("quality.report", 0, 100))?;
    // One that the broker does not know, in the same place.
    let good = (std::fs::read(&own.certificate)?, std::fs::read(&own.key)?);
    std::fs::copy(&other.certificate, &own.certificate)?;
    std::fs::copy(&other.key, &own.key)?;
    // The broker refuses it when the handshake is over for the client (RFC 8446, section 4.4.2.4). What
    // was sent until then has it reset the connection, and that may overtake the reason.
    let mut refused = || driver.connect().expect_err("a stranger's certificate was taken");
    let mut trouble = refused();
    for _attempt in 0..ATTEMPTS {
        if trouble.reason == "certificate" {
            break;
        }
        ensure!(!trouble.is_lasting, "{trouble}");
        trouble = refused();
    }
    ensure!(trouble.is_lasting && trouble.reason == "certificate", "{trouble}");
    ensure!(trouble.detail.contains("certificate_file"), "{trouble}");
    std::fs::write(&own.certificate, &good.0)?;
    std::fs::write(&own.key, &good.1)?;
    driver.reconnect()?;
    driver.delivered(&entries("quality.report", 100, 100))?;
    let trouble = Driver::new(&lines(strangers.authority(), "127.0.0.1"))?
        .connect()
        .expect_err("a stranger's broker was believed");
    ensure!(trouble.is_lasting && trouble.detail.contains("ca_file"), "{trouble}");
    Ok(())
}

/// One in some hundreds is overtaken on a busy machine.
const ATTEMPTS: usize = 10;

/// Measures; run it alone:
/// `cargo test --release -p mop sinks::rabbitmq::tests::arrivals::rate -- --ignored --nocapture`.
#[test]
#[ignore = "measures, and wants the machine for itself"]
fn rate() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = Broker::start(folder.path())?;
    let more = "declare = true\nqueue_max_mib = 8192";
    let mut driver = Driver::new(&section(&broker, folder.path(), "guest", "guest", more)?)?;
    driver.reconnect()?;
    let all: Vec<Entry> =
        (0..100_000).map(|sequence| entry(sequence, "quality.report", 2_048)).collect();
    driver.delivered(&all[..10_000])?;
    let begin = Instant::now();
    driver.delivered(&all)?;
    let rate = 100_000.0 / begin.elapsed().as_secs_f64();
    println!("{rate:.0} confirmed messages of 2 KiB a second, quorum queue, window 256");
    ensure!(rate >= 10_000.0, "{rate:.0} a second are fewer than 10,000");
    Ok(())
}
