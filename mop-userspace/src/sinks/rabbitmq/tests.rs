//! The sink against a real RabbitMQ.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use futures_util::{StreamExt as _, stream::FuturesOrdered};
use mop_outbox::{Entry, Lane};
use mop_tests::{Amqp, Broker, Certificates};
use serde_json::json;
use tokio::runtime::Runtime;

use super::{RabbitMqConfiguration, RabbitMqSink};
use crate::sinks::{Sink, Trouble, Verdict};

/// A sink and the thread that it runs on.
struct Driver {
    runtime: Runtime,
    sink: RabbitMqSink,
}

impl Driver {
    /// A sink by lines of its section.
    fn new(lines: &str) -> Result<Self> {
        let configuration: RabbitMqConfiguration = toml::from_str(lines)?;
        let sink = RabbitMqSink::new(&configuration, "node-7")
            .map_err(|failure| anyhow::anyhow!("{failure}"))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, sink })
    }

    fn connect(&mut self) -> Result<(), Trouble> {
        let Self { runtime, sink } = self;
        runtime.block_on(async { sink.connect().await })
    }

    /// Connects again until it succeeds.
    fn reconnect(&mut self) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while let Err(trouble) = self.connect() {
            ensure!(Instant::now() < deadline, "no connection: {trouble}");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Sends entries with a full window, and gives the verdicts in order until one is missing.
    fn send(&mut self, entries: &[Entry]) -> (Vec<Verdict>, Option<Trouble>) {
        let Self { runtime, sink } = self;
        let mut verdicts = Vec::new();
        let trouble = runtime.block_on(async {
            let mut waiting = FuturesOrdered::new();
            let mut entries = entries.iter().cloned();
            let mut left = entries.next();
            loop {
                if left.is_none() && waiting.is_empty() {
                    return None;
                }
                if left.is_some() && waiting.len() < sink.window() {
                    match sink.send(left.take().into_iter().collect()).await {
                        Ok(confirmation) => waiting.push_back(confirmation),
                        Err(trouble) => return Some(trouble),
                    }
                    left = entries.next();
                    continue;
                }
                match waiting.next().await {
                    Some(Ok(of_one)) => verdicts.extend(of_one),
                    Some(Err(trouble)) => return Some(trouble),
                    None => {}
                }
            }
        });
        (verdicts, trouble)
    }

    fn delivered(&mut self, entries: &[Entry]) -> Result<()> {
        let (verdicts, trouble) = self.send(entries);
        ensure!(trouble.is_none(), "trouble: {trouble:?}");
        ensure!(verdicts.len() == entries.len());
        ensure!(verdicts.iter().all(|verdict| *verdict == Verdict::Delivered), "{verdicts:?}");
        Ok(())
    }
}

fn entry(sequence: u64, kind: &str, bytes: usize) -> Entry {
    let mut payload =
        json!({"kind": kind, "schema_version": 3, "id": format!("id-{sequence}"), "x": ""});
    let length = payload.to_string().len();
    payload["x"] = json!("x".repeat(bytes.saturating_sub(length)));
    Entry {
        lane: Lane::Violations,
        epoch: 5,
        sequence,
        time_ms: 1_700_000_000_123,
        kind: kind.into(),
        id: format!("id-{sequence}").into(),
        note: "".into(),
        payload: payload.to_string().into_bytes(),
    }
}

fn entries(kind: &str, from: u64, count: u64) -> Vec<Entry> {
    (from..from + count).map(|sequence| entry(sequence, kind, 300)).collect()
}

/// A section for a user with a password.
fn section(
    broker: &Broker,
    folder: &Path,
    user: &str,
    password: &str,
    more: &str,
) -> Result<String> {
    let file = folder.join(format!("password-of-{user}"));
    std::fs::write(&file, format!("{password}\n"))?;
    Ok(format!(
        "url = \"amqp://127.0.0.1:{}/%2f\"\nusername = \"{user}\"\npassword_file = {file:?}\n{more}\n",
        broker.port()
    ))
}

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
    ensure!(broker.ctl(&["list_queues", "name", "messages"])?.contains("mop-stream.quality\t600"));
    Ok(())
}

#[test]
fn a_broker_that_is_not_as_it_should_be_is_told_with_a_remedy() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = Broker::start(folder.path())?;
    broker.add_user("node", "right", ["^$", "^other$", "^$"])?;
    let with = |user: &str, password: &str, more: &str| {
        section(&broker, folder.path(), user, password, more)
    };
    let unreachable = with("node", "right", "")?.replace(&format!(":{}/", broker.port()), ":1/");
    let no_vhost = with("node", "right", "")?.replace("%2f", "nowhere");
    let no_file = with("node", "right", "")?.replace("password-of-node", "no-such-file");
    let tls = with("node", "right", "")?.replace("amqp://", "amqps://");
    for (what, lines, lasting, words) in [
        ("wrong password", with("node", "wrong", "")?, true, "password or its permissions"),
        ("unknown user", with("nobody", "right", "")?, true, "password or its permissions"),
        ("no virtual host", no_vhost, true, "virtual host must exist"),
        ("no password file", no_file, true, "cannot read password_file"),
        ("nothing there", unreachable, false, "connecting to 127.0.0.1:1"),
        ("no TLS there", tls, true, "does not speak TLS"),
        (
            "no topology",
            with("node", "right", "")?,
            true,
            "lacks exchange mop, queue mop.quality, queue mop.data, queue mop.security, queue mop.ops; \
             import deploy/rabbitmq/definitions.json",
        ),
        ("may not declare", with("node", "right", "declare = true")?, true, "permissions"),
    ] {
        let trouble = Driver::new(&lines)?.connect().expect_err(what);
        ensure!(trouble.is_lasting == lasting, "{what}: {trouble}");
        ensure!(trouble.detail.contains(words), "{what}: {trouble}");
        ensure!(
            !trouble.detail.contains("wrong") && !trouble.detail.contains("right;"),
            "{trouble}"
        );
    }
    // May connect, and finds what it looks for, but may not write.
    broker.ctl(&["eval", &declare_exchange("mop")])?;
    let mut driver = Driver::new(&with("node", "right", "queues = []")?)?;
    driver.reconnect()?;
    let (_, trouble) = driver.send(&entries("quality.report", 0, 3));
    let trouble = trouble.context("a write without permission went well")?;
    ensure!(trouble.is_lasting && trouble.reason == "refused", "{trouble}");
    ensure!(trouble.detail.contains("exchange 'mop'"), "{trouble}");
    Ok(())
}

#[test]
fn what_no_queue_takes_is_parked_and_nothing_else_is() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = Broker::start(folder.path())?;
    broker.ctl(&["eval", &declare_exchange("mop")])?;
    let client = Amqp::connect(&broker.url())?;
    client.declare_queue("mop.quality", &json!({"x-queue-type": "quorum"}))?;
    client.bind("mop.quality", "mop", "mop.quality.#")?;
    let more = "queues = [\"mop.quality\"]\nnack_patience = \"1ms\"\nmax_message_mib = 1";
    let mut driver = Driver::new(&section(&broker, folder.path(), "guest", "guest", more)?)?;
    driver.reconnect()?;
    // The confirms of those that come back overtake those of a quorum queue.
    let mixed: Vec<Entry> = (0..4_000)
        .map(|number| {
            let kind = if number % 7 == 3 { "nobody.wants" } else { "quality.report" };
            entry(number, kind, 300)
        })
        .collect();
    let (verdicts, trouble) = driver.send(&mixed);
    ensure!(trouble.is_none(), "{trouble:?}");
    for (entry, verdict) in mixed.iter().zip(&verdicts) {
        let expected = match &*entry.kind {
            "nobody.wants" => Verdict::Parked("unroutable"),
            _ => Verdict::Delivered,
        };
        ensure!(*verdict == expected, "{} is {verdict:?}", entry.id);
    }
    let ids: HashSet<String> =
        client.drain("mop.quality")?.into_iter().map(|message| message.id).collect();
    ensure!(ids.len() == mixed.iter().filter(|entry| &*entry.kind == "quality.report").count());
    let (verdicts, _) = driver.send(&[entry(1, "quality.report", 2 << 20)]);
    ensure!(verdicts == [Verdict::Parked("too_large")]);
    Ok(())
}

#[test]
fn a_full_queue_makes_records_wait_and_only_patience_parks_them() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = Broker::start(folder.path())?;
    broker.ctl(&["eval", &declare_exchange("mop")])?;
    let client = Amqp::connect(&broker.url())?;
    let full =
        json!({"x-queue-type": "classic", "x-max-length": 1, "x-overflow": "reject-publish"});
    client.declare_queue("full", &full)?;
    client.bind("full", "mop", "#")?;
    let verdicts = |driver: &mut Driver, sequence: u64| -> Result<Vec<Verdict>> {
        let mut verdicts = Vec::new();
        for _ in 0..4 {
            let (next, trouble) = driver.send(&entries("quality.report", sequence, 1));
            ensure!(trouble.is_none(), "{trouble:?}");
            verdicts.extend(next);
        }
        Ok(verdicts)
    };
    let lines = |more: &str| {
        section(&broker, folder.path(), "guest", "guest", &format!("queues = []\n{more}"))
    };
    let mut patient = Driver::new(&lines("")?)?;
    patient.reconnect()?;
    patient.delivered(&entries("quality.report", 0, 1))?;
    ensure!(verdicts(&mut patient, 1)? == [Verdict::Again("nacked"); 4]);
    let mut impatient = Driver::new(&lines("nack_patience = \"1ms\"")?)?;
    impatient.reconnect()?;
    let found = verdicts(&mut impatient, 1)?;
    ensure!(found[2] == Verdict::Parked("nacked"), "{found:?}");
    client.purge("full")?;
    patient.delivered(&entries("quality.report", 1, 1))
}

#[test]
fn a_memory_alarm_is_waited_for_on_the_same_connection() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = Broker::start(folder.path())?;
    let more = "declare = true\nconfirm_timeout = \"2s\"";
    let mut driver = Driver::new(&section(&broker, folder.path(), "guest", "guest", more)?)?;
    driver.reconnect()?;
    driver.delivered(&entries("quality.report", 0, 10))?;
    let connections = || broker.ctl(&["list_connections", "pid"]);
    let before = connections()?;
    broker.ctl(&["set_vm_memory_high_watermark", "0.0001"])?;
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| driver.delivered(&entries("quality.report", 10, 1_000)));
        mop_tests::until("a connection that is blocked", LIMIT, || {
            broker.ctl(&["list_connections", "state"]).is_ok_and(|states| states.contains("block"))
        })?;
        // Longer than a silent broker is waited for.
        std::thread::sleep(Duration::from_secs(5));
        ensure!(!sending.is_finished(), "it did not wait");
        ensure!(connections()? == before, "another connection was made");
        broker.ctl(&["set_vm_memory_high_watermark", "0.4"])?;
        match sending.join() {
            Ok(delivered) => delivered,
            Err(_) => bail!("the sender panicked"),
        }
    })?;
    ensure!(connections()? == before, "another connection was made");
    Ok(())
}

#[test]
fn nothing_confirmed_is_lost_when_the_broker_is_killed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut broker = Broker::start(folder.path())?;
    let more = "declare = true\nconfirm_timeout = \"5s\"\nconnect_timeout = \"5s\"";
    let mut driver = Driver::new(&section(&broker, folder.path(), "guest", "guest", more)?)?;
    driver.reconnect()?;
    broker.settle()?;
    let all = entries("quality.report", 0, 60_000);
    let mut delivered = 0;
    let mut troubles = 0;
    while delivered < all.len() {
        let rest = &all[delivered..];
        let (verdicts, trouble) = if troubles == 0 {
            std::thread::scope(|scope| {
                let sending = scope.spawn(|| driver.send(rest));
                std::thread::sleep(Duration::from_millis(500));
                broker.kill9()?;
                broker.begin_restart()?;
                sending.join().map_err(|_| anyhow::anyhow!("the sender panicked"))
            })?
        } else {
            driver.send(rest)
        };
        ensure!(verdicts.iter().all(|verdict| *verdict == Verdict::Delivered), "not delivered");
        delivered += verdicts.len();
        if let Some(trouble) = trouble {
            ensure!(!trouble.is_lasting, "{trouble}");
            troubles += 1;
            driver.reconnect()?;
        }
    }
    ensure!(troubles > 0, "the kill came too late to be noticed");
    let client = Amqp::connect(&broker.url())?;
    let messages = client.drain("mop.quality")?;
    let ids: HashSet<&str> = messages.iter().map(|message| &*message.id).collect();
    ensure!(ids.len() == all.len(), "{} of {} are there", ids.len(), all.len());
    ensure!(messages.len() - ids.len() <= 256 * troubles, "more came twice than were on their way");
    Ok(())
}

#[test]
fn a_broker_that_stops_answering_is_given_up_and_nothing_stays_behind() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = Broker::start(folder.path())?;
    let more = "declare = true\nconfirm_timeout = \"1s\"\nconnect_timeout = \"1s\"";
    let mut driver = Driver::new(&section(&broker, folder.path(), "guest", "guest", more)?)?;
    driver.reconnect()?;
    driver.delivered(&entries("quality.report", 0, 10))?;
    let threads = || -> Result<usize> {
        let mut threads = 0;
        for task in std::fs::read_dir("/proc/self/task")? {
            let name = std::fs::read_to_string(task?.path().join("comm")).unwrap_or_default();
            threads += usize::from(name.starts_with("lapin-io-loop"));
        }
        Ok(threads)
    };
    let before = threads()?;
    broker.signal(rustix::process::Signal::STOP);
    let (_, trouble) = driver.send(&entries("quality.report", 10, 10));
    let trouble = trouble.context("a broker that is stopped confirmed")?;
    ensure!(trouble.reason == "silent" && !trouble.is_lasting, "{trouble}");
    for _ in 0..4 {
        let trouble = driver.connect().expect_err("a broker that is stopped answered");
        ensure!(trouble.reason == "silent" && !trouble.is_lasting, "{trouble}");
    }
    // Other tests have connections too; four that were given up would still show.
    mop_tests::until("the end of what was given up", LIMIT, || {
        let Driver { runtime, sink: _ } = &driver;
        runtime.block_on(tokio::time::sleep(Duration::from_millis(20)));
        threads().is_ok_and(|now| now < before + 2)
    })?;
    broker.signal(rustix::process::Signal::CONT);
    driver.reconnect()?;
    driver.delivered(&entries("quality.report", 10, 10))
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
    let trouble = driver.connect().expect_err("a stranger's certificate was taken");
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

/// Measures; run it alone:
/// `cargo test --release -p mop sinks::rabbitmq::tests::rate -- --ignored --nocapture`.
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

/// A topic exchange, said to the broker itself.
fn declare_exchange(name: &str) -> String {
    format!(
        "rabbit_exchange:declare(rabbit_misc:r(<<\"/\">>, exchange, <<\"{name}\">>), topic, true, \
         false, false, [], <<\"tests\">>), ok."
    )
}

/// A busy machine needs many seconds to start a broker.
const LIMIT: Duration = Duration::from_secs(120);
