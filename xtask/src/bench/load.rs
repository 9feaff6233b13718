//! Load generators, and what nginx says it served.

use std::{fs, path::Path, process::Command, time::Duration};

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
        let mut command = on_core("wrk", self.core);
        command
            .args(["--threads", "1", "--connections", &CONNECTIONS.to_string(), "--duration"])
            .arg(format!("{}s", duration.as_secs().max(1)))
            .arg(self.url());
        reached(&shell::run_quietly(&mut command)?)
    }

    /// At a fixed rate, by hey.
    pub(super) fn run_paced(&self, per_second: u32, duration: Duration) -> Result<()> {
        let each = per_second / PACED_CONNECTIONS;
        let mut command = on_core("hey", self.core);
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

    /// About [`FIXED_RATE`] calls a second to an interface of the ecosystem, each another one, by wrk.
    pub(super) fn run_ecosystem(&self, folder: &Path, duration: Duration) -> Result<Reached> {
        let script = folder.join("ecosystem.lua");
        fs::write(&script, ECOSYSTEM)?;
        let mut command = on_core("wrk", self.core);
        command
            .args(["--threads", "1", "--connections", &PACED_CONNECTIONS.to_string()])
            .args(["--duration", &format!("{}s", duration.as_secs().max(1)), "--script"])
            .arg(script)
            .arg(format!("https://127.0.0.1:{}/", self.nginx.port()));
        reached(&shell::run_quietly(&mut command)?)
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}/open-insurance/bench", self.nginx.port())
    }
}

/// A load generator, on this core.
pub(super) fn on_core(program: &str, core: Option<u32>) -> Command {
    match core {
        Some(core) => {
            let mut command = Command::new("taskset");
            command.args(["-c", &core.to_string(), program]);
            command
        }
        None => Command::new(program),
    }
}

/// What wrk says.
fn reached(text: &str) -> Result<Reached> {
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
/// Each connection pauses for 10 ms between two calls.
const ECOSYSTEM: &str = r#"
local number = 0
request = function()
  number = number + 1
  wrk.headers["Host"] = "api.seguradora.example"
  wrk.headers["Authorization"] = "Bearer token-of-a-client"
  wrk.headers["X-Client-Subject"] =
    "UID=0c0b0000-0000-4000-8000-00000000000c,organizationIdentifier=OPIBR-0c0a0000-0000-4000-8000-00000000000c,CN=x"
  wrk.headers["x-fapi-interaction-id"] = string.format("00000000-0000-4000-8000-%012x", number)
  return wrk.format("GET", "/open-insurance/consents/v3/consents/urn:seguradora:" .. number)
end
delay = function() return 10 end
"#;
/// hey paces every connection by itself.
const PACED_CONNECTIONS: u32 = 50;
