//! Encrypted connections, with certificates on both sides.

use std::fs;

use anyhow::{Result, ensure};
use mop_tests::{Broker, Certificates, Database, DatabaseCluster, mop_command, run};
use serde_json::Value;

use crate::rig::LIMIT;

#[test]
fn a_hub_trusts_only_whom_it_was_told_to() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let broker = Broker::builder(folder.path()).tls(&certificates).start()?;
    broker.add_user("hub", "", ["^$", "^$", ".*"])?;
    let database = Database::start_with_tls(&certificates)?;
    let client = certificates.issue_client("hub")?;
    let password = folder.path().join("password");
    fs::write(&password, DatabaseCluster::PASSWORD)?;
    let file = folder.path().join("hub.toml");
    let text = format!(
        "[hub.broker]\nurl = \"amqps://localhost:{}/%2f\"\nca_file = \"{ca}\"\n\
         certificate_file = \"{}\"\nkey_file = \"{}\"\nqueues = [\"nowhere\"]\n\
         [hub.database]\nurl = \"postgresql://mop@localhost:{}/mop\"\nca_file = \"{ca}\"\n\
         password_file = \"{}\"\n",
        broker.tls_port(),
        client.certificate.display(),
        client.key.display(),
        database.port(),
        password.display(),
        ca = certificates.authority().display(),
    );
    fs::write(&file, &text)?;
    let mut migrate = mop_command();
    migrate.args(["hub", "--migrate-only", "--config"]).arg(&file);
    run(&mut migrate, LIMIT)?;
    let mut status = mop_command();
    status.args(["hub", "status", "--json", "--config"]).arg(&file);
    let status: Value = serde_json::from_slice(&run(&mut status, LIMIT)?.stdout)?;
    ensure!(status["broker"].is_null(), "{status}");
    ensure!(status["queues"][0]["queue"] == "nowhere", "{status}");

    // An authority that did not sign: neither of them is spoken to.
    let other = tempfile::tempdir()?;
    let other = Certificates::create(other.path()).map(|other| (other.authority(), other))?;
    let ca = certificates.authority().display().to_string();
    fs::write(&file, text.replace(&ca, &other.0.display().to_string()))?;
    let output = mop_command().args(["hub", "--migrate-only", "--config"]).arg(&file).output()?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(1) && said.contains("certificate"), "{said}");
    Ok(())
}
