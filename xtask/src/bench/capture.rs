//! What capture costs the observed server, by the size of bodies, the version of HTTP and the number of
//! connections; with nothing, empty probes, MOP and other tools in one run.
//!
//! Two arrangements. *In band*: server and load share one core, and whatever observes has the other
//! one, so that what is measured is the time that observing takes from the server itself. *Unpinned*:
//! nobody has a core of its own, and MOP has all modules on, so that all of its work counts.

use std::{fs, path::Path, process::Command, thread, time::Duration};

use anyhow::{Context, Result, bail};
use mop_tests::{Body, Certificates, Nginx};
use serde_json::{Value, json};

use super::{
    Cores,
    load::{Served, on_core},
    modules,
    report::{Report, median},
    rounded, share, sites,
    subject::{self, Subject, libssl_of},
};
use crate::shell;

/// Runs both arrangements.
pub(super) fn run(quick: bool, rounds: u32) -> Result<()> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let certificates = Certificates::create(folder.path())?;
    for bytes in SIZES {
        Body::write(folder.path(), &file_name(bytes), bytes)?;
    }
    let cell = Duration::from_secs(if quick { 1 } else { 3 });
    let rounds = if quick { 1 } else { rounds };
    for arrangement in [Arrangement::InBand, Arrangement::Unpinned] {
        let cores = arrangement.take()?;
        let nginx = server(folder.path(), &certificates, cores)?;
        if arrangement == Arrangement::InBand {
            share::run(folder.path(), &nginx, cores, rounds)?;
            sites::run(folder.path(), cores, rounds, quick)?;
        }
        let stage = Stage { folder: folder.path(), nginx, cores, arrangement, cell, rounds };
        stage.measure()?;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrangement {
    InBand,
    Unpinned,
}

/// One server under one kind of load after the other.
struct Stage<'a> {
    folder: &'a Path,
    nginx: Nginx,
    cores: Cores,
    arrangement: Arrangement,
    cell: Duration,
    rounds: u32,
}

/// One kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    bytes: u64,
    is_http2: bool,
    connections: u32,
}

/// What was reached with one subject, a value for each round.
#[derive(Clone, Debug, Default)]
struct Reached {
    requests_per_second: Vec<f64>,
    median_us: Vec<f64>,
    p99_us: Vec<f64>,
}

impl Arrangement {
    const fn name(self) -> &'static str {
        match self {
            Self::InBand => "in_band",
            Self::Unpinned => "unpinned",
        }
    }

    /// Binds this program, and with it what it starts without a core of its own.
    fn take(self) -> Result<Cores> {
        let all =
            thread::available_parallelism().map_or(1, usize::from).max(cores_of_the_machine());
        let cores = match self {
            Self::InBand if all > 1 => Cores { all, load: Some(0), mop: Some(1) },
            Self::InBand | Self::Unpinned => Cores { all, load: None, mop: None },
        };
        let mut set = rustix::thread::CpuSet::new();
        for core in 0..all {
            if cores.mop.is_none_or(|mop| mop as usize == core) {
                set.set(core);
            }
        }
        rustix::thread::sched_setaffinity(None, &set).context("cannot choose a core")?;
        Ok(cores)
    }

    fn shapes(self) -> Vec<Shape> {
        let sizes: &[u64] = match self {
            Self::InBand => &SIZES,
            Self::Unpinned => &[2 << 10, 256 << 10],
        };
        let of = |bytes: &u64| {
            [(false, 1), (false, MANY), (true, 1), (true, MANY)]
                .map(|(is_http2, connections)| Shape { bytes: *bytes, is_http2, connections })
        };
        sizes.iter().flat_map(of).collect()
    }

    fn subjects(self, folder: &Path, nginx: &Nginx) -> Result<Vec<Subject>> {
        let mut subjects = vec![Subject::Nothing, Subject::EmptyProbes];
        subjects.push(match self {
            Self::InBand => Subject::Mop,
            Self::Unpinned => {
                let configuration = folder.join("all-modules.toml");
                fs::write(&configuration, modules::CONFIGURATION)?;
                Subject::MopWithAll(configuration)
            }
        });
        let library = libssl_of(nginx.pid())?;
        if shell::which("bpftrace").is_some() {
            subjects.push(Subject::Bpftrace { library });
        } else {
            skipped("bpftrace", "bpftrace is not installed");
        }
        match subject::sslsniff() {
            Ok(program) => subjects.push(Subject::Sslsniff(program)),
            Err(reason) => skipped("sslsniff", &reason),
        }
        Ok(subjects)
    }
}

impl Stage<'_> {
    fn measure(&self) -> Result<()> {
        let subjects = self.arrangement.subjects(self.folder, &self.nginx)?;
        let shapes = self.arrangement.shapes();
        let mut reached = vec![vec![Reached::default(); shapes.len()]; subjects.len()];
        // The first calls after a start are slower than all others.
        self.load(Shape { bytes: 2 << 10, is_http2: false, connections: MANY })?;
        for round in 0..self.rounds as usize {
            for step in 0..subjects.len() {
                // Each round begins with another subject.
                let number = (round + step) % subjects.len();
                let (Some(subject), Some(reached)) =
                    (subjects.get(number), reached.get_mut(number))
                else {
                    continue;
                };
                self.round(subject, &shapes, reached)?;
            }
        }
        for (at, shape) in shapes.iter().enumerate() {
            let of_shape: Vec<_> = reached.iter().filter_map(|of| of.get(at)).collect();
            self.report(*shape, &subjects, &of_shape);
        }
        Ok(())
    }

    /// Every shape once beside one subject.
    fn round(&self, subject: &Subject, shapes: &[Shape], reached: &mut [Reached]) -> Result<()> {
        let running = subject.start(self.cores)?;
        let served = Served::now(&self.nginx)?;
        let before = running.watch()?;
        for (shape, reached) in shapes.iter().zip(reached) {
            let (rate, median_us, p99_us) = self
                .load(*shape)
                .with_context(|| format!("{shape:?} beside {}", subject.name()))?;
            reached.requests_per_second.push(rate);
            reached.median_us.push(median_us);
            reached.p99_us.push(p99_us);
        }
        let after = running.watch()?;
        let served = Served::now(&self.nginx)?.since(&served);
        let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
        let observed = running.stop()?;
        Report.line(&json!({
            "figure": "capture_cost", "arrangement": self.arrangement.name(),
            "subject": subject.name(), "cpu_s": rounded(cpu), "served": served,
            "cpu_us_per_request": rounded(cpu * 1e6 / served.max(1) as f64),
            "memory_mib": after.memory_bytes >> 20,
        }));
        if let Some(observed) = observed {
            Report.completeness("capture_completeness", &observed, served);
        }
        Ok(())
    }

    fn report(&self, shape: Shape, subjects: &[Subject], reached: &[&Reached]) {
        let of = |number: usize, of: fn(&Reached) -> &Vec<f64>| {
            reached.get(number).map_or(f64::NAN, |reached| median(of(reached)))
        };
        let rate = |number| of(number, |reached| &reached.requests_per_second);
        let half = |number| of(number, |reached| &reached.median_us);
        let p99 = |number| of(number, |reached| &reached.p99_us);
        let described = |figure: &str| -> Value {
            json!({
                "figure": figure, "arrangement": self.arrangement.name(), "bytes": shape.bytes,
                "http": if shape.is_http2 { 2 } else { 1 }, "connections": shape.connections,
            })
        };
        for (number, subject) in subjects.iter().enumerate() {
            let mut line = described("capture");
            line["subject"] = json!(subject.name());
            line["requests_per_s"] = json!(rounded(rate(number)));
            line["each_round"] = json!(reached.get(number).map(|it| &it.requests_per_second));
            line["added_median_us"] = json!(rounded(half(number) - half(NOTHING)));
            line["added_p99_us"] = json!(rounded(p99(number) - p99(NOTHING)));
            Report.line(&line);
        }
        let rates = |number: usize| reached.get(number).map(|it| it.requests_per_second.as_slice());
        let ratio = |of, to| {
            let (of, to) = (rates(of).unwrap_or_default(), rates(to).unwrap_or_default());
            json!(rounded(median_of_ratios(of, to)))
        };
        let mut line = described("capture_ratio");
        line["empty_probes_to_nothing"] = ratio(EMPTY_PROBES, NOTHING);
        line["mop_to_empty_probes"] = ratio(MOP, EMPTY_PROBES);
        for (number, subject) in subjects.iter().enumerate().skip(MOP + 1) {
            line[format!("mop_to_{}", subject.name())] = ratio(MOP, number);
        }
        Report.line(&line);
    }

    /// Requests a second, and the median and the 99th percentile of their time in microseconds.
    fn load(&self, shape: Shape) -> Result<(f64, f64, f64)> {
        let url = format!("https://localhost:{}/{}", self.nginx.port(), file_name(shape.bytes));
        let connections = shape.connections.to_string();
        let seconds = self.cell.as_secs();
        if !shape.is_http2 {
            let mut command = on_core("wrk", self.cores.load);
            command.args(["--latency", "--threads", "1", "--connections", &connections]);
            command.args(["--duration", &format!("{seconds}s"), &url]);
            return wrk(&shell::run_quietly(&mut command)?);
        }
        let log = self.folder.join("h2load.log");
        // It adds to a file that is there.
        let _none = fs::remove_file(&log);
        let mut command: Command = on_core("h2load", self.cores.load);
        command.args(["--threads=1", "--max-concurrent-streams=4", "--clients", &connections]);
        command.arg(format!("--duration={seconds}")).arg(format!("--log-file={}", log.display()));
        let text = shell::run_quietly(command.arg(&url))?;
        h2load(&text, &fs::read_to_string(&log).context("h2load wrote no log")?)
    }
}

fn server(folder: &Path, certificates: &Certificates, cores: Cores) -> Result<Nginx> {
    let mut nginx = Nginx::builder(folder)
        .tls(certificates)
        .http2()
        .location("/", &format!("root {}; sendfile off;", folder.display()))
        .location("= /served", "stub_status;");
    if let Some(core) = cores.load {
        nginx = nginx.cpu(core);
    }
    nginx.start()
}

/// What wrk says: `50%  1.23ms`, and `Requests/sec:`.
fn wrk(text: &str) -> Result<(f64, f64, f64)> {
    for trouble in ["Non-2xx", "Socket errors"] {
        if text.contains(trouble) {
            bail!("wrk met errors: {text}");
        }
    }
    let after = |name: &str| {
        let found = text.lines().find_map(|line| line.trim().strip_prefix(name));
        found.map(str::trim).with_context(|| format!("wrk says nothing of {name}: {text}"))
    };
    let rate = after("Requests/sec:")?.parse().context("no number")?;
    Ok((rate, microseconds(after("50%")?)?, microseconds(after("99%")?)?))
}

/// `1.23ms`, `456.00us` or `1.2s`.
fn microseconds(text: &str) -> Result<f64> {
    for (unit, factor) in [("us", 1.0), ("ms", 1e3), ("s", 1e6)] {
        if let Some(number) = text.strip_suffix(unit)
            && let Ok(number) = number.parse::<f64>()
        {
            return Ok(number * factor);
        }
    }
    bail!("{text} is no time")
}

/// What h2load says: `finished in 3.00s, 1234.50 req/s, …`, and a line for each request in its log:
/// start in microseconds, status, microseconds.
fn h2load(text: &str, log: &str) -> Result<(f64, f64, f64)> {
    let finished = text.lines().find_map(|line| line.strip_prefix("finished in "));
    let rate =
        finished.and_then(|line| line.split(", ").nth(1)?.strip_suffix(" req/s")?.parse().ok());
    let rate = rate.with_context(|| format!("h2load reports no rate: {text}"))?;
    let mut times = Vec::new();
    for line in log.lines() {
        let mut fields = line.split('\t').skip(1);
        let (status, time) = (fields.next(), fields.next().and_then(|time| time.parse().ok()));
        match (status, time) {
            (Some("200"), Some(time)) => times.push(time),
            _ => bail!("h2load met {line}"),
        }
    }
    times.sort_by(f64::total_cmp);
    let percentile = |percent: usize| times.get(times.len() * percent / 100).copied();
    let half = percentile(50).context("h2load made no request")?;
    Ok((rate, half, percentile(99).unwrap_or(half)))
}

/// The median of what was reached in each round, by what the other subject reached in the same one: a
/// machine that others share is fast in one minute and slow in the next.
fn median_of_ratios(of: &[f64], to: &[f64]) -> f64 {
    median(&of.iter().zip(to).map(|(of, to)| of / to).collect::<Vec<_>>())
}

fn skipped(subject: &str, reason: &str) {
    Report.line(&json!({ "figure": "capture", "subject": subject, "skipped": reason }));
}

fn file_name(bytes: u64) -> String {
    format!("body-{bytes}")
}

/// Cores of the machine, however this program is bound at the moment.
fn cores_of_the_machine() -> usize {
    let text = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let last = text.trim().rsplit(['-', ',']).next().and_then(|last| last.parse::<usize>().ok());
    last.map_or(1, |last| last + 1)
}

const SIZES: [u64; 5] = [256, 2 << 10, 16 << 10, 256 << 10, 4 << 20];
/// Many connections; the other case is one.
const MANY: u32 = 32;
/// Places of the subjects that are always there.
const NOTHING: usize = 0;
const EMPTY_PROBES: usize = 1;
const MOP: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_on_a_slow_machine_changes_no_ratio() {
        assert!((median_of_ratios(&[90.0, 45.0, 88.0], &[100.0, 50.0, 100.0]) - 0.9).abs() < 1e-9);
    }

    #[test]
    fn what_load_generators_say_is_read() {
        let text = "  Latency Distribution\n     50%    1.50ms\n     75%    2.00ms\n     90%    3.00ms\n     \
                    99%    4.25ms\n  100 requests in 1.00s\nRequests/sec:   1234.50\n";
        assert_eq!(wrk(text).expect("read"), (1234.5, 1500.0, 4250.0));
        assert!(wrk(&format!("{text}  Non-2xx or 3xx responses: 3\n")).is_err());
        let text = "finished in 1.00s, 20.00 req/s, 1.00MB/s\n";
        let log = "1\t200\t10\n2\t200\t30\n3\t200\t20\n";
        assert_eq!(h2load(text, log).expect("read"), (20.0, 20.0, 30.0));
        assert!(h2load(text, "1\t500\t10\n").is_err());
    }
}
