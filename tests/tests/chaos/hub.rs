//! The hub under test: from the broker into PostgreSQL.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result};
use mop_tests::{Arrival, Broker, Database, Place, Process, mop_command};
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    inbox::QUEUES,
    records::{Origin, Series},
};

/// A running `mop hub`.
#[derive(Debug)]
pub(crate) struct Hub {
    process: Process,
    configuration: PathBuf,
}

impl Hub {
    /// Starts one between a broker and a database.
    pub(crate) fn start(folder: &Path, broker: &Broker, database: &Database) -> Result<Self> {
        let configuration = folder.join("hub.toml");
        fs::write(&configuration, text(folder, broker, database)?)?;
        Ok(Self { process: launch(&configuration)?, configuration })
    }

    /// Ends it as a crash does, and starts another one.
    pub(crate) fn kill9_and_restart(&mut self) -> Result<()> {
        self.process.signal(Signal::KILL);
        self.process.wait(Duration::from_secs(20))?;
        self.process = launch(&self.configuration)?;
        Ok(())
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.running()
    }
}

/// What a database has of a series, in the order of its places.
pub(crate) fn arrivals(database: &Database, series: &Series) -> Result<Vec<Arrival>> {
    // Before the first start of a hub there are no tables.
    let exists = database.query("SELECT to_regclass('mop.record') IS NOT NULL")?;
    if exists.trim() != "t" {
        return Ok(Vec::new());
    }
    let rows = database.query(
        "SELECT json_build_object('id', id, 'node', node, 'stream', stream, 'epoch', epoch, \
         'sequence', sequence, 'body', body) FROM mop.record ORDER BY node, stream, sequence",
    )?;
    let mut arrivals = Vec::new();
    for row in rows.lines() {
        let row: Value = serde_json::from_str(row).context("a row is no JSON")?;
        let id = row["id"].as_str().unwrap_or_default().to_owned();
        let Origin::Here { is_genuine } = series.origin(&id, row["body"].to_string().as_bytes())
        else {
            continue;
        };
        arrivals.push(Arrival {
            id,
            queue: "database".to_owned(),
            is_genuine,
            is_redelivered: false,
            place: place(&row),
        });
    }
    Ok(arrivals)
}

fn place(row: &Value) -> Option<Place> {
    Some(Place {
        node: row["node"].as_str()?.to_owned(),
        stream: row["stream"].as_str()?.to_owned(),
        epoch: row["epoch"].as_u64()?,
        sequence: row["sequence"].as_u64()?,
    })
}

fn launch(configuration: &Path) -> Result<Process> {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(configuration.with_extension("log"))?;
    let mut command = mop_command();
    command.args(["hub", "--config"]).arg(configuration);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Process::start("mop hub", &mut command)
}

fn text(folder: &Path, broker: &Broker, database: &Database) -> Result<String> {
    let (database, password) = without_password(&database.url())?;
    let database_password = folder.join("database.password");
    fs::write(&database_password, password)?;
    let broker_password = folder.join("broker.password");
    fs::write(&broker_password, "guest")?;
    Ok(format!(
        "[admin]\nenabled = false\n\n\
         [hub]\nbatch_wait = \"50ms\"\n\n\
         [hub.broker]\nurl = \"amqp://guest@127.0.0.1:{}/%2f\"\npassword_file = \"{}\"\nqueues = {:?}\n\n\
         [hub.database]\nurl = \"{database}\"\npassword_file = \"{}\"\nsslmode = \"disable\"\n",
        broker.port(),
        broker_password.display(),
        QUEUES,
        database_password.display(),
    ))
}

/// An address without its password, and the password.
fn without_password(url: &str) -> Result<(String, String)> {
    let (scheme, rest) = url.split_once("://").context("no scheme in the address")?;
    let (login, place) = rest.split_once('@').context("no user in the address")?;
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    Ok((format!("{scheme}://{user}@{place}"), password.to_owned()))
}
