//! Events on their way to a stand-in for the platform, which verifies each signature and holds each
//! event against the published interface.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use mop_tests::{Script, mop_command, run};
use serde_json::{Value, json};

use crate::{
    journey::{Journey, SERVER_ORGANISATION, configuration},
    published,
};

#[test]
fn every_event_counts_once_at_the_platform_in_spite_of_errors() -> Result<()> {
    let platform = Platform::start(&[], 0.4)?;
    let replayed = platform.replay()?;
    let state = platform.state()?;
    ensure!(state["problems"] == json!([]), "{state:#}");
    ensure!(state["events"] == replayed, "{replayed} events were made, {state:#}");
    ensure!(platform.parked()?.is_empty(), "something is set aside");
    platform.check_events()
}

#[test]
fn what_the_platform_discards_is_set_aside_with_its_reason() -> Result<()> {
    let platform = Platform::start(&["/open-insurance/resources/v3/resources"], 0.0)?;
    let replayed = platform.replay()?;
    let state = platform.state()?;
    ensure!(state["problems"] == json!([]), "{state:#}");
    ensure!(state["events"] == replayed - 2, "{replayed} events were made, {state:#}");
    let parked = platform.parked()?;
    ensure!(parked.len() == 2, "{parked:?}");
    for record in &parked {
        ensure!(
            record["event"]["endpoint"] == "/open-insurance/resources/v3/resources",
            "{record}"
        );
    }
    let mut command = mop_command();
    command.args(["outbox", "ls", "--folder"]).arg(platform.folder.path().join("outbox"));
    let listed = String::from_utf8(run(&mut command, LIMIT)?.stdout)?;
    ensure!(listed.contains("discarded_endpoint"), "{listed}");
    Ok(())
}

pub(crate) struct Platform {
    pub(crate) folder: tempfile::TempDir,
    server: Script,
}

impl Platform {
    pub(crate) fn start(discard: &[&str], errors: f64) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let key = folder.path().join("key.pem");
        let openssl = |arguments: &[&str]| -> Result<Vec<u8>> {
            let mut command = Command::new("openssl");
            Ok(run(command.args(arguments), LIMIT)?.stdout)
        };
        let file = key.display().to_string();
        openssl(&[
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
            "-out",
            &file,
        ])?;
        let public = String::from_utf8(openssl(&["pkey", "-pubout", "-in", &file])?)?;
        let settings = json!({
            "kid": "kid-1",
            "key": public,
            "organisation": SERVER_ORGANISATION,
            "discard": discard,
            "errors": errors,
        });
        fs::write(folder.path().join("platform.json"), settings.to_string())?;
        let server = Script::serve("pcm/server.py", [folder.path()])?;
        let text = format!(
            "{}\n[outbox]\nfolder = \"{1}/outbox\"\nkeep_delivered = true\n\n\
             [sinks.pcm]\nurl = \"http://127.0.0.1:{2}\"\nkey_file = \"{1}/key.pem\"\nkid = \"kid-1\"\n\
             organisation_id = \"{SERVER_ORGANISATION}\"\nevery = \"0ms\"\n",
            configuration(),
            folder.path().display(),
            server.port(),
        );
        fs::write(folder.path().join("mop.toml"), text)?;
        Ok(Self { folder, server })
    }

    /// Replays a journey and delivers what comes of it; how many events that were.
    pub(crate) fn replay(&self) -> Result<i64> {
        let events = self.replay_by(&self.configuration())?;
        // Whatever a replay had no time for.
        self.drain()?;
        Ok(events)
    }

    /// Replays a journey; how many events that makes.
    pub(crate) fn replay_by(&self, configuration: &Path) -> Result<i64> {
        let mut journey = Journey::new()?;
        journey.of_data();
        let file = self.folder.path().join("journey.exchanges.jsonl");
        fs::write(&file, journey.text())?;
        let mut command = mop_command();
        command.args(["replay", "--output", "jsonl", "--config"]).arg(configuration);
        let output = run(command.arg(&file), LIMIT)?;
        let is_event = |line: &&str| {
            line.contains("\"kind\":\"data.call\"") || line.contains("\"kind\":\"data.funnel\"")
        };
        let events = String::from_utf8(output.stdout)?.lines().filter(is_event).count();
        Ok(i64::try_from(events)?)
    }

    pub(crate) fn drain(&self) -> Result<()> {
        let mut command = mop_command();
        command.args(["outbox", "drain", "--for", "60s", "--config"]).arg(self.configuration());
        run(&mut command, LIMIT)?;
        Ok(())
    }

    pub(crate) fn parked(&self) -> Result<Vec<Value>> {
        let mut command = mop_command();
        command.args(["outbox", "export", "--parked", "pcm", "--folder"]);
        let output = run(command.arg(self.folder.path().join("outbox")), LIMIT)?;
        String::from_utf8(output.stdout)?
            .lines()
            .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
            .collect()
    }

    /// Holds what came against the published interface.
    fn check_events(&self) -> Result<()> {
        let events: Vec<(String, Value)> = serde_json::from_value(self.ask("/events")?)?;
        published::ensure_valid(&events)
    }

    pub(crate) fn state(&self) -> Result<Value> {
        self.ask("/state")
    }

    fn ask(&self, path: &str) -> Result<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.server.port()))?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
        serde_json::from_str(body).with_context(|| answer.clone())
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.folder.path().join("mop.toml")
    }
}

pub(crate) const LIMIT: Duration = Duration::from_secs(90);
