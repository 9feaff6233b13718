//! From observed traffic to a real broker: the core, without rights, forwards what it judged.

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use mop_tests::{
    Broker, Certificates, Marker, Nginx, Observer, curl, observing, run, shared_folder, until,
};

#[test]
fn what_is_observed_arrives_on_the_broker_from_a_core_without_rights() -> Result<()> {
    if !observing("what_is_observed_arrives_on_the_broker_from_a_core_without_rights") {
        return Ok(());
    }
    let folder = shared_folder()?;
    let broker = Broker::start(&folder.path().join("broker"))?;
    let certificates = Certificates::create(folder.path())?;
    let nginx = Nginx::builder(folder.path())
        .tls(&certificates)
        .location("/", "return 200 '{}';")
        .start()?;
    let password = folder.path().join("password");
    fs::write(&password, "guest\n")?;
    let configuration = folder.path().join("mop.toml");
    let outbox = folder.path().join("outbox");
    fs::write(
        &configuration,
        format!(
            "[node]\nname = \"node-1\"\n[quality]\nreport_clean = 1\n[admin]\nenabled = false\n\
             [outbox]\nfolder = \"{}\"\n[sinks.rabbitmq]\nurl = \"amqp://127.0.0.1:{}/%2f\"\n\
             username = \"guest\"\npassword_file = \"{}\"\ndeclare = true\n",
            outbox.display(),
            broker.port(),
            password.display()
        ),
    )?;
    let observer = Observer::builder().arg("--config").arg(&configuration).start()?;
    let marker = Marker::new("forwarding");
    let url = format!("https://localhost:{}{}", nginx.port(), marker.path("call"));
    run(curl(&certificates).arg(url), LIMIT)?;
    // The broker counts its messages anew every few seconds only.
    let on_broker = |queue: &str| {
        let queues = broker.ctl(&["list_queues", "--quiet", "name", "messages"]);
        messages(&queues.unwrap_or_default(), queue)
    };
    until("reports on the broker", LIMIT, || on_broker("mop.quality") >= 2)?;
    let observation = observer.stop()?;
    ensure!(observation.messages.contains("landlock_tcp"), "{}", observation.messages);
    // The last record of the ledger is sent before the end.
    until("the ledger on the broker", LIMIT, || on_broker("mop.ops") >= 1)?;
    ensure!(on_broker("mop.unrouted") == 0, "a record went nowhere");
    Ok(())
}

fn messages(queues: &str, name: &str) -> u64 {
    let mut words = queues.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    words
        .find_map(|words| match words.as_slice() {
            [queue, count] if *queue == name => count.parse().ok(),
            _ => None,
        })
        .unwrap_or(0)
}

const LIMIT: Duration = Duration::from_secs(30);
