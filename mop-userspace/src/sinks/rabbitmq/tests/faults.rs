//! What the sink makes of a broker that refuses, waits, falls silent or dies.

use std::{collections::HashSet, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use mop_outbox::Entry;
use mop_tests::{Amqp, Broker};
use serde_json::json;

use super::{Driver, LIMIT, declare_exchange, entries, entry, section};
use crate::sinks::Verdict;

#[test]
fn a_broker_that_is_not_as_it_should_be_is_told_with_a_remedy() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = Broker::start(folder.path())?;
    broker.add_user("node", "right-secret", ["^$", "^other$", "^$"])?;
    let with = |user: &str, password: &str, more: &str| {
        section(&broker, folder.path(), user, password, more)
    };
    let unreachable =
        with("node", "right-secret", "")?.replace(&format!(":{}/", broker.port()), ":1/");
    let no_vhost = with("node", "right-secret", "")?.replace("%2f", "nowhere");
    let no_file = with("node", "right-secret", "")?.replace("right-secret-of-node", "no-such-file");
    let tls = with("node", "right-secret", "")?.replace("amqp://", "amqps://");
    for (what, lines, lasting, words) in [
        ("wrong password", with("node", "wrong-secret", "")?, true, "password or its permissions"),
        ("unknown user", with("nobody", "right-secret", "")?, true, "password or its permissions"),
        ("no virtual host", no_vhost, true, "virtual host must exist"),
        ("no password file", no_file, true, "cannot read password_file"),
        ("nothing there", unreachable, false, "connecting to 127.0.0.1:1"),
        ("no TLS there", tls, true, "does not speak TLS"),
        (
            "no topology",
            with("node", "right-secret", "")?,
            true,
            "lacks exchange mop, queue mop.quality, queue mop.data, queue mop.security, queue mop.ops; \
             import deploy/rabbitmq/definitions.json",
        ),
        ("may not declare", with("node", "right-secret", "declare = true")?, true, "permissions"),
    ] {
        let trouble = Driver::new(&lines)?.connect().expect_err(what);
        ensure!(trouble.is_lasting == lasting, "{what}: {trouble}");
        ensure!(trouble.detail.contains(words), "{what}: {trouble}");
        ensure!(!trouble.detail.contains("-secret:"), "a password is shown: {trouble}");
    }
    // May connect, and finds what it looks for, but may not write.
    broker.ctl(&["eval", &declare_exchange("mop")])?;
    let mut driver = Driver::new(&with("node", "right-secret", "queues = []")?)?;
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
            // Longer than the shortest patience.
            std::thread::sleep(Duration::from_millis(2));
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
                sending.join().map_err(|_panic| anyhow::anyhow!("the sender panicked"))
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
        runtime.block_on(async { tokio::time::sleep(Duration::from_millis(20)).await });
        threads().is_ok_and(|now| now < before + 2)
    })?;
    broker.signal(rustix::process::Signal::CONT);
    driver.reconnect()?;
    driver.delivered(&entries("quality.report", 10, 10))
}
