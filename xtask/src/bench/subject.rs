//! What runs beside the load: nothing, empty probes, MOP, or a bpftrace script.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use mop_tests::{Process, bound, mop_binary};
use rustix::process::Signal;
use serde_json::Value;

use super::Cores;
use crate::shell;

/// What runs beside the load.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    /// A script that copies 199 bytes of every call, as quick diagnoses do.
    Bpftrace {
        /// The TLS library of the server.
        library: PathBuf,
    },
    /// Probes at the same sites as MOP's, whose programs return at once.
    EmptyProbes,
    /// The same programs at the entry and the return of each function.
    EmptyProbesAtEntries,
    /// The same, with metrics; its configuration.
    EmptyProbesTelling(PathBuf),
    Mop,
    /// Without modules and with metrics; its configuration.
    MopTelling(PathBuf),
    /// With the data module; its configuration.
    MopWithData(PathBuf),
    /// With all modules; the configuration of the data module.
    MopWithAll(PathBuf),
    /// With the security module.
    MopWithSecurity,
    Nothing,
    /// The tool of BCC that prints what passes a TLS library.
    Sslsniff(PathBuf),
}

/// A subject that has begun.
#[derive(Debug)]
pub(super) struct Running {
    process: Option<Process>,
    tail: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
    sums_up: bool,
}

/// What a process had used at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watched {
    pub(super) cpu: Duration,
    pub(super) memory_bytes: u64,
}

/// What MOP said at its end.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub(super) summary: Value,
    /// The end of what it printed, with the summary.
    pub(super) tail: String,
}

impl Subject {
    /// How figures name it.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Bpftrace { .. } => "bpftrace",
            Self::EmptyProbes | Self::EmptyProbesTelling(_) => "empty_probes",
            Self::EmptyProbesAtEntries => "empty_probes_at_entries",
            Self::Mop | Self::MopTelling(_) => "mop",
            Self::MopWithAll(_) => "mop_with_all_modules",
            Self::MopWithData(_) => "mop_with_data",
            Self::MopWithSecurity => "mop_with_security",
            Self::Nothing => "nothing",
            Self::Sslsniff(_) => "sslsniff",
        }
    }

    /// Starts it and waits until it is attached.
    pub(super) fn start(&self, cores: Cores) -> Result<Running> {
        let running = match self {
            Self::Nothing => {
                return Ok(Running {
                    process: None,
                    tail: Arc::default(),
                    readers: Vec::new(),
                    sums_up: false,
                });
            }
            Self::Mop => {
                let mut command = mop(cores);
                command.args(["observe", "--output", "jsonl", "--no-security"]);
                Running::start(&mut command, "Observing", true)?
            }
            Self::MopWithData(configuration) => {
                let mut command = mop(cores);
                command.args(["observe", "--output", "jsonl", "--no-security", "--config"]);
                command.arg(configuration);
                Running::start(&mut command, "Observing", true)?
            }
            Self::EmptyProbesTelling(configuration) => {
                let mut command = mop(cores);
                command.args(["observe", "--output", "jsonl", "--probes-only", "--config"]);
                Running::start(command.arg(configuration), "Observing", false)?
            }
            Self::MopTelling(configuration) => {
                let mut command = mop(cores);
                command.args(["observe", "--output", "jsonl", "--no-security", "--config"]);
                Running::start(command.arg(configuration), "Observing", true)?
            }
            Self::MopWithAll(configuration) => {
                let mut command = mop(cores);
                command.args(["observe", "--output", "jsonl", "--config"]).arg(configuration);
                Running::start(&mut command, "Observing", true)?
            }
            Self::Sslsniff(program) => {
                let mut command = on_core(program, cores);
                command.arg("--hexdump");
                // Its first line is a heading.
                Running::start(&mut command, "FUNC", false)?
            }
            Self::MopWithSecurity => {
                let mut command = mop(cores);
                command.args(["observe", "--output", "jsonl"]);
                Running::start(&mut command, "Observing", true)?
            }
            Self::EmptyProbesAtEntries => {
                let mut command = mop(cores);
                command.args(["observe", "--output", "jsonl", "--probes-only"]);
                Running::start(command.args(["--probe-sites", "entry"]), "Observing", false)?
            }
            Self::EmptyProbes => {
                let mut command = mop(cores);
                command.args(["observe", "--output", "jsonl", "--probes-only"]);
                Running::start(&mut command, "Observing", false)?
            }
            Self::Bpftrace { library } => {
                let mut command = on_core("bpftrace", cores);
                command
                    .arg("-e")
                    .arg(BPFTRACE_SCRIPT.replace("LIBRARY", &library.to_string_lossy()))
                    .env("BPFTRACE_STRLEN", "199");
                let running = Running::start(&mut command, "Attaching", false)?;
                // It says so before it attaches.
                thread::sleep(BPFTRACE_ATTACHES);
                running
            }
        };
        Ok(running)
    }
}

impl Running {
    fn start(command: &mut Command, sign: &'static str, sums_up: bool) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let name = format!("what shall say `{sign}`");
        let mut process = Process::start(&name, command)?;
        let stdout = process.stdout().context("no standard output")?;
        let stderr = process.stderr().context("no standard error")?;
        let tail = Arc::new(Mutex::new(Vec::new()));
        let (attached, begins) = mpsc::channel();
        let attached_too = attached.clone();
        let kept = Arc::clone(&tail);
        let records = thread::spawn(move || keep_tail(stdout, &kept, sign, &attached));
        let messages = thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if line.starts_with(sign) {
                    let _told = attached_too.send(());
                } else {
                    eprintln!("{line}");
                }
            }
        });
        begins.recv_timeout(START_LIMIT).with_context(|| format!("{name} did not attach"))?;
        Ok(Self { process: Some(process), tail, readers: vec![records, messages], sums_up })
    }

    /// What it has used so far.
    pub(super) fn watch(&self) -> Result<Watched> {
        match &self.process {
            Some(process) => {
                Ok(Watched { cpu: process.cpu_time()?, memory_bytes: process.memory_bytes()? })
            }
            None => Ok(Watched::default()),
        }
    }

    /// Stops it; the summary of MOP, when it makes one.
    pub(super) fn stop(mut self) -> Result<Option<Observed>> {
        let Some(mut process) = self.process.take() else { return Ok(None) };
        process.signal(Signal::INT);
        let status = process.wait(STOP_LIMIT)?;
        for reader in self.readers.drain(..) {
            reader.join().ok().context("a reader panicked")?;
        }
        if !status.success() {
            bail!("it ended with {status}");
        }
        if !self.sums_up {
            return Ok(None);
        }
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&tail);
        let last = text.lines().last().context("MOP printed nothing")?;
        let summary: Value = serde_json::from_str(last).context("the last line is not JSON")?;
        if summary["kind"] != "observe.summary" {
            bail!("the last record is not the summary: {summary}");
        }
        Ok(Some(Observed { summary, tail: text.into_owned() }))
    }
}

impl Observed {
    /// A number of the summary.
    pub(super) fn number(&self, pointer: &str) -> u64 {
        self.summary.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
    }
}

/// The TLS library that a process, or a child of it, has mapped.
pub(super) fn libssl_of(pid: u32) -> Result<PathBuf> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    maps.lines()
        .filter_map(|line| line.split_ascii_whitespace().nth(5))
        .find(|path| path.contains("/libssl.so"))
        .map(PathBuf::from)
        .context("nginx has no libssl mapped")
}

/// The tool of BCC, when it works here; else why it does not.
pub(super) fn sslsniff() -> Result<PathBuf, String> {
    let program = ["sslsniff-bpfcc", "sslsniff"].iter().find_map(|name| shell::which(name));
    let program = program.ok_or("bpfcc-tools is not installed")?;
    // It compiles its programs with the headers of the running kernel, which few machines have.
    let mut command = Command::new("timeout");
    command.args(["--signal=INT", "8"]).arg(&program).args(["--pid", "1"]);
    let output = command.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if String::from_utf8_lossy(&output.stdout).contains("FUNC") {
        return Ok(program);
    }
    Err(said.lines().last().unwrap_or("it does not start").to_owned())
}

fn mop(cores: Cores) -> Command {
    on_core(mop_binary(), cores)
}

/// In a session of its own, which is a CPU group on most machines, as a service and a container have one.
fn on_core(program: impl AsRef<OsStr>, cores: Cores) -> Command {
    let mut command = bound("setsid");
    if let Some(core) = cores.mop {
        command.args(["taskset", "-c"]).arg(core.to_string());
    }
    command.arg(program);
    command
}

/// Reads everything, keeps the end, and tells when the sign appears at the start.
fn keep_tail(mut input: impl Read, kept: &Mutex<Vec<u8>>, sign: &str, attached: &mpsc::Sender<()>) {
    let mut buffer = vec![0; 1 << 18];
    let mut told = false;
    while let Ok(read @ 1..) = input.read(&mut buffer) {
        let mut tail = kept.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend_from_slice(&buffer[..read]);
        if !told && tail.windows(sign.len()).any(|window| window == sign.as_bytes()) {
            told = true;
            let _told = attached.send(());
        }
        if tail.len() > 2 * TAIL_BYTES {
            // Nothing after so many bytes of output is a start.
            told = true;
            let surplus = tail.len() - TAIL_BYTES;
            tail.drain(..surplus);
        }
    }
}

const BPFTRACE_SCRIPT: &str = r#"
uprobe:LIBRARY:SSL_write, uprobe:LIBRARY:SSL_read { @buffer[tid] = arg1; }
uretprobe:LIBRARY:SSL_write, uretprobe:LIBRARY:SSL_read /@buffer[tid]/ {
    if ((int32)retval > 0) { printf("%r\n", buf(@buffer[tid], 199)); }
    delete(@buffer[tid]);
}
"#;
/// Longer than any summary.
const TAIL_BYTES: usize = 1 << 18;
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(60);
const BPFTRACE_ATTACHES: Duration = Duration::from_secs(2);
