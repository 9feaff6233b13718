//! MOP itself, observing while a test drives traffic.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::Value;

use crate::{Exchange, Process, bound};

/// A running `mop observe --output jsonl`; it ends when this is dropped.
#[derive(Debug)]
pub struct Observer {
    process: Process,
    shared: Arc<Shared>,
    readers: Vec<JoinHandle<()>>,
}

/// Options of `mop observe`.
#[derive(Debug)]
pub struct ObserverBuilder {
    command: Command,
}

/// What was observed from start to stop.
#[derive(Debug)]
pub struct Observation {
    /// Every record, in order of arrival, without the summary.
    pub records: Vec<Value>,
    /// When each of them was read.
    pub arrivals: Vec<SystemTime>,
    /// The last record, of kind `observe.summary`.
    pub summary: Value,
    /// What was written to standard error.
    pub messages: String,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    records: Vec<Value>,
    arrivals: Vec<SystemTime>,
    messages: Vec<String>,
    outputs_ended: u32,
}

impl Observer {
    /// Starts it with the default path prefix and digests of bodies.
    pub fn start() -> Result<Self> {
        Self::builder().start()
    }

    /// Begins with the options of [`Observer::start`].
    #[must_use]
    pub fn builder() -> ObserverBuilder {
        let mut command = mop_command();
        command.args(["observe", "--output", "jsonl", "--body-digest"]);
        ObserverBuilder { command }
    }

    /// The process of MOP.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The process of MOP, to wait for its end.
    pub fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Process id of the core: the process of MOP that has no rights and does the work.
    pub fn core(&self) -> Result<u32> {
        match self.process.children().as_slice() {
            [core] => Ok(*core),
            others => bail!("MOP has {} children and not one", others.len()),
        }
    }

    /// Waits until this many exchanges satisfy the condition.
    pub fn wait_for(
        &self,
        count: usize,
        limit: Duration,
        condition: impl Fn(&Exchange) -> bool,
    ) -> Result<Vec<Exchange>> {
        let deadline = Instant::now() + limit;
        let mut state = self.shared.lock();
        let mut seen = 0;
        let mut found = Vec::new();
        loop {
            for record in state.records.iter().skip(seen) {
                found.extend(Exchange::from_record(record).filter(|exchange| condition(exchange)));
            }
            seen = state.records.len();
            if found.len() >= count {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.outputs_ended > 0 {
                let others = state.records.iter().filter_map(Exchange::from_record).count();
                bail!(
                    "{} of {count} exchanges were reported within {limit:?} ({others} in all); \
                     MOP said: {}",
                    found.len(),
                    state.messages.join(" | ")
                );
            }
            state = self.shared.wait(state, left);
        }
    }

    /// Waits until this many exchanges satisfy the condition, or no further one comes: at full speed on
    /// a busy machine some may be lost, which [`crate::accounted`] looks at.
    pub fn wait_for_most(&self, count: usize, condition: impl Fn(&Exchange) -> bool) {
        let (mut seen, mut found) = (0, 0);
        let mut last = Instant::now();
        let mut state = self.shared.lock();
        while found < count && last.elapsed() < QUIET && state.outputs_ended == 0 {
            let new = state.records.iter().skip(seen).filter_map(Exchange::from_record);
            let new = new.filter(|exchange| condition(exchange)).count();
            seen = state.records.len();
            if new > 0 {
                found += new;
                last = Instant::now();
                continue;
            }
            state = self.shared.wait(state, QUIET);
        }
    }

    /// Waits until a record satisfies the condition, and returns the first that does.
    pub fn wait_for_record(
        &self,
        what: &str,
        limit: Duration,
        condition: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        self.wait_until(what, limit, |state| {
            state.records.iter().find(|record| condition(record)).cloned()
        })
    }

    /// Waits until MOP has said so many lines with this text, and returns the last of them.
    pub fn wait_for_message(&self, text: &str, count: usize, limit: Duration) -> Result<String> {
        self.wait_until(text, limit, |state| {
            let mut lines = state.messages.iter().filter(|line| line.contains(text));
            lines.nth(count.saturating_sub(1)).cloned()
        })
    }

    /// Stops it as a user would, by SIGINT, and returns all that it reported.
    pub fn stop(mut self) -> Result<Observation> {
        self.process.signal(Signal::INT);
        self.finish()
    }

    /// Waits until it ends by itself, for `--for`.
    pub fn finish(&mut self) -> Result<Observation> {
        let status = self.process.wait(STOP_LIMIT)?;
        for reader in self.readers.drain(..) {
            reader.join().ok().context("a reader of MOP's output panicked")?;
        }
        let mut state = self.shared.lock();
        let mut records = std::mem::take(&mut state.records);
        let mut arrivals = std::mem::take(&mut state.arrivals);
        let messages = state.messages.join("\n");
        if !status.success() {
            bail!("mop observe ended with {status}: {messages}");
        }
        let summary = records.pop().unwrap_or(Value::Null);
        arrivals.truncate(records.len());
        if summary["kind"] != "observe.summary" {
            bail!("the last record is not the summary: {summary}; MOP said: {messages}");
        }
        Ok(Observation { records, arrivals, summary, messages })
    }
}

impl ObserverBuilder {
    /// Adds an option.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds several options.
    #[must_use]
    pub fn args(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Lets it run as `nobody`, with these capabilities and no others.
    #[must_use]
    pub fn as_nobody_with(self, capabilities: &[&str]) -> Self {
        let set = capabilities.iter().fold("-all".to_owned(), |set, one| set + ",+" + one);
        let mut command = Command::new("setpriv");
        command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
        for sets in ["--bounding-set", "--inh-caps", "--ambient-caps"] {
            command.arg(sets).arg(&set);
        }
        // Behind all changes of rights, which would make the kernel forget it.
        command.args(["--pdeathsig", "TERM", "--"]);
        self.started_by(command)
    }

    /// Lets it run in a session of its own, which is a CPU group of its own where sessions are groups.
    #[must_use]
    pub fn in_its_own_session(self) -> Self {
        self.started_by(bound("setsid"))
    }

    /// Lets it run in a group of processes, by the folder of that.
    #[must_use]
    pub fn in_cgroup(self, folder: &Path) -> Self {
        let mut command = bound("sh");
        let script = format!("echo $$ > '{}/cgroup.procs' && exec \"$@\"", folder.display());
        command.args(["-c", &script, "sh"]);
        self.started_by(command)
    }

    /// The same program with the same arguments, as the last ones of another command.
    fn started_by(mut self, mut command: Command) -> Self {
        command.args(self.command.get_args().skip_while(|it| *it != "--").skip(1));
        for (name, _) in self.command.get_envs().filter(|(_, value)| value.is_none()) {
            command.env_remove(name);
        }
        self.command = command;
        self
    }

    /// Starts it and waits for nothing.
    pub fn spawn(mut self) -> Result<Child> {
        self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        self.command.spawn().context("cannot start mop")
    }

    /// Starts it and waits until every probe is attached.
    pub fn start(mut self) -> Result<Observer> {
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::start("mop", &mut self.command)?;
        let shared = Arc::new(Shared::default());
        let stdout = process.stdout().context("no standard output")?;
        let stderr = process.stderr().context("no standard error")?;
        let records = read_lines(stdout, Arc::clone(&shared), |state, line| {
            match serde_json::from_str(&line) {
                Ok(record) => {
                    state.records.push(record);
                    state.arrivals.push(SystemTime::now());
                }
                Err(error) => state.messages.push(format!("not JSON ({error}): {line}")),
            }
        });
        let messages =
            read_lines(stderr, Arc::clone(&shared), |state, line| state.messages.push(line));
        let observer = Observer { process, shared, readers: vec![records, messages] };
        observer.wait_until_observing()?;
        Ok(observer)
    }
}

impl Observer {
    fn wait_until_observing(&self) -> Result<()> {
        self.wait_until("observation", START_LIMIT, |state| {
            state.messages.iter().any(|line| line.starts_with("Observing")).then_some(())
        })
    }

    /// Waits until something is found in what was reported so far.
    fn wait_until<T>(
        &self,
        what: &str,
        limit: Duration,
        find: impl Fn(&State) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + limit;
        let mut state = self.shared.lock();
        loop {
            if let Some(found) = find(&state) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.outputs_ended == 2 {
                let said = state.messages.join(" | ");
                bail!("no {what} within {limit:?}; MOP said: {said}");
            }
            state = self.shared.wait(state, left);
        }
    }
}

impl Observation {
    /// The exchanges whose target begins so.
    #[must_use]
    pub fn exchanges(&self, target_prefix: &str) -> Vec<Exchange> {
        self.records
            .iter()
            .filter_map(Exchange::from_record)
            .filter(|exchange| exchange.target().starts_with(target_prefix))
            .collect()
    }

    /// A number of the summary.
    #[must_use]
    pub fn number(&self, pointer: &str) -> u64 {
        self.summary.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
    }

    /// What MOP says to have lost between the kernel and the decoders. With 0, nothing may be missing.
    #[must_use]
    pub fn lost(&self) -> u64 {
        LOSSES.into_iter().map(|counter| self.number(counter)).sum()
    }

    /// A counter of the kernel programs.
    #[must_use]
    pub fn kernel(&self, counter: &str) -> u64 {
        self.number(&format!("/kernel/{counter}"))
    }
}

impl Shared {
    /// Waits until something changed, at most this long.
    fn wait<'a>(&'a self, state: MutexGuard<'a, State>, limit: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, limit);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A reader that panicked leaves whole lines behind: they are still worth reading.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The binary under test: `MOP_BINARY`, or what cargo built beside this test.
#[must_use]
pub fn mop_binary() -> PathBuf {
    if let Some(path) = std::env::var_os("MOP_BINARY") {
        return PathBuf::from(path);
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace.join("target"), |folder| workspace.join(folder));
    let release = target.join("release/mop");
    if release.is_file() { release } else { target.join("debug/mop") }
}

/// `mop`, without what a developer's environment would change.
#[must_use]
pub fn mop_command() -> Command {
    let mut command = bound(mop_binary());
    for (name, _) in std::env::vars_os() {
        let is_option = name.to_str().is_some_and(|name| {
            name.starts_with("MOP_") && !matches!(name, "MOP_BINARY" | "MOP_SKIPPED_TESTS")
        });
        if is_option {
            command.env_remove(&name);
        }
    }
    command
}

fn read_lines(
    input: impl std::io::Read + Send + 'static,
    shared: Arc<Shared>,
    store: impl Fn(&mut State, String) + Send + 'static,
) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::with_capacity(1 << 20, input).lines().map_while(Result::ok) {
            store(&mut shared.lock(), line);
            shared.changed.notify_all();
        }
        shared.lock().outputs_ended += 1;
        shared.changed.notify_all();
    })
}

/// Numbers of the summary that explain why something is missing.
const LOSSES: [&str; 6] = [
    "/kernel/ring_full_segments",
    "/kernel/fault_bytes",
    "/kernel/control_lost",
    "/kernel/connections_full",
    "/kernel/skipped_runs",
    "/queue_dropped_segments",
];

const NOBODY: &str = "65534";
/// Much longer than a starved observer takes between two reports.
const QUIET: Duration = Duration::from_secs(10);
/// Attaching to every library of a busy machine takes about a second.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Long enough to drain full lanes.
const STOP_LIMIT: Duration = Duration::from_secs(60);
