//! The main job on real traffic: nginx with TLS before a small OPIN API, curl, and MOP observing.

mod data;
mod forwarding;
mod handover;
mod security;
mod stacks;

use std::{
    fmt,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use mop_tests::{
    Certificates, Exchange, Nginx, Observer, Process, Script, curl, curl_options, mop_command,
};
use rustix::process::Signal;

use crate::{
    build,
    setup::{self, UsedBy},
};

/// Options of `cargo xtask demo`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Options {
    /// How many consent journeys the client makes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    journeys: u32,
}

/// Runs the demonstration; an error unless every call was reported complete at every view.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure_parts(UsedBy::Tests)?;
    let binary = build::mop(true)?;
    if !rustix::process::geteuid().is_root() {
        bail!("loading kernel programs needs root: run it with sudo");
    }
    // MOP's core is another user: it must be able to pass.
    let folder = mop_tests::shared_folder()?;
    let certificates = Certificates::create(folder.path())?;

    let api = Script::serve("opin_api.py", [] as [&str; 0])?;
    let gateway = gateway(folder.path(), &certificates, api.port())?;
    println!("demo     OPIN API on 127.0.0.1:{}, plain HTTP", api.port());
    println!(
        "demo     nginx on 127.0.0.1:{}, TLS 1.2 with HTTP/1.1 and TLS 1.3 with HTTP/2, before it",
        gateway.port()
    );
    println!("demo     {} observe --output pretty", binary.display());
    println!();

    // One observer is for the reader, the other one, of the same traffic, for the verdict.
    let shown = Shown::start()?;
    let outbox = folder.path().join("outbox");
    let judged = Observer::builder().args(&["--outbox", &outbox.to_string_lossy()]).start()?;
    let mut statuses = Vec::new();
    for journey in 0..options.journeys {
        statuses.extend(make_journey(&certificates, gateway.port(), journey)?);
    }
    let views = View::all(gateway.port(), api.port());
    let expected = statuses.len() * views.len();
    let of_this_demo =
        |exchange: &Exchange| views.iter().any(|view| view.shows(exchange) && exchange.complete());
    // What is missing is said below, view by view.
    let _waited = judged.wait_for(expected, REPORT_LIMIT, of_this_demo);
    let observation = judged.stop()?;
    shown.stop()?;
    drop(gateway);
    drop(api);

    println!();
    println!("demo     {} calls were made and answered", statuses.len());
    let exchanges: Vec<Exchange> =
        observation.records.iter().filter_map(Exchange::from_record).collect();
    let mut wrong = Vec::new();
    statuses.sort_unstable();
    for view in &views {
        let seen: Vec<&Exchange> = exchanges.iter().filter(|one| view.shows(one)).collect();
        let mut complete: Vec<u64> =
            seen.iter().filter(|one| one.complete()).map(|one| one.status()).collect();
        complete.sort_unstable();
        println!("demo     {view}: {} exchanges, {} complete", seen.len(), complete.len());
        if complete != statuses || seen.len() != complete.len() {
            wrong.push(format!(
                "{view}: expected complete exchanges with statuses {statuses:?}, reported \
                 {complete:?} of {} seen",
                seen.len()
            ));
        }
    }
    let judged = &observation.summary["quality"];
    let count = |verdict: &str| judged[verdict].as_u64().unwrap_or(0);
    let (conforming, violating, hops) = (count("conforming"), count("violating"), count("hops"));
    println!(
        "demo     judged against the contracts: {conforming} conforming, {violating} violating; {hops} \
         further sightings of the same calls"
    );
    // Each call has two sides here, and each side reports it once; the rest are its hops.
    let sides = 2 * statuses.len();
    if conforming + violating != sides as u64 || hops != (expected - sides) as u64 {
        wrong.push(format!(
            "expected {sides} reports and {} hops, found {judged}",
            expected - sides
        ));
    }
    if !wrong.is_empty() {
        bail!("the report is not what was driven:\n  {}", wrong.join("\n  "));
    }
    println!(
        "demo     every call was reported once, complete, at each of the {} views",
        views.len()
    );
    println!();
    forwarding::show(folder.path())?;
    println!();
    data::show()?;
    println!();
    security::show()?;
    println!();
    stacks::show()?;
    println!();
    handover::show()
}

/// Where a call can be seen on its way.
#[derive(Debug)]
struct View {
    name: &'static str,
    role: &'static str,
    layer: &'static str,
    server_port: u16,
}

impl View {
    fn all(gateway: u16, api: u16) -> [Self; 4] {
        [
            Self { name: "curl", role: "client", layer: "tls", server_port: gateway },
            Self {
                name: "nginx, towards curl",
                role: "server",
                layer: "tls",
                server_port: gateway,
            },
            Self {
                name: "nginx, towards the API",
                role: "client",
                layer: "socket",
                server_port: api,
            },
            Self { name: "OPIN API", role: "server", layer: "socket", server_port: api },
        ]
    }

    fn shows(&self, exchange: &Exchange) -> bool {
        exchange.role() == self.role
            && exchange.layer() == self.layer
            && exchange.server_port() == u64::from(self.server_port)
    }
}

impl fmt::Display for View {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({}, {})", self.name, self.role, self.layer)
    }
}

/// The observer whose output the reader sees.
struct Shown {
    process: Process,
    echo: thread::JoinHandle<()>,
}

impl Shown {
    fn start() -> Result<Self> {
        let mut command = mop_command();
        command
            .args(["observe", "--output", "pretty", "--for", SHOWN_LIMIT])
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = Process::start("mop", &mut command)?;
        let messages = process.stderr().context("no standard error")?;
        let (observing, began) = mpsc::channel();
        let echo = thread::spawn(move || {
            for line in BufReader::new(messages).lines().map_while(Result::ok) {
                eprintln!("{line}");
                if line.starts_with("Observing") {
                    // Nobody waits any more when the start took too long.
                    let _told = observing.send(());
                }
            }
        });
        began.recv_timeout(START_LIMIT).context("mop observe did not begin to observe")?;
        Ok(Self { process, echo })
    }

    fn stop(mut self) -> Result<()> {
        self.process.signal(Signal::INT);
        let status = self.process.wait(START_LIMIT)?;
        let _echoed = self.echo.join();
        if !status.success() {
            bail!("mop observe ended with {status}");
        }
        Ok(())
    }
}

fn gateway(folder: &Path, certificates: &Certificates, api: u16) -> Result<Nginx> {
    Nginx::builder(folder)
        .http2()
        .tls(certificates)
        .http(&format!("upstream api {{ server 127.0.0.1:{api}; keepalive 8; }}\n"))
        .location(
            "/",
            "proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection '';",
        )
        .start()
}

/// One client asks for a consent, reads data under it and revokes it; the statuses it must get.
fn make_journey(certificates: &Certificates, port: u16, journey: u32) -> Result<Vec<u64>> {
    let base = format!("https://localhost:{port}/open-insurance");
    let consents = format!("{base}/consents/v3/consents");
    let version = if journey.is_multiple_of(2) { "1.3" } else { "1.2" };
    let mut steps = Steps::new(certificates, version, journey, 0);
    steps.post(&consents, VALID_CONSENT);
    let created = steps.finish(&[201])?;
    let created: serde_json::Value =
        serde_json::from_str(&created).context("the consent is not JSON")?;
    let consent = created["data"]["consentId"].as_str().context("the consent has no id")?;

    let mut steps = Steps::new(certificates, version, journey, 1);
    let then = [
        ("GET", format!("{consents}/{consent}")),
        ("GET", format!("{base}/resources/v3/resources?page=1&page-size=25")),
        ("GET", format!("{base}/customers/v2/personal/identifications")),
        ("GET", format!("{base}/insurance-auto/v1/insurance-auto")),
        ("GET", format!("{base}/insurance-auto/v1/insurance-auto/synthetic-unknown/policy-info")),
    ];
    for (method, url) in &then {
        steps.request(method, url);
    }
    steps.post(&consents, EXPIRED_CONSENT);
    steps.request("DELETE", &format!("{consents}/{consent}"));
    let statuses = [200, 200, 200, 200, 404, 422, 204];
    steps.finish(&statuses)?;
    Ok(std::iter::once(201).chain(statuses).collect())
}

/// Calls of one curl, on one connection.
struct Steps<'a> {
    certificates: &'a Certificates,
    version: &'static str,
    journey: u32,
    number: u32,
    command: Option<Command>,
}

impl<'a> Steps<'a> {
    fn new(
        certificates: &'a Certificates,
        version: &'static str,
        journey: u32,
        number: u32,
    ) -> Self {
        Self { certificates, version, journey, number, command: None }
    }

    fn post(&mut self, url: &str, body: &str) {
        self.request("POST", url).args([
            "--header",
            "content-type: application/json",
            "--data-binary",
            body,
        ]);
    }

    fn request(&mut self, method: &str, url: &str) -> &mut Command {
        let command = match self.command.take() {
            None => curl(self.certificates),
            // Every option holds up to the next call only.
            Some(mut command) => {
                command.arg("--next").args(curl_options(self.certificates));
                command
            }
        };
        let command = self.command.insert(command);
        let interaction = format!("00000000-0000-4000-8000-{:06}{:06}", self.journey, self.number);
        self.number += 1;
        command
            .args(["--tls-max", self.version, "--compressed", "--request", method])
            .arg(if self.version == "1.3" { "--http2" } else { "--http1.1" })
            .arg("--header")
            .arg(format!("x-fapi-interaction-id: {interaction}"))
            .args(["--header", "authorization: Bearer synthetic-token"])
            .args(["--write-out", "\\n%{http_code}\\n"])
            .arg(url)
    }

    /// Runs them; an error unless the statuses are these. Returns the first line of output.
    fn finish(self, expected: &[u64]) -> Result<String> {
        let mut command = self.command.context("no call to make")?;
        let output = mop_tests::run(&mut command, CALLS_LIMIT)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let statuses: Vec<u64> = text.lines().filter_map(|line| line.parse().ok()).collect();
        if statuses != expected {
            bail!("curl got statuses {statuses:?}, expected {expected:?}");
        }
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }
}

const VALID_CONSENT: &str = r#"{"data":{"loggedUser":{"document":{"identification":"00000000000","rel":"CPF"}},"permissions":["RESOURCES_READ","CUSTOMERS_PERSONAL_IDENTIFICATIONS_READ"],"expirationDateTime":"2099-12-31T00:00:00Z"}}"#;
const EXPIRED_CONSENT: &str = r#"{"data":{"loggedUser":{"document":{"identification":"00000000000","rel":"CPF"}},"permissions":["RESOURCES_READ"],"expirationDateTime":"2000-01-01T00:00:00Z"}}"#;
const START_LIMIT: Duration = Duration::from_secs(30);
const CALLS_LIMIT: Duration = Duration::from_secs(30);
const REPORT_LIMIT: Duration = Duration::from_secs(10);
/// The demonstration stops it long before; this bounds it when the demonstration is killed.
const SHOWN_LIMIT: &str = "120s";
