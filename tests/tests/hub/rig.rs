//! A broker, a database, and hubs between them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use lapin::types::AMQPValue;
use mop_tests::{Broker, Database, DatabaseCluster, Process, mop_command, run, until};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    publisher::Publisher,
    records::{Counts, Record},
};

/// A broker and a database.
pub(crate) struct Rig {
    pub(crate) broker: Broker,
    pub(crate) database: Database,
    // After those who write into it.
    folder: TempDir,
}

/// A place of one case: queues, tables and a configuration of its own.
pub(crate) struct Place<'r> {
    pub(crate) rig: &'r Rig,
    pub(crate) queue: String,
    pub(crate) schema: String,
    pub(crate) publisher: Publisher,
    pub(crate) configuration: PathBuf,
    folder: PathBuf,
}

/// A hub at work.
pub(crate) struct Hub {
    pub(crate) process: Process,
    log: PathBuf,
}

impl Rig {
    pub(crate) fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let broker = Broker::start(folder.path())?;
        Ok(Self { broker, database: Database::start()?, folder })
    }

    /// A place with a quorum queue `q.NAME` and the dead letters of it in `dead.NAME`.
    pub(crate) fn place(&self, name: &str, more: &str) -> Result<Place<'_>> {
        self.place_with("quorum", name, more)
    }

    /// A place with a classic queue, which knows at any moment what it holds.
    pub(crate) fn classic_place(&self, name: &str, more: &str) -> Result<Place<'_>> {
        self.place_with("classic", name, more)
    }

    fn place_with(&self, kind: &str, name: &str, more: &str) -> Result<Place<'_>> {
        let publisher = Publisher::connect(&self.broker.url())?;
        let (queue, dead) = (format!("q.{name}"), format!("dead.{name}"));
        let text = |text: &str| AMQPValue::LongString(text.into());
        publisher.declare(&dead, &[])?;
        let mut arguments = vec![
            ("x-queue-type", text(kind)),
            ("x-overflow", text("reject-publish")),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text(&dead)),
        ];
        if kind == "quorum" {
            arguments.push(("x-dead-letter-strategy", text("at-least-once")));
        }
        publisher.declare(&queue, &arguments)?;
        let folder = self.folder.path().join(name);
        fs::create_dir(&folder)?;
        let schema = format!("mop_{name}");
        let configuration = folder.join("hub.toml");
        let place = Place { rig: self, queue, schema, publisher, configuration, folder };
        place.configure(more)?;
        Ok(place)
    }

    /// A place that was made before, after the broker or the database was started again.
    pub(crate) fn again(&self, name: &str) -> Result<Place<'_>> {
        let folder = self.folder.path().join(name);
        Ok(Place {
            rig: self,
            queue: format!("q.{name}"),
            schema: format!("mop_{name}"),
            publisher: Publisher::connect(&self.broker.url())?,
            configuration: folder.join("hub.toml"),
            folder,
        })
    }

    /// A day as many days from today, in UTC.
    pub(crate) fn day(&self, from_today: i32) -> Result<String> {
        self.database.query(&format!(
            "SELECT to_char(now() AT TIME ZONE 'UTC' + {from_today} * interval '1 day', \
             'YYYY-MM-DD')"
        ))
    }
}

impl Place<'_> {
    /// Puts records into its queue.
    pub(crate) fn send(&self, records: &[Record]) -> Result<()> {
        self.publisher.send(&self.queue, &records.iter().collect::<Vec<_>>())
    }

    /// Writes the configuration, with more lines of the section `hub`.
    pub(crate) fn configure(&self, more: &str) -> Result<()> {
        let password = |name: &str, text: &str| {
            let file = self.folder.join(name);
            fs::write(&file, text).map(|()| file.display().to_string())
        };
        let text = format!(
            "[hub]\n{more}\n\
             [hub.broker]\nurl = \"amqp://guest@127.0.0.1:{}/%2f\"\npassword_file = \"{}\"\n\
             queues = [\"{}\"]\n\
             [hub.database]\nurl = \"postgresql://mop@127.0.0.1:{}/mop\"\n\
             password_file = \"{}\"\nsslmode = \"disable\"\nschema = \"{}\"\n",
            self.rig.broker.port(),
            password("broker.password", "guest\n")?,
            self.queue,
            self.rig.database.port(),
            password("database.password", DatabaseCluster::PASSWORD)?,
            self.schema,
        );
        Ok(fs::write(&self.configuration, text)?)
    }

    /// Starts a hub.
    pub(crate) fn hub(&self) -> Result<Hub> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let log = self.folder.join(format!("hub-{number}.log"));
        let mut command = self.command(&[]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&log)?);
        Ok(Hub { process: Process::start("mop hub", &mut command)?, log })
    }

    /// `mop hub` with its configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = mop_command();
        command.arg("hub").args(arguments).arg("--config").arg(&self.configuration);
        command
    }

    /// `mop hub status --json`, and whether something is missing.
    pub(crate) fn status(&self) -> Result<(Value, bool)> {
        let Output { status, stdout, stderr } = self.command(&["status", "--json"]).output()?;
        ensure!(
            matches!(status.code(), Some(0 | 1)),
            "mop hub status: {status}: {}",
            String::from_utf8_lossy(&stderr)
        );
        let text = String::from_utf8(stdout)?;
        let document = serde_json::from_str(&text)
            .with_context(|| format!("{text:?}, {}", String::from_utf8_lossy(&stderr)))?;
        Ok((document, status.code() == Some(1)))
    }

    /// Asks the database, in the schema of this place.
    pub(crate) fn query(&self, statement: &str) -> Result<String> {
        let statement = format!("SET search_path TO {}; {statement}", self.schema);
        self.rig.database.query(&statement)
    }

    /// A number of the database; 0 while there is no table yet.
    pub(crate) fn number(&self, statement: &str) -> i64 {
        self.query(statement).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Waits until so many records are stored.
    pub(crate) fn await_records(&self, count: usize) -> Result<()> {
        let wanted = i64::try_from(count)?;
        let stored = || self.number("SELECT count(*) FROM record");
        until(&format!("{count} records"), LIMIT, || stored() >= wanted)
            .with_context(|| format!("{} are stored", stored()))?;
        ensure!(stored() == wanted, "{} records instead of {count}", stored());
        Ok(())
    }

    /// Waits until a classic queue is empty and nothing of it is with a hub. Of a quorum queue the
    /// broker tells this some seconds late.
    pub(crate) fn await_acknowledged(&self) -> Result<()> {
        let arguments = ["list_queues", "--quiet", "--no-table-headers", "name", "messages"];
        until("an empty queue", LIMIT, || {
            self.publisher.depth(&self.queue).is_ok_and(|depth| depth == 0)
                && self.rig.broker.ctl(&arguments).is_ok_and(|lines| {
                    lines.lines().any(|line| line.split_whitespace().eq([&*self.queue, "0"]))
                })
        })
    }

    /// The database's counts, to be compared with a recount.
    pub(crate) fn counts(&self) -> Result<Counts> {
        let rows = self.query(
            "SELECT to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24'), template, calls, \
             conforming, violating, unjudged FROM quality_by_hour ORDER BY 1, 2",
        )?;
        let mut counts = Counts::new();
        for row in rows.lines() {
            let columns: Vec<&str> = row.split('|').collect();
            let [hour, template, sums @ ..] = &*columns else { bail!("a row of {row}") };
            let sums: Vec<i64> = sums.iter().map(|sum| sum.parse()).collect::<Result<_, _>>()?;
            let sums =
                sums.try_into().map_err(|_other_length| anyhow::anyhow!("a row of {row}"))?;
            counts.insert(((*hour).to_owned(), (*template).to_owned()), sums);
        }
        Ok(counts)
    }

    /// Writes records as lines of a file.
    pub(crate) fn journal(&self, name: &str, records: &[&Record]) -> Result<PathBuf> {
        let path = self.folder.join(name);
        let lines: Vec<&str> = records.iter().map(|record| &*record.body).collect();
        fs::write(&path, lines.join("\n") + "\n")?;
        Ok(path)
    }

    /// Writes records with their places as lines of a file, as `mop outbox export --places` does.
    pub(crate) fn placed_journal(&self, name: &str, records: &[&Record]) -> Result<PathBuf> {
        let line = |record: &&Record| {
            let Record { stream, epoch, sequence, body, .. } = record;
            format!(
                r#"{{"place":{{"stream":"{stream}","epoch":{epoch},"sequence":{sequence}}},"record":{body}}}"#
            )
        };
        let path = self.folder.join(name);
        let lines: Vec<String> = records.iter().map(line).collect();
        fs::write(&path, lines.join("\n") + "\n")?;
        Ok(path)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Hub {
    /// What it said on stderr.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it says this.
    pub(crate) fn await_word(&self, word: &str) -> Result<()> {
        until(&format!("{word:?} of the hub"), LIMIT, || self.log().contains(word))
            .with_context(|| self.log())
    }

    /// Asks it to end, and waits until it does, in good order.
    pub(crate) fn stop(mut self) -> Result<String> {
        self.process.signal(Signal::TERM);
        let status = self.process.wait(STOP_LIMIT)?;
        ensure!(status.success(), "the hub ended with {status}: {}", self.log());
        Ok(self.log())
    }

    /// Kills it without a word.
    pub(crate) fn kill9(mut self) -> Result<()> {
        self.process.signal(Signal::KILL);
        self.process.wait(STOP_LIMIT).map(drop)
    }
}

/// Runs a command that is to succeed.
pub(crate) fn succeed(mut command: Command) -> Result<String> {
    let output = run(&mut command, LIMIT)?;
    Ok(String::from_utf8(output.stderr)?)
}

/// Everything takes seconds; a busy machine may take many times as long.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);
/// It promises ten seconds.
const STOP_LIMIT: Duration = Duration::from_secs(10);
