//! Runs of `mop` to their end, with what they printed and the most memory that they held.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use mop_tests::{Process, bound, mop_command, python};
use serde_json::Value;

use crate::{
    calls::{Call, Side},
    records,
};

/// A run of `mop` that has ended.
#[derive(Debug)]
pub(crate) struct Run {
    /// Exit code; 128 and more for a signal.
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    /// The most memory that was held, in bytes.
    pub(crate) peak_bytes: u64,
}

impl Run {
    /// Runs `mop` with these arguments and this file as its input.
    pub(crate) fn of<I>(arguments: I, input: Option<&Path>) -> Result<Self>
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let folder = tempfile::tempdir()?;
        let [stdout, stderr, peak] =
            ["stdout", "stderr", "peak"].map(|name| folder.path().join(name));
        let inner = mop_command();
        let mut command = bound(python());
        command.arg(fixture("quality_measure.py")).arg(&peak);
        command.arg(inner.get_program()).args(inner.get_args()).args(arguments);
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdout(File::create(&stdout)?).stderr(File::create(&stderr)?);
        match input {
            Some(path) => command.stdin(File::open(path)?),
            None => command.stdin(Stdio::null()),
        };
        let status = Process::start("mop", &mut command)?.wait(RUN_LIMIT)?;
        let run = Self {
            code: status.code().context("the measuring was killed")?,
            stdout: fs::read(&stdout)?,
            stderr: fs::read_to_string(&stderr)?,
            peak_bytes: fs::read_to_string(&peak)?.parse::<u64>()? << 10,
        };
        ensure!(run.code < 128, "ended by signal {}: {}", run.code - 128, run.stderr);
        for word in ["panicked", "internal error"] {
            ensure!(!run.stderr.contains(word), "{}", run.stderr);
        }
        Ok(run)
    }

    /// Replays calls and prints JSON lines.
    pub(crate) fn replay(calls: &[(&str, &Call)], options: &[&str]) -> Result<Self> {
        Self::replay_as("jsonl", calls, options)
    }

    /// Replays calls, each with its id.
    pub(crate) fn replay_as(
        output: &str,
        calls: &[(&str, &Call)],
        options: &[&str],
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("calls.exchanges.jsonl");
        let mut lines = Vec::new();
        for (id, call) in calls {
            serde_json::to_writer(&mut lines, &call.line(id))?;
            lines.push(b'\n');
        }
        fs::write(&file, &lines)?;
        drop(lines);
        let file = file.display().to_string();
        Self::of(["replay", &file, "--output", output].iter().chain(options), None)
    }

    /// Validates one message of a call and prints the result as JSON.
    pub(crate) fn validate(call: &Call, side: Side, options: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let body = folder.path().join("body");
        let part = call.part(side);
        fs::write(&body, &part.body)?;
        let mut arguments: Vec<String> =
            ["validate", "--method", &call.method, "--path", &call.target, "--direction"]
                .map(str::to_owned)
                .to_vec();
        match side {
            Side::Request => arguments.push("request".to_owned()),
            Side::Response => {
                arguments.extend(["response", "--status"].map(str::to_owned));
                arguments.push(call.status.to_string());
            }
        }
        for (name, value) in &part.headers {
            arguments.push("--header".to_owned());
            arguments.push(format!("{name}: {value}"));
        }
        arguments.extend(options.iter().map(|option| (*option).to_owned()));
        arguments.push(body.display().to_string());
        Self::of(arguments, None)
    }

    /// The records that it printed, one a line, each held against its schema.
    pub(crate) fn records(&self) -> Result<Vec<Value>> {
        let records = std::str::from_utf8(&self.stdout)?
            .lines()
            .map(serde_json::from_str)
            .collect::<serde_json::Result<Vec<Value>>>()?;
        records::hold_to_schemas(&records)?;
        Ok(records)
    }

    /// The one JSON document that it printed.
    pub(crate) fn document(&self) -> Result<Value> {
        serde_json::from_slice(&self.stdout).with_context(|| {
            format!("{} and {}", String::from_utf8_lossy(&self.stdout), self.stderr)
        })
    }

    /// It failed with this code and said why in one sentence.
    pub(crate) fn fails_with(&self, code: i32) -> Result<&str> {
        let message = self.stderr.trim();
        ensure!(self.code == code, "{} instead of {code}: {message}", self.code);
        ensure!(!message.is_empty(), "no message");
        // Errors of usage may add how it is used.
        ensure!(code == 2 || message.lines().count() == 1, "not one line: {message}");
        Ok(message)
    }
}

/// The path of a file of the `fixtures` folder.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// Far beyond what any run needs: one that hangs must fail.
const RUN_LIMIT: Duration = Duration::from_secs(180);
