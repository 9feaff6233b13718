//! The fixtures of broker and database work, and leave nothing behind.

use std::{
    net::{SocketAddr, TcpStream},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Result, ensure};
use mop_tests::{Amqp, Broker, Certificates, Database, until};
use serde_json::json;

#[test]
fn a_broker_keeps_what_it_confirmed_over_a_kill() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut broker = Broker::start(folder.path())?;
    let client = Amqp::connect(&broker.url())?;
    client.declare_queue("kept", &json!({"x-queue-type": "quorum"}))?;
    for number in 0..20 {
        client.publish("", "kept", &format!("id-{number}"), &json!({"n": number}), b"{}")?;
    }
    broker.settle()?;
    broker.kill9()?;
    ensure!(client.depth("kept").is_err(), "a killed broker still answered");
    broker.restart()?;
    let client = Amqp::connect(&broker.url())?;
    let messages = client.receive("kept", 20, Duration::from_secs(30))?;
    ensure!(messages[7].id == "id-7" && messages[7].headers["n"] == 7);
    ensure!(messages[7].delivery_mode == Some(2));
    Ok(())
}

#[test]
fn a_broker_takes_client_certificates_for_names() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let broker = Broker::builder(folder.path()).tls(&certificates).start()?;
    broker.add_user("node", "", ["^$", "^$", "^$"])?;
    let client = certificates.issue_client("node")?;
    ensure!(client.certificate.is_file() && client.key.is_file());
    ensure!(broker.ctl(&["list_users"])?.contains("node"));
    TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], broker.tls_port())))?;
    Ok(())
}

#[test]
fn a_broker_ends_with_a_test_that_panics() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = Broker::start(folder.path())?;
    let (port, pid) = (broker.port(), broker.pid());
    let _panicked = catch_unwind(AssertUnwindSafe(move || {
        let _broker = broker;
        panic!("on purpose");
    }));
    ensure!(TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).is_err());
    let process = PathBuf::from(format!("/proc/{}", pid.unwrap_or_default()));
    ensure!(!process.exists(), "the broker's process is still there");
    Ok(())
}

#[test]
fn a_database_keeps_what_it_committed_over_a_kill() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let mut database = Database::start_with_tls(&certificates)?;
    database.query("CREATE TABLE kept (number bigint); INSERT INTO kept VALUES (7)")?;
    ensure!(database.query("SHOW ssl")? == "on");
    database.kill9()?;
    ensure!(database.query("SELECT 1").is_err(), "a killed database still answered");
    database.restart()?;
    ensure!(database.query("SELECT number FROM kept")? == "7");
    let port = database.port();
    drop(database);
    until("the end of PostgreSQL", Duration::from_secs(10), || {
        TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).is_err()
    })
}
