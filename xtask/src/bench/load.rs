//! Load generators, and what nginx says it served.

use std::{process::Command, time::Duration};

use anyhow::{Context, Result, bail};
use mop_tests::Nginx;

use crate::shell;

/// Drives requests at one nginx from one core.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load<'a> {
    pub(super) nginx: &'a Nginx,
    pub(super) core: Option<u32>,
}

/// What a run reached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reached {
    pub(super) requests_per_second: f64,
}

impl Load<'_> {
    /// As fast as possible, by wrk.
    pub(super) fn run(&self, duration: Duration) -> Result<Reached> {
        let mut command = self.on_core("wrk");
        command
            .args(["--threads", "1", "--connections", &CONNECTIONS.to_string(), "--duration"])
            .arg(format!("{}s", duration.as_secs().max(1)))
            .arg(self.url());
        let text = shell::run_quietly(&mut command)?;
        for trouble in ["Non-2xx", "Socket errors"] {
            if text.contains(trouble) {
                bail!("wrk met errors: {text}");
            }
        }
        let requests_per_second = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("Requests/sec:"))
            .context("wrk reports no rate")?
            .trim()
            .parse()?;
        Ok(Reached { requests_per_second })
    }

    /// At a fixed rate, by hey.
    pub(super) fn run_paced(&self, per_second: u32, duration: Duration) -> Result<()> {
        let each = per_second / PACED_CONNECTIONS;
        let mut command = self.on_core("hey");
        command
            .args(["-c", &PACED_CONNECTIONS.to_string(), "-q", &each.to_string(), "-z"])
            .arg(format!("{}s", duration.as_secs()))
            .arg(self.url());
        let text = shell::run_quietly(&mut command)?;
        if text.contains("Error distribution") || !text.contains("[200]") {
            bail!("hey met errors: {text}");
        }
        Ok(())
    }

    fn on_core(&self, program: &str) -> Command {
        match self.core {
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["-c", &core.to_string(), program]);
                command
            }
            None => Command::new(program),
        }
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}/open-insurance/bench", self.nginx.port())
    }
}

/// How many requests nginx has answered since it began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Served(u64);

impl Served {
    /// Asks nginx; the question itself is counted.
    pub(super) fn now(nginx: &Nginx) -> Result<Self> {
        let url = format!("https://127.0.0.1:{}/served", nginx.port());
        let text = shell::run_quietly(Command::new("curl").args([
            "--disable",
            "--silent",
            "--insecure",
            "--http1.1",
            &url,
        ]))?;
        // The third line: accepted connections, handled ones, requests.
        let requests = text
            .lines()
            .nth(2)
            .and_then(|line| line.split_ascii_whitespace().nth(2))
            .context("nginx reports no count")?;
        Ok(Self(requests.parse()?))
    }

    /// Requests from the first question to the second, both included: MOP sees them as well.
    pub(super) fn since(&self, before: &Self) -> u64 {
        self.0.saturating_sub(before.0) + 1
    }
}

pub(super) const CONNECTIONS: u32 = 16;
/// Requests a second that must pass without any loss.
pub(super) const FIXED_RATE: u32 = 5000;
/// hey paces every connection by itself.
const PACED_CONNECTIONS: u32 = 50;
