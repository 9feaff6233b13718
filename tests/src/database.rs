//! A real PostgreSQL in a folder of its own.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use anyhow::{Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{Certificates, DatabaseCluster, Process, free_port, process::bound_by, run, until};

/// A running PostgreSQL with a database `mop`; it ends when this is dropped.
#[derive(Debug)]
pub struct Database {
    server: Option<Process>,
    cluster: DatabaseCluster,
    // After the server, which writes into it.
    _folder: TempDir,
}

impl Database {
    /// Makes a cluster and starts it.
    pub fn start() -> Result<Self> {
        Self::start_with(None)
    }

    /// Makes a cluster that also takes TLS connections, and starts it.
    pub fn start_with_tls(certificates: &Certificates) -> Result<Self> {
        Self::start_with(Some(certificates))
    }

    /// Kills its main process without a word. Those that serve connections notice and end. The
    /// data stay.
    pub fn kill9(&mut self) -> Result<()> {
        self.end(Signal::KILL)
    }

    /// Stops it: connections are closed. The data stay.
    pub fn stop(&mut self) -> Result<()> {
        // SIGTERM would wait for the clients to leave.
        self.end(Signal::INT)
    }

    /// Starts it again with the same data, after stopping it if it runs.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        // After a kill, the processes that served connections may still hold its shared memory,
        // and a new one refuses to start beside them.
        until("a new start of PostgreSQL", START_LIMIT, || self.launch().is_ok())
    }

    /// Runs a statement and gives what `psql` prints: a line a row, columns parted by `|`.
    pub fn query(&self, statement: &str) -> Result<String> {
        let mut command = self.cluster.client("mop")?;
        command.args(["--command", statement]);
        let output = run(&mut command, QUERY_LIMIT)?;
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// Its address, with user and password.
    #[must_use]
    pub fn url(&self) -> String {
        self.cluster.url()
    }

    /// Where it listens, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.cluster.port()
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.cluster.folder()
    }

    fn start_with(certificates: Option<&Certificates>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("mop-database-").tempdir()?;
        // Its user must pass; the cluster's own folder keeps others out.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711))?;
        let cluster = DatabaseCluster::new(&folder.path().join("cluster"), free_port())?;
        cluster.initialise(certificates)?;
        let mut database = Self { server: None, cluster, _folder: folder };
        database.launch()?;
        database.cluster.create_database()?;
        Ok(database)
    }

    fn launch(&mut self) -> Result<()> {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.cluster.folder().join("server.log"))?;
        let mut command = self.cluster.server(|program| bound_by("INT", program))?;
        // Processes are killed here, the machine is not: what the kernel has is safe.
        command.args(["-c", "fsync=off"]).stdout(log.try_clone()?).stderr(log);
        let mut server = Process::start("postgres", &mut command)?;
        until("an answer of PostgreSQL", START_LIMIT, || !server.running() || self.answers())?;
        if !server.running() {
            bail!("PostgreSQL ended while it started");
        }
        self.server = Some(server);
        Ok(())
    }

    fn answers(&self) -> bool {
        let Ok(mut command) = self.cluster.client("postgres") else { return false };
        command.args(["--command", "SELECT 1"]);
        run(&mut command, QUERY_LIMIT).is_ok()
    }

    fn end(&mut self, signal: Signal) -> Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        server.signal(signal);
        server.wait(STOP_LIMIT).map(drop)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // At once, as its data go with the folder, and with all its processes.
        let _stopped = self.end(Signal::QUIT);
    }
}

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const QUERY_LIMIT: Duration = Duration::from_secs(60);
