//! The agent under test: `mop forward`, with records going in and promises coming out.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use mop_tests::{Process, mop_command};
use rustix::process::Signal;

use crate::records::{Records, Series};

/// What one round asked of all its agents, and what they promised.
#[derive(Clone, Debug)]
pub(crate) struct Promises(Arc<Mutex<State>>);

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) records: Records,
    pub(crate) acknowledged: Vec<String>,
    /// What the agents said to people.
    pub(crate) said: Vec<String>,
}

impl Promises {
    pub(crate) fn new(series: Series) -> Self {
        let state =
            State { records: Records::new(series), acknowledged: Vec::new(), said: Vec::new() };
        Self(Arc::new(Mutex::new(state)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // What a thread that panicked wrote is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How an agent is started.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) configuration: PathBuf,
    /// Where its clock is set, when it has one of its own.
    pub(crate) clock: Option<PathBuf>,
}

/// A running `mop forward`.
#[derive(Debug)]
pub(crate) struct Agent {
    process: Process,
    switch: Arc<Switch>,
    threads: Vec<JoinHandle<()>>,
    attempts_before: usize,
}

#[derive(Debug, Default)]
struct Switch {
    is_paused: AtomicBool,
    is_over: AtomicBool,
}

impl Agent {
    /// Starts it and begins to feed it.
    pub(crate) fn start(setup: &Setup, promises: &Promises) -> Result<Self> {
        let mut command = mop_command();
        command
            .args(["forward", "--acknowledge", "--drain-for", DRAIN_FOR, "--config"])
            .arg(&setup.configuration)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(clock) = &setup.clock {
            set_clock(&mut command, clock)?;
        }
        let attempts_before = promises.lock().records.attempts().len();
        let mut process = Process::start("mop forward", &mut command)?;
        let stdin = process.stdin().context("no standard input")?;
        let stdout = process.stdout().context("no standard output")?;
        let stderr = process.stderr().context("no standard error")?;
        let switch = Arc::new(Switch::default());
        let threads = vec![
            thread::spawn({
                let (switch, promises) = (Arc::clone(&switch), promises.clone());
                move || feed(stdin, &switch, &promises)
            }),
            read_lines(stdout, promises.clone(), |state, line| state.acknowledged.push(line)),
            read_lines(stderr, promises.clone(), |state, line| state.said.push(line)),
        ];
        Ok(Self { process, switch, threads, attempts_before })
    }

    /// Ends it as a crash does.
    pub(crate) fn kill9(mut self) -> Result<()> {
        self.process.signal(Signal::KILL);
        self.ended(END_LIMIT).map(drop)
    }

    /// Has it end in good order, under load; it has ten seconds.
    pub(crate) fn terminate(mut self) -> Result<()> {
        self.process.signal(Signal::TERM);
        let begin = Instant::now();
        let status = self.ended(END_LIMIT)?;
        ensure!(status.success(), "mop forward ended with {status} after SIGTERM");
        let took = begin.elapsed();
        ensure!(took < GRACE, "mop forward took {took:?} to end after SIGTERM");
        Ok(())
    }

    /// Gives it no more records and waits until it has forwarded all.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.switch.is_paused.store(false, Ordering::Release);
        self.switch.is_over.store(true, Ordering::Release);
        let status = self.ended(DRAIN_LIMIT)?;
        ensure!(status.success(), "mop forward ended with {status} after its last record");
        Ok(())
    }

    /// Gives it no records for a while, or goes on.
    pub(crate) fn pause(&self, is_paused: bool) {
        self.switch.is_paused.store(is_paused, Ordering::Release);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.running()
    }

    /// How many records had been attempted before it was started.
    pub(crate) fn attempts_before(&self) -> usize {
        self.attempts_before
    }

    fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let status = self.process.wait(limit);
        self.switch.is_over.store(true, Ordering::Release);
        if status.is_err() {
            // Its threads wait for it.
            self.process.signal(Signal::KILL);
        }
        for thread in self.threads.drain(..) {
            thread.join().ok().context("a thread of the agent panicked")?;
        }
        status
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.process.signal(Signal::KILL);
        let _ended = self.ended(END_LIMIT);
    }
}

/// Writes records until it is over or nobody reads them.
fn feed(mut stdin: impl Write, switch: &Switch, promises: &Promises) {
    while !switch.is_over.load(Ordering::Acquire) {
        if !switch.is_paused.load(Ordering::Acquire) {
            let lines: String = {
                let records = &mut promises.lock().records;
                (0..LINES_OF_A_STEP).map(|_| records.next_line()).collect()
            };
            if stdin.write_all(lines.as_bytes()).is_err() {
                return;
            }
        }
        thread::sleep(STEP);
    }
}

fn read_lines(
    input: impl Read + Send + 'static,
    promises: Promises,
    store: impl Fn(&mut State, String) + Send + 'static,
) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut input = BufReader::new(input);
        let mut line = String::new();
        // The last line of a process that was killed may be cut: it promises nothing.
        while input.read_line(&mut line).is_ok_and(|read| read > 0) && line.ends_with('\n') {
            store(&mut promises.lock(), line.trim_end().to_owned());
            line.clear();
        }
    })
}

/// Has the process take its time of day from a file, and its monotonic clock from the kernel: as when
/// somebody sets the clock of a machine.
fn set_clock(command: &mut std::process::Command, clock: &Path) -> Result<()> {
    let library = clock_library().context("libfaketime is not installed")?;
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", clock)
        .env("FAKETIME_CACHE_DURATION", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Ok(())
}

/// The library that fakes the time, where Debian puts it.
pub(crate) fn clock_library() -> Option<PathBuf> {
    let folders = ["/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime"];
    folders
        .map(|folder| Path::new(folder).join("libfaketimeMT.so.1"))
        .into_iter()
        .find(|library| library.is_file())
}

/// About two thousand records a second: a busy node, and room for the broker of a test.
const LINES_OF_A_STEP: usize = 10;
const STEP: Duration = Duration::from_millis(5);
/// What remains at the end of a round may have to wait for a broker that is starting.
const DRAIN_FOR: &str = "90s";
const DRAIN_LIMIT: Duration = Duration::from_secs(110);
/// An agent may take so long to end in good order.
const GRACE: Duration = Duration::from_secs(10);
const END_LIMIT: Duration = Duration::from_secs(30);
