//! Servers and clients written in Python or JavaScript, from the `fixtures` folder.

use std::{
    ffi::OsStr,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::Result;

use crate::{Process, bound, free_port, listening};

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Script {
    process: Process,
    port: u16,
}

impl Script {
    /// Starts `fixtures/NAME` as a server. It gets the port as its first argument.
    pub fn serve<I>(name: &str, arguments: I) -> Result<Self>
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let interpreter = if name.ends_with(".js") { PathBuf::from("node") } else { python() };
        Self::serve_by(&interpreter, name, arguments)
    }

    /// [`Script::serve`] by another interpreter, such as one that has a library.
    pub(crate) fn serve_by<I>(interpreter: &Path, name: &str, arguments: I) -> Result<Self>
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let port = free_port();
        let path = fixture(name);
        let mut command = bound(interpreter);
        command.arg(&path).arg(port.to_string()).args(arguments).stdin(Stdio::null());
        let process = Process::start(name, &mut command)?;
        listening(SocketAddr::from(([127, 0, 0, 1], port)))?;
        Ok(Self { process, port })
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// The Python interpreter itself: a wrapper script would be another process.
#[must_use]
pub fn python() -> PathBuf {
    let system = PathBuf::from("/usr/bin/python3");
    if system.is_file() { system } else { PathBuf::from("python3") }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}
