//! How one PostgreSQL cluster is laid out: its folder, its port and the commands that run it.
//!
//! PostgreSQL refuses to run as root; then it runs as the user that its package made, who owns the
//! folder. It listens on 127.0.0.1 only and has no socket in the file system.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{Certificates, run};

/// A cluster that can be started.
#[derive(Clone, Debug)]
pub struct DatabaseCluster {
    folder: PathBuf,
    port: u16,
}

impl DatabaseCluster {
    /// A cluster in a folder, which is made when it is missing. When this is run by root, the
    /// folders above must let others pass.
    pub fn new(folder: &Path, port: u16) -> Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.canonicalize()?, port })
    }

    /// Makes the cluster with its user and its database, both named `mop`, unless it is there.
    pub fn initialise(&self, certificates: Option<&Certificates>) -> Result<()> {
        let data = self.data();
        if !data.join("PG_VERSION").exists() {
            let password = self.folder.join("password");
            fs::write(&password, Self::PASSWORD)?;
            self.give_away(&[&self.folder, &password])?;
            let mut command = self.command("initdb")?;
            command
                .arg("--pgdata")
                .arg(&data)
                .args(["--username=mop", "--auth=scram-sha-256", "--encoding=UTF8"])
                .args(["--locale=C.UTF-8", "--no-sync", "--no-instructions"])
                .arg("--pwfile")
                .arg(&password);
            run(&mut command, INITIALISE_LIMIT)?;
        }
        let mut lines = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = ''\n",
            self.port
        );
        if let Some(certificates) = certificates {
            for (name, from) in
                [("server.crt", certificates.server()), ("server.key", certificates.key())]
            {
                let copy = data.join(name);
                fs::copy(from, &copy)?;
                fs::set_permissions(&copy, fs::Permissions::from_mode(0o600))?;
                self.give_away(&[&copy])?;
            }
            lines.push_str("ssl = on\n");
        }
        let path = data.join("postgresql.auto.conf");
        fs::write(&path, lines)?;
        self.give_away(&[&path])
    }

    /// The server in the foreground. `Command` is made by `wrap` from a program's name.
    pub fn server(&self, wrap: impl FnOnce(&OsStr) -> Command) -> Result<Command> {
        let mut command = self.command_in("postgres", wrap)?;
        command.arg("-D").arg(self.data());
        Ok(command)
    }

    /// `psql` on a database, as the user `mop`.
    pub fn client(&self, database: &str) -> Result<Command> {
        let mut command = Command::new(program("psql")?);
        command
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set", "ON_ERROR_STOP=1", "--host", "127.0.0.1", "--username", "mop"])
            .args(["--port", &self.port.to_string(), "--dbname", database])
            .env("PGPASSWORD", Self::PASSWORD)
            .stdin(Stdio::null());
        Ok(command)
    }

    /// Makes the database `mop` unless it is there; the server must run.
    pub fn create_database(&self) -> Result<()> {
        let mut ask = self.client("postgres")?;
        ask.args(["--command", "SELECT 1 FROM pg_database WHERE datname = 'mop'"]);
        if run(&mut ask, CLIENT_LIMIT)?.stdout.is_empty() {
            let mut create = self.client("postgres")?;
            create.args(["--command", "CREATE DATABASE mop"]);
            run(&mut create, CLIENT_LIMIT)?;
        }
        Ok(())
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its address, with user and password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://mop:{}@127.0.0.1:{}/mop", Self::PASSWORD, self.port)
    }

    /// Where it listens, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The user's password. It guards nothing: the port is on loopback and the data are made up.
    pub const PASSWORD: &str = "mop-on-loopback";

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn command(&self, name: &str) -> Result<Command> {
        self.command_in(name, |program| Command::new(program))
    }

    /// A program of the server's package, as a user that is not root.
    fn command_in(&self, name: &str, wrap: impl FnOnce(&OsStr) -> Command) -> Result<Command> {
        let program = program(name)?;
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--"]);
            // The wish to end with the starter is lost when the user changes: it comes after that.
            let inner = wrap(program.as_os_str());
            command.arg(inner.get_program()).args(inner.get_args());
            command
        } else {
            wrap(program.as_os_str())
        };
        command.current_dir(&self.folder).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        Ok(command)
    }

    fn give_away(&self, paths: &[&Path]) -> Result<()> {
        if rustix::process::geteuid().is_root() {
            let mut command = Command::new("chown");
            command.arg(format!("{USER}:")).args(paths);
            run(&mut command, CLIENT_LIMIT)?;
        }
        Ok(())
    }
}

/// A program of the newest installed version.
fn program(name: &str) -> Result<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(VERSIONS)
        .map(|entries| {
            entries
                .flatten()
                .filter_map(|entry| {
                    let version = entry.file_name().to_str()?.parse().ok()?;
                    Some((version, entry.path().join("bin").join(name)))
                })
                .filter(|(_, path)| path.is_file())
                .collect()
        })
        .unwrap_or_default();
    versions.sort();
    versions
        .pop()
        .map(|(_, path)| path)
        .or_else(|| crate::tool(name))
        .with_context(|| format!("{name} is not installed (package postgresql)"))
}

/// Where Debian keeps the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// The package's user.
const USER: &str = "postgres";
const INITIALISE_LIMIT: Duration = Duration::from_secs(60);
const CLIENT_LIMIT: Duration = Duration::from_secs(30);
