//! Processes that end with their test.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::Read,
    path::PathBuf,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::Certificates;

/// A process that is told to end, then killed, when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts a program; make its command with [`bound`].
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child, name: name.to_owned() })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input, once, when it was asked for as a pipe.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Its standard output, once, when it was asked for as a pipe.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its standard error, once, when it was asked for as a pipe.
    pub fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Whether it has not ended yet.
    pub fn running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended already: not an error.
            let _sent = kill_process(pid, signal);
        }
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!("{} has not ended after {limit:?}", self.name);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Processes that it has started and that have not ended.
    #[must_use]
    pub fn children(&self) -> Vec<u32> {
        let own = self.pid().to_string();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|&pid| status_field(pid, "PPid:").is_ok_and(|parent| parent == own))
            .collect()
    }

    /// CPU time that it and its children have used, in user and kernel mode.
    pub fn cpu_time(&self) -> Result<Duration> {
        self.family().map(cpu_time_of).sum()
    }

    /// Memory that it and its children hold now, in bytes. What they share, such as the pages of their
    /// program, counts once.
    pub fn memory_bytes(&self) -> Result<u64> {
        self.family().map(proportional_kib).sum::<Result<u64>>().map(|kib| kib << 10)
    }

    /// The most memory that it and its children have held, in bytes.
    pub fn peak_resident_bytes(&self) -> Result<u64> {
        self.family().map(|pid| status_kib(pid, "VmHWM:")).sum::<Result<u64>>().map(|kib| kib << 10)
    }

    fn family(&self) -> impl Iterator<Item = u32> {
        std::iter::once(self.pid()).chain(self.children())
    }
}

/// A field of `/proc/PID/status`.
pub fn status_field(pid: u32, field: &str) -> Result<String> {
    field_of(&format!("/proc/{pid}/status"), field)
}

fn field_of(file: &str, field: &str) -> Result<String> {
    let text = fs::read_to_string(file)?;
    let value = text.lines().find_map(|line| line.strip_prefix(field));
    Ok(value.with_context(|| format!("no {field} in {file}"))?.trim().to_owned())
}

fn status_kib(pid: u32, field: &str) -> Result<u64> {
    kib(&status_field(pid, field)?)
}

fn proportional_kib(pid: u32) -> Result<u64> {
    kib(&field_of(&format!("/proc/{pid}/smaps_rollup"), "Pss:")?)
}

fn kib(text: &str) -> Result<u64> {
    Ok(text.trim_end_matches(" kB").trim().parse()?)
}

fn cpu_time_of(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name is in parentheses and may hold blanks; the state follows it.
    let after = stat.rsplit_once(')').context("no name in /proc/PID/stat")?.1;
    let mut ticks = after.split_ascii_whitespace().skip(11);
    let user: u64 = ticks.next().context("no user time")?.parse()?;
    let kernel: u64 = ticks.next().context("no kernel time")?.parse()?;
    Ok(Duration::from_millis((user + kernel) * MS_PER_TICK))
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.running() {
            return;
        }
        self.signal(Signal::TERM);
        if self.wait(END_LIMIT).is_err() {
            let _killed = self.child.kill();
            let _ended = self.child.wait();
        }
    }
}

/// A command that also ends when the thread that starts it ends, so that nothing outlives a test
/// that is killed.
#[must_use]
pub fn bound(program: impl AsRef<OsStr>) -> Command {
    bound_by("TERM", program)
}

/// As [`bound`], with the signal that tells it to end.
pub(crate) fn bound_by(signal: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(BINDER);
    command.args(["--pdeathsig", signal, "--"]).arg(program);
    command
}

/// Runs a program to its end; an error with its output unless it succeeds in time.
pub fn run(command: &mut Command, limit: Duration) -> Result<Output> {
    let name = program_of(command);
    let mut answers = tempfile::tempfile().context("no temporary file")?;
    let mut errors = tempfile::tempfile().context("no temporary file")?;
    command.stdin(Stdio::null()).stdout(answers.try_clone()?).stderr(errors.try_clone()?);
    let mut process = Process::start(&name, command)?;
    let status = process.wait(limit)?;
    let output = Output { status, stdout: content(&mut answers)?, stderr: content(&mut errors)? };
    if !status.success() {
        bail!("{name} failed ({status}): {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output)
}

/// A curl with [`curl_options`].
#[must_use]
pub fn curl(certificates: &Certificates) -> Command {
    let mut command = bound("curl");
    command.arg("--disable").args(curl_options(certificates));
    command
}

/// Options of one call: trusts the authority of the tests, says errors, gives up in time. Each
/// call after `--next` needs them again.
#[must_use]
pub fn curl_options(certificates: &Certificates) -> Vec<OsString> {
    let mut options: Vec<OsString> = [
        "--silent",
        "--show-error",
        "--http1.1",
        "--noproxy",
        "*",
        "--max-time",
        "120",
        "--cacert",
    ]
    .map(OsString::from)
    .to_vec();
    options.push(certificates.authority().into_os_string());
    options
}

/// The path of a program, also of one in a system folder.
#[must_use]
pub fn tool(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// The program that a command is about.
fn program_of(command: &Command) -> String {
    let program = if command.get_program() == BINDER {
        command.get_args().nth(BINDER_OPTIONS).unwrap_or_default()
    } else {
        command.get_program()
    };
    program.to_string_lossy().into_owned()
}

fn content(file: &mut File) -> Result<Vec<u8>> {
    use std::io::Seek;
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// nginx and node end within some tens of milliseconds.
const END_LIMIT: Duration = Duration::from_secs(3);
/// `USER_HZ` is 100 on every Linux architecture that MOP runs on.
const MS_PER_TICK: u64 = 10;
/// Has the kernel end a process together with the thread that started it.
const BINDER: &str = "setpriv";
/// Arguments of it before the program.
const BINDER_OPTIONS: usize = 3;
