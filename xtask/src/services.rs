//! RabbitMQ and PostgreSQL to work with: from the distribution's packages, without systemd.
//!
//! They have ports and folders of their own, listen on loopback only and go on after this command
//! has ended. What was started is written down with its start time, and only that is ever stopped: a
//! process that merely has the same number is let alone.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use mop_tests::{BrokerNode, BrokerPorts, DatabaseCluster, until};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    setup::{self, UsedBy},
    shell,
};

/// Options of `cargo xtask services`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
    /// Where their data lie. PostgreSQL's user must be able to enter it. [default: target/services]
    #[arg(long, global = true)]
    folder: Option<PathBuf>,
    /// The first of five ports in a row on 127.0.0.1: AMQP, AMQP over TLS, RabbitMQ's port mapper,
    /// its distribution, PostgreSQL.
    #[arg(long, global = true, default_value_t = FIRST_PORT)]
    first_port: u16,
}

#[derive(Clone, Copy, Debug, clap::Subcommand)]
enum Action {
    /// Starts what does not run yet, and says where it listens.
    Up,
    /// Stops exactly what `up` started; the data stay.
    Down,
    /// Says what runs; fails unless everything does.
    Status,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    let services = Services::new(options)?;
    match options.action {
        Action::Up => services.up(),
        Action::Down => services.down(),
        Action::Status => services.status(),
    }
}

/// What is started, and where it is noted.
struct Services {
    folder: PathBuf,
    ports: BrokerPorts,
    database_port: u16,
}

impl Services {
    fn new(options: &Options) -> Result<Self> {
        let folder = options.folder.clone().unwrap_or_else(|| shell::target_dir().join("services"));
        let Some(last) = options.first_port.checked_add(4) else {
            bail!("--first-port {} leaves no room for five ports", options.first_port);
        };
        let ports = BrokerPorts {
            amqp: options.first_port,
            amqps: options.first_port + 1,
            mapper: options.first_port + 2,
            distribution: options.first_port + 3,
        };
        Ok(Self { folder, ports, database_port: last })
    }

    fn up(&self) -> Result<()> {
        setup::ensure_parts(UsedBy::Tests)?;
        fs::create_dir_all(&self.folder)?;
        self.start_broker()?;
        self.start_database()?;
        self.status()
    }

    fn down(&self) -> Result<()> {
        for (service, signal) in STARTED {
            let note = self.note(service);
            let Some(started) = Started::read(&note) else { continue };
            if started.runs() {
                started.end(signal).with_context(|| format!("{service} does not end"))?;
                println!("stopped  {service}");
            }
            fs::remove_file(&note)?;
        }
        Ok(())
    }

    fn status(&self) -> Result<()> {
        let BrokerPorts { amqp, .. } = self.ports;
        let database = self.database_port;
        let mut absent = 0;
        for (service, port, address) in [
            (BROKER, amqp, format!("amqp://guest:guest@127.0.0.1:{amqp}/%2f")),
            (
                DATABASE,
                database,
                format!("postgres://mop:{}@127.0.0.1:{database}/mop", DatabaseCluster::PASSWORD),
            ),
        ] {
            let runs = Started::read(&self.note(service)).is_some_and(|started| started.runs());
            if runs && answers(port) {
                println!("running  {service:<11} {address}");
            } else {
                absent += 1;
                println!("{}  {service}", if runs { "silent " } else { "stopped" });
            }
        }
        if absent > 0 {
            bail!("not everything runs: `cargo xtask services up` starts it");
        }
        Ok(())
    }

    fn start_broker(&self) -> Result<()> {
        if self.runs(BROKER) {
            return Ok(());
        }
        let node = BrokerNode::new(&self.folder.join(BROKER), self.ports)?;
        node.configure(None, &[], "")?;
        if !self.runs(MAPPER) {
            free(self.ports.mapper)?;
            let mut mapper = detached("epmd");
            mapper.args(node.mapper_arguments());
            self.start(MAPPER, &mut mapper)?;
            self.await_answer(MAPPER, self.ports.mapper)?;
        }
        free(self.ports.amqp)?;
        free(self.ports.distribution)?;
        let mut server = detached(BrokerNode::server_program()?);
        node.environment(&mut server);
        self.start(BROKER, &mut server)?;
        self.await_answer(BROKER, self.ports.amqp)
    }

    fn start_database(&self) -> Result<()> {
        if self.runs(DATABASE) {
            return Ok(());
        }
        free(self.database_port)?;
        let cluster = DatabaseCluster::new(&self.folder.join(DATABASE), self.database_port)?;
        cluster.initialise(None).with_context(|| {
            format!(
                "PostgreSQL does not run as root, and its user may not be able to enter {}; \
                 --folder names another place",
                self.folder.display()
            )
        })?;
        let mut server = cluster.server(|program| detached(program))?;
        self.start(DATABASE, &mut server)?;
        self.await_answer(DATABASE, self.database_port)?;
        until("a database to connect to", ANSWER_LIMIT, || cluster.create_database().is_ok())
    }

    fn start(&self, service: &str, command: &mut Command) -> Result<()> {
        let log = File::create(self.folder.join(format!("{service}.log")))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot start {service}"))?;
        let started =
            Started::of(child.id()).with_context(|| format!("{service} ended at once"))?;
        started.write(&self.note(service))
    }

    fn await_answer(&self, service: &str, port: u16) -> Result<()> {
        until(&format!("an answer of {service}"), ANSWER_LIMIT, || {
            answers(port) || !self.runs(service)
        })?;
        if !self.runs(service) {
            let log = self.folder.join(format!("{service}.log"));
            bail!("{service} ended while it started; {} may say why", log.display());
        }
        Ok(())
    }

    fn runs(&self, service: &str) -> bool {
        Started::read(&self.note(service)).is_some_and(|started| started.runs())
    }

    fn note(&self, service: &str) -> PathBuf {
        self.folder.join(format!("{service}.pid"))
    }
}

/// A process, told from a later one of the same number by when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Started {
    pid: i32,
    /// In ticks since boot, field 22 of /proc/PID/stat.
    at: u64,
}

impl Started {
    /// The process of this number, unless it has ended.
    fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in parentheses and may hold blanks; the state follows it.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        if fields.next()? == "Z" {
            return None;
        }
        Some(Self { pid: i32::try_from(pid).ok()?, at: fields.nth(18)?.parse().ok()? })
    }

    fn read(note: &Path) -> Option<Self> {
        let text = fs::read_to_string(note).ok()?;
        let (pid, at) = text.trim().split_once(' ')?;
        Some(Self { pid: pid.parse().ok()?, at: at.parse().ok()? })
    }

    fn write(self, note: &Path) -> Result<()> {
        let Self { pid, at } = self;
        fs::write(note, format!("{pid} {at}\n"))
            .with_context(|| format!("cannot write {}", note.display()))
    }

    fn runs(self) -> bool {
        u32::try_from(self.pid).ok().and_then(Self::of) == Some(self)
    }

    fn end(self, signal: Signal) -> Result<()> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(()) };
        // It may end between the look and the signal: then it has ended, which is what is wanted.
        let _sent = kill_process(pid, signal);
        if until("its end", STOP_LIMIT, || !self.runs()).is_err() {
            let _killed = kill_process(pid, Signal::KILL);
            until("its end", STOP_LIMIT, || !self.runs())?;
        }
        Ok(())
    }
}

/// A command in a session of its own, which no key of this terminal reaches.
fn detached(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setsid");
    command.arg(program);
    command
}

fn answers(port: u16) -> bool {
    TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_ok()
}

fn free(port: u16) -> Result<()> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .map(drop)
        .with_context(|| format!("port {port} is taken; --first-port names others"))
}

const BROKER: &str = "rabbitmq";
const MAPPER: &str = "epmd";
const DATABASE: &str = "postgresql";
/// In the order in which they stop; PostgreSQL waits for its clients on SIGTERM.
const STARTED: [(&str, Signal); 3] =
    [(BROKER, Signal::TERM), (MAPPER, Signal::TERM), (DATABASE, Signal::INT)];
/// Neither the packages' own ports nor in the kernel's range for outgoing connections.
const FIRST_PORT: u16 = 30_672;
/// RabbitMQ takes four seconds on an idle machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::Started;

    #[test]
    fn a_process_is_told_from_another_one_of_the_same_number() {
        let this = Started::of(std::process::id()).expect("this process runs");
        assert!(this.runs());
        assert!(!Started { at: this.at + 1, ..this }.runs());
    }
}
